package bitbucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

const (
	keysPath = "/2.0/repositories/mleu/test/deploy-keys"
	keyPath  = keysPath + "/1234"
	keyLine  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioq"
	oneKey   = `{"id": 1234, "key": "` + keyLine + `", "label": "ci"}`
)

var repository = Place{Workspace: "mleu", Repository: "test"}

// input is the key in oneKey.
var input = DeployKeyInput{Key: keyLine, Label: "ci"}

// calls are one exchange of each method, with the status and a body that satisfy
// it.
var calls = map[string]struct {
	send func(context.Context, *Client) error
	line string
	want int
	body string
}{
	http.MethodGet: {
		func(ctx context.Context, c *Client) error {
			_, err := c.FindDeployKey(ctx, repository, 1234)
			return err
		},
		"GET " + keyPath, 200, oneKey,
	},
	http.MethodPost: {
		func(ctx context.Context, c *Client) error {
			_, err := c.write(ctx, http.MethodPost, c.deployKeysURL(repository), 0, input, http.StatusOK)
			return err
		},
		"POST " + keysPath, 200, oneKey,
	},
	http.MethodPut: {
		func(ctx context.Context, c *Client) error {
			_, err := c.write(ctx, http.MethodPut, c.deployKeyURL(repository, 1234), 1234, input, http.StatusOK)
			return err
		},
		"PUT " + keyPath, 200, oneKey,
	},
	http.MethodDelete: {
		func(ctx context.Context, c *Client) error {
			return c.do(ctx, http.MethodDelete, c.deployKeyURL(repository, 1234), nil, nil, http.StatusNoContent)
		},
		"DELETE " + keyPath, 204, "",
	},
}

