package bitbucket

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
)

const buyToken = "POST /site/oauth2/access_token"

var consumer = withCredentials(Consumer{ID: "consumer-id", Secret: "s3cret-of-consumer"})

// secrets are what no error may hold, encoded or not.
var secrets = []string{
	"s3cret", "consumer-id",
	"YWRhQGV4YW1wbGUuY29tOkFUQVRULXMzY3JldA==", // ada@example.com:ATATT-s3cret
	"Y29uc3VtZXItaWQ6czNjcmV0LW9mLWNvbnN1bWVy", // consumer-id:s3cret-of-consumer
	"token-1", "token-2",
}

func expectNoSecrets(t *testing.T, err error) {
	t.Helper()
	for _, secret := range secrets {
		// %#v reaches what the text leaves out.
		if text := fmt.Sprintf("%v %#v", err, err); strings.Contains(text, secret) {
			t.Errorf("the error holds %q: %s", secret, text)
		}
	}
}

// token answers with an access token.
func token(value string, expiresIn int) http.HandlerFunc {
	return answer(200, fmt.Sprintf(`{"scope": "repository repository:admin", "access_token": %q, "expires_in": %d, "token_type": "bearer", "state": "client_credentials"}`, value, expiresIn))
}

// bitbucket is a server of the API that also sells access tokens.
func bitbucket(tokens, api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(tokenPath, tokens)
	mux.Handle("/2.0/", api)
	return mux
}

// authorizations are what the requests were signed with.
func authorizations(s *script) string {
	var all []string
	for _, request := range s.asked() {
		all = append(all, strings.Join(request.header.Values("Authorization"), " and "))
	}
	return strings.Join(all, ", ")
}

func TestCredentials_sign(t *testing.T) {
	t.Parallel()
	for want, credentials := range map[string]Credentials{
		"Basic YWRhQGV4YW1wbGUuY29tOkFUQVRULXMzY3JldA==": Basic{"ada@example.com", "ATATT-s3cret"},
		"Basic w6k6OsOp":       Basic{"é", ":é"},
		"Bearer ATCTT-s3cret=": Bearer{"ATCTT-s3cret="},
		"":                     nil,
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			api := answers(t, answer(429, ""), answer(200, oneKey))
			if err := calls["PUT"].send(t.Context(), newTestClient(t, api, withCredentials(credentials))); err != nil {
				t.Fatal(err)
			}
			if got := authorizations(api); got != want+", "+want {
				t.Errorf("got %q, want %q with each try", got, want)
			}
		})
	}
}

func TestTokenURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://api.bitbucket.org/2.0":     "https://bitbucket.org/site/oauth2/access_token",
		"https://proxy.example:8443/bb/2.0": "https://proxy.example:8443/site/oauth2/access_token",
		"http://127.0.0.1:7990/2.0":         "http://127.0.0.1:7990/site/oauth2/access_token",
		"http://[::1]:7990/2.0":             "http://[::1]:7990/site/oauth2/access_token",
	} {
		base, err := ParseBaseURL(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := tokenURL(base).String(); got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}

func TestConsumer_buysToken(t *testing.T) {
	t.Parallel()
	tokens := answers(t, token("token-1", 7200))
	api := answers(t, answer(200, oneKey), answer(200, oneKey))
	c := newTestClient(t, bitbucket(tokens, api), consumer, func(o *Options) { o.UserAgent = "Terraform/1.15 test" })
	for range 2 {
		if err := calls["POST"].send(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	tokens.expect(buyToken)
	if got := authorizations(api); got != "Bearer token-1, Bearer token-1" {
		t.Errorf("requests came with %s", got)
	}
	sent := tokens.asked()[0]
	if sent.body != "grant_type=client_credentials" {
		t.Errorf("the token was asked for with %q", sent.body)
	}
	for name, want := range map[string]string{
		"Authorization": "Basic Y29uc3VtZXItaWQ6czNjcmV0LW9mLWNvbnN1bWVy",
		"Content-Type":  "application/x-www-form-urlencoded",
		"User-Agent":    "Terraform/1.15 test",
	} {
		if got := strings.Join(sent.header.Values(name), ", "); got != want {
			t.Errorf("the token was asked for with %s: %q, want %q", name, got, want)
		}
	}
}

// Terraform begins with ten requests at once, and they share a token.
func TestConsumer_sharesToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sell := make(chan struct{})
		tokens := answers(t, func(w http.ResponseWriter, r *http.Request) {
			<-sell
			token("token-1", 7200)(w, r)
		})
		var served sync.Map
		c := newInMemoryClient(t, bitbucket(tokens, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served.Store(r.Header.Get("Authorization"), true)
			answer(200, oneKey)(w, r)
		})), consumer)
		var done sync.WaitGroup
		for range 20 {
			done.Go(func() {
				if err := calls["GET"].send(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // Until all wait for the token.
		close(sell)
		done.Wait()
		tokens.expect(buyToken)
		served.Range(func(signed, _ any) bool {
			if signed != "Bearer token-1" {
				t.Errorf("a request was signed with %q", signed)
			}
			return true
		})
	})
}

func TestConsumer_renewsExpiredToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := answers(t, token("token-1", 7200), token("token-2", 1), token("token-3", 7200))
		api := answers(t, answer(200, oneKey), answer(200, oneKey), answer(200, oneKey), answer(200, oneKey))
		c := newInMemoryClient(t, bitbucket(tokens, api), consumer)
		for _, pass := range []time.Duration{0, 7000 * time.Second, 199 * time.Second, 0} {
			<-time.After(pass)
			if err := calls["GET"].send(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		// The second has expired as soon as it is there, so it serves one request.
		if got, want := authorizations(api), "Bearer token-1, Bearer token-1, Bearer token-2, Bearer token-3"; got != want {
			t.Errorf("requests came with %s, want %s", got, want)
		}
	})
}

func TestConsumer_renewsRefusedToken(t *testing.T) {
	t.Parallel()
	refusal := answer(401, `{"type": "error", "error": {"message": "Token is invalid, expired, or not supported for this endpoint."}}`)
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			tokens := answers(t, token("token-1", 7200), token("token-2", 7200))
			api := answers(t, refusal, answer(call.want, call.body), answer(call.want, call.body))
			c := newTestClient(t, bitbucket(tokens, api), consumer)
			for range 2 {
				if err := call.send(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			api.expect(call.line, call.line, call.line)
			tokens.expect(buyToken, buyToken)
			if got, want := authorizations(api), "Bearer token-1, Bearer token-2, Bearer token-2"; got != want {
				t.Errorf("requests came with %s, want %s", got, want)
			}
			sends := method == http.MethodPost || method == http.MethodPut
			if asked := api.asked(); asked[0].body != asked[1].body || (asked[1].body != "") != sends {
				t.Errorf("the second try sent %q after %q", asked[1].body, asked[0].body)
			}
		})
		t.Run(method+" twice", func(t *testing.T) {
			t.Parallel()
			tokens := answers(t, token("token-1", 7200), token("token-2", 7200))
			api := answers(t, answer(401, strings.Repeat("x", 100_000)), refusal)
			err := call.send(t.Context(), newTestClient(t, bitbucket(tokens, api), consumer))
			if !HasStatus(err, 401) || !strings.Contains(err.Error(), "Token is invalid") {
				t.Errorf("got error %v, want the second 401", err)
			}
			expectNoSecrets(t, err)
			api.expect(call.line, call.line)
			tokens.expect(buyToken, buyToken)
		})
	}
}

