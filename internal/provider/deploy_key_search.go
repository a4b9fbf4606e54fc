package provider

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"golang.org/x/text/unicode/norm"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"
)

// deployKeySearch selects deploy keys of one parent or of a workspace. The data source for
// all keys and the list resource share it.
type deployKeySearch struct {
	kind              *parentKind
	Workspace         types.String `tfsdk:"workspace"`
	Parent            types.String `tfsdk:"parent"`
	LabelPattern      types.String `tfsdk:"label_pattern"`
	FingerprintSHA256 types.String `tfsdk:"fingerprint_sha256"`
	// Project limits a search of repositories to the repositories of one project.
	Project types.String
	// limit is the number of keys after which the search ends, 0 for all keys.
	limit int64
}

// readSearch reads a search from a configuration.
func readSearch(ctx context.Context, kind *parentKind, config tfsdk.Config, diags *diag.Diagnostics) *deployKeySearch {
	search := &deployKeySearch{kind: kind}
	diags.Append(kind.get(ctx, config, search)...)
	if kind.filtersByProject {
		diags.Append(config.GetAttribute(ctx, path.Root(projectKind.attribute), &search.Project)...)
	}
	return search
}

// searchAttribute is an attribute of a search. The data source and the list resource have
// different types for it.
type searchAttribute struct {
	description string
	required    bool
	validators  []validator.String
}

// searchAttributes returns the attributes of a search for keys with parents of this kind.
func searchAttributes(kind *parentKind) map[string]searchAttribute {
	attributes := map[string]searchAttribute{
		"workspace": {
			description: "Slug of the workspace, or its UUID in braces.",
			required:    true,
			validators:  []validator.String{slugValidator},
		},
		kind.attribute: {
			description: kind.docs.searchName + fmt.Sprintf(" Default: all %s of the workspace that the account can read.", kind.plural),
			validators:  []validator.String{kind.validator},
		},
		"label_pattern": {
			description: "Regular expression that the label must match, in the syntax of [RE2](https://github.com/google/re2/wiki/Syntax). It matches anywhere in the label, unless it begins with `^` or ends with `$`.",
			validators:  []validator.String{patternValidator},
		},
		"fingerprint_sha256": {
			description: "SHA-256 fingerprint that the key must have, as `ssh-keygen -l` prints it: `SHA256:…`.",
			validators:  []validator.String{fingerprintValidator()},
		},
	}
	if kind.filtersByProject {
		attributes[projectKind.attribute] = searchAttribute{
			description: "Key of a project, for example `WEB`. Selects the repositories of this project. Conflicts with `repository`.",
			validators:  []validator.String{projectKeyValidator, stringvalidator.ConflictsWith(path.MatchRoot(kind.attribute))},
		}
	}
	return attributes
}

// searchDescription returns the end of the description of a search.
func searchDescription(kind *parentKind) string {
	return fmt.Sprintf("A warning names the %[2]s whose keys the account cannot read, and the keys that the provider cannot parse.\n\n"+
		"**API token scopes**: `admin:%[1]s:bitbucket`; without `%[1]s` also `read:%[1]s:bitbucket`.", kind.attribute, kind.plural)
}

// keys yields the selected keys, parent by parent. It requests no more keys when the caller
// stops. At the end, diags contains the warnings and errors.
//
// After the last key that the limit allows, keys looks for one more key, for a warning. It
// looks at the rest of the same parent and at the next parent, because this usually costs one
// request at most.
func (s *deployKeySearch) keys(ctx context.Context, service *deploykeys.Service, diags *diag.Diagnostics) iter.Seq[*deployKeyDataSourceModel] {
	return func(yield func(*deployKeyDataSourceModel) bool) {
		pattern := regexp.MustCompile(s.LabelPattern.ValueString()) // patternValidator has checked the pattern.
		var hidden, unreadable []string
		parents, yielded := 0, int64(0)
		atLimit := func() bool { return s.limit > 0 && yielded >= s.limit }
		defer func() {
			warnHidden(s.kind, hidden, diags)
			warnUnreadable(s.kind, unreadable, diags)
		}()
		for found, err := range s.parents(ctx, service) {
			parents++
			looksForMore := atLimit()
			switch {
			case err != nil && looksForMore:
				s.warnLimit(fmt.Sprintf("There may be more of them: the search ended after the next %s", s.kind.attribute), diags)
				return
			case err != nil && found.Parent.Name() == "":
				s.kind.listOperation.addError(diags, bitbucket.Parent{Workspace: s.Workspace.ValueString()}, 0, err)
				return
			case err != nil:
				listDeployKeys.addError(diags, found.Parent, 0, err)
				return
			case found.Hidden:
				hidden = append(hidden, found.Parent.String())
			}
			if entries, ok := errors.AsType[*deploykeys.UnreadableError](found.Err()); ok {
				unreadable = append(unreadable, fmt.Sprintf("%s (%s)", found.Parent, entries.Entries()))
			}
			for i := range found.Keys {
				key := newDeployKeyDataSourceModel(s.Workspace, found.Parent, &found.Keys[i])
				selected := pattern.MatchString(norm.NFC.String(key.Label.ValueString())) && (s.FingerprintSHA256.IsNull() || s.FingerprintSHA256.Equal(key.FingerprintSHA256))
				if !selected {
					continue
				}
				if atLimit() {
					s.warnLimit("There are more of them", diags)
					return
				}
				yielded++
				if !yield(key) {
					return
				}
			}
			if looksForMore {
				s.warnLimit(fmt.Sprintf("There may be more of them: the search ended after the next %s", s.kind.attribute), diags)
				return
			}
		}
		if parents == 0 && !s.Project.IsNull() {
			diags.AddWarning("No repository found in the project", fmt.Sprintf("Bitbucket lists no repository of the project %s in the workspace %s, so no deploy keys were found. "+
				"Either the project does not exist, or it has no repository that the account can see. Check project and workspace.", s.Project.ValueString(), s.Workspace.ValueString()))
		}
	}
}

// warnLimit warns that the limit has ended a list.
func (s *deployKeySearch) warnLimit(more string, diags *diag.Diagnostics) {
	diags.AddWarning("Not all deploy keys are listed", fmt.Sprintf("The list ended after %d deploy keys, which is its limit. %s. To list all of them, set limit in the list block to a higher number; the default is 100. "+
		"Do not make an exclusive set (%ss_exclusive) of this list: it would remove the deploy keys that are not listed.", s.limit, more, s.kind.typeName))
}

// parents yields the keys of the named parent, or of all parents.
func (s *deployKeySearch) parents(ctx context.Context, service *deploykeys.Service) iter.Seq2[deploykeys.ParentKeys, error] {
	if s.Parent.IsNull() {
		return s.kind.walk(ctx, service, s.Workspace.ValueString(), s.Project.ValueString())
	}
	return func(yield func(deploykeys.ParentKeys, error) bool) {
		parent := s.kind.newParent(s.Workspace.ValueString(), s.Parent.ValueString())
		listing, err := service.List(ctx, parent)
		yield(deploykeys.ParentKeys{Parent: parent, Listing: listing}, err)
	}
}
