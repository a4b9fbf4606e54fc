package provider

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
			CLI:    acctest.NewCLI(t),
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

// removal is what the saved plan in the file "saved" shows as removed, from its JSON: what an
// approver or a policy reads.
func (e *exclusive) removal(t *testing.T) map[string]map[string]string {
	t.Helper()
	type keys struct {
		OtherKeys map[string]map[string]string `json:"other_keys"`
	}
	var plan struct {
		ResourceChanges []struct {
			Type   string
			Change struct{ Before, After keys }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal([]byte(e.MustRun(t, "show", "-json", "saved")), &plan); err != nil {
		t.Fatal(err)
	}
	for _, change := range plan.ResourceChanges {
		if change.Type != e.parent.TypeName+"s_exclusive" {
			continue
		}
		removed := change.Change.Before.OtherKeys
		for id := range change.Change.After.OtherKeys {
			t.Errorf("the plan keeps %s in other_keys", id)
		}
		return removed
	}
	return nil
}

// expectRemoval saves a plan and checks which keys it shows as removed.
func (e *exclusive) expectRemoval(t *testing.T, ids ...int64) {
	t.Helper()
	e.MustRun(t, "plan", "-out=saved")
	got, want := slices.Sorted(maps.Keys(e.removal(t))), []string{}
	for _, id := range ids {
		want = append(want, strconv.FormatInt(id, 10))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the plan removes %q, want %q", got, want)
	}
}

// warns reports whether the provider has warned.
func warns(out string) bool {
	return strings.Contains(strings.Replace(out, "Warning: Provider development overrides", "", 1), "Warning: ")
}

// applyWithoutRemoval applies a configuration, which must remove no key.
func (e *exclusive) applyWithoutRemoval(t *testing.T) {
	t.Helper()
	e.Sent()
	out := e.MustRun(t, "apply", "-auto-approve")
	if warns(out) {
		t.Errorf("it warns: %s", out)
	}
	for _, request := range e.Writes() {
		if strings.HasPrefix(request, "DELETE") {
			t.Errorf("sent %s", request)
		}
	}
}

// A new set only stores the keys that existed before. The next plan shows each of them, also
// in JSON, and its apply removes them.
func TestAccDeployKeysExclusive_adopt(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		old, used := e.addByHand(t, "old laptop"), e.addByHand(t, "ci \"2019\"")
		when := "2021-03-04T05:06:07.000000+00:00"
		e.Edit(e.parent, used.ID, func(key *emulator.DeployKey) { key.LastUsed = &when })
		e.configure(t, map[string]string{"a": acctest.NewKey(t), "b": acctest.NewKey(t)}, nil, e.these())
		acctest.Contains(t, e.MustRun(t, "plan"), "+ key_ids = [ + (known after apply), + (known after apply), ]", "+ other_keys = (known after apply)", "3 to add, 0 to change, 0 to destroy")
		e.expectSent(t)
		e.applyWithoutRemoval(t)
		e.expectLabels(t, "a", "b", `ci "2019"`, "old laptop")

		out := e.MustRun(t, "plan", "-out=saved")
		acctest.Contains(t, out, "~ other_keys = {",
			fmt.Sprintf(`- "%d" = {`, old.ID), "- fingerprint_sha256 = \"SHA256:", `- label = "old laptop"`,
			fmt.Sprintf(`- "%d" = {`, used.ID), "- fingerprint_sha256 = \"SHA256:", `- label = "ci \"2019\""`, `- last_used = "`+when, "0 to add, 1 to change, 0 to destroy")
		if warns(out) {
			t.Errorf("the plan says it twice: %s", out)
		}
		removed := e.removal(t)
		for _, key := range []emulator.DeployKey{old, used} {
			shown := removed[strconv.FormatInt(key.ID, 10)]
			if shown["label"] != key.Label || !strings.HasPrefix(shown["fingerprint_sha256"], "SHA256:") || shown["last_used"] != map[int64]string{used.ID: when}[key.ID] {
				t.Errorf("the plan shows %q in JSON", shown)
			}
		}
		e.Sent()
		if out := e.MustRun(t, "apply", "saved"); warns(out) {
			t.Errorf("the apply says it again: %s", out)
		}
		e.expectSent(t, "GET "+e.parent.Collection()+" 200", fmt.Sprintf("DELETE %s/%d 204", e.parent.Collection(), old.ID), fmt.Sprintf("DELETE %s/%d 204", e.parent.Collection(), used.ID))
		e.expectLabels(t, "a", "b")
		e.expectEmptyPlan(t)
	})
}

