package bitbucket

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// store plays a repository of many keys in memory, with pages of 100. What is
// asked of it is counted, and a request for something that is being asked for
// already is an error.
type store struct {
	t *testing.T
	// delay is how long each answer takes.
	delay time.Duration

	mu       sync.Mutex
	ids      []int64
	lines    []string
	inFlight map[string]bool
	// cancels allows a second request while the first one is being cancelled.
	cancels bool
	// answer takes the place of the store's own answer unless it returns nil.
	answer func(line string) http.HandlerFunc
}

func newStore(t *testing.T, keys int) *store {
	s := &store{t: t, delay: 80 * time.Millisecond, inFlight: map[string]bool{}}
	for id := range keys {
		s.ids = append(s.ids, int64(id+1))
	}
	return s
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line := r.Method + " " + strings.TrimPrefix(r.RequestURI, keysPath)
	s.mu.Lock()
	s.lines = append(s.lines, line)
	if s.inFlight[line] && !s.cancels {
		s.t.Errorf("%s is asked for twice at once", line)
	}
	s.inFlight[line] = true
	instead := s.answer
	s.mu.Unlock()
	timer := time.NewTimer(s.delay)
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
	s.mu.Lock()
	delete(s.inFlight, line)
	ids := slices.Clone(s.ids)
	s.mu.Unlock()
	if instead != nil {
		if handler := instead(line); handler != nil {
			handler(w, r)
			return
		}
	}
	if id, err := strconv.ParseInt(strings.TrimPrefix(line, "GET /"), 10, 64); err == nil {
		if !slices.Contains(ids, id) {
			answer(404, `{"error": {"message": "no such key"}}`)(w, r)
			return
		}
		answer(200, fmt.Sprintf(`{"id": %d, "key": %q}`, id, keyLine))(w, r)
		return
	}
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	from := 100 * max(number-1, 0)
	next := ""
	if len(ids) > from+100 {
		next = fmt.Sprintf("ORIGIN%s?pagelen=100&page=%d", keysPath, max(number, 1)+1)
	}
	pageOf(next, ids[min(from, len(ids)):min(from+100, len(ids))]...)(w, r)
}

// asked returns the requests since the last call.
func (s *store) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.lines
	s.lines = nil
	return lines
}

// readAll reads keys, at most ten at a time as Terraform does, and returns how
// many turned out to be gone.
func readAll(t *testing.T, c *Client, ids []int64) (gone int) {
	t.Helper()
	var done sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, 10)
	for _, id := range ids {
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			key, err := c.DeployKey(t.Context(), repository, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, ErrDeployKeyGone):
				gone++
			case err != nil:
				t.Errorf("key %d: %v", id, err)
			case key.ID != id:
				t.Errorf("asked for key %d, got %d", id, key.ID)
			}
		})
	}
	done.Wait()
	return gone
}

// The promise: for up to two keys one request more than keys, for any number two
// more than pages, and one for each key that is gone.
func TestDeployKey_cost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ keys, read int }{
		{1, 1},
		{10, 10},
		{99, 40},
		{100, 100},
		{101, 101},
		{250, 1},
		{250, 2},
		{250, 3},
		{250, 250},
		{1000, 1},
		{1000, 2},
		{1000, 3},
		{1000, 10},
		{1000, 300},
		{1000, 1000},
	} {
		for _, missing := range []int{0, 1, 5} {
			for _, order := range []string{"rising", "falling", "random"} {
				t.Run(fmt.Sprintf("%d of %d, %d gone, %s", tc.read, tc.keys, missing, order), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						s := newStore(t, tc.keys)
						c := newInMemoryClient(t, s)
						ids := slices.Clone(s.ids)
						rand.New(rand.NewPCG(uint64(tc.keys), uint64(tc.read))).Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
						ids = ids[:tc.read]
						for i := range missing {
							ids = append(ids, int64(1_000_000+i))
						}
						switch order {
						case "rising":
							slices.Sort(ids)
						case "falling":
							slices.Sort(ids)
							slices.Reverse(ids)
						}
						if gone := readAll(t, c, ids); gone != missing {
							t.Errorf("%d keys are gone, want %d", gone, missing)
						}
						read, pages := tc.read+missing, max(1, (tc.keys+99)/100)
						most := pages + 2 + missing
						if read <= 2 {
							most = min(most, read+1+missing)
						}
						if lines := s.asked(); len(lines) > most {
							t.Errorf("%d requests, want at most %d: %v", len(lines), most, lines)
						}
					})
				})
			}
		}
	}
}

