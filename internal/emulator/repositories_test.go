package emulator_test

import (
	"fmt"
	"slices"
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
		"fields=values.slug": `{"values":[{"slug":"sandbox"},{"slug":"other"},{"slug":"website"},{"slug":"shop"}]}`,
		"fields=size,next":   `{"size":4}`,
		"fields=values.project.key,values.slug&q=project.key%3D%22WEB%22": `{"values":[{"project":{"key":"WEB"},"slug":"website"},{"project":{"key":"WEB"},"slug":"shop"}]}`,
		"fields=nothing": `{}`,
		"fields=values.uuid&q=project.key+%3D+%22web%22":              `{"values":[]}`,
		"fields=next,values.slug&q=project.key%3D%22WEB%22&pagelen=1": `{"next":"` + s.url + repositories + `?fields=next%2Cvalues.slug&pagelen=1&q=project.key%3D%22WEB%22&page=2","values":[{"slug":"website"}]}`,
	} {
		s.send(t, "GET", repositories+"?"+query, "").want(t, 200, want)
	}
	s.send(t, "GET", repositories+"?q=name%3D%22x%22", "").want(t, 400, `{"type":"error","error":{"message":"Field \"name\" does not support filtering"}}`)
	s.send(t, "GET", repositories+"?q=project.key", "").want(t, 400, badRequest)
	s.send(t, "GET", repositories+"?pagelen=101", "").want(t, 400, `{"type":"error","error":{"message":"Invalid pagelen"}}`)
}

func TestRepositories_pages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	want := []string{"sandbox", "other"}
	for i := range 210 {
		want = append(want, fmt.Sprintf("r-%d", i))
		s.AddRepository("acme", emulator.Repository{Slug: want[len(want)-1]})
	}
	var got, queries []string
	for next := repositories + "?pagelen=100"; next != ""; {
		list := decode[struct {
			Next   string
			Values []struct{ Slug string }
		}](t, s.send(t, "GET", next, "").body)
		for _, repository := range list.Values {
			got = append(got, repository.Slug)
		}
		next = strings.TrimPrefix(list.Next, s.url)
		queries = append(queries, next)
	}
	if !slices.Equal(got, want) || !slices.Equal(queries, []string{repositories + "?pagelen=100&page=2", repositories + "?pagelen=100&page=3", ""}) {
		t.Errorf("got %v by %v", got, queries)
	}
}

// What the credentials may do differs from repository to repository, what their
// scopes allow does not.
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
		t.Errorf("got %d", got.status)
	}

	s.AllowBearer("admin", "admin:repository:bitbucket")
	s.AllowBearer("both", "admin:repository:bitbucket", "read:repository:bitbucket")
	s.AllowBearer("oauth", "repository")
	for token, want := range map[string]int{"admin": 403, "both": 200, "oauth": 200} {
		if got := s.sendAs(t, "Bearer "+token, "GET", repositories, ""); got.status != want {
			t.Errorf("%s: got %d %s", token, got.status, got.body)
		}
	}
}
