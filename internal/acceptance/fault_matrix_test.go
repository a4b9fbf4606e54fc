package acceptance

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

var allFaults = flag.Bool("faults", false, "inject every fault into every request, and store the outcomes")

// faultMatrix stores the outcome of every cell in the last full run.
var faultMatrix = filepath.Join("testdata", "fault-matrix.md")

// playedFault is a row of the matrix: something that goes wrong with one request.
type playedFault struct {
	name  string
	fault emulator.Fault
	// cause is a pattern that the error must match.
	cause string
	// refuse means that no server listens. fault is not used then.
	refuse bool
	// body means that only an answer with a body can have the fault.
	body bool
	// slow means that no answer comes in time.
	slow bool
	// retried means that the provider sends the request again, because the next
	// answer can be a good one.
	retried bool
	// harmless means that the provider can use the answer as it is.
	harmless bool
}

// carriesOut reports whether Bitbucket does what the request asks for, although the
// client gets no usable answer.
func (f playedFault) carriesOut() bool {
	return f.fault.CarryOut || f.fault.Truncate || f.fault.Rewrite != nil
}

var playedFaults = []playedFault{
	{name: "refused connection", refuse: true, cause: "connection refused"},
	{name: "reset before the request is read", fault: emulator.Fault{Reset: true}, cause: "connection reset", retried: true},
	{name: "reset after it is carried out", fault: emulator.Fault{Reset: true, CarryOut: true}, cause: "connection reset", retried: true},
	{name: "reset in the middle of the body", fault: emulator.Fault{Reset: true, Truncate: true}, cause: "connection reset|unexpected EOF", body: true, retried: true},
	{name: "truncated JSON", fault: emulator.TruncatedJSON(), cause: "JSON", body: true},
	{name: "empty 200", fault: emulator.EmptyOK(), cause: "empty"},
	{name: "HTML 502", fault: emulator.BadGateway(), cause: "502 Bad Gateway", retried: true},
	{name: "500 after it is carried out", fault: carriedOut(emulator.ServerError()), cause: "500 Internal Server Error", retried: true},
	{name: "503 with Retry-After", fault: emulator.Unavailable(1), cause: "503 Service Unavailable", retried: true},
	{name: "429 with headers", fault: limited(http.Header{"Retry-After": {"1"}, "X-RateLimit-Limit": {"1000"}}), cause: "429 Too Many Requests", retried: true},
	{name: "429 without headers", fault: emulator.RateLimited(), cause: "429 Too Many Requests", retried: true},
	{name: "slower than the timeout", fault: emulator.Fault{Hang: true}, cause: "no answer within", slow: true, retried: true},
	{name: "slower than the timeout after it is carried out", fault: emulator.Fault{Hang: true, CarryOut: true}, cause: "no answer within", slow: true, retried: true},
	{name: "wrong content type", fault: emulator.WrongContentType(), cause: "(?i)content.type", harmless: true},
	{name: "log-in page of a proxy", fault: emulator.LoginPage(), cause: "HTML page"},
	{name: "redirect to another host", fault: emulator.Redirect("https://login.example.com/"), cause: "302|redirect"},
}

func carriedOut(fault emulator.Fault) emulator.Fault {
	fault.CarryOut = true
	return fault
}

func limited(header http.Header) emulator.Fault {
	fault := emulator.RateLimited()
	fault.Header = fault.Header.Clone()
	maps.Copy(fault.Header, header)
	return fault
}

// faultyRequest is a column of the matrix: the request that the fault hits.
type faultyRequest struct {
	name, method string
	parent       acctest.Parent
	// path is a part of the path, if the method alone does not identify the request.
	path string
	// before holds the lines of the resource before the fault, and after holds the
	// lines during the fault. There is no resource if they are nil.
	before, after []string
	// others is how many keys of other people exist before ours.
	others int
	// args are arguments of apply that make this the first request of the run.
	args []string
	// second means that this cannot be the first request.
	second bool
	// reads is the data source of a run that has no resource. It reads one deployment, of the
	// environment if it has a name.
	reads, environment string
}

// is reports whether r describes a request that was sent.
func (r faultyRequest) is(sent emulator.Request) bool {
	return sent.Method == r.method && strings.Contains(sent.Path, r.path)
}

