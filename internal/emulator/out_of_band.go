package emulator

import (
	"fmt"
	"slices"
	"strings"
)

// DeployKeys returns the deploy keys of a repository, sorted by ID.
//
// Like all methods that read or change the state directly, it accepts slugs and
// UUIDs in any case, and adds nothing to the request log. It panics if the
// repository does not exist, because that is a mistake in the test.
func (e *Emulator) DeployKeys(workspace, repository string) []DeployKey {
	return e.keysOf(parentPath{workspace: workspace, repository: repository})
}

// ProjectDeployKeys returns the deploy keys of a project, sorted by ID. A project is
// found only by its key, and the key is case-sensitive.
func (e *Emulator) ProjectDeployKeys(workspace, project string) []DeployKey {
	return e.keysOf(parentPath{workspace: workspace, project: project})
}

// keysOf returns a copy of the deploy keys of parent.
func (e *Emulator) keysOf(parent parentPath) []DeployKey {
	e.mu.Lock()
	defer e.mu.Unlock()
	return cloneKeys(*e.mustKeys(parent))
}

// AddDeployKey adds a deploy key, as another client would. It does not check the
// key, so that a test can add an old key that Bitbucket now rejects.
func (e *Emulator) AddDeployKey(workspace, repository, key, label string) DeployKey {
	return e.addOutOfBand(parentPath{workspace: workspace, repository: repository}, key, label)
}

// AddProjectDeployKey is AddDeployKey for projects.
func (e *Emulator) AddProjectDeployKey(workspace, project, key, label string) DeployKey {
	return e.addOutOfBand(parentPath{workspace: workspace, project: project}, key, label)
}

// addOutOfBand adds a deploy key to parent.
func (e *Emulator) addOutOfBand(parent parentPath, key, label string) DeployKey {
	e.mu.Lock()
	defer e.mu.Unlock()
	material, comment := splitKey(key)
	return e.add(e.mustKeys(parent), DeployKey{Key: material, Comment: comment, Label: label})
}

// EditDeployKey changes a deploy key in place, also in ways that the API does not
// allow. The function edit must not call the emulator. An unknown ID panics.
func (e *Emulator) EditDeployKey(workspace, repository string, id int64, edit func(*DeployKey)) {
	e.editOutOfBand(parentPath{workspace: workspace, repository: repository}, id, edit)
}

// EditProjectDeployKey is EditDeployKey for projects.
func (e *Emulator) EditProjectDeployKey(workspace, project string, id int64, edit func(*DeployKey)) {
	e.editOutOfBand(parentPath{workspace: workspace, project: project}, id, edit)
}

// editOutOfBand changes a deploy key of parent.
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

// RemoveDeployKey removes a deploy key, as another client would. An unknown ID
// panics.
func (e *Emulator) RemoveDeployKey(workspace, repository string, id int64) {
	e.removeOutOfBand(parentPath{workspace: workspace, repository: repository}, id)
}

// RemoveProjectDeployKey is RemoveDeployKey for projects.
func (e *Emulator) RemoveProjectDeployKey(workspace, project string, id int64) {
	e.removeOutOfBand(parentPath{workspace: workspace, project: project}, id)
}

// removeOutOfBand removes a deploy key of parent.
func (e *Emulator) removeOutOfBand(parent parentPath, id int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	keys := e.mustKeys(parent)
	i := mustIndex(*keys, id)
	*keys = slices.Delete(*keys, i, i+1)
	e.save()
}

// SetPermission sets the permission of the account on a repository.
func (e *Emulator) SetPermission(workspace, repository string, permission Permission) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.mustRepository(workspace, repository)
	found.Permission = permission
	e.save()
}

// RemoveRepository removes a repository and its deploy keys.
func (e *Emulator) RemoveRepository(workspace, repository string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner, found := e.mustRepository(workspace, repository)
	owner.removeRepository(found)
	e.save()
}

// RenameRepository changes the name and the slug of a repository, but not its UUID.
// [RenameBehavior] selects the reply to a request with the old slug.
func (e *Emulator) RenameRepository(workspace, repository, slug string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner, found := e.mustRepository(workspace, repository)
	found.rename(owner, slug, strings.ToLower(slug))
	e.save()
}

