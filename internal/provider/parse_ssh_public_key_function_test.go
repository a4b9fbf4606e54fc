package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

func TestAccParseSSHPublicKeyFunction_keys(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.LoneFunctions)
	private, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	config, checks := acctest.RequiredProviders, []statecheck.StateCheck{}
	for name, tc := range map[string]struct {
		key, comment string
		bits         int64
	}{
		"ed25519":              {acctest.NewKey(t), "", 256},
		"words in comment":     {acctest.NewKey(t), "build  agent of acme", 256},
		"ecdsa":                {acctest.AuthorizedKey(t, &private.PublicKey), "me", 521},
		"short rsa":            {acctest.ShortRSA(t), "old", 1024},
		"dsa":                  {acctest.DSAKey(t), "older", 1024},
		"security key":         {"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2trAAAABHNzaDo=", "", 256},
		"type that is unknown": {"ssh-future AAAACnNzaC1mdXR1cmU=", "", 0},
	} {
		want := map[string]knownvalue.Check{
			"type":    knownvalue.StringExact(strings.Fields(tc.key)[0]),
			"bits":    knownvalue.Int64Exact(tc.bits),
			"comment": knownvalue.StringExact(tc.comment),
			"openssh": knownvalue.StringExact(tc.key),
		}
		if tc.bits == 0 {
			want["bits"] = knownvalue.Null()
			want["fingerprint_sha256"] = knownvalue.StringExact("SHA256:BwzrBzk2IHyy5R4ejYzXchwPULaK9fNXYS4bypZsCG0")
			want["fingerprint_md5"] = knownvalue.StringExact("56:17:42:9d:5b:3f:34:58:a3:97:46:04:2a:be:0b:73")
		} else {
			key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(tc.key))
			if err != nil {
				t.Fatal(err)
			}
			want["fingerprint_sha256"] = knownvalue.StringExact(ssh.FingerprintSHA256(key))
			want["fingerprint_md5"] = knownvalue.StringExact(ssh.FingerprintLegacyMD5(key))
		}
		name = strings.ReplaceAll(name, " ", "_")
		config += strings.Replace(acctest.OutputBlock(acctest.ParseCall(fmt.Sprintf("%q", "  "+tc.key+" \t"+tc.comment+"\r\n"))), `"test"`, fmt.Sprintf("%q", name), 1)
		checks = append(checks, statecheck.ExpectKnownOutputValue(name, knownvalue.ObjectExact(want)))
	}
	acctest.Test(t, acctest.Step{Config: config, ConfigStateChecks: checks})
}

func TestAccParseSSHPublicKeyFunction_unknown(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.LoneFunctions)
	key := acctest.NewKey(t)
	withKey := func(text string) string {
		return acctest.RequiredProviders + fmt.Sprintf("\nresource \"terraform_data\" \"key\" {\n  input = %q\n}\n", text)
	}
	acctest.Test(t,
		acctest.Step{
			Config: withKey(key) + acctest.OutputBlock(acctest.ParseCall("terraform_data.key.output")+".bits"),
			ConfigPlanChecks: []plancheck.PlanCheck{
				plancheck.ExpectUnknownOutputValue("test"),
			},
			ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownOutputValue("test", knownvalue.Int64Exact(256))},
		},
		// An unknown argument is checked as soon as it is known.
		acctest.Step{
			Config:      withKey(key+"AAAA") + acctest.OutputBlock(acctest.ParseCall("terraform_data.key.output")),
			ExpectError: acctest.Message(`Invalid value for "public_key" parameter: Damaged public key`),
		},
	)
}

func TestAccParseSSHPublicKeyFunction_precondition(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Functions)
	f := acctest.NewFake(t)
	condition := acctest.ParseCall("local.key") + ".bits >= 3072"
	acctest.Test(t, acctest.Step{
		Config: f.Config(fmt.Sprintf("\nlocals {\n  key = %q\n}\n", acctest.ShortRSA(t)) +
			acctest.DeployKey("key = local.key", "lifecycle {\n    precondition {\n      condition = "+condition+"\n      error_message = \"Too short.\"\n    }\n  }")),
		ExpectError: acctest.Message("Resource precondition failed", "Too short."),
	})
	if sent := f.Sent(); len(sent) > 0 {
		t.Errorf("requests were made: %v", sent)
	}
}

