package deploykeys

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// If one reader gives up, the other readers still get their key. When the last reader gives
// up, the request is cancelled.
func TestGet_cancelled(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]int64{"page": 1, "single key": 150} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := newStore(t, 150)
				s := newTestService(t, api)
				if name == "single key" {
					readAll(t, s, []int64{1})
				}
				first, cancelFirst := context.WithCancel(t.Context())
				var errs [2]error
				var done sync.WaitGroup
				done.Go(func() { _, errs[0] = s.Get(first, repository, id) })
				synctest.Wait()
				done.Go(func() { _, errs[1] = s.Get(t.Context(), repository, id) })
				synctest.Wait()
				cancelFirst()
				done.Wait()
				if !errors.Is(errs[0], context.Canceled) || errs[1] != nil {
					t.Errorf("got %v", errs)
				}

				s.cache.drop(repository)
				if name == "single key" {
					readAll(t, s, []int64{1})
				}
				ended := 0
				api.reply = func(string) http.HandlerFunc {
					ended++
					return nil
				}
				alone, cancel := context.WithCancel(t.Context())
				done.Go(func() { _, errs[0] = s.Get(alone, repository, id) })
				synctest.Wait()
				start := time.Now()
				cancel()
				synctest.Wait()
				if ended != 1 || time.Since(start) != 0 {
					t.Errorf("the request was not cancelled although no reader waits for it")
				}
				api.reply = nil
				readAll(t, s, []int64{id}) // The next read is not affected.
				done.Wait()
			})
		})
	}
}

// A read may start at the moment when the only reader of a page gives up. It must then
// request the page again.
func TestGet_afterOthersGaveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newStore(t, 3)
		api.allowRepeated = true
		s := newTestService(t, api)
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			var done sync.WaitGroup
			done.Go(func() { _, _ = s.Get(ctx, repository, 1) })
			time.Sleep(10 * time.Millisecond)
			done.Go(cancel)
			done.Go(func() {
				if _, err := s.Get(t.Context(), repository, 2); err != nil {
					t.Error(err)
				}
			})
			done.Wait()
			s.cache.drop(repository)
		}
	})
}

// A second single key is not requested before the reply for the first key has arrived. A
// reader that gives up meanwhile does not affect the first key.
func TestGet_cancelledBeforeRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newStore(t, 250)
		s := newTestService(t, api)
		readAll(t, s, []int64{1})
		var done sync.WaitGroup
		done.Go(func() { readAll(t, s, []int64{150}) })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		done.Go(func() { _, err = s.Get(ctx, repository, 160) })
		synctest.Wait()
		cancel()
		done.Wait()
		if lines := api.sent(); !errors.Is(err, context.Canceled) || !slices.Equal(lines, []string{"GET ?pagelen=100", "GET /150"}) {
			t.Errorf("got %v after %v", err, lines)
		}
	})
}

// A page whose request was cancelled is requested again, even if its reply has arrived.
func TestSharedCall_cancelledPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		waiting := func(w http.ResponseWriter, r *http.Request) {
			<-release
			pageOf("?page=2", 1)(w, r)
		}
		api := httpfake.NewScript(t, waiting, pageOf("?page=2", 1), pageOf("", 2))
		ignoresCancel := httpfake.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			return httpfake.InMemory{Handler: api}.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
		})
		s := newTestService(t, nil, func(o *transport.Options) { o.Base = ignoresCancel })
		c := s.cache
		readPage := func(l *listing) *sharedCall {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.readPage(t.Context(), l, repository)
		}
		c.mu.Lock()
		l := c.current(repository)
		c.mu.Unlock()
		first := readPage(l)
		synctest.Wait()
		c.mu.Lock()
		first.cancel()
		c.mu.Unlock()
		close(release)
		<-first.done
		for range 2 { // Another reader may still have the listing.
			<-readPage(l).done
		}
		if got := idsOf(l.values().Keys); !slices.Equal(got, []int64{1, 2}) {
			t.Errorf("got keys %v, want both", got)
		}
		api.Expect(page1, page1, "GET "+keysPath+"?page=2&pagelen=100")
	})
}
