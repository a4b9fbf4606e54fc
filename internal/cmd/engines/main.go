// Command engines prints the paths of the Terraform and OpenTofu commands to
// test with, and to its standard error what each of them is too old for. With
// -bring it builds OpenTofu into the cache folder first. With -test it runs the
// acceptance tests with each of them, stores what came of that, and writes it
// into the pages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

func main() {
	bring := flag.Bool("bring", false, "build OpenTofu into the cache folder, unless it is there")
	test := flag.Bool("test", false, "run the acceptance tests with each command")
	write := flag.Bool("write", false, "write the pages from the stored results")
	flag.Parse()
	if err := run(context.Background(), *bring, *test, *write); err != nil {
		fmt.Fprintf(os.Stderr, "engines: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bring, test, write bool) error {
	if bring {
		if _, err := terraformcli.Bring(ctx); err != nil {
			return err
		}
	}
	if write {
		return writePages(".")
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

// testAll goes on after tests have failed, to tell with which commands they do.
func testAll(ctx context.Context, engines []terraformcli.CLI) error {
	var failed []error
	for _, engine := range engines {
		fmt.Fprintf(os.Stderr, "testing with %s\n", engine)
		result, err := acceptance(ctx, engine)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = append(failed, fmt.Errorf("tests failed with %s", engine))
		}
		result.Date = time.Now().UTC().Format(time.DateOnly)
		if err := store(".", result, err == nil); err != nil {
			return err
		}
	}
	return errors.Join(append(failed, writePages("."))...)
}
