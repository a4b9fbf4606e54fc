package provider

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
	fwresource "github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// The tests for both kinds of keys are in deploy_key_resource_test.go: see
// [acctest.ForEachParent].

// The plan shows the replacement and its reason.
func TestAccProjectDeployKey_planOfChange(t *testing.T) {
	t.Parallel()
	f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
	terraform.Write(t, f.Config(acctest.WEB.DeployKey(key, `label = "a"`)))
	terraform.MustRun(t, "apply", "-auto-approve")
	terraform.Write(t, f.Config(acctest.WEB.DeployKey(key, `label = "b"`)))
	out := terraform.MustRun(t, "plan")
	acctest.Contains(t, out, acctest.WEB.Address()+" must be replaced", `label = "a" -> "b" # forces replacement`, "1 to add, 0 to change, 1 to destroy")
	if strings.Count(out, "forces replacement") != 1 {
		t.Errorf("more than the label forces replacement: %s", out)
	}
}

// Each command sends exactly these requests.
func TestAccProjectDeployKey_requestsPerCommand(t *testing.T) {
	t.Parallel()
	f, terraform, key := acctest.NewFake(t), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t)+" me\n")
	get, post, second := "GET "+acctest.WEB.Collection()+" 200", "POST "+acctest.WEB.Collection()+" 200", acctest.WEB.SecondKey()
	for _, step := range []struct {
		lines []string
		args  []string
		want  []string
	}{
		{nil, []string{"plan"}, nil},
		{nil, []string{"apply", "-auto-approve"}, []string{post}},
		{nil, []string{"plan"}, []string{get}},
		{[]string{`label = "x"`}, []string{"apply", "-auto-approve"}, []string{get, "DELETE " + acctest.WEB.FirstKey() + " 204", post}},
		{[]string{`label = "x"`, fmt.Sprintf("workspace = %q", acctest.WorkspaceUUID)}, []string{"plan"}, []string{get, "GET " + strings.Replace(second, "acme", url.PathEscape(acctest.WorkspaceUUID), 1) + " 200"}},
		{[]string{`label = "x"`, `project = "API"`}, []string{"plan"}, []string{get, "GET " + strings.Replace(second, "WEB", "API", 1) + " 404"}},
		{[]string{`label = "x"`}, []string{"destroy", "-auto-approve"}, []string{get, "DELETE " + second + " 204"}},
	} {
		terraform.Write(t, f.Config(acctest.WEB.DeployKey(append(step.lines, key)...)))
		out := terraform.MustRun(t, step.args...)
		if got := f.Sent(); !slices.Equal(got, step.want) {
			t.Errorf("%v with %v made the requests\n  %s\nwant\n  %s\n%s", step.args, step.lines, strings.Join(got, "\n  "), strings.Join(step.want, "\n  "), out)
		}
	}
}

// The provider cannot find a renamed project by its old key or its UUID. With the new
// project key in the configuration, the deploy keys are kept.
func TestAccProjectDeployKey_renamed(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	first, second := acctest.KeyLine(acctest.NewKey(t)), acctest.KeyLine(acctest.NewKey(t))
	config := func(project string) string {
		return f.Config(acctest.WEB.DeployKey(first, acctest.WEB.Line(project)) + withName(acctest.WEB.DeployKey(second, acctest.WEB.Line(project)), "second"))
	}
	terraform.Write(t, config("WEB"))
	terraform.MustRun(t, "apply", "-auto-approve")
	f.RenameProject("acme", "WEB", "SITE")
	f.ForgetRequests()
	for _, args := range [][]string{{"apply", "-auto-approve"}, {"destroy", "-auto-approve"}, {"destroy", "-auto-approve", "-refresh=false"}} {
		terraform.Fails(t, args, append([]string{"Error: Unable to ", "Project not found"}, adviceOfRenamed...)...)
	}
	if keys := terraform.State(t); len(keys) != 2 || len(f.ProjectDeployKeys("acme", "SITE")) != 2 {
		t.Errorf("the state has %+v, Bitbucket %+v", keys, f.ProjectDeployKeys("acme", "SITE"))
	}
	f.ForgetRequests()
	terraform.Write(t, config("SITE"))
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve", "-refresh=false"), "0 added, 2 changed, 0 destroyed")
	terraform.MustRun(t, "plan", "-detailed-exitcode")
	f.ExpectWrites(t)()
	terraform.MustRun(t, "destroy", "-auto-approve")
	if keys := f.ProjectDeployKeys("acme", "SITE"); len(keys) > 0 {
		t.Errorf("Bitbucket still has %v", keys)
	}
}

