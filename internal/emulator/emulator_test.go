package emulator_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	workspaceUUID  = "{00000000-0000-4000-8000-0000000000ac}"
	repositoryUUID = "{00000000-0000-4000-8000-000000000001}"
	keys           = "/2.0/repositories/acme/sandbox/deploy-keys"

	repositoryGone = `{"type":"error","error":{"message":"You may not have access to this repository or it no longer exists in this workspace. If you think this repository exists and you have access, make sure you are authenticated."}}`
	noRoute        = `{"type":"error","error":{"message":"Resource not found","detail":"There is no API hosted at this URL.\n\nFor information about our API's, please refer to the documentation at: https://developer.atlassian.com/bitbucket/api/2/reference/"}}`
	keyUnknown     = `{"type":"error","error":{"message":"Deploy key not found"}}`
	keyInvalid     = `{"key":[{"message":"Invalid SSH key."}]}`
	keyTaken       = `{"key":[{"message":"Someone has already added that access key to this repository."}]}`
	keyImmutable   = `{"type":"error","error":{"message":"For security reasons, you can't modify the contents of an access key. To update, delete and re-add the key."}}`
	badRequest     = `{"type":"error","error":{"message":"Bad request"}}`
	wrongMethod    = `{"type":"error","error":{"message":"Method not allowed"}}`
)

// server is an emulator with a real HTTP server.
type server struct {
	*emulator.Emulator
	url    string
	client *http.Client
}

// answer is a response whose body was read completely.
type answer struct {
	status int
	header http.Header
	body   string
}

// acmeSeed returns a seed with the repositories acme/sandbox and acme/other.
// acme/sandbox has the given deploy keys.
func acmeSeed(deployKeys ...emulator.DeployKey) emulator.Seed {
	return emulator.Seed{Workspaces: []emulator.Workspace{{
		Slug: "acme", UUID: workspaceUUID, Repositories: []emulator.Repository{
			{Slug: "sandbox", Name: "Sandbox", UUID: repositoryUUID, DeployKeys: deployKeys},
			{Slug: "other"},
		},
	}}}
}

// newServer starts a server with acmeSeed.
func newServer(t *testing.T, deployKeys ...emulator.DeployKey) server {
	t.Helper()
	return serve(t, acmeSeed(deployKeys...))
}

// serve starts a server with a seed.
func serve(t *testing.T, seed emulator.Seed) server {
	t.Helper()
	bitbucket := emulator.New(seed)
	bitbucket.SetClock(func() time.Time { return time.Date(2026, 9, 30, 13, 7, 33, 924449123, time.UTC) })
	listening := httptest.NewServer(bitbucket)
	t.Cleanup(listening.Close)
	client := listening.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return server{Emulator: bitbucket, url: listening.URL, client: client}
}

// send sends a request with a Bearer token. A new emulator accepts every token.
func (s server) send(t *testing.T, method, path, body string) answer {
	t.Helper()
	return s.sendAs(t, "Bearer token", method, path, body)
}

// sendAs sends a request with an Authorization header, or without one if
// authorization is "".
func (s server) sendAs(t *testing.T, authorization, method, path, body string) answer {
	t.Helper()
	response, err := s.trySend(t, authorization, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// trySend is sendAs for a request that may fail. It sends the path unchanged.
func (s server) trySend(t *testing.T, authorization, method, path, body string) (answer, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	path, query, _ := strings.Cut(path, "?")
	request.URL = &url.URL{Scheme: "http", Host: request.Host, Opaque: path, RawQuery: query}
	request.Header.Set("User-Agent", "tester")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	read, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	return answer{response.StatusCode, response.Header, string(read)}, err
}

// want checks the status and the JSON body. It ignores the formatting of the body.
func (a answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.status != status {
		t.Errorf("got status %d, want %d", a.status, status)
	}
	if got := a.header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("got Content-Type %q", got)
	}
	if got, want := decode[any](t, a.body), decode[any](t, body); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %s\nwant %s", a.body, body)
	}
}

