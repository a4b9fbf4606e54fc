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

// Seed is what an emulator starts with, and the format of its state file.
type Seed struct {
	Workspaces []Workspace `json:"workspaces"`
}

// Workspace is a workspace with its repositories and projects. Projects that only
// a repository names are made up.
type Workspace struct {
	Slug         string       `json:"slug"`
	UUID         string       `json:"uuid"` // UUID has braces, and is made up when empty.
	Repositories []Repository `json:"repositories"`
	Projects     []Project    `json:"projects"`
}

// Repository is a repository with its deploy keys, sorted by id.
type Repository struct {
	Slug       string      `json:"slug"`
	Name       string      `json:"name"`       // Name is the slug when empty.
	UUID       string      `json:"uuid"`       // UUID has braces, and is made up when empty.
	Project    string      `json:"project"`    // Project is the key of its project, PROJ when empty.
	Permission Permission  `json:"permission"` // Permission is PermissionAdmin when empty.
	DeployKeys []DeployKey `json:"deploy_keys"`
	// Deployments are in the order in which they are listed without a sort.
	Deployments []Deployment `json:"deployments"`
}

// Project is a project with deploy keys of its own, sorted by id.
type Project struct {
	Key        string      `json:"key"`        // Key is case-sensitive.
	Name       string      `json:"name"`       // Name is the key when empty.
	UUID       string      `json:"uuid"`       // UUID has braces, and is made up when empty.
	Permission Permission  `json:"permission"` // Permission is PermissionAdmin when empty.
	DeployKeys []DeployKey `json:"deploy_keys"`
}

// DeployKey is a deploy key as Bitbucket holds it: Key has no comment. In a
// seed Key may carry one, which is split off, and ID and CreatedOn may be empty.
type DeployKey struct {
	ID        int64   `json:"id"`
	Key       string  `json:"key"`
	Comment   string  `json:"comment"`
	Label     string  `json:"label"`
	CreatedOn string  `json:"created_on"`
	LastUsed  *string `json:"last_used"`
}

// anyWorkspace is the empty uuid that stands for the workspace of a repository
// which is addressed by its own uuid.
const anyWorkspace = "{}"

// ReadSeed reads a seed or a state file. Unknown members are errors, because a
// misspelt one would silently be empty.
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

// Seed returns a copy of what the emulator holds now.
func (e *Emulator) Seed() Seed {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state.clone()
}

// SaveTo writes what the emulator holds to path, now and after every change.
// Whether that went well is told by Err. The file does not remember ids that
// were given out and removed: an emulator started from it may use them again.
func (e *Emulator) SaveTo(path string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.statePath = path
	e.save()
}

// Err is the first error met while saving, which no request can report.
func (e *Emulator) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.saveErr
}

// save writes the state file, if one is wanted.
func (e *Emulator) save() {
	if e.statePath == "" {
		return
	}
	if err := e.state.write(e.statePath); err != nil && e.saveErr == nil {
		e.saveErr = fmt.Errorf("saving the emulator's state: %w", err)
	}
}

// write replaces the file at path at once, so that no reader sees half of it.
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

