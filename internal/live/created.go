package live

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// These patterns match the names of all repositories and projects that this package creates.
// A sweep deletes nothing else.
var (
	repositoryPattern = regexp.MustCompile(`^tf-acc-[a-z0-9]{12}$`)
	projectPattern    = regexp.MustCompile(`^TFACC[A-Z0-9]{12}$`)
)

// randomName returns the random part of a name.
func randomName() string { return strings.ToLower(rand.Text()[:12]) }

// Repository is a repository of the workspace.
type Repository struct {
	Slug string `json:"slug"`
	UUID string `json:"uuid"`
}

// Path returns the path of the repository below the root of the API.
func (s *Server) Path(repository string) string {
	return s.RepositoriesPath() + "/" + url.PathEscape(repository)
}

// RepositoriesPath returns the path of all repositories of the workspace.
func (s *Server) RepositoriesPath() string { return "/repositories/" + url.PathEscape(s.Workspace) }

// ProjectsPath returns the path of all projects of the workspace.
func (s *Server) ProjectsPath() string {
	return "/workspaces/" + url.PathEscape(s.Workspace) + "/projects"
}

// ProjectPath returns the path of a project below the root of the API.
func (s *Server) ProjectPath(key string) string {
	return s.ProjectsPath() + "/" + url.PathEscape(key)
}

// CreateRepository creates a private repository with a new name in a project. If project is
// empty, the repository is in the default project of the workspace. If the workspace has no
// project, CreateRepository first creates a project, because Bitbucket requires one.
func (s *Server) CreateRepository(ctx context.Context, project string) (Repository, error) {
	project = cmp.Or(project, s.project())
	repository, err := s.createRepository(ctx, project)
	if project == "" && Status(err) == http.StatusBadRequest {
		created, projectErr := s.CreateProject(ctx)
		if projectErr != nil {
			return repository, errors.Join(err, projectErr)
		}
		s.setProject(created)
		return s.createRepository(ctx, created)
	}
	return repository, err
}

func (s *Server) createRepository(ctx context.Context, project string) (Repository, error) {
	body := map[string]any{"scm": "git", "is_private": true}
	if project != "" {
		body["project"] = map[string]string{"key": project}
	}
	repository := Repository{Slug: "tf-acc-" + randomName()}
	path := s.Path(repository.Slug)
	err := s.create(ctx, path, http.MethodPost, path, body, &repository)
	if err == nil {
		s.remember(s.Path(repository.Slug)) // The server may have chosen another slug.
	}
	return repository, err
}

// project returns the project that was created because the workspace had none.
func (s *Server) project() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.defaultProject
}

func (s *Server) setProject(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.defaultProject = key
}

// RenameRepository gives a repository a new name.
func (s *Server) RenameRepository(ctx context.Context, slug string) (Repository, error) {
	renamed := Repository{Slug: "tf-acc-" + randomName()}
	err := s.create(ctx, s.Path(renamed.Slug), http.MethodPut, s.Path(slug), map[string]any{"name": renamed.Slug}, &renamed)
	if err == nil {
		s.remember(s.Path(renamed.Slug))
		if renamed.Slug != slug {
			s.forget(s.Path(slug)) // A request under the old name may get a redirect.
		}
	}
	return renamed, err
}

// CreateProject creates a private project with a new key, and returns the key.
func (s *Server) CreateProject(ctx context.Context) (string, error) {
	name := randomName()
	key := "TFACC" + strings.ToUpper(name)
	return key, s.create(ctx, s.ProjectPath(key), http.MethodPost, s.ProjectsPath(), map[string]any{"key": key, "name": "tf-acc-" + name, "is_private": true}, nil)
}

// errClosed is the error of requests that would create something after Close.
var errClosed = errors.New("the run was stopped")

// create sends a request that creates the object with the path created. It records the path
// before it sends the request, because the reply may be lost.
func (s *Server) create(ctx context.Context, created, method, path string, body, out any) error {
	s.creating.RLock()
	defer s.creating.RUnlock()
	if !s.remember(created) {
		return errClosed
	}
	err := s.Expect(ctx, method, path, body, out)
	if status := Status(err); status >= 400 && status < 500 {
		s.forget(created) // The server refused the request, so it created nothing.
	}
	return err
}

// remember records a path, so that Close deletes the object. It returns false after Close.
func (s *Server) remember(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.created = append(s.created, path)
	}
	return !s.closed
}

// forget removes a path, so that Close does not delete the object.
func (s *Server) forget(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created = slices.DeleteFunc(s.created, func(created string) bool { return created == path })
}

// Delete deletes a repository or a project. It returns no error if the object does not exist.
func (s *Server) Delete(ctx context.Context, path string) error {
	if err := s.Counter.count(); err != nil {
		return err
	}
	return s.delete(ctx, path)
}

// delete is Delete without counting the request.
func (s *Server) delete(ctx context.Context, path string) error {
	reply, err := s.send(ctx, http.MethodDelete, path, nil)
	if err == nil {
		err = reply.check(http.MethodDelete, path)
	}
	if Status(err) == http.StatusNotFound {
		err = nil
	}
	if err == nil {
		s.forget(path)
	}
	return err
}

// Close deletes all repositories and projects that were created and not deleted yet. It waits
// until no creation is in progress. After Close, nothing can be created.
func (s *Server) Close() error {
	s.creating.Lock()
	defer s.creating.Unlock()
	s.mu.Lock()
	s.closed = true
	left := slices.Clone(s.created)
	s.mu.Unlock()
	// Delete /repositories before /workspaces: Bitbucket does not delete a project that has
	// repositories.
	slices.Sort(left)
	left = slices.Compact(left)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var failed []error
	for _, path := range left {
		s.Counter.sent.Add(1) // The limit does not apply, because everything must be deleted.
		if err := s.delete(ctx, path); err != nil {
			failed = append(failed, fmt.Errorf("%w: run \"make sweep\" to delete it", err))
		}
	}
	return errors.Join(failed...)
}

// Sweep deletes the repositories and projects that earlier runs have left in the workspace,
// and returns their paths.
func (s *Server) Sweep(ctx context.Context) ([]string, error) {
	slugs, err := s.names(ctx, s.RepositoriesPath(), "slug", repositoryPattern)
	if err != nil {
		return nil, err
	}
	keys, err := s.names(ctx, s.ProjectsPath(), "key", projectPattern)
	if err != nil && Status(err) != http.StatusForbidden { // Without the right to projects, no run has created a project.
		return nil, err
	}
	var paths []string
	for _, slug := range slugs {
		paths = append(paths, s.Path(slug))
	}
	for _, key := range keys {
		paths = append(paths, s.ProjectPath(key))
	}
	for i, path := range paths {
		if err := s.Delete(ctx, path); err != nil {
			return paths[:i], err
		}
	}
	return paths, nil
}

// names returns the names in all pages of a listing that match the pattern.
func (s *Server) names(ctx context.Context, collection, field string, pattern *regexp.Regexp) ([]string, error) {
	var matching []string
	for page := 1; ; page++ {
		var list struct {
			Values []map[string]any `json:"values"`
			Next   string           `json:"next"`
		}
		if err := s.Expect(ctx, http.MethodGet, fmt.Sprintf("%s?pagelen=100&page=%d", collection, page), nil, &list); err != nil {
			return nil, err
		}
		for _, value := range list.Values {
			if name, _ := value[field].(string); pattern.MatchString(name) {
				matching = append(matching, name)
			}
		}
		if list.Next == "" || len(list.Values) == 0 {
			return matching, nil
		}
	}
}
