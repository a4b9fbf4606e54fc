package bitbucket

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
)

// limiter plays a Bitbucket that refuses requests until a time.
type limiter struct {
	mu       sync.Mutex
	begun    time.Time
	until    time.Time
	headers  []string
	requests []time.Duration
	refused  int
	inFlight int
	most     int
}

func newLimiter(d time.Duration, headers ...string) *limiter {
	now := time.Now()
	return &limiter{begun: now, until: now.Add(d), headers: headers}
}

func (l *limiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
		answer(429, "Rate limit for this resource has been exceeded", l.headers...)(w, r)
		return
	}
	answer(200, oneKey)(w, r)
}

// atOnce sends n requests for different keys and returns their errors.
func atOnce(ctx context.Context, c *Client, n int) []error {
	errs := make([]error, n)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() { _, errs[i] = c.FindDeployKey(ctx, repository, 1234) })
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

// What is refused together waits together, until the time that is named; then
// one request goes first.
func TestGate_namedTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(30*time.Second, "Retry-After: 30")
		c := newInMemoryClient(t, l)
		if errs := atOnce(t.Context(), c, 50); failures(errs) > 0 {
			t.Fatalf("got %v", errs)
		}
		// Ten were in flight when the first refusal came; nobody else was sent.
		if l.refused != 10 {
			t.Errorf("%d requests were refused, want 10", l.refused)
		}
		if len(l.requests) != 60 {
			t.Errorf("%d requests, want 60", len(l.requests))
		}
		probe, next := l.requests[10], l.requests[11]
		if probe < 30*time.Second || probe > 31*time.Second || next < probe+80*time.Millisecond {
			t.Errorf("the probe was sent after %v, the next after %v", probe, next)
		}
	})
}

// Without a time the waits grow, and only the probe is refused again.
func TestGate_growingWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(25 * time.Second)
		c := newInMemoryClient(t, l, withRetries(20))
		if errs := atOnce(t.Context(), c, 50); failures(errs) > 0 {
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

func TestGate_bounds(t *testing.T) {
	t.Parallel()
	wait := func(d time.Duration) func(*Options) { return func(o *Options) { o.MaxRateLimitWait = d } }
	for name, tc := range map[string]struct {
		headers []string
		options []func(*Options)
		// The waits may take up to the limit, and the last probe comes after them.
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
				l := newLimiter(24*time.Hour, tc.headers...)
				c := newInMemoryClient(t, l, tc.options...)
				start := time.Now()
				errs := atOnce(t.Context(), c, 12)
				if took := time.Since(start); took < tc.from || took > tc.upTo {
					t.Errorf("took %v, want %v to %v", took, tc.from, tc.upTo)
				}
				for _, err := range errs {
					e := asError(t, err)
					if !HasStatus(err, 429) || e.Path != keyPath || e.Lost || e.RateLimit == nil || e.RateLimit.Requests == 0 {
						t.Errorf("got %#v", e)
					}
					if name == "named time is too late" && (e.RateLimit.Limit != "1000" || !e.RateLimit.Until.Equal(start.Add(time.Hour+80*time.Millisecond))) {
						t.Errorf("got limit %+v", e.RateLimit)
					}
				}
			})
		})
	}
}

// What was refused for good does not stand in the way for ever.
func TestGate_opensAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(time.Hour, "Retry-After: 3600")
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

// A probe that is given up, or gets no answer, leaves its place to another.
func TestGate_probeIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var requests atomic.Int32
		api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch requests.Add(1) {
			case 1:
				answer(429, "", "Retry-After: 5")(w, r)
			case 2:
				<-r.Context().Done() // The probe.
			default:
				answer(200, oneKey)(w, r)
			}
		})
		c := newInMemoryClient(t, api)
		ctx, cancel := context.WithCancel(t.Context())
		var first error
		var done sync.WaitGroup
		done.Go(func() { _, first = c.FindDeployKey(ctx, repository, 1234) })
		synctest.Wait()
		<-time.After(6 * time.Second)
		if requests.Load() != 2 {
			t.Fatalf("%d requests", requests.Load())
		}
		var others []error
		done.Go(func() { others = atOnce(t.Context(), c, 5) })
		synctest.Wait()
		if requests.Load() != 2 {
			t.Errorf("others do not wait for the probe")
		}
		cancel()
		done.Wait()
		if !errors.Is(first, context.Canceled) || failures(others) > 0 {
			t.Errorf("got %v and %v", first, others)
		}
	})
}

func TestGate_cancelEndsWaitAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(time.Hour, "Retry-After: 300")
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
			t.Errorf("it took %v", took)
		}
		for _, err := range errs {
			if e := asError(t, err); !errors.Is(err, context.Canceled) || e.Lost {
				t.Errorf("got %v with Lost %v", err, e.Lost)
			}
		}
	})
}

func TestGate_inFlight(t *testing.T) {
	t.Parallel()
	for want, options := range map[int][]func(*Options){
		10: nil,
		1:  {func(o *Options) { o.MaxConcurrentRequests = 1 }},
		3:  {func(o *Options) { o.MaxConcurrentRequests = 3 }},
	} {
		t.Run(strconv.Itoa(want), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(0)
				if errs := atOnce(t.Context(), newInMemoryClient(t, l, options...), 40); failures(errs) > 0 {
					t.Error(errs)
				}
				if l.most != want {
					t.Errorf("%d requests were in flight at once, want %d", l.most, want)
				}
			})
		})
	}
}

// With one request at a time, one that needs an access token first must not
// wait for itself.
func TestGate_tokenPassesToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		token := answer(200, `{"access_token": "t", "expires_in": 7200}`)
		api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == tokenPath {
				token(w, r)
				return
			}
			answer(200, oneKey)(w, r)
		})
		c := newInMemoryClient(t, api, func(o *Options) {
			o.MaxConcurrentRequests = 1
			o.Credentials = Consumer{ID: "id", Secret: "secret"}
		})
		if errs := atOnce(t.Context(), c, 20); failures(errs) > 0 {
			t.Error(errs)
		}
	})
}

// A person is told of a long wait, once, and only if it is waited for.
func TestGate_tellsOfLongWaits(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]int{"Retry-After: 9": 0, "Retry-After: 11": 1, "Retry-After: 3600": 0} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, told := time.Now(), 0
				l := newLimiter(11*time.Second, header, "X-RateLimit-Limit: 60, 60;w=3600")
				c := newInMemoryClient(t, l, func(o *Options) {
					o.OnRateLimitWait = func(_ context.Context, until time.Time, limit string) {
						told++
						if limit != "60, 60;w=3600" || until.Sub(start) < 11*time.Second {
							t.Errorf("told of %q until %v", limit, until.Sub(start))
						}
					}
				})
				atOnce(t.Context(), c, 20)
				if told != want {
					t.Errorf("told %d times, want %d", told, want)
				}
			})
		})
	}
}

func TestNearLimit(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"true": true, "false": false, "": false} {
		c := newTestClient(t, answers(t, answer(200, oneKey, "X-RateLimit-NearLimit: "+value), answer(200, oneKey)))
		if errs := atOnce(t.Context(), c, 2); failures(errs) > 0 {
			t.Error(errs)
		}
		if c.NearLimit() != want {
			t.Errorf("%q: near limit is %v", value, c.NearLimit())
		}
	}
}
