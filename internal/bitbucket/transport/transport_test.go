package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const (
	itemsPath = "/2.0/items"
	itemPath  = itemsPath + "/7"
	item      = `{"id": 7, "name": "seven"}`
)

// testClient is a transport with the root of its API.
type testClient struct {
	*Transport
	root *url.URL
}

// call is one request: its method, path and content, and the status and body of a
// successful reply.
type call struct {
	method, path string
	content      []byte
	want         int
	body         string
}

// calls has one request for each method.
var calls = map[string]call{
	http.MethodGet:    {http.MethodGet, itemPath, nil, 200, item},
	http.MethodPost:   {http.MethodPost, itemsPath, []byte(item), 200, item},
	http.MethodPut:    {http.MethodPut, itemPath, []byte(item), 200, item},
	http.MethodDelete: {http.MethodDelete, itemPath, nil, 204, ""},
}

// line returns the request as a [httpfake.Script] records it.
func (c call) line() string { return c.method + " " + c.path }

// do sends the request.
func (c call) do(ctx context.Context, client testClient) (*Response, error) {
	return client.Do(ctx, c.method, client.root.JoinPath(strings.TrimPrefix(c.path, "/2.0")), c.content)
}

// send sends the request. A reply with a status other than want is a [statusError].
func (c call) send(ctx context.Context, client testClient) error {
	response, err := c.do(ctx, client)
	if err != nil {
		return err
	}
	if response.StatusCode != c.want {
		return statusError{response}
	}
	return nil
}

// statusError is a reply with an unexpected status.
type statusError struct{ response *Response }

func (e statusError) Error() string {
	return fmt.Sprintf("%d %.100s", e.response.StatusCode, e.response.Body)
}

// hasStatus reports whether err is a reply with this status.
func hasStatus(err error, status int) bool {
	e, ok := errors.AsType[statusError](err)
	return ok && e.response.StatusCode == status
}

// outcome returns the status of the reply in err, 0 if there was no reply. It also returns
// whether the request may have been carried out.
func outcome(t *testing.T, err error) (status int, maybeDone bool) {
	t.Helper()
	if e, ok := errors.AsType[statusError](err); ok {
		return e.response.StatusCode, e.response.MaybeDone
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got error %v (%T), want an *Error or an unexpected status", err, err)
	}
	return 0, e.MaybeDone
}

// newClient returns a transport for the API with this root.
func newClient(t *testing.T, root string, options Options) testClient {
	t.Helper()
	base, err := url.Parse(root)
	if err != nil {
		t.Fatal(err)
	}
	return testClient{New(base, options), base}
}

// newTestClient returns a transport to a server with this handler. It waits only one
// nanosecond before a retry.
func newTestClient(t *testing.T, handler http.Handler, options ...func(*Options)) testClient {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o := Options{MaxRetries: 3, RetryWait: 1, MaxRateLimitWait: 10 * time.Minute}
	for _, set := range options {
		set(&o)
	}
	return newClient(t, server.URL+"/2.0", o)
}

// newInMemoryClient returns a transport to this handler without a network, for use in
// a synctest bubble.
func newInMemoryClient(t *testing.T, handler http.Handler, options ...func(*Options)) testClient {
	t.Helper()
	o := Options{MaxRetries: 3, RetryWait: time.Second, MaxRateLimitWait: 10 * time.Minute, Base: httpfake.InMemory{Handler: handler}}
	for _, set := range options {
		set(&o)
	}
	return newClient(t, "http://localhost/2.0", o)
}

func withCredentials(credentials Credentials) func(*Options) {
	return func(o *Options) { o.Credentials = credentials }
}

func withRetries(retries int) func(*Options) {
	return func(o *Options) { o.MaxRetries = retries }
}

func withBase(base httpfake.RoundTripFunc) func(*Options) {
	return func(o *Options) { o.Base = base }
}

func TestTransport_headers(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Reply(call.want, call.body))
			c := newTestClient(t, api, func(o *Options) { o.UserAgent = "Terraform/1.15 test" })
			if err := call.send(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			contentType := ""
			if call.content != nil {
				contentType = "application/json"
			}
			sent := api.Requests()[0]
			for name, want := range map[string]string{"User-Agent": "Terraform/1.15 test", "Accept": "application/json", "Content-Type": contentType} {
				if got := strings.Join(sent.Header.Values(name), ", "); got != want {
					t.Errorf("sent %s: %q, want %q", name, got, want)
				}
			}
			if sent.Body != string(call.content) {
				t.Errorf("sent %q, want %q", sent.Body, call.content)
			}
		})
	}
}

