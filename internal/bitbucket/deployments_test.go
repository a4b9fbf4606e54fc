package bitbucket

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const deploymentsPath = "/2.0/repositories/mleu/test/deployments/"

// deployed is one deployment of a page.
const deployed = `{"uuid": "{1}", "state": {"name": "COMPLETED", "started_on": "2026-09-01T10:00:00Z"}}`

// listDeployments returns the deployments of all pages that the handler sends.
func listDeployments(t *testing.T, handler http.Handler) ([]Deployment, error) {
	t.Helper()
	return collect(t.Context(), newTestClient(t, handler, withRetries(0)).ListDeployments(repository, DeploymentsQuery{}))
}

func TestListDeployments_decodes(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]Deployment{
		"deployments.json": {
			{
				UUID: "{00000000-0000-4000-8000-0000000000d1}", State: "COMPLETED", Status: "SUCCESSFUL",
				EnvironmentUUID: "{00000000-0000-4000-8000-0000000000e1}", EnvironmentName: "Production",
				ReleaseName: "#7", ReleaseURL: "https://bitbucket.org/mleu/test/pipelines/results/7", Commit: "deadbeefcafebabe1234deadbeefcafebabe1234",
				Deployer: "Ada Lovelace", DeployerUUID: "{00000000-0000-4000-8000-0000000000a1}",
				StartedOn: "2026-09-30T13:07:33.924Z", CompletedOn: "2026-09-30T13:09:01.003Z",
				At: time.Date(2026, 9, 30, 13, 7, 33, 924e6, time.UTC),
			},
			{
				UUID: "{00000000-0000-4000-8000-0000000000d2}", State: "UNDEPLOYED",
				EnvironmentUUID: "{00000000-0000-4000-8000-0000000000e2}", EnvironmentName: "Staging",
				ReleaseName: "#6", ReleaseURL: "https://bitbucket.org/mleu/test/pipelines/results/6", Commit: "0123456789abcdef99990123456789abcdef9999",
				At: time.Date(2026, 9, 29, 13, 0, 0, 0, time.UTC),
			},
		},
		"deployments_live.json": {
			{
				UUID: "{00000000-0000-4000-8000-0000000000d1}", Number: 7, Key: "production-7", State: "IN_PROGRESS",
				EnvironmentUUID: "{00000000-0000-4000-8000-0000000000e1}",
				ReleaseName:     "#7", Commit: "0123456789abcdef9999",
				Deployer: "ada", DeployerUUID: "{00000000-0000-4000-8000-0000000000a1}", StartedOn: "2019-11-25T12:16:42.052Z",
				At: time.Date(2019, 11, 25, 12, 16, 42, 52e6, time.UTC),
			},
			{
				UUID: "{00000000-0000-4000-8000-0000000000d2}", Number: 6, State: "COMPLETED", Status: "FAILED",
				EnvironmentUUID: "{00000000-0000-4000-8000-0000000000e2}", EnvironmentName: "Staging",
				ReleaseName: "1.2.3", Commit: "deadbeefcafebabe1234",
				StartedOn: "2019-11-24T12:16:42Z", CompletedOn: "2019-11-24T13:16:42+01:00",
				At: time.Date(2019, 11, 24, 12, 16, 42, 0, time.UTC),
			},
		},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			got, err := listDeployments(t, httpfake.NewScript(t, httpfake.Reply(200, readTestdata(t, file))))
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestListDeployments_requests(t *testing.T) {
	t.Parallel()
	const environment = "{00000000-0000-4000-8000-0000000000e1}"
	byUUID := Parent{Workspace: "{a-b}", Repository: "{c/d}"}
	for name, tc := range map[string]struct {
		repository Parent
		query      DeploymentsQuery
		line       string
	}{
		"all":             {repository, DeploymentsQuery{}, "GET " + deploymentsPath + "?pagelen=100"},
		"without a slash": {repository, DeploymentsQuery{WithoutSlash: true}, "GET /2.0/repositories/mleu/test/deployments?pagelen=100"},
		"by UUID":         {byUUID, DeploymentsQuery{}, "GET /2.0/repositories/%7Ba-b%7D/%7Bc%2Fd%7D/deployments/?pagelen=100"},
		"newest first":    {repository, DeploymentsQuery{NewestFirst: true}, "GET " + deploymentsPath + "?pagelen=100&sort=-state.started_on"},
		"environment":     {repository, DeploymentsQuery{EnvironmentUUID: environment}, "GET " + deploymentsPath + "?environment=%7B00000000-0000-4000-8000-0000000000e1%7D&pagelen=100"},
		"state":           {repository, DeploymentsQuery{State: "COMPLETED"}, "GET " + deploymentsPath + "?pagelen=100&state.name=COMPLETED"},
		"everything": {
			repository,
			DeploymentsQuery{EnvironmentUUID: "{e1}&x", State: "&sort=", NewestFirst: true, WithoutSlash: true},
			"GET /2.0/repositories/mleu/test/deployments?environment=%7Be1%7D%26x&pagelen=100&sort=-state.started_on&state.name=%26sort%3D",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Page("?page=2", deployed), httpfake.Page("", `{"uuid": "{2}"}`))
			got, err := collect(t.Context(), newTestClient(t, api).ListDeployments(tc.repository, tc.query))
			if err != nil || len(got) != 2 {
				t.Errorf("got %v, %v", got, err)
			}
			api.Expect(tc.line, strings.Replace(tc.line, "?", "?page=2&", 1))
		})
	}
}