// serveDirectly passes a request to the emulator without a network connection. The
// test can therefore run in a synctest bubble, or send a request that net/http does
// not allow. aborted reports whether the emulator closed the connection without a
// complete reply.
func serveDirectly(bitbucket http.Handler, request *http.Request) (recorder *httptest.ResponseRecorder, aborted bool) {
	recorder = httptest.NewRecorder()
	defer func() {
		if value := recover(); value != nil {
			if err, ok := value.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(value)
			}
			aborted = true
		}
	}()
	bitbucket.ServeHTTP(recorder, request)
	return recorder, false
}

// newRequest returns a request with a Bearer token for serveDirectly.
func newRequest(ctx context.Context, method, path string) *http.Request {
	request := httptest.NewRequestWithContext(ctx, method, path, http.NoBody)
	request.Header.Set("Authorization", "Bearer token")
	return request
}

// decode decodes JSON.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return value
}

// quote returns text as a JSON string.
func quote(t *testing.T, text string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}

// line returns a public key line. The fields of blob become the fields inside the
// base64 text.
func line(keyType string, blob any) string {
	return keyType + " " + base64.StdEncoding.EncodeToString(ssh.Marshal(blob))
}

// publicKey returns an Ed25519 key line. Each n gives a different key.
func publicKey(n int) string {
	point := sha256.Sum256([]byte(strconv.Itoa(n)))
	return line(ssh.KeyAlgoED25519, struct {
		Type string
		Key  []byte
	}{ssh.KeyAlgoED25519, point[:]})
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	const (
		byUUIDs   = "/2.0/repositories/%7B00000000-0000-4000-8000-0000000000ac%7D/%7B00000000-0000-4000-8000-000000000001%7D/deploy-keys"
		anyRepo   = "/2.0/repositories/%7B%7D/%7B00000000-0000-4000-8000-000000000001%7D/deploy-keys"
		emptyPage = `{"values":[],"pagelen":10,"size":0,"page":1}`
	)
	for name, test := range map[string]struct {
		method, path string
		status       int
		body         string
	}{
		"collection":              {"GET", keys, 200, emptyPage},
		"trailing slash":          {"GET", keys + "/", 200, emptyPage},
		"any case":                {"GET", "/2.0/repositories/Acme/SANDBOX/deploy-keys", 200, emptyPage},
		"uuids":                   {"GET", byUUIDs, 200, emptyPage},
		"uuid in upper case":      {"GET", strings.ReplaceAll(byUUIDs, "ac%7D", "AC%7D"), 200, emptyPage},
		"lower-case escapes":      {"GET", strings.NewReplacer("%7B", "%7b", "%7D", "%7d").Replace(byUUIDs), 200, emptyPage},
		"any workspace":           {"GET", anyRepo, 200, emptyPage},
		"any workspace with slug": {"GET", "/2.0/repositories/%7B%7D/sandbox/deploy-keys", 404, repositoryGone},
		"unescaped braces":        {"GET", "/2.0/repositories/" + workspaceUUID + "/sandbox/deploy-keys", 404, noRoute},
		"escaped slash":           {"GET", "/2.0/repositories/acme%2Fsandbox/deploy-keys", 404, `{"type":"error","error":{"message":"No workspace with identifier 'acme/sandbox'."}}`},
		"escaped slash in slug":   {"GET", "/2.0/repositories/acme/sandbox%2Fx/deploy-keys", 404, repositoryGone},
		"no workspace":            {"GET", "/2.0/repositories//sandbox/deploy-keys", 404, noRoute},
		"unknown repository":      {"GET", "/2.0/repositories/acme/nothing/deploy-keys", 404, repositoryGone},
		"unknown workspace": {
			"GET", "/2.0/repositories/badworkspace/sandbox/deploy-keys", 404,
			`{"type":"error","error":{"message":"No workspace with identifier 'badworkspace'."}}`,
		},
		"unknown key":                {"GET", keys + "/999999999", 404, keyUnknown},
		"unknown key, delete":        {"DELETE", keys + "/999999999", 404, keyUnknown},
		"unknown key, put":           {"PUT", keys + "/999999999", 404, keyUnknown},
		"key with trailing slash":    {"GET", keys + "/1/", 404, noRoute},
		"unknown path":               {"GET", "/2.0/user", 404, noRoute},
		"unknown path in repository": {"GET", "/2.0/repositories/acme/sandbox/commits", 404, noRoute},
		"put on the collection":      {"PUT", keys, 405, wrongMethod},
		"delete all":                 {"DELETE", keys + "/", 405, wrongMethod},
		"post on a key":              {"POST", keys + "/1", 405, wrongMethod},
		"ID that is not a number":    {"GET", keys + "/abc", 404, ""},
		"negative ID":                {"GET", keys + "/-1", 404, ""},
		"web site":                   {"GET", "/acme/sandbox", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newServer(t).send(t, test.method, test.path, "")
			if test.body != "" {
				got.want(t, test.status, test.body)
			} else if got.status != test.status || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("got status %d and Content-Type %s", got.status, got.header.Get("Content-Type"))
			}
			if (got.status == http.StatusMethodNotAllowed) != (got.header.Get("Allow") != "") {
				t.Errorf("got Allow %q for status %d", got.header.Get("Allow"), got.status)
			}
		})
	}
}

