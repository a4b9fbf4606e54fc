package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

func TestRetrier_classify(t *testing.T) {
	t.Parallel()
	const none, reads, all = "", "GET DELETE", "GET POST PUT DELETE"
	wait := func(d time.Duration) *time.Duration { return &d }
	retrying := retrier{maxRetries: 3, firstWait: time.Second}
	untrusted := notSentError{&tls.CertificateVerificationError{Err: errors.New("no authority")}}
	for name, tc := range map[string]struct {
		status int
		// header is one header of the reply, as "Name: value".
		header string
		err    error
		// retried lists the methods that are retried.
		retried string
		wait    *time.Duration
		lost    bool
		// lostAfterStop is the value of lost after the caller has stopped. No method is
		// retried then.
		lostAfterStop bool
	}{
		"success":                   {status: 200, retried: none},
		"success without a body":    {status: 204, retried: none},
		"success, with Retry-After": {status: 200, header: "Retry-After: 3600", retried: none},
		"redirect":                  {status: 302, retried: none},
		"bad request":               {status: 400, retried: none},
		"unauthorized":              {status: 401, retried: none},
		"not found":                 {status: 404, retried: none},
		"request timeout":           {status: 408, retried: none},
		"rate limit":                {status: 429, retried: none},
		"rate limit, named":         {status: 429, header: "Retry-After: 60", retried: none},
		"internal error":            {status: 500, retried: reads, lost: true},
		"internal error, named":     {status: 500, header: "Retry-After: 3600", retried: reads, lost: true},
		"not implemented":           {status: 501, retried: none},
		"bad gateway":               {status: 502, retried: reads, lost: true},
		"unavailable":               {status: 503, retried: reads, lost: true},
		"unavailable, named":        {status: 503, header: "Retry-After: 30", retried: reads, wait: wait(30 * time.Second), lost: true},
		"unavailable, at once":      {status: 503, header: "Retry-After: 0", retried: reads, wait: wait(0), lost: true},
		"unavailable, ten minutes":  {status: 503, header: "Retry-After: 600", retried: reads, wait: wait(10 * time.Minute), lost: true},
		"unavailable, longer":       {status: 503, header: "Retry-After: 601", retried: none},
		"unavailable, reset":        {status: 503, header: "X-RateLimit-Reset: 3600", retried: reads, lost: true},
		"gateway timeout":           {status: 504, retried: reads, lost: true},
		"status without a name":     {status: 555, retried: reads, lost: true},
		"cut":                       {err: io.EOF, retried: reads, lost: true, lostAfterStop: true},
		"broken off":                {err: io.ErrUnexpectedEOF, retried: reads, lost: true, lostAfterStop: true},
		"timeout":                   {err: timeoutError(time.Second), retried: reads, lost: true, lostAfterStop: true},
		"not sent":                  {err: notSentError{errors.New("connection refused")}, retried: all},
		"not sent, stopped":         {err: notSentError{context.Canceled}, retried: all},
		"unusable":                  {err: fmt.Errorf("%w: over 10 MB", ErrUnusable), retried: none, lost: true, lostAfterStop: true},
		"untrusted":                 {err: untrusted, retried: none},
		"rate limit of another":     {err: &RateLimitError{}, retried: none},
		"no token":                  {err: &TokenError{io.EOF}, retried: none},
		"no token, rate limit":      {err: &TokenError{&RateLimitError{}}, retried: none},
		"no header":                 {err: errors.New(`net/http: invalid header field value for "Authorization"`), retried: none, lostAfterStop: true},
	} {
		for method := range calls {
			var response *http.Response
			err := tc.err
			if err == nil {
				name, value, _ := strings.Cut(tc.header, ": ")
				response = &http.Response{StatusCode: tc.status, Header: http.Header{http.CanonicalHeaderKey(name): {value}}}
			} else {
				err = &url.Error{Op: method, URL: "http://localhost" + itemPath, Err: err} // As http.Client returns it.
			}
			want := verdict{retry: strings.Contains(tc.retried, method), wait: tc.wait, lost: tc.lost}
			if got := retrying.classify(t.Context(), method, response, err, time.Now()); !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s: got %s, want %s", name, method, describe(got), describe(want))
			}
			stopped, stop := context.WithCancel(t.Context())
			stop()
			grace, cancel := WithGracePeriod(t.Context())
			want = verdict{lost: tc.lostAfterStop}
			for state, ctx := range map[string]context.Context{"stopped": stopped, "in the grace period": grace} {
				if got := retrying.classify(ctx, method, response, err, time.Now()); !reflect.DeepEqual(got, want) {
					t.Errorf("%s %s, %s: got %s, want %s", name, method, state, describe(got), describe(want))
				}
			}
			cancel()
		}
	}
}