// Keys of one page cost one request, however they are read.
func TestDeployKey_onePage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 100)
		c := newInMemoryClient(t, s)
		readAll(t, c, s.ids)
		readAll(t, c, append(s.ids, s.ids...))
		if keys, err := c.DeployKeys(t.Context(), repository); err != nil || len(keys) != 100 {
			t.Errorf("got %d keys, %v", len(keys), err)
		}
		if _, err := c.DeployKey(t.Context(), Place{Workspace: "MLEU", Repository: "Test"}, 7); err != nil {
			t.Error(err)
		}
		if lines := s.asked(); len(lines) != 1 {
			t.Errorf("asked for %v", lines)
		}
	})
}

// A key that was asked for by itself is in the list all the same, in its place.
func TestDeployKeys_afterSingleKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 250)
		c := newInMemoryClient(t, s)
		readAll(t, c, []int64{150})
		keys, err := c.DeployKeys(t.Context(), repository)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, key := range keys {
			ids = append(ids, key.ID)
		}
		if !slices.Equal(ids, s.ids) {
			t.Errorf("got %d keys, want 250 in order", len(ids))
		}
	})
}

// What one read does with a key is no business of another.
func TestDeployKey_returnsCopies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newInMemoryClient(t, newStore(t, 1))
		for range 2 {
			key, err := c.DeployKey(t.Context(), repository, 1)
			if err != nil || key.Label != "" {
				t.Fatalf("got %+v, %v", key, err)
			}
			key.Label = "changed"
		}
	})
}

func TestDeployKey_listingIsForgotten(t *testing.T) {
	t.Parallel()
	read := func(t *testing.T, c *Client) {
		t.Helper()
		if _, err := c.DeployKey(t.Context(), repository, 1); err != nil {
			t.Error(err)
		}
	}
	byUUID := Place{Workspace: "mleu", Repository: "{85d08b4e-571d-44e9-a507-fa476535aa98}"}
	for name, tc := range map[string]struct {
		between func(context.Context, *Client) error
		again   bool
	}{
		"nothing":      {func(context.Context, *Client) error { return nil }, false},
		"five minutes": {func(context.Context, *Client) error { <-time.After(5*time.Minute + time.Second); return nil }, true},
		"almost":       {func(context.Context, *Client) error { <-time.After(4 * time.Minute); return nil }, false},
		"create": {func(ctx context.Context, c *Client) error {
			_, err := c.CreateDeployKey(ctx, repository, DeployKeyInput{Key: keyLine})
			return err
		}, true},
		"update": {func(ctx context.Context, c *Client) error {
			_, err := c.UpdateDeployKey(ctx, repository, 1234, input)
			return err
		}, true},
		"delete": {func(ctx context.Context, c *Client) error { return c.DeleteDeployKey(ctx, repository, 1234) }, true},
		"a write that fails": {func(ctx context.Context, c *Client) error {
			if _, err := c.UpdateDeployKey(ctx, repository, 403, DeployKeyInput{}); err == nil {
				return errors.New("it did not fail")
			}
			return nil
		}, true},
		"a write under the UUID": {func(ctx context.Context, c *Client) error {
			_, err := c.CreateDeployKey(ctx, byUUID, DeployKeyInput{Key: keyLine})
			return err
		}, true},
		"a write in capitals": {func(ctx context.Context, c *Client) error {
			_, err := c.CreateDeployKey(ctx, Place{Workspace: "MLEU", Repository: "TEST"}, DeployKeyInput{Key: keyLine})
			return err
		}, true},
		"a write elsewhere": {func(ctx context.Context, c *Client) error {
			_, err := c.CreateDeployKey(ctx, Place{Workspace: "mleu", Repository: "other"}, DeployKeyInput{Key: keyLine})
			return err
		}, false},
		"a write in another workspace": {func(ctx context.Context, c *Client) error {
			_, err := c.CreateDeployKey(ctx, Place{Workspace: "other", Repository: "test"}, DeployKeyInput{Key: keyLine})
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t, 3)
				s.answer = func(line string) http.HandlerFunc {
					switch method, rest, _ := strings.Cut(line, " "); {
					case rest == "/403":
						return answer(403, "")
					case method == "DELETE":
						return answer(204, "")
					case method != "GET":
						return answer(200, oneKey)
					}
					return nil
				}
				c := newInMemoryClient(t, s)
				read(t, c)
				if err := tc.between(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				s.asked()
				read(t, c)
				if again := len(s.asked()) > 0; again != tc.again {
					t.Errorf("listed again: %v, want %v", again, tc.again)
				}
			})
		})
	}
}

