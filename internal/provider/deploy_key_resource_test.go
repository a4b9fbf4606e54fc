package provider

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

const address = "bitbucket_deploy_key.test"

func TestAccDeployKey_basic(t *testing.T) {
	t.Parallel()
	f, key := newFake(t), newKey(t)
	test(t, resource.TestStep{
		Config: f.config(deployKey(fmt.Sprintf("key = %q", key+" ci@host"), `label = "ci"`)),
		ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
			plancheck.ExpectResourceAction(address, plancheck.ResourceActionCreate),
		}},
		ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue(address, tfjsonpath.New("comment"), knownvalue.StringExact("ci@host")),
		},
	})
}
