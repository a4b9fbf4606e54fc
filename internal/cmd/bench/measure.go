package main

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// bench is everything that a measurement needs, ready to be used.
type bench struct {
	bitbucket *emulator.Emulator
	baseURL   string
	shared    terraform // shared is the provider as it is.
	unshared  terraform // unshared spends one GET on each key.
	native    terraform // native has no provider but Terraform's own.
	states    *stateStore
	floors    map[int]*usage
	repeat    int // repeat is how often each plan is made.
}

// The states of both providers, and of Terraform's own resources.
const (
	keysState = "/keys"
	dataState = "/data"
)

// measure runs the whole benchmark, and leaves nothing behind.
func measure(ctx context.Context, o options) (results, error) {
	cli, err := terraformcli.Find(ctx)
	if err != nil {
		return results{}, err
	}
	dir, err := os.MkdirTemp("", "bitbucket-bench-")
	if err != nil {
		return results{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // Processes are found by the real path.
		return results{}, err
	}

	repositories := 0
	for _, s := range append(o.shapes, o.large...) {
		repositories = max(repositories, s.repositories)
	}
	b := bench{bitbucket: newBitbucket(repositories), states: &stateStore{}, floors: map[int]*usage{}, repeat: o.repeat}
	server := httptest.NewServer(b.bitbucket)
	defer server.Close()
	b.baseURL = server.URL + "/2.0"
	states := httptest.NewServer(b.states)
	defer states.Close()
	if err := b.prepare(ctx, cli, dir, states.URL); err != nil {
		return results{}, err
	}

	r := results{
		Date:  time.Now().UTC().Truncate(time.Second),
		CLI:   cli.String(),
		Go:    runtime.Version(),
		OS:    runtime.GOOS + "/" + runtime.GOARCH,
		Cores: runtime.NumCPU(),
	}
	say("%s, %s, %s, %d cores", r.CLI, r.Go, r.OS, r.Cores)
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
	return r, nil
}

// prepare builds both providers, which manage the same state.
func (b *bench) prepare(ctx context.Context, cli terraformcli.CLI, dir, states string) error {
	var err error
	for _, setup := range []struct {
		into             *terraform
		name, pkg, state string
	}{
		{&b.shared, "shared", module, keysState},
		{&b.unshared, "unshared", module + "/internal/cmd/bench/unshared", keysState},
		{&b.native, "native", "", dataState},
	} {
		say("preparing: %s", setup.name)
		if *setup.into, err = newTerraform(ctx, cli, filepath.Join(dir, setup.name), setup.pkg, states+setup.state); err != nil {
			return err
		}
	}
	return nil
}

var (
	apply     = []string{"apply", "-auto-approve"}
	emptyPlan = []string{"plan", "-detailed-exitcode"} // Fails unless the plan is empty.
)

// measureAll takes a shape from nothing to nothing, and plans it without
// latency on the way, which shows what is our own.
func (b *bench) measureAll(ctx context.Context, s shape, latency time.Duration) ([]row, error) {
	keys, relabelled := keysAt(b.baseURL, s.deployKeys("Deployment")), keysAt(b.baseURL, s.deployKeys("Production"))
	c := course{bench: b, ctx: ctx, shape: s}
	bothPlans := func(r *row) {
		r.Plan = c.plan("plan", b.shared, keys)
		r.OneGET = c.plan("plan with one GET a key", b.unshared, keys)
	}

	measured := c.at(latency)
	measured.Create = c.step("create", b.shared, keys, apply)
	c.expect(s.total())
	measured.Floor = c.floor()
	bothPlans(&measured)
	rows := []row{measured}
	if latency > 0 {
		atOnce := c.at(0)
		atOnce.Floor = measured.Floor
		bothPlans(&atOnce)
		rows = append(rows, atOnce)
		c.at(latency)
	}
	rows[0].Label = c.step("change of one label", b.shared, relabelled, apply)
	rows[0].Destroy = c.step("destroy", b.shared, relabelled, []string{"destroy", "-auto-approve"})
	c.expect(0)
	return rows, c.err
}

// measurePlan measures the plan alone, of keys that are put there.
func (b *bench) measurePlan(ctx context.Context, s shape, latency time.Duration) (row, error) {
	keys := s.deployKeys("Deployment")
	c := course{bench: b, ctx: ctx, shape: s}
	c.at(0)
	c.step("create of the first key", b.shared, keysAt(b.baseURL, keys[:1]), apply)
	c.expect(1)
	if c.err == nil {
		names, err := addAll(b.bitbucket, keys)
		if err != nil {
			return row{}, err
		}
		c.err = b.states.grow(keysState, names)
	}
	c.expect(s.total())
	r := c.at(latency)
	r.Plan = c.plan("plan", b.shared, keysAt(b.baseURL, keys))
	r.Floor = c.floor()
	b.states.forget(keysState)
	b.removeAll()
	return r, c.err
}

// removeAll takes every key away behind Terraform's back.
func (b *bench) removeAll() {
	for _, repository := range b.bitbucket.Seed().Workspaces[0].Repositories {
		for _, key := range repository.DeployKeys {
			b.bitbucket.RemoveDeployKey(workspace, repository.Slug, key.ID)
		}
	}
}

// course is one shape being measured. It does nothing more after its first
// error.
type course struct {
	*bench
	ctx     context.Context
	shape   shape
	latency time.Duration
	err     error
}

// at sets the latency, and returns a row for what is measured with it.
func (c *course) at(latency time.Duration) row {
	c.latency = latency
	c.bitbucket.SetLatency(latency)
	return row{Repositories: c.shape.repositories, KeysInEach: c.shape.keys, LatencyMS: latency.Milliseconds()}
}

// step runs a command on a configuration, and returns what it took.
func (c *course) step(what string, with terraform, configuration string, args []string) *usage {
	if c.err != nil {
		return nil
	}
	if c.err = with.write(configuration); c.err != nil {
		return nil
	}
	c.bitbucket.ForgetRequests()
	memory := watchMemory(with.plugin)
	start := time.Now()
	computed, err := with.run(c.ctx, args...)
	used := &usage{
		Requests:   len(c.bitbucket.Requests()),
		Seconds:    round(time.Since(start).Seconds(), 3),
		CPUSeconds: round(computed.Seconds(), 3),
		MemoryMB:   round(memory(), 1),
	}
	if err != nil {
		c.err = err
		return nil
	}
	say("%v at %v: %s: %d requests, %.2f s (%.2f s of CPU), %.0f MB",
		c.shape, c.latency, what, used.Requests, used.Seconds, used.CPUSeconds, used.MemoryMB)
	return used
}

// plan makes a plan that has to be empty, and returns what the fastest took.
func (c *course) plan(what string, with terraform, configuration string) *usage {
	var fastest *usage
	for range c.repeat {
		if used := c.step(what, with, configuration, emptyPlan); fastest == nil || used != nil && used.Seconds < fastest.Seconds {
			fastest = used
		}
	}
	return fastest
}

// expect fails unless Bitbucket has that many keys: a command that does nothing
// is fast.
func (c *course) expect(keys int) {
	if got := held(c.bitbucket); c.err == nil && got != keys {
		c.err = fmt.Errorf("bitbucket has %d keys, expected were %d", got, keys)
	}
}

// floor plans as many resources of Terraform's own, once for each number.
func (c *course) floor() *usage {
	total := c.shape.total()
	if used, ok := c.floors[total]; ok || c.err != nil {
		return used
	}
	keys := c.shape.deployKeys("Deployment")
	c.step("create of the first terraform_data", c.native, dataOf(keys[:1]), apply)
	if c.err == nil {
		var names [][]string
		for _, key := range keys {
			names = append(names, key.names())
		}
		c.err = c.states.grow(dataState, names)
	}
	c.floors[total] = c.plan("plan of terraform_data", c.native, dataOf(keys))
	c.states.forget(dataState)
	return c.floors[total]
}

func round(number float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(number*scale) / scale
}

// say prints progress.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
