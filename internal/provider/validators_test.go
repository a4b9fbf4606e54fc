package provider

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// The plan reports a mistake before any request.
func TestAccDeployKey_validation(t *testing.T) {
	t.Parallel()
	key := acctest.NewKey(t)
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
		"control characters": {fmt.Sprintf(`key = "%s\u0007"`, key), "Control characters in public key"},
		"control in comment": {fmt.Sprintf(`key = "%s a\u0007b"`, key), "Invalid comment"},
		"host key":           {fmt.Sprintf("key = %q", "bitbucket.org "+key), "Host key given"},
		"no-break space":     {fmt.Sprintf("key = %q", strings.Replace(key, " ", "\u00a0", 1)), `a no-break space .U.00A0.`},
		"path":               {`key = "~/.ssh/id_ed25519.pub"`, `Write file."PATH".`},
		"fingerprint":        {`key = "256 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU me (ED25519)"`, "Fingerprint given"},
		"bad base64":         {fmt.Sprintf("key = %q", "ssh-ed25519 "+blob[:20]+"!"), "Invalid base64 in public key"},
		"truncated":          {fmt.Sprintf("key = %q", "ssh-ed25519 "+blob[:60]), "Damaged public key"},
		"bytes after it":     {fmt.Sprintf("key = %q", key+"AAAA"), "Damaged public key"},
		"another type":       {fmt.Sprintf("key = %q", "ssh-rsa "+blob), "Key type does not match the key"},
		"short rsa":          {acctest.KeyLine(acctest.ShortRSA(t)), "Bitbucket refuses this key"},
		"label space":        {acctest.KeyLine(key) + "\n  label = \" x\"", "Invalid label"},
		"label file":         {acctest.KeyLine(key) + "\n  label = \"x\\n\"", `trimspace.file.`},
		"label newline":      {acctest.KeyLine(key) + "\n  label = \"x\\ny\"", "Invalid label"},
		"comment space":      {acctest.KeyLine(key) + "\n  comment = \"x \"", "Invalid comment"},
		"comment tab":        {acctest.KeyLine(key) + "\n  comment = \"x\\ty\"", "Invalid comment"},
		"private label":      {acctest.KeyLine(key) + "\n  label = \"-----BEGIN RSA PRIVATE KEY----- x\"", "Private key given"},
		"repository path":    {acctest.KeyLine(key) + "\n  repository = \"acme/website\"", "Invalid repository"},
		"repository dots":    {acctest.KeyLine(key) + "\n  repository = \"..\"", "Invalid repository"},
		"repository query":   {acctest.KeyLine(key) + "\n  repository = \"website?x\"", "Invalid repository"},
		"repository escape":  {acctest.KeyLine(key) + "\n  repository = \"a%2fb\"", "Invalid repository"},
		"repository empty":   {acctest.KeyLine(key) + "\n  repository = \"\"", "Invalid repository"},
		"repository uuid":    {acctest.KeyLine(key) + "\n  repository = \"85D08b4e-571d-44e9-a507-fa476535aa98\"", `Write "\{85D08b4e-571d-44e9-a507-fa476535aa98\}"`},
		"workspace uuid":     {acctest.KeyLine(key) + "\n  workspace = \"85d08b4e-571d-44e9-a507-fa476535aa98\"", `Write "\{85d08b4e-571d-44e9-a507-fa476535aa98\}"`},
		"workspace name":     {acctest.KeyLine(key) + "\n  workspace = \"Acme Inc\"", "Invalid workspace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := acctest.NewFake(t)
			acctest.Test(t, acctest.Step{
				Config:      f.Config(acctest.DeployKey(tc.line)),
				PlanOnly:    true,
				ExpectError: acctest.Message(tc.want),
			})
			if sent := f.Sent(); len(sent) > 0 {
				t.Errorf("requests were made: %v", sent)
			}
		})
	}
}

// hostile contains texts that could lead to a different endpoint, or split a line or a
// header, if a request contained them unescaped.
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

