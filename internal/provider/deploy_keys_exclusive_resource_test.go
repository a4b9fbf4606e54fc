package provider

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// exclusive is a parent whose keys only Terraform may add, with a fake and a CLI.
type exclusive struct {
	*acctest.Fake
	*acctest.CLI
	parent acctest.Parent
}

// forBoth runs a test for a repository and for a project.
func forBoth(t *testing.T, run func(t *testing.T, e *exclusive)) {
	t.Helper()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		run(t, &exclusive{
			Fake:   acctest.NewFakeOfRepositories(t, []emulator.Repository{{Slug: "website", UUID: acctest.WebsiteUUID, Project: "WEB"}, {Slug: "api"}}),
			CLI:    acctest.NewCLI(t, acctest.Attached(t)),
			parent: parent,
		})
	})
}

// configure writes a configuration with these keys by label. Each key has these lines. The
// exclusive resource has this body. If the body is empty, the exclusive resource is
// omitted.
func (e *exclusive) configure(t *testing.T, keys map[string]string, lines []string, body string) {
	t.Helper()
	config := "\nlocals {\n  keys = {\n"
	for name, key := range keys {
		config += fmt.Sprintf("    %s = %q\n", name, key)
	}
	config += fmt.Sprintf("  }\n}\n\nresource %q \"this\" {\n  for_each  = local.keys\n  workspace = \"acme\"\n  %s = %q\n  key = each.value\n  label = each.key\n  %s\n}\n",
		e.parent.TypeName, e.parent.Kind, e.parent.Name, strings.Join(lines, "\n  "))
	if body != "" {
		config += e.only(body)
	}
	e.Write(t, e.Config(config))
}

// only returns the exclusive resource with these lines.
func (e *exclusive) only(lines ...string) string {
	return fmt.Sprintf("\nresource \"%ss_exclusive\" \"this\" {\n  workspace = \"acme\"\n  %s = %q\n  %s\n}\n", e.parent.TypeName, e.parent.Kind, e.parent.Name, strings.Join(lines, "\n  "))
}

// these returns the line that allows the keys of configure.
func (e *exclusive) these() string {
	return fmt.Sprintf("key_ids = [for key in %s.this : key.key_id]", e.parent.TypeName)
}

// addByHand adds a key outside of Terraform.
func (e *exclusive) addByHand(t *testing.T, label string) emulator.DeployKey {
	t.Helper()
	return e.Add(e.parent, acctest.NewKey(t), label)
}

// labels returns the labels of all keys.
func (e *exclusive) labels() []string {
	labels := []string{}
	for _, key := range e.Keys(e.parent) {
		labels = append(labels, key.Label)
	}
	slices.Sort(labels)
	return labels
}

func (e *exclusive) expectLabels(t *testing.T, labels ...string) {
	t.Helper()
	if got := e.labels(); !slices.Equal(got, labels) {
		t.Errorf("%s has the keys %q, want %q", e.parent.Name, got, labels)
	}
}

