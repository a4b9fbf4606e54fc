package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestRefreshAfter_due(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		age  time.Duration
		read lastRead
		want bool
	}{
		"just read":      {day, lastRead{now, 0}, false},
		"before half":    {day, lastRead{now.Add(-day/2 + 1), 0}, false},
		"half":           {day, lastRead{now.Add(-day / 2), 0}, true},
		"before whole":   {day, lastRead{now.Add(-day + 1), 1}, false},
		"whole":          {day, lastRead{now.Add(-day), 1}, true},
		"share too low":  {day, lastRead{now.Add(-day/2 + 1), -1e300}, false},
		"share too high": {day, lastRead{now.Add(-day), 1e300}, true},
		"no time":        {1<<63 - 1, lastRead{}, true},
		"future":         {day, lastRead{now.Add(time.Second), 0}, true},
		"far future":     {day, lastRead{now.AddDate(5000, 0, 0), 0}, true},
		"far past":       {1<<63 - 1, lastRead{now.AddDate(-1000, 0, 0), 1}, true},
		"old, never due": {1<<63 - 1, lastRead{now.AddDate(-100, 0, 0), 0}, false},
		"always":         {0, lastRead{now, 1}, true},
		"lowered":        {time.Hour, lastRead{now.Add(-time.Hour), 0.5}, true},
	} {
		if got := (&refreshAfter{age: tc.age}).due(tc.read, now); got != tc.want {
			t.Errorf("%s: due is %v, want %v", name, got, tc.want)
		}
	}
}

// 5,000 repositories that were read at once fit into the limit for a month, with an apply each
// hour. After each apply, no key is older than a day.
func TestRefreshAfter_spread(t *testing.T) {
	t.Parallel()
	const repositories, hours = 5000, 30 * 24
	a := refreshAfter{age: 24 * time.Hour, seed: maphash.MakeSeed()}
	start := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	reads := make([]lastRead, repositories)
	parent := func(i int) bitbucket.Parent {
		return bitbucket.Parent{Workspace: "acme", Repository: fmt.Sprintf("repository-%d", i)}
	}
	for i := range reads {
		reads[i] = a.newLastRead(parent(i), start)
	}
	total := 0
	for hour := 1; hour <= hours; hour++ {
		now, due := start.Add(time.Duration(hour)*time.Hour), 0
		for i := range reads {
			if a.due(reads[i], now) {
				reads[i], due = a.newLastRead(parent(i), now), due+1
			} else if now.Sub(reads[i].At) >= a.age {
				t.Fatalf("hour %d: a key is %v old", hour, now.Sub(reads[i].At))
			}
		}
		if total += due; due > 550 || hour < 12 && due > 0 {
			t.Errorf("hour %d: %d keys are due", hour, due)
		}
		a.seed = maphash.MakeSeed() // The next run.
	}
	if mean := total / hours; mean < 250 || mean > 290 {
		t.Errorf("%d keys are due in an hour, on average", mean)
	}
}

// One listing reads the keys of a repository, so they are due together. In the next run, they
// are due with other keys.
func TestRefreshAfter_newLastRead(t *testing.T) {
	t.Parallel()
	run, next := refreshAfter{seed: maphash.MakeSeed()}, refreshAfter{seed: maphash.MakeSeed()}
	same, perRun, perParent := 0, 0, 0
	for i := range 100 {
		at := time.Date(2026, 11, 22, 16, 0, i, 0, time.UTC)
		parent := bitbucket.Parent{Workspace: "acme", Repository: fmt.Sprintf("Repository-%d", i)}
		share := run.newLastRead(parent, at).Share
		if share == run.newLastRead(bitbucket.Parent{Workspace: "ACME", Repository: fmt.Sprintf("repository-%d", i), UUID: acctest.WebsiteUUID}, at.Add(time.Hour)).Share {
			same++
		}
		if share == next.newLastRead(parent, at).Share {
			perRun++
		}
		if share == run.newLastRead(website(), at).Share {
			perParent++
		}
	}
	if same != 100 || perRun > 10 || perParent > 10 {
		t.Errorf("of 100 repositories, %d have one share in a run, %d have the same in the next run, and %d have that of another", same, perRun, perParent)
	}
}

