package emulator_test

import (
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	projectUUID = "{00000000-0000-4000-8000-0000000000bb}"
	projects    = "/2.0/workspaces/acme/projects"
	projectKeys = projects + "/WEB/deploy-keys"

	projectGone     = `{"type":"error","error":{"message":"Project not found"}}`
	projectKeyTaken = `{"key":[{"message":"Someone has already added that access key to this project."}]}`
	forbidden       = `{"type":"error","error":{"message":"Forbidden"}}`
)

// newProjectServer is newServer with the additional project acme/WEB. The project has
// the given deploy keys.
func newProjectServer(t *testing.T, deployKeys ...emulator.DeployKey) server {
	t.Helper()
	s := newServer(t)
	s.AddProject("acme", emulator.Project{Key: "WEB", Name: "Web Site", UUID: projectUUID, DeployKeys: deployKeys})
	return s
}

// webProject returns the JSON of the project acme/WEB.
func webProject(s server) string {
	return `{"type": "project", "key": "WEB", "name": "Web Site", "uuid": "` + projectUUID + `",
		"links": {"self": {"href": "` + s.url + `/2.0/workspaces/acme/projects/WEB"}}}`
}

func TestProjects(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	s.AddRepository("acme", emulator.Repository{Slug: "shop", Project: "WEB"})
	s.AddRepository("acme", emulator.Repository{Slug: "api", Project: "API_2"})
	s.send(t, "GET", projects+"?pagelen=1&page=2", "").want(t, 200,
		`{"values":[`+webProject(s)+`],"pagelen":1,"size":3,"page":2,"next":"`+s.url+projects+`?pagelen=1&page=3"}`)
	for query, want := range map[string]string{
		"?fields=values.key,values.name,values.type": `{"values":[{"key":"PROJ","name":"PROJ","type":"project"},
			{"key":"WEB","name":"Web Site","type":"project"},{"key":"API_2","name":"API_2","type":"project"}]}`,
		"?fields=next,values.key&pagelen=2": `{"next":"` + s.url + projects + `?fields=next%2Cvalues.key&pagelen=2&page=2","values":[{"key":"PROJ"},{"key":"WEB"}]}`,
	} {
		s.send(t, "GET", projects+query, "").want(t, 200, want)
	}
	s.send(t, "GET", projects+"?pagelen=101", "").want(t, 400, `{"type":"error","error":{"message":"Invalid pagelen"}}`)

	// A repository contains the same JSON of its project.
	s.send(t, "GET", repositories+"?q=project.key%3D%22WEB%22&fields=values.slug,values.project", "").want(t, 200,
		`{"values":[{"slug":"shop","project":`+webProject(s)+`}]}`)
}
