package transport

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoff_jitters(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		attempt int
		whole   time.Duration
	}{{0, 500 * time.Millisecond}, {3, 4 * time.Second}, {5, 16 * time.Second}, {6, 30 * time.Second}, {16, 30 * time.Second}, {63, 30 * time.Second}, {1000, 30 * time.Second}} {
		least, most := time.Duration(1<<62), time.Duration(0)
		for range 2000 {
			wait := backoff(500*time.Millisecond, 30*time.Second, tc.attempt)
			least, most = min(least, wait), max(most, wait)
		}
		if least < tc.whole/2 || most > tc.whole {
			t.Errorf("attempt %d: waits from %v to %v, want within %v to %v", tc.attempt, least, most, tc.whole/2, tc.whole)
		}
		if least > tc.whole*6/10 || most < tc.whole*9/10 {
			t.Errorf("attempt %d: waits from %v to %v are not spread over %v to %v", tc.attempt, least, most, tc.whole/2, tc.whole)
		}
	}
}

func TestWaitToRetry(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		attempt int
		// named is the wait that Bitbucket requests, negative for none.
		named      time.Duration
		want       bool
		from, upTo time.Duration
	}{
		"first":               {0, -1, true, 500 * time.Millisecond, time.Second},
		"third":               {2, -1, true, 2 * time.Second, 4 * time.Second},
		"retries used up":     {3, -1, false, 0, 0},
		"named, and used up":  {3, time.Second, false, 0, 0},
		"named":               {0, 90 * time.Second, true, 90 * time.Second, 90 * time.Second},
		"named as none":       {2, 0, true, 0, 0},
		"named, as allowed":   {0, maxNamedWait, true, maxNamedWait, maxNamedWait},
		"named, and too long": {0, maxNamedWait + 1, false, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				named := &tc.named
				if tc.named < 0 {
					named = nil
				}
				start := time.Now()
				got := newInMemoryClient(t, nil).WaitToRetry(t.Context(), tc.attempt, named)
				if waited := time.Since(start); got != tc.want || waited < tc.from || waited > tc.upTo {
					t.Errorf("got %t after %v, want %t after %v to %v", got, waited, tc.want, tc.from, tc.upTo)
				}
			})
		})
	}
}

func TestWaitToRetry_stopped(t *testing.T) {
	t.Parallel()
	for _, named := range []time.Duration{0, time.Minute} {
		for _, stop := range []time.Duration{0, 5 * time.Second} {
			t.Run(named.String()+" "+stop.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), stop)
					defer cancel()
					start := time.Now()
					got, want := newInMemoryClient(t, nil).WaitToRetry(ctx, 0, &named), named < stop
					if waited := time.Since(start); got != want || waited != min(named, stop) {
						t.Errorf("got %t after %v, want %t", got, waited, want)
					}
					<-ctx.Done()
					for range 50 { // If both channels are ready, select chooses one at random.
						if newInMemoryClient(t, nil).WaitToRetry(ctx, 0, new(time.Duration)) {
							t.Error("WaitToRetry returned true after the context had ended")
						}
					}
				})
			})
		}
	}
}
