package provider

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

var createdUnknown = acctest.Website.Unknown()

// planned is [acctest.Parent.Planned] for acme/website.
func planned(action plancheck.ResourceActionType, unknown ...string) []plancheck.PlanCheck {
	return acctest.Website.Planned(action, unknown...)
}

// has is [acctest.Parent.Has] for acme/website.
func has(values map[string]string) []statecheck.StateCheck { return acctest.Website.Has(values) }

func TestAccDeployKey_basic(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		parsed, err := sshkey.Split(key)
		if err != nil {
			t.Fatal(err)
		}
		config := f.Config(parent.DeployKey(acctest.KeyLine(key+" ci@host"), `label = "ci"`))
		has := append(
			parent.Has(map[string]string{
				"id":                  parent.ImportID(acctest.FirstID),
				"workspace":           "acme",
				parent.Kind:           parent.Name,
				"key":                 key + " ci@host",
				"label":               "ci",
				"comment":             "ci@host",
				"key_type":            "ssh-ed25519",
				"fingerprint_sha256":  parsed.FingerprintSHA256(),
				"fingerprint_md5":     parsed.FingerprintMD5(),
				parent.Kind + "_uuid": parent.UUID,
			}),
			statecheck.ExpectKnownValue(parent.Address(), tfjsonpath.New("key_id"), knownvalue.Int64Exact(10958984)),
			statecheck.ExpectKnownValue(parent.Address(), tfjsonpath.New("created_on"), knownvalue.NotNull()),
		)
		acctest.Test(t,
			acctest.Step{
				Config:            config,
				ConfigStateChecks: has,
				PostApplyFunc:     f.ExpectWrites(t, "POST "+parent.Collection()+" 200"),
			},
			acctest.Step{
				Config:        config,
				Destroy:       true,
				PostApplyFunc: f.ExpectWrites(t, "DELETE "+parent.FirstKey()+" 204"),
			},
		)
	})
}

func TestDeployKeyApply_withoutLabelAndComment(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		r := newKeyRun(t, f, parent, nil)
		state := r.values(t, r.change(t, nil, map[string]string{"key": key}).state)
		for attribute, want := range map[string]string{"label": "", "comment": "", "key": key} {
			if got, found := state[attribute]; !found || got != want {
				t.Errorf("the %s in the state is %q, want %q", attribute, got, want)
			}
		}
		if body := f.LastWrite(t).Body; !strings.Contains(body, `"label":""`) {
			t.Errorf("the label is not in %s", body)
		}
		if got := f.OnlyKeyOf(t, parent); got.Key != key || got.Comment != "" || got.Label != "" {
			t.Errorf("Bitbucket has %+v", got)
		}
	})
}

