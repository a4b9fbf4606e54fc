package transport

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A read must end after its last retry, whatever waits a server requests. No wait may be
// longer than allowed.
func FuzzRetryAfter(f *testing.F) {
	for _, wait := range []string{
		"", "0", "-0", "120", "1.25", "1e3", "0x1p3", "600", "601", "8999999999", "9e9", "9223372036854775807", "1e400", "-1", "NaN", "Inf", "soon",
		"946684920", "Sat, 01 Jan 2000 00:01:30 GMT", "Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Monday, 01-Jan-00 00:00:00 GMT",
	} {
		f.Add(429, wait, "")
		f.Add(429, "", wait)
		f.Add(503, wait, wait)
	}
	f.Add(500, "3600", "3600")
	f.Add(200, "3600", "3600")
	f.Fuzz(func(t *testing.T, status int, after, reset string) {
		synctest.Test(t, func(t *testing.T) {
			header := http.Header{"Retry-After": {after}, "X-Ratelimit-Reset": {reset}}
			wait, named := retryAfter(&http.Response{StatusCode: status, Header: header}, time.Now())
			if wait < 0 || wait != 0 && !named {
				t.Errorf("a wait of %v, named: %t", wait, named)
			}
			c := newInMemoryClient(t, nil, withBase(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Header: header, Body: http.NoBody, Request: r}, nil
			}))
			start := time.Now()
			response, err := calls["GET"].do(t.Context(), c)
			// The waits for the rate limit may together become too long for a retry.
			_, blocked := errors.AsType[*RateLimitError](err)
			if err == nil && response.StatusCode != status || err != nil && (!blocked || status != http.StatusTooManyRequests) {
				t.Errorf("got %+v, %v, want a %d", response, err, status)
			}
			longest := 3 * maxNamedWait
			if status == http.StatusTooManyRequests {
				longest = 10 * time.Minute // For all attempts together.
			}
			if waited := time.Since(start); waited > longest {
				t.Errorf("waited %v", waited)
			}
		})
	})
}
