package provider

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

const address = "bitbucket_deploy_key.test" // That of website.

// keyLine is the line of a configuration that sets a key.
func keyLine(key string) string { return fmt.Sprintf("key = %q", key) }

// planned expects an action, and that exactly these attributes are known only
// after apply.
func (p testPlace) planned(action plancheck.ResourceActionType, unknown ...string) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(p.address(), action),
		exactlyUnknown{p.address(), unknown},
	}}
}

func planned(action plancheck.ResourceActionType, unknown ...string) resource.ConfigPlanChecks {
	return website.planned(action, unknown...)
}

// unknown are the attributes that nobody can know before a key exists, and more.
func (p testPlace) unknown(more ...string) []string {
	return append(more, "created_on", "id", "key_id", string(p.placeKind)+"_uuid")
}

var createdUnknown = website.unknown()

// plannedChange expects what a change of label or comment is planned as: Bitbucket
// updates no key of a project.
func (p testPlace) plannedChange(unknown ...string) resource.ConfigPlanChecks {
	if p.placeKind == onProject {
		return p.planned(plancheck.ResourceActionReplace, p.unknown(unknown...)...)
	}
	return p.planned(plancheck.ResourceActionUpdate, unknown...)
}

// sentChange are the requests of such a change of the first key.
func (p testPlace) sentChange() []string {
	if p.placeKind == onProject {
		return p.sentReplacement()
	}
	return []string{"PUT " + p.first() + " 200"}
}

// sentReplacement are those of its replacement.
func (p testPlace) sentReplacement() []string {
	return []string{"DELETE " + p.first() + " 204", "POST " + p.collection() + " 200"}
}

type exactlyUnknown struct {
	address string
	want    []string
}

// CheckPlan compares with what the plan leaves open.
func (e exactlyUnknown) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	i := slices.IndexFunc(req.Plan.ResourceChanges, func(c *tfjson.ResourceChange) bool { return c.Address == e.address })
	if i < 0 {
		resp.Error = fmt.Errorf("the plan has no %s", e.address)
		return
	}
	var got []string
	if attributes, ok := req.Plan.ResourceChanges[i].Change.AfterUnknown.(map[string]any); ok {
		for name, unknown := range attributes {
			if unknown == true {
				got = append(got, name)
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, slices.Sorted(slices.Values(e.want))) {
		resp.Error = fmt.Errorf("known after apply: %v, want %v", got, e.want)
	}
}

// has expects values of attributes in state.
func (p testPlace) has(values map[string]string) []statecheck.StateCheck {
	var checks []statecheck.StateCheck
	for name, value := range values {
		checks = append(checks, statecheck.ExpectKnownValue(p.address(), tfjsonpath.New(name), knownvalue.StringExact(value)))
	}
	return checks
}

func has(values map[string]string) []statecheck.StateCheck { return website.has(values) }

// expectWrites compares the requests that change something, since the last call.
func (f *fake) expectWrites(t *testing.T, want ...string) func() {
	return func() {
		t.Helper()
		if got := f.writes(); !slices.Equal(got, want) {
			t.Errorf("requests that write:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
}

// lastWrite is the last request that changes something.
func (f *fake) lastWrite(t *testing.T) emulator.Request {
	t.Helper()
	for _, request := range slices.Backward(f.Requests()) {
		if request.Method != "GET" {
			return request
		}
	}
	t.Fatal("nothing was written")
	return emulator.Request{}
}

// onlyKey is the one key of acme/website, onlyKeyOf that of a place.
func (f *fake) onlyKey(t *testing.T) emulator.DeployKey {
	t.Helper()
	return f.onlyKeyOf(t, website)
}

func (f *fake) onlyKeyOf(t *testing.T, at testPlace) emulator.DeployKey {
	t.Helper()
	keys := f.keys(at)
	if len(keys) != 1 {
		t.Fatalf("%s has %d keys, want 1", at, len(keys))
	}
	return keys[0]
}

const (
	firstKey  = "acme/website/deploy-keys/10958984"
	secondKey = "acme/website/deploy-keys/10958985"
)

func TestAccDeployKey_basic(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), newKey(t)
		parsed, err := sshkey.Split(key)
		if err != nil {
			t.Fatal(err)
		}
		test(t,
			resource.TestStep{
				Config:           f.config(at.deployKey(keyLine(key+" ci@host"), `label = "ci"`)),
				ConfigPlanChecks: at.planned(plancheck.ResourceActionCreate, at.unknown()...),
				PostApplyFunc:    f.expectWrites(t, "POST "+at.collection()+" 200"),
				ConfigStateChecks: append(at.has(map[string]string{
					"id":                           at.id(firstID),
					"workspace":                    "acme",
					string(at.placeKind):           at.name,
					"key":                          key + " ci@host",
					"label":                        "ci",
					"comment":                      "ci@host",
					"key_type":                     "ssh-ed25519",
					"fingerprint_sha256":           parsed.FingerprintSHA256(),
					"fingerprint_md5":              parsed.FingerprintMD5(),
					string(at.placeKind) + "_uuid": at.uuid,
				}),
					statecheck.ExpectKnownValue(at.address(), tfjsonpath.New("key_id"), knownvalue.Int64Exact(10958984)),
					statecheck.ExpectKnownValue(at.address(), tfjsonpath.New("created_on"), knownvalue.NotNull()),
				),
			},
			resource.TestStep{
				ResourceName: at.address(),
				ImportState:  true, ImportStateVerify: true,
				// Bitbucket does not keep the text that was configured.
				ImportStateVerifyIgnore: []string{"key"},
				ImportStateCheck:        nil,
			},
			resource.TestStep{
				Config:        f.config(at.deployKey(keyLine(key+" ci@host"), `label = "ci"`)),
				Destroy:       true,
				PostApplyFunc: f.expectWrites(t, "DELETE "+at.first()+" 204"),
			},
		)
	})
}

func TestAccDeployKey_withoutLabelAndComment(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), newKey(t)
		test(t, resource.TestStep{
			Config:            f.config(at.deployKey(keyLine(key))),
			ConfigPlanChecks:  at.planned(plancheck.ResourceActionCreate, at.unknown()...),
			ConfigStateChecks: at.has(map[string]string{"label": "", "comment": "", "key": key}),
			PostApplyFunc: func() {
				if body := f.lastWrite(t).Body; !strings.Contains(body, `"label":""`) {
					t.Errorf("the label is not in %s", body)
				}
				if got := f.onlyKeyOf(t, at); got.Key != key || got.Comment != "" || got.Label != "" {
					t.Errorf("Bitbucket has %+v", got)
				}
			},
		})
	})
}

