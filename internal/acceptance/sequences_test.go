//go:build unix

package acceptance

import (
	"context"
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

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

var (
	sequences     = flag.Int("sequences", 6, "how many random sequences to play against the model")
	firstSequence = flag.Uint64("first-sequence", 1, "seed of the first sequence")
)

// Each sequence changes the configuration and Bitbucket at random, and lets requests fail
// at random. No run may remove a key that is still in the configuration. When requests no
// longer fail, a few runs must converge.
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
						t.Logf("repeat with: go test ./internal/acceptance -run DeployKey_sequences -sequences 1 -first-sequence %d -v\n%s", seed, strings.Join(m.log, "\n"))
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
	parent         string // parent is the first name of the repository or project.
	key            int    // key is an index into the keys of this resource.
	label, comment string
	spelling       int
}

// model contains the configuration and the keys that other people have added.
type model struct {
	*rand.Rand
	*acctest.Fake
	terraform *acctest.CLI
	wanted    map[string]wantedKey
	keys      map[string][]string
	// bitbucketNames maps the first name of a parent to its name in Bitbucket. configNames
	// maps it to its name in the configuration.
	bitbucketNames, configNames map[string]string
	// foreign are the keys of other people, by ID.
	foreign map[int64]emulator.DeployKey
	// doubtful contains the keys that a run may have added, according to its error.
	doubtful map[int64]bool

	log                               []string
	runs, faults, interrupts, imports int64
}

var modelUUIDs = map[string]string{"website": acctest.WebsiteUUID, "api": "{a0000000-571d-44e9-a507-fa476535aa98}", "WEB": acctest.ProjectUUID}

func newModel(t *testing.T, seed uint64) *model {
	t.Helper()
	m := &model{
		Rand:           rand.New(rand.NewPCG(seed, 0)),
		Fake:           acctest.NewFakeOfRepositories(t, []emulator.Repository{{Slug: "website", UUID: modelUUIDs["website"]}, {Slug: "api", UUID: modelUUIDs["api"]}}),
		terraform:      acctest.NewCLI(t),
		wanted:         map[string]wantedKey{},
		keys:           map[string][]string{},
		bitbucketNames: map[string]string{"website": "website", "api": "api", "WEB": "WEB"},
		configNames:    map[string]string{"website": "website", "api": "api", "WEB": "WEB"},
		foreign:        map[int64]emulator.DeployKey{},
		doubtful:       map[int64]bool{},
	}
	for _, name := range []string{"a", "b", "c"} {
		m.keys[name] = []string{acctest.NewKey(t), acctest.NewKey(t), acctest.NewKey(t)}
	}
	return m
}

func (m *model) note(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

// pick returns one of the texts.
func (m *model) pick(texts ...string) string { return texts[m.IntN(len(texts))] }

// pickParent returns the first name of a parent. Projects are never renamed, because
// the provider cannot find a renamed project.
func (m *model) pickParent() string { return m.pick("website", "api", "WEB") }

// parent returns the parent with this first name.
func (m *model) parent(first string) acctest.Parent {
	if first == "WEB" {
		return acctest.WEB
	}
	return acctest.Website.Named(m.bitbucketNames[first])
}

// step makes a few changes and applies.
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
		w = wantedKey{parent: m.pickParent()}
	}
	switch m.IntN(8) {
	case 0:
		delete(m.wanted, name)
		m.note("config: without %s", name)
		return
	case 1:
		w.key = m.IntN(3)
	case 2:
		w.parent = m.pickParent()
	case 3:
		w.comment = m.pick("", "ada@host", "two words")
	case 4:
		w.spelling = m.IntN(4)
	case 5:
		m.configNames = maps.Clone(m.bitbucketNames)
		m.note("config: repositories are called %v", m.configNames)
	default:
		w.label = m.pick("", "ci", "deploy", "büro")
	}
	m.wanted[name] = w
	m.note("config: %s is %+v", name, w)
}

