// Command bench measures what the provider costs in requests, time and memory.
//
// It builds the provider, starts an emulated Bitbucket with a set latency, and
// runs the real Terraform or OpenTofu command. It measures in this order:
//   - the start of the provider and the size of its binary
//   - the commands that create, plan, update and destroy keys, for each number of
//     repositories and keys, and a plan of the same number of terraform_data
//     resources, which shows how much of the time Terraform itself takes
//   - a plan in comparison with the same plan of a provider that does nothing
//   - an apply in each hour of a large state with refresh_after, on a scaled clock
//
// It writes results.json, table.md and plan.svg. It removes all other files
// that it creates.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options holds the values of the command line flags.
type options struct {
	latency time.Duration
	shapes  []shape
	large   []shape // large shapes are only planned.
	repeat  int
	out     string
	// compared is planned in turns: with this provider, and with a provider that does nothing.
	compared shape
	turns    int
	// repositories and hours belong to the hourly applies.
	repositories, hours             int
	startup, overhead, hourly, draw bool
}

func parse(args []string) (options, error) {
	o := options{compared: shape{10, 100}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	shapes := flags.String("shapes", "10x10,100x10,10x100,1x1000,1000x1", "`shapes` to measure, as REPOSITORIESxKEYS in each repository")
	large := flags.String("large", "100x100", "`shapes` that are only planned, to measure the memory")
	flags.DurationVar(&o.latency, "latency", 80*time.Millisecond, "`time` that Bitbucket takes to answer; plans are also measured without latency")
	flags.IntVar(&o.repeat, "repeat", 1, "`number` of runs of each plan; the fastest run counts")
	flags.StringVar(&o.out, "out", filepath.Join("internal", "cmd", "bench", "results"), "`folder` for the results")
	flags.BoolVar(&o.startup, "startup", false, "measure only the start of the provider and keep the other stored results")
	flags.BoolVar(&o.overhead, "overhead", false, "measure only the comparison with a provider that does nothing, and keep the other stored results")
	flags.Func("compared", "`shape` of that comparison (default 10x100)", func(text string) (err error) {
		o.compared, err = parseShape(text)
		return err
	})
	flags.IntVar(&o.turns, "turns", 15, "`number` of turns of that comparison, with a plan of each provider")
	flags.IntVar(&o.repositories, "repositories", 5000, "`number` of repositories of the hourly applies, with one key each")
	flags.IntVar(&o.hours, "hours", 36, "`number` of hourly applies")
	flags.BoolVar(&o.hourly, "hourly", false, "measure only the hourly applies and keep the other stored results")
	flags.BoolVar(&o.draw, "draw", false, "measure nothing; write the table and the chart from the stored results")
	err := flags.Parse(args)
	if err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.latency < 0 || min(o.repeat, o.turns, o.repositories, o.hours) < 1 {
		return o, errors.New("-latency must be at least 0, and -repeat, -turns, -repositories and -hours at least 1")
	}
	if only := slices.DeleteFunc([]bool{o.startup, o.overhead, o.hourly, o.draw}, func(set bool) bool { return !set }); len(only) > 1 {
		return o, errors.New("-startup, -overhead, -hourly and -draw exclude each other")
	}
	if o.shapes, err = parseShapes(*shapes); err != nil {
		return o, err
	}
	o.large, err = parseShapes(*large)
	return o, err
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	stored := filepath.Join(o.out, "results.json")
	if !o.draw {
		var measured results
		if o.startup || o.overhead || o.hourly {
			if measured, err = readResults(stored); err != nil {
				return err
			}
		}
		if o.startup {
			measured.Startup, err = measureStartup(ctx)
		} else {
			err = withBench(ctx, o, func(b *bench, cli terraformcli.CLI) (err error) {
				switch {
				case o.overhead:
					measured.Overhead, err = b.measureOverhead(ctx, o.compared, o.turns)
				case o.hourly:
					measured.Hourly, err = b.measureHourly(ctx, o.repositories, o.hours, o.latency)
				default:
					measured, err = b.measure(ctx, cli, o)
				}
				return err
			})
		}
		if err != nil {
			return err
		}
		if err := measured.write(stored); err != nil {
			return err
		}
	}
	// Always draw from the file, so that a measurement and -draw write the same
	// table and chart.
	r, err := readResults(stored)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(o.out, "table.md"), r.table()); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(o.out, "plan.svg"), r.chart()); err != nil {
		return err
	}
	fmt.Printf("%s\nWrote the results to %s.\n", r.table(), o.out)
	return nil
}