// However the same key is written, the plan after apply is empty.
func TestAccDeployKey_spelling(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		key := newKey(t)
		for name, text := range map[string]string{
			"newline":      key + "\n",
			"crlf":         key + " me@host\r\n",
			"spaces":       "  " + strings.Replace(key, " ", "   ", 1) + "  two  words here \n\n",
			"tab":          strings.Replace(key, " ", "\t", 1),
			"hash comment": key + " # not a comment",
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFake(t)
				parsed, err := sshkey.Split(text)
				if err != nil {
					t.Fatal(err)
				}
				test(t,
					resource.TestStep{
						Config:            f.config(at.deployKey(keyLine(text))),
						ConfigStateChecks: at.has(map[string]string{"key": text, "comment": parsed.Comment}),
					},
					// Another spelling with the same comment is no change either.
					resource.TestStep{
						Config:           f.config(at.deployKey(keyLine(strings.TrimSpace(key + " " + parsed.Comment)))),
						ConfigPlanChecks: at.planned(plancheck.ResourceActionNoop),
					},
					// A comment that is set explicitly makes the one inside the key meaningless.
					resource.TestStep{
						Config:           f.config(at.deployKey(keyLine(key+" something else"), fmt.Sprintf("comment = %q", parsed.Comment))),
						ConfigPlanChecks: at.planned(plancheck.ResourceActionNoop),
						PostApplyFunc:    f.expectWrites(t, "POST "+at.collection()+" 200"),
					},
				)
			})
		}
	})
}