// A change of label or comment is an update. Bitbucket cannot update a key of a project, so it
// is a replacement there.
func TestDeployKeyApply_labelAndComment(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key, strategy := acctest.NewFake(t), acctest.NewKey(t), map[string]string{"update_strategy": "in_place"}
		stored := createKey(t, f, parent, nil, map[string]string{"key": key + " in key\n", "label": "one"})
		number := acctest.FirstID
		for _, step := range []struct{ config, state map[string]string }{
			{map[string]string{"key": key + " in key\n", "label": "two"}, map[string]string{"label": "two", "comment": "in key"}},
			{map[string]string{"key": key + " in key\n", "label": "two", "comment": "set"}, map[string]string{"label": "two", "comment": "set"}},
			{map[string]string{"key": key + " in key\n", "label": "three", "comment": "both  changed"}, map[string]string{"label": "three", "comment": "both  changed"}},
			// Without the attribute comment, the comment inside the key is used again.
			{map[string]string{"key": key + " in key\n", "label": "three"}, map[string]string{"label": "three", "comment": "in key"}},
			{map[string]string{"key": key + " other", "label": "three"}, map[string]string{"label": "three", "comment": "other", "key": key + " other"}},
			{map[string]string{"key": key + " other", "label": "three", "comment": ""}, map[string]string{"label": "three", "comment": ""}},
			{map[string]string{"key": key}, map[string]string{"label": "", "comment": ""}},
		} {
			r := newKeyRun(t, f, parent, strategy)
			stored = r.change(t, stored, step.config)
			line := strings.TrimSpace(key + " " + step.state["comment"])
			if got, want := f.LastWrite(t).Body, fmt.Sprintf(`{"key":%q,"label":%q}`, line, step.state["label"]); got != want {
				t.Errorf("sent %s\nwant %s", got, want)
			}
			path := fmt.Sprintf("%s/%d", parent.Collection(), number)
			if parent.IsProject() {
				f.ExpectWrites(t, "DELETE "+path+" 204", "POST "+parent.Collection()+" 200")()
				number++
			} else {
				f.ExpectWrites(t, "PUT "+path+" 200")()
			}
			state := r.values(t, stored.state)
			step.state["key_id"] = strconv.Itoa(number)
			for attribute, want := range step.state {
				if got, found := state[attribute]; !found || got != want {
					t.Errorf("the %s in the state is %q, want %q", attribute, got, want)
				}
			}
			// Bitbucket may change the spaces of a comment. The refresh keeps the state then.
			f.Edit(parent, int64(number), func(key *emulator.DeployKey) { key.Comment = strings.Join(strings.Fields(key.Comment), " ") })
			r = newKeyRun(t, f, parent, strategy)
			refreshed := r.refresh(t, stored)
			if got := r.values(t, refreshed.state); !maps.Equal(got, state) {
				t.Errorf("the refresh changes %v to %v", state, got)
			}
			r.plan(t, refreshed, step.config).expect(t, nil, nil, nil)
		}
	})
}

// newFakeWith starts a Bitbucket with more repositories in acme.
func newFakeWith(t *testing.T, repositories ...emulator.Repository) *acctest.Fake {
	t.Helper()
	return acctest.NewFakeOfRepositories(t, append([]emulator.Repository{{Slug: "website", UUID: acctest.WebsiteUUID}, {Slug: "api"}}, repositories...))
}

func TestAccDeployKey_import(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	repository, project := f.Add(acctest.Website, acctest.NewKey(t)+" added by hand", "old"), f.Add(acctest.WEB, acctest.NewKey(t)+" added by hand", "old")
	ignored := f.Add(acctest.Website, acctest.NewKey(t)+" me@host", "")
	lines := func(key emulator.DeployKey) []string {
		return []string{acctest.KeyLine(key.Key + " added by hand\n"), `label = "old"`}
	}
	terraform.Write(t, f.Config(
		acctest.Website.DeployKey(append(lines(repository), fmt.Sprintf("workspace = %q", acctest.WorkspaceUUID), acctest.Website.Line(acctest.WebsiteUUID))...)+
			acctest.WEB.DeployKey(lines(project)...)+
			// Many users ignore changes of key after an import. The comment must not be lost then.
			withName(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)), "lifecycle { ignore_changes = [key] }"), "ignored")))
	terraform.MustRun(t, "import", acctest.Address, fmt.Sprintf("%s/%s/%d", acctest.WorkspaceUUID, acctest.WebsiteUUID, repository.ID))
	terraform.MustRun(t, "import", acctest.WEB.Address(), acctest.WEB.ImportID(project.ID))
	terraform.MustRun(t, "import", acctest.Website.TypeName+".ignored", acctest.Website.ImportID(ignored.ID))
	terraform.MustRun(t, "plan", "-detailed-exitcode")
	f.ExpectWrites(t)()
	for _, key := range terraform.State(t) {
		if key.Name == "ignored" && key.Key != ignored.Key+" me@host" {
			t.Errorf("the state has the key %s", key.Key)
		}
	}
}

