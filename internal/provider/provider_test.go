package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

func TestMain(m *testing.M) { acctest.Main(m, NewServer) }

func TestProvider_configurationErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		attributes map[string]string
		want       []string
	}{
		"no credentials":   {nil, []string{"Missing Bitbucket credentials", "BITBUCKET_USERNAME"}},
		"half":             {map[string]string{"username": "ci"}, []string{"Incomplete Bitbucket credentials"}},
		"two":              {map[string]string{"token": "t", "oauth_client_id": "i", "oauth_client_secret": "s"}, []string{"Conflicting Bitbucket credentials"}},
		"http":             {map[string]string{"token": "t", "base_url": "http://bitbucket.example.com/2.0"}, []string{"Invalid Bitbucket base URL", "unencrypted"}},
		"no URL":           {map[string]string{"token": "t", "base_url": "api.bitbucket.org"}, []string{"Invalid Bitbucket base URL"}},
		"empty URL":        {map[string]string{"token": "t", "base_url": ""}, []string{"Invalid Bitbucket base URL"}},
		"timeout":          {map[string]string{"token": "t", "request_timeout": "30"}, []string{"Invalid duration"}},
		"negative timeout": {map[string]string{"token": "t", "request_timeout": "-1s"}, []string{"Invalid duration"}},
		"retries":          {map[string]string{"token": "t", "max_retries": "-1"}, []string{"between 0 and 20"}},
		"update strategy":  {map[string]string{"token": "t", "update_strategy": "always"}, []string{"update_strategy value must be one of"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acctest.Contains(t, acctest.NewServer(t).Configure(t, tc.attributes), append([]string{"Error: "}, tc.want...)...)
		})
	}
}

// Credentials from a resource are unknown in the plan that creates the resource. They
// are also unknown in a plan that replaces it, when keys already exist.
func TestAccProvider_unknownCredentials(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	terraform := acctest.NewCLI(t)
	key := acctest.NewKey(t)
	config := func(generation int, more string) string {
		return fmt.Sprintf("\nresource \"terraform_data\" \"token\" {\n  input = \"api-token\"\n  triggers_replace = %d\n}\n", generation) +
			f.ConfigWith(acctest.DeployKey(acctest.KeyLine(key), more), `username = "ci@example.com"`, "token = terraform_data.token.output")
	}
	terraform.Write(t, config(1, ""))
	terraform.MustRun(t, "plan")
	if sent := f.Sent(); len(sent) > 0 {
		t.Errorf("a plan without credentials made requests: %v", sent)
	}
	terraform.MustRun(t, "apply", "-auto-approve")
	f.ExpectWrites(t, "POST acme/website/deploy-keys 200")()

	terraform.Write(t, config(2, ""))
	out := terraform.MustRun(t, "plan")
	if strings.Count(out, "Warning: Deploy keys were not refreshed") != 1 {
		t.Errorf("want one warning that the keys were not refreshed: %s", out)
	}
	acctest.Contains(t, out, "1 to add, 0 to change, 1 to destroy") // Only terraform_data.
	if sent := f.Sent(); len(sent) > 0 {
		t.Errorf("a plan without credentials made requests: %v", sent)
	}
	terraform.MustRun(t, "apply", "-auto-approve")
	acctest.Contains(t, terraform.MustRun(t, "plan"), "No changes")

	// A plan that needs a reply from Bitbucket fails. The provider does not guess the
	// reply.
	terraform.Write(t, config(3, `repository = "api"`)+acctest.DataDeployKey("key_id = 1"))
	out = terraform.Fails(t, []string{"plan"}, "Provider configuration is not known yet", "-target")
	if strings.Count(out, "Error: Provider configuration is not known yet") != 2 {
		t.Errorf("want an error of the resource and one of the data source: %s", out)
	}
	f.ExpectWrites(t)()
}