// An [http.RoundTripper] must not change the request of its caller.
func TestHeader_copiesRequest(t *testing.T) {
	t.Parallel()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+itemPath, nil)
	sent := ""
	response, err := header{"Authorization", "Bearer s3cret", httpfake.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		sent = r.Header.Get("Authorization")
		return httpfake.InMemory{Handler: httpfake.Reply(200, item)}.RoundTrip(r)
	})}.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if sent != "Bearer s3cret" || request.Header.Get("Authorization") != "" {
		t.Errorf("sent %q, and the request of the caller has %q", sent, request.Header.Get("Authorization"))
	}
}

func TestTransport_response(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply      http.HandlerFunc
		maybeDone  bool
		location   string
		retryAfter time.Duration
		named      bool
	}{
		"success":          {httpfake.Reply(200, item), true, "", 0, false},
		"without a body":   {httpfake.Reply(204, ""), true, "", 0, false},
		"redirect":         {httpfake.Reply(301, "", "Location: ../x?a=b"), false, "http://localhost/2.0/x?a=b", 0, false},
		"refusal":          {httpfake.Reply(400, "No."), false, "", 0, false},
		"not found":        {httpfake.Reply(404, ""), false, "", 0, false},
		"rate limit":       {httpfake.Reply(429, "", "Retry-After: 30"), false, "", 30 * time.Second, true},
		"rate limit, soon": {httpfake.Reply(429, "", "Retry-After: 0"), false, "", 0, true},
		"server error":     {httpfake.Reply(500, "It broke.", "Retry-After: 30"), true, "", 0, false},
		"unavailable":      {httpfake.Reply(503, "", "Retry-After: 90"), true, "", 90 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newInMemoryClient(t, tc.reply, func(o *Options) { o.MaxRetries, o.MaxRateLimitWait = 0, 0 })
			want := httptest.NewRecorder()
			tc.reply(want, httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://localhost"+itemPath, nil))
			got, err := calls["PUT"].do(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if got.StatusCode != want.Code || string(got.Body) != want.Body.String() || got.Header.Get("Retry-After") != want.Header().Get("Retry-After") {
				t.Errorf("got %+v, want %d %q", got, want.Code, want.Body)
			}
			if got.MaybeDone != tc.maybeDone {
				t.Errorf("MaybeDone is %t, want %t", got.MaybeDone, tc.maybeDone)
			}
			if location := fmt.Sprint(got.Location); location != tc.location && (got.Location != nil || tc.location != "") {
				t.Errorf("got location %s, want %s", location, tc.location)
			}
			if (got.RetryAfter != nil) != tc.named || tc.named && *got.RetryAfter != tc.retryAfter {
				t.Errorf("got RetryAfter %v, want %v (%t)", got.RetryAfter, tc.retryAfter, tc.named)
			}
		})
	}
}

// A 404 after a lost reply may be the effect of the first attempt.
func TestTransport_lostBefore(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]http.HandlerFunc{"500": httpfake.Reply(500, ""), "cut": httpfake.Cut, "429": httpfake.Reply(429, "")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newInMemoryClient(t, httpfake.NewScript(t, lost, httpfake.Reply(404, "")))
				status, maybeDone := outcome(t, calls["DELETE"].send(t.Context(), c))
				if status != 404 || maybeDone != (name != "429") {
					t.Errorf("got status %d with MaybeDone %t", status, maybeDone)
				}
			})
		})
	}
}

