package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ resource.ResourceWithIdentity = (*deployKeyResource)(nil)

// deployKeyIdentity is what tells one deploy key from all others, with workspace
// and place as the state spells them.
type deployKeyIdentity struct {
	Workspace types.String `tfsdk:"workspace"`
	Place     types.String `tfsdk:"repository"`
	KeyID     types.Int64  `tfsdk:"key_id"`
}

// projectDeployKeyIdentity is the same with the names of a project's attributes.
type projectDeployKeyIdentity struct {
	Workspace types.String `tfsdk:"workspace"`
	Place     types.String `tfsdk:"project"`
	KeyID     types.Int64  `tfsdk:"key_id"`
}

func (m *deployKeyModel) identity() *deployKeyIdentity {
	return &deployKeyIdentity{m.Workspace, m.Place, m.KeyID}
}

func (r *deployKeyResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	place := "Slug of the repository, or its UUID in braces."
	if r.on == onProject {
		place = "Key of the project."
	}
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"workspace": identityschema.StringAttribute{
				Description:       "Slug of the workspace, or its UUID in braces.",
				RequiredForImport: true,
			},
			string(r.on): identityschema.StringAttribute{
				Description:       place,
				RequiredForImport: true,
			},
			"key_id": identityschema.Int64Attribute{
				Description:       "Number of the key at Bitbucket.",
				RequiredForImport: true,
			},
		},
	}
}