// Between plan and apply, somebody adds a key and removes another one. The apply removes only
// what the plan has shown. The next plan shows the new key.
func TestAccDeployKeysExclusive_betweenPlanAndApply(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		first, second := e.addByHand(t, "first"), e.addByHand(t, "second")
		e.configure(t, map[string]string{"a": acctest.NewKey(t)}, nil, e.these())
		e.applyWithoutRemoval(t)
		e.expectRemoval(t, first.ID, second.ID)
		e.Remove(e.parent, first.ID)
		late := e.addByHand(t, "late")
		e.Sent()
		e.MustRun(t, "apply", "saved")
		e.expectSent(t, "GET "+e.parent.Collection()+" 200", fmt.Sprintf("DELETE %s/%d 204", e.parent.Collection(), second.ID))
		e.expectLabels(t, "a", "late")
		e.expectRemoval(t, late.ID)
		e.MustRun(t, "apply", "saved")
		e.expectLabels(t, "a")
		e.expectEmptyPlan(t)
	})
}

// With create_before_destroy, the old key stays until everything that depends on the new key
// has changed, because the set does not remove the old key. It also stays if a machine cannot
// be reached.
func TestAccDeployKeysExclusive_rotation(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		// The machine comes after the set, so that the set has done all it does when the machine fails.
		rotating := func(key, deploy string) string {
			return e.Config(fmt.Sprintf("\nresource %q \"this\" {\n  workspace = \"acme\"\n  %s = %q\n  key = %q\n  label = \"ci\"\n  lifecycle {\n    create_before_destroy = true\n  }\n}\n",
				e.parent.TypeName, e.parent.Kind, e.parent.Name, key) + e.only(fmt.Sprintf("key_ids = [%s.this.key_id]", e.parent.TypeName)) +
				fmt.Sprintf("\nresource \"terraform_data\" \"machine\" {\n  triggers_replace = [%[1]s.this.key_id]\n  depends_on = [%[1]ss_exclusive.this]\n  provisioner \"local-exec\" {\n    command = %[2]q\n  }\n}\n", e.parent.TypeName, deploy))
		}
		e.Write(t, rotating(acctest.NewKey(t), "exit 0"))
		e.MustRun(t, "apply", "-auto-approve")
		old := e.OnlyKeyOf(t, e.parent)
		rotated := acctest.NewKey(t)
		e.Write(t, rotating(rotated, "exit 1"))
		e.Fails(t, []string{"apply", "-auto-approve"}, "exit status 1")
		e.expectLabels(t, "ci", "ci")

		e.Write(t, rotating(rotated, "exit 0"))
		e.Sent()
		e.MustRun(t, "apply", "-auto-approve")
		if writes := e.Writes(); !slices.Equal(writes, []string{fmt.Sprintf("DELETE %s/%d 204", e.parent.Collection(), old.ID)}) {
			t.Errorf("sent %q", writes)
		}
		// Terraform 1.16 destroys the machine that failed only in the next apply.
		e.MustRun(t, "apply", "-auto-approve")
		if writes := e.Writes(); len(writes) > 0 {
			t.Errorf("sent %q", writes)
		}
		e.expectEmptyPlan(t)
	})
}

// The listing that decides is new: a key that another provider configuration has just added
// counts.
func TestAccDeployKeysExclusive_newListing(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		e.CLI = acctest.NewBuiltCLI(t) // Each provider configuration needs its own process.
		e.addByHand(t, "stranger")
		write := func(key string, generation int) {
			e.Write(t, e.Config(fmt.Sprintf(`
provider "bitbucket" {
  alias    = "other"
  base_url = "%s/2.0"
  username = "ci@example.com"
  token    = "api-token"
}

resource "terraform_data" "generation" {
  input = %d
}

data "%[3]ss" "before" {
  workspace  = "acme"
  %[4]s = %[5]q
  depends_on = [terraform_data.generation]
}

resource %[3]q "this" {
  provider   = bitbucket.other
  workspace  = "acme"
  %[4]s = %[5]q
  key        = %[6]q
  label      = "ci"
  depends_on = [data.%[3]ss.before]
}
`, e.URL, generation, e.parent.TypeName, e.parent.Kind, e.parent.Name, key)+e.only(fmt.Sprintf("key_ids = [%s.this.key_id]", e.parent.TypeName))))
		}
		write(acctest.NewKey(t), 1)
		e.MustRun(t, "apply", "-auto-approve")
		write(acctest.NewKey(t), 2)
		e.MustRun(t, "apply", "-auto-approve")
		e.expectLabels(t, "ci")
	})
}

