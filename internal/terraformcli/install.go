package terraformcli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Source is the source address of the provider in a configuration. Version is
// the version of the provider that Install builds.
const (
	Source  = "bitbucket-deploy-keys/bitbucket"
	Version = "0.1.0"
)

// Install builds the provider from a Go package into a registry mirror in dir.
// It returns the path of the provider and the environment for Run. If pkg is
// empty, the mirror stays empty.
//
// A mirror allows a real "init", which a development override does not. The
// environment omits the user's own TF_ and BITBUCKET_ variables.
func (c CLI) Install(ctx context.Context, dir, pkg string) (plugin string, environment []string, err error) {
	mirror := filepath.Join(dir, "mirror")
	if pkg != "" {
		plugin = filepath.Join(mirror, c.RegistryHost(), filepath.FromSlash(Source), Version,
			runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-bitbucket_v"+Version)
		if runtime.GOOS == "windows" {
			plugin += ".exe"
		}
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+Version, "-o", plugin, pkg)
		if out, err := build.CombinedOutput(); err != nil {
			return "", nil, fmt.Errorf("build of %s: %w\n%s", pkg, err, out)
		}
	}
	settings := filepath.Join(dir, "cli.tfrc")
	content := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", filepath.ToSlash(mirror))
	if err := os.WriteFile(settings, []byte(content), 0o600); err != nil {
		return "", nil, err
	}
	environment = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "TF_") || strings.HasPrefix(variable, "BITBUCKET_")
	})
	return plugin, append(environment,
		"TF_CLI_CONFIG_FILE="+settings, "TF_CLI_ARGS=-no-color", "TF_INPUT=0", "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1"), nil
}

// Run runs the command. It returns the output and the processor time of all its
// processes. An error includes the output.
func (c CLI) Run(ctx context.Context, dir string, environment []string, args ...string) (string, time.Duration, error) {
	cmd := exec.CommandContext(ctx, c.Path, args...)
	cmd.Dir, cmd.Env = dir, environment
	// Interrupt the command instead of killing it, so that it stops its plugins.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", 0, context.Cause(ctx)
	}
	if err != nil {
		return "", 0, fmt.Errorf("%s %s: %w\n\n%s", c.Name(), strings.Join(args, " "), err, out)
	}
	return string(out), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// Name returns the name of the command.
func (c CLI) Name() string {
	if c.OpenTofu {
		return "tofu"
	}
	return "terraform"
}

// String returns the product and its version.
func (c CLI) String() string {
	if c.OpenTofu {
		return "OpenTofu " + c.Version
	}
	return "Terraform " + c.Version
}
