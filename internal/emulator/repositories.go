package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Permission is what the credentials may do with a repository or a project.
type Permission string

// The permissions by Bitbucket's names. Whoever may not administer a repository or
// project sees that it is there, and its deploy keys not.
const (
	PermissionAdmin Permission = "admin"
	PermissionRead  Permission = "read"
)

// repositoryRead are the scopes to read repositories.
var repositoryRead = scopes{[]string{"read:repository:bitbucket"}, []string{"repository"}}

// listedBody is a repository by itself or as the list of a workspace has it. The
// live API sends more.
type fullRepositoryBody struct {
	repositoryBody
	Slug      string      `json:"slug"`
	IsPrivate bool        `json:"is_private"`
	Project   projectBody `json:"project"`
}

// equation is the one form of a filter that is understood.
var filterPattern = regexp.MustCompile(`^\s*([a-z_.]+)\s*=\s*"([^"]*)"\s*$`)

// repositories carries out a GET of a workspace's repositories.
func (e *Emulator) repositories(c call, workspace string) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	if answer, ok := e.authorize(c, repositoryRead); !ok {
		return answer
	}
	owner, _ := e.state.findRepository(workspace, "")
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

// repository carries out a GET of one repository.
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

// readable looks up a repository; without one, the reply is the 404 to give.
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

// listed is a repository as c sees it.
func newFullRepositoryBody(c call, owner *Workspace, repository *Repository) fullRepositoryBody {
	return fullRepositoryBody{newRepositoryBody(c, owner, repository), repository.Slug, true, newProjectBody(c, owner, owner.project(repository.Project))}
}

// partialReply is v with the fields that c asks for, or all if it names none.
func partialReply(c call, v any) reply {
	whole := jsonReply(http.StatusOK, v)
	fields := c.URL.Query().Get("fields")
	if fields == "" {
		return whole
	}
	var object any
	if err := json.Unmarshal(whole.body, &object); err != nil {
		return textReply(http.StatusInternalServerError, err.Error())
	}
	var paths [][]string
	for field := range strings.SplitSeq(fields, ",") {
		paths = append(paths, strings.Split(field, "."))
	}
	return jsonReply(http.StatusOK, selectFields(object, paths))
}

// part is what paths name of a decoded object, and of each object of a list.
func selectFields(of any, paths [][]string) any {
	switch of := of.(type) {
	case []any:
		parts := make([]any, len(of))
		for i, one := range of {
			parts[i] = selectFields(one, paths)
		}
		return parts
	case map[string]any:
		parts := map[string]any{}
		for name, value := range of {
			var below [][]string
			for _, path := range paths {
				if path[0] == name {
					below = append(below, path[1:])
				}
			}
			if slices.ContainsFunc(below, func(path []string) bool { return len(path) == 0 }) {
				parts[name] = value
			} else if below != nil {
				parts[name] = selectFields(value, below)
			}
		}
		return parts
	}
	return of
}
