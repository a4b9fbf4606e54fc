package emulator_test

import (
	"net/url"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	environments       = "/2.0/repositories/acme/sandbox/environments"
	environmentGone    = `{"type":"error","error":{"message":"Not found","detail":"No account, repository or environment with the UUID provided exists.","data":{"key":"deploy-service.environment.not-found","arguments":{}}}}`
	environmentTaken   = `{"type":"error","error":{"message":"Conflict","detail":"An environment host with the provided name already exists.","data":{"key":"deploy-service.environment.name-exists","arguments":{}}}}`
	productionPath     = environments + "/%7B00000000-0000-4000-8000-0000000000e1%7D"
	stagingUUID        = "{00000000-0000-4000-8000-0000000000e2}"
	validationError    = "deploy-service.request.validation-error"
	changeNotSupported = "deploy-service.environment.change-not-supported"
)

// environmentInvalid returns the error for an invalid field.
func environmentInvalid(key, field string) string {
	return `{"type":"error","error":{"message":"Bad request","detail":"Invalid field: ` + field + `","data":{"key":"` + key + `","arguments":{}}}}`
}

// productionEnvironment is the JSON of the environment Production EU of newEnvironmentServer.
const productionEnvironment = `{
	"type": "deployment_environment", "uuid": "` + production + `", "name": "Production EU", "slug": "production-eu", "rank": 2, "hidden": false,
	"category": {"name": "Production"},
	"environment_type": {"type": "deployment_environment_type", "name": "Production", "rank": 2},
	"deployment_gate_enabled": false, "environment_lock_enabled": true,
	"lock": {"type": "deployment_environment_lock_open", "name": "OPEN"},
	"restrictions": {"type": "deployment_restrictions_configuration", "admin_only": true}
}`

// newEnvironmentServer starts a server with two environments in acme/sandbox.
func newEnvironmentServer(t *testing.T) server {
	t.Helper()
	seed := acmeSeed()
	seed.Workspaces[0].Repositories[0].Environments = []emulator.Environment{
		{UUID: production, Name: "Production EU", Type: "Production", AdminOnly: true}, {UUID: stagingUUID, Name: "qa"},
	}
	return serve(t, seed)
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	s := newEnvironmentServer(t)
	for _, path := range []string{environments, environments + "/", "/2.0/repositories/%7B%7D/" + url.PathEscape(repositoryUUID) + "/environments/"} {
		s.send(t, "GET", path+"?pagelen=1", "").want(t, 200, `{"values":[`+productionEnvironment+`],"pagelen":1,"size":2,"page":1,"next":"`+s.url+path+`?pagelen=1&page=2"}`)
	}
	s.send(t, "GET", environments+"?fields=values.name,values.environment_type.name", "").want(t, 200,
		`{"values":[{"name":"Production EU","environment_type":{"name":"Production"}},{"name":"qa","environment_type":{"name":"Test"}}]}`)
	s.send(t, "GET", productionPath, "").want(t, 200, productionEnvironment)
	s.send(t, "GET", environments+"/%7Bnone%7D", "").want(t, 404, environmentGone)
	s.send(t, "GET", environments+"/"+production, "").want(t, 404, noRoute)
	s.send(t, "GET", "/2.0/repositories/acme/none/environments", "").want(t, 404, repositoryGone)
	for _, path := range []string{productionPath + "/", productionPath + "/variables", productionPath + "/changes/x", productionPath + "/changes//", environments + "//"} {
		s.send(t, "GET", path, "").want(t, 404, noRoute)
	}
	s.send(t, "PUT", environments, "").want(t, 405, wrongMethod)
	s.send(t, "PUT", productionPath, "").want(t, 405, wrongMethod)
	s.send(t, "GET", productionPath+"/changes/", "").want(t, 405, wrongMethod)
}

