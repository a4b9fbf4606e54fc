// Command terraform-provider-bitbucket is the Terraform provider for Bitbucket
// Cloud deploy keys. Terraform and OpenTofu start it. Users do not run it
// themselves.
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

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
)

// version is set at build time with -ldflags.
var version = "dev"

func main() {
	attach := flag.Bool("debug", false, "wait for a debugger and for Terraform to attach (see TF_REATTACH_PROVIDERS)")
	flag.Parse()

	server := provider.NewServer(version)()
	var options []tf6server.ServeOpt
	if *attach {
		options = append(options, tf6server.WithManagedDebug())
	} else if err := silenceUnreadLogs(); err != nil {
		log.Fatal(err)
	} else {
		exitWithTerraform(server)
	}
	reduceGarbageCollection()
	newServer := func() tfprotov6.ProviderServer { return server }
	if err := tf6server.Serve("registry.terraform.io/bitbucket-deploy-keys/bitbucket", newServer, options...); err != nil {
		log.Fatal(err)
	}
}

// exitWithTerraform ends this process when Terraform was killed, as soon as the running
// calls have returned. Otherwise Terraform itself ends this process.
//
// SIGTERM alone does not end this process, because SIGTERM may be sent to the whole process
// group. Terraform receives it too, waits for running calls and then stops this process.
func exitWithTerraform(server tfprotov6.ProviderServer) {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	// By default, writing a log line that Terraform can no longer read ends the process,
	// possibly in the middle of a write.
	signal.Ignore(syscall.SIGPIPE)
	parent := os.Getppid()
	go func() {
		awaitEnd(parent, terminated)
		provider.Shutdown(server)
		os.Exit(0)
	}()
}

// silenceUnreadLogs sets the log levels to the levels that Terraform prints. By default,
// the loggers write every line down to TRACE, which costs a third of the processor time of
// a plan, and Terraform discards most lines.
//
// If no TF_LOG variable is set, Terraform discards all lines, so silenceUnreadLogs
// turns the loggers off. Otherwise it sets the level of the provider's own logger,
// because its TRACE lines include the bodies of responses.
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

// reduceGarbageCollection lets the heap grow to 11 times the live data before Go collects
// garbage, but to 110 MB at most. It does nothing if GOGC or GOMEMLIMIT is set. By default,
// Go collects at twice the live data, which is small (20 MB with 10,000 keys): that costs a
// quarter of the processor time of a plan.
func reduceGarbageCollection() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(1000)
		debug.SetMemoryLimit(110 << 20)
	}
}
