package emulator_test

import (
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestOutOfBandChanges(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.AddDeployKey("ACME", "Sandbox", publicKey(1)+" me@host", "ci")
	second := s.AddDeployKey(workspaceUUID, repositoryUUID, publicKey(1), "a duplicate")
	if first.Comment != "me@host" || first.Key != second.Key || second.ID != first.ID+1 {
		t.Errorf("got %+v and %+v", first, second)
	}
	s.EditDeployKey("{}", repositoryUUID, first.ID, func(key *emulator.DeployKey) { key.Label, key.ID = "edited", 20000000 })
	s.RemoveDeployKey("acme", "sandbox", second.ID)
	if held := s.DeployKeys("acme", "sandbox"); len(held) != 1 || held[0].Label != "edited" || held[0].ID != 20000000 {
		t.Errorf("holds %+v", held)
	}
	s.RenameRepository("acme", "sandbox", "Renamed")
	s.send(t, "GET", keys, "").want(t, 404, repositoryGone)
	got := s.send(t, "GET", "/2.0/repositories/acme/%7B00000000-0000-4000-8000-000000000001%7D/deploy-keys/20000000", "")
	if got.status != 200 || !strings.Contains(got.body, `"full_name":"acme/renamed"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	s.RemoveRepository("acme", "renamed")
	s.send(t, "GET", "/2.0/repositories/acme/renamed/deploy-keys", "").want(t, 404, repositoryGone)
	if got := s.send(t, "GET", "/2.0/repositories/acme/other/deploy-keys", ""); got.status != 200 {
		t.Errorf("the other repository is gone as well: %d", got.status)
	}
	if got := len(s.Requests()); got != 4 {
		t.Errorf("%d requests were logged", got)
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

func TestOutOfBandMistakesPanic(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, mistake := range map[string]func(){
		"repository": func() { s.DeployKeys("acme", "nothing") },
		"workspace":  func() { s.RemoveRepository("nobody", "sandbox") },
		"key":        func() { s.RemoveDeployKey("acme", "sandbox", 1) },
		"project":    func() { s.ProjectDeployKeys("acme", "proj") },
		"in use":     func() { s.RemoveProject("acme", "PROJ") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
				s.DeployKeys("acme", "sandbox") // The emulator is still usable.
			}()
			mistake()
		})
	}
}
