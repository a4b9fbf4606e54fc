package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// The identity follows the configuration, even if only a name changes.
func TestAccDeployKey_identity(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Identity)
	f, key := acctest.NewFake(t), acctest.NewKey(t)
	config := func(lines ...string) string {
		return f.Config(acctest.DeployKey(append(lines, acctest.KeyLine(key))...))
	}
	identity := func(repository string) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectIdentity(acctest.Address, map[string]knownvalue.Check{
			"workspace": knownvalue.StringExact("acme"), "repository": knownvalue.StringExact(repository), "key_id": knownvalue.Int64Exact(acctest.FirstID),
		})}
	}
	acctest.Test(t,
		resource.TestStep{Config: config(), ConfigStateChecks: identity("website")},
		resource.TestStep{Config: config(`label = "new"`), ConfigStateChecks: identity("website")},
		resource.TestStep{
			Config: config(`label = "new"`), ResourceName: acctest.Address,
			ImportState: true, ImportStateKind: resource.ImportBlockWithResourceIdentity,
		},
		resource.TestStep{
			PreConfig:         func() { f.RenameRepository("acme", "website", "site") },
			Config:            config(`label = "new"`),
			ConfigPlanChecks:  planned(plancheck.ResourceActionNoop),
			ConfigStateChecks: identity("website"),
		},
		resource.TestStep{
			Config:            config(`label = "new"`, `repository = "site"`),
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: identity("site"),
		},
		resource.TestStep{
			Config:            config(`label = "new"`, `repository = "`+acctest.WebsiteUUID+`"`),
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: identity(acctest.WebsiteUUID),
		},
		resource.TestStep{
			PreConfig:        func() { f.RemoveDeployKey("acme", "site", acctest.FirstID) },
			Config:           config(`label = "new"`, `repository = "`+acctest.WebsiteUUID+`"`),
			ConfigPlanChecks: planned(plancheck.ResourceActionCreate, createdUnknown...),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectIdentityValueMatchesState(acctest.Address, tfjsonpath.New("key_id")),
			},
		},
	)
}

// An identity that cannot be that of a key is reported before any request.
func TestAccDeployKey_identityErrors(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		acctest.Needs(t, terraformcli.Identity)
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		for _, identity := range []string{
			`workspace = "acme", ` + parent.Line("../"+parent.Name) + `, key_id = 1`,
			`workspace = "", ` + parent.Line(parent.Name) + `, key_id = 1`,
			`workspace = "acme", ` + parent.Line(parent.Name) + `, key_id = 0`,
		} {
			acctest.Test(t, resource.TestStep{
				Config:      f.Config(parent.DeployKey(acctest.KeyLine(key)) + "\nimport {\n  to = " + parent.Address() + "\n  identity = {" + strings.ReplaceAll(identity, ", ", "\n") + "}\n}\n"),
				ExpectError: acctest.Message("Invalid import identity", placeKind(parent.Kind).expected()),
			})
		}
		if sent := f.Sent(); len(sent) > 0 {
			t.Errorf("sent %v", sent)
		}
	})
}
