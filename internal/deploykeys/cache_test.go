package deploykeys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// store is a repository with many keys, in pages of 100. It records the requests. It fails
// the test if the same request is in flight twice.
type store struct {
	t *testing.T
	// delay is how long each reply takes.
	delay time.Duration

	mu       sync.Mutex
	ids      []int64
	lines    []string
	inFlight map[string]bool
	// allowRepeated allows the same request to be in flight twice.
	allowRepeated bool
	// reply replaces the store's own reply, unless reply is nil or returns nil.
	reply func(line string) http.HandlerFunc
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
	if s.inFlight[line] && !s.allowRepeated {
		s.t.Errorf("%s is in flight twice", line)
	}
	s.inFlight[line] = true
	instead := s.reply
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
			httpfake.Reply(404, `{"error": {"message": "no such key"}}`)(w, r)
			return
		}
		httpfake.Reply(200, fmt.Sprintf(`{"id": %d, "key": %q}`, id, keyLine))(w, r)
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

// sent returns the requests since the last call.
func (s *store) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.lines
	s.lines = nil
	return lines
}

// readAll reads keys, at most ten at once as Terraform does, and returns how many are gone.
func readAll(t *testing.T, s *Service, ids []int64) (gone int) {
	t.Helper()
	var done sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, 10)
	for _, id := range ids {
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			key, err := s.Get(t.Context(), repository, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, ErrGone):
				gone++
			case err != nil:
				t.Errorf("key %d: %v", id, err)
			case key.ID != id:
				t.Errorf("got key %d, want %d", key.ID, id)
			}
		})
	}
	done.Wait()
	return gone
}

// The number of requests must not exceed the number that cache.key documents, plus one for
// each key that is gone.
func TestGet_cost(t *testing.T) {
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
						api := newStore(t, tc.keys)
						s := newTestService(t, api)
						ids := slices.Clone(api.ids)
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
						if gone := readAll(t, s, ids); gone != missing {
							t.Errorf("%d keys are gone, want %d", gone, missing)
						}
						read, pages := tc.read+missing, max(1, (tc.keys+99)/100)
						most := pages + 2 + missing
						if read <= 2 {
							most = min(most, read+1+missing)
						}
						if lines := api.sent(); len(lines) > most {
							t.Errorf("%d requests, want at most %d: %v", len(lines), most, lines)
						}
					})
				})
			}
		}
	}
}

// The first two keys that are on no page so far are requested one by one, under the name that
// works. The third one is worth a page.
func TestGet_oneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newStore(t, 250)
		s := newTestService(t, api)
		parent := repository
		parent.UUID = testUUID
		for _, id := range []int64{1, 150, 151, 152, 153, 250} {
			if key, err := s.Get(t.Context(), parent, id); err != nil || key.ID != id {
				t.Errorf("key %d: got %v, %v", id, key, err)
			}
		}
		if got, want := api.sent(), []string{"GET ?pagelen=100", "GET /150", "GET /151", "GET ?pagelen=100&page=2", "GET ?pagelen=100&page=3"}; !slices.Equal(got, want) {
			t.Errorf("got requests %v, want %v", got, want)
		}
	})
}

// After an error, the next read begins with the first page again.
func TestList_afterAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newStore(t, 150)
		s := newTestService(t, api)
		forbidden := true
		api.reply = func(line string) http.HandlerFunc {
			if forbidden && strings.Contains(line, "page=2") {
				forbidden = false
				return httpfake.Reply(403, "")
			}
			return nil
		}
		if _, err := s.List(t.Context(), repository); !bitbucket.IsForbidden(err) {
			t.Errorf("got %v", err)
		}
		api.sent()
		if listing, err := s.List(t.Context(), repository); err != nil || len(listing.Keys) != 150 {
			t.Errorf("got %d keys, %v", len(listing.Keys), err)
		}
		if got := api.sent(); len(got) != 2 {
			t.Errorf("got requests %v", got)
		}
	})
}

