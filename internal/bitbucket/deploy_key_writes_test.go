package bitbucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const testUUID = "{85d08b4e-571d-44e9-a507-fa476535aa98}"

// newBitbucket returns an emulator with mleu/test, and a client of it. Both
// live in the bubble that the test runs in.
func newBitbucket(t *testing.T) (*emulator.Emulator, *Client) {
	t.Helper()
	e := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{
		{Slug: "mleu", Repositories: []emulator.Repository{{Slug: "test", UUID: testUUID}}},
		{Slug: "other", Repositories: []emulator.Repository{{Slug: "thing"}}},
	}})
	return e, newInMemoryClient(t, e, withRetries(2), timeout(5*time.Second), withCredentials(Basic{"ada@example.com", "token"}))
}

func timeout(d time.Duration) func(*Options) { return func(o *Options) { o.RequestTimeout = d } }

// methods lists what was asked since the last call, as "METHOD status".
func methods(e *emulator.Emulator) string {
	var all []string
	for _, r := range e.Requests() {
		all = append(all, fmt.Sprint(r.Method, " ", r.Status))
	}
	e.ForgetRequests()
	return strings.Join(all, ", ")
}

// lost are the ways to get no answer to a request, and whether it may have been
// carried out.
var lost = map[string]emulator.Fault{
	"500, done":        done(emulator.ServerError()),
	"500":              emulator.ServerError(),
	"502":              emulator.BadGateway(),
	"503":              emulator.Unavailable(2),
	"cut, done":        {Cut: true, CarryOut: true},
	"cut":              {Cut: true},
	"broken off":       {Truncate: true},
	"truncated JSON":   emulator.TruncatedJSON(),
	"empty":            emulator.EmptyOK(),
	"log-in page":      emulator.LoginPage(),
	"time is up":       {Hang: true},
	"time is up, done": {Hang: true, CarryOut: true},
	"202, done":        {Status: 202, CarryOut: true},
	"nothing but JSON": {Status: 200, Body: `{"type": "deploy_key"}`},
	"of another key":   {Status: 200, Body: `{"id": 77, "key": "ssh-ed25519 AAAA"}`, CarryOut: true},
	"id only, done":    {Status: 200, Body: `{"id": 10958984}`, CarryOut: true},
}

func done(f emulator.Fault) emulator.Fault {
	f.CarryOut = true
	return f
}

// However the answer to a POST is lost, there is one key afterwards, and its id
// is known.
func TestCreateDeployKey_recovers(t *testing.T) {
	t.Parallel()
	for name, fault := range lost {
		for times := 1; times <= 2; times++ {
			t.Run(fmt.Sprint(name, " ", times), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					e, c := newBitbucket(t)
					fault := fault
					fault.Method, fault.Times = http.MethodPost, times
					e.Inject(fault)
					key, err := c.CreateDeployKey(t.Context(), repository, DeployKeyInput{Key: keyLine + " ada@host", Label: "ci"})
					if err != nil {
						t.Fatalf("got error %v after %s", err, methods(e))
					}
					keys := e.DeployKeys("mleu", "test")
					if len(keys) != 1 || keys[0].ID != key.ID || key.Label != "ci" || key.Comment != "ada@host" || key.Repository.UUID != testUUID {
						t.Errorf("got %+v, want the one of %+v", key, keys)
					}
					posts, want := strings.Count(methods(e), "POST"), 1
					if !fault.CarryOut && !fault.Truncate && fault.Rewrite == nil {
						want += times
					}
					if posts != want {
						t.Errorf("%d POSTs, want %d", posts, want)
					}
				})
			})
		}
	}
}