// The time of a deployment is when it was started, or else created.
func TestListDeployments_at(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]string{
		`"state": {"started_on": "2026-09-01T12:00:00.000001+02:00"}`:                                             "2026-09-01T10:00:00.000001Z",
		`"state": {"start_date": "2026-09-01T10:00:00Z"}`:                                                         "2026-09-01T10:00:00Z",
		`"state": {"started_on": "2026-08-01T10:00:00Z"}, "created_on": "2026-09-09T10:00:00Z"`:                   "2026-08-01T10:00:00Z",
		`"state": {"started_on": "yesterday"}, "created_on": "2026-09-09T10:00:00Z"`:                              "2026-09-09T10:00:00Z",
		`"created_on": "2026-09-02T10:00:00Z", "last_update_time": "2026-09-09T10:00:00Z"`:                        "2026-09-02T10:00:00Z",
		`"last_update_time": "2026-09-03T10:00:00Z", "release": {"created_on": "2026-09-09T10:00:00Z"}`:           "2026-09-03T10:00:00Z",
		`"release": {"created_on": "2026-09-04T10:00:00Z"}, "deployable": {"created_on": "2026-09-09T10:00:00Z"}`: "2026-09-04T10:00:00Z",
		`"deployable": {"created_on": "2026-09-05T10:00:00Z"}`:                                                    "2026-09-05T10:00:00Z",
		`"state": {"started_on": "yesterday", "completed_on": "2026-09-05T10:00:00Z"}`:                            "",
	} {
		got, err := listDeployments(t, httpfake.Page("", `{"uuid": "{1}", `+members+`}`))
		var at time.Time
		if want != "" {
			at, _ = time.Parse(time.RFC3339, want)
		}
		if err != nil || len(got) != 1 || !got[0].At.Equal(at) {
			t.Errorf("%s: got %v, %v, want %s", members, got, err, want)
		}
	}
}

// A reply that cannot be used is an error. It must not result in a shorter or empty list.
func TestListDeployments_hostileReplies(t *testing.T) {
	t.Parallel()
	value := func(members string) string {
		return `{"values": [` + deployed + `, {"uuid": "{2}"` + members + `}]}`
	}
	for name, body := range map[string]string{
		"empty":                "",
		"null":                 "null",
		"a list":               "[]",
		"no list":              "{}",
		"list null":            `{"values": null}`,
		"list an object":       `{"values": {}}`,
		"an error":             `{"type":"error","error":{"message":"Not found"}}`,
		"breaks off":           `{"values": [` + deployed,
		"HTML":                 "<html><title>Log in</title></html>",
		"over 10 MB":           value(`, "other": "` + strings.Repeat("x", transport.MaxReplyBytes) + `"`),
		"nested too deeply":    value(`, "other": ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)),
		"value null":           `{"values": [null]}`,
		"value a number":       `{"values": [5]}`,
		"value a list":         `{"values": [[` + deployed + `]]}`,
		"no uuid":              `{"values": [{"number": 5}]}`,
		"uuid empty":           `{"values": [{"uuid": ""}]}`,
		"uuid null":            `{"values": [{"uuid": null}]}`,
		"uuid a number":        `{"values": [{"uuid": 5}]}`,
		"next a number":        `{"values": [], "next": 2}`,
		"next without a query": `{"values": [], "next": "http://ada:s3cret@HOST/"}`,
		"next unreadable":      `{"values": [], "next": "?page=%"}`,
		"next to itself":       `{"values": [], "next": "?pagelen=100"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Reply(200, body))
			got, err := listDeployments(t, api)
			if got != nil || !errors.Is(err, ErrUnusable) {
				t.Errorf("got %.300s, %v, want an error", fmt.Sprint(got), err)
			}
			expectShowable(t, asError(t, err))
			api.Expect("GET " + deploymentsPath + "?pagelen=100")
		})
	}
}

