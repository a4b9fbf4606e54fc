package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestAccDeployKeysDataSource_pages(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := acctest.NewFake(t)
		var want []knownvalue.Check
		for i := range 201 {
			key := f.Add(parent, acctest.NewKey(t), fmt.Sprintf("label %d", i))
			want = append(want, knownvalue.ObjectPartial(map[string]knownvalue.Check{
				"key_id":    knownvalue.Int64Exact(key.ID),
				"label":     knownvalue.StringExact(key.Label),
				"id":        knownvalue.StringExact(parent.ImportID(key.ID)),
				"last_used": knownvalue.Null(),
			}))
		}
		here, keys := search(parent, parent.Line(parent.Name)), tfjsonpath.New("keys")
		acctest.Test(t,
			acctest.Step{
				Config: f.Config(here + withName(search(parent, parent.Line(parent.Other)), "empty")),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("data."+parent.TypeName+"s.test", keys, knownvalue.ListExact(want)),
					statecheck.ExpectKnownValue("data."+parent.TypeName+"s.empty", keys, knownvalue.ListSizeExact(0)),
				},
				PostApplyFunc: func() {
					var queries []string
					for _, request := range f.Requests() {
						if strings.HasPrefix(request.Path, parent.Path+"/") {
							queries = append(queries, request.Query)
						}
					}
					if len(queries) < 3 || !slices.Equal(queries[:3], []string{"pagelen=100", "pagelen=100&page=2", "pagelen=100&page=3"}) {
						t.Errorf("got the queries %v", queries)
					}
				},
			},
			// If a page fails, the whole list fails, so that no list is incomplete.
			acctest.Step{
				PreConfig:   func() { f.Inject(emulator.Fault{Skip: 2, Status: 403}) },
				Config:      f.Config(here),
				ExpectError: acctest.Message("Unable to list deploy keys", "403 Forbidden"),
			},
		)
	})
}

// search returns a data source for all keys of a parent.
func search(p acctest.Parent, lines ...string) string {
	return fmt.Sprintf("\ndata \"%ss\" \"test\" {\n  workspace = \"acme\"\n  %s\n}\n", p.TypeName, strings.Join(lines, "\n  "))
}

// Without a repository or project, the data source lists the keys of the whole
// workspace, sorted by the name of the parent.
func TestAccDeployKeysDataSource_workspace(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform := newAudited(t, parent), acctest.NewCLI(t)
		shared := newPublicKeyValue(f.Keys(parent.Named(parent.Other))[0].Key).fingerprintSHA256().ValueString()
		const website, second, api, last = "website/10958984", "website/10958985", "api/10958987", "api/10958988"
		wants, config := map[string]string{}, ""
		finds := func(name string, keys []string, lines ...string) {
			t.Helper()
			config += withName(search(parent, lines...), name) + fmt.Sprintf("\noutput %q {\n  value = join(\" \", data.%ss.%[1]s.keys[*].id)\n}\n", name, parent.TypeName)
			for i, key := range keys {
				name, number, _ := strings.Cut(parent.Reworded(key), "/")
				keys[i] = "acme/" + name + "/" + number
			}
			wants[name] = strings.Join(keys, " ")
		}
		finds("all", []string{api, last, website, second})
		finds("of_project", []string{website, second}, `project = "WEB"`)
		finds("by_label", []string{second}, `label_pattern = "(?i)^DEPLOY"`)
		finds("by_fingerprint", []string{api, website}, fmt.Sprintf("fingerprint_sha256 = %q", shared))
		finds("without_label", []string{api, last}, parent.Line(parent.Other), `label_pattern = "^$"`)
		if !parent.IsProject() {
			finds("of_none", nil, `project = "NONE"`)
		}
		config += fmt.Sprintf("\noutput \"names\" {\n  value = join(\" \", [for key in data.%[1]ss.all.keys : \"${key.workspace}/${key.%[2]s}/${key.key_id}\"])\n}\n", parent.TypeName, parent.Kind)
		wants["names"] = wants["all"]
		terraform.Write(t, f.Config(config))
		terraform.MustRun(t, "apply", "-auto-approve")
		for name, want := range wants {
			if got := terraform.Output(t, name); got != fmt.Sprintf("%q", want) {
				t.Errorf("%s: found %s, want %s", name, got, want)
			}
		}

		fails := func(attributes map[string]string, want ...string) {
			t.Helper()
			config := map[string]string{"workspace": "acme"}
			maps.Copy(config, attributes)
			out := acctest.NewConfiguredServer(t, f).ReadData(t, parent.TypeName+"s", config)
			acctest.Contains(t, out, append([]string{"Error: "}, want...)...)
		}
		fails(map[string]string{"label_pattern": "["}, "Invalid label_pattern", "missing closing ]")
		fails(map[string]string{"project": "web"}, "Expected the key of a project")
		fails(map[string]string{parent.Kind: parent.Reworded("secret")}, "Unable to list deploy keys", "403 Forbidden")
		if parent.IsProject() {
			fails(map[string]string{"project": "NONE"}, "Unable to list deploy keys", "404 Not Found")
		} else {
			fails(map[string]string{"project": "WEB", "repository": "api"}, "Invalid Attribute Combination")
		}
		f.Inject(emulator.Fault{Path: parent.Reworded("/empty/deploy-keys"), Status: 400})
		fails(nil, "Unable to list deploy keys", parent.Reworded("acme/empty"), "400")
		f.ClearFaults()
		f.Inject(emulator.Redirect("https://login.example.com/"))
		fails(nil, parent.Reworded("Unable to list repositories"), "The address has moved. Either the workspace has another name now", "Check workspace, base_url")
		f.ClearFaults()
		f.RenameWorkspace("acme", "other-name")
		fails(nil, parent.Reworded("Unable to list repositories"), parent.Reworded("list the repositories of acme"), "404 Not Found", "Check workspace for a typo first", "the workspace was deleted or renamed",
			"that can see the workspace", parent.Reworded("read:repository:bitbucket"))
	})
}

