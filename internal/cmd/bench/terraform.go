package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

const module = "github.com/bitbucket-deploy-keys/terraform-provider-bitbucket"

// terraform runs the Terraform or OpenTofu command in its own working folder.
type terraform struct {
	cli         terraformcli.CLI
	plugin      string // plugin is the path of the provider, or "" for none.
	state       string // state is the URL of the state.
	workdir     string
	environment []string
}

// newTerraform builds the provider from a Go package and runs init. If pkg is
// empty, only Terraform's built-in provider is available.
func newTerraform(ctx context.Context, cli terraformcli.CLI, dir, pkg, state string) (terraform, error) {
	t := terraform{cli: cli, state: state, workdir: filepath.Join(dir, "work")}
	if err := os.MkdirAll(t.workdir, 0o700); err != nil {
		return t, err
	}
	var err error
	if t.plugin, t.environment, err = cli.Install(ctx, dir, pkg); err != nil {
		return t, err
	}
	// Settings of the Go runtime must not change the numbers.
	t.environment = slices.DeleteFunc(t.environment, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"}, name)
	})
	if err := t.write(""); err != nil {
		return t, err
	}
	_, err = t.run(ctx, "init")
	return t, err
}

// keysAt returns a configuration with these keys, and with these lines in the provider
// block. Each key has its own block, because Terraform evaluates for_each again for
// every instance, which would take longer than everything that this command measures.
func keysAt(baseURL string, keys []deployKey, lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nprovider \"bitbucket\" {\n  base_url = %q\n  username = %q\n  token    = %q\n  %s\n}\n", baseURL, username, token, strings.Join(lines, "\n  "))
	for _, key := range keys {
		fmt.Fprintf(&b, "\nresource \"bitbucket_deploy_key\" %q {\n  workspace  = %q\n  repository = %q\n  key        = %q\n  label      = %q\n}\n",
			key.name, workspace, key.repository, key.key, key.label)
	}
	return b.String()
}

// dataOf returns a configuration with a terraform_data resource for each key.
func dataOf(keys []deployKey) string {
	var b strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&b, "\nresource \"terraform_data\" %q {\n  input = {\n    repository = %q\n    key        = %q\n    label      = %q\n  }\n}\n",
			key.name, key.repository, key.key, key.label)
	}
	return b.String()
}

// write replaces the configuration. It adds the backend and the required provider.
func (t terraform) write(configuration string) error {
	settings := fmt.Sprintf("terraform {\n  backend \"http\" {\n    address = %q\n  }\n", t.state)
	if t.plugin != "" {
		settings += fmt.Sprintf("  required_providers {\n    bitbucket = {\n      source = %q\n    }\n  }\n", terraformcli.Source)
	}
	return os.WriteFile(filepath.Join(t.workdir, "main.tf"), []byte(settings+"}\n"+configuration), 0o600)
}

// run runs the command and returns the processor time of all its processes. An
// error includes everything that the command printed.
func (t terraform) run(ctx context.Context, args ...string) (time.Duration, error) {
	_, cpu, err := t.cli.Run(ctx, t.workdir, t.environment, args...)
	return cpu, err
}
