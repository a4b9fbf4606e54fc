// Package provider is the Terraform side of the provider: schemas, plans, state and
// diagnostics. Each resource, data source, list resource and function has a file of its name.
// The types for repositories and the types for projects share these files.
package provider

import (
	"context"
	"hash/maphash"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"
)

const (
	defaultMaxRetries            = 4
	defaultMaxRateLimitWait      = 10 * time.Minute
	defaultMaxConcurrentRequests = 10
	defaultRequestTimeout        = 30 * time.Second

	updateInPlace  = "in_place"
	updateReplaces = "replace"
)

type bitbucketProvider struct{ version string }

type providerModel struct {
	Username          types.String `tfsdk:"username"`
	Token             types.String `tfsdk:"token"`
	Password          types.String `tfsdk:"password"`
	OAuthToken        types.String `tfsdk:"oauth_token"`
	OAuthClientID     types.String `tfsdk:"oauth_client_id"`
	OAuthClientSecret types.String `tfsdk:"oauth_client_secret"`
	BaseURL           types.String `tfsdk:"base_url"`
	MaxRetries        types.Int64  `tfsdk:"max_retries"`
	MaxRateLimitWait  types.String `tfsdk:"max_rate_limit_wait"`
	MaxConcurrent     types.Int64  `tfsdk:"max_concurrent_requests"`
	RequestTimeout    types.String `tfsdk:"request_timeout"`
	UpdateStrategy    types.String `tfsdk:"update_strategy"`
	RefreshAfter      types.String `tfsdk:"refresh_after"`
}

// providerData holds the data that Configure passes to resources and data sources.
type providerData struct {
	// client is nil while a part of the configuration is unknown, as in a plan that creates
	// the source of the credentials.
	client *bitbucket.Client
	// keys is nil together with client.
	keys *deploykeys.Service
	// unconfigured and nearLimit make sure that only one call gives each warning.
	unconfigured, nearLimit sync.Once
	// newNames maps the old names of renamed repositories to the new names. It has only names
	// that a warning has reported.
	newNames sync.Map
	// warnings gives the warnings of a plan that depend on several calls.
	warnings planWarnings
	// managed has the deploy keys and the exclusive sets of this run.
	managed managedKeys
	// refreshAfter decides which deploy keys a refresh reads.
	refreshAfter refreshAfter
	// refreshedSets has the parents of the exclusive sets that this run has refreshed.
	refreshedSets sync.Map

	// updateStrategy may be unknown while the rest is known.
	updateStrategy types.String
	// oauthConsumer reports whether new keys depend on an OAuth consumer.
	oauthConsumer bool
}

// New returns a function that creates the provider. The User-Agent contains the version.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &bitbucketProvider{version: version} }
}

// NewServer returns a function that creates the server of the provider.
func NewServer(version string) func() tfprotov6.ProviderServer {
	return func() tfprotov6.ProviderServer {
		return fixContextLeak(linkErrors(providerserver.NewProtocol6(New(version)())()))
	}
}

func (p *bitbucketProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "bitbucket"
	resp.Version = p.version
}