func TestDeployKeyImport_errors(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		existing := f.Add(parent, acctest.NewKey(t), "old")
		fails := func(id string, want ...string) {
			t.Helper()
			_, out := newKeyRun(t, f, parent, nil).importKey(t, id)
			acctest.Contains(t, out, want...)
		}
		for _, id := range []string{
			"x", "NAME/1", "acme/NAME/", "acme/NAME/x", "acme/NAME/-1", "acme/NAME/+1", "acme/NAME/01", "acme/NAME/0", "acme/NAME/1/2", "acme//1",
			"acme/WEB SITE/1", "acme/../1", "acme/NAME/1.5", "acme/NAME/99999999999999999999", "acme/{%2f}/1",
		} {
			fails(strings.Replace(id, "NAME", parent.Name, 1), "Error: Invalid import ID", "Expected one of "+parent.ImportID(acctest.FirstID))
		}
		if parent.IsProject() {
			fails("acme/web/1", "Error: Invalid import ID")
			fails("acme/"+acctest.ProjectUUID+"/1", "Error: Invalid import ID")
		}
		fails(parent.ImportID(1), "Error: No single deploy key found", "has the ID 1.", "10958984", `"old"`)
		fails("acme/NOTHING/"+strconv.FormatInt(existing.ID, 10), "Error: Unable to read deploy key", "404 Not Found")
	})
}

// Bitbucket documents the update of a key, but has been observed not to accept it.
func TestAccDeployKey_updateRefused(t *testing.T) {
	t.Parallel()
	f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
	f.SetPUT(emulator.PUTRefused)
	acctest.Test(t,
		acctest.Step{Config: f.Config(acctest.DeployKey(key)), PostApplyFunc: f.ForgetRequests},
		acctest.Step{
			Config:      f.Config(acctest.DeployKey(key, `label = "new"`)),
			ExpectError: acctest.Message("Unable to update deploy key", "For security reasons", `terraform apply -replace=ADDRESS`, `update_strategy = "replace"`),
		},
		acctest.Step{
			PreConfig:     f.ExpectWrites(t, "PUT "+acctest.FirstKey+" 400", "PUT "+acctest.FirstKey+" 400"),
			Config:        f.Config(acctest.DeployKey(key, `label = "new"`), `update_strategy = "replace"`),
			PostApplyFunc: f.ExpectWrites(t, "DELETE "+acctest.FirstKey+" 204", "POST acme/website/deploy-keys 200"),
		},
	)
}

func TestDeployKeyApply_updateRefused(t *testing.T) {
	t.Parallel()
	put := func(statuses ...int) (lines []string) {
		for _, status := range statuses {
			lines = append(lines, fmt.Sprintf("PUT %s %d", acctest.FirstKey, status))
		}
		return lines
	}
	labelOnly := func(f *acctest.Fake) { f.SetPUT(emulator.PUTLabelOnly) }
	refused := []string{"Error: Unable to update deploy key", "For security reasons", `terraform apply -replace=ADDRESS`, `update_strategy = "replace"`}
	for name, tc := range map[string]struct {
		prepare        func(f *acctest.Fake)
		label, comment string
		writes, want   []string // want is nil if the update succeeds.
	}{
		"label only is accepted": {labelOnly, "new", "me", put(400, 200), nil},
		// Bitbucket cannot change a comment without the key.
		"label and comment": {labelOnly, "newer", "you", put(400), refused},
		"refused in a field": {
			inject(emulator.Fault{Method: "PUT", Status: 400, Body: `{"type":"error","error":{"message":"Bad request","fields":{"key":["For security reasons, you can't modify the contents of an access key."]}}}`}),
			"new", "me", put(400, 400),
			[]string{"Error: Unable to update deploy key", "For security reasons", `update_strategy = "replace"`},
		},
		"another bad request": {
			inject(emulator.Fault{Method: "PUT", Status: 400, Body: `{"type":"error","error":{"message":"label: too long","fields":{"label":["too long"]}}}`}),
			"new", "me", put(400),
			[]string{"Error: Unable to update deploy key", "Bitbucket says: label: too long"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, strategy, key := acctest.NewFake(t), map[string]string{"update_strategy": "in_place"}, acctest.NewKey(t)
			before := map[string]string{"key": key + " me", "label": "old"}
			stored := createKey(t, f, acctest.Website, nil, before)
			tc.prepare(f)
			r := newKeyRun(t, f, acctest.Website, strategy)
			after, out := r.apply(t, stored, r.plan(t, stored, map[string]string{"key": key + " me", "label": tc.label, "comment": tc.comment}))
			body := f.LastWrite(t).Body
			f.ExpectWrites(t, tc.writes...)()
			f.ClearFaults()
			if tc.want == nil {
				before["label"] = tc.label
				if state := r.values(t, after.state); out != "" || body != `{"label":"new"}` || state["label"] != tc.label || state["comment"] != tc.comment {
					t.Errorf("sent %s, got %v, %s", body, state, out)
				}
			} else {
				acctest.Contains(t, out, tc.want...)
			}
			r = newKeyRun(t, f, acctest.Website, strategy)
			r.plan(t, r.refresh(t, after), before).expect(t, nil, nil, nil)
		})
	}
}

