package provider

import (
	"cmp"
	"context"
	"slices"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
)

var _ datasource.DataSourceWithConfigure = (*deployKeysDataSource)(nil)

type deployKeysDataSource struct{ data *providerData }

func newDeployKeysDataSource() datasource.DataSource { return &deployKeysDataSource{} }

type deployKeysDataSourceModel struct {
	deployKeySearch
	Keys []*deployKeyDataSourceModel `tfsdk:"keys"`
}

func (d *deployKeysDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_deploy_keys"
}

func (d *deployKeysDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = deployKeysSchema(onRepository, "Reads all deploy keys of a repository, or of all repositories of a workspace or project, following every page. "+
		"That costs one request for each repository with up to 100 keys, and to find the repositories one for each 100 of them.")
}

// deployKeysSchema is that of the data source for all keys of either kind of place.
func deployKeysSchema(on placeKind, description string) schema.Schema {
	key := deployKeyDataSourceAttributes(on)
	key["workspace"] = schema.StringAttribute{
		MarkdownDescription: "The workspace, as it is spelled above.",
		Computed:            true,
	}
	key[string(on)] = schema.StringAttribute{
		MarkdownDescription: map[placeKind]string{
			onRepository: "Slug of the repository that the key is on; a `repository` above, as it is spelled there.",
			onProject:    "Key of the project that the key is on.",
		}[on],
		Computed: true,
	}
	attributes := map[string]schema.Attribute{
		"keys": schema.ListNestedAttribute{
			MarkdownDescription: "Deploy keys that were found, sorted by `" + string(on) + "` and `key_id`.",
			Computed:            true,
			NestedObject:        schema.NestedAttributeObject{Attributes: key},
		},
	}
	for name, a := range searchAttributes(on) {
		attributes[name] = schema.StringAttribute{MarkdownDescription: a.description, Required: a.required, Optional: !a.required, Validators: a.validators}
	}
	return schema.Schema{MarkdownDescription: description + " " + searchDescription(on), Attributes: attributes}
}

// deployKeyDataSourceAttributes describe one key that was read.
func deployKeyDataSourceAttributes(on placeKind) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{
			MarkdownDescription: "`workspace/" + string(on) + "/key_id`, as `terraform import` takes it.",
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
			MarkdownDescription: "Name shown for the key in the " + string(on) + "'s settings.",
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
		string(on) + "_uuid": schema.StringAttribute{
			MarkdownDescription: "UUID of the " + string(on) + ", in braces.",
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
	model.Keys = model.sorted(ctx, onRepository, d.data.keys, &resp.Diagnostics)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
	}
}

// sorted returns the keys that are wanted, by place and number. None is not null.
func (s *deployKeySearch) sorted(ctx context.Context, on placeKind, service *deploykeys.Service, diags *diag.Diagnostics) []*deployKeyDataSourceModel {
	keys := []*deployKeyDataSourceModel{}
	for key := range s.keys(ctx, on, service, diags) {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b *deployKeyDataSourceModel) int {
		return cmp.Or(cmp.Compare(a.Place.ValueString(), b.Place.ValueString()), cmp.Compare(a.KeyID.ValueInt64(), b.KeyID.ValueInt64()))
	})
	return keys
}
