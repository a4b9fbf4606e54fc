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
var slugOrUUID = regexp.MustCompile(`^(?:[A-Za-z0-9_.-]+|\{[A-Za-z0-9-]+\})$`)

// maxName bounds a name. In a pattern it would cost each start more than all other
// patterns together.
const maxName = 128

// IsSlugOrUUID tells whether text can name a workspace or a repository.
func IsSlugOrUUID(text string) bool {
	return len(text) <= maxName && slugOrUUID.MatchString(text) && text != "." && text != ".."
}

// projectKey is what Bitbucket makes of any spelling of a project's key. Its filter
// finds nothing under another one.
var projectKey = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// IsProjectKey tells whether text can be the key of a project.
func IsProjectKey(text string) bool {
	return len(text) <= maxName && projectKey.MatchString(text)
}

// anyWorkspace stands for the workspace of a repository that is asked for by
// its UUID.
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#repository-object-and-uuid
const anyWorkspace = "{}"

// names remembers which places answer under another name than theirs.
type names struct {
	mu  sync.Mutex
	now map[Place]Place
}

// of returns the names to ask for a place under, in turn: the one that it was
// found under last, its own, and for a repository whose UUID is known that, which
// survives a rename, in its workspace, which may have another name too. Bitbucket
// takes no UUID for a project.
func (n *names) of(place Place) []Place {
	own := []Place{place}
	if place.Project == "" && place.UUID != "" {
		own = append(own,
			Place{Workspace: place.Workspace, Repository: place.UUID, UUID: place.UUID},
			Place{Workspace: anyWorkspace, Repository: place.UUID, UUID: place.UUID})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if now, found := n.now[place]; found {
		own = slices.Insert(own, 0, now)
	}
	seen := map[Place]bool{}
	return slices.DeleteFunc(own, func(name Place) bool {
		name = name.lower()
		again := seen[name]
		seen[name] = true
		return again
	})
}

// found takes note of the name that a place answers under.
func (n *names) found(place, name Place) {
	if name == place {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now == nil {
		n.now = map[Place]Place{}
	}
	n.now[place] = name
}

// errNoneListed says that the place of this name lists no key at all, so that it
// does not show whether it is the one that is meant.
var errNoneListed = fmt.Errorf("%w, and no other", ErrDeployKeyGone)

// errAnothers says that it is not.
var errAnothers = errors.New("the name is that of another repository or project now")

// underAnyName asks under one name of a place after the other while Bitbucket
// knows none of it, or shows an empty one or another. If so for all, the error is
// that it is empty, else the first refusal.
func underAnyName[T any](n *names, place Place, ask func(Place) (T, error)) (T, error) {
	var refused error
	for _, name := range n.of(place) {
		answer, err := ask(name)
		if errors.Is(err, errNoneListed) {
			refused = err
			continue
		}
		if !isElsewhere(err) && !errors.Is(err, errAnothers) {
			if err == nil || errors.Is(err, ErrDeployKeyGone) {
				n.found(place, name)
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

// isElsewhere tells whether a place may have another name by now: 404, or a
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
func (p Place) lower() Place {
	return Place{Workspace: strings.ToLower(p.Workspace), Repository: strings.ToLower(p.Repository), Project: strings.ToLower(p.Project)}
}