// An entry without a readable key is left out with a warning. So is a project without
// repositories, which Bitbucket does not tell from one that does not exist.
func TestAccDeployKeysDataSource_warnings(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, terraform := newAudited(t, parent), acctest.NewCLI(t)
		output := fmt.Sprintf("\noutput \"number\" {\n  value = \"${length(data.%ss.test.keys)} keys\"\n}\n", parent.TypeName)
		f.Inject(emulator.UnreadableKey(acctest.FirstID))
		for _, lines := range [][]string{nil, {parent.Line(parent.Name)}} {
			terraform.Write(t, f.Config(search(parent, lines...)+output))
			out := terraform.MustRun(t, "plan")
			acctest.Contains(t, out, "number = ", " keys", parent.Reworded("Warning: Deploy keys of some repositories cannot be read"), parent.Reworded("acme/website (deploy key 10958984)"))
			if want := fmt.Sprintf("%d keys", 3-2*len(lines)); !strings.Contains(out, want) {
				t.Errorf("there are not %s in %s", want, out)
			}
		}
		if !parent.IsProject() {
			terraform.Write(t, f.Config(search(parent, `project = "NONE"`)+output))
			acctest.Contains(t, terraform.MustRun(t, "plan"), `number = "0 keys"`, "Warning: No repository found in the project", "project NONE in the workspace acme")
		}
	})
}

// A token with only the scope for deploy keys cannot list the repositories.
func TestDeployKeysDataSource_scopes(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f := newAudited(t, parent)
		admin, read := parent.Reworded("admin:repository:bitbucket"), parent.Reworded("read:repository:bitbucket")
		reports := func(scopes []string, want ...string) {
			t.Helper()
			f.AllowBasic("ci@example.com", "api-token", scopes...)
			acctest.Contains(t, acctest.NewConfiguredServer(t, f).ReadData(t, parent.TypeName+"s", map[string]string{"workspace": "acme"}), want...)
		}
		reports([]string{admin}, parent.Reworded("Error: Unable to list repositories"), "403 Forbidden", "Required scopes: "+read, "Scopes of its API token: "+read+" (OAuth: "+parent.Kind+")")
		// A missing scope is an error. It is not a list in which everything is skipped.
		reports([]string{read}, "Error: Unable to list deploy keys", "403 Forbidden", "Required scopes: "+admin)
		reports([]string{admin, read}, parent.Reworded("Warning: Deploy keys of some repositories are not included"), parent.Reworded("acme/secret"))
	})
}

// Listing the keys of a workspace takes one request for each page of parents and one
// request for each parent.
func TestAccDeployKeysDataSource_cost(t *testing.T) {
	t.Parallel()
	acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
		f, parents := acctest.NewFakeOfMany(t, parent, 250)
		for i, parent := range parents {
			f.Add(parent, acctest.NewKey(t), "")
			if i < 150 {
				f.Add(parent, acctest.NewKey(t), "")
			}
		}
		terraform := acctest.NewCLI(t)
		terraform.Write(t, f.Config(search(parent)+fmt.Sprintf("\noutput \"number\" {\n  value = \"${length(data.%ss.test.keys)} keys\"\n}\n", parent.TypeName)))
		acctest.Contains(t, terraform.MustRun(t, "plan"), `number = "400 keys"`)
		most := f.MaxInFlight()
		if sent := f.Sent(); len(sent) != 3+250 || most > 10 {
			t.Errorf("%d requests, %d at once", len(sent), most)
		}
	})
}
