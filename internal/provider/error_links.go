package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// guides is the address of the guides in the Terraform registry.
const guides = "https://registry.terraform.io/providers/bitbucket-deploy-keys/bitbucket/latest/docs/guides/"

// linkTo returns the address of a heading in the guides, "" for no heading. It ends the detail
// of an error, on a line of its own: Terraform wraps all other lines.
func linkTo(heading string) string {
	if heading == "" {
		return ""
	}
	return guides + heading
}

// explained maps the beginnings of summaries to the headings that explain them. Some errors of
// requests link to the heading of Bitbucket's refusal instead: see [operation.advice].
var explained = []struct {
	heading   string
	summaries []string
}{
	{"errors#unable-to-create-deploy-key", []string{createDeployKey.summary}},
	{"errors#unable-to-read-deploy-key", []string{readDeployKey.summary}},
	{"errors#unable-to-list-deploy-keys", []string{listDeployKeys.summary}},
	{"errors#unable-to-update-deploy-key", []string{updateDeployKey.summary}},
	{"errors#unable-to-delete-deploy-key", []string{deleteDeployKey.summary}},
	{"errors#unable-to-list-repositories-or-projects", []string{listRepositories.summary, listProjects.summary}},
	{"errors#unable-to-list-deployments-or-environments", []string{listDeployments.summary, listEnvironments.summary}},
	{"errors#unable-to-read-ssh-host-keys", []string{"Unable to read SSH host keys"}},
	{"errors#unexpected-provider-data", []string{"Unexpected provider data", "Unable to configure the Bitbucket client"}},

	{"errors-credentials#missing-bitbucket-credentials", []string{"Missing Bitbucket credentials"}},
	{"errors-credentials#incomplete-bitbucket-credentials", []string{"Incomplete Bitbucket credentials"}},
	{"errors-credentials#conflicting-bitbucket-credentials", []string{"Conflicting Bitbucket credentials"}},
	{"errors-credentials#empty-bitbucket-credentials", []string{"Empty Bitbucket credentials"}},
	{"errors-credentials#write-token-not-oauth_token", []string{"Write token, not oauth_token"}},
	{"errors-credentials#credentials-cannot-change-deploy-keys", []string{"Credentials cannot "}},
	{"errors-credentials#deploy-key-depends-on-the-oauth-consumer", []string{"Deploy key depends on the OAuth consumer"}},
	{"errors-credentials#provider-configuration-is-not-known-yet", []string{"Provider configuration is not known yet", "Deploy keys were not refreshed"}},

	{"errors-not-found#not-found", []string{"Not found: "}},
	{"errors-not-found#repository-has-another-name-now", []string{"Repository has another name now"}},
	{"errors-not-found#deploy-keys-are-not-included", []string{"Deploy keys of some repositories are not included", "Deploy keys of some projects are not included"}},
	{"errors-not-found#bitbucket-lists-entries-without-a-readable-key", []string{"Deploy keys of some repositories cannot be read", "Deploy keys of some projects cannot be read"}},
	{"errors-not-found#no-repository-found-in-the-project", []string{"No repository found in the project"}},
	{"errors-not-found#not-all-deploy-keys-are-listed", []string{"Not all deploy keys are listed"}},
	{"errors-not-found#no-single-deploy-key-found", []string{"No single deploy key found"}},
	{"errors-not-found#no-single-environment-found", []string{"No single environment found"}},
	{"errors-not-found#environment-names-are-missing", []string{"Environment names of "}},

	{"errors-network#bitbuckets-rate-limit-is-near", []string{"Bitbucket's rate limit is near"}},
	{"errors-network#invalid-bitbucket-base-url", []string{"Invalid Bitbucket base URL"}},

	{"errors-public-key#private-key-given", []string{"Private key given"}},
	{"errors-public-key#not-a-public-key", []string{
		"Not a public key", "Empty public key", "Incomplete public key", "Damaged public key", "Public key on several lines",
		"Control characters in public key", "Invalid base64 in public key", "Key type does not match the key",
	}},
	{"errors-public-key#unusual-space-in-public-key", []string{"Unusual space in public key"}},
	{"errors-public-key#host-key-given", []string{"Host key given"}},
	{"errors-public-key#fingerprint-given", []string{"Fingerprint given"}},
	{"errors-public-key#path-of-a-file-given", []string{"Path of a file given"}},
	{"errors-public-key#several-public-keys", []string{"Several public keys"}},
	{"errors-public-key#public-key-with-options", []string{"Public key with options"}},
	{"errors-public-key#public-key-in-rfc-4716-format", []string{"Public key in RFC 4716 format"}},
	{"errors-public-key#public-key-in-pem-format", []string{"Public key in PEM format"}},
	{"errors-public-key#certificate-given", []string{"Certificate given"}},
	{"errors-public-key#bitbucket-refuses-this-key", []string{"Bitbucket refuses this key", "Bitbucket refuses new keys of this kind"}},
	{"errors-public-key#bitbucket-may-refuse-this-key", []string{"Bitbucket may refuse this key"}},

	{"errors-deploy-keys#deploy-key-exists-already", []string{"Deploy key exists already in "}},
	{"errors-deploy-keys#same-deploy-key-twice", []string{"Same deploy key twice in "}},
	{"errors-deploy-keys#bitbucket-refuses-to-update-this-key", []string{"Bitbucket may refuse to update this deploy key"}},
	{"errors-deploy-keys#update-strategy-is-not-known-yet", []string{"Update strategy is not known yet"}},
	{"errors-deploy-keys#bitbucket-stored-something-else", []string{"Bitbucket stored something else"}},
	{"errors-deploy-keys#managed-deploy-keys-are-not-in-key_ids", []string{"Managed deploy key would be removed", "Managed deploy keys of "}},
	{"errors-deploy-keys#no-deploy-key-is-allowed", []string{"No deploy key is allowed"}},
	{"errors-deploy-keys#no-deploy-key-would-be-left", []string{"No deploy key would be left"}},

	{"errors-configuration#invalid-workspace-or-repository", []string{"Invalid workspace", "Invalid repository"}},
	{"errors-configuration#invalid-project", []string{"Invalid project"}},
	{"errors-configuration#invalid-label-or-comment", []string{"Invalid label", "Invalid comment"}},
	{"errors-configuration#invalid-label_pattern", []string{"Invalid label_pattern"}},
	{"errors-configuration#invalid-number", []string{"Invalid number"}},
	{"errors-configuration#invalid-duration", []string{"Invalid duration"}},
	{"errors-configuration#invalid-id", []string{"Invalid id"}},
	{"errors-configuration#invalid-attribute-value", []string{"Invalid Attribute Value"}},
	{"errors-configuration#invalid-attribute-combination", []string{"Invalid Attribute Combination"}},
	{"errors-configuration#missing-configuration-for-required-attribute", []string{"Missing Configuration for Required Attribute"}},
	{"errors-configuration#invalid-import-id", []string{"Invalid import ID"}},
	{"errors-configuration#invalid-import-identity", []string{"Invalid import identity"}},
	{"errors-configuration#unable-to-take-over-deploy-key", []string{"Unable to take over deploy key"}},
	{"errors-configuration#deploy-key-was-not-read-yet", []string{"Deploy key was not read yet"}},
	{"errors-configuration#setting-id-is-deprecated", []string{"Setting id is deprecated"}},
}

