package emulator

import (
	"context"
	"slices"
)

// Await waits until the condition holds. It returns an error if ctx ends first. It
// checks the condition at once, and again after each request that arrives or is
// carried out. The condition may call the emulator.
func (e *Emulator) Await(ctx context.Context, condition func() bool) error {
	for {
		changed := e.nextChange() // Called before the check, so that no change is missed.
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// AwaitRequest waits until the request log contains a request that matches. The
// emulator may not have answered the request yet.
func (e *Emulator) AwaitRequest(ctx context.Context, match func(Request) bool) error {
	return e.Await(ctx, func() bool { return slices.ContainsFunc(e.Requests(), match) })
}

// nextChange returns a channel that is closed at the next change.
func (e *Emulator) nextChange() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.changed == nil {
		e.changed = make(chan struct{})
	}
	return e.changed
}

// announce wakes all callers that wait for a change. The caller must hold the mutex.
func (e *Emulator) announce() {
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}