// Where Bitbucket stays broken, the error is that of the last attempt, and it
// says whether the key may be there.
func TestCreateDeployKey_givesUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		faults   []emulator.Fault
		requests string
		lost     bool
	}{
		"never added":   {[]emulator.Fault{{Method: "POST", Status: 502}}, "POST 502, GET 200, POST 502, GET 200, POST 502, GET 200", true},
		"not to be had": {[]emulator.Fault{{Method: "POST", Status: 500, CarryOut: true}, {Method: "GET", Status: 403}}, "POST 500, GET 403", true},
		"no answers":    {[]emulator.Fault{{Status: 503}}, "POST 503, GET 503, GET 503, GET 503", true},
		"much later":    {[]emulator.Fault{{Method: "POST", Status: 503, Header: http.Header{"Retry-After": {"3600"}}}}, "POST 503, GET 200", true},
		"refused":       {[]emulator.Fault{{Method: "POST", Status: 400, Body: `{"error": {"message": "no"}}`}}, "POST 400, GET 200", false},
		"forbidden":     {[]emulator.Fault{emulator.Forbidden()}, "POST 403", false},
		"another key":   {[]emulator.Fault{{Method: "POST", Status: 200, Body: `{"id": 7, "key": "ssh-ed25519 AAAA"}`}}, "POST 200, GET 200", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, c := newBitbucket(t)
				e.Inject(tc.faults...)
				key, err := c.CreateDeployKey(t.Context(), repository, input)
				failed := asError(t, err)
				if key != nil || failed.Method != http.MethodPost || failed.Lost != tc.lost {
					t.Errorf("got %+v, %v with Lost %t", key, err, failed.Lost)
				}
				if recovery := len(tc.faults) > 1 || name == "no answers"; recovery != (failed.Recovery != nil) {
					t.Errorf("got recovery %v", failed.Recovery)
				}
				if got := methods(e); got != tc.requests {
					t.Errorf("got %s, want %s", got, tc.requests)
				}
			})
		})
	}
}

// A key whose id alone is known is better than none.
func TestCreateDeployKey_idOnly(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"id": 7}`, `{"id": 7, "key": null}`, `{"id": 7, "key": {}}`, `{"id": 7, "key": "` + keyLine + `", "label": 5}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			e, c := newBitbucket(t)
			e.Inject(emulator.Fault{Method: "POST", Status: 200, Body: body}, emulator.Fault{Method: "GET", Status: 403})
			key, err := c.CreateDeployKey(t.Context(), repository, DeployKeyInput{Key: keyLine + " ada", Label: "ci"})
			if want := (DeployKey{ID: 7, Key: keyLine, Comment: "ada", Label: "ci"}); err == nil || key == nil || *key != want {
				t.Errorf("%s: got %+v, %v", body, key, err)
			}
		})
	}
}

// What is there already is somebody else's, unless it is new and says what we
// said, by the clock of Bitbucket and not by ours.
func TestCreateDeployKey_exists(t *testing.T) {
	t.Parallel()
	const ours = keyLine + " ada  @ host"
	for name, tc := range map[string]struct {
		key, label string
		// age is how long the key is there when the request is made.
		age    time.Duration
		faults []emulator.Fault
		adopts bool
	}{
		"without a lost answer":   {ours, "ci", time.Second, nil, false},
		"older":                   {ours, "ci", time.Minute, nil, false},
		"older, answer lost":      {ours, "ci", 10 * time.Second, []emulator.Fault{{Method: "POST", Times: 1, Cut: true}}, false},
		"new, answer lost":        {ours, "ci", 3 * time.Second, []emulator.Fault{{Method: "POST", Times: 1, Cut: true}}, true},
		"another label":           {ours, "CI", time.Second, []emulator.Fault{{Method: "POST", Times: 1, Status: 500}}, false},
		"another comment":         {keyLine, "ci", time.Second, []emulator.Fault{{Method: "POST", Times: 1, Status: 500}}, false},
		"answer lost, list later": {ours, "ci", 0, []emulator.Fault{{Method: "POST", Times: 1, Status: 502}, {Method: "GET", Times: 1, Status: 200, Body: `{"values": []}`}}, true},
	} {
		for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
			t.Run(fmt.Sprint(name, " ", ahead), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					e, c := newBitbucket(t)
					e.SetClock(func() time.Time { return time.Now().Add(ahead) })
					existing := e.AddDeployKey("mleu", "test", tc.key, tc.label)
					time.Sleep(tc.age)
					e.Inject(tc.faults...)
					key, err := c.CreateDeployKey(t.Context(), repository, DeployKeyInput{Key: keyLine + " ada @ host", Label: "ci"})
					exists, is := errors.AsType[*DeployKeyExistsError](err)
					switch {
					case tc.adopts && (err != nil || key.ID != existing.ID):
						t.Errorf("got %+v, %v, want the key", key, err)
					case !tc.adopts && (!is || exists.Existing.ID != existing.ID || key != nil):
						t.Errorf("got %+v, %v, want that it exists", key, err)
					}
				})
			})
		}
	}
}

