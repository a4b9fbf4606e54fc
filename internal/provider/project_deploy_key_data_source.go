package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ datasource.DataSourceWithConfigure = (*projectDeployKeyDataSource)(nil)

type projectDeployKeyDataSource struct{ deployKeyDataSource }

func newProjectDeployKeyDataSource() datasource.DataSource { return &projectDeployKeyDataSource{} }

type projectDeployKeyDataSourceModel struct {
	projectDeployKeyModel
	LastUsed types.String `tfsdk:"last_used"`
}

// forProject is the model with the names of a project's attributes.
func (m *deployKeyDataSourceModel) forProject() *projectDeployKeyDataSourceModel {
	return &projectDeployKeyDataSourceModel{projectDeployKeyModel(m.deployKeyModel), m.LastUsed}
}

func (d *projectDeployKeyDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_project_deploy_key"
}

func (d *projectDeployKeyDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := deployKeyChoiceAttributes(onProject)
	attributes["project"] = schema.StringAttribute{
		MarkdownDescription: "Key of the project, for example `WEB`.",
		Required:            true,
		Validators:          []validator.String{projectKeyValidator{}},
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads one deploy key of a project: by number, by label or by fingerprint.\n\n**API token scopes**: `admin:project:bitbucket`.",
		Attributes:          attributes,
	}
}

func (d *projectDeployKeyDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config projectDeployKeyDataSourceModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() || !d.data.configured(&resp.Diagnostics) {
		return
	}
	model := deployKeyDataSourceModel{deployKeyModel: deployKeyModel(config.projectDeployKeyModel)}
	if model.read(ctx, onProject, d.data, &resp.Diagnostics) {
		resp.Diagnostics.Append(resp.State.Set(ctx, model.forProject())...)
	}
}
