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
	if stored := s.DeployKeys("acme", "sandbox"); len(stored) != 1 || stored[0].Label != "edited" || stored[0].ID != 20000000 {
		t.Errorf("stored %+v", stored)
	}
	s.RenameRepository("acme", "sandbox", "Renamed")
	s.send(t, "GET", keys, "").want(t, 404, repositoryGone)
	got := s.send(t, "GET", "/2.0/repositories/acme/%7B00000000-0000-4000-8000-000000000001%7D/deploy-keys/20000000", "")
	if got.status != 200 || !strings.Contains(got.body, `"full_name":"acme/renamed"`) {
		t.Errorf("the key in the renamed repository: got %d %s", got.status, got.body)
	}
	s.RemoveRepository("acme", "renamed")
	s.send(t, "GET", "/2.0/repositories/acme/renamed/deploy-keys", "").want(t, 404, repositoryGone)
	if got := s.send(t, "GET", "/2.0/repositories/acme/other/deploy-keys", ""); got.status != 200 {
		t.Errorf("the other repository got %d, want 200", got.status)
	}
	if got := len(s.Requests()); got != 4 {
		t.Errorf("the request log has %d requests, want 4", got)
	}
}

func TestOutOfBandChanges_projects(t *testing.T) {
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
		t.Errorf("the next ID is %d, want 20000001", next.ID)
	}
	s.RenameProject("acme", "WEB", "SITE")
	s.send(t, "GET", projectKeys, "").want(t, 404, projectGone)
	renamed := decode[struct {
		Label   string
		Project struct{ Key, Name, UUID string }
	}](t, s.send(t, "GET", projects+"/SITE/deploy-keys/20000000", "").body)
	if project := renamed.Project; renamed.Label != "edited" || project.Key != "SITE" || project.Name != "Web Site" || project.UUID != projectUUID {
		t.Errorf("got %+v", renamed)
	}
	s.send(t, "GET", repositories+"?q=project.key%3D%22SITE%22&fields=values.slug", "").want(t, 200, `{"values":[{"slug":"shop"}]}`)

	s.RemoveRepository("acme", "shop")
	s.RemoveProject("acme", "SITE")
	s.send(t, "GET", projects+"/SITE/deploy-keys", "").want(t, 404, projectGone)
	s.send(t, "GET", projects+"?fields=values.key", "").want(t, 200, `{"values":[{"key":"PROJ"}]}`)
}

// A moved repository joins a project with the same key. The deploy keys of the old
// project stay in the old workspace.
func TestMoveRepository(t *testing.T) {
	t.Parallel()
	s := serve(t, emulator.Seed{Workspaces: []emulator.Workspace{
		{Slug: "acme", Repositories: []emulator.Repository{{Slug: "shop", Project: "WEB"}}}, {Slug: "other"},
	}})
	s.AddProjectDeployKey("acme", "WEB", publicKey(1), "")
	s.MoveRepository("acme", "shop", "other")
	s.send(t, "GET", "/2.0/repositories/other?fields=values.project.key", "").want(t, 200, `{"values":[{"project":{"key":"WEB"}}]}`)
	if before, after := s.ProjectDeployKeys("acme", "WEB"), s.ProjectDeployKeys("other", "WEB"); len(before) != 1 || len(after) != 0 {
		t.Errorf("acme/WEB has keys %+v, and other/WEB has keys %+v", before, after)
	}
}

func TestOutOfBandChanges_panic(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, mistake := range map[string]func(){
		"repository":     func() { s.DeployKeys("acme", "nothing") },
		"workspace":      func() { s.RemoveRepository("nobody", "sandbox") },
		"key":            func() { s.RemoveDeployKey("acme", "sandbox", 1) },
		"project":        func() { s.ProjectDeployKeys("acme", "proj") },
		"project in use": func() { s.RemoveProject("acme", "PROJ") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("the method did not panic")
				}
				s.DeployKeys("acme", "sandbox") // This blocks if the panic left the mutex locked.
			}()
			mistake()
		})
	}
}