// clone is a copy that shares nothing with s.
func (s Seed) clone() Seed {
	workspaces := slices.Clone(s.Workspaces)
	for i := range workspaces {
		repositories := slices.Clone(workspaces[i].Repositories)
		for j := range repositories {
			repositories[j].DeployKeys = cloneKeys(repositories[j].DeployKeys)
			repositories[j].Deployments = slices.Clone(repositories[j].Deployments)
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

// cloneKeys is a copy that shares nothing with keys.
func cloneKeys(keys []DeployKey) []DeployKey {
	keys = slices.Clone(keys)
	for i := range keys {
		keys[i] = keys[i].clone()
	}
	return keys
}

// clone is a copy that shares nothing with k.
func (k DeployKey) clone() DeployKey {
	if k.LastUsed != nil {
		used := *k.LastUsed
		k.LastUsed = &used
	}
	return k
}

// complete fills in what a seed may leave out, and returns the id for the next
// key: nextID, or one above every id of the seed.
func (s Seed) complete(nextID int64, now string) int64 {
	var keyLists [][]DeployKey
	for i := range s.Workspaces {
		workspace := &s.Workspaces[i]
		workspace.complete()
		for _, repository := range workspace.Repositories {
			keyLists = append(keyLists, repository.DeployKeys)
			completeDeployments(repository.Deployments, now)
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

// complete fills in what is left out but for the keys.
func (w *Workspace) complete() {
	w.Slug = strings.ToLower(w.Slug)
	w.UUID = cmp.Or(w.UUID, newUUID())
	for i := range w.Repositories {
		repository := &w.Repositories[i]
		repository.Name = cmp.Or(repository.Name, repository.Slug)
		repository.Slug = strings.ToLower(repository.Slug)
		repository.UUID = cmp.Or(repository.UUID, newUUID())
		repository.Project = cmp.Or(repository.Project, "PROJ")
		repository.Permission = cmp.Or(repository.Permission, PermissionAdmin)
		if w.project(repository.Project) == nil {
			w.Projects = append(w.Projects, Project{Key: repository.Project})
		}
	}
	for i := range w.Projects {
		project := &w.Projects[i]
		project.Name = cmp.Or(project.Name, project.Key)
		project.UUID = cmp.Or(project.UUID, newUUID())
		project.Permission = cmp.Or(project.Permission, PermissionAdmin)
	}
}

// complete splits the comment off and dates the key.
func (k *DeployKey) complete(now string) {
	material, comment := splitKey(k.Key)
	k.Key = material
	k.Comment = cmp.Or(k.Comment, comment)
	k.CreatedOn = cmp.Or(k.CreatedOn, now)
}

// sortKeys keeps the order in which Bitbucket lists them.
func sortKeys(keys []DeployKey) {
	slices.SortStableFunc(keys, func(a, b DeployKey) int { return cmp.Compare(a.ID, b.ID) })
}

// find looks a repository up by slugs or uuids in any case. The workspace is
// returned even when it has no such repository.
func (s Seed) findRepository(workspace, repository string) (*Workspace, *Repository) {
	var found *Workspace
	for i := range s.Workspaces {
		candidate := &s.Workspaces[i]
		named := matchesSlugOrUUID(workspace, candidate.Slug, candidate.UUID)
		if named {
			found = candidate
		}
		for j := range candidate.Repositories {
			inside := &candidate.Repositories[j]
			anywhere := workspace == anyWorkspace && strings.EqualFold(repository, inside.UUID)
			if anywhere || named && matchesSlugOrUUID(repository, inside.Slug, inside.UUID) {
				return candidate, inside
			}
		}
	}
	return found, nil
}

// findProject looks a project up by its key. The workspace is returned even when
// it has no such project.
func (s Seed) findProject(workspace, key string) (*Workspace, *Project) {
	owner, _ := s.findRepository(workspace, "")
	if owner == nil {
		return nil, nil
	}
	return owner, owner.project(key)
}

// project is the project with that key, or nil.
func (w *Workspace) project(key string) *Project {
	i := slices.IndexFunc(w.Projects, func(project Project) bool { return project.Key == key })
	if i < 0 {
		return nil
	}
	return &w.Projects[i]
}

// isNamed reports whether selector is either of an object's names.
func matchesSlugOrUUID(selector, slug, uuid string) bool {
	return strings.EqualFold(selector, slug) || strings.EqualFold(selector, uuid)
}

// index is where the key with that id is, or -1.
func indexOfKey(keys []DeployKey, id int64) int {
	return slices.IndexFunc(keys, func(key DeployKey) bool { return key.ID == id })
}

// newUUID is a random uuid with braces.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // It never fails.
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("{%x-%x-%x-%x-%x}", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
