package provider

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

// planTest runs plans of changed configurations.
type planTest struct {
	*acctest.Fake
	*acctest.CLI
	parent acctest.Parent
}

// newPlanTest applies a configuration.
func newPlanTest(t *testing.T, parent acctest.Parent, resources ...string) *planTest {
	t.Helper()
	p := &planTest{acctest.NewFake(t), acctest.NewCLI(t), parent}
	if len(resources) > 0 {
		p.Write(t, p.Config(strings.Join(resources, "")))
		out := p.MustRun(t, "apply", "-auto-approve")
		if len(warnings(out)) > 0 {
			t.Errorf("the apply warns: %s", warnings(out))
		}
		p.ForgetRequests()
	}
	return p
}

// key returns a resource with this name and key.
func (p *planTest) key(name, key string, lines ...string) string {
	return strings.Replace(p.parent.DeployKey(append(lines, acctest.KeyLine(key))...), `"test"`, fmt.Sprintf("%q", name), 1)
}

// list returns the request that lists the keys.
func (p *planTest) list() []string { return []string{"GET " + p.parent.Collection() + " 200"} }

// warnings returns the texts that begin with a warning of the provider.
func warnings(out string) []string {
	all := strings.Split(out, "Warning: ")[1:]
	return slices.DeleteFunc(all, func(text string) bool { return strings.HasPrefix(text, "Provider development overrides") })
}

// plans checks what a plan requests, and that it gives this warning this number of times, and
// no other one. It returns the output.
func (p *planTest) plans(t *testing.T, config string, requests []string, warning string, times int, args ...string) string {
	t.Helper()
	p.Write(t, config)
	out := p.MustRun(t, append([]string{"plan"}, args...)...)
	given := warnings(out)
	if len(given) != times || times > 0 && !strings.HasPrefix(given[0], warning) {
		t.Errorf("%v gives the warnings %q, want %d times %q", args, given, times, warning)
	}
	if got := p.Sent(); !slices.Equal(got, requests) {
		t.Errorf("%v made the requests %v, want %v", args, got, requests)
	}
	return out
}

// planPair plans keys of a repository and of a project in one configuration.
type planPair []*planTest

// newPlanPair applies a body of both kinds.
func newPlanPair(t *testing.T, body func(p *planTest) string) planPair {
	t.Helper()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	pair := planPair{{f, terraform, acctest.Website}, {f, terraform, acctest.WEB}}
	pair.runs(t, body, "", 0, "apply", "-auto-approve")
	return pair
}

// runs checks that a command gives this warning this number of times for each kind, and no
// other warning. It returns the output.
func (pair planPair) runs(t *testing.T, body func(p *planTest) string, warning string, times int, args ...string) string {
	t.Helper()
	config := ""
	for _, p := range pair {
		config += body(p)
	}
	pair[0].Write(t, pair[0].Config(config))
	out := pair[0].MustRun(t, args...)
	given := warnings(out)
	for _, p := range pair {
		name := warning + " in " + p.parent.String()
		if n := strings.Count(strings.Join(given, "\n"), name+" "); n != times && times > 0 {
			t.Errorf("%v gives the warnings %q, want %d times %q", args, given, times, name)
		}
	}
	if len(given) != times*len(pair) {
		t.Errorf("%v gives the warnings %q, want %d", args, given, times*len(pair))
	}
	return out
}

// planStep is what a run of Terraform does with one object. It returns the diagnostics.
type planStep func(t *testing.T, r *keyRun) []*tfprotov6.Diagnostic

// keyStep refreshes a key and plans it, unless the options omit the refresh. stored is nil for
// a new key, and config is nil for a key that the plan deletes. As Terraform does, it plans a
// replacement twice.
func keyStep(stored *storedKey, config map[string]string, options ...string) planStep {
	return func(t *testing.T, r *keyRun) []*tfprotov6.Diagnostic {
		var diagnostics []*tfprotov6.Diagnostic
		prior := stored
		if stored != nil && !slices.Contains(options, "-refresh=false") {
			resp, err := r.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: r.parent.TypeName, CurrentState: stored.state, Private: stored.private})
			if err != nil {
				t.Fatal(err)
			}
			prior, diagnostics = &storedKey{resp.NewState, resp.Private}, resp.Diagnostics
		}
		if config == nil {
			return append(diagnostics, r.planDelete(t, prior).response.Diagnostics...)
		}
		plan := r.plan(t, prior, config)
		diagnostics = append(diagnostics, plan.response.Diagnostics...)
		if stored != nil && (slices.Contains(options, "-replace") || len(plan.replaces) > 0) {
			diagnostics = append(diagnostics, r.planAgain(t, plan).response.Diagnostics...)
		}
		return diagnostics
	}
}

