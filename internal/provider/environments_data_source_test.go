package provider

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestAccEnvironments_basic(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	f.SetEnvironments("acme", "website",
		emulator.Environment{UUID: acctest.StagingUUID, Name: "QA (2)"},
		emulator.Environment{UUID: acctest.ProductionUUID, Name: "Production", Type: "Production", Locked: true})
	environment := func(uuid, name, slug, kind string, rank int64, locked bool) knownvalue.Check {
		return knownvalue.ObjectExact(map[string]knownvalue.Check{
			"uuid": knownvalue.StringExact(uuid), "name": knownvalue.StringExact(name), "slug": knownvalue.StringExact(slug), "type": knownvalue.StringExact(kind),
			"rank": knownvalue.Int64Exact(rank), "category": knownvalue.StringExact(kind), "locked": knownvalue.Bool(locked),
		})
	}
	list := func(environments ...knownvalue.Check) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectKnownValue("data.bitbucket_environments.test", tfjsonpath.New("environments"), knownvalue.ListExact(environments))}
	}
	acctest.Test(t,
		acctest.Step{
			Config: f.Config(acctest.DataEnvironments()),
			ConfigStateChecks: list(
				environment(acctest.StagingUUID, "QA (2)", "qa-2", "Test", 0, false),
				environment(acctest.ProductionUUID, "Production", "production", "Production", 2, true)),
		},
		acctest.Step{
			PreConfig: func() {
				f.SetEnvironments("acme", "website", emulator.Environment{UUID: acctest.StagingUUID, Name: "Pre", Type: "Staging"})
			},
			Config:            f.Config(acctest.DataEnvironments()),
			ConfigStateChecks: list(environment(acctest.StagingUUID, "Pre", "pre", "Staging", 1, false)),
		},
	)
}

