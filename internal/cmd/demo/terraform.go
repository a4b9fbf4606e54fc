package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

const (
	module  = "github.com/bitbucket-deploy-keys/terraform-provider-bitbucket"
	source  = "bitbucket-deploy-keys/bitbucket"
	version = "0.1.0"
)

// telling are the lines of output that say what was planned and done.
var telling = regexp.MustCompile(`(?m)^ *((?:# bitbucket_deploy_key\.|~ label |Plan:|No changes\.|Apply complete!|Destroy complete!|Import successful!).*)$`)

// terraform is the command in a working folder of its own.
type terraform struct {
	terraformcli.CLI
	workdir     string
	environment []string
}

// newTerraform builds the provider into a mirror of the registry. Unlike a
// development override that lets the demo go through a real "init".
func newTerraform(ctx context.Context, cli terraformcli.CLI, dir string) (terraform, error) {
	mirror := filepath.Join(dir, "mirror")
	plugin := filepath.Join(mirror, cli.RegistryHost(), filepath.FromSlash(source), version,
		runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-bitbucket_v"+version)
	if runtime.GOOS == "windows" {
		plugin += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags", "-X main.version="+version, "-o", plugin, module)
	if out, err := build.CombinedOutput(); err != nil {
		return terraform{}, fmt.Errorf("build of the provider: %w\n%s", err, out)
	}

	settings := filepath.Join(dir, "cli.tfrc")
	content := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", filepath.ToSlash(mirror))
	if err := os.WriteFile(settings, []byte(content), 0o600); err != nil {
		return terraform{}, err
	}
	workdir := filepath.Join(dir, "work")
	if err := os.Mkdir(workdir, 0o700); err != nil {
		return terraform{}, err
	}

	// What a person has set for work of their own must not change the demo.
	environment := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "TF_") || strings.HasPrefix(variable, "BITBUCKET_")
	})
	environment = append(environment,
		"TF_CLI_CONFIG_FILE="+settings, "TF_CLI_ARGS=-no-color", "TF_INPUT=0", "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	return terraform{CLI: cli, workdir: workdir, environment: environment}, nil
}

func (t terraform) String() string {
	if t.OpenTofu {
		return "OpenTofu " + t.Version
	}
	return "Terraform " + t.Version
}

// name is what a person would type.
func (t terraform) name() string {
	if t.OpenTofu {
		return "tofu"
	}
	return "terraform"
}

func (t terraform) write(configuration string) error {
	return os.WriteFile(filepath.Join(t.workdir, "main.tf"), []byte(configuration), 0o600)
}

// run returns all that the command printed, and has it in the error too.
func (t terraform) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, t.Path, args...)
	cmd.Dir = t.workdir
	cmd.Env = t.environment
	// Interrupted the command stops its plugins, killed it would leave them.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n\n%s", t.name(), strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
