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

const address = "bitbucket_deploy_key.test"

// keyLine is the line of a configuration that sets a key.
func keyLine(key string) string { return fmt.Sprintf("key = %q", key) }

// planned expects an action, and that exactly these attributes are known only
// after apply.
func planned(action plancheck.ResourceActionType, unknown ...string) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(address, action),
		exactlyUnknown(unknown),
	}}
}

// createdUnknown are the attributes that nobody can know before a key exists.
var createdUnknown = []string{"created_on", "id", "key_id", "repository_uuid"}

type exactlyUnknown []string

// CheckPlan compares with what the plan leaves open.
func (want exactlyUnknown) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	i := slices.IndexFunc(req.Plan.ResourceChanges, func(c *tfjson.ResourceChange) bool { return c.Address == address })
	if i < 0 {
		resp.Error = fmt.Errorf("the plan has no %s", address)
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
	if !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		resp.Error = fmt.Errorf("known after apply: %v, want %v", got, []string(want))
	}
}

// has expects values of attributes in state.
func has(values map[string]string) []statecheck.StateCheck {
	var checks []statecheck.StateCheck
	for name, value := range values {
		checks = append(checks, statecheck.ExpectKnownValue(address, tfjsonpath.New(name), knownvalue.StringExact(value)))
	}
	return checks
}

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

// onlyKey is the one key of acme/website.
func (f *fake) onlyKey(t *testing.T) emulator.DeployKey {
	t.Helper()
	keys := f.DeployKeys("acme", "website")
	if len(keys) != 1 {
		t.Fatalf("acme/website has %d keys, want 1", len(keys))
	}
	return keys[0]
}

const (
	firstKey  = "acme/website/deploy-keys/10958984"
	secondKey = "acme/website/deploy-keys/10958985"
)

func TestAccDeployKey_basic(t *testing.T) {
	t.Parallel()
	f, key := newFake(t), newKey(t)
	parsed, err := sshkey.Split(key)
	if err != nil {
		t.Fatal(err)
	}
	test(t,
		resource.TestStep{
			Config:           f.config(deployKey(keyLine(key+" ci@host"), `label = "ci"`)),
			ConfigPlanChecks: planned(plancheck.ResourceActionCreate, createdUnknown...),
			PostApplyFunc:    f.expectWrites(t, "POST acme/website/deploy-keys 200"),
			ConfigStateChecks: append(has(map[string]string{
				"id":                 "acme/website/10958984",
				"workspace":          "acme",
				"repository":         "website",
				"key":                key + " ci@host",
				"label":              "ci",
				"comment":            "ci@host",
				"key_type":           "ssh-ed25519",
				"fingerprint_sha256": parsed.FingerprintSHA256(),
				"fingerprint_md5":    parsed.FingerprintMD5(),
				"repository_uuid":    websiteUUID,
			}),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("key_id"), knownvalue.Int64Exact(10958984)),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("created_on"), knownvalue.NotNull()),
			),
		},
		resource.TestStep{
			ResourceName: address,
			ImportState:  true, ImportStateVerify: true,
			// Bitbucket does not keep the text that was configured.
			ImportStateVerifyIgnore: []string{"key"},
			ImportStateCheck:        nil,
		},
		resource.TestStep{
			Config:        f.config(deployKey(keyLine(key+" ci@host"), `label = "ci"`)),
			Destroy:       true,
			PostApplyFunc: f.expectWrites(t, "DELETE "+firstKey+" 204"),
		},
	)
}

func TestAccDeployKey_withoutLabelAndComment(t *testing.T) {
	t.Parallel()
	f, key := newFake(t), newKey(t)
	test(t, resource.TestStep{
		Config:            f.config(deployKey(keyLine(key))),
		ConfigPlanChecks:  planned(plancheck.ResourceActionCreate, createdUnknown...),
		ConfigStateChecks: has(map[string]string{"label": "", "comment": "", "key": key}),
		PostApplyFunc: func() {
			if body := f.lastWrite(t).Body; !strings.Contains(body, `"label":""`) {
				t.Errorf("the label is not in %s", body)
			}
			if got := f.onlyKey(t); got.Key != key || got.Comment != "" || got.Label != "" {
				t.Errorf("Bitbucket has %+v", got)
			}
		},
	})
}

