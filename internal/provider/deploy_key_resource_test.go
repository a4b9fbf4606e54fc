package provider

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
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
func planned(action plancheck.ResourceActionType, unknown ...string) resource.ConfigPlanChecks {
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
		acctest.Test(t,
			resource.TestStep{
				Config:           f.Config(parent.DeployKey(acctest.KeyLine(key+" ci@host"), `label = "ci"`)),
				ConfigPlanChecks: parent.Planned(plancheck.ResourceActionCreate, parent.Unknown()...),
				PostApplyFunc:    f.ExpectWrites(t, "POST "+parent.Collection()+" 200"),
				ConfigStateChecks: append(parent.Has(map[string]string{
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
				),
			},
			resource.TestStep{
				ResourceName: parent.Address(),
				ImportState:  true, ImportStateVerify: true,
			},
			resource.TestStep{
				Config:        f.Config(parent.DeployKey(acctest.KeyLine(key+" ci@host"), `label = "ci"`)),
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
		acctest.Test(t, resource.TestStep{
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

// The plan after apply is empty for every spelling of the same key.
func TestAccDeployKey_spelling(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		key := acctest.NewKey(t)
		for name, text := range map[string]string{
			"newline":      key + "\n",
			"crlf":         key + " me@host\r\n",
			"spaces":       "  " + strings.Replace(key, " ", "   ", 1) + "  two  words here \n\n",
			"tab":          strings.Replace(key, " ", "\t", 1),
			"hash comment": key + " # not a comment",
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := acctest.NewFake(t)
				parsed, err := sshkey.Split(text)
				if err != nil {
					t.Fatal(err)
				}
				acctest.Test(t,
					resource.TestStep{
						Config:            f.Config(parent.DeployKey(acctest.KeyLine(text))),
						ConfigStateChecks: parent.Has(map[string]string{"key": text, "comment": parsed.Comment}),
					},
					// Another spelling with the same comment is not a change.
					resource.TestStep{
						Config:           f.Config(parent.DeployKey(acctest.KeyLine(strings.TrimSpace(key + " " + parsed.Comment)))),
						ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
					},
					// The attribute comment overrides the comment inside the key.
					resource.TestStep{
						Config:           f.Config(parent.DeployKey(acctest.KeyLine(key+" something else"), fmt.Sprintf("comment = %q", parsed.Comment))),
						ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
						PostApplyFunc:    f.ExpectWrites(t, "POST "+parent.Collection()+" 200"),
					},
				)
			})
		}
	})
}

func TestAccDeployKey_updateInPlace(t *testing.T) {
	t.Parallel()
	f, key := acctest.NewFake(t), acctest.NewKey(t)
	id := statecheck.CompareValue(compare.ValuesSame())
	step := func(wantBody string, state map[string]string, lines ...string) resource.TestStep {
		return resource.TestStep{
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
		resource.TestStep{
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
		// Without the attribute comment, the comment inside the key counts again.
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
			resource.TestStep{
				Config:            f.Config(later("a") + parent.DeployKey(acctest.KeyLine(key+" in key"), `label = terraform_data.later.output`, `comment = terraform_data.later.output`)),
				ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionCreate, parent.Unknown("label", "comment")...),
				ConfigStateChecks: parent.Has(map[string]string{"label": "a", "comment": "a"}),
			},
			resource.TestStep{
				Config:            f.Config(later("b") + parent.DeployKey(acctest.KeyLine(key+" another in key\n"), `label = terraform_data.later.output`, `comment = terraform_data.later.output`)),
				ConfigPlanChecks:  parent.PlannedChange("label", "comment"),
				ConfigStateChecks: parent.Has(map[string]string{"label": "b", "comment": "b"}),
			},
		)
	})
}

func TestAccDeployKey_otherKeyReplaces(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, one, two := acctest.NewFake(t), acctest.NewKey(t), acctest.NewKey(t)
		parsed, err := sshkey.Split(two)
		if err != nil {
			t.Fatal(err)
		}
		id := statecheck.CompareValue(compare.ValuesDiffer())
		check := parent.Planned(plancheck.ResourceActionReplace, parent.Unknown()...)
		check.PreApply = append(check.PreApply,
			plancheck.ExpectKnownValue(parent.Address(), tfjsonpath.New("fingerprint_sha256"), knownvalue.StringExact(parsed.FingerprintSHA256())))
		acctest.Test(t,
			resource.TestStep{
				Config:            f.Config(parent.DeployKey(acctest.KeyLine(one + " same"))),
				ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(parent.Address(), tfjsonpath.New("id"))},
				PostApplyFunc:     f.ExpectWrites(t, "POST "+parent.Collection()+" 200"),
			},
			resource.TestStep{
				Config:            f.Config(parent.DeployKey(acctest.KeyLine(two + " same"))),
				ConfigPlanChecks:  check,
				ConfigStateChecks: append(parent.Has(map[string]string{"key": two + " same"}), id.AddStateValue(parent.Address(), tfjsonpath.New("id"))),
				PostApplyFunc:     f.ExpectWrites(t, "DELETE "+parent.FirstKey()+" 204", "POST "+parent.Collection()+" 200"),
			},
			resource.TestStep{
				Config:           f.Config(parent.DeployKey(acctest.KeyLine(one), `lifecycle { create_before_destroy = true }`)),
				ConfigPlanChecks: parent.Planned(plancheck.ResourceActionCreateBeforeDestroy, parent.Unknown()...),
				PostApplyFunc:    f.ExpectWrites(t, "POST "+parent.Collection()+" 200", "DELETE "+parent.SecondKey()+" 204"),
			},
		)
	})
}