// Two calls with the same key and label cannot have the same one, however their
// answers are lost.
func TestCreateDeployKey_adoptsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, c := newBitbucket(t)
		e.Inject(emulator.Fault{Method: "POST", Status: 500, CarryOut: true, Times: 1}, emulator.Fault{Method: "POST", Status: 502, Times: 1})
		if _, err := c.CreateDeployKey(t.Context(), repository, input); err != nil {
			t.Fatal(err)
		}
		_, err := c.CreateDeployKey(t.Context(), repository, input)
		if _, exists := errors.AsType[*DeployKeyExistsError](err); !exists {
			t.Errorf("got %v, want that it exists", err)
		}
	})
}

// What is refused after a lost attempt may have been carried out by that.
func TestCreateDeployKey_refusedAfterLoss(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 404} {
		synctest.Test(t, func(t *testing.T) {
			e, c := newBitbucket(t)
			e.Inject(emulator.Fault{Method: "POST", Status: 502, Times: 1}, emulator.Fault{Method: "POST", Status: status})
			_, err := c.CreateDeployKey(t.Context(), repository, input)
			if failed := asError(t, err); failed.Status != status || !failed.Lost {
				t.Errorf("got %v with Lost %t", err, failed.Lost)
			}
		})
	}
}

// A caller who stops still learns what became of the request that was under
// way, within a bound. Nothing new is begun.
func TestCreateDeployKey_stopped(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		faults   []emulator.Fault
		latency  time.Duration
		at       time.Duration
		returns  time.Duration
		requests string
		added    bool
	}{
		"in the exchange":       {nil, 4 * time.Second, time.Second, 4 * time.Second, "POST 200", true},
		"answer lost":           {[]emulator.Fault{{Method: "POST", Status: 500, CarryOut: true}}, 2 * time.Second, time.Second, 4 * time.Second, "POST 500, GET 200", true},
		"in the listing":        {[]emulator.Fault{{Method: "POST", Status: 500, CarryOut: true}}, 2 * time.Second, 3 * time.Second, 5 * time.Second, "POST 500, GET 0, GET 200", true},
		"request lost":          {[]emulator.Fault{{Method: "POST", Status: 500}}, 2 * time.Second, time.Second, 4 * time.Second, "POST 500, GET 200", false},
		"in the wait after it":  {[]emulator.Fault{emulator.Unavailable(60)}, time.Second, 10 * time.Second, 11 * time.Second, "POST 503, GET 503, GET 503", false},
		"in a wait for the 429": {[]emulator.Fault{{Status: 429, Header: http.Header{"Retry-After": {"60"}}}}, time.Second, 10 * time.Second, 10 * time.Second, "POST 429", false},
		"no answers any more":   {[]emulator.Fault{{Hang: true}}, 0, time.Second, 5*time.Second + maxFinish, "POST 0", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, c := newBitbucket(t)
				e.SetLatency(tc.latency)
				e.Inject(tc.faults...)
				ctx, cancel := context.WithCancel(t.Context())
				start := time.Now()
				time.AfterFunc(tc.at, cancel)
				key, err := c.CreateDeployKey(ctx, repository, input)
				if took := time.Since(start); took > tc.returns {
					t.Errorf("took %v, want %v", took, tc.returns)
				}
				if tc.added != (err == nil && key != nil) {
					t.Errorf("got %+v, %v", key, err)
				}
				if got := methods(e); !strings.HasPrefix(got, tc.requests) || strings.Count(got, "POST") > 1 {
					t.Errorf("got %s, want %s", got, tc.requests)
				}
			})
		})
	}
}

