package deployments

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const (
	deploymentsPath = "/2.0/repositories/mleu/test/deployments/"
	// deployments1 is the request for the first page.
	deployments1 = "GET " + deploymentsPath + "?pagelen=100&sort=-state.started_on"
	// plainDeployments is the request without sort and filters.
	plainDeployments = "GET " + deploymentsPath + "?pagelen=100"
	// existing is the request that shows whether the repository exists.
	existing = "GET /2.0/repositories/mleu/test?fields=uuid"

	noRoute       = `{"type":"error","error":{"message":"Resource not found","detail":"There is no API hosted at this URL.\n\nFor information …"}}`
	noDeployments = `{"type":"error","error":{"message":"Not found","detail":"No account, repository or deployment with the UUID provided exists."}}`
)

// deployments is the request for a later page, if the link has only its number.
func deployments(page int) string {
	return fmt.Sprintf("GET %s?page=%d&pagelen=100&sort=-state.started_on", deploymentsPath, page)
}

// deployed is a deployment that started on a day of September, "" for never.
func deployed(uuid, day string) string {
	if day == "" {
		return fmt.Sprintf(`{"uuid": %q}`, uuid)
	}
	return fmt.Sprintf(`{"uuid": %q, "state": {"name": "COMPLETED", "started_on": "2026-09-%sT10:00:00Z"}}`, uuid, day)
}

var repository = bitbucket.Parent{Workspace: "mleu", Repository: "test"}

// newClient returns a client that sends its requests to this handler, without retries.
func newClient(t *testing.T, handler http.Handler) *bitbucket.Client {
	t.Helper()
	client, err := bitbucket.NewClient("http://localhost/2.0", transport.Options{Base: httpfake.InMemory{Handler: handler}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// find finds the deployments that the handler sends.
func find(t *testing.T, handler http.Handler, filter Filter) ([]bitbucket.Deployment, error) {
	t.Helper()
	return Find(t.Context(), newClient(t, handler), repository, filter)
}

func uuids(list []bitbucket.Deployment) string {
	var found []string
	for _, d := range list {
		found = append(found, d.UUID)
	}
	return strings.Join(found, " ")
}

func TestFind_requests(t *testing.T) {
	t.Parallel()
	const environment = "{00000000-0000-4000-8000-0000000000e1}"
	byUUID := bitbucket.Parent{Workspace: "{a-b}", Repository: "{c/d}"}
	for name, tc := range map[string]struct {
		repository bitbucket.Parent
		filter     Filter
		line       string
	}{
		"all":         {repository, Filter{}, deployments1},
		"by UUID":     {byUUID, Filter{}, "GET /2.0/repositories/%7Ba-b%7D/%7Bc%2Fd%7D/deployments/?pagelen=100&sort=-state.started_on"},
		"newest":      {repository, Filter{Limit: 1}, deployments1},
		"environment": {repository, Filter{EnvironmentUUID: environment}, "GET " + deploymentsPath + "?environment=%7B00000000-0000-4000-8000-0000000000e1%7D&pagelen=100&sort=-state.started_on"},
		"state":       {repository, Filter{State: "COMPLETED"}, deployments1 + "&state.name=COMPLETED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Page(""))
			if got, err := Find(t.Context(), newClient(t, api), tc.repository, tc.filter); err != nil || len(got) > 0 {
				t.Errorf("got %v, %v", got, err)
			}
			api.Expect(tc.line)
		})
	}
}

// The deployments are sorted by when they were started or, if that is missing, created.
// Offsets from UTC and the number of digits do not matter. Deployments without any time
// come last.
func TestFind_order(t *testing.T) {
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
		got, err := find(t, httpfake.Page("", values...), Filter{})
		if err != nil || uuids(got) != want {
			t.Errorf("got %s, %v, want %s", uuids(got), err, want)
		}
	}
}

// With a limit, Find stops when no other page can have a newer deployment. Only a sorted
// list shows this. Without a limit, Find reads all pages.
func TestFind_limit(t *testing.T) {
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
		"late, 2":       {late, 2, 1, "{5} {3}"}, // The first page does not show that the list is not sorted.
		"late, 3":       {late, 3, 3, "{5} {4} {3}"},
		"moved, 3":      {moved, 3, 2, "{5} {4} {3}"},
		"moved, all":    {moved, 0, 3, "{5} {4} {3} {2}"},
		"empty page, 1": {none, 1, 2, "{5}"},
		"same time, 2":  {same, 2, 1, "{a} {b}"},
		"same time, 3":  {same, 3, 2, "{a} {b} {c}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Page("?page=2", tc.pages[0]...), httpfake.Page("?page=3", tc.pages[1]...), httpfake.Page("", tc.pages[2]...))
			got, err := find(t, api, Filter{Limit: tc.limit})
			if err != nil || uuids(got) != tc.want {
				t.Errorf("got %s, %v, want %s", uuids(got), err, tc.want)
			}
			api.Expect([]string{deployments1, deployments(2), deployments(3)}[:tc.requests]...)
		})
	}
}

