package bitbucket

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	deploymentsPath = "/2.0/repositories/mleu/test/deployments/"
	// deployments1 is the first page of the deployments, as it is asked for.
	deployments1 = "GET " + deploymentsPath + "?pagelen=100&sort=-state.started_on"
	// plainDeployments is the same where that was refused.
	plainDeployments = "GET " + deploymentsPath + "?pagelen=100"
	// existing is how it is found out whether a repository exists.
	existing = "GET /2.0/repositories/mleu/test?fields=uuid"

	noRoute       = `{"type":"error","error":{"message":"Resource not found","detail":"There is no API hosted at this URL.\n\nFor information …"}}`
	noDeployments = `{"type":"error","error":{"message":"Not found","detail":"No account, repository or deployment with the UUID provided exists."}}`
)

// deployed is a deployment that started on a day of September, "" for never.
func deployed(uuid, day string) string {
	if day == "" {
		return fmt.Sprintf(`{"uuid": %q}`, uuid)
	}
	return fmt.Sprintf(`{"uuid": %q, "state": {"name": "COMPLETED", "started_on": "2026-09-%sT10:00:00Z"}}`, uuid, day)
}

// deploymentPage answers with a page of deployments and the address of the next
// one.
func deploymentPage(next string, values ...string) http.HandlerFunc {
	if next != "" {
		next = fmt.Sprintf(`, "next": %q`, next)
	}
	return answer(200, `{"values": [`+strings.Join(values, ", ")+`]`+next+`}`)
}

func uuids(deployments []Deployment) string {
	var found []string
	for _, d := range deployments {
		found = append(found, d.UUID)
	}
	return strings.Join(found, " ")
}

func TestDeployments_decodes(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]Deployment{
		"deployments.json": {
			{
				UUID: "{00000000-0000-4000-8000-0000000000d1}", State: "COMPLETED", Status: "SUCCESSFUL",
				EnvironmentUUID: "{00000000-0000-4000-8000-0000000000e1}", EnvironmentName: "Production",
				ReleaseName: "#7", ReleaseURL: "https://bitbucket.org/mleu/test/pipelines/results/7", Commit: "deadbeefcafebabe1234deadbeefcafebabe1234",
				Deployer: "Ada Lovelace", DeployerUUID: "{00000000-0000-4000-8000-0000000000a1}",
				StartedOn: "2026-09-30T13:07:33.924Z", CompletedOn: "2026-09-30T13:09:01.003Z",
				at: time.Date(2026, 9, 30, 13, 7, 33, 924e6, time.UTC),
			},
			{
				UUID: "{00000000-0000-4000-8000-0000000000d2}", State: "UNDEPLOYED",
				EnvironmentUUID: "{00000000-0000-4000-8000-0000000000e2}", EnvironmentName: "Staging",
				ReleaseName: "#6", ReleaseURL: "https://bitbucket.org/mleu/test/pipelines/results/6", Commit: "0123456789abcdef99990123456789abcdef9999",
				at: time.Date(2026, 9, 29, 13, 0, 0, 0, time.UTC),
			},
		},
		"deployments_live.json": {
			{
				UUID: "{00000000-0000-4000-8000-0000000000d1}", Number: 7, Key: "production-7", State: "IN_PROGRESS",
				EnvironmentUUID: "{00000000-0000-4000-8000-0000000000e1}",
				ReleaseName:     "#7", Commit: "0123456789abcdef9999",
				Deployer: "ada", DeployerUUID: "{00000000-0000-4000-8000-0000000000a1}", StartedOn: "2019-11-25T12:16:42.052Z",
				at: time.Date(2019, 11, 25, 12, 16, 42, 52e6, time.UTC),
			},
			{
				UUID: "{00000000-0000-4000-8000-0000000000d2}", Number: 6, State: "COMPLETED", Status: "FAILED",
				EnvironmentUUID: "{00000000-0000-4000-8000-0000000000e2}", EnvironmentName: "Staging",
				ReleaseName: "1.2.3", Commit: "deadbeefcafebabe1234",
				StartedOn: "2019-11-24T12:16:42Z", CompletedOn: "2019-11-24T13:16:42+01:00",
				at: time.Date(2019, 11, 24, 12, 16, 42, 0, time.UTC),
			},
		},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			got, err := newTestClient(t, answers(t, answer(200, readTestdata(t, file)))).Deployments(t.Context(), repository, DeploymentFilter{})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestDeployments_requests(t *testing.T) {
	t.Parallel()
	const environment = "{00000000-0000-4000-8000-0000000000e1}"
	byUUID := Place{Workspace: "{a-b}", Repository: "{c/d}"}
	for name, tc := range map[string]struct {
		place  Place
		filter DeploymentFilter
		line   string
	}{
		"all":         {repository, DeploymentFilter{}, deployments1},
		"by UUID":     {byUUID, DeploymentFilter{}, "GET /2.0/repositories/%7Ba-b%7D/%7Bc%2Fd%7D/deployments/?pagelen=100&sort=-state.started_on"},
		"newest":      {repository, DeploymentFilter{Limit: 1}, deployments1},
		"environment": {repository, DeploymentFilter{EnvironmentUUID: environment}, "GET " + deploymentsPath + "?environment=%7B00000000-0000-4000-8000-0000000000e1%7D&pagelen=100&sort=-state.started_on"},
		"state":       {repository, DeploymentFilter{State: "COMPLETED"}, deployments1 + "&state.name=COMPLETED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := answers(t, deploymentPage(""))
			if got, err := newTestClient(t, api).Deployments(t.Context(), tc.place, tc.filter); err != nil || len(got) > 0 {
				t.Errorf("got %v, %v", got, err)
			}
			api.expect(tc.line)
		})
	}
}

