package emulator

import (
	"net/http"
	"net/url"
)

// projectBody is a project, as the list of a workspace has it and as others embed
// it. The live API sends more.
type projectBody struct {
	Type  string `json:"type"`
	Key   string `json:"key"`
	Name  string `json:"name"`
	UUID  string `json:"uuid"`
	Links links  `json:"links"`
}

// embedProject is project as c sees it.
func newProjectBody(c call, owner *Workspace, project *Project) projectBody {
	return projectBody{
		Type:  "project",
		Key:   project.Key,
		Name:  project.Name,
		UUID:  project.UUID,
		Links: links{"self": {c.origin() + "/2.0/workspaces/" + owner.Slug + "/projects/" + url.PathEscape(project.Key)}},
	}
}

// projects carries out a GET of a workspace's projects.
func (e *Emulator) projects(c call, workspace string) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	if answer, ok := e.authorize(c, scopes{[]string{"read:project:bitbucket"}, []string{"project"}}); !ok {
		return answer
	}
	owner, _ := e.state.findRepository(workspace, "")
	if owner == nil {
		return workspaceNotFound(workspace)
	}
	list, answer := newPage(c, len(owner.Projects), func(i int) projectBody { return newProjectBody(c, owner, &owner.Projects[i]) })
	if list == nil {
		return answer
	}
	return partialReply(c, list)
}
