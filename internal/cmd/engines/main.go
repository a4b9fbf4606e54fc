// Command engines lists the Terraform and OpenTofu commands ("engines") that the
// tests use. It prints the path of each engine to standard output, and the
// features that the engine lacks to standard error.
//
// With -build it first builds OpenTofu into the cache folder. With -test it runs
// the acceptance tests with each engine and stores the results.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

func main() {
	build := flag.Bool("build", false, "build OpenTofu into the cache folder, unless the same version is already there")
	test := flag.Bool("test", false, "run the acceptance tests with each engine and store the results")
	flag.Parse()
	if err := run(context.Background(), *build, *test); err != nil {
		fmt.Fprintf(os.Stderr, "engines: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, build, test bool) error {
	if build {
		if _, err := terraformcli.InstallOpenTofu(ctx); err != nil {
			return err
		}
	}
	engines, err := terraformcli.FindAll(ctx)
	if err != nil {
		return err
	}
	for _, engine := range engines {
		fmt.Fprintf(os.Stderr, "%s (%s)\n", engine, engine.Path)
		for _, feature := range engine.Lacks() {
			fmt.Fprintf(os.Stderr, "  skips the tests of %s\n", feature)
		}
		if !test {
			fmt.Println(engine.Path)
		}
	}
	if test {
		return testAll(ctx, engines)
	}
	return nil
}

// testAll runs the tests with every engine, even after a failure, so that the
// error lists all engines that fail.
func testAll(ctx context.Context, engines []terraformcli.CLI) error {
	commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return fmt.Errorf("finding the commit to test: %w", err)
	}
	var failed []error
	for _, engine := range engines {
		fmt.Fprintf(os.Stderr, "testing with %s\n", engine)
		result, err := runAcceptanceTests(ctx, engine)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = append(failed, fmt.Errorf("tests failed with %s", engine))
		}
		fmt.Fprintf(os.Stderr, "%s: %d tests passed, %d skipped\n", engine, result.Passed, result.Skipped)
		result.Date, result.Commit = time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(commit))
		if err := storeResult(".", result, err == nil); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}
