package bitbucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const (
	keysPath = "/2.0/repositories/mleu/test/deploy-keys"
	keyPath  = keysPath + "/1234"
	keyLine  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioq"
	oneKey   = `{"id": 1234, "key": "` + keyLine + `", "label": "ci"}`
)

var repository = Parent{Workspace: "mleu", Repository: "test"}

// input creates the key in oneKey.
var input = DeployKeyInput{Key: keyLine, Label: "ci"}

// calls has one request for each method, with its request line and a successful reply.
var calls = map[string]struct {
	send func(context.Context, *Client) error
	line string
	want int
	body string
}{
	http.MethodGet: {
		func(ctx context.Context, c *Client) error {
			_, err := c.GetDeployKey(ctx, repository, 1234)
			return err
		},
		"GET " + keyPath, 200, oneKey,
	},
	http.MethodPost: {
		func(ctx context.Context, c *Client) error {
			_, err := c.CreateDeployKey(ctx, repository, input)
			return err
		},
		"POST " + keysPath, 200, oneKey,
	},
	http.MethodPut: {
		func(ctx context.Context, c *Client) error {
			_, err := c.UpdateDeployKey(ctx, repository, 1234, input)
			return err
		},
		"PUT " + keyPath, 200, oneKey,
	},
	http.MethodDelete: {
		func(ctx context.Context, c *Client) error { return c.DeleteDeployKey(ctx, repository, 1234) },
		"DELETE " + keyPath, 204, "",
	},
}

// newClient returns a client of the API with this root.
func newClient(t testing.TB, baseURL string, options transport.Options) *Client {
	t.Helper()
	c, err := NewClient(baseURL, options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newTestClient returns a client that sends its requests to this handler, without a
// network. It waits only one nanosecond before a retry.
func newTestClient(t testing.TB, handler http.Handler, options ...func(*transport.Options)) *Client {
	t.Helper()
	o := transport.Options{MaxRetries: 3, RetryWait: 1, MaxRateLimitWait: 10 * time.Minute, Base: httpfake.InMemory{Handler: handler}}
	for _, set := range options {
		set(&o)
	}
	return newClient(t, "http://localhost/2.0", o)
}

func withCredentials(credentials transport.Credentials) func(*transport.Options) {
	return func(o *transport.Options) { o.Credentials = credentials }
}

func withRetries(retries int) func(*transport.Options) {
	return func(o *transport.Options) { o.MaxRetries = retries }
}

func withBase(base http.RoundTripper) func(*transport.Options) {
	return func(o *transport.Options) { o.Base = base }
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
			t.Errorf("%q: got error %q, want an error with %q", raw, err, want)
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the error repeats the password: %v", raw, err)
		}
	}
}

func TestNewClient(t *testing.T) {
	t.Parallel()
	if _, err := NewClient("http://api.bitbucket.org", transport.Options{}); err == nil {
		t.Error("a base URL without encryption was accepted")
	}
	c := newClient(t, "", transport.Options{})
	want := "https://api.bitbucket.org/2.0/repositories/mleu/test/deploy-keys/7"
	if got := c.deployKeyURL(repository, 7).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := c.MaxConcurrentRequests(); got != 10 {
		t.Errorf("%d requests may be in flight, want 10", got)
	}
	if got := newClient(t, "", transport.Options{MaxConcurrentRequests: 3}).MaxConcurrentRequests(); got != 3 {
		t.Errorf("%d requests may be in flight, want 3", got)
	}
}

// Any text for a workspace must remain one segment of the path.
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
			api := httpfake.NewScript(t, httpfake.Reply(200, oneKey))
			c := newTestClient(t, api)
			if _, err := c.GetDeployKey(t.Context(), Parent{Workspace: workspace, Repository: workspace}, 1234); err != nil {
				t.Fatal(err)
			}
			api.Expect("GET /2.0/repositories/" + want + "/" + want + "/deploy-keys/1234")
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
			api := httpfake.NewScript(t, httpfake.Reply(200, oneKey), httpfake.Reply(404, ""))
			c := newClient(t, "http://localhost"+prefix, transport.Options{Base: httpfake.InMemory{Handler: api}})
			if _, err := c.GetDeployKey(t.Context(), repository, 1234); err != nil {
				t.Error(err)
			}
			_, err := c.GetDeployKey(t.Context(), repository, 1234)
			if got := asError(t, err).Path; got != want {
				t.Errorf("the error has the path %s, want %s", got, want)
			}
			api.Expect("GET "+want, "GET "+want)
		})
	}
}

func TestClient_followsRedirectsOfReads(t *testing.T) {
	t.Parallel()
	renamed := "/2.0/repositories/mleu/renamed/deploy-keys/1234"
	api := httpfake.NewScript(t, httpfake.Reply(302, "", "Location: "+renamed), httpfake.Reply(200, oneKey))
	c := newTestClient(t, api, withCredentials(transport.Bearer{Token: "s3cret"}))
	if _, err := c.GetDeployKey(t.Context(), repository, 1234); err != nil {
		t.Fatal(err)
	}
	api.Expect("GET "+keyPath, "GET "+renamed)
	if got := api.Authorizations(); got != "Bearer s3cret, Bearer s3cret" {
		t.Errorf("the requests have the Authorization headers %s", got)
	}
}