// A key that a resource of the same configuration manages is not removed if key_ids forgets it:
// no apply adds again what another apply has removed.
func TestAccDeployKeysExclusive_managed(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		warning := "Managed deploy keys of " + e.parent.String() + " are not in key_ids"
		listed := e.addByHand(t, "listed")
		keys := map[string]string{"forgotten": acctest.NewKey(t)}
		// The set is planned after the key.
		keyIDs := fmt.Sprintf("key_ids = [%d]\n  depends_on = [%s.this]", listed.ID, e.parent.TypeName)
		e.configure(t, keys, []string{"lifecycle {", "  prevent_destroy = true", "}"}, "")
		e.MustRun(t, "apply", "-auto-approve")
		forgotten := e.Keys(e.parent)[1]
		e.configure(t, keys, []string{"lifecycle {", "  prevent_destroy = true", "}"}, keyIDs)
		acctest.Contains(t, e.MustRun(t, "apply", "-auto-approve"), warning, fmt.Sprint(forgotten.ID), `"forgotten"`, "The set does not remove these keys", "Add the key_id of each resource to key_ids")
		// The apply has stored the key: it does not know the resources that do not change.
		stranger := e.addByHand(t, "stranger")
		e.Fails(t, []string{"plan", "-refresh=false"}, "Managed deploy key would be removed", fmt.Sprint(forgotten.ID), `"forgotten"`, "Nothing was changed")

		e.expectRemoval(t, stranger.ID)
		e.MustRun(t, "apply", "saved")
		e.expectLabels(t, "forgotten", "listed")
		out := e.MustRun(t, "plan", "-detailed-exitcode")
		if strings.Count(out, warning) != 1 {
			t.Errorf("the empty plan does not warn once: %s", out)
		}

		both := fmt.Sprintf("key_ids = concat([%d], [for key in %s.this : key.key_id])", listed.ID, e.parent.TypeName)
		e.configure(t, keys, nil, both)
		if out := e.MustRun(t, "apply", "-auto-approve"); warns(out) {
			t.Errorf("it warns: %s", out)
		}
		e.expectEmptyPlan(t)
	})
}

// A resource that removes its key in the same run as the set is no error.
func TestAccDeployKeysExclusive_removedByItsResource(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		keyIDs := fmt.Sprintf("key_ids = [%d]", e.addByHand(t, "listed").ID)
		keys := map[string]string{"a": acctest.NewKey(t), "b": acctest.NewKey(t)}
		e.configure(t, keys, nil, "")
		e.MustRun(t, "apply", "-auto-approve")
		e.configure(t, keys, nil, keyIDs)
		e.MustRun(t, "apply", "-auto-approve")
		e.configure(t, nil, nil, keyIDs)
		e.MustRun(t, "apply", "-auto-approve", "-refresh=false")
		e.expectLabels(t, "listed")
		e.expectEmptyPlan(t)
	})
}

// A resource for a key that the set is to remove takes the key over, and no access is lost.
func TestAccDeployKeysExclusive_takenOver(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		keyIDs := fmt.Sprintf("key_ids = [%d]", e.addByHand(t, "listed").ID)
		stranger := e.addByHand(t, "stranger")
		e.configure(t, nil, nil, keyIDs)
		e.applyWithoutRemoval(t)
		e.configure(t, map[string]string{"stranger": stranger.Key}, nil, keyIDs)
		e.expectRemoval(t, stranger.ID)
		e.MustRun(t, "apply", "saved")
		e.expectLabels(t, "listed", "stranger")
	})
}

// If the set is planned before the key, the plan already shows the key as removed. That is an
// error.
func TestAccDeployKeysExclusive_managedLater(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		e.configure(t, map[string]string{"later": acctest.NewKey(t)}, []string{"depends_on = [" + e.parent.TypeName + "s_exclusive.this]"}, fmt.Sprintf("key_ids = [%d]", e.addByHand(t, "listed").ID))
		e.MustRun(t, "apply", "-auto-approve")
		e.Fails(t, []string{"plan"}, "Managed deploy key would be removed", `"later"`)
		e.expectLabels(t, "later", "listed")
	})
}