// headingOf returns the heading that explains a summary, "" if there is none. If several
// beginnings match, the longest beginning selects the heading.
func headingOf(summary string) string {
	var heading, beginning string
	for _, entry := range explained {
		for _, text := range entry.summaries {
			if strings.HasPrefix(summary, text) && len(text) > len(beginning) {
				heading, beginning = entry.heading, text
			}
		}
	}
	return heading
}

// addLinks ends each diagnostic with the address of the heading that explains it. It does not
// change a diagnostic that already contains an address of a guide.
func addLinks(diagnostics []*tfprotov6.Diagnostic) {
	for _, d := range diagnostics {
		if heading := headingOf(d.Summary); heading != "" && !strings.Contains(d.Detail, guides) {
			d.Detail = strings.TrimRight(d.Detail, "\n") + "\n\n" + linkTo(heading)
		}
	}
}

// linkServer adds links to the diagnostics of every call. The texts of functions have no links,
// because Terraform ends them with a full stop.
type linkServer struct{ frameworkServer }

// linkErrors wraps the framework's server, since the framework and its validators report
// errors too. It returns any other server unchanged.
func linkErrors(server tfprotov6.ProviderServer) tfprotov6.ProviderServer {
	if server, ok := server.(frameworkServer); ok {
		return linkServer{server}
	}
	return server
}