// They are sorted by when they started, else were made, whatever the offset and
// the number of digits; those without any time come last.
func TestDeployments_order(t *testing.T) {
	t.Parallel()
	values := []string{
		`{"uuid": "{undated}", "state": {"started_on": "yesterday"}}`,
		`{"uuid": "{b}", "number": 1, "state": {"start_date": "2026-09-01T10:00:00Z"}}`,
		`{"uuid": "{a}", "number": 1, "state": {"started_on": "2026-09-01T12:00:00.000000+02:00"}}`,
		`{"uuid": "{later}", "number": 2, "state": {"started_on": "2026-09-01T10:00:00+00:00"}}`,
		`{"uuid": "{fraction}", "state": {"started_on": "2026-09-01T10:00:00.000001Z"}}`,
		`{"uuid": "{east}", "state": {"started_on": "2026-09-01T12:00:00+14:00"}}`,
		`{"uuid": "{made}", "state": {"name": "UNDEPLOYED"}, "created_on": "2026-09-02T10:00:00Z", "last_update_time": "2026-09-09T10:00:00Z"}`,
		`{"uuid": "{updated}", "last_update_time": "2026-09-03T10:00:00Z", "release": {"created_on": "2026-09-09T10:00:00Z"}}`,
		`{"uuid": "{released}", "release": {"created_on": "2026-09-04T10:00:00Z"}}`,
		`{"uuid": "{deployable}", "deployable": {"created_on": "2026-09-05T10:00:00Z"}}`,
		`{"uuid": "{started}", "number": 1, "state": {"started_on": "2026-08-01T10:00:00Z"}, "created_on": "2026-09-09T10:00:00Z"}`,
	}
	const want = "{deployable} {released} {updated} {made} {fraction} {later} {a} {b} {east} {started} {undated}"
	for range len(values) {
		values = append(values[1:], values[0])
		got, err := newTestClient(t, answers(t, deploymentPage("", values...))).Deployments(t.Context(), repository, DeploymentFilter{})
		if err != nil || uuids(got) != want {
			t.Errorf("got %s, %v, want %s", uuids(got), err, want)
		}
	}
}