// An entry of the list that cannot be read may be any key. Nothing is removed then.
func TestAccDeployKeysExclusive_unreadable(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		e.addByHand(t, "stranger")
		unreadable := e.addByHand(t, "unreadable")
		e.configure(t, map[string]string{"a": acctest.NewKey(t)}, nil, e.these())
		e.applyWithoutRemoval(t)
		e.MustRun(t, "plan", "-out=saved")
		e.Edit(e.parent, unreadable.ID, func(key *emulator.DeployKey) { key.Key = "" })
		e.Sent()
		for _, args := range [][]string{{"apply", "saved"}, {"plan"}} {
			e.Fails(t, args, "Unable to list deploy keys", "An exclusive set removes no deploy key as long as it cannot read every entry of the list")
		}
		if writes := e.Writes(); len(writes) > 0 {
			t.Errorf("wrote %q", writes)
		}
		e.expectLabels(t, "a", "stranger", "unreadable")
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
		acctest.Contains(t, out, "~ other_keys = {", fmt.Sprintf(`- "%d" = {`, stranger.ID), "- fingerprint_sha256 =", `- label = "stranger"`, "0 to add, 1 to change, 0 to destroy")
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

// A key whose ID leaves key_ids is removed one apply later, after a plan has shown it.
func TestAccDeployKeysExclusive_smallerSet(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		first, second := e.addByHand(t, "first"), e.addByHand(t, "second")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d, %d]", first.ID, second.ID))
		e.MustRun(t, "apply", "-auto-approve")
		e.expectEmptyPlan(t)
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", second.ID))
		acctest.Contains(t, e.MustRun(t, "plan"), fmt.Sprintf("- %d,", first.ID))
		e.applyWithoutRemoval(t)
		e.expectRemoval(t, first.ID)
		// A key that goes back into the set stays, although other_keys shrinks.
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d, %d]", first.ID, second.ID))
		e.applyWithoutRemoval(t)
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", second.ID))
		e.applyWithoutRemoval(t)
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
		first := e.addByHand(t, "first")
		e.configure(t, nil, nil, "key_ids = []")
		e.Fails(t, []string{"plan"}, "No deploy key is allowed", "allow_empty = true")
		e.expectSent(t)
		e.configure(t, nil, nil, "key_ids = [5]")
		e.applyWithoutRemoval(t)
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
		e.expectRemoval(t, first.ID)
		e.MustRun(t, "apply", "saved")
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

// An import allows all keys that are there. It accepts the addresses that a browser and the API
// show.
func TestAccDeployKeysExclusive_import(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		first, second := e.addByHand(t, "first"), e.addByHand(t, "second")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d, %d]", first.ID, second.ID))
		address := e.parent.TypeName + "s_exclusive.this"
		api := "https://api.bitbucket.org" + e.parent.Path
		other := map[string]acctest.Parent{"repository": acctest.WEB, "project": acctest.Website}[e.parent.Kind]
		for _, id := range []string{
			"acme", "acme/" + e.parent.Name + "/5", "acme/../x", "", e.parent.Page + "/access-keys/5", e.parent.Page, api, api + "/deploy-keys/5", other.Page + "/access-keys/",
			"https://%zz/", e.parent.Page + "/access-keys%zz",
		} {
			e.Fails(t, []string{"import", address, id}, "Expected one of", "acme/", "https://api.bitbucket.org/2.0/", "https://bitbucket.org/acme/", "/access-keys/")
		}
		for _, id := range []string{"acme/" + e.parent.Name, e.parent.Page + "/access-keys/", e.parent.Page + "/access-keys", api + "/deploy-keys", api + "/deploy-keys?pagelen=100"} {
			e.MustRun(t, "import", address, id)
			e.expectEmptyPlan(t)
			e.MustRun(t, "state", "rm", address)
		}
		e.expectLabels(t, "first", "second")

		// With fewer key_ids, the import and the apply after it still remove nothing.
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", first.ID))
		e.MustRun(t, "import", address, "acme/"+e.parent.Name)
		acctest.Contains(t, e.MustRun(t, "plan"), fmt.Sprintf("- %d,", second.ID))
		e.applyWithoutRemoval(t)
		e.expectRemoval(t, second.ID)
	})
}