func website() bitbucket.Parent { return bitbucket.Parent{Workspace: "acme", Repository: "website"} }

// privateValues is a private state.
type privateValues map[string][]byte

func (p privateValues) GetKey(_ context.Context, name string) ([]byte, diag.Diagnostics) {
	return p[name], nil
}

func (p privateValues) SetKey(_ context.Context, name string, value []byte) diag.Diagnostics {
	p[name] = value
	if value == nil {
		delete(p, name)
	}
	return nil
}

func TestLastReadOf(t *testing.T) {
	t.Parallel()
	a, private := refreshAfter{age: time.Hour, seed: maphash.MakeSeed()}, privateValues{}
	var diags diag.Diagnostics
	moment := time.Date(2026, 11, 22, 17, 0, 0, 999, time.FixedZone("", 3600))
	a.store(t.Context(), private, website(), moment, &diags)
	if got := string(private[lastReadName]); !strings.HasPrefix(got, `{"at":"2026-11-22T16:00:00Z","share":0.`) {
		t.Errorf("stored %s", got)
	}
	if got := lastReadOf(t.Context(), private, &diags); got != a.newLastRead(website(), moment) {
		t.Errorf("got %v", got)
	}
	for _, value := range hostileReads {
		if got := lastReadOf(t.Context(), privateValues{lastReadName: []byte(value)}, &diags); !a.due(got, moment) {
			t.Errorf("%s is the read %v, which is not due", value, got)
		}
	}
	a.store(t.Context(), private, website(), moment.AddDate(9999, 0, 0), &diags)
	if len(private) > 0 {
		t.Errorf("a wrong clock stores %v", private)
	}
	a.store(t.Context(), private, website(), moment, &diags)
	(&refreshAfter{seed: a.seed}).store(t.Context(), private, website(), moment, &diags)
	if len(private) > 0 || len(diags) > 0 {
		t.Errorf("0s stores %v, %v", private, diags)
	}
}

// hostileReads are values that are not the time of an earlier request.
var hostileReads = []string{
	``, `null`, `0`, `-1`, `true`, `""`, `"2026-11-22T16:00:00Z"`, `[]`, `[{"at": "2026-11-22T16:00:00Z"}]`, `{}`, `{"at": null}`, `{"at": 0}`, `{"at": ""}`,
	`{"at": "yesterday"}`, `{"at": "2026-11-22"}`, `{"at": "2026-13-40T16:00:00Z"}`, `{"at": "9999-12-31T23:59:59Z"}`, `{"at": "0000-00-00T00:00:00Z"}`,
	`{"at": "0001-01-01T00:00:00Z", "share": 1}`, `{"at": "2026-11-22T16:00:00Z", "share": "1"}`, `{"at": "2026-11-22T16:00:00Z", "share": 1e999}`,
	`{"at": {"at": "2026-11-22T16:00:00Z"}}`, `{"at": "` + strings.Repeat("9", 1000) + `"}`,
}

func TestProviderModel_refreshAfter(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		block    types.String
		variable string
		want     time.Duration
		wantErr  bool
	}{
		"neither":          {types.StringNull(), "", 0, false},
		"block":            {types.StringValue("24h"), "", 24 * time.Hour, false},
		"environment":      {types.StringNull(), "1h30m", 90 * time.Minute, false},
		"block wins":       {types.StringValue("0s"), "24h", 0, false},
		"block wins, 2":    {types.StringValue("24h"), "nonsense", 24 * time.Hour, false},
		"environment zero": {types.StringNull(), "0s", 0, false},
		"negative":         {types.StringNull(), "-1s", 0, true},
		"without unit":     {types.StringNull(), "24", 0, true},
		"days":             {types.StringNull(), "1d", 0, true},
		"too long":         {types.StringNull(), "9999999h", 0, true},
	} {
		var diags diag.Diagnostics
		got := (&providerModel{RefreshAfter: tc.block}).refreshAfter(func(string) string { return tc.variable }, &diags)
		if diags.HasError() != tc.wantErr || !tc.wantErr && got != tc.want {
			t.Errorf("%s: %v, %v", name, got, diags)
		}
	}
}

