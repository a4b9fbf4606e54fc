package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
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
		if errs := atOnce(t.Context(), newInMemoryClient(t, l, withRetries(0)), 50); failures(errs) > 0 {
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
		c := newInMemoryClient(t, l, func(o *Options) { o.MaxRateLimitWait = time.Hour })
		if err := calls["GET"].send(t.Context(), c); !hasStatus(err, 429) {
			t.Errorf("got error %v, want a 429", err)
		}
		if n := len(l.requests); n < 60 || n > 130 {
			t.Fatalf("%d requests, want one or two a minute", n)
		}
		for i := 8; i < len(l.requests)-2; i++ { // The last wait only lasts until the hour is over.
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
		// from and upTo bound how long the requests take.
		from, upTo time.Duration
		// sent is the highest number of requests.
		sent int
	}{
		"named time is too late": {[]string{"Retry-After: 3600", "X-RateLimit-Limit: 1000"}, nil, 80 * time.Millisecond, 80 * time.Millisecond, 10},
		"no waiting":             {[]string{"Retry-After: 1"}, []func(*Options){wait(0)}, 80 * time.Millisecond, 400 * time.Millisecond, 10},
		"no waiting, no time":    {nil, []func(*Options){wait(0)}, 80 * time.Millisecond, 400 * time.Millisecond, 10},
		"ten minutes":            {nil, nil, 10 * time.Minute, 10*time.Minute + 200*time.Millisecond, 40},
		"two minutes":            {nil, []func(*Options){wait(2 * time.Minute)}, 2 * time.Minute, 2*time.Minute + 200*time.Millisecond, 22},
		"without retries":        {nil, []func(*Options){withRetries(0)}, 10 * time.Minute, 10*time.Minute + 200*time.Millisecond, 40},
		"shorter than a wait":    {nil, []func(*Options){wait(time.Millisecond)}, 160 * time.Millisecond, 400 * time.Millisecond, 13},
		"named time, repeated":   {[]string{"Retry-After: 190"}, nil, 570 * time.Second, 571 * time.Second, 13},
		"tiny named time":        {[]string{"Retry-After: 0.000001"}, nil, 10 * time.Minute, 10*time.Minute + 200*time.Millisecond, 40},
		"late named time, later": {[]string{"Retry-After: 400"}, nil, 400 * time.Second, 401 * time.Second, 11},
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
				if n := len(l.requests); n > tc.sent {
					t.Errorf("%d requests, want at most %d", n, tc.sent)
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
					if len(tc.headers) == 0 && !limit.Until.IsZero() { // Bitbucket has named no time.
						t.Errorf("got limit %+v", limit)
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
	probe, err := newRateLimiter(nil, time.Second, Options{}).admit(ctx, time.Time{})
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
	for header, want := range map[string]int{"Retry-After: 9": 0, "Retry-After: 10": 0, "Retry-After: 11": 1, "Retry-After: 3600": 0} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, reported := time.Now(), 0
				l := newLimitedAPI(11*time.Second, header, "X-RateLimit-Limit: 60, 60;w=3600")
				c := newInMemoryClient(t, l, func(o *Options) {
					o.OnRateLimitWait = func(_ context.Context, wait time.Duration, limit RateLimit) {
						reported++
						if limit.Limit != "60, 60;w=3600" || wait != 11*time.Second || limit.Until.Sub(start) < 11*time.Second {
							t.Errorf("reported %v, %+v", wait, limit)
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
	for value, want := range map[string]bool{"true": true, "True": true, "1": true, "37": true, "0.5": true, "false": false, "0": false, "0.0": false, "": false, "NaN": false, "soon": false} {
		c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, item, "X-RateLimit-NearLimit: "+value), httpfake.Reply(200, item)))
		if errs := atOnce(t.Context(), c, 2); failures(errs) > 0 {
			t.Error(errs)
		}
		if c.NearLimit() != want {
			t.Errorf("%q: near limit is %v", value, c.NearLimit())
		}
	}
}

// Other requests may succeed while one request gets a 429 each time. That request must
// still end.
func TestRateLimiter_oneRequestRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refusals := 0
		c := newInMemoryClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				refusals++
				httpfake.Reply(429, "Rate limit for this resource has been exceeded")(w, r)
				return
			}
			httpfake.Reply(200, item)(w, r)
		}), func(o *Options) { o.MaxRateLimitWait = time.Minute })
		start := time.Now()
		var took time.Duration
		var done sync.WaitGroup
		done.Go(func() {
			err := calls["POST"].send(t.Context(), c)
			if took = time.Since(start); !hasStatus(err, 429) {
				t.Errorf("got error %v, want a 429", err)
			}
		})
		for range 600 {
			<-time.After(200 * time.Millisecond)
			if err := calls["GET"].send(t.Context(), c); err != nil {
				t.Error(err)
			}
		}
		done.Wait()
		if took > time.Minute+5*time.Second || refusals > 400 {
			t.Errorf("ended after %v and %d refusals", took, refusals)
		}
	})
}

