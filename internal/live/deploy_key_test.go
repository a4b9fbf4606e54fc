package live_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// forEachParent runs a test for the keys of a repository, and for the keys of a project.
func forEachParent(t *testing.T, test func(t *testing.T, p parent), required ...need) {
	t.Helper()
	t.Run("repository", func(t *testing.T) {
		t.Parallel()
		test(t, start(t, required...).repository(t, ""))
	})
	t.Run("project", func(t *testing.T) {
		t.Parallel()
		test(t, start(t, append(required, projects)...).project(t))
	})
}

// A key is created, its plan stays empty, another key replaces it, and it is destroyed.
func TestAccDeployKey_lifecycle(t *testing.T) {
	t.Parallel()
	forEachParent(t, func(t *testing.T, p parent) {
		s, key, other := p.server, acctest.NewKey(t), acctest.NewKey(t)
		s.configure(t, p.resource("ci", acctest.KeyLine(key+" ci@host"), `label = "CI"`))
		s.MustRun(t, "apply", "-auto-approve")
		first := p.onlyKey(t)
		if first.Key != key || first.Label != "CI" || first.Comment != "ci@host" {
			t.Errorf("added %+v", first)
		}
		if id := s.value(t, p.typeName+".ci", "id"); id != p.importID(first.ID) {
			t.Errorf("the id in the state is %s", id)
		}
		p.expectWrites(t, "POST /deploy-keys 200")
		s.expectEmptyPlan(t)

		s.configure(t, p.resource("ci", acctest.KeyLine(other), `label = "CI"`))
		s.MustRun(t, "apply", "-auto-approve")
		second := p.onlyKey(t)
		if second.Key != other || second.ID == first.ID {
			t.Errorf("%+v replaced %+v", second, first)
		}
		p.expectWrites(t, fmt.Sprintf("DELETE /deploy-keys/%d 204", first.ID), "POST /deploy-keys 200")
		s.expectEmptyPlan(t)

		s.MustRun(t, "destroy", "-auto-approve")
		if keys := p.keys(t); len(keys) > 0 {
			t.Errorf("%+v are left", keys)
		}
	})
}

// Label and comment change in place. A change outside of Terraform is planned back.
func TestAccDeployKey_update(t *testing.T) {
	t.Parallel()
	s := start(t, updates)
	p, key := s.repository(t, ""), acctest.NewKey(t)
	s.configure(t, p.resource("ci", acctest.KeyLine(key), `label = "CI"`, `comment = "ci@host"`))
	s.MustRun(t, "apply", "-auto-approve")
	added := p.onlyKey(t)
	path := fmt.Sprintf("/deploy-keys/%d", added.ID)
	p.expectWrites(t, "POST /deploy-keys 200")

	s.configure(t, p.resource("ci", acctest.KeyLine(key), `label = "CI of the website"`, `comment = "ci@new-host"`))
	s.MustRun(t, "apply", "-auto-approve")
	if got, want := p.onlyKey(t), (deployKey{added.ID, key, "CI of the website", "ci@new-host"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	p.expectWrites(t, "PUT "+path+" 200")
	s.expectEmptyPlan(t)

	s.check(t, s.Expect(t.Context(), http.MethodPut, p.path+path, map[string]string{"key": key, "label": "edited"}, nil))
	acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), `"edited" -> "CI of the website"`, "0 added, 1 changed, 0 destroyed")
	p.expectWrites(t, "PUT "+path+" 200")
}

// An update that Bitbucket refuses changes nothing, and the error names the ways out. With
// update_strategy, the key is replaced.
func TestAccDeployKey_updateRefused(t *testing.T) {
	t.Parallel()
	s := start(t, refusedUpdates)
	p, key := s.repository(t, ""), acctest.NewKey(t)
	s.configure(t, p.resource("ci", acctest.KeyLine(key), `label = "CI"`))
	s.MustRun(t, "apply", "-auto-approve")
	added := p.onlyKey(t)

	s.configure(t, p.resource("ci", acctest.KeyLine(key), `label = "CI of the website"`))
	s.Fails(t, []string{"apply", "-auto-approve"}, "Unable to update deploy key", "Nothing was changed", `update_strategy = "replace"`)
	if got := p.onlyKey(t); got != added {
		t.Errorf("got %+v, want %+v", got, added)
	}
	s.proxy.Writes()
	s.configure(t, p.resource("ci", acctest.KeyLine(key), `label = "CI of the website"`), `update_strategy = "replace"`)
	s.MustRun(t, "apply", "-auto-approve")
	if got := p.onlyKey(t); got.ID == added.ID || got.Label != "CI of the website" {
		t.Errorf("got %+v", got)
	}
	p.expectWrites(t, fmt.Sprintf("DELETE /deploy-keys/%d 204", added.ID), "POST /deploy-keys 200")
	s.expectEmptyPlan(t)
}

