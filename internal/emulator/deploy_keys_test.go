package emulator_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// object is a deploy key as the live API sends it.
func object(t *testing.T, s server, id int64, key, comment, label string) string {
	t.Helper()
	return fmt.Sprintf(`{
		"id": %[1]d, "key": %[2]s, "label": %[4]s, "type": "deploy_key",
		"created_on": "2026-09-30T13:07:33.924449+00:00", "last_used": null, "comment": %[3]s,
		"repository": {
			"type": "repository", "full_name": "acme/sandbox", "name": "Sandbox", "uuid": "{00000000-0000-4000-8000-000000000001}",
			"links": {
				"self": {"href": "%[5]s/2.0/repositories/acme/sandbox"},
				"html": {"href": "%[5]s/acme/sandbox"},
				"avatar": {"href": "%[5]s/ravatar/%%7B00000000-0000-4000-8000-000000000001%%7D?ts=default"}
			}
		},
		"links": {"self": {"href": "%[5]s/2.0/repositories/acme/sandbox/deploy-keys/%[1]d"}}
	}`, id, quote(t, key), quote(t, comment), quote(t, label), s.url)
}

// input is the body of a POST or PUT.
func input(t *testing.T, key, label string) string {
	t.Helper()
	return fmt.Sprintf(`{"key": %s, "label": %s}`, quote(t, key), quote(t, label))
}

func TestLifeOfAKey(t *testing.T) {
	t.Parallel()
	s, key := newServer(t), publicKey(1)
	created := object(t, s, 10958984, key, "me@host of mine", "ci")
	s.send(t, "POST", keys+"/", input(t, " "+key+" \t me@host of mine \n", "  ci ")).want(t, 200, created)
	s.send(t, "GET", "/2.0/repositories/%7B%7D/%7B00000000-0000-4000-8000-000000000001%7D/deploy-keys/10958984", "").want(t, 200, created)
	s.send(t, "GET", keys, "").want(t, 200, `{"values":[`+created+`],"pagelen":10,"size":1,"page":1}`)

	plain := fmt.Sprintf(`{"key": %q, "type": "deploy_key"}`, publicKey(2))
	s.send(t, "POST", keys, plain).want(t, 200, object(t, s, 10958985, publicKey(2), "", ""))

	deleted := s.send(t, "DELETE", keys+"/10958984", "")
	if deleted.status != 204 || deleted.body != "" || deleted.header.Get("Content-Type") != "" {
		t.Errorf("DELETE answered %+v", deleted)
	}
	s.send(t, "GET", keys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "DELETE", keys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "POST", keys, input(t, key, "")).want(t, 200, object(t, s, 10958986, key, "", ""))
}

func TestBodies(t *testing.T) {
	t.Parallel()
	s := newServer(t, emulator.DeployKey{ID: 1, Key: publicKey(1)})
	for _, target := range []struct{ method, path string }{{"POST", keys}, {"PUT", keys + "/1"}} {
		for body, want := range map[string]string{
			"":                       badRequest,
			"key=x":                  badRequest,
			`{"key": 1}`:             badRequest,
			`{}`:                     keyInvalid,
			`{"label": "x"}`:         keyInvalid,
			`{"key": null}`:          keyInvalid,
			`{"key": "ssh-ed25519"}`: keyInvalid,
		} {
			s.send(t, target.method, target.path, body).want(t, 400, want)
		}
	}
}

func TestPUT(t *testing.T) {
	t.Parallel()
	key, other := publicKey(1), publicKey(2)
	for name, test := range map[string]struct {
		behavior       emulator.PUTBehavior
		body           string
		refusal        string
		comment, label string
	}{
		"documented":               {emulator.PUTDocumented, input(t, key+" new comment", " new "), "", "new comment", "new"},
		"documented, no comment":   {emulator.PUTDocumented, input(t, key, "new"), "", "", "new"},
		"documented, no label":     {emulator.PUTDocumented, `{"key": "` + key + ` new"}`, "", "new", "old"},
		"documented, empty label":  {emulator.PUTDocumented, input(t, key, ""), "", "", ""},
		"documented, other key":    {emulator.PUTDocumented, input(t, other, "new"), keyImmutable, "", ""},
		"documented, label only":   {emulator.PUTDocumented, `{"label": "new"}`, keyInvalid, "", ""},
		"label only, with the key": {emulator.PUTLabelOnly, input(t, key, "new"), keyImmutable, "", ""},
		"label only":               {emulator.PUTLabelOnly, `{"label": "new"}`, "", "old comment", "new"},
		"label only, nothing":      {emulator.PUTLabelOnly, `{}`, keyInvalid, "", ""},
		"refused, with the key":    {emulator.PUTRefused, input(t, key, "new"), keyImmutable, "", ""},
		"refused, with no key":     {emulator.PUTRefused, `{"label": "new"}`, keyInvalid, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			before := s.AddDeployKey("acme", "sandbox", key+" old comment", "old")
			s.SetPUT(test.behavior)
			got := s.send(t, "PUT", fmt.Sprintf("%s/%d", keys, before.ID), test.body)
			held := s.DeployKeys("acme", "sandbox")[0]
			if test.refusal != "" {
				got.want(t, 400, test.refusal)
				if held != before {
					t.Errorf("a refused PUT changed %+v to %+v", before, held)
				}
				return
			}
			got.want(t, 200, object(t, s, before.ID, key, test.comment, test.label))
			if held.Comment != test.comment || held.Label != test.label || held.Key != key {
				t.Errorf("holds %+v", held)
			}
		})
	}
}

func TestConcurrentPOSTs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const rivals, distinct = 20, 40
	statuses := make([]int, rivals+distinct)
	var group sync.WaitGroup
	for i := range statuses {
		group.Go(func() {
			got, err := s.trySend(t, "Bearer token", "POST", keys, input(t, publicKey(max(0, i-rivals+1)), ""))
			if err != nil {
				t.Error(err)
			}
			statuses[i] = got.status
			if got, err := s.trySend(t, "Bearer token", "GET", keys, ""); err != nil || got.status != http.StatusOK {
				t.Errorf("GET answered %d, %v", got.status, err)
			}
		})
	}
	group.Wait()
	won := 0
	for i, status := range statuses {
		switch {
		case status == http.StatusOK && i < rivals:
			won++
		case status != http.StatusOK && i >= rivals, status != http.StatusOK && status != http.StatusBadRequest:
			t.Errorf("POST %d answered %d", i, status)
		}
	}
	if held := s.DeployKeys("acme", "sandbox"); won != 1 || len(held) != distinct+1 {
		t.Errorf("%d of the same key won, %d keys are held", won, len(held))
	}
	if got := len(s.Requests()); got != 2*len(statuses) {
		t.Errorf("%d requests were logged", got)
	}
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
