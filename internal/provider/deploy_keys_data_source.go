package provider

import (
	"cmp"
	"context"
	"regexp"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

var _ datasource.DataSourceWithConfigure = (*deployKeysDataSource)(nil)

// fingerprintPattern is what ssh-keygen -l prints.
var fingerprintPattern = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

type deployKeysDataSource struct{ data *providerData }

func newDeployKeysDataSource() datasource.DataSource { return &deployKeysDataSource{} }

type deployKeysDataSourceModel struct {
	Workspace  types.String           `tfsdk:"workspace"`
	Repository types.String           `tfsdk:"repository"`
	Keys       []listedDeployKeyModel `tfsdk:"keys"`
}

type listedDeployKeyModel struct {
	deployKeyAttributes
	LastUsed types.String `tfsdk:"last_used"`
}

func (d *deployKeysDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_deploy_keys"
}

func (d *deployKeysDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := repositoryDataSourceAttributes()
	attributes["keys"] = schema.ListNestedAttribute{
		MarkdownDescription: "Deploy keys of the repository, sorted by `key_id`.",
		Computed:            true,
		NestedObject:        schema.NestedAttributeObject{Attributes: deployKeyDataSourceAttributes()},
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads all deploy keys of a repository, following every page: one request for each 100 keys.\n\n**API token scopes**: `admin:repository:bitbucket`.",
		Attributes:          attributes,
	}
}

// repositoryDataSourceAttributes say which repository to read.
func repositoryDataSourceAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"workspace": schema.StringAttribute{
			MarkdownDescription: "Slug of the workspace, or its UUID in braces.",
			Required:            true,
			Validators:          []validator.String{slugValidator{}},
		},
		"repository": schema.StringAttribute{
			MarkdownDescription: "Slug of the repository, or its UUID in braces.",
			Required:            true,
			Validators:          []validator.String{slugValidator{}},
		},
	}
}

// deployKeyDataSourceAttributes describe one key that was read.
func deployKeyDataSourceAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{
			MarkdownDescription: "`workspace/repository/key_id`, as `terraform import` takes it.",
			Computed:            true,
		},
		"key_id": schema.Int64Attribute{
			MarkdownDescription: "Number of the key at Bitbucket.",
			Computed:            true,
		},
		"key": schema.StringAttribute{
			MarkdownDescription: "Public key in OpenSSH format, without its comment.",
			Computed:            true,
			CustomType:          publicKeyType{},
		},
		"label": schema.StringAttribute{
			MarkdownDescription: "Name shown for the key in the repository's settings.",
			Computed:            true,
		},
		"comment": schema.StringAttribute{
			MarkdownDescription: "Comment of the key, `\"\"` if it has none.",
			Computed:            true,
		},
		"fingerprint_sha256": schema.StringAttribute{
			MarkdownDescription: "SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.",
			Computed:            true,
		},
		"fingerprint_md5": schema.StringAttribute{
			MarkdownDescription: "MD5 fingerprint as pairs of digits: `aa:bb:…`.",
			Computed:            true,
		},
		"key_type": schema.StringAttribute{
			MarkdownDescription: "Algorithm of the key, for example `ssh-ed25519`.",
			Computed:            true,
		},
		"created_on": schema.StringAttribute{
			MarkdownDescription: "When the key was added, in ISO 8601.",
			Computed:            true,
		},
		"last_used": schema.StringAttribute{
			MarkdownDescription: "When the key was last used, in ISO 8601; null if never.",
			Computed:            true,
		},
		"repository_uuid": schema.StringAttribute{
			MarkdownDescription: "UUID of the repository, in braces.",
			Computed:            true,
		},
	}
}

func (d *deployKeysDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

func (d *deployKeysDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model deployKeysDataSourceModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() || !d.data.configured(&resp.Diagnostics) {
		return
	}
	defer d.data.noteRateLimit(&resp.Diagnostics)
	repository := bitbucket.Repository{Workspace: model.Workspace.ValueString(), Slug: model.Repository.ValueString()}
	keys, err := d.data.client.DeployKeys(ctx, repository)
	if err != nil {
		listDeployKeys.addError(&resp.Diagnostics, repository, 0, err)
		return
	}
	slices.SortFunc(keys, func(a, b bitbucket.DeployKey) int { return cmp.Compare(a.ID, b.ID) })
	model.Keys = make([]listedDeployKeyModel, len(keys))
	for i := range keys {
		model.Keys[i].flatten(repository, &keys[i])
		model.Keys[i].LastUsed = nullIfEmpty(keys[i].LastUsed)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
}