// However the same key is written, the plan after apply is empty.
func TestAccDeployKey_spelling(t *testing.T) {
	t.Parallel()
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
					Config:            f.config(deployKey(keyLine(text))),
					ConfigStateChecks: has(map[string]string{"key": text, "comment": parsed.Comment}),
				},
				// Another spelling with the same comment is no change either.
				resource.TestStep{
					Config:           f.config(deployKey(keyLine(strings.TrimSpace(key + " " + parsed.Comment)))),
					ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
				},
				// A comment that is set explicitly makes the one inside the key meaningless.
				resource.TestStep{
					Config:           f.config(deployKey(keyLine(key+" something else"), fmt.Sprintf("comment = %q", parsed.Comment))),
					ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
					PostApplyFunc:    f.expectWrites(t, "POST acme/website/deploy-keys 200"),
				},
			)
		})
	}
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
	f, key := newFake(t), newKey(t)
	later := func(value string) string {
		return fmt.Sprintf("\nresource \"terraform_data\" \"later\" {\n  input = %q\n  triggers_replace = %q\n}\n", value, value)
	}
	test(t,
		resource.TestStep{
			Config:            f.config(later("a") + deployKey(keyLine(key+" in key"), `label = terraform_data.later.output`, `comment = terraform_data.later.output`)),
			ConfigPlanChecks:  planned(plancheck.ResourceActionCreate, append([]string{"label", "comment"}, createdUnknown...)...),
			ConfigStateChecks: has(map[string]string{"label": "a", "comment": "a"}),
		},
		resource.TestStep{
			Config:            f.config(later("b") + deployKey(keyLine(key+" another in key\n"), `label = terraform_data.later.output`, `comment = terraform_data.later.output`)),
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate, "label", "comment"),
			ConfigStateChecks: has(map[string]string{"label": "b", "comment": "b"}),
		},
	)
}

func TestAccDeployKey_otherKeyReplaces(t *testing.T) {
	t.Parallel()
	f, one, two := newFake(t), newKey(t), newKey(t)
	parsed, err := sshkey.Split(two)
	if err != nil {
		t.Fatal(err)
	}
	id := statecheck.CompareValue(compare.ValuesDiffer())
	check := planned(plancheck.ResourceActionReplace, createdUnknown...)
	check.PreApply = append(check.PreApply,
		plancheck.ExpectKnownValue(address, tfjsonpath.New("fingerprint_sha256"), knownvalue.StringExact(parsed.FingerprintSHA256())))
	test(t,
		resource.TestStep{
			Config:            f.config(deployKey(keyLine(one + " same"))),
			ConfigStateChecks: []statecheck.StateCheck{id.AddStateValue(address, tfjsonpath.New("id"))},
			PostApplyFunc:     f.expectWrites(t, "POST acme/website/deploy-keys 200"),
		},
		resource.TestStep{
			Config:            f.config(deployKey(keyLine(two + " same"))),
			ConfigPlanChecks:  check,
			ConfigStateChecks: append(has(map[string]string{"key": two + " same"}), id.AddStateValue(address, tfjsonpath.New("id"))),
			PostApplyFunc:     f.expectWrites(t, "DELETE "+firstKey+" 204", "POST acme/website/deploy-keys 200"),
		},
		resource.TestStep{
			Config:           f.config(deployKey(keyLine(one), `lifecycle { create_before_destroy = true }`)),
			ConfigPlanChecks: planned(plancheck.ResourceActionCreateBeforeDestroy, createdUnknown...),
			PostApplyFunc:    f.expectWrites(t, "POST acme/website/deploy-keys 200", "DELETE "+secondKey+" 204"),
		},
	)
}