// All keys of one page need only one request, even if they are read one by one.
func TestGet_onePage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newStore(t, 100)
		s := newTestService(t, api)
		readAll(t, s, api.ids)
		readAll(t, s, append(api.ids, api.ids...))
		if keys, err := s.ListComplete(t.Context(), repository); err != nil || len(keys) != 100 {
			t.Errorf("got %d keys, %v", len(keys), err)
		}
		if _, err := s.Get(t.Context(), bitbucket.Parent{Workspace: "MLEU", Repository: "Test"}, 7); err != nil {
			t.Error(err)
		}
		if lines := api.sent(); len(lines) != 1 {
			t.Errorf("got requests %v", lines)
		}
	})
}

// A key that was requested by itself must have its usual position in the list.
func TestList_afterSingleKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newStore(t, 250)
		s := newTestService(t, api)
		readAll(t, s, []int64{150})
		keys, err := s.ListComplete(t.Context(), repository)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, key := range keys {
			ids = append(ids, key.ID)
		}
		if !slices.Equal(ids, api.ids) {
			t.Errorf("got %d keys, want 250 in order", len(ids))
		}
	})
}

// The keys of each page are passed on once, without a further request.
func TestOnListed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t, 150)
		s := newTestService(t, store)
		var pages []string
		s.OnListed(func(parent bitbucket.Parent, keys []bitbucket.DeployKey) {
			pages = append(pages, fmt.Sprintf("%s %d-%d", parent, keys[0].ID, keys[len(keys)-1].ID))
		})
		for range 2 {
			if _, err := s.List(t.Context(), repository); err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{"mleu/test 1-100", "mleu/test 101-150"}; !slices.Equal(pages, want) || len(store.sent()) != 2 {
			t.Errorf("got %v, want %v", pages, want)
		}
	})
}

// ListAgain returns a key that is newer than the shared listing.
func TestListAgain(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, httpfake.Page(""), httpfake.Page("", oneKey))
	s := newTestService(t, api)
	for i, list := range []func(context.Context, bitbucket.Parent) ([]bitbucket.DeployKey, error){s.ListComplete, s.ListComplete, s.ListAgain, s.ListComplete} {
		keys, err := list(t.Context(), repository)
		if want := i / 2; err != nil || len(keys) != want {
			t.Errorf("call %d returned %v, %v, want %d keys", i, keys, err, want)
		}
	}
	api.Expect(page1, page1)
}

func TestGet_listingIsForgotten(t *testing.T) {
	t.Parallel()
	read := func(t *testing.T, s *Service) {
		t.Helper()
		if _, err := s.Get(t.Context(), repository, 1); err != nil {
			t.Error(err)
		}
	}
	byUUID := bitbucket.Parent{Workspace: "mleu", Repository: testUUID}
	for name, tc := range map[string]struct {
		between func(context.Context, *Service) error
		again   bool
	}{
		"nothing":      {func(context.Context, *Service) error { return nil }, false},
		"five minutes": {func(context.Context, *Service) error { <-time.After(5*time.Minute + time.Second); return nil }, true},
		"no more":      {func(context.Context, *Service) error { <-time.After(5*time.Minute - newStore(t, 0).delay); return nil }, false},
		"almost":       {func(context.Context, *Service) error { <-time.After(4 * time.Minute); return nil }, false},
		"create": {func(ctx context.Context, s *Service) error {
			return s.Create(ctx, repository, bitbucket.DeployKeyInput{Key: keyLine}).Err
		}, true},
		"update": {func(ctx context.Context, s *Service) error {
			return s.Update(ctx, repository, 1234, input).Err
		}, true},
		"delete": {func(ctx context.Context, s *Service) error { return s.Delete(ctx, repository, 1234, keyLine).Err }, true},
		"a write that fails": {func(ctx context.Context, s *Service) error {
			if s.Update(ctx, repository, 403, bitbucket.DeployKeyInput{}).Err == nil {
				return errors.New("it did not fail")
			}
			return nil
		}, true},
		"a write under the UUID": {func(ctx context.Context, s *Service) error {
			return s.Create(ctx, byUUID, bitbucket.DeployKeyInput{Key: keyLine}).Err
		}, true},
		"a write in capitals": {func(ctx context.Context, s *Service) error {
			return s.Create(ctx, bitbucket.Parent{Workspace: "MLEU", Repository: "TEST"}, bitbucket.DeployKeyInput{Key: keyLine}).Err
		}, true},
		"a write elsewhere": {func(ctx context.Context, s *Service) error {
			return s.Create(ctx, bitbucket.Parent{Workspace: "mleu", Repository: "other"}, bitbucket.DeployKeyInput{Key: keyLine}).Err
		}, false},
		"a write in another workspace": {func(ctx context.Context, s *Service) error {
			return s.Create(ctx, bitbucket.Parent{Workspace: "other", Repository: "test"}, bitbucket.DeployKeyInput{Key: keyLine}).Err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := newStore(t, 3)
				api.reply = func(line string) http.HandlerFunc {
					switch method, rest, _ := strings.Cut(line, " "); {
					case rest == "/403":
						return httpfake.Reply(403, "")
					case method == "DELETE":
						return httpfake.Reply(204, "")
					case method != "GET":
						return httpfake.Reply(200, oneKey)
					}
					return nil
				}
				s := newTestService(t, api)
				read(t, s)
				if err := tc.between(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				api.sent()
				read(t, s)
				if again := len(api.sent()) > 0; again != tc.again {
					t.Errorf("listed again: %v, want %v", again, tc.again)
				}
			})
		})
	}
}

