package emulator_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const latency = time.Second
		bitbucket := emulator.New(acmeSeed())
		bitbucket.SetLatency(latency)
		start := time.Now()
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if got, _ := serveDirectly(bitbucket, newRequest(t.Context(), "GET", keys)); got.Code != 200 {
					t.Errorf("got status %d", got.Code)
				}
			})
		}
		group.Wait()
		if took := time.Since(start); took != latency {
			t.Errorf("eight concurrent requests took %v, want %v", took, latency)
		}
		if got := bitbucket.MaxInFlight(); got != 8 {
			t.Errorf("got %d requests in flight, want 8", got)
		}
		bitbucket.SetLatency(0)
		bitbucket.ForgetRequests()
		for range 3 {
			serveDirectly(bitbucket, newRequest(t.Context(), "GET", keys))
		}
		if got := bitbucket.MaxInFlight(); got != 1 {
			t.Errorf("got %d requests in flight for consecutive requests, want 1", got)
		}
		if took := time.Since(start); took != latency {
			t.Errorf("requests without a latency took %v", took-latency)
		}
	})
}

func TestLatency_canceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bitbucket := emulator.New(acmeSeed(emulator.DeployKey{ID: 1, Key: publicKey(1)}))
		bitbucket.SetLatency(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if _, aborted := serveDirectly(bitbucket, newRequest(ctx, "DELETE", keys+"/1")); !aborted {
			t.Error("a canceled request got a reply")
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("the request ended after %v, want one minute", took)
		}
		if stored := bitbucket.DeployKeys("acme", "sandbox"); len(stored) != 1 {
			t.Errorf("a canceled request was carried out: %+v", stored)
		}
		if got := bitbucket.Requests()[0]; got.Method != "DELETE" || got.Status != 0 {
			t.Errorf("the request log has %+v", got)
		}
	})
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	now := time.Date(2026, 9, 30, 13, 7, 33, 0, time.UTC)
	s.SetClock(func() time.Time { return now })
	s.Inject(emulator.Fault{Status: 503, Skip: 1, Times: 1})
	s.SetRateLimit(emulator.RateLimit{
		Requests: 1,
		Until:    now.Add(time.Minute),
		Header:   http.Header{"Retry-After": {"60"}, "X-RateLimit-Limit": {"1000"}, "content-type": {"text/plain; charset=utf-8"}},
	})
	if got := s.send(t, "GET", keys, ""); got.status != 200 {
		t.Errorf("got status %d for the last request in the window, want 200", got.status)
	}
	for _, path := range []string{keys, tokenPath} {
		got := s.send(t, "POST", path, input(t, publicKey(1), ""))
		if got.status != 429 || got.body != "Rate limit for this resource has been exceeded" ||
			got.header.Get("Retry-After") != "60" || got.header.Get("X-RateLimit-Limit") != "1000" ||
			got.header.Get("X-Request-Count") != "447" || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("got %+v", got)
		}
	}
	now = now.Add(time.Minute)
	// The fault skips one request. The requests that the rate limit rejected must not
	// count for the fault.
	for _, want := range []int{503, 200, 200} {
		if got := s.send(t, "GET", keys, ""); got.status != want {
			t.Errorf("got status %d after the window, want %d", got.status, want)
		}
	}
	if stored := s.DeployKeys("acme", "sandbox"); len(stored) != 0 {
		t.Errorf("a rejected request was carried out: %+v", stored)
	}
}

func TestRestoreRateLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SetRateLimit(emulator.RateLimit{})
	for range 2 {
		got := s.send(t, "GET", keys, "")
		if got.status != 429 || got.header.Get("Retry-After") != "" || got.header.Get("Content-Type") != "text/plain" {
			t.Errorf("got %+v", got)
		}
	}
	s.RestoreRateLimit()
	if got := s.send(t, "GET", keys, ""); got.status != 200 {
		t.Errorf("got status %d after RestoreRateLimit, want 200", got.status)
	}
}

func TestNearLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddDeployKey("acme", "sandbox", publicKey(1), "")
	s.SetNearLimit(true)
	for method, path := range map[string]string{"GET": keys, "POST": keys, "DELETE": keys + "/10958984"} {
		got := s.send(t, method, path, "")
		if got.header.Get("X-RateLimit-Limit") != "1000" || got.header.Get("X-RateLimit-NearLimit") != "true" {
			t.Errorf("%s %s: %+v", method, path, got)
		}
	}
	s.SetNearLimit(false)
	if got := s.send(t, "GET", keys, ""); got.header.Get("X-RateLimit-NearLimit") != "" {
		t.Errorf("got %+v", got)
	}
}

func TestMaxInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bitbucket := emulator.New(acmeSeed())
		if got := bitbucket.MaxInFlight(); got != 0 {
			t.Errorf("got %d requests in flight before the first request, want 0", got)
		}
		bitbucket.Inject(emulator.Fault{Hang: true, Times: 1})
		ctx, cancel := context.WithCancel(t.Context())
		aborted := make(chan bool)
		go func() {
			_, ended := serveDirectly(bitbucket, newRequest(ctx, "GET", keys))
			aborted <- ended
		}()
		synctest.Wait()
		bitbucket.ForgetRequests() // The hanging request stays in flight.
		for range 2 {
			serveDirectly(bitbucket, newRequest(t.Context(), "GET", keys))
		}
		if got := bitbucket.MaxInFlight(); got != 2 {
			t.Errorf("got %d requests in flight, want 2", got)
		}
		cancel()
		if !<-aborted {
			t.Error("a hanging request got a reply")
		}
		bitbucket.ForgetRequests()
		if got := bitbucket.MaxInFlight(); got != 0 {
			t.Errorf("got %d requests in flight after all requests ended, want 0", got)
		}
	})
}
