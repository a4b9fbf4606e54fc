package deploykeys

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// newJitteryService returns a service of an emulator that takes between 40 and 120 ms for
// each reply.
func newJitteryService(t *testing.T, e *emulator.Emulator, random *rand.Rand) *Service {
	t.Helper()
	var mu sync.Mutex
	return newTestService(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		wait := 40*time.Millisecond + time.Duration(random.IntN(80))*time.Millisecond
		mu.Unlock()
		time.Sleep(wait)
		e.ServeHTTP(w, r)
	}), asUser, func(o *transport.Options) { o.MaxConcurrentRequests = 50 })
}

// publicKeyNumber returns one of many public keys.
func publicKeyNumber(i int) string {
	return fmt.Sprintf("%s%c%c", keyLine[:len(keyLine)-2], 'A'+i/26, 'A'+i%26)
}

// address is a resource in the state or in the configuration of a simulated Terraform.
type address struct {
	name, key, label string
	id               int64
}

// simulation is a Terraform with a state, which applies configurations in a random order.
type simulation struct {
	t        *testing.T
	random   *rand.Rand
	emulator *emulator.Emulator
	parent   bitbucket.Parent
	slots    int
	state    map[string]address
}

// apply brings the state to the configuration, with a service of its own as each run of
// Terraform has. It returns the errors.
func (s *simulation) apply(wanted map[string]address) (failures []error) {
	service := newJitteryService(s.t, s.emulator, s.random)
	var mu sync.Mutex
	var group sync.WaitGroup
	slots := make(chan struct{}, s.slots)
	start := func(run func() error) {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := run(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
			}
		})
	}
	create := func(a address) func() error {
		return func() error {
			result := service.Create(s.t.Context(), s.parent, bitbucket.DeployKeyInput{Key: a.key, Label: a.label})
			if result.Outcome != Done {
				return result.Err
			}
			mu.Lock()
			defer mu.Unlock()
			a.id = result.Key.ID
			s.state[a.name] = a
			return nil
		}
	}
	remove := func(a address, then func() error) func() error {
		return func() error {
			if result := service.Delete(s.t.Context(), s.parent, a.id, a.key); result.Outcome != Done {
				return result.Err
			}
			mu.Lock()
			delete(s.state, a.name)
			mu.Unlock()
			if then != nil {
				start(then)
			}
			return nil
		}
	}
	var runs []func() error
	for name, prior := range s.state {
		if want, ok := wanted[name]; !ok {
			runs = append(runs, remove(prior, nil))
		} else if want.key != prior.key {
			runs = append(runs, remove(prior, create(want)))
		}
	}
	for name, want := range wanted {
		if _, ok := s.state[name]; !ok {
			runs = append(runs, create(want))
		}
	}
	s.random.Shuffle(len(runs), func(i, j int) { runs[i], runs[j] = runs[j], runs[i] })
	for _, run := range runs {
		start(run)
		synctest.Wait() // Keeps the order of the queue for a slot.
	}
	group.Wait()
	return failures
}

// stored returns the keys that Bitbucket has.
func (s *simulation) stored() map[string]bool {
	keys := s.emulator.DeployKeys("mleu", "test")
	if s.parent.Project != "" {
		keys = s.emulator.ProjectDeployKeys("mleu", "WEB")
	}
	stored := map[string]bool{}
	for _, key := range keys {
		stored[key.Key] = true
	}
	return stored
}

// edits are changes of addresses that keep most keys.
var edits = map[string]func(random *rand.Rand, old []address) []address{
	"renamed": func(_ *rand.Rand, old []address) []address {
		renamed := slices.Clone(old)
		for i := range renamed {
			renamed[i].name = "new-" + renamed[i].name
		}
		return renamed
	},
	"shifted": func(_ *rand.Rand, old []address) []address {
		shifted := slices.Clone(old[:len(old)-1])
		for i := range shifted {
			shifted[i].key = old[i+1].key
		}
		return shifted
	},
	"shuffled": func(random *rand.Rand, old []address) []address {
		shuffled := slices.Clone(old)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i].key, shuffled[j].key = shuffled[j].key, shuffled[i].key })
		return shuffled
	},
	"some renamed, some dropped": func(random *rand.Rand, old []address) []address {
		var kept []address
		for _, a := range old {
			if random.IntN(3) == 0 {
				a.name = "new-" + a.name
			}
			if random.IntN(6) > 0 {
				kept = append(kept, a)
			}
		}
		return kept
	},
}

