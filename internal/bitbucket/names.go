package bitbucket

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// slugOrUUID is what Bitbucket takes for a workspace or a repository. Whatever
// could lead to another path of the API is no slug.
var slugOrUUID = regexp.MustCompile(`^(?:[A-Za-z0-9_.-]{1,128}|\{[A-Za-z0-9-]{1,64}\})$`)

// IsSlugOrUUID tells whether text can name a workspace or a repository.
func IsSlugOrUUID(text string) bool {
	return slugOrUUID.MatchString(text) && text != "." && text != ".."
}

// anyWorkspace stands for the workspace of a repository that is asked for by
// its UUID.
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#repository-object-and-uuid
const anyWorkspace = "{}"

// names remembers which repositories answer under another name than theirs.
type names struct {
	mu  sync.Mutex
	now map[Repository]Repository
}

// of returns the names to ask for a repository under, in turn: the one that it
// was found under last, its own, and where its UUID is known that, which
// survives a rename, in its workspace, which may have another name too.
func (n *names) of(repository Repository) []Repository {
	own := []Repository{repository}
	if repository.UUID != "" {
		own = append(own,
			Repository{repository.Workspace, repository.UUID, repository.UUID},
			Repository{anyWorkspace, repository.UUID, repository.UUID})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if now, found := n.now[repository]; found {
		own = slices.Insert(own, 0, now)
	}
	seen := map[Repository]bool{}
	return slices.DeleteFunc(own, func(name Repository) bool {
		name = name.lower()
		again := seen[name]
		seen[name] = true
		return again
	})
}

// found takes note of the name that a repository answers under.
func (n *names) found(repository, name Repository) {
	if name == repository {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now == nil {
		n.now = map[Repository]Repository{}
	}
	n.now[repository] = name
}

// errNoneListed says that the repository of this name lists no key at all, so
// that it does not show whether it is the one that is meant.
var errNoneListed = fmt.Errorf("%w, and no other", ErrDeployKeyGone)

// underAnyName asks under one name of a repository after the other while
// Bitbucket knows none of it, or shows an empty one. If so for all, the error is
// that it is empty, else the first refusal.
func underAnyName[T any](n *names, repository Repository, ask func(Repository) (T, error)) (T, error) {
	var refused error
	for _, name := range n.of(repository) {
		answer, err := ask(name)
		if errors.Is(err, errNoneListed) {
			refused = err
			continue
		}
		if !isElsewhere(err) {
			if err == nil || errors.Is(err, ErrDeployKeyGone) {
				n.found(repository, name)
			}
			return answer, err
		}
		if refused == nil {
			refused = err
		}
	}
	var none T
	return none, refused
}

// isElsewhere tells whether a repository may have another name by now: 404, or a
// redirect that was not followed.
func isElsewhere(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return IsNotFound(err) || ok && e.Err == nil && e.Status >= 300 && e.Status < 400 && !e.ForToken()
}

// mayBeSame tells whether both can name the same thing: a slug and a {uuid} can.
func mayBeSame(a, b string) bool {
	return a == b || a == anyWorkspace || b == anyWorkspace || strings.HasPrefix(a, "{") != strings.HasPrefix(b, "{")
}

// lower is the name in the spelling that Bitbucket stores.
func (r Repository) lower() Repository {
	return Repository{Workspace: strings.ToLower(r.Workspace), Slug: strings.ToLower(r.Slug)}
}
