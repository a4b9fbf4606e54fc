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

// Source is the address of the provider in a configuration, Version the one
// that Install gives it.
const (
	Source  = "bitbucket-deploy-keys/bitbucket"
	Version = "0.1.0"
)

// Install builds a Go package as the provider into a mirror of the registry in
// dir, and returns its path and the environment in which the command finds it.
// Unlike a development override that lets a real "init" happen. Without a
// package the mirror is empty.
//
// What a person has set for work of their own is not in that environment.
func (c CLI) Install(ctx context.Context, dir, pkg string) (plugin string, environment []string, err error) {
	mirror := filepath.Join(dir, "mirror")
	if pkg != "" {
		plugin = filepath.Join(mirror, c.RegistryHost(), filepath.FromSlash(Source), Version,
			runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-bitbucket_v"+Version)
		if runtime.GOOS == "windows" {
			plugin += ".exe"
		}
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-X main.version="+Version, "-o", plugin, pkg)
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

// Run runs the command to its end and returns all that it printed, which the
// error has too, and how long all of its processes computed.
func (c CLI) Run(ctx context.Context, dir string, environment []string, args ...string) (string, time.Duration, error) {
	cmd := exec.CommandContext(ctx, c.Path, args...)
	cmd.Dir, cmd.Env = dir, environment
	// Interrupted the command stops its plugins, killed it would leave them.
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

// Name is what a person would type.
func (c CLI) Name() string {
	if c.OpenTofu {
		return "tofu"
	}
	return "terraform"
}

// String is the product and its version.
func (c CLI) String() string {
	if c.OpenTofu {
		return "OpenTofu " + c.Version
	}
	return "Terraform " + c.Version
}
