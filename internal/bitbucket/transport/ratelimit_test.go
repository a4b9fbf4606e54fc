package transport

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// limitedAPI refuses requests until a given time. Each reply takes 80 ms.
type limitedAPI struct {
	mu       sync.Mutex
	begun    time.Time
	until    time.Time
	headers  []string
	requests []time.Duration
	refused  int
	inFlight int
	most     int
}

func newLimitedAPI(d time.Duration, headers ...string) *limitedAPI {
	now := time.Now()
	return &limitedAPI{begun: now, until: now.Add(d), headers: headers}
}

func (l *limitedAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.requests = append(l.requests, time.Since(l.begun))
	l.inFlight++
	l.most = max(l.most, l.inFlight)
	limited := time.Now().Before(l.until)
	if limited {
		l.refused++
	}
	l.mu.Unlock()
	<-time.After(80 * time.Millisecond)
	l.mu.Lock()
	l.inFlight--
	l.mu.Unlock()
	if limited {
		httpfake.Reply(429, "Rate limit for this resource has been exceeded", l.headers...)(w, r)
		return
	}
	httpfake.Reply(200, item)(w, r)
}

// atOnce sends n requests at the same time and returns their errors.
func atOnce(ctx context.Context, c testClient, n int) []error {
	errs := make([]error, n)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() { errs[i] = calls["GET"].send(ctx, c) })
	}
	done.Wait()
	return errs
}

func failures(errs []error) int {
	count := 0
	for _, err := range errs {
		if err != nil {
			count++
		}
	}
	return count
}

// Requests that are refused at the same time all wait as long as Bitbucket requests. Then
// one request probes.
func TestRateLimiter_namedTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimitedAPI(30*time.Second, "Retry-After: 30")
		if errs := atOnce(t.Context(), newInMemoryClient(t, l), 50); failures(errs) > 0 {
			t.Fatalf("got %v", errs)
		}
		// Ten requests were in flight when the first refusal arrived. No other request was
		// sent.
		if l.refused != 10 {
			t.Errorf("%d requests were refused, want 10", l.refused)
		}
		if len(l.requests) != 60 {
			t.Fatalf("%d requests, want 60", len(l.requests))
		}
		probe, next := l.requests[10], l.requests[11]
		if probe < 30*time.Second || probe > 31*time.Second || next < probe+80*time.Millisecond {
			t.Errorf("the probe was sent after %v, the next after %v", probe, next)
		}
	})
}

// If Bitbucket requests no wait, the waits grow. Only the probes are refused again.
func TestRateLimiter_growingWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimitedAPI(25 * time.Second)
		if errs := atOnce(t.Context(), newInMemoryClient(t, l, withRetries(20)), 50); failures(errs) > 0 {
			t.Fatalf("got %v", errs)
		}
		probes := l.refused - 10
		if probes < 3 || probes > 6 {
			t.Errorf("%d probes were refused at %v", probes, l.requests[10:])
		}
		for i := 11; i < 10+probes; i++ {
			if wait, before := l.requests[i]-l.requests[i-1], l.requests[i-1]-l.requests[i-2]; i > 11 && wait < before/2 {
				t.Errorf("the waits shrink: %v", l.requests[:i+1])
			}
		}
	})
}

// A growing wait takes at most a minute.
func TestRateLimiter_longestStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimitedAPI(24 * time.Hour)
		c := newInMemoryClient(t, l, withRetries(12), func(o *Options) { o.MaxRateLimitWait = time.Hour })
		if err := calls["GET"].send(t.Context(), c); !hasStatus(err, 429) {
			t.Errorf("got error %v, want a 429", err)
		}
		if len(l.requests) != 13 {
			t.Fatalf("%d requests, want 13", len(l.requests))
		}
		for i := 8; i < len(l.requests); i++ {
			if wait := l.requests[i] - l.requests[i-1] - 80*time.Millisecond; wait < maxCooldownStep/2 || wait > maxCooldownStep {
				t.Errorf("wait %d took %v, want 30 s to a minute", i, wait)
			}
		}
	})
}