// With a limit no page is read that can have nothing newer, which shows only where
// Bitbucket sorts; without one all are read.
func TestDeployments_limit(t *testing.T) {
	t.Parallel()
	sorted := [][]string{{deployed("{5}", "05"), deployed("{4}", "04")}, {deployed("{3}", "03"), deployed("{2}", "02")}, {deployed("{1}", "01")}}
	mixed := [][]string{{deployed("{2}", "02"), deployed("{4}", "04")}, {deployed("{1}", "01"), deployed("{5}", "05")}, {deployed("{3}", "03")}}
	oldest := [][]string{{deployed("{1}", "01"), deployed("{2}", "02")}, {deployed("{3}", "03"), deployed("{4}", "04")}, {deployed("{5}", "05")}}
	undated := [][]string{{deployed("{5}", "05"), deployed("{x}", "")}, {deployed("{4}", "04"), deployed("{3}", "03")}, {deployed("{y}", "")}}
	late := [][]string{{deployed("{5}", "05"), deployed("{3}", "03")}, {deployed("{4}", "04"), deployed("{2}", "02")}, {deployed("{1}", "01")}}
	moved := [][]string{{deployed("{5}", "05"), deployed("{4}", "04")}, {deployed("{4}", "04"), deployed("{3}", "03")}, {deployed("{2}", "02")}}
	none := [][]string{{}, {deployed("{5}", "05")}, {deployed("{4}", "04")}}
	same := [][]string{{deployed("{b}", "05"), deployed("{a}", "05")}, {deployed("{d}", "05"), deployed("{c}", "05")}, {deployed("{e}", "04")}}
	for name, tc := range map[string]struct {
		pages    [][]string
		limit    int
		requests int
		want     string
	}{
		"sorted, 1":     {sorted, 1, 1, "{5}"},
		"sorted, 2":     {sorted, 2, 1, "{5} {4}"},
		"sorted, 3":     {sorted, 3, 2, "{5} {4} {3}"},
		"sorted, 5":     {sorted, 5, 3, "{5} {4} {3} {2} {1}"},
		"sorted, more":  {sorted, 100, 3, "{5} {4} {3} {2} {1}"},
		"sorted, all":   {sorted, 0, 3, "{5} {4} {3} {2} {1}"},
		"mixed, 1":      {mixed, 1, 3, "{5}"},
		"mixed, 4":      {mixed, 4, 3, "{5} {4} {3} {2}"},
		"mixed, all":    {mixed, 0, 3, "{5} {4} {3} {2} {1}"},
		"oldest, 1":     {oldest, 1, 3, "{5}"},
		"oldest, all":   {oldest, 0, 3, "{5} {4} {3} {2} {1}"},
		"undated, 1":    {undated, 1, 3, "{5}"},
		"undated, 4":    {undated, 4, 3, "{5} {4} {3} {x}"},
		"late, 2":       {late, 2, 1, "{5} {3}"}, // Nothing has shown yet that it is not sorted.
		"late, 3":       {late, 3, 3, "{5} {4} {3}"},
		"moved, 3":      {moved, 3, 2, "{5} {4} {3}"},
		"moved, all":    {moved, 0, 3, "{5} {4} {3} {2}"},
		"empty page, 1": {none, 1, 2, "{5}"},
		"same time, 2":  {same, 2, 1, "{a} {b}"},
		"same time, 3":  {same, 3, 2, "{a} {b} {c}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := answers(t, deploymentPage("?page=2", tc.pages[0]...), deploymentPage("?page=3", tc.pages[1]...), deploymentPage("", tc.pages[2]...))
			got, err := newTestClient(t, api).Deployments(t.Context(), repository, DeploymentFilter{Limit: tc.limit})
			if err != nil || uuids(got) != tc.want {
				t.Errorf("got %s, %v, want %s", uuids(got), err, tc.want)
			}
			api.expect([]string{deployments1, "GET " + deploymentsPath + "?page=2", "GET " + deploymentsPath + "?page=3"}[:tc.requests]...)
		})
	}
}

