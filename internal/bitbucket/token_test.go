package bitbucket

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const fetchToken = "POST " + transport.TokenPath

var consumer = withCredentials(transport.OAuthConsumer{ID: "consumer-id", Secret: "s3cret-of-consumer"})

// token sends an access token.
func token(value string, expiresIn int) http.HandlerFunc {
	return httpfake.Reply(200, fmt.Sprintf(`{"scope": "repository repository:admin", "access_token": %q, "expires_in": %d, "token_type": "bearer", "state": "client_credentials"}`, value, expiresIn))
}

// withTokens returns a server of the API that also issues access tokens.
func withTokens(tokens, api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(transport.TokenPath, tokens)
	mux.Handle("/2.0/", api)
	return mux
}

func TestConsumer_noToken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply  http.HandlerFunc
		status int
		text   string
	}{
		"recorded":              {httpfake.Reply(400, `{"error_description": "Unsupported grant type: None", "error": "invalid_grant"}`), 400, "400 Bad Request: invalid_grant: Unsupported grant type: None"},
		"without a description": {httpfake.Reply(401, `{"error": "unauthorized_client"}`), 401, "401 Unauthorized: unauthorized_client"},
		"of several lines":      {httpfake.Reply(400, `{"error": "invalid_grant", "error_description": "a\nb\u001b[2J"}`), 400, "400 Bad Request: invalid_grant: a b [2J"},
		"as of the API":         {httpfake.Reply(403, `{"type": "error", "error": {"message": "Forbidden"}}`), 403, "403 Forbidden: Forbidden"},
		"plain text":            {httpfake.Reply(401, "Login failed due to incorrect login credentials or method.\n"), 401, "401 Unauthorized: Login failed due to incorrect login credentials or method."},
		"HTML":                  {httpfake.Reply(404, "<html><title>Not here</title></html>"), 404, `404 Not Found: an HTML page with the title "Not here"`},
		"empty":                 {httpfake.Reply(403, ""), 403, "403 Forbidden: an empty reply"},
		"error of status OK":    {httpfake.Reply(200, `{"error": "invalid_grant"}`), 200, "200 OK: invalid_grant"},
		"redirect":              {httpfake.Reply(302, "", "Location: "+transport.TokenPath), 302, "302 Found: an empty reply"},
		"redirect elsewhere":    {httpfake.Reply(307, "", "Location: https://elsewhere.example"+transport.TokenPath), 307, "307 Temporary Redirect: an empty reply"},
		"limit of a long time":  {httpfake.Reply(429, "Rate limit for this resource has been exceeded", "Retry-After: 3600"), 429, "429 Too Many Requests: Rate limit for this resource has been exceeded"},
		"no token in it":        {httpfake.Reply(200, `{"token_type": "bearer"}`), 0, "oauth2: server response missing access_token"},
		"no JSON":               {httpfake.Reply(200, "<html>", "Content-Type: application/json"), 0, "oauth2: cannot parse json: invalid character '<' looking for beginning of value"},
		"a token in a refusal":  {httpfake.Reply(403, `{"access_token": "token-1", "refresh_token": "token-2"}`), 403, "403 Forbidden: a reply that may hold a token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for method, call := range calls {
				tokens, api := httpfake.NewScript(t, tc.reply), httpfake.NewScript(t)
				err := call.send(t.Context(), newTestClient(t, withTokens(tokens, api), consumer))
				if want := fetchToken + ": " + tc.text; err == nil || err.Error() != want {
					t.Errorf("%s: got error %v, want %s", method, err, want)
				}
				e := asError(t, err)
				if e.Status != tc.status || e.MaybeDone || !e.ForToken() || (e.RetryAfter != "") != (tc.status == 429) || (e.RateLimit != nil) != (tc.status == 429) {
					t.Errorf("%s: got %#v, want status %d", method, e, tc.status)
				}
				// The status of the token request must not count as the answer to the
				// request.
				if HasStatus(err, tc.status) || IsNotFound(err) || IsForbidden(err) || IsRedirect(err) {
					t.Errorf("%s: %v counts as the answer to the request", method, err)
				}
				expectNoSecrets(t, err)
				api.Expect()
				tokens.Expect(fetchToken)
			}
		})
	}
}