// newTestClient returns a client of a server with this handler. It hardly
// waits before it tries again.
func newTestClient(t *testing.T, handler http.Handler, options ...func(*Options)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o := Options{BaseURL: server.URL + "/2.0", MaxRetries: 3, RetryWait: 1, MaxRateLimitWait: 10 * time.Minute}
	for _, set := range options {
		set(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func withCredentials(credentials Credentials) func(*Options) {
	return func(o *Options) { o.Credentials = credentials }
}

func withRetries(retries int) func(*Options) {
	return func(o *Options) { o.MaxRetries = retries }
}

// script is a server that gives prepared replies in order, and keeps what it
// was asked. A request too many fails the test.
type script struct {
	t        *testing.T
	replies  []http.HandlerFunc
	mu       sync.Mutex
	requests []request
}

// request is what arrived; line is its method and target, as they were sent.
type request struct {
	line, body string
	length     int64
	header     http.Header
}

func answers(t *testing.T, replies ...http.HandlerFunc) *script {
	return &script{t: t, replies: replies}
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("reading the body of a request: %v", err)
	}
	line := r.Method + " " + r.RequestURI
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, request{line, string(body), r.ContentLength, r.Header.Clone()})
	s.mu.Unlock()
	if n >= len(s.replies) {
		s.t.Errorf("request %d was not expected: %s", n+1, line)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	s.replies[n](w, r)
}

// asked returns the requests that arrived.
func (s *script) asked() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// expect fails the test unless exactly these requests arrived.
func (s *script) expect(lines ...string) {
	s.t.Helper()
	var got []string
	for _, request := range s.asked() {
		got = append(got, request.line)
	}
	if !slices.Equal(got, lines) {
		s.t.Errorf("got requests\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// answer replies with a status, a body and headers, each as "Name: value".
// ORIGIN and HOST in them stand for the server that was asked.
func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fill := func(text string) string {
			return strings.ReplaceAll(strings.ReplaceAll(text, "ORIGIN", "http://HOST"), "HOST", r.Host)
		}
		if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
			w.Header().Set("Content-Type", "application/json")
		}
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			w.Header().Set(name, fill(value))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, fill(body)) // The client may have hung up.
	}
}

// cut closes the connection instead of a reply.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// broken closes the connection in the middle of a reply.
func broken(status int) http.HandlerFunc {
	return answer(status, oneKey[:20], "Content-Length: 1000")
}

// inMemory carries requests to a handler without a network, so that the clock
// of a synctest bubble goes on while nobody does anything.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(sent *http.Request) (*http.Response, error) {
	r := sent.Clone(sent.Context())
	r.RequestURI = sent.URL.RequestURI()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	aborted := m.serve(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if aborted {
		return nil, io.EOF
	}
	response := w.Result()
	if response.ContentLength > int64(w.Body.Len()) {
		response.Body = io.NopCloser(io.MultiReader(w.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	return response, nil
}

// serve tells whether the handler gave no answer.
func (m inMemory) serve(w http.ResponseWriter, r *http.Request) (aborted bool) {
	defer func() { aborted = recover() != nil }()
	m.handler.ServeHTTP(w, r)
	return false
}

// newInMemoryClient returns a client for use in a synctest bubble.
func newInMemoryClient(t *testing.T, handler http.Handler, options ...func(*Options)) *Client {
	t.Helper()
	o := Options{BaseURL: "http://localhost/2.0", MaxRetries: 3, RetryWait: time.Second, MaxRateLimitWait: 10 * time.Minute, Transport: inMemory{handler}}
	for _, set := range options {
		set(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// readTestdata returns a recorded body.
func readTestdata(t *testing.T, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// asError returns the *Error in err.
func asError(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got error %v (%T), want an *Error", err, err)
	}
	return e
}

func TestParseBaseURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://api.bitbucket.org/2.0":    "https://api.bitbucket.org/2.0",
		"https://api.bitbucket.org/2.0/":   "https://api.bitbucket.org/2.0",
		"https://api.bitbucket.org/2.0///": "https://api.bitbucket.org/2.0",
		"https://api.bitbucket.org":        "https://api.bitbucket.org",
		"https://api.bitbucket.org/":       "https://api.bitbucket.org",
		"HTTPS://proxy.example:8443/a/2.0": "https://proxy.example:8443/a/2.0",
		"https://proxy.example/a%2Fb/2.0/": "https://proxy.example/a%2Fb/2.0",
		"https://[2001:db8::1]/2.0":        "https://[2001:db8::1]/2.0",
		"http://127.0.0.1:7990/2.0":        "http://127.0.0.1:7990/2.0",
		"http://127.255.0.9/2.0":           "http://127.255.0.9/2.0",
		"http://[::1]:7990/2.0":            "http://[::1]:7990/2.0",
		"http://localhost:7990/2.0/":       "http://localhost:7990/2.0",
		"http://LOCALHOST/2.0":             "http://LOCALHOST/2.0",
	} {
		base, err := ParseBaseURL(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		} else if base.String() != want {
			t.Errorf("%s: got %s, want %s", raw, base, want)
		}
	}
	for raw, want := range map[string]string{
		"":                                    "not an absolute URL",
		"api.bitbucket.org/2.0":               "not an absolute URL",
		"//api.bitbucket.org/2.0":             "scheme is not https",
		"/2.0":                                "not an absolute URL",
		"https:":                              "not an absolute URL",
		"https:///2.0":                        "not an absolute URL",
		"https://:8443/2.0":                   "not an absolute URL",
		"https:api.bitbucket.org":             "not an absolute URL",
		"https://api.bitbucket.org:port/2.0":  "not an absolute URL",
		"https://api.bitbucket.org/%zz":       "not an absolute URL",
		"https://api.bitbucket.org/\n":        "not an absolute URL",
		"localhost:7990/2.0":                  "not an absolute URL",
		"https://ada@api.bitbucket.org/2.0":   "user name or password",
		"https://a:s3cret@api.bitbucket.org":  "user name or password",
		"https://api.bitbucket.org/2.0?a=b":   "query or a fragment",
		"https://api.bitbucket.org/2.0?":      "query or a fragment",
		"https://api.bitbucket.org/2.0#top":   "query or a fragment",
		"http://api.bitbucket.org/2.0":        "plain http",
		"http://localhost.example.com/2.0":    "plain http",
		"http://127.0.0.1.example.com/2.0":    "plain http",
		"http://10.0.0.1/2.0":                 "plain http",
		"http://[2001:db8::1]/2.0":            "plain http",
		"http://0.0.0.0/2.0":                  "plain http",
		"ftp://api.bitbucket.org/2.0":         "scheme is not https",
		"file://localhost/etc/passwd":         "scheme is not https",
		"javascript://localhost/%0aalert(1)":  "scheme is not https",
		"unix://localhost/var/run/proxy.sock": "scheme is not https",
	} {
		base, err := ParseBaseURL(raw)
		if err == nil {
			t.Errorf("%q: got %s, want an error", raw, base)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %q, want one with %q", raw, err, want)
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the error repeats the password: %v", raw, err)
		}
	}
}

func TestNewClient(t *testing.T) {
	t.Parallel()
	if _, err := NewClient(Options{BaseURL: "http://api.bitbucket.org"}); err == nil {
		t.Error("a base URL without encryption was accepted")
	}
	c, err := NewClient(Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := "https://api.bitbucket.org/2.0/repositories/mleu/test/deploy-keys/7"
	if got := c.deployKeyURL(repository, 7).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// However a workspace is named, it is one segment of the path.
func TestClient_escapesPath(t *testing.T) {
	t.Parallel()
	for workspace, want := range map[string]string{
		"mleu":    "mleu",
		"..":      "..",
		"a/b":     "a%2Fb",
		"/":       "%2F",
		"../..":   "..%2F..",
		"%2f":     "%252f",
		"a?b=c":   "a%3Fb=c",
		"a#b":     "a%23b",
		"a b":     "a%20b",
		"a\nb":    "a%0Ab",
		"a\\b":    "a%5Cb",
		"a;b":     "a%3Bb",
		"émile":   "%C3%A9mile",
		"a@b:c":   "a@b:c",
		"{0-9-a}": "%7B0-9-a%7D",
		"%7Ba%7D": "%257Ba%257D",
		"":        "",
	} {
		t.Run(workspace, func(t *testing.T) {
			t.Parallel()
			api := answers(t, answer(200, oneKey))
			c := newTestClient(t, api)
			if _, err := c.FindDeployKey(t.Context(), Place{Workspace: workspace, Repository: workspace}, 1234); err != nil {
				t.Fatal(err)
			}
			api.expect("GET /2.0/repositories/" + want + "/" + want + "/deploy-keys/1234")
			if got, err := url.PathUnescape(want); err != nil || got != workspace {
				t.Errorf("the server reads %q as %q (%v)", want, got, err)
			}
		})
	}
}

func TestClient_baseURLWithPath(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"":                    "/repositories/mleu/test/deploy-keys/1234",
		"/":                   "/repositories/mleu/test/deploy-keys/1234",
		"/api/bitbucket/2.0/": "/api/bitbucket/2.0/repositories/mleu/test/deploy-keys/1234",
		"/a%2Fb%20c/2.0":      "/a%2Fb%20c/2.0/repositories/mleu/test/deploy-keys/1234",
	} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			api := answers(t, answer(200, oneKey), answer(404, ""))
			c := newTestClient(t, api, func(o *Options) { o.BaseURL = strings.TrimSuffix(o.BaseURL, "/2.0") + prefix })
			if _, err := c.FindDeployKey(t.Context(), repository, 1234); err != nil {
				t.Error(err)
			}
			_, err := c.FindDeployKey(t.Context(), repository, 1234)
			if got := asError(t, err).Path; got != want {
				t.Errorf("the error is about %s, want %s", got, want)
			}
			api.expect("GET "+want, "GET "+want)
		})
	}
}

func TestClient_followsRedirectsOfReads(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{"/2.0/repositories/mleu/renamed/deploy-keys/1234", "ORIGIN/2.0/repositories/mleu/renamed/deploy-keys/1234"} {
			t.Run(fmt.Sprint(status, " ", location), func(t *testing.T) {
				t.Parallel()
				api := answers(t, answer(status, "", "Location: "+location), answer(200, oneKey))
				c := newTestClient(t, api, withCredentials(Bearer{"s3cret"}))
				if _, err := c.FindDeployKey(t.Context(), repository, 1234); err != nil {
					t.Fatal(err)
				}
				api.expect("GET "+keyPath, "GET /2.0/repositories/mleu/renamed/deploy-keys/1234")
				for _, request := range api.asked() {
					if got := request.header.Get("Authorization"); got != "Bearer s3cret" {
						t.Errorf("%s came with Authorization %q", request.line, got)
					}
				}
			})
		}
	}
}

func TestClient_refusesRedirects(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(answers(t)) // Fails the test if anything arrives.
	t.Cleanup(elsewhere.Close)
	here := "/2.0/elsewhere"
	for _, tc := range []struct{ method, location string }{
		{http.MethodGet, elsewhere.URL + keyPath},
		{http.MethodGet, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1) + keyPath},
		{http.MethodGet, "https://HOST" + keyPath},
		{http.MethodGet, "//" + elsewhere.Listener.Addr().String() + keyPath},
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
				api := answers(t, answer(status, "", "Location: "+tc.location))
				c := newTestClient(t, api, withCredentials(Bearer{"s3cret"}))
				err := calls[tc.method].send(t.Context(), c)
				if !HasStatus(err, status) {
					t.Errorf("got error %v, want a %d", err, status)
				}
				api.expect(calls[tc.method].line)
			})
		}
	}
}

