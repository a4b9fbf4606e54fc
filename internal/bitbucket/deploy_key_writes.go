package bitbucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// DeployKeyInput is what can be said about a deploy key. Bitbucket takes the
// comment only as the tail of the key line.
type DeployKeyInput struct {
	Key   string `json:"key,omitempty"`
	Label string `json:"label"`
}

// DeployKeyExistsError says that the key is there already. It wraps the refusal
// of the request that would have added it.
type DeployKeyExistsError struct {
	Existing DeployKey
	// Err is the refusal, or a lost answer: then the key is older than the
	// request, or has another label or comment.
	Err *Error
}

// Error says it in one line.
func (e *DeployKeyExistsError) Error() string {
	return fmt.Sprintf("it is there already, as deploy key %d: %v", e.Existing.ID, e.Err)
}

// Unwrap gives access to the refusal.
func (e *DeployKeyExistsError) Unwrap() error { return e.Err }

// clockTolerance is how far created_on may be off the time of a request. Date
// headers have whole seconds.
const clockTolerance = 5 * time.Second

// CreateDeployKey adds a key. Where no usable answer comes, the key is looked for:
// if it is there and new, it is the one; if it is not there, it is added again. A
// key that is there already is a [*DeployKeyExistsError]. A key beside an error was
// added, but nothing but its id is known.
//
// POST /repositories/{workspace}/{repo_slug}/deploy-keys
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-post
//
// POST /workspaces/{workspace}/projects/{project_key}/deploy-keys
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-workspaces-workspace-projects-project-key-deploy-keys-post
func (c *Client) CreateDeployKey(ctx context.Context, place Place, input DeployKeyInput) (*DeployKey, error) {
	defer c.listings.drop(place)
	begun, lost := time.Now(), false
	for attempt := 0; ; attempt++ {
		// Bitbucket says 200. Should it come to say 201 as other APIs do, a key
		// that exists must not be taken for a failure.
		key, err := c.write(ctx, http.MethodPost, c.deployKeysURL(place), 0, input, http.StatusOK, http.StatusCreated)
		failed, ok := errors.AsType[*Error](err)
		switch {
		case err == nil:
			c.created.Store(key.ID, true)
			return key, nil
		case !ok:
			return nil, err
		}
		refused := !failed.Lost
		lost = lost || failed.Lost
		failed.Lost = lost
		if refused && !HasStatus(failed, http.StatusBadRequest) && !HasStatus(failed, http.StatusConflict) {
			return nil, failed
		}
		existing, err := c.findMaterial(ctx, place, input)
		if err != nil && ctx.Err() != nil { // A stop must not lose the key.
			last, cancel := finishing(ctx)
			existing, err = c.findMaterial(last, place, input)
			cancel()
		}
		switch {
		case err != nil:
			failed.Recovery = err
			return input.known(key), failed
		case existing == nil && (refused || key != nil || !c.pause(ctx, attempt, failed)):
			return input.known(key), failed
		case existing == nil: // Now it is sent again.
		case key != nil && key.ID == existing.ID, lost && existing.says(input) && !existing.olderThan(c.serverTime(begun)) && c.adopt(existing.ID):
			return existing, nil
		default:
			return nil, &DeployKeyExistsError{*existing, failed}
		}
	}
}

// adopt tells whether a key is nobody's yet: two calls may add the same key.
func (c *Client) adopt(id int64) bool {
	_, taken := c.created.LoadOrStore(id, true)
	return !taken
}

// findMaterial returns the key of a place that is the same as the one in
// input, whatever its label and comment, or nil.
func (c *Client) findMaterial(ctx context.Context, place Place, input DeployKeyInput) (*DeployKey, error) {
	c.listings.drop(place)
	keys, err := c.listings.all(ctx, place)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(keys, func(key DeployKey) bool { return sshkey.SameKey(key.Key, input.Key) })
	if i < 0 {
		return nil, nil
	}
	return &keys[i], nil
}

// UpdateDeployKey changes label and comment of a key of a repository; for those of
// projects Bitbucket has no such request. The input must hold the same key, says
// the documentation; Bitbucket has been seen to refuse that. Where no usable answer
// comes, the key is read to see whether it was changed.
//
// PUT /repositories/{workspace}/{repo_slug}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-key-id-put
func (c *Client) UpdateDeployKey(ctx context.Context, place Place, id int64, input DeployKeyInput) (*DeployKey, error) {
	defer c.listings.drop(place)
	return underAnyName(&c.names, place, func(name Place) (*DeployKey, error) {
		for attempt := 0; ; attempt++ {
			key, err := c.write(ctx, http.MethodPut, c.deployKeyURL(name, id), id, input, http.StatusOK)
			failed, ok := errors.AsType[*Error](err)
			if !ok || !failed.Lost {
				return key, err
			}
			now, err := c.FindDeployKey(ctx, name, id)
			switch {
			case err != nil:
				failed.Recovery = err
				return nil, failed
			case now.says(input):
				return now, nil
			}
			if !c.pause(ctx, attempt, failed) {
				return nil, failed
			}
		}
	})
}

