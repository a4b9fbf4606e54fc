package provider

import (
	"crypto/dsa" //nolint:staticcheck // Old keys are of this kind.
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
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

// hostile are texts that could reach another endpoint, or split a line or a
// header, if they were put into a request as they are.
var hostile = map[string]string{
	"dots":              "..",
	"dot":               ".",
	"path":              "../../../2.0/user",
	"slash":             "a/b",
	"leading slash":     "/a",
	"backslash":         "a\\b",
	"escaped slash":     "a%2fb",
	"escaped twice":     "a%252fb",
	"escaped dots":      "%2e%2e",
	"query":             "a?b=c",
	"fragment":          "a#b",
	"matrix":            "a;b",
	"user":              "a@b",
	"port":              "a:1",
	"NUL":               "a\x00b",
	"tab":               "a\tb",
	"CRLF":              "a\r\nX-Evil: yes",
	"trailing newline":  "a\n",
	"escape":            "a\x1b[2Jb",
	"C1 control":        "a\u0085b",
	"line separator":    "a\u2028b",
	"text direction":    "a\u202eb",
	"no width":          "a\u200bb",
	"space":             "a b",
	"no-break space":    "a\u00a0",
	"umlaut":            "ä",
	"Cyrillic":          "\u0430cme",
	"full width":        "ａｃｍｅ／ｂ",
	"emoji":             "🔑",
	"open brace":        "{85d08b4e-571d-44e9-a507-fa476535aa98",
	"path in braces":    "{../..}",
	"empty braces":      "{}",
	"escaped braces":    "%7B85d08b4e%7D",
	"long":              strings.Repeat("a", 129),
	"very long":         strings.Repeat("a", 10_000),
	"empty":             "",
	"another parameter": "a&pagelen=1",
}

// asHCL is a text as it is written in a configuration.
func asHCL(t *testing.T, text string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}

// summaries runs validate, and returns the summaries of its errors by address.
func summaries(t *testing.T, terraform *cli) map[string][]string {
	t.Helper()
	out, _ := terraform.run(t, "validate", "-json")
	var result struct {
		Diagnostics []struct{ Severity, Summary, Address string }
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	by := map[string][]string{}
	for _, d := range result.Diagnostics {
		if d.Severity == "error" {
			by[d.Address] = append(by[d.Address], d.Summary)
		}
	}
	return by
}

func TestAccDeployKey_hostileNames(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, terraform, key := newFake(t), newCLI(t), keyLine(newKey(t))
		config, want := "", map[string][]string{}
		for _, text := range hostile {
			value := asHCL(t, text)
			for _, attribute := range []string{"workspace", string(at.placeKind)} {
				name := fmt.Sprintf("%s_%d", attribute, len(want))
				resource := at.deployKey(attribute+" = "+value, key)
				data := strings.Replace(strings.Replace(resource, "resource", "data", 1), key, "key_id = 1", 1)
				config += strings.Replace(resource, `"test"`, `"`+name+`"`, 1) + strings.Replace(data, `"test"`, `"`+name+`"`, 1)
				want[at.typeName()+"."+name] = []string{"Invalid " + attribute}
				want["data."+at.typeName()+"."+name] = []string{"Invalid " + attribute}
			}
		}
		terraform.write(t, f.config(config))
		if got := summaries(t, terraform); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	})
}

// A label or comment may be any one line of text: that is data, and no address.
func TestAccDeployKey_hostileTexts(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		refused := []string{"NUL", "tab", "CRLF", "trailing newline", "escape", "C1 control", "line separator", "no-break space"}
		config, want := "", map[string][]string{}
		accepted := map[string]string{}
		for name, text := range hostile {
			for _, attribute := range []string{"label", "comment"} {
				resource := at.deployKey(attribute+" = "+asHCL(t, text), keyLine(newKey(t)))
				id := fmt.Sprintf("%s_%d", attribute, len(want)+len(accepted))
				if resource = strings.Replace(resource, `"test"`, `"`+id+`"`, 1); !slices.Contains(refused, name) {
					accepted[at.typeName()+"."+id] = resource
					continue
				}
				config += resource
				want[at.typeName()+"."+id] = []string{"Invalid " + attribute}
			}
		}
		config += strings.Replace(at.deployKey("key = "+asHCL(t, newKey(t)+" two\u2028lines")), `"test"`, `"comment_in_key"`, 1)
		want[at.typeName()+".comment_in_key"] = []string{"Control characters in public key"}
		f, terraform := newFake(t), newCLI(t)
		terraform.write(t, f.config(config))
		if got := summaries(t, terraform); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}

		config = ""
		for _, resource := range accepted {
			config += resource
		}
		terraform.write(t, f.config(config))
		terraform.must(t, "apply", "-auto-approve")
		sent := f.sent()
		if slices.Sort(sent); len(sent) != len(accepted) || len(slices.Compact(sent)) != 1 || sent[0] != "POST "+at.collection()+" 200" {
			t.Errorf("for %d keys the requests were %v", len(accepted), sent)
		}
		contains(t, terraform.must(t, "plan"), "No changes") // Each text came back as it was sent.
	})
}