// If a write ends while a listing is read, later reads do not use that listing.
func TestGet_writeOvertakesListing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newStore(t, 3)
		api.reply = func(line string) http.HandlerFunc {
			if strings.HasPrefix(line, "POST") {
				return httpfake.Reply(200, oneKey)
			}
			return nil
		}
		api.allowRepeated = true // The second read must request the list again.
		s := newTestService(t, api)
		var done sync.WaitGroup
		done.Go(func() { readAll(t, s, []int64{1}) })
		synctest.Wait() // The list is being read.
		s.cache.drop(repository)
		done.Go(func() {
			readAll(t, s, []int64{2})
		})
		done.Wait()
		if lines := api.sent(); len(lines) != 2 {
			t.Errorf("got requests %v, want the list twice", lines)
		}
	})
}

// If a listing fails, each read that waits for it fails, and no other read.
func TestGet_listingFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		check   func(error) bool
	}{
		"403":     {httpfake.Reply(403, `{"error": {"message": "Forbidden"}}`), func(err error) bool { return bitbucket.HasStatus(err, 403) }},
		"404":     {httpfake.Reply(404, `{"error": {"message": "no repository"}}`), bitbucket.IsNotFound},
		"429":     {httpfake.Reply(429, "Rate limit"), func(err error) bool { return bitbucket.HasStatus(err, 429) }},
		"500":     {httpfake.Reply(500, ""), func(err error) bool { return bitbucket.HasStatus(err, 500) }},
		"no list": {httpfake.Reply(200, "{}"), func(err error) bool { return errors.Is(err, errUnusable) }},
		"html":    {httpfake.Reply(200, "<html>"), func(err error) bool { return errors.Is(err, errUnusable) }},
	} {
		for _, failing := range []string{"GET ?pagelen=100", "GET ?pagelen=100&page=2"} {
			t.Run(name+" "+failing, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					api := newStore(t, 150)
					api.reply = func(line string) http.HandlerFunc {
						if line == failing {
							return tc.handler
						}
						return nil
					}
					s := newTestService(t, api, withRetries(1))
					results := make([]error, 10)
					var done sync.WaitGroup
					for i := range results {
						done.Go(func() { _, results[i] = s.Get(t.Context(), repository, int64(141+i)) })
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
					if _, err := s.ListComplete(t.Context(), repository); !tc.check(err) {
						t.Errorf("all: got %v", err)
					}
					api.reply = nil
					<-time.After(time.Hour) // Wait until the rate limit is over.
					readAll(t, s, []int64{1, 150})
				})
			})
		}
	}
}

