package emulator_test

import (
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	projectUUID = "{00000000-0000-4000-8000-0000000000bb}"
	projects    = "/2.0/workspaces/acme/projects"
	projectKeys = projects + "/WEB/deploy-keys"

	keyTakenByProject = `{"type":"error","error":{"message":"Bad request","fields":{"__all__":["Project with this Owner and Key already exists."]}}}`
	projectKeyInvalid = `{"type":"error","error":{"message":"Bad request","fields":{"key":["Project keys must start with a letter and may only consist of ASCII letters, numbers and underscores (A-Z, a-z, 0-9, _)"]}}}`

	projectGone     = `{"type":"error","error":{"message":"Project not found"}}`
	projectKeyTaken = `{"key":[{"message":"Someone has already added that access key to this project."}]}`
	forbidden       = `{"type":"error","error":{"message":"Forbidden"}}`
)

// newProjectServer is newServer with the additional project acme/WEB. The project has
// the given deploy keys.
func newProjectServer(t *testing.T, deployKeys ...emulator.DeployKey) server {
	t.Helper()
	s := newServer(t)
	s.AddProject("acme", emulator.Project{Key: "WEB", Name: "Web Site", UUID: projectUUID, DeployKeys: deployKeys})
	return s
}

// webProject returns the JSON of the project acme/WEB inside another object.
func webProject(s server) string {
	return `{"type": "project", "key": "WEB", "name": "Web Site", "uuid": "` + projectUUID + `",
		"links": {"self": {"href": "` + s.url + `/2.0/workspaces/acme/projects/WEB"}}}`
}

func TestProjects(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	s.AddRepository("acme", emulator.Repository{Slug: "shop", Project: "WEB"})
	s.AddRepository("acme", emulator.Repository{Slug: "api", Project: "API_2"})
	listed := strings.TrimSuffix(webProject(s), "}") + `, "is_private": true, "created_on": "2026-09-30T13:07:33.924449+00:00"}`
	s.send(t, "GET", projects+"?pagelen=1&page=2", "").want(t, 200,
		`{"values":[`+listed+`],"pagelen":1,"size":3,"page":2,"next":"`+s.url+projects+`?pagelen=1&page=3"}`)
	for query, want := range map[string]string{
		"?fields=values.key,values.name,values.type": `{"values":[{"key":"PROJ","name":"PROJ","type":"project"},
			{"key":"WEB","name":"Web Site","type":"project"},{"key":"API_2","name":"API_2","type":"project"}]}`,
		"?fields=next,values.key&pagelen=2": `{"next":"` + s.url + projects + `?fields=next%2Cvalues.key&pagelen=2&page=2","values":[{"key":"PROJ"},{"key":"WEB"}]}`,
	} {
		s.send(t, "GET", projects+query, "").want(t, 200, want)
	}
	s.send(t, "GET", projects+"?pagelen=101", "").want(t, 400, `{"type":"error","error":{"message":"Invalid pagelen"}}`)

	// A repository contains its project.
	s.send(t, "GET", repositories+"?q=project.key%3D%22WEB%22&fields=values.slug,values.project", "").want(t, 200,
		`{"values":[{"slug":"shop","project":`+webProject(s)+`}]}`)
}

func TestProjects_create(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	got := s.send(t, "POST", projects, `{"key": "mars_2", "name": "Mars Project", "is_private": false, "description": "ignored"}`)
	created := decode[map[string]any](t, got.body)
	if got.status != 201 || created["key"] != "MARS_2" || created["name"] != "Mars Project" || created["is_private"] != false || created["uuid"] == "" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if location, want := got.header.Get("Location"), s.url+projects+"/MARS_2"; location != want {
		t.Errorf("got Location %s, want %s", location, want)
	}
	s.send(t, "GET", projects+"/MARS_2", "").want(t, 200, got.body)
	s.send(t, "POST", projects+"/MARS_2/deploy-keys?fields=id", input(t, publicKey(1), ""))
	if stored := s.ProjectDeployKeys("acme", "MARS_2"); len(stored) != 1 {
		t.Errorf("stored %+v", stored)
	}

	required := func(field string) string {
		return `{"type":"error","error":{"message":"Bad request","fields":{"` + field + `":["This field is required."]}}}`
	}
	for body, want := range map[string]string{
		`{"key": "WEB", "name": "x"}`:                              keyTakenByProject,
		`{"key": "web", "name": "x"}`:                              keyTakenByProject,
		`{"key": "2WEB", "name": "x"}`:                             projectKeyInvalid,
		`{"key": "_WEB", "name": "x"}`:                             projectKeyInvalid,
		`{"key": "WEB-2", "name": "x"}`:                            projectKeyInvalid,
		`{"key": "` + strings.Repeat("A", 129) + `", "name": "x"}`: projectKeyInvalid,
		`{"key": "ÄB", "name": "x"}`:                               projectKeyInvalid,
		`{"name": "x"}`:                                            required("key"),
		`{"key": "NEW"}`:                                           required("name"),
		`{"key": "NEW", "name": ""}`:                               required("name"),
		``:                                                         required("key"),
		`{"key": 5, "name": "x"}`:                                  badRequest,
		`[]`:                                                       badRequest,
	} {
		s.send(t, "POST", projects, body).want(t, 400, want)
	}
	if got := s.send(t, "POST", projects, `{"key": "`+strings.Repeat("a", 128)+`", "name": "x"}`); got.status != 201 {
		t.Errorf("got %d %s for a key with 128 characters", got.status, got.body)
	}
	s.send(t, "GET", projects+"?fields=size", "").want(t, 200, `{"size":4}`)
	s.send(t, "POST", "/2.0/workspaces/nobody/projects", `{"key": "NEW", "name": "x"}`).want(t, 404, `{"type":"error","error":{"message":"No workspace with identifier 'nobody'."}}`)
}

