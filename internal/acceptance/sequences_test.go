//go:build unix

package acceptance

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

var (
	sequences     = flag.Int("sequences", 10, "how many random sequences to play against the model")
	firstSequence = flag.Uint64("first-sequence", 1, "seed of the first sequence")
)

// Whatever people change, in the configuration or behind Terraform's back, and
// whatever goes wrong meanwhile: no key is removed that nobody asked to remove,
// and once nothing goes wrong any more a few runs get there.
func TestAccDeployKey_sequences(t *testing.T) {
	t.Parallel()
	var runs, faults, interrupts, imports atomic.Int64
	t.Run("seed", func(t *testing.T) {
		t.Parallel()
		for i := range *sequences {
			seed := *firstSequence + uint64(i)
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				m := newModel(t, seed)
				defer func() {
					runs.Add(m.runs)
					faults.Add(m.faults)
					interrupts.Add(m.interrupts)
					imports.Add(m.imports)
					if t.Failed() {
						t.Logf("repeat with: go test ./internal/provider -run DeployKey_sequences -sequences 1 -first-sequence %d -v\n%s", seed, strings.Join(m.log, "\n"))
					}
				}()
				for range 3 + m.IntN(5) {
					m.step(t)
				}
				m.converge(t)
			})
		}
	})
	t.Cleanup(func() {
		t.Logf("%d sequences: %d applies, %d with a fault, %d interrupted, %d imports", *sequences, runs.Load(), faults.Load(), interrupts.Load(), imports.Load())
	})
}

// wantedKey is a resource of the configuration.
type wantedKey struct {
	place          string // place is the first name of its repository or project, whatever that is called now.
	key            int    // key is the place in the keys of this resource.
	label, comment string
	spelling       int
}

// model is what the configuration says, and what other people have added.
type model struct {
	*rand.Rand
	*acctest.Fake
	terraform *acctest.CLI
	wanted    map[string]wantedKey
	keys      map[string][]string
	// called has the names of the places, known those that the configuration has
	// for them.
	called, known map[string]string
	// foreign are the keys of others, by number, doubtful those that a run may
	// have added, as it has said itself.
	foreign  map[int64]emulator.DeployKey
	doubtful map[int64]bool

	log                               []string
	runs, faults, interrupts, imports int64
}

var modelUUIDs = map[string]string{"website": acctest.WebsiteUUID, "api": "{a0000000-571d-44e9-a507-fa476535aa98}", "WEB": acctest.ProjectUUID}

func newModel(t *testing.T, seed uint64) *model {
	t.Helper()
	m := &model{
		Rand:      rand.New(rand.NewPCG(seed, 0)),
		Fake:      acctest.NewFakeOfRepositories(t, []emulator.Repository{{Slug: "website", UUID: modelUUIDs["website"]}, {Slug: "api", UUID: modelUUIDs["api"]}}),
		terraform: acctest.NewCLI(t, acctest.Attached(t)),
		wanted:    map[string]wantedKey{},
		keys:      map[string][]string{},
		called:    map[string]string{"website": "website", "api": "api", "WEB": "WEB"},
		known:     map[string]string{"website": "website", "api": "api", "WEB": "WEB"},
		foreign:   map[int64]emulator.DeployKey{},
		doubtful:  map[int64]bool{},
	}
	for _, name := range []string{"a", "b", "c"} {
		m.keys[name] = []string{acctest.NewKey(t), acctest.NewKey(t), acctest.NewKey(t)}
	}
	return m
}

