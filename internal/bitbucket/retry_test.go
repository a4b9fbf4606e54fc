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
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetry_methods(t *testing.T) {
	t.Parallel()
	const none, some, all = "", "GET DELETE", "GET POST PUT DELETE"
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		status int
		// retried are the methods that are tried again.
		retried string
		// lost tells that the request may have been carried out.
		lost bool
	}{
		"rate limit":           {answer(429, "Rate limit for this resource has been exceeded"), 429, all, false},
		"internal error":       {answer(500, ""), 500, some, true},
		"bad gateway":          {answer(502, "<html>"), 502, some, true},
		"unavailable":          {answer(503, ""), 503, some, true},
		"gateway timeout":      {answer(504, ""), 504, some, true},
		"without a name":       {answer(555, ""), 555, some, true},
		"not implemented":      {answer(501, ""), 501, none, true},
		"cut off":              {cut, 0, some, true},
		"broken off":           {broken(200), 0, some, true},
		"broken off refusal":   {broken(400), 0, some, true},
		"bad request":          {answer(400, ""), 400, none, false},
		"unauthorized":         {answer(401, ""), 401, none, false},
		"forbidden":            {answer(403, ""), 403, none, false},
		"request timeout":      {answer(408, ""), 408, none, false},
		"conflict":             {answer(409, ""), 409, none, false},
		"limit of a long time": {answer(429, "", "Retry-After: 3600"), 429, none, false},
	} {
		for method, call := range calls {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				retried := strings.Contains(tc.retried, method)

				api := answers(t, tc.answer, answer(call.want, call.body))
				err := call.send(t.Context(), newTestClient(t, api))
				if retried {
					if err != nil {
						t.Errorf("got error %v after a second try", err)
					}
					api.expect(call.line, call.line)
					if asked := api.asked(); asked[0].body != asked[1].body || (method == "POST" && asked[1].body == "") {
						t.Errorf("the second try sent %q after %q", asked[1].body, asked[0].body)
					}
					return
				}
				api.expect(call.line)
				if e := asError(t, err); e.Status != tc.status || e.Lost != tc.lost {
					t.Errorf("got error %v with Lost %t, want status %d and %t", e, e.Lost, tc.status, tc.lost)
				}
			})
		}
	}
}

// The last answer is the one that is reported, with its words.
func TestRetry_givesUp(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{0, 1, 4} {
		for name, last := range map[string]http.HandlerFunc{
			"429 Too Many Requests: Rate limit for this resource has been exceeded": answer(429, "Rate limit for this resource has been exceeded"),
			"500 Internal Server Error: It broke.":                                  answer(500, `{"error": {"message": "It broke."}}`),
		} {
			t.Run(fmt.Sprint(retries, " ", name), func(t *testing.T) {
				t.Parallel()
				script := append(slices.Repeat([]http.HandlerFunc{answer(503, "earlier")}, retries), last)
				api := answers(t, script...)
				err := calls["GET"].send(t.Context(), newTestClient(t, api, withRetries(retries)))
				if want := "GET " + keyPath + ": " + name; err == nil || err.Error() != want {
					t.Errorf("got error %v, want %s", err, want)
				}
				api.expect(slices.Repeat([]string{"GET " + keyPath}, retries+1)...)
			})
		}
	}
}

func TestRetry_connectionsCutEachTime(t *testing.T) {
	t.Parallel()
	api := answers(t, cut, broken(200), cut)
	err := calls["GET"].send(t.Context(), newTestClient(t, api, withRetries(2)))
	if e := asError(t, err); e.Status != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("got error %v, want that the connection was cut", err)
	}
	api.expect("GET "+keyPath, "GET "+keyPath, "GET "+keyPath)
}

// carrier is a transport made of a function.
type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