// A PUT renames a project, with its repositories and its deploy keys. It creates a project
// that does not exist.
func TestProject_update(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t, emulator.DeployKey{ID: 7, Key: publicKey(1)})
	s.AddRepository("acme", emulator.Repository{Slug: "shop", Project: "WEB"})
	got := s.send(t, "PUT", projects+"/WEB", `{"key": "web", "name": "Shop", "is_private": false}`)
	if changed := decode[map[string]any](t, got.body); got.status != 200 || got.header.Get("Location") != "" ||
		changed["key"] != "WEB" || changed["name"] != "Shop" || changed["is_private"] != false || changed["uuid"] != projectUUID {
		t.Errorf("got %d %s, Location %q", got.status, got.body, got.header.Get("Location"))
	}
	got = s.send(t, "PUT", projects+"/WEB", `{"key": "site"}`)
	if changed := decode[map[string]any](t, got.body); got.status != 200 || got.header.Get("Location") != s.url+projects+"/SITE" ||
		changed["key"] != "SITE" || changed["name"] != "Shop" || changed["is_private"] != false || changed["uuid"] != projectUUID {
		t.Errorf("got %d %s, Location %q", got.status, got.body, got.header.Get("Location"))
	}
	s.send(t, "GET", projects+"/WEB", "").want(t, 404, projectGone)
	s.send(t, "GET", projects+"/SITE/deploy-keys?fields=values.id", "")
	if stored := s.ProjectDeployKeys("acme", "SITE"); len(stored) != 1 || stored[0].ID != 7 {
		t.Errorf("stored %+v", stored)
	}
	s.send(t, "GET", repositories+"/shop?fields=project.key", "").want(t, 200, `{"project":{"key":"SITE"}}`)

	s.send(t, "PUT", projects+"/SITE", `{"name": "never", "key": "PROJ"}`).want(t, 400, keyTakenByProject)
	s.send(t, "PUT", projects+"/SITE", `{"name": "never", "key": "A-B"}`).want(t, 400, projectKeyInvalid)
	s.send(t, "PUT", projects+"/SITE", "[]").want(t, 400, badRequest)
	s.send(t, "GET", projects+"/SITE?fields=name", "").want(t, 200, `{"name":"Shop"}`)

	got = s.send(t, "PUT", projects+"/NEW", `{"key": "IGNORED", "name": "New"}`)
	if created := decode[map[string]any](t, got.body); got.status != 201 || got.header.Get("Location") != s.url+projects+"/NEW" || created["key"] != "NEW" {
		t.Errorf("got %d %s, Location %q", got.status, got.body, got.header.Get("Location"))
	}
}

func TestProject_delete(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	s.AddRepository("acme", emulator.Repository{Slug: "shop", Project: "WEB"})
	s.send(t, "DELETE", projects+"/WEB", "").want(t, 403, `{"type":"error","error":{"message":"You cannot delete a project that still contains repositories."}}`)
	s.send(t, "DELETE", repositories+"/shop", "")
	if got := s.send(t, "DELETE", projects+"/WEB", ""); got.status != 204 || got.body != "" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.send(t, "DELETE", projects+"/WEB", "").want(t, 404, projectGone)
	s.send(t, "GET", projects+"?fields=values.key", "").want(t, 200, `{"values":[{"key":"PROJ"}]}`)
}

func TestProjects_access(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	s.AllowBearer("read", "read:project:bitbucket")
	s.AllowBearer("admin", "admin:project:bitbucket")
	s.AllowBearer("oauth", "project:admin")
	s.AllowAccessToken("access")
	missing := func(required, granted string) string {
		return scopesMissing([]string{required}, []string{granted})
	}
	for method, path := range map[string]string{"POST": projects, "PUT": projects + "/WEB", "DELETE": projects + "/WEB"} {
		s.sendAs(t, "Bearer read", method, path, "{}").want(t, 403, missing("admin:project:bitbucket", "read:project:bitbucket"))
	}
	s.sendAs(t, "Bearer admin", "GET", projects+"/WEB", "").want(t, 403, missing("read:project:bitbucket", "admin:project:bitbucket"))
	s.sendAs(t, "Bearer oauth", "GET", projects, "").want(t, 403, missing("project", "project:admin"))
	s.sendAs(t, "", "DELETE", projects+"/WEB", "").want(t, 404, projectGone)
	for token, key := range map[string]string{"admin": "A", "oauth": "B", "access": "C"} {
		if got := s.sendAs(t, "Bearer "+token, "POST", projects, `{"key": "`+key+`", "name": "x"}`); got.status != 201 {
			t.Errorf("%s: got %d %s, want 201", token, got.status, got.body)
		}
	}
	s.SetProjectPermission("acme", "WEB", emulator.PermissionRead)
	s.sendAs(t, "Bearer admin", "PUT", projects+"/WEB", `{"name": "never"}`).want(t, 403, forbidden)
	s.sendAs(t, "Bearer admin", "DELETE", projects+"/WEB", "").want(t, 403, forbidden)
	s.sendAs(t, "Bearer read", "GET", projects+"/WEB?fields=name", "").want(t, 200, `{"name":"Web Site"}`)
}