func (p *bitbucketProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Manages the deploy keys (access keys) of Bitbucket Cloud repositories and projects.",
		Attributes: map[string]schema.Attribute{
			"username": schema.StringAttribute{
				MarkdownDescription: "E-mail address of the Atlassian account that owns the API token. Can also be set with the `BITBUCKET_USERNAME` environment variable.",
				Optional:            true,
			},
			"token": schema.StringAttribute{
				MarkdownDescription: "API token with scopes, or an access token. With `username`, it is an API token and is sent as Basic authentication. Without `username`, it is sent as Bearer. Can also be set with the `BITBUCKET_TOKEN` environment variable. `BITBUCKET_OAUTH_TOKEN` is always sent as Bearer.",
				Optional:            true,
				Sensitive:           true,
			},
			"password": schema.StringAttribute{
				MarkdownDescription: "The name of `token` in other Bitbucket providers. Requires `username` and conflicts with `token`. Can also be set with the `BITBUCKET_PASSWORD` environment variable.",
				Optional:            true,
				Sensitive:           true,
			},
			"oauth_token": schema.StringAttribute{
				MarkdownDescription: "Not supported; use `token`.",
				Optional:            true,
				Sensitive:           true,
				Validators:          []validator.String{oauthTokenValidator{}},
			},
			"oauth_client_id": schema.StringAttribute{
				MarkdownDescription: "Key of a private OAuth consumer of the workspace. Can also be set with the `BITBUCKET_OAUTH_CLIENT_ID` environment variable.",
				Optional:            true,
			},
			"oauth_client_secret": schema.StringAttribute{
				MarkdownDescription: "Secret of the OAuth consumer. Can also be set with the `BITBUCKET_OAUTH_CLIENT_SECRET` environment variable.",
				Optional:            true,
				Sensitive:           true,
			},
			"base_url": schema.StringAttribute{
				MarkdownDescription: "Address of the API. It must begin with `https`, or with `http` if the host is a loopback address. Default: `" + bitbucket.DefaultBaseURL + "`. Can also be set with the `BITBUCKET_BASE_URL` environment variable.",
				Optional:            true,
			},
			"max_retries": schema.Int64Attribute{
				CustomType:          wholeNumberType{},
				MarkdownDescription: "How often a request is sent again after a server error or a broken connection, if repeating it is safe. A rate limit (429) does not count: see `max_rate_limit_wait`. From `0` to `20`. Default: `4`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(0, 20)},
			},
			"max_rate_limit_wait": schema.StringAttribute{
				MarkdownDescription: "Longest time to wait at Bitbucket's rate limit (429) before a request fails, for example `90s` or `1h`. The number of attempts is not limited. If Bitbucket names a later time, the request fails at once. With `0s`, the provider does not wait. Default: `10m`.",
				Optional:            true,
				Validators:          []validator.String{durationValidator},
			},
			"max_concurrent_requests": schema.Int64Attribute{
				CustomType:          wholeNumberType{},
				MarkdownDescription: "Largest number of requests at the same time. From `1` to `100`. Default: `10`, the default of Terraform's `-parallelism`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, 100)},
			},
			"request_timeout": schema.StringAttribute{
				MarkdownDescription: "Longest time that one attempt of a request may take, for example `10s` or `1m30s`. Default: `30s`.",
				Optional:            true,
				Validators:          []validator.String{positiveDurationValidator},
			},
			"update_strategy": schema.StringAttribute{
				MarkdownDescription: "What happens when `label` or `comment` of a repository's deploy key changes. `in_place` updates the key, as the API documents it. `replace` forces replacement; use it if [Bitbucket refuses to update a key](https://registry.terraform.io/providers/bitbucket-deploy-keys/bitbucket/latest/docs/guides/updates-and-replacement#when-bitbucket-refuses-to-update-a-key). Default: `in_place`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.OneOf(updateInPlace, updateReplaces)},
			},
			"refresh_after": schema.StringAttribute{
				MarkdownDescription: "Age at which a refresh reads a deploy key again, for example `24h`. A key that this provider has read, added or updated more recently costs no request, but a change in Bitbucket is seen up to this much later. " +
					"The exact age is random, between half of `refresh_after` and all of it, so that not all keys are read at once. Only `apply` stores when a key was read. With `0s`, every refresh reads every key. See [Rate limits and scale](https://registry.terraform.io/providers/bitbucket-deploy-keys/bitbucket/latest/docs/guides/rate-limits-and-scale#plans-that-fit-into-the-limit-at-any-size). Default: `0s`. Can also be set with the `BITBUCKET_REFRESH_AFTER` environment variable.",
				Optional:   true,
				Validators: []validator.String{durationValidator},
			},
		},
	}
}

// Configure creates the one client of this process. The client does not keep the context,
// which ends with the call.
func (p *bitbucketProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var config providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	data := &providerData{updateStrategy: config.UpdateStrategy}
	resp.ResourceData, resp.DataSourceData, resp.ListResourceData = data, data, data
	if config.anyUnknown() {
		return
	}
	credentials := config.credentials(os.Getenv, &resp.Diagnostics)
	_, data.oauthConsumer = credentials.(transport.OAuthConsumer)
	baseURL := config.baseURL(os.Getenv, &resp.Diagnostics)
	data.refreshAfter.age, data.refreshAfter.seed = config.refreshAfter(os.Getenv, &resp.Diagnostics), maphash.MakeSeed()
	if resp.Diagnostics.HasError() {
		return
	}
	client, err := bitbucket.NewClient(baseURL, transport.Options{
		Credentials:           credentials,
		MaxRetries:            orDefault(config.MaxRetries, defaultMaxRetries),
		MaxRateLimitWait:      durationOrDefault(config.MaxRateLimitWait, defaultMaxRateLimitWait),
		MaxConcurrentRequests: orDefault(config.MaxConcurrent, defaultMaxConcurrentRequests),
		RequestTimeout:        durationOrDefault(config.RequestTimeout, defaultRequestTimeout),
		OnRateLimitWait:       logRateLimitWait,
		UserAgent:             "terraform-provider-bitbucket/" + p.version,
		Base:                  loggingTransport{transport.NewHTTPTransport()},
	})
	if err != nil {
		resp.Diagnostics.AddError("Unable to configure the Bitbucket client", err.Error())
		return
	}
	data.client, data.keys = client, deploykeys.New(client)
	data.keys.OnListed(data.warnings.listed)
}

// anyUnknown reports whether the client depends on a value that is not known yet. The
// environment does not replace such a value, because it may belong to a different account.
func (m *providerModel) anyUnknown() bool {
	for _, value := range []interface{ IsUnknown() bool }{
		m.Username, m.Token, m.Password, m.OAuthClientID, m.OAuthClientSecret, m.BaseURL, m.MaxRetries, m.MaxRateLimitWait, m.MaxConcurrent, m.RequestTimeout, m.RefreshAfter,
	} {
		if value.IsUnknown() {
			return true
		}
	}
	return false
}

