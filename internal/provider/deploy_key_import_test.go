package provider

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

func TestParseDeployKeyReference(t *testing.T) {
	t.Parallel()
	website := bitbucket.Parent{Workspace: "acme", Repository: "website"}
	const workspaceUUID, websiteUUID = acctest.WorkspaceUUID, acctest.WebsiteUUID
	byUUID := bitbucket.Parent{Workspace: workspaceUUID, Repository: websiteUUID}
	const fingerprint = "SHA256:aB+/cdefghijklmnopqrstuvwxyz0123456789ABCDE"
	for text, want := range map[string]deployKeyReference{
		"acme/website/7":                         {website, byID, "7"},
		workspaceUUID + "/" + websiteUUID + "/7": {byUUID, byID, "7"},
		"acme/website/" + fingerprint:            {website, byFingerprint, fingerprint},
		"acme/website/label:deploy":              {website, byLabel, "deploy"},
		"acme/website/label:a/b: c":              {website, byLabel, "a/b: c"},
		"acme/website/label:":                    {website, byLabel, ""},
		"acme/website/label:7":                   {website, byLabel, "7"},
		"https://api.bitbucket.org/2.0/repositories/acme/website/deploy-keys/7":                                                                            {website, byID, "7"},
		"https://proxy.example.com/bitbucket/2.0/repositories/acme/website/deploy-keys/7/":                                                                 {website, byID, "7"},
		"https://api.bitbucket.org/2.0/repositories/" + url.PathEscape(workspaceUUID) + "/" + url.PathEscape(websiteUUID) + "/deploy-keys/7?fields=values": {byUUID, byID, "7"},
		"https://bitbucket.org/acme/website/admin/access-keys/7":                                                                                           {website, byID, "7"},
		"https://bitbucket.org/acme/website/admin/access-keys/#7":                                                                                          {website, byID, "7"},
		"https://bitbucket.org/acme/website/admin/access-keys#7":                                                                                           {website, byID, "7"},
	} {
		if got, ok := parseDeployKeyReference(repositoryKind, text); !ok || got != want {
			t.Errorf("%s: got %+v, %t", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "acme/website", "acme/website/SHA256:short", "acme/website/MD5:aa", "acme/website/deploy", "acme/../label:x", "https://",
		"https://bitbucket.org/acme/website/admin/access-keys/", "https://bitbucket.org/acme/website/admin/access-keys/#x", "https://bitbucket.org/acme/website/src/7",
		"https://api.bitbucket.org/2.0/repositories/acme%2Fwebsite/x/deploy-keys/7", "https://api.bitbucket.org/2.0/repositories/acme/website/deploy-keys/%zz", "https://bitbucket.org/acme/website/7",
	} {
		if got, ok := parseDeployKeyReference(repositoryKind, text); ok {
			t.Errorf("%s was accepted as %+v", text, got)
		}
	}
}

func TestParseDeployKeyReference_project(t *testing.T) {
	t.Parallel()
	web := bitbucket.Parent{Workspace: "acme", Project: "WEB"}
	byUUID := bitbucket.Parent{Workspace: acctest.WorkspaceUUID, Project: "W_1"}
	const fingerprint = "SHA256:aB+/cdefghijklmnopqrstuvwxyz0123456789ABCDE"
	for text, want := range map[string]deployKeyReference{
		"acme/WEB/7":                     {web, byID, "7"},
		acctest.WorkspaceUUID + "/W_1/7": {byUUID, byID, "7"},
		"acme/WEB/" + fingerprint:        {web, byFingerprint, fingerprint},
		"acme/WEB/label:a/b: c":          {web, byLabel, "a/b: c"},
		"acme/WEB/label:":                {web, byLabel, ""},
		"https://api.bitbucket.org/2.0/workspaces/acme/projects/WEB/deploy-keys/7":                                                           {web, byID, "7"},
		"https://proxy.example.com/bitbucket/2.0/workspaces/acme/projects/WEB/deploy-keys/7/":                                                {web, byID, "7"},
		"https://api.bitbucket.org/2.0/workspaces/" + url.PathEscape(acctest.WorkspaceUUID) + "/projects/W_1/deploy-keys/7?fields=values.id": {byUUID, byID, "7"},
		"https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys/7":                                                           {web, byID, "7"},
		"https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys/#7":                                                          {web, byID, "7"},
		"https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys#7":                                                           {web, byID, "7"},
	} {
		if got, ok := parseDeployKeyReference(projectKind, text); !ok || got != want {
			t.Errorf("%s: got %+v, %t", text, got, ok)
		}
		if got, ok := parseDeployKeyReference(repositoryKind, text); ok && strings.HasPrefix(text, "https://") {
			t.Errorf("%s was accepted as %+v of a repository", text, got)
		}
	}
	for _, text := range []string{
		"", "acme/WEB", "acme/web/7", "acme/" + acctest.WebsiteUUID + "/7", "acme/WEB/SHA256:short", "acme/../label:x", "acme/W-1/7", "acme/1WEB/7",
		"https://bitbucket.org/acme/website/admin/access-keys/7", "https://bitbucket.org/acme/WEB/admin/access-keys/7", "https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys/",
		"https://bitbucket.org/acme/workspace/projects/WEB/7", "https://bitbucket.org/x/acme/workspace/projects/WEB/settings/access-keys/7",
		"https://api.bitbucket.org/2.0/repositories/acme/website/deploy-keys/7", "https://api.bitbucket.org/2.0/workspaces/acme/projects/web/deploy-keys/7",
		"https://api.bitbucket.org/2.0/workspaces/acme%2Fx/projects/WEB/deploy-keys/7", "https://api.bitbucket.org/2.0/workspaces/acme/projects/WEB/deploy-keys/%zz",
	} {
		if got, ok := parseDeployKeyReference(projectKind, text); ok {
			t.Errorf("%s was accepted as %+v", text, got)
		}
	}
}

// A key can be imported by each form of reference. The import sends one request, gives the
// same state as the creation of the key, and the plan is empty.
func TestDeployKeyImport_forms(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		f.Add(parent, acctest.NewKey(t), "twice")
		f.Add(parent, acctest.NewKey(t), "twice")
		config := map[string]string{"key": key + " a b", "label": "team/deploy"}
		created := newKeyRun(t, f, parent, nil).change(t, nil, config)
		forms := map[string]string{
			"names":          parent.ImportID(10958986),
			"workspace uuid": acctest.WorkspaceUUID + "/" + parent.Name + "/10958986",
			"fingerprint":    "acme/" + parent.Name + "/" + newPublicKeyValue(key).fingerprintSHA256().ValueString(),
			"label":          "acme/" + parent.Name + "/label:team/deploy",
			"self link":      f.URL + parent.Path + "/deploy-keys/10958986",
			"with slash":     f.URL + parent.Path + "/deploy-keys/10958986/", // Bitbucket sends this form in its reply to a POST for a project.
			"page":           parent.Page + "/access-keys/10958986",
		}
		if !parent.IsProject() { // Bitbucket does not accept the UUID of a project.
			forms["uuids"] = acctest.WorkspaceUUID + "/" + parent.UUID + "/10958986"
		}
		for name, id := range forms {
			f.ForgetRequests()
			r := newKeyRun(t, f, parent, nil)
			imported, out := r.importKey(t, id)
			if sent := f.Sent(); out != "" || len(sent) != 1 {
				t.Fatalf("%s: sent %v, got %s", name, sent, out)
			}
			want, state := r.values(t, created.state), r.values(t, imported.state)
			if strings.HasPrefix(id, "{") {
				want["id"] = id
				want["workspace"], _, _ = strings.Cut(id, "/")
				want[parent.Kind] = state[parent.Kind]
			}
			if !maps.Equal(state, want) {
				t.Errorf("%s: imported %v, want %v", name, state, want)
			}
			r.plan(t, imported, map[string]string{"key": key + " a   b\n", "label": "team/deploy", "workspace": want["workspace"], parent.Kind: want[parent.Kind]}).expect(t, nil, nil, nil)
			f.ExpectWrites(t)()
		}
		fails := func(id string, want ...string) {
			t.Helper()
			_, out := newKeyRun(t, f, parent, nil).importKey(t, id)
			acctest.Contains(t, out, want...)
		}
		fails("acme/"+parent.Name+"/label:twice", "Error: No single deploy key found", "2 deploy keys of acme/"+parent.Name+` have the label "twice"`, "10958984", "10958985")
		fails("acme/"+parent.Name+"/label:none", "Error: No single deploy key found", "No deploy key of acme/"+parent.Name+` has the label "none". The `+parent.Kind+" has these keys:", "10958986", "team/deploy")
		fails("acme/"+parent.Name+"/7", "Error: No single deploy key found", "No deploy key of acme/"+parent.Name+" has the ID 7. The "+parent.Kind+" has these keys:", "10958986", "team/deploy")
		fails("acme/"+parent.Other+"/7", "Error: No single deploy key found", "The "+parent.Kind+" has no deploy keys.")
		fails("acme/NOTHING/7", "Error: Unable to read deploy key", "404")
		fails("acme/"+parent.Other+"/label:none", "Error: No single deploy key found", "The "+parent.Kind+" has no deploy keys.")
		fails("acme/NOTHING/label:none", "Error: Unable to list deploy keys", "404")
	})
}