func TestTransport_invalidRequest(t *testing.T) {
	t.Parallel()
	c := newInMemoryClient(t, httpfake.NewScript(t))
	_, err := c.Do(t.Context(), "no method", c.root, nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.MaybeDone || !strings.Contains(err.Error(), "building a request") {
		t.Errorf("got error %v", err)
	}
}

func TestSameOrigin(t *testing.T) {
	t.Parallel()
	here := "https://api.bitbucket.org/2.0"
	for other, want := range map[string]bool{
		"https://api.bitbucket.org/2.0/x?page=2": true,
		"https://API.Bitbucket.org/":             true,
		"http://api.bitbucket.org/2.0":           false,
		"https://bitbucket.org/2.0":              false,
		"https://api.bitbucket.org:8443/2.0":     false,
		"https://api.bitbucket.org.example.com/": false,
		"//api.bitbucket.org/2.0":                false,
		"":                                       false,
	} {
		a, err := url.Parse(here)
		if err != nil {
			t.Fatal(err)
		}
		b, err := url.Parse(other)
		if err != nil {
			t.Fatal(err)
		}
		if SameOrigin(a, b) != want || SameOrigin(b, a) != want {
			t.Errorf("%s and %s: got %t, want %t", here, other, SameOrigin(a, b), want)
		}
	}
}

func TestSiteURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://api.bitbucket.org/2.0":     "https://bitbucket.org/site/oauth2/access_token",
		"https://API.Bitbucket.org/2.0":     "https://bitbucket.org/site/oauth2/access_token",
		"https://proxy.example:8443/bb/2.0": "https://proxy.example:8443/site/oauth2/access_token",
		"http://127.0.0.1:7990/2.0":         "http://127.0.0.1:7990/site/oauth2/access_token",
		"http://[::1]:7990/2.0":             "http://[::1]:7990/site/oauth2/access_token",
	} {
		base, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		got := SiteURL(base, TokenPath)
		if got.String() != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
		if IsTokenRequest(&http.Request{URL: base}) || !IsTokenRequest(&http.Request{URL: got}) {
			t.Errorf("IsTokenRequest is wrong for %s or for %s", got, base)
		}
	}
}

// GetText sends no credentials, also after a 429, a failure and a redirect, and no request for
// an access token.
func TestTransport_getTextIsAnonymous(t *testing.T) {
	t.Parallel()
	for name, credentials := range map[string]Credentials{"Basic": Basic{"ada@example.com", "ATATT-s3cret"}, "Bearer": Bearer{"ATCTT-s3cret"}, "consumer": OAuthConsumer{ID: "consumer-id", Secret: "s3cret-of-consumer"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := httpfake.NewScript(t, httpfake.Reply(429, ""), httpfake.Reply(503, ""), httpfake.Reply(302, "", "Location: /site/moved"), httpfake.Reply(200, "text"))
			client := newTestClient(t, site, withCredentials(credentials))
			response, err := client.GetText(t.Context(), SiteURL(client.root, "/site/text"))
			if err != nil || string(response.Body) != "text" {
				t.Fatalf("got %+v, %v", response, err)
			}
			site.Expect("GET /site/text", "GET /site/text", "GET /site/text", "GET /site/moved")
			for _, request := range site.Requests() {
				if request.Header.Get("Authorization") != "" || request.Header.Get("Accept") != "text/plain" {
					t.Errorf("%s has the headers %v", request.Line, request.Header)
				}
			}
		})
	}
}

func TestTransport_getTextRefusesRedirect(t *testing.T) {
	t.Parallel()
	elsewhere := httpfake.NewScript(t)
	other := httptest.NewServer(elsewhere)
	t.Cleanup(other.Close)
	client := newTestClient(t, httpfake.Reply(302, "", "Location: "+other.URL), withCredentials(Bearer{"ATCTT-s3cret"}))
	response, err := client.GetText(t.Context(), SiteURL(client.root, "/site/text"))
	if err != nil || response.StatusCode != 302 {
		t.Errorf("got %+v, %v", response, err)
	}
	elsewhere.Expect()
}

func TestTransport_followsRedirectsOfReads(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{"/2.0/renamed/7", "ORIGIN/2.0/renamed/7"} {
			t.Run(fmt.Sprint(status, " ", location), func(t *testing.T) {
				t.Parallel()
				api := httpfake.NewScript(t, httpfake.Reply(status, "", "Location: "+location), httpfake.Reply(200, item))
				if err := calls["GET"].send(t.Context(), newTestClient(t, api, withCredentials(Bearer{"s3cret"}))); err != nil {
					t.Fatal(err)
				}
				api.Expect("GET "+itemPath, "GET /2.0/renamed/7")
				if got, want := api.Authorizations(), "Bearer s3cret, Bearer s3cret"; got != want {
					t.Errorf("the requests have the Authorization headers %s, want %s", got, want)
				}
			})
		}
	}
}

