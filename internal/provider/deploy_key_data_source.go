package provider

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

var _ datasource.DataSourceWithConfigure = (*deployKeyDataSource)(nil)

// deployKeyDataSource reads one deploy key of a repository or of a project.
type deployKeyDataSource struct {
	kind *parentKind
	data *providerData
}

func newDeployKeyDataSource() datasource.DataSource {
	return &deployKeyDataSource{kind: repositoryKind}
}

func newProjectDeployKeyDataSource() datasource.DataSource {
	return &deployKeyDataSource{kind: projectKind}
}

func (d *deployKeyDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = d.kind.typeName
}

// Schema describes one key and the attributes that select it. Exactly one of the selecting
// attributes must be set.
func (d *deployKeyDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	selectors := path.Expressions{path.MatchRoot("key_id"), path.MatchRoot("label"), path.MatchRoot("fingerprint_sha256")}
	attributes := deployKeyDataSourceAttributes(d.kind)
	attributes["workspace"] = schema.StringAttribute{
		MarkdownDescription: "Slug of the workspace, or its UUID in braces.",
		Required:            true,
		Validators:          []validator.String{slugValidator},
	}
	attributes[d.kind.attribute] = schema.StringAttribute{
		MarkdownDescription: d.kind.docs.name + ".",
		Required:            true,
		Validators:          []validator.String{d.kind.validator},
	}
	if d.kind.acceptsID {
		selectors = append(selectors, path.MatchRoot("id"))
		attributes["id"] = schema.StringAttribute{
			MarkdownDescription: "`workspace/" + d.kind.attribute + "/key_id`. Setting `id` is deprecated: set `key_id`. For configurations of other providers, `id` can be set to this or to the ID of the key alone, instead of `key_id`.",
			Optional:            true,
			Computed:            true,
			Validators:          []validator.String{keyIDValidator},
		}
	}
	attributes["key_id"] = schema.Int64Attribute{
		CustomType:          wholeNumberType{},
		MarkdownDescription: "ID of the deploy key. Set exactly one of `key_id`, `label` and `fingerprint_sha256`.",
		Optional:            true,
		Computed:            true,
		Validators:          []validator.Int64{int64validator.AtLeast(1), int64validator.ExactlyOneOf(selectors...)},
	}
	attributes["label"] = schema.StringAttribute{
		MarkdownDescription: fmt.Sprintf("Name of the key in the settings of the %s. It is an error if several keys of the %[1]s have this label.", d.kind.attribute),
		Optional:            true,
		Computed:            true,
	}
	attributes["fingerprint_sha256"] = schema.StringAttribute{
		MarkdownDescription: "SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.",
		Optional:            true,
		Computed:            true,
		Validators:          []validator.String{fingerprintValidator()},
	}
	resp.Schema = schema.Schema{MarkdownDescription: d.kind.docs.dataSource, Attributes: attributes}
}

func (d *deployKeyDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// deployKeyDataSourceModel is a deploy key that was read.
type deployKeyDataSourceModel struct {
	deployKeyModel
	LastUsed types.String `tfsdk:"last_used"`
}

// newDeployKeyDataSourceModel returns a key that a search has found. The workspace is
// spelled as in the configuration.
func newDeployKeyDataSourceModel(workspace types.String, parent bitbucket.Parent, key *bitbucket.DeployKey) *deployKeyDataSourceModel {
	m := &deployKeyDataSourceModel{}
	m.Workspace, m.Parent = workspace, types.StringValue(parent.Name())
	m.flatten(parent, key)
	return m
}

// flatten sets the attributes from Bitbucket's reply.
func (m *deployKeyDataSourceModel) flatten(parent bitbucket.Parent, key *bitbucket.DeployKey) {
	m.deployKeyModel.flatten(parent, key)
	m.LastUsed = nullIfEmpty(key.LastUsed)
}

func (d *deployKeyDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model deployKeyDataSourceModel
	resp.Diagnostics.Append(d.kind.get(ctx, req.Config, &model)...)
	if resp.Diagnostics.HasError() || !d.data.configured(&resp.Diagnostics) {
		return
	}
	defer d.data.warnNearLimit(&resp.Diagnostics)
	defer d.data.reportKnown(&resp.Diagnostics)
	reference := model.reference(d.kind)
	key := d.data.findKey(ctx, reference, &resp.Diagnostics)
	if key == nil {
		return
	}
	configured := model.ID
	model.flatten(reference.parent, key)
	if !configured.IsNull() {
		model.ID = configured // Terraform does not accept a change of a configured value.
	}
	resp.Diagnostics.Append(d.kind.set(ctx, &resp.State, &model)...)
}

// reference returns the reference in the selecting attribute that is set.
func (m *deployKeyDataSourceModel) reference(kind *parentKind) deployKeyReference {
	parent := m.parent(kind)
	switch {
	case !m.KeyID.IsNull():
		return deployKeyReference{parent, byID, strconv.FormatInt(m.KeyID.ValueInt64(), 10)}
	case !m.ID.IsNull():
		id := m.ID.ValueString()
		return deployKeyReference{parent, byID, id[strings.LastIndex(id, "/")+1:]}
	case !m.Label.IsNull():
		return deployKeyReference{parent, byLabel, m.Label.ValueString()}
	}
	return deployKeyReference{parent, byFingerprint, m.FingerprintSHA256.ValueString()}
}