// If the key is not found, it may be an entry that cannot be read.
func TestDeployKeyImport_unreadable(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		f.Add(parent, acctest.NewKey(t), "unreadable")
		f.Add(parent, key, "CI")
		f.Inject(emulator.UnreadableKey(acctest.FirstID))
		_, out := newKeyRun(t, f, parent, nil).importKey(t, parent.ImportID(acctest.FirstID))
		acctest.Contains(t, out, "Error: Unable to read deploy key")
		_, out = newKeyRun(t, f, parent, nil).importKey(t, "acme/"+parent.Name+"/label:unreadable")
		acctest.Contains(t, out, "Error: No single deploy key found", "Bitbucket lists entries without a readable key: deploy key 10958984", "Open the list of access keys in Bitbucket's settings")
		r := newKeyRun(t, f, parent, nil)
		imported, out := r.importKey(t, "acme/"+parent.Name+"/label:CI")
		if out != "" {
			t.Fatal(out)
		}
		r.plan(t, imported, map[string]string{"key": key, "label": "CI"}).expect(t, nil, nil, nil)
	})
}

// importsByIdentity imports a key into another state. Its plan must change nothing else.
func importsByIdentity(t *testing.T, config string, parent acctest.Parent, id int64) func() {
	t.Helper()
	return func() {
		t.Helper()
		acctest.Test(t, acctest.Step{
			Config: config + fmt.Sprintf("\nimport {\n  to = %s\n  identity = {\n    workspace = \"acme\"\n    %s\n    key_id = %d\n  }\n}\n",
				parent.Address(), parent.Line(parent.Name), id),
			ConfigPlanChecks: parent.Planned(plancheck.ResourceActionNoop),
		})
	}
}