// The lists of environments and of deployments have the same switches.
func TestEnvironments_behavior(t *testing.T) {
	t.Parallel()
	s := newEnvironmentServer(t)
	const body = `{"name": "new", "environment_type": {"name": "Test"}}`
	s.SetDeployments(emulator.DeploymentBehavior{Slash: emulator.SlashRequired, NeverDeployed404: true})
	s.send(t, "GET", environments, "").want(t, 404, noRoute)
	s.send(t, "POST", environments, body).want(t, 404, noRoute)
	s.send(t, "GET", environments+"/?fields=size", "").want(t, 200, `{"size":2}`)
	s.send(t, "GET", "/2.0/repositories/acme/other/environments/", "").want(t, 404, environmentGone)
	s.SetDeployments(emulator.DeploymentBehavior{Slash: emulator.SlashRefused})
	s.send(t, "GET", environments+"/", "").want(t, 404, noRoute)
	s.send(t, "GET", "/2.0/repositories/acme/other/environments", "").want(t, 200, `{"values":[],"pagelen":10,"size":0,"page":1}`)
}

func TestEnvironments_create(t *testing.T) {
	t.Parallel()
	s := newEnvironmentServer(t)
	got := s.send(t, "POST", environments+"/", `{"type": "deployment_environment", "name": "Staging (2)", "environment_type": {"name": "Staging"}, "restrictions": {"admin_only": true}, "rank": 0}`)
	created := decode[struct {
		UUID, Name, Slug string
		Type             struct {
			Name string
			Rank int
		} `json:"environment_type"`
		Restrictions struct {
			AdminOnly bool `json:"admin_only"`
		}
	}](t, got.body)
	if got.status != 201 || created.UUID == "" || created.Name != "Staging (2)" || created.Slug != "staging-2" || created.Type.Name != "Staging" || created.Type.Rank != 1 || !created.Restrictions.AdminOnly {
		t.Errorf("got %d %s", got.status, got.body)
	}
	path := environments + "/" + url.PathEscape(created.UUID)
	if location := got.header.Get("Location"); location != s.url+path {
		t.Errorf("got Location %s, want %s", location, s.url+path)
	}
	s.send(t, "GET", path, "").want(t, 200, got.body)
	s.send(t, "GET", environments+"?fields=size", "").want(t, 200, `{"size":3}`)

	s.send(t, "POST", environments, `{"name": "PRODUCTION eu", "environment_type": {"name": "Test"}}`).want(t, 409, environmentTaken)
	for body, want := range map[string]string{
		`{"environment_type": {"name": "Test"}}`: environmentInvalid(validationError, "name"),
		``:                                       environmentInvalid(validationError, "name"),
		`{"name": "x"}`:                          environmentInvalid(validationError, "environment_type"),
		`{"name": "x", "environment_type": {"name": "test"}}`: environmentInvalid(validationError, "environment_type"),
		`{"name": 5}`: badRequest,
	} {
		s.send(t, "POST", environments, body).want(t, 400, want)
	}
	s.send(t, "GET", environments+"?fields=size", "").want(t, 200, `{"size":3}`)
}

