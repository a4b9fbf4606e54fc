package emulator_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestNewCompletesTheSeed(t *testing.T) {
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
	held := repository.DeployKeys
	if held[0].ID != 5 || held[1].ID != 20000000 || held[2].ID != 20000001 || held[1].Comment != "mine" ||
		held[2].Key != publicKey(1) || held[2].Comment != "me@host" ||
		held[2].CreatedOn != "2013-12-10T14:44:13+00:00" || held[0].CreatedOn == "" {
		t.Errorf("got %+v", held)
	}
	if len(workspace.Projects) != 2 {
		t.Fatalf("got %+v", workspace.Projects)
	}
	project, made := workspace.Projects[0], workspace.Projects[1]
	held = project.DeployKeys
	if project.Key != "WEB" || project.Name != "WEB" || project.UUID != "{w}" || project.Permission != emulator.PermissionRead ||
		held[0].ID != 7 || held[0].CreatedOn != "2013-12-10T14:44:13+00:00" ||
		held[1].ID != 20000002 || held[1].Key != publicKey(1) || held[1].Comment != "me@host" || held[1].CreatedOn == "" {
		t.Errorf("got %+v", project)
	}
	if made.Key != "PROJ" || made.Name != "PROJ" || !uuid.MatchString(made.UUID) || made.Permission != emulator.PermissionAdmin {
		t.Errorf("got %+v", made)
	}
	if next := bitbucket.AddDeployKey("acme", repository.UUID, publicKey(4), ""); next.ID != 20000003 {
		t.Errorf("the next id is %d", next.ID)
	}
}

func TestCopiesAreDeep(t *testing.T) {
	t.Parallel()
	used, want := "2026-09-30T13:07:33+00:00", "2026-09-30T13:07:33+00:00"
	key := emulator.DeployKey{ID: 1, Key: publicKey(1), Label: "ci", LastUsed: &used}
	s := newServer(t, key)
	s.AddProject("acme", emulator.Project{Key: "WEB", DeployKeys: []emulator.DeployKey{key}})
	used = "changed"
	for _, held := range [][]emulator.DeployKey{
		s.DeployKeys("acme", "sandbox"), s.Seed().Workspaces[0].Repositories[0].DeployKeys,
		s.ProjectDeployKeys("acme", "WEB"), s.Seed().Workspaces[0].Projects[1].DeployKeys,
	} {
		if *held[0].LastUsed != want || held[0].Label != "ci" {
			t.Errorf("got %+v", held[0])
		}
		*held[0].LastUsed, held[0].Label = "changed", "changed"
	}
	for _, path := range []string{keys, projectKeys} {
		if got := decode[map[string]any](t, s.send(t, "GET", path+"/1", "").body); got["last_used"] != want || got["label"] != "ci" {
			t.Errorf("got %v", got)
		}
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
		if held := s.Seed(); !reflect.DeepEqual(saved, held) {
			t.Errorf("after %s: saved %+v, holds %+v", after, saved, held)
		}
		if again := emulator.New(saved).Seed(); !reflect.DeepEqual(again, saved) {
			t.Errorf("after %s: read as %+v", after, again)
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
	if err := s.Err(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(directory); err != nil || len(entries) != 1 {
		t.Errorf("temporary files are left: %v, %v", entries, err)
	}
}

func TestSavingFails(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SaveTo(filepath.Join(t.TempDir(), "missing", "state.json"))
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v", err)
	}
	directory := t.TempDir() // Nothing can be renamed to a directory.
	s = newServer(t)
	s.SaveTo(directory)
	if s.Err() == nil {
		t.Error("a directory was overwritten")
	}
}

func TestReadSeedRefuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seed.json")
	for _, content := range []string{"", "[]", `{"workspace": []}`, `{"workspaces": [{"slug": 1}]}`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if seed, err := emulator.ReadSeed(path); err == nil || !strings.Contains(err.Error(), "seed.json") {
			t.Errorf("%q: %+v, %v", content, seed, err)
		}
	}
}
