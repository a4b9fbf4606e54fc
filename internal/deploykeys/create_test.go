package deploykeys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// lostReplies are faults after which there is no usable reply to a write. CarryOut means
// that the write was nevertheless carried out.
var lostReplies = map[string]emulator.Fault{
	"500, done":        carriedOut(emulator.ServerError()),
	"500":              emulator.ServerError(),
	"502":              emulator.BadGateway(),
	"503":              emulator.Unavailable(2),
	"cut, done":        {Cut: true, CarryOut: true},
	"cut":              {Cut: true},
	"breaks off":       {Truncate: true},
	"truncated JSON":   emulator.TruncatedJSON(),
	"empty":            emulator.EmptyOK(),
	"log-in page":      emulator.LoginPage(),
	"time is up":       {Hang: true},
	"time is up, done": {Hang: true, CarryOut: true},
	"202, done":        {Status: 202, CarryOut: true},
	"nothing but JSON": {Status: 200, Body: `{"type": "deploy_key"}`},
	"of another key":   {Status: 200, Body: `{"id": 77, "key": "ssh-ed25519 AAAA"}`, CarryOut: true},
	"ID alone, done":   {Status: 200, Body: `{"id": 10958984}`, CarryOut: true},
}

func carriedOut(f emulator.Fault) emulator.Fault {
	f.CarryOut = true
	return f
}

// After any lost reply to a POST, exactly one key exists, and its ID is known.
func TestCreate_recovers(t *testing.T) {
	t.Parallel()
	for name, fault := range lostReplies {
		for times := 1; times <= 2; times++ {
			t.Run(fmt.Sprint(name, " ", times), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					e, s := newEmulator(t)
					fault := fault
					fault.Method, fault.Times = http.MethodPost, times
					e.Inject(fault)
					result := s.Create(t.Context(), repository, bitbucket.DeployKeyInput{Key: keyLine + " ada@host", Label: "ci"})
					if result.Outcome != Done || result.Err != nil || result.LookupErr != nil {
						t.Fatalf("got %+v after %s", result, methods(e))
					}
					key, keys := result.Key, e.DeployKeys("mleu", "test")
					if len(keys) != 1 || keys[0].ID != key.ID || key.Label != "ci" || key.Comment != "ada@host" || key.Repository.UUID != testUUID {
						t.Errorf("got %+v of %+v", key, keys)
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

// If Bitbucket stays broken, the error is the error of the last attempt. The outcome shows
// whether the key may have been added.
func TestCreate_givesUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		faults   []emulator.Fault
		requests string
		outcome  Outcome
		// lookup reports whether the lookup fails.
		lookup bool
	}{
		"never added": {[]emulator.Fault{{Method: "POST", Status: 502}}, "POST 502, GET 200, POST 502, GET 200, POST 502, GET 200", Unknown, false},
		"no lookup":   {[]emulator.Fault{{Method: "POST", Status: 500, CarryOut: true}, {Method: "GET", Status: 403}}, "POST 500, GET 403", Unknown, true},
		"no replies":  {[]emulator.Fault{{Status: 503}}, "POST 503, GET 503, GET 503, GET 503", Unknown, true},
		"much later":  {[]emulator.Fault{{Method: "POST", Status: 503, Header: http.Header{"Retry-After": {"3600"}}}}, "POST 503, GET 200", Unknown, false},
		"refused":     {[]emulator.Fault{{Method: "POST", Status: 400, Body: `{"error": {"message": "no"}}`}}, "POST 400, GET 200", Refused, false},
		"conflict":    {[]emulator.Fault{{Method: "POST", Status: 409}}, "POST 409, GET 200", Refused, false},
		"no lookup of a refusal": {
			[]emulator.Fault{{Method: "POST", Status: 400}, {Method: "GET", Status: 403}}, "POST 400, GET 403", Refused, true,
		},
		"forbidden":   {[]emulator.Fault{emulator.Forbidden()}, "POST 403", Refused, false},
		"another key": {[]emulator.Fault{{Method: "POST", Status: 200, Body: `{"id": 7, "key": "ssh-ed25519 AAAA"}`}}, "POST 200, GET 200", Unknown, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, s := newEmulator(t)
				e.Inject(tc.faults...)
				result := s.Create(t.Context(), repository, input)
				if failed := asError(t, result.Err); result.Key != nil || failed.Method != http.MethodPost || result.Outcome != tc.outcome {
					t.Errorf("got %+v", result)
				}
				if tc.lookup != (result.LookupErr != nil) {
					t.Errorf("got the lookup error %v", result.LookupErr)
				}
				if got := methods(e); got != tc.requests {
					t.Errorf("got %s, want %s", got, tc.requests)
				}
			})
		})
	}
}

