package live_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variables map[string]string
		want      string
	}{
		{nil, "set BITBUCKET_TEST_WORKSPACE"},
		{map[string]string{"BITBUCKET_TEST_WORKSPACE": " "}, "set BITBUCKET_TEST_WORKSPACE"},
		{map[string]string{"BITBUCKET_TEST_WORKSPACE": "acme"}, "set BITBUCKET_USERNAME and BITBUCKET_TOKEN"},
		{map[string]string{"BITBUCKET_TEST_WORKSPACE": "acme", "BITBUCKET_OAUTH_CLIENT_ID": "id"}, "set BITBUCKET_USERNAME and BITBUCKET_TOKEN"},
		{map[string]string{"BITBUCKET_TEST_WORKSPACE": "acme", "BITBUCKET_TOKEN": "secret", "BITBUCKET_BASE_URL": "secret"}, "BITBUCKET_BASE_URL is not an absolute URL"},
	} {
		if _, err := live.FromEnvironment(func(name string) string { return test.variables[name] }); err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: got %v, want %q", test.variables, err, test.want)
		}
	}
	server, err := live.FromEnvironment(func(name string) string {
		return map[string]string{"BITBUCKET_TEST_WORKSPACE": "acme\n", "BITBUCKET_TOKEN": "secret"}[name]
	})
	if err != nil || server.Workspace != "acme" || server.Base.String() != "https://api.bitbucket.org/2.0" {
		t.Errorf("got %+v, %v", server, err)
	}
}

// Each kind of credentials of the provider works.
func TestFromEnvironment_credentials(t *testing.T) {
	t.Parallel()
	e, url := listen(t)
	e.AllowBasic("ci@example.com", "api-token")
	e.AllowBearer("access-token")
	e.AllowConsumer("id", "secret", 7200)
	for _, credentials := range []map[string]string{
		{"BITBUCKET_USERNAME": "ci@example.com", "BITBUCKET_TOKEN": "api-token"},
		{"BITBUCKET_USERNAME": "ci@example.com", "BITBUCKET_PASSWORD": "api-token"},
		{"BITBUCKET_TOKEN": "access-token"},
		{"BITBUCKET_OAUTH_TOKEN": "access-token"},
		{"BITBUCKET_OAUTH_CLIENT_ID": "id", "BITBUCKET_OAUTH_CLIENT_SECRET": "secret"},
	} {
		credentials["BITBUCKET_TEST_WORKSPACE"], credentials["BITBUCKET_BASE_URL"] = "acme", url
		server, err := live.FromEnvironment(func(name string) string { return credentials[name] })
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Expect(t.Context(), http.MethodGet, server.RepositoriesPath(), nil, nil); err != nil {
			t.Errorf("%v: %v", credentials, err)
		}
		want := int64(1)
		if credentials["BITBUCKET_OAUTH_CLIENT_ID"] != "" {
			want = 2 // The first request is for a token.
		}
		if sent := server.Counter.Sent(); sent != want {
			t.Errorf("%v: counted %d requests, want %d", credentials, sent, want)
		}
	}
}

// listen starts an emulator and returns the root of its API.
func listen(t *testing.T) (*emulator.Emulator, string) {
	t.Helper()
	e := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{{Slug: "acme", Repositories: []emulator.Repository{{Slug: "website"}, {Slug: "tf-acc-infrastructure"}}, Projects: []emulator.Project{{Key: "TFACCOUNTS"}}}}})
	listener := httptest.NewServer(e)
	t.Cleanup(listener.Close)
	return e, listener.URL + "/2.0"
}