func TestAccDeployKey_updateInPlace(t *testing.T) {
	t.Parallel()
	f, key := newFake(t), newKey(t)
	id := statecheck.CompareValue(compare.ValuesSame())
	step := func(wantBody string, state map[string]string, lines ...string) resource.TestStep {
		return resource.TestStep{
			Config:           f.config(deployKey(lines...)),
			ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: append(has(state),
				id.AddStateValue(address, tfjsonpath.New("key_id"))),
			PostApplyFunc: func() {
				t.Helper()
				if body := f.lastWrite(t).Body; body != wantBody {
					t.Errorf("sent %s\nwant %s", body, wantBody)
				}
				f.expectWrites(t, "PUT "+firstKey+" 200")()
			},
		}
	}
	body := func(line, label string) string { return fmt.Sprintf(`{"key":%q,"label":%q}`, line, label) }
	test(t,
		resource.TestStep{
			Config:            f.config(deployKey(keyLine(key+" in key\n"), `label = "one"`)),
			ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(address, tfjsonpath.New("key_id"))},
			PostApplyFunc:     f.expectWrites(t, "POST acme/website/deploy-keys 200"),
		},
		step(body(key+" in key", "two"), map[string]string{"label": "two", "comment": "in key"},
			keyLine(key+" in key\n"), `label = "two"`),
		step(body(key+" set", "two"), map[string]string{"comment": "set"},
			keyLine(key+" in key\n"), `label = "two"`, `comment = "set"`),
		step(body(key+" both  changed", "three"), map[string]string{"label": "three", "comment": "both  changed"},
			keyLine(key+" in key\n"), `label = "three"`, `comment = "both  changed"`),
		// Without comment, the one in the key holds again.
		step(body(key+" in key", "three"), map[string]string{"comment": "in key"},
			keyLine(key+" in key\n"), `label = "three"`),
		step(body(key+" other", "three"), map[string]string{"comment": "other", "key": key + " other"},
			keyLine(key+" other"), `label = "three"`),
		step(body(key, "three"), map[string]string{"comment": ""},
			keyLine(key+" other"), `label = "three"`, `comment = ""`),
		step(body(key, ""), map[string]string{"label": "", "comment": ""},
			keyLine(key)),
	)
}

func TestAccDeployKey_unknownLabelAndComment(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), newKey(t)
		later := func(value string) string {
			return fmt.Sprintf("\nresource \"terraform_data\" \"later\" {\n  input = %q\n  triggers_replace = %q\n}\n", value, value)
		}
		test(t,
			resource.TestStep{
				Config:            f.config(later("a") + at.deployKey(keyLine(key+" in key"), `label = terraform_data.later.output`, `comment = terraform_data.later.output`)),
				ConfigPlanChecks:  at.planned(plancheck.ResourceActionCreate, at.unknown("label", "comment")...),
				ConfigStateChecks: at.has(map[string]string{"label": "a", "comment": "a"}),
			},
			resource.TestStep{
				Config:            f.config(later("b") + at.deployKey(keyLine(key+" another in key\n"), `label = terraform_data.later.output`, `comment = terraform_data.later.output`)),
				ConfigPlanChecks:  at.plannedChange("label", "comment"),
				ConfigStateChecks: at.has(map[string]string{"label": "b", "comment": "b"}),
			},
		)
	})
}

func TestAccDeployKey_otherKeyReplaces(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, one, two := newFake(t), newKey(t), newKey(t)
		parsed, err := sshkey.Split(two)
		if err != nil {
			t.Fatal(err)
		}
		id := statecheck.CompareValue(compare.ValuesDiffer())
		check := at.planned(plancheck.ResourceActionReplace, at.unknown()...)
		check.PreApply = append(check.PreApply,
			plancheck.ExpectKnownValue(at.address(), tfjsonpath.New("fingerprint_sha256"), knownvalue.StringExact(parsed.FingerprintSHA256())))
		test(t,
			resource.TestStep{
				Config:            f.config(at.deployKey(keyLine(one + " same"))),
				ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(at.address(), tfjsonpath.New("id"))},
				PostApplyFunc:     f.expectWrites(t, "POST "+at.collection()+" 200"),
			},
			resource.TestStep{
				Config:            f.config(at.deployKey(keyLine(two + " same"))),
				ConfigPlanChecks:  check,
				ConfigStateChecks: append(at.has(map[string]string{"key": two + " same"}), id.AddStateValue(at.address(), tfjsonpath.New("id"))),
				PostApplyFunc:     f.expectWrites(t, "DELETE "+at.first()+" 204", "POST "+at.collection()+" 200"),
			},
			resource.TestStep{
				Config:           f.config(at.deployKey(keyLine(one), `lifecycle { create_before_destroy = true }`)),
				ConfigPlanChecks: at.planned(plancheck.ResourceActionCreateBeforeDestroy, at.unknown()...),
				PostApplyFunc:    f.expectWrites(t, "POST "+at.collection()+" 200", "DELETE "+at.second()+" 204"),
			},
		)
	})
}