func TestEnvironments_change(t *testing.T) {
	t.Parallel()
	s := newEnvironmentServer(t)
	s.AddDeployment("acme", "sandbox", emulator.Deployment{EnvironmentUUID: production, EnvironmentName: "old"})
	s.send(t, "POST", productionPath+"/changes/", `{"change": {"restrictions": {}}}`)
	s.send(t, "GET", productionPath, "").want(t, 200, productionEnvironment)
	for _, path := range []string{productionPath + "/changes/", productionPath + "/changes"} {
		if got := s.send(t, "POST", path, `{"change": {"name": "Live", "restrictions": {"admin_only": false}}}`); got.status != 202 || got.body != "" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
	s.send(t, "GET", productionPath+"?fields=name,slug,environment_type.name,restrictions.admin_only", "").want(t, 200,
		`{"name":"Live","slug":"live","environment_type":{"name":"Production"},"restrictions":{"admin_only":false}}`)
	s.send(t, "GET", deployments+"?fields=values.environment.name", "").want(t, 200, `{"values":[{"environment":{"name":"Live"}}]}`)

	s.send(t, "POST", productionPath+"/changes/", `{"change": {"name": "QA"}}`).want(t, 409, environmentTaken)
	for body, want := range map[string]string{
		``:                                     environmentInvalid(validationError, "change"),
		`{"name": "x"}`:                        environmentInvalid(validationError, "change"),
		`{"change": "x"}`:                      environmentInvalid(validationError, "change"),
		`{"change": {"name": 5}}`:              environmentInvalid(validationError, "name"),
		`{"change": {"name": ""}}`:             environmentInvalid(validationError, "name"),
		`{"change": {"restrictions": true}}`:   environmentInvalid(validationError, "restrictions"),
		`{"change": {"rank": 1, "name": "x"}}`: environmentInvalid(changeNotSupported, "rank"),
	} {
		s.send(t, "POST", productionPath+"/changes/", body).want(t, 400, want)
	}
	s.send(t, "POST", environments+"/%7Bnone%7D/changes/", `{"change": {"name": "x"}}`).want(t, 404, environmentGone)
	s.send(t, "GET", productionPath+"?fields=name", "").want(t, 200, `{"name":"Live"}`)
	if got := s.send(t, "POST", productionPath+"/changes/", `{"change": {"name": "LIVE"}}`); got.status != 202 {
		t.Errorf("got %d %s for the same name in another case", got.status, got.body)
	}
}

func TestSetEnvironments(t *testing.T) {
	t.Parallel()
	s := newEnvironmentServer(t)
	s.SetEnvironments("acme", "sandbox", emulator.Environment{UUID: stagingUUID, Name: "qa", Locked: true}, emulator.Environment{Name: "qa", Type: "Staging"})
	s.send(t, "GET", environments+"?fields=values.name,values.lock.name,values.lock.type,values.rank", "").want(t, 200, `{"values":[
		{"name":"qa","rank":0,"lock":{"type":"deployment_environment_lock_locked","name":"LOCKED"}},
		{"name":"qa","rank":1,"lock":{"type":"deployment_environment_lock_open","name":"OPEN"}}]}`)
	s.SetEnvironments("acme", "sandbox")
	s.send(t, "GET", environments, "").want(t, 200, `{"values":[],"pagelen":10,"size":0,"page":1}`)
}

func TestEnvironments_delete(t *testing.T) {
	t.Parallel()
	s := newEnvironmentServer(t)
	if got := s.send(t, "DELETE", productionPath, ""); got.status != 204 || got.body != "" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.send(t, "DELETE", productionPath, "").want(t, 404, environmentGone)
	s.send(t, "GET", environments+"?fields=values.name", "").want(t, 200, `{"values":[{"name":"qa"}]}`)
}

func TestEnvironments_access(t *testing.T) {
	t.Parallel()
	s := newEnvironmentServer(t)
	s.AllowBearer("read", "read:pipeline:bitbucket")
	s.AllowBearer("admin", "admin:pipeline:bitbucket")
	s.AllowBearer("oauth", "pipeline")
	s.AllowAccessToken("access")
	const body = `{"name": "x", "environment_type": {"name": "Test"}}`
	for method, path := range map[string]string{"POST": environments, "DELETE": productionPath} {
		s.sendAs(t, "Bearer read", method, path, body).want(t, 403, scopesMissing([]string{"admin:pipeline:bitbucket"}, []string{"read:pipeline:bitbucket"}))
	}
	s.sendAs(t, "Bearer admin", "GET", environments, "").want(t, 403, scopesMissing([]string{"read:pipeline:bitbucket"}, []string{"admin:pipeline:bitbucket"}))
	s.SetPermission("acme", "sandbox", emulator.PermissionRead)
	for token, want := range map[string]int{"read": 200, "oauth": 200, "access": 200} {
		if got := s.sendAs(t, "Bearer "+token, "GET", environments, ""); got.status != want {
			t.Errorf("%s: got %d %s, want %d", token, got.status, got.body, want)
		}
	}
	s.sendAs(t, "Bearer admin", "POST", environments, body).want(t, 403, forbidden)
	s.SetPermission("acme", "sandbox", emulator.PermissionAdmin)
	for token, name := range map[string]string{"admin": "a", "oauth": "b", "access": "c"} {
		if got := s.sendAs(t, "Bearer "+token, "POST", environments, `{"name": "`+name+`", "environment_type": {"name": "Test"}}`); got.status != 201 {
			t.Errorf("%s: got %d %s, want 201", token, got.status, got.body)
		}
	}
}