// summaries runs a command that prints JSON, and returns the summaries of the errors by
// address.
func summaries(t *testing.T, terraform *acctest.CLI, args ...string) map[string][]string {
	t.Helper()
	out, _ := terraform.Run(t, args...)
	type diagnostic struct{ Severity, Summary, Address string }
	by := map[string][]string{}
	note := func(d diagnostic) {
		if d.Severity == "error" {
			by[d.Address] = append(by[d.Address], d.Summary)
		}
	}
	// A plan prints an object for each diagnostic, and validate prints one for all.
	for values := json.NewDecoder(strings.NewReader(out)); values.More(); {
		var result struct {
			Diagnostic  diagnostic
			Diagnostics []diagnostic
		}
		if err := values.Decode(&result); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		note(result.Diagnostic)
		for _, d := range result.Diagnostics {
			note(d)
		}
	}
	return by
}

func TestAccDeployKey_hostileNames(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
		config, want := "", map[string][]string{}
		for _, text := range hostile {
			value := acctest.HCL(t, text)
			for _, attribute := range []string{"workspace", parent.Kind} {
				name := fmt.Sprintf("%s_%d", attribute, len(want))
				resource := parent.DeployKey(attribute+" = "+value, key)
				data := strings.Replace(strings.Replace(resource, "resource", "data", 1), key, "key_id = 1", 1)
				config += strings.Replace(resource, `"test"`, `"`+name+`"`, 1) + strings.Replace(data, `"test"`, `"`+name+`"`, 1)
				want[parent.TypeName+"."+name] = []string{"Invalid " + attribute}
				want["data."+parent.TypeName+"."+name] = []string{"Invalid " + attribute}
			}
		}
		terraform.Write(t, f.Config(config))
		if got := summaries(t, terraform, "validate", "-json"); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	})
}

// A label or comment can be any text of one line, because it is never part of an address.
func TestAccDeployKey_hostileTexts(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		refused := []string{"NUL", "tab", "CRLF", "trailing newline", "escape", "C1 control", "line separator", "no-break space"}
		config, want := "", map[string][]string{}
		accepted := map[string]string{}
		for name, text := range hostile {
			for _, attribute := range []string{"label", "comment"} {
				resource := parent.DeployKey(attribute+" = "+acctest.HCL(t, text), acctest.KeyLine(acctest.NewKey(t)))
				id := fmt.Sprintf("%s_%d", attribute, len(want)+len(accepted))
				if resource = strings.Replace(resource, `"test"`, `"`+id+`"`, 1); !slices.Contains(refused, name) {
					accepted[parent.TypeName+"."+id] = resource
					continue
				}
				config += resource
				want[parent.TypeName+"."+id] = []string{"Invalid " + attribute}
			}
		}
		config += strings.Replace(parent.DeployKey("key = "+acctest.HCL(t, acctest.NewKey(t)+" two\u2028lines")), `"test"`, `"comment_in_key"`, 1)
		want[parent.TypeName+".comment_in_key"] = []string{"Invalid comment"}
		f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
		terraform.Write(t, f.Config(config))
		if got := summaries(t, terraform, "plan", "-json"); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}

		config = ""
		for _, resource := range accepted {
			config += resource
		}
		terraform.Write(t, f.Config(config))
		terraform.MustRun(t, "apply", "-auto-approve")
		sent := f.Sent()
		if slices.Sort(sent); len(sent) != len(accepted) || len(slices.Compact(sent)) != 1 || sent[0] != "POST "+parent.Collection()+" 200" {
			t.Errorf("for %d keys the requests were %v", len(accepted), sent)
		}
		acctest.Contains(t, terraform.MustRun(t, "plan"), "No changes") // Bitbucket returned each text unchanged.
	})
}

