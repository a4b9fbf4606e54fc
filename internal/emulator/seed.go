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

// Workspace is a workspace with its repositories.
type Workspace struct {
	Slug         string       `json:"slug"`
	UUID         string       `json:"uuid"` // UUID has braces, and is made up when empty.
	Repositories []Repository `json:"repositories"`
}

// Repository is a repository with its deploy keys, sorted by id.
type Repository struct {
	Slug       string      `json:"slug"`
	Name       string      `json:"name"`       // Name is the slug when empty.
	UUID       string      `json:"uuid"`       // UUID has braces, and is made up when empty.
	Project    string      `json:"project"`    // Project is the key of its project, PROJ when empty.
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
	return e.held.clone()
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
	if err := e.held.write(e.statePath); err != nil && e.saveErr == nil {
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
		}
		workspaces[i].Repositories = repositories
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
	var unnumbered []*DeployKey
	for i := range s.Workspaces {
		workspace := &s.Workspaces[i]
		workspace.Slug = strings.ToLower(workspace.Slug)
		workspace.UUID = cmp.Or(workspace.UUID, newUUID())
		for j := range workspace.Repositories {
			repository := &workspace.Repositories[j]
			repository.Name = cmp.Or(repository.Name, repository.Slug)
			repository.Slug = strings.ToLower(repository.Slug)
			repository.UUID = cmp.Or(repository.UUID, newUUID())
			repository.Project = cmp.Or(repository.Project, "PROJ")
			repository.Permission = cmp.Or(repository.Permission, PermissionAdmin)
			for k := range repository.DeployKeys {
				key := &repository.DeployKeys[k]
				key.complete(now)
				nextID = max(nextID, key.ID+1)
				if key.ID == 0 {
					unnumbered = append(unnumbered, key)
				}
			}
		}
	}
	for _, key := range unnumbered {
		key.ID = nextID
		nextID++
	}
	for _, workspace := range s.Workspaces {
		for _, repository := range workspace.Repositories {
			sortKeys(repository.DeployKeys)
		}
	}
	return nextID
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
func (s Seed) find(workspace, repository string) (*Workspace, *Repository) {
	var found *Workspace
	for i := range s.Workspaces {
		candidate := &s.Workspaces[i]
		named := isNamed(workspace, candidate.Slug, candidate.UUID)
		if named {
			found = candidate
		}
		for j := range candidate.Repositories {
			inside := &candidate.Repositories[j]
			anywhere := workspace == anyWorkspace && strings.EqualFold(repository, inside.UUID)
			if anywhere || named && isNamed(repository, inside.Slug, inside.UUID) {
				return candidate, inside
			}
		}
	}
	return found, nil
}

// isNamed reports whether selector is either of an object's names.
func isNamed(selector, slug, uuid string) bool {
	return strings.EqualFold(selector, slug) || strings.EqualFold(selector, uuid)
}

// index is the place of the key with that id, or -1.
func (r *Repository) index(id int64) int {
	return slices.IndexFunc(r.DeployKeys, func(key DeployKey) bool { return key.ID == id })
}

// newUUID is a random uuid with braces.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // It never fails.
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("{%x-%x-%x-%x-%x}", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
