package provider

import (
	"context"
	"iter"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// deployKeySearch says which deploy keys of a workspace are wanted. The data
// source and the list resource share it.
type deployKeySearch struct {
	Workspace         types.String `tfsdk:"workspace"`
	Repository        types.String `tfsdk:"repository"`
	Project           types.String `tfsdk:"project"`
	LabelPattern      types.String `tfsdk:"label_pattern"`
	FingerprintSHA256 types.String `tfsdk:"fingerprint_sha256"`
}

const searchScopes = "**API token scopes**: `admin:repository:bitbucket`; without `repository` also `read:repository:bitbucket`."

// searchAttribute is one of its attributes, of which the data source and the list
// resource make their own.
type searchAttribute struct {
	description string
	required    bool
	validators  []validator.String
}

var searchAttributes = map[string]searchAttribute{
	"workspace": {
		description: "Slug of the workspace, or its UUID in braces.",
		required:    true,
		validators:  []validator.String{slugValidator{}},
	},
	"repository": {
		description: "Slug of the repository, or its UUID in braces. Default: all repositories of the workspace that the account can see.",
		validators:  []validator.String{slugValidator{}},
	},
	"project": {
		description: "Key of a project, for example `WEB`: only its repositories. Conflicts with `repository`.",
		validators: []validator.String{
			stringvalidator.RegexMatches(projectKeyPattern, "must be the key of a project as Bitbucket shows it, in capitals: WEB"),
			stringvalidator.ConflictsWith(path.MatchRoot("repository")),
		},
	},
	"label_pattern": {
		description: "Regular expression that the label must match, in the syntax of [RE2](https://github.com/google/re2/wiki/Syntax). It matches anywhere in the label, unless it begins with `^` or ends with `$`.",
		validators:  []validator.String{patternValidator{}},
	},
	"fingerprint_sha256": {
		description: "SHA-256 fingerprint that the key must have, as `ssh-keygen -l` prints it: `SHA256:…`.",
		validators:  []validator.String{fingerprintValidator()},
	},
}

// keys yields the keys that are wanted, repository by repository, and asks for no
// more than are taken. When it has ended, diags has what there is to say.
func (s *deployKeySearch) keys(ctx context.Context, client *bitbucket.Client, diags *diag.Diagnostics) iter.Seq[*deployKeyDataSourceModel] {
	return func(yield func(*deployKeyDataSourceModel) bool) {
		label := regexp.MustCompile(s.LabelPattern.ValueString()) // patternValidator lets nothing else through.
		var hidden []string
		defer func() { warnHidden(hidden, diags) }()
		for found, err := range s.repositories(ctx, client) {
			switch {
			case err != nil && found.Place.Repository == "":
				listRepositories.addError(diags, bitbucket.Place{Workspace: s.Workspace.ValueString()}, 0, err)
				return
			case err != nil:
				listDeployKeys.addError(diags, found.Place, 0, err)
				return
			case found.Hidden:
				hidden = append(hidden, found.Place.String())
			}
			for i := range found.Keys {
				key := &deployKeyDataSourceModel{LastUsed: nullIfEmpty(found.Keys[i].LastUsed)}
				key.Workspace, key.Repository = s.Workspace, types.StringValue(found.Place.Repository)
				key.flatten(found.Place, &found.Keys[i])
				wanted := label.MatchString(key.Label.ValueString()) && (s.FingerprintSHA256.IsNull() || s.FingerprintSHA256.Equal(key.FingerprintSHA256))
				if wanted && !yield(key) {
					return
				}
			}
		}
	}
}

// repositories yields the keys of the one repository that is named, or of all.
func (s *deployKeySearch) repositories(ctx context.Context, client *bitbucket.Client) iter.Seq2[bitbucket.PlaceDeployKeys, error] {
	if s.Repository.IsNull() {
		return client.WorkspaceDeployKeys(ctx, s.Workspace.ValueString(), s.Project.ValueString())
	}
	return func(yield func(bitbucket.PlaceDeployKeys, error) bool) {
		repository := bitbucket.Place{Workspace: s.Workspace.ValueString(), Repository: s.Repository.ValueString()}
		keys, err := client.DeployKeys(ctx, repository)
		yield(bitbucket.PlaceDeployKeys{Place: repository, Keys: keys}, err)
	}
}