// The error for a redirect names the host and the path of the target. It omits the rest of
// the address.
func TestClient_refusesRedirects(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ method, location, detail string }{
		{http.MethodGet, "http://elsewhere.example" + keyPath, "it redirects to http://elsewhere.example" + keyPath},
		{http.MethodGet, "https://HOST" + keyPath, "it redirects to https://localhost" + keyPath},
		{http.MethodGet, "//elsewhere.example:8080/?token=x", "it redirects to http://elsewhere.example:8080/"},
		{http.MethodGet, "https://ada:password@elsewhere.example/", "it redirects to https://elsewhere.example/"},
		{http.MethodPost, "/2.0/elsewhere", "it redirects to http://localhost/2.0/elsewhere"},
		{http.MethodPost, "http://elsewhere.example/", "it redirects to http://elsewhere.example/"},
		{http.MethodPut, "/2.0/elsewhere", "it redirects to http://localhost/2.0/elsewhere"},
		{http.MethodDelete, "/2.0/elsewhere", "it redirects to http://localhost/2.0/elsewhere"},
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprint(tc.method, " ", status, " ", tc.location), func(t *testing.T) {
				t.Parallel()
				api := httpfake.NewScript(t, httpfake.Reply(status, "", "Location: "+tc.location))
				c := newTestClient(t, api, withCredentials(transport.Bearer{Token: "s3cret"}))
				err := calls[tc.method].send(t.Context(), c)
				if e := asError(t, err); !HasStatus(err, status) || !IsRedirect(err) || e.MaybeDone || e.Detail != tc.detail {
					t.Errorf("got error %#v, want a %d with the detail %q", e, status, tc.detail)
				}
				api.Expect(calls[tc.method].line)
			})
		}
	}
}

func TestClient_endlessRedirect(t *testing.T) {
	t.Parallel()
	again := httpfake.Reply(302, "", "Location: "+keyPath)
	api := httpfake.NewScript(t, again, again, again, again, again, again)
	_, err := newTestClient(t, api).GetDeployKey(t.Context(), repository, 1234)
	if !HasStatus(err, 302) {
		t.Errorf("got error %v, want a 302", err)
	}
}

func TestClient_boundsReply(t *testing.T) {
	t.Parallel()
	fits := oneKey + strings.Repeat(" ", transport.MaxReplyBytes-len(oneKey))
	api := httpfake.NewScript(t, httpfake.Reply(200, fits), httpfake.Reply(200, fits+" "), httpfake.Reply(400, fits+" "), httpfake.Reply(200, fits+" "))
	c := newTestClient(t, api)
	if err := calls["GET"].send(t.Context(), c); err != nil {
		t.Errorf("10 MB: %v", err)
	}
	for range 2 { // An error reply of this length cannot be used either.
		err := calls["GET"].send(t.Context(), c)
		if e := asError(t, err); e.Status != 0 || !e.MaybeDone || !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "over 10 MB") {
			t.Errorf("over 10 MB: got error %v", err)
		}
	}
	if err := calls["POST"].send(t.Context(), c); !asError(t, err).MaybeDone {
		t.Errorf("a POST with a reply over 10 MB: %v does not report that it may have been carried out", err)
	}
	if requests := len(api.Requests()); requests != 4 {
		t.Errorf("got %d requests, want 4 without retries", requests)
	}
}

// If there is no reply, the error names the request only once, although net/http names it
// too.
func TestClient_withoutReply(t *testing.T) {
	t.Parallel()
	broken := errors.New("proxy failed")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for method, call := range calls {
		c := newTestClient(t, nil, withBase(httpfake.RoundTripFunc(func(*http.Request) (*http.Response, error) { return nil, broken })))
		err := call.send(t.Context(), c)
		if e := asError(t, err); err.Error() != call.line+": proxy failed" || !errors.Is(err, broken) || e.Status != 0 || !e.MaybeDone {
			t.Errorf("%s: got error %#v", method, e)
		}
		err = call.send(stopped, c)
		if e := asError(t, err); err.Error() != call.line+": context canceled" || !errors.Is(err, context.Canceled) || e.MaybeDone {
			t.Errorf("%s, stopped: got error %#v", method, e)
		}
	}
}

// MaybeDone must be set if an earlier attempt may have been carried out, even if the last
// attempt was refused.
func TestClient_lostBefore(t *testing.T) {
	t.Parallel()
	for _, failure := range []http.HandlerFunc{httpfake.Cut, httpfake.Truncated(200), httpfake.Reply(502, "")} {
		api := httpfake.NewScript(t, failure, httpfake.Reply(404, ""), httpfake.Reply(404, ""))
		c := newTestClient(t, api)
		if err := calls["DELETE"].send(t.Context(), c); !IsNotFound(err) || !asError(t, err).MaybeDone {
			t.Errorf("got error %#v", err)
		}
		if err := calls["DELETE"].send(t.Context(), c); !IsNotFound(err) || asError(t, err).MaybeDone {
			t.Errorf("got error %#v without a lost attempt", err)
		}
	}
}

