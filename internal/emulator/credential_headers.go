package emulator

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// SetCredentialHeaders replaces the headers with which later replies describe the credentials
// of their requests: X-Credential-Type and X-OAuth-Scopes. An empty header removes both. By
// default, the replies to known credentials have each header whose value is known.
func (e *Emulator) SetCredentialHeaders(header http.Header) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.access.describedAs = header.Clone()
	if e.access.describedAs == nil {
		e.access.describedAs = http.Header{}
	}
}

// describeCredentials adds the headers to the reply to c. It keeps headers that a fault has
// set.
func (e *Emulator) describeCredentials(c call, answer *reply) {
	headers := e.access.describedAs
	if headers == nil {
		headers = e.credentialHeaders(c)
	}
	headers = maps.Clone(headers)
	maps.DeleteFunc(headers, func(name string, _ []string) bool { return answer.header.Get(name) != "" })
	answer.add(headers)
}

// credentialHeaders returns the headers for the credentials of c.
func (e *Emulator) credentialHeaders(c call) http.Header {
	granted, _, ok := e.authenticate(c)
	if !ok || c.path == tokenPath || e.access.acceptAll {
		return nil
	}
	headers := http.Header{}
	_, _, basic := c.BasicAuth()
	switch {
	case basic:
		headers.Set("X-Credential-Type", "api_token")
	case granted.accessToken:
		headers.Set("X-Credential-Type", "repo_access_token")
		headers.Set("X-Oauth-Scopes", strings.Join(slices.Concat(repositoryScopes, projectScopes), ", "))
	}
	if len(granted.scopes) > 0 {
		headers.Set("X-Oauth-Scopes", strings.Join(granted.scopes, ", "))
	}
	return headers
}
