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
	return e.keysOf(parentPath{workspace: workspace, repository: repository})
}

// ProjectDeployKeys returns a project's keys. Projects have but one name, their
// key as it is written.
func (e *Emulator) ProjectDeployKeys(workspace, project string) []DeployKey {
	return e.keysOf(parentPath{workspace: workspace, project: project})
}

func (e *Emulator) keysOf(parent parentPath) []DeployKey {
	e.mu.Lock()
	defer e.mu.Unlock()
	return cloneKeys(*e.mustKeys(parent))
}

// AddDeployKey adds a key as somebody else would, without checking it: a test
// may want what Bitbucket refuses today and accepted once.
func (e *Emulator) AddDeployKey(workspace, repository, key, label string) DeployKey {
	return e.addOutOfBand(parentPath{workspace: workspace, repository: repository}, key, label)
}

// AddProjectDeployKey is AddDeployKey for projects.
func (e *Emulator) AddProjectDeployKey(workspace, project, key, label string) DeployKey {
	return e.addOutOfBand(parentPath{workspace: workspace, project: project}, key, label)
}

func (e *Emulator) addOutOfBand(parent parentPath, key, label string) DeployKey {
	e.mu.Lock()
	defer e.mu.Unlock()
	material, comment := splitKey(key)
	return e.add(e.mustKeys(parent), DeployKey{Key: material, Comment: comment, Label: label})
}

// EditDeployKey changes a key in place, in ways that the API may not offer.
// The function must not call the emulator; an unknown id panics.
func (e *Emulator) EditDeployKey(workspace, repository string, id int64, edit func(*DeployKey)) {
	e.editOutOfBand(parentPath{workspace: workspace, repository: repository}, id, edit)
}

// EditProjectDeployKey is EditDeployKey for projects.
func (e *Emulator) EditProjectDeployKey(workspace, project string, id int64, edit func(*DeployKey)) {
	e.editOutOfBand(parentPath{workspace: workspace, project: project}, id, edit)
}

func (e *Emulator) editOutOfBand(parent parentPath, id int64, edit func(*DeployKey)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	keys := *e.mustKeys(parent)
	i := mustIndex(keys, id)
	key := keys[i].clone()
	edit(&key)
	keys[i] = key.clone()
	sortKeys(keys)
	e.nextID = max(e.nextID, key.ID+1)
	e.save()
}

// RemoveDeployKey removes a key as somebody else would; an unknown id panics.
func (e *Emulator) RemoveDeployKey(workspace, repository string, id int64) {
	e.removeOutOfBand(parentPath{workspace: workspace, repository: repository}, id)
}

// RemoveProjectDeployKey is RemoveDeployKey for projects.
func (e *Emulator) RemoveProjectDeployKey(workspace, project string, id int64) {
	e.removeOutOfBand(parentPath{workspace: workspace, project: project}, id)
}

func (e *Emulator) removeOutOfBand(parent parentPath, id int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	keys := e.mustKeys(parent)
	i := mustIndex(*keys, id)
	*keys = slices.Delete(*keys, i, i+1)
	e.save()
}

// SetPermission chooses what the credentials may do with a repository.
func (e *Emulator) SetPermission(workspace, repository string, permission Permission) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.mustRepository(workspace, repository)
	found.Permission = permission
	e.save()
}

// RemoveRepository removes a repository with its keys.
func (e *Emulator) RemoveRepository(workspace, repository string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner, found := e.mustRepository(workspace, repository)
	uuid := found.UUID // Copied, because found is overwritten on the way.
	owner.Repositories = slices.DeleteFunc(owner.Repositories, func(r Repository) bool { return r.UUID == uuid })
	e.save()
}

