// Command sweep deletes the repositories and projects that killed runs of "make testacc" and
// "make facts" have left in BITBUCKET_TEST_WORKSPACE. It deletes nothing else. Do not run it
// at the same time as "make testacc" or "make facts".
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

func main() {
	server, err := live.FromEnvironment(os.Getenv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "sweep: %v.\n", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	deleted, err := server.Sweep(ctx)
	stop()
	for _, path := range deleted {
		fmt.Println("deleted " + path)
	}
	fmt.Printf("%d repositories and projects deleted, with %d requests.\n", len(deleted), server.Counter.Sent())
	if err != nil {
		fmt.Fprintln(os.Stderr, "sweep: "+server.Redact(err.Error()))
		os.Exit(1)
	}
}