func TestConsumer_renewalFails(t *testing.T) {
	t.Parallel()
	tokens := httpfake.NewScript(t, token("token-1", 7200), httpfake.Reply(400, `{"error_description": "Revoked.", "error": "invalid_grant"}`))
	api := httpfake.NewScript(t, httpfake.Reply(401, ""))
	err := calls["POST"].send(t.Context(), newTestClient(t, withTokens(tokens, api), consumer))
	if want := fetchToken + ": 400 Bad Request: invalid_grant: Revoked."; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	if asError(t, err).MaybeDone {
		t.Error("the error reports that the request may have been carried out")
	}
	expectNoSecrets(t, err)
}

// If Bitbucket refuses the new token too, its refusal is the error.
func TestConsumer_refusedTwice(t *testing.T) {
	t.Parallel()
	tokens := httpfake.NewScript(t, token("token-1", 7200), token("token-2", 7200))
	api := httpfake.NewScript(t, httpfake.Reply(401, ""), httpfake.Reply(401, `{"type": "error", "error": {"message": "Token is invalid, expired, or not supported for this endpoint."}}`))
	err := calls["POST"].send(t.Context(), newTestClient(t, withTokens(tokens, api), consumer))
	want := "POST " + keysPath + ": 401 Unauthorized: Token is invalid, expired, or not supported for this endpoint."
	if !HasStatus(err, 401) || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	expectNoSecrets(t, err)
}

// A 404 for the token does not mean that the key is gone.
func TestConsumer_tokenNotFound(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "DELETE"} {
		tokens, api := httpfake.NewScript(t, httpfake.Reply(404, "")), httpfake.NewScript(t)
		err := calls[method].send(t.Context(), newTestClient(t, withTokens(tokens, api), consumer))
		if e := asError(t, err); !e.ForToken() || e.Status != 404 || IsNotFound(err) {
			t.Errorf("%s: got error %v, want an error about the token", method, err)
		}
		tokens.Expect(fetchToken)
	}
}

// The retries of a token request are not multiplied by the retries of the request that
// needs the token.
func TestConsumer_givesUpOnToken(t *testing.T) {
	t.Parallel()
	failure := httpfake.Reply(500, `{"error": {"message": "It broke."}}`)
	tokens, api := httpfake.NewScript(t, failure, failure, failure), httpfake.NewScript(t)
	err := calls["GET"].send(t.Context(), newTestClient(t, withTokens(tokens, api), consumer, withRetries(2)))
	if want := fetchToken + ": 500 Internal Server Error: It broke."; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	tokens.Expect(fetchToken, fetchToken, fetchToken)
}

// Requests for tokens obey the rate limit too. The error then names the request for the
// token and describes the limit.
func TestConsumer_rateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := httpfake.NewScript(t, httpfake.Reply(429, "", "Retry-After: 3600", "X-RateLimit-Limit: 1000"))
		c := newTestClient(t, withTokens(tokens, httpfake.NewScript(t)), consumer)
		want := transport.RateLimit{Limit: "1000", Requests: 1, Until: time.Now().Add(time.Hour)}
		for _, text := range []string{"an empty reply", "the rate limit was reached by another request"} {
			err := calls["GET"].send(t.Context(), c)
			if want := fetchToken + ": 429 Too Many Requests: " + text; err == nil || err.Error() != want {
				t.Errorf("got error %v, want %s", err, want)
			}
			if e := asError(t, err); !e.ForToken() || e.RateLimit == nil || *e.RateLimit != want {
				t.Errorf("got %+v, want %+v", e.RateLimit, want)
			}
		}
		tokens.Expect(fetchToken)
	})
}