// refreshTest runs commands with refresh_after.
type refreshTest struct{ planPair }

// day is the line of the provider block.
const day = `refresh_after = "24h"`

func newRefreshTest(t *testing.T) refreshTest {
	t.Helper()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	return refreshTest{planPair{{f, terraform, acctest.Website}, {f, terraform, acctest.WEB}}}
}

func (r refreshTest) write(t *testing.T, body func(p *planTest) string) {
	t.Helper()
	config := ""
	for _, p := range r.planPair {
		config += body(p)
	}
	r.planPair[0].Write(t, r.planPair[0].Config(config, day, `update_strategy = "in_place"`, "max_retries = 0"))
}

// run runs a command that must succeed with these requests for each kind.
func (r refreshTest) run(t *testing.T, command string, requests ...func(p *planTest) []string) string {
	t.Helper()
	args := strings.Fields(command)
	if args[0] == "apply" || args[0] == "destroy" {
		args = append(args, "-auto-approve")
	}
	out := r.planPair[0].MustRun(t, args...)
	got, want := r.planPair[0].Sent(), []string{}
	for _, p := range r.planPair {
		for _, request := range requests {
			want = append(want, request(p)...)
		}
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("%s made the requests %v, want %v", command, got, want)
	}
	return out
}

// adds returns the request that adds a key.
func (p *planTest) adds() []string { return []string{"POST " + p.parent.Collection() + " 200"} }

// one returns a body with one key for each kind.
func one(key string, lines ...string) func(p *planTest) string {
	return func(p *planTest) string { return p.key("one", key, lines...) }
}

