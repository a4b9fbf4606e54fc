package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// Each command sends exactly these requests.
func TestAccDeployKey_requestsPerCommand(t *testing.T) {
	t.Parallel()
	f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.NewKey(t)
	config := func(lines ...string) {
		terraform.Write(t, f.Config(acctest.DeployKey(append(lines, acctest.KeyLine(key+" me\n"))...)))
	}
	const get = "GET acme/website/deploy-keys 200"
	const getKey = "GET " + acctest.FirstKey + " 200"
	const getByUUID = "GET acme/%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/deploy-keys 200"
	for _, step := range []struct {
		lines []string
		args  []string
		want  []string
	}{
		{nil, []string{"validate"}, nil},
		{nil, []string{"plan"}, nil},
		{nil, []string{"apply", "-auto-approve"}, []string{"POST acme/website/deploy-keys 200"}},
		{nil, []string{"plan"}, []string{get}},
		{[]string{`label = "x"`}, []string{"plan"}, []string{get}},
		{[]string{`label = "x"`}, []string{"apply", "-auto-approve"}, []string{get, "PUT " + acctest.FirstKey + " 200"}},
		{[]string{`label = "x"`, `repository = "WEBSITE"`}, []string{"plan"}, []string{get}},
		{[]string{`label = "x"`, fmt.Sprintf("repository = %q", acctest.WebsiteUUID)}, []string{"plan"}, []string{get}},
		{[]string{`label = "x"`, fmt.Sprintf("repository = %q", acctest.WebsiteUUID)}, []string{"apply", "-auto-approve"}, []string{get}},
		// The plan and the apply both check that the first name leads to the same repository.
		{[]string{`label = "x"`}, []string{"plan"}, []string{getByUUID, getKey}},
		{[]string{`label = "x"`}, []string{"apply", "-auto-approve"}, []string{getByUUID, getKey, getKey}},
		{[]string{`label = "x"`, fmt.Sprintf("workspace = %q", acctest.WorkspaceUUID)}, []string{"plan"}, []string{get, strings.Replace(getKey, "acme", "%7B2f5a9b2e-0000-4000-8000-0000000000ac%7D", 1)}},
		// Another UUID is another repository, so no request is needed.
		{[]string{`label = "x"`, `repository = "{00000000-0000-4000-8000-00000000dead}"`}, []string{"plan"}, []string{get}},
		{[]string{`label = "x"`, `repository = "api"`}, []string{"plan"}, []string{get, "GET acme/api/deploy-keys/10958984 404"}},
		{[]string{`label = "x"`}, []string{"destroy", "-auto-approve"}, []string{get, "DELETE " + acctest.FirstKey + " 204"}},
	} {
		config(step.lines...)
		out := terraform.MustRun(t, step.args...)
		if got := f.Sent(); !slices.Equal(got, step.want) {
			t.Errorf("%v with %v made the requests\n  %s\nwant\n  %s\n%s", step.args, step.lines, strings.Join(got, "\n  "), strings.Join(step.want, "\n  "), out)
		}
	}
}

// Terraform prints the source lines of an attribute with its error, including secrets. An
// error about a value that may be secret must therefore not be on its attribute.
func TestAccDeployKey_secretsAreNotShown(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0LXByaXZhdGUta2V5LWJ5dGVz"
	f, key := acctest.NewFake(t), acctest.NewKey(t)
	resource := acctest.DeployKey(acctest.KeyLine(key))
	configs := map[string]string{
		"conflict":            f.ConfigWith(resource, fmt.Sprintf("token = %q", secret), fmt.Sprintf("password = %q", secret)),
		"conflict of methods": f.ConfigWith(resource, fmt.Sprintf("token = %q", secret), fmt.Sprintf("oauth_client_secret = %q", secret)),
		"half":                f.ConfigWith(resource, fmt.Sprintf("oauth_client_secret = %q", secret)),
		"password":            f.ConfigWith(resource, fmt.Sprintf("password = %q", secret)),
		"base URL":            acctest.RequiredProviders + fmt.Sprintf("provider \"bitbucket\" {\n  token = \"t\"\n  base_url = \"https://user:%s@example.com\"\n}\n", secret) + resource,
		"wrong token":         f.ConfigWith(resource+acctest.WEB.DeployKey(acctest.KeyLine(key)), fmt.Sprintf("token = %q", secret)),
		"wrong consumer":      f.ConfigWith(resource+acctest.WEB.DeployKey(acctest.KeyLine(key)), `oauth_client_id = "id"`, fmt.Sprintf("oauth_client_secret = %q", secret)),
	}
	private := ""
	for name, lines := range map[string][]string{
		"private_key":         {"key = <<-EOT\n    -----BEGIN OPENSSH PRIVATE KEY-----\n    " + secret + "\n    -----END OPENSSH PRIVATE KEY-----\n  EOT"},
		"private_key_in_line": {fmt.Sprintf("key = %q", "-----BEGIN RSA PRIVATE KEY----- "+secret)},
		"putty":               {fmt.Sprintf("key = %q", "PuTTY-User-Key-File-2: ssh-rsa "+secret)},
		"public_and_private":  {fmt.Sprintf("key = %q", key+"\n-----BEGIN RSA PRIVATE KEY-----\n"+secret)},
		"token_as_the_key":    {fmt.Sprintf("key = %q", secret)},
		"private_label":       {acctest.KeyLine(key), fmt.Sprintf("label = %q", "-----BEGIN RSA PRIVATE KEY----- "+secret+" ")},
	} {
		for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
			parent.Resource = name
			private += parent.DeployKey(lines...)
		}
	}
	configs["values of resources"] = f.Config(private)
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terraform := acctest.NewCLI(t)
			terraform.Write(t, config)
			out := terraform.Fails(t, []string{"apply", "-auto-approve"}, "Error: ")
			if strings.Contains(out, secret) {
				t.Errorf("the secret is shown: %s", out)
			}
			if errors := strings.Count(out, "Error: "); name == "values of resources" && errors != 12 {
				t.Errorf("got %d errors, want one for each resource: %s", errors, out)
			}
		})
	}
}

