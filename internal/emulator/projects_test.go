package emulator_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	projectUUID = "{00000000-0000-4000-8000-0000000000bb}"
	projects    = "/2.0/workspaces/acme/projects"
	projectKeys = projects + "/WEB/deploy-keys"

	projectGone     = `{"type":"error","error":{"message":"Project not found"}}`
	projectKeyTaken = `{"key":[{"message":"Someone has already added that access key to this project."}]}`
	forbidden       = `{"type":"error","error":{"message":"Forbidden"}}`
)

// newProjectServer serves the project acme/WEB, beside what newServer does.
func newProjectServer(t *testing.T, deployKeys ...emulator.DeployKey) server {
	t.Helper()
	s := newServer(t)
	s.AddProject("acme", emulator.Project{Key: "WEB", Name: "Web Site", UUID: projectUUID, DeployKeys: deployKeys})
	return s
}

// projectObject is a project's deploy key as it is documented.
func projectObject(t *testing.T, s server, id int64, key, comment, label string) string {
	t.Helper()
	return fmt.Sprintf(`{
		"id": %[1]d, "key": %[2]s, "label": %[4]s, "type": "project_deploy_key",
		"created_on": "2026-09-30T13:07:33.924449+00:00", "last_used": null, "comment": %[3]s,
		"project": %[6]s,
		"links": {"self": {"href": "%[5]s/2.0/workspaces/acme/projects/WEB/deploy-keys/%[1]d"}}
	}`, id, quote(t, key), quote(t, comment), quote(t, label), s.url, webProject(s))
}

// created is how the answer to a POST differs from object: by a slash.
func created(object string) string {
	return strings.Replace(object, `"}}
	}`, `/"}}
	}`, 1)
}

// webProject is the project, as it is embedded and listed.
func webProject(s server) string {
	return `{"type": "project", "key": "WEB", "name": "Web Site", "uuid": "` + projectUUID + `",
		"links": {"self": {"href": "` + s.url + `/2.0/workspaces/acme/projects/WEB"}}}`
}

// The examples of the documentation, but for host and ids.
func TestProjectDeployKeys_documented(t *testing.T) {
	t.Parallel()
	const path = "/2.0/workspaces/standard/projects/TEST_PROJECT/deploy-keys"
	s := serve(t, emulator.Seed{Workspaces: []emulator.Workspace{{Slug: "standard", Projects: []emulator.Project{
		{Key: "TEST_PROJECT", Name: "cooperative standard", UUID: "{3b3e510b-7f2b-414d-a2b7-76c4e405c1c0}"},
	}}}})
	example := func(name, id string) string {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.NewReplacer("https://api.bitbucket.org", s.url, `"id": `+id, `"id": 10958984`, "deploy-keys/"+id, "deploy-keys/10958984").Replace(string(text))
	}
	type keyObject struct {
		Key, Comment, Label string
		CreatedOn           time.Time `json:"created_on"`
	}
	add := func(key keyObject) answer {
		s.SetClock(func() time.Time { return key.CreatedOn })
		return s.send(t, "POST", path+"/", input(t, key.Key+" "+key.Comment, key.Label))
	}
	want := example("project_deploy_keys.json", "1234")
	add(decode[struct{ Values []keyObject }](t, want).Values[0])
	s.send(t, "GET", path, "").want(t, 200, want)

	s.send(t, "DELETE", path+"/10958984", "")
	want = strings.ReplaceAll(example("project_deploy_key_created.json", "5"), "10958984", "10958985")
	add(decode[keyObject](t, want)).want(t, 200, want)
}