// A listing that a write overtakes is not used for reads that come after it.
func TestDeployKey_writeOvertakesListing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 3)
		s.answer = func(line string) http.HandlerFunc {
			if strings.HasPrefix(line, "POST") {
				return answer(200, oneKey)
			}
			return nil
		}
		s.cancels = true // Nothing is, but a second copy is right this time.
		c := newInMemoryClient(t, s)
		var done sync.WaitGroup
		done.Go(func() { readAll(t, c, []int64{1}) })
		synctest.Wait() // The list is under way.
		c.listings.drop(repository)
		done.Go(func() {
			readAll(t, c, []int64{2})
		})
		done.Wait()
		if lines := s.asked(); len(lines) != 2 {
			t.Errorf("asked for %v, want the list twice", lines)
		}
	})
}

// A listing that fails fails every read that waits for it, and no other.
func TestDeployKey_listingFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		check   func(error) bool
	}{
		"403":     {answer(403, `{"error": {"message": "Forbidden"}}`), func(err error) bool { return HasStatus(err, 403) }},
		"404":     {answer(404, `{"error": {"message": "no repository"}}`), IsNotFound},
		"429":     {answer(429, "Rate limit"), func(err error) bool { return HasStatus(err, 429) }},
		"500":     {answer(500, ""), func(err error) bool { return HasStatus(err, 500) }},
		"no list": {answer(200, "{}"), func(err error) bool { return errors.Is(err, ErrUnusable) }},
		"html":    {answer(200, "<html>"), func(err error) bool { return errors.Is(err, ErrUnusable) }},
		"other host": {
			answer(200, `{"values": [], "next": "https://example.com/"}`),
			func(err error) bool { return errors.Is(err, ErrUnusable) },
		},
	} {
		for _, failing := range []string{"GET ?pagelen=100", "GET ?pagelen=100&page=2"} {
			t.Run(name+" "+failing, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newStore(t, 150)
					s.answer = func(line string) http.HandlerFunc {
						if line == failing {
							return tc.handler
						}
						return nil
					}
					c := newInMemoryClient(t, s, withRetries(1))
					results := make([]error, 10)
					var done sync.WaitGroup
					for i := range results {
						done.Go(func() { _, results[i] = c.DeployKey(t.Context(), repository, int64(141+i)) })
					}
					done.Wait()
					failed := 0
					for _, err := range results {
						if tc.check(err) {
							failed++
						} else if err != nil {
							t.Errorf("got %v", err)
						}
					}
					if failed != len(results) {
						t.Errorf("%d of %d reads failed with the listing: %v", failed, len(results), results)
					}
					if _, err := c.DeployKeys(t.Context(), repository); !tc.check(err) {
						t.Errorf("all: got %v", err)
					}
					s.answer = nil
					<-time.After(time.Hour) // Past the rate limit.
					readAll(t, c, []int64{1, 150})
				})
			})
		}
	}
}

