package provider

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// The plan reports a mistake before any request.
func TestAccDeployKey_validation(t *testing.T) {
	t.Parallel()
	key := acctest.NewKey(t)
	blob := strings.Fields(key)[1]
	repository := map[string][2]string{ // Each has the lines of the resource, and a part of the error.
		"empty key":          {`key = ""`, "Empty public key"},
		"private key":        {`key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"`, "Private key given"},
		"putty key":          {`key = "PuTTY-User-Key-File-3: ssh-ed25519"`, "Private key given"},
		"two keys":           {fmt.Sprintf("key = %q", key+"\n"+key), "Several public keys"},
		"options":            {fmt.Sprintf("key = %q", "no-pty "+key), "Public key with options"},
		"certificate":        {fmt.Sprintf("key = %q", strings.Replace(key, "ed25519", "ed25519-cert-v01@openssh.com", 1)), "Certificate given"},
		"rfc 4716":           {`key = "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA"`, "Public key in RFC 4716 format"},
		"control characters": {fmt.Sprintf(`key = "%s\u0007"`, key), "Control characters in public key"},
		"control in comment": {fmt.Sprintf(`key = "%s a\u0007b"`, key), "Invalid comment"},
		"host key":           {fmt.Sprintf("key = %q", "bitbucket.org "+key), "Host key given"},
		"no-break space":     {fmt.Sprintf("key = %q", strings.Replace(key, " ", "\u00a0", 1)), "a no-break space (U+00A0)"},
		"path":               {`key = "~/.ssh/id_ed25519.pub"`, `Write file("PATH")`},
		"fingerprint":        {`key = "256 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU me (ED25519)"`, "Fingerprint given"},
		"bad base64":         {fmt.Sprintf("key = %q", "ssh-ed25519 "+blob[:20]+"!"), "Invalid base64 in public key"},
		"truncated":          {fmt.Sprintf("key = %q", "ssh-ed25519 "+blob[:60]), "Damaged public key"},
		"bytes after it":     {fmt.Sprintf("key = %q", key+"AAAA"), "Damaged public key"},
		"another type":       {fmt.Sprintf("key = %q", "ssh-rsa "+blob), "Key type does not match the key"},
		"short rsa":          {acctest.KeyLine(acctest.ShortRSA(t)), "Bitbucket refuses this key"},
		"label space":        {acctest.KeyLine(key) + "\n  label = \" x\"", "Invalid label"},
		"label file":         {acctest.KeyLine(key) + "\n  label = \"x\\n\"", `trimspace(file(`},
		"label newline":      {acctest.KeyLine(key) + "\n  label = \"x\\ny\"", "Invalid label"},
		"comment space":      {acctest.KeyLine(key) + "\n  comment = \"x \"", "Invalid comment"},
		"comment tab":        {acctest.KeyLine(key) + "\n  comment = \"x\\ty\"", "Invalid comment"},
		"private label":      {acctest.KeyLine(key) + "\n  label = \"-----BEGIN RSA PRIVATE KEY----- x\"", "Private key given"},
		"repository path":    {acctest.KeyLine(key) + "\n  repository = \"acme/website\"", "Invalid repository"},
		"repository dots":    {acctest.KeyLine(key) + "\n  repository = \"..\"", "Invalid repository"},
		"repository query":   {acctest.KeyLine(key) + "\n  repository = \"website?x\"", "Invalid repository"},
		"repository escape":  {acctest.KeyLine(key) + "\n  repository = \"a%2fb\"", "Invalid repository"},
		"repository empty":   {acctest.KeyLine(key) + "\n  repository = \"\"", "Invalid repository"},
		"repository uuid":    {acctest.KeyLine(key) + "\n  repository = \"85D08b4e-571d-44e9-a507-fa476535aa98\"", `Write "{85D08b4e-571d-44e9-a507-fa476535aa98}"`},
		"workspace uuid":     {acctest.KeyLine(key) + "\n  workspace = \"85d08b4e-571d-44e9-a507-fa476535aa98\"", `Write "{85d08b4e-571d-44e9-a507-fa476535aa98}"`},
		"workspace name":     {acctest.KeyLine(key) + "\n  workspace = \"Acme Inc\"", "Invalid workspace"},
	}
	project := map[string][2]string{
		"lower case":   {acctest.KeyLine(key) + "\n  project = \"web\"", "Invalid project"},
		"uuid":         {acctest.KeyLine(key) + "\n  project = \"" + acctest.ProjectUUID + "\"", "Expected the key of a project as Bitbucket shows it, in capitals"},
		"digit":        {acctest.KeyLine(key) + "\n  project = \"1WEB\"", "Invalid project"},
		"path":         {acctest.KeyLine(key) + "\n  project = \"WEB/deploy-keys\"", "Invalid project"},
		"escape":       {acctest.KeyLine(key) + "\n  project = \"WEB%2F\"", "Invalid project"},
		"empty":        {acctest.KeyLine(key) + "\n  project = \"\"", "Invalid project"},
		"long":         {acctest.KeyLine(key) + "\n  project = \"" + strings.Repeat("W", 129) + "\"", "Invalid project"},
		"workspace":    {acctest.KeyLine(key) + "\n  workspace = \"Acme Inc\"", "Invalid workspace"},
		"private key":  {`key = "-----BEGIN OPENSSH PRIVATE KEY-----"`, "Private key given"},
		"label space":  {acctest.KeyLine(key) + "\n  label = \" x\"", "Invalid label"},
		"comment tab":  {acctest.KeyLine(key) + "\n  comment = \"x\\ty\"", "Invalid comment"},
		"short rsa":    {acctest.KeyLine(acctest.ShortRSA(t)), "Bitbucket refuses this key"},
		"another type": {strings.Replace(acctest.KeyLine(key), "ssh-ed25519", "ssh-rsa", 1), "Key type does not match the key"},
	}
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	invalid, want := map[string]string{}, map[string]string{}
	for parent, cases := range map[acctest.Parent]map[string][2]string{acctest.Website: repository, acctest.WEB: project} {
		for name, tc := range cases {
			name = strings.ReplaceAll(name, " ", "_")
			invalid[parent.TypeName+"."+name], want[parent.TypeName+"."+name] = withName(parent.DeployKey(tc[0]), name), tc[1]
		}
	}
	// Terraform plans only if all resources are valid, so the second round has the errors that
	// the provider reports in the plan.
	for range 2 {
		terraform.Write(t, f.Config(strings.Join(slices.Sorted(maps.Values(invalid)), "")))
		for address, out := range errorsOfPlan(t, terraform) {
			if words, found := want[address]; !found || !strings.Contains(out, words) {
				t.Errorf("%s: got the error %q, want %q", address, out, words)
			}
			delete(invalid, address)
		}
	}
	if len(invalid) > 0 {
		t.Errorf("there is no error for %v", invalid)
	}
	terraform.Write(t, f.Config(acctest.DeployKey()+acctest.WEB.DeployKey(`repository = "website"`)))
	out := terraform.Fails(t, []string{"plan"}, `An argument named "repository" is not expected here`)
	if strings.Count(out, `The argument "key" is required`) != 2 {
		t.Error(out)
	}
	if sent := f.Sent(); len(sent) > 0 {
		t.Errorf("requests were made: %v", sent)
	}
}

