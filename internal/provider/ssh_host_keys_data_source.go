package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

var _ datasource.DataSourceWithConfigure = (*sshHostKeysDataSource)(nil)

type sshHostKeysDataSource struct{ data *providerData }

func newSSHHostKeysDataSource() datasource.DataSource { return &sshHostKeysDataSource{} }

type sshHostKeysDataSourceModel struct {
	KnownHosts types.String      `tfsdk:"known_hosts"`
	Keys       []sshHostKeyModel `tfsdk:"keys"`
}

type sshHostKeyModel struct {
	Host              types.String `tfsdk:"host"`
	Type              types.String `tfsdk:"type"`
	Key               types.String `tfsdk:"key"`
	FingerprintSHA256 types.String `tfsdk:"fingerprint_sha256"`
}

func (d *sshHostKeysDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_ssh_host_keys"
}

func (d *sshHostKeysDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads the host keys of Bitbucket's SSH server. A machine that clones with a deploy key needs them in `known_hosts` to recognize Bitbucket.\n\n" +
			"The keys change: in 2023, Bitbucket added two keys on May 15 and [replaced its RSA key on June 20](https://bitbucket.org/blog/ssh-host-key-changes). " +
			"Machines with the old key in a file could no longer clone. With this data source, the next apply after such a rotation delivers the new keys. " +
			"The plan shows a changed key. Compare its fingerprint with the [fingerprints that Atlassian publishes](https://support.atlassian.com/bitbucket-cloud/docs/configure-ssh-and-two-step-verification/).\n\n" +
			"The provider reads `https://bitbucket.org/site/ssh`, with one request for each data block. If `base_url` is on another host, it reads `/site/ssh` of that host. " +
			"It sends no credentials there, and does not follow a redirect to another host. The provider requires credentials, although this data source does not use them.\n\n" +
			"Anything except `known_hosts` lines of `bitbucket.org` and `ssh.bitbucket.org` with well-formed keys is an error. Examples are a log-in page, an empty reply, a truncated line, " +
			"a line with another host, and a line with a marker such as `@cert-authority`. Comments and empty lines are ignored.\n\n" +
			"~> Bitbucket announced that Git over SSH moves [from `bitbucket.org` to `ssh.bitbucket.org`](https://community.atlassian.com/forums/Bitbucket-articles/Upcoming-change-to-Bitbucket-Cloud-SSH-access-move-from/ba-p/3234032) by November 12, 2026. " +
			"SSH looks up the name to which it connects, so a clone from `ssh.bitbucket.org` needs lines with this name. This data source returns only the names that Bitbucket publishes. " +
			"The examples below build the lines from `keys`, so the lines always have this name. If the server has a key that Bitbucket does not publish, SSH refuses to connect.",
		Attributes: map[string]schema.Attribute{
			"known_hosts": schema.StringAttribute{
				MarkdownDescription: "Content of a `known_hosts` file, with one line for each host and key. The lines are sorted, and each ends with a newline.",
				Computed:            true,
			},
			"keys": schema.ListNestedAttribute{
				MarkdownDescription: "Host keys, in the order of `known_hosts`.",
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"host": schema.StringAttribute{
						MarkdownDescription: "Host of the key, as Bitbucket publishes it: `bitbucket.org` or `ssh.bitbucket.org`. It does not depend on `base_url`.",
						Computed:            true,
					},
					"type": schema.StringAttribute{
						MarkdownDescription: "Algorithm of the key, for example `ssh-ed25519`.",
						Computed:            true,
					},
					"key": schema.StringAttribute{
						MarkdownDescription: "The key in base64, without its type: `AAAA…`.",
						Computed:            true,
					},
					"fingerprint_sha256": schema.StringAttribute{
						MarkdownDescription: "SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.",
						Computed:            true,
					},
				}},
			},
		},
	}
}

func (d *sshHostKeysDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

func (d *sshHostKeysDataSource) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	if !d.data.configured(&resp.Diagnostics) {
		return
	}
	keys, err := d.data.client.ListHostKeys(ctx)
	if err != nil {
		addHostKeysError(&resp.Diagnostics, d.data.client.HostKeysURL(), err)
		return
	}
	var model sshHostKeysDataSourceModel
	model.flatten(keys)
	resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
}

// flatten sets the attributes from Bitbucket's reply. It writes the lines of known_hosts itself,
// so that different comments or white space in the reply are not a change.
func (m *sshHostKeysDataSourceModel) flatten(keys []sshkey.HostKey) {
	var lines strings.Builder
	for _, key := range keys {
		lines.WriteString(key.String() + "\n")
		m.Keys = append(m.Keys, sshHostKeyModel{
			Host:              types.StringValue(key.Host),
			Type:              types.StringValue(key.Type),
			Key:               types.StringValue(key.Base64()),
			FingerprintSHA256: types.StringValue(key.FingerprintSHA256()),
		})
	}
	m.KnownHosts = types.StringValue(lines.String())
}
