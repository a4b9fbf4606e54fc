package emulator

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Seed is the initial state of an emulator. It is also the format of the state file.
type Seed struct {
	Workspaces []Workspace `json:"workspaces"`
}

// Workspace is a workspace with its repositories and projects. If a repository names
// a project that is not in Projects, the emulator adds the project.
type Workspace struct {
	Slug         string       `json:"slug"`
	UUID         string       `json:"uuid"` // UUID has braces. It is random by default.
	Repositories []Repository `json:"repositories"`
	Projects     []Project    `json:"projects"`
}

// Repository is a repository with its deploy keys, sorted by ID.
type Repository struct {
	Slug       string      `json:"slug"`
	Name       string      `json:"name"`    // Name is the slug by default.
	UUID       string      `json:"uuid"`    // UUID has braces. It is random by default.
	Project    string      `json:"project"` // Project is the key of its project, by default PROJ.
	Public     bool        `json:"public"`
	CreatedOn  string      `json:"created_on"` // CreatedOn is the current time by default.
	Permission Permission  `json:"permission"` // Permission is PermissionAdmin by default.
	DeployKeys []DeployKey `json:"deploy_keys"`
	// Deployments have the order in which the API lists them without a sort.
	Deployments []Deployment `json:"deployments"`
	// Environments have the order in which the API lists them.
	Environments []Environment `json:"environments"`
	// FormerNames are the full names before a rename or a move, for RenameRedirect.
	FormerNames []string `json:"former_names"`
}

// Project is a project with its deploy keys, sorted by ID.
type Project struct {
	Key        string      `json:"key"`  // Key is case-sensitive.
	Name       string      `json:"name"` // Name is the key by default.
	UUID       string      `json:"uuid"` // UUID has braces. It is random by default.
	Public     bool        `json:"public"`
	CreatedOn  string      `json:"created_on"` // CreatedOn is the current time by default.
	Permission Permission  `json:"permission"` // Permission is PermissionAdmin by default.
	DeployKeys []DeployKey `json:"deploy_keys"`
}

// DeployKey is a deploy key. In a seed, Key may end in a comment, and the emulator
// moves it to Comment. In a seed, ID and CreatedOn may be empty, and the emulator
// then sets them.
type DeployKey struct {
	ID        int64   `json:"id"`
	Key       string  `json:"key"`
	Comment   string  `json:"comment"`
	Label     string  `json:"label"`
	CreatedOn string  `json:"created_on"`
	LastUsed  *string `json:"last_used"`
}

// anyWorkspace is an empty UUID in braces. In a path it stands for any workspace, if
// the repository is given by UUID.
const anyWorkspace = "{}"

// ReadSeed reads a seed or a state file. It rejects unknown fields, because a
// misspelled field would otherwise be ignored.
func ReadSeed(path string) (Seed, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Seed{}, fmt.Errorf("reading the emulator's seed: %w", err)
	}
	var seed Seed
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&seed); err != nil {
		return Seed{}, fmt.Errorf("reading the emulator's seed %s: %w", path, err)
	}
	return seed, nil
}

// Seed returns a copy of the present state.
func (e *Emulator) Seed() Seed {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state.clone()
}

// SaveTo writes the state to path, now and after every change. Err returns the first
// error of a write. The file does not contain the IDs of removed keys, so an emulator
// that starts from the file may assign the same IDs again.
func (e *Emulator) SaveTo(path string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.statePath = path
	e.save()
}

// Err returns the first error while saving the state.
func (e *Emulator) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.saveErr
}

// save writes the state file, if SaveTo was called.
func (e *Emulator) save() {
	if e.statePath == "" {
		return
	}
	if err := e.state.write(e.statePath); err != nil && e.saveErr == nil {
		e.saveErr = fmt.Errorf("saving the emulator's state: %w", err)
	}
}

