package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	datasourceschema "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	tffunction "github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/list"
	listschema "github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	providerschema "github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	resourceschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// The file in testdata was compared with the output of Terraform and OpenTofu for
// the same provider. It differs only in features that they do not support yet.
func TestReadSchemas(t *testing.T) {
	t.Parallel()

	got, err := readSchemas(t.Context(), providerserver.NewProtocol6(fakeProvider{})())
	if err != nil {
		t.Fatal(err)
	}
	gotJSON, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if string(gotJSON)+"\n" != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", gotJSON, want)
	}
}

func TestReadSchemas_error(t *testing.T) {
	t.Parallel()

	_, err := readSchemas(t.Context(), providerserver.NewProtocol6(fakeProvider{broken: true})())
	if err == nil {
		t.Error("got no error for a provider that reports one")
	}
}

// fakeProvider has one example of everything that readSchemas converts.
type fakeProvider struct{ broken bool }

func (fakeProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "fake"
}

func (p fakeProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = providerschema.Schema{
		MarkdownDescription: "Talks to *nothing*.",
		Attributes: map[string]providerschema.Attribute{
			"token": providerschema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: "Secret."},
		},
	}
	if p.broken {
		resp.Diagnostics.AddError("Broken", "On purpose.")
	}
}

func (fakeProvider) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {
}

func (fakeProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return fakeResource{} }}
}

func (fakeProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{func() datasource.DataSource { return fakeDataSource{} }}
}

func (fakeProvider) ListResources(context.Context) []func() list.ListResource {
	return []func() list.ListResource{func() list.ListResource { return fakeListResource{} }}
}

func (fakeProvider) Functions(context.Context) []func() tffunction.Function {
	return []func() tffunction.Function{func() tffunction.Function { return fakeFunction{} }}
}

type fakeResource struct{ resource.Resource }

func (fakeResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "fake_thing"
}

func (fakeResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = resourceschema.Schema{
		Version:     1,
		Description: "Thing.",
		Attributes: map[string]resourceschema.Attribute{
			"name":   resourceschema.StringAttribute{Required: true},
			"secret": resourceschema.StringAttribute{Optional: true, WriteOnly: true},
			"sizes":  resourceschema.MapAttribute{ElementType: types.Int64Type, Computed: true},
			"parts": resourceschema.ListNestedAttribute{
				Optional:           true,
				DeprecationMessage: "Use nothing.",
				NestedObject: resourceschema.NestedAttributeObject{Attributes: map[string]resourceschema.Attribute{
					"on": resourceschema.BoolAttribute{Optional: true, Computed: true},
				}},
			},
		},
		Blocks: map[string]resourceschema.Block{
			"timeouts": resourceschema.SingleNestedBlock{Attributes: map[string]resourceschema.Attribute{
				"create": resourceschema.StringAttribute{Optional: true},
			}},
		},
	}
}

func (fakeResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"name": identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the thing."},
		"host": identityschema.StringAttribute{OptionalForImport: true},
	}}
}

type fakeDataSource struct{ datasource.DataSource }

func (fakeDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "fake_things"
}

func (fakeDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = datasourceschema.Schema{Attributes: map[string]datasourceschema.Attribute{
		"things": datasourceschema.ListAttribute{
			Computed:    true,
			ElementType: types.ObjectType{AttrTypes: map[string]attr.Type{"name": types.StringType}},
		},
	}}
}

type fakeListResource struct{ list.ListResource }

func (fakeListResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "fake_thing"
}

func (fakeListResource) ListResourceConfigSchema(_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse) {
	resp.Schema = listschema.Schema{Attributes: map[string]listschema.Attribute{
		"prefix": listschema.StringAttribute{Optional: true},
	}}
}

type fakeFunction struct{ tffunction.Function }

func (fakeFunction) Metadata(_ context.Context, _ tffunction.MetadataRequest, resp *tffunction.MetadataResponse) {
	resp.Name = "join"
}

func (fakeFunction) Definition(_ context.Context, _ tffunction.DefinitionRequest, resp *tffunction.DefinitionResponse) {
	resp.Definition = tffunction.Definition{
		Summary:           "Joins.",
		Parameters:        []tffunction.Parameter{tffunction.StringParameter{Name: "separator", AllowNullValue: true}},
		VariadicParameter: tffunction.StringParameter{Name: "parts", Description: "What is joined."},
		Return:            tffunction.StringReturn{},
	}
}