// A key that exists is imported by its ID, its fingerprint or its label. The plan is empty.
func TestAccDeployKey_import(t *testing.T) {
	t.Parallel()
	forEachParent(t, func(t *testing.T, p parent) {
		s, key := p.server, acctest.NewKey(t)
		added := p.add(t, key+" ci@host", "CI")
		s.configure(t, p.resource("ci", acctest.KeyLine(key+" ci@host"), `label = "CI"`))
		for _, id := range []string{p.importID(added.ID), fmt.Sprintf("%s/%s/label:CI", s.Workspace, p.name)} {
			s.MustRun(t, "import", p.typeName+".ci", id)
			s.expectEmptyPlan(t)
			s.MustRun(t, "state", "rm", p.typeName+".ci")
		}
		p.expectWrites(t)
	})
}

// Terraform generates configuration for a key that exists.
func TestAccDeployKey_generate(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.ImportBlocks)
	s := start(t)
	p := s.repository(t, "")
	added := p.add(t, acctest.NewKey(t)+" ci@host", "👩‍💻 laptop")
	s.configure(t, "")
	config := acctest.ReadFile(t, s.Dir+"/main.tf")
	s.Generate(t, config+fmt.Sprintf("\nimport {\n  to = %s.ci\n  id = %q\n}\n", p.typeName, p.importID(added.ID)))
	acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), "1 imported, 0 added, 0 changed, 0 destroyed")
	s.expectEmptyPlan(t)
	p.expectWrites(t)
}

// A key that was deleted outside of Terraform is created again.
func TestAccDeployKey_deleted(t *testing.T) {
	t.Parallel()
	forEachParent(t, func(t *testing.T, p parent) {
		s := p.server
		s.configure(t, p.resource("ci", acctest.KeyLine(acctest.NewKey(t)), `label = "CI"`))
		s.MustRun(t, "apply", "-auto-approve")
		p.remove(t, p.onlyKey(t).ID)
		acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), "1 added, 0 changed, 0 destroyed")
		p.onlyKey(t)
	})
}

// A key that the repository or project has already is not added again. The error has the
// import ID, and the import leads to an empty plan.
func TestAccDeployKey_exists(t *testing.T) {
	t.Parallel()
	forEachParent(t, func(t *testing.T, p parent) {
		s, key := p.server, acctest.NewKey(t)
		added := p.add(t, key, "by hand")
		s.configure(t, p.resource("ci", acctest.KeyLine(key), `label = "by hand"`))
		s.Fails(t, []string{"apply", "-auto-approve"}, "Unable to create deploy key", "import {", p.importID(added.ID))
		s.MustRun(t, "import", p.typeName+".ci", p.importID(added.ID))
		s.expectEmptyPlan(t)
		if got := p.onlyKey(t); got != added {
			t.Errorf("got %+v, want %+v", got, added)
		}
	})
}

// Labels and comments that Bitbucket may store in another form do not lead to a plan that is
// never empty.
func TestAccDeployKey_texts(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.repository(t, "")
	body := ""
	for i, texts := range [][2]string{
		{"👩‍💻 Zoë's laptop", "zoe@laptop"},
		{"", "two  words and   spaces"},
		{strings.Repeat("long ", 20) + "label", "comment with \\\"quotes\\\""},
	} {
		body += p.resource(fmt.Sprintf("key_%d", i), acctest.KeyLine(acctest.NewKey(t)), `label = "`+texts[0]+`"`, `comment = "`+texts[1]+`"`)
	}
	s.configure(t, body)
	s.MustRun(t, "apply", "-auto-approve")
	s.expectEmptyPlan(t)
	if keys := p.keys(t); len(keys) != 3 {
		t.Errorf("added %+v", keys)
	}
}

