package bitbucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// maxBody bounds what is read of one reply, in bytes. A page of 100 keys is
// below 200 kB.
const maxBody = 10 << 20

// try is a transport that carries out one try of a request to its end. The body
// belongs to it: a reply that breaks off in the middle is as lost as one that
// never came, and a time limit covers both. So is what it repeats of the
// credentials: nobody above sees them.
type try struct {
	timeout time.Duration
	// ahead is told how far Bitbucket's clock is ahead when a reply begins.
	ahead *atomic.Int64
	next  http.RoundTripper
}

// RoundTrip returns a response whose body is in memory. A write that has left
// is carried to its end even if its caller is told to stop: a key whose id
// nobody has read is lost.
func (t try) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	if request.Method != http.MethodGet && request.URL.Path != tokenPath {
		var cancel context.CancelFunc
		ctx, cancel = finishing(ctx)
		defer cancel()
	}
	if t.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.timeout, noAnswer(t.timeout))
		defer cancel()
	}
	var wanted, got atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
	})
	response, err := t.next.RoundTrip(request.WithContext(ctx))
	if err == nil {
		if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			t.ahead.Store(int64(time.Until(date)))
		}
		var body []byte
		body, err = readBody(response.Body)
		response.Body = io.NopCloser(bytes.NewReader(withoutSecrets(request, response, body)))
	}
	switch {
	case err == nil:
		return response, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	default:
		err = withoutSecretsIn(request, err)
	}
	if wanted.Load() && !got.Load() { // Without a connection nothing was sent.
		err = notSent{err}
	}
	return nil, err
}

// noAnswer is the error after a time limit.
type noAnswer time.Duration

func (n noAnswer) Error() string { return "no answer within " + time.Duration(n).String() }

// Is tells that it is a deadline.
func (n noAnswer) Is(target error) bool { return target == context.DeadlineExceeded }

// maxFinish is how long what is under way may go on after a stop.
const maxFinish = 30 * time.Second

// isFinishing marks a context of finishing.
type isFinishing struct{}

// finishing returns a context that outlives ctx by up to maxFinish. With it a
// request is neither tried again nor does it wait for the rate limit.
func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithValue(context.WithoutCancel(ctx), isFinishing{}, true))
	keep := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(maxFinish):
			cancel(context.Cause(ctx))
		case <-longer.Done():
		}
	})
	return longer, func() { keep(); cancel(nil) }
}

// readBody reads the whole of a reply, if it is not too long.
func readBody(from io.ReadCloser) ([]byte, error) {
	defer from.Close()
	body, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("%w: over %d MB", ErrUnusable, maxBody>>20)
	}
	return body, nil
}
