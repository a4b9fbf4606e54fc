package provider

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/deploykeys"
)

// parentKind describes how the deploy keys of repositories and of projects differ for
// Terraform. Everything else is the same for both, and is written once.
type parentKind struct {
	// attribute is the name of the attribute that names the parent. It is also the word for
	// the parent in texts and in the name of its UUID's attribute.
	attribute string
	plural    string
	// typeName is the resource type of the deploy keys.
	typeName string

	newParent func(workspace, name string) bitbucket.Parent
	isName    func(text string) bool
	validator validator.String
	// walk yields the keys of all parents in a workspace. If project is not "", it yields
	// only the keys of the parents in that project.
	walk func(ctx context.Context, service *deploykeys.Service, workspace, project string) iter.Seq2[deploykeys.ParentKeys, error]

	// canUpdateKeys reports whether Bitbucket has a request that changes a key in place.
	canUpdateKeys bool
	// acceptsID reports whether the data source accepts id in place of key_id, as the data
	// source of another provider does.
	acceptsID bool
	// filtersByProject reports whether a search can be limited to one project.
	filtersByProject bool
	// acceptsUUID reports whether Bitbucket accepts the UUID of the parent as its name.
	acceptsUUID bool

	// exampleName, apiPath and settingsPath make up the examples of import IDs.
	exampleName, apiPath, settingsPath string
	// apiForm and settingsForm are the addresses that an import accepts: see [matchPath].
	apiForm, settingsForm string
	// foreignAttributes are the names of the parent's attribute in the state of other
	// providers.
	foreignAttributes []string

	listOperation operation
	docs          parentDocs
}

// parentDocs are the descriptions that differ.
type parentDocs struct {
	// name describes the attribute that names the parent. expectedName describes the values
	// that it accepts.
	name, expectedName, identityName string
	// forcesReplacement ends the name's description in a resource. changeInPlace ends the
	// descriptions of label and comment.
	forcesReplacement, changeInPlace       string
	resource, dataSource, listed, searched string
	// listedName describes the parent's name in a key that a search has found. searchName
	// describes the name in the search.
	listedName, searchName string
}

// diesWithAccount is a part of the resources' descriptions.
const diesWithAccount = "!> A deploy key can stop working when the account that added it loses access. Use the API token of a dedicated account, not of a person: see [Authentication](https://registry.terraform.io/providers/bitbucket-deploy-keys/bitbucket/latest/docs/guides/authentication#use-a-dedicated-account).\n\n"

var repositoryKind = &parentKind{
	attribute: "repository",
	plural:    "repositories",
	typeName:  "bitbucket_deploy_key",

	newParent: func(workspace, name string) bitbucket.Parent {
		return bitbucket.Parent{Workspace: workspace, Repository: name}
	},
	isName:    bitbucket.IsSlugOrUUID,
	validator: slugValidator,
	walk: func(ctx context.Context, service *deploykeys.Service, workspace, project string) iter.Seq2[deploykeys.ParentKeys, error] {
		return service.WalkRepositories(ctx, workspace, project)
	},

	canUpdateKeys:    true,
	acceptsID:        true,
	filtersByProject: true,
	acceptsUUID:      true,

	exampleName:       "website",
	apiPath:           "repositories/acme/website",
	settingsPath:      "acme/website/admin",
	apiForm:           "repositories/*/*/deploy-keys/*",
	settingsForm:      "^/*/*/admin/access-keys/*",
	foreignAttributes: []string{"repository", "repo_slug"},

	listOperation: listRepositories,
	docs: parentDocs{
		name:              "Slug of the repository, or its UUID in braces",
		expectedName:      "repository, a slug or a UUID in braces",
		identityName:      "Slug of the repository, or its UUID in braces.",
		forcesReplacement: ". The UUID stays the same when the repository is renamed. Changing the repository forces replacement. Changing only its spelling, for example from slug to UUID, does not.",
		changeInPlace:     " Changing it updates the key in place, or forces replacement if `update_strategy` of the provider is `replace`.",
		resource: "Manages a deploy key of a repository: an SSH public key that lets a machine clone the repository. Bitbucket's pages call it an access key. " +
			"The same key can be on any number of repositories and projects, but only once on each.\n\n" +
			"Bitbucket may refuse to change the label or the comment of a key: see [Updates and replacement](https://registry.terraform.io/providers/bitbucket-deploy-keys/bitbucket/latest/docs/guides/updates-and-replacement#when-bitbucket-refuses-to-update-a-key).\n\n" +
			diesWithAccount +
			"**API token scopes**: `admin:repository:bitbucket` and `write:ssh-key:bitbucket`; to delete a key also `delete:ssh-key:bitbucket`.\n\n" +
			"**Upstream API**: [Deployments: deploy keys](https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/)",
		dataSource: "Reads one deploy key of a repository, by ID, label or fingerprint.\n\n**API token scopes**: `admin:repository:bitbucket`.",
		listed: "Reads all deploy keys of a repository, or of all repositories of a workspace or project.\n\n" +
			"It sends one request for each repository that has up to 100 keys. To find the repositories, it sends one more request for each 100 of them.",
		searched:   "Finds the deploy keys of a repository, or of all repositories of a workspace or project,",
		listedName: "Slug of the repository that has the key. If `repository` is set above, it is spelled as there.",
		searchName: "Slug of the repository, or its UUID in braces.",
	},
}

