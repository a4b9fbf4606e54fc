package main

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// bench holds what all measurements share.
type bench struct {
	bitbucket *emulator.Emulator
	baseURL   string
	provider  terraform // provider runs Terraform with this provider.
	floor     terraform // floor runs Terraform with the provider that does nothing.
	builtin   terraform // builtin runs Terraform with its built-in provider only.
	states    *stateStore
	builtins  map[int]*usage // builtins caches the plan of each number of terraform_data resources.
	repeat    int            // repeat is the number of runs of each plan.
}

// The paths of the two states in the state store.
const (
	keysState = "/keys"
	dataState = "/data"
)

// withBench prepares what all measurements share, and calls a function. It removes the files
// that it creates.
func withBench(ctx context.Context, o options, measure func(*bench, terraformcli.CLI) error) error {
	cli, err := terraformcli.Find(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bitbucket-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // watchMemory compares real paths.
		return err
	}

	repositories := o.repositories
	for _, s := range slices.Concat(o.shapes, o.large, []shape{o.compared}) {
		repositories = max(repositories, s.repositories)
	}
	b := &bench{bitbucket: newBitbucket(repositories), states: &stateStore{}, builtins: map[int]*usage{}, repeat: o.repeat}
	server := httptest.NewServer(b.bitbucket)
	defer server.Close()
	b.baseURL = server.URL + "/2.0"
	states := httptest.NewServer(b.states)
	defer states.Close()
	if err := b.prepare(ctx, cli, dir, states.URL); err != nil {
		return err
	}
	return measure(b, cli)
}

// measure runs the whole benchmark.
func (b *bench) measure(ctx context.Context, cli terraformcli.CLI, o options) (results, error) {
	var err error
	r := results{
		Date:  time.Now().UTC().Truncate(time.Second),
		CLI:   cli.String(),
		Go:    runtime.Version(),
		OS:    runtime.GOOS + "/" + runtime.GOARCH,
		Cores: runtime.NumCPU(),
	}
	logProgress("%s, %s, %s, %d cores", r.CLI, r.Go, r.OS, r.Cores)
	if r.Startup, err = measureStartup(ctx); err != nil {
		return r, err
	}
	for _, s := range o.shapes {
		rows, err := b.measureAll(ctx, s, o.latency)
		if err != nil {
			return r, fmt.Errorf("%v: %w", s, err)
		}
		r.Rows = append(r.Rows, rows...)
	}
	for _, s := range o.large {
		row, err := b.measurePlan(ctx, s, o.latency)
		if err != nil {
			return r, fmt.Errorf("%v: %w", s, err)
		}
		r.Rows = append(r.Rows, row)
	}
	if r.Overhead, err = b.measureOverhead(ctx, o.compared, o.turns); err != nil {
		return r, fmt.Errorf("%v: %w", o.compared, err)
	}
	r.Hourly, err = b.measureHourly(ctx, o.repositories, o.hours, o.latency)
	return r, err
}

// prepare builds both providers and initializes the working folders.
func (b *bench) prepare(ctx context.Context, cli terraformcli.CLI, dir, states string) error {
	logProgress("building the providers")
	var err error
	if b.provider, err = newTerraform(ctx, cli, filepath.Join(dir, "provider"), module, states+keysState); err != nil {
		return err
	}
	if b.floor, err = newTerraform(ctx, cli, filepath.Join(dir, "floor"), module+"/internal/cmd/bench/floor", states+keysState); err != nil {
		return err
	}
	b.builtin, err = newTerraform(ctx, cli, filepath.Join(dir, "builtin"), "", states+dataState)
	return err
}

var (
	apply     = []string{"apply", "-auto-approve"}
	emptyPlan = []string{"plan", "-detailed-exitcode"} // Fails unless the plan is empty.
)

// measureAll creates, plans, updates and destroys the keys of a shape. It also
// plans them without latency, to show the time that the provider itself takes.
func (b *bench) measureAll(ctx context.Context, s shape, latency time.Duration) ([]row, error) {
	keys, relabelled := keysAt(b.baseURL, s.deployKeys("Deployment")), keysAt(b.baseURL, s.deployKeys("Production"))
	m := measurement{bench: b, ctx: ctx, shape: s}

	measured := m.at(latency)
	measured.Create = m.step("create", b.provider, keys, apply)
	m.expect(s.total())
	measured.Builtin = m.planBuiltin()
	measured.Plan = m.plan("plan", b.provider, keys)
	rows := []row{measured}
	if latency > 0 {
		withoutLatency := m.at(0)
		withoutLatency.Builtin = measured.Builtin
		withoutLatency.Plan = m.plan("plan", b.provider, keys)
		rows = append(rows, withoutLatency)
		m.at(latency)
	}
	rows[0].Label = m.step("change of one label", b.provider, relabelled, apply)
	rows[0].Destroy = m.step("destroy", b.provider, relabelled, []string{"destroy", "-auto-approve"})
	m.expect(0)
	return rows, m.err
}