// RenameRepository gives a repository another name and slug. It keeps its uuid,
// and the old slug is not redirected: it answers 404.
func (e *Emulator) RenameRepository(workspace, repository, slug string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.mustRepository(workspace, repository)
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

// MoveRepository transfers a repository to another workspace, to the project there
// that has the key of its present one. It keeps its uuid and its keys.
func (e *Emulator) MoveRepository(workspace, repository, to string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner, found := e.mustRepository(workspace, repository)
	moved, target := *found, e.mustWorkspace(to)
	owner.Repositories = slices.DeleteFunc(owner.Repositories, func(r Repository) bool { return r.UUID == moved.UUID })
	target.Repositories = append(target.Repositories, moved)
	e.nextID = e.state.complete(e.nextID, e.now())
	e.save()
}

// AddRepository makes a repository.
func (e *Emulator) AddRepository(workspace string, repository Repository) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner := e.mustWorkspace(workspace)
	repository.DeployKeys = cloneKeys(repository.DeployKeys)
	repository.Deployments = slices.Clone(repository.Deployments)
	owner.Repositories = append(owner.Repositories, repository)
	e.nextID = e.state.complete(e.nextID, e.now())
	e.save()
}

// SetProjectPermission chooses what the credentials may do with a project.
func (e *Emulator) SetProjectPermission(workspace, project string, permission Permission) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.mustProject(workspace, project)
	found.Permission = permission
	e.save()
}

// RemoveProject removes a project with its keys. One that still has repositories
// panics: Bitbucket removes none of those.
func (e *Emulator) RemoveProject(workspace, project string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner, _ := e.mustProject(workspace, project)
	if slices.ContainsFunc(owner.Repositories, func(r Repository) bool { return r.Project == project }) {
		panic(fmt.Sprintf("emulator: project %s/%s has repositories", workspace, project))
	}
	owner.Projects = slices.DeleteFunc(owner.Projects, func(p Project) bool { return p.Key == project })
	e.save()
}

// RenameProject gives a project another key. It keeps its name, uuid, deploy keys
// and repositories, and the old key is not redirected: it answers 404.
func (e *Emulator) RenameProject(workspace, project, key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner, found := e.mustProject(workspace, project)
	found.Key = key
	for i := range owner.Repositories {
		if repository := &owner.Repositories[i]; repository.Project == project {
			repository.Project = key
		}
	}
	e.save()
}

// AddProject makes a project.
func (e *Emulator) AddProject(workspace string, project Project) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner := e.mustWorkspace(workspace)
	project.DeployKeys = cloneKeys(project.DeployKeys)
	owner.Projects = append(owner.Projects, project)
	e.nextID = e.state.complete(e.nextID, e.now())
	e.save()
}

// mustWorkspace looks a workspace up for a test that knows that it exists.
func (e *Emulator) mustWorkspace(workspace string) *Workspace {
	owner, _ := e.state.findRepository(workspace, "")
	if owner == nil {
		panic("emulator: there is no workspace " + workspace)
	}
	return owner
}

// must looks a repository up for a test that knows that it exists.
func (e *Emulator) mustRepository(workspace, repository string) (*Workspace, *Repository) {
	owner, found := e.state.findRepository(workspace, repository)
	if found == nil {
		panic(fmt.Sprintf("emulator: there is no repository %s/%s", workspace, repository))
	}
	return owner, found
}

// mustProject looks a project up for a test that knows that it exists.
func (e *Emulator) mustProject(workspace, project string) (*Workspace, *Project) {
	owner, found := e.state.findProject(workspace, project)
	if found == nil {
		panic(fmt.Sprintf("emulator: there is no project %s/%s", workspace, project))
	}
	return owner, found
}

// mustKeys are the keys of a place that a test knows to exist.
func (e *Emulator) mustKeys(parent parentPath) *[]DeployKey {
	if parent.project != "" {
		_, found := e.mustProject(parent.workspace, parent.project)
		return &found.DeployKeys
	}
	_, found := e.mustRepository(parent.workspace, parent.repository)
	return &found.DeployKeys
}

// mustIndex looks a key up for a test that knows that it exists.
func mustIndex(keys []DeployKey, id int64) int {
	i := indexOfKey(keys, id)
	if i < 0 {
		panic(fmt.Sprintf("emulator: there is no deploy key %d", id))
	}
	return i
}