// A key that is unknown until apply may be another key. An example is the key of a
// tls_private_key that is replaced.
func TestAccDeployKey_unknownKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, one, two := acctest.NewFake(t), acctest.NewKey(t), acctest.NewKey(t)
		later := func(key string) string {
			return fmt.Sprintf("\nresource \"terraform_data\" \"pair\" {\n  input = %q\n  triggers_replace = %q\n}\n", key+"\n", key) +
				parent.DeployKey("key = terraform_data.pair.output", `label = "ci"`)
		}
		unknown := parent.Unknown("key", "comment", "key_type", "fingerprint_sha256", "fingerprint_md5")
		acctest.Test(t,
			resource.TestStep{
				Config:            f.Config(later(one + " me")),
				ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionCreate, unknown...),
				ConfigStateChecks: parent.Has(map[string]string{"key": one + " me\n", "comment": "me"}),
			},
			resource.TestStep{
				Config:            f.Config(later(two)),
				ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionReplace, unknown...),
				ConfigStateChecks: parent.Has(map[string]string{"key": two + "\n", "comment": ""}),
				PostApplyFunc: f.ExpectWrites(t, "POST "+parent.Collection()+" 200",
					"DELETE "+parent.FirstKey()+" 204", "POST "+parent.Collection()+" 200"),
			},
		)
	})
}

func TestAccDeployKey_otherPlaceReplaces(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		for name, tc := range map[string]struct {
			line string
			post string
		}{
			"name":      {parent.Line(parent.Other), strings.Replace(parent.Collection(), parent.Name, parent.Other, 1)},
			"workspace": {`workspace = "other"`, strings.Replace(parent.Collection(), "acme", "other", 1)},
			"uuid":      {`repository = "{00000000-0000-4000-8000-00000000beef}"`, "acme/%7B00000000-0000-4000-8000-00000000beef%7D/deploy-keys"},
		} {
			if name == "uuid" && parent.IsProject() {
				continue // Bitbucket takes none.
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFakeWith(t, emulator.Repository{Slug: "tools", UUID: "{00000000-0000-4000-8000-00000000beef}"})
				key := acctest.KeyLine(acctest.NewKey(t))
				acctest.Test(t,
					resource.TestStep{
						Config:        f.Config(parent.DeployKey(key)),
						PostApplyFunc: f.ExpectWrites(t, "POST "+parent.Collection()+" 200"),
					},
					resource.TestStep{
						Config:           f.Config(parent.DeployKey(key, tc.line)),
						ConfigPlanChecks: parent.Planned(plancheck.ResourceActionReplace, parent.Unknown()...),
						PostApplyFunc:    f.ExpectWrites(t, "DELETE "+parent.FirstKey()+" 204", "POST "+tc.post+" 200"),
					},
				)
			})
		}
	})
}

