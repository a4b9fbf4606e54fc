package provider

import (
	"context"
	"errors"
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

type deployKeyDataSource struct{ data *providerData }

func newDeployKeyDataSource() datasource.DataSource { return &deployKeyDataSource{} }

type deployKeyDataSourceModel struct {
	deployKeyModel
	LastUsed types.String `tfsdk:"last_used"`
}

func (d *deployKeyDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_deploy_key"
}

func (d *deployKeyDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := deployKeyDataSourceAttributes()
	attributes["workspace"] = schema.StringAttribute{
		MarkdownDescription: "Slug of the workspace, or its UUID in braces.",
		Required:            true,
		Validators:          []validator.String{slugValidator{}},
	}
	attributes["repository"] = schema.StringAttribute{
		MarkdownDescription: "Slug of the repository, or its UUID in braces.",
		Required:            true,
		Validators:          []validator.String{slugValidator{}},
	}
	attributes["id"] = schema.StringAttribute{
		MarkdownDescription: "`workspace/repository/key_id`. It may be set in place of `key_id`, also to the number alone, as another provider has it; that is deprecated.",
		Optional:            true,
		Computed:            true,
		Validators:          []validator.String{keyNumberValidator{}},
	}
	attributes["key_id"] = schema.Int64Attribute{
		MarkdownDescription: "Number of the key at Bitbucket. Exactly one of `key_id`, `label` and `fingerprint_sha256` must be set.",
		Optional:            true,
		Computed:            true,
		Validators: []validator.Int64{
			int64validator.AtLeast(1),
			int64validator.ExactlyOneOf(path.MatchRoot("id"), path.MatchRoot("label"), path.MatchRoot("fingerprint_sha256")),
		},
	}
	attributes["label"] = schema.StringAttribute{
		MarkdownDescription: "Name shown for the key in the repository's settings. A label that several keys of the repository have is an error.",
		Optional:            true,
		Computed:            true,
	}
	attributes["fingerprint_sha256"] = schema.StringAttribute{
		MarkdownDescription: "SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.",
		Optional:            true,
		Computed:            true,
		Validators:          []validator.String{fingerprintValidator()},
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads one deploy key of a repository: by number, by label or by fingerprint.\n\n**API token scopes**: `admin:repository:bitbucket`.",
		Attributes:          attributes,
	}
}

func (d *deployKeyDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

func (d *deployKeyDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model deployKeyDataSourceModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() || !d.data.configured(&resp.Diagnostics) {
		return
	}
	defer d.data.noteRateLimit(&resp.Diagnostics)
	reference := model.reference()
	var found *bitbucket.DeployKey
	var err error
	if reference.by == byNumber {
		found, err = d.data.client.DeployKey(ctx, reference.repository, reference.id())
		if err != nil && !errors.Is(err, bitbucket.ErrDeployKeyGone) {
			readDeployKey.addError(&resp.Diagnostics, reference.repository, reference.id(), err)
			return
		}
	}
	if found == nil {
		keys, err := d.data.client.DeployKeys(ctx, reference.repository)
		if err != nil {
			listDeployKeys.addError(&resp.Diagnostics, reference.repository, 0, err)
			return
		}
		if found = reference.find(keys, &resp.Diagnostics); found == nil {
			return
		}
	}
	asked := model.ID
	model.flatten(reference.repository, found)
	if !asked.IsNull() {
		model.ID = asked // What is set stays as it is.
	}
	model.LastUsed = nullIfEmpty(found.LastUsed)
	resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
}

// reference is the key that is asked for, by the one attribute that is set.
func (m *deployKeyDataSourceModel) reference() deployKeyReference {
	switch {
	case !m.KeyID.IsNull():
		return deployKeyReference{m.repository(), byNumber, strconv.FormatInt(m.KeyID.ValueInt64(), 10)}
	case !m.ID.IsNull():
		return deployKeyReference{m.repository(), byNumber, numberIn(m.ID.ValueString())}
	case !m.Label.IsNull():
		return deployKeyReference{m.repository(), byLabel, m.Label.ValueString()}
	}
	return deployKeyReference{m.repository(), byFingerprint, m.FingerprintSHA256.ValueString()}
}

// numberIn is the number of the key in an id of either form.
func numberIn(id string) string { return id[strings.LastIndex(id, "/")+1:] }