func TestLifeOfAProjectKey(t *testing.T) {
	t.Parallel()
	s, key := newProjectServer(t), publicKey(1)
	first := projectObject(t, s, 10958984, key, "me@host of mine", "ci")
	s.send(t, "POST", projectKeys+"/", input(t, " "+key+" \t me@host of mine \n", "  ci ")).want(t, 200, created(first))
	s.send(t, "GET", projectKeys+"/10958984", "").want(t, 200, first)
	s.send(t, "GET", projectKeys, "").want(t, 200, `{"values":[`+first+`],"pagelen":10,"size":1,"page":1}`)

	// Ids are those of repositories as well, the lists are not.
	s.send(t, "POST", keys, input(t, key, "")).want(t, 200, object(t, s, 10958985, key, "", ""))
	s.send(t, "GET", projectKeys+"/10958985", "").want(t, 404, keyUnknown)
	s.send(t, "GET", keys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "POST", projectKeys, `{"key": "`+publicKey(2)+`"}`).want(t, 200, created(projectObject(t, s, 10958986, publicKey(2), "", "")))

	refused := s.send(t, "PUT", projectKeys+"/10958984", input(t, key, "new"))
	refused.want(t, 405, wrongMethod)
	if allowed := refused.header.Get("Allow"); allowed != "GET, DELETE" {
		t.Errorf("Allow is %q", allowed)
	}
	deleted := s.send(t, "DELETE", projectKeys+"/10958984", "")
	if deleted.status != 204 || deleted.body != "" || deleted.header.Get("Content-Type") != "" {
		t.Errorf("DELETE answered %+v", deleted)
	}
	s.send(t, "GET", projectKeys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "DELETE", projectKeys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "POST", projectKeys, input(t, key, "")).want(t, 200, created(projectObject(t, s, 10958987, key, "", "")))
}

func TestProjectDeployKeys_refused(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t, emulator.DeployKey{ID: 1, Key: publicKey(1)})
	for body, want := range map[string]string{
		"":                                    badRequest,
		`{"label": "x"}`:                      keyInvalid,
		`{"key": "ssh-ed25519"}`:              keyInvalid,
		input(t, publicKey(1)+" other", "ci"): projectKeyTaken,
	} {
		s.send(t, "POST", projectKeys, body).want(t, 400, want)
	}
	s.SetDuplicate(emulator.DuplicateEnvelope)
	s.send(t, "POST", projectKeys, input(t, publicKey(1), "")).want(t, 400, `{"type":"error","error":{
		"message":"key: Someone has already added that access key to this project.",
		"fields":{"key":["Someone has already added that access key to this project."]}}}`)
	for _, path := range []string{keys, projects + "/PROJ/deploy-keys"} {
		if got := s.send(t, "POST", path, input(t, publicKey(1), "")); got.status != 200 {
			t.Errorf("the key on %s: %d %s", path, got.status, got.body)
		}
	}
}