// write writes s to a temporary file and renames it to path, so that a reader never
// sees an incomplete file.
func (s Seed) write(path string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(append(content, '\n'))
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// clone returns a deep copy of s.
func (s Seed) clone() Seed {
	workspaces := slices.Clone(s.Workspaces)
	for i := range workspaces {
		repositories := slices.Clone(workspaces[i].Repositories)
		for j := range repositories {
			repositories[j] = repositories[j].clone()
		}
		workspaces[i].Repositories = repositories
		projects := slices.Clone(workspaces[i].Projects)
		for j := range projects {
			projects[j].DeployKeys = cloneKeys(projects[j].DeployKeys)
		}
		workspaces[i].Projects = projects
	}
	return Seed{Workspaces: workspaces}
}

// clone returns a deep copy of r.
func (r Repository) clone() Repository {
	r.DeployKeys = cloneKeys(r.DeployKeys)
	r.Deployments = slices.Clone(r.Deployments)
	r.Environments = slices.Clone(r.Environments)
	r.FormerNames = slices.Clone(r.FormerNames)
	return r
}

// cloneKeys returns a deep copy of keys.
func cloneKeys(keys []DeployKey) []DeployKey {
	keys = slices.Clone(keys)
	for i := range keys {
		keys[i] = keys[i].clone()
	}
	return keys
}

// clone returns a deep copy of k.
func (k DeployKey) clone() DeployKey {
	if k.LastUsed != nil {
		used := *k.LastUsed
		k.LastUsed = &used
	}
	return k
}

// complete sets the defaults in s, and gives each key without an ID an ID. New IDs
// start at nextID, or after the highest ID in s. complete returns the next free ID.
func (s Seed) complete(nextID int64, now string) int64 {
	var keyLists [][]DeployKey
	for i := range s.Workspaces {
		workspace := &s.Workspaces[i]
		workspace.complete(now)
		for _, repository := range workspace.Repositories {
			keyLists = append(keyLists, repository.DeployKeys)
			completeDeployments(repository.Deployments, now)
			completeEnvironments(repository.Environments)
		}
		for _, project := range workspace.Projects {
			keyLists = append(keyLists, project.DeployKeys)
		}
	}
	var withoutID []*DeployKey
	for _, keys := range keyLists {
		for i := range keys {
			keys[i].complete(now)
			nextID = max(nextID, keys[i].ID+1)
			if keys[i].ID == 0 {
				withoutID = append(withoutID, &keys[i])
			}
		}
	}
	for _, key := range withoutID {
		key.ID = nextID
		nextID++
	}
	for _, keys := range keyLists {
		sortKeys(keys)
	}
	return nextID
}

// complete sets the defaults in w, except for the defaults of deploy keys, deployments
// and environments.
func (w *Workspace) complete(now string) {
	w.Slug = strings.ToLower(w.Slug)
	w.UUID = cmp.Or(w.UUID, newUUID())
	for i := range w.Repositories {
		repository := &w.Repositories[i]
		repository.Name = cmp.Or(repository.Name, repository.Slug)
		repository.Slug = strings.ToLower(repository.Slug)
		repository.UUID = cmp.Or(repository.UUID, newUUID())
		repository.Project = cmp.Or(repository.Project, "PROJ")
		repository.CreatedOn = cmp.Or(repository.CreatedOn, now)
		repository.Permission = cmp.Or(repository.Permission, PermissionAdmin)
		if w.project(repository.Project) == nil {
			w.Projects = append(w.Projects, Project{Key: repository.Project})
		}
	}
	for i := range w.Projects {
		project := &w.Projects[i]
		project.Name = cmp.Or(project.Name, project.Key)
		project.UUID = cmp.Or(project.UUID, newUUID())
		project.CreatedOn = cmp.Or(project.CreatedOn, now)
		project.Permission = cmp.Or(project.Permission, PermissionAdmin)
	}
}

// complete moves the comment from Key to Comment, and sets CreatedOn.
func (k *DeployKey) complete(now string) {
	material, comment := splitKey(k.Key)
	k.Key = material
	k.Comment = cmp.Or(k.Comment, comment)
	k.CreatedOn = cmp.Or(k.CreatedOn, now)
}

// sortKeys sorts keys by ID. Bitbucket lists deploy keys in this order.
func sortKeys(keys []DeployKey) {
	slices.SortStableFunc(keys, func(a, b DeployKey) int { return cmp.Compare(a.ID, b.ID) })
}

// findRepository returns a repository and its workspace. It accepts slugs and UUIDs
// in any case. It returns the workspace even if the repository does not exist.
func (s Seed) findRepository(workspace, repository string) (*Workspace, *Repository) {
	for i := range s.Workspaces {
		owner := &s.Workspaces[i]
		inWorkspace := matchesSlugOrUUID(workspace, owner.Slug, owner.UUID)
		for j := range owner.Repositories {
			candidate := &owner.Repositories[j]
			inAnyWorkspace := workspace == anyWorkspace && strings.EqualFold(repository, candidate.UUID)
			if inAnyWorkspace || inWorkspace && matchesSlugOrUUID(repository, candidate.Slug, candidate.UUID) {
				return owner, candidate
			}
		}
	}
	return s.findWorkspace(workspace), nil
}

// findWorkspace returns the workspace with this slug or UUID, or nil.
func (s Seed) findWorkspace(workspace string) *Workspace {
	i := slices.IndexFunc(s.Workspaces, func(w Workspace) bool { return matchesSlugOrUUID(workspace, w.Slug, w.UUID) })
	if i < 0 {
		return nil
	}
	return &s.Workspaces[i]
}

// findProject returns the project with this key and its workspace. It returns the
// workspace even if the project does not exist.
func (s Seed) findProject(workspace, key string) (*Workspace, *Project) {
	owner := s.findWorkspace(workspace)
	if owner == nil {
		return nil, nil
	}
	return owner, owner.project(key)
}

// repository returns the repository with this slug, or nil.
func (w *Workspace) repository(slug string) *Repository {
	i := slices.IndexFunc(w.Repositories, func(repository Repository) bool { return repository.Slug == slug })
	if i < 0 {
		return nil
	}
	return &w.Repositories[i]
}

// project returns the project with this key, or nil.
func (w *Workspace) project(key string) *Project {
	i := slices.IndexFunc(w.Projects, func(project Project) bool { return project.Key == key })
	if i < 0 {
		return nil
	}
	return &w.Projects[i]
}

// matchesSlugOrUUID reports whether selector is the slug or the UUID, in any case.
func matchesSlugOrUUID(selector, slug, uuid string) bool {
	return strings.EqualFold(selector, slug) || strings.EqualFold(selector, uuid)
}

// indexOfKey returns the index of the key with this ID, or -1.
func indexOfKey(keys []DeployKey, id int64) int {
	return slices.IndexFunc(keys, func(key DeployKey) bool { return key.ID == id })
}

// newUUID returns a random UUID in braces.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // It never returns an error.
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("{%x-%x-%x-%x-%x}", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
