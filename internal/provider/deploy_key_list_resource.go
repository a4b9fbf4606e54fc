package provider

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

var _ list.ListResourceWithConfigure = (*deployKeyListResource)(nil)

// deployKeyListResource finds keys of repositories for "terraform query", or those
// of projects.
type deployKeyListResource struct {
	on   placeKind
	data *providerData
}

func newDeployKeyListResource() list.ListResource { return &deployKeyListResource{on: onRepository} }

func newProjectDeployKeyListResource() list.ListResource {
	return &deployKeyListResource{on: onProject}
}

func (l *deployKeyListResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = l.on.typeName()
}

func (l *deployKeyListResource) ListResourceConfigSchema(_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse) {
	attributes := map[string]schema.Attribute{}
	for name, a := range searchAttributes(l.on) {
		attributes[name] = schema.StringAttribute{MarkdownDescription: a.description, Required: a.required, Optional: !a.required, Validators: a.validators}
	}
	finds := map[placeKind]string{
		onRepository: "Finds the deploy keys of a repository, or of all repositories of a workspace or project,",
		onProject:    "Finds the deploy keys of a project, or of all projects of a workspace,",
	}[l.on]
	resp.Schema = schema.Schema{
		MarkdownDescription: finds + " for `terraform query` (Terraform 1.14). " +
			"It costs as many requests as the data source `" + l.on.typeName() + "s`, and stops at `limit`, which is 100 by default. " +
			"With `-generate-config-out`, the query writes configuration and `import` blocks: see [Take over existing deploy keys](../guides/take-over-existing-deploy-keys.md). " + searchDescription(l.on),
		Attributes: attributes,
	}
}

func (l *deployKeyListResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	l.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// List streams the keys while Bitbucket is asked for more, and stops by itself at
// the limit: Terraform does not say when it has enough.
func (l *deployKeyListResource) List(ctx context.Context, req list.ListRequest, stream *list.ListResultsStream) {
	search, diags := l.search(ctx, req)
	if diags.HasError() || !l.data.configured(&diags) {
		stream.Results = list.ListResultsStreamDiagnostics(diags)
		return
	}
	stream.Results = func(push func(list.ListResult) bool) {
		var last list.ListResult
		left := req.Limit
		for key := range search.keys(ctx, l.on, l.data.keys, &diags) {
			result := l.result(ctx, req, key)
			if left--; left == 0 {
				last = result // Nothing is read after it, so it takes the warnings along.
				break
			}
			if !push(result) {
				return
			}
		}
		l.data.noteRateLimit(&diags)
		last.Diagnostics.Append(diags...)
		if len(last.Diagnostics) > 0 || last.Identity != nil {
			push(last)
		}
	}
}

// search is what the query asks for.
func (l *deployKeyListResource) search(ctx context.Context, req list.ListRequest) (*deployKeySearch, diag.Diagnostics) {
	if l.on == onProject {
		var search projectDeployKeySearch
		diags := req.Config.Get(ctx, &search)
		return search.search(), diags
	}
	search := &deployKeySearch{}
	return search, req.Config.Get(ctx, search)
}

// result is a key as Terraform shows it, and as an import would have it in state.
func (l *deployKeyListResource) result(ctx context.Context, req list.ListRequest, key *deployKeyDataSourceModel) list.ListResult {
	result := req.NewListResult(ctx)
	result.DisplayName = key.displayName(l.on)
	result.Diagnostics.Append(result.Identity.Set(ctx, l.on.identity(key.identity()))...)
	if req.IncludeResource {
		key.attachComment()
		result.Diagnostics.Append(result.Resource.Set(ctx, l.on.model(&key.deployKeyModel))...)
	}
	return result
}

// displayName tells people which key it is, in one line that no terminal obeys:
// Terraform prints it as it is.
func (m *deployKeyModel) displayName(on placeKind) string {
	name := cmp.Or(m.Label.ValueString(), m.Comment.ValueString(), fmt.Sprintf("deploy key %d", m.KeyID.ValueInt64()))
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, name)
	return fmt.Sprintf("%s: %s (%s)", on.of(m), name, cmp.Or(m.FingerprintSHA256.ValueString(), "no SSH key"))
}