// editPrivate changes the private values of each key in the state.
func editPrivate(t *testing.T, dir string, edit func(map[string][]byte)) {
	t.Helper()
	file := filepath.Join(dir, "terraform.tfstate")
	var state map[string]json.RawMessage
	var resources []map[string]json.RawMessage
	decode(t, []byte(acctest.ReadFile(t, file)), &state)
	decode(t, state["resources"], &resources)
	for _, resource := range resources {
		var instances []map[string]json.RawMessage
		decode(t, resource["instances"], &instances)
		for _, instance := range instances {
			var private []byte
			values := map[string][]byte{}
			if instance["private"] != nil {
				decode(t, instance["private"], &private)
				decode(t, private, &values)
			}
			edit(values)
			instance["private"] = encode(t, encode(t, values))
		}
		resource["instances"] = encode(t, instances)
	}
	state["resources"] = encode(t, resources)
	if err := os.WriteFile(file, encode(t, state), 0o600); err != nil {
		t.Fatal(err)
	}
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// ages makes the stored times older.
func (r refreshTest) ages(t *testing.T, by time.Duration) {
	t.Helper()
	editPrivate(t, r.planPair[0].Dir, func(values map[string][]byte) {
		var read lastRead
		decode(t, values[lastReadName], &read) // Fails if no time is stored.
		read.At = read.At.Add(-by)
		values[lastReadName] = encode(t, read)
	})
}

// Only apply stores when a key was read. A key that was read recently costs no request.
func TestAccRefreshAfter(t *testing.T) {
	t.Parallel()
	r, list := newRefreshTest(t), (*planTest).list
	keys := map[string]string{"one": acctest.NewKey(t), "two": acctest.NewKey(t)}
	body := func(p *planTest) string {
		config := ""
		for name, key := range keys {
			config += p.key(name, key)
		}
		return config
	}
	r.write(t, body)
	r.run(t, "apply", (*planTest).adds, (*planTest).adds)
	r.run(t, "plan -detailed-exitcode")
	r.ages(t, 11*time.Hour)
	r.run(t, "plan -detailed-exitcode")
	r.ages(t, 13*time.Hour)
	r.run(t, "plan -detailed-exitcode", list)
	r.run(t, "plan -out=saved", list) // The first plan has stored nothing.
	r.planPair[0].MustRun(t, "apply", "saved")
	r.planPair[0].ForgetRequests()
	r.run(t, "plan -detailed-exitcode")
	r.ages(t, 24*time.Hour)
	r.run(t, "apply", list)
	r.run(t, "apply -refresh-only")
	r.ages(t, 24*time.Hour)
	r.run(t, "apply -refresh-only", list)
	r.run(t, "plan -detailed-exitcode")

	// A key that was read and a key that was not.
	targets := func(name string) string {
		return fmt.Sprintf(" -target=%s.%s -target=%s.%s", acctest.Website.TypeName, name, acctest.WEB.TypeName, name)
	}
	keys["three"] = acctest.NewKey(t)
	r.write(t, body)
	r.ages(t, 24*time.Hour)
	r.run(t, "apply"+targets("one"), list)
	r.run(t, "plan"+targets("one"))
	r.run(t, "plan"+targets("two"), list)
	r.run(t, "apply", list, (*planTest).adds)
	r.run(t, "plan -detailed-exitcode")

	// Without refresh_after every key is read, and nothing is stored.
	delete(keys, "three")
	config := body(r.planPair[0]) + body(r.planPair[1])
	r.planPair[0].Write(t, r.planPair[0].Config(config))
	third := map[string]int64{}
	for _, p := range r.planPair {
		third[p.parent.Kind] = p.Keys(p.parent)[2].ID
	}
	r.run(t, "apply", list, func(p *planTest) []string {
		return []string{fmt.Sprintf("DELETE %s/%d 204", p.parent.Collection(), third[p.parent.Kind])}
	})
	if state := acctest.ReadFile(t, r.planPair[0].Dir+"/terraform.tfstate"); strings.Contains(state, `"private"`) {
		t.Errorf("the state has private data: %s", state)
	}
	r.write(t, body)
	r.run(t, "apply", list)
	ids := map[string][]string{}
	for _, p := range r.planPair {
		for _, key := range p.Keys(p.parent) {
			ids[p.parent.Kind] = append(ids[p.parent.Kind], fmt.Sprintf("DELETE %s/%d 204", p.parent.Collection(), key.ID))
		}
	}
	r.run(t, "destroy", func(p *planTest) []string { return ids[p.parent.Kind] })
}

// What others change is seen when the key is due, and -refresh=false stores no time.
func TestAccRefreshAfter_drift(t *testing.T) {
	t.Parallel()
	r, list := newRefreshTest(t), (*planTest).list
	r.write(t, one(acctest.NewKey(t)))
	r.run(t, "apply", (*planTest).adds)
	for _, p := range r.planPair {
		p.Edit(p.parent, p.OnlyKeyOf(t, p.parent).ID, func(key *emulator.DeployKey) { key.Label = "theirs" })
	}
	r.run(t, "plan -detailed-exitcode")
	r.ages(t, 24*time.Hour)
	r.run(t, "apply -refresh=false")
	acctest.Contains(t, r.run(t, "plan", list), `"theirs"`, `"theirs"`)
	website, web := r.planPair[0].OnlyKeyOf(t, acctest.Website).ID, r.planPair[1].OnlyKeyOf(t, acctest.WEB).ID
	r.run(t, "apply", list, func(p *planTest) []string {
		if p.parent.IsProject() {
			return append(p.adds(), fmt.Sprintf("DELETE %s/%d 204", p.parent.Collection(), web))
		}
		return []string{fmt.Sprintf("PUT %s/%d 200", p.parent.Collection(), website)}
	})
	r.run(t, "plan -detailed-exitcode")
	for _, p := range r.planPair {
		p.Remove(p.parent, p.OnlyKeyOf(t, p.parent).ID)
	}
	r.run(t, "plan -detailed-exitcode")
	r.ages(t, 24*time.Hour)
	acctest.Contains(t, r.planPair[0].MustRun(t, "plan"), "2 to add")
}

// An update that does not find the key fails with advice, and the next plan reads the key.
func TestAccRefreshAfter_updateFindsNoKey(t *testing.T) {
	t.Parallel()
	key := acctest.NewKey(t)
	r := newRefreshTest(t)
	r.planPair = r.planPair[:1]
	p := r.planPair[0]
	r.write(t, one(key))
	r.run(t, "apply", (*planTest).adds)
	p.RemoveDeployKey("acme", "website", acctest.FirstID)
	r.write(t, one(key, `label = "new"`))
	acctest.Contains(t, p.Fails(t, []string{"apply", "-auto-approve"}, "Unable to update deploy key", "404", "This provider has last read the key at 20", "because of refresh_after", "Plan and apply again."), "Z")
	if got := p.Sent(); strings.HasPrefix(got[0], "GET ") {
		t.Errorf("the first apply made the requests %v", got)
	}
	acctest.Contains(t, p.MustRun(t, "apply", "-auto-approve"), "1 added")
	if got := p.Sent(); !strings.HasPrefix(got[0], "GET ") || got[len(got)-1] != "POST acme/website/deploy-keys 200" {
		t.Errorf("the second apply made the requests %v", got)
	}
	r.run(t, "plan -detailed-exitcode")

	// A key that every plan reads needs no such advice.
	p.RemoveDeployKey("acme", "website", acctest.FirstID+1)
	p.Write(t, p.Config(p.key("one", key, `label = "newer"`)))
	if out := p.Fails(t, []string{"apply", "-auto-approve", "-refresh=false"}, "Unable to update deploy key"); strings.Contains(out, "refresh_after") {
		t.Errorf("the advice is about refresh_after: %s", out)
	}
}

// aDay are the attributes of a provider with refresh_after.
func aDay() map[string]string {
	return map[string]string{"refresh_after": "24h", "update_strategy": "in_place"}
}

// applyKey applies a plan, and reports whether it succeeded.
func (r *keyRun) applyKey(t *testing.T, prior *storedKey, plan keyPlan) (*storedKey, bool) {
	t.Helper()
	resp, err := r.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: r.parent.TypeName, PriorState: prior.state, Config: plan.config,
		PlannedState: plan.response.PlannedState, PlannedPrivate: plan.response.PlannedPrivate, PlannedIdentity: plan.response.PlannedIdentity,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &storedKey{resp.NewState, resp.Private}, !slices.ContainsFunc(diagnosed(resp.Diagnostics), isError)
}

// After a write that failed, or stored something else, the next plan reads the key.
func TestRefreshAfter_writeFails(t *testing.T) {
	t.Parallel()
	refused := func(method string) []emulator.Fault {
		return []emulator.Fault{{Method: method, Status: http.StatusForbidden}}
	}
	relabelled := func(method string) []emulator.Fault { return []emulator.Fault{{Method: method, Rewrite: anotherLabel}} }
	for name, tc := range map[string]struct {
		parent   acctest.Parent
		faults   []emulator.Fault
		replaced bool
		fails    bool
	}{
		"update":                  {acctest.Website, nil, false, false},
		"create":                  {acctest.Website, nil, true, false},
		"update refused":          {acctest.Website, refused(http.MethodPut), false, true},
		"update cannot be used":   {acctest.Website, []emulator.Fault{{Method: http.MethodPut, CarryOut: true, Status: http.StatusOK, Body: "<html>"}}, false, false},
		"update of another key":   {acctest.Website, []emulator.Fault{{Rewrite: anotherID}}, false, true},
		"update stores something": {acctest.Website, relabelled(http.MethodPut), false, false},
		"create stores something": {acctest.Website, relabelled(http.MethodPost), true, false},
		"create unknown":          {acctest.Website, []emulator.Fault{{Method: http.MethodPost, Rewrite: onlyItsID}, {Method: http.MethodGet}}, true, true},
		"delete refused":          {acctest.Website, refused(http.MethodDelete), true, true},
		"project, delete refused": {acctest.WEB, refused(http.MethodDelete), true, true},
		"project, create":         {acctest.WEB, relabelled(http.MethodPost), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, config := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}
			stored := createKey(t, f, tc.parent, aDay(), config)
			config["label"] = "ours"
			r := newKeyRun(t, f, tc.parent, aDay())
			plan, ok := r.plan(t, stored, config), true
			r.sends(t)
			f.Inject(tc.faults...)
			if tc.replaced {
				plan = r.planAgain(t, plan)
				stored, ok = r.applyKey(t, stored, r.planDelete(t, stored))
			}
			if ok {
				stored, ok = r.applyKey(t, stored, plan)
			}
			if ok == tc.fails {
				t.Fatalf("the apply succeeds: %v", ok)
			}
			f.ClearFaults()
			f.ForgetRequests()
			r = newKeyRun(t, f, tc.parent, aDay())
			keyStep(stored, config)(t, r)
			if len(tc.faults) == 0 || name == "update cannot be used" { // The lookup has found what was sent.
				r.sends(t)
			} else {
				r.sends(t, "GET "+tc.parent.Collection()+" 200")
			}
		})
	}
}

