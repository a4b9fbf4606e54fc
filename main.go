// Command terraform-provider-bitbucket is the Terraform provider for Bitbucket
// Cloud deploy keys. Terraform and OpenTofu start it; it is not run by hand.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
)

// version is set by the linker for a release.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "wait for a debugger and for Terraform to attach (see TF_REATTACH_PROVIDERS)")
	flag.Parse()

	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address:         "registry.terraform.io/bitbucket-deploy-keys/bitbucket",
		Debug:           *debug,
		ProtocolVersion: 6,
	})
	if err != nil {
		log.Fatal(err)
	}
}