// The identity follows the configuration, even if only a name changes.
func TestAccDeployKey_identity(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Identity)
	f, key := acctest.NewFake(t), acctest.NewKey(t)
	config := func(lines ...string) string {
		return f.Config(acctest.DeployKey(append(lines, acctest.KeyLine(key))...))
	}
	identity := func(repository string) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectIdentity(acctest.Address, map[string]knownvalue.Check{
			"workspace": knownvalue.StringExact("acme"), "repository": knownvalue.StringExact(repository), "key_id": knownvalue.Int64Exact(acctest.FirstID),
		})}
	}
	acctest.Test(t,
		acctest.Step{Config: config(), ConfigStateChecks: identity("website")},
		acctest.Step{
			Config: config(`label = "new"`), ConfigStateChecks: identity("website"),
			PostApplyFunc: importsByIdentity(t, config(`label = "new"`), acctest.Website, acctest.FirstID),
		},
		acctest.Step{
			PreConfig:         func() { f.RenameRepository("acme", "website", "site") },
			Config:            config(`label = "new"`),
			ConfigPlanChecks:  planned(plancheck.ResourceActionNoop),
			ConfigStateChecks: identity("website"),
		},
		acctest.Step{
			Config:            config(`label = "new"`, `repository = "site"`),
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: identity("site"),
		},
		acctest.Step{
			Config:            config(`label = "new"`, `repository = "`+acctest.WebsiteUUID+`"`),
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: identity(acctest.WebsiteUUID),
		},
		acctest.Step{
			PreConfig:        func() { f.RemoveDeployKey("acme", "site", acctest.FirstID) },
			Config:           config(`label = "new"`, `repository = "`+acctest.WebsiteUUID+`"`),
			ConfigPlanChecks: planned(plancheck.ResourceActionCreate, createdUnknown...),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectIdentityValueMatchesState(acctest.Address, tfjsonpath.New("key_id")),
			},
		},
	)
}