// A value that cannot be used does not affect reads of the other keys.
func TestGet_oneBadValue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newStore(t, 3)
		api.reply = func(line string) http.HandlerFunc {
			switch line {
			case "GET ?pagelen=100":
				return httpfake.Reply(200, `{"values": [{"id": 1, "key": "ssh-ed25519 AAAA"}, {"id": "2"}, {"id": 3}, 4]}`)
			case "GET /3":
				return httpfake.Reply(200, `{"id": 3}`)
			}
			return nil
		}
		s := newTestService(t, api)
		readAll(t, s, []int64{1, 2})
		if _, err := s.Get(t.Context(), repository, 3); !errors.Is(err, errUnusable) {
			t.Errorf("got %v", err)
		}
		if keys, err := s.ListComplete(t.Context(), repository); keys != nil || !errors.Is(err, errUnusable) {
			t.Errorf("all: got %v, %v", keys, err)
		}
	})
}

// The results must be right after random reads and cancellations.
func TestGet_random(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				api := newStore(t, 1+random.IntN(350))
				api.allowRepeated = true
				s := newTestService(t, api)
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
						key, err := s.Get(ctx, repository, id)
						exists := id <= int64(len(api.ids))
						switch {
						case errors.Is(err, context.Canceled) && stop > 0:
						case exists && (err != nil || key.ID != id), !exists && !errors.Is(err, ErrGone):
							t.Errorf("key %d of %d: got %v, %v", id, len(api.ids), key, err)
						}
					})
					<-time.After(time.Duration(random.IntN(40)) * time.Millisecond)
				}
				done.Wait()
			})
		})
	}
}

