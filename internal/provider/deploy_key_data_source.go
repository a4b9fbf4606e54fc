package provider

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
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
	attributes := deployKeyChoiceAttributes(onRepository, "id")
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
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads one deploy key of a repository: by number, by label or by fingerprint.\n\n**API token scopes**: `admin:repository:bitbucket`.",
		Attributes:          attributes,
	}
}

// deployKeyChoiceAttributes describe one key, and which one is meant: exactly one
// of number, label, fingerprint and the other attributes must be set.
func deployKeyChoiceAttributes(on placeKind, others ...string) map[string]schema.Attribute {
	choices := path.Expressions{path.MatchRoot("label"), path.MatchRoot("fingerprint_sha256")}
	for _, other := range others {
		choices = append(choices, path.MatchRoot(other))
	}
	attributes := deployKeyDataSourceAttributes(on)
	attributes["workspace"] = schema.StringAttribute{
		MarkdownDescription: "Slug of the workspace, or its UUID in braces.",
		Required:            true,
		Validators:          []validator.String{slugValidator{}},
	}
	attributes["key_id"] = schema.Int64Attribute{
		MarkdownDescription: "Number of the key at Bitbucket. Exactly one of `key_id`, `label` and `fingerprint_sha256` must be set.",
		Optional:            true,
		Computed:            true,
		Validators:          []validator.Int64{int64validator.AtLeast(1), int64validator.ExactlyOneOf(choices...)},
	}
	attributes["label"] = schema.StringAttribute{
		MarkdownDescription: fmt.Sprintf("Name shown for the key in the %s's settings. A label that several keys of the %[1]s have is an error.", on),
		Optional:            true,
		Computed:            true,
	}
	attributes["fingerprint_sha256"] = schema.StringAttribute{
		MarkdownDescription: "SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.",
		Optional:            true,
		Computed:            true,
		Validators:          []validator.String{fingerprintValidator()},
	}
	return attributes
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
	if model.read(ctx, onRepository, d.data, &resp.Diagnostics) {
		resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
	}
}

// read completes the model of the key that it asks for. It tells whether there is
// one.
func (m *deployKeyDataSourceModel) read(ctx context.Context, on placeKind, data *providerData, diags *diag.Diagnostics) bool {
	defer data.noteRateLimit(diags)
	reference := m.reference(on)
	var found *bitbucket.DeployKey
	var err error
	if reference.by == byNumber {
		found, err = data.keys.Get(ctx, reference.place, reference.id())
		if err != nil && !errors.Is(err, deploykeys.ErrGone) {
			readDeployKey.addError(diags, reference.place, reference.id(), err)
			return false
		}
	}
	if found == nil {
		keys, err := data.keys.List(ctx, reference.place)
		if err != nil {
			listDeployKeys.addError(diags, reference.place, 0, err)
			return false
		}
		if found = reference.find(keys, diags); found == nil {
			return false
		}
	}
	asked := m.ID
	m.flatten(reference.place, found)
	if !asked.IsNull() {
		m.ID = asked // What is set stays as it is.
	}
	m.LastUsed = nullIfEmpty(found.LastUsed)
	return true
}

// reference is the key that is asked for, by the one attribute that is set.
func (m *deployKeyDataSourceModel) reference(on placeKind) deployKeyReference {
	place := on.of(&m.deployKeyModel)
	switch {
	case !m.KeyID.IsNull():
		return deployKeyReference{place, byNumber, strconv.FormatInt(m.KeyID.ValueInt64(), 10)}
	case !m.ID.IsNull():
		return deployKeyReference{place, byNumber, numberIn(m.ID.ValueString())}
	case !m.Label.IsNull():
		return deployKeyReference{place, byLabel, m.Label.ValueString()}
	}
	return deployKeyReference{place, byFingerprint, m.FingerprintSHA256.ValueString()}
}

// numberIn is the number of the key in an id of either form.
func numberIn(id string) string { return id[strings.LastIndex(id, "/")+1:] }
