package acceptance

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

var (
	edits     = flag.Int("edits", 3, "how many random edits of addresses to test")
	firstEdit = flag.Uint64("first-edit", 1, "seed of the first edit")
)

// A renamed resource, for_each key or module, a shifted count list and swapped keys change
// addresses, not keys. After every apply, failed or not, Bitbucket has each key that the
// configuration wants and that was there before, and a few applies get there.
func TestAccDeployKey_edits(t *testing.T) {
	t.Parallel()
	for i := range *edits {
		seed := *firstEdit + uint64(i)
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			e := &edit{Rand: random, fake: acctest.NewFake(t), terraform: acctest.NewCLI(t), parent: acctest.Website}
			if random.IntN(2) == 0 {
				e.parent = acctest.WEB
			}
			for range 3 + random.IntN(8) {
				e.keys = append(e.keys, acctest.NewKey(t))
			}
			slots := []int{1, 2, 3, 10, 30}[random.IntN(5)]
			e.terraform.Write(t, e.config())
			e.terraform.MustRun(t, "apply", "-auto-approve")

			e.fake.SetLatency(10 * time.Millisecond)
			e.fake.SetJitter(40 * time.Millisecond)
			for range 1 + random.IntN(2) {
				what := e.change()
				if random.IntN(2) == 0 {
					e.inject()
				}
				e.terraform.Write(t, e.config())
				e.converge(t, what, slots)
			}
		})
	}
}

// edit is a configuration of keys whose addresses change.
type edit struct {
	*rand.Rand
	fake      *acctest.Fake
	terraform *acctest.CLI
	parent    acctest.Parent
	keys      []string
	// labelled keys have a label of their own, which changes with the address.
	counted, labelled bool
	generation        int
}

// config declares the keys in one resource with count or for_each.
func (e *edit) config() string {
	var lines []string
	for i, key := range e.keys {
		lines = append(lines, fmt.Sprintf("    \"key-%d-%02d\" = %q", e.generation, i, key))
	}
	label := `"ci"`
	if e.labelled {
		label = "each.key"
	}
	resource := fmt.Sprintf(`
resource %q "test" {
  for_each  = local.keys
  workspace = "acme"
  %s
  key       = each.value
  label     = %s
}
`, e.parent.TypeName, e.parent.Line(e.parent.Name), label)
	if e.counted {
		resource = strings.NewReplacer("for_each  = local.keys", "count     = length(local.keys)", "each.value", "values(local.keys)[count.index]", "each.key", `"ci"`).Replace(resource)
	}
	return e.fake.Config("\nlocals {\n  keys = {\n" + strings.Join(lines, "\n") + "\n  }\n}\n" + resource)
}

// change changes addresses, and describes how.
func (e *edit) change() string {
	switch e.IntN(5) {
	case 0:
		e.generation++
		return "for_each keys renamed"
	case 1:
		e.counted = !e.counted
		return "count instead of for_each, or back"
	case 2:
		e.keys = e.keys[1:]
		return "the first key dropped"
	case 3:
		e.generation++
		e.labelled = true
		return "for_each keys renamed, with their labels"
	}
	e.Shuffle(len(e.keys), func(i, j int) { e.keys[i], e.keys[j] = e.keys[j], e.keys[i] })
	return "keys shuffled"
}

// inject lets a request fail once, in a way from which a run recovers.
func (e *edit) inject() {
	faults := []emulator.Fault{
		{Method: "POST", Status: 500, CarryOut: true},
		{Method: "POST", Cut: true},
		{Method: "DELETE", Status: 502},
		{Method: "DELETE", Status: 500, CarryOut: true},
		{Status: 429},
	}
	fault := faults[e.IntN(len(faults))]
	fault.Times = 1 + e.IntN(2)
	e.fake.Inject(fault)
}

// converge applies until nothing fails, and checks after each apply that no key is missing.
func (e *edit) converge(t *testing.T, what string, slots int) {
	t.Helper()
	parallelism := fmt.Sprintf("-parallelism=%d", slots)
	for applies := 1; ; applies++ {
		out, ok := e.terraform.Run(t, "apply", "-auto-approve", parallelism)
		var stored []string
		for _, key := range e.fake.Keys(e.parent) {
			stored = append(stored, key.Key)
		}
		for i, key := range e.keys {
			if !slices.Contains(stored, key) {
				t.Fatalf("%s, %d slots, apply %d: key %d is missing: %s", what, slots, applies, i, lastOf(out))
			}
		}
		if ok {
			if len(stored) != len(e.keys) {
				t.Errorf("%s: Bitbucket has %d keys, want %d", what, len(stored), len(e.keys))
			}
			break
		}
		if applies == 12 {
			t.Fatalf("%s, %d slots: apply %d still fails: %s", what, slots, applies, lastOf(out))
		}
		if !strings.Contains(out, "moved block") {
			t.Errorf("%s: the error does not name the moved block: %s", what, lastOf(out))
		}
	}
	e.fake.ClearFaults()
	e.terraform.MustRun(t, "plan", "-detailed-exitcode")
}

// lastOf returns the end of what a command has printed, which follows its plan.
func lastOf(out string) string {
	if i := strings.Index(out, "to destroy."); i >= 0 {
		out = out[i:]
	}
	return out
}
