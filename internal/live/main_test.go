package live_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
)

// maxRequests is how many requests all tests may send. Bitbucket allows about 1,000 in an hour,
// and the tests must leave some of them to others.
const maxRequests = 300

// requests counts the requests of all tests.
var requests = &live.Counter{}

// workspace is the workspace of the environment if TF_ACC is set. Otherwise it is nil, and each
// test has an emulator of its own.
var workspace *live.Server

// environment has the variables that the provider reads in all tests.
var environment = map[string]string{"BITBUCKET_USERNAME": "ci@example.com", "BITBUCKET_TOKEN": "api-token"}

func TestMain(m *testing.M) {
	flag.Parse()
	repetitions, err := strconv.ParseInt(flag.Lookup("test.count").Value.String(), 10, 64)
	if err != nil {
		panic(err) // The testing package has defined this flag as a number.
	}
	requests.Limit = maxRequests * repetitions
	if os.Getenv("TF_ACC") != "" {
		server, err := live.FromEnvironment(os.Getenv)
		if err != nil {
			fmt.Fprintf(os.Stderr, "TF_ACC is set, so these tests run on a real workspace: %v.\n", err)
			os.Exit(1)
		}
		server.Counter, workspace = requests, server
		environment = map[string]string{}
		for _, variable := range os.Environ() {
			if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "BITBUCKET_") && name != "BITBUCKET_BASE_URL" {
				environment[name] = value
			}
		}
	}
	acctest.Main(suite{m}, provider.NewServer)
}

// suite runs all tests. It deletes what they have created, also after Ctrl-C.
type suite struct{ *testing.M }

// Run implements the interface of [acctest.Main].
func (s suite) Run() int {
	for name, value := range environment {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if workspace == nil {
		return s.M.Run()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	finished := make(chan int, 1)
	go func() {
		if _, err := capabilities(); err != nil {
			finished <- 1
			return
		}
		finished <- s.M.Run()
	}()
	code := 130
	select {
	case code = <-finished:
	case <-ctx.Done():
		fmt.Println("Stopped. Deleting what the tests have created.")
	}
	stop() // The next Ctrl-C stops the deletion too.
	if err := workspace.Close(); err != nil {
		fmt.Println("Not deleted: " + workspace.Redact(err.Error()))
		if live.Status(err) != http.StatusForbidden { // Without the scope to delete, the tests were skipped.
			code = max(code, 1)
		}
	}
	fmt.Printf("%d requests to %s, of at most %d.\n", requests.Sent(), workspace.Base, maxRequests)
	printFindings()
	return code
}

// capabilities finds out once what the workspace of the environment supports.
var capabilities = sync.OnceValues(func() (map[need]string, error) { return probe(context.Background(), workspace) })

// printFindings prints what the workspace does not support.
func printFindings() {
	missing, err := capabilities()
	if err != nil {
		fmt.Println(workspace.Redact(err.Error()))
	}
	for _, n := range names(missing) {
		if n != faults {
			fmt.Printf("Finding: the tests of %s were skipped: %s\n", n, missing[n])
		}
	}
}

// testServer is the server of one test, with a CLI in a directory of its own.
type testServer struct {
	*live.Server
	*acctest.CLI
	proxy *live.Proxy
	// emulator is nil if the server is a real workspace.
	emulator *emulator.Emulator
}

// start returns a server for a test, or skips the test if the server does not support what the
// test needs. Each test needs deploy keys of repositories.
func start(t *testing.T, required ...need) *testServer {
	t.Helper()
	s := &testServer{Server: workspace}
	if workspace == nil {
		s.emulator, s.Server = startEmulator(t, required)
	} else {
		missing, _ := capabilities() // Without an error: see [suite.Run].
		for _, n := range append([]need{deployKeys}, required...) {
			if reason := missing[n]; reason != "" {
				t.Skipf("needs %s: %s", n, reason)
			}
		}
	}
	s.proxy = s.NewProxy()
	t.Cleanup(s.proxy.Close)
	s.CLI = acctest.NewCLI(t)
	return s
}

// startEmulator starts an emulator that supports what the test needs. It has an empty
// workspace, because the tests create all repositories and projects through the API.
func startEmulator(t *testing.T, required []need) (*emulator.Emulator, *live.Server) {
	t.Helper()
	e := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{{Slug: "acme"}}})
	e.AllowBasic(environment["BITBUCKET_USERNAME"], environment["BITBUCKET_TOKEN"])
	for _, n := range required {
		if n == refusedUpdates {
			e.SetPUT(emulator.PUTRefused)
		}
	}
	listener := httptest.NewServer(e)
	t.Cleanup(listener.Close)
	server, err := live.NewServer(listener.URL+"/2.0", "acme", environment["BITBUCKET_USERNAME"], environment["BITBUCKET_TOKEN"], requests)
	if err != nil {
		t.Fatal(err)
	}
	return e, server
}

// parent is a repository or a project that has deploy keys.
type parent struct {
	kind     string // kind is "repository" or "project".
	typeName string // typeName is the type of the resource for one key.
	name     string
	path     string
	server   *testServer
}