// A PUT is sent again only if the key does not say it yet.
func TestUpdateDeployKey_recovers(t *testing.T) {
	t.Parallel()
	for name, fault := range lost {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, c := newBitbucket(t)
				id := e.AddDeployKey("mleu", "test", keyLine, "old").ID
				fault.Method, fault.Times = http.MethodPut, 1
				e.Inject(fault)
				key, err := c.UpdateDeployKey(t.Context(), repository, id, DeployKeyInput{Key: keyLine + " ada@host", Label: "new"})
				if err != nil || key.ID != id || key.Label != "new" || key.Comment != "ada@host" {
					t.Errorf("got %+v, %v", key, err)
				}
				puts, want := strings.Count(methods(e), "PUT"), 1
				if !fault.CarryOut && !fault.Truncate && fault.Rewrite == nil {
					want = 2
				}
				if puts != want {
					t.Errorf("%d PUTs, want %d", puts, want)
				}
			})
		})
	}
}

func TestUpdateDeployKey_givesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, c := newBitbucket(t)
		id := e.AddDeployKey("mleu", "test", keyLine, "old").ID
		e.Inject(emulator.Fault{Method: "PUT", Status: 500})
		_, err := c.UpdateDeployKey(t.Context(), repository, id, input)
		if failed := asError(t, err); !failed.Lost || failed.Recovery != nil || methods(e) != "PUT 500, GET 200, PUT 500, GET 200, PUT 500, GET 200" {
			t.Errorf("got %v with Lost %t", err, failed.Lost)
		}
		e.Inject(emulator.Fault{Method: "GET", Status: 403})
		_, err = c.UpdateDeployKey(t.Context(), repository, id, input)
		if failed := asError(t, err); !failed.Lost || !HasStatus(failed.Recovery, 403) || methods(e) != "PUT 500, GET 403" {
			t.Errorf("got %v with Lost %t", err, failed.Lost)
		}
	})
}

// renames are the ways that a repository of known UUID gets out from under its
// name.
var renames = map[string]func(*emulator.Emulator){
	"renamed":          func(e *emulator.Emulator) { e.RenameRepository("mleu", "test", "new") },
	"workspace":        func(e *emulator.Emulator) { e.RenameWorkspace("mleu", "new") },
	"moved":            func(e *emulator.Emulator) { e.MoveRepository("mleu", "test", "other") },
	"renamed, retaken": func(e *emulator.Emulator) { e.RenameRepository("mleu", "test", "new"); retake(e) },
	"redirected": func(e *emulator.Emulator) {
		e.RenameRepository("mleu", "test", "new")
		moved := emulator.Redirect("https://elsewhere.example/")
		moved.Path = "/test/"
		e.Inject(moved)
	},
	"renamed, retaken, empty": func(e *emulator.Emulator) {
		e.RenameRepository("mleu", "test", "new")
		e.AddRepository("mleu", emulator.Repository{Slug: "test"})
	},
	"moved, retaken, empty": func(e *emulator.Emulator) {
		e.MoveRepository("mleu", "test", "other")
		e.AddRepository("mleu", emulator.Repository{Slug: "test"})
	},
	"moved, retaken": func(e *emulator.Emulator) { e.MoveRepository("mleu", "test", "other"); retake(e) },
}

// retake makes another repository of the name mleu/test.
func retake(e *emulator.Emulator) {
	e.AddRepository("mleu", emulator.Repository{Slug: "test"})
	e.AddDeployKey("mleu", "test", keyLine, "of another repository")
}

