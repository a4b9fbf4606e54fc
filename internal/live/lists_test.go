package live_test

import (
	"fmt"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// The data sources read one key and all keys.
func TestAccDeployKeys_dataSources(t *testing.T) {
	t.Parallel()
	forEachParent(t, func(t *testing.T, p parent) {
		s := p.server
		ci := p.add(t, acctest.NewKey(t)+" ci@host", "CI")
		p.add(t, acctest.NewKey(t), "laptop")
		s.configure(t, p.block("data", p.typeName, "one", `label = "CI"`)+p.block("data", p.typeName+"s", "all")+
			fmt.Sprintf("\noutput \"one\" {\n  value = data.%[1]s.one.id\n}\n\noutput \"all\" {\n  value = length(data.%[1]ss.all.keys)\n}\n", p.typeName))
		acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), "all = 2", fmt.Sprintf("one = %q", p.importID(ci.ID)))
	})
}

// The keys of all repositories of a project are found.
func TestAccDeployKeys_walk(t *testing.T) {
	t.Parallel()
	s := start(t, projects, walks)
	project := s.project(t)
	first, second := s.repository(t, project.name), s.repository(t, project.name)
	first.add(t, acctest.NewKey(t), "first")
	second.add(t, acctest.NewKey(t), "second")
	project.add(t, acctest.NewKey(t), "of the project")
	s.configure(t, fmt.Sprintf(`
data "bitbucket_deploy_keys" "all" {
  workspace = %q
  project   = %q
}

output "labels" {
  value = join(",", sort(data.bitbucket_deploy_keys.all.keys[*].label))
}
`, s.Workspace, project.name))
	acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), `labels = "first,second"`)
}

// A query finds the keys of a project, and its configuration can be applied.
func TestAccDeployKeys_query(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Query)
	s := start(t, projects, walks)
	project := s.project(t)
	repository := s.repository(t, project.name)
	repository.add(t, acctest.NewKey(t)+" ci@host", "CI")
	s.configure(t, "")
	s.WriteFile(t, "all.tfquery.hcl", fmt.Sprintf("list \"bitbucket_deploy_key\" \"all\" {\n  provider = bitbucket\n  config {\n    workspace = %q\n    project = %q\n  }\n}\n", s.Workspace, project.name))
	s.MustRun(t, "query", "-generate-config-out=generated.tf")
	acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), "1 imported, 0 added, 0 changed, 0 destroyed")
	s.expectEmptyPlan(t)
	repository.expectWrites(t)
}

// An exclusive set removes a key that was added outside of Terraform, after a plan has shown
// it.
func TestAccDeployKeysExclusive(t *testing.T) {
	t.Parallel()
	forEachParent(t, func(t *testing.T, p parent) {
		s := p.server
		s.configure(t, p.resource("ci", acctest.KeyLine(acctest.NewKey(t)), `label = "CI"`)+
			p.block("resource", p.typeName+"s_exclusive", "only", "key_ids = ["+p.typeName+".ci.key_id]"))
		s.MustRun(t, "apply", "-auto-approve")
		s.expectEmptyPlan(t)
		stray := p.add(t, acctest.NewKey(t), "stray")
		acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), "stray", "0 added, 1 changed, 0 destroyed")
		if left := p.onlyKey(t); left.ID == stray.ID {
			t.Errorf("%+v is left", left)
		}
		s.expectEmptyPlan(t)
	})
}

// A repository without deployments has an empty list.
func TestAccDeployments_none(t *testing.T) {
	t.Parallel()
	s := start(t, deployments)
	p := s.repository(t, "")
	s.configure(t, p.block("data", "bitbucket_deployments", "all")+"\noutput \"number\" {\n  value = length(data.bitbucket_deployments.all.deployments)\n}\n")
	acctest.Contains(t, s.MustRun(t, "apply", "-auto-approve"), "number = 0")
}
