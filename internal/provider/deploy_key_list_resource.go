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

// deployKeyListResource finds the deploy keys of repositories or of projects for "terraform
// query".
type deployKeyListResource struct {
	kind *parentKind
	data *providerData
}

func newDeployKeyListResource() list.ListResource {
	return &deployKeyListResource{kind: repositoryKind}
}

func newProjectDeployKeyListResource() list.ListResource {
	return &deployKeyListResource{kind: projectKind}
}

func (l *deployKeyListResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = l.kind.typeName
}

func (l *deployKeyListResource) ListResourceConfigSchema(_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse) {
	attributes := map[string]schema.Attribute{}
	for name, a := range searchAttributes(l.kind) {
		attributes[name] = schema.StringAttribute{MarkdownDescription: a.description, Required: a.required, Optional: !a.required, Validators: a.validators}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: l.kind.docs.searched + " with `terraform query` (Terraform 1.14 or later).\n\n" +
			"Write the `list` block into a file whose name ends with `.tfquery.hcl`, for example `deploy_keys.tfquery.hcl`, and run `terraform query` in the same folder. Terraform does not accept the block in a `.tf` file. " +
			"With `-generate-config-out`, the query writes configuration and `import` blocks: see [Take over existing deploy keys](https://registry.terraform.io/providers/bitbucket-deploy-keys/bitbucket/latest/docs/guides/take-over-existing-deploy-keys).\n\n" +
			"A query costs as many requests as the data source `" + l.kind.typeName + "s`. It ends after `limit` keys, 100 by default. If there are, or may be, more keys, a warning says so. " + searchDescription(l.kind),
		Attributes: attributes,
	}
}

func (l *deployKeyListResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	l.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// List streams the keys while it requests more. The search ends at the limit, because
// Terraform does not report when it has enough.
func (l *deployKeyListResource) List(ctx context.Context, req list.ListRequest, stream *list.ListResultsStream) {
	var diags diag.Diagnostics
	search := readSearch(ctx, l.kind, req.Config, &diags)
	if diags.HasError() || !l.data.configured(&diags) {
		stream.Results = list.ListResultsStreamDiagnostics(diags)
		return
	}
	stream.Results = func(push func(list.ListResult) bool) {
		var last list.ListResult
		left := req.Limit
		search.limit = req.Limit
		for key := range search.keys(ctx, l.data.keys, &diags) {
			result := l.result(ctx, req, key)
			if left--; left == 0 {
				last = result // Terraform reads no result after this one, so add the warnings to it.
				continue
			}
			if !push(result) {
				return
			}
		}
		l.data.warnNearLimit(&diags)
		last.Diagnostics.Append(diags...)
		if len(last.Diagnostics) > 0 || last.Identity != nil {
			push(last)
		}
	}
}

// result returns a key with the name that Terraform shows and the values that an import
// would store.
func (l *deployKeyListResource) result(ctx context.Context, req list.ListRequest, key *deployKeyDataSourceModel) list.ListResult {
	result := req.NewListResult(ctx)
	result.DisplayName = key.displayName(l.kind)
	result.Diagnostics.Append(l.kind.set(ctx, result.Identity, key.identity())...)
	if req.IncludeResource {
		key.attachComment()
		result.Diagnostics.Append(l.kind.set(ctx, result.Resource, &key.deployKeyModel)...)
	}
	return result
}

// displayName describes the key in one line without control characters: Terraform prints it
// to the terminal as it is.
func (m *deployKeyModel) displayName(kind *parentKind) string {
	name := cmp.Or(m.Label.ValueString(), m.Comment.ValueString(), fmt.Sprintf("deploy key %d", m.KeyID.ValueInt64()))
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, name)
	return fmt.Sprintf("%s: %s (%s)", m.parent(kind), name, cmp.Or(m.FingerprintSHA256.ValueString(), "no SSH key"))
}