func TestAccDeployKey_unknownPlaceReplaces(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
		acctest.Test(t,
			resource.TestStep{Config: f.Config(parent.DeployKey(key))},
			resource.TestStep{
				Config: f.Config(fmt.Sprintf("\nresource \"terraform_data\" \"later\" {\n  input = %q\n}\n", parent.Other) +
					parent.DeployKey(key, parent.Kind+" = terraform_data.later.output")),
				ConfigPlanChecks: parent.Planned(plancheck.ResourceActionReplace, parent.Unknown(parent.Kind)...),
			},
		)
	})
}

// Another spelling of the same repository is an update without requests that write.
func TestAccDeployKey_sameRepository(t *testing.T) {
	t.Parallel()
	f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
	uuid := fmt.Sprintf("repository = %q", acctest.WebsiteUUID)
	step := func(id string, lines ...string) resource.TestStep {
		return resource.TestStep{
			Config:            f.Config(acctest.DeployKey(append(lines, key)...)),
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: has(map[string]string{"id": id}),
			PostApplyFunc:     f.ExpectWrites(t),
		}
	}
	acctest.Test(t,
		resource.TestStep{Config: f.Config(acctest.DeployKey(key)), PostApplyFunc: f.ExpectWrites(t, "POST acme/website/deploy-keys 200")},
		step("acme/WebSite/10958984", `repository = "WebSite"`),
		step("ACME/"+acctest.WebsiteUUID+"/10958984", `workspace = "ACME"`, uuid),
		step(acctest.WorkspaceUUID+"/"+acctest.WebsiteUUID+"/10958984", fmt.Sprintf("workspace = %q", acctest.WorkspaceUUID), uuid),
		step(acctest.WorkspaceUUID+"/website/10958984", fmt.Sprintf("workspace = %q", acctest.WorkspaceUUID)),
		step("acme/website/10958984"),
		// If another attribute changes too, the request uses the new spelling.
		resource.TestStep{
			Config:           f.Config(acctest.DeployKey(key, uuid, `label = "x"`)),
			ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			PostApplyFunc:    f.ExpectWrites(t, "PUT acme/%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/deploy-keys/10958984 200"),
		},
	)
}

// If the provider cannot compare the repositories, it reports an error and replaces nothing.
func TestAccDeployKey_lookUpFails(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		for name, tc := range map[string]struct {
			fault emulator.Fault
			want  string
		}{
			"forbidden":     {emulator.Forbidden(), "403 Forbidden"},
			"unauthorized":  {emulator.Unauthorized(), "401 Unauthorized"},
			"rate limit":    {emulator.RateLimited(), "429 Too Many Requests"},
			"server error":  {emulator.ServerError(), "500 Internal Server Error"},
			"no connection": {emulator.Fault{Cut: true}, "EOF"},
			"html":          {emulator.Fault{Status: 200, Body: "<html><title>Log in</title></html>"}, `an HTML page with\s+the title "Log in"`},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
				acctest.Test(t,
					resource.TestStep{
						Config:        f.Config(parent.DeployKey(key)),
						PostApplyFunc: f.ExpectWrites(t, "POST "+parent.Collection()+" 200"),
					},
					resource.TestStep{
						PreConfig: func() {
							fault := tc.fault
							fault.Path = "/" + parent.Other + "/"
							f.Inject(fault)
						},
						Config:      f.Config(parent.DeployKey(key, parent.Line(parent.Other)), "max_retries = 0"),
						ExpectError: acctest.Message("Unable to read deploy key", tc.want, "is another name of acme/"+parent.Name+", the "+parent.Kind+" in state"),
					},
					resource.TestStep{
						PreConfig:        func() { f.ClearFaults(); f.ExpectWrites(t)() },
						Config:           f.Config(parent.DeployKey(key)),
						ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
					},
				)
			})
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
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		for name, id := range map[string]string{
			"names":          "acme/" + parent.Name + "/%d",
			"workspace uuid": acctest.WorkspaceUUID + "/" + parent.Name + "/%d",
			"uuids":          acctest.WorkspaceUUID + "/" + parent.UUID + "/%d",
		} {
			if name == "uuids" && parent.IsProject() {
				continue // Bitbucket takes none.
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f, key := acctest.NewFake(t), acctest.NewKey(t)
				existing := f.Add(parent, key+" added by hand", "old")
				parts := strings.Split(id, "/")
				config := f.Config(parent.DeployKey(acctest.KeyLine(key+" added by hand\n"), `label = "old"`, fmt.Sprintf("workspace = %q", parts[0]), parent.Line(parts[1])))
				acctest.Test(t, parent.Importing(config, fmt.Sprintf(id, existing.ID)), resource.TestStep{
					Config:            config,
					ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionNoop),
					ConfigStateChecks: parent.Has(map[string]string{"id": fmt.Sprintf(id, existing.ID), "comment": "added by hand", "label": "old"}),
					PostApplyFunc:     f.ExpectWrites(t),
				})
			})
		}
	})
}

