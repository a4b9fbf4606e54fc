package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deployments"
)

var _ datasource.DataSourceWithConfigure = (*environmentsDataSource)(nil)

type environmentsDataSource struct{ data *providerData }

func newEnvironmentsDataSource() datasource.DataSource { return &environmentsDataSource{} }

type environmentsDataSourceModel struct {
	Workspace    types.String       `tfsdk:"workspace"`
	Repository   types.String       `tfsdk:"repository"`
	Environments []environmentModel `tfsdk:"environments"`
}

type environmentModel struct {
	UUID     types.String `tfsdk:"uuid"`
	Name     types.String `tfsdk:"name"`
	Slug     types.String `tfsdk:"slug"`
	Type     types.String `tfsdk:"type"`
	Rank     types.Int64  `tfsdk:"rank"`
	Category types.String `tfsdk:"category"`
	Locked   types.Bool   `tfsdk:"locked"`
}

func (d *environmentsDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_environments"
}

func (d *environmentsDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads all deployment environments of a repository, with their names and UUIDs. Bitbucket's pages do not show the UUIDs.\n\n" +
			"If a repository has no environments, the list is empty. Fields that Bitbucket omits are null.\n\n" +
			"**API token scopes**: `read:pipeline:bitbucket`; for a repository without environments also `read:repository:bitbucket` (OAuth: `pipeline`, `repository`). " +
			"Bitbucket may answer 404 for a repository without environments and for a repository that does not exist. To distinguish them, the provider requests the repository itself.",
		Attributes: map[string]schema.Attribute{
			"workspace": schema.StringAttribute{
				MarkdownDescription: "Slug of the workspace, or its UUID in braces.",
				Required:            true,
				Validators:          []validator.String{slugValidator},
			},
			"repository": schema.StringAttribute{
				MarkdownDescription: "Slug of the repository, or its UUID in braces.",
				Required:            true,
				Validators:          []validator.String{slugValidator},
			},
			"environments": schema.ListNestedAttribute{
				MarkdownDescription: "Environments of the repository, in the order of Bitbucket.",
				Computed:            true,
				NestedObject:        schema.NestedAttributeObject{Attributes: environmentAttributes()},
			},
		},
	}
}

// environmentAttributes returns the attributes of one environment.
func environmentAttributes() map[string]schema.Attribute {
	attributes := map[string]schema.Attribute{
		"rank": schema.Int64Attribute{
			MarkdownDescription: "Number by which Bitbucket sorts the types: `0` for `Test`, `1` for `Staging`, `2` for `Production`.",
			Computed:            true,
		},
		"locked": schema.BoolAttribute{
			MarkdownDescription: "Whether Bitbucket has locked the environment: `false` if the name of its lock is `OPEN`, `true` if it has another name.",
			Computed:            true,
		},
	}
	for name, description := range map[string]string{
		"uuid":     "UUID of the environment, in braces.",
		"name":     "Name of the environment.",
		"slug":     "Name in lower case, with dashes.",
		"type":     "`Test`, `Staging` or `Production`.",
		"category": "Category of the environment: the name of the type, sometimes in capitals.",
	} {
		attributes[name] = schema.StringAttribute{MarkdownDescription: description, Computed: true}
	}
	return attributes
}

func (d *environmentsDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

func (d *environmentsDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model environmentsDataSourceModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() || !d.data.configured(&resp.Diagnostics) {
		return
	}
	defer d.data.warnNearLimit(&resp.Diagnostics)
	repository := bitbucket.Parent{Workspace: model.Workspace.ValueString(), Repository: model.Repository.ValueString()}
	found, err := deployments.ListEnvironments(ctx, d.data.client, repository)
	if err != nil {
		listEnvironments.addError(&resp.Diagnostics, repository, 0, err)
		return
	}
	model.Environments = make([]environmentModel, len(found)) // An empty list, not null.
	for i := range found {
		model.Environments[i].flatten(&found[i])
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
}

// flatten sets the attributes from Bitbucket's reply. Fields that Bitbucket omits are null.
func (m *environmentModel) flatten(environment *bitbucket.Environment) {
	m.UUID = types.StringValue(environment.UUID)
	m.Name = nullIfEmpty(environment.Name)
	m.Slug = nullIfEmpty(environment.Slug)
	m.Type = nullIfEmpty(environment.Type)
	m.Rank = types.Int64PointerValue(environment.Rank)
	m.Category = nullIfEmpty(environment.Category)
	m.Locked = types.BoolPointerValue(environment.Locked)
}