var (
	labeled   = []string{`label = "ci"`}
	noRefresh = []string{"-refresh=false"}
)

var faultyRequests = []faultyRequest{
	{name: "POST", method: "POST", parent: acctest.Website, after: labeled},
	{name: "GET list", method: "GET", parent: acctest.Website, before: labeled, after: labeled},
	// After a hundred other keys, the key is not on the first page.
	{name: "GET one, to refresh", method: "GET", parent: acctest.Website, path: "/deploy-keys/", before: labeled, after: labeled, others: 100, second: true},
	// The provider checks whether another spelling of the workspace leads to the
	// same repository. If not, the key would be replaced.
	{name: "GET one, to compare", method: "GET", parent: acctest.Website, path: "/deploy-keys/", before: labeled, after: append([]string{`workspace = "` + acctest.WorkspaceUUID + `"`}, labeled...), args: noRefresh},
	{name: "PUT", method: "PUT", parent: acctest.Website, before: []string{`label = "old"`}, after: labeled, args: noRefresh},
	{name: "DELETE", method: "DELETE", parent: acctest.Website, before: labeled, args: noRefresh},
	{name: "GET deployments", method: "GET", parent: acctest.Website, path: "/deployments/", reads: acctest.DataDeployments()},
	{name: "GET environments", method: "GET", parent: acctest.Website, path: "/environments/", reads: acctest.DataDeployments(`environment = "Production"`), environment: "Production"},
	// Bitbucket has no PUT for keys of projects, and does not find projects by UUID.
	{name: "project: POST", method: "POST", parent: acctest.WEB, after: labeled},
	{name: "project: GET list", method: "GET", parent: acctest.WEB, before: labeled, after: labeled},
	{name: "project: DELETE", method: "DELETE", parent: acctest.WEB, before: labeled, args: noRefresh},
}

// If a request fails, the run must either succeed, or fail with an error that names the
// cause, and then the next run must succeed. No key may be lost, added twice or replaced.
func TestAccDeployKey_faultMatrix(t *testing.T) {
	t.Parallel()
	stored, played := readFaultMatrix(t), map[string]*string{}
	for _, c := range faultCells() {
		if !*allFaults && !c.quick() {
			continue
		}
		want := stored[c.String()]
		outcome := new(want) // The stored outcome is kept if -run excludes the cell.
		played[c.String()] = outcome
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			*outcome = c.play(t)
			c.accept(t, *outcome)
			if *outcome != want && !*allFaults {
				t.Errorf("the outcome is %q, but %s, which \"make faults\" writes, has %q", *outcome, faultMatrix, want)
			}
		})
	}
	t.Cleanup(func() { // After all cells.
		if *allFaults && !t.Failed() {
			writeFaultMatrix(t, played)
		}
	})
}

// The stored outcomes must be acceptable too, and each possible cell must have one.
// Otherwise a table that was written again could hide a regression.
func TestFaultMatrix_acceptable(t *testing.T) {
	t.Parallel()
	stored, possible := readFaultMatrix(t), map[string]bool{}
	for _, c := range faultCells() {
		possible[c.String()] = true
		c.accept(t, stored[c.String()])
	}
	for name, outcome := range stored {
		if !possible[name] && outcome != noOutcome {
			t.Errorf("%s has the outcome %q of %s, which cannot be played", faultMatrix, outcome, name)
		}
	}
}

// faultSpread describes how many requests of a run a fault affects.
type faultSpread string

const (
	once    faultSpread = "once"
	lasting faultSpread = "until the run ends"
	// outage also hits the requests with which the provider recovers.
	outage faultSpread = "to every request until the run ends"
)

var faultSpreads = []faultSpread{once, lasting, outage}

// faultCell is one fault on one request.
type faultCell struct {
	spread  faultSpread
	fault   playedFault
	request faultyRequest
}

// faultCells returns all possible cells.
func faultCells() []faultCell {
	var cells []faultCell
	for _, spread := range faultSpreads {
		for _, fault := range playedFaults {
			for _, request := range faultyRequests {
				if c := (faultCell{spread, fault, request}); c.possible() {
					cells = append(cells, c)
				}
			}
		}
	}
	return cells
}