// A plan reads the data source, and the apply of that plan does not read it again.
func TestAccEnvironments_requests(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	f.SetEnvironments("acme", "website", emulator.Environment{Name: "one"}, emulator.Environment{Name: "two"})
	terraform.Write(t, f.Config(acctest.DataEnvironments()))
	for _, command := range [][]string{{"plan", "-out=saved"}, {"apply", "saved"}, {"plan", "-detailed-exitcode"}} {
		terraform.MustRun(t, command...)
		want := []string{"website/environments/?pagelen=100 200"}
		if command[0] == "apply" {
			want = nil
		}
		if got := sentQueries(f); !slices.Equal(got, want) {
			t.Errorf("%v sent\n  %s\nwant\n  %s", command, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
	if found := readEnvironments(t, terraform); len(found) != 2 {
		t.Errorf("found %v", found)
	}
}

// Reading sends exactly these requests, for each way in which Bitbucket may behave.
func TestEnvironments_requests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		behavior   emulator.DeploymentBehavior
		attributes map[string]string
		number     int
		want       []string
	}{
		"some":            {emulator.DeploymentBehavior{}, nil, 2, []string{"website/environments/?pagelen=100 200"}},
		"slash required":  {emulator.DeploymentBehavior{Slash: emulator.SlashRequired}, nil, 2, []string{"website/environments/?pagelen=100 200"}},
		"slash refused":   {emulator.DeploymentBehavior{Slash: emulator.SlashRefused}, nil, 2, []string{"website/environments/?pagelen=100 404", "website/environments?pagelen=100 200"}},
		"three pages":     {emulator.DeploymentBehavior{}, nil, 205, []string{"website/environments/?pagelen=100 200", "website/environments/?pagelen=100&page=2 200", "website/environments/?pagelen=100&page=3 200"}},
		"none, 200":       {emulator.DeploymentBehavior{}, nil, 0, []string{"website/environments/?pagelen=100 200"}},
		"none, 404":       {emulator.DeploymentBehavior{NeverDeployed404: true}, nil, 0, []string{"website/environments/?pagelen=100 404", "website?fields=uuid 200"}},
		"other":           {emulator.DeploymentBehavior{}, map[string]string{"repository": "api"}, 0, []string{"api/environments/?pagelen=100 200"}},
		"by uuid":         {emulator.DeploymentBehavior{}, map[string]string{"repository": acctest.WebsiteUUID}, 2, []string{"%7B85d08b4e-571d-44e9-a507-fa476535aa98%7D/environments/?pagelen=100 200"}},
		"slash, none 404": {emulator.DeploymentBehavior{Slash: emulator.SlashRefused, NeverDeployed404: true}, nil, 0, []string{"website/environments/?pagelen=100 404", "website/environments?pagelen=100 404", "website?fields=uuid 200"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := acctest.NewFake(t)
			var environments []emulator.Environment
			for i := range tc.number {
				environments = append(environments, emulator.Environment{Name: fmt.Sprintf("environment %d", i)})
			}
			f.SetEnvironments("acme", "website", environments...)
			f.SetDeployments(tc.behavior)
			read := readData(t, acctest.NewConfiguredServer(t, f), "bitbucket_environments", tc.attributes)
			if got := sentQueries(f); !slices.Equal(got, tc.want) {
				t.Errorf("sent\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(tc.want, "\n  "))
			}
			if found := read.column(t, "environments", "name"); len(found) != tc.number || len(read.diagnostics) > 0 {
				t.Errorf("found %q, want %d environments, %v", found, tc.number, read.diagnostics)
			}
		})
	}
}

// readEnvironments returns what the data source of DataEnvironments has found.
func readEnvironments(t *testing.T, terraform *acctest.CLI) []map[string]any {
	t.Helper()
	var found []map[string]any
	if err := json.Unmarshal([]byte(terraform.Output(t, "environments")), &found); err != nil {
		t.Fatal(err)
	}
	return found
}

const environmentScopes = "The request needs an account that can read the repository. Scopes of its API token: read:pipeline:bitbucket and, for a repository without environments, read:repository:bitbucket (OAuth: pipeline and repository)."

// environmentErrors are failures of the list of environments.
func environmentErrors() map[string]listFailure {
	const list = "GET /2.0/repositories/acme/website/environments/:"
	one := func(fault emulator.Fault) func(*acctest.Fake) {
		fault.Path = "/environments"
		return func(f *acctest.Fake) { f.Inject(fault) }
	}
	return map[string]listFailure{
		"401":       {one(emulator.Unauthorized()), []string{list + " 401 Unauthorized", environmentScopes}},
		"429":       {one(emulator.RateLimited()), []string{list + " 429 Too Many Requests", "1,000 requests an hour"}},
		"500":       {one(emulator.ServerError()), []string{list + " 500 Internal Server Error", "status.atlassian.com"}},
		"redirect":  {one(emulator.Redirect("https://login.example.com/")), []string{list + " 302 Found", "The address has moved"}},
		"log-in":    {one(emulator.LoginPage()), []string{list + " the reply cannot be used", "Log in to the network", "proxy"}},
		"empty":     {one(emulator.EmptyOK()), []string{list + " the reply cannot be used", "an empty reply"}},
		"no list":   {one(emulator.Fault{Status: 200, Body: "{}"}), []string{list + " the reply cannot be used", "no usable list of values"}},
		"no uuid":   {one(emulator.Fault{Status: 200, Body: `{"values": [{"uuid": "{1}"}, {}]}`}), []string{list + " the reply cannot be used", "one of its values has no uuid"}},
		"cut":       {one(emulator.Fault{Cut: true}), []string{list, "EOF", "the network and the proxy"}},
		"truncated": {one(emulator.Fault{Truncate: true}), []string{list, "unexpected EOF"}},
		"later page": {
			func(f *acctest.Fake) {
				f.Inject(emulator.Fault{Path: "/environments", Rewrite: func(http.Header, string) string { return `{"values": [], "next": "?page=2"}` }, Times: 1}, emulator.Fault{Path: "/environments"})
			},
			[]string{list + " 500 Internal Server Error"},
		},
	}
}

// refusedEnvironments are refusals of the list of environments.
func refusedEnvironments() map[string]listFailure {
	const list = "GET /2.0/repositories/acme/website/environments/:"
	return map[string]listFailure{
		"403": {
			func(f *acctest.Fake) { f.Inject(emulator.Fault{Path: "/environments", Status: 403}) },
			[]string{list + " 403 Forbidden", environmentScopes},
		},
		"404": {
			func(f *acctest.Fake) { f.RemoveRepository("acme", "website") },
			[]string{"GET /2.0/repositories/acme/website: 404 Not Found", "the repository was deleted or renamed, or these credentials cannot see it: Bitbucket answers 404 in all of these cases.", environmentScopes},
		},
		"404, scope": {
			func(f *acctest.Fake) {
				f.Inject(emulator.Fault{Path: "/environments", Status: 404})
				f.AllowBasic("ci@example.com", "api-token", "read:pipeline:bitbucket")
			},
			[]string{"GET /2.0/repositories/acme/website: 403 Forbidden", "Required scopes: read:repository:bitbucket", "Granted scopes: read:pipeline:bitbucket", environmentScopes},
		},
		"no route": {
			func(f *acctest.Fake) {
				f.Inject(emulator.Fault{Path: "/environments", Status: 404, Body: `{"error": {"message": "Resource not found", "detail": "There is no API hosted at this URL."}}`})
			},
			[]string{"GET /2.0/repositories/acme/website/environments: 404 Not Found", "Detail: There is no API hosted at this URL."},
		},
	}
}

// listFailure is a failure of a list, and what its error contains.
type listFailure struct {
	setUp func(*acctest.Fake)
	want  []string
}

// Each error contains what could not be done, Bitbucket's reply and what to do. An
// incomplete list is never returned.
func TestAccEnvironments_errors(t *testing.T) {
	t.Parallel()
	failures := environmentErrors()
	maps.Copy(failures, refusedEnvironments())
	failures["scope"] = listFailure{
		func(f *acctest.Fake) { f.AllowBasic("ci@example.com", "api-token", "admin:repository:bitbucket") },
		[]string{"environments/: 403 Forbidden", "Required scopes: read:pipeline:bitbucket", "Granted scopes: admin:repository:bitbucket", environmentScopes},
	}
	for name, tc := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := acctest.NewFake(t)
			server := acctest.NewServerWith(t, f, noWaiting())
			tc.setUp(f)
			want := append([]string{"Unable to list environments", "Could not list the environments of acme/website."}, tc.want...)
			readData(t, server, "bitbucket_environments", nil).fails(t, want...)
			if name == "scope" { // A user sees the same text.
				terraform := acctest.NewCLI(t)
				terraform.Write(t, f.Config(acctest.DataEnvironments(), "max_retries = 0"))
				terraform.Fails(t, []string{"apply", "-auto-approve"}, append([]string{"Error: "}, want...)...)
			}
		})
	}
}