// A key that is known only after apply, as that of a tls_private_key which is
// being replaced, might be another one.
func TestAccDeployKey_unknownKey(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, one, two := newFake(t), newKey(t), newKey(t)
		later := func(key string) string {
			return fmt.Sprintf("\nresource \"terraform_data\" \"pair\" {\n  input = %q\n  triggers_replace = %q\n}\n", key+"\n", key) +
				at.deployKey("key = terraform_data.pair.output", `label = "ci"`)
		}
		unknown := at.unknown("key", "comment", "key_type", "fingerprint_sha256", "fingerprint_md5")
		test(t,
			resource.TestStep{
				Config:            f.config(later(one + " me")),
				ConfigPlanChecks:  at.planned(plancheck.ResourceActionCreate, unknown...),
				ConfigStateChecks: at.has(map[string]string{"key": one + " me\n", "comment": "me"}),
			},
			resource.TestStep{
				Config:            f.config(later(two)),
				ConfigPlanChecks:  at.planned(plancheck.ResourceActionReplace, unknown...),
				ConfigStateChecks: at.has(map[string]string{"key": two + "\n", "comment": ""}),
				PostApplyFunc: f.expectWrites(t, "POST "+at.collection()+" 200",
					"DELETE "+at.first()+" 204", "POST "+at.collection()+" 200"),
			},
		)
	})
}

func TestAccDeployKey_otherPlaceReplaces(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		for name, tc := range map[string]struct {
			line string
			post string
		}{
			"name":      {at.in(at.other), strings.Replace(at.collection(), at.name, at.other, 1)},
			"workspace": {`workspace = "other"`, strings.Replace(at.collection(), "acme", "other", 1)},
			"uuid":      {`repository = "{00000000-0000-4000-8000-00000000beef}"`, "acme/%7B00000000-0000-4000-8000-00000000beef%7D/deploy-keys"},
		} {
			if name == "uuid" && at.placeKind == onProject {
				continue // Bitbucket takes none.
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFakeWith(t, emulator.Repository{Slug: "tools", UUID: "{00000000-0000-4000-8000-00000000beef}"})
				key := keyLine(newKey(t))
				test(t,
					resource.TestStep{
						Config:        f.config(at.deployKey(key)),
						PostApplyFunc: f.expectWrites(t, "POST "+at.collection()+" 200"),
					},
					resource.TestStep{
						Config:           f.config(at.deployKey(key, tc.line)),
						ConfigPlanChecks: at.planned(plancheck.ResourceActionReplace, at.unknown()...),
						PostApplyFunc:    f.expectWrites(t, "DELETE "+at.first()+" 204", "POST "+tc.post+" 200"),
					},
				)
			})
		}
	})
}

func TestAccDeployKey_unknownPlaceReplaces(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), keyLine(newKey(t))
		test(t,
			resource.TestStep{Config: f.config(at.deployKey(key))},
			resource.TestStep{
				Config: f.config(fmt.Sprintf("\nresource \"terraform_data\" \"later\" {\n  input = %q\n}\n", at.other) +
					at.deployKey(key, string(at.placeKind)+" = terraform_data.later.output")),
				ConfigPlanChecks: at.planned(plancheck.ResourceActionReplace, at.unknown(string(at.placeKind))...),
			},
		)
	})
}

