package acctest

import (
	"context"
	"embed"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// States contains states of other providers and of this provider.
//
//go:embed testdata/states
var States embed.FS

// BareKey is the key in the states of testdata/states. The states were written by hand,
// from what is known about each provider.
const BareKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGaRGyOdZKn6eylaYiVQ3Fh75jgU78J+oNG2g3CMY6N5"

// ParentOfState returns the parent of the key in a state of testdata/states.
func ParentOfState(state string) Parent {
	if strings.Contains(state, "-project-") {
		return WEB
	}
	return Website
}

// Switching returns a CLI with the state of another provider, and a Bitbucket that has the
// key in that state.
func Switching(t *testing.T, state, comment string, attached ...string) (*Fake, *CLI) {
	t.Helper()
	f, terraform := NewFake(t), NewCLI(t, attached...)
	f.Add(ParentOfState(state), BareKey, "ci")
	f.Edit(ParentOfState(state), FirstID, func(k *emulator.DeployKey) {
		k.Comment, k.CreatedOn = comment, "2024-05-06T07:08:09.000000+00:00"
	})
	content, err := States.ReadFile("testdata/states/" + state + ".json")
	if err != nil {
		t.Fatal(err)
	}
	terraform.WriteFile(t, "terraform.tfstate", strings.ReplaceAll(string(content), "registry.terraform.io", Engine.RegistryHost()))
	return f, terraform
}

// ReplaceProvider runs the command that the guide shows. It fails the test if the guide
// does not show the command.
func (c *CLI) ReplaceProvider(t *testing.T, old string) {
	t.Helper()
	guide, err := os.ReadFile("../../templates/guides/switch-from-another-provider.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	Contains(t, string(guide), "terraform state replace-provider "+old+" bitbucket-deploy-keys/bitbucket\n")
	c.MustRun(t, "state", "replace-provider", "-auto-approve", old, "bitbucket-deploy-keys/bitbucket")
}

// OtherProvider replaces a provider that the state still names. Terraform starts that
// provider before it moves a resource to our provider.
type OtherProvider struct{ provider.Provider }

// Metadata implements provider.Provider.
func (OtherProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "bitbucket"
}

// Schema implements provider.Provider.
func (OtherProvider) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}

// Configure implements provider.Provider.
func (OtherProvider) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {
}

// DataSources implements provider.Provider.
func (OtherProvider) DataSources(context.Context) []func() datasource.DataSource { return nil }

// Resources implements provider.Provider.
func (OtherProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return OtherResource{TypeName: "bitbucket_deploy_key"} },
		func() resource.Resource { return OtherResource{TypeName: "bitbucket_repo_deploy_keys"} },
		func() resource.Resource { return OtherResource{TypeName: "bitbucket_project_deploy_keys"} },
	}
}

// OtherResource is a resource of OtherProvider that has only an ID.
type OtherResource struct {
	resource.Resource
	TypeName string
}

// Metadata implements resource.Resource.
func (r OtherResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = r.TypeName
}

// Schema implements resource.Resource.
func (OtherResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema.Attributes = map[string]schema.Attribute{"id": schema.StringAttribute{Computed: true}}
}
