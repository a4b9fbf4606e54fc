package live_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

// need is something that a test requires of a server.
type need string

const (
	deployKeys     need = "deploy keys of repositories"
	projects       need = "projects"
	updates        need = "updates of deploy keys"
	refusedUpdates need = "refused updates of deploy keys"
	walks          need = "lists of repositories"
	deployments    need = "deployments"
	faults         need = "faults"
)

// probe finds out what a server and the credentials support. It returns why something is not
// supported. Without an answer from the server, it returns an error.
func probe(ctx context.Context, s *live.Server) (missing map[need]string, err error) {
	missing = map[need]string{faults: "only the emulator can play them"}
	// refused records that a request was refused. It returns false if the request succeeded.
	refused := func(n need, failure error) bool {
		if status := live.Status(failure); failure != nil && (status == 0 || status == http.StatusUnauthorized || status >= http.StatusTooManyRequests) {
			err = errors.Join(err, failure)
		}
		if failure != nil {
			missing[n] = s.Redact(failure.Error())
		}
		return failure != nil
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	repository, err := s.CreateRepository(ctx, "")
	if err != nil && live.Status(err) != http.StatusForbidden {
		return nil, err // For example, the workspace does not exist.
	}
	if refused(deployKeys, err) {
		return missing, nil
	}
	path := s.Path(repository.Slug)
	if id, added := probeAdd(ctx, s, path, key); !refused(deployKeys, added) {
		put := fmt.Sprintf("%s/deploy-keys/%d", path, id)
		switch {
		case !refused(updates, s.Expect(ctx, http.MethodPut, put, map[string]string{"key": key, "label": "b"}, nil)):
			missing[refusedUpdates] = "this server updates deploy keys"
		case s.Expect(ctx, http.MethodPut, put, map[string]string{"label": "c"}, nil) == nil:
			missing[refusedUpdates] = "this server updates the label of a deploy key, if the request has no key"
		}
		refused(deployKeys, s.Expect(ctx, http.MethodDelete, put, nil, nil))
	}
	if listed := s.Expect(ctx, http.MethodGet, path+"/deployments/", nil, nil); live.Status(listed) != http.StatusNotFound {
		refused(deployments, listed) // Bitbucket may answer 404 if there are none.
	}
	refused(walks, s.Expect(ctx, http.MethodGet, s.RepositoriesPath()+"?pagelen=1", nil, nil))

	project, created := s.CreateProject(ctx)
	if !refused(projects, created) {
		if id, added := probeAdd(ctx, s, s.ProjectPath(project), key); !refused(projects, added) {
			refused(projects, s.Expect(ctx, http.MethodDelete, fmt.Sprintf("%s/deploy-keys/%d", s.ProjectPath(project), id), nil, nil))
		}
		refused(projects, s.Delete(ctx, s.ProjectPath(project)))
	}
	refused(deployKeys, s.Delete(ctx, path))
	return missing, err
}

// probeAdd adds a key to a repository or a project, and returns its ID.
func probeAdd(ctx context.Context, s *live.Server, path, key string) (int64, error) {
	var added deployKey
	err := s.Expect(ctx, http.MethodPost, path+"/deploy-keys", map[string]string{"key": key, "label": "a"}, &added)
	return added.ID, err
}

// names returns what is missing, sorted.
func names(missing map[need]string) []need { return slices.Sorted(maps.Keys(missing)) }

func newKey() (string, error) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return "", err
	}
	return string(ssh.MarshalAuthorizedKey(key)), nil
}