// Bitbucket may send what it was not asked for.
func TestDeployments_filters(t *testing.T) {
	t.Parallel()
	value := func(uuid, environment, state string, day int) string {
		return fmt.Sprintf(`{"uuid": %q, "environment": {"uuid": %q}, "state": {"name": %q, "started_on": "2026-09-%02dT10:00:00Z"}}`, uuid, environment, state, day)
	}
	first := []string{value("{9}", "{E1}", "IN_PROGRESS", 9), value("{8}", "{e2}", "COMPLETED", 8), `{"uuid": "{7}", "created_on": "2026-09-07T10:00:00Z", "environment": null, "state": null}`}
	second := []string{value("{6}", "{e1}", "COMPLETED", 6), value("{5}", "{e1}", "COMPLETED", 5)}
	for name, tc := range map[string]struct {
		filter   DeploymentFilter
		requests int
		want     string
	}{
		"none":                   {DeploymentFilter{}, 2, "{9} {8} {7} {6} {5}"},
		"environment":            {DeploymentFilter{EnvironmentUUID: "{e1}"}, 2, "{9} {6} {5}"},
		"environment, in case":   {DeploymentFilter{EnvironmentUUID: "{E2}"}, 2, "{8}"},
		"no such environment":    {DeploymentFilter{EnvironmentUUID: "{e3}"}, 2, ""},
		"state":                  {DeploymentFilter{State: "COMPLETED"}, 2, "{8} {6} {5}"},
		"both":                   {DeploymentFilter{EnvironmentUUID: "{e1}", State: "COMPLETED"}, 2, "{6} {5}"},
		"both, 1":                {DeploymentFilter{EnvironmentUUID: "{e1}", State: "COMPLETED", Limit: 1}, 2, "{6}"},
		"environment, 1":         {DeploymentFilter{EnvironmentUUID: "{e1}", Limit: 1}, 1, "{9}"},
		"environment, 2 of more": {DeploymentFilter{EnvironmentUUID: "{e1}", Limit: 2}, 2, "{9} {6}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := answers(t, deploymentPage("?page=2", first...), deploymentPage("", second...))
			got, err := newTestClient(t, api).Deployments(t.Context(), repository, tc.filter)
			if err != nil || uuids(got) != tc.want {
				t.Errorf("got %s, %v, want %s", uuids(got), err, tc.want)
			}
			if asked := api.asked(); len(asked) != tc.requests {
				t.Errorf("%d requests", len(asked))
			}
		})
	}
}

// What is not documented may be refused, and both addresses may be missing.
func TestDeployments_fallbacks(t *testing.T) {
	t.Parallel()
	const (
		refusal = `{"message":"Invalid sort attribute provided"}`
		noSlash = "GET /2.0/repositories/mleu/test/deployments"
		query   = "?environment=%7Be1%7D&pagelen=100&sort=-state.started_on&state.name=COMPLETED"
		first   = "GET " + deploymentsPath + query
	)
	page := deploymentPage("", `{"uuid": "{1}", "environment": {"uuid": "{e1}"}, "state": {"name": "COMPLETED"}}`, deployed("{2}", "02"))
	missing, refused := answer(404, noRoute), answer(400, refusal)
	for name, tc := range map[string]struct {
		answers []http.HandlerFunc
		lines   []string
		status  int // 0 where the page is read.
	}{
		"refused":                   {[]http.HandlerFunc{refused, page}, []string{first, plainDeployments}, 0},
		"refused twice":             {[]http.HandlerFunc{refused, refused}, []string{first, plainDeployments}, 400},
		"refused, then forbidden":   {[]http.HandlerFunc{refused, answer(403, "")}, []string{first, plainDeployments}, 403},
		"refused, never deployed":   {[]http.HandlerFunc{refused, answer(404, noDeployments), answer(404, "")}, []string{first, plainDeployments, existing}, 404},
		"forbidden":                 {[]http.HandlerFunc{answer(403, "")}, []string{first}, 403},
		"no route":                  {[]http.HandlerFunc{missing, page}, []string{first, noSlash + query}, 0},
		"no route, refused":         {[]http.HandlerFunc{missing, refused, page}, []string{first, noSlash + query, noSlash + "?pagelen=100"}, 0},
		"no route, never deployed":  {[]http.HandlerFunc{missing, answer(404, noDeployments), answer(404, "")}, []string{first, noSlash + query, existing}, 404},
		"no route, either":          {[]http.HandlerFunc{missing, missing}, []string{first, noSlash + query}, 404},
		"no route, then no success": {[]http.HandlerFunc{missing, answer(410, "")}, []string{first, noSlash + query}, 410},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := answers(t, tc.answers...)
			got, err := newTestClient(t, api).Deployments(t.Context(), repository, DeploymentFilter{EnvironmentUUID: "{e1}", State: "COMPLETED", Limit: 5})
			if tc.status == 0 && (err != nil || uuids(got) != "{1}") {
				t.Errorf("got %s, %v", uuids(got), err)
			} else if tc.status != 0 && (got != nil || !HasStatus(err, tc.status)) {
				t.Errorf("got %s, %v, want a %d", uuids(got), err, tc.status)
			}
			api.expect(tc.lines...)
		})
	}
}