// Only a refusal proves that a request was not carried out.
func TestMaybeDone(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{200: true, 299: true, 300: false, 304: false, 499: false, 500: true, 599: true} {
		if got := maybeDone(&http.Response{StatusCode: status}, nil); got != want {
			t.Errorf("%d: got %t", status, got)
		}
	}
	if !maybeDone(nil, io.EOF) || maybeDone(nil, notSentError{io.EOF}) {
		t.Error("an error counts only if the request was sent")
	}
}

// describe shows a verdict in the messages of a test.
func describe(v verdict) string {
	wait := "a back-off"
	if v.wait != nil {
		wait = v.wait.String()
	}
	return fmt.Sprintf("retry %t after %s, lost %t", v.retry, wait, v.lost)
}

// The wait of the last verdict is the wait before the next attempt.
func TestRetrier_waitOfVerdict(t *testing.T) {
	t.Parallel()
	lost := false
	client := retrier{maxRetries: 3, firstWait: time.Second}.client(nil, http.MethodGet, &lost)
	for i, tc := range []struct {
		status     int
		retryAfter string
		err        error
		from, upTo time.Duration
	}{
		{503, "30", nil, 30 * time.Second, 30 * time.Second},
		{500, "30", nil, 500 * time.Millisecond, time.Second}, // The previous wait is not used again.
		{503, "0", nil, 0, 0},
		{0, "", io.EOF, 500 * time.Millisecond, time.Second},
		{503, "600", nil, 10 * time.Minute, 10 * time.Minute}, // Longer than a back-off may be.
		{503, "soon", nil, 500 * time.Millisecond, time.Second},
	} {
		var response *http.Response
		if tc.err == nil {
			response = &http.Response{StatusCode: tc.status, Header: http.Header{"Retry-After": {tc.retryAfter}}}
		}
		retry, err := client.CheckRetry(t.Context(), response, tc.err)
		if !retry || !errors.Is(err, tc.err) {
			t.Errorf("attempt %d: got %t, %v", i, retry, err)
		}
		if wait := client.Backoff(client.RetryWaitMin, client.RetryWaitMax, 0, response); wait < tc.from || wait > tc.upTo {
			t.Errorf("attempt %d: waits %v, want %v to %v", i, wait, tc.from, tc.upTo)
		}
	}
	if !lost {
		t.Error("lost is not set")
	}
}

func TestRetry_methods(t *testing.T) {
	t.Parallel()
	const none, some, all = "", "GET DELETE", "GET POST PUT DELETE"
	for name, tc := range map[string]struct {
		reply  http.HandlerFunc
		status int
		// retried lists the methods that are retried.
		retried   string
		maybeDone bool
	}{
		"rate limit":           {httpfake.Reply(429, "Rate limit for this resource has been exceeded"), 429, all, false},
		"internal error":       {httpfake.Reply(500, ""), 500, some, true},
		"bad gateway":          {httpfake.Reply(502, "<html>"), 502, some, true},
		"unavailable":          {httpfake.Reply(503, ""), 503, some, true},
		"gateway timeout":      {httpfake.Reply(504, ""), 504, some, true},
		"without a name":       {httpfake.Reply(555, ""), 555, some, true},
		"not implemented":      {httpfake.Reply(501, ""), 501, none, true},
		"cut off":              {httpfake.Cut, 0, some, true},
		"broken off":           {httpfake.Truncated(200), 0, some, true},
		"broken off refusal":   {httpfake.Truncated(400), 0, some, true},
		"bad request":          {httpfake.Reply(400, ""), 400, none, false},
		"unauthorized":         {httpfake.Reply(401, ""), 401, none, false},
		"forbidden":            {httpfake.Reply(403, ""), 403, none, false},
		"request timeout":      {httpfake.Reply(408, ""), 408, none, false},
		"conflict":             {httpfake.Reply(409, ""), 409, none, false},
		"limit of a long time": {httpfake.Reply(429, "", "Retry-After: 3600"), 429, none, false},
	} {
		for method, call := range calls {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				api := httpfake.NewScript(t, tc.reply, httpfake.Reply(call.want, call.body))
				err := call.send(t.Context(), newTestClient(t, api))
				if strings.Contains(tc.retried, method) {
					if err != nil {
						t.Errorf("got error %v after a second attempt", err)
					}
					api.Expect(call.line(), call.line())
					for i, sent := range api.Requests() {
						if sent.Body != string(call.content) {
							t.Errorf("attempt %d sent %q, want %q", i+1, sent.Body, call.content)
						}
					}
					return
				}
				api.Expect(call.line())
				if status, maybeDone := outcome(t, err); status != tc.status || maybeDone != tc.maybeDone {
					t.Errorf("got error %v with MaybeDone %t, want status %d and %t", err, maybeDone, tc.status, tc.maybeDone)
				}
			})
		}
	}
}

