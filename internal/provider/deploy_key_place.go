package provider

import (
	"cmp"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// placeKind is what deploy keys are on, by the name of the attribute that says on
// which. Its methods name things by the kind; what only one of the two can do
// stands in an if where it matters.
type placeKind string

const (
	onRepository placeKind = "repository"
	onProject    placeKind = "project"
)

// kindOf is the kind of a place.
func kindOf(place bitbucket.Parent) placeKind {
	if place.Project != "" {
		return onProject
	}
	return onRepository
}

// place is the place of a workspace with a name, and with its UUID if it is known.
func (k placeKind) place(workspace, name, uuid types.String) bitbucket.Parent {
	place := bitbucket.Parent{Workspace: workspace.ValueString(), UUID: uuid.ValueString()}
	if k == onProject {
		place.Project = name.ValueString()
	} else {
		place.Repository = name.ValueString()
	}
	return place
}

// of is the place that a key is on, as the configuration or the state spells it.
func (k placeKind) of(m *deployKeyModel) bitbucket.Parent {
	return k.place(m.Workspace, m.Place, m.PlaceUUID)
}

// isName tells whether text can name a place in a path.
func (k placeKind) isName(text string) bool {
	if k == onProject {
		return bitbucket.IsProjectKey(text)
	}
	return bitbucket.IsSlugOrUUID(text)
}

// expected tells what names one.
func (k placeKind) expected() string {
	if k == onProject {
		return "project, the key of a project in capitals"
	}
	return "repository, a slug or a UUID in braces"
}

// nameOf is the name of a place in its workspace.
func nameOf(place bitbucket.Parent) string { return cmp.Or(place.Repository, place.Project) }

// typeName is the type of the resource.
func (k placeKind) typeName() string {
	if k == onProject {
		return "bitbucket_project_deploy_key"
	}
	return "bitbucket_deploy_key"
}

// model is m as the schema names its attributes.
func (k placeKind) model(m *deployKeyModel) any {
	if k == onProject {
		return (*projectDeployKeyModel)(m)
	}
	return m
}

// identity is i as the schema names its attributes.
func (k placeKind) identity(i *deployKeyIdentity) any {
	if k == onProject {
		return (*projectDeployKeyIdentity)(i)
	}
	return i
}