// Many users ignore changes of key after an import. Then the comment is not lost.
func TestAccDeployKey_importIgnoringKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		existing := f.Add(parent, acctest.NewKey(t)+" me@host", "")
		config := f.Config(parent.DeployKey(acctest.KeyLine(acctest.NewKey(t)), "lifecycle { ignore_changes = [key] }"))
		acctest.Test(t, parent.Importing(config, parent.ImportID(existing.ID)), resource.TestStep{
			Config:            config,
			ConfigPlanChecks:  parent.Planned(plancheck.ResourceActionNoop),
			ConfigStateChecks: parent.Has(map[string]string{"key": existing.Key + " me@host", "comment": "me@host"}),
			PostApplyFunc:     f.ExpectWrites(t),
		})
	})
}

// The comment in Bitbucket has other white space than the comment in the file.
func TestAccDeployKey_importOtherSpacing(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		existing := f.Add(parent, key+" a b", "")
		config := f.Config(parent.DeployKey(acctest.KeyLine(key + " a   b")))
		acctest.Test(t, parent.Importing(config, parent.ImportID(existing.ID)), resource.TestStep{
			Config:           config,
			ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
			PostApplyFunc:    f.ExpectWrites(t),
		})
	})
}

// A repository under another spelling may answer without its UUID. Then the key stays
// if it is the same key; otherwise the plan fails.
func TestAccDeployKey_lookUpWithoutUUID(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		other := fmt.Sprintf("workspace = %q", acctest.WorkspaceUUID)
		_, below, _ := strings.Cut(parent.FirstKey(), "acme")
		answer := func(key string) func() {
			return func() {
				f.ClearFaults()
				f.Inject(emulator.Fault{Method: "GET", Path: "%7D" + below, Status: 200, Body: fmt.Sprintf(`{"id":10958984,"key":%q}`, key)})
			}
		}
		acctest.Test(t,
			resource.TestStep{Config: f.Config(parent.DeployKey(acctest.KeyLine(key)))},
			resource.TestStep{
				PreConfig:   answer(acctest.NewKey(t)),
				Config:      f.Config(parent.DeployKey(acctest.KeyLine(key), other)),
				ExpectError: acctest.Message("Unable to read deploy key", "did not say which "+parent.Kind),
			},
			resource.TestStep{
				PreConfig:        answer(key),
				Config:           f.Config(parent.DeployKey(acctest.KeyLine(key), other)),
				ConfigPlanChecks: parent.Planned(plancheck.ResourceActionUpdate),
			},
		)
	})
}

