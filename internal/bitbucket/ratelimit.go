package bitbucket

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// maxGateWait caps the waits that grow by themselves.
	maxGateWait = 60 * time.Second
	// longWait is what a person would wonder about.
	longWait = 10 * time.Second
)

// gate is a transport that all requests of a client pass. Bitbucket's limit is
// for the user and not for a request, so a 429 stops everybody, until the time
// that it names or for a wait that grows. Then one request probes before the
// rest follow.
type gate struct {
	next http.RoundTripper
	// slots holds one element for each request in flight.
	slots chan struct{}
	// first is the first wait where Bitbucket names none, most the longest time
	// that the gate may stay closed.
	first, most time.Duration
	onWait      func(ctx context.Context, until time.Time, limit string)

	mu        sync.Mutex
	closed    *closing
	requests  int
	limit     string
	nearLimit bool
}

// closing is the time from a 429 to a probe with another answer.
type closing struct {
	since, until time.Time
	refusals     int
	probing      bool
	// changed is closed when anything of this has changed.
	changed chan struct{}
}

// RoundTrip sends the request when it is its turn.
func (g *gate) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return nil, notSent{ctx.Err()}
	}
	probe, err := g.enter(request)
	if err != nil {
		return nil, err
	}
	response, err := g.next.RoundTrip(request)
	g.leave(ctx, probe, response)
	return response, err
}

// enter waits until the gate is open, or returns that this request is the probe.
func (g *gate) enter(request *http.Request) (probe bool, refusal error) {
	ctx := request.Context()
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		c := g.closed
		switch {
		case ctx.Err() != nil: // What has left is carried out, so this is the last moment.
			return false, notSent{ctx.Err()}
		case c == nil:
			g.requests++
			return false, nil
		case c.probing:
		case time.Until(c.until) <= 0:
			c.probing = true
			g.requests++
			return true, nil
		case c.tooLong(g.most), ctx.Value(isFinishing{}) != nil:
			return false, g.refused(request)
		}
		if err := g.wait(ctx, c); err != nil {
			return false, err
		}
	}
}

// wait waits without the lock until the gate is due to be tried, or something
// about it has changed.
func (g *gate) wait(ctx context.Context, c *closing) error {
	changed, due := c.changed, make(<-chan time.Time)
	if !c.probing {
		timer := time.NewTimer(time.Until(c.until))
		defer timer.Stop()
		due = timer.C
	}
	g.mu.Unlock()
	defer g.mu.Lock()
	select {
	case <-due:
	case <-changed:
	case <-ctx.Done():
		return notSent{ctx.Err()}
	}
	return nil
}

// leave takes note of an answer, nil if there was none.
func (g *gate) leave(ctx context.Context, probe bool, response *http.Response) {
	g.mu.Lock()
	defer g.mu.Unlock()
	limited := response != nil && response.StatusCode == http.StatusTooManyRequests
	if response != nil {
		if limit := response.Header.Get("X-RateLimit-Limit"); limit != "" {
			g.limit = clean(limit)
		}
		g.nearLimit = g.nearLimit || strings.EqualFold(response.Header.Get("X-RateLimit-NearLimit"), "true")
	}
	c := g.closed
	if probe {
		c.probing = false
		if response != nil && !limited {
			g.closed = nil
		}
	}
	if limited {
		if c == nil {
			c = &closing{since: time.Now(), changed: make(chan struct{})}
			g.closed = c
		}
		g.close(ctx, c, probe || c.refusals == 0, response)
	}
	if probe || limited {
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// close keeps the gate closed for as long as a 429 says. Only the first one and
// that of a probe make the wait grow: the others were sent before it.
func (g *gate) close(ctx context.Context, c *closing, grows bool, response *http.Response) {
	wait, _ := askedWait(response, time.Now())
	if wait == 0 { // Not named, or a time that is over already.
		if !grows {
			return
		}
		wait = grown(g.first, maxGateWait, c.refusals)
	}
	if grows {
		c.refusals++
	}
	until := time.Now().Add(wait)
	if !until.After(c.until) {
		return
	}
	c.until = until
	if wait > longWait && !c.tooLong(g.most) && g.onWait != nil {
		g.onWait(ctx, until, g.limit)
	}
}

// tooLong tells whether waiting would take longer than is allowed.
func (c *closing) tooLong(most time.Duration) bool { return c.until.Sub(c.since) > most }

// refused is the error for a request that was not even sent.
func (g *gate) refused(request *http.Request) *Error {
	e := &Error{Method: request.Method, Path: request.URL.EscapedPath(), Status: http.StatusTooManyRequests, Message: "the rate limit was reached by another request"}
	g.describe(e)
	return e
}

// explain adds to a 429 what the gate knows.
func (g *gate) explain(e *Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.describe(e)
}

func (g *gate) describe(e *Error) {
	e.RateLimit = &RateLimit{Limit: g.limit, Requests: g.requests}
	if g.closed != nil {
		e.RateLimit.Until = g.closed.until
	}
}

// RateLimit is what is known about Bitbucket's limit when it is reached.
type RateLimit struct {
	// Limit is the number of requests that Bitbucket names, "" if it does not.
	Limit string
	// Requests is how many this client has sent.
	Requests int
	// Until is when requests may go on, zero if that is not known.
	Until time.Time
}

// NearLimit tells whether Bitbucket has said that few requests are left.
func (c *Client) NearLimit() bool {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	return c.gate.nearLimit
}
