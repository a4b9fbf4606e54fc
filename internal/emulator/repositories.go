package emulator

import (
	"fmt"
	"net/http"
	"regexp"
)

// Permission is the permission of the account on a repository or a project.
type Permission string

// The permissions have Bitbucket's names. With PermissionRead, an account sees the
// repository or project, but not its deploy keys.
const (
	PermissionAdmin Permission = "admin"
	PermissionRead  Permission = "read"
)

// repositoryRead lists the scopes that reading a repository requires.
var repositoryRead = scopes{[]string{"read:repository:bitbucket"}, []string{"repository"}}

// fullRepositoryBody is the JSON of a repository that is not inside a deploy key.
// The live API sends more fields.
type fullRepositoryBody struct {
	repositoryBody
	Slug      string      `json:"slug"`
	IsPrivate bool        `json:"is_private"`
	Project   projectBody `json:"project"`
}

// filterPattern matches the only supported form of the parameter q: field = "value".
var filterPattern = regexp.MustCompile(`^\s*([a-z_.]+)\s*=\s*"([^"]*)"\s*$`)

// repositories answers a GET of the repositories of a workspace.
func (e *Emulator) repositories(c call, workspace string) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	if answer, ok := e.authorize(c, repositoryRead); !ok {
		return answer
	}
	owner := e.state.findWorkspace(workspace)
	if owner == nil {
		return workspaceNotFound(workspace)
	}
	var project string
	if q := c.URL.Query().Get("q"); q != "" {
		query := filterPattern.FindStringSubmatch(q)
		switch {
		case query == nil:
			return badRequest()
		case query[1] != "project.key":
			return errorMessage(http.StatusBadRequest, fmt.Sprintf("Field %q does not support filtering", query[1]))
		}
		project = query[2]
	}
	var matching []*Repository
	for i := range owner.Repositories {
		if repository := &owner.Repositories[i]; project == "" || repository.Project == project {
			matching = append(matching, repository)
		}
	}
	list, answer := newPage(c, len(matching), func(i int) fullRepositoryBody { return newFullRepositoryBody(c, owner, matching[i]) })
	if list == nil {
		return answer
	}
	return partialReply(c, list)
}

// repository answers a GET of one repository.
func (e *Emulator) repository(c call, workspace, slug string) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	if answer, ok := e.authorize(c, repositoryRead); !ok {
		return answer
	}
	owner, found, answer := e.findRepository(workspace, slug)
	if found == nil {
		return answer
	}
	return partialReply(c, newFullRepositoryBody(c, owner, found))
}

// findRepository returns a repository and its workspace. If the repository does not
// exist, it returns nil and the error reply.
func (e *Emulator) findRepository(workspace, slug string) (*Workspace, *Repository, reply) {
	owner, found := e.state.findRepository(workspace, slug)
	switch {
	case found != nil:
		return owner, found, reply{}
	case owner == nil && workspace != anyWorkspace:
		return nil, nil, workspaceNotFound(workspace)
	}
	return nil, nil, repositoryNotFound()
}

// newFullRepositoryBody returns the JSON of a repository of the workspace owner.
func newFullRepositoryBody(c call, owner *Workspace, repository *Repository) fullRepositoryBody {
	return fullRepositoryBody{newRepositoryBody(c, owner, repository), repository.Slug, true, newProjectBody(c, owner, owner.project(repository.Project))}
}