// A 404 says that the repository has never deployed, or that it is gone or out of
// sight: only the repository itself can tell.
func TestDeployments_neverDeployed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		repository http.HandlerFunc
		check      func(error) bool
	}{
		"it answers":    {answer(200, `{"uuid": "{85d08b4e-571d-44e9-a507-fa476535aa98}"}`), func(err error) bool { return err == nil }},
		"gone":          {answer(404, `{"error": {"message": "You may not have access to this repository"}}`), func(err error) bool { return IsNotFound(err) && strings.HasSuffix(asError(t, err).Path, "/mleu/test") }},
		"scope":         {answer(403, `{"error": {"message": "No.", "detail": {"required": ["repository"]}}}`), func(err error) bool { return HasStatus(err, 403) }},
		"failing":       {answer(500, ""), func(err error) bool { return HasStatus(err, 500) }},
		"a log-in page": {answer(200, "<html><title>Log in</title>"), isUnusable},
		"breaks off":    {broken(200), func(err error) bool { return asError(t, err).Status == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, refusal := range []string{noDeployments, `{"error": {"message": "You may not have access to this repository"}}`, "<html></html>", ""} {
				api := answers(t, answer(404, refusal), tc.repository)
				got, err := newTestClient(t, api, withRetries(0)).Deployments(t.Context(), repository, DeploymentFilter{})
				if len(got) > 0 || !tc.check(err) {
					t.Errorf("got %v, %v", got, err)
				}
				api.expect(deployments1, existing)
			}
		})
	}
}

// A list is all of it or none: a 404 for a later page says nothing of the repository.
func TestDeployments_laterPageFails(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 403, 404, 500} {
		api := answers(t, deploymentPage("?page=2", deployed("{1}", "01")), answer(status, noRoute))
		got, err := newTestClient(t, api, withRetries(0)).Deployments(t.Context(), repository, DeploymentFilter{})
		if got != nil || !HasStatus(err, status) {
			t.Errorf("got %v, %v, want a %d", got, err, status)
		}
		api.expect(deployments1, "GET "+deploymentsPath+"?page=2")
	}
}

func TestDeployments_endless(t *testing.T) {
	t.Parallel()
	asked := 0
	c := newInMemoryClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		deploymentPage(fmt.Sprintf("?page=%d", asked+1), deployed(fmt.Sprintf("{%d}", asked), "01"))(w, r)
	}))
	if got, err := c.Deployments(t.Context(), repository, DeploymentFilter{}); got != nil || !errors.Is(err, ErrUnusable) || asked != maxPages {
		t.Errorf("got %d, %v after %d pages", len(got), err, asked)
	}
}

