package emulator_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	deployments       = "/2.0/repositories/acme/sandbox/deployments"
	production        = "{00000000-0000-4000-8000-0000000000e1}"
	deploymentUnknown = `{"type":"error","error":{"message":"Not found","detail":"No account, repository or deployment with the UUID provided exists.","data":{"key":"deploy-service.deployment.not-found","arguments":{}}}}`
	sortRefused       = `{"message":"Invalid sort attribute provided"}`
)

// newDeploymentServer starts a server with three deployments in acme/sandbox. The last
// deployment has not started.
func newDeploymentServer(t *testing.T) server {
	t.Helper()
	s := newServer(t)
	s.AddDeployment("acme", "sandbox", emulator.Deployment{
		UUID: "{d1}", Key: "first", EnvironmentUUID: production, EnvironmentName: "Production",
		ReleaseName: "#1", ReleaseURL: "https://example.com/1", Commit: "deadbeef", Deployer: "Ada Lovelace", DeployerUUID: "{a1}",
		CreatedOn: "2026-09-01T09:00:00.000Z", StartedOn: "2026-09-01T10:00:00.052Z", CompletedOn: "2026-09-03T10:00:00.000Z",
	})
	s.AddDeployment("acme", "sandbox", emulator.Deployment{
		UUID: "{d2}", Number: 7, State: "IN_PROGRESS", EnvironmentUUID: "{00000000-0000-4000-8000-0000000000e2}", StartedOn: "2026-09-01T13:00:00+02:00",
	})
	s.AddDeployment("acme", "sandbox", emulator.Deployment{UUID: "{d3}", State: "UNDEPLOYED", EnvironmentUUID: production})
	return s
}

func TestDeployments_documented(t *testing.T) {
	t.Parallel()
	s := newDeploymentServer(t)
	first := `{
		"type": "deployment", "uuid": "{d1}",
		"state": {
			"type": "deployment_state_completed", "name": "COMPLETED", "url": "` + s.url + `/acme/sandbox/pipelines/results/1",
			"deployer": {"type": "user", "display_name": "Ada Lovelace", "uuid": "{a1}"},
			"status": {"type": "deployment_state_completed_status_successful", "name": "SUCCESSFUL"},
			"start_date": "2026-09-01T10:00:00.052Z", "completion_date": "2026-09-03T10:00:00.000Z"
		},
		"environment": {"type": "deployment_environment", "uuid": "` + production + `", "name": "Production"},
		"release": {"type": "deployment_release", "name": "#1", "url": "https://example.com/1", "commit": {"type": "commit", "hash": "deadbeef"}, "created_on": "2026-09-01T09:00:00.000Z"}
	}`
	second := `{
		"type": "deployment", "uuid": "{d2}",
		"state": {"type": "deployment_state_in_progress", "name": "IN_PROGRESS", "url": "` + s.url + `/acme/sandbox/pipelines/results/7", "status": null, "start_date": "2026-09-01T13:00:00+02:00"},
		"environment": {"type": "deployment_environment", "uuid": "{00000000-0000-4000-8000-0000000000e2}"},
		"release": {"type": "deployment_release", "created_on": "2026-09-30T13:07:33.924449+00:00"}
	}`
	third := `{
		"type": "deployment", "uuid": "{d3}",
		"state": {"type": "deployment_state_undeployed", "name": "UNDEPLOYED", "trigger_url": "` + s.url + `/acme/sandbox/pipelines/results/8", "status": null},
		"environment": {"type": "deployment_environment", "uuid": "` + production + `"},
		"release": {"type": "deployment_release", "created_on": "2026-09-30T13:07:33.924449+00:00"}
	}`
	for _, path := range []string{deployments, deployments + "/", "/2.0/repositories/%7B%7D/" + url.PathEscape(repositoryUUID) + "/deployments/"} {
		s.send(t, "GET", path, "").want(t, 200, `{"values":[`+first+`,`+second+`,`+third+`],"pagelen":10,"size":3,"page":1}`)
	}
	s.send(t, "GET", deployments+"/%7BD1%7D", "").want(t, 200, first)
	s.send(t, "GET", deployments+"/%7Bd2%7D?fields=uuid,state.name", "").want(t, 200, `{"uuid":"{d2}","state":{"name":"IN_PROGRESS"}}`)
	s.send(t, "GET", deployments+"/%7Bd4%7D", "").want(t, 404, deploymentUnknown)
	s.send(t, "GET", "/2.0/repositories/acme/other/deployments", "").want(t, 200, `{"values":[],"pagelen":10,"size":0,"page":1}`)
	s.send(t, "GET", "/2.0/repositories/acme/none/deployments", "").want(t, 404, repositoryGone)
	s.send(t, "GET", "/2.0/repositories/nobody/none/deployments/", "").want(t, 404, `{"type":"error","error":{"message":"No workspace with identifier 'nobody'."}}`)
	s.send(t, "GET", deployments+"/x/y", "").want(t, 404, noRoute)
	s.send(t, "GET", deployments+"//", "").want(t, 404, noRoute)
	s.send(t, "POST", deployments, "{}").want(t, 405, wrongMethod)
}