// errorsOfPlan returns the errors of a plan by the addresses of the resources.
func errorsOfPlan(t *testing.T, terraform *acctest.CLI) map[string]string {
	t.Helper()
	out, _ := terraform.Run(t, "plan", "-json")
	errors := map[string]string{}
	for values := json.NewDecoder(strings.NewReader(out)); values.More(); {
		var line struct {
			Diagnostic struct{ Severity, Summary, Detail, Address string }
		}
		if err := values.Decode(&line); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if d := line.Diagnostic; d.Severity == "error" {
			errors[d.Address] += d.Summary + " " + d.Detail + " "
		}
	}
	return errors
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

func TestDeployKey_hostileNames(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		r := newKeyRun(t, f, parent, nil)
		for name, text := range hostile {
			for _, attribute := range []string{"workspace", parent.Kind} {
				config := map[string]string{"workspace": "acme", parent.Kind: parent.Name}
				config[attribute] = text
				data := maps.Clone(config)
				config["key"], data["key_id"] = key, "1"
				for _, out := range []string{r.ValidateResource(t, parent.TypeName, config), r.ReadData(t, parent.TypeName, data)} {
					if !strings.HasPrefix(out, "Error: Invalid "+attribute) || strings.Count(out, "Error: ") != 1 {
						t.Errorf("%s as %s: got %s", name, attribute, out)
					}
				}
			}
		}
		r.sends(t)
	})
}