// expectSent checks the requests since the last call.
func (e *exclusive) expectSent(t *testing.T, want ...string) {
	t.Helper()
	if got := e.Sent(); !slices.Equal(got, want) {
		t.Errorf("sent\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// expectEmptyPlan checks that the plan is empty and sends one request, which lists the
// keys.
func (e *exclusive) expectEmptyPlan(t *testing.T) {
	t.Helper()
	e.Sent()
	e.MustRun(t, "plan", "-detailed-exitcode")
	e.expectSent(t, "GET "+e.parent.Collection()+" 200")
}

// The plan describes the keys that existed before. The apply removes them, but not the keys
// that it adds itself.
func TestAccDeployKeysExclusive_adopt(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		old, used := e.addByHand(t, "old laptop"), e.addByHand(t, "ci \"2019\"")
		when := "2021-03-04T05:06:07.000000+00:00"
		e.Edit(e.parent, used.ID, func(key *emulator.DeployKey) { key.LastUsed = &when })
		e.configure(t, map[string]string{"a": acctest.NewKey(t), "b": acctest.NewKey(t)}, nil, e.these())
		out := e.MustRun(t, "plan")
		acctest.Contains(t, out, "+ key_ids = [ + (known after apply), + (known after apply), ]")
		acctest.Contains(t, out, "Deploy keys of "+e.parent.String()+" will be removed", "Not all of key_ids is known yet.",
			fmt.Sprint(old.ID), `"old laptop"`, "SHA256:", "never used", fmt.Sprint(used.ID), `"ci \"2019\""`, "SHA256:", `last used "`+when)
		e.expectSent(t, "GET "+e.parent.Collection()+" 200")
		e.expectLabels(t, `ci "2019"`, "old laptop")

		acctest.Contains(t, e.MustRun(t, "apply", "-auto-approve"), "will be removed", "were removed", "These deploy keys were not in key_ids", `"old laptop"`)
		e.expectLabels(t, "a", "b")
		writes := e.Writes()
		slices.Sort(writes)
		if want := []string{
			fmt.Sprintf("DELETE %s/%d 204", e.parent.Collection(), old.ID), fmt.Sprintf("DELETE %s/%d 204", e.parent.Collection(), used.ID),
			"POST " + e.parent.Collection() + " 200", "POST " + e.parent.Collection() + " 200",
		}; !slices.Equal(writes, want) {
			t.Errorf("wrote %q, want %q", writes, want)
		}
		e.expectEmptyPlan(t)
	})
}

// A key that somebody adds later shows as drift.
func TestAccDeployKeysExclusive_drift(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		e.configure(t, map[string]string{"a": acctest.NewKey(t)}, nil, e.these())
		e.MustRun(t, "apply", "-auto-approve")
		stranger := e.addByHand(t, "stranger")
		out, ok := e.Run(t, "plan", "-detailed-exitcode")
		if ok {
			t.Errorf("the plan is empty: %s", out)
		}
		acctest.Contains(t, out, "~ other_keys = {", fmt.Sprintf(`- "%d" = {`, stranger.ID), "- fingerprint_sha256 =", `- label = "stranger"`, "0 to add, 1 to change, 0 to destroy",
			"Deploy keys of "+e.parent.String()+" will be removed", fmt.Sprint(stranger.ID), `"stranger"`, "never used")
		acctest.Contains(t, e.MustRun(t, "plan", "-refresh-only"), "other_keys", fmt.Sprint(stranger.ID))
		e.Sent()
		e.MustRun(t, "apply", "-auto-approve")
		e.expectLabels(t, "a")
		e.expectSent(t, "GET "+e.parent.Collection()+" 200", "GET "+e.parent.Collection()+" 200", fmt.Sprintf("DELETE %s/%d 204", e.parent.Collection(), stranger.ID))
		e.expectEmptyPlan(t)
	})
}

// One apply can add and remove keys and change the set, in any order.
func TestAccDeployKeysExclusive_noOrder(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{"destroy first": nil, "create first": {"lifecycle {", "  create_before_destroy = true", "}"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forBoth(t, func(t *testing.T, e *exclusive) {
				keys := map[string]string{"a": acctest.NewKey(t), "b": acctest.NewKey(t), "c": acctest.NewKey(t)}
				e.configure(t, keys, lines, e.these())
				e.MustRun(t, "apply", "-auto-approve")
				e.expectEmptyPlan(t)
				e.addByHand(t, "stranger")
				// One key is replaced, one is removed, and one is added.
				delete(keys, "b")
				keys["a"], keys["d"] = acctest.NewKey(t), acctest.NewKey(t)
				e.configure(t, keys, lines, e.these())
				e.MustRun(t, "apply", "-auto-approve")
				e.expectLabels(t, "a", "c", "d")
				e.expectEmptyPlan(t)
			})
		})
	}
}

