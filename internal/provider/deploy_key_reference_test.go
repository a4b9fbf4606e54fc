package provider

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

func TestParseDeployKeyReference(t *testing.T) {
	t.Parallel()
	website := bitbucket.Place{Workspace: "acme", Repository: "website"}
	byUUID := bitbucket.Place{Workspace: workspaceUUID, Repository: websiteUUID}
	const fingerprint = "SHA256:aB+/cdefghijklmnopqrstuvwxyz0123456789ABCDE"
	for text, want := range map[string]deployKeyReference{
		"acme/website/7":                         {website, byNumber, "7"},
		workspaceUUID + "/" + websiteUUID + "/7": {byUUID, byNumber, "7"},
		"acme/website/" + fingerprint:            {website, byFingerprint, fingerprint},
		"acme/website/label:deploy":              {website, byLabel, "deploy"},
		"acme/website/label:a/b: c":              {website, byLabel, "a/b: c"},
		"acme/website/label:":                    {website, byLabel, ""},
		"acme/website/label:7":                   {website, byLabel, "7"},
		"https://api.bitbucket.org/2.0/repositories/acme/website/deploy-keys/7":                                                                            {website, byNumber, "7"},
		"https://proxy.example.com/bitbucket/2.0/repositories/acme/website/deploy-keys/7/":                                                                 {website, byNumber, "7"},
		"https://api.bitbucket.org/2.0/repositories/" + url.PathEscape(workspaceUUID) + "/" + url.PathEscape(websiteUUID) + "/deploy-keys/7?fields=values": {byUUID, byNumber, "7"},
		"https://bitbucket.org/acme/website/admin/access-keys/7":                                                                                           {website, byNumber, "7"},
		"https://bitbucket.org/acme/website/admin/access-keys/#7":                                                                                          {website, byNumber, "7"},
		"https://bitbucket.org/acme/website/admin/access-keys#7":                                                                                           {website, byNumber, "7"},
	} {
		if got, ok := parseDeployKeyReference(onRepository, text); !ok || got != want {
			t.Errorf("%s: got %+v, %t", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "acme/website", "acme/website/SHA256:short", "acme/website/MD5:aa", "acme/website/deploy", "acme/../label:x", "https://",
		"https://bitbucket.org/acme/website/admin/access-keys/", "https://bitbucket.org/acme/website/admin/access-keys/#x", "https://bitbucket.org/acme/website/src/7",
		"https://api.bitbucket.org/2.0/repositories/acme%2Fwebsite/x/deploy-keys/7", "https://api.bitbucket.org/2.0/repositories/acme/website/deploy-keys/%zz", "https://bitbucket.org/acme/website/7",
	} {
		if got, ok := parseDeployKeyReference(onRepository, text); ok {
			t.Errorf("%s is taken for %+v", text, got)
		}
	}
}

func TestParseDeployKeyReference_project(t *testing.T) {
	t.Parallel()
	web := bitbucket.Place{Workspace: "acme", Project: "WEB"}
	byUUID := bitbucket.Place{Workspace: workspaceUUID, Project: "W_1"}
	const fingerprint = "SHA256:aB+/cdefghijklmnopqrstuvwxyz0123456789ABCDE"
	for text, want := range map[string]deployKeyReference{
		"acme/WEB/7":              {web, byNumber, "7"},
		workspaceUUID + "/W_1/7":  {byUUID, byNumber, "7"},
		"acme/WEB/" + fingerprint: {web, byFingerprint, fingerprint},
		"acme/WEB/label:a/b: c":   {web, byLabel, "a/b: c"},
		"acme/WEB/label:":         {web, byLabel, ""},
		"https://api.bitbucket.org/2.0/workspaces/acme/projects/WEB/deploy-keys/7":                                                   {web, byNumber, "7"},
		"https://proxy.example.com/bitbucket/2.0/workspaces/acme/projects/WEB/deploy-keys/7/":                                        {web, byNumber, "7"},
		"https://api.bitbucket.org/2.0/workspaces/" + url.PathEscape(workspaceUUID) + "/projects/W_1/deploy-keys/7?fields=values.id": {byUUID, byNumber, "7"},
		"https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys/7":                                                   {web, byNumber, "7"},
		"https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys/#7":                                                  {web, byNumber, "7"},
		"https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys#7":                                                   {web, byNumber, "7"},
	} {
		if got, ok := parseDeployKeyReference(onProject, text); !ok || got != want {
			t.Errorf("%s: got %+v, %t", text, got, ok)
		}
		if got, ok := parseDeployKeyReference(onRepository, text); ok && strings.HasPrefix(text, "https://") {
			t.Errorf("%s is taken for %+v of a repository", text, got)
		}
	}
	for _, text := range []string{
		"", "acme/WEB", "acme/web/7", "acme/" + websiteUUID + "/7", "acme/WEB/SHA256:short", "acme/../label:x", "acme/W-1/7", "acme/1WEB/7",
		"https://bitbucket.org/acme/website/admin/access-keys/7", "https://bitbucket.org/acme/WEB/admin/access-keys/7", "https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys/",
		"https://bitbucket.org/acme/workspace/projects/WEB/7", "https://bitbucket.org/x/acme/workspace/projects/WEB/settings/access-keys/7",
		"https://api.bitbucket.org/2.0/repositories/acme/website/deploy-keys/7", "https://api.bitbucket.org/2.0/workspaces/acme/projects/web/deploy-keys/7",
		"https://api.bitbucket.org/2.0/workspaces/acme%2Fx/projects/WEB/deploy-keys/7", "https://api.bitbucket.org/2.0/workspaces/acme/projects/WEB/deploy-keys/%zz",
	} {
		if got, ok := parseDeployKeyReference(onProject, text); ok {
			t.Errorf("%s is taken for %+v", text, got)
		}
	}
}

// A key is imported by whatever a person knows of it, for one request, and the
// plan is empty.
func TestAccDeployKey_importForms(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, key := newFake(t), newKey(t)
		f.add(at, newKey(t), "twice")
		f.add(at, newKey(t), "twice")
		existing := f.add(at, key, "team/deploy")
		var attributes deployKeyModel
		attributes.flatten(bitbucket.Place{}, &bitbucket.DeployKey{Key: key})
		for name, id := range map[string]string{
			"fingerprint": "acme/" + at.name + "/" + attributes.FingerprintSHA256.ValueString(),
			"label":       "acme/" + at.name + "/label:team/deploy",
			"self link":   f.url + at.path + "/deploy-keys/10958986",
			"with slash":  f.url + at.path + "/deploy-keys/10958986/", // So Bitbucket answers a POST for a project.
			"page":        at.page + "/access-keys/10958986",
		} {
			terraform := newCLI(t)
			terraform.write(t, f.config(at.deployKey(keyLine(key), `label = "team/deploy"`)))
			f.ForgetRequests()
			terraform.must(t, "import", at.address(), id)
			if sent := f.sent(); len(sent) != 1 {
				t.Errorf("%s: sent %v", name, sent)
			}
			terraform.must(t, "plan", "-detailed-exitcode")
			if keys := terraform.state(t); len(keys) != 1 || keys[0].id != existing.ID {
				t.Errorf("%s: imported %+v", name, keys)
			}
		}
		terraform := newCLI(t)
		terraform.write(t, f.config(at.deployKey(keyLine(key))))
		fails := func(id string, want ...string) {
			t.Helper()
			terraform.fails(t, []string{"import", at.address(), id}, want...)
		}
		fails("acme/"+at.name+"/label:twice", "No single deploy key found", "2 deploy keys of acme/"+at.name+` have the label "twice"`, "10958984", "10958985")
		fails("acme/"+at.name+"/label:none", "No single deploy key found", "No deploy key of acme/"+at.name+` has the label "none". The `+string(at.placeKind)+" has these:", "10958986", "team/deploy")
		fails("acme/"+at.other+"/label:none", "No single deploy key found", "the "+string(at.placeKind)+" has none")
		fails("acme/NOTHING/label:none", "Unable to list deploy keys", "404")
	})
}