// A value that is no key says nothing of the others, which a read of one of them
// alone would not even have seen.
func TestDeployKey_oneBadValue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 3)
		s.answer = func(line string) http.HandlerFunc {
			switch line {
			case "GET ?pagelen=100":
				return answer(200, `{"values": [{"id": 1, "key": "ssh-ed25519 AAAA"}, {"id": "2"}, {"id": 3}, 4]}`)
			case "GET /3":
				return answer(200, `{"id": 3}`)
			}
			return nil
		}
		c := newInMemoryClient(t, s)
		readAll(t, c, []int64{1, 2})
		if _, err := c.DeployKey(t.Context(), repository, 3); !errors.Is(err, ErrUnusable) {
			t.Errorf("got %v", err)
		}
		if keys, err := c.DeployKeys(t.Context(), repository); keys != nil || !errors.Is(err, ErrUnusable) {
			t.Errorf("all: got %v, %v", keys, err)
		}
	})
}

// One who gives up does not take the others along, and the last one ends the
// exchange.
func TestDeployKey_cancelled(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]int64{"page": 1, "single key": 150} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t, 150)
				c := newInMemoryClient(t, s)
				if name == "single key" {
					readAll(t, c, []int64{1})
				}
				first, cancelFirst := context.WithCancel(t.Context())
				var errs [2]error
				var done sync.WaitGroup
				done.Go(func() { _, errs[0] = c.DeployKey(first, repository, id) })
				synctest.Wait()
				done.Go(func() { _, errs[1] = c.DeployKey(t.Context(), repository, id) })
				synctest.Wait()
				cancelFirst()
				done.Wait()
				if !errors.Is(errs[0], context.Canceled) || errs[1] != nil {
					t.Errorf("got %v", errs)
				}

				c.listings.drop(repository)
				if name == "single key" {
					readAll(t, c, []int64{1})
				}
				ended := 0
				s.answer = func(string) http.HandlerFunc {
					ended++
					return nil
				}
				alone, cancel := context.WithCancel(t.Context())
				done.Go(func() { _, errs[0] = c.DeployKey(alone, repository, id) })
				synctest.Wait()
				start := time.Now()
				cancel()
				synctest.Wait()
				if ended != 1 || time.Since(start) != 0 {
					t.Errorf("the request goes on although nobody waits for it")
				}
				s.answer = nil
				readAll(t, c, []int64{id}) // And does not stand in the way of the next.
				done.Wait()
			})
		})
	}
}

// Random reads, writes and cancellations: what is answered is always right.
func TestDeployKey_random(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				s := newStore(t, 1+random.IntN(350))
				s.cancels = true
				c := newInMemoryClient(t, s)
				var done sync.WaitGroup
				for range 200 {
					id := int64(1 + random.IntN(400))
					ctx, cancel := context.WithCancel(t.Context())
					var stop time.Duration
					if random.IntN(4) == 0 {
						stop = time.Duration(1+random.IntN(200)) * time.Millisecond
						time.AfterFunc(stop, cancel)
					}
					done.Go(func() {
						defer cancel()
						key, err := c.DeployKey(ctx, repository, id)
						exists := id <= int64(len(s.ids))
						switch {
						case errors.Is(err, context.Canceled) && stop > 0:
						case exists && (err != nil || key.ID != id), !exists && !errors.Is(err, ErrDeployKeyGone):
							t.Errorf("key %d of %d: got %v, %v", id, len(s.ids), key, err)
						}
					})
					<-time.After(time.Duration(random.IntN(40)) * time.Millisecond)
				}
				done.Wait()
			})
		})
	}
}

func BenchmarkDeployKey_contention(b *testing.B) {
	c, err := NewClient(Options{BaseURL: "http://localhost/2.0", Transport: inMemory{pageOf("", 1, 2, 3)}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := c.DeployKey(b.Context(), repository, 2); err != nil {
				b.Error(err)
			}
		}
	})
}

// A read may join a page at the moment that the only one who waits for it gives
// up. It asks anew.
func TestDeployKey_joinsWhatWasGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, 3)
		s.cancels = true
		c := newInMemoryClient(t, s)
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			var done sync.WaitGroup
			done.Go(func() { _, _ = c.DeployKey(ctx, repository, 1) })
			time.Sleep(10 * time.Millisecond)
			done.Go(cancel)
			done.Go(func() {
				if _, err := c.DeployKey(t.Context(), repository, 2); err != nil {
					t.Error(err)
				}
			})
			done.Wait()
			c.listings.drop(repository)
		}
	})
}