// Another spelling of the same repository is not a change.
func TestAccDeployKey_spelling(t *testing.T) {
	t.Parallel()
	s := start(t)
	created, err := s.CreateRepository(t.Context(), "")
	s.check(t, err)
	s.deleteAfter(t, s.Path(created.Slug))
	p, key := s.repositoryNamed(created.Slug), acctest.NewKey(t)
	s.configure(t, p.resource("ci", acctest.KeyLine(key), `label = "CI"`))
	s.MustRun(t, "apply", "-auto-approve")
	p.expectWrites(t, "POST /deploy-keys 200")
	for _, spelling := range []string{strings.ToUpper(created.Slug), created.UUID} {
		p.name = spelling
		s.configure(t, p.resource("ci", acctest.KeyLine(key+" # with a comment"), `label = "CI"`, `comment = ""`))
		acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), "0 added, ", " 0 destroyed")
		s.expectEmptyPlan(t)
	}
	p.expectWrites(t)
}

// The key of a repository that was renamed is kept, and the new name can be configured.
func TestAccDeployKey_repositoryRenamed(t *testing.T) {
	t.Parallel()
	s := start(t)
	p, key := s.repository(t, ""), acctest.NewKey(t)
	s.configure(t, p.resource("ci", acctest.KeyLine(key), `label = "CI"`))
	s.MustRun(t, "apply", "-auto-approve")
	added := p.onlyKey(t)
	s.proxy.Writes()
	renamed, err := s.RenameRepository(t.Context(), p.name)
	s.check(t, err)
	s.deleteAfter(t, s.Path(renamed.Slug))

	acctest.Contains(t, s.MustRun(t, "plan"), "No changes", renamed.Slug)
	p = s.repositoryNamed(renamed.Slug)
	s.configure(t, p.resource("ci", acctest.KeyLine(key), `label = "CI"`))
	acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), "0 added, 1 changed, 0 destroyed")
	s.expectEmptyPlan(t)
	p.expectWrites(t)
	if got := p.onlyKey(t); got != added {
		t.Errorf("got %+v, want %+v", got, added)
	}
}

// The keys of a repository that was deleted stay in the state, because the same reply means a
// lost permission.
func TestAccDeployKey_repositoryDeleted(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.repository(t, "")
	s.configure(t, p.resource("ci", acctest.KeyLine(acctest.NewKey(t)), `label = "CI"`))
	s.MustRun(t, "apply", "-auto-approve")
	s.check(t, s.Delete(t.Context(), p.path))
	s.Fails(t, []string{"plan"}, "Unable to read deploy key", "404")
	acctest.Contains(t, s.MustRun(t, "state", "list"), p.typeName+".ci")
}

// Resources whose names have changed keep their keys in Bitbucket.
func TestAccDeployKey_renamedResources(t *testing.T) {
	t.Parallel()
	forEachParent(t, func(t *testing.T, p parent) {
		s := p.server
		before, after := "", ""
		for i := range 3 {
			key := acctest.KeyLine(acctest.NewKey(t))
			before += p.resource(fmt.Sprintf("old_%d", i), key, `label = "CI"`)
			after += p.resource(fmt.Sprintf("new_%d", i), key, `label = "CI"`)
		}
		s.configure(t, before)
		s.MustRun(t, "apply", "-auto-approve")
		added := p.keys(t)
		s.proxy.Writes()
		s.configure(t, after)
		acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), "3 added, 0 changed, 3 destroyed")
		if got := p.keys(t); material(got) != material(added) { // The IDs may differ: a key may have been deleted before it was created.
			t.Errorf("got %+v, want %+v", got, added)
		}
		s.expectEmptyPlan(t)
	})
}

// material returns the public keys, sorted.
func material(keys []deployKey) string {
	var texts []string
	for _, key := range keys {
		texts = append(texts, key.Key)
	}
	slices.Sort(texts)
	return strings.Join(texts, "\n")
}

// A create whose reply is lost finds the key that it has added.
func TestAccDeployKey_lostReply(t *testing.T) {
	t.Parallel()
	forEachParent(t, func(t *testing.T, p parent) {
		s := p.server
		s.emulator.Inject(emulator.Fault{Method: http.MethodPost, Path: "/deploy-keys", CarryOut: true, Cut: true, Times: 1})
		s.configure(t, p.resource("ci", acctest.KeyLine(acctest.NewKey(t)), `label = "CI"`))
		s.MustRun(t, "apply", "-auto-approve")
		p.onlyKey(t)
		s.expectEmptyPlan(t)
	}, faults)
}