// Another spelling of the same repository is an update that sends nothing.
func TestAccDeployKey_sameRepository(t *testing.T) {
	t.Parallel()
	f, key := newFake(t), keyLine(newKey(t))
	uuid := fmt.Sprintf("repository = %q", websiteUUID)
	step := func(id string, lines ...string) resource.TestStep {
		return resource.TestStep{
			Config:            f.config(deployKey(append(lines, key)...)),
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: has(map[string]string{"id": id}),
			PostApplyFunc:     f.expectWrites(t),
		}
	}
	test(t,
		resource.TestStep{Config: f.config(deployKey(key)), PostApplyFunc: f.expectWrites(t, "POST acme/website/deploy-keys 200")},
		step("acme/WebSite/10958984", `repository = "WebSite"`),
		step("ACME/"+websiteUUID+"/10958984", `workspace = "ACME"`, uuid),
		step(workspaceUUID+"/"+websiteUUID+"/10958984", fmt.Sprintf("workspace = %q", workspaceUUID), uuid),
		step(workspaceUUID+"/website/10958984", fmt.Sprintf("workspace = %q", workspaceUUID)),
		step("acme/website/10958984"),
		// With something to say, what is said goes to the new spelling.
		resource.TestStep{
			Config:           f.config(deployKey(key, uuid, `label = "x"`)),
			ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			PostApplyFunc:    f.expectWrites(t, "PUT acme/%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/deploy-keys/10958984 200"),
		},
	)
}

// What cannot be looked up is an error, never the replacement of a live key.
func TestAccDeployKey_lookUpFails(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
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
				f, key := newFake(t), keyLine(newKey(t))
				test(t,
					resource.TestStep{
						Config:        f.config(at.deployKey(key)),
						PostApplyFunc: f.expectWrites(t, "POST "+at.collection()+" 200"),
					},
					resource.TestStep{
						PreConfig: func() {
							fault := tc.fault
							fault.Path = "/" + at.other + "/"
							f.Inject(fault)
						},
						Config:      f.config(at.deployKey(key, at.in(at.other)), "max_retries = 0"),
						ExpectError: message("Unable to read deploy key", tc.want, "is another name of acme/"+at.name+", the "+string(at.placeKind)+" in state"),
					},
					resource.TestStep{
						PreConfig:        func() { f.ClearFaults(); f.expectWrites(t)() },
						Config:           f.config(at.deployKey(key)),
						ConfigPlanChecks: at.planned(plancheck.ResourceActionNoop),
					},
				)
			})
		}
	})
}

// newFakeWith starts an emulator whose workspace acme has more repositories.
func newFakeWith(t *testing.T, repositories ...emulator.Repository) *fake {
	t.Helper()
	return startFake(t, append([]emulator.Repository{{Slug: "website", UUID: websiteUUID}, {Slug: "api"}}, repositories...))
}

// importing imports a key as the command does, for the steps after it to plan.
func (p testPlace) importing(config, id string) resource.TestStep {
	return resource.TestStep{Config: config, ResourceName: p.address(), ImportState: true, ImportStateId: id, ImportStatePersist: true}
}

func TestAccDeployKey_import(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		for name, id := range map[string]string{
			"names":          "acme/" + at.name + "/%d",
			"workspace uuid": workspaceUUID + "/" + at.name + "/%d",
			"uuids":          workspaceUUID + "/" + at.uuid + "/%d",
		} {
			if name == "uuids" && at.placeKind == onProject {
				continue // Bitbucket takes none.
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f, key := newFake(t), newKey(t)
				existing := f.add(at, key+" added by hand", "old")
				parts := strings.Split(id, "/")
				config := f.config(at.deployKey(keyLine(key+" added by hand\n"), `label = "old"`, fmt.Sprintf("workspace = %q", parts[0]), at.in(parts[1])))
				test(t, at.importing(config, fmt.Sprintf(id, existing.ID)), resource.TestStep{
					Config:            config,
					ConfigPlanChecks:  at.planned(plancheck.ResourceActionNoop),
					ConfigStateChecks: at.has(map[string]string{"id": fmt.Sprintf(id, existing.ID), "comment": "added by hand", "label": "old"}),
					PostApplyFunc:     f.expectWrites(t),
				})
			})
		}
	})
}

// With the key ignored, as it is by many who import, the comment is not lost.
func TestAccDeployKey_importIgnoringKey(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f := newFake(t)
		existing := f.add(at, newKey(t)+" me@host", "")
		config := f.config(at.deployKey(keyLine(newKey(t)), "lifecycle { ignore_changes = [key] }"))
		test(t, at.importing(config, at.id(existing.ID)), resource.TestStep{
			Config:            config,
			ConfigPlanChecks:  at.planned(plancheck.ResourceActionNoop),
			ConfigStateChecks: at.has(map[string]string{"key": existing.Key + " me@host", "comment": "me@host"}),
			PostApplyFunc:     f.expectWrites(t),
		})
	})
}