var adviceOfRenamed = []string{
	"The key is still in the Terraform state.", "If the project or its workspace was renamed, put the new name into the configuration (workspace, project)",
	"terraform apply -refresh=false", "terraform state rm",
}

func TestProjectDeployKey_renamed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rename             func(*acctest.Fake)
		workspace, project string
		message            string
	}{
		"workspace": {func(f *acctest.Fake) { f.RenameWorkspace("acme", "umbrella") }, "umbrella", "WEB", "No workspace with identifier 'acme'."},
		"and its key was taken": {func(f *acctest.Fake) {
			f.RenameProject("acme", "WEB", "SITE")
			f.AddProject("acme", emulator.Project{Key: "WEB"})
			f.AddProjectDeployKey("acme", "WEB", acctest.NewKey(t), "of another project")
		}, "acme", "SITE", "404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, config := acctest.NewFake(t), map[string]string{"key": acctest.NewKey(t)}
			stored := createKey(t, f, acctest.WEB, nil, config)
			tc.rename(f)
			advice := append([]string{"Error: Unable to ", tc.message}, adviceOfRenamed...)
			r := newKeyRun(t, f, acctest.WEB, nil)
			read, out := r.read(t, stored)
			acctest.Contains(t, out, advice...)
			kept, out := r.apply(t, stored, r.planDelete(t, stored))
			acctest.Contains(t, out, advice...)
			for _, state := range []*storedKey{read, kept} {
				if !maps.Equal(r.values(t, state.state), r.values(t, stored.state)) {
					t.Errorf("the state is %v", r.values(t, state.state))
				}
			}
			if keys := f.ProjectDeployKeys(tc.workspace, tc.project); len(keys) != 1 {
				t.Errorf("Bitbucket has %v", keys)
			}
			f.ForgetRequests()
			config["workspace"], config["project"] = tc.workspace, tc.project
			stored = newKeyRun(t, f, acctest.WEB, nil).change(t, stored, config)
			f.ExpectWrites(t)()
			r = newKeyRun(t, f, acctest.WEB, nil)
			stored = r.refresh(t, stored)
			r.plan(t, stored, config).expect(t, nil, nil, nil)
			if _, out := r.apply(t, stored, r.planDelete(t, stored)); out != "" || len(f.ProjectDeployKeys(tc.workspace, tc.project)) > 0 {
				t.Errorf("Bitbucket still has %v: %s", f.ProjectDeployKeys(tc.workspace, tc.project), out)
			}
		})
	}
}