// Bitbucket may ignore the filter in the request.
func TestFind_filters(t *testing.T) {
	t.Parallel()
	value := func(uuid, environment, state string, day int) string {
		return fmt.Sprintf(`{"uuid": %q, "environment": {"uuid": %q}, "state": {"name": %q, "started_on": "2026-09-%02dT10:00:00Z"}}`, uuid, environment, state, day)
	}
	first := []string{value("{9}", "{E1}", "IN_PROGRESS", 9), value("{8}", "{e2}", "COMPLETED", 8), `{"uuid": "{7}", "created_on": "2026-09-07T10:00:00Z", "environment": null, "state": null}`}
	second := []string{value("{6}", "{e1}", "COMPLETED", 6), value("{5}", "{e1}", "COMPLETED", 5)}
	for name, tc := range map[string]struct {
		filter   Filter
		requests int
		want     string
	}{
		"none":                   {Filter{}, 2, "{9} {8} {7} {6} {5}"},
		"environment":            {Filter{EnvironmentUUID: "{e1}"}, 2, "{9} {6} {5}"},
		"environment, in case":   {Filter{EnvironmentUUID: "{E2}"}, 2, "{8}"},
		"no such environment":    {Filter{EnvironmentUUID: "{e3}"}, 2, ""},
		"state":                  {Filter{State: "COMPLETED"}, 2, "{8} {6} {5}"},
		"both":                   {Filter{EnvironmentUUID: "{e1}", State: "COMPLETED"}, 2, "{6} {5}"},
		"both, 1":                {Filter{EnvironmentUUID: "{e1}", State: "COMPLETED", Limit: 1}, 2, "{6}"},
		"environment, 1":         {Filter{EnvironmentUUID: "{e1}", Limit: 1}, 1, "{9}"},
		"environment, 2 of more": {Filter{EnvironmentUUID: "{e1}", Limit: 2}, 2, "{9} {6}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Page("?page=2", first...), httpfake.Page("", second...))
			got, err := find(t, api, tc.filter)
			if err != nil || uuids(got) != tc.want {
				t.Errorf("got %s, %v, want %s", uuids(got), err, tc.want)
			}
			if requests := len(api.Requests()); requests != tc.requests {
				t.Errorf("%d requests, want %d", requests, tc.requests)
			}
		})
	}
}