func (m *model) note(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

// pick is one of the texts.
func (m *model) pick(texts ...string) string { return texts[m.IntN(len(texts))] }

// pickPlace is the first name of a place. A project keeps it, since under another
// name it would not be found.
func (m *model) pickPlace() string { return m.pick("website", "api", "WEB") }

// at is the place with this first name.
func (m *model) at(place string) acctest.Parent {
	if place == "WEB" {
		return acctest.WEB
	}
	return acctest.Website.Named(m.called[place])
}

// step changes something here and there, and applies.
func (m *model) step(t *testing.T) {
	for range 1 + m.IntN(2) {
		m.change()
	}
	for range m.IntN(2) {
		m.changeOutside(t)
	}
	for range m.IntN(3) {
		m.inject()
	}
	after := -1
	if m.IntN(4) == 0 {
		after = m.IntN(6)
	}
	out, ok := m.apply(t, after)
	m.ClearFaults()
	if ok {
		m.settled(t)
	} else {
		m.note("failed: %s", inShort(out))
	}
}

// change changes the configuration.
func (m *model) change() {
	name := m.pick("a", "b", "c")
	w, exists := m.wanted[name]
	if !exists {
		w = wantedKey{place: m.pickPlace()}
	}
	switch m.IntN(8) {
	case 0:
		delete(m.wanted, name)
		m.note("config: without %s", name)
		return
	case 1:
		w.key = m.IntN(3)
	case 2:
		w.place = m.pickPlace()
	case 3:
		w.comment = m.pick("", "ada@host", "two words")
	case 4:
		w.spelling = m.IntN(4)
	case 5:
		m.known = maps.Clone(m.called)
		m.note("config: repositories are called %v", m.known)
	default:
		w.label = m.pick("", "ci", "deploy", "büro")
	}
	m.wanted[name] = w
	m.note("config: %s is %+v", name, w)
}

// changeOutside changes something behind Terraform's back.
func (m *model) changeOutside(t *testing.T) {
	place := m.pickPlace()
	parent := m.at(place)
	held := m.keysAt(place)
	switch n := m.IntN(6); {
	case n == 0:
		key := m.Add(parent, acctest.NewKey(t), m.pick("ci", "somebody's"))
		m.foreign[key.ID] = key
		m.note("outside: key %d is added to %s", key.ID, place)
	case n == 1: // A key that the configuration may come to want.
		name := m.pick("a", "b", "c")
		material := m.keys[name][m.IntN(3)]
		if !slices.ContainsFunc(held, func(k emulator.DeployKey) bool { return k.Key == material }) {
			key := m.Add(parent, material, "ci")
			m.foreign[key.ID] = key
			m.note("outside: key %d, one of %s, is added to %s", key.ID, name, place)
		}
	case n == 2 && !parent.IsProject():
		to := m.pick("site", "page", place) + map[string]string{"api": "-api"}[place]
		m.RenameRepository("acme", m.called[place], to)
		m.called[place] = to
		m.note("outside: %s is called %s", place, to)
	case len(held) == 0:
	case n == 3:
		id := held[m.IntN(len(held))].ID
		m.Remove(parent, id)
		delete(m.foreign, id)
		m.note("outside: key %d is removed from %s", id, place)
	default:
		id, label := held[m.IntN(len(held))].ID, m.pick("ci", "edited")
		m.Edit(parent, id, func(k *emulator.DeployKey) { k.Label = label })
		if key, foreign := m.foreign[id]; foreign {
			key.Label = label
			m.foreign[id] = key
		}
		m.note("outside: key %d of %s is labeled %q", id, place, label)
	}
}

// inject makes something go wrong with some request of the next run.
func (m *model) inject() {
	var fast []playedFault
	for _, f := range playedFaults {
		if !f.refuse && !f.slow && f.fault.Header.Get("Retry-After") == "" {
			fast = append(fast, f)
		}
	}
	played := fast[m.IntN(len(fast))]
	fault := played.fault
	fault.Method = m.pick(http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, "")
	fault.Skip, fault.Times = m.IntN(3), m.IntN(5)
	m.Inject(fault)
	m.faults++
	m.note("fault: %s, method %q, after %d, %d times", played.name, fault.Method, fault.Skip, fault.Times)
}

// config is the configuration.
func (m *model) config() string {
	var body strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m.wanted)) {
		w := m.wanted[name]
		parent, place, key := m.at(w.place), m.known[w.place], m.keys[name][w.key]
		switch {
		case w.spelling == 3:
			key = "  " + key + " \\n"
		case parent.IsProject(): // It has one spelling.
		case w.spelling == 1:
			place = strings.ToUpper(place)
		case w.spelling == 2:
			place = modelUUIDs[w.place]
		}
		lines := []string{fmt.Sprintf("key = \"%s\"", key), fmt.Sprintf("label = %q", w.label), parent.Line(place)}
		if w.comment != "" {
			lines = append(lines, fmt.Sprintf("comment = %q", w.comment))
		}
		body.WriteString(strings.Replace(parent.DeployKey(lines...), `"test"`, strconv.Quote(name), 1))
	}
	return m.Fake.Config(body.String(), "max_retries = 1")
}

// apply applies the configuration, interrupted after so many requests unless
// that is negative. It checks that no key is removed for no reason.
func (m *model) apply(t *testing.T, after int) (string, bool) {
	t.Helper()
	m.runs++
	m.terraform.Write(t, m.config())
	disposable := m.disposable(t)
	m.ForgetRequests()
	var out strings.Builder
	command := exec.CommandContext(t.Context(), os.Getenv("TF_ACC_TERRAFORM_PATH"), "apply", "-auto-approve", "-no-color")
	command.Dir, command.Env, command.Stdout, command.Stderr = m.terraform.Dir, m.terraform.Env, &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	var err error
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		case <-time.After(time.Millisecond):
			if after >= 0 && len(m.Requests()) > after {
				m.interrupts++
				m.note("interrupted after %d requests", len(m.Requests()))
				_ = command.Process.Signal(syscall.SIGINT) // It may have ended just now.
				after = -1
			}
		}
	}
	for _, line := range m.Sent() {
		m.note("  %s", line)
		if id := lastNumber.FindStringSubmatch(line); strings.HasPrefix(line, "DELETE ") && !disposable[id[1]] {
			t.Fatalf("%s, but nobody wanted that: %s", line, out.String())
		}
	}
	for id, key := range m.foreign {
		if !m.holds(id, key.Label) {
			t.Fatalf("key %d of somebody else was changed or removed: %s", id, out.String())
		}
	}
	if acctest.Message("may have added the key").MatchString(out.String()) {
		for id := range m.forgotten(t) {
			m.doubtful[id] = true
		}
	}
	for id, place := range m.forgotten(t) {
		if !m.doubtful[id] {
			t.Fatalf("key %d of %s is forgotten: %s", id, place, out.String())
		}
	}
	return out.String(), err == nil
}

