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
type listedBody struct {
	repositoryBody
	Slug      string      `json:"slug"`
	IsPrivate bool        `json:"is_private"`
	Project   projectBody `json:"project"`
}

// equation is the one form of a filter that is understood.
var equation = regexp.MustCompile(`^\s*([a-z_.]+)\s*=\s*"([^"]*)"\s*$`)

// repositories carries out a GET of a workspace's repositories.
func (e *Emulator) repositories(c call, workspace string) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	if answer, ok := e.admit(c, repositoryRead); !ok {
		return answer
	}
	at, _ := e.held.find(workspace, "")
	if at == nil {
		return workspaceNotFound(workspace)
	}
	var project string
	if q := c.URL.Query().Get("q"); q != "" {
		query := equation.FindStringSubmatch(q)
		switch {
		case query == nil:
			return badRequest()
		case query[1] != "project.key":
			return refusal(http.StatusBadRequest, fmt.Sprintf("Field %q does not support filtering", query[1]))
		}
		project = query[2]
	}
	var matching []*Repository
	for i := range at.Repositories {
		if repository := &at.Repositories[i]; project == "" || repository.Project == project {
			matching = append(matching, repository)
		}
	}
	list, refused := paged(c, len(matching), func(i int) listedBody { return listed(c, at, matching[i]) })
	if list == nil {
		return refused
	}
	return partialReply(c, list)
}

// repository carries out a GET of one repository.
func (e *Emulator) repository(c call, workspace, slug string) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(http.MethodGet)
	}
	if answer, ok := e.admit(c, repositoryRead); !ok {
		return answer
	}
	at, found, answer := e.readable(workspace, slug)
	if found == nil {
		return answer
	}
	return partialReply(c, listed(c, at, found))
}

// readable looks up a repository; without one, the reply is the 404 to give.
func (e *Emulator) readable(workspace, slug string) (*Workspace, *Repository, reply) {
	at, found := e.held.find(workspace, slug)
	switch {
	case found != nil:
		return at, found, reply{}
	case at == nil && workspace != anyWorkspace:
		return nil, nil, workspaceNotFound(workspace)
	}
	return nil, nil, repositoryNotFound()
}

// listed is a repository as c sees it.
func listed(c call, at *Workspace, repository *Repository) listedBody {
	return listedBody{embed(c, at, repository), repository.Slug, true, embedProject(c, at, at.project(repository.Project))}
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
	return jsonReply(http.StatusOK, part(object, paths))
}

// part is what paths name of a decoded object, and of each object of a list.
func part(of any, paths [][]string) any {
	switch of := of.(type) {
	case []any:
		parts := make([]any, len(of))
		for i, one := range of {
			parts[i] = part(one, paths)
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
				parts[name] = part(value, below)
			}
		}
		return parts
	}
	return of
}
