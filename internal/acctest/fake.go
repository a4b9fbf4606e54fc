package acctest

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// Fake is an emulator with an HTTP server. Its methods also return configurations of the
// provider that use this server.
type Fake struct {
	*emulator.Emulator
	URL string
}

// NewFake starts an emulator with the repositories acme/website, acme/api and
// other/website, and the projects WEB and API of acme and WEB of other.
func NewFake(t *testing.T) *Fake {
	t.Helper()
	return NewFakeOfRepositories(t, []emulator.Repository{{Slug: "website", UUID: WebsiteUUID}, {Slug: "api"}})
}

// NewFakeOfRepositories starts an emulator with these repositories in acme.
func NewFakeOfRepositories(t *testing.T, repositories []emulator.Repository) *Fake {
	t.Helper()
	return NewFakeOf(t, repositories, []emulator.Project{{Key: "WEB", UUID: ProjectUUID}, {Key: "API"}})
}

// NewFakeOf starts an emulator with these repositories and projects in acme.
func NewFakeOf(t *testing.T, repositories []emulator.Repository, projects []emulator.Project) *Fake {
	t.Helper()
	e := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{
		{Slug: "acme", UUID: WorkspaceUUID, Repositories: repositories, Projects: projects},
		{Slug: "other", Repositories: []emulator.Repository{{Slug: "website"}}, Projects: []emulator.Project{{Key: "WEB"}}},
	}})
	e.AllowBasic("ci@example.com", "api-token")
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return &Fake{e, server.URL}
}

// NewFakeOfMany starts an emulator with this number of repositories or projects in acme.
func NewFakeOfMany(t *testing.T, parent Parent, number int) (*Fake, []Parent) {
	t.Helper()
	var parents []Parent
	var repositories []emulator.Repository
	var projects []emulator.Project
	for i := range number {
		name := fmt.Sprintf("repository-%d", i)
		if parent.IsProject() {
			name = fmt.Sprintf("PROJECT_%d", i)
			projects = append(projects, emulator.Project{Key: name})
		} else {
			repositories = append(repositories, emulator.Repository{Slug: name})
		}
		parents = append(parents, parent.Named(name))
	}
	return NewFakeOf(t, repositories, projects), parents
}

// The UUIDs of the workspace acme, and of Website and WEB.
const (
	WorkspaceUUID = "{2f5a9b2e-0000-4000-8000-0000000000ac}"
	WebsiteUUID   = "{85d08b4e-571d-44e9-a507-fa476535aa98}"
	ProjectUUID   = "{6f1a7a0c-0000-4000-8000-00000000003b}"
)

// FirstID is the ID that the emulator gives to the first key that a test adds. The paths
// are as Sent returns them.
const (
	FirstID    = 10958984
	Collection = "acme/website/deploy-keys"
	FirstKey   = Collection + "/10958984"
	SecondKey  = Collection + "/10958985"
)

// Keys returns the keys of a parent.
func (f *Fake) Keys(parent Parent) []emulator.DeployKey {
	if parent.IsProject() {
		return f.ProjectDeployKeys("acme", parent.Name)
	}
	return f.DeployKeys("acme", parent.Name)
}

// Add adds a key outside of Terraform.
func (f *Fake) Add(parent Parent, key, label string) emulator.DeployKey {
	if parent.IsProject() {
		return f.AddProjectDeployKey("acme", parent.Name, key, label)
	}
	return f.AddDeployKey("acme", parent.Name, key, label)
}

// Edit changes a key outside of Terraform.
func (f *Fake) Edit(parent Parent, id int64, edit func(*emulator.DeployKey)) {
	if parent.IsProject() {
		f.EditProjectDeployKey("acme", parent.Name, id, edit)
		return
	}
	f.EditDeployKey("acme", parent.Name, id, edit)
}

// Remove removes a key outside of Terraform.
func (f *Fake) Remove(parent Parent, id int64) {
	if parent.IsProject() {
		f.RemoveProjectDeployKey("acme", parent.Name, id)
		return
	}
	f.RemoveDeployKey("acme", parent.Name, id)
}

// RemoveParent removes a parent with its keys.
func (f *Fake) RemoveParent(parent Parent) {
	if parent.IsProject() {
		f.RemoveProject("acme", parent.Name)
		return
	}
	f.RemoveRepository("acme", parent.Name)
}

// OnlyKey returns the only key of acme/website.
func (f *Fake) OnlyKey(t *testing.T) emulator.DeployKey {
	t.Helper()
	return f.OnlyKeyOf(t, Website)
}

// OnlyKeyOf returns the only key of a parent.
func (f *Fake) OnlyKeyOf(t *testing.T, parent Parent) emulator.DeployKey {
	t.Helper()
	keys := f.Keys(parent)
	if len(keys) != 1 {
		t.Fatalf("%s has %d keys, want 1", parent, len(keys))
	}
	return keys[0]
}

// Config returns a whole configuration: a provider block with the usual credentials and
// these lines, and a body.
func (f *Fake) Config(body string, lines ...string) string {
	return f.ConfigWith(body, append(lines, `username = "ci@example.com"`, `token = "api-token"`)...)
}

// ConfigWith returns a whole configuration whose provider block has these lines.
func (f *Fake) ConfigWith(body string, lines ...string) string {
	return RequiredProviders + fmt.Sprintf("\nprovider \"bitbucket\" {\n  base_url = \"%s/2.0\"\n  %s\n}\n", f.URL, strings.Join(lines, "\n  ")) + body
}

// Sent returns the requests since the last call, as "METHOD path status".
func (f *Fake) Sent() []string {
	var lines []string
	for _, r := range f.Requests() {
		lines = append(lines, fmt.Sprintf("%s %s %d", r.Method, sentPath(r.Path), r.Status))
	}
	f.ForgetRequests()
	return lines
}

// sentPath returns a path in the form that Sent uses: the path of a repository begins with
// its workspace.
func sentPath(path string) string { return strings.TrimPrefix(path, "/2.0/repositories/") }

// Writes returns the requests since the last call that could change something.
func (f *Fake) Writes() []string {
	var lines []string
	for _, line := range f.Sent() {
		if !strings.HasPrefix(line, "GET ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// ExpectWrites returns a check of the requests since the last call that could change
// something.
func (f *Fake) ExpectWrites(t *testing.T, want ...string) func() {
	return func() {
		t.Helper()
		if got := f.Writes(); !slices.Equal(got, want) {
			t.Errorf("requests that write:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
}

// LastWrite returns the last request that could change something.
func (f *Fake) LastWrite(t *testing.T) emulator.Request {
	t.Helper()
	for _, request := range slices.Backward(f.Requests()) {
		if request.Method != "GET" {
			return request
		}
	}
	t.Fatal("no request could change something")
	return emulator.Request{}
}