// A request is sent again with its body, and a 429 is no lost reply.
func TestRateLimiter_sendsBodyAgain(t *testing.T) {
	t.Parallel()
	for method, call := range calls {
		synctest.Test(t, func(t *testing.T) {
			refused := httpfake.Reply(429, "")
			api := httpfake.NewScript(t, refused, refused, refused, httpfake.Reply(404, ""))
			status, maybeDone := outcome(t, call.send(t.Context(), newInMemoryClient(t, api, withRetries(0))))
			if status != 404 || maybeDone {
				t.Errorf("%s: got status %d with MaybeDone %t", method, status, maybeDone)
			}
			if len(api.Requests()) != 4 {
				t.Errorf("%s: %d requests, want 4", method, len(api.Requests()))
			}
			for _, sent := range api.Requests() {
				if sent.Body != string(call.content) {
					t.Errorf("%s: sent %q, want %q", method, sent.Body, call.content)
				}
			}
		})
	}
}

// A 429 does not use up the retries of other failures, and those are still bounded.
func TestRateLimiter_countsNoRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limited, failing := httpfake.Reply(429, ""), httpfake.Reply(500, "")
		api := httpfake.NewScript(t, limited, limited, failing, limited, limited, failing, limited, failing)
		if err := calls["GET"].send(t.Context(), newInMemoryClient(t, api, withRetries(2))); !hasStatus(err, 500) {
			t.Errorf("got error %v, want a 500", err)
		}
		if n := len(api.Requests()); n != 8 {
			t.Errorf("%d requests, want 8", n)
		}
	})
}

// A request whose body cannot be sent again gets its 429.
func TestRateLimiter_bodyOfOneUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := httpfake.NewScript(t, httpfake.Reply(429, ""))
		c := newInMemoryClient(t, api)
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://localhost"+itemPath, io.NopCloser(strings.NewReader(item)))
		response, err := c.limiter.RoundTrip(request)
		if err != nil || response.StatusCode != 429 {
			t.Errorf("got %v, %v, want a 429", response, err)
		} else {
			_ = response.Body.Close()
		}
	})
}

// A request in its grace period is not sent again after a 429.
func TestRateLimiter_gracePeriod(t *testing.T) {
	t.Parallel()
	ctx, cancel := WithGracePeriod(t.Context())
	defer cancel()
	api := httpfake.NewScript(t, httpfake.Reply(429, ""))
	if err := calls["GET"].send(ctx, newInMemoryClient(t, api)); !hasStatus(err, 429) {
		t.Errorf("got error %v, want a 429", err)
	}
}

// The requests for access tokens have the same bound as other requests.
func TestRateLimiter_boundsTokenRequests(t *testing.T) {
	t.Parallel()
	for longest, want := range map[time.Duration]time.Duration{0: 0, 3 * time.Minute: 3 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			c := newInMemoryClient(t, httpfake.Reply(429, ""), withRetries(0), func(o *Options) {
				o.MaxRateLimitWait = longest
				o.Credentials = OAuthConsumer{ID: "id", Secret: "secret"}
			})
			start := time.Now()
			err := calls["GET"].send(t.Context(), c)
			if _, ok := errors.AsType[*TokenError](err); !ok || time.Since(start) != want {
				t.Errorf("got error %v after %v, want no token after %v", err, time.Since(start), want)
			}
			if n := c.RateLimit().Requests; longest == 0 && n != 1 || n > 20 {
				t.Errorf("%d requests", n)
			}
		})
	}
}