func TestRateLimiter_bounds(t *testing.T) {
	t.Parallel()
	wait := func(d time.Duration) func(*Options) { return func(o *Options) { o.MaxRateLimitWait = d } }
	for name, tc := range map[string]struct {
		headers []string
		options []func(*Options)
		// The waits may take up to the limit. The last probe is sent after the waits.
		from, upTo time.Duration
	}{
		"named time is too late": {[]string{"Retry-After: 3600", "X-RateLimit-Limit: 1000"}, nil, 80 * time.Millisecond, 80 * time.Millisecond},
		"no waiting":             {[]string{"Retry-After: 1"}, []func(*Options){wait(0)}, 80 * time.Millisecond, 400 * time.Millisecond},
		"retries":                {nil, []func(*Options){withRetries(2)}, time.Second, 10*time.Minute + 2*time.Second},
		"all the waits together": {nil, []func(*Options){withRetries(20), wait(2 * time.Minute)}, time.Minute, 2*time.Minute + 2*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimitedAPI(24*time.Hour, tc.headers...)
				c := newInMemoryClient(t, l, tc.options...)
				start := time.Now()
				errs := atOnce(t.Context(), c, 12)
				if took := time.Since(start); took < tc.from || took > tc.upTo {
					t.Errorf("took %v, want %v to %v", took, tc.from, tc.upTo)
				}
				for _, err := range errs {
					limit := c.RateLimit()
					blocked, ok := errors.AsType[*RateLimitError](err)
					if ok {
						limit = blocked.RateLimit
						if want := "the rate limit was reached by another request"; blocked.Error() != want {
							t.Errorf("got %v, want %s", blocked, want)
						}
					}
					if _, maybeDone := outcome(t, err); !ok && !hasStatus(err, 429) || maybeDone || limit.Requests == 0 {
						t.Errorf("got %v with MaybeDone %t and limit %+v", err, maybeDone, limit)
					}
					if name == "named time is too late" && (limit.Limit != "1000" || !limit.Until.Equal(start.Add(time.Hour+80*time.Millisecond))) {
						t.Errorf("got limit %+v", limit)
					}
				}
			})
		})
	}
}

// RateLimit counts the requests that were sent. Until is set only while requests are
// blocked.
func TestTransport_rateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newInMemoryClient(t, httpfake.NewScript(t,
			httpfake.Reply(200, item),
			httpfake.Reply(429, "", "Retry-After: 60", "X-RateLimit-Limit: 1000\x1b"),
			httpfake.Reply(200, item),
		))
		expect := func(want RateLimit) {
			t.Helper()
			if got := c.RateLimit(); got.Limit != want.Limit || got.Requests != want.Requests || !got.Until.Equal(want.Until) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		expect(RateLimit{})
		if err := calls["GET"].send(t.Context(), c); err != nil {
			t.Error(err)
		}
		expect(RateLimit{Requests: 1})
		start := time.Now()
		var done sync.WaitGroup
		done.Go(func() {
			if err := calls["GET"].send(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // Wait until the request is refused and waits.
		expect(RateLimit{Limit: "1000", Requests: 2, Until: start.Add(time.Minute)})
		done.Wait()
		expect(RateLimit{Limit: "1000", Requests: 3})
	})
}

// A cooldown ends even if it was too long for requests to wait.
func TestRateLimiter_opensAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimitedAPI(time.Hour, "Retry-After: 3600")
		c := newInMemoryClient(t, l)
		if errs := atOnce(t.Context(), c, 3); failures(errs) != 3 {
			t.Errorf("got %v", errs)
		}
		<-time.After(time.Hour)
		if errs := atOnce(t.Context(), c, 30); failures(errs) > 0 {
			t.Errorf("got %v", errs)
		}
	})
}

// If a probe is canceled or gets no reply, another request becomes the probe.
func TestRateLimiter_probeIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var requests atomic.Int32
		c := newInMemoryClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch requests.Add(1) {
			case 1:
				httpfake.Reply(429, "", "Retry-After: 5")(w, r)
			case 2:
				<-r.Context().Done() // The probe.
			default:
				httpfake.Reply(200, item)(w, r)
			}
		}))
		ctx, cancel := context.WithCancel(t.Context())
		var first error
		var done sync.WaitGroup
		done.Go(func() { first = calls["GET"].send(ctx, c) })
		synctest.Wait()
		<-time.After(6 * time.Second)
		if requests.Load() != 2 {
			t.Fatalf("%d requests", requests.Load())
		}
		var others []error
		done.Go(func() { others = atOnce(t.Context(), c, 5) })
		synctest.Wait()
		if requests.Load() != 2 {
			t.Errorf("the other requests do not wait for the probe")
		}
		cancel()
		done.Wait()
		if !errors.Is(first, context.Canceled) || failures(others) > 0 {
			t.Errorf("got %v and %v", first, others)
		}
	})
}

// A probe without a reply does not unblock the other requests. The next request becomes the
// only probe.
func TestRateLimiter_probeIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Time
		c := newInMemoryClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			at = append(at, time.Now())
			n := len(at)
			mu.Unlock()
			switch n {
			case 1:
				httpfake.Reply(429, "", "Retry-After: 5")(w, r)
			case 2:
				httpfake.Cut(w, r)
			case 3:
				<-time.After(time.Minute)
				fallthrough
			default:
				httpfake.Reply(200, item)(w, r)
			}
		}))
		var done sync.WaitGroup
		done.Go(func() {
			if errs := atOnce(t.Context(), c, 1); failures(errs) > 0 {
				t.Error(errs)
			}
		})
		synctest.Wait() // Wait until requests are blocked.
		if errs := atOnce(t.Context(), c, 5); failures(errs) > 0 {
			t.Error(errs)
		}
		done.Wait()
		if len(at) != 8 {
			t.Fatalf("%d requests, want 8", len(at))
		}
		if alone := at[3].Sub(at[2]); alone < time.Minute {
			t.Errorf("the second probe was alone for %v, want a minute", alone)
		}
	})
}