// A field of an unexpected type is ignored. It does not affect the other fields.
func TestListDeployments_otherTypes(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]Deployment{
		`"number": "7"`:                              {Number: 7},
		`"number": 7.5`:                              {},
		`"number": "seven"`:                          {},
		`"number": ""`:                               {},
		`"number": 9223372036854775808`:              {},
		`"key": 7`:                                   {Key: "7"},
		`"state": "COMPLETED"`:                       {},
		`"state": []`:                                {},
		`"state": {"name": {}}`:                      {},
		`"state": {"status": "SUCCESSFUL"}`:          {},
		`"state": {"status": {"name": []}}`:          {},
		`"state": {"deployer": "ada"}`:               {},
		`"state": {"deployer": {"display_name": 5}}`: {},
		`"state": {"started_on": 1790000000}`:        {},
		`"state": {"started_on": "2026-09-01T10:00:00Z", "start_date": 5}`: {StartedOn: "2026-09-01T10:00:00Z"},
		`"state": {"completed_on": true}`:                                  {},
		`"environment": "{e}"`:                                             {},
		`"environment": {"name": []}`:                                      {},
		`"release": []`:                                                    {},
		`"release": {"url": {}}`:                                           {},
		`"release": {"commit": "deadbeef"}`:                                {},
		`"deployable": {"commit": {"hash": 5}}`:                            {},
		`"created_on": 5`:                                                  {},
	} {
		t.Run(members, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Reply(200, `{"values": [`+deployed+`, {"uuid": "{2}", "name": "x", `+members+`}]}`))
			got, err := listDeployments(t, api)
			if err != nil || len(got) != 2 {
				t.Fatalf("got %v, %v", got, err)
			}
			i := slices.IndexFunc(got, func(d Deployment) bool { return d.UUID == "{2}" })
			want.UUID, got[i].At = "{2}", time.Time{}
			if got[i] != want {
				t.Errorf("got %+v, want %+v", got[i], want)
			}
		})
	}
}

// Only the uuid is required. Other fields may be missing or null, and unknown fields do not
// matter.
func TestListDeployments_sparse(t *testing.T) {
	t.Parallel()
	want := Deployment{UUID: "{1}"}
	for name, members := range map[string]string{
		"alone":         "",
		"nulls":         `, "number": null, "key": null, "state": null, "environment": null, "release": null, "deployable": null, "created_on": null, "last_update_time": null`,
		"nulls below":   `, "state": {"name": null, "status": null, "deployer": null, "started_on": null, "start_date": null, "completed_on": null, "completion_date": null}, "environment": {"uuid": null, "name": null}, "release": {"name": null, "url": null, "commit": null, "created_on": null}`,
		"nulls at last": `, "state": {"status": {"name": null}, "deployer": {"display_name": null, "nickname": null, "uuid": null}}, "deployable": {"commit": {"hash": null}}`,
		"empty":         `, "key": "", "state": {}, "environment": {}, "release": {"commit": {}}, "deployable": {}, "created_on": ""`,
		"others":        `, "type": 5, "version": {}, "step": [null], "links": "x", "other": ` + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000),
	} {
		got, err := listDeployments(t, httpfake.Page("", `{"uuid": "{1}"`+members+`}`))
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// If a reply has both names of a field, the client uses the observed name for times and the
// documented name for the release.
func TestListDeployments_bothNames(t *testing.T) {
	t.Parallel()
	const body = `{"uuid": "{1}", "state": {"started_on": "2026-09-01T10:00:00Z", "start_date": "2026-09-02T10:00:00Z", "completed_on": "2026-09-03T10:00:00Z", "completion_date": "2026-09-04T10:00:00Z",
		"deployer": {"display_name": "Ada Lovelace", "nickname": "ada"}},
		"release": {"name": "r", "url": "https://r", "commit": {"hash": "1"}}, "deployable": {"name": "d", "url": "https://d", "commit": {"hash": "2"}}}`
	got, err := listDeployments(t, httpfake.Page("", body))
	want := Deployment{
		UUID: "{1}", StartedOn: "2026-09-01T10:00:00Z", CompletedOn: "2026-09-03T10:00:00Z", Deployer: "Ada Lovelace",
		ReleaseName: "r", ReleaseURL: "https://r", Commit: "1", At: time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC),
	}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, %v", got, err)
	}
}