// RenameWorkspace changes the slug of a workspace, but not its UUID. Requests with
// the old slug get a 404, not a redirect.
func (e *Emulator) RenameWorkspace(workspace, slug string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mustWorkspace(workspace).Slug = strings.ToLower(slug)
	e.save()
}

// MoveRepository transfers a repository to another workspace. The repository keeps
// its UUID and its deploy keys. It joins the project in the other workspace that has
// the same key as its present project.
func (e *Emulator) MoveRepository(workspace, repository, to string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner, found := e.mustRepository(workspace, repository)
	moved, target := *found, e.mustWorkspace(to)
	moved.FormerNames = append(moved.FormerNames, owner.Slug+"/"+moved.Slug)
	owner.removeRepository(found)
	e.addRepository(target, moved)
}

// AddRepository adds a repository to a workspace.
func (e *Emulator) AddRepository(workspace string, repository Repository) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addRepository(e.mustWorkspace(workspace), repository.clone())
}

// SetProjectPermission sets the permission of the account on a project.
func (e *Emulator) SetProjectPermission(workspace, project string, permission Permission) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, found := e.mustProject(workspace, project)
	found.Permission = permission
	e.save()
}

// RemoveProject removes a project and its deploy keys. It panics if the project has
// repositories, because Bitbucket does not delete such a project.
func (e *Emulator) RemoveProject(workspace, project string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner, _ := e.mustProject(workspace, project)
	if owner.hasRepositoriesIn(project) {
		panic(fmt.Sprintf("emulator: project %s/%s has repositories", workspace, project))
	}
	owner.removeProject(project)
	e.save()
}

// RenameProject changes the key of a project. The project keeps its name, its UUID,
// its deploy keys and its repositories. Requests with the old key get a 404, not a
// redirect.
func (e *Emulator) RenameProject(workspace, project, key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	owner, found := e.mustProject(workspace, project)
	owner.renameProject(found, key)
	e.save()
}

// AddProject adds a project to a workspace.
func (e *Emulator) AddProject(workspace string, project Project) {
	e.mu.Lock()
	defer e.mu.Unlock()
	project.DeployKeys = cloneKeys(project.DeployKeys)
	e.addProject(e.mustWorkspace(workspace), project)
}

// mustWorkspace returns a workspace. It panics if the workspace does not exist.
func (e *Emulator) mustWorkspace(workspace string) *Workspace {
	owner := e.state.findWorkspace(workspace)
	if owner == nil {
		panic("emulator: there is no workspace " + workspace)
	}
	return owner
}

// mustRepository returns a repository and its workspace. It panics if the repository
// does not exist.
func (e *Emulator) mustRepository(workspace, repository string) (*Workspace, *Repository) {
	owner, found := e.state.findRepository(workspace, repository)
	if found == nil {
		panic(fmt.Sprintf("emulator: there is no repository %s/%s", workspace, repository))
	}
	return owner, found
}

// mustProject returns a project and its workspace. It panics if the project does not
// exist.
func (e *Emulator) mustProject(workspace, project string) (*Workspace, *Project) {
	owner, found := e.state.findProject(workspace, project)
	if found == nil {
		panic(fmt.Sprintf("emulator: there is no project %s/%s", workspace, project))
	}
	return owner, found
}

// mustKeys returns the deploy keys of parent. It panics if parent does not exist.
func (e *Emulator) mustKeys(parent parentPath) *[]DeployKey {
	if parent.project != "" {
		_, found := e.mustProject(parent.workspace, parent.project)
		return &found.DeployKeys
	}
	_, found := e.mustRepository(parent.workspace, parent.repository)
	return &found.DeployKeys
}

// mustIndex returns the index of the key with this ID. It panics if there is no such
// key.
func mustIndex(keys []DeployKey, id int64) int {
	i := indexOfKey(keys, id)
	if i < 0 {
		panic(fmt.Sprintf("emulator: there is no deploy key %d", id))
	}
	return i
}