// String names the cell.
func (c faultCell) String() string { return faultCellName(c.spread, c.fault.name, c.request.name) }

func faultCellName(spread faultSpread, fault, request string) string {
	return request + ", " + fault + ", " + string(spread)
}

// possible reports whether the fault can hit the request. An outage always hits the
// first request. A refused connection cannot be limited to one request.
func (c faultCell) possible() bool {
	listens := !c.fault.refuse || c.spread == outage
	reached := !c.request.second || c.spread != outage
	return listens && reached && (!c.fault.body || c.request.method != "DELETE")
}

// quick reports whether every run of the tests plays the cell. Faults do the most damage
// when a key is added or deleted. Projects use the same code for this. Deployments and
// environments use separate code.
func (c faultCell) quick() bool {
	sample := c.request.parent == acctest.Website || c.fault.fault.CarryOut
	return c.spread == once && sample && (c.request.method == "POST" || c.request.method == "DELETE" || c.request.reads != "")
}

// The outcomes of a cell, from the best to the worst.
const (
	recovered      = "recovered"
	nextRun        = "failed, next run succeeded"
	imported       = "failed, import succeeded"
	importedByHand = "failed, import by hand succeeded" // The error did not contain the import ID.
)

var outcomes = []string{recovered, nextRun, imported, importedByHand}

// noOutcome marks a cell in the table that is not possible.
const noOutcome = "—"

// worst returns the worst acceptable outcome. It does not depend on the current behavior of
// the provider.
func (c faultCell) worst() string {
	switch write := c.request.method != "GET"; {
	case c.fault.harmless:
		return recovered
	case c.spread == once && c.fault.retried:
		return recovered // The next attempt succeeds.
	case write && c.fault.carriesOut() && c.spread != outage:
		return recovered // The provider can read what it wrote.
	case c.request.method == "POST" && c.fault.carriesOut():
		return imported // Bitbucket no longer answers, so the state cannot contain the ID of the key.
	default:
		return nextRun // Bitbucket has the keys from before the run, or the keys that the configuration declares.
	}
}

// accept fails the test if an outcome is worse than the worst acceptable one.
func (c faultCell) accept(t *testing.T, outcome string) {
	t.Helper()
	got, worst := slices.Index(outcomes, outcome), slices.Index(outcomes, c.worst())
	if got < 0 || got > worst {
		t.Errorf("%s: the outcome is %q, and the worst acceptable one is %q", c, outcome, c.worst())
	}
}

// play plays the cell, and returns its outcome.
func (c faultCell) play(t *testing.T) string {
	s := newFaultScene(t, c)
	if c.request.reads != "" && !*allFaults {
		return s.playRead(t, c)
	}
	if c.request.before != nil {
		s.configure(t, s.Fake, c.request.before)
		s.terraform.MustRun(t, "apply", "-auto-approve")
		s.sound(t)
	}
	target, fault := s.Fake, c.fault.fault
	if c.fault.refuse {
		target = &acctest.Fake{URL: "http://127.0.0.1:1"}
	} else {
		if c.spread != outage {
			fault.Method, fault.Path = c.request.method, c.request.path
		}
		if c.spread == once {
			fault.Times = 1
		}
		s.Inject(fault)
	}
	s.configure(t, target, c.request.after)
	out, ok := s.terraform.Run(t, append([]string{"apply", "-auto-approve"}, c.request.args...)...)
	s.ClearFaults()
	if !c.fault.refuse && !slices.ContainsFunc(s.Requests(), c.request.is) {
		t.Fatalf("the request was not made: %s", out)
	}
	s.configure(t, s.Fake, c.request.after)
	if ok {
		s.converged(t)
		return recovered
	}
	t.Log(out) // With -v, this shows what a user reads.
	if !regexp.MustCompile(c.fault.cause).MatchString(out) {
		t.Errorf("no error names the cause, %s: %s", c.fault.cause, out)
	}
	s.sound(t)
	if out, ok = s.terraform.Run(t, "apply", "-auto-approve"); ok {
		s.converged(t)
		return nextRun
	}
	if c.request.method != "POST" || !strings.Contains(out, "already added") {
		t.Fatalf("the next run failed as well: %s", out)
	}
	s.sound(t)
	outcome, id := imported, regexp.MustCompile(`acme/(?:website|WEB)/\d+`).FindString(out)
	if id == "" {
		outcome, id = importedByHand, s.request.parent.ImportID(s.id)
	}
	s.terraform.MustRun(t, "import", s.request.parent.Address(), id)
	s.terraform.MustRun(t, "apply", "-auto-approve")
	s.converged(t)
	return outcome
}

