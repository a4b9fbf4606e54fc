package emulator

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// tokenPath is where OAuth consumers get their tokens.
const tokenPath = "/site/oauth2/access_token"

// OAuth's scopes for deploy keys, all of which an issued token has.
var (
	repositoryScopes = []string{"repository", "repository:admin"}
	projectScopes    = []string{"project", "project:admin"}
)

// access is who may use the emulator.
type access struct {
	acceptAll bool // open accepts any Authorization header.
	basic     map[login]credential
	bearer    map[string]credential
	consumers map[login]consumer
}

// login is a pair as Basic authentication sends it.
type login struct{ name, secret string }

// credential is what is known about an accepted token.
type credential struct {
	scopes      []string  // scopes is empty for all of them.
	accessToken bool      // accessToken may only read the deploy keys of repositories.
	expires     time.Time // expires is zero for never.
}

// consumer is an OAuth consumer.
type consumer struct{ expiresIn int }

// newAccess is open to everybody who sends credentials of any kind.
func newAccess() access {
	a := noAccess()
	a.acceptAll = true
	return a
}

// noAccess is closed to everybody.
func noAccess() access {
	return access{
		basic:     map[login]credential{},
		bearer:    map[string]credential{},
		consumers: map[login]consumer{},
	}
}

// AllowBasic accepts an API token with Basic authentication. Without scopes it
// may do everything; with OAuth's names it is checked as an OAuth token is.
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

// AllowAccessToken accepts an access token, which Bitbucket lets read the deploy
// keys of repositories, but not add, update or delete them.
func (e *Emulator) AllowAccessToken(token string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.access.acceptAll = false
	e.access.bearer[token] = credential{accessToken: true}
}

// AllowConsumer accepts an OAuth consumer, whose tokens expire after expiresIn
// seconds of the emulator's clock.
func (e *Emulator) AllowConsumer(id, secret string, expiresIn int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.access.acceptAll = false
	e.access.consumers[login{id, secret}] = consumer{expiresIn: expiresIn}
}

// Revoke forgets all credentials and all issued tokens: from now on every
// request with credentials is answered 401, until new ones are allowed.
func (e *Emulator) Revoke() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.access = noAccess()
}

// scopes are what an operation needs: of an API token, or in OAuth's names.
type scopes struct{ api, oauth []string }

// admit decides whether c may go on, and is the refusal when it may not.
func (e *Emulator) authorize(c call, needed scopes) (reply, bool) {
	granted, answer, ok := e.authenticate(c)
	switch {
	case !ok:
		return answer, false
	case granted.accessToken && c.Method != http.MethodGet && !c.isProjectRequest():
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

// authenticate finds the credential that c carries. To somebody anonymous
// whatever is private does not exist.
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

// expired reports whether the credential's time is over.
func (c credential) expired(now time.Time) bool {
	return !c.expires.IsZero() && !now.Before(c.expires)
}

// among lists the scopes in the vocabulary of those that were granted.
func (s scopes) inNamingOf(granted []string) []string {
	isAPIToken := func(scope string) bool { return strings.HasSuffix(scope, ":bitbucket") }
	if slices.ContainsFunc(granted, isAPIToken) {
		return s.api
	}
	return s.oauth
}

// keyScopes are the scopes for a method on deploy keys: those of API tokens do
// not imply one another.
func (p parentPath) keyScopes(method string) scopes {
	admin, oauth := "admin:repository:bitbucket", repositoryScopes
	if p.project != "" {
		admin, oauth = "admin:project:bitbucket", projectScopes
	}
	switch method {
	case http.MethodPost, http.MethodPut:
		return scopes{[]string{admin, "write:ssh-key:bitbucket"}, oauth}
	case http.MethodDelete:
		return scopes{[]string{admin, "delete:ssh-key:bitbucket"}, oauth}
	default:
		return scopes{[]string{admin}, oauth}
	}
}

// oauthError is an error in OAuth's own shape.
type oauthError struct {
	Description string `json:"error_description"`
	Error       string `json:"error"`
}

// issueToken grants client credentials a token with all scopes.
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
