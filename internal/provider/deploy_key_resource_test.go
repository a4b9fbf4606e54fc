package provider

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
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
				ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionCreate, parent.Unknown()...),
				ConfigStateChecks: has,
				PostApplyFunc: func() {
					f.ExpectWrites(t, "POST "+parent.Collection()+" 200")()
					acctest.Test(t, parent.Importing(config, parent.ImportID(acctest.FirstID)), acctest.Step{
						Config:            config,
						ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionNoop),
						ConfigStateChecks: has,
					})
				},
			},
			acctest.Step{
				Config:        config,
				Destroy:       true,
				PostApplyFunc: f.ExpectWrites(t, "DELETE "+parent.FirstKey()+" 204"),
			},
		)
	})
}

func TestAccDeployKey_withoutLabelAndComment(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		acctest.Test(t, acctest.Step{
			Config:            f.Config(parent.DeployKey(acctest.KeyLine(key))),
			ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionCreate, parent.Unknown()...),
			ConfigStateChecks: parent.Has(map[string]string{"label": "", "comment": "", "key": key}),
			PostApplyFunc: func() {
				if body := f.LastWrite(t).Body; !strings.Contains(body, `"label":""`) {
					t.Errorf("the label is not in %s", body)
				}
				if got := f.OnlyKeyOf(t, parent); got.Key != key || got.Comment != "" || got.Label != "" {
					t.Errorf("Bitbucket has %+v", got)
				}
			},
		})
	})
}

func TestAccDeployKey_updateInPlace(t *testing.T) {
	t.Parallel()
	f, key := acctest.NewFake(t), acctest.NewKey(t)
	id := statecheck.CompareValue(compare.ValuesSame())
	step := func(wantBody string, state map[string]string, lines ...string) acctest.Step {
		return acctest.Step{
			Config:           f.Config(acctest.DeployKey(lines...)),
			ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: append(has(state),
				id.AddStateValue(acctest.Address, tfjsonpath.New("key_id"))),
			PostApplyFunc: func() {
				t.Helper()
				if body := f.LastWrite(t).Body; body != wantBody {
					t.Errorf("sent %s\nwant %s", body, wantBody)
				}
				f.ExpectWrites(t, "PUT "+acctest.FirstKey+" 200")()
			},
		}
	}
	body := func(line, label string) string { return fmt.Sprintf(`{"key":%q,"label":%q}`, line, label) }
	acctest.Test(t,
		acctest.Step{
			Config:            f.Config(acctest.DeployKey(acctest.KeyLine(key+" in key\n"), `label = "one"`)),
			ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(acctest.Address, tfjsonpath.New("key_id"))},
			PostApplyFunc:     f.ExpectWrites(t, "POST acme/website/deploy-keys 200"),
		},
		step(body(key+" in key", "two"), map[string]string{"label": "two", "comment": "in key"},
			acctest.KeyLine(key+" in key\n"), `label = "two"`),
		step(body(key+" set", "two"), map[string]string{"comment": "set"},
			acctest.KeyLine(key+" in key\n"), `label = "two"`, `comment = "set"`),
		step(body(key+" both  changed", "three"), map[string]string{"label": "three", "comment": "both  changed"},
			acctest.KeyLine(key+" in key\n"), `label = "three"`, `comment = "both  changed"`),
		// Without the attribute comment, the comment inside the key is used again.
		step(body(key+" in key", "three"), map[string]string{"comment": "in key"},
			acctest.KeyLine(key+" in key\n"), `label = "three"`),
		step(body(key+" other", "three"), map[string]string{"comment": "other", "key": key + " other"},
			acctest.KeyLine(key+" other"), `label = "three"`),
		step(body(key, "three"), map[string]string{"comment": ""},
			acctest.KeyLine(key+" other"), `label = "three"`, `comment = ""`),
		step(body(key, ""), map[string]string{"label": "", "comment": ""},
			acctest.KeyLine(key)),
	)
}

