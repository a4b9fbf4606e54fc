package emulator

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// traffic holds the latency, the rate limit and the number of requests in flight.
type traffic struct {
	latency     time.Duration
	jitter      time.Duration
	limit       *RateLimit // limit is nil if there is no rate limit.
	nearLimit   bool
	inFlight    int
	maxInFlight int
}

// SetLatency delays every later request before the emulator carries it out. Requests
// wait at the same time, not one after the other. If the client cancels a request
// during its delay, the emulator does not carry out the request.
func (e *Emulator) SetLatency(latency time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.latency = latency
}

// SetJitter adds a random time of at most jitter to the latency of every later request.
func (e *Emulator) SetJitter(jitter time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.jitter = jitter
}

// delay waits for the latency. It reports false if the client cancels the request
// during that time.
func (e *Emulator) delay(c call) bool {
	e.mu.Lock()
	latency := e.traffic.latency
	if e.traffic.jitter > 0 {
		latency += rand.N(e.traffic.jitter) //nolint:gosec // No secret depends on this number.
	}
	e.mu.Unlock()
	if latency <= 0 {
		return true
	}
	timer := time.NewTimer(latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.Context().Done():
		return false
	}
}

// RateLimit is the number of requests that Bitbucket accepts in a time window. After
// that number, every request gets a 429 until the window ends.
type RateLimit struct {
	Requests int         // Requests is the number of requests left in the window.
	Until    time.Time   // Until is the end of the window on the emulator's clock. A window with a zero Until does not end.
	Header   http.Header // Header is added to the header of each 429. Its fields replace the fields of RateLimited.
}

// SetRateLimit replaces the rate limit. When its window ends, the rate limit ends too,
// because no new window starts.
func (e *Emulator) SetRateLimit(limit RateLimit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	limit.Header = limit.Header.Clone()
	e.traffic.limit = &limit
}

// RestoreRateLimit removes the rate limit.
func (e *Emulator) RestoreRateLimit() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.limit = nil
}

// checkRateLimit counts a request. If the rate limit is used up, it returns the 429
// and true.
func (e *Emulator) checkRateLimit() (reply, bool) {
	limit := e.traffic.limit
	if limit == nil {
		return reply{}, false
	}
	if !limit.Until.IsZero() && !e.clock().Before(limit.Until) {
		e.traffic.limit = nil
		return reply{}, false
	}
	if limit.Requests > 0 {
		limit.Requests--
		return reply{}, false
	}
	answer := RateLimited().reply()
	answer.add(limit.Header)
	return answer, true
}

// nearLimit has the fields that Bitbucket adds to each reply if less than a fifth of
// the hourly requests are left.
var nearLimit = http.Header{"X-RateLimit-Limit": {"1000"}, "X-RateLimit-NearLimit": {"true"}}

// SetNearLimit selects whether later replies have the header X-RateLimit-NearLimit.
func (e *Emulator) SetNearLimit(near bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.nearLimit = near
}

// MaxInFlight returns the highest number of requests that were in flight at the same
// time, since the start or the last ForgetRequests. A request is in flight from the
// time when its body was read until just before its reply is sent. A canceled request
// is in flight until the emulator notices the cancellation.
func (e *Emulator) MaxInFlight() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.traffic.maxInFlight
}

// enter adds a request to the requests in flight.
func (e *Emulator) enter() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.inFlight++
	e.traffic.maxInFlight = max(e.traffic.maxInFlight, e.traffic.inFlight)
}

// leave removes a request from the requests in flight.
func (e *Emulator) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.inFlight--
}