func TestProjectDeployKeys_routes(t *testing.T) {
	t.Parallel()
	const (
		byUUID = "/2.0/workspaces/%7B00000000-0000-4000-8000-0000000000ac%7D/projects"
		empty  = `{"values":[],"pagelen":10,"size":0,"page":1}`
	)
	nobody := func(workspace string) string {
		return `{"type":"error","error":{"message":"No workspace with identifier '` + workspace + `'."}}`
	}
	for name, test := range map[string]struct {
		method, path string
		status       int
		body         string
	}{
		"collection":              {"GET", projectKeys, 200, empty},
		"trailing slash":          {"GET", projectKeys + "/", 200, empty},
		"workspace in any case":   {"GET", "/2.0/workspaces/ACME/projects/WEB/deploy-keys", 200, empty},
		"workspace by uuid":       {"GET", byUUID + "/WEB/deploy-keys", 200, empty},
		"made-up project":         {"GET", projects + "/PROJ/deploy-keys", 200, empty},
		"key in another case":     {"GET", projects + "/web/deploy-keys", 404, projectGone},
		"project by uuid":         {"GET", projects + "/%7B00000000-0000-4000-8000-0000000000bb%7D/deploy-keys", 404, projectGone},
		"unknown project":         {"POST", projects + "/NONE/deploy-keys", 404, projectGone},
		"unknown project, delete": {"DELETE", projects + "/NONE/deploy-keys/1", 404, projectGone},
		"unknown workspace":       {"GET", "/2.0/workspaces/nobody/projects/WEB/deploy-keys", 404, nobody("nobody")},
		"any workspace":           {"GET", "/2.0/workspaces/%7B%7D/projects/WEB/deploy-keys", 404, nobody("{}")},
		"unknown key":             {"GET", projectKeys + "/999999999", 404, keyUnknown},
		"unescaped braces":        {"GET", "/2.0/workspaces/" + workspaceUUID + "/projects/WEB/deploy-keys", 404, noRoute},
		"escaped slash":           {"GET", "/2.0/workspaces/acme/projects%2FWEB/deploy-keys", 404, noRoute},
		"no workspace":            {"GET", "/2.0/workspaces//projects/WEB/deploy-keys", 404, noRoute},
		"no project":              {"GET", projects + "//deploy-keys", 404, noRoute},
		"key with trailing slash": {"GET", projectKeys + "/1/", 404, noRoute},
		"project":                 {"GET", projects + "/WEB", 404, noRoute},
		"workspace":               {"GET", "/2.0/workspaces/acme", 404, noRoute},
		"workspaces":              {"GET", "/2.0/workspaces", 404, noRoute},
		"other list":              {"GET", "/2.0/workspaces/acme/members", 404, noRoute},
		"no deploy keys":          {"GET", projects + "/WEB/permissions-config", 404, noRoute},
		"put on the collection":   {"PUT", projectKeys, 405, wrongMethod},
		"post on a key":           {"POST", projectKeys + "/1", 405, wrongMethod},
		"id that is no number":    {"GET", projectKeys + "/abc", 404, ""},
		"list":                    {"GET", projects + "?fields=size", 200, `{"size":2}`},
		"list, trailing slash":    {"GET", projects + "/?fields=size", 200, `{"size":2}`},
		"list, workspace by uuid": {"GET", byUUID + "?fields=size", 200, `{"size":2}`},
		"list, unknown workspace": {"GET", "/2.0/workspaces/nobody/projects", 404, nobody("nobody")},
		"list, unescaped braces":  {"GET", "/2.0/workspaces/" + workspaceUUID + "/projects", 404, noRoute},
		"list, post":              {"POST", projects, 405, wrongMethod},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newProjectServer(t).send(t, test.method, test.path, "{}")
			if test.body != "" {
				got.want(t, test.status, test.body)
			} else if got.status != test.status || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("got %d %s", got.status, got.header.Get("Content-Type"))
			}
			if (got.status == 405) != (got.header.Get("Allow") != "") {
				t.Errorf("Allow is %q", got.header.Get("Allow"))
			}
		})
	}
}

func TestProjectDeployKeys_scopes(t *testing.T) {
	t.Parallel()
	const admin, write, remove = "admin:project:bitbucket", "write:ssh-key:bitbucket", "delete:ssh-key:bitbucket"
	const one = projectKeys + "/1"
	ofRepositories := []string{"admin:repository:bitbucket", write, remove}
	oauth := []string{"project", "project:admin"}
	for name, test := range map[string]struct {
		granted      []string
		method, path string
		required     []string // required is empty when the request passes.
	}{
		"get":                 {[]string{admin}, "GET", one, nil},
		"get, repository's":   {ofRepositories, "GET", projectKeys, []string{admin}},
		"post":                {[]string{admin, write}, "POST", projectKeys, nil},
		"post without write":  {[]string{admin, remove}, "POST", projectKeys, []string{admin, write}},
		"post, repository's":  {ofRepositories, "POST", projectKeys, []string{admin, write}},
		"delete":              {[]string{admin, remove}, "DELETE", one, nil},
		"delete without it":   {[]string{admin, write}, "DELETE", one, []string{admin, remove}},
		"oauth":               {oauth, "DELETE", one, nil},
		"oauth without admin": {oauth[:1], "GET", one, oauth},
		"oauth, repository's": {[]string{"repository", "repository:admin"}, "POST", projectKeys, oauth},
		"list":                {[]string{"read:project:bitbucket"}, "GET", projects, nil},
		"list with admin":     {[]string{admin}, "GET", projects, []string{"read:project:bitbucket"}},
		"list with oauth":     {oauth[:1], "GET", projects, nil},
		"list, repository's":  {[]string{"repository"}, "GET", projects, oauth[:1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newProjectServer(t, emulator.DeployKey{ID: 1, Key: publicKey(1)})
			s.AllowBasic("me", "token", test.granted...)
			got := s.sendAs(t, basic("me", "token"), test.method, test.path, input(t, publicKey(2), ""))
			if len(test.required) == 0 {
				if got.status >= 300 {
					t.Errorf("%d %s", got.status, got.body)
				}
				return
			}
			got.want(t, 403, scopesMissing(test.required, test.granted))
		})
	}
}