// A key that is known only after apply, as that of a tls_private_key which is
// being replaced, might be another one.
func TestAccDeployKey_unknownKey(t *testing.T) {
	t.Parallel()
	f, one, two := newFake(t), newKey(t), newKey(t)
	later := func(key string) string {
		return fmt.Sprintf("\nresource \"terraform_data\" \"pair\" {\n  input = %q\n  triggers_replace = %q\n}\n", key+"\n", key) +
			deployKey("key = terraform_data.pair.output", `label = "ci"`)
	}
	unknown := append([]string{"key", "comment", "key_type", "fingerprint_sha256", "fingerprint_md5"}, createdUnknown...)
	test(t,
		resource.TestStep{
			Config:            f.config(later(one + " me")),
			ConfigPlanChecks:  planned(plancheck.ResourceActionCreate, unknown...),
			ConfigStateChecks: has(map[string]string{"key": one + " me\n", "comment": "me"}),
		},
		resource.TestStep{
			Config:            f.config(later(two)),
			ConfigPlanChecks:  planned(plancheck.ResourceActionReplace, unknown...),
			ConfigStateChecks: has(map[string]string{"key": two + "\n", "comment": ""}),
			PostApplyFunc: f.expectWrites(t, "POST acme/website/deploy-keys 200",
				"DELETE "+firstKey+" 204", "POST acme/website/deploy-keys 200"),
		},
	)
}

func TestAccDeployKey_otherRepositoryReplaces(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		line string
		post string
	}{
		"repository":      {`repository = "api"`, "acme/api"},
		"workspace":       {`workspace = "other"`, "other/website"},
		"repository uuid": {`repository = "{00000000-0000-4000-8000-00000000beef}"`, "acme/%7B00000000-0000-4000-8000-00000000beef%7D"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeWith(t, emulator.Repository{Slug: "tools", UUID: "{00000000-0000-4000-8000-00000000beef}"})
			key := keyLine(newKey(t))
			test(t,
				resource.TestStep{
					Config:        f.config(deployKey(key)),
					PostApplyFunc: f.expectWrites(t, "POST acme/website/deploy-keys 200"),
				},
				resource.TestStep{
					Config:           f.config(deployKey(key, tc.line)),
					ConfigPlanChecks: planned(plancheck.ResourceActionReplace, createdUnknown...),
					PostApplyFunc:    f.expectWrites(t, "DELETE "+firstKey+" 204", "POST "+tc.post+"/deploy-keys 200"),
				},
			)
		})
	}
}

func TestAccDeployKey_unknownRepositoryReplaces(t *testing.T) {
	t.Parallel()
	f, key := newFake(t), keyLine(newKey(t))
	test(t,
		resource.TestStep{Config: f.config(deployKey(key))},
		resource.TestStep{
			Config: f.config("\nresource \"terraform_data\" \"later\" {\n  input = \"api\"\n}\n" +
				deployKey(key, "repository = terraform_data.later.output")),
			ConfigPlanChecks: planned(plancheck.ResourceActionReplace, append([]string{"repository"}, createdUnknown...)...),
		},
	)
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
					Config:        f.config(deployKey(key)),
					PostApplyFunc: f.expectWrites(t, "POST acme/website/deploy-keys 200"),
				},
				resource.TestStep{
					PreConfig: func() {
						fault := tc.fault
						fault.Path = "/acme/api/"
						f.Inject(fault)
					},
					Config:      f.config(deployKey(key, `repository = "api"`), "max_retries = 0"),
					ExpectError: message("Unable to read deploy key", tc.want, "is another name of acme/website"),
				},
				resource.TestStep{
					PreConfig:        func() { f.ClearFaults(); f.expectWrites(t)() },
					Config:           f.config(deployKey(key)),
					ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
				},
			)
		})
	}
}

// newFakeWith starts an emulator whose workspace acme has more repositories.
func newFakeWith(t *testing.T, repositories ...emulator.Repository) *fake {
	t.Helper()
	return startFake(t, append([]emulator.Repository{{Slug: "website", UUID: websiteUUID}, {Slug: "api"}}, repositories...))
}

// importing imports a key as the command does, for the steps after it to plan.
func importing(config, id string) resource.TestStep {
	return resource.TestStep{Config: config, ResourceName: address, ImportState: true, ImportStateId: id, ImportStatePersist: true}
}

