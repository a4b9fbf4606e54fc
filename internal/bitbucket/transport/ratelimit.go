package transport

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxCooldownStep bounds one wait after a 429 that does not request a wait.
	maxCooldownStep = 60 * time.Second
	// longWait is the length of a wait above which OnRateLimitWait is called.
	longWait = 10 * time.Second
)

// rateLimiter bounds the requests in flight. After a 429 it blocks all requests, because
// Bitbucket's limit applies to the user and not to one request. When the wait is over, one
// request probes whether Bitbucket accepts requests again. The other requests follow. A
// request that got a 429 was not carried out, so the rate limiter sends it again, until
// maxWait is over.
type rateLimiter struct {
	next  http.RoundTripper
	slots *semaphore.Weighted
	// firstWait is the wait after the first 429 that does not request a wait. maxWait is
	// the longest time that requests may be blocked, and the longest time from the first
	// 429 of a request until it fails.
	firstWait, maxWait time.Duration
	onWait             func(ctx context.Context, wait time.Duration, limit RateLimit)
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
	// named is the end of the wait that Bitbucket requested, in the past if it requested none.
	named    time.Time
	refusals int
	probing  bool
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

// RoundTrip sends the request when a slot is free and the rate limit allows it. After a 429,
// RoundTrip sends the request again. It returns the last 429 if requests would be blocked
// for too long.
func (l *rateLimiter) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	if err := l.slots.Acquire(ctx, 1); err != nil {
		return nil, notSentError{err}
	}
	defer l.slots.Release(1)
	var refusal *http.Response
	var refused time.Time // refused is the time of the first 429 to this request.
	for {
		probe, err := l.admit(ctx, refused)
		if _, limited := errors.AsType[*RateLimitError](err); limited && refusal != nil {
			return refusal, nil
		}
		if err != nil {
			return nil, err
		}
		response, err := l.next.RoundTrip(request)
		l.observe(ctx, probe, response)
		l.credential.observe(request, response)
		if err != nil || response.StatusCode != http.StatusTooManyRequests {
			return response, err
		}
		if refusal == nil {
			refused = time.Now()
		}
		refusal = response
		if ctx.Err() != nil || inGracePeriod(ctx) || time.Since(refused) >= l.maxWait {
			return refusal, nil
		}
		if request, err = repeated(request); err != nil {
			return refusal, nil //nolint:nilerr // The body cannot be sent again, so return the 429.
		}
	}
}

// repeated returns a request that can be sent after request was already sent. If request
// has a body, the result is a copy with a new body.
func repeated(request *http.Request) (*http.Request, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return request, nil
	}
	if request.GetBody == nil {
		return nil, errors.New("the body cannot be sent again")
	}
	again := request.Clone(request.Context())
	var err error
	again.Body, err = request.GetBody()
	return again, err
}

// admit waits until requests may be sent. It reports whether this request is the probe.
// refused is the time of the first 429 to this request, zero if it got none.
func (l *rateLimiter) admit(ctx context.Context, refused time.Time) (probe bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		c := l.cooldown
		switch {
		case ctx.Err() != nil: // Check directly before sending, because a write that was sent is not cancelled.
			return false, notSentError{ctx.Err()}
		case c == nil:
			l.requests++
			return false, nil
		case c.probing: // Wait for the reply to the probe, also in a grace period.
		case time.Until(c.until) <= 0:
			c.probing = true
			l.requests++
			return true, nil
		case c.exceeds(l.maxWait), !refused.IsZero() && c.until.Sub(refused) > l.maxWait, inGracePeriod(ctx):
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
		l.nearLimit = l.nearLimit || isNearLimit(response.Header.Get("X-RateLimit-NearLimit"))
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

// extend blocks requests for the wait that a 429 requests. If grows is set, it blocks them
// for at least a back-off, which grows with each refusal. grows is set for the first 429 and
// for a 429 to a probe, because other requests were sent before the first 429 arrived.
func (l *rateLimiter) extend(ctx context.Context, c *cooldown, grows bool, response *http.Response) {
	now := time.Now()
	wait, _ := retryAfter(response, now)
	c.named = latest(c.named, now.Add(wait))
	if grows {
		wait = max(wait, l.backoff(c, now))
		c.refusals++
	}
	until := now.Add(wait)
	if !until.After(c.until) {
		return
	}
	c.until = until
	if wait > longWait && !c.exceeds(l.maxWait) && l.onWait != nil {
		l.onWait(ctx, wait, l.snapshot())
	}
}

// backoff returns the wait after a 429 that does not request a wait. The last wait ends when
// maxWait is over, so that a last probe is sent before requests fail.
func (l *rateLimiter) backoff(c *cooldown, now time.Time) time.Duration {
	wait := backoff(l.firstWait, maxCooldownStep, c.refusals)
	if left := c.since.Add(l.maxWait).Sub(now); left > 0 {
		wait = min(wait, left)
	}
	return wait
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// isNearLimit reports whether the header X-RateLimit-NearLimit says that few requests are
// left. The documented value is "true". Another client reads a number.
func isNearLimit(value string) bool {
	number, err := strconv.ParseFloat(value, 64)
	return strings.EqualFold(value, "true") || err == nil && (number > 0 || number < 0)
}

// exceeds reports whether the cooldown takes longer than longest.
func (c *cooldown) exceeds(longest time.Duration) bool { return c.until.Sub(c.since) > longest }

// RateLimit describes Bitbucket's rate limit when it is reached.
type RateLimit struct {
	// Limit is the limit that Bitbucket sends, "" if it sends none.
	Limit string
	// Requests is how many requests this transport has sent.
	Requests int
	// Until is when requests may be sent again according to Bitbucket, zero if Bitbucket
	// requested no wait.
	Until time.Time
}

// RateLimitError means that a request was not sent, because an earlier request has reached
// the rate limit and the wait would take too long.
type RateLimitError struct{ RateLimit RateLimit }

// Error returns the reason.
func (*RateLimitError) Error() string { return "the rate limit was reached by another request" }

// snapshot returns the current limit. The caller must hold the lock.
func (l *rateLimiter) snapshot() RateLimit {
	limit := RateLimit{Limit: l.limit, Requests: l.requests}
	if c := l.cooldown; c != nil && c.named.After(time.Now()) {
		limit.Until = c.named
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