// warned runs steps in this order over the protocol, as a plan with -parallelism=1 does. It
// checks the requests and the warnings, and returns the messages.
func (r *keyRun) warned(t *testing.T, requests []string, warning string, times int, steps ...planStep) string {
	t.Helper()
	var diagnostics []*tfprotov6.Diagnostic
	for _, step := range steps {
		diagnostics = append(diagnostics, step(t, r)...)
	}
	out := acctest.Reported(diagnostics)
	given := warnings(out)
	if len(given) != times || len(given) != len(diagnostics) || times > 0 && !strings.HasPrefix(given[0], warning) {
		t.Errorf("got %s, want %d times the warning %q", out, times, warning)
	}
	r.sends(t, requests...)
	return out
}

// A key that somebody has added by hand is known as soon as another key is refreshed, before
// or after the plan of the new one.
func TestPlanWarnings_keyExists(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, managed, key := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}, acctest.NewKey(t)
		list := []string{"GET " + parent.Collection() + " 200"}
		warning := "Deploy key exists already in " + parent.String()
		stored := createKey(t, f, parent, nil, managed)
		theirs := f.Add(parent, key, "by hand")
		old, added := keyStep(stored, managed), keyStep(nil, map[string]string{"key": key})
		data := func(t *testing.T, r *keyRun) []*tfprotov6.Diagnostic {
			return readData(t, r.Server, parent.TypeName+"s", map[string]string{parent.Kind: parent.Name}).diagnostics
		}
		set := func(t *testing.T, r *keyRun) []*tfprotov6.Diagnostic {
			state := setObject(t, r.Server, parent, ids(theirs))
			resp, err := r.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: parent.TypeName + "s_exclusive", CurrentState: state})
			if err != nil {
				t.Fatal(err)
			}
			return resp.Diagnostics
		}
		run := func() *keyRun { return newKeyRun(t, f, parent, nil) }
		for _, known := range []planStep{old, data, set} {
			for _, steps := range [][]planStep{{added, known}, {known, added}} {
				out := run().warned(t, list, warning, 1, steps...)
				acctest.Contains(t, out, fmt.Sprintf("deploy key %d, label \"by hand\"", theirs.ID), "the apply will fail to add it. Import it", fmt.Sprintf("id = %q", parent.ImportID(theirs.ID)), "moved {")
			}
		}
		run().warned(t, nil, "", 0, keyStep(stored, managed, "-refresh=false"), added)
		run().warned(t, nil, "", 0, added)
		// Nothing is known of another repository, although the key is the same.
		run().warned(t, list, "", 0, old, keyStep(nil, map[string]string{"key": key, parent.Kind: parent.Other}))
	})
}

// The refresh of a key, of a data source or of a set can bring the listing.
func TestAccPlanWarnings_keyExists(t *testing.T) {
	t.Parallel()
	keys := map[string][]string{}
	for _, kind := range []string{"repository", "project"} {
		keys[kind] = []string{acctest.NewKey(t), acctest.NewKey(t), acctest.NewKey(t)}
	}
	const warning = "Deploy key exists already"
	old := func(p *planTest) string { return p.key("old", keys[p.parent.Kind][0]) }
	added := func(p *planTest) string { return p.key("new", keys[p.parent.Kind][1]) }
	pair := newPlanPair(t, old)
	for _, p := range pair {
		p.Add(p.parent, keys[p.parent.Kind][1], "by hand")
	}
	out := pair.runs(t, func(p *planTest) string { return old(p) + added(p) }, warning, 1, "plan")
	acctest.Contains(t, out, "label \"by hand\"", "the apply will fail to add it. Import it", "moved {")
	pair.runs(t, func(p *planTest) string {
		return fmt.Sprintf("\ndata %q \"all\" {\n  workspace = \"acme\"\n  %s\n}\n", p.parent.TypeName+"s", p.parent.Line(p.parent.Name)) + added(p)
	}, warning, 1, "plan")
	set := func(p *planTest) string {
		return fmt.Sprintf("\nresource %q \"only\" {\n  workspace = \"acme\"\n  %s\n  key_ids = [%d]\n}\n", p.parent.TypeName+"s_exclusive", p.parent.Line(p.parent.Name), p.Keys(p.parent)[0].ID)
	}
	pair = newPlanPair(t, func(p *planTest) string { p.Add(p.parent, keys[p.parent.Kind][1], ""); return set(p) })
	pair.runs(t, func(p *planTest) string { return set(p) + added(p) }, warning, 1, "plan")
}