func onlyItsID(http.Header, string) string { return fmt.Sprintf(`{"id": %d}`, acctest.FirstID+1) }

func anotherID(_ http.Header, body string) string {
	return strings.Replace(body, fmt.Sprintf(`"id":%d`, acctest.FirstID), `"id":1`, 1)
}

func anotherLabel(_ http.Header, body string) string {
	return strings.Replace(body, `"ours"`, `"theirs"`, 1)
}

// A wrong value in the state costs a request and is repaired.
func TestRefreshAfter_hostileState(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, config := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}
		stored := createKey(t, f, parent, aDay(), config)
		list := "GET " + parent.Collection() + " 200"
		read := func(key *storedKey, want ...string) *storedKey {
			t.Helper()
			r := newKeyRun(t, f, parent, aDay())
			resp, err := r.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: parent.TypeName, CurrentState: key.state, Private: key.private})
			if err != nil || len(resp.Diagnostics) > 0 {
				t.Fatal(err, diagnosed(resp.Diagnostics))
			}
			r.sends(t, want...)
			return &storedKey{resp.NewState, resp.Private}
		}
		read(stored)
		for _, value := range hostileReads {
			if !json.Valid([]byte(value)) {
				continue // Terraform's framework refuses it.
			}
			repaired := read(&storedKey{stored.state, encode(t, map[string][]byte{lastReadName: []byte(value)})}, list)
			read(repaired)
		}
		// The state of another provider has no key: the key must be read in any case.
		r := newKeyRun(t, f, parent, nil)
		values := r.values(t, stored.state)
		delete(values, "key")
		read(&storedKey{r.object(t, values), stored.private}, list)
	})
}

