package emulator_test

import (
	"net/url"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// Only a GET with the former slug of a repository is redirected.
func TestRenameRedirect(t *testing.T) {
	t.Parallel()
	s := serve(t, emulator.Seed{Workspaces: []emulator.Workspace{
		{Slug: "acme", UUID: workspaceUUID, Repositories: []emulator.Repository{{Slug: "sandbox", UUID: repositoryUUID}}}, {Slug: "other"},
	}})
	redirected := func(path, want string) {
		t.Helper()
		got := s.send(t, "GET", path, "")
		if location := got.header.Get("Location"); got.status != 301 || location != s.url+want || got.body != "" {
			t.Errorf("%s: got %d %s, Location %q, want %q", path, got.status, got.body, location, s.url+want)
		}
	}
	s.send(t, "PUT", repositories+"/sandbox", `{"name": "Play Ground"}`)
	s.send(t, "GET", repositories+"/sandbox", "").want(t, 404, repositoryGone)

	s.SetRename(emulator.RenameRedirect)
	redirected(repositories+"/Sandbox", repositories+"/play-ground")
	redirected("/2.0/repositories/"+url.PathEscape(workspaceUUID)+"/sandbox/deploy-keys/1", repositories+"/play-ground/deploy-keys/1")
	redirected(deployments+"/?pagelen=1&page=%32", repositories+"/play-ground/deployments/?pagelen=1&page=%32")
	redirected(environments+"/", repositories+"/play-ground/environments/")
	for method, path := range map[string]string{"DELETE": repositories + "/sandbox", "POST": keys} {
		s.send(t, method, path, input(t, publicKey(1), "")).want(t, 404, repositoryGone)
	}
	s.send(t, "GET", repositories+"/none", "").want(t, 404, repositoryGone)
	s.send(t, "GET", "/2.0/repositories/other/sandbox", "").want(t, 404, repositoryGone)

	// Each former name leads to the present name, also after a move.
	s.RenameRepository("acme", "play-ground", "garden")
	s.MoveRepository("acme", "garden", "other")
	for _, former := range []string{"sandbox", "play-ground", "garden"} {
		redirected(repositories+"/"+former, "/2.0/repositories/other/garden")
	}

	// A new repository with a former name ends the redirect.
	s.send(t, "POST", repositories+"/sandbox", "")
	s.send(t, "GET", repositories+"/sandbox?fields=full_name", "").want(t, 200, `{"full_name":"acme/sandbox"}`)
	s.SetRename(emulator.RenameNotFound)
	s.send(t, "GET", repositories+"/garden", "").want(t, 404, repositoryGone)
}