// The plan names a key whose ID is no longer in the set, because the state does not
// have that key.
func TestAccDeployKeysExclusive_smallerSet(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		first, second := e.addByHand(t, "first"), e.addByHand(t, "second")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d, %d]", first.ID, second.ID))
		if out := e.MustRun(t, "apply", "-auto-approve"); strings.Contains(out, "will be removed") {
			t.Errorf("it removes something: %s", out)
		}
		e.expectEmptyPlan(t)
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", second.ID))
		acctest.Contains(t, e.MustRun(t, "plan"), fmt.Sprintf("- %d,", first.ID), "These deploy keys are not in key_ids", fmt.Sprint(first.ID), `"first"`)
		e.MustRun(t, "apply", "-auto-approve")
		e.expectLabels(t, "second")
		e.expectEmptyPlan(t)
	})
}

// Without the resource, any key is allowed again.
func TestAccDeployKeysExclusive_removed(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		key := e.addByHand(t, "kept")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", key.ID))
		e.MustRun(t, "apply", "-auto-approve")
		e.addByHand(t, "stranger")
		e.Sent()
		e.configure(t, nil, nil, "")
		e.MustRun(t, "apply", "-auto-approve")
		e.expectSent(t, "GET "+e.parent.Collection()+" 200")
		e.expectLabels(t, "kept", "stranger")
	})
}

// Removing all keys needs allow_empty, even if the set has IDs of another parent.
func TestAccDeployKeysExclusive_empty(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		e.addByHand(t, "first")
		e.configure(t, nil, nil, "key_ids = []")
		e.Fails(t, []string{"plan"}, "No deploy key is allowed", "allow_empty = true")
		e.expectSent(t)
		e.configure(t, nil, nil, "key_ids = [5]")
		e.Fails(t, []string{"apply", "-auto-approve"}, "No deploy key would be left", "None of key_ids is a deploy key of the "+e.parent.Kind+" acme/"+e.parent.Name, "Nothing was changed")
		// The IDs are unknown until apply, so the error is reported only during apply.
		e.Write(t, e.Config("\nresource \"terraform_data\" \"id\" {\n  input = 5\n}\n"+e.only("key_ids = [terraform_data.id.output]")))
		e.Fails(t, []string{"apply", "-auto-approve"}, "No deploy key would be left")
		e.Write(t, e.Config("\nresource \"terraform_data\" \"ids\" {\n  input = []\n}\n"+e.only("key_ids = terraform_data.ids.output")))
		e.Fails(t, []string{"apply", "-auto-approve"}, "No deploy key is allowed")
		e.expectLabels(t, "first")
		if writes := e.Writes(); len(writes) > 0 {
			t.Errorf("wrote %q", writes)
		}
		e.configure(t, nil, nil, "key_ids = []\n  allow_empty = true")
		acctest.Contains(t, e.MustRun(t, "plan"), "will be removed", `"first"`)
		e.MustRun(t, "apply", "-auto-approve")
		e.expectLabels(t)
		e.MustRun(t, "plan", "-detailed-exitcode")
	})
}

// Bitbucket does not show the UUID of a parent without keys.
func TestAccDeployKeysExclusive_firstKey(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		e.configure(t, nil, nil, "allow_empty = true\n  "+e.these())
		e.MustRun(t, "apply", "-auto-approve")
		e.MustRun(t, "plan", "-detailed-exitcode")
		e.configure(t, map[string]string{"a": acctest.NewKey(t)}, nil, e.these())
		e.MustRun(t, "apply", "-auto-approve")
		e.expectEmptyPlan(t)
		e.expectLabels(t, "a")
	})
}

func TestAccDeployKeysExclusive_import(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		first, second := e.addByHand(t, "first"), e.addByHand(t, "second")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d, %d]", first.ID, second.ID))
		address := e.parent.TypeName + "s_exclusive.this"
		for _, id := range []string{"acme", "acme/" + e.parent.Name + "/5", "acme/../x", ""} {
			e.Fails(t, []string{"import", address, id}, "Expected workspace/"+e.parent.Kind)
		}
		e.MustRun(t, "import", address, "acme/"+e.parent.Name)
		e.expectEmptyPlan(t)
		e.expectLabels(t, "first", "second")
	})
}

