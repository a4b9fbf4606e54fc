package emulator_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	repositories = "/2.0/repositories/acme"

	slugInvalid = `{"type":"error","error":{"message":"Invalid slug. Slugs must be lowercase, alphanumerical, and may also contain underscores, dashes, or dots."}}`
	slugTaken   = `{"type":"error","error":{"message":"Repository with this Slug and Owner already exists.","fields":{"name":["You already have a repository with this name."]}}}`
)

func TestRepositories(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddRepository("acme", emulator.Repository{Slug: "Web-Site", Project: "WEB"})
	for _, workspace := range []string{"acme", "ACME", "acme/", strings.NewReplacer("{", "%7B", "}", "%7D").Replace(workspaceUUID)} {
		got := decode[struct {
			Size   int
			Values []struct {
				Type, Slug, Name, UUID string
				FullName               string `json:"full_name"`
				Project                struct{ Key string }
			}
		}](t, s.send(t, "GET", "/2.0/repositories/"+workspace, "").body)
		if len(got.Values) != 3 || got.Size != 3 || got.Values[0].UUID != repositoryUUID || got.Values[0].Project.Key != "PROJ" {
			t.Fatalf("%s: got %+v", workspace, got)
		}
		last := got.Values[2]
		if last.Type != "repository" || last.Slug != "web-site" || last.Name != "Web-Site" || last.FullName != "acme/web-site" || last.Project.Key != "WEB" {
			t.Errorf("%s: got %+v", workspace, last)
		}
	}
	s.send(t, "GET", "/2.0/repositories/nobody", "").want(t, 404, `{"type":"error","error":{"message":"No workspace with identifier 'nobody'."}}`)
	s.send(t, "POST", repositories, "{}").want(t, 405, wrongMethod)
	s.send(t, "GET", "/2.0/repositories/", "").want(t, 404, `{"type":"error","error":{"message":"No workspace with identifier ''."}}`)
}

func TestRepositories_query(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddRepository("acme", emulator.Repository{Slug: "website", UUID: "{w}", Project: "WEB"})
	s.AddRepository("acme", emulator.Repository{Slug: "shop", UUID: "{s}", Project: "WEB"})
	for query, want := range map[string]string{
		"fields=values.project.key,values.slug&q=project.key%3D%22WEB%22": `{"values":[{"project":{"key":"WEB"},"slug":"website"},{"project":{"key":"WEB"},"slug":"shop"}]}`,
		"fields=values.uuid&q=project.key+%3D+%22web%22":                  `{"values":[]}`,
		"fields=values.slug&q=name%20~%20%22SITE%22":                      `{"values":[{"slug":"website"}]}`,
		"fields=values.slug&q=name%3D%22Sandbox%22":                       `{"values":[{"slug":"sandbox"}]}`,
		"fields=values.slug&q=name%3D%22sandbox%22":                       `{"values":[]}`,
		"fields=next,values.slug&q=project.key%3D%22WEB%22&pagelen=1":     `{"next":"` + s.url + repositories + `?fields=next%2Cvalues.slug&pagelen=1&q=project.key%3D%22WEB%22&page=2","values":[{"slug":"website"}]}`,
	} {
		s.send(t, "GET", repositories+"?"+query, "").want(t, 200, want)
	}
	s.send(t, "GET", repositories+"?q=size%3D%22x%22", "").want(t, 400, `{"type":"error","error":{"message":"Field \"size\" does not support filtering"}}`)
	s.send(t, "GET", repositories+"?q=project.key", "").want(t, 400, badRequest)
	s.send(t, "GET", repositories+"?pagelen=101", "").want(t, 400, `{"type":"error","error":{"message":"Invalid pagelen"}}`)
}