func TestRequestLog(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.send(t, "GET", "/2.0/repositories/%7b%7D/a%2Fb/deploy-keys?page=1", "")
	s.sendAs(t, "", "POST", keys, "{}")
	s.sendAs(t, "Basic aWQ6c2VjcmV0", "POST", "/site/oauth2/access_token", "grant_type=client_credentials")
	s.Inject(emulator.Fault{Cut: true, Times: 1})
	if _, err := s.trySend(t, "Bearer token", "DELETE", keys+"/1", ""); err == nil {
		t.Error("got a reply on a cut connection")
	}
	want := []emulator.Request{
		{Method: "GET", Path: "/2.0/repositories/%7b%7D/a%2Fb/deploy-keys", Query: "page=1", Authorization: "Bearer token", Status: 404},
		{Method: "POST", Path: keys, Body: "{}", Status: 404},
		{
			Method: "POST", Path: "/site/oauth2/access_token", Body: "grant_type=client_credentials",
			Authorization: "Basic aWQ6c2VjcmV0", Status: 200,
		},
		{Method: "DELETE", Path: keys + "/1", Authorization: "Bearer token"},
	}
	for i := range want {
		want[i].UserAgent = "tester"
	}
	if got := s.Requests(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	s.ForgetRequests()
	if got := s.Requests(); len(got) != 0 {
		t.Errorf("got %+v after ForgetRequests, want none", got)
	}
}

func TestRoutes_projects(t *testing.T) {
	t.Parallel()
	const (
		byUUID    = "/2.0/workspaces/%7B00000000-0000-4000-8000-0000000000ac%7D/projects"
		emptyPage = `{"values":[],"pagelen":10,"size":0,"page":1}`
	)
	unknownWorkspace := func(workspace string) string {
		return `{"type":"error","error":{"message":"No workspace with identifier '` + workspace + `'."}}`
	}
	for name, test := range map[string]struct {
		method, path string
		status       int
		body         string
	}{
		"collection":              {"GET", projectKeys, 200, emptyPage},
		"trailing slash":          {"GET", projectKeys + "/", 200, emptyPage},
		"workspace in any case":   {"GET", "/2.0/workspaces/ACME/projects/WEB/deploy-keys", 200, emptyPage},
		"workspace by uuid":       {"GET", byUUID + "/WEB/deploy-keys", 200, emptyPage},
		"project of a repository": {"GET", projects + "/PROJ/deploy-keys", 200, emptyPage},
		"key in another case":     {"GET", projects + "/web/deploy-keys", 404, projectGone},
		"project by uuid":         {"GET", projects + "/%7B00000000-0000-4000-8000-0000000000bb%7D/deploy-keys", 404, projectGone},
		"unknown project":         {"POST", projects + "/NONE/deploy-keys", 404, projectGone},
		"unknown project, delete": {"DELETE", projects + "/NONE/deploy-keys/1", 404, projectGone},
		"unknown workspace":       {"GET", "/2.0/workspaces/nobody/projects/WEB/deploy-keys", 404, unknownWorkspace("nobody")},
		"any workspace":           {"GET", "/2.0/workspaces/%7B%7D/projects/WEB/deploy-keys", 404, unknownWorkspace("{}")},
		"unknown key":             {"GET", projectKeys + "/999999999", 404, keyUnknown},
		"unescaped braces":        {"GET", "/2.0/workspaces/" + workspaceUUID + "/projects/WEB/deploy-keys", 404, noRoute},
		"escaped slash":           {"GET", "/2.0/workspaces/acme/projects%2FWEB/deploy-keys", 404, noRoute},
		"no workspace":            {"GET", "/2.0/workspaces//projects/WEB/deploy-keys", 404, noRoute},
		"no project":              {"GET", projects + "//deploy-keys", 404, noRoute},
		"key with trailing slash": {"GET", projectKeys + "/1/", 404, noRoute},
		"project":                 {"GET", projects + "/WEB?fields=key", 200, `{"key":"WEB"}`},
		"project, trailing slash": {"GET", projects + "/WEB/", 404, noRoute},
		"project, any case":       {"GET", projects + "/web", 404, projectGone},
		"project, no such":        {"DELETE", projects + "/NONE", 404, projectGone},
		"project, no workspace":   {"PUT", "/2.0/workspaces/nobody/projects/WEB", 404, unknownWorkspace("nobody")},
		"project, post":           {"POST", projects + "/WEB", 405, wrongMethod},
		"workspace":               {"GET", "/2.0/workspaces/acme", 404, noRoute},
		"workspaces":              {"GET", "/2.0/workspaces", 404, noRoute},
		"unknown list":            {"GET", "/2.0/workspaces/acme/members", 404, noRoute},
		"unknown path in project": {"GET", projects + "/WEB/permissions-config", 404, noRoute},
		"put on the collection":   {"PUT", projectKeys, 405, wrongMethod},
		"post on a key":           {"POST", projectKeys + "/1", 405, wrongMethod},
		"ID that is not a number": {"GET", projectKeys + "/abc", 404, ""},
		"list":                    {"GET", projects + "?fields=size", 200, `{"size":2}`},
		"list, trailing slash":    {"GET", projects + "/?fields=size", 200, `{"size":2}`},
		"list, workspace by uuid": {"GET", byUUID + "?fields=size", 200, `{"size":2}`},
		"list, unknown workspace": {"GET", "/2.0/workspaces/nobody/projects", 404, unknownWorkspace("nobody")},
		"list, unescaped braces":  {"GET", "/2.0/workspaces/" + workspaceUUID + "/projects", 404, noRoute},
		"list, put":               {"PUT", projects, 405, wrongMethod},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newProjectServer(t).send(t, test.method, test.path, "{}")
			if test.body != "" {
				got.want(t, test.status, test.body)
			} else if got.status != test.status || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("got status %d and Content-Type %s", got.status, got.header.Get("Content-Type"))
			}
			if (got.status == 405) != (got.header.Get("Allow") != "") {
				t.Errorf("got Allow %q for status %d", got.header.Get("Allow"), got.status)
			}
		})
	}
}

func TestCreatedOnWithoutMicroseconds(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SetClock(func() time.Time { return time.Date(2013, 12, 10, 16, 44, 13, 0, time.FixedZone("", 7200)) })
	s.send(t, "POST", keys, input(t, publicKey(1), ""))
	if got := s.DeployKeys("acme", "sandbox")[0].CreatedOn; got != "2013-12-10T14:44:13+00:00" {
		t.Errorf("got created_on %s", got)
	}
}
