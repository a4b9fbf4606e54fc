package provider

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

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

// after returns a line that lets a resource be planned after another one.
func (p *planTest) after(name string) string {
	return fmt.Sprintf("depends_on = [%s.%s]", p.parent.TypeName, name)
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

// A key that somebody has added by hand is known as soon as another key is refreshed, before
// or after the plan of the new one.
func TestAccPlanWarnings_keyExists(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		managed, key := acctest.NewKey(t), acctest.NewKey(t)
		base := &planTest{parent: parent}
		p := newPlanTest(t, parent, base.key("old", managed))
		theirs := p.Add(parent, key, "by hand")
		warning := "Deploy key exists already in " + parent.String()
		for order, body := range map[string]string{
			"plan first": p.key("old", managed, p.after("new")) + p.key("new", key),
			"read first": p.key("old", managed) + p.key("new", key, p.after("old")),
			"any":        p.key("old", managed) + p.key("new", key),
		} {
			for _, args := range [][]string{nil, {"-parallelism=1"}} {
				out := p.plans(t, p.Config(body), p.list(), warning, 1, args...)
				acctest.Contains(t, out, fmt.Sprintf("deploy key %d, label \"by hand\"", theirs.ID), "the apply will fail to add it. Import it", fmt.Sprintf("id = %q", parent.ImportID(theirs.ID)), "moved {")
				if t.Failed() {
					t.Fatal(order)
				}
			}
		}
		p.plans(t, p.Config(p.key("old", managed)+p.key("new", key)), nil, warning, 0, "-refresh=false")
		// Nothing is known of another repository, although the key is the same.
		p.plans(t, p.Config(p.key("old", managed)+p.key("new", key, parent.Line(parent.Other))), p.list(), warning, 0)
		// A data source can bring the listing too.
		data := fmt.Sprintf("\ndata %q \"all\" {\n  workspace = \"acme\"\n  %s\n}\n", parent.TypeName+"s", parent.Line(parent.Name))
		q := newPlanTest(t, parent)
		q.Add(parent, key, "")
		q.plans(t, q.Config(data+q.key("new", key)), q.list(), warning, 1)
		q.plans(t, q.Config(data+q.key("new", key)), q.list(), warning, 1, "-parallelism=1")
		q.plans(t, q.Config(q.key("new", key)), nil, warning, 0)
		// So can the refresh of an exclusive set.
		q = newPlanTest(t, parent)
		exclusive := fmt.Sprintf("\nresource %q \"only\" {\n  workspace = \"acme\"\n  %s\n  key_ids = [%d]\n}\n", parent.TypeName+"s_exclusive", parent.Line(parent.Name), q.Add(parent, key, "").ID)
		q.Write(t, q.Config(exclusive))
		q.MustRun(t, "apply", "-auto-approve")
		q.ForgetRequests()
		q.plans(t, q.Config(exclusive+q.key("new", key)), q.list(), warning, 1)
		q.plans(t, q.Config(exclusive+q.key("new", key)), q.list(), warning, 1, "-parallelism=1")
	})
}

// Two resources with the same key are known without any listing.
func TestAccPlanWarnings_keyTwice(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		key := acctest.NewKey(t)
		warning := "Same deploy key twice in " + parent.String()
		p := newPlanTest(t, parent)
		both := p.key("one", key) + p.key("two", key+" with a comment", `label = "x"`)
		acctest.Contains(t, p.plans(t, p.Config(both), nil, warning, 1), "Two resources", "Remove one of the two resources")
		p.plans(t, p.Config(both), nil, warning, 1, "-parallelism=1")
		p.plans(t, p.Config(p.key("one", key)+p.key("two", key, parent.Line(parent.Other))), nil, warning, 0)

		// One of them has the key already.
		p = newPlanTest(t, parent, p.key("one", key))
		for _, body := range []string{
			p.key("one", key, p.after("two")) + p.key("two", key),
			p.key("one", key) + p.key("two", key, p.after("one")),
		} {
			for _, args := range [][]string{nil, {"-parallelism=1"}} {
				acctest.Contains(t, p.plans(t, p.Config(body), p.list(), warning, 1, args...), fmt.Sprintf("has this key already, as deploy key %d", acctest.FirstID))
			}
			p.plans(t, p.Config(body), nil, warning, 1, "-refresh=false")
		}
		p.Write(t, p.Config(both))
		p.Fails(t, []string{"apply", "-auto-approve"}, warning, "Unable to create deploy key")
	})
}