// baseURL returns the root of the API. If the value may contain a password, the error is
// not on the attribute, because Terraform would print the source line.
func (m *providerModel) baseURL(getenv func(string) string, diags *diag.Diagnostics) string {
	const summary = "Invalid Bitbucket base URL"
	raw, where := m.BaseURL.ValueString(), "base_url"
	if m.BaseURL.IsNull() {
		raw, where = getenv("BITBUCKET_BASE_URL"), "BITBUCKET_BASE_URL"
	}
	if raw == "" && where != "base_url" {
		return bitbucket.DefaultBaseURL
	}
	if _, err := bitbucket.ParseBaseURL(raw); err != nil {
		detail := "The value of " + where + " cannot be used: " + err.Error() + "."
		if holdsUserInfo(raw) || where != "base_url" {
			diags.AddError(summary, detail)
		} else {
			diags.AddAttributeError(path.Root("base_url"), summary, detail)
		}
	}
	return raw
}

// refreshAfter returns the age from which a refresh reads a key again.
func (m *providerModel) refreshAfter(getenv func(string) string, diags *diag.Diagnostics) time.Duration {
	const variable = "BITBUCKET_REFRESH_AFTER"
	text := getenv(variable)
	if !m.RefreshAfter.IsNull() || text == "" {
		return durationOrDefault(m.RefreshAfter, 0)
	}
	age, err := time.ParseDuration(text)
	if err != nil || age < 0 {
		diags.AddError("Invalid duration", "The value of "+variable+" cannot be used. "+expectedDuration)
	}
	return age
}

// holdsUserInfo reports whether a URL may hold a user name or a password.
func holdsUserInfo(raw string) bool {
	u, err := url.Parse(raw)
	return err != nil || u.User != nil || strings.Contains(raw, "@")
}

func orDefault(value types.Int64, otherwise int) int {
	if value.IsNull() {
		return otherwise
	}
	return int(value.ValueInt64())
}

func durationOrDefault(value types.String, otherwise time.Duration) time.Duration {
	duration, err := time.ParseDuration(value.ValueString())
	if err != nil { // The value is null, because a validator has checked all other values.
		return otherwise
	}
	return duration
}

func (p *bitbucketProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		newDeployKeyResource,
		newDeployKeysExclusiveResource,
		newProjectDeployKeyResource,
		newProjectDeployKeysExclusiveResource,
	}
}

func (p *bitbucketProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		newDeployKeyDataSource,
		newDeployKeysDataSource,
		newProjectDeployKeyDataSource,
		newProjectDeployKeysDataSource,
		newDeploymentsDataSource,
		newSSHHostKeysDataSource,
		newEnvironmentsDataSource,
	}
}

// Functions send no requests, so they work without a provider configuration.
func (p *bitbucketProvider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{newDeployKeyImportIDFunction, newParseSSHPublicKeyFunction}
}

// ListResources returns the types for "terraform query".
func (p *bitbucketProvider) ListResources(context.Context) []func() list.ListResource {
	return []func() list.ListResource{newDeployKeyListResource, newProjectDeployKeyListResource}
}

// configuredData returns the data that Configure of the provider has passed on, nil while
// Terraform only validates a configuration.
func configuredData(passed any, diags *diag.Diagnostics) *providerData {
	if passed == nil {
		return nil
	}
	data, ok := passed.(*providerData)
	if !ok {
		diags.AddError("Unexpected provider data", "This is a bug in the provider. Please report it.")
	}
	return data
}

// configured reports whether requests are possible, and adds an error if not.
func (d *providerData) configured(diags *diag.Diagnostics) bool {
	if d != nil && d.client != nil {
		return true
	}
	diags.AddError("Provider configuration is not known yet", "The provider configuration depends on values that are known only after apply, so no request can be sent to Bitbucket. "+
		"Create the resource with these values first, for example with \"terraform apply -target=ADDRESS\".")
	return false
}

// canRefresh reports whether the state can be refreshed. If not, one call gives a warning.
func (d *providerData) canRefresh(diags *diag.Diagnostics) bool {
	if d.client != nil {
		return true
	}
	d.unconfigured.Do(func() {
		diags.AddWarning("Deploy keys were not refreshed", "The provider configuration depends on values that are known only after apply, so the plan relies on the deploy keys in the state. "+
			"The next plan after the apply refreshes them.")
	})
	return false
}

// warnNearLimit warns that few requests are left. Only one call gives the warning.
func (d *providerData) warnNearLimit(diags *diag.Diagnostics) {
	if !d.client.NearLimit() {
		return
	}
	d.nearLimit.Do(func() {
		diags.AddWarning("Bitbucket's rate limit is near", "Bitbucket reports that these credentials have used most of their requests for an hour. "+
			"If no request is left, this run waits, and fails after max_rate_limit_wait.")
	})
}
