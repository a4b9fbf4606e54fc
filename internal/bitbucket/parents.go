package bitbucket

import (
	"cmp"
	"regexp"
	"strings"
)

// Parent is the owner of deploy keys: a repository or a project. A deploy key of a project
// gives access to all repositories of the project.
type Parent struct {
	// Workspace is a slug or {uuid}.
	Workspace string
	// Repository is a slug or {uuid}, "" for a project.
	Repository string
	// Project is the key of a project, "" for a repository.
	Project string
	// UUID is the {uuid} of the repository or project, "" if it is not known. It
	// distinguishes the parent from a different repository or project that now has the same
	// name.
	UUID string
}

// Name returns the slug of the repository or the key of the project.
func (p Parent) Name() string { return cmp.Or(p.Repository, p.Project) }

// String returns the name as people write it: workspace/repository, workspace/PROJECT, or
// the workspace alone.
func (p Parent) String() string {
	if name := p.Name(); name != "" {
		return p.Workspace + "/" + name
	}
	return p.Workspace
}

// Lower returns the name in lower case, without the UUID. Bitbucket ignores the case of
// names.
func (p Parent) Lower() Parent {
	return Parent{Workspace: strings.ToLower(p.Workspace), Repository: strings.ToLower(p.Repository), Project: strings.ToLower(p.Project)}
}

var (
	// slugOrUUID matches names of workspaces and repositories. A text that could lead to
	// another path of the API does not match.
	slugOrUUID = regexp.MustCompile(`^(?:[A-Za-z0-9_.-]+|\{[A-Za-z0-9-]+\})$`)
	// projectKey matches the keys of projects as Bitbucket stores them. Bitbucket's filter
	// for repositories finds nothing if the key is spelled differently.
	projectKey = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

// maxName bounds a name. A bound inside the patterns would slow down each start of the
// provider.
const maxName = 128

// IsSlugOrUUID reports whether text can name a workspace or a repository.
func IsSlugOrUUID(text string) bool {
	return len(text) <= maxName && slugOrUUID.MatchString(text) && text != "." && text != ".."
}

// bareUUID matches a UUID without braces.
var bareUUID = regexp.MustCompile(`^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// IsBareUUID reports whether text is a UUID without braces. Bitbucket would look for a
// repository or a workspace with this slug.
func IsBareUUID(text string) bool { return bareUUID.MatchString(text) }

// IsProjectKey reports whether text can be the key of a project.
func IsProjectKey(text string) bool {
	return len(text) <= maxName && projectKey.MatchString(text)
}
