package bitbucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// Repository names a repository, by slug or by {uuid} in either field.
type Repository struct {
	Workspace, Slug string
	// UUID is the repository's {uuid}, "" if it is not known. It finds a
	// repository that has another name by now.
	UUID string
}

// String is the name as people write it, without a slug that of the workspace.
func (r Repository) String() string {
	if r.Slug == "" {
		return r.Workspace
	}
	return r.Workspace + "/" + r.Slug
}

// DeployKey is a deploy key of a repository, as Bitbucket answers it.
type DeployKey struct {
	ID int64 `json:"id"`
	// Key is the type and base64 of the public key, without a comment.
	Key     string `json:"key"`
	Comment string `json:"comment"`
	Label   string `json:"label"`
	// CreatedOn is ISO 8601, with or without a fraction of a second.
	CreatedOn string `json:"created_on"`
	// LastUsed is in the same form, "" where the key was never used.
	LastUsed   string `json:"last_used"`
	Repository struct {
		UUID     string `json:"uuid"`
		FullName string `json:"full_name"`
	} `json:"repository"`
}

// ErrDeployKeyGone says that a key does not exist in a repository that does.
var ErrDeployKeyGone = errors.New("the repository has no such deploy key")

// DeployKey returns one key, where possible from a listing that it shares with
// other calls and that is at most five minutes old, but older than no write of
// this client. A repository that answers 404 is asked for by its UUID. If the key
// is gone while its repository still answers, the error is [ErrDeployKeyGone]: a
// 404 alone may also mean that the repository is gone or out of sight.
//
// GET /repositories/{workspace}/{repo_slug}/deploy-keys and
// GET /repositories/{workspace}/{repo_slug}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-key-id-get
func (c *Client) DeployKey(ctx context.Context, repository Repository, id int64) (*DeployKey, error) {
	return underAnyName(&c.names, repository, func(name Repository) (*DeployKey, error) {
		return c.listings.key(ctx, name, id)
	})
}

// FindDeployKey returns one key for one request of its own, and leaves open what
// a 404 means.
//
// GET /repositories/{workspace}/{repo_slug}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-key-id-get
func (c *Client) FindDeployKey(ctx context.Context, repository Repository, id int64) (*DeployKey, error) {
	u := c.deployKeyURL(repository, id)
	answer, err := c.do(ctx, http.MethodGet, u, nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	var key DeployKey
	if err := decode(http.MethodGet, u, answer, &key); err != nil {
		return nil, err
	}
	if err := key.check(http.MethodGet, u, id); err != nil {
		return nil, err
	}
	return &key, nil
}

// DeployKeys returns all keys of a repository, from all pages, which it shares
// with other calls as DeployKey does.
//
// GET /repositories/{workspace}/{repo_slug}/deploy-keys
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-get
func (c *Client) DeployKeys(ctx context.Context, repository Repository) ([]DeployKey, error) {
	return c.listings.all(ctx, repository)
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

func (c *Client) deployKeysURL(r Repository) *url.URL {
	return c.url("repositories", r.Workspace, r.Slug, "deploy-keys")
}

func (c *Client) deployKeyURL(r Repository, id int64) *url.URL {
	return c.url("repositories", r.Workspace, r.Slug, "deploy-keys", strconv.FormatInt(id, 10))
}
