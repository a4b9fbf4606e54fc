package provider

import (
	"fmt"
	"maps"
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
	f, config := acctest.NewFake(t), ""
	var checks []statecheck.StateCheck
	for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
		key := acctest.NewKey(t)
		f.Add(parent, acctest.NewKey(t), "other")
		existing := f.Add(parent, key+" me@host", "ci")
		f.Edit(parent, existing.ID, func(k *emulator.DeployKey) { k.LastUsed = new("2026-11-01T10:00:00.5+00:00") })
		parsed, err := sshkey.Split(key)
		if err != nil {
			t.Fatal(err)
		}
		for name, line := range map[string]string{
			"by_id":          fmt.Sprintf("key_id = %d", existing.ID),
			"by_label":       `label = "ci"`,
			"by_fingerprint": fmt.Sprintf("fingerprint_sha256 = %q", parsed.FingerprintSHA256()),
		} {
			config += withName(parent.Data(line), name)
			for attribute, want := range map[string]knownvalue.Check{
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
				checks = append(checks, statecheck.ExpectKnownValue("data."+parent.TypeName+"."+name, tfjsonpath.New(attribute), want))
			}
		}
	}
	acctest.Test(t, acctest.Step{Config: f.Config(config), ConfigStateChecks: checks})
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

func TestDeployKeyDataSource_errors(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		one, two := f.Add(parent, acctest.NewKey(t), "ci"), f.Add(parent, acctest.NewKey(t), "ci")
		f.Add(parent, acctest.NewKey(t), "alone")
		fails := func(attributes map[string]string, want ...string) {
			t.Helper()
			config := map[string]string{"workspace": "acme", parent.Kind: parent.Name}
			maps.Copy(config, attributes)
			acctest.Contains(t, acctest.NewConfiguredServer(t, f).ReadData(t, parent.TypeName, config), want...)
		}
		const several = "Error: Invalid Attribute Combination"
		byID, byBoth := []string{"Error: Invalid id", "Expected workspace/repository/key_id, or the ID of a key"}, several
		if parent.IsProject() { // For a project, id is read-only, because no other provider accepts it.
			byID, byBoth = []string{"Error: Invalid Configuration for Read-Only Attribute"}, "Error: Invalid Configuration for Read-Only Attribute"
		}
		fails(map[string]string{"id": "acme/7"}, byID...)
		fails(map[string]string{"key_id": "1", "id": "1"}, byBoth)
		fails(map[string]string{"label": "ci"}, "Error: No single deploy key found", "2 deploy keys of acme/"+parent.Name, fmt.Sprintf(`%d "ci"`, one.ID), fmt.Sprintf(`%d "ci"`, two.ID))
		fails(map[string]string{"label": "nobody"}, "Error: No single deploy key found", "No deploy key of acme/"+parent.Name, fmt.Sprintf(`%d "ci"`, one.ID), `"alone"`)
		fails(map[string]string{"fingerprint_sha256": "SHA256:" + strings.Repeat("A", 43)}, "Error: No single deploy key found", "fingerprint SHA256:AAAA")
		fails(map[string]string{"fingerprint_sha256": "aa:bb"}, "Error: ", "must be a fingerprint as ssh-keygen")
		fails(map[string]string{"key_id": "1"}, "Error: No single deploy key found", "No deploy key of acme/"+parent.Name+" has the ID 1. The "+parent.Kind+" has these keys:", fmt.Sprintf(`%d "ci"`, one.ID))
		fails(map[string]string{"key_id": "0"}, "Error: ", "must be at least 1")
		fails(nil, several)
		fails(map[string]string{"key_id": "1", "label": "ci"}, several)
		f.RemoveParent(parent)
		fails(map[string]string{"label": "ci"}, "Error: Unable to list deploy keys", "list the deploy keys of "+parent.String(), "404 Not Found",
			"the "+parent.Kind+" was deleted or renamed, or these credentials cannot see it: Bitbucket answers 404 in all of these cases.", "admin:"+parent.Kind+":bitbucket")
	})
}
