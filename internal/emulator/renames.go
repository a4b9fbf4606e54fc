package emulator

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// RenameBehavior selects the reply to a GET that uses the former name of a renamed or
// moved repository. It is not known which reply the live API sends.
type RenameBehavior int

const (
	// RenameNotFound sends the 404 of an unknown repository.
	RenameNotFound RenameBehavior = iota
	// RenameRedirect sends a 301 to the same path of the renamed repository. If another
	// repository has the slug now, the request is for that repository.
	RenameRedirect
)

// SetRename selects the replies to later requests, also for repositories that were
// renamed before the call.
func (e *Emulator) SetRename(behavior RenameBehavior) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.renameBehavior = behavior
}

// rename changes the name and the slug of a repository of the workspace owner.
func (r *Repository) rename(owner *Workspace, name, slug string) {
	if slug != r.Slug {
		r.FormerNames = append(r.FormerNames, owner.Slug+"/"+r.Slug)
	}
	r.Name, r.Slug = name, slug
}

// findRenamed returns the repository that had this slug in this workspace before it was
// renamed or moved, and its present workspace.
func (s Seed) findRenamed(workspace, slug string) (*Workspace, *Repository) {
	former := s.findWorkspace(workspace)
	if former == nil {
		return nil, nil
	}
	name := former.Slug + "/" + strings.ToLower(slug)
	for i := range s.Workspaces {
		owner := &s.Workspaces[i]
		for j := range owner.Repositories {
			if slices.Contains(owner.Repositories[j].FormerNames, name) {
				return owner, &owner.Repositories[j]
			}
		}
	}
	return nil, nil
}

// redirect returns a redirect to the path of c with the present slugs of a repository of
// the workspace owner.
func (c call) redirect(owner *Workspace, repository *Repository) reply {
	segments := strings.Split(c.path, "/") // The path is /2.0/repositories/{workspace}/{slug} and the rest.
	segments[3], segments[4] = url.PathEscape(owner.Slug), url.PathEscape(repository.Slug)
	location := c.origin() + strings.Join(segments, "/")
	if c.URL.RawQuery != "" {
		location += "?" + c.URL.RawQuery
	}
	return reply{status: http.StatusMovedPermanently, header: http.Header{"Location": {location}}}
}
