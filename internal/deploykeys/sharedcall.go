package deploykeys

import "context"

// sharedCall is an exchange with Bitbucket that any number of readers wait for. It runs in
// a separate goroutine, with a context that ends when no reader waits any more.
type sharedCall struct {
	waiting int
	done    chan struct{}
	err     error
	// cancel ends the exchange and makes sure that no other reader joins it.
	cancel func()
}

// start runs an exchange without the lock of the cache. The function that exchange returns
// runs with the lock, before the readers continue. forget removes the call from the cache.
func (c *cache) start(ctx context.Context, forget func(), exchange func(context.Context) func() error) *sharedCall {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	call := &sharedCall{done: make(chan struct{})}
	call.cancel = func() { cancel(); forget() }
	go func() {
		defer cancel()
		settle := exchange(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		if ctx.Err() == nil {
			call.err = settle()
		}
		close(call.done)
	}()
	return call
}

// wait waits for a call without the lock of the cache. If the last reader stops waiting, it
// cancels the call.
func (c *cache) wait(ctx context.Context, call *sharedCall) error {
	call.waiting++
	c.mu.Unlock()
	var gaveUp error
	select {
	case <-call.done:
	case <-ctx.Done():
		gaveUp = ctx.Err()
	}
	c.mu.Lock()
	call.waiting--
	if gaveUp == nil {
		return call.err
	}
	if call.waiting == 0 {
		call.cancel()
	}
	return gaveUp
}
