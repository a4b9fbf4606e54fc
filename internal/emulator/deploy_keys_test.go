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

// object returns the JSON of a deploy key of acme/sandbox, as the live API sends it.
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

// input returns the body of a POST or PUT.
func input(t *testing.T, key, label string) string {
	t.Helper()
	return fmt.Sprintf(`{"key": %s, "label": %s}`, quote(t, key), quote(t, label))
}

func TestDeployKeys_lifecycle(t *testing.T) {
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
		t.Errorf("DELETE got %+v", deleted)
	}
	s.send(t, "GET", keys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "DELETE", keys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "POST", keys, input(t, key, "")).want(t, 200, object(t, s, 10958986, key, "", ""))
}

func TestDeployKeys_invalidBodies(t *testing.T) {
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

func TestDeployKeys_PUT(t *testing.T) {
	t.Parallel()
	key, other := publicKey(1), publicKey(2)
	for name, test := range map[string]struct {
		behavior       emulator.PUTBehavior
		body           string
		wantError      string // wantError is empty if the PUT succeeds.
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
		"label only, no label":     {emulator.PUTLabelOnly, `{}`, keyInvalid, "", ""},
		"refused, with the key":    {emulator.PUTRefused, input(t, key, "new"), keyImmutable, "", ""},
		"refused, without key":     {emulator.PUTRefused, `{"label": "new"}`, keyInvalid, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			before := s.AddDeployKey("acme", "sandbox", key+" old comment", "old")
			s.SetPUT(test.behavior)
			got := s.send(t, "PUT", fmt.Sprintf("%s/%d", keys, before.ID), test.body)
			stored := s.DeployKeys("acme", "sandbox")[0]
			if test.wantError != "" {
				got.want(t, 400, test.wantError)
				if stored != before {
					t.Errorf("a rejected PUT changed %+v to %+v", before, stored)
				}
				return
			}
			got.want(t, 200, object(t, s, before.ID, key, test.comment, test.label))
			if stored.Comment != test.comment || stored.Label != test.label || stored.Key != key {
				t.Errorf("stored %+v", stored)
			}
		})
	}
}

func TestDeployKeys_concurrentPOSTs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const same, different = 20, 40 // The first requests send the same key, the other requests different keys.
	statuses := make([]int, same+different)
	var group sync.WaitGroup
	for i := range statuses {
		group.Go(func() {
			got, err := s.trySend(t, "Bearer token", "POST", keys, input(t, publicKey(max(0, i-same+1)), ""))
			if err != nil {
				t.Error(err)
			}
			statuses[i] = got.status
			if got, err := s.trySend(t, "Bearer token", "GET", keys, ""); err != nil || got.status != http.StatusOK {
				t.Errorf("GET got status %d, %v", got.status, err)
			}
		})
	}
	group.Wait()
	created := 0
	for i, status := range statuses {
		switch {
		case status == http.StatusOK && i < same:
			created++
		case status != http.StatusOK && i >= same, status != http.StatusOK && status != http.StatusBadRequest:
			t.Errorf("POST %d got status %d", i, status)
		}
	}
	if stored := s.DeployKeys("acme", "sandbox"); created != 1 || len(stored) != different+1 {
		t.Errorf("%d POSTs of the same key succeeded, want 1; stored %d keys, want %d", created, len(stored), different+1)
	}
	if got := len(s.Requests()); got != 2*len(statuses) {
		t.Errorf("the request log has %d requests, want %d", got, 2*len(statuses))
	}
}

// projectObject returns the JSON of a deploy key of acme/WEB, as documented.
func projectObject(t *testing.T, s server, id int64, key, comment, label string) string {
	t.Helper()
	return fmt.Sprintf(`{
		"id": %[1]d, "key": %[2]s, "label": %[4]s, "type": "project_deploy_key",
		"created_on": "2026-09-30T13:07:33.924449+00:00", "last_used": null, "comment": %[3]s,
		"project": %[6]s,
		"links": {"self": {"href": "%[5]s/2.0/workspaces/acme/projects/WEB/deploy-keys/%[1]d"}}
	}`, id, quote(t, key), quote(t, comment), quote(t, label), s.url, webProject(s))
}