// measurePlan measures only the plan.
func (b *bench) measurePlan(ctx context.Context, s shape, latency time.Duration) (row, error) {
	keys := s.deployKeys("Deployment")
	m := measurement{bench: b, ctx: ctx, shape: s}
	m.addKeys(keys)
	r := m.at(latency)
	r.Plan = m.plan("plan", b.provider, keysAt(b.baseURL, keys))
	r.Builtin = m.planBuiltin()
	b.states.remove(keysState)
	b.removeAll()
	return r, m.err
}

// addKeys adds the keys of a shape directly to Bitbucket and to the state, because creating
// thousands of them with Terraform is slow. The lines are for the provider block.
func (m *measurement) addKeys(keys []deployKey, lines ...string) {
	m.at(0)
	m.step("create of the first key", m.provider, keysAt(m.baseURL, keys[:1], lines...), apply)
	m.expect(1)
	if m.err != nil {
		return
	}
	var values [][]string
	if values, m.err = addAll(m.bitbucket, keys); m.err == nil {
		m.err = m.states.grow(keysState, values)
	}
	m.expect(m.shape.total())
}

// removeAll removes every key directly from Bitbucket.
func (b *bench) removeAll() {
	for _, repository := range b.bitbucket.Seed().Workspaces[0].Repositories {
		for _, key := range repository.DeployKeys {
			b.bitbucket.RemoveDeployKey(workspace, repository.Slug, key.ID)
		}
	}
}

// measurement measures one shape. After the first error, its methods do nothing.
type measurement struct {
	*bench
	ctx     context.Context
	shape   shape
	latency time.Duration
	err     error
}

// at sets the latency and returns an empty row for it.
func (m *measurement) at(latency time.Duration) row {
	m.latency = latency
	m.bitbucket.SetLatency(latency)
	return row{Repositories: m.shape.repositories, KeysInEach: m.shape.keys, LatencyMS: latency.Milliseconds()}
}

// step runs a command with a configuration and returns its usage.
func (m *measurement) step(name string, with terraform, configuration string, args []string) *usage {
	if m.err != nil {
		return nil
	}
	if m.err = with.write(configuration); m.err != nil {
		return nil
	}
	m.bitbucket.ForgetRequests()
	stopWatching := watchMemory(with.plugin)
	start := time.Now()
	cpu, err := with.run(m.ctx, args...)
	used := &usage{
		Requests:   len(m.bitbucket.Requests()),
		Seconds:    round(time.Since(start).Seconds(), 3),
		CPUSeconds: round(cpu.Seconds(), 3),
		MemoryMB:   round(stopWatching(), 1),
	}
	if err != nil {
		m.err = err
		return nil
	}
	logProgress("%v with %v latency: %s: %d requests, %.2f s (%.2f s of CPU), %.0f MB",
		m.shape, m.latency, name, used.Requests, used.Seconds, used.CPUSeconds, used.MemoryMB)
	return used
}

// plan runs a plan that must be empty and returns the usage of the fastest run.
func (m *measurement) plan(name string, with terraform, configuration string) *usage {
	var fastest *usage
	for range m.repeat {
		if used := m.step(name, with, configuration, emptyPlan); fastest == nil || used != nil && used.Seconds < fastest.Seconds {
			fastest = used
		}
	}
	return fastest
}

// expect fails unless Bitbucket has this number of keys. Without this check, a
// command that does nothing would look fast.
func (m *measurement) expect(keys int) {
	if got := countKeys(m.bitbucket); m.err == nil && got != keys {
		m.err = fmt.Errorf("bitbucket has %d keys, want %d", got, keys)
	}
}

// planBuiltin plans as many terraform_data resources as the shape has keys. It
// measures each number of resources once.
func (m *measurement) planBuiltin() *usage {
	total := m.shape.total()
	if used, ok := m.builtins[total]; ok || m.err != nil {
		return used
	}
	keys := m.shape.deployKeys("Deployment")
	m.step("create of the first terraform_data", m.builtin, dataOf(keys[:1]), apply)
	if m.err == nil {
		var values [][]string
		for _, key := range keys {
			values = append(values, key.values())
		}
		m.err = m.states.grow(dataState, values)
	}
	m.builtins[total] = m.plan("plan of terraform_data", m.builtin, dataOf(keys))
	m.states.remove(dataState)
	return m.builtins[total]
}

func round(number float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(number*scale) / scale
}

// logProgress prints a line with the time to standard error.
func logProgress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
