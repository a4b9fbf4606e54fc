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

// RepositoryDeployKeys are the deploy keys of one repository among others.
type RepositoryDeployKeys struct {
	Repository Repository
	// Keys are as Bitbucket lists them.
	Keys []DeployKey
	// Hidden tells that Bitbucket answered 403 or 404: these credentials may not
	// see the keys, or the repository has just gone.
	Hidden bool
}

// WorkspaceDeployKeys walks over the repositories of a workspace that these
// credentials may see, or over those of the project with a key, in the order in
// which Bitbucket lists them. So many of them are asked for their keys at once as
// there may be requests in flight; when the walk is left, nothing more is asked.
// An error ends it.
func (c *Client) WorkspaceDeployKeys(ctx context.Context, workspace, project string) iter.Seq2[RepositoryDeployKeys, error] {
	return func(yield func(RepositoryDeployKeys, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var asking sync.WaitGroup
		defer asking.Wait()
		defer cancel()
		next, stop := iter.Pull2(c.repositories(ctx, workspace, project))
		defer stop()

		var queue []<-chan answered
		for more := true; more || len(queue) > 0; {
			for more && len(queue) < cap(c.gate.slots) {
				var repository Repository
				var err error
				if repository, err, more = next(); !more {
					break
				}
				answer := make(chan answered, 1)
				queue = append(queue, answer)
				if err != nil {
					answer <- answered{err: err}
					more = false
					break
				}
				asking.Go(func() { answer <- c.repositoryDeployKeys(ctx, repository) })
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

// answered is what one repository of a walk has answered.
type answered struct {
	keys RepositoryDeployKeys
	err  error
}

// repositoryDeployKeys lists the keys of one repository. A missing scope is
// missing everywhere, so it hides nothing but ends the walk.
func (c *Client) repositoryDeployKeys(ctx context.Context, repository Repository) answered {
	keys, err := c.DeployKeys(ctx, repository)
	if IsNotFound(err) || isForbidden(err) {
		return answered{keys: RepositoryDeployKeys{Repository: repository, Hidden: true}}
	}
	return answered{RepositoryDeployKeys{Repository: repository, Keys: keys}, err}
}

// repositories yields the repositories of a workspace, or those of one of its
// projects, from all pages.
//
// GET /repositories/{workspace}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/#api-repositories-workspace-get
func (c *Client) repositories(ctx context.Context, workspace, project string) iter.Seq2[Repository, error] {
	return func(yield func(Repository, error) bool) {
		u := firstPage(c.url("repositories", workspace))
		query := u.Query()
		query.Set("fields", "next,values.slug,values.uuid") // All of them are kilobytes each.
		if project != "" {
			query.Set("q", fmt.Sprintf("project.key=%q", project))
		}
		u.RawQuery = query.Encode()
		seen := map[string]bool{} // One that is added meanwhile moves another to the next page.
		for read := map[string]bool{}; u != nil; {
			values, next, err := c.page(ctx, u)
			read[u.String()] = true
			if err == nil {
				err = endless(u, next, read)
			}
			if err != nil {
				yield(Repository{}, err)
				return
			}
			for _, value := range values {
				repository, err := decodeRepository(u, workspace, value)
				if err == nil && seen[repository.Slug] {
					continue
				}
				seen[repository.Slug] = true
				if !yield(repository, err) || err != nil {
					return
				}
			}
			u = next
		}
	}
}

// decodeRepository reads one repository of a list. Its slug becomes part of a
// path, so it must be one.
func decodeRepository(u *url.URL, workspace string, value json.RawMessage) (Repository, error) {
	var listed struct {
		Slug string `json:"slug"`
		UUID string `json:"uuid"`
	}
	if json.Unmarshal(value, &listed) != nil || !IsSlugOrUUID(listed.Slug) {
		return Repository{}, unusable(http.MethodGet, u, "one of its values is no repository with a slug")
	}
	return Repository{Workspace: workspace, Slug: listed.Slug, UUID: listed.UUID}, nil
}