// A key that the same plan deletes or replaces is no reason for a warning.
func TestAccPlanWarnings_ownKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		one, two := acctest.NewKey(t), acctest.NewKey(t)
		base := &planTest{parent: parent}
		p := newPlanTest(t, parent, base.key("one", one))
		strategy := func(body string) string { return p.Config(body, `update_strategy = "replace"`) }
		for _, args := range [][]string{nil, {"-parallelism=1"}} {
			p.plans(t, p.Config(p.key("renamed", one)), p.list(), "", 0, args...)
			p.plans(t, p.Config(""), p.list(), "", 0, args...)
			p.plans(t, p.Config(p.key("one", two)), p.list(), "", 0, args...)
			p.plans(t, strategy(p.key("one", one, `label = "x"`)), p.list(), "", 0, args...)
			p.plans(t, p.Config(p.key("one", one)), p.list(), "", 0, append(args, "-replace="+parent.TypeName+".one")...)
			p.plans(t, p.Config(p.key("one", one)), nil, "", 0, append(args, "-refresh=false", "-replace="+parent.TypeName+".one")...)
			p.plans(t, p.Config(p.key("one", one)), p.list(), "", 0, append(args, "-detailed-exitcode")...)
			p.plans(t, p.Config(""), p.list(), "", 0, append(args, "-destroy")...)
		}
		p.Write(t, p.Config(p.key("one", one)))
		p.MustRun(t, "taint", parent.TypeName+".one")
		p.plans(t, p.Config(p.key("one", one)), p.list(), "", 0)
		p.MustRun(t, "untaint", parent.TypeName+".one")

		// A replacement and a rename apply without a warning, and leave nothing behind.
		for _, step := range []struct {
			body string
			args []string
		}{
			{p.key("one", one), []string{"-replace=" + parent.TypeName + ".one"}},
			{p.key("renamed", one), nil},
			{p.key("renamed", one) + p.key("two", two), nil},
		} {
			p.Write(t, p.Config(step.body))
			if out := p.MustRun(t, append([]string{"apply", "-auto-approve"}, step.args...)...); len(warnings(out)) > 0 {
				t.Errorf("the apply warns: %s", warnings(out))
			}
		}
		if state := acctest.ReadFile(t, p.Dir+"/terraform.tfstate"); strings.Contains(state, `"private"`) {
			t.Errorf("the state has private data: %s", state)
		}
	})
}

// If several addresses change at once, a key can be planned before its old address is known.
// A warning then says that the key is handed over.
func TestAccPlanWarnings_addressesChange(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		one, two := acctest.NewKey(t), acctest.NewKey(t)
		base := &planTest{parent: parent}
		p := newPlanTest(t, parent, base.key("one", one), base.key("two", two))
		for _, body := range []string{
			p.key("three", one) + p.key("four", two),
			p.key("one", two) + p.key("two", one),
			p.key("one", two),
		} {
			for _, args := range [][]string{{"plan"}, {"plan", "-parallelism=1"}} {
				p.Write(t, p.Config(body))
				for _, text := range warnings(p.MustRun(t, args...)) {
					acctest.Contains(t, text, "Deploy key exists already in "+parent.String(), "the apply hands the key over")
				}
			}
		}
	})
}

// An imported key is not a new one.
func TestAccPlanWarnings_import(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		key := acctest.NewKey(t)
		p := newPlanTest(t, parent)
		block := fmt.Sprintf("\nimport {\n  to = %s.one\n  id = %q\n}\n", parent.TypeName, parent.ImportID(p.Add(parent, key, "").ID))
		p.plans(t, p.Config(block+p.key("one", key)), p.list(), "", 0)
		p.plans(t, p.Config(block+p.key("one", key)+p.key("two", key)), p.list(), "Same deploy key twice in "+parent.String(), 1)
	})
}

// What is not known yet is no reason for a warning.
func TestAccPlanWarnings_unknown(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		managed, key := acctest.NewKey(t), acctest.NewKey(t)
		base := &planTest{parent: parent}
		p := newPlanTest(t, parent, base.key("old", managed))
		p.Add(parent, key, "")
		later := fmt.Sprintf("\nresource \"terraform_data\" \"later\" {\n  input = %q\n}\n", key)
		unknown := func(name string) string {
			return strings.Replace(p.key(name, key), acctest.KeyLine(key), "key = terraform_data.later.output", 1)
		}
		p.plans(t, p.Config(later+p.key("old", managed)+unknown("one")+unknown("two")), p.list(), "", 0)
	})
}

// A new name that Bitbucket does not find is reported, with the request that a plan makes
// anyway.
func TestAccPlanWarnings_newParentNotFound(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		key, typo := acctest.NewKey(t), parent.Name+"X"
		base := &planTest{parent: parent}
		p := newPlanTest(t, parent, base.key("one", key))
		for _, tc := range []struct {
			line, name string
			path       string
		}{
			{parent.Line(typo), parent.Named(typo).String(), strings.Replace(parent.FirstKey(), parent.Name, typo, 1)},
			{`workspace = "acmee"`, strings.Replace(parent.String(), "acme", "acmee", 1), strings.Replace(parent.FirstKey(), "acme", "acmee", 1)},
		} {
			requests := append(p.list(), "GET "+tc.path+" 404")
			name := strings.TrimPrefix(tc.name, "project ")
			acctest.Contains(t, p.plans(t, p.Config(p.key("one", key, tc.line)), requests, "Not found: "+tc.name, 1),
				fmt.Sprintf("deploy key %d changes from acme/%s to %s,", acctest.FirstID, parent.Name, name), "does not find "+name, "deletes the key from acme/"+parent.Name, "fails to add it to "+name)
		}
		// An existing repository without this key is a normal move.
		p.plans(t, p.Config(p.key("one", key, parent.Line(parent.Other))), append(p.list(), "GET "+strings.Replace(parent.FirstKey(), parent.Name, parent.Other, 1)+" 404"), "", 0)
		// A new resource is not looked up.
		p.plans(t, p.Config(p.key("one", key)+p.key("two", key, parent.Line(typo))), p.list(), "", 0)
	})
}

