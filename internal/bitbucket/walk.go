package bitbucket

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"sync"
)

// PlaceDeployKeys are the deploy keys of one place among others.
type PlaceDeployKeys struct {
	Place Place
	// Keys are as Bitbucket lists them.
	Keys []DeployKey
	// Hidden tells that Bitbucket answered 403 or 404: these credentials may not
	// see the keys, or the place has just gone.
	Hidden bool
}

// WorkspaceDeployKeys walks over the repositories of a workspace that these
// credentials may see, or over those of the project with a key, in the order in
// which Bitbucket lists them. So many of them are asked for their keys at once as
// there may be requests in flight; when the walk is left, nothing more is asked.
// An error ends it.
func (c *Client) WorkspaceDeployKeys(ctx context.Context, workspace, project string) iter.Seq2[PlaceDeployKeys, error] {
	return c.walk(ctx, func(ctx context.Context) iter.Seq2[Place, error] { return c.repositories(ctx, workspace, project) })
}

// WorkspaceProjectDeployKeys walks over the projects of a workspace in the same
// way. Their keys are not those of their repositories.
func (c *Client) WorkspaceProjectDeployKeys(ctx context.Context, workspace string) iter.Seq2[PlaceDeployKeys, error] {
	return c.walk(ctx, func(ctx context.Context) iter.Seq2[Place, error] { return c.projects(ctx, workspace) })
}

// walk yields the keys of one place after the other.
func (c *Client) walk(ctx context.Context, places func(context.Context) iter.Seq2[Place, error]) iter.Seq2[PlaceDeployKeys, error] {
	return func(yield func(PlaceDeployKeys, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var asking sync.WaitGroup
		defer asking.Wait()
		defer cancel()
		next, stop := iter.Pull2(places(ctx))
		defer stop()

		var queue []<-chan answered
		for more := true; more || len(queue) > 0; {
			for more && len(queue) < cap(c.gate.slots) {
				var place Place
				var err error
				if place, err, more = next(); !more {
					break
				}
				answer := make(chan answered, 1)
				queue = append(queue, answer)
				if err != nil {
					answer <- answered{err: err}
					more = false
					break
				}
				asking.Go(func() { answer <- c.placeDeployKeys(ctx, place) })
			}
			if len(queue) == 0 {
				return
			}
			first := <-queue[0]
			queue = queue[1:]
			if !yield(first.keys, first.err) || first.err != nil {
				return
			}
		}
	}
}

// answered is what one place of a walk has answered.
type answered struct {
	keys PlaceDeployKeys
	err  error
}

// placeDeployKeys lists the keys of one place. A missing scope is missing
// everywhere, so it hides nothing but ends the walk.
func (c *Client) placeDeployKeys(ctx context.Context, place Place) answered {
	keys, err := c.DeployKeys(ctx, place)
	if IsNotFound(err) || isForbidden(err) {
		return answered{keys: PlaceDeployKeys{Place: place, Hidden: true}}
	}
	return answered{PlaceDeployKeys{Place: place, Keys: keys}, err}
}

// repositories yields the repositories of a workspace, or those of one of its
// projects, from all pages.
//
// GET /repositories/{workspace}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/#api-repositories-workspace-get
func (c *Client) repositories(ctx context.Context, workspace, project string) iter.Seq2[Place, error] {
	u := firstPage(c.url("repositories", workspace))
	query := u.Query()
	query.Set("fields", "next,values.slug") // All of them are kilobytes each.
	if project != "" {
		query.Set("q", fmt.Sprintf("project.key=%q", project))
	}
	u.RawQuery = query.Encode()
	return c.places(ctx, workspace, u, decodeRepository)
}

// decodeRepository reads one repository of a list.
func decodeRepository(u *url.URL, workspace string, value json.RawMessage) (Place, error) {
	var listed struct {
		Slug string `json:"slug"`
	}
	if json.Unmarshal(value, &listed) != nil || !IsSlugOrUUID(listed.Slug) {
		return Place{}, unusable(http.MethodGet, u, "one of its values is no repository with a slug")
	}
	return Place{Workspace: workspace, Repository: listed.Slug}, nil
}

// checkRepository is the error for a repository that is gone or out of sight, nil
// for one that answers.
//
// GET /repositories/{workspace}/{repo_slug}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/#api-repositories-workspace-repo-slug-get
func (c *Client) checkRepository(ctx context.Context, repository Place) error {
	u := c.url("repositories", repository.Workspace, repository.Repository)
	u.RawQuery = url.Values{"fields": {"uuid"}}.Encode()
	var found map[string]json.RawMessage
	if err := c.do(ctx, http.MethodGet, u, nil, &found, http.StatusOK); err != nil {
		return err
	}
	if found == nil {
		return unusable(http.MethodGet, u, "it has no repository")
	}
	return nil
}

// projects yields the projects of a workspace, from all pages.
//
// GET /workspaces/{workspace}/projects
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-workspaces/#api-workspaces-workspace-projects-get
func (c *Client) projects(ctx context.Context, workspace string) iter.Seq2[Place, error] {
	u := firstPage(c.url("workspaces", workspace, "projects"))
	query := u.Query()
	query.Set("fields", "next,values.key")
	u.RawQuery = query.Encode()
	return c.places(ctx, workspace, u, decodeProject)
}

// decodeProject reads one project of a list.
func decodeProject(u *url.URL, workspace string, value json.RawMessage) (Place, error) {
	var listed struct {
		Key string `json:"key"`
	}
	if json.Unmarshal(value, &listed) != nil || !IsProjectKey(listed.Key) {
		return Place{}, unusable(http.MethodGet, u, "one of its values is no project with a key")
	}
	return Place{Workspace: workspace, Project: listed.Key}, nil
}

// places yields what all pages from u list. What decode returns becomes part of a
// path, so decode must check it.
func (c *Client) places(ctx context.Context, workspace string, u *url.URL, decode func(*url.URL, string, json.RawMessage) (Place, error)) iter.Seq2[Place, error] {
	return func(yield func(Place, error) bool) {
		seen := map[Place]bool{} // One that is added meanwhile moves another to the next page.
		for read := map[string]bool{}; u != nil; {
			values, next, err := c.page(ctx, u)
			read[u.String()] = true
			if err == nil {
				err = endless(u, next, read)
			}
			if err != nil {
				yield(Place{}, err)
				return
			}
			for _, value := range values {
				place, err := decode(u, workspace, value)
				if err == nil && seen[place] {
					continue
				}
				seen[place] = true
				if !yield(place, err) || err != nil {
					return
				}
			}
			u = next
		}
	}
}