func TestAccDeployKey_import(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{
		"slugs": "acme/website/%d",
		"uuids": workspaceUUID + "/" + websiteUUID + "/%d",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, key := newFake(t), newKey(t)
			existing := f.AddDeployKey("acme", "website", key+" added by hand", "old")
			parts := strings.Split(id, "/")
			config := f.config(deployKey(keyLine(key+" added by hand\n"), `label = "old"`,
				fmt.Sprintf("workspace = %q", parts[0]), fmt.Sprintf("repository = %q", parts[1])))
			test(t, importing(config, fmt.Sprintf(id, existing.ID)), resource.TestStep{
				Config:            config,
				ConfigPlanChecks:  planned(plancheck.ResourceActionNoop),
				ConfigStateChecks: has(map[string]string{"id": fmt.Sprintf(id, existing.ID), "comment": "added by hand", "label": "old"}),
				PostApplyFunc:     f.expectWrites(t),
			})
		})
	}
}

// With the key ignored, as it is by many who import, the comment is not lost.
func TestAccDeployKey_importIgnoringKey(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	existing := f.AddDeployKey("acme", "website", newKey(t)+" me@host", "")
	config := f.config(deployKey(keyLine(newKey(t)), "lifecycle { ignore_changes = [key] }"))
	test(t, importing(config, fmt.Sprintf("acme/website/%d", existing.ID)), resource.TestStep{
		Config:            config,
		ConfigPlanChecks:  planned(plancheck.ResourceActionNoop),
		ConfigStateChecks: has(map[string]string{"key": existing.Key + " me@host", "comment": "me@host"}),
		PostApplyFunc:     f.expectWrites(t),
	})
}

// Bitbucket has other white space in the comment than the file has.
func TestAccDeployKey_importOtherSpacing(t *testing.T) {
	t.Parallel()
	f, key := newFake(t), newKey(t)
	existing := f.AddDeployKey("acme", "website", key+" a b", "")
	config := f.config(deployKey(keyLine(key + " a   b")))
	test(t, importing(config, fmt.Sprintf("acme/website/%d", existing.ID)), resource.TestStep{
		Config:           config,
		ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
		PostApplyFunc:    f.expectWrites(t),
	})
}

// Another spelling that answers without naming its repository is kept if the
// key is the same, and an error if it is not.
func TestAccDeployKey_lookUpWithoutUUID(t *testing.T) {
	t.Parallel()
	f, key := newFake(t), newKey(t)
	other := fmt.Sprintf("workspace = %q", workspaceUUID)
	answer := func(key string) func() {
		return func() {
			f.ClearFaults()
			f.Inject(emulator.Fault{Method: "GET", Path: "%7D/website/deploy-keys/10958984", Status: 200, Body: fmt.Sprintf(`{"id":10958984,"key":%q}`, key)})
		}
	}
	test(t,
		resource.TestStep{Config: f.config(deployKey(keyLine(key)))},
		resource.TestStep{
			PreConfig:   answer(newKey(t)),
			Config:      f.config(deployKey(keyLine(key), other)),
			ExpectError: message("Unable to read deploy key", "did not say which repository"),
		},
		resource.TestStep{
			PreConfig:        answer(key),
			Config:           f.config(deployKey(keyLine(key), other)),
			ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
		},
	)
}

func TestAccDeployKey_importErrors(t *testing.T) {
	t.Parallel()
	f, key := newFake(t), newKey(t)
	existing := f.AddDeployKey("acme", "website", key, "old")
	step := func(id string, want ...string) resource.TestStep {
		return resource.TestStep{
			Config:       f.config(deployKey(keyLine(key))),
			ResourceName: address, ImportState: true, ImportStateId: id,
			ExpectError: message(want...),
		}
	}
	var steps []resource.TestStep
	for _, id := range []string{
		"x", "website/1", "acme/website/", "acme/website/x", "acme/website/-1", "acme/website/+1", "acme/website/01", "acme/website/0", "acme/website/1/2", "acme//1",
		"acme/web site/1", "acme/../1", "acme/website/1.5", "acme/website/99999999999999999999", "acme/{%2f}/1",
	} {
		steps = append(steps, step(id, "Invalid import ID", "Expected one of acme/website/10958984"))
	}
	steps = append(
		steps,
		step("acme/website/1", "Cannot import non-existent remote object"),
		step("acme/nothing/"+strconv.FormatInt(existing.ID, 10), "Unable to read deploy key", "404 Not Found"),
	)
	test(t, steps...)
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