func newServer(t *testing.T, url string) *live.Server {
	t.Helper()
	server, err := live.NewServer(url, "acme", "ci@example.com", "api-token", &live.Counter{})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// left returns the names of all repositories and projects.
func left(e *emulator.Emulator) string {
	var names []string
	for _, repository := range e.Seed().Workspaces[0].Repositories {
		names = append(names, repository.Slug)
	}
	for _, project := range e.Seed().Workspaces[0].Projects {
		names = append(names, project.Key)
	}
	return strings.Join(names, " ")
}

// A workspace without a project gets one. If that fails, the error has both refusals.
func TestServer_CreateRepository_noProject(t *testing.T) {
	t.Parallel()
	e, url := listen(t)
	server := newServer(t, url)
	refusal := emulator.Fault{Method: http.MethodPost, Path: "/repositories/", Status: http.StatusBadRequest, Body: `{"error": {"message": "A project is required."}}`, Times: 1}
	e.Inject(refusal)
	if _, err := server.CreateRepository(t.Context(), ""); err != nil {
		t.Error(err)
	}
	e.Inject(refusal, emulator.Fault{Method: http.MethodPost, Path: "/projects", Status: http.StatusForbidden, Body: `{"error": {"message": "No right to projects."}}`})
	_, err := newServer(t, url).CreateRepository(t.Context(), "")
	if err == nil || live.Status(err) != http.StatusBadRequest || !strings.Contains(err.Error(), "A project is required.") || !strings.Contains(err.Error(), "No right to projects.") {
		t.Errorf("got error %v, want both refusals", err)
	}
}

// Close deletes all that was created, also what was renamed and what has keys. Then nothing can
// be created.
func TestServer_Close(t *testing.T) {
	t.Parallel()
	e, url := listen(t)
	before := left(e)
	server := newServer(t, url)
	project, err := server.CreateProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.CreateRepository(t.Context(), project); err != nil {
		t.Fatal(err)
	}
	repository, err := server.CreateRepository(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	e.AddDeployKey("acme", repository.Slug, "ssh-ed25519 AAAA", "CI")
	if _, err := server.RenameRepository(t.Context(), repository.Slug); err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if after := left(e); after != before {
		t.Errorf("left: %s, want %s", after, before)
	}
	if _, err := server.CreateRepository(t.Context(), ""); err == nil {
		t.Error("created a repository after Close")
	}
}

// Close deletes a repository although the reply to its creation was lost.
func TestServer_Close_lostReply(t *testing.T) {
	t.Parallel()
	e, url := listen(t)
	before := left(e)
	server := newServer(t, url)
	e.Inject(emulator.Fault{Method: http.MethodPost, CarryOut: true, Cut: true, Times: 1})
	if _, err := server.CreateRepository(t.Context(), ""); err == nil {
		t.Fatal("the reply was not lost")
	}
	if left(e) == before {
		t.Fatal("the repository was not created")
	}
	if err := server.Close(); err != nil || left(e) != before {
		t.Errorf("left: %s, %v", left(e), err)
	}
}

// A sweep deletes what another run has left, on all pages, and nothing else.
func TestServer_Sweep(t *testing.T) {
	t.Parallel()
	e, url := listen(t)
	before := left(e)
	killed := newServer(t, url)
	project, err := killed.CreateProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 101 {
		if _, err := killed.CreateRepository(t.Context(), project); err != nil {
			t.Fatal(err)
		}
	}
	deleted, err := newServer(t, url).Sweep(t.Context())
	if err != nil || len(deleted) != 102 || left(e) != before {
		t.Errorf("deleted %d, left %s: %v", len(deleted), left(e), err)
	}
}

// A sweep works without the right to projects.
func TestServer_Sweep_noProjects(t *testing.T) {
	t.Parallel()
	e, url := listen(t)
	if _, err := newServer(t, url).CreateRepository(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	e.Inject(emulator.Fault{Path: "/projects", Status: http.StatusForbidden, Body: `{"error": {"message": "Forbidden"}}`})
	if deleted, err := newServer(t, url).Sweep(t.Context()); err != nil || len(deleted) != 1 {
		t.Errorf("deleted %v: %v", deleted, err)
	}
}

// More requests than the limit are refused, also those of the provider. Close may send more.
func TestCounter(t *testing.T) {
	t.Parallel()
	e, url := listen(t)
	server := newServer(t, url)
	server.Counter.Limit = 2
	if _, err := server.CreateRepository(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	proxy := server.NewProxy()
	defer proxy.Close()
	for _, want := range []int{http.StatusNotFound, http.StatusBadRequest} {
		if status, body := get(t, proxy.BaseURL+"/repositories/acme/none"); status != want {
			t.Errorf("got %d %s, want %d", status, body, want)
		}
	}
	if _, err := server.Do(t.Context(), http.MethodGet, "/repositories/acme", nil); err == nil {
		t.Error("sent more requests than allowed")
	}
	before := left(e)
	if err := server.Close(); err != nil || left(e) == before {
		t.Errorf("left: %s, %v", left(e), err)
	}
	if sent := server.Counter.Sent(); sent != 5 {
		t.Errorf("counted %d requests, want 5", sent)
	}
	if _, err := server.Do(t.Context(), http.MethodGet, "/repositories/acme", nil); err == nil {
		t.Error("after Close, sent more requests than allowed")
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("ci@example.com", "api-token")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// The provider sees a redirect within the API as a redirect within the proxy.
func TestProxy_redirect(t *testing.T) {
	t.Parallel()
	e, url := listen(t)
	server := newServer(t, url)
	proxy := server.NewProxy()
	defer proxy.Close()
	redirect := emulator.Redirect(url + "/repositories/acme/website")
	redirect.Path = "/old"
	e.Inject(redirect)
	if status, body := get(t, proxy.BaseURL+"/repositories/acme/old"); status != http.StatusOK || !strings.Contains(body, `"acme/website"`) {
		t.Errorf("got %d %s", status, body)
	}
	if sent := server.Counter.Sent(); sent != 2 {
		t.Errorf("counted %d requests", sent)
	}
	if writes := proxy.Writes(); len(writes) > 0 {
		t.Errorf("writes: %v", writes)
	}
}

// What a server does not support is found, and is not an error.
func TestProbe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(*emulator.Emulator)
		missing string
	}{
		"documented": {func(*emulator.Emulator) {}, "[faults refused updates of deploy keys]"},
		"refused":    {func(e *emulator.Emulator) { e.SetPUT(emulator.PUTRefused) }, "[faults updates of deploy keys]"},
		"label only": {func(e *emulator.Emulator) { e.SetPUT(emulator.PUTLabelOnly) }, "[faults refused updates of deploy keys updates of deploy keys]"},
		"no projects": {func(e *emulator.Emulator) {
			e.Inject(emulator.Fault{Path: "/projects", Status: http.StatusForbidden, Body: `{"error": {"message": "Forbidden for api-token"}}`})
		}, "[faults projects refused updates of deploy keys]"},
		"no scope for keys": {func(e *emulator.Emulator) {
			e.Inject(emulator.Fault{Method: http.MethodPost, Path: "/deploy-keys", Status: http.StatusForbidden, Body: `{"error": {"message": "Forbidden"}}`})
		}, "[deploy keys of repositories faults projects]"},
		"no repositories": {func(e *emulator.Emulator) {
			e.Inject(emulator.Fault{Method: http.MethodPost, Path: "/repositories/", Status: http.StatusForbidden, Body: `{"error": {"message": "Forbidden"}}`})
		}, "[deploy keys of repositories faults]"},
		"no scope to delete": {func(e *emulator.Emulator) {
			e.Inject(emulator.Fault{Method: http.MethodDelete, Path: "/repositories/acme/tf-acc", Status: http.StatusForbidden, Body: `{"error": {"message": "Forbidden"}}`})
		}, "[deploy keys of repositories faults refused updates of deploy keys]"},
		"never deployed": {func(e *emulator.Emulator) { e.SetDeployments(emulator.DeploymentBehavior{NeverDeployed404: true}) }, "[faults refused updates of deploy keys]"},
		"no pipelines": {func(e *emulator.Emulator) {
			e.Inject(emulator.Fault{Path: "/deployments", Status: http.StatusForbidden, Body: `{"error": {"message": "Forbidden"}}`})
		}, "[deployments faults refused updates of deploy keys]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, url := listen(t)
			before := left(e)
			test.prepare(e)
			missing, err := probe(t.Context(), newServer(t, url))
			if err != nil || fmt.Sprint(names(missing)) != test.missing || left(e) != before && name != "no scope to delete" {
				t.Errorf("missing %v, want %s; left %s: %v", missing, test.missing, left(e), err)
			}
			if strings.Contains(fmt.Sprint(missing), "api-token") {
				t.Errorf("it shows the token: %v", missing)
			}
		})
	}
}

// A probe without answers fails.
func TestProbe_fails(t *testing.T) {
	t.Parallel()
	for _, fault := range []emulator.Fault{
		emulator.Unauthorized(),
		{Method: http.MethodPost, Path: "/repositories/acme/tf", Status: http.StatusNotFound},
		{Path: "/deploy-keys", Status: http.StatusInternalServerError},
		emulator.RateLimited(),
	} {
		e, url := listen(t)
		e.Inject(fault)
		if missing, err := probe(t.Context(), newServer(t, url)); err == nil {
			t.Errorf("%d: got %v", fault.Status, missing)
		}
	}
}