func TestAccDeployKey_hostileImports(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
		ids := []string{
			"1", "acme/1", "acme/website/1/2", "acme/website/1/", "/acme/website/1", "acme/website/-1", "acme/website/0", "acme/website/١",
			"acme/website/0x10", "acme/website/1e3", "acme/website/1.0", "acme/website/1_0", "acme/website/9223372036854775808", "acme/website/１",
			"acme/website/1?a=b", "acme/website/1#a", "acme/website/1\n", "acme/website/ 1", "acme/website/%31", "acme/website/..", "acme%2fwebsite/x/1",
			"https://api.bitbucket.org" + parent.Path + "/deploy-keys/x", "https://bitbucket.org/acme/website/1", "acme/website/SHA256:x", "acme/website/" + strings.Repeat("1", 10_000),
		}
		for _, text := range hostile {
			ids = append(ids, text+"/website/1", "acme/"+text+"/1")
		}
		config := ""
		for i, id := range ids {
			id = strings.ReplaceAll(id, "website", parent.Name)
			if reference, ok := parseDeployKeyReference(kindNamed(parent.Kind), id); ok {
				t.Errorf("%q was accepted as %+v", id, reference)
			}
			name := fmt.Sprintf("key_%d", i)
			config += strings.Replace(parent.DeployKey(key), `"test"`, `"`+name+`"`, 1) +
				fmt.Sprintf("\nimport {\n  to = %s.%s\n  id = %s\n}\n", parent.TypeName, name, acctest.HCL(t, id))
		}
		terraform.Write(t, f.Config(config))
		// Newer CLIs stop at the first error.
		terraform.Fails(t, []string{"plan"}, "Error: Invalid import ID")
		if sent := f.Sent(); len(sent) > 0 {
			t.Errorf("requests were made: %v", sent)
		}
	})
}

// Values that are unknown in the plan are checked during apply.
func TestAccDeployKey_hostileUnknowns(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
		config := ""
		for i, text := range []string{"../../2.0/user", "..", "a%2fb", "a?b", "a\nb"} {
			config += fmt.Sprintf("\nresource \"terraform_data\" \"name_%d\" {\n  input = %s\n}\n", i, acctest.HCL(t, text))
			resource := strings.Replace(parent.DeployKey(fmt.Sprintf("%s = terraform_data.name_%d.output", parent.Kind, i), key), `"test"`, fmt.Sprintf(`"key_%d"`, i), 1)
			config += resource + strings.Replace(strings.Replace(resource, "resource", "data", 1), key, "key_id = 1", 1)
		}
		terraform.Write(t, f.Config(config))
		out := terraform.Fails(t, []string{"apply", "-auto-approve"}, "Error: ")
		if got := strings.Count(out, "Error: Invalid "+parent.Kind); got != 10 {
			t.Errorf("%d of 10 names were refused: %s", got, out)
		}
		if sent := f.Sent(); len(sent) > 0 {
			t.Errorf("requests were made: %v", sent)
		}
	})
}

// Bitbucket may have a key that it would not accept today.
func TestAccDeployKey_importsOldKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, old := acctest.NewFake(t), acctest.ShortRSA(t)
		existing := f.Add(parent, old, "old")
		refused := acctest.Message("Bitbucket refuses this key", "2048 bits and more, but this key has 1024")
		renamed := acctest.Step{Config: f.Config(parent.DeployKey(acctest.KeyLine(old), `label = "renamed"`))}
		if parent.IsProject() {
			renamed.ExpectError = refused // A replacement would remove the key and could not add it again.
		} else {
			renamed.ConfigPlanChecks = parent.Planned(plancheck.ResourceActionUpdate)
		}
		config := f.Config(parent.DeployKey(acctest.KeyLine(old), `label = "old"`))
		acctest.Test(t,
			parent.Importing(config, parent.ImportID(existing.ID)),
			acctest.Step{
				Config:           config,
				ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
			},
			renamed,
			acctest.Step{
				Config:      f.Config(parent.DeployKey(acctest.KeyLine(old), `label = "renamed"`, parent.Line(parent.Other))),
				ExpectError: refused,
			},
		)
	})
}

// The provider cannot know whether Bitbucket accepts these keys, so it sends them.
func TestAccDeployKey_doubtfulKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		acctest.Test(t, acctest.Step{
			Config:           f.Config(parent.DeployKey(acctest.KeyLine(acctest.DSAKey(t)))),
			ConfigPlanChecks: parent.Planned(plancheck.ResourceActionCreate, parent.Unknown()...),
			PostApplyFunc:    f.ExpectWrites(t, "POST "+parent.Collection()+" 200"),
		})
	})
}