// A change in place may be refused, unless the configuration chooses it.
func TestAccPlanWarnings_updateStrategy(t *testing.T) {
	t.Parallel()
	key := acctest.NewKey(t)
	p := newPlanTest(t, acctest.Website, (&planTest{parent: acctest.Website}).key("one", key))
	const warning = "Bitbucket may refuse to update this deploy key"
	for _, line := range []string{`label = "x"`, `comment = "x"`} {
		acctest.Contains(t, p.plans(t, p.Config(p.key("one", key, line)), p.list(), warning, 1), `update_strategy = "replace"`, `update_strategy = "in_place"`)
		p.plans(t, p.Config(p.key("one", key, line), `update_strategy = "in_place"`), p.list(), warning, 0)
		p.plans(t, p.Config(p.key("one", key, line), `update_strategy = "replace"`), p.list(), warning, 0)
	}
	p.plans(t, p.Config(p.key("one", key, `repository = "WEBSITE"`)), p.list(), warning, 0)
	p.Write(t, p.Config(p.key("one", key, `label = "x"`), `update_strategy = "in_place"`))
	p.MustRun(t, "apply", "-auto-approve")
	if state := acctest.ReadFile(t, p.Dir+"/terraform.tfstate"); strings.Contains(state, `"private"`) {
		t.Errorf("the state has private data: %s", state)
	}
	q := newPlanTest(t, acctest.WEB, (&planTest{parent: acctest.WEB}).key("one", key))
	q.plans(t, q.Config(q.key("one", key, `label = "x"`)), q.list(), warning, 0)
}

// The replies show what the credentials may do. A plan of a new key alone gets no reply.
func TestAccPlanWarnings_credentials(t *testing.T) {
	t.Parallel()
	const add, update, del = "Credentials cannot add deploy keys", "Credentials cannot update deploy keys", "Credentials cannot delete deploy keys"
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		key, other := acctest.NewKey(t), acctest.NewKey(t)
		p := newPlanTest(t, parent, (&planTest{parent: parent}).key("one", key))
		added := p.Config(p.key("one", key) + p.key("two", other))
		admin := "admin:" + parent.Kind + ":bitbucket"
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
			p.SetCredentialHeaders(http.Header{"X-Credential-Type": {tc.kind}, "X-Oauth-Scopes": {tc.scopes}})
			times := min(len(tc.why), 1)
			acctest.Contains(t, p.plans(t, added, p.list(), add, times), tc.why)
		}
		p.SetCredentialHeaders(http.Header{"X-Oauth-Scopes": {admin}})
		p.plans(t, p.Config(p.key("one", key, p.after("two"))+p.key("two", other)), p.list(), add, 1)
		p.plans(t, p.Config(p.key("one", key)+p.key("two", other, p.after("one"))), p.list(), add, 1)
		p.plans(t, added, nil, add, 0, "-refresh=false")
		p.plans(t, p.Config(p.key("one", key)), p.list(), "", 0)
		for _, kind := range accessTokenTypes {
			p.SetCredentialHeaders(http.Header{"X-Credential-Type": {kind}, "X-Oauth-Scopes": {"repository"}})
			times := 1
			if parent.IsProject() {
				times = 0 // It is not known whether access tokens can change the keys of projects.
			}
			for warning, config := range map[string]string{
				add:    added,
				del:    p.Config(""),
				update: p.Config(p.key("one", key, `label = "x"`), `update_strategy = "in_place"`),
			} {
				if parent.IsProject() && warning == update {
					continue // It is a replacement.
				}
				p.plans(t, config, p.list(), warning, times)
			}
		}
		p.SetCredentialHeaders(http.Header{"X-Oauth-Scopes": {admin + ", write:ssh-key:bitbucket"}})
		acctest.Contains(t, p.plans(t, p.Config(""), p.list(), del, 1), "lack the scope delete:ssh-key:bitbucket")
		p.plans(t, p.Config(p.key("one", acctest.NewKey(t))), p.list(), del, 1)
		// Terraform refreshes for -destroy before it starts the provider that plans.
		p.plans(t, p.Config(p.key("one", key)), p.list(), del, 0, "-destroy")

		// At apply, it is not repeated with every key.
		p.SetCredentialHeaders(http.Header{"X-Oauth-Scopes": {admin}})
		p.Write(t, added)
		if out := p.MustRun(t, "apply", "-auto-approve", "-parallelism=1"); strings.Count(out, add) != 1 {
			t.Errorf("the apply does not warn once: %s", out)
		}
	})
}
