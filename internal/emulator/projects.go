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
func embedProject(c call, at *Workspace, project *Project) projectBody {
	return projectBody{
		Type:  "project",
		Key:   project.Key,
		Name:  project.Name,
		UUID:  project.UUID,
		Links: links{"self": {c.origin() + "/2.0/workspaces/" + at.Slug + "/projects/" + url.PathEscape(project.Key)}},
	}
}

// projects carries out a GET of a workspace's projects.
func (e *Emulator) projects(c call, workspace string) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	if answer, ok := e.admit(c, scopes{[]string{"read:project:bitbucket"}, []string{"project"}}); !ok {
		return answer
	}
	at, _ := e.held.find(workspace, "")
	if at == nil {
		return workspaceNotFound(workspace)
	}
	list, refused := paged(c, len(at.Projects), func(i int) projectBody { return embedProject(c, at, &at.Projects[i]) })
	if list == nil {
		return refused
	}
	return partialReply(c, list)
}