func TestDeployments_observed(t *testing.T) {
	t.Parallel()
	s := newDeploymentServer(t)
	s.SetDeployments(emulator.DeploymentBehavior{Observed: true})
	s.send(t, "GET", deployments+"/", "").want(t, 200, `{"values":[{
		"type": "deployment", "uuid": "{d1}", "number": 1, "key": "first",
		"state": {
			"type": "deployment_state_completed", "name": "COMPLETED", "url": "`+s.url+`/acme/sandbox/pipelines/results/1",
			"deployer": {"type": "user", "display_name": "Ada Lovelace", "uuid": "{a1}"},
			"status": {"type": "deployment_state_completed_status_successful", "name": "SUCCESSFUL"},
			"started_on": "2026-09-01T10:00:00.052Z", "completed_on": "2026-09-03T10:00:00.000Z"
		},
		"environment": {"type": "deployment_environment", "uuid": "`+production+`"},
		"deployable": {"type": "deployment_deployable", "name": "#1", "commit": {"type": "commit", "hash": "deadbeef"}},
		"created_on": "2026-09-01T09:00:00.000Z", "last_update_time": "2026-09-03T10:00:00.000Z"
	},{
		"type": "deployment", "uuid": "{d2}", "number": 7,
		"state": {"type": "deployment_state_in_progress", "name": "IN_PROGRESS", "url": "`+s.url+`/acme/sandbox/pipelines/results/7", "status": null, "started_on": "2026-09-01T13:00:00+02:00"},
		"environment": {"type": "deployment_environment", "uuid": "{00000000-0000-4000-8000-0000000000e2}"},
		"deployable": {"type": "deployment_deployable"},
		"created_on": "2026-09-30T13:07:33.924449+00:00", "last_update_time": "2026-09-01T13:00:00+02:00"
	},{
		"type": "deployment", "uuid": "{d3}", "number": 8,
		"state": {"type": "deployment_state_undeployed", "name": "UNDEPLOYED", "trigger_url": "`+s.url+`/acme/sandbox/pipelines/results/8", "status": null},
		"environment": {"type": "deployment_environment", "uuid": "`+production+`"},
		"deployable": {"type": "deployment_deployable"},
		"created_on": "2026-09-30T13:07:33.924449+00:00", "last_update_time": "2026-09-30T13:07:33.924449+00:00"
	}],"pagelen":10,"size":3,"page":1}`)
}

// The emulator applies, ignores or rejects sort and filters, as a test selects.
func TestDeployments_query(t *testing.T) {
	t.Parallel()
	s := newDeploymentServer(t)
	var honored emulator.DeploymentBehavior
	for _, test := range []struct {
		name     string
		behavior emulator.DeploymentBehavior
		query    string
		want     string // The UUIDs in the reply, or the body of the error.
	}{
		{"no query", honored, "", "d1 d2 d3"},
		{"by start", honored, "&sort=-state.started_on", "d2 d1 d3"},
		{"by completion", honored, "&sort=-state.completed_on", "d1 d2 d3"},
		{"ascending", honored, "&sort=state.started_on", sortRefused},
		{"by another attribute", honored, "&sort=last_update_time", sortRefused},
		{"environment", honored, "&environment=" + url.QueryEscape(strings.ToUpper(production)), "d1 d3"},
		{"state", honored, "&state.name=IN_PROGRESS", "d2"},
		{"sort and both filters", honored, "&sort=-state.started_on&state.name=UNDEPLOYED&environment=" + url.QueryEscape(production), "d3"},
		{"sort ignored", emulator.DeploymentBehavior{Sort: emulator.SortIgnored}, "&sort=x", "d1 d2 d3"},
		{"sort refused", emulator.DeploymentBehavior{Sort: emulator.SortRefused}, "&sort=-state.started_on", sortRefused},
		{"sort refused, no sort", emulator.DeploymentBehavior{Sort: emulator.SortRefused}, "&state.name=COMPLETED", "d1"},
		{"filters ignored", emulator.DeploymentBehavior{IgnoreFilters: true}, "&sort=-state.started_on&environment=x&state.name=x", "d2 d1 d3"},
	} {
		s.SetDeployments(test.behavior)
		got := s.send(t, "GET", deployments+"/?pagelen=100"+test.query, "")
		if strings.HasPrefix(test.want, "{") {
			got.want(t, 400, test.want)
			continue
		}
		var uuids []string
		for _, value := range decode[struct{ Values []struct{ UUID string } }](t, got.body).Values {
			uuids = append(uuids, strings.Trim(value.UUID, "{}"))
		}
		if strings.Join(uuids, " ") != test.want {
			t.Errorf("%s: got %v, want %s", test.name, uuids, test.want)
		}
	}
	s.SetDeployments(emulator.DeploymentBehavior{})
	s.send(t, "GET", deployments+"/?pagelen=1&sort=-state.started_on&page=2&fields=next,values.uuid", "").want(t, 200,
		`{"next":"`+s.url+deployments+`/?fields=next%2Cvalues.uuid&pagelen=1&sort=-state.started_on&page=3","values":[{"uuid":"{d1}"}]}`)
	s.send(t, "GET", deployments+"?pagelen=101", "").want(t, 400, `{"type":"error","error":{"message":"Invalid pagelen"}}`)
}