// Two resources with the same key are known without any listing.
func TestPlanWarnings_keyTwice(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		warning := "Same deploy key twice in " + parent.String()
		one := map[string]string{"key": key}
		two := keyStep(nil, map[string]string{"key": key + " with a comment", "label": "x"})
		run := func() *keyRun { return newKeyRun(t, f, parent, nil) }
		acctest.Contains(t, run().warned(t, nil, warning, 1, keyStep(nil, one), two), "Two resources", "Remove one of the two resources")
		run().warned(t, nil, "", 0, keyStep(nil, one), keyStep(nil, map[string]string{"key": key, parent.Kind: parent.Other}))

		// One of them has the key already.
		stored := createKey(t, f, parent, nil, one)
		list := []string{"GET " + parent.Collection() + " 200"}
		for _, order := range []func(a, b planStep) []planStep{
			func(a, b planStep) []planStep { return []planStep{a, b} },
			func(a, b planStep) []planStep { return []planStep{b, a} },
		} {
			acctest.Contains(t, run().warned(t, list, warning, 1, order(keyStep(stored, one), two)...), fmt.Sprintf("has this key already, as deploy key %d", acctest.FirstID))
			run().warned(t, nil, warning, 1, order(keyStep(stored, one, "-refresh=false"), two)...)
		}
	})
}

// The plan warns, and the apply fails.
func TestAccPlanWarnings_keyTwice(t *testing.T) {
	t.Parallel()
	key := acctest.NewKey(t)
	const warning = "Same deploy key twice"
	both := func(p *planTest) string {
		return p.key("one", key) + p.key("two", key+" with a comment", `label = "x"`)
	}
	pair := newPlanPair(t, func(*planTest) string { return "" })
	pair.runs(t, both, warning, 1, "plan")
	pair.runs(t, func(p *planTest) string { return p.key("one", key) }, "", 0, "apply", "-auto-approve")
	acctest.Contains(t, pair.runs(t, both, warning, 1, "plan"), fmt.Sprintf("has this key already, as deploy key %d", acctest.FirstID))
	out := pair[0].Fails(t, []string{"apply", "-auto-approve"}, warning)
	if got := strings.Count(out, "Error: Unable to create deploy key"); got != 2 {
		t.Errorf("there are %d errors: %s", got, out)
	}
}

// A key that the same plan deletes or replaces is no reason for a warning.
func TestPlanWarnings_ownKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, one, two := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}, map[string]string{"key": acctest.NewKey(t)}
		list := []string{"GET " + parent.Collection() + " 200"}
		stored := createKey(t, f, parent, nil, one)
		for name, tc := range map[string]struct {
			strategy string
			requests []string
			steps    []planStep
		}{
			"renamed":              {"", list, []planStep{keyStep(stored, nil), keyStep(nil, one)}},
			"deleted":              {"", list, []planStep{keyStep(stored, nil)}},
			"another key":          {"", list, []planStep{keyStep(stored, two)}},
			"label":                {"replace", list, []planStep{keyStep(stored, map[string]string{"key": one["key"], "label": "x"})}},
			"-replace":             {"", list, []planStep{keyStep(stored, one, "-replace")}},
			"-replace, no refresh": {"", nil, []planStep{keyStep(stored, one, "-refresh=false", "-replace")}},
			"nothing changes":      {"", list, []planStep{keyStep(stored, one)}},
		} {
			t.Run(name, func(t *testing.T) {
				attributes := map[string]string{}
				if tc.strategy != "" {
					attributes["update_strategy"] = tc.strategy
				}
				newKeyRun(t, f, parent, attributes).warned(t, tc.requests, "", 0, tc.steps...)
			})
		}
	})
}

