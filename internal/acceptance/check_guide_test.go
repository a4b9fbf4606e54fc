package provider

import (
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// The check of the guide names keys that nobody uses, and keeps no plan from being
// empty. It costs one request, which it shares with the keys of the repository.
func TestAccExamples_check(t *testing.T) {
	t.Parallel()
	needs(t, terraformcli.Checks)
	f := exampleFake(t)
	terraform := newCLI(t, attached(t))
	terraform.write(t, f.config(read(t, examples+"/guides/check-deploy-keys/check.tf")+deployKey(keyLine(newKey(t)), `label = "CI"`)))
	terraform.must(t, "apply", "-auto-approve")
	ours := f.onlyKey(t)
	forgotten := f.AddDeployKey("acme", "website", newKey(t), "forgotten")
	old := "2021-03-04T05:06:07.000000+00:00"
	f.EditDeployKey("acme", "website", forgotten.ID, func(key *emulator.DeployKey) { key.CreatedOn = old })
	f.EditDeployKey("acme", "website", ours.ID, func(key *emulator.DeployKey) { key.LastUsed = &old })
	f.ForgetRequests()
	contains(t, terraform.must(t, "plan", "-detailed-exitcode"), "Check block assertion failed", "Not used for 90 days: acme/website/10958984 CI, acme/website/10958985 forgotten.")
	if sent := f.sent(); len(sent) != 1 {
		t.Errorf("sent %q", sent)
	}
	f.RemoveDeployKey("acme", "website", forgotten.ID)
	f.EditDeployKey("acme", "website", ours.ID, func(key *emulator.DeployKey) { key.LastUsed = nil })
	if out := terraform.must(t, "plan", "-detailed-exitcode"); strings.Contains(out, "assertion failed") {
		t.Errorf("nothing is unused: %s", out)
	}
}