func TestDeployments_slash(t *testing.T) {
	t.Parallel()
	s := newDeploymentServer(t)
	for rule, want := range map[emulator.SlashRule][2]int{
		emulator.SlashAllowed:  {200, 200},
		emulator.SlashRequired: {404, 200},
		emulator.SlashRefused:  {200, 404},
	} {
		s.SetDeployments(emulator.DeploymentBehavior{Slash: rule})
		for i, path := range []string{deployments, deployments + "/"} {
			got := s.send(t, "GET", path, "")
			if got.status != want[i] {
				t.Errorf("rule %d: %s got status %d, want %d", rule, path, got.status, want[i])
			}
			if got.status == 404 {
				got.want(t, 404, noRoute)
			}
		}
		if got := s.send(t, "GET", deployments+"/%7Bd1%7D", ""); got.status != 200 {
			t.Errorf("rule %d: a single deployment got status %d, want 200", rule, got.status)
		}
	}
}

func TestDeployments_neverDeployed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SetDeployments(emulator.DeploymentBehavior{NeverDeployed404: true})
	s.send(t, "GET", deployments+"/", "").want(t, 404, deploymentUnknown)
	s.AddDeployment("acme", "sandbox", emulator.Deployment{EnvironmentUUID: production})
	s.send(t, "GET", deployments+"/?state.name=UNDEPLOYED", "").want(t, 200, `{"values":[],"pagelen":10,"size":0,"page":1}`)
}

// The permission to read a repository includes its deployments. Their scopes are
// different from the scopes of repositories.
func TestDeployments_access(t *testing.T) {
	t.Parallel()
	s := newDeploymentServer(t)
	s.SetPermission("acme", "sandbox", emulator.PermissionRead)
	s.sendAs(t, "", "GET", deployments, "").want(t, 404, repositoryGone)
	s.AllowBearer("pipeline", "read:pipeline:bitbucket")
	s.AllowBearer("repository", "read:repository:bitbucket", "admin:repository:bitbucket")
	s.AllowBearer("oauth", "pipeline")
	s.AllowAccessToken("access")
	for token, want := range map[string]int{"pipeline": 200, "oauth": 200, "access": 200, "repository": 403} {
		for _, path := range []string{deployments + "/", deployments + "/%7Bd1%7D"} {
			if got := s.sendAs(t, "Bearer "+token, "GET", path, ""); got.status != want {
				t.Errorf("%s: got %d %s, want %d", token, got.status, got.body, want)
			}
		}
	}
	s.sendAs(t, "Bearer repository", "GET", deployments, "").want(t, 403, `{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes.",
		"detail":{"required":["read:pipeline:bitbucket"],"granted":["read:repository:bitbucket","admin:repository:bitbucket"]}}}`)
}

// The emulator sets the defaults of deployments in its own copy of a seed.
func TestDeployments_seed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	given := []emulator.Deployment{{Number: 5}, {State: "IN_PROGRESS"}, {Status: "FAILED", CreatedOn: "2026-09-01T10:00:00Z"}}
	s.AddRepository("acme", emulator.Repository{Slug: "seeded", Deployments: given})
	if given[0] != (emulator.Deployment{Number: 5}) {
		t.Errorf("the caller's deployments were changed: %+v", given)
	}
	stored := s.Seed().Workspaces[0].Repositories[2].Deployments
	now := "2026-09-30T13:07:33.924449+00:00"
	want := []emulator.Deployment{
		{UUID: stored[0].UUID, Number: 5, State: "COMPLETED", Status: "SUCCESSFUL", CreatedOn: now},
		{UUID: stored[1].UUID, Number: 6, State: "IN_PROGRESS", CreatedOn: now},
		{UUID: stored[2].UUID, Number: 7, State: "COMPLETED", Status: "FAILED", CreatedOn: "2026-09-01T10:00:00Z"},
	}
	if !slices.Equal(stored, want) || stored[0].UUID == stored[1].UUID || !strings.HasPrefix(stored[0].UUID, "{") {
		t.Errorf("got %+v", stored)
	}
	stored[0].Number = 100
	if again := s.AddDeployment("acme", "seeded", emulator.Deployment{}); again.Number != 8 {
		t.Errorf("the next deployment is %+v, want number 8", again)
	}
}