// After an edit that changes addresses, Bitbucket always has each wanted key, and a few
// applies get there.
func TestHandover_edits(t *testing.T) {
	t.Parallel()
	for name, edit := range edits {
		for _, tc := range []struct{ keys, slots, applies int }{{20, 1, 30}, {20, 2, 20}, {20, 10, 4}, {20, 50, 1}, {40, 10, 6}, {100, 10, 8}, {100, 50, 4}} {
			for _, parent := range []bitbucket.Parent{repository, {Workspace: "mleu", Project: "WEB"}} {
				t.Run(fmt.Sprintf("%s, %d keys, %d slots, %s", name, tc.keys, tc.slots, parent.Name()), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						e, _ := newEmulator(t)
						e.AddProject("mleu", emulator.Project{Key: "WEB", UUID: projectUUID})
						s := &simulation{
							t: t, random: rand.New(rand.NewPCG(uint64(tc.keys), uint64(tc.slots))), emulator: e,
							parent: parent, slots: tc.slots, state: map[string]address{},
						}
						var old []address
						before := map[string]address{}
						for i := range tc.keys {
							a := address{name: fmt.Sprintf("key-%03d", i), key: publicKeyNumber(i), label: "ci"}
							old = append(old, a)
							before[a.name] = a
						}
						if failures := s.apply(before); len(failures) > 0 {
							t.Fatal(failures)
						}
						wanted := map[string]address{}
						for _, a := range edit(s.random, old) {
							wanted[a.name] = a
						}
						for applies := 1; ; applies++ {
							start := time.Now()
							failures := s.apply(wanted)
							stored := s.stored()
							for _, a := range wanted {
								if !stored[a.key] {
									t.Fatalf("apply %d: the key of %s is missing", applies, a.name)
								}
							}
							if len(failures) == 0 {
								t.Logf("done by apply %d, the last one took %v", applies, time.Since(start))
								break
							}
							if applies == tc.applies {
								t.Fatalf("%d errors after %d applies, for example %v", len(failures), applies, failures[0])
							}
						}
						if got := slices.Sorted(maps.Keys(s.state)); !slices.Equal(got, slices.Sorted(maps.Keys(wanted))) || len(s.stored()) != len(wanted) {
							t.Errorf("the state has %v, Bitbucket has %d keys", got, len(s.stored()))
						}
					})
				})
			}
		}
	}
}

// replace creates a key that exists already, while a delete of this run comes a second
// later. It returns both results and the requests.
func replace(t *testing.T, parent bitbucket.Parent, prepare func(*emulator.Emulator), input bitbucket.DeployKeyInput) (created, deleted Result, requests string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		e.AddProject("mleu", emulator.Project{Key: "WEB", UUID: projectUUID})
		id := e.AddDeployKey("mleu", "test", keyLine, "ci").ID
		if parent.Project != "" {
			id = e.AddProjectDeployKey("mleu", "WEB", keyLine, "ci").ID
		}
		prepare(e)
		var group sync.WaitGroup
		group.Go(func() { created = s.Create(t.Context(), parent, input) })
		time.Sleep(time.Second)
		deleted = s.Delete(t.Context(), parent, id, keyLine+" comment of the state")
		group.Wait()
		requests = methods(e)
	})
	return created, deleted, requests
}

// A delete leaves the key to the create that waits for it.
func TestHandover_takeOver(t *testing.T) {
	t.Parallel()
	nothing := func(*emulator.Emulator) {}
	immutable := func(e *emulator.Emulator) { e.SetPUT(emulator.PUTRefused) }
	web := bitbucket.Parent{Workspace: "mleu", Project: "WEB"}
	byUUID := bitbucket.Parent{Workspace: "mleu", Repository: testUUID}
	for name, tc := range map[string]struct {
		parent   bitbucket.Parent
		prepare  func(*emulator.Emulator)
		label    string
		requests string
	}{
		"as it is":              {repository, nothing, "ci", "POST 400, GET 200"},
		"by UUID":               {byUUID, nothing, "ci", "POST 400, GET 200"},
		"another label":         {repository, nothing, "new", "POST 400, GET 200, PUT 200"},
		"another label, no PUT": {repository, immutable, "new", "POST 400, GET 200, PUT 400, DELETE 204, POST 200"},
		"project":               {web, nothing, "ci", "POST 400, GET 200"},
		"project, other label":  {web, nothing, "new", "POST 400, GET 200, DELETE 204, POST 200"},
		"PUT fails": {
			repository, func(e *emulator.Emulator) { e.Inject(emulator.Fault{Method: "PUT", Status: 403}) }, "new",
			"POST 400, GET 200, PUT 403",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			created, deleted, requests := replace(t, tc.parent, tc.prepare, bitbucket.DeployKeyInput{Key: keyLine, Label: tc.label})
			if created.Outcome != Done || created.Key == nil || deleted != done(nil) {
				t.Errorf("got %+v and %+v", created, deleted)
			}
			if requests != tc.requests {
				t.Errorf("got requests %s, want %s", requests, tc.requests)
			}
		})
	}
}

