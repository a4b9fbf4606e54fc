package transport

import (
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Credential describes the credentials of the requests, according to Bitbucket's replies.
type Credential struct {
	// Type is the kind of the credentials, for example api_token, "" if it is not known.
	Type string
	// Scopes are the scopes of the credentials, empty if they are not known.
	Scopes []string
}

// credentialRecord remembers the headers of the last reply that describes the credentials.
type credentialRecord struct {
	mu   sync.Mutex
	last Credential
}

// observe stores what the headers of a reply show about the credentials. response is nil if
// no reply arrived. observe ignores replies that do not describe accepted credentials: a
// 401, a reply without these headers, and a reply to an anonymous or a token request.
func (r *credentialRecord) observe(request *http.Request, response *http.Response) {
	anonymous := request.Header.Get("Authorization") == ""
	if response == nil || anonymous || response.StatusCode == http.StatusUnauthorized || IsTokenRequest(request) {
		return
	}
	kind, scopes := response.Header.Get("X-Credential-Type"), response.Header.Get("X-OAuth-Scopes")
	if kind == "" && scopes == "" {
		return
	}
	credential := Credential{Type: strings.ToLower(Printable(kind))}
	for _, scope := range strings.FieldsFunc(scopes, func(r rune) bool { return strings.ContainsRune(", ", r) }) {
		credential.Scopes = append(credential.Scopes, strings.ToLower(Printable(scope)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = credential
}

// Credential describes the credentials according to the last reply that described them.
func (t *Transport) Credential() Credential {
	record := &t.limiter.credential
	record.mu.Lock()
	defer record.mu.Unlock()
	return Credential{record.last.Type, slices.Clone(record.last.Scopes)}
}
