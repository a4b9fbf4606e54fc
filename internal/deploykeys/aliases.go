package deploykeys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
)

// anyWorkspace replaces an unknown workspace if the UUID of the repository is known.
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#repository-object-and-uuid
const anyWorkspace = "{}"

var (
	// errEmptyListing reports that the parent with this name has no keys. An empty listing
	// cannot prove that this is the same parent: the name may now belong to a different
	// parent.
	errEmptyListing = fmt.Errorf("%w, and no other", ErrGone)
	// ErrNameReused reports that the name now belongs to a different parent.
	ErrNameReused = errors.New("the name now belongs to a different repository or project")
)

// aliases records the names under which Bitbucket finds renamed parents.
type aliases struct {
	mu    sync.Mutex
	found map[bitbucket.Parent]bitbucket.Parent
}

// candidates returns the names to try for a parent, in this order: the last name that
// worked, the parent's own name, the UUID in the same workspace, and the UUID in any
// workspace. A rename does not change the UUID. Bitbucket accepts no UUID for a project.
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

// remember records the name under which Bitbucket finds a parent.
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

// tryAliases calls operation with each alias of the parent until an alias works. An alias
// fails if Bitbucket answers 404 or redirects, if the listing is empty, or if the name belongs
// to a different parent. If all aliases fail, tryAliases returns the result of the last alias
// with an empty listing, or else the result of the first alias.
func tryAliases[T any](a *aliases, parent bitbucket.Parent, operation func(alias bitbucket.Parent) (T, error)) (T, error) {
	var first T
	var firstErr error
	for _, alias := range a.candidates(parent) {
		result, err := operation(alias)
		empty := errors.Is(err, errEmptyListing)
		if !empty && !maybeRenamed(err) && !errors.Is(err, ErrNameReused) {
			if err == nil || errors.Is(err, ErrGone) {
				a.remember(parent, alias)
			}
			return result, err
		}
		if empty || firstErr == nil {
			first, firstErr = result, err
		}
	}
	return first, firstErr
}

// maybeRenamed reports whether the parent may have a new name: the reply was a 404, or a
// redirect that was not followed.
func maybeRenamed(err error) bool { return bitbucket.IsNotFound(err) || bitbucket.IsRedirect(err) }

// maybeSame reports whether two names may mean the same workspace or repository. A slug and a
// {uuid} cannot be compared, so they may mean the same.
func maybeSame(a, b string) bool {
	return a == b || a == anyWorkspace || b == anyWorkspace || strings.HasPrefix(a, "{") != strings.HasPrefix(b, "{")
}