// Without a connection nothing was carried out, so every method is tried again,
// and a later 404 means something.
func TestRetry_noConnection(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	server := httptest.NewServer(answers(t))
	t.Cleanup(server.Close)
	proxy := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	for name, connect := range map[string]*http.Transport{
		"refused": {DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, refused }},
		"proxy":   {Proxy: http.ProxyURL(proxy)},
		"no TLS":  {},
	} {
		for method, call := range calls {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				tries := 0
				c := newTestClient(t, answers(t), withRetries(2), func(o *Options) {
					o.BaseURL = "https://" + server.Listener.Addr().String()
					o.Transport = carrier(func(r *http.Request) (*http.Response, error) {
						tries++
						return connect.RoundTrip(r)
					})
				})
				if e := asError(t, call.send(t.Context(), c)); e.Lost || e.Status != 0 {
					t.Errorf("got error %v with Lost %t", e, e.Lost)
				}
				if tries != 3 {
					t.Errorf("got %d tries, want 3", tries)
				}
			})
		}
	}
}

// The clock of the bubble begins with the year 2000 and goes on only while
// everybody waits, so that a wait takes exactly as long as it should.
func TestRetry_waits(t *testing.T) {
	t.Parallel()
	const no = -1 // Not tried again.
	for name, tc := range map[string]struct {
		status     int
		headers    []string
		from, upTo time.Duration
	}{
		"seconds":                      {429, []string{"Retry-After: 120"}, 120 * time.Second, 120 * time.Second},
		"none":                         {429, []string{"Retry-After: 0"}, 500 * time.Millisecond, time.Second},
		"a fraction":                   {429, []string{"Retry-After: 1.25"}, 1250 * time.Millisecond, 1250 * time.Millisecond},
		"a date":                       {429, []string{"Retry-After: Sat, 01 Jan 2000 00:01:30 GMT"}, 90 * time.Second, 90 * time.Second},
		"a date that has passed":       {429, []string{"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"}, 500 * time.Millisecond, time.Second},
		"ten minutes":                  {429, []string{"Retry-After: 600"}, 10 * time.Minute, 10 * time.Minute},
		"over ten minutes":             {429, []string{"Retry-After: 601"}, no, no},
		"date over ten minutes":        {429, []string{"Retry-After: Sat, 01 Jan 2000 00:10:01 GMT"}, no, no},
		"thousands of years":           {429, []string{"Retry-After: 8999999999"}, no, no},
		"over what a duration holds":   {429, []string{"Retry-After: 9500000000"}, 500 * time.Millisecond, time.Second},
		"negative":                     {429, []string{"Retry-After: -120"}, 500 * time.Millisecond, time.Second},
		"garbage":                      {429, []string{"Retry-After: soon"}, 500 * time.Millisecond, time.Second},
		"not a number":                 {429, []string{"Retry-After: NaN"}, 500 * time.Millisecond, time.Second},
		"infinite":                     {429, []string{"Retry-After: Inf"}, 500 * time.Millisecond, time.Second},
		"empty":                        {429, []string{"Retry-After: "}, 500 * time.Millisecond, time.Second},
		"nothing":                      {429, nil, 500 * time.Millisecond, time.Second},
		"only limits":                  {429, []string{"X-Ratelimit-Limit: 60, 60;w=3600", "X-Ratelimit-Remaining: 0"}, 500 * time.Millisecond, time.Second},
		"reset":                        {429, []string{"X-Ratelimit-Reset: 156"}, 156 * time.Second, 156 * time.Second},
		"reset over ten minutes":       {429, []string{"X-Ratelimit-Reset: 745"}, no, no},
		"reset as an epoch":            {429, []string{"X-Ratelimit-Reset: 946684920"}, 2 * time.Minute, 2 * time.Minute},
		"reset as an epoch of before":  {429, []string{"X-Ratelimit-Reset: 946684000"}, 500 * time.Millisecond, time.Second},
		"reset as a far epoch":         {429, []string{"X-Ratelimit-Reset: 946689999"}, no, no},
		"reset in milliseconds":        {429, []string{"X-Ratelimit-Reset: 946684920000"}, 500 * time.Millisecond, time.Second},
		"reset of garbage":             {429, []string{"X-Ratelimit-Reset: later"}, 500 * time.Millisecond, time.Second},
		"both":                         {429, []string{"X-Ratelimit-Reset: 156", "Retry-After: 7"}, 7 * time.Second, 7 * time.Second},
		"garbage and reset":            {429, []string{"X-Ratelimit-Reset: 156", "Retry-After: soon"}, 156 * time.Second, 156 * time.Second},
		"unavailable":                  {503, []string{"Retry-After: 30"}, 30 * time.Second, 30 * time.Second},
		"unavailable for long":         {503, []string{"Retry-After: 3600"}, no, no},
		"unavailable, limit in sight":  {503, []string{"X-Ratelimit-Reset: 3000"}, 500 * time.Millisecond, time.Second},
		"internal error with any wait": {500, []string{"Retry-After: 3600"}, 500 * time.Millisecond, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := answers(t, answer(tc.status, "", tc.headers...), answer(200, oneKey))
				start := time.Now()
				err := calls["GET"].send(t.Context(), newInMemoryClient(t, api))
				waited := time.Since(start)
				if tc.from == no {
					if !HasStatus(err, tc.status) || waited != 0 {
						t.Errorf("got error %v after %v, want a %d at once", err, waited, tc.status)
					}
					api.expect("GET " + keyPath)
					return
				}
				if err != nil {
					t.Error(err)
				}
				api.expect("GET "+keyPath, "GET "+keyPath)
				if waited < tc.from || waited > tc.upTo {
					t.Errorf("waited %v, want %v to %v", waited, tc.from, tc.upTo)
				}
			})
		})
	}
}

