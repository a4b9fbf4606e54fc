package transport

import (
	"context"
	"time"
)

// MaxGracePeriod is how long a request that was already sent may continue after its caller
// has stopped.
const MaxGracePeriod = 30 * time.Second

// gracePeriodKey marks a context of WithGracePeriod.
type gracePeriodKey struct{}

// WithGracePeriod returns a context that outlives ctx by up to [MaxGracePeriod]. A request
// with this context is not sent again and does not wait until Bitbucket's rate limit ends. It
// only waits for the reply to a probe that was already sent: the reply may end the rate limit,
// and the grace period limits this wait too.
func WithGracePeriod(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithValue(context.WithoutCancel(ctx), gracePeriodKey{}, true))
	stopWatching := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(MaxGracePeriod)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(context.Cause(ctx))
		case <-longer.Done():
		}
	})
	return longer, func() { stopWatching(); cancel(nil) }
}

func inGracePeriod(ctx context.Context) bool { return ctx.Value(gracePeriodKey{}) != nil }
