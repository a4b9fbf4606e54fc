package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// MaxReplyBytes bounds one reply. A page of 100 keys has less than 200 kB.
const MaxReplyBytes = 10 << 20

// ErrUnusable marks a reply that arrived completely but cannot be used. The same request
// would get the same reply again.
var ErrUnusable = errors.New("the reply cannot be used")

// attempt sends a request once and reads its whole reply. An incomplete reply counts as a
// lost reply, so the time limit also covers reading the body. attempt removes copies of the
// credentials from replies and errors, so that no code above it sees them.
type attempt struct {
	timeout time.Duration
	// clockSkew stores the time by which Bitbucket's clock is ahead of this machine's clock, as
	// a [time.Duration].
	clockSkew *atomic.Int64
	next      http.RoundTripper
}

// RoundTrip returns a response whose body is in memory. A write continues for up to
// [MaxGracePeriod] after its caller has stopped: without the reply, the ID of a new key
// would be lost.
func (a attempt) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	if request.Method != http.MethodGet && !IsTokenRequest(request) {
		var cancel context.CancelFunc
		ctx, cancel = WithGracePeriod(ctx)
		defer cancel()
	}
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.timeout, timeoutError(a.timeout))
		defer cancel()
	}
	var connecting, connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { connecting.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	response, err := a.next.RoundTrip(request.WithContext(ctx))
	if err == nil {
		if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			a.clockSkew.Store(int64(time.Until(date)))
		}
		var body []byte
		body, err = readBody(response.Body)
		response.Body = io.NopCloser(bytes.NewReader(redactReply(request, response, body)))
	}
	switch {
	case err == nil:
		return response, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	default:
		err = redactError(request, err)
	}
	if connecting.Load() && !connected.Load() {
		err = notSentError{err}
	}
	return nil, err
}

// timeoutError means that no complete reply arrived within this time.
type timeoutError time.Duration

func (e timeoutError) Error() string { return "no answer within " + time.Duration(e).String() }

// Is reports whether target is [context.DeadlineExceeded].
func (e timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// readBody reads a reply to its end, or fails if it is too long.
func readBody(from io.ReadCloser) ([]byte, error) {
	defer from.Close()
	body, err := io.ReadAll(io.LimitReader(from, MaxReplyBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > MaxReplyBytes {
		return nil, fmt.Errorf("%w: over %d MB", ErrUnusable, MaxReplyBytes>>20)
	}
	return body, nil
}
