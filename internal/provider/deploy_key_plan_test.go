package provider

import (
	"fmt"
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
				continue // Bitbucket does not accept the UUID of a project.
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
						Config:      f.Config(parent.DeployKey(key, parent.Line(parent.Other)), "max_retries = 0", `max_rate_limit_wait = "0s"`),
						ExpectError: acctest.Message("Unable to read deploy key", tc.want, "is a new name of acme/"+parent.Name+", the "+parent.Kind+" in the state"),
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

// Bitbucket may omit the UUID of a repository. The key is then kept if a repository with
// another spelling has the same key; otherwise the plan fails.
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
				ExpectError: acctest.Message("Unable to read deploy key", "does not identify the "+parent.Kind),
			},
			resource.TestStep{
				PreConfig:        answer(key),
				Config:           f.Config(parent.DeployKey(acctest.KeyLine(key), other)),
				ConfigPlanChecks: parent.Planned(plancheck.ResourceActionUpdate),
			},
		)
	})
}
