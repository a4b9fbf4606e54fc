package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// newDeployed starts a Bitbucket with two environments and four deployments of acme/website.
// The last one has not started.
func newDeployed(t *testing.T) *acctest.Fake {
	t.Helper()
	f := acctest.NewFake(t)
	f.SetEnvironments("acme", "website", emulator.Environment{UUID: acctest.StagingUUID, Name: "Staging", Type: "Staging"}, emulator.Environment{UUID: acctest.ProductionUUID, Name: "Production", Type: "Production"})
	for _, d := range []emulator.Deployment{
		{UUID: "{d2}", EnvironmentUUID: acctest.StagingUUID, Status: "FAILED", StartedOn: "2026-09-02T10:00:00Z"},
		{
			UUID: "{d1}", Key: "production-1", EnvironmentUUID: acctest.ProductionUUID,
			ReleaseName: "#1", ReleaseURL: "https://bitbucket.org/acme/website/pipelines/results/1", Commit: "deadbeefcafebabe",
			Deployer: "Ada Lovelace", DeployerUUID: "{a1}",
			CreatedOn: "2026-09-01T09:59:59Z", StartedOn: "2026-09-01T10:00:00.052Z", CompletedOn: "2026-09-01T10:01:00.000001+00:00",
		},
		{UUID: "{d3}", EnvironmentUUID: acctest.ProductionUUID, State: "IN_PROGRESS", StartedOn: "2026-09-03T10:00:00Z"},
		{UUID: "{d4}", EnvironmentUUID: acctest.StagingUUID, State: "UNDEPLOYED", CreatedOn: "2026-09-04T10:00:00Z"},
	} {
		f.AddDeployment("acme", "website", d)
	}
	return f
}

// noWaiting are the attributes of a provider that never sends a request again.
func noWaiting() map[string]string {
	return map[string]string{"max_retries": "0", "max_rate_limit_wait": "0s"}
}

// sentQueries returns the requests since the last call with their queries, without their
// common prefix.
func sentQueries(f *acctest.Fake) []string {
	var lines []string
	for _, r := range f.Requests() {
		line := strings.TrimPrefix(r.Path, "/2.0/repositories/acme/")
		if r.Query != "" {
			line += "?" + r.Query
		}
		lines = append(lines, fmt.Sprintf("%s %d", line, r.Status))
	}
	f.ForgetRequests()
	return lines
}

func TestAccDeployments_basic(t *testing.T) {
	t.Parallel()
	f := newDeployed(t)
	text := knownvalue.StringExact
	deployment := func(values map[string]knownvalue.Check) knownvalue.Check {
		for name := range deploymentAttributes() {
			if values[name] == nil {
				values[name] = knownvalue.Null()
			}
		}
		return knownvalue.ObjectExact(values)
	}
	list := func(observed bool) statecheck.StateCheck {
		only := func(observation bool, check knownvalue.Check) knownvalue.Check {
			if observed == observation {
				return check
			}
			return knownvalue.Null()
		}
		return statecheck.ExpectKnownValue("data.bitbucket_deployments.test", tfjsonpath.New("deployments"), knownvalue.ListExact([]knownvalue.Check{
			deployment(map[string]knownvalue.Check{"uuid": text("{d4}"), "number": only(true, knownvalue.Int64Exact(4)), "state": text("UNDEPLOYED"), "environment_uuid": text(acctest.StagingUUID), "environment_name": text("Staging")}),
			deployment(map[string]knownvalue.Check{
				"uuid": text("{d3}"), "number": only(true, knownvalue.Int64Exact(3)), "state": text("IN_PROGRESS"), "environment_uuid": text(acctest.ProductionUUID), "environment_name": text("Production"), "started_on": text("2026-09-03T10:00:00Z"),
			}),
			deployment(map[string]knownvalue.Check{
				"uuid": text("{d2}"), "number": only(true, knownvalue.Int64Exact(1)), "state": text("COMPLETED"), "status": text("FAILED"),
				"environment_uuid": text(acctest.StagingUUID), "environment_name": text("Staging"), "started_on": text("2026-09-02T10:00:00Z"),
			}),
			deployment(map[string]knownvalue.Check{
				"uuid": text("{d1}"), "number": only(true, knownvalue.Int64Exact(2)), "key": only(true, text("production-1")), "state": text("COMPLETED"), "status": text("SUCCESSFUL"),
				"environment_uuid": text(acctest.ProductionUUID), "environment_name": text("Production"),
				"release_name": text("#1"), "release_url": only(false, text("https://bitbucket.org/acme/website/pipelines/results/1")), "commit": text("deadbeefcafebabe"),
				"deployer": text("Ada Lovelace"), "deployer_uuid": text("{a1}"),
				"started_on": text("2026-09-01T10:00:00.052Z"), "completed_on": text("2026-09-01T10:01:00.000001+00:00"),
			}),
		}))
	}
	acctest.Test(t,
		acctest.Step{Config: f.Config(acctest.DataDeployments()), ConfigStateChecks: []statecheck.StateCheck{list(false)}},
		acctest.Step{
			PreConfig:         func() { f.SetDeployments(emulator.DeploymentBehavior{Observed: true}) },
			Config:            f.Config(acctest.DataDeployments()),
			ConfigStateChecks: []statecheck.StateCheck{list(true)},
		},
	)
}