// changeOutside changes something outside of Terraform.
func (m *model) changeOutside(t *testing.T) {
	first := m.pickParent()
	parent, existing := m.parent(first), m.keysOf(first)
	switch n := m.IntN(6); {
	case n == 0:
		key := m.Add(parent, acctest.NewKey(t), m.pick("ci", "somebody's"))
		m.foreign[key.ID] = key
		m.note("outside: key %d is added to %s", key.ID, first)
	case n == 1: // A key that the configuration may declare later.
		name := m.pick("a", "b", "c")
		material := m.keys[name][m.IntN(3)]
		if !slices.ContainsFunc(existing, func(k emulator.DeployKey) bool { return k.Key == material }) {
			key := m.Add(parent, material, "ci")
			m.foreign[key.ID] = key
			m.note("outside: key %d, one of %s, is added to %s", key.ID, name, first)
		}
	case n == 2 && !parent.IsProject():
		to := m.pick("site", "page", first) + map[string]string{"api": "-api"}[first]
		m.RenameRepository("acme", m.bitbucketNames[first], to)
		m.bitbucketNames[first] = to
		m.note("outside: %s is called %s", first, to)
	case len(existing) == 0:
	case n == 3:
		id := existing[m.IntN(len(existing))].ID
		m.Remove(parent, id)
		delete(m.foreign, id)
		m.note("outside: key %d is removed from %s", id, first)
	default:
		id, label := existing[m.IntN(len(existing))].ID, m.pick("ci", "edited")
		m.Edit(parent, id, func(k *emulator.DeployKey) { k.Label = label })
		if key, foreign := m.foreign[id]; foreign {
			key.Label = label
			m.foreign[id] = key
		}
		m.note("outside: key %d of %s is labeled %q", id, first, label)
	}
}

// inject lets a request of the next run fail.
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

// configuration returns the configuration.
func (m *model) configuration() string {
	var body strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m.wanted)) {
		w := m.wanted[name]
		parent, spelled, key := m.parent(w.parent), m.configNames[w.parent], m.keys[name][w.key]
		switch {
		case w.spelling == 3:
			key = "  " + key + " \\n"
		case parent.IsProject(): // A project has one spelling.
		case w.spelling == 1:
			spelled = strings.ToUpper(spelled)
		case w.spelling == 2:
			spelled = modelUUIDs[w.parent]
		}
		lines := []string{fmt.Sprintf("key = \"%s\"", key), fmt.Sprintf("label = %q", w.label), parent.Line(spelled)}
		if w.comment != "" {
			lines = append(lines, fmt.Sprintf("comment = %q", w.comment))
		}
		body.WriteString(strings.Replace(parent.DeployKey(lines...), `"test"`, strconv.Quote(name), 1))
	}
	return m.Config(body.String(), "max_retries = 1", `max_rate_limit_wait = "1s"`)
}

// apply applies the configuration. If after is not negative, it interrupts the run after
// that number of requests. It checks that no key is removed without a reason.
func (m *model) apply(t *testing.T, after int) (string, bool) {
	t.Helper()
	m.runs++
	m.terraform.Write(t, m.configuration())
	disposable := m.disposable(t)
	m.ForgetRequests()
	var out strings.Builder
	command := exec.CommandContext(t.Context(), os.Getenv("TF_ACC_TERRAFORM_PATH"), "apply", "-auto-approve", "-no-color")
	command.Dir, command.Env, command.Stdout, command.Stderr = m.terraform.Dir, m.terraform.Env, &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	running, ended := context.WithCancel(t.Context())
	exited := make(chan error, 1)
	go func() {
		defer ended()
		exited <- command.Wait()
	}()
	if after >= 0 && m.Await(running, func() bool { return len(m.Requests()) > after }) == nil {
		m.interrupts++
		m.note("interrupted after %d requests", len(m.Requests()))
		_ = command.Process.Signal(syscall.SIGINT) // The run may have ended in the meantime.
	}
	err := <-exited
	for _, line := range m.Sent() {
		m.note("  %s", line)
		if id := lastNumber.FindStringSubmatch(line); strings.HasPrefix(line, "DELETE ") && !disposable[id[1]] {
			t.Fatalf("%s, although the configuration does not remove the key: %s", line, out.String())
		}
	}
	for id, key := range m.foreign {
		if !m.hasKey(id, key.Label) {
			t.Fatalf("key %d of somebody else was changed or removed: %s", id, out.String())
		}
	}
	if acctest.Message("may have added the key").MatchString(out.String()) {
		for id := range m.forgotten(t) {
			m.doubtful[id] = true
		}
	}
	for id, parent := range m.forgotten(t) {
		if !m.doubtful[id] {
			t.Fatalf("key %d of %s is missing in the state: %s", id, parent, out.String())
		}
	}
	return out.String(), err == nil
}