func TestRateLimiter_stopEndsWaitAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimitedAPI(time.Hour, "Retry-After: 300")
		c := newInMemoryClient(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		var errs []error
		var done sync.WaitGroup
		done.Go(func() { errs = atOnce(ctx, c, 20) })
		<-time.After(time.Minute)
		start := time.Now()
		cancel()
		done.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
		for _, err := range errs {
			if _, maybeDone := outcome(t, err); !errors.Is(err, context.Canceled) || maybeDone {
				t.Errorf("got %v with MaybeDone %v", err, maybeDone)
			}
		}
	})
}

func TestRateLimiter_inFlight(t *testing.T) {
	t.Parallel()
	for want, options := range map[int][]func(*Options){
		10: nil,
		1:  {func(o *Options) { o.MaxConcurrentRequests = 1 }},
		3:  {func(o *Options) { o.MaxConcurrentRequests = 3 }},
	} {
		t.Run(strconv.Itoa(want), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimitedAPI(0)
				c := newInMemoryClient(t, l, options...)
				if errs := atOnce(t.Context(), c, 40); failures(errs) > 0 {
					t.Error(errs)
				}
				if l.most != want || c.MaxConcurrentRequests() != want {
					t.Errorf("%d requests were in flight at once, and %d are allowed, want %d", l.most, c.MaxConcurrentRequests(), want)
				}
			})
		})
	}
}

// A request that waits for a free slot ends when its caller stops. It is then not sent.
func TestRateLimiter_stoppedWithoutSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newInMemoryClient(t, newLimitedAPI(0), func(o *Options) { o.MaxConcurrentRequests = 1 })
		var done sync.WaitGroup
		done.Go(func() {
			if err := calls["GET"].send(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		for method, call := range calls {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			err := call.send(ctx, c)
			if _, maybeDone := outcome(t, err); !errors.Is(err, context.DeadlineExceeded) || maybeDone {
				t.Errorf("%s: got error %v with MaybeDone %t", method, err, maybeDone)
			}
			cancel()
		}
		done.Wait()
	})
}

// A request is not sent after its caller has stopped, even if a slot is free and requests
// are not blocked. A write that was sent would not be canceled.
func TestRateLimiter_stoppedBeforeSending(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	probe, err := newRateLimiter(nil, time.Second, Options{}).admit(ctx)
	if _, notSent := errors.AsType[notSentError](err); !notSent || probe || !errors.Is(err, context.Canceled) {
		t.Errorf("got %t, %v", probe, err)
	}
}

// The request for an access token must not wait for the request that needs the token, even
// if only one request may be in flight.
func TestRateLimiter_tokenPassesToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := httpfake.NewScript(t, httpfake.Reply(200, `{"access_token": "t", "expires_in": 7200}`))
		c := newInMemoryClient(t, withTokens(tokens, httpfake.Reply(200, item)), func(o *Options) {
			o.MaxConcurrentRequests = 1
			o.Credentials = OAuthConsumer{ID: "id", Secret: "secret"}
		})
		if errs := atOnce(t.Context(), c, 20); failures(errs) > 0 {
			t.Error(errs)
		}
		if got := c.RateLimit().Requests; got != 21 {
			t.Errorf("%d requests were counted, want 21", got)
		}
	})
}

// A long wait is reported once, and only if requests wait for its end.
func TestRateLimiter_reportsLongWaits(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]int{"Retry-After: 9": 0, "Retry-After: 11": 1, "Retry-After: 3600": 0} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, reported := time.Now(), 0
				l := newLimitedAPI(11*time.Second, header, "X-RateLimit-Limit: 60, 60;w=3600")
				c := newInMemoryClient(t, l, func(o *Options) {
					o.OnRateLimitWait = func(_ context.Context, until time.Time, limit string) {
						reported++
						if limit != "60, 60;w=3600" || until.Sub(start) < 11*time.Second {
							t.Errorf("reported %q until %v", limit, until.Sub(start))
						}
					}
				})
				atOnce(t.Context(), c, 20)
				if reported != want {
					t.Errorf("reported %d times, want %d", reported, want)
				}
			})
		})
	}
}

func TestNearLimit(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"true": true, "True": true, "false": false, "": false} {
		c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, item, "X-RateLimit-NearLimit: "+value), httpfake.Reply(200, item)))
		if errs := atOnce(t.Context(), c, 2); failures(errs) > 0 {
			t.Error(errs)
		}
		if c.NearLimit() != want {
			t.Errorf("%q: near limit is %v", value, c.NearLimit())
		}
	}
}