// Each repository has its own permission. Scopes apply to all repositories.
func TestRepositories_access(t *testing.T) {
	t.Parallel()
	s := newServer(t, emulator.DeployKey{ID: 1, Key: publicKey(1)})
	s.SetPermission("acme", "sandbox", emulator.PermissionRead)
	s.send(t, "GET", repositories+"?fields=values.slug", "").want(t, 200, `{"values":[{"slug":"sandbox"},{"slug":"other"}]}`)
	s.send(t, "GET", keys, "").want(t, 403, forbidden)
	s.send(t, "POST", keys, input(t, publicKey(2), "")).want(t, 403, forbidden)
	s.send(t, "DELETE", keys+"/1", "").want(t, 403, forbidden)
	s.send(t, "GET", repositories+"/other/deploy-keys?pagelen=10", "").want(t, 200, `{"values":[],"pagelen":10,"size":0,"page":1}`)
	s.SetPermission("acme", "sandbox", emulator.PermissionAdmin)
	if got := s.send(t, "GET", keys, ""); got.status != 200 {
		t.Errorf("got status %d with PermissionAdmin, want 200", got.status)
	}

	s.AllowBearer("admin", "admin:repository:bitbucket")
	s.AllowBearer("both", "admin:repository:bitbucket", "read:repository:bitbucket")
	s.AllowBearer("oauth", "repository")
	for token, want := range map[string]int{"admin": 403, "both": 200, "oauth": 200} {
		if got := s.sendAs(t, "Bearer "+token, "GET", repositories, ""); got.status != want {
			t.Errorf("%s: got %d %s, want %d", token, got.status, got.body, want)
		}
	}
}

