package emulator

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// tokenPath is the path at which OAuth consumers request tokens.
const tokenPath = "/site/oauth2/access_token"

// The OAuth scopes for deploy keys. The emulator grants all of them to each token
// that it issues.
var (
	repositoryScopes = []string{"repository", "repository:admin"}
	projectScopes    = []string{"project", "project:admin"}
)

// access holds the credentials that the emulator accepts.
type access struct {
	acceptAll bool // acceptAll accepts any Authorization header.
	basic     map[login]credential
	bearer    map[string]credential
	consumers map[login]consumer
	// describedAs are the headers of SetCredentialHeaders, nil if it was not called.
	describedAs http.Header
}

// login is a user name or client ID with its secret, as Basic authentication sends
// them.
type login struct{ name, secret string }

// credential holds the rights of an accepted token.
type credential struct {
	scopes      []string  // scopes is empty if all operations are allowed.
	accessToken bool      // accessToken reports whether the token is an access token, which cannot change the deploy keys of repositories.
	expires     time.Time // expires is zero if the token never expires.
}

// consumer is an OAuth consumer. Its tokens expire after expiresIn seconds.
type consumer struct{ expiresIn int }

// newAccess accepts all requests with an Authorization header.
func newAccess() access {
	a := noAccess()
	a.acceptAll = true
	return a
}

// noAccess accepts no requests.
func noAccess() access {
	return access{
		basic:     map[login]credential{},
		bearer:    map[string]credential{},
		consumers: map[login]consumer{},
	}
}

// AllowBasic accepts an API token with Basic authentication. Without scopes, the
// token allows all operations. The scopes may have the names of API token scopes
// or of OAuth scopes.
func (e *Emulator) AllowBasic(username, token string, scopes ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.access.acceptAll = false
	e.access.basic[login{username, token}] = credential{scopes: slices.Clone(scopes)}
}

// AllowBearer accepts a Bearer token, with scopes as in AllowBasic.
func (e *Emulator) AllowBearer(token string, scopes ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.access.acceptAll = false
	e.access.bearer[token] = credential{scopes: slices.Clone(scopes)}
}

// AllowAccessToken accepts an access token. Like Bitbucket, the emulator lets an
// access token read the deploy keys of repositories, but not add, update or delete
// them.
func (e *Emulator) AllowAccessToken(token string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.access.acceptAll = false
	e.access.bearer[token] = credential{accessToken: true}
}

// AllowConsumer accepts an OAuth consumer. The tokens of the consumer expire after
// expiresIn seconds on the emulator's clock.
func (e *Emulator) AllowConsumer(id, secret string, expiresIn int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.access.acceptAll = false
	e.access.consumers[login{id, secret}] = consumer{expiresIn: expiresIn}
}

// Revoke removes all credentials and all issued tokens. Every later request with
// credentials gets a 401, until a test allows new credentials. The headers of SetCredentialHeaders stay.
func (e *Emulator) Revoke() {
	e.mu.Lock()
	defer e.mu.Unlock()
	revoked := noAccess()
	revoked.describedAs = e.access.describedAs
	e.access = revoked
}

// scopes lists the scopes that an operation requires, once for API tokens and once
// for OAuth tokens.
type scopes struct {
	api, oauth []string
	// noAccessToken reports whether the operation refuses all access tokens, whatever
	// their scopes are.
	noAccessToken bool
}

// operationScopes returns the scopes for an operation that requires one scope.
func operationScopes(api, oauth string) scopes {
	return scopes{api: []string{api}, oauth: []string{oauth}}
}

// authorize reports whether the credentials of c allow an operation with the
// needed scopes. If not, it also returns the error reply.
func (e *Emulator) authorize(c call, needed scopes) (reply, bool) {
	granted, answer, ok := e.authenticate(c)
	switch {
	case !ok:
		return answer, false
	case granted.accessToken && needed.noAccessToken:
		return wrongMechanism(), false
	case len(granted.scopes) == 0:
		return reply{}, true
	}
	required := needed.inNamingOf(granted.scopes)
	for _, scope := range required {
		if !slices.Contains(granted.scopes, scope) {
			return missingScope(required, granted.scopes), false
		}
	}
	return reply{}, true
}