// A key that is listed on two pages has its first position and its last contents.
func TestList_keyTwice(t *testing.T) {
	t.Parallel()
	value := func(id int, label string) string {
		return fmt.Sprintf(`{"id": %d, "key": "ssh-ed25519 AAAA", "label": %q}`, id, label)
	}
	api := httpfake.NewScript(t, httpfake.Page("?page=2", value(1, "a"), value(2, "b")), httpfake.Page("", value(2, "c"), value(3, "d"), value(1, "e")))
	keys, err := newTestService(t, api).ListComplete(t.Context(), repository)
	var got []string
	for _, key := range keys {
		got = append(got, fmt.Sprintf("%d %s", key.ID, key.Label))
	}
	if err != nil || !slices.Equal(got, []string{"1 e", "2 c", "3 d"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// A value that cannot be used does not affect the next key. The unusable key is requested
// by itself.
func TestGet_hostileValues(t *testing.T) {
	t.Parallel()
	good := `{"id": 1, "key": "ssh-ed25519 AAAA"}`
	for _, value := range []string{`{"id": 1234}`, `{"id": "1234", "key": "k"}`, `{"id": 1234, "key": 5}`, `{"key": "k"}`, "null", "5", `"text"`, "[]", `[` + oneKey + `]`} {
		api := httpfake.NewScript(t, httpfake.Page("", value, good), httpfake.Reply(200, value), httpfake.Reply(200, oneKey))
		s := newTestService(t, api)
		if key, err := s.Get(t.Context(), repository, 1); err != nil || key.ID != 1 {
			t.Errorf("%s: got %+v, %v", value, key, err)
		}
		if key, err := s.Get(t.Context(), repository, 1234); key != nil || !errors.Is(err, errUnusable) {
			t.Errorf("%s: got %+v, %v", value, key, err)
		}
		if key, err := s.Get(t.Context(), repository, 1234); err != nil || key.ID != 1234 {
			t.Errorf("%s: got %+v, %v", value, key, err)
		}
		if keys, err := s.ListComplete(t.Context(), repository); keys != nil || !errors.Is(err, errUnusable) {
			t.Errorf("%s: got %+v, %v", value, keys, err)
		}
		api.Expect(page1, "GET "+keyPath, "GET "+keyPath)
	}
}

// A write to a repository drops only the listing of that repository. A write to a project
// drops only the listing of that project.
func TestCache_drop(t *testing.T) {
	t.Parallel()
	e, s, web, _ := newProject(t, 1)
	e.AddProject("mleu", emulator.Project{Key: "TEST"}) // Its key is the name of the repository in capitals.
	test := bitbucket.Parent{Workspace: "mleu", Project: "TEST"}
	lists := map[string]bitbucket.Parent{"repository": repository, "project": web, "project of its name": test}
	for name, tc := range map[string]struct {
		write bitbucket.Parent
		again []string
	}{
		"repository":         {repository, []string{"repository"}},
		"repository by UUID": {bitbucket.Parent{Workspace: "mleu", Repository: testUUID}, []string{"repository"}},
		"anywhere":           {bitbucket.Parent{Workspace: anyWorkspace, Repository: testUUID}, []string{"repository"}},
		"project":            {web, []string{"project"}},
		"without its UUID":   {bitbucket.Parent{Workspace: "MLEU", Project: "WEB"}, []string{"project"}},
		"workspace by UUID":  {bitbucket.Parent{Workspace: "{w}", Project: "WEB"}, []string{"project"}},
		"another workspace":  {bitbucket.Parent{Workspace: "other", Project: "WEB"}, nil},
		"another project":    {test, []string{"project of its name"}},
	} {
		read := func() (listed []string) {
			for name, parent := range lists {
				e.ForgetRequests()
				if _, err := s.ListComplete(t.Context(), parent); err != nil {
					t.Fatal(err)
				}
				if len(e.Requests()) > 0 {
					listed = append(listed, name)
				}
			}
			return listed
		}
		read()
		if listed := read(); len(listed) > 0 {
			t.Fatalf("listed again: %v", listed)
		}
		s.cache.drop(tc.write)
		if listed := read(); !slices.Equal(listed, tc.again) {
			t.Errorf("%s: listed again: %v, want %v", name, listed, tc.again)
		}
	}
}

// fixedReply is a transport that replies with this body, without a network.
type fixedReply []byte

func (f fixedReply) RoundTrip(request *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode:    http.StatusOK,
		Header:        http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body:          io.NopCloser(bytes.NewReader(f)),
		ContentLength: int64(len(f)),
		Request:       request,
	}, nil
}

func newBenchService(b *testing.B, base http.RoundTripper) *Service {
	b.Helper()
	client, err := bitbucket.NewClient("", transport.Options{Base: base})
	if err != nil {
		b.Fatal(err)
	}
	return New(client)
}

// fullPage is a page of 100 keys with all fields that the live API sends.
func fullPage(b *testing.B) fixedReply {
	b.Helper()
	type object map[string]any
	link := func(path string) object {
		return object{"href": "https://api.bitbucket.org/2.0/repositories/mleu/test" + path}
	}
	var values []object
	for id := range 100 {
		values = append(values, object{
			"id": 10958984 + id, "key": keyLine, "comment": "ci@example.com", "label": "Deployment " + strconv.Itoa(id), "type": "deploy_key",
			"created_on": "2026-09-30T13:07:33.924449+00:00", "last_used": nil,
			"repository": object{
				"type": "repository", "full_name": "mleu/test", "name": "test", "uuid": testUUID,
				"links": object{"self": link(""), "html": link(""), "avatar": link("/avatar")},
			},
			"links": object{"self": link("/deploy-keys/" + strconv.Itoa(10958984+id))},
		})
	}
	page, err := json.Marshal(object{"values": values, "pagelen": 100, "size": 100, "page": 1})
	if err != nil {
		b.Fatal(err)
	}
	return page
}

// BenchmarkListPage measures listing 100 keys: the request, decoding and checks. Each
// iteration creates a service, because a service does not list a repository again.
func BenchmarkListPage(b *testing.B) {
	page := fullPage(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		keys, err := newBenchService(b, page).ListComplete(b.Context(), repository)
		if err != nil || len(keys) != 100 {
			b.Fatalf("%d keys, %v", len(keys), err)
		}
	}
}

// BenchmarkGet_contention measures reading one key of a listing from many goroutines.
func BenchmarkGet_contention(b *testing.B) {
	s := newBenchService(b, httpfake.InMemory{Handler: pageOf("", 1, 2, 3)})
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := s.Get(b.Context(), repository, 2); err != nil {
				b.Error(err)
			}
		}
	})
}