var projectKind = &parentKind{
	attribute: "project",
	plural:    "projects",
	typeName:  "bitbucket_project_deploy_key",

	newParent: func(workspace, name string) bitbucket.Parent {
		return bitbucket.Parent{Workspace: workspace, Project: name}
	},
	isName:    bitbucket.IsProjectKey,
	validator: projectKeyValidator,
	walk: func(ctx context.Context, service *deploykeys.Service, workspace, _ string) iter.Seq2[deploykeys.ParentKeys, error] {
		return service.WalkProjects(ctx, workspace)
	},

	exampleName:       "WEB",
	apiPath:           "workspaces/acme/projects/WEB",
	settingsPath:      "acme/workspace/projects/WEB/settings",
	apiForm:           "workspaces/*/projects/*/deploy-keys/*",
	settingsForm:      "^/*/workspace/projects/*/settings/access-keys/*",
	foreignAttributes: []string{"project", "project_key"},

	listOperation: listProjects,
	docs: parentDocs{
		name:              "Key of the project, for example `WEB`",
		expectedName:      "project, the key of a project in capitals",
		identityName:      "Key of the project.",
		forcesReplacement: ". Changing the project forces replacement. If the same project has a new key in Bitbucket, changing `project` to the new key does not.",
		changeInPlace:     " Changing it forces replacement, because Bitbucket cannot update the deploy key of a project.",
		resource: "Manages a deploy key of a project: an SSH public key that lets a machine clone all repositories of the project. Bitbucket's pages call it an access key. " +
			"The same key can be on any number of projects and repositories, but only once on each.\n\n" +
			"Bitbucket cannot update the deploy key of a project. Changing `label` or `comment` removes the key and adds it again. In between, the key does not work.\n\n" +
			diesWithAccount +
			"**API token scopes**: `admin:project:bitbucket` and `write:ssh-key:bitbucket`; to delete a key also `delete:ssh-key:bitbucket`.\n\n" +
			"**Upstream API**: [Deployments: deploy keys of projects](https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-workspaces-workspace-projects-project-key-deploy-keys-get)",
		dataSource: "Reads one deploy key of a project, by ID, label or fingerprint.\n\n**API token scopes**: `admin:project:bitbucket`.",
		listed: "Reads all deploy keys of a project, or of all projects of a workspace. It does not read the deploy keys of the repositories in a project: use `bitbucket_deploy_keys`.\n\n" +
			"It sends one request for each project that has up to 100 keys. To find the projects, it sends one more request for each 100 of them.",
		searched:   "Finds the deploy keys of a project, or of all projects of a workspace,",
		listedName: "Key of the project that has the deploy key.",
		searchName: "Key of a project, for example `WEB`.",
	},
}

// kindOf returns the kind of a parent.
func kindOf(parent bitbucket.Parent) *parentKind {
	if parent.Project != "" {
		return projectKind
	}
	return repositoryKind
}

// parent returns the parent with these names, and with its UUID if that is known.
func (k *parentKind) parent(workspace, name, uuid types.String) bitbucket.Parent {
	parent := k.newParent(workspace.ValueString(), name.ValueString())
	parent.UUID = uuid.ValueString()
	return parent
}

// uuidAttribute is the name of the attribute with the UUID of the parent.
func (k *parentKind) uuidAttribute() string { return k.attribute + "_uuid" }

// placeholder stands for the name of a parent in a command.
func (k *parentKind) placeholder() string { return strings.ToUpper(k.attribute) }

// describeParent returns the name of a parent for a text that can be about both kinds.
func describeParent(parent bitbucket.Parent) string {
	if parent.Project != "" {
		return "project " + parent.String()
	}
	return parent.String()
}

// Both kinds use the same structs as models. In the tags of the fields, parent stands for
// repository or project, and parent_uuid stands for repository_uuid or project_uuid.

// get reads a configuration, plan, state or identity into a model.
func (k *parentKind) get(ctx context.Context, from interface {
	Get(ctx context.Context, target any) diag.Diagnostics
}, model any,
) diag.Diagnostics {
	var object types.Object
	diags := from.Get(ctx, &object)
	if diags.HasError() {
		return diags
	}
	if object.IsNull() || object.IsUnknown() { // Terraform sends such an object only where the callers check for it.
		diags.AddError("Unexpected provider data", "This is a bug in the provider. Please report it.")
		return diags
	}
	values := object.Attributes()
	for name, field := range k.fields(model) {
		field.Set(reflect.ValueOf(values[name]))
	}
	return diags
}

// set writes a model into a plan, state or identity.
func (k *parentKind) set(ctx context.Context, to interface {
	Set(ctx context.Context, value any) diag.Diagnostics
}, model any,
) diag.Diagnostics {
	return to.Set(ctx, k.object(ctx, model))
}

// object returns a model as a value of its schema.
func (k *parentKind) object(ctx context.Context, model any) types.Object {
	attributeTypes, values := map[string]attr.Type{}, map[string]attr.Value{}
	for name, field := range k.fields(model) {
		value, ok := field.Interface().(attr.Value)
		if !ok {
			panic(fmt.Sprintf("the field %s of %T has no type of the framework", name, model))
		}
		attributeTypes[name], values[name] = value.Type(ctx), value
	}
	return types.ObjectValueMust(attributeTypes, values)
}

// fields returns the fields of a model, by the names of their attributes.
func (k *parentKind) fields(model any) map[string]reflect.Value {
	value := reflect.ValueOf(model).Elem()
	fields := map[string]reflect.Value{}
	for _, field := range reflect.VisibleFields(value.Type()) {
		if tag, ok := field.Tag.Lookup("tfsdk"); ok {
			fields[strings.Replace(tag, "parent", k.attribute, 1)] = value.FieldByIndex(field.Index)
		}
	}
	return fields
}