// A replacement and a rename plan and apply without a warning, and leave nothing behind.
func TestAccPlanWarnings_ownKey(t *testing.T) {
	t.Parallel()
	one, two := acctest.NewKey(t), acctest.NewKey(t)
	first := func(p *planTest) string { return p.key("one", one) }
	renamed := func(p *planTest) string { return p.key("renamed", one) }
	pair := newPlanPair(t, first)
	f, terraform := pair[0].Fake, pair[0].CLI
	list := []string{pair[1].list()[0], pair[0].list()[0]}
	f.ForgetRequests()
	plans := func(body func(p *planTest) string, args ...string) {
		t.Helper()
		pair.runs(t, body, "", 0, append([]string{"plan"}, args...)...)
		if got := f.Sent(); !slices.Equal(slices.Sorted(slices.Values(got)), list) {
			t.Errorf("%v made the requests %v, want %v", args, got, list)
		}
	}
	plans(renamed)
	plans(first, "-destroy")
	terraform.MustRun(t, "taint", acctest.Website.TypeName+".one")
	plans(first)
	pair.runs(t, first, "", 0, "apply", "-auto-approve", "-replace="+acctest.WEB.TypeName+".one")
	pair.runs(t, func(p *planTest) string { return renamed(p) + p.key("two", two) }, "", 0, "apply", "-auto-approve")
	if state := acctest.ReadFile(t, terraform.Dir+"/terraform.tfstate"); strings.Contains(state, `"private"`) {
		t.Errorf("the state has private data: %s", state)
	}
}

// If several addresses change at once, a key can be planned before its old address is known.
// A warning then says that the key is handed over.
func TestPlanWarnings_addressesChange(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		one, two := map[string]string{"key": acctest.NewKey(t)}, map[string]string{"key": acctest.NewKey(t)}
		first, second := createKey(t, f, parent, nil, one), createKey(t, f, parent, nil, two)
		for name, tc := range map[string]struct {
			times int
			steps []planStep
		}{
			"new names, added first":   {1, []planStep{keyStep(nil, one), keyStep(nil, two), keyStep(first, nil), keyStep(second, nil)}},
			"new names, deleted first": {0, []planStep{keyStep(first, nil), keyStep(second, nil), keyStep(nil, one), keyStep(nil, two)}},
			"swapped":                  {1, []planStep{keyStep(first, two), keyStep(second, one)}},
			"one is left":              {1, []planStep{keyStep(first, two), keyStep(second, nil)}},
			"one is left, other order": {0, []planStep{keyStep(second, nil), keyStep(first, two)}},
		} {
			t.Run(name, func(t *testing.T) {
				out := newKeyRun(t, f, parent, nil).warned(t, []string{"GET " + parent.Collection() + " 200"}, "Deploy key exists already in "+parent.String(), tc.times, tc.steps...)
				if strings.Count(out, "the apply hands the key over") != tc.times {
					t.Errorf("got %s", out)
				}
			})
		}
	})
}

// An imported key is not a new one.
func TestAccPlanWarnings_import(t *testing.T) {
	t.Parallel()
	key := acctest.NewKey(t)
	pair := newPlanPair(t, func(*planTest) string { return "" })
	imported := func(p *planTest) string {
		return fmt.Sprintf("\nimport {\n  to = %s.one\n  id = %q\n}\n", p.parent.TypeName, p.parent.ImportID(p.Keys(p.parent)[0].ID)) + p.key("one", key)
	}
	for _, p := range pair {
		p.Add(p.parent, key, "")
	}
	pair.runs(t, imported, "", 0, "plan")
	pair.runs(t, func(p *planTest) string { return imported(p) + p.key("two", key) }, "Same deploy key twice", 1, "plan")
}

// What is not known yet is no reason for a warning.
func TestPlanWarnings_unknown(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, managed := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}
		stored := createKey(t, f, parent, nil, managed)
		f.Add(parent, acctest.NewKey(t), "")
		unknown := keyStep(nil, map[string]string{"key": acctest.UnknownValue})
		newKeyRun(t, f, parent, nil).warned(t, []string{"GET " + parent.Collection() + " 200"}, "", 0, keyStep(stored, managed), unknown, unknown)
	})
}

