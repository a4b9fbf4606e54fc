package transport

import (
	"context"
	"math/rand/v2"
	"time"
)

// maxRetryWait bounds the wait before a retry if Bitbucket does not request a wait.
const maxRetryWait = 30 * time.Second

// backoff returns how long to wait after an attempt. The wait starts at first and doubles
// with each attempt, up to longest. It is then shortened at random by up to a half, so that
// requests that were refused together are not all sent again at the same time.
func backoff(first, longest time.Duration, attempt int) time.Duration {
	wait := min(longest, first<<min(attempt, 16))
	return wait - rand.N(wait/2+1) //nolint:gosec // No secret depends on this number.
}

// WaitToRetry waits before the caller sends a request again, after the caller has looked up
// the outcome of the last attempt. It waits as long as Bitbucket requested, or else for a
// back-off. It returns false if all retries are used up, if the requested wait is too long,
// or if ctx ends.
func (t *Transport) WaitToRetry(ctx context.Context, attempt int, named *time.Duration) bool {
	wait := backoff(t.retrier.firstWait, maxRetryWait, attempt)
	if named != nil {
		wait = *named
	}
	if attempt >= t.retrier.maxRetries || wait > maxNamedWait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
