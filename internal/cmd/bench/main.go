// Command bench measures what the provider costs: it builds the provider,
// starts an emulated Bitbucket that takes its time to answer, and lets the real
// Terraform or OpenTofu command create, plan, update and destroy keys in many
// shapes. The same plan is made with one GET for each key (see the folder
// unshared), and with as many resources of Terraform's own, which is the floor.
// Before that it starts the provider as Terraform does, and looks how large it is.
//
// It writes results.json, table.md and plan.svg, and removes all else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
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

// options is the command line.
type options struct {
	latency time.Duration
	shapes  []shape
	large   []shape // large are only planned.
	repeat  int
	out     string
	startup bool
	draw    bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	shapes := flags.String("shapes", "10x10,100x10,10x100,1x1000,1000x1", "`shapes` to measure: repositories x keys in each")
	large := flags.String("large", "100x100", "`shapes` to plan only, for the memory that they take")
	flags.DurationVar(&o.latency, "latency", 80*time.Millisecond, "`time` that Bitbucket takes to answer; each shape is measured at 0 too")
	flags.IntVar(&o.repeat, "repeat", 1, "how `often` each plan is made, for the fastest of them")
	flags.StringVar(&o.out, "out", filepath.Join("internal", "cmd", "bench", "results"), "`folder` for the results")
	flags.BoolVar(&o.startup, "startup", false, "measure only the start, and keep what is stored of all else, with its date")
	flags.BoolVar(&o.draw, "draw", false, "measure nothing: remake table and chart from the stored results")
	err := flags.Parse(args)
	if err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.latency < 0 || o.repeat < 1 {
		return o, errors.New("-latency is at least 0 and -repeat at least 1")
	}
	if o.startup && o.draw {
		return o, errors.New("-startup measures, -draw does not")
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
		if o.startup {
			if measured, err = readResults(stored); err == nil {
				measured.Startup, err = measureStartup(ctx)
			}
		} else {
			measured, err = measure(ctx, o)
		}
		if err != nil {
			return err
		}
		if err := measured.write(stored); err != nil {
			return err
		}
	}
	// Drawn from what was stored in either case, so that both draw the same.
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
	fmt.Printf("%s\nWritten to %s.\n", r.table(), o.out)
	return nil
}
