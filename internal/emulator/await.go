package emulator

import (
	"context"
	"slices"
)

// Await waits until the condition holds, and returns an error when ctx ends before.
// It checks the condition now, and again whenever a request has arrived or has been
// carried out, so that a test need not poll. The condition may call the emulator.
func (e *Emulator) Await(ctx context.Context, condition func() bool) error {
	for {
		changed := e.nextChange() // Before the check, so that no change is missed.
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

// AwaitRequest waits until a request that matches has arrived since the start or
// ForgetRequests. The request need not be answered yet.
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

// announce wakes everybody who waits for a change. The caller holds the mutex.
func (e *Emulator) announce() {
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}