func TestRepository(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SetPermission("acme", "sandbox", emulator.PermissionRead)
	for _, path := range []string{"acme/sandbox", "ACME/Sandbox", url.PathEscape(workspaceUUID) + "/" + url.PathEscape(repositoryUUID), "%7B%7D/" + url.PathEscape(repositoryUUID)} {
		s.send(t, "GET", "/2.0/repositories/"+path+"?fields=uuid,slug,project.key", "").want(t, 200, fmt.Sprintf(`{"uuid":%q,"slug":"sandbox","project":{"key":"PROJ"}}`, repositoryUUID))
	}
	s.send(t, "GET", repositories+"/none", "").want(t, 404, repositoryGone)
	s.send(t, "GET", "/2.0/repositories/nobody/none", "").want(t, 404, `{"type":"error","error":{"message":"No workspace with identifier 'nobody'."}}`)
	s.send(t, "DELETE", repositories+"/sandbox", "").want(t, 403, forbidden)
	s.send(t, "PATCH", repositories+"/sandbox", "").want(t, 405, wrongMethod)
	s.send(t, "GET", "/2.0/repositories//sandbox", "").want(t, 404, noRoute)
	s.send(t, "GET", repositories+"/sandbox/", "").want(t, 404, noRoute)
	s.AllowBearer("pipeline", "read:pipeline:bitbucket")
	if got := s.sendAs(t, "Bearer pipeline", "GET", repositories+"/sandbox", ""); got.status != 403 || !strings.Contains(got.body, "read:repository:bitbucket") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestRepository_create(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddProject("acme", emulator.Project{Key: "WEB", UUID: projectUUID})
	got := s.send(t, "POST", repositories+"/tf-acc_1.0", `{"scm": "git", "is_private": false, "name": "Test Repository", "project": {"key": "WEB"}, "has_wiki": true}`)
	created := decode[struct {
		Type, Slug, Name, UUID, SCM string
		FullName                    string `json:"full_name"`
		IsPrivate                   bool   `json:"is_private"`
		CreatedOn                   string `json:"created_on"`
		Project                     struct{ Key string }
	}](t, got.body)
	if got.status != 200 || created.Type != "repository" || created.Slug != "tf-acc_1.0" || created.Name != "Test Repository" || created.UUID == "" || created.SCM != "git" ||
		created.FullName != "acme/tf-acc_1.0" || created.IsPrivate || created.CreatedOn != "2026-09-30T13:07:33.924449+00:00" || created.Project.Key != "WEB" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.send(t, "GET", repositories+"/TF-ACC_1.0", "").want(t, 200, got.body)
	s.send(t, "POST", repositories+"/tf-acc_1.0/deploy-keys", input(t, publicKey(1), ""))
	if stored := s.DeployKeys("acme", "tf-acc_1.0"); len(stored) != 1 {
		t.Errorf("stored %+v", stored)
	}
	s.send(t, "GET", repositories+"/tf-acc_1.0/environments?fields=size", "").want(t, 200, `{"size":0}`)

	// Every field of the body is optional. The oldest project is the default.
	for slug, body := range map[string]string{"empty": "", "object": "{}", "null": `{"project": null, "name": null}`} {
		s.send(t, "POST", repositories+"/"+slug+"?fields=ignored", body)
		s.send(t, "GET", repositories+"/"+slug+"?fields=name,is_private,project.key", "").want(t, 200, `{"name":"`+slug+`","is_private":true,"project":{"key":"PROJ"}}`)
	}
	for slug, project := range map[string]string{"by-uuid": `{"uuid": "` + projectUUID + `"}`, "by-uuid-as-key": `{"key": "` + projectUUID + `"}`} {
		s.send(t, "POST", repositories+"/"+slug, `{"project": `+project+`}`)
		s.send(t, "GET", repositories+"/"+slug+"?fields=project.key", "").want(t, 200, `{"project":{"key":"WEB"}}`)
	}
}

// A workspace without projects gets one with its first repository.
func TestRepository_createFirst(t *testing.T) {
	t.Parallel()
	s := serve(t, emulator.Seed{Workspaces: []emulator.Workspace{{Slug: "acme"}}})
	s.send(t, "POST", repositories+"/first", "{}")
	s.send(t, "GET", projects+"?fields=values.key", "").want(t, 200, `{"values":[{"key":"PROJ"}]}`)
}

func TestRepository_createRejected(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	s.SetProjectPermission("acme", "PROJ", emulator.PermissionRead)
	const notOpen = `{"type":"error","error":{"message":"You can't create repositories under this project"}}`
	for _, test := range []struct {
		slug, body, want string
	}{
		{"sandbox", `{"project": {"key": "WEB"}}`, slugTaken},
		{"Sandbox", `{}`, slugInvalid},
		{"a%20b", `{}`, slugInvalid},
		{"%7Ba%7D", `{}`, slugInvalid},
		{strings.Repeat("a", 63), `{}`, slugInvalid},
		{"new", `{"project": {"key": "NONE"}}`, `{"type":"error","error":{"message":"Bad request","fields":{"project":["Project not found"]}}}`},
		{"new", `{"project": {"key": "PROJ"}}`, notOpen},
		{"new", `{}`, notOpen},
		{"new", `{"project": "WEB"}`, badRequest},
		{"new", `{"is_private": "yes"}`, badRequest},
		{"new", `[]`, badRequest},
		{"new", `{`, badRequest},
	} {
		s.send(t, "POST", repositories+"/"+test.slug, test.body).want(t, 400, test.want)
	}
	s.send(t, "POST", "/2.0/repositories/nobody/new", "{}").want(t, 404, `{"type":"error","error":{"message":"No workspace with identifier 'nobody'."}}`)
	s.send(t, "GET", repositories+"?fields=size", "").want(t, 200, `{"size":2}`)
}

// A PUT changes a repository. Its slug follows from a changed name, and its UUID and its
// deploy keys stay.
func TestRepository_update(t *testing.T) {
	t.Parallel()
	s := newServer(t, emulator.DeployKey{ID: 7, Key: publicKey(1)})
	s.AddProject("acme", emulator.Project{Key: "WEB"})
	s.AddProject("acme", emulator.Project{Key: "LOCKED", Permission: emulator.PermissionRead})
	check := func(got answer, location, slug, name, project string, private bool) {
		t.Helper()
		changed := decode[struct {
			Slug, Name, UUID string
			IsPrivate        bool `json:"is_private"`
			Project          struct{ Key string }
		}](t, got.body)
		if got.status != 200 || got.header.Get("Location") != location || changed.Slug != slug || changed.Name != name ||
			changed.UUID != repositoryUUID || changed.Project.Key != project || changed.IsPrivate != private {
			t.Errorf("got %d %s, Location %q", got.status, got.body, got.header.Get("Location"))
		}
	}
	check(s.send(t, "PUT", repositories+"/sandbox", `{"is_private": false, "project": {"key": "WEB"}}`), "", "sandbox", "Sandbox", "WEB", false)
	check(s.send(t, "PUT", repositories+"/sandbox", `{"name": "Sandbox"}`), "", "sandbox", "Sandbox", "WEB", false)
	check(s.send(t, "PUT", repositories+"/sandbox", ""), "", "sandbox", "Sandbox", "WEB", false)
	check(s.send(t, "PUT", repositories+"/sandbox", `{"name": "SANDBOX", "is_private": true}`), s.url+repositories+"/sandbox", "sandbox", "SANDBOX", "WEB", true)
	check(s.send(t, "PUT", repositories+"/"+url.PathEscape(repositoryUUID), `{"name": "My Repo - v1"}`), s.url+repositories+"/my-repo-v1", "my-repo-v1", "My Repo - v1", "WEB", true)
	s.send(t, "GET", repositories+"/sandbox", "").want(t, 404, repositoryGone)
	if stored := s.DeployKeys("acme", "my-repo-v1"); len(stored) != 1 || stored[0].ID != 7 {
		t.Errorf("stored %+v", stored)
	}

	if former := s.Seed().Workspaces[0].Repositories[0].FormerNames; !slices.Equal(former, []string{"acme/sandbox"}) {
		t.Errorf("got the former names %q", former)
	}

	before := s.send(t, "GET", repositories+"/my-repo-v1", "").body
	for body, want := range map[string]string{
		`{"name": "Other", "is_private": false}`:      slugTaken,
		`{"name": " ", "is_private": false}`:          slugInvalid,
		`{"name": "` + strings.Repeat("a", 63) + `"}`: slugInvalid,
		`{"name": "x", "project": {"key": "NONE"}}`:   `{"type":"error","error":{"message":"Bad request","fields":{"project":["Project not found"]}}}`,
		`{"name": "x", "project": {"key": "LOCKED"}}`: `{"type":"error","error":{"message":"You can't create repositories under this project"}}`,
		`{"name": 5}`: badRequest,
	} {
		s.send(t, "PUT", repositories+"/my-repo-v1", body).want(t, 400, want)
	}
	s.send(t, "GET", repositories+"/my-repo-v1", "").want(t, 200, before)
}

func TestRepository_createByPUT(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	got := s.send(t, "PUT", repositories+"/new", `{"name": "Another Name"}`)
	if created := decode[map[string]any](t, got.body); got.status != 201 || got.header.Get("Location") != s.url+repositories+"/new" || created["slug"] != "new" || created["name"] != "Another Name" {
		t.Errorf("got %d %s, Location %q", got.status, got.body, got.header.Get("Location"))
	}
	s.send(t, "GET", repositories+"/new", "").want(t, 200, got.body)
}

func TestRepository_delete(t *testing.T) {
	t.Parallel()
	s := newServer(t, emulator.DeployKey{ID: 1, Key: publicKey(1)})
	if got := s.send(t, "DELETE", repositories+"/SANDBOX", ""); got.status != 204 || got.body != "" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.send(t, "GET", keys, "").want(t, 404, repositoryGone)
	s.send(t, "DELETE", repositories+"/sandbox", "").want(t, 404, repositoryGone)
	s.send(t, "GET", repositories+"?fields=values.slug", "").want(t, 200, `{"values":[{"slug":"other"}]}`)

	// A new repository with the same slug is a different repository.
	s.send(t, "POST", repositories+"/sandbox", "")
	s.send(t, "GET", keys+"?fields=ignored", "").want(t, 200, `{"values":[],"pagelen":10,"size":0,"page":1}`)
	s.send(t, "GET", repositories+"/"+url.PathEscape(repositoryUUID), "").want(t, 404, repositoryGone)
}

// Each method requires its own scope. Access tokens are closed only for changes of deploy
// keys.
func TestRepository_access(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AllowBearer("admin", "admin:repository:bitbucket")
	s.AllowBearer("delete", "delete:repository:bitbucket")
	s.AllowBearer("oauth", "repository:admin")
	s.AllowAccessToken("access")
	deleteScopes := scopesMissing([]string{"delete:repository:bitbucket"}, []string{"admin:repository:bitbucket"})
	s.sendAs(t, "Bearer admin", "DELETE", repositories+"/sandbox", "").want(t, 403, deleteScopes)
	s.sendAs(t, "Bearer oauth", "DELETE", repositories+"/sandbox", "").want(t, 403, scopesMissing([]string{"repository:delete"}, []string{"repository:admin"}))
	for _, method := range []string{"POST", "PUT"} {
		s.sendAs(t, "Bearer delete", method, repositories+"/new", "{}").want(t, 403, scopesMissing([]string{"admin:repository:bitbucket"}, []string{"delete:repository:bitbucket"}))
	}
	for _, step := range []struct {
		token, method, path string
		status              int
	}{
		{"admin", "POST", "/a", 200},
		{"admin", "PUT", "/a", 200},
		{"delete", "DELETE", "/a", 204},
		{"oauth", "POST", "/b", 200},
		{"access", "PUT", "/b", 200},
		{"access", "DELETE", "/b", 204},
	} {
		got := s.sendAs(t, "Bearer "+step.token, step.method, repositories+step.path, "")
		if got.status != step.status {
			t.Errorf("%s %s: got %d %s, want %d", step.token, step.method, got.status, got.body, step.status)
		}
	}
	s.SetNearLimit(true)
	got := s.sendAs(t, "Bearer delete", "DELETE", repositories+"/none", "")
	if got.header.Get("X-RateLimit-NearLimit") != "true" || got.header.Get("X-Oauth-Scopes") != "delete:repository:bitbucket" {
		t.Errorf("got the headers %v", got.header)
	}
}