func (s linkServer) ValidateProviderConfig(ctx context.Context, req *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.ValidateProviderConfig, func(resp *tfprotov6.ValidateProviderConfigResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) ConfigureProvider(ctx context.Context, req *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.ConfigureProvider, func(resp *tfprotov6.ConfigureProviderResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) ValidateResourceConfig(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.ValidateResourceConfig, func(resp *tfprotov6.ValidateResourceConfigResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.UpgradeResourceState, func(resp *tfprotov6.UpgradeResourceStateResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) UpgradeResourceIdentity(ctx context.Context, req *tfprotov6.UpgradeResourceIdentityRequest) (*tfprotov6.UpgradeResourceIdentityResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.UpgradeResourceIdentity, func(resp *tfprotov6.UpgradeResourceIdentityResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) MoveResourceState(ctx context.Context, req *tfprotov6.MoveResourceStateRequest) (*tfprotov6.MoveResourceStateResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.MoveResourceState, func(resp *tfprotov6.MoveResourceStateResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) ImportResourceState(ctx context.Context, req *tfprotov6.ImportResourceStateRequest) (*tfprotov6.ImportResourceStateResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.ImportResourceState, func(resp *tfprotov6.ImportResourceStateResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) GenerateResourceConfig(ctx context.Context, req *tfprotov6.GenerateResourceConfigRequest) (*tfprotov6.GenerateResourceConfigResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.GenerateResourceConfig, func(resp *tfprotov6.GenerateResourceConfigResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.ReadResource, func(resp *tfprotov6.ReadResourceResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.PlanResourceChange, func(resp *tfprotov6.PlanResourceChangeResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.ApplyResourceChange, func(resp *tfprotov6.ApplyResourceChangeResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) ValidateDataResourceConfig(ctx context.Context, req *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.ValidateDataResourceConfig, func(resp *tfprotov6.ValidateDataResourceConfigResponse) []*tfprotov6.Diagnostic {
		return resp.Diagnostics
	})
}

func (s linkServer) ReadDataSource(ctx context.Context, req *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.ReadDataSource, func(resp *tfprotov6.ReadDataSourceResponse) []*tfprotov6.Diagnostic { return resp.Diagnostics })
}

func (s linkServer) ValidateListResourceConfig(ctx context.Context, req *tfprotov6.ValidateListResourceConfigRequest) (*tfprotov6.ValidateListResourceConfigResponse, error) {
	return callWithLinks(ctx, req, s.frameworkServer.ValidateListResourceConfig, func(resp *tfprotov6.ValidateListResourceConfigResponse) []*tfprotov6.Diagnostic {
		return resp.Diagnostics
	})
}

// callWithLinks makes one call, and adds links to the diagnostics of its reply.
func callWithLinks[Request, Response any](ctx context.Context, req Request, call func(context.Context, Request) (*Response, error), diagnostics func(*Response) []*tfprotov6.Diagnostic) (*Response, error) {
	resp, err := call(ctx, req)
	if resp != nil {
		addLinks(diagnostics(resp))
	}
	return resp, err
}

// ListResource adds links to the diagnostics of each result.
func (s linkServer) ListResource(ctx context.Context, req *tfprotov6.ListResourceRequest) (*tfprotov6.ListResourceServerStream, error) {
	stream, err := s.frameworkServer.ListResource(ctx, req)
	if stream != nil && stream.Results != nil {
		results := stream.Results
		stream.Results = func(yield func(tfprotov6.ListResourceResult) bool) {
			for result := range results {
				addLinks(result.Diagnostics)
				if !yield(result) {
					return
				}
			}
		}
	}
	return stream, err
}