// An error is on the line of the call. It names the argument, but does not repeat its
// value.
func TestAccParseSSHPublicKeyFunction_errors(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.LoneFunctions)
	const secret = "c2VjcmV0LXByaXZhdGUta2V5LWJ5dGVz"
	key := acctest.NewKey(t)
	cases := map[string]struct{ text, want string }{
		"private key": {"-----BEGIN OPENSSH PRIVATE KEY-----\n" + secret + "\n-----END OPENSSH PRIVATE KEY-----\n", "Private key given: This is a private key. A deploy key is the public half"},
		"private too": {key + "\n-----BEGIN RSA PRIVATE KEY-----\n" + secret, "Private key given: "},
		"token":       {secret, "Not a public key: This does not start with an OpenSSH key type."},
		"bad base64":  {"ssh-ed25519 " + secret + "!", "Invalid base64 in public key: "},
		"two keys":    {key + "\n" + key, "Several public keys: There are 2 keys here, but a resource has one key."},
		"truncated":   {key[:60], "Damaged public key: "},
		"certificate": {strings.Replace(key, "ed25519", "ed25519-cert-v01@openssh.com", 1), "Certificate given: "},
		"empty":       {" \n", `Empty public key: The key is empty. Give the one line of the .pub file, for example "ssh-ed25519 AAAA… comment".`},
	}
	terraform := acctest.NewCLI(t)
	files, variables, args := acctest.RequiredProviders, acctest.RequiredProviders, []string{"plan"}
	for name, tc := range cases {
		name = strings.ReplaceAll(name, " ", "_")
		if err := os.WriteFile(filepath.Join(terraform.Dir, name), []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		output := func(argument string) string {
			return strings.Replace(acctest.OutputBlock(acctest.ParseCall(argument)+"\n  sensitive = true"), `"test"`, fmt.Sprintf("%q", name), 1)
		}
		files += output(fmt.Sprintf("file(%q)", name))
		variables += output("var."+name) + fmt.Sprintf("\nvariable %q {\n  sensitive = true\n}\n", name)
		args = append(args, "-var", name+"="+tc.text)
	}
	expect := func(out string, argument func(name string) string) {
		t.Helper()
		reported := strings.Split(out, "Error: ")[1:]
		if len(reported) != len(cases) {
			t.Errorf("there are %d errors, want %d", len(reported), len(cases))
		}
		for name, tc := range cases {
			name = strings.ReplaceAll(name, " ", "_")
			i := slices.IndexFunc(reported, func(e string) bool { return strings.Contains(e, fmt.Sprintf("in output %q:", name)) })
			if i < 0 {
				t.Fatalf("there is no error of %s in %s", name, out)
			}
			acctest.Contains(t, reported[i], "Invalid function argument", "on main.tf line", acctest.ParseCall(argument(name)), `Invalid value for "public_key" parameter: `+tc.want)
			for word := range strings.FieldsSeq(tc.text) {
				if len(word) > 24 && strings.Contains(out, word) {
					t.Errorf("%q is shown: %s", word, out)
				}
			}
		}
	}
	terraform.Write(t, files)
	expect(terraform.Fails(t, []string{"validate"}), func(name string) string { return fmt.Sprintf("file(%q)", name) })
	terraform.Write(t, variables)
	expect(terraform.Fails(t, args), func(name string) string { return "var." + name })
	terraform.Write(t, acctest.RequiredProviders+acctest.OutputBlock(acctest.ParseCall("null")))
	terraform.Fails(t, []string{"validate"}, "on main.tf line", `Invalid value for "public_key" parameter: argument must not be null`)
}