// A key that nobody deletes is not taken over. The create gives up when nothing happens any
// more, and a delete that comes later is withheld.
func TestHandover_givesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		id := e.AddDeployKey("mleu", "test", keyLine, "ci").ID
		start := time.Now()
		result := s.Create(t.Context(), repository, input)
		exists, ok := errors.AsType[*ExistsError](result.Err)
		if !ok || exists.Existing.ID != id || exists.AddedHere || time.Since(start) != maxIdle {
			t.Errorf("got %+v after %v", result, time.Since(start))
		}
		for range 2 {
			result = s.Delete(t.Context(), repositoryWithUUID, id, keyLine)
			if _, withheld := errors.AsType[*WithheldError](result.Err); !withheld || result.Outcome != Refused {
				t.Errorf("got %+v, want that the delete is withheld", result)
			}
		}
		if result := s.Delete(t.Context(), repositoryWithUUID, id, publicKey(1)); result.Outcome != Done {
			t.Errorf("the delete of another key: %+v", result)
		}
		if got := methods(e); got != "POST 400, GET 200, DELETE 204" {
			t.Errorf("got requests %s", got)
		}
	})
}

// conflict adds a key outside of Terraform, creates the same key, and returns how long the
// create has waited for a delete.
func conflict(t *testing.T, e *emulator.Emulator, s *Service, key string) time.Duration {
	t.Helper()
	e.AddDeployKey("mleu", "test", key, "ci")
	start := time.Now()
	result := s.Create(t.Context(), repository, bitbucket.DeployKeyInput{Key: key})
	if _, exists := errors.AsType[*ExistsError](result.Err); !exists {
		t.Errorf("got %+v", result)
	}
	return time.Since(start)
}

// Creates that fill all slots, as when one has given up, do not wait that long again.
func TestHandover_givesUpSooner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		for i, want := range []time.Duration{maxIdle, maxIdleAgain, maxIdleAgain} {
			if waited := conflict(t, e, s, publicKey(i)); waited != want {
				t.Errorf("create %d waits %v, want %v", i, waited, want)
			}
		}
	})
}

// After a call has made progress, fewer creates than then may wait for a delete again.
func TestHandover_progress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		var group sync.WaitGroup
		var waited [2]time.Duration
		for i := range waited {
			group.Go(func() { waited[i] = conflict(t, e, s, publicKey(i)) })
			synctest.Wait()
		}
		time.Sleep(maxIdle + maxIdleAgain/2)
		if _, err := s.List(t.Context(), bitbucket.Parent{Workspace: "other", Repository: "thing"}); err != nil {
			t.Error(err)
		}
		group.Wait()
		if want := [2]time.Duration{maxIdle, 2*maxIdle + maxIdleAgain/2}; waited != want {
			t.Errorf("the creates wait %v, want %v", waited, want)
		}
	})
}

// While another call is in progress, no create gives up, also if another one has waited
// before.
func TestHandover_waitsForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		first := e.AddDeployKey("mleu", "test", keyLine, "ci")
		var group sync.WaitGroup
		group.Go(func() {
			if result := s.Create(t.Context(), repository, input); result.Outcome != Done {
				t.Errorf("got %+v", result)
			}
		})
		synctest.Wait()
		if result := s.Delete(t.Context(), repository, first.ID, keyLine); result.Outcome != Done {
			t.Errorf("got %+v", result)
		}
		group.Wait()
		e.Inject(emulator.Fault{Path: "/thing/", Hang: true})
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			if _, err := s.List(ctx, bitbucket.Parent{Workspace: "other", Repository: "thing"}); err == nil {
				t.Error("the list does not hang")
			}
		})
		synctest.Wait()
		if waited := conflict(t, e, s, publicKey(1)); waited != 4*time.Second+maxIdle {
			t.Errorf("the create waits %v", waited)
		}
		group.Wait()
	})
}

