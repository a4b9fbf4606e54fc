// Command terraform-provider-bitbucket is the Terraform provider for Bitbucket
// Cloud deploy keys. Terraform and OpenTofu start it; it is not run by hand.
package main

import (
	"cmp"
	"flag"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
)

// version is set by the linker for a release.
var version = "dev"

func main() {
	attach := flag.Bool("debug", false, "wait for a debugger and for Terraform to attach (see TF_REATTACH_PROVIDERS)")
	flag.Parse()

	var options []tf6server.ServeOpt
	if *attach {
		options = append(options, tf6server.WithManagedDebug())
	} else if err := silenceUnreadLogs(); err != nil {
		log.Fatal(err)
	}
	// Whoever stops a run may send this to the whole group of processes. It is for
	// Terraform to act on, which lets running calls end and then this process.
	signal.Ignore(syscall.SIGTERM)
	collectLessOften()
	err := tf6server.Serve("registry.terraform.io/bitbucket-deploy-keys/bitbucket", provider.NewServer(version), options...)
	if err != nil {
		log.Fatal(err)
	}
}

// silenceUnreadLogs turns the loggers off when no TF_LOG variable is set, since
// Terraform then drops what they write. Left alone they write every line down
// to TRACE, which costs a third of the processor time of a plan. For the same
// reason the provider's own logger, whose TRACE has the bodies of replies, is
// told the level that Terraform reads.
func silenceUnreadLogs() error {
	const provider = "TF_LOG_PROVIDER_BITBUCKET"
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "TF_LOG") && value != "" {
			return os.Setenv(provider, cmp.Or(os.Getenv(provider), os.Getenv("TF_LOG_PROVIDER"), os.Getenv("TF_LOG")))
		}
	}
	for _, logger := range []string{"TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK", provider} {
		if err := os.Setenv(logger, "OFF"); err != nil {
			return err
		}
	}
	return nil
}

// collectLessOften lets the heap grow to 110 MB before it is collected, unless
// the environment says otherwise. Little of it is in use (20 MB at 10,000 keys),
// and Go's default, to collect at twice what is in use, costs a quarter of the
// processor time of a plan.
func collectLessOften() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(1000)
		debug.SetMemoryLimit(110 << 20)
	}
}