func TestClient_encodes(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, httpfake.NewScript(t))
	if err := c.do(t.Context(), http.MethodPut, c.url("x"), func() {}, nil, 200); err == nil || !strings.HasPrefix(err.Error(), "encoding a request: ") {
		t.Errorf("got error %v", err)
	}
}

// The error for a 429 describes the rate limit. So does the error for a request that was
// not sent because of the limit.
func TestClient_rateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := httpfake.NewScript(t, httpfake.Reply(429, "Rate limit for this resource has been exceeded", "Retry-After: 3600", "X-RateLimit-Limit: 1000"))
		c := newTestClient(t, api)
		want := transport.RateLimit{Limit: "1000", Requests: 1, Until: time.Now().Add(time.Hour)}
		err := calls["GET"].send(t.Context(), c)
		if e := asError(t, err); !HasStatus(err, 429) || e.MaybeDone || e.RateLimit == nil || *e.RateLimit != want {
			t.Errorf("got error %v with %+v, want %+v", err, e.RateLimit, want)
		}
		if want := "GET " + keyPath + ": 429 Too Many Requests: Rate limit for this resource has been exceeded"; err.Error() != want {
			t.Errorf("got error %v, want %s", err, want)
		}
		err = calls["POST"].send(t.Context(), c)
		if e := asError(t, err); !HasStatus(err, 429) || e.MaybeDone || e.RateLimit == nil || *e.RateLimit != want {
			t.Errorf("got error %v with %+v, want %+v", err, e.RateLimit, want)
		}
		if want := "POST " + keysPath + ": 429 Too Many Requests: the rate limit was reached by another request"; err.Error() != want {
			t.Errorf("got error %v, want %s", err, want)
		}
		api.Expect("GET " + keyPath)
	})
}

func TestClient_nearLimit(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, oneKey, "X-RateLimit-NearLimit: true")))
	if c.NearLimit() {
		t.Error("NearLimit is true before the first reply")
	}
	if err := calls["GET"].send(t.Context(), c); err != nil || !c.NearLimit() {
		t.Errorf("got %v, near limit: %t", err, c.NearLimit())
	}
}

func TestClient_serverTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		if got := newTestClient(t, nil).ServerTime(now); !got.Equal(now) {
			t.Errorf("got %v before the first reply", got)
		}
		ahead := now.Add(time.Hour)
		c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, oneKey, "Date: "+ahead.UTC().Format(http.TimeFormat))))
		if err := calls["GET"].send(t.Context(), c); err != nil || !c.ServerTime(now).Equal(ahead) {
			t.Errorf("got %v, %v, want %v", c.ServerTime(now), err, ahead)
		}
	})
}

// WaitToRetry waits as long as the error requests, or else for a back-off. It does not wait
// if the requested wait is too long or if no retries are left.
func TestClient_waitToRetry(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		headers     []string
		attempt     int
		least, most time.Duration
		again       bool
	}{
		"named":            {[]string{"Retry-After: 60"}, 0, time.Minute, time.Minute, true},
		"named at once":    {[]string{"Retry-After: 0"}, 0, 0, 0, true},
		"too long":         {[]string{"Retry-After: 3600"}, 0, 0, 0, false},
		"not named":        {nil, 0, time.Second / 2, time.Second, true},
		"not named, later": {nil, 2, 2 * time.Second, 4 * time.Second, true},
		"once too often":   {nil, 3, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newTestClient(t, httpfake.Reply(503, "", tc.headers...), func(o *transport.Options) { o.RetryWait = time.Second })
				err := asError(t, calls["POST"].send(t.Context(), c))
				start := time.Now()
				if again := c.WaitToRetry(t.Context(), tc.attempt, err); again != tc.again {
					t.Errorf("WaitToRetry returned %t", again)
				}
				if took := time.Since(start); took < tc.least || took > tc.most {
					t.Errorf("waited %v, want %v to %v", took, tc.least, tc.most)
				}
			})
		})
	}
}

// A DELETE whose reply is lost may be blocked before its retry. Bitbucket may still have
// carried the first attempt out.
func TestClient_blockedAfterLostReply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c *Client
		c = newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				httpfake.Reply(429, "", "Retry-After: 3600")(w, r)
				return
			}
			if _, err := c.GetDeployKey(r.Context(), repository, 1234); !HasStatus(err, 429) {
				t.Errorf("got error %v, want a 429", err)
			}
			httpfake.Reply(500, "")(w, r)
		}))
		err := c.DeleteDeployKey(t.Context(), repository, 1234)
		if e := asError(t, err); e.Status != 429 || e.Method != http.MethodDelete || e.RateLimit == nil || !e.MaybeDone {
			t.Errorf("got error %v with MaybeDone %t", err, e.MaybeDone)
		}
	})
}