func TestRetry_waitsLongerEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		whole := []int{1, 2, 4, 8, 16, 30, 30, 30}
		var at []time.Time
		c := newInMemoryClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			at = append(at, time.Now())
			answer(500, "")(w, r)
		}), withRetries(len(whole)))
		if err := calls["GET"].send(t.Context(), c); !HasStatus(err, 500) {
			t.Errorf("got error %v, want a 500", err)
		}
		if len(at) != len(whole)+1 {
			t.Fatalf("got %d tries, want %d", len(at), len(whole)+1)
		}
		for i, seconds := range whole {
			most := time.Duration(seconds) * time.Second
			if waited := at[i+1].Sub(at[i]); waited < most/2 || waited > most {
				t.Errorf("wait %d took %v, want %d s to half of it", i+1, waited, seconds)
			}
		}
	})
}

func TestBackoff_jitters(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		attempt int
		whole   time.Duration
	}{{0, 500 * time.Millisecond}, {3, 4 * time.Second}, {5, 16 * time.Second}, {6, 30 * time.Second}, {16, 30 * time.Second}, {63, 30 * time.Second}, {1000, 30 * time.Second}} {
		least, most := time.Duration(1<<62), time.Duration(0)
		for range 2000 {
			wait := backoff(500*time.Millisecond, 30*time.Second, tc.attempt, nil)
			least, most = min(least, wait), max(most, wait)
		}
		if least < tc.whole/2 || most > tc.whole {
			t.Errorf("attempt %d: waits from %v to %v, want within %v to %v", tc.attempt, least, most, tc.whole/2, tc.whole)
		}
		if least > tc.whole*6/10 || most < tc.whole*9/10 {
			t.Errorf("attempt %d: waits from %v to %v are not spread over %v to %v", tc.attempt, least, most, tc.whole/2, tc.whole)
		}
	}
}

func TestRetry_cancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := answers(t, answer(429, "", "Retry-After: 300"))
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(10*time.Second, cancel)
				start := time.Now()
				err := call.send(ctx, newInMemoryClient(t, api))
				if e := asError(t, err); !errors.Is(err, context.Canceled) || e.Lost {
					t.Errorf("got error %v with Lost %t, want that it was cancelled", err, e.Lost)
				}
				if waited := time.Since(start); waited != 10*time.Second {
					t.Errorf("returned after %v, want 10 s", waited)
				}
				api.expect(call.line)
			})
		})
	}
}

// A read ends with its caller. A write that has left is carried to its end.
func TestRetry_cancelledWhileAnswering(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				api := answers(t, func(w http.ResponseWriter, r *http.Request) {
					cancel()
					select {
					case <-r.Context().Done():
					case <-time.After(20 * time.Second):
						answer(call.want, call.body)(w, r)
					}
				})
				err := call.send(ctx, newInMemoryClient(t, api))
				if method == http.MethodGet && !errors.Is(err, context.Canceled) || method != http.MethodGet && err != nil {
					t.Errorf("got error %v", err)
				}
				api.expect(call.line)
			})
		})
	}
}