func TestAccEnvironments_validation(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	config, want := "", map[string]string{}
	for line, message := range map[string]string{`repository = "a/b"`: "Invalid repository", `repository = ""`: "Invalid repository", "environments = []": "environments"} {
		name := fmt.Sprintf("data_%d", len(want))
		block, _, _ := strings.Cut(acctest.DataEnvironments(line), "\noutput")
		config += strings.Replace(block, `"test"`, fmt.Sprintf("%q", name), 1)
		want[fmt.Sprintf("data \"bitbucket_environments\" %q", name)] = message
	}
	terraform.Write(t, f.Config(config))
	for _, command := range []string{"validate", "plan"} {
		expectRefused(t, terraform, command, want)
	}
	terraform.Write(t, f.Config(acctest.DataEnvironments(`name = "qa"`)))
	terraform.Fails(t, []string{"validate"}, "Error: ", "name")
	if requests := sentQueries(f); len(requests) > 0 {
		t.Errorf("sent %v", requests)
	}
}

// A hostile reply can make a command fail, but must do no other harm. A field that is missing
// or of another type is null.
func TestAccEnvironments_hostileReplies(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	terraform.Write(t, f.Config(acctest.DataEnvironments()))
	f.Inject(emulator.Fault{Status: 200, Body: `{"values": [
		{"uuid": "{1}"},
		{"uuid": "{2}", "name": null, "slug": 5, "rank": "0", "category": "Test", "environment_type": [], "lock": true},
		{"uuid": "{3}", "name": "\u001b[2J\u001b]0;title\u0007\u202e", "rank": 9007199254740993, "lock": {"name": "PAUSED"}, "other": ` + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000) + `},
		{"uuid": "{2}", "name": "again"}
	]}`})
	if out := terraform.MustRun(t, "apply", "-auto-approve"); strings.ContainsAny(out, "\x1b\a") {
		t.Errorf("control characters were printed: %q", out)
	}
	acctest.Contains(t, terraform.Output(t, "environments"), `"rank":9007199254740993,`)
	want := []map[string]any{{"uuid": "{1}"}, {"uuid": "{2}"}, {"uuid": "{3}", "name": "\x1b[2J\x1b]0;title\a\u202e", "rank": float64(9007199254740993), "locked": true}}
	got := readEnvironments(t, terraform)
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		for name := range environmentAttributes() {
			if got[i][name] != want[i][name] {
				t.Errorf("%s of %d is %v, want %v", name, i, got[i][name], want[i][name])
			}
		}
	}
	f.ClearFaults()
	f.Inject(emulator.Fault{Status: 403, Body: "\x1b[2J\x1b]0;title\a\u202e"})
	out := terraform.Fails(t, []string{"plan"}, "Unable to list environments", "Bitbucket says: [2J ]0;title")
	if strings.ContainsAny(out, "\x1b\a\u202e") {
		t.Errorf("control characters were printed: %q", out)
	}
}

// If the provider configuration or the repository is unknown, no request is sent.
func TestAccEnvironments_unknown(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	f.SetEnvironments("acme", "website", emulator.Environment{Name: "qa"})
	const later = "\nresource \"terraform_data\" \"later\" {\n  input = { repository = \"website\", token = \"api-token\" }\n}\n"
	terraform.Write(t, f.ConfigWith(later+acctest.DataEnvironments(), `username = "ci@example.com"`, "token = terraform_data.later.output.token"))
	terraform.Fails(t, []string{"plan"}, "Provider configuration is not known yet", "-target")
	terraform.Write(t, f.Config(later+acctest.DataEnvironments("repository = terraform_data.later.output.repository")))
	acctest.Contains(t, terraform.MustRun(t, "plan"), "will be read during apply")
	if requests := sentQueries(f); len(requests) > 0 {
		t.Errorf("sent %v", requests)
	}
	terraform.MustRun(t, "apply", "-auto-approve")
	if found := readEnvironments(t, terraform); len(found) != 1 || found[0]["name"] != "qa" {
		t.Errorf("found %v", found)
	}
}
