package deploykeys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// anyWorkspace stands for the unknown workspace of a repository whose UUID is known.
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#repository-object-and-uuid
const anyWorkspace = "{}"

var (
	// errEmptyListing reports that the parent with this name has no keys, so that it
	// cannot be told from another parent that has taken the name.
	errEmptyListing = fmt.Errorf("%w, and no other", ErrGone)
	// errNameReused reports that the name now belongs to another parent.
	errNameReused = errors.New("the name is that of another repository or project now")
)

// aliases remembers the names under which renamed parents answer.
type aliases struct {
	mu    sync.Mutex
	found map[bitbucket.Parent]bitbucket.Parent
}

// candidates returns the names under which a parent may answer, in the order to try them:
// the last one that worked, its own name, and the UUID, which a rename does not change, in
// the same or in any workspace. Bitbucket accepts no UUID for a project.
func (a *aliases) candidates(parent bitbucket.Parent) []bitbucket.Parent {
	names := []bitbucket.Parent{parent}
	if parent.Project == "" && parent.UUID != "" {
		names = append(names,
			bitbucket.Parent{Workspace: parent.Workspace, Repository: parent.UUID, UUID: parent.UUID},
			bitbucket.Parent{Workspace: anyWorkspace, Repository: parent.UUID, UUID: parent.UUID})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if found, ok := a.found[parent]; ok {
		names = slices.Insert(names, 0, found)
	}
	seen := map[bitbucket.Parent]bool{}
	return slices.DeleteFunc(names, func(name bitbucket.Parent) bool {
		repeated := seen[name.Lower()]
		seen[name.Lower()] = true
		return repeated
	})
}

// remember records the name under which a parent answers.
func (a *aliases) remember(parent, name bitbucket.Parent) {
	if name == parent {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == nil {
		a.found = map[bitbucket.Parent]bitbucket.Parent{}
	}
	a.found[parent] = name
}

// try calls operation with one alias after the other, until one neither is unknown to
// Bitbucket nor lists nothing nor belongs to another parent. If none is left, try returns
// errEmptyListing if any alias listed nothing, else the first error.
func (a *aliases) try(parent bitbucket.Parent, operation func(alias bitbucket.Parent) error) error {
	var first error
	for _, alias := range a.candidates(parent) {
		err := operation(alias)
		switch {
		case errors.Is(err, errEmptyListing):
			first = err
		case maybeRenamed(err) || errors.Is(err, errNameReused):
			if first == nil {
				first = err
			}
		default:
			if err == nil || errors.Is(err, ErrGone) {
				a.remember(parent, alias)
			}
			return err
		}
	}
	return first
}

// maybeRenamed reports whether the parent may have another name now: the reply was a 404,
// or a redirect that was not followed.
func maybeRenamed(err error) bool { return bitbucket.IsNotFound(err) || bitbucket.IsRedirect(err) }

// maybeSame reports whether both names can mean the same: a slug and a {uuid} can.
func maybeSame(a, b string) bool {
	return a == b || a == anyWorkspace || b == anyWorkspace || strings.HasPrefix(a, "{") != strings.HasPrefix(b, "{")
}