// keysOf returns the keys of the parent with this first name.
func (m *model) keysOf(first string) []emulator.DeployKey { return m.Keys(m.parent(first)) }

// forgotten maps the IDs of keys to the first names of their parents. It has the keys
// that are not in the state and do not belong to other people.
func (m *model) forgotten(t *testing.T) map[int64]string {
	t.Helper()
	keys := map[int64]string{}
	for first := range m.bitbucketNames {
		for _, key := range m.keysOf(first) {
			keys[key.ID] = first
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

// hasKey reports whether Bitbucket has a key with this ID and label.
func (m *model) hasKey(id int64, label string) bool {
	for first := range m.bitbucketNames {
		for _, key := range m.keysOf(first) {
			if key.ID == id {
				return key.Label == label
			}
		}
	}
	return false
}

// disposable returns the IDs of the keys that a run may remove. The resource of such a key
// is gone, is tainted, or has another key or parent. A new name in the configuration under
// which Bitbucket finds no repository is another parent too. A change to a key of a project
// replaces the key.
func (m *model) disposable(t *testing.T) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for _, key := range m.terraform.State(t) {
		w, wanted := m.wanted[key.Name]
		misnamed := m.configNames[w.parent] != m.bitbucketNames[w.parent] && !strings.EqualFold(m.configNames[w.parent], key.Parent) && w.spelling != 2
		changes := key.Kind == acctest.WEB.Kind && slices.ContainsFunc(m.keysOf("WEB"), func(existing emulator.DeployKey) bool {
			return existing.ID == key.ID && (existing.Label != w.label || existing.Comment != w.comment)
		})
		if !wanted || misnamed || changes || key.Tainted || !strings.Contains(key.Key, m.keys[key.Name][w.key]) || key.ParentUUID != modelUUIDs[w.parent] {
			ids[strconv.FormatInt(key.ID, 10)] = true
		}
	}
	return ids
}

// settled checks that Bitbucket and the state have what the configuration declares.
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
		all := m.keysOf(w.parent)
		i := slices.IndexFunc(all, func(k emulator.DeployKey) bool { return k.ID == managed[name].ID })
		if i < 0 {
			t.Fatalf("%s has key %+v, which %s does not have", name, managed[name], w.parent)
		}
		if existing := all[i]; existing.Key != m.keys[name][w.key] || existing.Label != w.label || existing.Comment != w.comment {
			t.Fatalf("%s is %+v, want %+v", name, existing, w)
		}
	}
}

var (
	unimported = regexp.MustCompile(`terraform import \w+\.NAME (\S+)`)
	whichOne   = regexp.MustCompile(`with (bitbucket_\w+\.\w+)`)
)

// converge applies until the plan is empty. It reads the errors and imports the keys
// that they name, as a user does.
func (m *model) converge(t *testing.T) {
	t.Helper()
	m.configNames = maps.Clone(m.bitbucketNames)
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
	t.Fatal("five runs without a fault did not converge")
}

// inShort returns the errors in an output on one line.
func inShort(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "Error: ") || strings.Contains(line, ": 4") || strings.Contains(line, ": 5") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, " ")
}