// An import reads the key, and the apply stores the time.
func TestAccRefreshAfter_import(t *testing.T) {
	t.Parallel()
	r, key := newRefreshTest(t), acctest.NewKey(t)
	r.write(t, one(key))
	for _, p := range r.planPair {
		id := p.Add(p.parent, key, "").ID
		p.MustRun(t, "import", p.parent.TypeName+".one", p.parent.ImportID(id))
		if got := p.Sent(); !slices.Equal(got, p.list()) {
			t.Errorf("the import made the requests %v", got)
		}
	}
	r.run(t, "plan -detailed-exitcode")
	for _, p := range r.planPair {
		p.MustRun(t, "state", "mv", p.parent.TypeName+".one", p.parent.TypeName+".two")
	}
	r.write(t, func(p *planTest) string { return p.key("two", key) })
	r.run(t, "plan -detailed-exitcode")
}

// A key that is to be replaced is read first. If its repository has a new name, the old key
// would be removed, but no key could be added.
func TestRefreshAfter_replacedAfterRename(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		stored := createKey(t, f, parent, aDay(), map[string]string{"key": acctest.NewKey(t)})
		another := keyStep(stored, map[string]string{"key": acctest.NewKey(t)})
		newKeyRun(t, f, parent, aDay()).warned(t, []string{"GET " + parent.Collection() + " 200"}, "", 0, another)
		want := []string{"Error: Repository has another name now", `"acme/site"`}
		if parent.IsProject() {
			f.RemoveParent(parent)
			want = []string{"Error: Unable to read deploy key", "404", "still in the Terraform state"}
		} else {
			f.RenameRepository("acme", "website", "site")
		}
		acctest.Contains(t, acctest.Reported(another(t, newKeyRun(t, f, parent, aDay()))), want...)
		if got := f.Writes(); len(got) > 0 {
			t.Errorf("the plan made the requests %v", got)
		}
	})
}

