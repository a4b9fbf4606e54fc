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

// terraform is the command with one build of the provider, in a working folder
// of its own.
type terraform struct {
	cli         terraformcli.CLI
	plugin      string // plugin is the provider's executable, "" for none.
	state       string // state is the address of the state.
	workdir     string
	environment []string
}

// newTerraform builds a package of this module as the provider. Without a
// package there is no provider but Terraform's own.
func newTerraform(ctx context.Context, cli terraformcli.CLI, dir, pkg, state string) (terraform, error) {
	t := terraform{cli: cli, state: state, workdir: filepath.Join(dir, "work")}
	if err := os.MkdirAll(t.workdir, 0o700); err != nil {
		return t, err
	}
	var err error
	if t.plugin, t.environment, err = cli.Install(ctx, dir, pkg); err != nil {
		return t, err
	}
	// How Go itself is set up must not change the numbers.
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

// keysAt is a configuration of these keys at one Bitbucket. Each key is a block
// of its own: for every instance of one block with for_each Terraform looks at
// the whole collection again, which takes longer than all that is measured here.
func keysAt(baseURL string, keys []deployKey) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nprovider \"bitbucket\" {\n  base_url = %q\n  username = %q\n  token    = %q\n}\n", baseURL, username, token)
	for _, key := range keys {
		fmt.Fprintf(&b, "\nresource \"bitbucket_deploy_key\" %q {\n  workspace  = %q\n  repository = %q\n  key        = %q\n  label      = %q\n}\n",
			key.name, workspace, key.repository, key.key, key.label)
	}
	return b.String()
}

// dataOf is as many resources of Terraform's own, with as much in them.
func dataOf(keys []deployKey) string {
	var b strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&b, "\nresource \"terraform_data\" %q {\n  input = {\n    repository = %q\n    key        = %q\n    label      = %q\n  }\n}\n",
			key.name, key.repository, key.key, key.label)
	}
	return b.String()
}

// write replaces the configuration, apart from what Terraform needs first.
func (t terraform) write(configuration string) error {
	settings := fmt.Sprintf("terraform {\n  backend \"http\" {\n    address = %q\n  }\n", t.state)
	if t.plugin != "" {
		settings += fmt.Sprintf("  required_providers {\n    bitbucket = {\n      source = %q\n    }\n  }\n", terraformcli.Source)
	}
	return os.WriteFile(filepath.Join(t.workdir, "main.tf"), []byte(settings+"}\n"+configuration), 0o600)
}

// run returns how long all of the command's processes computed. It fails with
// all that the command printed.
func (t terraform) run(ctx context.Context, args ...string) (time.Duration, error) {
	_, computed, err := t.cli.Run(ctx, t.workdir, t.environment, args...)
	return computed, err
}