// A key whose repository has another name is read, changed and removed there.
func TestDeployKey_renamed(t *testing.T) {
	t.Parallel()
	known := Place{Workspace: "mleu", Repository: "test", UUID: testUUID}
	for name, rename := range renames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, c := newBitbucket(t)
			var ids []int64
			for i := range 20 {
				ids = append(ids, e.AddDeployKey("mleu", "test", key(i), "").ID)
			}
			rename(e)
			for _, id := range ids {
				key, err := c.DeployKey(t.Context(), known, id)
				if err != nil || key.ID != id || key.Repository.UUID != testUUID || key.Repository.FullName == "mleu/test" {
					t.Fatalf("got %+v, %v", key, err)
				}
			}
			if got := methods(e); strings.Count(got, "GET") > 6 && !strings.HasSuffix(name, "retaken") {
				t.Errorf("reading took %s", got)
			}
			if _, err := c.DeployKey(t.Context(), known, 1); !errors.Is(err, ErrDeployKeyGone) {
				t.Errorf("got %v for a key that is gone", err)
			}
			// The second client has not read anything yet.
			for i, c := range []*Client{c, newInMemoryClient(t, e, withCredentials(Basic{"ada@example.com", "token"}))} {
				updated, err := c.UpdateDeployKey(t.Context(), known, ids[i], DeployKeyInput{Key: key(i), Label: "new"})
				if err != nil || updated.Label != "new" || updated.Repository.UUID != testUUID {
					t.Errorf("got %+v, %v", updated, err)
				}
				for range 2 { // The second time it is gone already.
					if err := c.DeleteDeployKey(t.Context(), known, ids[i]); err != nil {
						t.Error(err)
					}
				}
				if _, err := c.DeployKey(t.Context(), known, ids[i]); !errors.Is(err, ErrDeployKeyGone) {
					t.Errorf("got %v for a key that was removed", err)
				}
			}
			if strings.HasSuffix(name, "retaken") && len(e.DeployKeys("mleu", "test")) != 1 {
				t.Error("the key of the other repository is gone")
			}
		})
	}
}

// What answers under no name is out of sight, which says nothing of its keys.
func TestDeployKey_outOfSight(t *testing.T) {
	t.Parallel()
	known := Place{Workspace: "mleu", Repository: "test", UUID: testUUID}
	for name, remove := range map[string]func(*emulator.Emulator){
		"gone":          func(e *emulator.Emulator) { e.RemoveRepository("mleu", "test") },
		"gone, retaken": func(e *emulator.Emulator) { e.RemoveRepository("mleu", "test"); retake(e) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, c := newBitbucket(t)
			id := e.AddDeployKey("mleu", "test", keyLine, "").ID
			remove(e)
			if _, err := c.DeployKey(t.Context(), known, id); !IsNotFound(err) || errors.Is(err, ErrDeployKeyGone) {
				t.Errorf("read: got %v", err)
			}
			if _, err := c.UpdateDeployKey(t.Context(), known, id, input); !IsNotFound(err) {
				t.Errorf("update: got %v", err)
			}
			if err := c.DeleteDeployKey(t.Context(), known, id); !IsNotFound(err) {
				t.Errorf("delete: got %v", err)
			}
		})
	}
}

// A repository that was deleted and made anew has none of its keys.
func TestDeployKey_madeAnew(t *testing.T) {
	t.Parallel()
	known := Place{Workspace: "mleu", Repository: "test", UUID: testUUID}
	e, c := newBitbucket(t)
	id := e.AddDeployKey("mleu", "test", keyLine, "").ID
	e.RemoveRepository("mleu", "test")
	e.AddRepository("mleu", emulator.Repository{Slug: "test"})
	if _, err := c.DeployKey(t.Context(), known, id); !errors.Is(err, ErrDeployKeyGone) {
		t.Errorf("read: got %v", err)
	}
	if err := c.DeleteDeployKey(t.Context(), known, id); err != nil {
		t.Errorf("delete: got %v", err)
	}
}

// A key that is gone from a repository in plain sight costs one request beside
// the listing, by the UUID.
func TestDeployKey_goneByUUID(t *testing.T) {
	t.Parallel()
	e, c := newBitbucket(t)
	e.AddDeployKey("mleu", "test", keyLine, "")
	_, err := c.DeployKey(t.Context(), Place{Workspace: "mleu", Repository: "test", UUID: testUUID}, 1)
	requests := e.Requests()
	if !errors.Is(err, ErrDeployKeyGone) || len(requests) != 2 || !strings.Contains(requests[1].Path, "/mleu/%7B85d08b4e") {
		t.Errorf("got %v after %+v", err, requests)
	}
}

// key is one of many public keys.
func key(i int) string {
	return keyLine[:len(keyLine)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i])
}