func TestAccDeployKey_unknownLabelAndComment(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		later := func(value string) string {
			return fmt.Sprintf("\nresource \"terraform_data\" \"later\" {\n  input = %q\n  triggers_replace = %q\n}\n", value, value)
		}
		acctest.Test(t,
			acctest.Step{
				Config:            f.Config(later("a") + parent.DeployKey(acctest.KeyLine(key+" in key"), `label = terraform_data.later.output`, `comment = terraform_data.later.output`)),
				ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionCreate, parent.Unknown("label", "comment")...),
				ConfigStateChecks: parent.Has(map[string]string{"label": "a", "comment": "a"}),
			},
			acctest.Step{
				Config:            f.Config(later("b") + parent.DeployKey(acctest.KeyLine(key+" another in key\n"), `label = terraform_data.later.output`, `comment = terraform_data.later.output`)),
				ConfigPlanChecks:  parent.PlannedChange("label", "comment"),
				ConfigStateChecks: parent.Has(map[string]string{"label": "b", "comment": "b"}),
			},
		)
	})
}

// newFakeWith starts a Bitbucket with more repositories in acme.
func newFakeWith(t *testing.T, repositories ...emulator.Repository) *acctest.Fake {
	t.Helper()
	return acctest.NewFakeOfRepositories(t, append([]emulator.Repository{{Slug: "website", UUID: acctest.WebsiteUUID}, {Slug: "api"}}, repositories...))
}

func TestAccDeployKey_import(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		for name, id := range map[string]string{
			"names":          "acme/" + parent.Name + "/%d",
			"workspace uuid": acctest.WorkspaceUUID + "/" + parent.Name + "/%d",
			"uuids":          acctest.WorkspaceUUID + "/" + parent.UUID + "/%d",
		} {
			if name == "uuids" && parent.IsProject() {
				continue // Bitbucket does not accept the UUID of a project.
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f, key := acctest.NewFake(t), acctest.NewKey(t)
				existing := f.Add(parent, key+" added by hand", "old")
				parts := strings.Split(id, "/")
				config := f.Config(parent.DeployKey(acctest.KeyLine(key+" added by hand\n"), `label = "old"`, fmt.Sprintf("workspace = %q", parts[0]), parent.Line(parts[1])))
				acctest.Test(t, parent.Importing(config, fmt.Sprintf(id, existing.ID)), acctest.Step{
					Config:            config,
					ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionNoop),
					ConfigStateChecks: parent.Has(map[string]string{"id": fmt.Sprintf(id, existing.ID), "comment": "added by hand", "label": "old"}),
					PostApplyFunc:     f.ExpectWrites(t),
				})
			})
		}
	})
}

// Many users ignore changes of key after an import. The comment must not be lost then.
func TestAccDeployKey_importIgnoringKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		existing := f.Add(parent, acctest.NewKey(t)+" me@host", "")
		config := f.Config(parent.DeployKey(acctest.KeyLine(acctest.NewKey(t)), "lifecycle { ignore_changes = [key] }"))
		acctest.Test(t, parent.Importing(config, parent.ImportID(existing.ID)), acctest.Step{
			Config:            config,
			ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionNoop),
			ConfigStateChecks: parent.Has(map[string]string{"key": existing.Key + " me@host", "comment": "me@host"}),
			PostApplyFunc:     f.ExpectWrites(t),
		})
	})
}

// The comment in Bitbucket has different white space than the comment in the file.
func TestAccDeployKey_importOtherSpacing(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		existing := f.Add(parent, key+" a b", "")
		config := f.Config(parent.DeployKey(acctest.KeyLine(key + " a   b")))
		acctest.Test(t, parent.Importing(config, parent.ImportID(existing.ID)), acctest.Step{
			Config:           config,
			ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
			PostApplyFunc:    f.ExpectWrites(t),
		})
	})
}

