package emulator_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// sendAll sends n requests at once.
func (s server) sendAll(t *testing.T, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if _, err := s.try(t, "Bearer token", "GET", keys, ""); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestLatency(t *testing.T) {
	t.Parallel()
	const latency = time.Second
	s := newServer(t)
	s.SetLatency(latency)
	start := time.Now()
	s.sendAll(t, 8)
	if took := time.Since(start); took < latency {
		t.Errorf("eight requests at once took %v", took)
	}
	if got := s.MaxInFlight(); got != 8 {
		t.Errorf("%d were in flight at once, want 8", got)
	}
	s.SetLatency(0)
	s.ForgetRequests()
	for range 3 {
		s.send(t, "GET", keys, "")
	}
	if got := s.MaxInFlight(); got != 1 {
		t.Errorf("%d of one after the other were in flight at once", got)
	}
}

func TestLatencyEndsWithTheClient(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SetLatency(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.url+keys+"/10958984", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	s.AddDeployKey("acme", "sandbox", publicKey(1), "")
	response, err := s.client.Do(request)
	if err == nil {
		t.Errorf("answered %d, closed with %v", response.StatusCode, response.Body.Close())
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	s.SetLatency(0)
	if got := s.send(t, "GET", keys+"/10958984", ""); got.status != 200 {
		t.Errorf("a request that was given up was carried out: %d", got.status)
	}
	if got := s.Requests()[0]; got.Method != "DELETE" || got.Status != 0 {
		t.Errorf("logged %+v", got)
	}
	// The server closes only when the request that was given up has ended.
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
		t.Errorf("the last request of the window got %d", got.status)
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
	for _, want := range []int{503, 200, 200} { // The fault has waited for its turn.
		if got := s.send(t, "GET", keys, ""); got.status != want {
			t.Errorf("got %d after the window, want %d", got.status, want)
		}
	}
	if held := s.DeployKeys("acme", "sandbox"); len(held) != 0 {
		t.Errorf("a refused request was carried out: %+v", held)
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
		t.Errorf("got %d after the limit was restored", got.status)
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
	s := newServer(t)
	if got := s.MaxInFlight(); got != 0 {
		t.Errorf("%d before the first request", got)
	}
	s.Inject(emulator.Fault{Hang: true, Times: 1})
	ctx, giveUp := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+keys, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		response, err := s.client.Do(request)
		if err == nil {
			err = errors.Join(errors.New("a hanging request was answered"), response.Body.Close())
		}
		done <- err
	}()
	for len(s.Requests()) == 0 {
		time.Sleep(time.Millisecond)
	}
	s.ForgetRequests() // The one that hangs is in flight still.
	s.send(t, "GET", keys, "")
	s.send(t, "GET", keys, "")
	if got := s.MaxInFlight(); got != 2 {
		t.Errorf("%d were in flight at once, want 2", got)
	}
	giveUp()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