// The identity follows the configuration, also where only the name changes.
func TestAccDeployKey_identity(t *testing.T) {
	t.Parallel()
	needs(t, terraformcli.Identity)
	f, key := newFake(t), newKey(t)
	config := func(lines ...string) string { return f.config(deployKey(append(lines, keyLine(key))...)) }
	identity := func(repository string) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectIdentity(address, map[string]knownvalue.Check{
			"workspace": knownvalue.StringExact("acme"), "repository": knownvalue.StringExact(repository), "key_id": knownvalue.Int64Exact(firstID),
		})}
	}
	test(t,
		resource.TestStep{Config: config(), ConfigStateChecks: identity("website")},
		resource.TestStep{Config: config(`label = "new"`), ConfigStateChecks: identity("website")},
		resource.TestStep{
			Config: config(`label = "new"`), ResourceName: address,
			ImportState: true, ImportStateKind: resource.ImportBlockWithResourceIdentity,
		},
		resource.TestStep{
			PreConfig:         func() { f.RenameRepository("acme", "website", "site") },
			Config:            config(`label = "new"`),
			ConfigPlanChecks:  planned(plancheck.ResourceActionNoop),
			ConfigStateChecks: identity("website"),
		},
		resource.TestStep{
			Config:            config(`label = "new"`, `repository = "site"`),
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: identity("site"),
		},
		resource.TestStep{
			Config:            config(`label = "new"`, `repository = "`+websiteUUID+`"`),
			ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: identity(websiteUUID),
		},
		resource.TestStep{
			PreConfig:        func() { f.RemoveDeployKey("acme", "site", firstID) },
			Config:           config(`label = "new"`, `repository = "`+websiteUUID+`"`),
			ConfigPlanChecks: planned(plancheck.ResourceActionCreate, createdUnknown...),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectIdentityValueMatchesState(address, tfjsonpath.New("key_id")),
			},
		},
	)
}