// A new name that Bitbucket does not find is reported, with the request that a plan makes
// anyway.
func TestPlanWarnings_newParentNotFound(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key, typo := acctest.NewFake(t), acctest.NewKey(t), parent.Name+"X"
		same := map[string]string{"key": key}
		stored := createKey(t, f, parent, nil, same)
		list := "GET " + parent.Collection() + " 200"
		for _, tc := range []struct{ attribute, value, old, name string }{
			{parent.Kind, typo, parent.Name, parent.Named(typo).String()},
			{"workspace", "acmee", "acme", strings.Replace(parent.String(), "acme", "acmee", 1)},
		} {
			name := strings.TrimPrefix(tc.name, "project ")
			out := newKeyRun(t, f, parent, nil).warned(t, []string{list, "GET " + strings.Replace(parent.FirstKey(), tc.old, tc.value, 1) + " 404"}, "Not found: "+tc.name, 1,
				keyStep(stored, map[string]string{"key": key, tc.attribute: tc.value}))
			acctest.Contains(t, out, fmt.Sprintf("deploy key %d changes from acme/%s to %s,", acctest.FirstID, parent.Name, name), "does not find "+name, "deletes the key from acme/"+parent.Name, "fails to add it to "+name)
		}
		// An existing repository without this key is a normal move.
		newKeyRun(t, f, parent, nil).warned(t, []string{list, "GET " + strings.Replace(parent.FirstKey(), parent.Name, parent.Other, 1) + " 404"}, "", 0,
			keyStep(stored, map[string]string{"key": key, parent.Kind: parent.Other}))
		// A new resource is not looked up.
		newKeyRun(t, f, parent, nil).warned(t, []string{list}, "", 0, keyStep(stored, same), keyStep(nil, map[string]string{"key": key, parent.Kind: typo}))
	})
}

// A change in place may be refused, unless the configuration chooses it. A user also sees the
// warning about a new name.
func TestAccPlanWarnings_updateStrategy(t *testing.T) {
	t.Parallel()
	key := acctest.NewKey(t)
	p := newPlanTest(t, acctest.Website, (&planTest{parent: acctest.Website}).key("one", key))
	const warning = "Bitbucket may refuse to update this deploy key"
	acctest.Contains(t, p.plans(t, p.Config(p.key("one", key, `label = "x"`)), p.list(), warning, 1), `update_strategy = "replace"`, `update_strategy = "in_place"`)
	p.plans(t, p.Config(p.key("one", key, `repository = "websiteX"`)), append(p.list(), "GET acme/websiteX/deploy-keys/10958984 404"), "Not found: acme/websiteX", 1)
	p.Write(t, p.Config(p.key("one", key, `label = "x"`), `update_strategy = "in_place"`))
	if out := p.MustRun(t, "apply", "-auto-approve"); len(warnings(out)) > 0 {
		t.Errorf("the apply warns: %s", out)
	}
	if state := acctest.ReadFile(t, p.Dir+"/terraform.tfstate"); strings.Contains(state, `"private"`) {
		t.Errorf("the state has private data: %s", state)
	}

	for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
		f := acctest.NewFake(t)
		stored := createKey(t, f, parent, nil, map[string]string{"key": key})
		for _, tc := range []struct {
			strategy, attribute, value string
			warns                      bool
		}{
			{"", "label", "x", !parent.IsProject()},
			{"", "comment", "x", !parent.IsProject()},
			{"in_place", "label", "x", false},
			{"in_place", "comment", "x", false},
			{"replace", "label", "x", false},
			{"replace", "comment", "x", false},
			{"", parent.Kind, strings.ToUpper(parent.Name), false},
		} {
			attributes, times := map[string]string{}, 0
			if tc.strategy != "" {
				attributes["update_strategy"] = tc.strategy
			}
			if tc.warns {
				times = 1
			}
			newKeyRun(t, f, parent, attributes).warned(t, []string{"GET " + parent.Collection() + " 200"}, warning, times, keyStep(stored, map[string]string{"key": key, tc.attribute: tc.value}))
		}
	}
}