func TestSameParent(t *testing.T) {
	t.Parallel()
	const other = "{00000000-0000-4000-8000-00000000beef}"
	byUUID := func(uuid string) bitbucket.Parent { return bitbucket.Parent{Workspace: "{}", Repository: uuid} }
	for name, tc := range map[string]struct {
		a, b bitbucket.Parent
		want bool
	}{
		"spelling":              {repository, bitbucket.Parent{Workspace: "MLEU", Repository: "Test"}, true},
		"other name":            {repository, bitbucket.Parent{Workspace: "mleu", Repository: "test2"}, false},
		"UUID":                  {repositoryWithUUID, byUUID(testUUID), true},
		"UUID in capitals":      {repositoryWithUUID, byUUID(strings.ToUpper(testUUID)), true},
		"name without its UUID": {repository, repositoryWithUUID, true},
		"renamed":               {repositoryWithUUID, bitbucket.Parent{Workspace: "mleu", Repository: "new", UUID: testUUID}, true},
		"reused name":           {repositoryWithUUID, bitbucket.Parent{Workspace: "mleu", Repository: "test", UUID: other}, false},
		"other UUID":            {repositoryWithUUID, byUUID(other), false},
		"UUID of no known name": {repository, byUUID(testUUID), false},
	} {
		if sameParent(tc.a, tc.b) != tc.want || sameParent(tc.b, tc.a) != tc.want {
			t.Errorf("%s: want %t in both orders", name, tc.want)
		}
	}
}

// The same key twice in one configuration is an error at once.
func TestHandover_addedHere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, s := newEmulator(t)
		start := time.Now()
		if result := s.Create(t.Context(), repository, input); result.Outcome != Done {
			t.Fatal(result)
		}
		result := s.Create(t.Context(), repository, input)
		if exists, ok := errors.AsType[*ExistsError](result.Err); !ok || !exists.AddedHere || time.Since(start) != 0 {
			t.Errorf("got %+v after %v", result, time.Since(start))
		}
	})
}

// The same key of another repository has nothing to do with it.
func TestHandover_otherParent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		e.AddRepository("mleu", emulator.Repository{Slug: "second"})
		e.AddDeployKey("mleu", "test", keyLine, "ci")
		other := e.AddDeployKey("mleu", "second", keyLine, "ci")
		var group sync.WaitGroup
		var created Result
		group.Go(func() { created = s.Create(t.Context(), repository, input) })
		time.Sleep(time.Second)
		deleted := s.Delete(t.Context(), bitbucket.Parent{Workspace: "mleu", Repository: "second"}, other.ID, keyLine)
		group.Wait()
		if _, exists := errors.AsType[*ExistsError](created.Err); !exists || deleted != done(nil) || len(e.DeployKeys("mleu", "second")) != 0 {
			t.Errorf("got %+v and %+v", created, deleted)
		}
	})
}

// A create whose run is stopped gives up at once, and the key stays.
func TestHandover_stopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		id := e.AddDeployKey("mleu", "test", keyLine, "ci").ID
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if result := s.Create(ctx, repository, input); result.Outcome != Refused || time.Since(start) != time.Second {
			t.Errorf("got %+v after %v", result, time.Since(start))
		}
		if result := s.Delete(t.Context(), repositoryWithUUID, id, keyLine); result.Outcome != Refused || len(e.DeployKeys("mleu", "test")) != 1 {
			t.Errorf("got %+v", result)
		}
	})
}

// A create waits for a delete in progress, also for one that fails.
func TestHandover_deleteInProgress(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault    emulator.Fault
		created  Outcome
		requests string
		// after is when the create ends: each request takes three seconds.
		after time.Duration
	}{
		"succeeds": {emulator.Fault{Method: "none"}, Done, "DELETE 204, POST 200", 6 * time.Second},
		"fails":    {emulator.Fault{Method: "DELETE", Status: 403}, Refused, "DELETE 403, POST 400, GET 200", 9*time.Second + maxIdle},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, s := newEmulator(t)
				id := e.AddDeployKey("mleu", "test", keyLine, "ci").ID
				e.Inject(tc.fault)
				e.SetLatency(3 * time.Second)
				var group sync.WaitGroup
				start := time.Now()
				group.Go(func() { s.Delete(t.Context(), repositoryWithUUID, id, keyLine) })
				time.Sleep(time.Second)
				created := s.Create(t.Context(), repository, input)
				group.Wait()
				if got := methods(e); created.Outcome != tc.created || got != tc.requests || time.Since(start) != tc.after {
					t.Errorf("got %+v after %s and %v", created, got, time.Since(start))
				}
			})
		})
	}
}