// A label or comment can be any text of one line, because it is never part of an address.
func TestDeployKey_hostileTexts(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		refused := []string{"NUL", "tab", "CRLF", "trailing newline", "escape", "C1 control", "line separator", "no-break space"}
		f := acctest.NewFake(t)
		r := newKeyRun(t, f, parent, nil)
		for name, text := range hostile {
			for _, attribute := range []string{"label", "comment"} {
				config := map[string]string{"key": acctest.NewKey(t), attribute: text}
				if slices.Contains(refused, name) {
					r.plan(t, nil, config).expectErrors(t, []string{"ERROR " + attribute + ": Invalid " + attribute})
					r.sends(t)
					continue
				}
				stored := r.change(t, nil, config)
				r.sends(t, "POST "+parent.Collection()+" 200")
				next := newKeyRun(t, f, parent, nil)
				next.plan(t, next.refresh(t, stored), config).expect(t, nil, nil, nil) // Bitbucket returned the text unchanged.
			}
		}
		r.plan(t, nil, map[string]string{"key": acctest.NewKey(t) + " two\u2028lines"}).expectErrors(t, []string{"ERROR key: Invalid comment"})
	})
}

func TestDeployKeyImport_hostile(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		r := newKeyRun(t, acctest.NewFake(t), parent, nil)
		ids := []string{
			"1", "acme/1", "acme/website/1/2", "acme/website/1/", "/acme/website/1", "acme/website/-1", "acme/website/0", "acme/website/١",
			"acme/website/0x10", "acme/website/1e3", "acme/website/1.0", "acme/website/1_0", "acme/website/9223372036854775808", "acme/website/１",
			"acme/website/1?a=b", "acme/website/1#a", "acme/website/1\n", "acme/website/ 1", "acme/website/%31", "acme/website/..", "acme%2fwebsite/x/1",
			"https://api.bitbucket.org" + parent.Path + "/deploy-keys/x", "https://bitbucket.org/acme/website/1", "acme/website/SHA256:x", "acme/website/" + strings.Repeat("1", 10_000),
		}
		for _, text := range hostile {
			ids = append(ids, text+"/website/1", "acme/"+text+"/1")
		}
		for _, id := range ids {
			id = strings.ReplaceAll(id, "website", parent.Name)
			if _, out := r.importKey(t, id); !strings.HasPrefix(out, "Error: Invalid import ID") {
				t.Errorf("%q: got %s", id, out)
			}
		}
		r.sends(t)
	})
}

// Values that are unknown in the plan are checked during apply.
func TestAccDeployKey_hostileUnknowns(t *testing.T) {
	t.Parallel()
	f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
	config := ""
	for i, text := range []string{"../../2.0/user", "..", "a%2fb", "a?b", "a\nb"} {
		name := fmt.Sprintf("name_%d", i)
		config += fmt.Sprintf("\nresource \"terraform_data\" %q {\n  input = %s\n}\n", name, acctest.HCL(t, text))
		for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
			line := parent.Kind + " = terraform_data." + name + ".output"
			config += withName(parent.DeployKey(line, key), name) + withName(parent.Data(line, "key_id = 1"), name)
		}
	}
	terraform.Write(t, f.Config(config))
	out := terraform.Fails(t, []string{"apply", "-auto-approve"}, "Error: ")
	for _, kind := range []string{"repository", "project"} {
		if got := strings.Count(out, "Error: Invalid "+kind); got != 10 {
			t.Errorf("%d of 10 names of a %s were refused: %s", got, kind, out)
		}
	}
	if sent := f.Sent(); len(sent) > 0 {
		t.Errorf("requests were made: %v", sent)
	}
}

// Bitbucket may have a key that it would not accept today.
func TestDeployKeyImport_oldKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, old := acctest.NewFake(t), acctest.ShortRSA(t)
		existing := f.Add(parent, old, "old")
		r := newKeyRun(t, f, parent, map[string]string{"update_strategy": "in_place"})
		imported, out := r.importKey(t, parent.ImportID(existing.ID))
		if out != "" {
			t.Fatal(out)
		}
		warning := []string{"WARNING key: Bitbucket refuses new keys of this kind"}
		r.plan(t, imported, map[string]string{"key": old, "label": "old"}).expect(t, nil, nil, warning)
		refused := func(config map[string]string) {
			t.Helper()
			acctest.Contains(t, acctest.Reported(r.plan(t, imported, config).response.Diagnostics), "Error: Bitbucket refuses this key", "2048 bits and more, but this key has 1024")
		}
		renamed := map[string]string{"key": old, "label": "renamed"}
		if parent.IsProject() {
			refused(renamed) // A replacement would remove the key and could not add it again.
		} else {
			plan := r.plan(t, imported, renamed)
			plan.expect(t, map[string]string{"label": "renamed"}, nil, warning)
			if _, out := r.apply(t, imported, plan); out != "" {
				t.Error(out)
			}
		}
		renamed[parent.Kind] = parent.Other
		refused(renamed)
	})
}

