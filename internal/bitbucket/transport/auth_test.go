package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const fetchToken = "POST " + TokenPath

var consumer = withCredentials(OAuthConsumer{ID: "consumer-id", Secret: "s3cret-of-consumer"})

// secrets are the texts that no error may contain, in plain text and in base64.
var secrets = []string{
	"s3cret", "consumer-id",
	"YWRhQGV4YW1wbGUuY29tOkFUQVRULXMzY3JldA==", // ada@example.com:ATATT-s3cret
	"Y29uc3VtZXItaWQ6czNjcmV0LW9mLWNvbnN1bWVy", // consumer-id:s3cret-of-consumer
	"token-1", "token-2",
}

// errorTexts returns the texts of an error and of all errors that it wraps. It omits the
// cause of a [*TokenError], whose text may contain secrets.
func errorTexts(err error) string {
	var texts strings.Builder
	for err != nil {
		// %#v also shows the fields that the text omits.
		fmt.Fprintf(&texts, "%v %#v\n", err, err)
		if _, ok := err.(*TokenError); ok { //nolint:errorlint // The error itself, not what it wraps.
			break
		}
		err = errors.Unwrap(err)
	}
	return texts.String()
}

func expectNoSecrets(t *testing.T, err error) {
	t.Helper()
	texts := errorTexts(err)
	for _, secret := range secrets {
		if strings.Contains(texts, secret) {
			t.Errorf("the error contains %q: %s", secret, texts)
		}
	}
}

// token replies with an access token.
func token(value string, expiresIn int) http.HandlerFunc {
	return httpfake.Reply(200, fmt.Sprintf(`{"scope": "repository repository:admin", "access_token": %q, "expires_in": %d, "token_type": "bearer", "state": "client_credentials"}`, value, expiresIn))
}

// withTokens returns a server of the API that also issues access tokens.
func withTokens(tokens, api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(TokenPath, tokens)
	mux.Handle("/2.0/", api)
	return mux
}

func TestCredentials_authenticate(t *testing.T) {
	t.Parallel()
	for want, credentials := range map[string]Credentials{
		"Basic YWRhQGV4YW1wbGUuY29tOkFUQVRULXMzY3JldA==": Basic{"ada@example.com", "ATATT-s3cret"},
		"Basic w6k6OsOp":       Basic{"é", ":é"},
		"Bearer ATCTT-s3cret=": Bearer{"ATCTT-s3cret="},
		"":                     nil,
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Reply(429, ""), httpfake.Reply(200, item))
			if err := calls["PUT"].send(t.Context(), newTestClient(t, api, withCredentials(credentials))); err != nil {
				t.Fatal(err)
			}
			if got := api.Authorizations(); got != want+", "+want {
				t.Errorf("got %q, want %q with each attempt", got, want)
			}
		})
	}
}

func TestOAuthConsumer_fetchesToken(t *testing.T) {
	t.Parallel()
	tokens := httpfake.NewScript(t, token("token-1", 7200))
	api := httpfake.NewScript(t, httpfake.Reply(200, item), httpfake.Reply(200, item))
	c := newTestClient(t, withTokens(tokens, api), consumer, func(o *Options) { o.UserAgent = "Terraform/1.15 test" })
	for range 2 {
		if err := calls["POST"].send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	tokens.Expect(fetchToken)
	if got := api.Authorizations(); got != "Bearer token-1, Bearer token-1" {
		t.Errorf("the requests have the Authorization headers %s", got)
	}
	sent := tokens.Requests()[0]
	if sent.Body != "grant_type=client_credentials" {
		t.Errorf("the token was requested with %q", sent.Body)
	}
	for name, want := range map[string]string{
		"Authorization": "Basic Y29uc3VtZXItaWQ6czNjcmV0LW9mLWNvbnN1bWVy",
		"Content-Type":  "application/x-www-form-urlencoded",
		"User-Agent":    "Terraform/1.15 test",
	} {
		if got := strings.Join(sent.Header.Values(name), ", "); got != want {
			t.Errorf("the token was requested with %s: %q, want %q", name, got, want)
		}
	}
}

// Terraform starts with ten requests at once. They must share one token.
func TestOAuthConsumer_sharesToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		issue := make(chan struct{})
		tokens := httpfake.NewScript(t, func(w http.ResponseWriter, r *http.Request) {
			<-issue
			token("token-1", 7200)(w, r)
		})
		var served sync.Map
		c := newInMemoryClient(t, withTokens(tokens, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served.Store(r.Header.Get("Authorization"), true)
			httpfake.Reply(200, item)(w, r)
		})), consumer)
		var done sync.WaitGroup
		for range 20 {
			done.Go(func() {
				if err := calls["GET"].send(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // Wait until all requests wait for the token.
		close(issue)
		done.Wait()
		tokens.Expect(fetchToken)
		served.Range(func(authorization, _ any) bool {
			if authorization != "Bearer token-1" {
				t.Errorf("a request has the Authorization header %q", authorization)
			}
			return true
		})
	})
}

func TestOAuthConsumer_renewsExpiredToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := httpfake.NewScript(t, token("token-1", 7200), token("token-2", 1), token("token-3", 7200))
		api := httpfake.NewScript(t, httpfake.Reply(200, item), httpfake.Reply(200, item), httpfake.Reply(200, item), httpfake.Reply(200, item))
		c := newInMemoryClient(t, withTokens(tokens, api), consumer)
		for _, pass := range []time.Duration{0, 7000 * time.Second, 199 * time.Second, 0} {
			<-time.After(pass)
			if err := calls["GET"].send(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		// oauth2 renews a token shortly before it expires, so the second token is used for
		// only one request.
		if got, want := api.Authorizations(), "Bearer token-1, Bearer token-1, Bearer token-2, Bearer token-3"; got != want {
			t.Errorf("the requests have the Authorization headers %s, want %s", got, want)
		}
	})
}

