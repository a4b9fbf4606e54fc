package transport

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxCooldownStep bounds one wait after a 429 that does not request a wait.
	maxCooldownStep = 60 * time.Second
	// longWait is the shortest wait for which OnRateLimitWait is called.
	longWait = 10 * time.Second
)

// rateLimiter bounds the requests in flight. After a 429 it blocks all requests, because
// Bitbucket's limit applies to the user and not to one request. When the wait is over, one
// request probes whether Bitbucket accepts requests again. The other requests follow.
type rateLimiter struct {
	next  http.RoundTripper
	slots *semaphore.Weighted
	// firstWait is the wait after the first 429 that does not request a wait. maxWait is
	// the longest time that requests may be blocked.
	firstWait, maxWait time.Duration
	onWait             func(ctx context.Context, until time.Time, limit string)
	size               int
	credential         credentialRecord

	mu sync.Mutex
	// cooldown is nil while requests may be sent.
	cooldown  *cooldown
	requests  int
	limit     string
	nearLimit bool
}

// cooldown is the time from a 429 until a probe gets a different reply.
type cooldown struct {
	since, until time.Time
	refusals     int
	probing      bool
	// changed is closed and replaced whenever one of the fields above changes.
	changed chan struct{}
}

func newRateLimiter(next http.RoundTripper, firstWait time.Duration, options Options) *rateLimiter {
	size := cmp.Or(options.MaxConcurrentRequests, 10)
	return &rateLimiter{
		next:      next,
		slots:     semaphore.NewWeighted(int64(size)),
		size:      size,
		firstWait: firstWait,
		maxWait:   options.MaxRateLimitWait,
		onWait:    options.OnRateLimitWait,
	}
}

// RoundTrip sends the request when a slot is free and the rate limit allows it.
func (l *rateLimiter) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	if err := l.slots.Acquire(ctx, 1); err != nil {
		return nil, notSentError{err}
	}
	defer l.slots.Release(1)
	probe, err := l.admit(ctx)
	if err != nil {
		return nil, err
	}
	response, err := l.next.RoundTrip(request)
	l.observe(ctx, probe, response)
	l.credential.observe(request, response)
	return response, err
}

// admit waits until requests may be sent. It reports whether this request is the probe.
func (l *rateLimiter) admit(ctx context.Context) (probe bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		c := l.cooldown
		switch {
		case ctx.Err() != nil: // The last check before the request is sent: a write that was sent is not cancelled.
			return false, notSentError{ctx.Err()}
		case c == nil:
			l.requests++
			return false, nil
		case c.probing:
		case time.Until(c.until) <= 0:
			c.probing = true
			l.requests++
			return true, nil
		case c.exceeds(l.maxWait), inGracePeriod(ctx):
			return false, &RateLimitError{l.snapshot()}
		}
		if err := l.wait(ctx, c); err != nil {
			return false, err
		}
	}
}

// wait waits, without the lock, until the cooldown is over or has changed.
func (l *rateLimiter) wait(ctx context.Context, c *cooldown) error {
	changed, over := c.changed, make(<-chan time.Time)
	if !c.probing {
		timer := time.NewTimer(time.Until(c.until))
		defer timer.Stop()
		over = timer.C
	}
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-over:
	case <-changed:
	case <-ctx.Done():
		return notSentError{ctx.Err()}
	}
	return nil
}

// observe updates the rate limiter after a reply. response is nil if no reply arrived.
func (l *rateLimiter) observe(ctx context.Context, probe bool, response *http.Response) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limited := response != nil && response.StatusCode == http.StatusTooManyRequests
	if response != nil {
		l.limit = cmp.Or(Printable(response.Header.Get("X-RateLimit-Limit")), l.limit)
		l.nearLimit = l.nearLimit || strings.EqualFold(response.Header.Get("X-RateLimit-NearLimit"), "true")
	}
	c := l.cooldown
	if probe {
		c.probing = false
		if response != nil && !limited {
			l.cooldown = nil
		}
	}
	if limited {
		if c == nil {
			c = &cooldown{since: time.Now(), changed: make(chan struct{})}
			l.cooldown = c
		}
		l.extend(ctx, c, probe || c.refusals == 0, response)
	}
	if probe || limited {
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// extend blocks requests for as long as a 429 requests. If the 429 does not request a wait,
// the wait grows with each refusal. Only the first 429 and the 429s to probes let it grow,
// because the other requests were sent before the first 429 arrived.
func (l *rateLimiter) extend(ctx context.Context, c *cooldown, grows bool, response *http.Response) {
	wait, _ := retryAfter(response, time.Now())
	if wait == 0 { // No wait was requested, or it is already over.
		if !grows {
			return
		}
		wait = backoff(l.firstWait, maxCooldownStep, c.refusals)
	}
	if grows {
		c.refusals++
	}
	until := time.Now().Add(wait)
	if !until.After(c.until) {
		return
	}
	c.until = until
	if wait > longWait && !c.exceeds(l.maxWait) && l.onWait != nil {
		l.onWait(ctx, until, l.limit)
	}
}

// exceeds reports whether the cooldown takes longer than longest.
func (c *cooldown) exceeds(longest time.Duration) bool { return c.until.Sub(c.since) > longest }

// RateLimit describes Bitbucket's rate limit when it is reached.
type RateLimit struct {
	// Limit is the limit that Bitbucket sends, "" if it sends none.
	Limit string
	// Requests is how many requests this transport has sent.
	Requests int
	// Until is when requests may be sent again, zero if that is not known.
	Until time.Time
}

// RateLimitError is a request that was not sent because an earlier request has reached the
// rate limit and the wait would take too long.
type RateLimitError struct{ RateLimit RateLimit }

// Error returns the reason.
func (*RateLimitError) Error() string { return "the rate limit was reached by another request" }

// snapshot returns the current limit. The caller must hold the lock.
func (l *rateLimiter) snapshot() RateLimit {
	limit := RateLimit{Limit: l.limit, Requests: l.requests}
	if l.cooldown != nil {
		limit.Until = l.cooldown.until
	}
	return limit
}

// RateLimit returns the current limit.
func (t *Transport) RateLimit() RateLimit {
	t.limiter.mu.Lock()
	defer t.limiter.mu.Unlock()
	return t.limiter.snapshot()
}

// NearLimit reports whether Bitbucket has warned in a reply that few requests are left.
func (t *Transport) NearLimit() bool {
	t.limiter.mu.Lock()
	defer t.limiter.mu.Unlock()
	return t.limiter.nearLimit
}

// MaxConcurrentRequests returns how many requests may be in flight at once.
func (t *Transport) MaxConcurrentRequests() int { return t.limiter.size }
