package bitbucket

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// ListProjects returns a pager over the projects of a workspace that these credentials may
// see.
//
// GET /workspaces/{workspace}/projects
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-workspaces/#api-workspaces-workspace-projects-get
func (c *Client) ListProjects(workspace string) *Pager[Parent] {
	u := firstPage(c.url("workspaces", workspace, "projects"))
	query := u.Query()
	query.Set("fields", "next,values.key")
	u.RawQuery = query.Encode()
	return newPager(c, u, func(u *url.URL, value json.RawMessage) (Parent, error) { return decodeProject(u, workspace, value) })
}

// decodeProject reads one project of a page. The key becomes part of a path, so an invalid
// key is an error.
func decodeProject(u *url.URL, workspace string, value json.RawMessage) (Parent, error) {
	var listed struct {
		Key string `json:"key"`
	}
	if json.Unmarshal(value, &listed) != nil || !IsProjectKey(listed.Key) {
		return Parent{}, unusable(http.MethodGet, u, "one of its values has no key")
	}
	return Parent{Workspace: workspace, Project: listed.Key}, nil
}