func TestOAuthConsumer_renewsRefusedToken(t *testing.T) {
	t.Parallel()
	refusal := httpfake.Reply(401, `{"type": "error", "error": {"message": "Token is invalid, expired, or not supported for this endpoint."}}`)
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			tokens := httpfake.NewScript(t, token("token-1", 7200), token("token-2", 7200))
			api := httpfake.NewScript(t, refusal, httpfake.Reply(call.want, call.body), httpfake.Reply(call.want, call.body))
			c := newTestClient(t, withTokens(tokens, api), consumer)
			for range 2 {
				if err := call.send(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			api.Expect(call.line(), call.line(), call.line())
			tokens.Expect(fetchToken, fetchToken)
			if got, want := api.Authorizations(), "Bearer token-1, Bearer token-2, Bearer token-2"; got != want {
				t.Errorf("the requests have the Authorization headers %s, want %s", got, want)
			}
			for i, sent := range api.Requests() {
				if sent.Body != string(call.content) {
					t.Errorf("request %d had the body %q, want %q", i+1, sent.Body, call.content)
				}
			}
		})
		t.Run(method+" twice", func(t *testing.T) {
			t.Parallel()
			tokens := httpfake.NewScript(t, token("token-1", 7200), token("token-2", 7200))
			api := httpfake.NewScript(t, httpfake.Reply(401, strings.Repeat("x", 100_000)), refusal)
			err := call.send(t.Context(), newTestClient(t, withTokens(tokens, api), consumer))
			if !hasStatus(err, 401) || !strings.Contains(err.Error(), "Token is invalid") {
				t.Errorf("got error %v, want the second 401", err)
			}
			expectNoSecrets(t, err)
			api.Expect(call.line(), call.line())
			tokens.Expect(fetchToken, fetchToken)
		})
	}
}