// After the last retry, or the end of the wait after a 429, the error contains the text of
// the last reply.
func TestRetry_givesUp(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{0, 1, 4} {
		for text, last := range map[string]http.HandlerFunc{
			"429 Rate limit for this resource has been exceeded": httpfake.Reply(429, "Rate limit for this resource has been exceeded"),
			`500 {"error": {"message": "It broke."}}`:            httpfake.Reply(500, `{"error": {"message": "It broke."}}`),
		} {
			t.Run(fmt.Sprint(retries, " ", text), func(t *testing.T) {
				t.Parallel()
				replies := append(slices.Repeat([]http.HandlerFunc{httpfake.Reply(503, "earlier")}, retries), last)
				api := httpfake.NewScript(t, replies...)
				err := calls["GET"].send(t.Context(), newTestClient(t, api, withRetries(retries), func(o *Options) { o.MaxRateLimitWait = 0 }))
				if err == nil || err.Error() != text {
					t.Errorf("got error %v, want %s", err, text)
				}
				api.Expect(slices.Repeat([]string{"GET " + itemPath}, retries+1)...)
			})
		}
	}
}

func TestRetry_connectionsCutEachTime(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, httpfake.Cut, httpfake.Truncated(200), httpfake.Cut)
	err := calls["GET"].send(t.Context(), newTestClient(t, api, withRetries(2)))
	if status, maybeDone := outcome(t, err); status != 0 || !maybeDone || !errors.Is(err, io.EOF) {
		t.Errorf("got error %v, want io.EOF", err)
	}
	api.Expect("GET "+itemPath, "GET "+itemPath, "GET "+itemPath)
}

// If there was no connection, the request was not carried out, so it is retried with every
// method.
func TestRetry_noConnection(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	server := httptest.NewServer(httpfake.NewScript(t))
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
				attempts := 0
				c := newClient(t, "https://"+server.Listener.Addr().String(), Options{
					MaxRetries: 2, RetryWait: 1,
					Base: httpfake.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
						attempts++
						return connect.RoundTrip(r)
					}),
				})
				err := call.send(t.Context(), c)
				if status, maybeDone := outcome(t, err); status != 0 || maybeDone {
					t.Errorf("got error %v with MaybeDone %t", err, maybeDone)
				}
				if attempts != 3 {
					t.Errorf("got %d attempts, want 3", attempts)
				}
			})
		}
	}
}