// An identity that can name no key is refused before any request.
func TestAccDeployKey_identityErrors(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		needs(t, terraformcli.Identity)
		f, key := newFake(t), newKey(t)
		for _, identity := range []string{
			`workspace = "acme", ` + at.in("../"+at.name) + `, key_id = 1`,
			`workspace = "", ` + at.in(at.name) + `, key_id = 1`,
			`workspace = "acme", ` + at.in(at.name) + `, key_id = 0`,
		} {
			test(t, resource.TestStep{
				Config:      f.config(at.deployKey(keyLine(key)) + "\nimport {\n  to = " + at.address() + "\n  identity = {" + strings.ReplaceAll(identity, ", ", "\n") + "}\n}\n"),
				ExpectError: message("Invalid import identity", at.expected()),
			})
		}
		if sent := f.sent(); len(sent) > 0 {
			t.Errorf("sent %v", sent)
		}
	})
}

// Moving a resource in the state is none of Bitbucket's business.
func TestAccDeployKey_moved(t *testing.T) {
	t.Parallel()
	forEachPlace(t, func(t *testing.T, at testPlace) {
		f, cli, key := newFake(t), newCLI(t), keyLine(newKey(t))
		one := at.deployKey(key)
		each := strings.Replace(one, "{", "{\n  for_each = toset([\"a\"])", 1)
		moved := fmt.Sprintf("\nmoved {\n  from = %s\n  to = %[1]s[\"a\"]\n}\n", at.address())
		cli.write(t, f.config(one))
		cli.must(t, "apply", "-auto-approve")
		f.ForgetRequests()
		cli.write(t, f.config(each+moved))
		contains(t, cli.must(t, "apply", "-auto-approve"), "0 added, 0 changed, 0 destroyed")
		cli.must(t, "state", "mv", at.address()+`["a"]`, at.typeName()+`.renamed["b"]`)
		cli.write(t, f.config(strings.NewReplacer(`"test"`, `"renamed"`, `"a"`, `"b"`).Replace(each)))
		cli.must(t, "plan", "-detailed-exitcode")
		if writes := f.writes(); len(writes) > 0 {
			t.Errorf("sent %v", writes)
		}
	})
}