// If the lookup fails too, the key is returned with its ID and the values that were sent.
func TestCreate_idOnly(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"id": 7}`, `{"id": 7, "key": null}`, `{"id": 7, "key": {}}`, `{"id": 7, "key": "` + keyLine + `", "label": 5}`,
	} {
		e, s := newEmulator(t)
		e.Inject(emulator.Fault{Method: "POST", Status: 200, Body: body}, emulator.Fault{Method: "GET", Status: 403})
		result := s.Create(t.Context(), repository, bitbucket.DeployKeyInput{Key: keyLine + " ada", Label: "ci"})
		want := bitbucket.DeployKey{ID: 7, Key: keyLine, Comment: "ada", Label: "ci"}
		if result.Outcome != Unknown || !errors.Is(result.Err, errUnusable) || !bitbucket.HasStatus(result.LookupErr, 403) || result.Key == nil || *result.Key != want {
			t.Errorf("%s: got %+v", body, result)
		}
		if got := methods(e); got != "POST 200, GET 403" {
			t.Errorf("%s: got %s", body, got)
		}
	}
}

// A key with a known ID is not added again, even if the listing does not have it yet.
func TestCreate_idOnlyNotListed(t *testing.T) {
	t.Parallel()
	e, s := newEmulator(t)
	e.Inject(emulator.Fault{Method: "POST", Status: 200, Body: `{"id": 7}`})
	result := s.Create(t.Context(), repository, input)
	want := bitbucket.DeployKey{ID: 7, Key: keyLine, Label: "ci"}
	if result.Outcome != Unknown || result.LookupErr != nil || result.Key == nil || *result.Key != want {
		t.Errorf("got %+v", result)
	}
	if got := methods(e); got != "POST 200, GET 200" {
		t.Errorf("got %s", got)
	}
}

// If the text that was sent is not a key, no key is returned for a reply with only an ID. No
// listing is requested, because no key can match the text.
func TestCreate_idOnlyNoKey(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, httpfake.Reply(200, `{"id": 7}`))
	if result := newTestService(t, api).Create(t.Context(), repository, bitbucket.DeployKeyInput{Key: "none"}); result.Outcome != Unknown || result.Key != nil || result.LookupErr != nil {
		t.Errorf("got %+v", result)
	}
}

// Create claims an existing key only if the key is new and has the label and the comment
// that were sent. It compares the key's age by Bitbucket's clock, not by the clock of this
// machine.
func TestCreate_exists(t *testing.T) {
	t.Parallel()
	const ours = keyLine + " ada  @ host"
	for name, tc := range map[string]struct {
		key, label string
		// age is the age of the key when the request is sent.
		age    time.Duration
		faults []emulator.Fault
		claims bool
	}{
		"without a lost reply": {ours, "ci", time.Second, nil, false},
		"older":                {ours, "ci", time.Minute, nil, false},
		"older, reply lost":    {ours, "ci", 10 * time.Second, []emulator.Fault{{Method: "POST", Times: 1, Cut: true}}, false},
		"new, reply lost":      {ours, "ci", 3 * time.Second, []emulator.Fault{{Method: "POST", Times: 1, Cut: true}}, true},
		"another label":        {ours, "CI", time.Second, []emulator.Fault{{Method: "POST", Times: 1, Status: 500}}, false},
		"another comment":      {keyLine, "ci", time.Second, []emulator.Fault{{Method: "POST", Times: 1, Status: 500}}, false},
		"its ID in the reply":  {keyLine, "CI", time.Minute, []emulator.Fault{{Method: "POST", Times: 1, Status: 200, Body: `{"id": 10958984}`}}, true},
		"another ID in the reply": {
			keyLine, "CI", time.Minute, []emulator.Fault{{Method: "POST", Times: 1, Status: 200, Body: `{"id": 7}`}}, false,
		},
		"reply lost, list later": {ours, "ci", 0, []emulator.Fault{{Method: "POST", Times: 1, Status: 502}, {Method: "GET", Times: 1, Status: 200, Body: `{"values": []}`}}, true},
	} {
		for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
			t.Run(fmt.Sprint(name, " ", ahead), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					e, s := newEmulator(t)
					e.SetClock(func() time.Time { return time.Now().Add(ahead) })
					existing := e.AddDeployKey("mleu", "test", tc.key, tc.label)
					time.Sleep(tc.age)
					e.Inject(tc.faults...)
					result := s.Create(t.Context(), repository, bitbucket.DeployKeyInput{Key: keyLine + " ada @ host", Label: "ci"})
					exists, is := errors.AsType[*ExistsError](result.Err)
					switch {
					case tc.claims && (result.Outcome != Done || result.Err != nil || result.Key.ID != existing.ID):
						t.Errorf("got %+v, want the key", result)
					case !tc.claims && (!is || exists.Existing.ID != existing.ID || result.Key != nil || result.Outcome != Refused):
						t.Errorf("got %+v, want an *ExistsError", result)
					}
				})
			})
		}
	}
}

// The error names the existing key and wraps the refusal.
func TestExistsError(t *testing.T) {
	t.Parallel()
	e, s := newEmulator(t)
	id := e.AddDeployKey("mleu", "test", keyLine, "").ID
	result := s.Create(t.Context(), repository, input)
	if _, inUse := errors.AsType[*bitbucket.KeyInUseError](result.Err); !inUse || !bitbucket.HasStatus(result.Err, 400) {
		t.Errorf("got %T %v, want an error that wraps the refusal", result.Err, result.Err)
	}
	if want := fmt.Sprintf("it is there already, as deploy key %d: POST %s: 400 Bad Request: ", id, keysPath); !strings.HasPrefix(result.Err.Error(), want) {
		t.Errorf("got %q, want it to begin with %q", result.Err, want)
	}
	if got := methods(e); got != "POST 400, GET 200" {
		t.Errorf("got %s", got)
	}
}

// Bitbucket may refuse a key that it has elsewhere. A second request would be refused too.
func TestCreate_existsElsewhere(t *testing.T) {
	t.Parallel()
	e, s := newEmulator(t)
	e.Inject(emulator.Fault{Method: "POST", Status: 400, Body: `{"error": {"message": "Someone has already registered that SSH key."}}`})
	result := s.Create(t.Context(), repository, input)
	if _, inUse := errors.AsType[*bitbucket.KeyInUseError](result.Err); !inUse || result.Outcome != Refused {
		t.Errorf("got %+v", result)
	}
	if got := methods(e); got != "POST 400, GET 200" {
		t.Errorf("got %s", got)
	}
}

// Two creates of the same key and label cannot both claim one key.
func TestCreate_adoptsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		e.Inject(emulator.Fault{Method: "POST", Status: 500, CarryOut: true, Times: 1}, emulator.Fault{Method: "POST", Status: 502, Times: 1})
		if result := s.Create(t.Context(), repository, input); result.Outcome != Done {
			t.Fatalf("got %+v", result)
		}
		result := s.Create(t.Context(), repository, input)
		if _, exists := errors.AsType[*ExistsError](result.Err); !exists || result.Outcome != Refused {
			t.Errorf("got %+v, want an *ExistsError", result)
		}
	})
}

// A create must not claim a key that an earlier create has added.
func TestCreate_adoptsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		if result := s.Create(t.Context(), repository, input); result.Outcome != Done {
			t.Fatalf("got %+v", result)
		}
		e.Inject(emulator.Fault{Method: "POST", Status: 502, Times: 1})
		result := s.Create(t.Context(), repository, input)
		if _, exists := errors.AsType[*ExistsError](result.Err); !exists || result.Outcome != Refused {
			t.Errorf("got %+v, want an *ExistsError", result)
		}
	})
}

// If an attempt was lost and the next attempt is refused, the lost attempt may still have
// been carried out.
func TestCreate_refusedAfterLoss(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 404} {
		synctest.Test(t, func(t *testing.T) {
			e, s := newEmulator(t)
			e.Inject(emulator.Fault{Method: "POST", Status: 502, Times: 1}, emulator.Fault{Method: "POST", Status: status})
			result := s.Create(t.Context(), repository, input)
			if !bitbucket.HasStatus(result.Err, status) || result.Outcome != Unknown {
				t.Errorf("got %+v", result)
			}
		})
	}
}

// A create is not sent under an alias, because after a lost reply this could add the key
// twice.
func TestCreate_ownName(t *testing.T) {
	t.Parallel()
	for _, reply := range []http.HandlerFunc{httpfake.Reply(404, ""), httpfake.Reply(301, "", "Location: https://elsewhere.example/")} {
		api := httpfake.NewScript(t, reply)
		if result := newTestService(t, api).Create(t.Context(), repositoryWithUUID, input); result.Outcome != Refused || !maybeRenamed(result.Err) {
			t.Errorf("got %+v", result)
		}
		api.Expect("POST " + keysPath)
	}
}

// After a stop, Create still looks up the outcome of the request that was in flight, for a
// bounded time. It does not send the create again.
func TestCreate_stopped(t *testing.T) {
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
		"reply lost":            {[]emulator.Fault{{Method: "POST", Status: 500, CarryOut: true}}, 2 * time.Second, time.Second, 4 * time.Second, "POST 500, GET 200", true},
		"in the listing":        {[]emulator.Fault{{Method: "POST", Status: 500, CarryOut: true}}, 2 * time.Second, 3 * time.Second, 5 * time.Second, "POST 500, GET 0, GET 200", true},
		"request lost":          {[]emulator.Fault{{Method: "POST", Status: 500}}, 2 * time.Second, time.Second, 4 * time.Second, "POST 500, GET 200", false},
		"in the wait after it":  {[]emulator.Fault{emulator.Unavailable(60)}, time.Second, 10 * time.Second, 11 * time.Second, "POST 503, GET 503, GET 503", false},
		"in a wait for the 429": {[]emulator.Fault{{Status: 429, Header: http.Header{"Retry-After": {"60"}}}}, time.Second, 10 * time.Second, 10 * time.Second, "POST 429", false},
		"no replies any more":   {[]emulator.Fault{{Hang: true}}, 0, time.Second, 5*time.Second + transport.MaxGracePeriod, "POST 0", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, s := newEmulator(t)
				e.SetLatency(tc.latency)
				e.Inject(tc.faults...)
				ctx, cancel := context.WithCancel(t.Context())
				start := time.Now()
				time.AfterFunc(tc.at, cancel)
				result := s.Create(ctx, repository, input)
				if took := time.Since(start); took > tc.returns {
					t.Errorf("took %v, want %v", took, tc.returns)
				}
				if tc.added != (result.Outcome == Done && result.Err == nil && result.Key != nil) {
					t.Errorf("got %+v", result)
				}
				if got := methods(e); !strings.HasPrefix(got, tc.requests) || strings.Count(got, "POST") > 1 {
					t.Errorf("got %s, want %s", got, tc.requests)
				}
			})
		})
	}
}

// An input without a key changes only the label, so the comment is ignored.
func TestMatchesInput(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		key   bitbucket.DeployKey
		input bitbucket.DeployKeyInput
		want  bool
	}{
		"same":                {bitbucket.DeployKey{Key: keyLine, Comment: "ada", Label: "ci"}, bitbucket.DeployKeyInput{Key: keyLine + " ada", Label: "ci"}, true},
		"label alone":         {bitbucket.DeployKey{Key: keyLine, Comment: "ada", Label: "ci"}, bitbucket.DeployKeyInput{Label: "ci"}, true},
		"spaces":              {bitbucket.DeployKey{Key: keyLine, Comment: "ada  @ host", Label: " ci "}, bitbucket.DeployKeyInput{Key: keyLine + " ada @  host ", Label: "ci"}, true},
		"comment in the line": {bitbucket.DeployKey{Key: keyLine + " ada", Label: "ci"}, bitbucket.DeployKeyInput{Key: keyLine + " ada", Label: "ci"}, true},
		"another label":       {bitbucket.DeployKey{Key: keyLine, Label: "CI"}, bitbucket.DeployKeyInput{Key: keyLine, Label: "ci"}, false},
		"another comment":     {bitbucket.DeployKey{Key: keyLine, Comment: "ada", Label: "ci"}, bitbucket.DeployKeyInput{Key: keyLine, Label: "ci"}, false},
		"not a key":           {bitbucket.DeployKey{Key: "none", Label: "ci"}, bitbucket.DeployKeyInput{Key: keyLine, Label: "ci"}, true},
		"no key was sent":     {bitbucket.DeployKey{Key: keyLine, Label: "ci"}, bitbucket.DeployKeyInput{Key: "none", Label: "ci"}, false},
	} {
		if got := matchesInput(&tc.key, tc.input); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestOlderThan(t *testing.T) {
	t.Parallel()
	moment := time.Date(2026, 9, 30, 13, 7, 33, 0, time.UTC)
	for created, want := range map[string]bool{
		"2026-09-30T13:07:33.924449+00:00": false,
		"2026-09-30T15:07:33+02:00":        false,
		"2026-09-30T13:07:28Z":             false,
		"2026-09-30T13:07:27.999Z":         true,
		"2026-09-30T13:07:33":              true,
		"yesterday":                        true,
		"":                                 true,
	} {
		if got := olderThan(&bitbucket.DeployKey{CreatedOn: created}, moment); got != want {
			t.Errorf("%q: got %t", created, got)
		}
	}
}