// existingTexts are labels and comments that Bitbucket may have, although the provider would
// not write some of them.
var existingTexts = map[string]string{
	"emoji":            "\U0001F468\u200d\U0001F4BB laptop",
	"tab":              "a\tb",
	"spaces":           "  a  b  ",
	"only spaces":      "  ",
	"no-break spaces":  "\u00a0a\u00a0",
	"control":          "a\x07\x1b[31mb",
	"NUL":              "a\x00b",
	"line breaks":      "a\r\nb\n",
	"line separator":   "a\u2028b",
	"C1 control":       "\u0085a\u0085b",
	"template":         "${a} %{b} \"c\" \\",
	"decomposed":       "cafe\u0301",
	"text direction":   "a\u202eb",
	"byte order mark":  "\ufeffa",
	"replacement":      "a\ufffdb",
	"looks like a key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
	"host":             "bitbucket.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
	"none":             "",
}

// addExisting adds a key for each text of existingTexts as a label and as a comment. It
// returns the keys.
func addExisting(t *testing.T, f *acctest.Fake, parent acctest.Parent) []emulator.DeployKey {
	t.Helper()
	var keys []emulator.DeployKey
	for _, name := range slices.Sorted(maps.Keys(existingTexts)) {
		keys = append(keys, f.Add(parent, acctest.NewKey(t)+" me@host", existingTexts[name]))
		commented := f.Add(parent, acctest.NewKey(t), name)
		f.Edit(parent, commented.ID, func(key *emulator.DeployKey) { key.Comment = existingTexts[name] })
		keys = append(keys, commented)
	}
	return keys
}

// Terraform generates configuration for each key that Bitbucket has. It can be applied, and
// then the plan is empty. Only another value is checked.
func TestAccDeployKey_importsExistingTexts(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.ImportBlocks)
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
		keys := addExisting(t, f, parent)
		blocks := ""
		for i, key := range keys {
			blocks += fmt.Sprintf("\nimport {\n  to = %s.key_%d\n  id = %q\n}\n", parent.TypeName, i, parent.ImportID(key.ID))
		}
		terraform.Generate(t, f.Config(blocks))
		terraform.MustRun(t, "validate")
		acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), fmt.Sprintf("%d imported, 0 added, 0 changed, 0 destroyed", len(keys)))
		terraform.MustRun(t, "plan", "-detailed-exitcode")
		if writes := f.Writes(); len(writes) > 0 {
			t.Errorf("sent %v", writes)
		}

		generated := acctest.ReadFile(t, filepath.Join(terraform.Dir, "generated.tf"))
		width := max(len(parent.Kind), len("workspace"))
		for _, change := range [][3]string{
			{"label", `"a\tb"`, `"a\tc"`},
			{"label", `"  a  b  "`, `"  a  c  "`},
			{"comment", `"a\tb"`, `"a\tc"`},
		} {
			from, to := fmt.Sprintf("%-*s = %s", width, change[0], change[1]), change[0]+" = "+change[2]
			if strings.Count(generated, from) != 1 {
				t.Fatalf("%q is not in %s", from, generated)
			}
			terraform.WriteFile(t, "generated.tf", strings.Replace(generated, from, to, 1))
			terraform.Fails(t, []string{"plan"}, "Error: Invalid "+change[0])
		}

		// A change of the label sends the comment again. An update leaves the comment as it
		// is, and a replacement would write it.
		terraform.WriteFile(t, "generated.tf", strings.Replace(generated, fmt.Sprintf("%-*s = %q", width, "label", "tab"), `label = "renamed"`, 1))
		if parent.IsProject() {
			terraform.Fails(t, []string{"plan"}, "Error: Invalid comment")
			return
		}
		terraform.MustRun(t, "apply", "-auto-approve")
		terraform.MustRun(t, "plan", "-detailed-exitcode")
		if writes := f.Writes(); len(writes) != 1 {
			t.Errorf("sent %v", writes)
		}
	})
}