// The replies show what the credentials may do. A plan of a new key alone gets no reply.
func TestPlanWarnings_credentials(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, one, two := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}, map[string]string{"key": acctest.NewKey(t)}
		stored := createKey(t, f, parent, nil, one)
		list := []string{"GET " + parent.Collection() + " 200"}
		admin := "admin:" + parent.Kind + ":bitbucket"
		replies := func(kind, scopes string) *keyRun {
			f.SetCredentialHeaders(http.Header{"X-Credential-Type": {kind}, "X-Oauth-Scopes": {scopes}})
			return newKeyRun(t, f, parent, nil)
		}
		for _, tc := range []struct{ kind, scopes, why string }{
			{"api_token", admin, "lack the scope write:ssh-key:bitbucket"},
			{"", admin + ", read:ssh-key:bitbucket", "lack the scope write:ssh-key:bitbucket"},
			{"api_token", "write:ssh-key:bitbucket,read:repository:bitbucket", "lack the scope " + admin},
			{"oauth2", "repository, project, account", "lack the scope " + parent.Kind + ":admin"},
			{"api_token", admin + ", write:ssh-key:bitbucket", ""},
			{"api_token", "Admin:" + parent.Kind + ":bitbucket,write:ssh-key:bitbucket", ""},
			{"oauth2", "repository project " + parent.Kind + ":admin", ""},
			{"api_token", "", ""},
			{"", "", ""},
			{"session", "", ""},
			{"api_token", "everything", ""},
			{"api_token", admin + ", everything", ""},
		} {
			times := min(len(tc.why), 1)
			for _, steps := range [][]planStep{{keyStep(stored, one), keyStep(nil, two)}, {keyStep(nil, two), keyStep(stored, one)}} {
				acctest.Contains(t, replies(tc.kind, tc.scopes).warned(t, list, cannotAdd, times, steps...), tc.why)
			}
		}
		replies("", admin).warned(t, nil, "", 0, keyStep(stored, one, "-refresh=false"), keyStep(nil, two))
		replies("", admin).warned(t, list, "", 0, keyStep(stored, one))
		for _, kind := range accessTokenTypes {
			times := 1
			if parent.IsProject() {
				times = 0 // It is not known whether access tokens can change the keys of projects.
			}
			replies(kind, "repository").warned(t, list, cannotAdd, times, keyStep(stored, one), keyStep(nil, two))
			replies(kind, "repository").warned(t, list, cannotDelete, times, keyStep(stored, nil))
			if !parent.IsProject() { // It is a replacement.
				replies(kind, "repository")
				newKeyRun(t, f, parent, map[string]string{"update_strategy": "in_place"}).warned(t, list, cannotUpdate, 1, keyStep(stored, map[string]string{"key": one["key"], "label": "x"}))
			}
		}
		acctest.Contains(t, replies("", admin+", write:ssh-key:bitbucket").warned(t, list, cannotDelete, 1, keyStep(stored, nil)), "lack the scope delete:ssh-key:bitbucket")
		replies("", admin+", write:ssh-key:bitbucket").warned(t, list, cannotDelete, 1, keyStep(stored, two))
	})
}

const (
	cannotAdd    = "Credentials cannot add deploy keys"
	cannotUpdate = "Credentials cannot update deploy keys"
	cannotDelete = "Credentials cannot delete deploy keys"
)

// The plan and the apply warn once. At apply, the warning is not repeated with every key.
func TestAccPlanWarnings_credentials(t *testing.T) {
	t.Parallel()
	key, other := acctest.NewKey(t), acctest.NewKey(t)
	p := newPlanTest(t, acctest.Website, (&planTest{parent: acctest.Website}).key("one", key))
	added := p.Config(p.key("one", key) + p.key("two", other))
	p.SetCredentialHeaders(http.Header{"X-Oauth-Scopes": {"admin:repository:bitbucket"}})
	acctest.Contains(t, p.plans(t, added, p.list(), cannotAdd, 1), "lack the scope write:ssh-key:bitbucket")
	// Terraform refreshes for -destroy before it starts the provider that plans.
	p.plans(t, p.Config(p.key("one", key)), p.list(), cannotDelete, 0, "-destroy")
	p.Write(t, added)
	if out := p.MustRun(t, "apply", "-auto-approve", "-parallelism=1"); strings.Count(out, cannotAdd) != 1 {
		t.Errorf("the apply does not warn once: %s", out)
	}
}
