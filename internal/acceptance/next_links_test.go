package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// Whatever the link to the next page names, all pages are read, and every request goes to
// base_url.
func TestAccProvider_nextLinks(t *testing.T) {
	t.Parallel()
	for name, links := range map[string]emulator.NextLinks{
		"documented":        emulator.NextLinksDocumented,
		"internal host":     emulator.NextLinksInternalHost,
		"same page":         emulator.NextLinksSamePage,
		"api.bitbucket.org": emulator.NextLinksAPIHost,
	} {
		acctest.ForEachParent(t, func(t *testing.T, parent acctest.Parent) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				m := newMany(t, parent, 1, 10)
				m.exist(t, 24)
				m.SetNextLinks(links)
				// The resources are refreshed from all pages.
				m.terraform.MustRun(t, "plan", "-detailed-exitcode")
				if got := m.count(); len(got) > 1 || got["GET"] < 3 || got["GET"] > 5 {
					t.Errorf("made %v requests, want 3 to 5", got)
				}
				m.readPages(t)
			})
		})
	}
}

// readPages reads all deploy keys, and all deployments and environments of a repository, with
// data sources.
func (m *many) readPages(t *testing.T) {
	t.Helper()
	var owner string
	for _, key := range m.keys {
		owner = key.Parent
	}
	data := fmt.Sprintf("\ndata \"%ss\" \"all\" {\n  workspace = \"acme\"\n  %s = %q\n}\n\noutput \"keys\" {\n  value = length(data.%[1]ss.all.keys)\n}\n", m.parent.TypeName, m.parent.Kind, owner)
	want := map[string]string{"keys": "250"}
	paths := []string{"deploy-keys?pagelen=100", "deploy-keys?pagelen=100&page=2", "deploy-keys?pagelen=100&page=3"}
	if !m.parent.IsProject() {
		const block = "\ndata \"bitbucket_deployments\" %q {\n  workspace = \"acme\"\n  repository = %q\n  %s\n}\n\noutput %[1]q {\n  value = length(data.bitbucket_deployments.%[1]s.deployments)\n}\n"
		data += fmt.Sprintf(block, "all", owner, "") + fmt.Sprintf(block, "newest", owner, "limit = 5")
		want["all"], want["newest"] = "205", "5"
		start := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
		for i := range 205 {
			m.AddDeployment("acme", owner, emulator.Deployment{StartedOn: start.Add(time.Duration(i) * time.Hour).Format(time.RFC3339)})
		}
		data += fmt.Sprintf("\ndata \"bitbucket_environments\" \"all\" {\n  workspace = \"acme\"\n  repository = %q\n}\n\noutput \"environments\" {\n  value = length(data.bitbucket_environments.all.environments)\n}\n", owner)
		want["environments"] = "201"
		m.SetEnvironments("acme", owner, make([]emulator.Environment, 201)...)
		paths = append(paths, "environments/?pagelen=100", "environments/?pagelen=100&page=2", "environments/?pagelen=100&page=3")
		const list, sort = "deployments/?pagelen=100", "&sort=-state.started_on"
		paths = append(paths, list+sort, list+sort, list+sort+"&page=2", list+sort+"&page=3") // The first page is read for both.
	}
	m.terraform.Write(t, m.Config(data))
	if err := os.Remove(filepath.Join(m.terraform.Dir, "terraform.tfstate")); err != nil {
		t.Fatal(err)
	}
	m.ForgetRequests()
	m.terraform.MustRun(t, "apply", "-auto-approve")
	var sent []string
	for _, request := range m.Requests() {
		sent = append(sent, strings.TrimPrefix(request.Path, m.parent.Named(owner).Path+"/")+"?"+request.Query)
	}
	slices.Sort(sent)
	slices.Sort(paths)
	if !slices.Equal(sent, paths) {
		t.Errorf("sent\n\t%s\nwant\n\t%s", strings.Join(sent, "\n\t"), strings.Join(paths, "\n\t"))
	}
	for name, value := range want {
		if got := m.terraform.Output(t, name); strings.TrimSpace(got) != value {
			t.Errorf("output %s is %s, want %s", name, got, value)
		}
	}
}
