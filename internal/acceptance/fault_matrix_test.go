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

var allFaults = flag.Bool("faults", false, "play every fault on every request, and store what became of them")

// faultMatrix holds what became of every cell in the last full run.
var faultMatrix = filepath.Join("testdata", "fault-matrix.md")

// playedFault is a row: something that goes wrong with one request.
type playedFault struct {
	name  string
	fault emulator.Fault
	// cause is what an error has to say of it.
	cause string
	// refuse lets nothing listen, instead of fault.
	refuse bool
	// body tells that only an answer with a body can have it.
	body bool
	// slow tells that no answer comes in time.
	slow bool
}

var playedFaults = []playedFault{
	{name: "refused connection", refuse: true, cause: "connection refused"},
	{name: "reset before the request is read", fault: emulator.Fault{Reset: true}, cause: "connection reset"},
	{name: "reset after it is carried out", fault: emulator.Fault{Reset: true, CarryOut: true}, cause: "connection reset"},
	{name: "reset in the middle of the body", fault: emulator.Fault{Reset: true, Truncate: true}, cause: "connection reset|unexpected EOF", body: true},
	{name: "truncated JSON", fault: emulator.TruncatedJSON(), cause: "JSON", body: true},
	{name: "empty 200", fault: emulator.EmptyOK(), cause: "empty"},
	{name: "HTML 502", fault: emulator.BadGateway(), cause: "502 Bad Gateway"},
	{name: "500 after it is carried out", fault: carriedOut(emulator.ServerError()), cause: "500 Internal Server Error"},
	{name: "503 with Retry-After", fault: emulator.Unavailable(1), cause: "503 Service Unavailable"},
	{name: "429 with headers", fault: limited(http.Header{"Retry-After": {"1"}, "X-RateLimit-Limit": {"1000"}}), cause: "429 Too Many Requests"},
	{name: "429 without headers", fault: emulator.RateLimited(), cause: "429 Too Many Requests"},
	{name: "slower than the timeout", fault: emulator.Fault{Hang: true}, cause: "no answer within", slow: true},
	{name: "slower than the timeout after it is carried out", fault: emulator.Fault{Hang: true, CarryOut: true}, cause: "no answer within", slow: true},
	{name: "wrong content type", fault: emulator.WrongContentType(), cause: "(?i)content.type"},
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

// faultyRequest is a column: the request that the fault befalls.
type faultyRequest struct {
	name, method string
	parent       acctest.Parent
	// path is a part of the path, where the method alone does not tell.
	path string
	// before and after are the lines of the key's resource when all is well and
	// when the fault comes; nil is for no resource.
	before, after []string
	// others is how many keys of somebody else there are before ours.
	others int
	// args are for apply, so that this is the first request of the run.
	args []string
	// second tells that it cannot be the first.
	second bool
	// reads tells that the run has no resource, but reads deployments.
	reads bool
}

// is tells whether a request that was sent is this one.
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
	// Behind a hundred others the key is not on the first page.
	{name: "GET one, to refresh", method: "GET", parent: acctest.Website, path: "/deploy-keys/", before: labeled, after: labeled, others: 100, second: true},
	// Another spelling of the workspace has to be looked up: the key is replaced
	// if the repository is another one.
	{name: "GET one, to compare", method: "GET", parent: acctest.Website, path: "/deploy-keys/", before: labeled, after: append([]string{`workspace = "` + acctest.WorkspaceUUID + `"`}, labeled...), args: noRefresh},
	{name: "PUT", method: "PUT", parent: acctest.Website, before: []string{`label = "old"`}, after: labeled, args: noRefresh},
	{name: "DELETE", method: "DELETE", parent: acctest.Website, before: labeled, args: noRefresh},
	{name: "GET deployments", method: "GET", parent: acctest.Website, path: "/deployments/", reads: true},
	// Keys of projects have no PUT, and are not found by a UUID.
	{name: "project: POST", method: "POST", parent: acctest.WEB, after: labeled},
	{name: "project: GET list", method: "GET", parent: acctest.WEB, before: labeled, after: labeled},
	{name: "project: DELETE", method: "DELETE", parent: acctest.WEB, before: labeled, args: noRefresh},
}

// Whatever goes wrong with a request, a run either gets there or fails with an
// error that names the cause, and the next one gets there. No key is lost,
// added twice or replaced.
func TestAccDeployKey_faultMatrix(t *testing.T) {
	t.Parallel()
	stored, outcomes := readFaultMatrix(t), map[string]*string{}
	for _, c := range faultCells() {
		if !*allFaults && !c.quick() {
			continue
		}
		want := stored[c.String()]
		outcome := new(want) // It stays when -run leaves the cell out.
		outcomes[c.String()] = outcome
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			if *outcome = c.play(t); *outcome != want && !*allFaults {
				t.Errorf("the outcome is %q, but %s, which \"make faults\" writes, has %q", *outcome, faultMatrix, want)
			}
		})
	}
	t.Cleanup(func() { // After all cells.
		if *allFaults && !t.Failed() {
			writeFaultMatrix(t, outcomes)
		}
	})
}

// faultSpread is how much of a run a fault befalls.
type faultSpread string

const (
	once    faultSpread = "once"
	lasting faultSpread = "until the run ends"
	// outage befalls what the provider does to recover as well.
	outage faultSpread = "to every request until the run ends"
)

var faultSpreads = []faultSpread{once, lasting, outage}

// faultCell is one fault on one request.
type faultCell struct {
	spread  faultSpread
	fault   playedFault
	request faultyRequest
}

// faultCells are all that can be.
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