// authenticate returns the credential in c. If there is no valid credential, it
// returns the error reply and false. A request without credentials gets a 404, as
// if the repository or project did not exist.
func (e *Emulator) authenticate(c call) (credential, reply, bool) {
	authorization := c.Header.Get("Authorization")
	switch {
	case authorization == "" && c.isProjectRequest():
		return credential{}, projectNotFound(), false
	case authorization == "":
		return credential{}, repositoryNotFound(), false
	}
	if e.access.acceptAll {
		return credential{}, reply{}, true
	}
	if name, secret, ok := c.BasicAuth(); ok {
		granted, ok := e.access.basic[login{name, secret}]
		if _, misplaced := e.access.bearer[secret]; misplaced && !ok {
			return credential{}, invalidToken(), false
		}
		return granted, loginFailed(), ok
	}
	scheme, token, _ := strings.Cut(authorization, " ")
	granted, ok := e.access.bearer[token]
	if !ok || !strings.EqualFold(scheme, "Bearer") || granted.expired(e.clock()) {
		return credential{}, invalidToken(), false
	}
	return granted, reply{}, true
}

// expired reports whether the credential has expired.
func (c credential) expired(now time.Time) bool {
	return !c.expires.IsZero() && !now.Before(c.expires)
}

// inNamingOf returns the required scopes with the kind of names that granted has:
// those of API tokens or those of OAuth.
func (s scopes) inNamingOf(granted []string) []string {
	isAPIToken := func(scope string) bool { return strings.HasSuffix(scope, ":bitbucket") }
	if slices.ContainsFunc(granted, isAPIToken) {
		return s.api
	}
	return s.oauth
}

// keyScopes returns the scopes that a method on deploy keys requires. A scope of an
// API token never includes another scope, so the API scopes list each of them.
func (p parentPath) keyScopes(method string) scopes {
	admin, oauth := "admin:repository:bitbucket", repositoryScopes
	if p.project != "" {
		admin, oauth = "admin:project:bitbucket", projectScopes
	}
	noAccessToken := p.project == ""
	switch method {
	case http.MethodPost, http.MethodPut:
		return scopes{[]string{admin, "write:ssh-key:bitbucket"}, oauth, noAccessToken}
	case http.MethodDelete:
		return scopes{[]string{admin, "delete:ssh-key:bitbucket"}, oauth, noAccessToken}
	default:
		return scopes{api: []string{admin}, oauth: oauth}
	}
}

// oauthError is the JSON of an error at the token path. It follows OAuth, not
// Bitbucket's standard envelope.
type oauthError struct {
	Description string `json:"error_description"`
	Error       string `json:"error"`
}

// issueToken answers a request of an OAuth consumer for a token. The token has all
// scopes for deploy keys.
func (e *Emulator) issueToken(c call) reply {
	if c.Method != http.MethodPost {
		return methodNotAllowed(http.MethodPost)
	}
	id, secret, ok := c.BasicAuth()
	client, found := e.access.consumers[login{id, secret}]
	if e.access.acceptAll {
		client, found = consumer{expiresIn: 7200}, true
	}
	if !ok || !found {
		return jsonReply(http.StatusUnauthorized, oauthError{
			Description: "Invalid OAuth client credentials",
			Error:       "unauthorized_client",
		})
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return badRequest()
	}
	grant := form.Get("grant_type")
	if grant == "" {
		grant = "None"
	}
	if grant != "client_credentials" {
		return jsonReply(http.StatusBadRequest, oauthError{
			Description: "Unsupported grant type: " + grant,
			Error:       "invalid_grant",
		})
	}
	token := rand.Text()
	e.access.bearer[token] = credential{expires: e.clock().Add(time.Duration(client.expiresIn) * time.Second)}
	return jsonReply(http.StatusOK, map[string]any{
		"access_token": token,
		"scope":        strings.Join(slices.Concat(repositoryScopes, projectScopes), " "),
		"expires_in":   client.expiresIn,
		"token_type":   "bearer",
		"state":        "client_credentials",
	})
}