func TestAccDeployKey_importErrors(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		existing := f.Add(parent, key, "old")
		step := func(id string, want ...string) resource.TestStep {
			return resource.TestStep{
				Config:       f.Config(parent.DeployKey(acctest.KeyLine(key))),
				ResourceName: parent.Address(), ImportState: true, ImportStateId: id,
				ExpectError: acctest.Message(want...),
			}
		}
		var steps []resource.TestStep
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
			step(parent.ImportID(1), "Cannot import non-existent remote object"),
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
			resource.TestStep{Config: f.Config(acctest.DeployKey(key)), PostApplyFunc: f.ExpectWrites(t, "POST acme/website/deploy-keys 200")},
			resource.TestStep{
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
			resource.TestStep{
				Config:      f.Config(acctest.DeployKey(key, `label = "newer"`, `comment = "you"`)),
				ExpectError: acctest.Message("Unable to update deploy key", "For security reasons", `terraform apply -replace=ADDRESS`, `update_strategy = "replace"`),
			},
			resource.TestStep{
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
			resource.TestStep{Config: f.Config(acctest.DeployKey(key)), PostApplyFunc: f.ExpectWrites(t, "POST acme/website/deploy-keys 200")},
			resource.TestStep{
				Config:      f.Config(acctest.DeployKey(key, `label = "new"`)),
				ExpectError: acctest.Message("Unable to update deploy key", "For security reasons", `terraform apply -replace=ADDRESS`, `update_strategy = "replace"`),
			},
			resource.TestStep{
				PreConfig:        f.ExpectWrites(t, "PUT "+acctest.FirstKey+" 400", "PUT "+acctest.FirstKey+" 400"),
				Config:           f.Config(acctest.DeployKey(key, `label = "new"`), `update_strategy = "replace"`),
				ConfigPlanChecks: planned(plancheck.ResourceActionReplace, createdUnknown...),
				PostApplyFunc:    f.ExpectWrites(t, "DELETE "+acctest.FirstKey+" 204", "POST acme/website/deploy-keys 200"),
			},
			resource.TestStep{
				Config:           f.Config(acctest.DeployKey(key, `label = "new"`, `comment = "c"`), `update_strategy = "replace"`),
				ConfigPlanChecks: planned(plancheck.ResourceActionReplace, createdUnknown...),
			},
			// Another spelling needs no update, so it forces no replacement.
			resource.TestStep{
				Config:           f.Config(acctest.DeployKey(key, `label = "new"`, `comment = "c"`, `repository = "WEBSITE"`), `update_strategy = "replace"`),
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			},
		)
	})
	t.Run("refused in a field", func(t *testing.T) {
		t.Parallel()
		f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
		acctest.Test(t,
			resource.TestStep{Config: f.Config(acctest.DeployKey(key))},
			resource.TestStep{
				PreConfig: func() {
					f.Inject(emulator.Fault{Method: "PUT", Status: 400, Body: `{"type":"error","error":{"message":"Bad request","fields":{"key":["For security reasons, you can't modify the contents of an access key."]}}}`})
				},
				Config:      f.Config(acctest.DeployKey(key, `label = "new"`)),
				ExpectError: acctest.Message("Unable to update deploy key", "For security reasons", `update_strategy = "replace"`),
			},
			resource.TestStep{PreConfig: f.ClearFaults, Config: f.Config(acctest.DeployKey(key))},
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
			resource.TestStep{Config: config("in_place", "a")},
			resource.TestStep{Config: config("replace", "a")},
			resource.TestStep{Config: config("in_place", "b"), ExpectError: acctest.Message("Update strategy is not known yet")},
		)
	})
	t.Run("another bad request", func(t *testing.T) {
		t.Parallel()
		f, key := acctest.NewFake(t), acctest.KeyLine(acctest.NewKey(t))
		acctest.Test(t,
			resource.TestStep{Config: f.Config(acctest.DeployKey(key))},
			resource.TestStep{
				PreConfig: func() {
					f.ForgetRequests()
					f.Inject(emulator.Fault{Method: "PUT", Status: 400, Body: `{"type":"error","error":{"message":"label: too long","fields":{"label":["too long"]}}}`})
				},
				Config:      f.Config(acctest.DeployKey(key, `label = "new"`)),
				ExpectError: acctest.Message("Unable to update deploy key", "Bitbucket says: label: too long"),
			},
			resource.TestStep{
				PreConfig: func() { f.ClearFaults(); f.ExpectWrites(t, "PUT "+acctest.FirstKey+" 400")() },
				Config:    f.Config(acctest.DeployKey(key)),
			},
		)
	})
}