// Bitbucket has other white space in the comment than the file has.
func TestAccDeployKey_importOtherSpacing(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), newKey(t)
		existing := f.add(at, key+" a b", "")
		config := f.config(at.deployKey(keyLine(key + " a   b")))
		test(t, at.importing(config, at.id(existing.ID)), resource.TestStep{
			Config:           config,
			ConfigPlanChecks: at.planned(plancheck.ResourceActionNoop),
			PostApplyFunc:    f.expectWrites(t),
		})
	})
}

// Another spelling that answers without naming its repository is kept if the
// key is the same, and an error if it is not.
func TestAccDeployKey_lookUpWithoutUUID(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), newKey(t)
		other := fmt.Sprintf("workspace = %q", workspaceUUID)
		_, below, _ := strings.Cut(at.first(), "acme")
		answer := func(key string) func() {
			return func() {
				f.ClearFaults()
				f.Inject(emulator.Fault{Method: "GET", Path: "%7D" + below, Status: 200, Body: fmt.Sprintf(`{"id":10958984,"key":%q}`, key)})
			}
		}
		test(t,
			resource.TestStep{Config: f.config(at.deployKey(keyLine(key)))},
			resource.TestStep{
				PreConfig:   answer(newKey(t)),
				Config:      f.config(at.deployKey(keyLine(key), other)),
				ExpectError: message("Unable to read deploy key", "did not say which "+string(at.placeKind)),
			},
			resource.TestStep{
				PreConfig:        answer(key),
				Config:           f.config(at.deployKey(keyLine(key), other)),
				ConfigPlanChecks: at.planned(plancheck.ResourceActionUpdate),
			},
		)
	})
}

func TestAccDeployKey_importErrors(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), newKey(t)
		existing := f.add(at, key, "old")
		step := func(id string, want ...string) resource.TestStep {
			return resource.TestStep{
				Config:       f.config(at.deployKey(keyLine(key))),
				ResourceName: at.address(), ImportState: true, ImportStateId: id,
				ExpectError: message(want...),
			}
		}
		var steps []resource.TestStep
		for _, id := range []string{
			"x", "NAME/1", "acme/NAME/", "acme/NAME/x", "acme/NAME/-1", "acme/NAME/+1", "acme/NAME/01", "acme/NAME/0", "acme/NAME/1/2", "acme//1",
			"acme/WEB SITE/1", "acme/../1", "acme/NAME/1.5", "acme/NAME/99999999999999999999", "acme/{%2f}/1",
		} {
			steps = append(steps, step(strings.Replace(id, "NAME", at.name, 1), "Invalid import ID", "Expected one of "+at.id(firstID)))
		}
		if at.placeKind == onProject {
			steps = append(steps, step("acme/web/1", "Invalid import ID"), step("acme/"+webUUID+"/1", "Invalid import ID"))
		}
		steps = append(
			steps,
			step(at.id(1), "Cannot import non-existent remote object"),
			step("acme/NOTHING/"+strconv.FormatInt(existing.ID, 10), "Unable to read deploy key", "404 Not Found"),
		)
		test(t, steps...)
	})
}

