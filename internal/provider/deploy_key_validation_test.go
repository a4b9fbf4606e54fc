package provider

import (
	"crypto/dsa" //nolint:staticcheck // Old keys are of this kind.
	"crypto/rsa"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
)

// A mistake is reported at plan, before any request.
func TestAccDeployKey_validation(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	blob := strings.Fields(key)[1]
	for name, tc := range map[string]struct{ line, want string }{
		"empty key":          {`key = ""`, "Empty public key"},
		"no key":             {``, `The argument "key" is required`},
		"private key":        {`key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"`, "Private key given"},
		"putty key":          {`key = "PuTTY-User-Key-File-3: ssh-ed25519"`, "Private key given"},
		"two keys":           {fmt.Sprintf("key = %q", key+"\n"+key), "Several public keys"},
		"options":            {fmt.Sprintf("key = %q", "no-pty "+key), "Public key with options"},
		"certificate":        {fmt.Sprintf("key = %q", strings.Replace(key, "ed25519", "ed25519-cert-v01@openssh.com", 1)), "Certificate given"},
		"rfc 4716":           {`key = "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA"`, "Public key in RFC 4716 format"},
		"control characters": {fmt.Sprintf(`key = "%s a\u0007b"`, key), "Control characters in public key"},
		"bad base64":         {fmt.Sprintf("key = %q", "ssh-ed25519 "+blob[:20]+"!"), "Invalid base64 in public key"},
		"truncated":          {fmt.Sprintf("key = %q", "ssh-ed25519 "+blob[:60]), "Damaged public key"},
		"bytes after it":     {fmt.Sprintf("key = %q", key+"AAAA"), "Damaged public key"},
		"another type":       {fmt.Sprintf("key = %q", "ssh-rsa "+blob), "Key type does not match the key"},
		"short rsa":          {keyLine(shortRSA(t)), "Bitbucket refuses this key"},
		"label space":        {keyLine(key) + "\n  label = \" x\"", "Invalid label"},
		"label newline":      {keyLine(key) + "\n  label = \"x\\ny\"", "Invalid label"},
		"comment space":      {keyLine(key) + "\n  comment = \"x \"", "Invalid comment"},
		"comment tab":        {keyLine(key) + "\n  comment = \"x\\ty\"", "Invalid comment"},
		"private label":      {keyLine(key) + "\n  label = \"-----BEGIN RSA PRIVATE KEY----- x\"", "Private key given"},
		"repository path":    {keyLine(key) + "\n  repository = \"acme/website\"", "Invalid repository"},
		"repository dots":    {keyLine(key) + "\n  repository = \"..\"", "Invalid repository"},
		"repository query":   {keyLine(key) + "\n  repository = \"website?x\"", "Invalid repository"},
		"repository escape":  {keyLine(key) + "\n  repository = \"a%2fb\"", "Invalid repository"},
		"repository empty":   {keyLine(key) + "\n  repository = \"\"", "Invalid repository"},
		"workspace name":     {keyLine(key) + "\n  workspace = \"Acme Inc\"", "Invalid workspace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			test(t, resource.TestStep{
				Config:      f.config(deployKey(tc.line)),
				PlanOnly:    true,
				ExpectError: message(tc.want),
			})
			if sent := f.sent(); len(sent) > 0 {
				t.Errorf("requests were made: %v", sent)
			}
		})
	}
}

func shortRSA(t *testing.T) string {
	t.Helper()
	modulus := new(big.Int).Lsh(big.NewInt(1), 1023)
	return authorizedKey(t, &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 65537})
}

// A key that Bitbucket would refuse today can be there already.
func TestAccDeployKey_importsOldKey(t *testing.T) {
	t.Parallel()
	f, old := newFake(t), shortRSA(t)
	existing := f.AddDeployKey("acme", "website", old, "old")
	importing := fmt.Sprintf("\nimport {\n  to = %s\n  id = \"acme/website/%d\"\n}\n", address, existing.ID)
	test(t,
		resource.TestStep{
			Config:           f.config(importing + deployKey(keyLine(old), `label = "old"`)),
			ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
		},
		resource.TestStep{
			Config:           f.config(deployKey(keyLine(old), `label = "renamed"`)),
			ConfigPlanChecks: planned(plancheck.ResourceActionUpdate),
		},
		resource.TestStep{
			Config:      f.config(deployKey(keyLine(old), `label = "renamed"`, `repository = "api"`)),
			ExpectError: message("Bitbucket refuses this key", "2048 bits and more; this one has 1024"),
		},
	)
}

// Only Bitbucket knows whether it takes these, so they are sent.
func TestAccDeployKey_doubtfulKey(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	key := authorizedKey(t, &dsa.PublicKey{
		Parameters: dsa.Parameters{P: new(big.Int).Lsh(big.NewInt(1), 1023), Q: new(big.Int).Lsh(big.NewInt(1), 159), G: big.NewInt(2)},
		Y:          big.NewInt(4),
	})
	test(t, resource.TestStep{
		Config:           f.config(deployKey(keyLine(key))),
		ConfigPlanChecks: planned(plancheck.ResourceActionCreate, createdUnknown...),
		PostApplyFunc:    f.expectWrites(t, "POST acme/website/deploy-keys 200"),
	})
}