func TestClient_endlessRedirect(t *testing.T) {
	t.Parallel()
	again := answer(302, "", "Location: "+keyPath)
	api := answers(t, again, again, again, again, again, again)
	_, err := newTestClient(t, api).FindDeployKey(t.Context(), repository, 1234)
	if !HasStatus(err, 302) {
		t.Errorf("got error %v, want a 302", err)
	}
}

// countOpened counts the connections opened by requests that follow each other.
func countOpened(ctx context.Context, opened *int) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			*opened++
		}
	}})
}

// A connection serves all that is asked one after the other, whatever the
// replies were.
func TestClient_reusesConnection(t *testing.T) {
	t.Parallel()
	api := answers(t,
		answer(200, oneKey),
		answer(200, oneKey),
		answer(204, ""),
		answer(500, strings.Repeat("x", 3000)),
		answer(429, "Rate limit for this resource has been exceeded"),
		answer(200, oneKey),
		answer(400, `{"type": "error", "error": {"message": "Bad request"}}`),
		answer(403, ""),
		answer(401, strings.Repeat("x", 100_000)),
		answer(200, oneKey),
	)
	c := newTestClient(t, api)
	opened := 0
	ctx := countOpened(t.Context(), &opened)
	for _, step := range []struct {
		method string
		status int
	}{{"GET", 0}, {"POST", 0}, {"DELETE", 0}, {"PUT", 500}, {"PUT", 0}, {"POST", 400}, {"GET", 403}, {"GET", 401}, {"PUT", 0}} {
		err := calls[step.method].send(ctx, c)
		if step.status == 0 && err != nil || step.status != 0 && !HasStatus(err, step.status) {
			t.Errorf("%s: got error %v, want status %d", step.method, err, step.status)
		}
	}
	if asked := len(api.asked()); asked != 10 {
		t.Errorf("got %d requests, want 10", asked)
	}
	if opened != 1 {
		t.Errorf("opened %d connections, want 1", opened)
	}
}