// Bitbucket may refuse the parameters that are not documented, and either address may be missing.
func TestFind_fallbacks(t *testing.T) {
	t.Parallel()
	const (
		refusal = `{"message":"Invalid sort attribute provided"}`
		noSlash = "GET /2.0/repositories/mleu/test/deployments"
		query   = "?environment=%7Be1%7D&pagelen=100&sort=-state.started_on&state.name=COMPLETED"
		first   = "GET " + deploymentsPath + query
	)
	page := httpfake.Page("", `{"uuid": "{1}", "environment": {"uuid": "{e1}"}, "state": {"name": "COMPLETED"}}`, deployed("{2}", "02"))
	missing, refused := httpfake.Reply(404, noRoute), httpfake.Reply(400, refusal)
	for name, tc := range map[string]struct {
		replies []http.HandlerFunc
		lines   []string
		status  int // 0 if the page is read.
	}{
		"refused":                   {[]http.HandlerFunc{refused, page}, []string{first, plainDeployments}, 0},
		"refused twice":             {[]http.HandlerFunc{refused, refused}, []string{first, plainDeployments}, 400},
		"refused, then forbidden":   {[]http.HandlerFunc{refused, httpfake.Reply(403, "")}, []string{first, plainDeployments}, 403},
		"refused, never deployed":   {[]http.HandlerFunc{refused, httpfake.Reply(404, noDeployments), httpfake.Reply(404, "")}, []string{first, plainDeployments, existing}, 404},
		"forbidden":                 {[]http.HandlerFunc{httpfake.Reply(403, "")}, []string{first}, 403},
		"no route":                  {[]http.HandlerFunc{missing, page}, []string{first, noSlash + query}, 0},
		"no route, refused":         {[]http.HandlerFunc{missing, refused, page}, []string{first, noSlash + query, noSlash + "?pagelen=100"}, 0},
		"no route, never deployed":  {[]http.HandlerFunc{missing, httpfake.Reply(404, noDeployments), httpfake.Reply(404, "")}, []string{first, noSlash + query, existing}, 404},
		"no route, either":          {[]http.HandlerFunc{missing, missing}, []string{first, noSlash + query}, 404},
		"no route, then no success": {[]http.HandlerFunc{missing, httpfake.Reply(410, "")}, []string{first, noSlash + query}, 410},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, tc.replies...)
			got, err := find(t, api, Filter{EnvironmentUUID: "{e1}", State: "COMPLETED", Limit: 5})
			if tc.status == 0 && (err != nil || uuids(got) != "{1}") {
				t.Errorf("got %s, %v", uuids(got), err)
			} else if tc.status != 0 && (got != nil || !bitbucket.HasStatus(err, tc.status)) {
				t.Errorf("got %s, %v, want a %d", uuids(got), err, tc.status)
			}
			api.Expect(tc.lines...)
		})
	}
}

// A 404 means that the repository has never deployed, or that it is gone or hidden. Only a
// request for the repository itself shows which.
func TestFind_neverDeployed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		repository http.HandlerFunc
		check      func(error) bool
	}{
		"it answers": {httpfake.Reply(200, `{"uuid": "{85d08b4e-571d-44e9-a507-fa476535aa98}"}`), func(err error) bool { return err == nil }},
		"gone": {httpfake.Reply(404, `{"error": {"message": "You may not have access to this repository"}}`), func(err error) bool {
			e, ok := errors.AsType[*bitbucket.Error](err)
			return ok && bitbucket.IsNotFound(err) && strings.HasSuffix(e.Path, "/mleu/test")
		}},
		"scope":         {httpfake.Reply(403, `{"error": {"message": "No.", "detail": {"required": ["repository"]}}}`), func(err error) bool { return bitbucket.HasStatus(err, 403) }},
		"failing":       {httpfake.Reply(500, ""), func(err error) bool { return bitbucket.HasStatus(err, 500) }},
		"a log-in page": {httpfake.Reply(200, "<html><title>Log in</title>"), func(err error) bool { return errors.Is(err, bitbucket.ErrUnusable) }},
		"breaks off":    {httpfake.Truncated(200), func(err error) bool { return err != nil && !bitbucket.HasStatus(err, 200) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, refusal := range []string{noDeployments, `{"error": {"message": "You may not have access to this repository"}}`, "<html></html>", ""} {
				api := httpfake.NewScript(t, httpfake.Reply(404, refusal), tc.repository)
				got, err := find(t, api, Filter{})
				if len(got) > 0 || !tc.check(err) {
					t.Errorf("got %v, %v", got, err)
				}
				api.Expect(deployments1, existing)
			}
		})
	}
}