// keysAt are the keys of the place with this first name.
func (m *model) keysAt(place string) []emulator.DeployKey { return m.Fake.Keys(m.at(place)) }

// forgotten are the keys, with their places, that are neither in state nor somebody
// else's.
func (m *model) forgotten(t *testing.T) map[int64]string {
	t.Helper()
	keys := map[int64]string{}
	for place := range m.called {
		for _, key := range m.keysAt(place) {
			keys[key.ID] = place
		}
	}
	for id := range m.foreign {
		delete(keys, id)
	}
	for _, key := range m.terraform.State(t) {
		delete(keys, key.ID)
	}
	return keys
}

var lastNumber = regexp.MustCompile(`/deploy-keys/(\d+) `)

// holds tells whether Bitbucket has a key with this label.
func (m *model) holds(id int64, label string) bool {
	for place := range m.called {
		for _, key := range m.keysAt(place) {
			if key.ID == id {
				return key.Label == label
			}
		}
	}
	return false
}

// disposable are the keys, by number, that the configuration does not want any
// more where they are: their resource is gone or has another key or place, or
// Terraform itself holds them for damaged. A new name under which nothing answers
// is another repository too, and what changes a key of a project replaces it.
func (m *model) disposable(t *testing.T) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for _, key := range m.terraform.State(t) {
		w, wanted := m.wanted[key.Name]
		misnamed := m.known[w.place] != m.called[w.place] && !strings.EqualFold(m.known[w.place], key.Parent) && w.spelling != 2
		changes := key.Kind == acctest.WEB.Kind && slices.ContainsFunc(m.keysAt("WEB"), func(held emulator.DeployKey) bool {
			return held.ID == key.ID && (held.Label != w.label || held.Comment != w.comment)
		})
		if !wanted || misnamed || changes || key.Tainted || !strings.Contains(key.Key, m.keys[key.Name][w.key]) || key.ParentUUID != modelUUIDs[w.place] {
			ids[strconv.FormatInt(key.ID, 10)] = true
		}
	}
	return ids
}

// settled checks that Bitbucket and the state have what the configuration says.
func (m *model) settled(t *testing.T) {
	t.Helper()
	managed := map[string]acctest.ManagedKey{}
	for _, key := range m.terraform.State(t) {
		managed[key.Name] = key
	}
	if len(managed) != len(m.wanted) || len(managed) != len(m.terraform.State(t)) {
		t.Fatalf("the state has %+v, want %+v", managed, m.wanted)
	}
	for name, w := range m.wanted {
		all := m.keysAt(w.place)
		i := slices.IndexFunc(all, func(k emulator.DeployKey) bool { return k.ID == managed[name].ID })
		if i < 0 {
			t.Fatalf("%s has key %+v, which %s does not have", name, managed[name], w.place)
		}
		if held := all[i]; held.Key != m.keys[name][w.key] || held.Label != w.label || held.Comment != w.comment {
			t.Fatalf("%s is %+v, want %+v", name, held, w)
		}
	}
}

var (
	unimported = regexp.MustCompile(`terraform import \w+\.NAME (\S+)`)
	whichOne   = regexp.MustCompile(`with (bitbucket_\w+\.\w+)`)
)

// converge applies until there is nothing left to do, as a person does who reads
// the errors.
func (m *model) converge(t *testing.T) {
	t.Helper()
	m.known = maps.Clone(m.called)
	for range 5 {
		out, ok := m.apply(t, -1)
		if ok {
			m.settled(t)
			m.terraform.MustRun(t, "plan", "-detailed-exitcode")
			return
		}
		m.note("failed: %s", inShort(out))
		for part := range strings.SplitSeq(out, "Error: ") {
			id, name := unimported.FindStringSubmatch(part), whichOne.FindStringSubmatch(part)
			if id == nil || name == nil {
				continue
			}
			m.note("import %s as %s", id[1], name[1])
			m.imports++
			m.terraform.MustRun(t, "import", name[1], id[1])
			number, _ := strconv.ParseInt(id[1][strings.LastIndex(id[1], "/")+1:], 10, 64)
			delete(m.foreign, number)
		}
	}
	t.Fatal("five runs without a fault did not get there")
}

// inShort are the errors in an output, in short.
func inShort(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "Error: ") || strings.Contains(line, ": 4") || strings.Contains(line, ": 5") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, " ")
}
