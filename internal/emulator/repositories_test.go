package emulator_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const repositories = "/2.0/repositories/acme"

func TestRepositories(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddRepository("acme", emulator.Repository{Slug: "Web-Site", Project: "WEB"})
	for _, workspace := range []string{"acme", "ACME", "acme/", strings.NewReplacer("{", "%7B", "}", "%7D").Replace(workspaceUUID)} {
		got := decode[struct {
			Size   int
			Values []struct {
				Type, Slug, Name, UUID string
				FullName               string `json:"full_name"`
				Project                struct{ Key string }
			}
		}](t, s.send(t, "GET", "/2.0/repositories/"+workspace, "").body)
		if len(got.Values) != 3 || got.Size != 3 || got.Values[0].UUID != repositoryUUID || got.Values[0].Project.Key != "PROJ" {
			t.Fatalf("%s: got %+v", workspace, got)
		}
		last := got.Values[2]
		if last.Type != "repository" || last.Slug != "web-site" || last.Name != "Web-Site" || last.FullName != "acme/web-site" || last.Project.Key != "WEB" {
			t.Errorf("%s: got %+v", workspace, last)
		}
	}
	s.send(t, "GET", "/2.0/repositories/nobody", "").want(t, 404, `{"type":"error","error":{"message":"No workspace with identifier 'nobody'."}}`)
	s.send(t, "POST", repositories, "{}").want(t, 405, wrongMethod)
	s.send(t, "GET", "/2.0/repositories/", "").want(t, 404, `{"type":"error","error":{"message":"No workspace with identifier ''."}}`)
}

func TestRepositories_query(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddRepository("acme", emulator.Repository{Slug: "website", UUID: "{w}", Project: "WEB"})
	s.AddRepository("acme", emulator.Repository{Slug: "shop", UUID: "{s}", Project: "WEB"})
	for query, want := range map[string]string{
		"fields=values.project.key,values.slug&q=project.key%3D%22WEB%22": `{"values":[{"project":{"key":"WEB"},"slug":"website"},{"project":{"key":"WEB"},"slug":"shop"}]}`,
		"fields=values.uuid&q=project.key+%3D+%22web%22":                  `{"values":[]}`,
		"fields=next,values.slug&q=project.key%3D%22WEB%22&pagelen=1":     `{"next":"` + s.url + repositories + `?fields=next%2Cvalues.slug&pagelen=1&q=project.key%3D%22WEB%22&page=2","values":[{"slug":"website"}]}`,
	} {
		s.send(t, "GET", repositories+"?"+query, "").want(t, 200, want)
	}
	s.send(t, "GET", repositories+"?q=name%3D%22x%22", "").want(t, 400, `{"type":"error","error":{"message":"Field \"name\" does not support filtering"}}`)
	s.send(t, "GET", repositories+"?q=project.key", "").want(t, 400, badRequest)
	s.send(t, "GET", repositories+"?pagelen=101", "").want(t, 400, `{"type":"error","error":{"message":"Invalid pagelen"}}`)
}

// Each repository has its own permission. Scopes apply to all repositories.
func TestRepositories_access(t *testing.T) {
	t.Parallel()
	s := newServer(t, emulator.DeployKey{ID: 1, Key: publicKey(1)})
	s.SetPermission("acme", "sandbox", emulator.PermissionRead)
	s.send(t, "GET", repositories+"?fields=values.slug", "").want(t, 200, `{"values":[{"slug":"sandbox"},{"slug":"other"}]}`)
	s.send(t, "GET", keys, "").want(t, 403, forbidden)
	s.send(t, "POST", keys, input(t, publicKey(2), "")).want(t, 403, forbidden)
	s.send(t, "DELETE", keys+"/1", "").want(t, 403, forbidden)
	s.send(t, "GET", repositories+"/other/deploy-keys?pagelen=10", "").want(t, 200, `{"values":[],"pagelen":10,"size":0,"page":1}`)
	s.SetPermission("acme", "sandbox", emulator.PermissionAdmin)
	if got := s.send(t, "GET", keys, ""); got.status != 200 {
		t.Errorf("got status %d with PermissionAdmin, want 200", got.status)
	}

	s.AllowBearer("admin", "admin:repository:bitbucket")
	s.AllowBearer("both", "admin:repository:bitbucket", "read:repository:bitbucket")
	s.AllowBearer("oauth", "repository")
	for token, want := range map[string]int{"admin": 403, "both": 200, "oauth": 200} {
		if got := s.sendAs(t, "Bearer "+token, "GET", repositories, ""); got.status != want {
			t.Errorf("%s: got %d %s, want %d", token, got.status, got.body, want)
		}
	}
}

func TestRepository(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SetPermission("acme", "sandbox", emulator.PermissionRead)
	for _, path := range []string{"acme/sandbox", "ACME/Sandbox", url.PathEscape(workspaceUUID) + "/" + url.PathEscape(repositoryUUID), "%7B%7D/" + url.PathEscape(repositoryUUID)} {
		s.send(t, "GET", "/2.0/repositories/"+path+"?fields=uuid,slug,project.key", "").want(t, 200, fmt.Sprintf(`{"uuid":%q,"slug":"sandbox","project":{"key":"PROJ"}}`, repositoryUUID))
	}
	s.send(t, "GET", repositories+"/none", "").want(t, 404, repositoryGone)
	s.send(t, "GET", "/2.0/repositories/nobody/none", "").want(t, 404, `{"type":"error","error":{"message":"No workspace with identifier 'nobody'."}}`)
	s.send(t, "DELETE", repositories+"/sandbox", "").want(t, 405, wrongMethod)
	s.send(t, "GET", "/2.0/repositories//sandbox", "").want(t, 404, noRoute)
	s.send(t, "GET", repositories+"/sandbox/", "").want(t, 404, noRoute)
	s.AllowBearer("pipeline", "read:pipeline:bitbucket")
	if got := s.sendAs(t, "Bearer pipeline", "GET", repositories+"/sandbox", ""); got.status != 403 || !strings.Contains(got.body, "read:repository:bitbucket") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