// A token that many requests find refused is renewed once.
func TestConsumer_renewsSharedToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := answers(t, token("token-1", 7200), token("token-2", 7200))
		refuse := make(chan struct{})
		c := newInMemoryClient(t, bitbucket(tokens, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(body), keyLine) {
				t.Errorf("got body %q, %v", body, err)
			}
			if r.Header.Get("Authorization") != "Bearer token-2" {
				<-refuse
				answer(401, "")(w, r)
				return
			}
			answer(200, oneKey)(w, r)
		})), consumer)
		var done sync.WaitGroup
		for range 20 {
			done.Go(func() {
				if err := calls["POST"].send(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // Until all have been sent with the first token.
		close(refuse)
		done.Wait()
		tokens.expect(buyToken, buyToken)
	})
}

func TestConsumer_reusesConnection(t *testing.T) {
	t.Parallel()
	tokens := answers(t, answer(503, "later"), token("token-1", 7200), token("token-2", 7200))
	api := answers(t, answer(401, strings.Repeat("x", 10_000)), answer(200, oneKey))
	opened := 0
	ctx := countOpened(t.Context(), &opened)
	if err := calls["PUT"].send(ctx, newTestClient(t, bitbucket(tokens, api), consumer)); err != nil {
		t.Fatal(err)
	}
	if opened != 1 {
		t.Errorf("opened %d connections, want 1", opened)
	}
}

func TestConsumer_renewalFails(t *testing.T) {
	t.Parallel()
	tokens := answers(t, token("token-1", 7200), answer(400, `{"error_description": "Revoked.", "error": "invalid_grant"}`))
	api := answers(t, answer(401, ""))
	err := calls["POST"].send(t.Context(), newTestClient(t, bitbucket(tokens, api), consumer))
	if want := buyToken + ": 400 Bad Request: invalid_grant: Revoked."; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	if asError(t, err).Lost {
		t.Error("the error tells that the request may have been carried out")
	}
	expectNoSecrets(t, err)
}

func TestConsumer_noToken(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(answers(t)) // Fails the test if anything arrives.
	t.Cleanup(elsewhere.Close)
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		status int
		text   string
	}{
		"recorded":              {answer(400, `{"error_description": "Unsupported grant type: None", "error": "invalid_grant"}`), 400, "400 Bad Request: invalid_grant: Unsupported grant type: None"},
		"without a description": {answer(401, `{"error": "unauthorized_client"}`), 401, "401 Unauthorized: unauthorized_client"},
		"of several lines":      {answer(400, `{"error": "invalid_grant", "error_description": "a\nb\u001b[2J"}`), 400, "400 Bad Request: invalid_grant: a b [2J"},
		"as of the API":         {answer(403, `{"type": "error", "error": {"message": "Forbidden"}}`), 403, "403 Forbidden: Forbidden"},
		"plain text":            {answer(401, "Login failed due to incorrect login credentials or method.\n"), 401, "401 Unauthorized: Login failed due to incorrect login credentials or method."},
		"HTML":                  {answer(404, "<html><title>Not here</title></html>"), 404, `404 Not Found: an HTML page with the title "Not here"`},
		"empty":                 {answer(403, ""), 403, "403 Forbidden: an empty reply"},
		"error of status OK":    {answer(200, `{"error": "invalid_grant"}`), 200, "200 OK: invalid_grant"},
		"redirect":              {answer(302, "", "Location: "+tokenPath), 302, "302 Found: an empty reply"},
		"redirect elsewhere":    {answer(307, "", "Location: "+elsewhere.URL+tokenPath), 307, "307 Temporary Redirect: an empty reply"},
		"limit of a long time":  {answer(429, "Rate limit for this resource has been exceeded", "Retry-After: 3600"), 429, "429 Too Many Requests: Rate limit for this resource has been exceeded"},
		"no token in it":        {answer(200, `{"token_type": "bearer"}`), 0, "oauth2: server response missing access_token"},
		"no JSON":               {answer(200, "<html>", "Content-Type: application/json"), 0, "oauth2: cannot parse json: invalid character '<' looking for beginning of value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for method, call := range calls {
				tokens, api := answers(t, tc.answer), answers(t)
				err := call.send(t.Context(), newTestClient(t, bitbucket(tokens, api), consumer))
				if want := buyToken + ": " + tc.text; err == nil || err.Error() != want {
					t.Errorf("%s: got error %v, want %s", method, err, want)
				}
				if e := asError(t, err); e.Status != tc.status || e.Lost || (e.RetryAfter != "") != (tc.status == 429) {
					t.Errorf("%s: got %#v, want status %d", method, e, tc.status)
				}
				expectNoSecrets(t, err)
				api.expect()
				tokens.expect(buyToken)
			}
		})
	}
}

// A 404 for the token says nothing about the key.
func TestConsumer_tokenNotFound(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(context.Context, *Client) error{
		"read": func(ctx context.Context, c *Client) error {
			_, err := c.DeployKey(ctx, repository, 1234)
			return err
		},
		"delete": calls["DELETE"].send,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens, api := answers(t, answer(404, "")), answers(t)
			err := call(t.Context(), newTestClient(t, bitbucket(tokens, api), consumer))
			if e := asError(t, err); !e.ForToken() || e.Status != 404 || IsNotFound(err) || errors.Is(err, ErrDeployKeyGone) {
				t.Errorf("got error %v, want that there is no token", err)
			}
			tokens.expect(buyToken)
		})
	}
}

// A token asked for twice does no harm, whatever it is wanted for.
func TestConsumer_triesAgainForToken(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]http.HandlerFunc{
		"429": answer(429, "Rate limit for this resource has been exceeded"),
		"500": answer(500, ""),
		"503": answer(503, "", "Retry-After: 0"),
		"cut": cut,
	} {
		for method, call := range calls {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				tokens := answers(t, failure, failure, token("token-1", 7200))
				api := answers(t, answer(call.want, call.body))
				if err := call.send(t.Context(), newTestClient(t, bitbucket(tokens, api), consumer, withRetries(2))); err != nil {
					t.Error(err)
				}
				tokens.expect(buyToken, buyToken, buyToken)
				for _, request := range tokens.asked() {
					if request.body != "grant_type=client_credentials" {
						t.Errorf("the token was asked for with %q", request.body)
					}
				}
				api.expect(call.line)
			})
		}
	}
}

