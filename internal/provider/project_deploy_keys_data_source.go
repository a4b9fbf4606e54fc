package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
)

var _ datasource.DataSourceWithConfigure = (*projectDeployKeysDataSource)(nil)

type projectDeployKeysDataSource struct{ deployKeysDataSource }

func newProjectDeployKeysDataSource() datasource.DataSource { return &projectDeployKeysDataSource{} }

type projectDeployKeysDataSourceModel struct {
	projectDeployKeySearch
	Keys []*projectDeployKeyDataSourceModel `tfsdk:"keys"`
}

func (d *projectDeployKeysDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_project_deploy_keys"
}

func (d *projectDeployKeysDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = deployKeysSchema(onProject, "Reads all deploy keys of a project, or of all projects of a workspace, following every page. "+
		"That costs one request for each project with up to 100 keys, and to find the projects one for each 100 of them. The keys of its repositories are not among them.")
}

func (d *projectDeployKeysDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model projectDeployKeysDataSourceModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() || !d.data.configured(&resp.Diagnostics) {
		return
	}
	defer d.data.noteRateLimit(&resp.Diagnostics)
	model.Keys = []*projectDeployKeyDataSourceModel{}
	for _, key := range model.search().sorted(ctx, onProject, d.data.keys, &resp.Diagnostics) {
		model.Keys = append(model.Keys, key.forProject())
	}
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
	}
}