// The same over the protocol, since no CLI before Terraform 1.14 has queries.
func TestDeployKeyList_existingTexts(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		keys := addExisting(t, f, parent)
		l := newKeyList(t, f, parent)
		schema, found := l.Schemas.ResourceSchemas[parent.TypeName], 0
		for result := range l.results(t, 0, true, nil) {
			found++
			resource, err := result.Resource.Unmarshal(schema.ValueType())
			if err != nil {
				t.Fatal(err)
			}
			var attributes map[string]tftypes.Value
			if err := resource.As(&attributes); err != nil {
				t.Fatal(err)
			}
			generated := map[string]string{}
			for _, name := range []string{"workspace", parent.Kind, "key", "label", "comment"} {
				var text string
				if err := attributes[name].As(&text); err != nil {
					t.Fatal(err)
				}
				generated[name] = text
			}
			resp, err := l.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: parent.TypeName, Config: acctest.ProtocolObject(t, schema, generated)})
			if err != nil || len(resp.Diagnostics) > 0 {
				t.Errorf("%q: %v, %v", generated, err, resp)
			}
		}
		if found != len(keys) {
			t.Errorf("found %d of %d keys", found, len(keys))
		}
	})
}

// A fraction is reported as a mistake of the configuration, not as a bug of the provider. A
// value that is unknown in the plan is checked too.
func TestAccValidation_fractions(t *testing.T) {
	t.Parallel()
	f, key := acctest.NewFake(t), acctest.NewKey(t)
	f.AddDeployKey("acme", "website", key, "")
	exclusive := func(ids string) string {
		return "\nresource \"bitbucket_deploy_keys_exclusive\" \"test\" {\n  workspace = \"acme\"\n  repository = \"website\"\n  key_ids = " + ids + "\n}\n"
	}
	const later = "\nresource \"terraform_data\" \"number\" {\n  input = 1.5\n}\n"
	for name, config := range map[string]string{
		"key_id":                  f.Config(acctest.DataDeployKey("key_id = 1.5")),
		"key_ids":                 f.Config(exclusive("[10958984, 1.5]")),
		"large key_ids":           f.Config(exclusive("[9223372036854775808]")),
		"limit":                   f.Config(acctest.DataDeployments("limit = 1.5")),
		"max_retries":             f.Config(acctest.DataDeployKey("key_id = 1"), "max_retries = 1.5"),
		"max_concurrent_requests": f.Config(acctest.DataDeployKey("key_id = 1"), "max_concurrent_requests = 1.5"),
		"unknown key_id":          later + f.Config(acctest.DataDeployKey("key_id = terraform_data.number.output")),
		"unknown key_ids":         later + f.Config(exclusive("[terraform_data.number.output]")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terraform := acctest.NewCLI(t)
			terraform.Write(t, config)
			out := terraform.Fails(t, []string{"apply", "-auto-approve"}, "Error: Invalid number", "is not a whole number")
			if strings.Contains(out, "provider developer") || strings.Count(out, "Error:") != 1 {
				t.Error(out)
			}
		})
	}
	t.Run("whole numbers", func(t *testing.T) {
		t.Parallel()
		terraform := acctest.NewCLI(t)
		terraform.Write(t, f.Config(acctest.DataDeployKey("key_id = 10958984")+exclusive("[1.0958984e7]"), "max_retries = 1"))
		terraform.MustRun(t, "apply", "-auto-approve")
		terraform.MustRun(t, "plan", "-detailed-exitcode")
		terraform.MustRun(t, "destroy", "-auto-approve")
		terraform.Write(t, f.Config(exclusive("[10958984]")))
		terraform.MustRun(t, "import", "bitbucket_deploy_keys_exclusive.test", "acme/website")
	})
}

// A query writes configuration for each key that Bitbucket has. It can be applied, and then
// the plan is empty.
func TestAccDeployKeyList_existingTexts(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Query)
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
		keys := addExisting(t, f, parent)
		terraform.Write(t, f.Config(""))
		terraform.WriteFile(t, "all.tfquery.hcl", query(parent, "limit = 1000"))
		terraform.MustRun(t, "query", "-generate-config-out=generated.tf")
		terraform.MustRun(t, "validate")
		acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), fmt.Sprintf("%d imported, 0 added, 0 changed, 0 destroyed", len(keys)))
		terraform.MustRun(t, "plan", "-detailed-exitcode")
	})
}
