// Command provider-schema prints the provider's schema in the JSON format of
// "terraform providers schema -json", from which tfplugindocs makes the pages
// in docs. Taken from the provider in process it is the same on every machine,
// while each version of the Terraform command leaves out what it does not know.
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