// createdObject returns the JSON in the reply to the POST of a project's deploy key.
// It differs from projectObject in the slash at the end of the self link.
func createdObject(object string) string {
	return strings.Replace(object, `"}}
	}`, `/"}}
	}`, 1)
}

// The emulator must send the examples of Atlassian's documentation. Only the host and
// the IDs differ.
func TestProjectDeployKeys_documented(t *testing.T) {
	t.Parallel()
	const path = "/2.0/workspaces/standard/projects/TEST_PROJECT/deploy-keys"
	s := serve(t, emulator.Seed{Workspaces: []emulator.Workspace{{Slug: "standard", Projects: []emulator.Project{
		{Key: "TEST_PROJECT", Name: "cooperative standard", UUID: "{3b3e510b-7f2b-414d-a2b7-76c4e405c1c0}"},
	}}}})
	readExample := func(name, id string) string {
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
	want := readExample("project_deploy_keys.json", "1234")
	add(decode[struct{ Values []keyObject }](t, want).Values[0])
	s.send(t, "GET", path, "").want(t, 200, want)

	s.send(t, "DELETE", path+"/10958984", "")
	want = strings.ReplaceAll(readExample("project_deploy_key_created.json", "5"), "10958984", "10958985")
	add(decode[keyObject](t, want)).want(t, 200, want)
}

func TestProjectDeployKeys_lifecycle(t *testing.T) {
	t.Parallel()
	s, key := newProjectServer(t), publicKey(1)
	first := projectObject(t, s, 10958984, key, "me@host of mine", "ci")
	s.send(t, "POST", projectKeys+"/", input(t, " "+key+" \t me@host of mine \n", "  ci ")).want(t, 200, createdObject(first))
	s.send(t, "GET", projectKeys+"/10958984", "").want(t, 200, first)
	s.send(t, "GET", projectKeys, "").want(t, 200, `{"values":[`+first+`],"pagelen":10,"size":1,"page":1}`)

	// Repositories and projects share the counter of IDs, but not the list of keys.
	s.send(t, "POST", keys, input(t, key, "")).want(t, 200, object(t, s, 10958985, key, "", ""))
	s.send(t, "GET", projectKeys+"/10958985", "").want(t, 404, keyUnknown)
	s.send(t, "GET", keys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "POST", projectKeys, `{"key": "`+publicKey(2)+`"}`).want(t, 200, createdObject(projectObject(t, s, 10958986, publicKey(2), "", "")))

	rejected := s.send(t, "PUT", projectKeys+"/10958984", input(t, key, "new"))
	rejected.want(t, 405, wrongMethod)
	if allowed := rejected.header.Get("Allow"); allowed != "GET, DELETE" {
		t.Errorf("got Allow %q", allowed)
	}
	deleted := s.send(t, "DELETE", projectKeys+"/10958984", "")
	if deleted.status != 204 || deleted.body != "" || deleted.header.Get("Content-Type") != "" {
		t.Errorf("DELETE got %+v", deleted)
	}
	s.send(t, "GET", projectKeys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "DELETE", projectKeys+"/10958984", "").want(t, 404, keyUnknown)
	s.send(t, "POST", projectKeys, input(t, key, "")).want(t, 200, createdObject(projectObject(t, s, 10958987, key, "", "")))
}

func TestProjectDeployKeys_rejected(t *testing.T) {
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
			t.Errorf("POST of the same key to %s: got %d %s, want 200", path, got.status, got.body)
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
		t.Errorf("another project got %d, want 200", got.status)
	}
	s.SetProjectPermission("acme", "WEB", emulator.PermissionAdmin)

	s.AllowAccessToken("ATCTT1")
	for _, request := range []struct{ method, path string }{{"GET", projectKeys}, {"POST", projectKeys}, {"DELETE", projectKeys + "/1"}} {
		if got := s.sendAs(t, "Bearer ATCTT1", request.method, request.path, input(t, publicKey(2), "")); got.status >= 300 {
			t.Errorf("%s with an access token: got %d %s", request.method, got.status, got.body)
		}
	}
	if stored := s.ProjectDeployKeys("acme", "WEB"); len(stored) != 1 || stored[0].Key != publicKey(2) {
		t.Errorf("stored %+v", stored)
	}
}