// A plan reads the data source, and the apply of that plan does not read it again.
func TestAccDeployments_requests(t *testing.T) {
	t.Parallel()
	f, terraform := newDeployed(t), acctest.NewCLI(t)
	terraform.Write(t, f.Config(acctest.DataDeployments(`state = "COMPLETED"`, `environment_uuid = "`+acctest.ProductionUUID+`"`, "limit = 1")))
	for _, command := range [][]string{{"plan", "-out=saved"}, {"apply", "saved"}, {"plan", "-detailed-exitcode"}} {
		terraform.MustRun(t, command...)
		want := []string{"website/deployments/?environment=%7B8a1ea3a4-6a09-4ae3-ba0c-9ab2d8a2b0cc%7D&pagelen=100&sort=-state.started_on&state.name=COMPLETED 200"}
		if command[0] == "apply" {
			want = nil
		}
		if got := sentQueries(f); !slices.Equal(got, want) {
			t.Errorf("%v sent\n  %s\nwant\n  %s", command, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
	terraform.FoundDeployments(t, "{d1}")
}

// dataRead is what reading a data source has returned.
type dataRead struct {
	attributes  map[string]tftypes.Value
	diagnostics []*tfprotov6.Diagnostic
}

// readData reads a data source of acme/website over the protocol, unless the attributes name
// another repository. The attribute names are those of a configuration.
func readData(t *testing.T, server acctest.Server, typeName string, attributes map[string]string) dataRead {
	t.Helper()
	config := map[string]string{"workspace": "acme", "repository": "website"}
	maps.Copy(config, attributes)
	values, diagnostics := server.ReadAttributes(t.Context(), t, typeName, config)
	return dataRead{values, diagnostics}
}

// column returns an attribute of each object of a list, "null" for null.
func (r dataRead) column(t *testing.T, list, attribute string) []string {
	t.Helper()
	var objects []tftypes.Value
	if err := r.attributes[list].As(&objects); err != nil || r.attributes[list].IsNull() {
		t.Fatalf("%s is %s, %v", list, r.attributes[list], err)
	}
	texts := []string{}
	for _, object := range objects {
		var values map[string]tftypes.Value
		var text *string
		if err := errors.Join(object.As(&values), values[attribute].As(&text)); err != nil {
			t.Fatal(err)
		}
		if text == nil {
			texts = append(texts, "null")
			continue
		}
		texts = append(texts, *text)
	}
	return texts
}

// fails checks that the read has failed with these words in this order, and has returned
// nothing.
func (r dataRead) fails(t *testing.T, words ...string) {
	t.Helper()
	acctest.Contains(t, acctest.Reported(r.diagnostics), append([]string{"Error: "}, words...)...)
	for _, name := range []string{"deployments", "environments"} {
		if value, found := r.attributes[name]; found && !value.IsNull() {
			t.Errorf("the failed read returned %s", value)
		}
	}
}

// Reading sends exactly these requests and finds these deployments, for each way in which
// Bitbucket may behave.
func TestDeployments_requests(t *testing.T) {
	t.Parallel()
	const (
		query = "?pagelen=100&sort=-state.started_on"
		list  = "website/deployments/" + query + " 200"
		// environments is the request for names.
		environments = "website/environments/?pagelen=100 200"
		all          = "{d4} {d3} {d2} {d1}"
	)
	production := "environment=%7B8a1ea3a4-6a09-4ae3-ba0c-9ab2d8a2b0cc%7D&"
	for name, tc := range map[string]struct {
		behavior   emulator.DeploymentBehavior
		attributes map[string]string
		want       []string
		found      string
	}{
		"all":                 {emulator.DeploymentBehavior{}, nil, []string{list}, all},
		"limit":               {emulator.DeploymentBehavior{}, map[string]string{"limit": "2"}, []string{list}, "{d4} {d3}"},
		"environment":         {emulator.DeploymentBehavior{}, map[string]string{"environment_uuid": acctest.ProductionUUID}, []string{"website/deployments/?" + production + query[1:] + " 200"}, "{d3} {d1}"},
		"environment in case": {emulator.DeploymentBehavior{IgnoreFilters: true}, map[string]string{"environment_uuid": strings.ToUpper(acctest.StagingUUID)}, []string{"website/deployments/?environment=%7B8A1EA3A4-6A09-4AE3-BA0C-9AB2D8A2B0DD%7D&" + query[1:] + " 200"}, "{d4} {d2}"},
		"state":               {emulator.DeploymentBehavior{}, map[string]string{"state": "COMPLETED"}, []string{"website/deployments/" + query + "&state.name=COMPLETED 200"}, "{d2} {d1}"},
		"both, limit": {
			emulator.DeploymentBehavior{},
			map[string]string{"state": "COMPLETED", "environment_uuid": acctest.ProductionUUID, "limit": "1"},
			[]string{"website/deployments/?" + production + query[1:] + "&state.name=COMPLETED 200"},
			"{d1}",
		},
		"filters ignored": {
			emulator.DeploymentBehavior{IgnoreFilters: true, Observed: true},
			map[string]string{"state": "COMPLETED", "environment_uuid": acctest.ProductionUUID, "limit": "1"},
			[]string{"website/deployments/?" + production + query[1:] + "&state.name=COMPLETED 200", environments},
			"{d1}",
		},
		"observed":        {emulator.DeploymentBehavior{Observed: true}, nil, []string{list, environments}, all},
		"observed, limit": {emulator.DeploymentBehavior{Observed: true}, map[string]string{"limit": "1"}, []string{list, environments}, "{d4}"},
		"observed, none":  {emulator.DeploymentBehavior{Observed: true}, map[string]string{"repository": "api"}, []string{"api/deployments/" + query + " 200"}, ""},
		"name":            {emulator.DeploymentBehavior{}, map[string]string{"environment": "Production"}, []string{environments, "website/deployments/?" + production + query[1:] + " 200"}, "{d3} {d1}"},
		"name, observed": { // The names come from the same list.
			emulator.DeploymentBehavior{IgnoreFilters: true, Observed: true},
			map[string]string{"environment": "Production", "state": "COMPLETED"},
			[]string{environments, "website/deployments/?" + production + query[1:] + "&state.name=COMPLETED 200"},
			"{d1}",
		},
		"name, slash refused": {
			emulator.DeploymentBehavior{Slash: emulator.SlashRefused},
			map[string]string{"environment": "Production"},
			[]string{"website/environments/?pagelen=100 404", "website/environments?pagelen=100 200", "website/deployments/?" + production + query[1:] + " 404", "website/deployments?" + production + query[1:] + " 200"},
			"{d3} {d1}",
		},
		"none match":     {emulator.DeploymentBehavior{}, map[string]string{"state": "UNDEPLOYED", "environment_uuid": acctest.ProductionUUID}, []string{"website/deployments/?" + production + query[1:] + "&state.name=UNDEPLOYED 200"}, ""},
		"sort ignored":   {emulator.DeploymentBehavior{Sort: emulator.SortIgnored}, map[string]string{"limit": "3"}, []string{list}, "{d4} {d3} {d2}"},
		"sort refused":   {emulator.DeploymentBehavior{Sort: emulator.SortRefused}, nil, []string{"website/deployments/" + query + " 400", "website/deployments/?pagelen=100 200"}, all},
		"slash required": {emulator.DeploymentBehavior{Slash: emulator.SlashRequired}, nil, []string{list}, all},
		"slash refused":  {emulator.DeploymentBehavior{Slash: emulator.SlashRefused}, nil, []string{"website/deployments/" + query + " 404", "website/deployments" + query + " 200"}, all},
		"slash and sort refused": {
			emulator.DeploymentBehavior{Slash: emulator.SlashRefused, Sort: emulator.SortRefused},
			nil,
			[]string{"website/deployments/" + query + " 404", "website/deployments" + query + " 400", "website/deployments?pagelen=100 200"},
			all,
		},
		"never, 200": {emulator.DeploymentBehavior{}, map[string]string{"repository": "api"}, []string{"api/deployments/" + query + " 200"}, ""},
		"never, 404": {emulator.DeploymentBehavior{NeverDeployed404: true}, map[string]string{"repository": "api"}, []string{"api/deployments/" + query + " 404", "api?fields=uuid 200"}, ""},
		"by uuid": {
			emulator.DeploymentBehavior{},
			map[string]string{"repository": acctest.WebsiteUUID},
			[]string{"%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/deployments/" + query + " 200"},
			all,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newDeployed(t)
			f.SetDeployments(tc.behavior)
			read := readData(t, acctest.NewConfiguredServer(t, f), "bitbucket_deployments", tc.attributes)
			if got := sentQueries(f); !slices.Equal(got, tc.want) {
				t.Errorf("sent\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(tc.want, "\n  "))
			}
			if found := strings.Join(read.column(t, "deployments", "uuid"), " "); found != tc.found || len(read.diagnostics) > 0 {
				t.Errorf("found %s, want %s, %v", found, tc.found, read.diagnostics)
			}
		})
	}
}

// The number of requests for a repository with many deployments depends on the limit and on
// how Bitbucket behaves.
func TestDeployments_cost(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	for i := range 250 {
		started := time.Date(2026, 9, 1, i, 0, 0, 0, time.UTC).Format(time.RFC3339)
		f.AddDeployment("acme", "website", emulator.Deployment{UUID: fmt.Sprintf("{%d}", i), StartedOn: started})
	}
	newest := func(n int) string {
		var uuids []string
		for i := range n {
			uuids = append(uuids, fmt.Sprintf("{%d}", 249-i))
		}
		return strings.Join(uuids, " ")
	}
	for _, tc := range []struct {
		behavior    emulator.DeploymentBehavior
		limit       int // 0 for none.
		found, want int
	}{
		{emulator.DeploymentBehavior{}, 0, 250, 3},
		{emulator.DeploymentBehavior{}, 1, 1, 1},
		{emulator.DeploymentBehavior{}, 100, 100, 1},
		{emulator.DeploymentBehavior{}, 101, 101, 2},
		{emulator.DeploymentBehavior{}, 1000, 250, 3},
		{emulator.DeploymentBehavior{Sort: emulator.SortIgnored}, 1, 1, 3}, // The oldest come first.
		{emulator.DeploymentBehavior{Sort: emulator.SortRefused}, 0, 250, 4},
		{emulator.DeploymentBehavior{Slash: emulator.SlashRefused, Observed: true}, 10, 10, 2},
	} {
		f.SetDeployments(tc.behavior)
		attributes := map[string]string{}
		if tc.limit > 0 {
			attributes["limit"] = fmt.Sprint(tc.limit)
		}
		read := readData(t, acctest.NewConfiguredServer(t, f), "bitbucket_deployments", attributes)
		if requests := sentQueries(f); len(requests) != tc.want {
			t.Errorf("limit %d with %+v sent\n  %s", tc.limit, tc.behavior, strings.Join(requests, "\n  "))
		}
		if found := strings.Join(read.column(t, "deployments", "uuid"), " "); found != newest(tc.found) {
			t.Errorf("found %s, want %s", found, newest(tc.found))
		}
	}
	f.SetNearLimit(true)
	acctest.Contains(t, acctest.Reported(readData(t, acctest.NewConfiguredServer(t, f), "bitbucket_deployments", nil).diagnostics), "Warning: Bitbucket's rate limit is near")
}

// Each error contains what could not be done, Bitbucket's reply and what to do. An
// incomplete list is never returned.
func TestAccDeployments_errors(t *testing.T) {
	t.Parallel()
	one := func(fault emulator.Fault) func(*acctest.Fake) { return func(f *acctest.Fake) { f.Inject(fault) } }
	const list, scopes = "GET /2.0/repositories/acme/website/deployments/:", "The request needs an account that can read the repository. Scopes of its API token: read:pipeline:bitbucket and, for a repository that never deployed, read:repository:bitbucket (OAuth: pipeline and repository)."
	for name, tc := range map[string]struct {
		setUp func(*acctest.Fake)
		want  []string
	}{
		"401": {one(emulator.Unauthorized()), []string{list + " 401 Unauthorized", "Token is invalid, expired", "username", scopes}},
		"403": {one(emulator.Forbidden()), []string{list + " 403 Forbidden", scopes}},
		"scope": {
			func(f *acctest.Fake) { f.AllowBasic("ci@example.com", "api-token", "admin:repository:bitbucket") },
			[]string{list + " 403 Forbidden", "Required scopes: read:pipeline:bitbucket", "Granted scopes: admin:repository:bitbucket", scopes},
		},
		"gone": {
			func(f *acctest.Fake) { f.RemoveRepository("acme", "website") },
			[]string{"GET /2.0/repositories/acme/website: 404 Not Found", "You may not have access to this repository", "the repository was deleted or renamed, or these credentials cannot see it: Bitbucket answers 404 in all of these cases.", scopes},
		},
		"workspace gone": {
			func(f *acctest.Fake) { f.RenameWorkspace("acme", "other-name") },
			[]string{"GET /2.0/repositories/acme/website: 404 Not Found", "No workspace with identifier 'acme'", "Check workspace for a typo first. If there is none, the workspace was deleted or renamed"},
		},
		"never deployed, scope": {
			func(f *acctest.Fake) {
				f.Inject(emulator.Fault{Path: "/deployments/", Status: 404})
				f.AllowBasic("ci@example.com", "api-token", "read:pipeline:bitbucket")
			},
			[]string{"GET /2.0/repositories/acme/website: 403 Forbidden", "Required scopes: read:repository:bitbucket", "Granted scopes: read:pipeline:bitbucket", scopes},
		},
		"never deployed, proxy": {
			func(f *acctest.Fake) {
				f.Inject(emulator.Fault{Path: "/deployments/", Status: 404}, emulator.LoginPage())
			},
			[]string{"GET /2.0/repositories/acme/website: the reply cannot be used", "Log in to the network"},
		},
		"no route": {
			one(emulator.Fault{Status: 404, Body: `{"error": {"message": "Resource not found", "detail": "There is no API hosted at this URL."}}`}),
			[]string{"GET /2.0/repositories/acme/website/deployments: 404 Not Found", "Detail: There is no API hosted at this URL."},
		},
		"400": {
			one(emulator.Fault{Status: 400, Body: `{"error": {"message": "Bad request", "data": {"key": "deploy-service.request.validation-error", "arguments": {"environment": "unknown"}}}}`}),
			[]string{list + " 400 Bad Request", "Bitbucket says: Bad request", "Detail: deploy-service.request.validation-error environment: unknown"},
		},
		"429":       {one(emulator.RateLimited()), []string{list + " 429 Too Many Requests", "1,000 requests an hour"}},
		"500":       {one(emulator.ServerError()), []string{list + " 500 Internal Server Error", "Request ID: 5c99b0118d884499b54591e0293a90ed", "status.atlassian.com"}},
		"redirect":  {one(emulator.Redirect("https://login.example.com/")), []string{list + " 302 Found", "The address has moved"}},
		"log-in":    {one(emulator.LoginPage()), []string{list + " the reply cannot be used", "Log in to the network", "proxy"}},
		"empty":     {one(emulator.EmptyOK()), []string{list + " the reply cannot be used", "an empty reply"}},
		"no list":   {one(emulator.Fault{Status: 200, Body: "{}"}), []string{list + " the reply cannot be used", "no usable list of values"}},
		"no uuid":   {one(emulator.Fault{Status: 200, Body: `{"values": [{"uuid": "{1}"}, {}]}`}), []string{list + " the reply cannot be used", "one of its values has no uuid"}},
		"cut":       {one(emulator.Fault{Cut: true}), []string{list, "EOF", "the network and the proxy"}},
		"truncated": {one(emulator.Fault{Truncate: true}), []string{list, "unexpected EOF"}},
		"later page": {
			func(f *acctest.Fake) {
				f.Inject(emulator.Fault{Rewrite: func(http.Header, string) string { return `{"values": [], "next": "?page=2"}` }, Times: 1}, emulator.Fault{Status: 404})
			},
			[]string{list + " 404 Not Found"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newDeployed(t)
			server := acctest.NewServerWith(t, f, noWaiting())
			tc.setUp(f)
			want := append([]string{"Unable to list deployments", "Could not list the deployments of acme/website."}, tc.want...)
			readData(t, server, "bitbucket_deployments", nil).fails(t, want...)
			if name == "scope" { // A user sees the same text.
				terraform := acctest.NewCLI(t)
				terraform.Write(t, f.Config(acctest.DataDeployments(), "max_retries = 0"))
				terraform.Fails(t, []string{"apply", "-auto-approve"}, append([]string{"Error: "}, want...)...)
			}
		})
	}
}

// expectRefused checks that a command reports an error with this text for each block, which is
// given by its first line.
func expectRefused(t *testing.T, terraform *acctest.CLI, command string, want map[string]string) {
	t.Helper()
	out := terraform.Fails(t, []string{command})
	reported := strings.Split(out, "Error: ")[1:]
	for block, text := range want {
		if !slices.ContainsFunc(reported, func(e string) bool {
			_, lines, found := strings.Cut(e, "on main.tf line ")
			return found && strings.Contains(lines, ", in "+block+":") && strings.Contains(e, text)
		}) {
			t.Errorf("%s reports no error %q of %s: %s", command, text, block, out)
		}
	}
}

// Wrong values are reported before any request, each with its line. An attribute that
// Bitbucket sets cannot be set.
func TestAccDeployments_validation(t *testing.T) {
	t.Parallel()
	f, terraform := newDeployed(t), acctest.NewCLI(t)
	config, want := "", map[string]string{}
	for line, message := range map[string]string{
		`environment_uuid = "production"`:                                                       "environment_uuid must be a UUID in braces",
		`environment_uuid = "` + strings.Trim(acctest.ProductionUUID, "{}") + `"`:               "environment_uuid must be a UUID in braces",
		`environment_uuid = ""`:                                                                 "environment_uuid must be a UUID in braces",
		"environment = \"Production\"\n  environment_uuid = \"" + acctest.ProductionUUID + "\"": `"environment_uuid" cannot be specified when "environment" is specified`,
		`state = "DONE"`:      `state value must be one of: ["UNDEPLOYED" "IN_PROGRESS" "COMPLETED"]`,
		`state = "completed"`: "state value must be one of",
		"limit = 0":           "limit value must be at least 1",
		`repository = "a/b"`:  "Invalid repository",
		"deployments = []":    "deployments",
	} {
		name := fmt.Sprintf("data_%d", len(want))
		block, _, _ := strings.Cut(acctest.DataDeployments(line), "\noutput")
		config += strings.Replace(block, `"test"`, fmt.Sprintf("%q", name), 1)
		want[fmt.Sprintf("data \"bitbucket_deployments\" %q", name)] = message
	}
	terraform.Write(t, f.Config(config))
	for _, command := range []string{"validate", "plan"} {
		expectRefused(t, terraform, command, want)
	}
	if requests := sentQueries(f); len(requests) > 0 {
		t.Errorf("sent %v", requests)
	}
}

// The data source is read after apply if one of its values is unknown. If the provider
// configuration is unknown, the plan fails.
func TestAccDeployments_unknown(t *testing.T) {
	t.Parallel()
	f, terraform := newDeployed(t), acctest.NewCLI(t)
	later := fmt.Sprintf("\nresource \"terraform_data\" \"later\" {\n  input = { environment = %q, limit = 1, token = \"api-token\" }\n}\n", acctest.ProductionUUID)
	terraform.Write(t, f.ConfigWith(later+acctest.DataDeployments(), `username = "ci@example.com"`, "token = terraform_data.later.output.token"))
	terraform.Fails(t, []string{"plan"}, "Provider configuration is not known yet", "-target")
	terraform.Write(t, f.Config(later+acctest.DataDeployments("environment_uuid = terraform_data.later.output.environment", "limit = terraform_data.later.output.limit")))
	acctest.Contains(t, terraform.MustRun(t, "plan"), "will be read during apply")
	if requests := sentQueries(f); len(requests) > 0 {
		t.Errorf("sent %v", requests)
	}
	terraform.MustRun(t, "apply", "-auto-approve")
	terraform.FoundDeployments(t, "{d3}")
}

// A hostile reply can make a command fail, but must do no other harm.
func TestAccDeployments_hostileReplies(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	deep := strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000)
	terraform.Write(t, f.Config(acctest.DataDeployments()+"\noutput \"all\" {\n  value = data.bitbucket_deployments.test.deployments\n}\n"))
	f.Inject(emulator.Fault{Status: 200, Body: `{"values": [
		{"uuid": "{1}", "number": null, "key": null, "state": null, "environment": null, "release": null, "deployable": null, "created_on": null},
		{"uuid": "{2}", "number": 9007199254740993, "state": {"name": "\u001b[2J\u001b]0;title\u0007\u202e", "started_on": "soon", "status": {"name": ""}}, "other": ` + deep + `},
		{"uuid": "{2}", "number": 7}
	]}`})
	if out := terraform.MustRun(t, "apply", "-auto-approve"); strings.ContainsAny(out, "\x1b\a") {
		t.Errorf("control characters were printed: %q", out)
	}
	var got []map[string]any
	if err := json.Unmarshal([]byte(terraform.Output(t, "all")), &got); err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
	acctest.Contains(t, terraform.Output(t, "all"), `"number":9007199254740993,`)
	for i, want := range []map[string]any{
		{"uuid": "{2}", "number": got[0]["number"], "state": "\x1b[2J\x1b]0;title\a\u202e", "started_on": "soon"},
		{"uuid": "{1}"},
	} {
		for name, value := range got[i] {
			if value != want[name] {
				t.Errorf("%s of %d is %v, want %v", name, i, value, want[name])
			}
		}
	}
	f.ClearFaults()
	f.Inject(emulator.Fault{Status: 404, Body: "\x1b[2J\x1b]0;title\a\u202e"})
	out := terraform.Fails(t, []string{"plan"}, "Unable to list deployments", "Bitbucket says: [2J ]0;title")
	if strings.ContainsAny(out, "\x1b\a\u202e") {
		t.Errorf("control characters were printed: %q", out)
	}
}

// A name that not exactly one environment has is an error that lists the environments to
// choose from. No deployments are requested then.
func TestAccDeployments_environmentNames(t *testing.T) {
	t.Parallel()
	f, terraform := newDeployed(t), acctest.NewCLI(t)
	server := acctest.NewConfiguredServer(t, f)
	f.SetDeployments(emulator.DeploymentBehavior{Observed: true})
	const list = "website/environments/?pagelen=100 200"
	refused := func(name string, want ...string) {
		t.Helper()
		read := readData(t, server, "bitbucket_deployments", map[string]string{"environment": name})
		read.fails(t, append([]string{"No single environment found"}, want...)...)
		if out := acctest.Reported(read.diagnostics); strings.ContainsAny(out, "\x1b\a\u202e") || pathOf(read.diagnostics[0].Attribute) != "environment" {
			t.Errorf("the error about %v is %q", read.diagnostics[0].Attribute, out)
		}
		if sent := sentQueries(f); !slices.Equal(sent, []string{list}) {
			t.Errorf("%q sent %q", name, sent)
		}
	}
	all := []string{`"Staging" "` + acctest.StagingUUID + `"`, `"Production" "` + acctest.ProductionUUID + `"`}
	for _, name := range []string{"production", " Production", "", acctest.ProductionUUID} {
		refused(name, append([]string{fmt.Sprintf("No environment of acme/website has the name %q. Write one of these names, in the same case:", name)}, all...)...)
	}

	f.SetEnvironments("acme", "website", emulator.Environment{UUID: "{e1}", Name: "qa"}, emulator.Environment{UUID: "{e2}", Name: "qa"}, emulator.Environment{UUID: "{e3}", Name: "QA"})
	refused("qa", `2 environments of acme/website have the name "qa". Set environment_uuid to the UUID of one of them:`, `"qa" "{e1}"`, `"qa" "{e2}"`)

	f.SetEnvironments("acme", "website", emulator.Environment{UUID: "{\x1b[2J}", Name: "\x1b]0;title\a\u202e"})
	refused("qa", `"\x1b]0;title\a\u202e" "{\x1b[2J}"`)

	var many []emulator.Environment
	for i := range 30 {
		many = append(many, emulator.Environment{Name: fmt.Sprintf("environment %d", i)})
	}
	f.SetEnvironments("acme", "website", many...)
	refused("qa", `"environment 24"`, "and 5 more")

	f.SetEnvironments("acme", "website")
	refused("qa", `No environment of acme/website has the name "qa". The repository has no environments.`)

	// A user sees the line of the name.
	terraform.Write(t, f.Config(acctest.DataDeployments(`environment = "qa"`)))
	terraform.Fails(t, []string{"plan"}, "Error: No single environment found", `environment = "qa"`, "The repository has no environments.")

	// Terraform sends a name in another Unicode form than a Mac.
	f.SetEnvironments("acme", "website", emulator.Environment{UUID: acctest.ProductionUUID, Name: "cafe\u0301"})
	terraform.Write(t, f.Config(acctest.DataDeployments(`environment = "café"`)))
	terraform.MustRun(t, "apply", "-auto-approve")
	terraform.FoundDeployments(t, "{d3} {d1}")
}

// If a deployment lacks the name of its environment, the list of environments has it. The
// name of an environment that was deleted is null.
func TestDeployments_missingNames(t *testing.T) {
	t.Parallel()
	f := newDeployed(t)
	expect := func(want string, requests int) {
		t.Helper()
		read := readData(t, acctest.NewConfiguredServer(t, f), "bitbucket_deployments", nil)
		if got := strings.Join(read.column(t, "deployments", "environment_name"), " "); got != want || len(read.diagnostics) > 0 {
			t.Errorf("got %s, want %s, %v", got, want, read.diagnostics)
		}
		if sent := sentQueries(f); len(sent) != requests {
			t.Errorf("sent %q, want %d requests", sent, requests)
		}
	}
	expect("Staging Production Staging Production", 1)
	f.SetDeployments(emulator.DeploymentBehavior{Observed: true})
	expect("Staging Production Staging Production", 2)
	f.SetEnvironments("acme", "website", emulator.Environment{UUID: strings.ToUpper(acctest.ProductionUUID), Name: "Live"})
	expect("null Live null Live", 2)
	f.SetDeployments(emulator.DeploymentBehavior{Observed: true, NeverDeployed404: true})
	f.SetEnvironments("acme", "website")
	expect("null null null null", 3)
	// Deployments without an environment need no names.
	f.Inject(emulator.Fault{Path: "/deployments/", Status: 200, Body: `{"values": [{"uuid": "{1}"}, {"uuid": "{2}", "environment": {"name": "as deployed"}}]}`})
	expect("null as deployed", 1)
}

// If Bitbucket refuses to list the environments, the deployments are read, with a warning.
// Any other failure is an error. With environment set, each failure is an error.
func TestAccDeployments_environmentErrors(t *testing.T) {
	t.Parallel()
	failing := func(t *testing.T, tc listFailure, attributes map[string]string) dataRead {
		t.Helper()
		f := newDeployed(t)
		f.SetDeployments(emulator.DeploymentBehavior{Observed: true})
		server := acctest.NewServerWith(t, f, noWaiting())
		tc.setUp(f)
		return readData(t, server, "bitbucket_deployments", attributes)
	}
	const summary, request = "Unable to list environments", "Could not list the environments of acme/website."
	for name, tc := range environmentErrors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failing(t, tc, nil).fails(t, append([]string{summary, request}, tc.want...)...)
		})
	}
	for name, tc := range refusedEnvironments() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc := tc           // The other subtest keeps its setUp.
			if name == "404" { // The repository is hidden after the deployments were read.
				tc.setUp = func(f *acctest.Fake) { f.Inject(emulator.Fault{Path: "acme/website", Skip: 1, Status: 404}) }
			}
			want := append([]string{"Warning: Environment names of acme/website are missing", "The environment_name of these deployments is null."}, tc.want...)
			read := failing(t, tc, nil)
			acctest.Contains(t, acctest.Reported(read.diagnostics), want...)
			if got := strings.Join(read.column(t, "deployments", "environment_name"), " "); got != "null null null null" {
				t.Errorf("got %s", got)
			}
			if name == "403" { // The warning does not stop the apply.
				f, terraform := newDeployed(t), acctest.NewCLI(t)
				f.SetDeployments(emulator.DeploymentBehavior{Observed: true})
				tc.setUp(f)
				terraform.Write(t, f.Config(acctest.DataDeployments()))
				acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), want...)
				terraform.FoundDeployments(t, "{d4} {d3} {d2} {d1}")
			}
		})
		t.Run(name+", needed", func(t *testing.T) {
			t.Parallel()
			failing(t, tc, map[string]string{"environment": "Production"}).fails(t, append([]string{summary, request}, tc.want...)...)
		})
	}
}