func TestProjectDeployKeys_access(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t, emulator.DeployKey{ID: 1, Key: publicKey(1)})
	for _, path := range []string{projectKeys, projectKeys + "/1", projects, projects + "/NONE/deploy-keys"} {
		s.sendAs(t, "", "GET", path, "").want(t, 404, projectGone)
	}

	s.SetProjectPermission("acme", "WEB", emulator.PermissionRead)
	s.send(t, "GET", projectKeys, "").want(t, 403, forbidden)
	s.send(t, "GET", projectKeys+"/1", "").want(t, 403, forbidden)
	s.send(t, "POST", projectKeys, input(t, publicKey(2), "")).want(t, 403, forbidden)
	s.send(t, "DELETE", projectKeys+"/1", "").want(t, 403, forbidden)
	s.send(t, "GET", projects+"?fields=values.key", "").want(t, 200, `{"values":[{"key":"PROJ"},{"key":"WEB"}]}`)
	if got := s.send(t, "GET", projects+"/PROJ/deploy-keys", ""); got.status != 200 {
		t.Errorf("another project got %d", got.status)
	}
	s.SetProjectPermission("acme", "WEB", emulator.PermissionAdmin)

	s.AllowAccessToken("ATCTT1")
	for _, request := range []struct{ method, path string }{{"GET", projectKeys}, {"POST", projectKeys}, {"DELETE", projectKeys + "/1"}} {
		if got := s.sendAs(t, "Bearer ATCTT1", request.method, request.path, input(t, publicKey(2), "")); got.status >= 300 {
			t.Errorf("an access token got %d %s for %s", got.status, got.body, request.method)
		}
	}
	if held := s.ProjectDeployKeys("acme", "WEB"); len(held) != 1 || held[0].Key != publicKey(2) {
		t.Errorf("holds %+v", held)
	}
}

// Faults and the rest of what is played on demand are the same everywhere.
func TestProjectDeployKeys_troubles(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	lost := emulator.ServerError()
	lost.Path, lost.CarryOut, lost.Times = "/projects/", true, 1
	s.Inject(lost)
	s.SetNearLimit(true)
	if got := s.send(t, "GET", projects, ""); got.status != 200 || got.header.Get("X-Ratelimit-Nearlimit") != "true" {
		t.Errorf("the list got %+v", got)
	}
	if got := s.send(t, "POST", projectKeys, input(t, publicKey(1), "")); got.status != 500 || got.header.Get("X-Ratelimit-Nearlimit") != "true" {
		t.Errorf("the POST got %+v", got)
	}
	s.send(t, "POST", projectKeys, input(t, publicKey(1), "")).want(t, 400, projectKeyTaken)
}

func TestProjects(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	s.AddRepository("acme", emulator.Repository{Slug: "shop", Project: "WEB"})
	s.AddRepository("acme", emulator.Repository{Slug: "api", Project: "API_2"})
	s.send(t, "GET", projects+"?pagelen=1&page=2", "").want(t, 200,
		`{"values":[`+webProject(s)+`],"pagelen":1,"size":3,"page":2,"next":"`+s.url+projects+`?pagelen=1&page=3"}`)
	for query, want := range map[string]string{
		"?fields=values.key,values.name,values.type": `{"values":[{"key":"PROJ","name":"PROJ","type":"project"},
			{"key":"WEB","name":"Web Site","type":"project"},{"key":"API_2","name":"API_2","type":"project"}]}`,
		"?fields=next,values.key&pagelen=2": `{"next":"` + s.url + projects + `?fields=next%2Cvalues.key&pagelen=2&page=2","values":[{"key":"PROJ"},{"key":"WEB"}]}`,
	} {
		s.send(t, "GET", projects+query, "").want(t, 200, want)
	}
	s.send(t, "GET", projects+"?pagelen=101", "").want(t, 400, `{"type":"error","error":{"message":"Invalid pagelen"}}`)

	// Repositories embed the same project.
	s.send(t, "GET", repositories+"?q=project.key%3D%22WEB%22&fields=values.slug,values.project", "").want(t, 200,
		`{"values":[{"slug":"shop","project":`+webProject(s)+`}]}`)
}

