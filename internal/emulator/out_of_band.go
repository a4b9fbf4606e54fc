package emulator

import (
	"fmt"
	"slices"
	"strings"
)

// DeployKeys returns a repository's keys, sorted by id. Like all out-of-band
// access it is not logged, takes slugs and uuids in any case, and panics on an
// unknown repository, which is a mistake in a test.
func (e *Emulator) DeployKeys(workspace, repository string) []DeployKey {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.must(workspace, repository)
	return cloneKeys(found.DeployKeys)
}

// AddDeployKey adds a key as somebody else would, without checking it: a test
// may want what Bitbucket refuses today and accepted once.
func (e *Emulator) AddDeployKey(workspace, repository, key, label string) DeployKey {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.must(workspace, repository)
	material, comment := splitKey(key)
	return e.add(found, DeployKey{Key: material, Comment: comment, Label: label})
}

// EditDeployKey changes a key in place, in ways that the API may not offer.
// The function must not call the emulator; an unknown id panics.
func (e *Emulator) EditDeployKey(workspace, repository string, id int64, edit func(*DeployKey)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.must(workspace, repository)
	key := found.DeployKeys[found.mustIndex(id)].clone()
	edit(&key)
	found.DeployKeys[found.mustIndex(id)] = key.clone()
	sortKeys(found.DeployKeys)
	e.nextID = max(e.nextID, key.ID+1)
	e.save()
}

// RemoveDeployKey removes a key as somebody else would; an unknown id panics.
func (e *Emulator) RemoveDeployKey(workspace, repository string, id int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.must(workspace, repository)
	i := found.mustIndex(id)
	found.DeployKeys = slices.Delete(found.DeployKeys, i, i+1)
	e.save()
}

// SetPermission chooses what the credentials may do with a repository.
func (e *Emulator) SetPermission(workspace, repository string, permission Permission) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.must(workspace, repository)
	found.Permission = permission
	e.save()
}

// RemoveRepository removes a repository with its keys.
func (e *Emulator) RemoveRepository(workspace, repository string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, found := e.must(workspace, repository)
	uuid := found.UUID // Copied, because found is overwritten on the way.
	at.Repositories = slices.DeleteFunc(at.Repositories, func(r Repository) bool { return r.UUID == uuid })
	e.save()
}

// RenameRepository gives a repository another name and slug. It keeps its uuid,
// and the old slug is not redirected: it answers 404.
func (e *Emulator) RenameRepository(workspace, repository, slug string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.must(workspace, repository)
	found.Name, found.Slug = slug, strings.ToLower(slug)
	e.save()
}

// RenameWorkspace gives a workspace another slug, like RenameRepository.
func (e *Emulator) RenameWorkspace(workspace, slug string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mustWorkspace(workspace).Slug = strings.ToLower(slug)
	e.save()
}

// MoveRepository transfers a repository to another workspace. It keeps its uuid
// and its keys.
func (e *Emulator) MoveRepository(workspace, repository, to string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, found := e.must(workspace, repository)
	moved, target := *found, e.mustWorkspace(to)
	at.Repositories = slices.DeleteFunc(at.Repositories, func(r Repository) bool { return r.UUID == moved.UUID })
	target.Repositories = append(target.Repositories, moved)
	e.save()
}

// AddRepository makes a repository.
func (e *Emulator) AddRepository(workspace string, repository Repository) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.mustWorkspace(workspace)
	repository.DeployKeys = cloneKeys(repository.DeployKeys)
	at.Repositories = append(at.Repositories, repository)
	e.nextID = e.held.complete(e.nextID, e.now())
	e.save()
}

// mustWorkspace looks a workspace up for a test that knows that it exists.
func (e *Emulator) mustWorkspace(workspace string) *Workspace {
	at, _ := e.held.find(workspace, "")
	if at == nil {
		panic("emulator: there is no workspace " + workspace)
	}
	return at
}

// must looks a repository up for a test that knows that it exists.
func (e *Emulator) must(workspace, repository string) (*Workspace, *Repository) {
	at, found := e.held.find(workspace, repository)
	if found == nil {
		panic(fmt.Sprintf("emulator: there is no repository %s/%s", workspace, repository))
	}
	return at, found
}

// mustIndex looks a key up for a test that knows that it exists.
func (r *Repository) mustIndex(id int64) int {
	i := r.index(id)
	if i < 0 {
		panic(fmt.Sprintf("emulator: repository %s has no deploy key %d", r.Slug, id))
	}
	return i
}