func TestAccDeployKey_importErrors(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		existing := f.Add(parent, key, "old")
		step := func(id string, want ...string) acctest.Step {
			return acctest.Step{
				Config:       f.Config(parent.DeployKey(acctest.KeyLine(key))),
				ResourceName: parent.Address(), ImportStateID: id,
				ExpectError: acctest.Message(want...),
			}
		}
		var steps []acctest.Step
		for _, id := range []string{
			"x", "NAME/1", "acme/NAME/", "acme/NAME/x", "acme/NAME/-1", "acme/NAME/+1", "acme/NAME/01", "acme/NAME/0", "acme/NAME/1/2", "acme//1",
			"acme/WEB SITE/1", "acme/../1", "acme/NAME/1.5", "acme/NAME/99999999999999999999", "acme/{%2f}/1",
		} {
			steps = append(steps, step(strings.Replace(id, "NAME", parent.Name, 1), "Invalid import ID", "Expected one of "+parent.ImportID(acctest.FirstID)))
		}
		if parent.IsProject() {
			steps = append(steps, step("acme/web/1", "Invalid import ID"), step("acme/"+acctest.ProjectUUID+"/1", "Invalid import ID"))
		}
		steps = append(
			steps,
			step(parent.ImportID(1), "No single deploy key found", "has the ID 1.", "10958984", `"old"`),
			step("acme/NOTHING/"+strconv.FormatInt(existing.ID, 10), "Unable to read deploy key", "404 Not Found"),
		)
		acctest.Test(t, steps...)
	})
}