// If the body of a refused request cannot be sent again, the refusal is returned.
func TestOAuthConsumer_bodyOfOneUse(t *testing.T) {
	t.Parallel()
	tokens := httpfake.NewScript(t, token("token-1", 7200))
	api := httpfake.NewScript(t, httpfake.Reply(401, ""))
	c := newTestClient(t, withTokens(tokens, api), consumer)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, c.root.JoinPath("item").String(), io.NopCloser(strings.NewReader(item)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 401 {
		t.Errorf("got status %d, want 401", response.StatusCode)
	}
}

// If Bitbucket refuses a token for many requests, the token is renewed only once.
func TestOAuthConsumer_renewsSharedToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := httpfake.NewScript(t, token("token-1", 7200), token("token-2", 7200))
		refuse := make(chan struct{})
		c := newInMemoryClient(t, withTokens(tokens, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, err := io.ReadAll(r.Body); err != nil || string(body) != item {
				t.Errorf("got body %q, %v", body, err)
			}
			if r.Header.Get("Authorization") != "Bearer token-2" {
				<-refuse
				httpfake.Reply(401, "")(w, r)
				return
			}
			httpfake.Reply(200, item)(w, r)
		})), consumer)
		var done sync.WaitGroup
		for range 20 {
			done.Go(func() {
				if err := calls["POST"].send(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // Wait until the allowed number of requests was sent with the first token.
		close(refuse)
		done.Wait()
		tokens.Expect(fetchToken, fetchToken)
	})
}

func TestOAuthConsumer_reusesConnection(t *testing.T) {
	t.Parallel()
	tokens := httpfake.NewScript(t, httpfake.Reply(503, "later"), token("token-1", 7200), token("token-2", 7200))
	api := httpfake.NewScript(t, httpfake.Reply(401, strings.Repeat("x", 10_000)), httpfake.Reply(200, item))
	opened := 0
	ctx := countOpened(t.Context(), &opened)
	if err := calls["PUT"].send(ctx, newTestClient(t, withTokens(tokens, api), consumer)); err != nil {
		t.Fatal(err)
	}
	if opened != 1 {
		t.Errorf("opened %d connections, want 1", opened)
	}
}

// expectTokenError fails the test unless err reports that no access token could be fetched,
// so that the request was not sent. It also fails the test if err contains secrets.
func expectTokenError(t *testing.T, err error) *TokenError {
	t.Helper()
	failed, ok := errors.AsType[*TokenError](err)
	if !ok {
		t.Fatalf("got error %v (%T), want a *TokenError", err, err)
	}
	if status, maybeDone := outcome(t, err); status != 0 || maybeDone {
		t.Errorf("got error %v with MaybeDone %t, but the request was not sent", err, maybeDone)
	}
	if !strings.HasSuffix(err.Error(), "no access token could be fetched") {
		t.Errorf("got error %v", err)
	}
	expectNoSecrets(t, err)
	return failed
}

func TestOAuthConsumer_renewalFails(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			tokens := httpfake.NewScript(t, token("token-1", 7200), httpfake.Reply(400, `{"error_description": "Revoked.", "error": "invalid_grant"}`))
			api := httpfake.NewScript(t, httpfake.Reply(401, ""))
			failed := expectTokenError(t, call.send(t.Context(), newTestClient(t, withTokens(tokens, api), consumer)))
			refused, ok := errors.AsType[*oauth2.RetrieveError](failed)
			if !ok || refused.Response.StatusCode != 400 || refused.ErrorCode != "invalid_grant" || refused.ErrorDescription != "Revoked." {
				t.Errorf("got %+v", failed.Err)
			}
			api.Expect(call.line())
			tokens.Expect(fetchToken, fetchToken)
		})
	}
}

// If the reply to a request for a token contains no token, the error is a [*TokenError].
// The request that needs the token is not sent.
func TestOAuthConsumer_noToken(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(httpfake.NewScript(t)) // Fails the test if a request arrives.
	t.Cleanup(elsewhere.Close)
	for name, tc := range map[string]struct {
		reply http.HandlerFunc
		// status is 0 if the reply is not a refusal.
		status int
		code   string
	}{
		"recorded":              {httpfake.Reply(400, `{"error_description": "Unsupported grant type: None", "error": "invalid_grant"}`), 400, "invalid_grant"},
		"without a description": {httpfake.Reply(401, `{"error": "unauthorized_client"}`), 401, "unauthorized_client"},
		"like the API":          {httpfake.Reply(403, `{"type": "error", "error": {"message": "Forbidden"}}`), 403, ""},
		"plain text":            {httpfake.Reply(401, "Login failed due to incorrect login credentials or method.\n"), 401, ""},
		"HTML":                  {httpfake.Reply(404, "<html><title>Not here</title></html>"), 404, ""},
		"empty":                 {httpfake.Reply(403, ""), 403, ""},
		"error of status OK":    {httpfake.Reply(200, `{"error": "invalid_grant"}`), 200, "invalid_grant"},
		"redirect":              {httpfake.Reply(302, "", "Location: "+TokenPath), 302, ""},
		"redirect elsewhere":    {httpfake.Reply(307, "", "Location: "+elsewhere.URL+TokenPath), 307, ""},
		"limit of a long time":  {httpfake.Reply(429, "Rate limit for this resource has been exceeded", "Retry-After: 3600"), 429, ""},
		"a token in a refusal":  {httpfake.Reply(403, `{"access_token": "token-1"}`), 403, ""},
		"the secret in it":      {httpfake.Reply(403, `{"error": "for s3cret-of-consumer"}`), 403, ""},
		"no token in it":        {httpfake.Reply(200, `{"token_type": "bearer"}`), 0, ""},
		"no JSON":               {httpfake.Reply(200, "<html>", "Content-Type: application/json"), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for method, call := range calls {
				tokens, api := httpfake.NewScript(t, tc.reply), httpfake.NewScript(t)
				c := newTestClient(t, withTokens(tokens, api), consumer)
				failed := expectTokenError(t, call.send(t.Context(), c))
				refused, ok := errors.AsType[*oauth2.RetrieveError](failed)
				if ok != (tc.status != 0) || ok && (refused.Response.StatusCode != tc.status || refused.ErrorCode != tc.code) {
					t.Errorf("%s: got %+v, want status %d and code %q", method, failed.Err, tc.status, tc.code)
				}
				if strings.Contains(failed.Err.Error(), "s3cret") {
					t.Errorf("%s: the cause repeats the secret: %v", method, failed.Err)
				}
				if tc.status == 429 && (refused.Response.Header.Get("Retry-After") != "3600" || c.RateLimit().Until.IsZero()) {
					t.Errorf("%s: got limit %+v", method, c.RateLimit())
				}
				api.Expect()
				tokens.Expect(fetchToken)
			}
		})
	}
}