// Errors about other values are on their attribute.
func TestAccDeployKey_errorsNameTheLine(t *testing.T) {
	t.Parallel()
	f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.NewKey(t)
	for line, want := range map[string]string{
		`label = " x"`:      `label = " x"`,
		`repository = "x?"`: `repository = "x?"`,
	} {
		terraform.Write(t, f.Config(acctest.DeployKey(line, acctest.KeyLine(key))))
		terraform.Fails(t, []string{"plan"}, "Error: Invalid "+strings.Fields(line)[0], "on main.tf line", want)
	}
	terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(key+"AAAA"))))
	terraform.Fails(t, []string{"plan"}, "Damaged public key", "on main.tf line", "key = ")
	terraform.Write(t, f.ConfigWith("", `username = "ci"`, `token = "t"`, `oauth_client_id = "i"`)+acctest.DeployKey(acctest.KeyLine(key)))
	terraform.Fails(t, []string{"plan"}, "Conflicting Bitbucket credentials", "on main.tf line", `oauth_client_id = "i"`)
}

func TestAccDeployKey_warnings(t *testing.T) {
	t.Parallel()
	t.Run("OAuth consumer", func(t *testing.T) {
		t.Parallel()
		f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
		f.AllowConsumer("id", "secret", 7200)
		terraform.Write(t, f.ConfigWith(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))), `oauth_client_id = "id"`, `oauth_client_secret = "secret"`))
		acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "Warning: Deploy key depends on the OAuth consumer", "invalidates the key", "1 added")
		if out := terraform.MustRun(t, "apply", "-auto-approve"); strings.Contains(out, "OAuth") {
			t.Errorf("the warning is repeated although nothing is created: %s", out)
		}
	})
	t.Run("old RSA key", func(t *testing.T) {
		t.Parallel()
		f, terraform, old := acctest.NewFake(t), acctest.NewCLI(t), acctest.ShortRSA(t)
		existing := f.AddDeployKey("acme", "website", old, "")
		terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(old))))
		terraform.Fails(t, []string{"plan"}, "Error: Bitbucket refuses this key")
		terraform.MustRun(t, "import", acctest.Address, fmt.Sprintf("acme/website/%d", existing.ID))
		acctest.Contains(t, terraform.MustRun(t, "plan"), "No changes", "Warning: Bitbucket refuses new keys of this kind")
	})
	t.Run("type that is not listed", func(t *testing.T) {
		t.Parallel()
		f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
		terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine("ssh-future AAAACnNzaC1mdXR1cmU="))))
		acctest.Contains(t, terraform.MustRun(t, "plan"), "1 to add", "Warning: Bitbucket may refuse this key")
	})
	t.Run("rate limit is near", func(t *testing.T) {
		t.Parallel()
		m := newMany(t, acctest.Website, 3, 2)
		m.SetNearLimit(true)
		if out := m.terraform.MustRun(t, "apply", "-auto-approve"); strings.Count(out, "Warning: Bitbucket's rate limit is near") != 1 {
			t.Errorf("want one warning: %s", out)
		}
		m.SetNearLimit(false)
		if out := m.terraform.MustRun(t, "plan"); strings.Contains(out, "rate limit") {
			t.Errorf("want no warning: %s", out)
		}
	})
	t.Run("answer differs", func(t *testing.T) {
		t.Parallel()
		f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.NewKey(t)
		f.Inject(emulator.Fault{Method: "POST", Status: 200, Body: fmt.Sprintf(`{"id":10958984,"key":%q,"label":"theirs","comment":""}`, key)})
		terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(key), `label = "ours"`)))
		acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "Warning: Bitbucket stored something else", `label: sent "ours", stored "theirs"`,
			"write the stored value into the configuration", "ignore_changes = [label, comment]", "1 added")
	})
}