// An unknown environment delays the read until apply. It may turn out to be null.
func TestAccDeployments_unknownEnvironment(t *testing.T) {
	t.Parallel()
	f, terraform := newDeployed(t), acctest.NewCLI(t)
	config := fmt.Sprintf("\nresource \"terraform_data\" \"later\" {\n  input = { name = \"Production\", uuid = %q, none = null }\n}\n", acctest.ProductionUUID)
	found := map[string]string{}
	for lines, want := range map[string]string{
		"environment = terraform_data.later.output.name":                                                        `["{d3}","{d1}"]`,
		"environment = terraform_data.later.output.none":                                                        `["{d4}","{d3}","{d2}","{d1}"]`,
		"environment = terraform_data.later.output.none\n  environment_uuid = terraform_data.later.output.uuid": `["{d3}","{d1}"]`,
	} {
		name := fmt.Sprintf("read_%d", len(found))
		config += strings.NewReplacer(`"test"`, fmt.Sprintf("%q", name), "deployments.test", "deployments."+name, `"uuids"`, fmt.Sprintf("%q", name)).Replace(acctest.DataDeployments(lines))
		found[name] = want
	}
	terraform.Write(t, f.Config(config))
	if out := terraform.MustRun(t, "plan"); strings.Count(out, "will be read during apply") != len(found) {
		t.Errorf("not every read is delayed: %s", out)
	}
	if requests := sentQueries(f); len(requests) > 0 {
		t.Errorf("sent %v", requests)
	}
	terraform.MustRun(t, "apply", "-auto-approve")
	for name, want := range found {
		if got := terraform.Output(t, name); got != want {
			t.Errorf("found %s, want %s", got, want)
		}
	}

	f.ForgetRequests()
	terraform = acctest.NewCLI(t) // In the old state, the values are known.
	later, _, _ := strings.Cut(config, "\ndata")
	terraform.Write(t, f.Config(later+acctest.DataDeployments("environment = terraform_data.later.output.name", "environment_uuid = terraform_data.later.output.uuid")))
	terraform.Fails(t, []string{"apply", "-auto-approve"}, "Invalid Attribute Combination", "environment_uuid")
	if requests := sentQueries(f); len(requests) > 0 {
		t.Errorf("sent %v", requests)
	}
}
