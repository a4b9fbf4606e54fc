package provider

import (
	"context"
	"fmt"
	"iter"
	"regexp"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"

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

// projectDeployKeySearch says which keys of projects are.
type projectDeployKeySearch struct {
	Workspace         types.String `tfsdk:"workspace"`
	Project           types.String `tfsdk:"project"`
	LabelPattern      types.String `tfsdk:"label_pattern"`
	FingerprintSHA256 types.String `tfsdk:"fingerprint_sha256"`
}

// search is the same under the names that the code has.
func (s *projectDeployKeySearch) search() *deployKeySearch {
	return &deployKeySearch{Workspace: s.Workspace, Project: s.Project, LabelPattern: s.LabelPattern, FingerprintSHA256: s.FingerprintSHA256}
}

// searchAttribute is one of its attributes, of which the data source and the list
// resource make their own.
type searchAttribute struct {
	description string
	required    bool
	validators  []validator.String
}

// searchAttributes are those of a search for keys of either kind of place.
func searchAttributes(on placeKind) map[string]searchAttribute {
	attributes := map[string]searchAttribute{
		"workspace": {
			description: "Slug of the workspace, or its UUID in braces.",
			required:    true,
			validators:  []validator.String{slugValidator{}},
		},
		"label_pattern": {
			description: "Regular expression that the label must match, in the syntax of [RE2](https://github.com/google/re2/wiki/Syntax). It matches anywhere in the label, unless it begins with `^` or ends with `$`.",
			validators:  []validator.String{patternValidator{}},
		},
		"fingerprint_sha256": {
			description: "SHA-256 fingerprint that the key must have, as `ssh-keygen -l` prints it: `SHA256:…`.",
			validators:  []validator.String{fingerprintValidator()},
		},
		"project": {
			description: "Key of a project, for example `WEB`. Default: all projects of the workspace that the account can see.",
			validators:  []validator.String{projectKeyValidator{}},
		},
	}
	if on == onRepository {
		attributes["repository"] = searchAttribute{
			description: "Slug of the repository, or its UUID in braces. Default: all repositories of the workspace that the account can see.",
			validators:  []validator.String{slugValidator{}},
		}
		attributes["project"] = searchAttribute{
			description: "Key of a project, for example `WEB`: only its repositories. Conflicts with `repository`.",
			validators:  []validator.String{projectKeyValidator{}, stringvalidator.ConflictsWith(path.MatchRoot("repository"))},
		}
	}
	return attributes
}

// searchDescription completes the description of what searches.
func searchDescription(on placeKind) string {
	return fmt.Sprintf("A warning names those whose keys the account may not see.\n\n"+
		"**API token scopes**: `admin:%[1]s:bitbucket`; without `%[1]s` also `read:%[1]s:bitbucket`.", on)
}

// keys yields the keys that are wanted, place by place, and asks for no more than
// are taken. When it has ended, diags has what there is to say.
func (s *deployKeySearch) keys(ctx context.Context, on placeKind, service *deploykeys.Service, diags *diag.Diagnostics) iter.Seq[*deployKeyDataSourceModel] {
	return func(yield func(*deployKeyDataSourceModel) bool) {
		label := regexp.MustCompile(s.LabelPattern.ValueString()) // patternValidator lets nothing else through.
		var hidden []string
		defer func() { warnHidden(on, hidden, diags) }()
		for found, err := range s.places(ctx, on, service) {
			switch {
			case err != nil && nameOf(found.Parent) == "":
				map[placeKind]operation{onRepository: listRepositories, onProject: listProjects}[on].addError(diags, bitbucket.Parent{Workspace: s.Workspace.ValueString()}, 0, err)
				return
			case err != nil:
				listDeployKeys.addError(diags, found.Parent, 0, err)
				return
			case found.Hidden:
				hidden = append(hidden, found.Parent.String())
			}
			for i := range found.Keys {
				key := &deployKeyDataSourceModel{LastUsed: nullIfEmpty(found.Keys[i].LastUsed)}
				key.Workspace, key.Place = s.Workspace, types.StringValue(nameOf(found.Parent))
				key.flatten(found.Parent, &found.Keys[i])
				wanted := label.MatchString(key.Label.ValueString()) && (s.FingerprintSHA256.IsNull() || s.FingerprintSHA256.Equal(key.FingerprintSHA256))
				if wanted && !yield(key) {
					return
				}
			}
		}
	}
}

// places yields the keys of the one place that is named, or of all.
func (s *deployKeySearch) places(ctx context.Context, on placeKind, service *deploykeys.Service) iter.Seq2[deploykeys.ParentKeys, error] {
	name := map[placeKind]types.String{onRepository: s.Repository, onProject: s.Project}[on]
	switch {
	case !name.IsNull():
		return func(yield func(deploykeys.ParentKeys, error) bool) {
			place := on.place(s.Workspace, name, types.StringNull())
			keys, err := service.List(ctx, place)
			yield(deploykeys.ParentKeys{Parent: place, Keys: keys}, err)
		}
	case on == onProject:
		return service.WalkProjects(ctx, s.Workspace.ValueString())
	}
	return service.WalkRepositories(ctx, s.Workspace.ValueString(), s.Project.ValueString())
}