// playRead plays a cell of one faulty read without the CLI, which takes no part in a read.
func (s *faultScene) playRead(t *testing.T, c faultCell) string {
	t.Helper()
	settings := map[string]string{"max_retries": "1", "max_rate_limit_wait": "2s"}
	if c.fault.slow {
		settings["request_timeout"] = "1s"
	}
	deployments := map[string]string{"workspace": "acme", "repository": "website"}
	if c.request.environment != "" {
		deployments["environment"] = c.request.environment
	}
	run := func() (string, bool) {
		found, diagnostics := acctest.NewServerWith(t, s.Fake, settings).ReadAttributes(t.Context(), t, "bitbucket_deployments", deployments)
		ok := !acctest.HasError(diagnostics)
		if ok && !strings.Contains(found["deployments"].String(), `"{d1}"`) {
			t.Errorf("found %s", found["deployments"])
		}
		return acctest.Reported(diagnostics), ok
	}
	fault := c.fault.fault
	fault.Method, fault.Path, fault.Times = c.request.method, c.request.path, 1
	s.Inject(fault)
	out, ok := run()
	if !slices.ContainsFunc(s.Requests(), c.request.is) {
		t.Fatalf("the request was not made: %s", out)
	}
	if ok {
		return recovered
	}
	if !regexp.MustCompile(c.fault.cause).MatchString(out) {
		t.Errorf("no error names the cause, %s: %s", c.fault.cause, out)
	}
	s.ClearFaults()
	if out, ok := run(); !ok {
		t.Fatalf("the next run failed as well: %s", out)
	}
	return nextRun
}

// faultScene contains the emulator and the CLI that play a cell.
type faultScene struct {
	*acctest.Fake
	request   faultyRequest
	lines     []string
	terraform *acctest.CLI
	key       string
	// id is the ID of the key, once it exists.
	id int64
	// others are keys of other people. They have the same label as our key.
	others []emulator.DeployKey
}

func newFaultScene(t *testing.T, c faultCell) *faultScene {
	t.Helper()
	s := &faultScene{Fake: acctest.NewFake(t), request: c.request, lines: []string{"max_retries = 1", `max_rate_limit_wait = "2s"`}, terraform: acctest.NewCLI(t), key: acctest.NewKey(t)}
	if c.fault.slow {
		s.lines = append(s.lines, `request_timeout = "1s"`)
	}
	for range max(1, c.request.others) {
		s.others = append(s.others, s.Add(c.request.parent, acctest.NewKey(t), "ci"))
	}
	if c.request.reads != "" {
		s.SetEnvironments("acme", "website", emulator.Environment{UUID: acctest.ProductionUUID, Name: "Production"})
		s.AddDeployment("acme", "website", emulator.Deployment{UUID: "{d1}", EnvironmentUUID: acctest.ProductionUUID})
	}
	return s
}

// configure writes the configuration. It has the resource unless lines is nil.
func (s *faultScene) configure(t *testing.T, target *acctest.Fake, lines []string) {
	t.Helper()
	body := s.request.reads
	if lines != nil {
		body = s.request.parent.DeployKey(append([]string{acctest.KeyLine(s.key)}, lines...)...)
	}
	s.terraform.Write(t, target.Config(body, s.lines...))
}

// bitbucketKeys returns the keys in Bitbucket: the keys with our key material, and all
// other keys.
func (s *faultScene) bitbucketKeys() (ours, others []emulator.DeployKey) {
	for _, key := range s.Keys(s.request.parent) {
		if key.Key == s.key {
			ours = append(ours, key)
		} else {
			others = append(others, key)
		}
	}
	return ours, others
}

// state returns the labels in the state, by key ID.
func (s *faultScene) state(t *testing.T) map[int64]string {
	t.Helper()
	labels := map[int64]string{}
	for _, key := range s.terraform.State(t) {
		labels[key.ID] = key.Label
	}
	return labels
}

