// Command engines prints the paths of the Terraform and OpenTofu commands to
// test with, and to its standard error what each of them is too old for. With
// -bring it builds OpenTofu into the cache folder first.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

func main() {
	bring := flag.Bool("bring", false, "build OpenTofu into the cache folder, unless it is there")
	flag.Parse()
	if err := run(context.Background(), *bring); err != nil {
		fmt.Fprintf(os.Stderr, "engines: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bring bool) error {
	if bring {
		if _, err := terraformcli.Bring(ctx); err != nil {
			return err
		}
	}
	engines, err := terraformcli.FindAll(ctx)
	for _, engine := range engines {
		fmt.Println(engine.Path)
		fmt.Fprintf(os.Stderr, "%s (%s)\n", engine, engine.Path)
		for _, feature := range engine.Lacks() {
			fmt.Fprintf(os.Stderr, "  skips the tests of %s\n", feature)
		}
	}
	return err
}