// The configuration that Terraform generates for an import is valid, also without any key.
func TestAccDeployKeysExclusive_generated(t *testing.T) {
	t.Parallel()
	for _, keys := range []int{0, 2} {
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			t.Parallel()
			forBoth(t, func(t *testing.T, e *exclusive) {
				for i := range keys {
					e.addByHand(t, fmt.Sprint(i))
				}
				e.Generate(t, e.Config(fmt.Sprintf("\nimport {\n  to = %ss_exclusive.this\n  id = %q\n}\n", e.parent.TypeName, e.parent.Page+"/access-keys/")))
				acctest.Contains(t, e.MustRun(t, "apply", "-auto-approve"), "1 imported, 0 added, 0 changed, 0 destroyed")
				e.expectEmptyPlan(t)
			})
		})
	}
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

// A set that gets another parent only stores the keys of the new parent, and the old parent
// keeps its keys.
func TestAccDeployKeysExclusive_moved(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		before := e.addByHand(t, "before")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", before.ID))
		e.MustRun(t, "apply", "-auto-approve")
		e.addByHand(t, "shown")
		first := e.parent
		e.parent = e.parent.Named(map[string]string{"repository": "api", "project": "PROJ"}[e.parent.Kind])
		after := e.addByHand(t, "after")
		stranger := e.addByHand(t, "stranger")
		e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]", after.ID))
		acctest.Contains(t, e.MustRun(t, "plan"), "-> (known after apply)", "1 to change")
		e.applyWithoutRemoval(t)
		e.expectLabels(t, "after", "stranger")
		e.expectRemoval(t, stranger.ID)
		e.MustRun(t, "apply", "saved")
		e.expectLabels(t, "after")
		e.expectEmptyPlan(t)
		e.parent = first
		e.expectLabels(t, "before", "shown")
	})
}

// If the parent is unknown, the plan cannot show the keys, so that apply only stores them: it
// replaces an existing set.
func TestAccDeployKeysExclusive_unknown(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		key := e.addByHand(t, "kept")
		stranger := e.addByHand(t, "stranger")
		only := strings.Replace(e.only(fmt.Sprintf("key_ids = [%d]", key.ID)), fmt.Sprintf("%q", e.parent.Name), "terraform_data.name.output", 1)
		name := func(generation int) string {
			return fmt.Sprintf("\nresource \"terraform_data\" \"name\" {\n  input = %q\n  triggers_replace = %d\n}\n", e.parent.Name, generation)
		}
		e.Write(t, e.Config(name(1)+only))
		e.applyWithoutRemoval(t)
		e.Write(t, e.Config(name(2)+only))
		acctest.Contains(t, e.MustRun(t, "plan"), "must be replaced", "forces replacement")
		e.applyWithoutRemoval(t)
		e.expectRemoval(t, stranger.ID)
	})
}

// If the provider configuration is unknown, the plan shows the keys in state.
func TestAccDeployKeysExclusive_unknownProvider(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, e *exclusive) {
		key := e.addByHand(t, "kept")
		stranger := e.addByHand(t, "stranger")
		write := func(generation int) {
			e.Write(t, e.ConfigWith(fmt.Sprintf("\nresource \"terraform_data\" \"token\" {\n  input = \"api-token\"\n  triggers_replace = %d\n}\n", generation)+e.only(fmt.Sprintf("key_ids = [%d]", key.ID)),
				`username = "ci@example.com"`, "token = terraform_data.token.output"))
		}
		write(1)
		acctest.Contains(t, e.MustRun(t, "plan"), "+ other_keys = (known after apply)")
		e.expectSent(t)
		e.applyWithoutRemoval(t)
		write(2)
		e.expectRemoval(t, stranger.ID)
		e.MustRun(t, "apply", "saved")
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
	e := &exclusive{Fake: f, CLI: acctest.NewCLI(t), parent: acctest.Website}
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
	e := &exclusive{Fake: f, CLI: acctest.NewCLI(t), parent: acctest.WEB}
	key := e.addByHand(t, "kept")
	e.configure(t, nil, nil, fmt.Sprintf("key_ids = [%d]\n  allow_empty = true", key.ID))
	e.MustRun(t, "apply", "-auto-approve")
	f.RenameProject("acme", "WEB", "SITE")
	f.AddProject("acme", emulator.Project{Key: "WEB"})
	e.addByHand(t, "theirs")
	e.Fails(t, []string{"apply", "-auto-approve"}, "Unable to list deploy keys", "the name now belongs to a different repository or project", "its name now belongs to a different project, run \"terraform state rm ADDRESS\"")
	e.expectLabels(t, "theirs")
}