// Bitbucket has been seen to refuse what it documents.
func TestAccDeployKey_updateRefused(t *testing.T) {
	t.Parallel()
	t.Run("label only is accepted", func(t *testing.T) {
		t.Parallel()
		f, key := newFake(t), keyLine(newKey(t)+" me")
		f.SetPUT(emulator.PUTLabelOnly)
		test(t,
			resource.TestStep{Config: f.config(deployKey(key)), PostApplyFunc: f.expectWrites(t, "POST acme/website/deploy-keys 200")},
			resource.TestStep{
				Config:            f.config(deployKey(key, `label = "new"`)),
				ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: has(map[string]string{"label": "new", "comment": "me"}),
				PostApplyFunc: func() {
					if body := f.lastWrite(t).Body; body != `{"label":"new"}` {
						t.Errorf("sent %s", body)
					}
					f.expectWrites(t, "PUT "+firstKey+" 400", "PUT "+firstKey+" 200")()
				},
			},
			// A comment cannot be changed without the key.
			resource.TestStep{
				Config:      f.config(deployKey(key, `label = "newer"`, `comment = "you"`)),
				ExpectError: message("Unable to update deploy key", "For security reasons", `terraform apply -replace=ADDRESS`, `update_strategy = "replace"`),
			},
			resource.TestStep{
				PreConfig:        f.expectWrites(t, "PUT "+firstKey+" 400"),
				Config:           f.config(deployKey(key, `label = "new"`)),
				ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
			},
		)
	})
	t.Run("both are refused", func(t *testing.T) {
		t.Parallel()
		f, key := newFake(t), keyLine(newKey(t))
		f.SetPUT(emulator.PUTRefused)
		test(t,
			resource.TestStep{Config: f.config(deployKey(key)), PostApplyFunc: f.expectWrites(t, "POST acme/website/deploy-keys 200")},
			resource.TestStep{
				Config:      f.config(deployKey(key, `label = "new"`)),
				ExpectError: message("Unable to update deploy key", "For security reasons", `terraform apply -replace=ADDRESS`, `update_strategy = "replace"`),
			},
			resource.TestStep{
				PreConfig:        f.expectWrites(t, "PUT "+firstKey+" 400", "PUT "+firstKey+" 400"),
				Config:           f.config(deployKey(key, `label = "new"`), `update_strategy = "replace"`),
				ConfigPlanChecks: planned(plancheck.ResourceActionReplace, createdUnknown...),
				PostApplyFunc:    f.expectWrites(t, "DELETE "+firstKey+" 204", "POST acme/website/deploy-keys 200"),
			},
			resource.TestStep{
				Config:           f.config(deployKey(key, `label = "new"`, `comment = "c"`), `update_strategy = "replace"`),
				ConfigPlanChecks: planned(plancheck.ResourceActionReplace, createdUnknown...),
			},
			// A spelling needs no update, so it replaces nothing.
			resource.TestStep{
				Config:           f.config(deployKey(key, `label = "new"`, `comment = "c"`, `repository = "WEBSITE"`), `update_strategy = "replace"`),
				ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
			},
		)
	})
	t.Run("refused in a field", func(t *testing.T) {
		t.Parallel()
		f, key := newFake(t), keyLine(newKey(t))
		test(t,
			resource.TestStep{Config: f.config(deployKey(key))},
			resource.TestStep{
				PreConfig: func() {
					f.Inject(emulator.Fault{Method: "PUT", Status: 400, Body: `{"type":"error","error":{"message":"Bad request","fields":{"key":["For security reasons, you can't modify the contents of an access key."]}}}`})
				},
				Config:      f.config(deployKey(key, `label = "new"`)),
				ExpectError: message("Unable to update deploy key", "For security reasons", `update_strategy = "replace"`),
			},
			resource.TestStep{PreConfig: f.ClearFaults, Config: f.config(deployKey(key))},
		)
	})
	t.Run("unknown strategy", func(t *testing.T) {
		t.Parallel()
		f, key := newFake(t), keyLine(newKey(t))
		config := func(strategy, label string) string {
			return fmt.Sprintf("\nresource \"terraform_data\" \"strategy\" {\n  input = %q\n  triggers_replace = %q\n}\n", strategy, strategy) +
				f.config(deployKey(key, fmt.Sprintf("label = %q", label)), "update_strategy = terraform_data.strategy.output")
		}
		test(t,
			resource.TestStep{Config: config("in_place", "a")},
			resource.TestStep{Config: config("replace", "a")},
			resource.TestStep{Config: config("in_place", "b"), ExpectError: message("Update strategy is not known yet")},
		)
	})
	t.Run("another bad request", func(t *testing.T) {
		t.Parallel()
		f, key := newFake(t), keyLine(newKey(t))
		test(t,
			resource.TestStep{Config: f.config(deployKey(key))},
			resource.TestStep{
				PreConfig: func() {
					f.ForgetRequests()
					f.Inject(emulator.Fault{Method: "PUT", Status: 400, Body: `{"type":"error","error":{"message":"label: too long","fields":{"label":["too long"]}}}`})
				},
				Config:      f.config(deployKey(key, `label = "new"`)),
				ExpectError: message("Unable to update deploy key", "Bitbucket says: label: too long"),
			},
			resource.TestStep{
				PreConfig: func() { f.ClearFaults(); f.expectWrites(t, "PUT "+firstKey+" 400")() },
				Config:    f.config(deployKey(key)),
			},
		)
	})
}