func TestAccDeployKey_hostileImports(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, terraform, key := newFake(t), newCLI(t), keyLine(newKey(t))
		ids := []string{
			"1", "acme/1", "acme/website/1/2", "acme/website/1/", "/acme/website/1", "acme/website/-1", "acme/website/0", "acme/website/١",
			"acme/website/0x10", "acme/website/1e3", "acme/website/1.0", "acme/website/1_0", "acme/website/9223372036854775808", "acme/website/１",
			"acme/website/1?a=b", "acme/website/1#a", "acme/website/1\n", "acme/website/ 1", "acme/website/%31", "acme/website/..", "acme%2fwebsite/x/1",
			"https://api.bitbucket.org" + at.path + "/deploy-keys/x", "https://bitbucket.org/acme/website/1", "acme/website/SHA256:x", "acme/website/" + strings.Repeat("1", 10_000),
		}
		for _, text := range hostile {
			ids = append(ids, text+"/website/1", "acme/"+text+"/1")
		}
		config := ""
		for i, id := range ids {
			id = strings.ReplaceAll(id, "website", at.name)
			if reference, ok := parseDeployKeyReference(at.placeKind, id); ok {
				t.Errorf("%q is taken for %+v", id, reference)
			}
			name := fmt.Sprintf("key_%d", i)
			config += strings.Replace(at.deployKey(key), `"test"`, `"`+name+`"`, 1) +
				fmt.Sprintf("\nimport {\n  to = %s.%s\n  id = %s\n}\n", at.typeName(), name, asHCL(t, id))
		}
		terraform.write(t, f.config(config))
		// Newer CLIs end with the first one.
		terraform.fails(t, []string{"plan"}, "Error: Invalid import ID")
		if sent := f.sent(); len(sent) > 0 {
			t.Errorf("requests were made: %v", sent)
		}
	})
}

// What is known only while a plan is carried out is checked then.
func TestAccDeployKey_hostileUnknowns(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, terraform, key := newFake(t), newCLI(t), keyLine(newKey(t))
		config := ""
		for i, text := range []string{"../../2.0/user", "..", "a%2fb", "a?b", "a\nb"} {
			config += fmt.Sprintf("\nresource \"terraform_data\" \"name_%d\" {\n  input = %s\n}\n", i, asHCL(t, text))
			resource := strings.Replace(at.deployKey(fmt.Sprintf("%s = terraform_data.name_%d.output", at.placeKind, i), key), `"test"`, fmt.Sprintf(`"key_%d"`, i), 1)
			config += resource + strings.Replace(strings.Replace(resource, "resource", "data", 1), key, "key_id = 1", 1)
		}
		terraform.write(t, f.config(config))
		out := terraform.fails(t, []string{"apply", "-auto-approve"}, "Error: ")
		if got := strings.Count(out, "Error: Invalid "+string(at.placeKind)); got != 10 {
			t.Errorf("%d of 10 names were refused: %s", got, out)
		}
		if sent := f.sent(); len(sent) > 0 {
			t.Errorf("requests were made: %v", sent)
		}
	})
}

func shortRSA(t *testing.T) string {
	t.Helper()
	modulus := new(big.Int).Lsh(big.NewInt(1), 1023)
	return authorizedKey(t, &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 65537})
}

func dsaKey(t *testing.T) string {
	t.Helper()
	return authorizedKey(t, &dsa.PublicKey{
		Parameters: dsa.Parameters{P: new(big.Int).Lsh(big.NewInt(1), 1023), Q: new(big.Int).Lsh(big.NewInt(1), 159), G: big.NewInt(2)},
		Y:          big.NewInt(4),
	})
}

// A key that Bitbucket would refuse today can be there already.
func TestAccDeployKey_importsOldKey(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, old := newFake(t), shortRSA(t)
		existing := f.add(at, old, "old")
		refused := message("Bitbucket refuses this key", "2048 bits and more; this one has 1024")
		renamed := resource.TestStep{Config: f.config(at.deployKey(keyLine(old), `label = "renamed"`))}
		if at.placeKind == onProject {
			renamed.ExpectError = refused // It would be removed, and could not be added again.
		} else {
			renamed.ConfigPlanChecks = at.planned(plancheck.ResourceActionUpdate)
		}
		config := f.config(at.deployKey(keyLine(old), `label = "old"`))
		test(t,
			at.importing(config, at.id(existing.ID)),
			resource.TestStep{
				Config:           config,
				ConfigPlanChecks: at.planned(plancheck.ResourceActionNoop),
			},
			renamed,
			resource.TestStep{
				Config:      f.config(at.deployKey(keyLine(old), `label = "renamed"`, at.in(at.other))),
				ExpectError: refused,
			},
		)
	})
}

// Only Bitbucket knows whether it takes these, so they are sent.
func TestAccDeployKey_doubtfulKey(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f := newFake(t)
		test(t, resource.TestStep{
			Config:           f.config(at.deployKey(keyLine(dsaKey(t)))),
			ConfigPlanChecks: at.planned(plancheck.ResourceActionCreate, at.unknown()...),
			PostApplyFunc:    f.expectWrites(t, "POST "+at.collection()+" 200"),
		})
	})
}
