package bitbucket

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// maxRetryWait caps the waits that grow by themselves.
	maxRetryWait = 30 * time.Second
	// maxAskedWait is the longest wait that a 503 can ask for: where it names a
	// later time, the request fails at once.
	maxAskedWait = 10 * time.Minute
)

// retryPolicy returns what sends one request: what was surely not carried out,
// such as a 429, is tried again for every method, a 5xx or a broken connection
// only for those that change nothing when they come twice. It sets lost when a
// try that may have been carried out is not the answer.
func (c *Client) retryPolicy(client *http.Client, method string, lost *bool) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient:   client,
		RetryMax:     c.maxRetries,
		RetryWaitMin: c.retryWait,
		RetryWaitMax: maxRetryWait,
		Backoff:      backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		CheckRetry: func(ctx context.Context, response *http.Response, err error) (bool, error) {
			if _, final := errors.AsType[*Error](err); final { // The gate is closed for too long, or there is no access token.
				return false, err
			}
			if ctx.Err() != nil || ctx.Value(isFinishing{}) != nil { // An answer that came all the same still counts.
				*lost = *lost || err != nil && mayBeDone(response, err)
				return false, err
			}
			if _, stranger := errors.AsType[*tls.CertificateVerificationError](err); stranger {
				return false, err
			}
			if errors.Is(err, ErrUnusable) {
				*lost = true
				return false, err
			}
			if err == nil {
				wait, _ := askedWait(response, time.Now())
				if response.StatusCode == http.StatusTooManyRequests {
					return c.gate.most > 0 && wait <= c.gate.most, nil
				}
				if wait > maxAskedWait {
					return false, nil
				}
			}
			again, _ := retryablehttp.DefaultRetryPolicy(ctx, response, err)
			done := mayBeDone(response, err)
			*lost = *lost || again && done
			return again && (!done || method == http.MethodGet || method == http.MethodDelete), err
		},
	}
}

// mayBeDone tells whether a request may have been carried out whose answer is
// not what its sender gets.
func mayBeDone(response *http.Response, err error) bool {
	if err != nil {
		return !neverSent(err)
	}
	return response.StatusCode < 300 || response.StatusCode >= 500
}

// notSent is why a request was given up before it left.
type notSent struct{ error }

// Unwrap gives access to the reason.
func (n notSent) Unwrap() error { return n.error }

// neverSent tells whether a request did not leave.
func neverSent(err error) bool {
	_, ok := errors.AsType[notSent](err)
	return ok
}

// backoff waits as long as Bitbucket asks for, else longer each time. After a
// 429 it is the gate that waits, for everybody.
func backoff(first, most time.Duration, attempt int, response *http.Response) time.Duration {
	if response != nil {
		if response.StatusCode == http.StatusTooManyRequests {
			return 0
		}
		if wait, named := askedWait(response, time.Now()); named {
			return wait
		}
	}
	return grown(first, most, attempt)
}

// grown is the first wait, doubled with each attempt and capped, less up to a
// half by chance, so that what was refused together does not come back together.
func grown(first, most time.Duration, attempt int) time.Duration {
	wait := min(most, first<<min(attempt, 16))
	return wait - rand.N(wait/2+1) //nolint:gosec // Nothing is kept secret by this number.
}

// askedWait is the wait that a 429 or 503 names: Retry-After in seconds or as a
// date, else, for a 429, X-RateLimit-Reset, which Bitbucket sends as seconds
// from now.
func askedWait(response *http.Response, now time.Time) (time.Duration, bool) {
	limited := response.StatusCode == http.StatusTooManyRequests
	if !limited && response.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	after := response.Header.Get("Retry-After")
	if seconds, ok := parseSeconds(after); ok {
		return seconds, true
	}
	if date, err := http.ParseTime(after); err == nil {
		return max(0, date.Sub(now)), true
	}
	if !limited {
		return 0, false
	}
	reset, ok := parseSeconds(response.Header.Get("X-RateLimit-Reset"))
	if ok && reset > 366*24*time.Hour { // A point in time, as other services send it.
		return max(0, time.Unix(int64(reset/time.Second), 0).Sub(now)), true
	}
	return reset, ok
}

// parseSeconds reads a number of seconds, a fraction included.
func parseSeconds(text string) (time.Duration, bool) {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0 && seconds < 9e9) { // NaN is neither; more is no Duration.
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}