// Requesting a token twice does no harm, so the request for a token is retried, whatever
// the method of the request that needs the token.
func TestOAuthConsumer_retriesForToken(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]http.HandlerFunc{
		"429": httpfake.Reply(429, "Rate limit for this resource has been exceeded"),
		"500": httpfake.Reply(500, ""),
		"503": httpfake.Reply(503, "", "Retry-After: 0"),
		"cut": httpfake.Cut,
	} {
		for method, call := range calls {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				tokens := httpfake.NewScript(t, failure, failure, token("token-1", 7200))
				api := httpfake.NewScript(t, httpfake.Reply(call.want, call.body))
				if err := call.send(t.Context(), newTestClient(t, withTokens(tokens, api), consumer, withRetries(2))); err != nil {
					t.Error(err)
				}
				tokens.Expect(fetchToken, fetchToken, fetchToken)
				for _, request := range tokens.Requests() {
					if request.Body != "grant_type=client_credentials" {
						t.Errorf("the token was requested with %q", request.Body)
					}
				}
				api.Expect(call.line())
			})
		}
	}
}

// The request for a token waits as long as a 503 requests, like any other request.
func TestOAuthConsumer_waitsForToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := httpfake.NewScript(t, httpfake.Reply(503, "", "Retry-After: 90"), token("token-1", 7200))
		c := newInMemoryClient(t, withTokens(tokens, httpfake.NewScript(t, httpfake.Reply(200, item))), consumer)
		start := time.Now()
		if err := calls["POST"].send(t.Context(), c); err != nil || time.Since(start) != 90*time.Second {
			t.Errorf("got error %v after %v, want none after 90 s", err, time.Since(start))
		}
	})
}

// The retries of a token request are not multiplied by the retries of the request that
// needs the token.
func TestOAuthConsumer_givesUpOnToken(t *testing.T) {
	t.Parallel()
	failure := httpfake.Reply(500, `{"error": {"message": "It broke."}}`)
	tokens, api := httpfake.NewScript(t, failure, failure, failure), httpfake.NewScript(t)
	failed := expectTokenError(t, calls["GET"].send(t.Context(), newTestClient(t, withTokens(tokens, api), consumer, withRetries(2))))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](failed); !ok || refused.Response.StatusCode != 500 || !strings.Contains(string(refused.Body), "It broke.") {
		t.Errorf("got %+v", failed.Err)
	}
	tokens.Expect(fetchToken, fetchToken, fetchToken)
}

// If a request for a token may not wait for the rate limit, the error is a [*TokenError]
// that wraps a [*RateLimitError].
func TestOAuthConsumer_blocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := httpfake.NewScript(t, httpfake.Reply(429, "", "Retry-After: 3600"))
		c := newInMemoryClient(t, withTokens(tokens, httpfake.NewScript(t)), consumer)
		_ = expectTokenError(t, calls["GET"].send(t.Context(), c))
		failed := expectTokenError(t, calls["GET"].send(t.Context(), c))
		limited, ok := errors.AsType[*RateLimitError](failed)
		if !ok || limited.RateLimit.Requests != 1 || !limited.RateLimit.Until.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("got %+v", failed.Err)
		}
		tokens.Expect(fetchToken)
	})
}