func TestAccDeployKeysExclusive_validation(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		for line, words := range map[string]string{
			"key_ids = [0]":        "must be at least 1",
			"key_ids = [-5]":       "must be at least 1",
			"key_ids = [null]":     "Null",
			"key_ids = [1.5]":      "",
			`key_ids = ["label"]`:  "",
			"":                     `"key_ids" is required`,
			"key_ids = null":       "Missing Configuration for Required Attribute",
			"allow_empty = true":   `"key_ids" is required`,
			"other_keys = {}":      "",
			"key_ids = [1, \"x\"]": "",
		} {
			e.configure(t, nil, nil, line+"\n")
			e.Fails(t, []string{"validate"}, words)
		}
		e.expectSent(t)
	})
}

// If the exclusive resource gets another parent, the plan names the keys of the new parent,
// and the old parent keeps its keys.
func TestAccDeployKeysExclusive_moved(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		before := e.addByHand(t, "before")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", before.ID))
		e.MustRun(t, "apply", "-auto-approve")
		first := e.parent
		e.parent = e.parent.Named(map[string]string{"repository": "api", "project": "PROJ"}[e.parent.Kind])
		after := e.addByHand(t, "after")
		stranger := e.addByHand(t, "stranger")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", after.ID))
		out := e.MustRun(t, "plan")
		acctest.Contains(t, out, "1 to change", "Deploy keys of "+e.parent.String()+" will be removed", fmt.Sprint(stranger.ID), `"stranger"`)
		if strings.Contains(out, `"before"`) {
			t.Errorf("the plan names a key of the old parent: %s", out)
		}
		e.MustRun(t, "apply", "-auto-approve")
		e.expectLabels(t, "after")
		e.expectEmptyPlan(t)
		e.parent = first
		e.expectLabels(t, "before")
	})
}

// If the parent or the provider configuration is unknown, the plan warns that keys may be
// removed.
func TestAccDeployKeysExclusive_unknown(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		key := e.addByHand(t, "kept")
		e.addByHand(t, "stranger")
		keyIDs := fmt.Sprintf("key_ids = [%d]", key.ID)
		name := strings.Replace(e.only(keyIDs), fmt.Sprintf("%q", e.parent.Name), "terraform_data.name.output", 1)
		e.Write(t, e.Config(fmt.Sprintf("\nresource \"terraform_data\" \"name\" {\n  input = %q\n}\n", e.parent.Name)+name))
		acctest.Contains(t, e.MustRun(t, "plan"), "Deploy keys may be removed", "The "+e.parent.Kind+" or the provider configuration is not known yet")
		e.expectSent(t)
		e.Write(t, e.ConfigWith("\nresource \"terraform_data\" \"token\" {\n  input = \"api-token\"\n}\n"+e.only(keyIDs), `username = "ci@example.com"`, "token = terraform_data.token.output"))
		acctest.Contains(t, e.MustRun(t, "plan"), "Deploy keys may be removed")
		e.expectSent(t)
		e.MustRun(t, "apply", "-auto-approve")
		e.expectLabels(t, "kept")
	})
}

// If the provider cannot read the keys, it changes nothing and keeps the state.
func TestAccDeployKeysExclusive_hidden(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		key := e.addByHand(t, "kept")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", key.ID))
		e.MustRun(t, "apply", "-auto-approve")
		e.addByHand(t, "stranger")
		for status, words := range map[int]string{403: "administrator of the " + e.parent.Kind, 404: "was deleted or renamed", 500: "Bitbucket failed"} {
			e.Inject(emulator.Fault{Status: status})
			e.Fails(t, []string{"apply", "-auto-approve"}, "Unable to list deploy keys", words)
			e.ClearFaults()
		}
		e.expectLabels(t, "kept", "stranger")
		e.MustRun(t, "apply", "-auto-approve")
		e.expectLabels(t, "kept")
	})
}

