// Command provider-schema prints the provider's schema in the JSON format of
// "terraform providers schema -json". tfplugindocs generates the pages in docs
// from it. The command reads the schema in process, so the output is the same on
// every machine. The output of Terraform depends on its version, because older
// versions omit newer features.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
)

func main() {
	schemas, err := readSchemas(context.Background(), providerserver.NewProtocol6(provider.New("dev")())())
	if err != nil {
		fmt.Fprintf(os.Stderr, "provider-schema: %v\n", err)
		os.Exit(1)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(schemas); err != nil {
		fmt.Fprintf(os.Stderr, "provider-schema: %v\n", err)
		os.Exit(1)
	}
}