// Another spelling needs no update, so it forces no replacement.
func TestDeployKeyPlan_spellingIsNotReplaced(t *testing.T) {
	t.Parallel()
	f, config, strategy := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}, map[string]string{"update_strategy": "replace"}
	stored := createKey(t, f, acctest.Website, strategy, config)
	config["repository"] = "WEBSITE"
	newKeyRun(t, f, acctest.Website, strategy).plan(t, stored, config).expect(t, map[string]string{"repository": "WEBSITE", "id": "acme/WEBSITE/10958984"}, nil, nil)
}

// A strategy that is unknown in the plan matters only for an update. It has no effect for a
// key of a project, because there are no updates.
func TestAccDeployKey_unknownStrategy(t *testing.T) {
	t.Parallel()
	f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
	write := func(strategy, label, projectLabel string) {
		terraform.Write(t, fmt.Sprintf("\nresource \"terraform_data\" \"strategy\" {\n  input = %q\n  triggers_replace = %q\n}\n", strategy, strategy)+
			f.Config(acctest.Website.DeployKey(key, fmt.Sprintf("label = %q", label))+acctest.WEB.DeployKey(key, fmt.Sprintf("label = %q", projectLabel)), "update_strategy = terraform_data.strategy.output"))
	}
	write("in_place", "a", "a")
	terraform.MustRun(t, "apply", "-auto-approve")
	f.ForgetRequests()
	write("replace", "a", "b")
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "2 added, 0 changed, 2 destroyed") // One of each is terraform_data.
	if writes := f.Writes(); len(writes) != 2 || writes[1] != "POST "+acctest.WEB.Collection()+" 200" {
		t.Errorf("sent %v", writes)
	}
	write("in_place", "b", "b")
	terraform.Fails(t, []string{"plan"}, "Update strategy is not known yet")
}

// A resource that moves in the state needs no request.
func TestAccDeployKey_moved(t *testing.T) {
	t.Parallel()
	f, cli, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
	var one, each, moved string
	for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
		one += parent.DeployKey(key)
		each += strings.Replace(parent.DeployKey(key), "{", "{\n  for_each = toset([\"a\"])", 1)
		moved += fmt.Sprintf("\nmoved {\n  from = %s\n  to = %[1]s[\"a\"]\n}\n", parent.Address())
	}
	cli.Write(t, f.Config(one))
	cli.MustRun(t, "apply", "-auto-approve")
	f.ForgetRequests()
	cli.Write(t, f.Config(each+moved))
	acctest.Contains(t, cli.MustRun(t, "apply", "-auto-approve"), "0 added, 0 changed, 0 destroyed")
	for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
		cli.MustRun(t, "state", "mv", parent.Address()+`["a"]`, parent.TypeName+`.renamed["b"]`)
	}
	cli.Write(t, f.Config(strings.NewReplacer(`"test"`, `"renamed"`, `"a"`, `"b"`).Replace(each)))
	cli.MustRun(t, "plan", "-detailed-exitcode")
	if writes := f.Writes(); len(writes) > 0 {
		t.Errorf("sent %v", writes)
	}
}