// sound checks the conditions that must hold after each run, whether it failed or not.
func (s *faultScene) sound(t *testing.T) {
	t.Helper()
	ours, others := s.bitbucketKeys()
	state, deletes := s.state(t), s.request.method == "DELETE"
	if !reflect.DeepEqual(others, s.others) {
		t.Fatal("somebody else's keys were changed")
	}
	if len(ours) > 1 {
		t.Fatalf("the key was added twice: %v", ours)
	}
	if s.id != 0 && !deletes && (len(ours) == 0 || ours[0].ID != s.id) {
		t.Fatalf("key %d was deleted or replaced, Bitbucket has %v", s.id, ours)
	}
	for _, line := range s.Writes() {
		if strings.HasPrefix(line, "DELETE ") && !deletes {
			t.Fatalf("%s was sent, although no key is to be deleted", line)
		}
	}
	for _, key := range ours {
		s.id = key.ID
		if _, kept := state[key.ID]; !kept && s.request.method != "POST" {
			t.Fatalf("key %d is lost from the state", key.ID)
		}
	}
	for id := range state {
		if id != s.id || len(ours) == 0 && !deletes {
			t.Fatalf("the state has key %d, Bitbucket %v", id, ours)
		}
	}
}

// converged checks that Bitbucket and the state have what the configuration declares
// or reads, and that the plan is empty.
func (s *faultScene) converged(t *testing.T) {
	t.Helper()
	s.sound(t)
	labels, want := map[int64]string{}, map[int64]string{}
	ours, _ := s.bitbucketKeys()
	for _, key := range ours {
		labels[key.ID] = key.Label
	}
	if s.request.after != nil {
		want[s.id] = "ci" // The label in labeled.
	}
	if state := s.state(t); !maps.Equal(labels, want) || !maps.Equal(state, want) {
		t.Fatalf("Bitbucket has %v, the state %v, want %v", labels, state, want)
	}
	if s.request.reads != "" {
		s.terraform.FoundDeployments(t, "{d1}")
	}
	if s.request.after != nil || s.request.reads != "" { // Without a resource, the state above is empty, and so is the plan.
		s.terraform.MustRun(t, "plan", "-detailed-exitcode")
	}
}

// writeFaultMatrix stores the outcomes of the cells, by name.
func writeFaultMatrix(t *testing.T, played map[string]*string) {
	t.Helper()
	var page strings.Builder
	page.WriteString("# What becomes of a run when something goes wrong\n\nWritten by `make faults`, which checks every cell on the real CLI.\n")
	for _, spread := range faultSpreads {
		fmt.Fprintf(&page, "\n## The fault comes %s\n\n| Fault |", spread)
		for _, request := range faultyRequests {
			fmt.Fprintf(&page, " %s |", request.name)
		}
		fmt.Fprintf(&page, "\n|%s\n", strings.Repeat("---|", 1+len(faultyRequests)))
		for _, fault := range playedFaults {
			fmt.Fprintf(&page, "| %s |", fault.name)
			for _, request := range faultyRequests {
				outcome := noOutcome
				if stored := played[faultCellName(spread, fault.name, request.name)]; stored != nil {
					outcome = *stored
				}
				fmt.Fprintf(&page, " %s |", outcome)
			}
			page.WriteString("\n")
		}
	}
	if err := os.WriteFile(faultMatrix, []byte(page.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// readFaultMatrix reads the outcomes that writeFaultMatrix has stored.
func readFaultMatrix(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(faultMatrix)
	if err != nil {
		t.Fatal(err)
	}
	stored, spread, requests := map[string]string{}, once, []string(nil)
	for line := range strings.Lines(string(page)) {
		if name, found := strings.CutPrefix(line, "## The fault comes "); found {
			spread = faultSpread(strings.TrimSpace(name))
		}
		cells := strings.Split(line, " | ")
		switch {
		case len(cells) == 1:
		case cells[0] == "| Fault":
			requests = cells
		default:
			for i, outcome := range cells[1:] {
				stored[faultCellName(spread, strings.TrimPrefix(cells[0], "| "), strings.TrimSuffix(requests[i+1], " |\n"))] = strings.TrimSuffix(outcome, " |\n")
			}
		}
	}
	return stored
}