// Bitbucket documents the update of a key, but has been observed not to accept it.
func TestAccDeployKey_updateRefused(t *testing.T) {
	t.Parallel()
	t.Run("label only is accepted", func(t *testing.T) {
		t.Parallel()
		f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t)+" me")
		f.SetPUT(emulator.PUTLabelOnly)
		acctest.Test(t,
			acctest.Step{Config: f.Config(acctest.DeployKey(key)), PostApplyFunc: f.ExpectWrites(t, "POST acme/website/deploy-keys 200")},
			acctest.Step{
				Config:            f.Config(acctest.DeployKey(key, `label = "new"`)),
				ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: has(map[string]string{"label": "new", "comment": "me"}),
				PostApplyFunc: func() {
					if body := f.LastWrite(t).Body; body != `{"label":"new"}` {
						t.Errorf("sent %s", body)
					}
					f.ExpectWrites(t, "PUT "+acctest.FirstKey+" 400", "PUT "+acctest.FirstKey+" 200")()
				},
			},
			// Bitbucket cannot change a comment without the key.
			acctest.Step{
				Config:      f.Config(acctest.DeployKey(key, `label = "newer"`, `comment = "you"`)),
				ExpectError: acctest.Message("Unable to update deploy key", "For security reasons", `terraform apply -replace=ADDRESS`, `update_strategy = "replace"`),
			},
			acctest.Step{
				PreConfig:        f.ExpectWrites(t, "PUT "+acctest.FirstKey+" 400"),
				Config:           f.Config(acctest.DeployKey(key, `label = "new"`)),
				ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
			},
		)
	})
	t.Run("both are refused", func(t *testing.T) {
		t.Parallel()
		f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
		f.SetPUT(emulator.PUTRefused)
		acctest.Test(t,
			acctest.Step{Config: f.Config(acctest.DeployKey(key)), PostApplyFunc: f.ExpectWrites(t, "POST acme/website/deploy-keys 200")},
			acctest.Step{
				Config:      f.Config(acctest.DeployKey(key, `label = "new"`)),
				ExpectError: acctest.Message("Unable to update deploy key", "For security reasons", `terraform apply -replace=ADDRESS`, `update_strategy = "replace"`),
			},
			acctest.Step{
				PreConfig:        f.ExpectWrites(t, "PUT "+acctest.FirstKey+" 400", "PUT "+acctest.FirstKey+" 400"),
				Config:           f.Config(acctest.DeployKey(key, `label = "new"`), `update_strategy = "replace"`),
				ConfigPlanChecks: planned(plancheck.ResourceActionReplace, createdUnknown...),
				PostApplyFunc:    f.ExpectWrites(t, "DELETE "+acctest.FirstKey+" 204", "POST acme/website/deploy-keys 200"),
			},
			acctest.Step{
				Config:           f.Config(acctest.DeployKey(key, `label = "new"`, `comment = "c"`), `update_strategy = "replace"`),
				ConfigPlanChecks: planned(plancheck.ResourceActionReplace, createdUnknown...),
			},
			// Another spelling needs no update, so it forces no replacement.
			acctest.Step{
				Config:           f.Config(acctest.DeployKey(key, `label = "new"`, `comment = "c"`, `repository = "WEBSITE"`), `update_strategy = "replace"`),
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			},
		)
	})
	t.Run("refused in a field", func(t *testing.T) {
		t.Parallel()
		f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
		acctest.Test(t,
			acctest.Step{Config: f.Config(acctest.DeployKey(key))},
			acctest.Step{
				PreConfig: func() {
					f.Inject(emulator.Fault{Method: "PUT", Status: 400, Body: `{"type":"error","error":{"message":"Bad request","fields":{"key":["For security reasons, you can't modify the contents of an access key."]}}}`})
				},
				Config:      f.Config(acctest.DeployKey(key, `label = "new"`)),
				ExpectError: acctest.Message("Unable to update deploy key", "For security reasons", `update_strategy = "replace"`),
			},
			acctest.Step{PreConfig: f.ClearFaults, Config: f.Config(acctest.DeployKey(key))},
		)
	})
	t.Run("unknown strategy", func(t *testing.T) {
		t.Parallel()
		f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
		config := func(strategy, label string) string {
			return fmt.Sprintf("\nresource \"terraform_data\" \"strategy\" {\n  input = %q\n  triggers_replace = %q\n}\n", strategy, strategy) +
				f.Config(acctest.DeployKey(key, fmt.Sprintf("label = %q", label)), "update_strategy = terraform_data.strategy.output")
		}
		acctest.Test(t,
			acctest.Step{Config: config("in_place", "a")},
			acctest.Step{Config: config("replace", "a")},
			acctest.Step{Config: config("in_place", "b"), ExpectError: acctest.Message("Update strategy is not known yet")},
		)
	})
	t.Run("another bad request", func(t *testing.T) {
		t.Parallel()
		f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
		acctest.Test(t,
			acctest.Step{Config: f.Config(acctest.DeployKey(key))},
			acctest.Step{
				PreConfig: func() {
					f.ForgetRequests()
					f.Inject(emulator.Fault{Method: "PUT", Status: 400, Body: `{"type":"error","error":{"message":"label: too long","fields":{"label":["too long"]}}}`})
				},
				Config:      f.Config(acctest.DeployKey(key, `label = "new"`)),
				ExpectError: acctest.Message("Unable to update deploy key", "Bitbucket says: label: too long"),
			},
			acctest.Step{
				PreConfig: func() { f.ClearFaults(); f.ExpectWrites(t, "PUT "+acctest.FirstKey+" 400")() },
				Config:    f.Config(acctest.DeployKey(key)),
			},
		)
	})
}

// A resource that moves in the state needs no request.
func TestAccDeployKey_moved(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, cli, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
		one := parent.DeployKey(key)
		each := strings.Replace(one, "{", "{\n  for_each = toset([\"a\"])", 1)
		moved := fmt.Sprintf("\nmoved {\n  from = %s\n  to = %[1]s[\"a\"]\n}\n", parent.Address())
		cli.Write(t, f.Config(one))
		cli.MustRun(t, "apply", "-auto-approve")
		f.ForgetRequests()
		cli.Write(t, f.Config(each+moved))
		acctest.Contains(t, cli.MustRun(t, "apply", "-auto-approve"), "0 added, 0 changed, 0 destroyed")
		cli.MustRun(t, "state", "mv", parent.Address()+`["a"]`, parent.TypeName+`.renamed["b"]`)
		cli.Write(t, f.Config(strings.NewReplacer(`"test"`, `"renamed"`, `"a"`, `"b"`).Replace(each)))
		cli.MustRun(t, "plan", "-detailed-exitcode")
		if writes := f.Writes(); len(writes) > 0 {
			t.Errorf("sent %v", writes)
		}
	})
}