// The clock of the bubble starts at the beginning of the year 2000. It advances only while
// all goroutines wait, so a wait takes exactly as long as it should.
func TestRetry_waits(t *testing.T) {
	t.Parallel()
	const no = -1 // Not sent again.
	for name, tc := range map[string]struct {
		status     int
		headers    []string
		from, upTo time.Duration
	}{
		"seconds":                        {429, []string{"Retry-After: 120"}, 120 * time.Second, 120 * time.Second},
		"none":                           {429, []string{"Retry-After: 0"}, 500 * time.Millisecond, time.Second},
		"a fraction":                     {429, []string{"Retry-After: 1.25"}, 1250 * time.Millisecond, 1250 * time.Millisecond},
		"a date":                         {429, []string{"Retry-After: Sat, 01 Jan 2000 00:01:30 GMT"}, 90 * time.Second, 90 * time.Second},
		"a date that has passed":         {429, []string{"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"}, 500 * time.Millisecond, time.Second},
		"ten minutes":                    {429, []string{"Retry-After: 600"}, 10 * time.Minute, 10 * time.Minute},
		"over ten minutes":               {429, []string{"Retry-After: 601"}, no, no},
		"date over ten minutes":          {429, []string{"Retry-After: Sat, 01 Jan 2000 00:10:01 GMT"}, no, no},
		"thousands of years":             {429, []string{"Retry-After: 8999999999"}, no, no},
		"too long for a duration":        {429, []string{"Retry-After: 9500000000"}, 500 * time.Millisecond, time.Second},
		"negative":                       {429, []string{"Retry-After: -120"}, 500 * time.Millisecond, time.Second},
		"garbage":                        {429, []string{"Retry-After: soon"}, 500 * time.Millisecond, time.Second},
		"not a number":                   {429, []string{"Retry-After: NaN"}, 500 * time.Millisecond, time.Second},
		"infinite":                       {429, []string{"Retry-After: Inf"}, 500 * time.Millisecond, time.Second},
		"empty":                          {429, []string{"Retry-After: "}, 500 * time.Millisecond, time.Second},
		"nothing":                        {429, nil, 500 * time.Millisecond, time.Second},
		"only limits":                    {429, []string{"X-Ratelimit-Limit: 60, 60;w=3600", "X-Ratelimit-Remaining: 0"}, 500 * time.Millisecond, time.Second},
		"reset":                          {429, []string{"X-Ratelimit-Reset: 156"}, 156 * time.Second, 156 * time.Second},
		"reset over ten minutes":         {429, []string{"X-Ratelimit-Reset: 745"}, no, no},
		"reset as an epoch":              {429, []string{"X-Ratelimit-Reset: 946684920"}, 2 * time.Minute, 2 * time.Minute},
		"reset as an epoch of before":    {429, []string{"X-Ratelimit-Reset: 946684000"}, 500 * time.Millisecond, time.Second},
		"reset as a far epoch":           {429, []string{"X-Ratelimit-Reset: 946689999"}, no, no},
		"reset in milliseconds":          {429, []string{"X-Ratelimit-Reset: 946684920000"}, 500 * time.Millisecond, time.Second},
		"reset of garbage":               {429, []string{"X-Ratelimit-Reset: later"}, 500 * time.Millisecond, time.Second},
		"both":                           {429, []string{"X-Ratelimit-Reset: 156", "Retry-After: 7"}, 7 * time.Second, 7 * time.Second},
		"garbage and reset":              {429, []string{"X-Ratelimit-Reset: 156", "Retry-After: soon"}, 156 * time.Second, 156 * time.Second},
		"unavailable":                    {503, []string{"Retry-After: 30"}, 30 * time.Second, 30 * time.Second},
		"unavailable for a moment":       {503, []string{"Retry-After: 0"}, 0, 0},
		"unavailable until a date":       {503, []string{"Retry-After: Sat, 01 Jan 2000 00:01:30 GMT"}, 90 * time.Second, 90 * time.Second},
		"unavailable for ten minutes":    {503, []string{"Retry-After: 600"}, 10 * time.Minute, 10 * time.Minute},
		"unavailable for long":           {503, []string{"Retry-After: 3600"}, no, no},
		"unavailable, with a rate limit": {503, []string{"X-Ratelimit-Reset: 3000"}, 500 * time.Millisecond, time.Second},
		"internal error with any wait":   {500, []string{"Retry-After: 3600"}, 500 * time.Millisecond, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := httpfake.NewScript(t, httpfake.Reply(tc.status, "", tc.headers...), httpfake.Reply(200, item))
				start := time.Now()
				err := calls["GET"].send(t.Context(), newInMemoryClient(t, api))
				waited := time.Since(start)
				if tc.from == no {
					if !hasStatus(err, tc.status) || waited != 0 {
						t.Errorf("got error %v after %v, want a %d at once", err, waited, tc.status)
					}
					api.Expect("GET " + itemPath)
					return
				}
				if err != nil {
					t.Error(err)
				}
				api.Expect("GET "+itemPath, "GET "+itemPath)
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
			httpfake.Reply(500, "")(w, r)
		}), withRetries(len(whole)))
		if err := calls["GET"].send(t.Context(), c); !hasStatus(err, 500) {
			t.Errorf("got error %v, want a 500", err)
		}
		if len(at) != len(whole)+1 {
			t.Fatalf("got %d attempts, want %d", len(at), len(whole)+1)
		}
		for i, seconds := range whole {
			most := time.Duration(seconds) * time.Second
			if waited := at[i+1].Sub(at[i]); waited < most/2 || waited > most {
				t.Errorf("wait %d took %v, want %d s or down to half of that", i+1, waited, seconds)
			}
		}
	})
}