// Terraform has ten requests in flight, and later ones use their connections.
func TestClient_reusesConnectionsInParallel(t *testing.T) {
	t.Parallel()
	const inFlight = 10
	var together sync.WaitGroup
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		together.Done()
		together.Wait()
		answer(200, oneKey)(w, r)
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

// What is not sent over HTTP/1.1 must not be sent over HTTP/2 either, where
// an empty body is not the same as none.
func TestClient_http2(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sends := method == http.MethodPost || method == http.MethodPut
				if r.ProtoMajor != 2 || (r.ContentLength != 0) != sends || r.ContentLength < 0 {
					t.Errorf("got %s %s with length %d", r.Proto, r.Method, r.ContentLength)
				}
				answer(call.want, call.body)(w, r)
			}))
			server.EnableHTTP2 = true
			server.StartTLS()
			t.Cleanup(server.Close)
			c, err := NewClient(Options{BaseURL: server.URL + "/2.0", Transport: server.Client().Transport})
			if err != nil {
				t.Fatal(err)
			}
			if err := call.send(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestClient_boundsReply(t *testing.T) {
	t.Parallel()
	fits := oneKey + strings.Repeat(" ", maxBody-len(oneKey))
	api := answers(t, answer(200, fits), answer(200, fits+" "), answer(400, fits+" "), answer(200, fits+" "))
	c := newTestClient(t, api)
	if err := calls["GET"].send(t.Context(), c); err != nil {
		t.Errorf("10 MB: %v", err)
	}
	for range 2 { // A refusal of that length is no better than an answer.
		err := calls["GET"].send(t.Context(), c)
		if e := asError(t, err); e.Status != 0 || !e.Lost || !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "over 10 MB") {
			t.Errorf("over 10 MB: got error %v", err)
		}
	}
	if err := calls["POST"].send(t.Context(), c); !asError(t, err).Lost {
		t.Errorf("a POST with a reply over 10 MB: %v, and not that it may have been carried out", err)
	}
	if asked := len(api.asked()); asked != 4 {
		t.Errorf("got %d requests, want 4 as none is worth a second try", asked)
	}
}