// After a failure the next request may fetch a token.
func TestOAuthConsumer_fetchesAfterFailure(t *testing.T) {
	t.Parallel()
	tokens := httpfake.NewScript(t, httpfake.Reply(403, ""), token("token-1", 7200))
	c := newTestClient(t, withTokens(tokens, httpfake.NewScript(t, httpfake.Reply(200, item))), consumer)
	_ = expectTokenError(t, calls["GET"].send(t.Context(), c))
	if err := calls["GET"].send(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func TestOAuthConsumer_stoppedWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		issue := make(chan struct{})
		tokens := httpfake.NewScript(t, func(w http.ResponseWriter, r *http.Request) {
			<-issue
			token("token-1", 7200)(w, r)
		})
		c := newInMemoryClient(t, withTokens(tokens, httpfake.NewScript(t, httpfake.Reply(200, item))), consumer)
		var done sync.WaitGroup
		done.Go(func() {
			if err := calls["GET"].send(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // Wait until the first request fetches the token.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := calls["POST"].send(ctx, c)
		if _, maybeDone := outcome(t, err); !errors.Is(err, context.DeadlineExceeded) || maybeDone || time.Since(start) != time.Minute {
			t.Errorf("got error %v with MaybeDone %t after %v, want the deadline after a minute", err, maybeDone, time.Since(start))
		}
		close(issue)
		done.Wait()
	})
}

// A request that is stopped while it fetches the token ends at once. The other requests
// continue.
func TestOAuthConsumer_stoppedWhileFetching(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := httpfake.NewScript(t, httpfake.Hang, token("token-1", 7200))
		c := newInMemoryClient(t, withTokens(tokens, httpfake.NewScript(t, httpfake.Reply(200, item))), consumer)
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var done sync.WaitGroup
		done.Go(func() {
			err := calls["POST"].send(ctx, c)
			if _, maybeDone := outcome(t, err); !errors.Is(err, context.Canceled) || maybeDone {
				t.Errorf("got error %v with MaybeDone %t, want context.Canceled", err, maybeDone)
			}
		})
		synctest.Wait() // Wait until the first request fetches the token.
		done.Go(func() {
			if err := calls["GET"].send(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // Wait until the second request waits.
		cancel()
		done.Wait()
		tokens.Expect(fetchToken, fetchToken)
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// An error without a reply may contain addresses, but no secrets.
func TestCredentials_areNotInErrors(t *testing.T) {
	t.Parallel()
	noRoute := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route to host") }
	for name, credentials := range map[string]Credentials{
		"basic":              Basic{"ada@example.com", "ATATT-s3cret"},
		"bearer":             Bearer{"ATCTT-s3cret"},
		"bearer with a line": Bearer{"ATCTT-s3cret\n"},
		"consumer":           OAuthConsumer{ID: "consumer-id", Secret: "s3cret-of-consumer"},
	} {
		for reason, base := range map[string]http.RoundTripper{
			"no connection": &http.Transport{DialContext: noRoute},
			"transport":     httpfake.RoundTripFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("proxy failed") }),
			"wrong proxy":   &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return nil, errors.New("no proxy") }},
		} {
			t.Run(name+" "+reason, func(t *testing.T) {
				t.Parallel()
				c := newClient(t, "https://api.bitbucket.org/2.0", Options{Credentials: credentials, MaxRetries: 1, RetryWait: 1, Base: base})
				for method, call := range calls {
					err := call.send(t.Context(), c)
					if status, _ := outcome(t, err); status != 0 {
						t.Errorf("%s: got error %v", method, err)
					}
					expectNoSecrets(t, err)
					if failed, ok := errors.AsType[*TokenError](err); ok {
						expectNoSecrets(t, failed.Err) // There was no reply, so the cause contains no secrets either.
					}
				}
			})
		}
	}
}

// If a header is invalid, the request is neither sent nor retried.
func TestCredentials_notForHeader(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t)
	err := calls["GET"].send(t.Context(), newTestClient(t, api, withCredentials(Bearer{"s3cret\r\nX-Evil: yes"})))
	if err == nil || !strings.Contains(err.Error(), "invalid header field value") {
		t.Errorf("got error %v", err)
	}
	expectNoSecrets(t, err)
	api.Expect()
}
