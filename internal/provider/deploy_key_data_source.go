package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
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
	for name, attribute := range repositoryDataSourceAttributes() {
		attributes[name] = attribute
	}
	attributes["key_id"] = schema.Int64Attribute{
		MarkdownDescription: "Number of the key at Bitbucket. Exactly one of `key_id`, `label` and `fingerprint_sha256` must be set.",
		Optional:            true,
		Computed:            true,
		Validators: []validator.Int64{
			int64validator.AtLeast(1),
			int64validator.ExactlyOneOf(path.MatchRoot("label"), path.MatchRoot("fingerprint_sha256")),
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
		Validators:          []validator.String{stringvalidator.RegexMatches(fingerprintPattern, "must be a fingerprint as ssh-keygen -l prints it: SHA256:…")},
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
	repository := model.repository()
	var found *bitbucket.DeployKey
	var err error
	if !model.KeyID.IsNull() {
		found, err = d.data.client.DeployKey(ctx, repository, model.KeyID.ValueInt64())
		if err != nil && !errors.Is(err, bitbucket.ErrDeployKeyGone) {
			readDeployKey.addError(&resp.Diagnostics, repository, model.KeyID.ValueInt64(), err)
			return
		}
	}
	if found == nil {
		keys, err := d.data.client.DeployKeys(ctx, repository)
		if err != nil {
			listDeployKeys.addError(&resp.Diagnostics, repository, 0, err)
			return
		}
		matches := model.matching(keys)
		if len(matches) != 1 {
			resp.Diagnostics.AddError("No single deploy key found", model.candidates(repository, matches, keys))
			return
		}
		found = &matches[0]
	}
	model.flatten(repository, found)
	model.LastUsed = nullIfEmpty(found.LastUsed)
	resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
}

// matching returns the keys with the number, the label or the fingerprint that is
// asked for.
func (m *deployKeyDataSourceModel) matching(keys []bitbucket.DeployKey) []bitbucket.DeployKey {
	var matches []bitbucket.DeployKey
	for _, key := range keys {
		var attributes deployKeyAttributes
		attributes.flatten(m.repository(), &key)
		if attributes.KeyID.Equal(m.KeyID) || attributes.Label.Equal(m.Label) || !m.FingerprintSHA256.IsNull() && attributes.FingerprintSHA256.Equal(m.FingerprintSHA256) {
			matches = append(matches, key)
		}
	}
	return matches
}

// candidates tells which keys there are to choose from.
func (m *deployKeyDataSourceModel) candidates(repository bitbucket.Repository, matches, all []bitbucket.DeployKey) string {
	wanted := fmt.Sprintf("label %q", m.Label.ValueString())
	switch {
	case !m.KeyID.IsNull():
		wanted = fmt.Sprintf("number %d", m.KeyID.ValueInt64())
	case m.Label.IsNull():
		wanted = "fingerprint " + m.FingerprintSHA256.ValueString()
	}
	detail, shown := fmt.Sprintf("%d deploy keys of %s have the %s. Use key_id for one of them:", len(matches), repository, wanted), matches
	if len(matches) == 0 {
		detail, shown = fmt.Sprintf("No deploy key of %s has the %s. The repository has these:", repository, wanted), all
		if len(all) == 0 {
			return fmt.Sprintf("No deploy key of %s has the %s: the repository has none.", repository, wanted)
		}
	}
	const most = 25
	lines := []string{detail, ""}
	for i, key := range shown {
		if i == most {
			lines = append(lines, fmt.Sprintf("  … and %d more", len(shown)-most))
			break
		}
		lines = append(lines, fmt.Sprintf("  %d  %q", key.ID, key.Label))
	}
	return strings.Join(lines, "\n")
}