// possible tells whether the fault can befall the request. What befalls
// everything befalls the first request, and that nothing listens cannot be
// arranged for one of them.
func (c faultCell) possible() bool {
	listens := !c.fault.refuse || c.spread == outage
	reached := !c.request.second || c.spread != outage
	return listens && reached && (!c.fault.body || c.request.method != "DELETE")
}

// quick tells whether the cell is played in every run of the tests. Adding and
// deleting a key have the most to lose, which for projects is done in the same way,
// and deployments are read in a way of their own.
func (c faultCell) quick() bool {
	sample := c.request.parent == acctest.Website || c.fault.fault.CarryOut
	return c.spread == once && sample && (c.request.method == "POST" || c.request.method == "DELETE" || c.request.reads)
}

// The outcomes of a cell.
const (
	recovered      = "recovered"
	nextRun        = "failed, next run succeeded"
	imported       = "failed, import succeeded"
	importedByHand = "failed, import by hand succeeded" // The error did not say what to import.
)

// play plays the cell, and returns what became of it.
func (c faultCell) play(t *testing.T) string {
	s := newFaultScene(t, c)
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
	t.Log(out) // With -v: what a person gets to read.
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

// faultScene is where a cell is played: an emulator and a folder of its own.
type faultScene struct {
	*acctest.Fake
	request   faultyRequest
	lines     []string
	terraform *acctest.CLI
	key       string
	// id is the number of the key since it was first seen.
	id int64
	// others are somebody else's keys. One has the label of ours.
	others []emulator.DeployKey
}

func newFaultScene(t *testing.T, c faultCell) *faultScene {
	t.Helper()
	s := &faultScene{Fake: acctest.NewFake(t), request: c.request, lines: []string{"max_retries = 1"}, terraform: acctest.NewCLI(t, acctest.Attached(t)), key: acctest.NewKey(t)}
	if c.fault.slow {
		s.lines = append(s.lines, `request_timeout = "1s"`)
	}
	for range max(1, c.request.others) {
		s.others = append(s.others, s.Add(c.request.parent, acctest.NewKey(t), "ci"))
	}
	if c.request.reads {
		s.AddDeployment("acme", "website", emulator.Deployment{UUID: "{d1}"})
	}
	return s
}

// configure writes the configuration with the key's resource, or without.
func (s *faultScene) configure(t *testing.T, target *acctest.Fake, lines []string) {
	t.Helper()
	body := ""
	if lines != nil {
		body = s.request.parent.DeployKey(append([]string{acctest.KeyLine(s.key)}, lines...)...)
	} else if s.request.reads {
		body = acctest.DataDeployments()
	}
	s.terraform.Write(t, target.Config(body, s.lines...))
}

// held are the keys that Bitbucket holds, those with our material apart.
func (s *faultScene) held() (ours, others []emulator.DeployKey) {
	for _, key := range s.Keys(s.request.parent) {
		if key.Key == s.key {
			ours = append(ours, key)
		} else {
			others = append(others, key)
		}
	}
	return ours, others
}

// state has the labels in state, by the numbers of their keys.
func (s *faultScene) state(t *testing.T) map[int64]string {
	t.Helper()
	labels := map[int64]string{}
	for _, key := range s.terraform.State(t) {
		labels[key.ID] = key.Label
	}
	return labels
}

// sound checks what has to hold after each run, failed or not.
func (s *faultScene) sound(t *testing.T) {
	t.Helper()
	ours, others := s.held()
	state, deletes := s.state(t), s.request.method == "DELETE"
	if !reflect.DeepEqual(others, s.others) {
		t.Fatal("somebody else's keys were changed")
	}
	if len(ours) > 1 {
		t.Fatalf("the key was added twice: %v", ours)
	}
	if s.id != 0 && !deletes && (len(ours) == 0 || ours[0].ID != s.id) {
		t.Fatalf("key %d was deleted or replaced, Bitbucket holds %v", s.id, ours)
	}
	for _, line := range s.Writes() {
		if strings.HasPrefix(line, "DELETE ") && !deletes {
			t.Fatalf("nobody asked for %s", line)
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

// converged checks that Bitbucket and the state hold what the configuration
// wants or reads, and that there is nothing left to do.
func (s *faultScene) converged(t *testing.T) {
	t.Helper()
	s.sound(t)
	held, want := map[int64]string{}, map[int64]string{}
	ours, _ := s.held()
	for _, key := range ours {
		held[key.ID] = key.Label
	}
	if s.request.after != nil {
		want[s.id] = "ci" // As labeled has it.
	}
	if state := s.state(t); !maps.Equal(held, want) || !maps.Equal(state, want) {
		t.Fatalf("Bitbucket holds %v, the state %v, want %v", held, state, want)
	}
	if s.request.reads {
		s.terraform.FoundDeployments(t, "{d1}")
	}
	s.terraform.MustRun(t, "plan", "-detailed-exitcode")
}

// writeFaultMatrix stores what became of the cells, by their names.
func writeFaultMatrix(t *testing.T, outcomes map[string]*string) {
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
				outcome := "—"
				if played := outcomes[faultCellName(spread, fault.name, request.name)]; played != nil {
					outcome = *played
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

// readFaultMatrix reads back what writeFaultMatrix wrote.
func readFaultMatrix(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(faultMatrix)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, spread, requests := map[string]string{}, once, []string(nil)
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
				outcomes[faultCellName(spread, strings.TrimPrefix(cells[0], "| "), strings.TrimSuffix(requests[i+1], " |\n"))] = strings.TrimSuffix(outcome, " |\n")
			}
		}
	}
	return outcomes
}