// DeleteDeployKey removes a key. A key that is gone already is no error, and
// one whose repository has another name now is removed there. A 404 alone, or
// no usable answer, means nothing: the keys must be listed without it.
//
// DELETE /repositories/{workspace}/{repo_slug}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-repositories-workspace-repo-slug-deploy-keys-key-id-delete
//
// DELETE /workspaces/{workspace}/projects/{project_key}/deploy-keys/{key_id}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-deployments/#api-workspaces-workspace-projects-project-key-deploy-keys-key-id-delete
func (c *Client) DeleteDeployKey(ctx context.Context, place Place, id int64) error {
	defer c.listings.drop(place)
	var refused *Error
	empty := false
	for _, name := range c.names.of(place) {
		err := c.do(ctx, http.MethodDelete, c.deployKeyURL(name, id), nil, nil, http.StatusNoContent)
		failed, ok := errors.AsType[*Error](err)
		if !ok || !failed.Lost && !isElsewhere(failed) {
			return err
		}
		c.listings.drop(place)
		keys, err := c.listings.all(ctx, name)
		if err == nil {
			err = gone(keys, name, id, failed)
		}
		switch {
		case errors.Is(err, errNoneListed) && isElsewhere(failed) && !failed.Lost:
			empty = true
		case errors.Is(err, ErrDeployKeyGone):
			return nil
		case !isElsewhere(failed):
			if !errors.Is(err, failed) {
				failed.Recovery = err
			}
			return failed
		case !isElsewhere(err):
			return err
		}
		refused = cmp.Or(refused, failed)
	}
	if empty {
		return nil
	}
	return refused // Whatever these refusals mean, the key may be there.
}

// write sends a request that adds or changes a key, once, and returns the key
// that Bitbucket answers with: the one with this id, unless id is 0, and with
// the public key that was sent. A key beside an error is what an answer that
// cannot be used holds of it.
func (c *Client) write(ctx context.Context, method string, u *url.URL, id int64, input DeployKeyInput, want ...int) (*DeployKey, error) {
	var key DeployKey
	err := c.do(ctx, method, u, input, &key, want...)
	if err == nil {
		err = key.check(method, u, id)
	}
	if err == nil && input.Key != "" && !sshkey.SameKey(key.Key, input.Key) {
		err = unusable(method, u, "it is about another public key")
	}
	switch {
	case err == nil:
		return &key, nil
	case key.ID > 0:
		return &key, err
	}
	return nil, err
}

// known is what is known of an added key from an answer that holds little more
// than its id, nil if the answer is about another public key or none.
func (i DeployKeyInput) known(answer *DeployKey) *DeployKey {
	if answer == nil || answer.Key != "" && !sshkey.SameKey(answer.Key, i.Key) {
		return nil
	}
	sent, err := sshkey.Split(i.Key)
	if err != nil {
		return nil
	}
	return &DeployKey{ID: answer.ID, Key: sent.String(), Comment: sent.Comment, Label: i.Label}
}

// pause waits before a write is sent again. It tells whether that is allowed.
func (c *Client) pause(ctx context.Context, attempt int, failed *Error) bool {
	wait := failed.wait
	if !failed.named {
		wait = grown(c.retryWait, maxRetryWait, attempt)
	}
	if attempt >= c.maxRetries || wait > maxAskedWait {
		return false
	}
	select {
	case <-time.After(wait):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// says tells whether a key has the label and comment of input. How Bitbucket
// spaces a comment of several words is not known, so that does not count.
func (k *DeployKey) says(input DeployKeyInput) bool {
	held, _ := sshkey.Split(k.Key)
	sent, err := sshkey.Split(input.Key)
	return strings.TrimSpace(k.Label) == strings.TrimSpace(input.Label) &&
		(input.Key == "" || err == nil && slices.Equal(strings.Fields(cmp.Or(k.Comment, held.Comment)), strings.Fields(sent.Comment)))
}

// olderThan tells whether a key was there before a moment of Bitbucket's time,
// or does not show that it was not.
func (k *DeployKey) olderThan(moment time.Time) bool {
	created, err := time.Parse(time.RFC3339, k.CreatedOn)
	return err != nil || created.Before(moment.Add(-clockTolerance))
}

// serverTime is what Bitbucket's clock showed at a moment of ours, judged by the
// last answer's Date.
func (c *Client) serverTime(moment time.Time) time.Time {
	return moment.Add(time.Duration(c.ahead.Load()))
}