// What cannot be used is an error, and no list that is shorter or empty.
func TestDeployments_hostileReplies(t *testing.T) {
	t.Parallel()
	value := func(members string) string {
		return `{"values": [` + deployed("{1}", "01") + `, {"uuid": "{2}"` + members + `}]}`
	}
	for name, body := range map[string]string{
		"empty":                "",
		"null":                 "null",
		"a list":               "[]",
		"no list":              "{}",
		"list null":            `{"values": null}`,
		"list an object":       `{"values": {}}`,
		"an error":             noDeployments,
		"breaks off":           `{"values": [` + deployed("{1}", "01"),
		"HTML":                 "<html><title>Log in</title></html>",
		"over 10 MB":           value(`, "other": "` + strings.Repeat("x", maxBody) + `"`),
		"nested too deeply":    value(`, "other": ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)),
		"value null":           `{"values": [null]}`,
		"value a number":       `{"values": [5]}`,
		"value a list":         `{"values": [[` + deployed("{1}", "01") + `]]}`,
		"no uuid":              `{"values": [{"number": 5}]}`,
		"uuid empty":           `{"values": [{"uuid": ""}]}`,
		"uuid null":            `{"values": [{"uuid": null}]}`,
		"uuid a number":        `{"values": [{"uuid": 5}]}`,
		"next a number":        `{"values": [], "next": 2}`,
		"next elsewhere":       `{"values": [], "next": "https://example.com/?page=2"}`,
		"next with a password": `{"values": [], "next": "http://ada:s3cret@HOST/"}`,
		"next to itself":       `{"values": [], "next": "` + strings.TrimPrefix(deployments1, "GET ") + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := answers(t, answer(200, body))
			got, err := newTestClient(t, api, withRetries(0)).Deployments(t.Context(), repository, DeploymentFilter{})
			if got != nil || !errors.Is(err, ErrUnusable) {
				t.Errorf("got %.300s, %v, want an error", fmt.Sprint(got), err)
			}
			expectShowable(t, asError(t, err))
			api.expect(deployments1)
		})
	}
}

// What has another type than it should says nothing, and keeps nothing else from
// being read.
func TestDeployments_otherTypes(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]Deployment{
		`"number": "7"`:                              {Number: 7},
		`"number": 7.5`:                              {},
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
			api := answers(t, answer(200, `{"values": [`+deployed("{1}", "01")+`, {"uuid": "{2}", "name": "x", `+members+`}]}`))
			got, err := newTestClient(t, api, withRetries(0)).Deployments(t.Context(), repository, DeploymentFilter{})
			if err != nil || len(got) != 2 {
				t.Fatalf("got %v, %v", got, err)
			}
			i := slices.IndexFunc(got, func(d Deployment) bool { return d.UUID == "{2}" })
			want.UUID, got[i].at = "{2}", time.Time{}
			if got[i] != want {
				t.Errorf("got %+v, want %+v", got[i], want)
			}
		})
	}
}

// Everything but the uuid may be missing or null, and whatever else there is does
// not matter.
func TestDeployments_sparse(t *testing.T) {
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
		got, err := newTestClient(t, answers(t, deploymentPage("", `{"uuid": "{1}"`+members+`}`))).Deployments(t.Context(), repository, DeploymentFilter{})
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// Where both names are there, the observed one counts for times and the documented
// one for what was released.
func TestDeployments_bothNames(t *testing.T) {
	t.Parallel()
	const body = `{"uuid": "{1}", "state": {"started_on": "2026-09-01T10:00:00Z", "start_date": "2026-09-02T10:00:00Z", "completed_on": "2026-09-03T10:00:00Z", "completion_date": "2026-09-04T10:00:00Z",
		"deployer": {"display_name": "Ada Lovelace", "nickname": "ada"}},
		"release": {"name": "r", "url": "https://r", "commit": {"hash": "1"}}, "deployable": {"name": "d", "url": "https://d", "commit": {"hash": "2"}}}`
	got, err := newTestClient(t, answers(t, deploymentPage("", body))).Deployments(t.Context(), repository, DeploymentFilter{})
	want := Deployment{
		UUID: "{1}", StartedOn: "2026-09-01T10:00:00Z", CompletedOn: "2026-09-03T10:00:00Z", Deployer: "Ada Lovelace",
		ReleaseName: "r", ReleaseURL: "https://r", Commit: "1", at: time.Date(2026, 9, 1, 10, 0, 0, 0, time.UTC),
	}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, %v", got, err)
	}
}