// The state is kept if the account is no longer an administrator of the project.
func TestAccProjectDeployKey_permissionLost(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	terraform.Write(t, f.Config(acctest.WEB.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
	terraform.MustRun(t, "apply", "-auto-approve")
	f.SetProjectPermission("acme", "WEB", emulator.PermissionRead)
	terraform.Fails(t, []string{"plan"}, "Unable to read deploy key", "Could not read deploy key 10958984 of project acme/WEB.", "403 Forbidden",
		"The request needs an account that is an administrator of the project. Scopes of its API token: admin:project:bitbucket (OAuth: project and project:admin).")
	terraform.Fails(t, []string{"destroy", "-auto-approve", "-refresh=false"}, "Unable to delete deploy key", "403 Forbidden",
		"admin:project:bitbucket, write:ssh-key:bitbucket and delete:ssh-key:bitbucket")
	f.SetProjectPermission("acme", "WEB", emulator.PermissionAdmin)
	terraform.MustRun(t, "plan", "-detailed-exitcode")
}

// The same public key can be on a project and on one of its repositories. These are two
// independent deploy keys.
func TestAccProjectDeployKey_besideRepository(t *testing.T) {
	t.Parallel()
	f, terraform, key := acctest.NewFakeOfRepositories(t, []emulator.Repository{{Slug: "website", UUID: acctest.WebsiteUUID, Project: "WEB"}}), acctest.NewCLI(t), acctest.KeyLine(acctest.NewKey(t))
	both := acctest.Website.DeployKey(key, `label = "one"`) + acctest.WEB.DeployKey(key, `label = "all"`)
	terraform.Write(t, f.Config(both))
	terraform.MustRun(t, "apply", "-auto-approve")
	f.ForgetRequests()
	terraform.MustRun(t, "plan", "-detailed-exitcode")
	sent := f.Sent()
	if slices.Sort(sent); !slices.Equal(sent, []string{"GET " + acctest.WEB.Collection() + " 200", "GET " + acctest.Website.Collection() + " 200"}) {
		t.Errorf("sent %v", sent)
	}
	terraform.Write(t, f.Config(acctest.Website.DeployKey(key, `label = "one"`)))
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "0 added, 0 changed, 1 destroyed")
	f.OnlyKey(t)
	if keys := f.Keys(acctest.WEB); len(keys) > 0 {
		t.Errorf("the project has %v", keys)
	}
}

// The identity follows the configuration. It also changes if the key is replaced.
func TestAccProjectDeployKey_identity(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Identity)
	f, key := acctest.NewFake(t), acctest.NewKey(t)
	config := func(lines ...string) string {
		return f.Config(acctest.WEB.DeployKey(append(lines, acctest.KeyLine(key))...))
	}
	identity := func(workspace string, number int64) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectIdentity(acctest.WEB.Address(), map[string]knownvalue.Check{
			"workspace": knownvalue.StringExact(workspace), "project": knownvalue.StringExact("WEB"), "key_id": knownvalue.Int64Exact(number),
		})}
	}
	byUUID := fmt.Sprintf("workspace = %q", acctest.WorkspaceUUID)
	acctest.Test(t,
		acctest.Step{Config: config(), ConfigStateChecks: identity("acme", acctest.FirstID)},
		acctest.Step{
			Config: config(`label = "new"`), ConfigStateChecks: identity("acme", acctest.FirstID+1),
			PostApplyFunc: importsByIdentity(t, config(`label = "new"`), acctest.WEB, acctest.FirstID+1),
		},
		acctest.Step{
			Config:            config(`label = "new"`, byUUID),
			ConfigPlanChecks:  acctest.WEB.Planned(plancheck.ResourceActionUpdate),
			ConfigStateChecks: identity(acctest.WorkspaceUUID, acctest.FirstID+1),
		},
		acctest.Step{
			PreConfig:        func() { f.Remove(acctest.WEB, acctest.FirstID+1) },
			Config:           config(`label = "new"`, byUUID),
			ConfigPlanChecks: acctest.WEB.Planned(plancheck.ResourceActionCreate, acctest.WEB.Unknown()...),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectIdentityValueMatchesState(acctest.WEB.Address(), tfjsonpath.New("key_id")),
			},
		},
	)
}

// kindNamed returns the kind with this attribute.
func kindNamed(attribute string) *parentKind {
	return map[string]*parentKind{"repository": repositoryKind, "project": projectKind}[attribute]
}

// A model has the names of its kind's schema, and comes back as it was written.
func TestParentKind_getAndSet(t *testing.T) {
	t.Parallel()
	for _, kind := range []*parentKind{repositoryKind, projectKind} {
		var schema fwresource.SchemaResponse
		(&deployKeyResource{kind: kind}).Schema(t.Context(), fwresource.SchemaRequest{}, &schema)
		object := schema.Schema.Type().TerraformType(t.Context())
		key := bitbucket.DeployKey{ID: 7, Key: acctest.NewKey(t), Label: "ci", Comment: "ada"}
		written := deployKeyModel{Workspace: types.StringValue("acme"), Parent: types.StringValue("WEB")}
		written.flatten(kind.newParent("acme", "WEB"), &key)
		state := tfsdk.State{Schema: schema.Schema, Raw: tftypes.NewValue(object, nil)}
		if diags := kind.set(t.Context(), &state, &written); diags.HasError() {
			t.Fatal(diags)
		}
		var name types.String
		if diags := state.GetAttribute(t.Context(), path.Root(kind.attribute), &name); diags.HasError() || name.ValueString() != "WEB" {
			t.Errorf("%s: got %s, %v", kind.attribute, name, diags)
		}
		var read deployKeyModel
		diags := kind.get(t.Context(), state, &read)
		read.Key = written.Key // The parsed keys are equal, not identical.
		if diags.HasError() || read != written {
			t.Errorf("got %+v, %v, want %+v", read, diags, written)
		}
		for _, none := range []any{nil, tftypes.UnknownValue} {
			state.Raw = tftypes.NewValue(object, none)
			if diags := kind.get(t.Context(), state, &read); !diags.HasError() {
				t.Errorf("%v was read without an error", none)
			}
		}
	}
}
