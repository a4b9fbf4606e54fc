package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

func TestAccDeployKeyDataSource_basic(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		f.Add(parent, acctest.NewKey(t), "other")
		existing := f.Add(parent, key+" me@host", "ci")
		f.Edit(parent, existing.ID, func(k *emulator.DeployKey) { k.LastUsed = new("2026-11-01T10:00:00.5+00:00") })
		parsed, err := sshkey.Split(key)
		if err != nil {
			t.Fatal(err)
		}
		var steps []acctest.Step
		for _, line := range []string{
			fmt.Sprintf("key_id = %d", existing.ID),
			`label = "ci"`,
			fmt.Sprintf("fingerprint_sha256 = %q", parsed.FingerprintSHA256()),
		} {
			step := acctest.Step{Config: f.Config(parent.Data(line))}
			for name, want := range map[string]knownvalue.Check{
				"id":                  knownvalue.StringExact(parent.ImportID(existing.ID)),
				"key_id":              knownvalue.Int64Exact(existing.ID),
				"key":                 knownvalue.StringExact(key),
				"label":               knownvalue.StringExact("ci"),
				"comment":             knownvalue.StringExact("me@host"),
				"key_type":            knownvalue.StringExact("ssh-ed25519"),
				"fingerprint_sha256":  knownvalue.StringExact(parsed.FingerprintSHA256()),
				"fingerprint_md5":     knownvalue.StringExact(parsed.FingerprintMD5()),
				"created_on":          knownvalue.NotNull(),
				"last_used":           knownvalue.StringExact("2026-11-01T10:00:00.5+00:00"),
				parent.Kind + "_uuid": knownvalue.StringExact(parent.UUID),
			} {
				step.ConfigStateChecks = append(step.ConfigStateChecks,
					statecheck.ExpectKnownValue("data."+parent.Address(), tfjsonpath.New(name), want))
			}
			steps = append(steps, step)
		}
		acctest.Test(t, steps...)
	})
}

// Another provider uses only the key ID as id. The data source accepts it, keeps it in
// the state, and recommends key_id.
func TestAccDeployKeyDataSource_id(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	f.AddDeployKey("acme", "website", acctest.NewKey(t), "ci")
	for _, id := range []string{"10958984", "acme/website/10958984"} {
		terraform.Write(t, f.Config(acctest.DataDeployKey(fmt.Sprintf("id = %q", id))+"output \"found\" {\n  value = [data.bitbucket_deploy_key.test.id, data.bitbucket_deploy_key.test.label]\n}\n"))
		acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "Warning: Setting id is deprecated", "Set key_id")
		if got, want := terraform.Output(t, "found"), fmt.Sprintf("[%q,\"ci\"]", id); strings.TrimSpace(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAccDeployKeyDataSource_errors(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		one, two := f.Add(parent, acctest.NewKey(t), "ci"), f.Add(parent, acctest.NewKey(t), "ci")
		f.Add(parent, acctest.NewKey(t), "alone")
		step := func(line string, want ...string) acctest.Step {
			return acctest.Step{Config: f.Config(parent.Data(line)), ExpectError: acctest.Message(want...)}
		}
		byID := step(`id = "acme/7"`, "Invalid id", "Expected workspace/repository/key_id, or the ID of a key")
		byBoth := step("key_id = 1\n  id = \"1\"", "Invalid Attribute Combination")
		if parent.IsProject() { // For a project, id is read-only, because no other provider accepts it.
			byID, byBoth = step(`id = "acme/WEB/7"`, "Invalid Configuration for Read-Only Attribute"), step("key_id = 1\n  id = \"1\"", "Invalid Configuration for Read-Only Attribute")
		}
		acctest.Test(t,
			step(`label = "ci"`, "No single deploy key found", "2 deploy keys of acme/"+parent.Name, fmt.Sprintf(`%d  "ci"`, one.ID), fmt.Sprintf(`%d  "ci"`, two.ID)),
			step(`label = "nobody"`, "No single deploy key found", "No deploy key of acme/"+parent.Name, fmt.Sprintf(`%d  "ci"`, one.ID), `"alone"`),
			step(`fingerprint_sha256 = "SHA256:`+strings.Repeat("A", 43)+`"`, "No single deploy key found", "fingerprint SHA256:AAAA"),
			step(`fingerprint_sha256 = "aa:bb"`, "must be a fingerprint as ssh-keygen"),
			step(`key_id = 1`, "No single deploy key found", "No deploy key of acme/"+parent.Name+" has the ID 1. The "+parent.Kind+" has these keys:", fmt.Sprintf(`%d  "ci"`, one.ID)),
			step(`key_id = 0`, "must be at least 1"),
			byID, byBoth,
			step("", "Invalid Attribute Combination"),
			step("key_id = 1\n  label = \"ci\"", "Invalid Attribute Combination"),
			acctest.Step{
				PreConfig:   func() { f.RemoveParent(parent) },
				Config:      f.Config(parent.Data(`label = "ci"`)),
				ExpectError: acctest.Message("Unable to list deploy keys", "list the deploy keys of "+parent.String(), "404 Not Found", "the "+parent.Kind+" was deleted or renamed, or these credentials cannot see it: Bitbucket answers 404 in all of these cases.", "admin:"+parent.Kind+":bitbucket"),
			},
		)
	})
}