func TestTransport_refusesRedirects(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(httpfake.NewScript(t)) // Fails the test if a request arrives.
	t.Cleanup(elsewhere.Close)
	here := "/2.0/elsewhere"
	for _, tc := range []struct{ method, location string }{
		{http.MethodGet, elsewhere.URL + itemPath},
		{http.MethodGet, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1) + itemPath},
		{http.MethodGet, "https://HOST" + itemPath},
		{http.MethodGet, "//" + elsewhere.Listener.Addr().String() + itemPath},
		{http.MethodPost, here},
		{http.MethodPost, elsewhere.URL},
		{http.MethodPut, here},
		{http.MethodPut, elsewhere.URL},
		{http.MethodDelete, here},
		{http.MethodDelete, elsewhere.URL},
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprint(tc.method, " ", status, " ", tc.location), func(t *testing.T) {
				t.Parallel()
				api := httpfake.NewScript(t, httpfake.Reply(status, "", "Location: "+tc.location))
				c := newTestClient(t, api, withCredentials(Bearer{"s3cret"}))
				response, err := calls[tc.method].do(t.Context(), c)
				if err != nil || response.StatusCode != status || response.Location == nil {
					t.Errorf("got %+v, %v, want a %d with its location", response, err, status)
				}
				api.Expect(calls[tc.method].line())
			})
		}
	}
}

func TestTransport_endlessRedirect(t *testing.T) {
	t.Parallel()
	again := httpfake.Reply(302, "", "Location: "+itemPath)
	api := httpfake.NewScript(t, again, again, again, again, again, again)
	if err := calls["GET"].send(t.Context(), newTestClient(t, api)); !hasStatus(err, 302) {
		t.Errorf("got error %v, want a 302", err)
	}
	if n := len(api.Requests()); n != 6 {
		t.Errorf("got %d requests, want 6", n)
	}
}

// countOpened counts the new connections of requests that are sent one after the other.
func countOpened(ctx context.Context, opened *int) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			*opened++
		}
	}})
}

// Requests that are sent one after the other use one connection, whatever the replies are.
func TestTransport_reusesConnection(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t,
		httpfake.Reply(200, item),
		httpfake.Reply(200, item),
		httpfake.Reply(204, ""),
		httpfake.Reply(500, strings.Repeat("x", 3000)),
		httpfake.Reply(429, "Rate limit for this resource has been exceeded"),
		httpfake.Reply(200, item),
		httpfake.Reply(400, `{"type": "error", "error": {"message": "Bad request"}}`),
		httpfake.Reply(403, ""),
		httpfake.Reply(401, strings.Repeat("x", 100_000)),
		httpfake.Reply(200, item),
	)
	c := newTestClient(t, api)
	opened := 0
	ctx := countOpened(t.Context(), &opened)
	for _, step := range []struct {
		method string
		status int
	}{{"GET", 0}, {"POST", 0}, {"DELETE", 0}, {"PUT", 500}, {"PUT", 0}, {"POST", 400}, {"GET", 403}, {"GET", 401}, {"PUT", 0}} {
		err := calls[step.method].send(ctx, c)
		if step.status == 0 && err != nil || step.status != 0 && !hasStatus(err, step.status) {
			t.Errorf("%s: got error %v, want status %d", step.method, err, step.status)
		}
	}
	if n := len(api.Requests()); n != 10 {
		t.Errorf("got %d requests, want 10", n)
	}
	if opened != 1 {
		t.Errorf("opened %d connections, want 1", opened)
	}
}

// Terraform has ten requests in flight. Later requests must use the connections of earlier
// requests.
func TestTransport_reusesConnectionsInParallel(t *testing.T) {
	t.Parallel()
	const inFlight = 10
	var together sync.WaitGroup
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		together.Done()
		together.Wait()
		httpfake.Reply(200, item)(w, r)
	}))
	for round := range 3 {
		together.Add(inFlight)
		var done sync.WaitGroup
		for range inFlight {
			done.Go(func() {
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
					if info.Reused != (round > 0) {
						t.Errorf("round %d: reused %t", round, info.Reused)
					}
				}})
				if err := calls["GET"].send(ctx, c); err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
	}
}

// A request without a body must not have a body over HTTP/2 either. In HTTP/2, an empty
// body differs from no body.
func TestTransport_http2(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != 2 || r.ContentLength != int64(len(call.content)) {
					t.Errorf("got %s %s with length %d", r.Proto, r.Method, r.ContentLength)
				}
				httpfake.Reply(call.want, call.body)(w, r)
			}))
			server.EnableHTTP2 = true
			server.StartTLS()
			t.Cleanup(server.Close)
			if err := call.send(t.Context(), newClient(t, server.URL+"/2.0", Options{Base: server.Client().Transport})); err != nil {
				t.Error(err)
			}
		})
	}
}
