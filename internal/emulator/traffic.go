package emulator

import (
	"net/http"
	"time"
)

// traffic is how much the emulator takes, and what it has to cope with.
type traffic struct {
	latency     time.Duration
	limit       *RateLimit // limit is nil while there is none.
	nearLimit   bool
	inFlight    int
	maxInFlight int
}

// SetLatency lets every request that comes from now on wait before it is
// carried out, none behind another. One whose client goes away meanwhile is
// not carried out.
func (e *Emulator) SetLatency(latency time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.latency = latency
}

// delay waits for as long as an answer takes, and reports whether the client is
// still there.
func (e *Emulator) delay(c call) bool {
	e.mu.Lock()
	latency := e.traffic.latency
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

// RateLimit is Bitbucket's window of requests: when they are used up, every
// request is answered 429 until the window ends.
type RateLimit struct {
	Requests int         // Requests is how many are left.
	Until    time.Time   // Until is when the window ends by the emulator's clock, zero for not by itself.
	Header   http.Header // Header is sent with each 429, beside what RateLimited sends.
}

// SetRateLimit puts limit in place of any that is there. When its window ends
// there is no limit any more, not another window.
func (e *Emulator) SetRateLimit(limit RateLimit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	limit.Header = limit.Header.Clone()
	e.traffic.limit = &limit
}

// RestoreRateLimit ends the window at once.
func (e *Emulator) RestoreRateLimit() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.limit = nil
}

// limited counts a request, and is the refusal when it is one too many.
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

// nearLimit is what Bitbucket adds when less than a fifth of the requests of
// the hour are left.
var nearLimit = http.Header{"X-RateLimit-Limit": {"1000"}, "X-RateLimit-NearLimit": {"true"}}

// SetNearLimit chooses whether answers say that the limit is near.
func (e *Emulator) SetNearLimit(near bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.nearLimit = near
}

// MaxInFlight returns how many requests were in flight at most at once, since
// the start or ForgetRequests. A request counts from when it was read until its
// answer is about to be sent; one that was given up, until that is noticed.
func (e *Emulator) MaxInFlight() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.traffic.maxInFlight
}

// enter counts a request in.
func (e *Emulator) enter() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.inFlight++
	e.traffic.maxInFlight = max(e.traffic.maxInFlight, e.traffic.inFlight)
}

// leave counts it out again.
func (e *Emulator) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.traffic.inFlight--
}