// repository creates a repository and deletes it after the test.
func (s *testServer) repository(t *testing.T, project string) parent {
	t.Helper()
	created, err := s.CreateRepository(t.Context(), project)
	s.check(t, err)
	s.deleteAfter(t, s.Path(created.Slug))
	return s.repositoryNamed(created.Slug)
}

// repositoryNamed returns a repository that exists.
func (s *testServer) repositoryNamed(slug string) parent {
	return parent{"repository", "bitbucket_deploy_key", slug, s.Path(slug), s}
}

// project creates a project and deletes it after the test.
func (s *testServer) project(t *testing.T) parent {
	t.Helper()
	key, err := s.CreateProject(t.Context())
	s.check(t, err)
	s.deleteAfter(t, s.ProjectPath(key))
	return parent{"project", "bitbucket_project_deploy_key", key, s.ProjectPath(key), s}
}

func (s *testServer) deleteAfter(t *testing.T, path string) {
	t.Cleanup(func() { s.check(t, s.Delete(context.WithoutCancel(t.Context()), path)) })
}

// check fails the test if err is not nil.
func (s *testServer) check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(s.Redact(err.Error()))
	}
}

// configure replaces the configuration. Lines are added to the provider block.
func (s *testServer) configure(t *testing.T, body string, lines ...string) {
	t.Helper()
	s.Write(t, acctest.RequiredProviders+fmt.Sprintf("\nprovider \"bitbucket\" {\n  base_url = %q\n  %s\n}\n", s.proxy.BaseURL, strings.Join(lines, "\n  "))+body)
}

// expectWrites checks the requests since the last call that could change something. A path
// begins after the path of the parent.
func (p parent) expectWrites(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, line := range p.server.proxy.Writes() {
		method, rest, _ := strings.Cut(line, " ")
		path, status, _ := strings.Cut(rest, " ")
		got = append(got, method+" "+strings.TrimPrefix(path, p.path)+" "+status)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("requests that write:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// expectEmptyPlan checks that nothing is planned.
func (s *testServer) expectEmptyPlan(t *testing.T) {
	t.Helper()
	s.MustRun(t, "plan", "-detailed-exitcode")
}

// resource returns a resource for one key, with these lines.
func (p parent) resource(name string, lines ...string) string {
	return p.block("resource", p.typeName, name, lines...)
}

// block returns a block of a configuration for this parent.
func (p parent) block(block, typeName, name string, lines ...string) string {
	return fmt.Sprintf("\n%s %q %q {\n  workspace = %q\n  %s = %q\n  %s\n}\n", block, typeName, name, p.server.Workspace, p.kind, p.name, strings.Join(lines, "\n  "))
}

// importID returns the import ID of a key.
func (p parent) importID(id int64) string {
	return fmt.Sprintf("%s/%s/%d", p.server.Workspace, p.name, id)
}

// deployKey is a deploy key in a reply of the API.
type deployKey struct {
	ID                  int64
	Key, Label, Comment string
}

// add adds a key outside of Terraform.
func (p parent) add(t *testing.T, key, label string) deployKey {
	t.Helper()
	var added deployKey
	p.server.check(t, p.server.Expect(t.Context(), http.MethodPost, p.path+"/deploy-keys", map[string]string{"key": key, "label": label}, &added))
	return added
}

// remove removes a key outside of Terraform.
func (p parent) remove(t *testing.T, id int64) {
	t.Helper()
	p.server.check(t, p.server.Expect(t.Context(), http.MethodDelete, fmt.Sprintf("%s/deploy-keys/%d", p.path, id), nil, nil))
}

// keys returns the keys of the parent.
func (p parent) keys(t *testing.T) []deployKey {
	t.Helper()
	var list struct{ Values []deployKey }
	p.server.check(t, p.server.Expect(t.Context(), http.MethodGet, p.path+"/deploy-keys?pagelen=100", nil, &list))
	return list.Values
}

// onlyKey returns the only key of the parent.
func (p parent) onlyKey(t *testing.T) deployKey {
	t.Helper()
	keys := p.keys(t)
	if len(keys) != 1 {
		t.Fatalf("%s has %d keys, want 1", p.name, len(keys))
	}
	return keys[0]
}

// value returns an attribute of a managed resource from the state.
func (s *testServer) value(t *testing.T, address, attribute string) string {
	t.Helper()
	var state struct {
		Resources []struct {
			Type, Name string
			Instances  []struct{ Attributes map[string]any }
		}
	}
	if err := json.Unmarshal([]byte(acctest.ReadFile(t, s.Dir+"/terraform.tfstate")), &state); err != nil {
		t.Fatal(err)
	}
	for _, resource := range state.Resources {
		if resource.Type+"."+resource.Name == address && len(resource.Instances) == 1 {
			return fmt.Sprint(resource.Instances[0].Attributes[attribute])
		}
	}
	t.Fatalf("the state has no %s", address)
	return ""
}