func TestProjectDeployKeys_pages(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	for n := range 250 {
		s.AddProjectDeployKey("acme", "WEB", publicKey(n), "")
	}
	const byUUID = "/2.0/workspaces/%7B00000000-0000-4000-8000-0000000000ac%7D/projects/WEB/deploy-keys"
	var ids []int64
	for _, query := range []string{"?pagelen=100", "?pagelen=100&page=2", "?pagelen=100&page=3"} {
		page := decode[list](t, s.send(t, "GET", byUUID+query, "").body)
		for _, value := range page.Values {
			ids = append(ids, value.ID)
		}
		last := strings.HasSuffix(query, "3")
		if page.Size != 250 || last != (page.Next == nil) || !last && *page.Next != fmt.Sprintf("%s%s?pagelen=100&page=%d", s.url, byUUID, page.Page+1) {
			t.Errorf("%s: %+v", query, page)
		}
	}
	if len(ids) != 250 || ids[0] != 10958984 || ids[249] != 10959233 {
		t.Errorf("%d ids, %v", len(ids), ids)
	}
}

func TestProjects_outOfBand(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	s.AddRepository("acme", emulator.Repository{Slug: "shop", Project: "WEB"})
	first := s.AddProjectDeployKey("ACME", "WEB", publicKey(1)+" me@host", "ci")
	second := s.AddProjectDeployKey(workspaceUUID, "WEB", publicKey(1), "a duplicate")
	if first.Comment != "me@host" || first.Key != second.Key || second.ID != first.ID+1 {
		t.Errorf("got %+v and %+v", first, second)
	}
	s.EditProjectDeployKey("acme", "WEB", first.ID, func(key *emulator.DeployKey) { key.Label, key.ID = "edited", 20000000 })
	s.RemoveProjectDeployKey("acme", "WEB", second.ID)
	if next := s.AddDeployKey("acme", "sandbox", publicKey(1), ""); next.ID != 20000001 {
		t.Errorf("the next id is %d", next.ID)
	}
	s.RenameProject("acme", "WEB", "SITE")
	s.send(t, "GET", projectKeys, "").want(t, 404, projectGone)
	renamed := decode[struct {
		Label   string
		Project struct{ Key, Name, UUID string }
	}](t, s.send(t, "GET", projects+"/SITE/deploy-keys/20000000", "").body)
	if inside := renamed.Project; renamed.Label != "edited" || inside.Key != "SITE" || inside.Name != "Web Site" || inside.UUID != projectUUID {
		t.Errorf("got %+v", renamed)
	}
	s.send(t, "GET", repositories+"?q=project.key%3D%22SITE%22&fields=values.slug", "").want(t, 200, `{"values":[{"slug":"shop"}]}`)

	s.RemoveRepository("acme", "shop")
	s.RemoveProject("acme", "SITE")
	s.send(t, "GET", projects+"/SITE/deploy-keys", "").want(t, 404, projectGone)
	s.send(t, "GET", projects+"?fields=values.key", "").want(t, 200, `{"values":[{"key":"PROJ"}]}`)
}

// A repository is in a project wherever it is, and takes none along.
func TestProjects_moveRepository(t *testing.T) {
	t.Parallel()
	s := serve(t, emulator.Seed{Workspaces: []emulator.Workspace{
		{Slug: "acme", Repositories: []emulator.Repository{{Slug: "shop", Project: "WEB"}}}, {Slug: "other"},
	}})
	s.AddProjectDeployKey("acme", "WEB", publicKey(1), "")
	s.MoveRepository("acme", "shop", "other")
	s.send(t, "GET", "/2.0/repositories/other?fields=values.project.key", "").want(t, 200, `{"values":[{"project":{"key":"WEB"}}]}`)
	if left, made := s.ProjectDeployKeys("acme", "WEB"), s.ProjectDeployKeys("other", "WEB"); len(left) != 1 || len(made) != 0 {
		t.Errorf("acme/WEB has %+v, other/WEB %+v", left, made)
	}
}