// An invalid identity is reported before any request.
func TestAccDeployKey_identityErrors(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		acctest.Needs(t, terraformcli.Identity)
		f, key := acctest.NewFake(t), acctest.NewKey(t)
		for _, identity := range []string{
			`workspace = "acme", ` + parent.Line("../"+parent.Name) + `, key_id = 1`,
			`workspace = "", ` + parent.Line(parent.Name) + `, key_id = 1`,
			`workspace = "acme", ` + parent.Line(parent.Name) + `, key_id = 0`,
		} {
			acctest.Test(t, acctest.Step{
				Config:      f.Config(parent.DeployKey(acctest.KeyLine(key)) + "\nimport {\n  to = " + parent.Address() + "\n  identity = {" + strings.ReplaceAll(identity, ", ", "\n") + "}\n}\n"),
				ExpectError: acctest.Message("Invalid import identity", kindNamed(parent.Kind).docs.expectedName),
			})
		}
		if sent := f.Sent(); len(sent) > 0 {
			t.Errorf("sent %v", sent)
		}
	})
}

// A label is found in each Unicode form: macOS writes "é" as two characters.
func TestAccDeployKey_labelForms(t *testing.T) {
	t.Parallel()
	const composed, decomposed = "caf\u00e9", "cafe\u0301"
	f, terraform, config := acctest.NewFake(t), acctest.NewCLI(t), ""
	var imports [][]string
	for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
		for name, label := range map[string][2]string{parent.Name: {composed, decomposed}, parent.Other: {decomposed, composed}} {
			key, of := acctest.NewKey(t), parent.Line(name)
			f.Add(parent.Named(name), key, label[0])
			config += withName(parent.DeployKey(acctest.KeyLine(key), `label = "`+composed+`"`, of), name) + withName(parent.Data(`label = "`+decomposed+`"`, of), name) +
				withName(search(parent, of, `label_pattern = "^`+decomposed+`$"`), name) +
				fmt.Sprintf("\noutput %q {\n  value = length(data.%ss.%[1]s.keys)\n}\n", name, parent.TypeName)
			imports = append(imports, []string{"import", parent.TypeName + "." + name, "acme/" + name + "/label:" + label[1]})
			for _, wanted := range label {
				if _, out := newKeyRun(t, f, parent, nil).importKey(t, "acme/"+name+"/label:"+wanted); out != "" {
					t.Errorf("the label %+q, stored as %+q: %s", wanted, label[0], out)
				}
			}
		}
	}
	terraform.Write(t, f.Config(config))
	for _, args := range imports {
		terraform.MustRun(t, args...)
	}
	terraform.MustRun(t, "apply", "-auto-approve")
	terraform.MustRun(t, "plan", "-detailed-exitcode")
	for _, name := range []string{"website", "api", "WEB", "API"} {
		if found := terraform.Output(t, name); found != "1" {
			t.Errorf("found %s keys of %s", found, name)
		}
	}
	f.ExpectWrites(t)()
}
