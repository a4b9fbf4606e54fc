package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

func TestRequestTimeout_isPerAttempt(t *testing.T) {
	t.Parallel()
	timeout := func(o *Options) { o.RequestTimeout = 5 * time.Second }
	synctest.Test(t, func(t *testing.T) {
		api := httpfake.NewScript(t, httpfake.Hang, httpfake.Hang, httpfake.Reply(200, item))
		start := time.Now()
		if err := calls["GET"].send(t.Context(), newInMemoryClient(t, api, timeout)); err != nil {
			t.Error(err)
		}
		api.Expect("GET "+itemPath, "GET "+itemPath, "GET "+itemPath)
		// Two timeouts, and waits of one and two seconds or down to half of that.
		if took := time.Since(start); took < 11500*time.Millisecond || took > 13*time.Second {
			t.Errorf("took %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		api := httpfake.NewScript(t, httpfake.Hang)
		start := time.Now()
		err := calls["POST"].send(t.Context(), newInMemoryClient(t, api, timeout))
		if _, maybeDone := outcome(t, err); !errors.Is(err, context.DeadlineExceeded) || !maybeDone || !strings.Contains(err.Error(), "no answer within 5s") {
			t.Errorf("got error %v with MaybeDone %t", err, maybeDone)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v, want 5 s", took)
		}
		api.Expect("POST " + itemsPath)
	})
}

// hangingBody is a body that never ends.
type hangingBody struct{ ctx context.Context }

func (b hangingBody) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (b hangingBody) Close() error             { return nil }

func TestRequestTimeout_includesReply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		c := newInMemoryClient(t, nil, withRetries(1), func(o *Options) { o.RequestTimeout = 5 * time.Second }, withBase(func(r *http.Request) (*http.Response, error) {
			attempts++
			return &http.Response{StatusCode: 200, Body: hangingBody{r.Context()}, Request: r}, nil
		}))
		start := time.Now()
		err := calls["GET"].send(t.Context(), c)
		if status, maybeDone := outcome(t, err); !errors.Is(err, context.DeadlineExceeded) || status != 0 || !maybeDone {
			t.Errorf("got error %v with MaybeDone %t, want a timeout", err, maybeDone)
		}
		if took := time.Since(start); attempts != 2 || took < 10500*time.Millisecond || took > 11*time.Second {
			t.Errorf("took %v for %d attempts", took, attempts)
		}
	})
}

// Without RequestTimeout, an attempt has no time limit.
func TestRequestTimeout_none(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newInMemoryClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-time.After(24 * time.Hour)
			httpfake.Reply(200, item)(w, r)
		}))
		if err := calls["GET"].send(t.Context(), c); err != nil {
			t.Error(err)
		}
	})
}

func TestAttempt_boundsReply(t *testing.T) {
	t.Parallel()
	fits := item + strings.Repeat(" ", MaxReplyBytes-len(item))
	api := httpfake.NewScript(t, httpfake.Reply(200, fits), httpfake.Reply(200, fits+" "), httpfake.Reply(400, fits+" "), httpfake.Reply(200, fits+" "))
	c := newTestClient(t, api)
	if response, err := calls["GET"].do(t.Context(), c); err != nil || string(response.Body) != fits {
		t.Errorf("10 MB: %v", err)
	}
	for range 2 { // An error reply of this length cannot be used either.
		err := calls["GET"].send(t.Context(), c)
		if status, maybeDone := outcome(t, err); status != 0 || !maybeDone || !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "over 10 MB") {
			t.Errorf("over 10 MB: got error %v", err)
		}
	}
	if _, maybeDone := outcome(t, calls["POST"].send(t.Context(), c)); !maybeDone {
		t.Error("MaybeDone is not set for a POST with a reply over 10 MB")
	}
	if n := len(api.Requests()); n != 4 {
		t.Errorf("got %d requests, want 4 without retries", n)
	}
}

// closeRecorder records whether a body was closed.
type closeRecorder struct {
	io.Reader
	closed bool
}

func (c *closeRecorder) Close() error { c.closed = true; return nil }

// If a body is not closed, its connection cannot be used again.
func TestAttempt_closesBody(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]io.Reader{
		"whole":      strings.NewReader(item),
		"too long":   strings.NewReader(strings.Repeat(" ", MaxReplyBytes+1)),
		"breaks off": io.MultiReader(strings.NewReader(item[:5]), brokenReader{}),
	} {
		body := &closeRecorder{Reader: content}
		c := newInMemoryClient(t, nil, withRetries(0), withBase(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: body, Request: r}, nil
		}))
		if err := calls["GET"].send(t.Context(), c); (err == nil) != (name == "whole") {
			t.Errorf("%s: got error %v", name, err)
		}
		if !body.closed {
			t.Errorf("%s: the body is not closed", name)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// The clock of the bubble starts at the beginning of the year 2000.
func TestServerTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const date = "Date: "
		api := httpfake.NewScript(t,
			httpfake.Reply(200, item),
			httpfake.Reply(200, item, date+"Sat, 01 Jan 2000 01:00:00 GMT"),
			httpfake.Reply(200, item, date+"today"),
			httpfake.Reply(200, item),
			httpfake.Reply(403, "", date+"Fri, 31 Dec 1999 23:00:00 GMT"),
			httpfake.Cut,
			httpfake.Reply(200, item, date+"Sat, 01 Jan 2000 00:00:00 GMT"),
		)
		c := newInMemoryClient(t, api, withRetries(0))
		for i, want := range []time.Duration{0, time.Hour, time.Hour, time.Hour, -time.Hour, -time.Hour, 0} {
			_, _ = calls["GET"].do(t.Context(), c)
			now := time.Now()
			if got := c.ServerTime(now).Sub(now); got != want {
				t.Errorf("after reply %d: Bitbucket's clock is ahead by %v, want %v", i+1, got, want)
			}
		}
		// Both clocks advance at the same rate.
		before := c.ServerTime(time.Now())
		<-time.After(time.Minute)
		if passed := c.ServerTime(time.Now()).Sub(before); passed != time.Minute {
			t.Errorf("%v have passed in Bitbucket, want a minute", passed)
		}
	})
}
