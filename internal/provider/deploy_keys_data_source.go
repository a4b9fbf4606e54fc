package provider

import (
	"cmp"
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ datasource.DataSourceWithConfigure = (*deployKeysDataSource)(nil)

// deployKeysDataSource reads all deploy keys of a repository, a project or a workspace.
type deployKeysDataSource struct {
	kind *parentKind
	data *providerData
}

func newDeployKeysDataSource() datasource.DataSource {
	return &deployKeysDataSource{kind: repositoryKind}
}

func newProjectDeployKeysDataSource() datasource.DataSource {
	return &deployKeysDataSource{kind: projectKind}
}

func (d *deployKeysDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = d.kind.typeName + "s"
}

func (d *deployKeysDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	key := deployKeyDataSourceAttributes(d.kind)
	key["workspace"] = schema.StringAttribute{
		MarkdownDescription: "Workspace, spelled as above.",
		Computed:            true,
	}
	key[d.kind.attribute] = schema.StringAttribute{
		MarkdownDescription: d.kind.docs.listedName,
		Computed:            true,
	}
	attributes := map[string]schema.Attribute{
		"keys": schema.ListNestedAttribute{
			MarkdownDescription: "Deploy keys that were found, sorted by `" + d.kind.attribute + "` and `key_id`.",
			Computed:            true,
			NestedObject:        schema.NestedAttributeObject{Attributes: key},
		},
	}
	for name, a := range searchAttributes(d.kind) {
		attributes[name] = schema.StringAttribute{MarkdownDescription: a.description, Required: a.required, Optional: !a.required, Validators: a.validators}
	}
	resp.Schema = schema.Schema{MarkdownDescription: d.kind.docs.listed + " " + searchDescription(d.kind), Attributes: attributes}
}

// deployKeyDataSourceAttributes returns the attributes of a key that was read.
func deployKeyDataSourceAttributes(kind *parentKind) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{
			MarkdownDescription: "`workspace/" + kind.attribute + "/key_id`, as `terraform import` accepts it.",
			Computed:            true,
		},
		"key_id": schema.Int64Attribute{
			MarkdownDescription: "ID of the deploy key.",
			Computed:            true,
		},
		"key": schema.StringAttribute{
			MarkdownDescription: "Public key in OpenSSH format, without its comment.",
			Computed:            true,
			CustomType:          publicKeyType{},
		},
		"label": schema.StringAttribute{
			MarkdownDescription: "Name of the key in the settings of the " + kind.attribute + ".",
			Computed:            true,
		},
		"comment": schema.StringAttribute{
			MarkdownDescription: "Comment of the key, or `\"\"` if it has none.",
			Computed:            true,
		},
		"fingerprint_sha256": schema.StringAttribute{
			MarkdownDescription: "SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.",
			Computed:            true,
		},
		"fingerprint_md5": schema.StringAttribute{
			MarkdownDescription: "MD5 fingerprint as pairs of hexadecimal digits: `aa:bb:…`.",
			Computed:            true,
		},
		"key_type": schema.StringAttribute{
			MarkdownDescription: "Algorithm of the key, for example `ssh-ed25519`.",
			Computed:            true,
		},
		"created_on": schema.StringAttribute{
			MarkdownDescription: "Time when the key was added, in ISO 8601 format.",
			Computed:            true,
		},
		"last_used": schema.StringAttribute{
			MarkdownDescription: "Time of the last use, in ISO 8601 format. Null if the key was never used.",
			Computed:            true,
		},
		kind.uuidAttribute(): schema.StringAttribute{
			MarkdownDescription: "UUID of the " + kind.attribute + ", in braces.",
			Computed:            true,
		},
	}
}

func (d *deployKeysDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// Read adds the selected keys, sorted by parent and ID, to the configuration. The list is
// empty, not null, if no key is selected.
func (d *deployKeysDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	search := readSearch(ctx, d.kind, req.Config, &resp.Diagnostics)
	if resp.Diagnostics.HasError() || !d.data.configured(&resp.Diagnostics) {
		return
	}
	defer d.data.warnNearLimit(&resp.Diagnostics)
	defer d.data.reportKnown(&resp.Diagnostics)
	keys := slices.SortedFunc(search.keys(ctx, d.data.keys, &resp.Diagnostics), func(a, b *deployKeyDataSourceModel) int {
		return cmp.Or(cmp.Compare(a.Parent.ValueString(), b.Parent.ValueString()), cmp.Compare(a.KeyID.ValueInt64(), b.KeyID.ValueInt64()))
	})
	if resp.Diagnostics.HasError() {
		return
	}
	objects := make([]attr.Value, len(keys))
	for i, key := range keys {
		objects[i] = d.kind.object(ctx, key)
	}
	keyType := d.kind.object(ctx, &deployKeyDataSourceModel{}).Type(ctx)
	resp.State.Raw = req.Config.Raw
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("keys"), types.ListValueMust(keyType, objects))...)
}
