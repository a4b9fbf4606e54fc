package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

const module = "github.com/bitbucket-deploy-keys/terraform-provider-bitbucket"

// importantLines matches the lines of output with planned changes and results.
var importantLines = regexp.MustCompile(`(?m)^ *((?:# bitbucket_deploy_key\.|~ label |Plan:|No changes\.|Apply complete!|Destroy complete!|Import successful!).*)$`)

// terraform runs the Terraform or OpenTofu command in its own working folder.
type terraform struct {
	terraformcli.CLI
	workdir     string
	environment []string
}

// newTerraform builds the provider and creates the working folder.
func newTerraform(ctx context.Context, cli terraformcli.CLI, dir string) (terraform, error) {
	_, environment, err := cli.Install(ctx, dir, module)
	if err != nil {
		return terraform{}, err
	}
	workdir := filepath.Join(dir, "work")
	return terraform{CLI: cli, workdir: workdir, environment: environment}, os.Mkdir(workdir, 0o700)
}

func (t terraform) write(configuration string) error {
	return os.WriteFile(filepath.Join(t.workdir, "main.tf"), []byte(configuration), 0o600)
}

// run runs the command and returns its output. An error includes the output.
func (t terraform) run(ctx context.Context, args ...string) (string, error) {
	out, _, err := t.Run(ctx, t.workdir, t.environment, args...)
	return out, err
}