// A write does not hold up a stop for ever either.
func TestRetry_cancelledAndNoAnswer(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		if method == http.MethodGet {
			continue
		}
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(10*time.Second, cancel)
				api := answers(t, hang)
				start := time.Now()
				err := call.send(ctx, newInMemoryClient(t, api))
				if e := asError(t, err); !errors.Is(err, context.Canceled) || !e.Lost || time.Since(start) != 10*time.Second+maxFinish {
					t.Errorf("got error %v with Lost %t after %v", err, e.Lost, time.Since(start))
				}
				api.expect(call.line)
			})
		})
	}
}

// An answer may come at the moment that the caller stops waiting for it. It
// counts, and nothing is tried again.
func TestRetry_cancelledWhenAnswered(t *testing.T) {
	t.Parallel()
	for status, lost := range map[int]bool{200: true, 204: true, 500: true, 503: true, 302: false, 400: false, 404: false, 429: false} {
		for method, call := range calls {
			t.Run(fmt.Sprint(method, " ", status), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				tries := 0
				c := newTestClient(t, answers(t), func(o *Options) {
					o.Transport = carrier(func(r *http.Request) (*http.Response, error) {
						cancel()
						tries++
						return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(call.body)), Request: r}, nil
					})
				})
				err := call.send(ctx, c)
				if tries != 1 {
					t.Errorf("%d tries", tries)
				}
				if status == call.want {
					if err != nil {
						t.Errorf("got error %v", err)
					}
					return
				}
				if e := asError(t, err); e.Status != status || e.Lost != lost {
					t.Errorf("got error %v with Lost %t, want %t", err, e.Lost, lost)
				}
			})
		}
	}
}

func TestRetry_cancelledBefore(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	api := answers(t)
	if err := calls["GET"].send(ctx, newTestClient(t, api)); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want that it was cancelled", err)
	}
	api.expect()
}

// The deadline of the caller is for all tries together.
func TestRetry_deadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := answers(t, answer(429, "", "Retry-After: 20"), answer(429, "", "Retry-After: 20"))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		err := calls["GET"].send(ctx, newInMemoryClient(t, api))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("got error %v after %v, want the deadline after 30 s", err, time.Since(start))
		}
	})
}

// hang gives no answer as long as the client waits for one.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestRequestTimeout_isPerTry(t *testing.T) {
	t.Parallel()
	timeout := func(o *Options) { o.RequestTimeout = 5 * time.Second }
	synctest.Test(t, func(t *testing.T) {
		api := answers(t, hang, hang, answer(200, oneKey))
		start := time.Now()
		if err := calls["GET"].send(t.Context(), newInMemoryClient(t, api, timeout)); err != nil {
			t.Error(err)
		}
		api.expect("GET "+keyPath, "GET "+keyPath, "GET "+keyPath)
		// Two timeouts, and waits of one and two seconds or down to half of that.
		if took := time.Since(start); took < 11500*time.Millisecond || took > 13*time.Second {
			t.Errorf("took %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		api := answers(t, hang)
		start := time.Now()
		err := calls["POST"].send(t.Context(), newInMemoryClient(t, api, timeout))
		if e := asError(t, err); !errors.Is(err, context.DeadlineExceeded) || !e.Lost {
			t.Errorf("got error %v with Lost %t", err, e.Lost)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v, want 5 s", took)
		}
		api.expect("POST " + keysPath)
	})
}

// hangingBody is a reply whose end never comes.
type hangingBody struct{ ctx context.Context }

func (b hangingBody) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (b hangingBody) Close() error             { return nil }

func TestRequestTimeout_includesReply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		c := newInMemoryClient(t, nil, withRetries(1), func(o *Options) {
			o.RequestTimeout = 5 * time.Second
			o.Transport = carrier(func(r *http.Request) (*http.Response, error) {
				tries++
				return &http.Response{StatusCode: 200, Body: hangingBody{r.Context()}, Request: r}, nil
			})
		})
		start := time.Now()
		err := calls["GET"].send(t.Context(), c)
		if e := asError(t, err); !errors.Is(err, context.DeadlineExceeded) || e.Status != 0 {
			t.Errorf("got error %v, want that time was up", err)
		}
		if took := time.Since(start); tries != 2 || took < 10500*time.Millisecond || took > 11*time.Second {
			t.Errorf("took %v for %d tries", took, tries)
		}
	})
}
