package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// projectDeployKeyResource is a deploy key of a project.
type projectDeployKeyResource struct{ deployKeyResource }

func newProjectDeployKeyResource() resource.Resource {
	return &projectDeployKeyResource{deployKeyResource{on: onProject}}
}

func (r *projectDeployKeyResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	const change = " A change replaces the key, since Bitbucket updates no key of a project."
	attributes := deployKeyResourceAttributes(r.on, change)
	attributes["project"] = schema.StringAttribute{
		MarkdownDescription: "Key of the project, for example `WEB`. Another project replaces the key; a new key of the same project does not.",
		Required:            true,
		Validators:          []validator.String{projectKeyValidator{}},
	}
	attributes["project_uuid"] = schema.StringAttribute{
		MarkdownDescription: "UUID of the project, in braces.",
		Computed:            true,
	}
	resp.Schema = schema.Schema{
		Version: 1, // As for keys of repositories.
		MarkdownDescription: "Manages a deploy key (Bitbucket's pages call it an access key) of a project: an SSH public key that lets a machine read all repositories of the project. " +
			"The same key may be on any number of projects and repositories, once on each. Bitbucket cannot update such a key: a change of `label` or `comment` removes it and adds it again, " +
			"and until then it does not work.\n\n" +
			"**API token scopes**: `admin:project:bitbucket` and `write:ssh-key:bitbucket`; to delete a key also `delete:ssh-key:bitbucket`.\n\n" +
			"**Upstream API**: [Deployments: deploy keys of projects](https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-workspaces-workspace-projects-project-key-deploy-keys-get)",
		Attributes: attributes,
	}
}