// The provider cannot know whether Bitbucket accepts these keys, so it sends them.
func TestDeployKeyApply_doubtfulKey(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		r := newKeyRun(t, acctest.NewFake(t), parent, nil)
		r.change(t, nil, map[string]string{"key": acctest.DSAKey(t)})
		r.sends(t, "POST "+parent.Collection()+" 200")
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

// addExisting adds a key for each text of existingTexts, which is its label and its comment. It
// returns the keys by the names of the texts.
func addExisting(t *testing.T, f *acctest.Fake, parent acctest.Parent) map[string]emulator.DeployKey {
	t.Helper()
	keys := map[string]emulator.DeployKey{}
	for name, text := range existingTexts {
		keys[name] = f.Add(parent, acctest.NewKey(t), text)
		f.Edit(parent, keys[name].ID, func(key *emulator.DeployKey) { key.Comment = text })
	}
	return keys
}

// Terraform generates configuration for each key that Bitbucket has. It can be applied, and
// then the plan is empty.
func TestAccDeployKey_importsExistingTexts(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.ImportBlocks)
	f, terraform, blocks := acctest.NewFake(t), acctest.NewCLI(t), ""
	for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
		for _, key := range addExisting(t, f, parent) {
			blocks += fmt.Sprintf("\nimport {\n  to = %s.key_%d\n  id = %q\n}\n", parent.TypeName, key.ID, parent.ImportID(key.ID))
		}
	}
	terraform.Generate(t, f.Config(blocks))
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), fmt.Sprintf("%d imported, 0 added, 0 changed, 0 destroyed", 2*len(existingTexts)))
	terraform.MustRun(t, "plan", "-detailed-exitcode")
	f.ExpectWrites(t)()
}

// Only another value is checked.
func TestDeployKeyImport_existingTexts(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		for name, key := range addExisting(t, f, parent) {
			r := newKeyRun(t, f, parent, map[string]string{"update_strategy": "in_place"})
			imported, out := r.importKey(t, parent.ImportID(key.ID))
			if out != "" {
				t.Fatal(out)
			}
			text := existingTexts[name]
			config := func(label, comment string) map[string]string {
				return map[string]string{"key": r.values(t, imported.state)["key"], "label": label, "comment": comment}
			}
			r.plan(t, imported, config(text, text)).expect(t, nil, nil, nil)
			label, comment := "ERROR label: Invalid label", "ERROR comment: Invalid comment"
			changed := strings.Replace(text, "b", "c", 1)
			switch {
			case name != "tab" && name != "spaces":
			case parent.IsProject(): // A replacement would write the comment, too.
				r.plan(t, imported, config(changed, text)).expectErrors(t, []string{label, comment})
				r.plan(t, imported, config("renamed", text)).expectErrors(t, []string{comment})
			default:
				r.plan(t, imported, config(changed, text)).expectErrors(t, []string{label})
				if name == "tab" {
					r.plan(t, imported, config(text, changed)).expectErrors(t, []string{comment})
				}
				f.ForgetRequests()
				renamed := r.change(t, imported, config("renamed", text))
				if writes := f.Writes(); len(writes) != 1 {
					t.Errorf("sent %v", writes)
				}
				next := newKeyRun(t, f, parent, nil)
				next.plan(t, next.refresh(t, renamed), config("renamed", text)).expect(t, nil, nil, nil)
			}
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
			if out := l.ValidateResource(t, parent.TypeName, generated); out != "" {
				t.Errorf("%q: %s", generated, out)
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
	for name, tc := range map[string]struct {
		config string
		errors int
	}{
		"data sources and resources": {f.Config(acctest.DataDeployKey("key_id = 1.5") + exclusive("[10958984, 1.5]") + withName(exclusive("[9223372036854775808]"), "large") + acctest.DataDeployments("limit = 1.5")), 4},
		"provider":                   {f.Config(acctest.DataDeployKey("key_id = 1"), "max_retries = 1.5", "max_concurrent_requests = 1.5"), 2},
		"unknown":                    {later + f.Config(acctest.DataDeployKey("key_id = terraform_data.number.output")+exclusive("[terraform_data.number.output]")), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terraform := acctest.NewCLI(t)
			terraform.Write(t, tc.config)
			out := terraform.Fails(t, []string{"apply", "-auto-approve"}, "Error: Invalid number", "is not a whole number")
			if strings.Contains(out, "provider developer") || strings.Count(out, "Error:") != tc.errors || strings.Count(out, "is not a whole number") != tc.errors {
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
		terraform.MustRun(t, "state", "rm", "bitbucket_deploy_keys_exclusive.test")
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