// No key is removed as long as an entry cannot be read.
func TestAccDeployKeysExclusive_unreadable(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		kept, unreadable := e.addByHand(t, "kept"), e.addByHand(t, "unreadable")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", kept.ID))
		for _, id := range []int64{kept.ID, unreadable.ID} {
			e.Inject(emulator.UnreadableKey(id))
			for _, command := range []string{"plan", "apply"} {
				args := []string{command}
				if command == "apply" {
					args = append(args, "-auto-approve")
				}
				e.Fails(t, args, "Unable to list deploy keys", fmt.Sprintf("Bitbucket lists entries without a readable key: deploy key %d", id), "Look at the access keys")
			}
			e.ClearFaults()
		}
		e.MustRun(t, "plan", "-out=saved")
		e.Inject(emulator.UnreadableKey(unreadable.ID))
		e.Fails(t, []string{"apply", "saved"}, "Unable to list deploy keys", "Nothing was changed")
		e.ClearFaults()
		e.expectLabels(t, "kept", "unreadable")
		e.MustRun(t, "apply", "-auto-approve")
		e.expectLabels(t, "kept")
	})
}

// If the answer to a DELETE is lost, the provider checks whether the key is gone. If the
// DELETE fails, the next apply repeats it.
func TestAccDeployKeysExclusive_faults(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		key := e.addByHand(t, "kept")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", key.ID))
		e.MustRun(t, "apply", "-auto-approve")
		e.addByHand(t, "stranger")
		e.Inject(emulator.Fault{Method: "DELETE", CarryOut: true, Cut: true, Times: 1})
		e.MustRun(t, "apply", "-auto-approve")
		e.expectLabels(t, "kept")

		e.addByHand(t, "one")
		e.addByHand(t, "two")
		e.Inject(emulator.Fault{Method: "DELETE", Status: 403, Skip: 1})
		e.Fails(t, []string{"apply", "-auto-approve"}, "Unable to delete deploy key", "delete:ssh-key:bitbucket")
		e.expectLabels(t, "kept", "two")
		e.ClearFaults()
		e.MustRun(t, "apply", "-auto-approve")
		e.expectLabels(t, "kept")
		e.expectEmptyPlan(t)
	})
}

// The provider finds a renamed repository by its UUID. The repository that now has the old
// name keeps its keys.
func TestAccDeployKeysExclusive_renamed(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	e := &exclusive{Fake: f, CLI: acctest.NewCLI(t, acctest.Attached(t)), parent: acctest.Website}
	key := e.addByHand(t, "kept")
	e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]\n  allow_empty = true", key.ID))
	e.MustRun(t, "apply", "-auto-approve")
	f.RenameRepository("acme", "website", "site")
	f.AddRepository("acme", emulator.Repository{Slug: "website"})
	f.AddDeployKey("acme", "website", acctest.NewKey(t), "theirs")
	f.AddDeployKey("acme", "site", acctest.NewKey(t), "stranger")
	e.MustRun(t, "apply", "-auto-approve")
	e.expectLabels(t, "theirs")
	if keys := f.DeployKeys("acme", "site"); len(keys) != 1 || keys[0].ID != key.ID {
		t.Errorf("acme/site has the keys %v", keys)
	}
}

// If the project key now belongs to another project, the plan fails.
func TestAccDeployKeysExclusive_anothersProject(t *testing.T) {
	t.Parallel()
	f := acctest.NewFakeOfRepositories(t, []emulator.Repository{{Slug: "website", Project: "WEB"}})
	e := &exclusive{Fake: f, CLI: acctest.NewCLI(t, acctest.Attached(t)), parent: acctest.WEB}
	key := e.addByHand(t, "kept")
	e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]\n  allow_empty = true", key.ID))
	e.MustRun(t, "apply", "-auto-approve")
	f.RenameProject("acme", "WEB", "SITE")
	f.AddProject("acme", emulator.Project{Key: "WEB"})
	e.addByHand(t, "theirs")
	e.Fails(t, []string{"apply", "-auto-approve"}, "Unable to list deploy keys", "the name is that of another repository or project now", "another one has its name, run \"terraform state rm ADDRESS\"")
	e.expectLabels(t, "theirs")
}
