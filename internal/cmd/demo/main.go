// Command demo shows the provider without a Bitbucket account. It builds the
// provider, starts an emulated Bitbucket and runs the real Terraform or OpenTofu
// command to create, update, replace, import and destroy deploy keys. It checks
// the requests of each step and removes all files that it creates.
package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

const (
	workspace  = "acme"
	repository = "website"
	username   = "ci@example.com"
	token      = "demo"
)

// Nobody has the private keys of these public keys.
const (
	firstKey  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDikcEnmpPo+/PNuXzAHc94cmZQU5An7OdteAr9i4iKD ci@example.com"
	secondKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC4Ohs13XEpi//o6fYUoagANu4+oN47xYmTTIL/7WLGI ci@example.com"
	handKey   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDjTxayDR2f1PkLtvi1w64bJM8L65O/cStY5zhEVE3rH admin@example.com"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nDemo failed: %v\n", err)
		os.Exit(1)
	}
	fmt.Println("\nDemo finished: every step did what it should, and nothing is left behind.")
}

func run(ctx context.Context) error {
	cli, err := terraformcli.Find(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bitbucket-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	t, err := newTerraform(ctx, cli, dir)
	if err != nil {
		return err
	}
	bitbucket := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{
		{Slug: workspace, Repositories: []emulator.Repository{{Slug: repository, UUID: "{85d08b4e-571d-44e9-a507-fa476535aa98}"}}},
	}})
	bitbucket.AllowBasic(username, token)
	server := httptest.NewServer(bitbucket)
	defer server.Close()

	d := demo{ctx: ctx, terraform: t, bitbucket: bitbucket, baseURL: server.URL + "/2.0"}
	fmt.Printf("%s drives the provider built from this repository; Bitbucket is emulated.\n", t)
	d.play()
	return d.err
}

// demo runs the steps. After the first error, its methods do nothing, so that play
// needs no error handling.
type demo struct {
	ctx       context.Context
	terraform terraform
	bitbucket *emulator.Emulator
	baseURL   string
	steps     int
	err       error
}

func (d *demo) play() {
	apply := []string{"apply", "-auto-approve"}
	emptyPlan := []string{"plan", "-detailed-exitcode"} // Fails unless the plan is empty.

	d.configure(resource("ci", firstKey, "Deployment"))
	d.initialize()
	d.step("A deploy key is created in acme/website.",
		"POST", apply)

	d.step("Bitbucket returns the key without its comment; the plan is empty all the same.",
		"GET", emptyPlan)

	d.configure(resource("ci", firstKey, "Production"))
	d.step("The label changes: the key is updated in place, as Bitbucket documents it.",
		"GET PUT", apply)

	d.configure(resource("ci", secondKey, "Production"))
	d.step("The key is rotated: Bitbucket cannot change a key itself, so it is replaced.",
		"GET DELETE POST", apply)

	for _, key := range d.bitbucket.DeployKeys(workspace, repository) {
		d.bitbucket.RemoveDeployKey(workspace, repository, key.ID)
	}
	d.step("Somebody deleted the key in Bitbucket: Terraform notices and adds it again.",
		"GET GET GET POST", apply)

	key := d.bitbucket.AddDeployKey(workspace, repository, handKey, "Added by hand")
	d.configure(resource("ci", secondKey, "Production"), resource("by_hand", handKey, "Added by hand"))
	d.step("Somebody added another key in Bitbucket: Terraform takes it over as it is.",
		"GET GET", []string{"import", "bitbucket_deploy_key.by_hand", fmt.Sprintf("%s/%s/%d", workspace, repository, key.ID)}, emptyPlan)

	d.step("Everything is destroyed.",
		"GET DELETE DELETE", []string{"destroy", "-auto-approve"})
	if left := d.bitbucket.DeployKeys(workspace, repository); d.err == nil && len(left) > 0 {
		d.err = fmt.Errorf("deploy keys are left in Bitbucket: %v", left)
	}
}

// configure replaces the configuration.
func (d *demo) configure(resources ...string) {
	if d.err != nil {
		return
	}
	d.err = d.terraform.write(fmt.Sprintf(`terraform {
  required_providers {
    bitbucket = {
      source = %q
    }
  }
}

provider "bitbucket" {
  base_url = %q
  username = %q
  token    = %q
}
%s`, terraformcli.Source, d.baseURL, username, token, strings.Join(resources, "")))
}

func resource(name, key, label string) string {
	return fmt.Sprintf(`
resource "bitbucket_deploy_key" %q {
  workspace  = %q
  repository = %q
  key        = %q
  label      = %q
}
`, name, workspace, repository, key, label)
}

func (d *demo) initialize() {
	if d.err == nil {
		_, d.err = d.terraform.run(d.ctx, "init")
	}
}

// step runs the commands of a step. It prints the important lines of their output
// and the requests to Bitbucket, and fails if Bitbucket received other requests.
func (d *demo) step(title, requests string, commands ...[]string) {
	if d.err != nil {
		return
	}
	d.steps++
	fmt.Printf("\n%d. %s\n", d.steps, title)

	d.bitbucket.ForgetRequests()
	var transcript strings.Builder
	for _, args := range commands {
		fmt.Printf("   $ %s %s\n", d.terraform.Name(), strings.Join(args, " "))
		out, err := d.terraform.run(d.ctx, args...)
		if err != nil {
			d.err = fmt.Errorf("step %d: %w", d.steps, err)
			return
		}
		transcript.WriteString(out)
		for _, line := range importantLines.FindAllStringSubmatch(out, -1) {
			fmt.Printf("     %s\n", line[1])
		}
	}

	fmt.Println("   Bitbucket received")
	var received []string
	for _, request := range d.bitbucket.Requests() {
		fmt.Printf("     %s %s %d\n", request.Method, request.Path, request.Status)
		received = append(received, request.Method)
	}
	if got := strings.Join(received, " "); got != requests {
		d.err = fmt.Errorf("step %d: Bitbucket received %s, want %s\n\n%s", d.steps, got, requests, &transcript)
	}
}
