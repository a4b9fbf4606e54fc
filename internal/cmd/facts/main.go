// Command facts sends requests to a Bitbucket to answer questions that the documentation leaves
// open, and shows how the answers differ from the emulator's answers. It creates two
// repositories and a project in the workspace, and removes them at the end. The workspace and
// the credentials come from the environment.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/facts"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/recording"
)

// recorded is the file in which -record stores the exchanges by default. The tests read this
// file.
const recorded = "internal/bitbucket/testdata/recorded/facts.yaml"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // A second signal ends the command at once.
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "facts:", err)
		os.Exit(1)
	}
}

// run asks all questions, removes what it created, and shows the answers.
func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	flags := flag.NewFlagSet("facts", flag.ContinueOnError)
	flags.SetOutput(stdout)
	record := flags.Bool("record", false, "store the exchanges without names and credentials in "+recorded)
	output := flags.String("output", recorded, "`file` for -record")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	server, err := live.FromEnvironment(getenv)
	if err != nil {
		return err
	}
	var recorder *recording.Recorder
	if *record {
		if recorder, err = recording.Start(ctx, server); err != nil {
			return err
		}
	}
	answers, err := facts.Ask(ctx, server)
	closed := server.Close()
	switch {
	case closed != nil:
		err = errors.Join(err, errors.New(server.Redact(closed.Error())))
	case ctx.Err() != nil:
		err = errors.New("interrupted: what was created is removed again")
	}
	if ctx.Err() != nil || !slices.ContainsFunc(answers, func(a facts.Answer) bool { return a.NotAsked == "" }) {
		return cmp.Or(err, errors.New("no question could be asked"))
	}
	_, printed := fmt.Fprintf(stdout, "%s\n%d requests to %s\n", facts.Report(answers), server.Counter.Sent(), server.Base)
	if err = errors.Join(err, printed); recorder == nil || err != nil {
		return err // An incomplete recording would make the tests fail for no reason.
	}
	if err := recorder.Save(*output); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "The exchanges are in %s. Read the file before you commit it.\n", *output)
	return err
}
