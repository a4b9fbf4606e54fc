package emulator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// The emulator must send a complete reply to every request. It must never store two keys
// with the same ID or the same material, two repositories with the same slug, two projects
// with the same key, or a repository without its project.
func FuzzServeHTTP(f *testing.F) {
	const token = "/site/oauth2/access_token"
	add := func(method, path, query, body string) { f.Add(method, path, query, "Bearer token", body) }
	for _, query := range []string{"", "pagelen=1&page=2", "pagelen=%2B1", "pagelen=101", "page=9223372036854775807&pagelen=100", "page=0", "pagelen=1;page=2", "%zz"} {
		add("GET", keys, query, "")
	}
	for _, query := range []string{"sort=-state.started_on&pagelen=1", "sort=x", "environment=%7B%7D", "state.name=COMPLETED&page=2", "fields=values.state.name,next&pagelen=1"} {
		add("GET", deployments+"/", query, "")
	}
	for _, path := range []string{
		deployments, deployments + "/%7Bd1%7D", deployments + "/{d1}", deployments + "/x/", deployments + "/%2f", repositories + "/sandbox", repositories + "/%7B%7D",
		keys + "/", keys + "/1", keys + "/3/", keys + "/-1", keys + "/99999999999999999999", "/2.0/repositories/%7B%7D/" + url.PathEscape(repositoryUUID) + "/deploy-keys",
		"/2.0/repositories/%61CME/sandbox/deploy-keys", "/2.0/repositories/acme%2Fsandbox/deploy-keys", "/2.0/repositories/\xff/x/deploy-keys", "/2.0/repositories/%ff/x/deploy-keys",
		"/2.0/repositories/" + workspaceUUID + "/sandbox/deploy-keys", "/2.0/repositories", "/2.0/workspaces", "/2.0//", "/acme/sandbox", "", "*", "acme?x#y",
	} {
		add("GET", path, "", "")
	}
	for _, body := range []string{
		`{"key": "` + publicKey(9) + ` me@host", "label": " ci "}`, `{"key": "` + publicKey(1) + `"}`, `{"key": "` + publicKey(9) + `\u00a0"}`, `{"key": "\u0000"}`,
		`{"key": null, "label": "\ud800"}`, `{"label": "ci"}`, `{"key": 5}`, "null", "[]", "\xff", "",
	} {
		add("POST", keys, "", body)
		add("PUT", keys+"/1", "", body)
	}
	for _, path := range []string{
		projects, projects + "/", projectKeys, projectKeys + "/", projectKeys + "/2", projectKeys + "/2/", projectKeys + "/-1", projects + "/web/deploy-keys",
		projects + "//deploy-keys", projects + "/%ff/deploy-keys", projects + "%2FWEB/deploy-keys", "/2.0/workspaces/%7B%7D/projects/WEB/deploy-keys",
		"/2.0/workspaces/" + url.PathEscape(workspaceUUID) + "/projects", "/2.0/workspaces/" + workspaceUUID + "/projects", "/2.0/workspaces//projects", "/2.0/workspaces/acme",
	} {
		add("GET", path, "pagelen=1", "")
		add("POST", path, "", `{"key": "`+publicKey(9)+` me@host", "label": " ci "}`)
		add("DELETE", path, "", "")
	}
	for _, body := range []string{
		"", "{}", `{"name": "Other", "is_private": false}`, `{"name": "New - Name", "project": {"key": "WEB"}}`, `{"name": " "}`, `{"project": {}}`, `{"project": {"uuid": "{}"}}`, `{"name": null}`, "[]",
		`{"key": "web", "name": "x"}`, `{"key": "NEW", "name": "x"}`, `{"key": "PROJ"}`, `{"key": ""}`,
		`{"name": "x", "environment_type": {"name": "Staging"}, "restrictions": {"admin_only": true}}`, `{"change": {"name": "x", "restrictions": {}}}`, `{"change": {"rank": 1}}`, `{"change": {"name": null}}`,
	} {
		for _, path := range []string{repositories + "/sandbox", repositories + "/new", projects + "/WEB", projects + "/NEW"} {
			add("PUT", path, "", body)
		}
		for _, path := range []string{repositories + "/new", repositories + "/New", projects, environments + "/", environments + "/%7Be1%7D/changes/"} {
			add("POST", path, "", body)
		}
	}
	for _, path := range []string{repositories + "/sandbox", projects + "/WEB", projects + "/EMPTY", environments + "/%7Be1%7D", environments + "/%7Be2%7D"} {
		add("GET", path, "", "")
		add("DELETE", path, "", "")
	}
	add("GET", repositories, "q=name~%22SAND%22&pagelen=1", "")
	add("GET", "/2.0/repositories/acme/former/deploy-keys", "pagelen=1&x=%zz", "")
	add("GET", environments, "pagelen=1", "")
	add("GET", projects, "fields=values.key,next&pagelen=1", "")
	add("PUT", projectKeys+"/2", "", `{"label": "ci"}`)
	f.Add("GET", projects, "", "", "")
	add("DELETE", keys+"/1", "", "")
	add("HEAD", keys, "", "")
	add("\n", keys, "", "")
	f.Add("POST", token, "", "Basic aWQ6c2VjcmV0", "grant_type=client_credentials")
	f.Add("POST", token, "", "Basic aWQ6c2VjcmV0", "grant_type=%zz")
	f.Add("POST", token, "", "Basic \xff", "")
	f.Add("GET", keys, "", "", "")
	f.Fuzz(func(t *testing.T, method, path, query, authorization, body string) {
		bitbucket := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{{
			Slug: "acme", UUID: workspaceUUID, Repositories: []emulator.Repository{
				{
					Slug: "sandbox", UUID: repositoryUUID, DeployKeys: []emulator.DeployKey{{ID: 1, Key: publicKey(1)}, {ID: 3, Key: publicKey(3)}}, Deployments: []emulator.Deployment{{UUID: "{d1}"}, {StartedOn: "2026-09-01T10:00:00Z"}},
					Environments: []emulator.Environment{{UUID: "{e1}", Name: "qa"}, {Name: "live", Type: "Production"}}, FormerNames: []string{"acme/former"},
				},
				{Slug: "other"},
			},
			Projects: []emulator.Project{{Key: "WEB", DeployKeys: []emulator.DeployKey{{ID: 2, Key: publicKey(1)}, {ID: 4, Key: publicKey(2)}}}, {Key: "EMPTY"}},
		}}})
		bitbucket.SetRename(emulator.RenameRedirect)
		bitbucket.SetClock(func() time.Time { return time.Date(2026, 9, 30, 13, 7, 33, 924449123, time.UTC) })
		answer := sendRaw(t, bitbucket, method, &url.URL{Path: path, RawPath: path, RawQuery: query}, authorization, body)

		if logged := bitbucket.Requests(); len(logged) != 1 || logged[0].Status != answer.Code {
			t.Errorf("got status %d, but the request log has %+v", answer.Code, logged)
		}
		var page struct{ Next string }
		if strings.HasPrefix(answer.Header().Get("Content-Type"), "application/json") {
			if body := answer.Body.Bytes(); !json.Valid(body) {
				t.Errorf("got invalid JSON: %q", body)
			}
			_ = json.Unmarshal(answer.Body.Bytes(), &page) // Most replies are not pages.
		}
		if page.Next != "" {
			next, err := url.ParseRequestURI(page.Next)
			if err != nil {
				t.Fatal(err)
			}
			if answer := sendRaw(t, bitbucket, http.MethodGet, next, authorization, ""); answer.Code != http.StatusOK {
				t.Errorf("%s: got %d %s, want 200", page.Next, answer.Code, answer.Body)
			}
		}

		stored := map[string]func() []emulator.DeployKey{}
		workspace := bitbucket.Seed().Workspaces[0]
		for _, project := range workspace.Projects {
			stored[projects+"/"+project.Key] = func() []emulator.DeployKey { return bitbucket.ProjectDeployKeys("acme", project.Key) }
		}
		for _, repository := range workspace.Repositories {
			if stored[projects+"/"+repository.Project] == nil {
				t.Errorf("repository %s has the unknown project %q", repository.Slug, repository.Project)
			}
			stored[repositories+"/"+repository.Slug] = func() []emulator.DeployKey { return bitbucket.DeployKeys("acme", repository.Slug) }
		}
		if len(stored) != len(workspace.Projects)+len(workspace.Repositories) {
			t.Errorf("two repositories or projects have the same name: %+v", workspace)
		}
		for path, deployKeys := range stored {
			if answer := sendRaw(t, bitbucket, http.MethodPost, &url.URL{Path: path + "/deploy-keys"}, "Bearer token", `{"key": "`+publicKey(5)+`"}`); answer.Code != http.StatusOK {
				t.Errorf("%s: POST of a new key: got %d %s, want 200", path, answer.Code, answer.Body)
			}
			stored := deployKeys()
			for i, key := range stored {
				duplicate := func(other emulator.DeployKey) bool { return other.ID >= key.ID || other.Key == key.Key }
				if key.ID <= 0 || key.Key == "" || slices.ContainsFunc(stored[:i], duplicate) {
					t.Errorf("%s: stored %+v", path, stored)
				}
			}
		}
	})
}

// sendRaw passes a request to the emulator that net/http might not allow. It fails
// the test if the emulator aborts the connection or sends a server error.
func sendRaw(t *testing.T, bitbucket http.Handler, method string, u *url.URL, authorization, body string) *httptest.ResponseRecorder {
	t.Helper()
	request := &http.Request{Method: method, URL: u, Host: "localhost", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer, aborted := serveDirectly(bitbucket, request)
	if aborted || answer.Code < 200 || answer.Code > 499 {
		t.Errorf("%s %s: got status %d, aborted: %v", method, u, answer.Code, aborted)
	}
	return answer
}
