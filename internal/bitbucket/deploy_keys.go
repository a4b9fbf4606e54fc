package bitbucket

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// DeployKey is a deploy key as Bitbucket returns it.
type DeployKey struct {
	ID int64 `json:"id"`
	// Key is the type and the base64 of the public key, without a comment.
	Key     string `json:"key"`
	Comment string `json:"comment"`
	Label   string `json:"label"`
	// CreatedOn is ISO 8601, with or without a fraction of a second.
	CreatedOn string `json:"created_on"`
	// LastUsed has the same format as CreatedOn. It is "" if the key was never used.
	LastUsed string `json:"last_used"`
	// Either Repository or Project is set. It is the parent of the key.
	Repository struct {
		UUID     string `json:"uuid"`
		FullName string `json:"full_name"`
	} `json:"repository"`
	Project struct {
		UUID string `json:"uuid"`
	} `json:"project"`
}

// ParentUUID returns the {uuid} of the parent, "" if Bitbucket did not send it.
func (k *DeployKey) ParentUUID() string { return cmp.Or(k.Repository.UUID, k.Project.UUID) }

// DeployKeyInput is the body of a request that creates or updates a key. Bitbucket accepts
// the comment only at the end of the key line.
type DeployKeyInput struct {
	Key   string `json:"key,omitempty"`
	Label string `json:"label"`
}

// PartialReplyError means that Bitbucket has carried out a write, but only the ID in the
// reply is certainly usable. It wraps the [*Error].
type PartialReplyError struct {
	Err *Error
	// Key holds the usable part of the reply: at least the ID.
	Key DeployKey
}

// Error returns the text of the cause.
func (e *PartialReplyError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *PartialReplyError) Unwrap() error { return e.Err }

// UnreadableKeyError means that a value of a list is not a complete deploy key. It wraps
// [ErrUnusable].
type UnreadableKeyError struct {
	// ID is the ID of the value, 0 if it has none.
	ID  int64
	Err *Error
}

// Error returns the text of the cause.
func (e *UnreadableKeyError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UnreadableKeyError) Unwrap() error { return e.Err }

// GetDeployKey returns one key.
//
// GET /repositories/{workspace}/{repo_slug}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-key-id-get
//
// GET /workspaces/{workspace}/projects/{project_key}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-workspaces-workspace-projects-project-key-deploy-keys-key-id-get
func (c *Client) GetDeployKey(ctx context.Context, parent Parent, id int64) (*DeployKey, error) {
	u := c.deployKeyURL(parent, id)
	var key DeployKey
	if err := c.do(ctx, http.MethodGet, u, nil, &key, http.StatusOK); err != nil {
		return nil, err
	}
	if err := key.check(http.MethodGet, u, id); err != nil {
		return nil, err
	}
	return &key, nil
}

// ListDeployKeys returns a pager over all keys of a parent. The error of a value is an
// [*UnreadableKeyError].
//
// GET /repositories/{workspace}/{repo_slug}/deploy-keys
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-get
//
// GET /workspaces/{workspace}/projects/{project_key}/deploy-keys
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-workspaces-workspace-projects-project-key-deploy-keys-get
func (c *Client) ListDeployKeys(parent Parent) *Pager[DeployKey] {
	return newPager(c, firstPage(c.deployKeysURL(parent)), func(u *url.URL, value json.RawMessage) (DeployKey, error) {
		var key DeployKey
		if json.Unmarshal(value, &key) != nil || key.check(http.MethodGet, u, 0) != nil {
			return DeployKey{}, &UnreadableKeyError{max(key.ID, 0), unusable(http.MethodGet, u, "one of its values is not a complete deploy key")}
		}
		return key, nil
	})
}

// CreateDeployKey adds a key. If the reply has the ID of the new key but is not usable
// otherwise, the error is a [*PartialReplyError].
//
// POST /repositories/{workspace}/{repo_slug}/deploy-keys
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-post
//
// POST /workspaces/{workspace}/projects/{project_key}/deploy-keys
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-workspaces-workspace-projects-project-key-deploy-keys-post
func (c *Client) CreateDeployKey(ctx context.Context, parent Parent, input DeployKeyInput) (*DeployKey, error) {
	// Bitbucket answers 200. Also accept 201, which is usual for other APIs: if Bitbucket
	// changes its answer, a created key must not be reported as a failure.
	return c.writeDeployKey(ctx, http.MethodPost, c.deployKeysURL(parent), 0, input, http.StatusOK, http.StatusCreated)
}

// UpdateDeployKey changes the label and the comment of a repository's key. Bitbucket has no
// such request for the keys of projects. According to the documentation, the input must
// contain the unchanged key. Bitbucket has been observed to refuse such an input; the error
// is then an [*ImmutableKeyError].
//
// PUT /repositories/{workspace}/{repo_slug}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-key-id-put
func (c *Client) UpdateDeployKey(ctx context.Context, parent Parent, id int64, input DeployKeyInput) (*DeployKey, error) {
	return c.writeDeployKey(ctx, http.MethodPut, c.deployKeyURL(parent, id), id, input, http.StatusOK)
}

// DeleteDeployKey removes a key.
//
// DELETE /repositories/{workspace}/{repo_slug}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-key-id-delete
//
// DELETE /workspaces/{workspace}/projects/{project_key}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-workspaces-workspace-projects-project-key-deploy-keys-key-id-delete
func (c *Client) DeleteDeployKey(ctx context.Context, parent Parent, id int64) error {
	return c.do(ctx, http.MethodDelete, c.deployKeyURL(parent, id), nil, nil, http.StatusNoContent)
}

// writeDeployKey sends input and checks that the reply describes the same public key.
// Unless id is 0, it also checks that the reply has this ID.
func (c *Client) writeDeployKey(ctx context.Context, method string, u *url.URL, id int64, input DeployKeyInput, want ...int) (*DeployKey, error) {
	var key DeployKey
	err := c.do(ctx, method, u, input, &key, want...)
	if err == nil {
		err = key.check(method, u, id)
	}
	if err == nil && input.Key != "" && !sshkey.SameKey(key.Key, input.Key) {
		err = unusable(method, u, "it is about another public key")
	}
	if err == nil {
		return &key, nil
	}
	if failed, ok := errors.AsType[*Error](err); ok && key.ID > 0 {
		return nil, &PartialReplyError{failed, key}
	}
	return nil, err
}

// check returns an error if the reply has no ID or no public key. Unless id is 0, it also
// returns an error if the reply has a different ID.
func (k *DeployKey) check(method string, u *url.URL, id int64) error {
	switch {
	case k.ID <= 0:
		return unusable(method, u, "it has no deploy key with an id")
	case k.Key == "":
		return unusable(method, u, "its deploy key has no public key")
	case id != 0 && k.ID != id:
		return unusable(method, u, fmt.Sprintf("it is about deploy key %d", k.ID))
	}
	return nil
}

// deployKeysURL returns the address of the deploy keys of a parent. It appends the elements
// in below to the path.
func (c *Client) deployKeysURL(parent Parent, below ...string) *url.URL {
	path := []string{"repositories", parent.Workspace, parent.Repository, "deploy-keys"}
	if parent.Project != "" {
		path = []string{"workspaces", parent.Workspace, "projects", parent.Project, "deploy-keys"}
	}
	return c.url(append(path, below...)...)
}

func (c *Client) deployKeyURL(parent Parent, id int64) *url.URL {
	return c.deployKeysURL(parent, strconv.FormatInt(id, 10))
}
