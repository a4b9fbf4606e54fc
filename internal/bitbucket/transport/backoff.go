package transport

import (
	"context"
	"math/rand/v2"
	"time"
)

// maxRetryWait bounds a wait before a retry for which Bitbucket names no time.
const maxRetryWait = 30 * time.Second

// backoff returns the first wait, doubled with each attempt up to the longest one,
// less up to a half by chance: requests that were refused together should not come
// back together.
func backoff(first, longest time.Duration, attempt int) time.Duration {
	wait := min(longest, first<<min(attempt, 16))
	return wait - rand.N(wait/2+1) //nolint:gosec // No secret depends on this number.
}

// WaitToRetry waits before a request is sent again whose outcome the caller has looked
// up: as long as Bitbucket asked for, else for a back-off. It returns false if all
// retries are used up, if the named wait is too long, or when ctx ends.
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