// If a later page fails, the earlier pages must not be returned as the whole list. After a
// 404 for a later page, the repository is not requested.
func TestFind_laterPageFails(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 403, 404, 500} {
		api := httpfake.NewScript(t, httpfake.Page("?page=2", deployed("{1}", "01")), httpfake.Reply(status, noRoute))
		got, err := find(t, api, Filter{})
		if got != nil || !bitbucket.HasStatus(err, status) {
			t.Errorf("got %v, %v, want a %d", got, err, status)
		}
		api.Expect(deployments1, deployments(2))
	}
}

func TestFind_endless(t *testing.T) {
	t.Parallel()
	requests := 0
	got, err := find(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		httpfake.Page(fmt.Sprintf("?page=%d", requests+1), deployed(fmt.Sprintf("{%d}", requests), "01"))(w, r)
	}), Filter{})
	if got != nil || !errors.Is(err, bitbucket.ErrUnusable) || requests != 1000 {
		t.Errorf("got %d, %v after %d pages", len(got), err, requests)
	}
}

// If enough deployments were found, the link to the next page does not matter.
func TestFind_linkNotNeeded(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"https://deployments.internal/?page=1", "http://[::1", "?page=%", strings.TrimPrefix(deployments1, "GET ")} {
		api := httpfake.NewScript(t, httpfake.Page(next, deployed("{2}", "02"), deployed("{1}", "01")))
		if got, err := find(t, api, Filter{Limit: 2}); err != nil || uuids(got) != "{2} {1}" {
			t.Errorf("%s: got %s, %v", next, uuids(got), err)
		}
		api.Expect(deployments1)
	}
}

// A link to an internal host, or with the number of its own page, leads to the next page.
func TestFind_wrongLinks(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"http://deployments.internal:8080/x?page=%d", "?page=1#%d", "https://api.bitbucket.org" + deploymentsPath + "?page=%d"} {
		link := func(page int) string { return fmt.Sprintf(next, page) }
		api := httpfake.NewScript(t, httpfake.Page(link(2), deployed("{3}", "03")), httpfake.Page(link(3), deployed("{2}", "02")), httpfake.Page("", deployed("{1}", "01")))
		if got, err := find(t, api, Filter{}); err != nil || uuids(got) != "{3} {2} {1}" {
			t.Errorf("%s: got %s, %v", next, uuids(got), err)
		}
		api.Expect(deployments1, deployments(2), deployments(3))
	}
}

// A page that repeats the first page is an error. It must not result in a shorter list.
func TestFind_repeatedPage(t *testing.T) {
	t.Parallel()
	page := httpfake.Page("?page=1", deployed("{2}", "02"), deployed("{1}", "01"))
	api := httpfake.NewScript(t, page, page)
	if got, err := find(t, api, Filter{}); got != nil || !errors.Is(err, bitbucket.ErrUnusable) {
		t.Errorf("got %s, %v, want an error", uuids(got), err)
	}
	api.Expect(deployments1, deployments(2))
}

// A reply that cannot be used is an error. It must not result in a shorter or empty list.
func TestFind_unusableReplies(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":          "",
		"no list":        "{}",
		"list null":      `{"values": null}`,
		"an error":       noDeployments,
		"HTML":           "<html><title>Log in</title></html>",
		"value null":     `{"values": [` + deployed("{1}", "01") + `, null]}`,
		"no uuid":        `{"values": [` + deployed("{1}", "01") + `, {"number": 5}]}`,
		"next to itself": `{"values": [], "next": "` + strings.TrimPrefix(deployments1, "GET ") + `"}`,
		"next, damaged":  `{"values": [], "next": "?page=%"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Reply(200, body))
			got, err := find(t, api, Filter{Limit: 1})
			if got != nil || !errors.Is(err, bitbucket.ErrUnusable) {
				t.Errorf("got %v, %v, want an error", got, err)
			}
			api.Expect(deployments1)
		})
	}
}
