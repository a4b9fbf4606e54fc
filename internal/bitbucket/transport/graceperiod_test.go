package transport

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

func TestWithGracePeriod(t *testing.T) {
	t.Parallel()
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("stopped by the user")
		ctx, stop := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		longer, cancel := WithGracePeriod(ctx)
		defer cancel()
		if inGracePeriod(ctx) || !inGracePeriod(longer) || longer.Value(key{}) != "value" {
			t.Error("the context is not marked, or has lost its values")
		}
		<-time.After(time.Hour)
		if longer.Err() != nil {
			t.Errorf("before the stop: %v", longer.Err())
		}
		stopped := time.Now()
		stop(reason)
		<-time.After(MaxGracePeriod - 1)
		synctest.Wait()
		if longer.Err() != nil {
			t.Errorf("at the end of the grace period: %v", longer.Err())
		}
		<-longer.Done()
		if after := time.Since(stopped); after != MaxGracePeriod || !errors.Is(context.Cause(longer), reason) {
			t.Errorf("ended after %v because of %v", after, context.Cause(longer))
		}
	})
}

// A canceled context leaves no goroutine behind, whether the caller has stopped or not.
func TestWithGracePeriod_cancel(t *testing.T) {
	t.Parallel()
	for name, stopped := range map[string]bool{"before the stop": false, "after the stop": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // synctest fails the test if a goroutine is left.
				start := time.Now()
				ctx, stop := context.WithCancel(t.Context())
				longer, cancel := WithGracePeriod(ctx)
				if stopped {
					stop()
					synctest.Wait()
				}
				cancel()
				if longer.Err() == nil {
					t.Error("the context did not end")
				}
				stop()
				synctest.Wait()
				if time.Since(start) != 0 {
					t.Errorf("took %v", time.Since(start))
				}
			})
		})
	}
}

// If the caller has already stopped, the context still lasts for the grace period.
func TestWithGracePeriod_stoppedBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		api := httpfake.NewScript(t, httpfake.Reply(200, item), httpfake.Hang)
		c := newInMemoryClient(t, api)
		longer, cancel := WithGracePeriod(ctx)
		defer cancel()
		start := time.Now()
		if err := calls["GET"].send(longer, c); err != nil {
			t.Error(err)
		}
		err := calls["GET"].send(longer, c)
		if _, maybeDone := outcome(t, err); !errors.Is(err, context.Canceled) || !maybeDone || time.Since(start) != MaxGracePeriod {
			t.Errorf("got error %v with MaybeDone %t after %v", err, maybeDone, time.Since(start))
		}
	})
}

// A request in the grace period is not sent again.
func TestGracePeriod_noRetry(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]http.HandlerFunc{
		"500": httpfake.Reply(500, ""),
		"503": httpfake.Reply(503, "", "Retry-After: 1"),
		"429": httpfake.Reply(429, "", "Retry-After: 1"),
		"cut": httpfake.Cut,
	} {
		for method, call := range calls {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := WithGracePeriod(t.Context())
					defer cancel()
					api := httpfake.NewScript(t, reply)
					start := time.Now()
					_, maybeDone := outcome(t, call.send(ctx, newInMemoryClient(t, api)))
					if maybeDone != (name != "429") || time.Since(start) != 0 {
						t.Errorf("got MaybeDone %t after %v", maybeDone, time.Since(start))
					}
					api.Expect(call.line())
				})
			})
		}
	}
}

// A request in the grace period does not wait for the rate limit. It may be the probe.
func TestGracePeriod_noWaitForRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := httpfake.NewScript(t, httpfake.Reply(429, "", "Retry-After: 60"), httpfake.Reply(200, item), httpfake.Reply(200, item))
		c := newInMemoryClient(t, api, withRetries(0))
		ctx, cancel := WithGracePeriod(t.Context())
		defer cancel()
		if err := calls["GET"].send(ctx, c); !hasStatus(err, 429) {
			t.Fatalf("got error %v, want a 429", err)
		}
		start := time.Now()
		err := calls["GET"].send(ctx, c)
		limited, ok := errors.AsType[*RateLimitError](err)
		if _, maybeDone := outcome(t, err); !ok || maybeDone || time.Since(start) != 0 || !limited.RateLimit.Until.Equal(start.Add(time.Minute)) {
			t.Errorf("got error %#v after %v", err, time.Since(start))
		}
		<-time.After(time.Minute)
		for range 2 {
			if err := calls["GET"].send(ctx, c); err != nil {
				t.Error(err)
			}
		}
	})
}

// A request in the grace period waits for the reply to a probe. It is not refused, because it
// may be the only request that can find a new key.
func TestGracePeriod_waitsForProbe(t *testing.T) {
	t.Parallel()
	const replyTime = 10 * time.Second
	for name, tc := range map[string]struct {
		probe http.HandlerFunc
		// canceled reports whether the caller of the probe stops before the reply.
		canceled bool
		wait     time.Duration
		refused  bool
	}{
		"accepted":      {httpfake.Reply(200, item), false, replyTime, false},
		"no reply":      {httpfake.Cut, false, replyTime, false},
		"refused again": {httpfake.Reply(429, "", "Retry-After: 60"), false, replyTime, true},
		"canceled":      {httpfake.Hang, true, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				slow := func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-time.After(replyTime):
					case <-r.Context().Done():
					}
					tc.probe(w, r)
				}
				api := httpfake.NewScript(t, httpfake.Reply(429, "", "Retry-After: 60"), slow, httpfake.Reply(200, item), httpfake.Reply(200, item))
				c := newInMemoryClient(t, api, withRetries(0))
				ctx, stop := context.WithCancel(t.Context())
				var others sync.WaitGroup
				others.Go(func() { _ = calls["GET"].send(ctx, c) }) // Gets the 429 and is then the probe.
				<-time.After(time.Minute)
				synctest.Wait()
				if tc.canceled {
					time.AfterFunc(time.Second, stop)
				}
				longer, cancel := WithGracePeriod(t.Context())
				defer cancel()
				start := time.Now()
				err := calls["GET"].send(longer, c)
				if _, refused := errors.AsType[*RateLimitError](err); refused != tc.refused || !refused && err != nil || time.Since(start) != tc.wait {
					t.Errorf("got error %v after %v", err, time.Since(start))
				}
				stop()
				others.Wait()
			})
		})
	}
}

// A probe without a reply delays a request in the grace period until the grace period ends.
func TestGracePeriod_endsWaitForProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := httpfake.NewScript(t, httpfake.Reply(429, "", "Retry-After: 60"), httpfake.Hang)
		c := newInMemoryClient(t, api, withRetries(0))
		ctx, stopProbe := context.WithCancel(t.Context())
		var others sync.WaitGroup
		others.Go(func() { _ = calls["GET"].send(ctx, c) })
		<-time.After(time.Minute)
		synctest.Wait()
		stopped, stop := context.WithCancel(t.Context())
		stop()
		longer, cancel := WithGracePeriod(stopped)
		defer cancel()
		start := time.Now()
		err := calls["GET"].send(longer, c)
		if _, maybeDone := outcome(t, err); !errors.Is(err, context.Canceled) || maybeDone || time.Since(start) != MaxGracePeriod {
			t.Errorf("got error %v with MaybeDone %t after %v", err, maybeDone, time.Since(start))
		}
		stopProbe()
		others.Wait()
	})
}
