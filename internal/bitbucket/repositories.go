package bitbucket

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// ListRepositories returns a pager over the repositories of a workspace that these
// credentials may see. If project is not "", the pager covers only the repositories of that
// project.
//
// GET /repositories/{workspace}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/#api-repositories-workspace-get
func (c *Client) ListRepositories(workspace, project string) *Pager[Parent] {
	u := firstPage(c.url("repositories", workspace))
	query := u.Query()
	query.Set("fields", "next,values.slug") // With all fields, each repository would take kilobytes.
	if project != "" {
		query.Set("q", fmt.Sprintf("project.key=%q", project))
	}
	u.RawQuery = query.Encode()
	return newPager(c, u, func(u *url.URL, value json.RawMessage) (Parent, error) { return decodeRepository(u, workspace, value) })
}

// decodeRepository reads one repository of a page. The slug becomes part of a path, so an
// invalid slug is an error.
func decodeRepository(u *url.URL, workspace string, value json.RawMessage) (Parent, error) {
	var listed struct {
		Slug string `json:"slug"`
	}
	if json.Unmarshal(value, &listed) != nil || !IsSlugOrUUID(listed.Slug) {
		return Parent{}, unusable(http.MethodGet, u, "one of its values has no slug")
	}
	return Parent{Workspace: workspace, Repository: listed.Slug}, nil
}

// CheckRepository returns an error unless the repository exists and these credentials may
// see it.
//
// GET /repositories/{workspace}/{repo_slug}
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/#api-repositories-workspace-repo-slug-get
func (c *Client) CheckRepository(ctx context.Context, repository Parent) error {
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
