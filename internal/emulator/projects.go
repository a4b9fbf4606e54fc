package emulator

import (
	"net/http"
	"net/url"
)

// projectBody is the JSON of a project in a list, or inside a repository or a deploy
// key. The live API sends more fields.
type projectBody struct {
	Type  string `json:"type"`
	Key   string `json:"key"`
	Name  string `json:"name"`
	UUID  string `json:"uuid"`
	Links links  `json:"links"`
}

// newProjectBody returns the JSON of a project of the workspace owner.
func newProjectBody(c call, owner *Workspace, project *Project) projectBody {
	return projectBody{
		Type:  "project",
		Key:   project.Key,
		Name:  project.Name,
		UUID:  project.UUID,
		Links: links{"self": {c.origin() + "/2.0/workspaces/" + owner.Slug + "/projects/" + url.PathEscape(project.Key)}},
	}
}

// projects answers a GET of the projects of a workspace.
func (e *Emulator) projects(c call, workspace string) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	if answer, ok := e.authorize(c, scopes{[]string{"read:project:bitbucket"}, []string{"project"}}); !ok {
		return answer
	}
	owner := e.state.findWorkspace(workspace)
	if owner == nil {
		return workspaceNotFound(workspace)
	}
	list, answer := newPage(c, len(owner.Projects), func(i int) projectBody { return newProjectBody(c, owner, &owner.Projects[i]) })
	if list == nil {
		return answer
	}
	return partialReply(c, list)
}
