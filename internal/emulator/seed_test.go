package emulator_test

import (
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestSeed_defaults(t *testing.T) {
	t.Parallel()
	seed := emulator.Seed{Workspaces: []emulator.Workspace{{Slug: "Acme", Repositories: []emulator.Repository{{
		Slug: "Sandbox",
		DeployKeys: []emulator.DeployKey{
			{Key: publicKey(1) + " me@host", CreatedOn: "2013-12-10T14:44:13+00:00"},
			{Key: publicKey(2), Comment: "mine", ID: 20000000},
			{Key: publicKey(3), ID: 5},
		},
	}, {
		Slug: "shop", Project: "WEB",
	}}, Projects: []emulator.Project{{Key: "WEB", UUID: "{w}", Permission: emulator.PermissionRead, DeployKeys: []emulator.DeployKey{
		{Key: publicKey(1) + " me@host"}, {Key: publicKey(2), ID: 7, CreatedOn: "2013-12-10T14:44:13+00:00"},
	}}}}}}
	bitbucket := emulator.New(seed)
	if seed.Workspaces[0].Slug != "Acme" || seed.Workspaces[0].Repositories[0].DeployKeys[0].ID != 0 {
		t.Errorf("the caller's seed was changed: %+v", seed)
	}
	workspace := bitbucket.Seed().Workspaces[0]
	repository := workspace.Repositories[0]
	uuid := regexp.MustCompile(`^\{[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\}$`)
	if workspace.Slug != "acme" || repository.Slug != "sandbox" || repository.Name != "Sandbox" ||
		!uuid.MatchString(workspace.UUID) || !uuid.MatchString(repository.UUID) || workspace.UUID == repository.UUID {
		t.Errorf("got %+v", workspace)
	}
	stored := repository.DeployKeys
	if stored[0].ID != 5 || stored[1].ID != 20000000 || stored[2].ID != 20000001 || stored[1].Comment != "mine" ||
		stored[2].Key != publicKey(1) || stored[2].Comment != "me@host" ||
		stored[2].CreatedOn != "2013-12-10T14:44:13+00:00" || stored[0].CreatedOn == "" {
		t.Errorf("got %+v", stored)
	}
	if len(workspace.Projects) != 2 {
		t.Fatalf("got %+v", workspace.Projects)
	}
	project, added := workspace.Projects[0], workspace.Projects[1]
	stored = project.DeployKeys
	if project.Key != "WEB" || project.Name != "WEB" || project.UUID != "{w}" || project.Permission != emulator.PermissionRead ||
		stored[0].ID != 7 || stored[0].CreatedOn != "2013-12-10T14:44:13+00:00" ||
		stored[1].ID != 20000002 || stored[1].Key != publicKey(1) || stored[1].Comment != "me@host" || stored[1].CreatedOn == "" {
		t.Errorf("got %+v", project)
	}
	if added.Key != "PROJ" || added.Name != "PROJ" || !uuid.MatchString(added.UUID) || added.Permission != emulator.PermissionAdmin {
		t.Errorf("got %+v", added)
	}
	if next := bitbucket.AddDeployKey("acme", repository.UUID, publicKey(4), ""); next.ID != 20000003 {
		t.Errorf("the next ID is %d, want 20000003", next.ID)
	}
}

func TestSeed_deepCopies(t *testing.T) {
	t.Parallel()
	used, want := "2026-09-30T13:07:33+00:00", "2026-09-30T13:07:33+00:00"
	key := emulator.DeployKey{ID: 1, Key: publicKey(1), Label: "ci", LastUsed: &used}
	s := newServer(t, key)
	s.AddProject("acme", emulator.Project{Key: "WEB", DeployKeys: []emulator.DeployKey{key}})
	used = "changed"
	for _, stored := range [][]emulator.DeployKey{
		s.DeployKeys("acme", "sandbox"), s.Seed().Workspaces[0].Repositories[0].DeployKeys,
		s.ProjectDeployKeys("acme", "WEB"), s.Seed().Workspaces[0].Projects[1].DeployKeys,
	} {
		if *stored[0].LastUsed != want || stored[0].Label != "ci" {
			t.Errorf("got %+v", stored[0])
		}
		*stored[0].LastUsed, stored[0].Label = "changed", "changed"
	}
	for _, path := range []string{keys, projectKeys} {
		if got := decode[map[string]any](t, s.send(t, "GET", path+"/1", "").body); got["last_used"] != want || got["label"] != "ci" {
			t.Errorf("got %v", got)
		}
	}
}

// The emulator sets the defaults of repositories, projects and environments in its own copy
// of a seed.
func TestSeed_ownCopy(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	given := emulator.Repository{Slug: "seeded", Environments: []emulator.Environment{{Name: "qa"}}, FormerNames: []string{"acme/former"}}
	s.AddRepository("acme", given)
	if given.Environments[0] != (emulator.Environment{Name: "qa"}) {
		t.Errorf("the caller's environments were changed: %+v", given.Environments)
	}
	workspace := s.Seed().Workspaces[0]
	stored, now := workspace.Repositories[2], "2026-09-30T13:07:33.924449+00:00"
	if qa := stored.Environments[0]; qa.Type != "Test" || !strings.HasPrefix(qa.UUID, "{") || workspace.Projects[0].CreatedOn == "" || stored.CreatedOn != now {
		t.Errorf("got %+v of %+v", stored, workspace.Projects)
	}
	stored.Environments[0].Name, stored.FormerNames[0] = "changed", "changed"
	if again := s.Seed().Workspaces[0].Repositories[2]; again.Environments[0].Name != "qa" || again.FormerNames[0] != "acme/former" {
		t.Errorf("got %+v", again)
	}
}

func TestStateFile(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, "state.json")
	s := newServer(t)
	s.SaveTo(path)
	check := func(after string) {
		t.Helper()
		saved, err := emulator.ReadSeed(path)
		if err != nil {
			t.Fatal(err)
		}
		if state := s.Seed(); !reflect.DeepEqual(saved, state) {
			t.Errorf("after %s: the file has %+v, the emulator has %+v", after, saved, state)
		}
		if again := emulator.New(saved).Seed(); !reflect.DeepEqual(again, saved) {
			t.Errorf("after %s: an emulator that starts from the file has %+v", after, again)
		}
	}
	check("SaveTo")
	s.send(t, "POST", keys, input(t, publicKey(1)+" me@host", "<ci> & more"))
	check("POST")
	s.send(t, "PUT", keys+"/10958984", input(t, publicKey(1), "new"))
	check("PUT")
	used := "2026-09-30T13:07:33+00:00"
	s.EditDeployKey("acme", "sandbox", 10958984, func(key *emulator.DeployKey) { key.LastUsed = &used })
	check("EditDeployKey")
	s.AddDeployKey("acme", "other", publicKey(1), "")
	check("AddDeployKey")
	s.send(t, "DELETE", keys+"/10958984", "")
	check("DELETE")
	s.AddDeployment("acme", "other", emulator.Deployment{State: "UNDEPLOYED"})
	check("AddDeployment")
	s.RenameRepository("acme", "other", "another")
	check("RenameRepository")
	s.send(t, "PUT", repositories+"/another", `{"is_private": false}`)
	check("PUT of a repository")
	s.send(t, "POST", "/2.0/repositories/acme/another/environments", `{"name": "qa", "environment_type": {"name": "Test"}}`)
	check("POST of an environment")
	qa := "/2.0/repositories/acme/another/environments/" + url.PathEscape(s.Seed().Workspaces[0].Repositories[1].Environments[0].UUID)
	s.send(t, "POST", qa+"/changes/", `{"change": {"name": "test"}}`)
	check("POST of a change")
	s.send(t, "DELETE", qa, "")
	check("DELETE of an environment")
	s.send(t, "POST", repositories+"/new", "")
	check("POST of a repository")
	s.send(t, "DELETE", repositories+"/new", "")
	check("DELETE of a repository")
	s.RemoveDeployKey("acme", "another", 10958985)
	check("RemoveDeployKey")
	s.RemoveRepository("acme", "sandbox")
	check("RemoveRepository")
	s.AddProject("acme", emulator.Project{Key: "WEB"})
	check("AddProject")
	s.send(t, "POST", projectKeys, input(t, publicKey(1), "ci"))
	check("POST to a project")
	s.SetProjectPermission("acme", "WEB", emulator.PermissionRead)
	check("SetProjectPermission")
	s.RenameProject("acme", "PROJ", "SITE")
	check("RenameProject")
	s.RemoveProject("acme", "WEB")
	check("RemoveProject")
	s.send(t, "POST", projects, `{"key": "NEW", "name": "New"}`)
	check("POST of a project")
	s.send(t, "PUT", projects+"/NEW", `{"key": "NEWER"}`)
	check("PUT of a project")
	s.send(t, "DELETE", projects+"/NEWER", "")
	check("DELETE of a project")
	if err := s.Err(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(directory); err != nil || len(entries) != 1 {
		t.Errorf("the directory has other files than the state file: %v, %v", entries, err)
	}
}

func TestStateFile_errors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SaveTo(filepath.Join(t.TempDir(), "missing", "state.json"))
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v", err)
	}
	directory := t.TempDir() // A file cannot be renamed to a directory.
	s = newServer(t)
	s.SaveTo(directory)
	if s.Err() == nil {
		t.Error("SaveTo(directory) reported no error")
	}
}

func TestReadSeed_invalid(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seed.json")
	for _, content := range []string{"", "[]", `{"workspace": []}`, `{"workspaces": [{"slug": 1}]}`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if seed, err := emulator.ReadSeed(path); err == nil || !strings.Contains(err.Error(), "seed.json") {
			t.Errorf("ReadSeed(%q) returned %+v, %v", content, seed, err)
		}
	}
}