// By default the first back-off is half a second.
func TestRetry_defaultWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := httpfake.NewScript(t, httpfake.Reply(500, ""), httpfake.Reply(200, item))
		start := time.Now()
		err := calls["GET"].send(t.Context(), newInMemoryClient(t, api, func(o *Options) { o.RetryWait = 0 }))
		if waited := time.Since(start); err != nil || waited < 250*time.Millisecond || waited > 500*time.Millisecond {
			t.Errorf("got error %v after %v", err, waited)
		}
	})
}

func TestRetry_stoppedWhileWaiting(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := httpfake.NewScript(t, httpfake.Reply(429, "", "Retry-After: 300"))
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(10*time.Second, cancel)
				start := time.Now()
				err := call.send(ctx, newInMemoryClient(t, api))
				if _, maybeDone := outcome(t, err); !errors.Is(err, context.Canceled) || maybeDone {
					t.Errorf("got error %v with MaybeDone %t, want context.Canceled", err, maybeDone)
				}
				if waited := time.Since(start); waited != 10*time.Second {
					t.Errorf("returned after %v, want 10 s", waited)
				}
				api.Expect(call.line())
			})
		})
	}
}

// If the caller stops during the back-off, MaybeDone must be set, because the first attempt
// may have been carried out.
func TestRetry_stoppedInBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		err := calls["DELETE"].send(ctx, newInMemoryClient(t, httpfake.NewScript(t, httpfake.Reply(503, "", "Retry-After: 300"))))
		if _, maybeDone := outcome(t, err); !errors.Is(err, context.DeadlineExceeded) || !maybeDone || time.Since(start) != 10*time.Second {
			t.Errorf("got error %v with MaybeDone %t after %v", err, maybeDone, time.Since(start))
		}
	})
}

// A read ends when its caller stops. A write that was sent may finish.
func TestRetry_stoppedWhileAnswering(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				api := httpfake.NewScript(t, func(w http.ResponseWriter, r *http.Request) {
					cancel()
					select {
					case <-r.Context().Done():
					case <-time.After(20 * time.Second):
						httpfake.Reply(call.want, call.body)(w, r)
					}
				})
				err := call.send(ctx, newInMemoryClient(t, api))
				if method == http.MethodGet && !errors.Is(err, context.Canceled) || method != http.MethodGet && err != nil {
					t.Errorf("got error %v", err)
				}
				api.Expect(call.line())
			})
		})
	}
}

// A write without a reply ends after the grace period.
func TestRetry_stoppedAndNoAnswer(t *testing.T) {
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
				api := httpfake.NewScript(t, httpfake.Hang)
				start := time.Now()
				err := call.send(ctx, newInMemoryClient(t, api))
				if _, maybeDone := outcome(t, err); !errors.Is(err, context.Canceled) || !maybeDone || time.Since(start) != 10*time.Second+MaxGracePeriod {
					t.Errorf("got error %v with MaybeDone %t after %v", err, maybeDone, time.Since(start))
				}
				api.Expect(call.line())
			})
		})
	}
}

// A reply may arrive at the moment when the caller stops. The reply is then returned, and
// no request is sent again.
func TestRetry_stoppedWhenAnswered(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{200: true, 204: true, 500: true, 503: true, 302: false, 400: false, 404: false, 429: false} {
		for method, call := range calls {
			t.Run(fmt.Sprint(method, " ", status), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				attempts := 0
				c := newInMemoryClient(t, nil, withBase(func(r *http.Request) (*http.Response, error) {
					cancel()
					attempts++
					return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(call.body)), Request: r}, nil
				}))
				response, err := call.do(ctx, c)
				if attempts != 1 {
					t.Errorf("%d attempts", attempts)
				}
				if err != nil || response.StatusCode != status || response.MaybeDone != want || string(response.Body) != call.body {
					t.Errorf("got %+v, %v, want a %d with MaybeDone %t", response, err, status, want)
				}
			})
		}
	}
}

func TestRetry_stoppedBefore(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		api := httpfake.NewScript(t)
		err := call.send(ctx, newTestClient(t, api))
		if _, maybeDone := outcome(t, err); !errors.Is(err, context.Canceled) || maybeDone {
			t.Errorf("%s: got error %v with MaybeDone %t, want context.Canceled", method, err, maybeDone)
		}
		api.Expect()
	}
}

// The deadline of the caller applies to all attempts together.
func TestRetry_deadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limited := httpfake.Reply(429, "", "Retry-After: 20")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		err := calls["GET"].send(ctx, newInMemoryClient(t, httpfake.NewScript(t, limited, limited)))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("got error %v after %v, want the deadline after 30 s", err, time.Since(start))
		}
	})
}
