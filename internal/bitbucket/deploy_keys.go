package bitbucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Place is what deploy keys are on: a repository, or a project, whose keys are
// good for all of its repositories.
type Place struct {
	// Workspace is a slug or {uuid}.
	Workspace string
	// Repository is a slug or {uuid}, "" for a project.
	Repository string
	// Project is the key of a project, "" for a repository.
	Project string
	// UUID is the {uuid} of the repository or project, "" if it is not known. It
	// tells it from another one that has its name by now.
	UUID string
}

// String is the name as people write it, without a repository or project that of
// the workspace.
func (p Place) String() string {
	if name := cmp.Or(p.Repository, p.Project); name != "" {
		return p.Workspace + "/" + name
	}
	return p.Workspace
}

// DeployKey is a deploy key, as Bitbucket answers it.
type DeployKey struct {
	ID int64 `json:"id"`
	// Key is the type and base64 of the public key, without a comment.
	Key     string `json:"key"`
	Comment string `json:"comment"`
	Label   string `json:"label"`
	// CreatedOn is ISO 8601, with or without a fraction of a second.
	CreatedOn string `json:"created_on"`
	// LastUsed is in the same form, "" where the key was never used.
	LastUsed string `json:"last_used"`
	// Repository or Project is what the key is on; the other is empty.
	Repository struct {
		UUID     string `json:"uuid"`
		FullName string `json:"full_name"`
	} `json:"repository"`
	Project struct {
		UUID string `json:"uuid"`
	} `json:"project"`
}

// PlaceUUID is the {uuid} of what the key is on, "" if Bitbucket did not say it.
func (k *DeployKey) PlaceUUID() string { return cmp.Or(k.Repository.UUID, k.Project.UUID) }

// ErrDeployKeyGone says that a key does not exist on a repository or project that
// does.
var ErrDeployKeyGone = errors.New("it has no such deploy key")

// DeployKey returns one key, where possible from a listing that it shares with
// other calls and that is at most five minutes old, but older than no write of
// this client. A repository that answers 404 is asked for by its UUID. If the key
// is gone while its place still answers, the error is [ErrDeployKeyGone]: a 404
// alone may also mean that the place is gone or out of sight.
//
// GET /repositories/{workspace}/{repo_slug}/deploy-keys and
// GET /repositories/{workspace}/{repo_slug}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-key-id-get
//
// GET /workspaces/{workspace}/projects/{project_key}/deploy-keys and
// GET /workspaces/{workspace}/projects/{project_key}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-workspaces-workspace-projects-project-key-deploy-keys-key-id-get
func (c *Client) DeployKey(ctx context.Context, place Place, id int64) (*DeployKey, error) {
	return underAnyName(&c.names, place, func(name Place) (*DeployKey, error) {
		key, err := c.listings.key(ctx, name, id)
		if err == nil {
			err = name.checkIsOf(key)
		}
		return key, err
	})
}

// FindDeployKey returns one key for one request of its own, and leaves open what
// a 404 means.
func (c *Client) FindDeployKey(ctx context.Context, place Place, id int64) (*DeployKey, error) {
	u := c.deployKeyURL(place, id)
	var key DeployKey
	if err := c.do(ctx, http.MethodGet, u, nil, &key, http.StatusOK); err != nil {
		return nil, err
	}
	if err := key.check(http.MethodGet, u, id); err != nil {
		return nil, err
	}
	return &key, nil
}

// DeployKeys returns all keys of a place, from all pages, which it shares with
// other calls as DeployKey does. With the UUID of the place, they are never those
// of another one that has its name now.
//
// GET /repositories/{workspace}/{repo_slug}/deploy-keys
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-get
//
// GET /workspaces/{workspace}/projects/{project_key}/deploy-keys
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-workspaces-workspace-projects-project-key-deploy-keys-get
func (c *Client) DeployKeys(ctx context.Context, place Place) ([]DeployKey, error) {
	keys, err := underAnyName(&c.names, place, func(name Place) ([]DeployKey, error) {
		keys, err := c.listings.all(ctx, name)
		switch {
		case err == nil && isAnybodys(keys, name):
			err = errNoneListed
		case err == nil && len(keys) > 0:
			err = name.checkIsOf(&keys[0])
		}
		return keys, err
	})
	if errors.Is(err, errNoneListed) {
		return nil, nil
	}
	return keys, err
}

// checkIsOf is the error for a key which shows that the name of the place is
// another's now.
func (p Place) checkIsOf(key *DeployKey) error {
	if !p.isNotOf(key) {
		return nil
	}
	return fmt.Errorf("%w: the deploy keys under this name are on %s, and not on %s", errAnothers, clean(key.PlaceUUID()), p.UUID)
}

// isNotOf tells whether a key shows that the name of the place is another's now.
func (p Place) isNotOf(key *DeployKey) bool {
	return p.UUID != "" && key.PlaceUUID() != "" && !strings.EqualFold(key.PlaceUUID(), p.UUID)
}

// check refuses a reply that would have to be completed by guessing.
func (k *DeployKey) check(method string, u *url.URL, id int64) error {
	switch {
	case k.ID <= 0 || k.Key == "":
		return unusable(method, u, "it has no deploy key with an id")
	case id != 0 && k.ID != id:
		return unusable(method, u, fmt.Sprintf("it is about deploy key %d", k.ID))
	}
	return nil
}

// deployKeysURL is the address of the deploy keys of a place, or of what is below.
func (c *Client) deployKeysURL(place Place, below ...string) *url.URL {
	path := []string{"repositories", place.Workspace, place.Repository, "deploy-keys"}
	if place.Project != "" {
		path = []string{"workspaces", place.Workspace, "projects", place.Project, "deploy-keys"}
	}
	return c.url(append(path, below...)...)
}

func (c *Client) deployKeyURL(place Place, id int64) *url.URL {
	return c.deployKeysURL(place, strconv.FormatInt(id, 10))
}