// A set does not report a managed key that the refresh has not read.
func TestAccRefreshAfter_exclusive(t *testing.T) {
	t.Parallel()
	r, list := newRefreshTest(t), (*planTest).list
	first, second := acctest.NewKey(t), acctest.NewKey(t)
	set := func(p *planTest) string {
		return p.key("one", first) + fmt.Sprintf("\nresource %q \"only\" {\n  workspace = \"acme\"\n  %s\n  key_ids = [%s.one.key_id]\n}\n", p.parent.TypeName+"s_exclusive", p.parent.Line(p.parent.Name), p.parent.TypeName)
	}
	r.write(t, set)
	r.run(t, "apply", (*planTest).adds, list)
	r.run(t, "plan -detailed-exitcode", list)
	r.write(t, func(p *planTest) string { return set(p) + p.key("two", second) })
	r.planPair[0].MustRun(t, "apply", "-auto-approve")
	r.planPair[0].ForgetRequests()
	for range 2 {
		out := r.run(t, "apply", list)
		for _, p := range r.planPair {
			acctest.Contains(t, out, "Managed deploy keys of "+p.parent.String()+" are not in key_ids", "0 added, 0 changed, 0 destroyed")
		}
	}
}

// The environment fills in refresh_after, and the log counts the keys.
func TestAccRefreshAfter_environment(t *testing.T) {
	t.Parallel()
	p := &planTest{acctest.NewFake(t), acctest.NewBuiltCLI(t), acctest.Website} // The provider in this process does not see the environment of a command.
	p.Write(t, p.Config(p.key("one", acctest.NewKey(t))+p.key("two", acctest.NewKey(t))))
	set := p.Env
	p.Env = append(slices.Clone(set), "BITBUCKET_REFRESH_AFTER=24h")
	acctest.Contains(t, p.MustRun(t, "apply", "-auto-approve"), "2 added")
	for _, tc := range []struct {
		variables []string
		prints    []string
		requests  []string
	}{
		{[]string{"BITBUCKET_REFRESH_AFTER=24h", "TF_LOG=INFO"}, []string{"deploy key was not read again because of refresh_after", "keys_not_read=2", "oldest_last_read=20"}, nil},
		{[]string{"BITBUCKET_REFRESH_AFTER="}, nil, p.list()},
	} {
		p.Env = append(slices.Clone(set), tc.variables...)
		p.ForgetRequests()
		out := p.MustRun(t, "plan")
		for _, text := range tc.prints {
			acctest.Contains(t, out, text)
		}
		if got := p.Sent(); !slices.Equal(got, tc.requests) {
			t.Errorf("with %v, the plan made the requests %v", tc.variables, got)
		}
	}
	p.Env = append(slices.Clone(set), "BITBUCKET_REFRESH_AFTER=daily")
	p.Fails(t, []string{"plan"}, "Invalid duration", "BITBUCKET_REFRESH_AFTER")
}