// Tries for a token are not multiplied by those of the request.
func TestConsumer_givesUpOnToken(t *testing.T) {
	t.Parallel()
	failure := answer(500, `{"error": {"message": "It broke."}}`)
	tokens, api := answers(t, failure, failure, failure), answers(t)
	err := calls["GET"].send(t.Context(), newTestClient(t, bitbucket(tokens, api), consumer, withRetries(2)))
	if want := buyToken + ": 500 Internal Server Error: It broke."; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	tokens.expect(buyToken, buyToken, buyToken)
}

// One that fails leaves the turn to the next.
func TestConsumer_buysAfterFailure(t *testing.T) {
	t.Parallel()
	tokens := answers(t, answer(403, ""), token("token-1", 7200))
	c := newTestClient(t, bitbucket(tokens, answers(t, answer(200, oneKey))), consumer)
	if err := calls["GET"].send(t.Context(), c); asError(t, err).Status != 403 {
		t.Errorf("got error %v, want a 403", err)
	}
	if err := calls["GET"].send(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func TestConsumer_waitingIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sell := make(chan struct{})
		tokens := answers(t, func(w http.ResponseWriter, r *http.Request) {
			<-sell
			token("token-1", 7200)(w, r)
		})
		c := newInMemoryClient(t, bitbucket(tokens, answers(t, answer(200, oneKey))), consumer)
		var done sync.WaitGroup
		done.Go(func() {
			if err := calls["GET"].send(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // Until the first one buys.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := calls["GET"].send(ctx, c)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("got error %v after %v, want the deadline after a minute", err, time.Since(start))
		}
		close(sell)
		done.Wait()
	})
}

// Who is cancelled while it buys does not take the others along.
func TestConsumer_buyerIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := answers(t, hang, token("token-1", 7200))
		c := newInMemoryClient(t, bitbucket(tokens, answers(t, answer(200, oneKey))), consumer)
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			err := calls["POST"].send(ctx, c)
			if e := asError(t, err); !errors.Is(err, context.Canceled) || e.Lost {
				t.Errorf("got error %v with Lost %t, want that it was cancelled", err, e.Lost)
			}
		})
		synctest.Wait() // Until the first one buys.
		done.Go(func() {
			if err := calls["GET"].send(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // Until the second one waits.
		cancel()
		done.Wait()
		tokens.expect(buyToken, buyToken)
	})
}

// What goes wrong below HTTP is told with addresses, which hold no secrets.
func TestCredentials_areNotInErrors(t *testing.T) {
	t.Parallel()
	noRoute := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route to host") }
	for name, credentials := range map[string]Credentials{
		"basic":              Basic{"ada@example.com", "ATATT-s3cret"},
		"bearer":             Bearer{"ATCTT-s3cret"},
		"bearer with a line": Bearer{"ATCTT-s3cret\n"},
		"consumer":           Consumer{ID: "consumer-id", Secret: "s3cret-of-consumer"},
	} {
		for reason, o := range map[string]Options{
			"no connection": {Transport: &http.Transport{DialContext: noRoute}},
			"transport":     {Transport: carrier(func(*http.Request) (*http.Response, error) { return nil, errors.New("proxy failed") })},
			"wrong proxy":   {Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return nil, errors.New("no proxy") }}},
		} {
			t.Run(name+" "+reason, func(t *testing.T) {
				t.Parallel()
				o.Credentials, o.MaxRetries, o.RetryWait = credentials, 1, 1
				c, err := NewClient(o)
				if err != nil {
					t.Fatal(err)
				}
				for method, call := range calls {
					err := call.send(t.Context(), c)
					if e := asError(t, err); e.Status != 0 || e.Err == nil {
						t.Errorf("%s: got error %v", method, err)
					}
					expectNoSecrets(t, err)
				}
			})
		}
	}
}

// A header that cannot be sent is no reason to try again.
func TestCredentials_notForHeader(t *testing.T) {
	t.Parallel()
	api := answers(t)
	err := calls["GET"].send(t.Context(), newTestClient(t, api, withCredentials(Bearer{"s3cret\r\nX-Evil: yes"})))
	if err == nil || !strings.Contains(err.Error(), "invalid header field value") {
		t.Errorf("got error %v", err)
	}
	expectNoSecrets(t, err)
	api.expect()
}
