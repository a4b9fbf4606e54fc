package main

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

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

const (
	module  = "github.com/bitbucket-deploy-keys/terraform-provider-bitbucket"
	source  = "bitbucket-deploy-keys/bitbucket"
	version = "0.1.0"
)

// terraform is the command with one build of the provider, in a working folder
// of its own.
type terraform struct {
	cli         terraformcli.CLI
	plugin      string // plugin is the provider's executable, "" for none.
	state       string // state is the address of the state.
	workdir     string
	environment []string
}

// newTerraform builds a package of this module as the provider, into a mirror
// of the registry as a person's machine would have it. Without a package there
// is no provider but Terraform's own.
func newTerraform(ctx context.Context, cli terraformcli.CLI, dir, pkg, state string) (terraform, error) {
	t := terraform{cli: cli, state: state, workdir: filepath.Join(dir, "work")}
	if err := os.MkdirAll(t.workdir, 0o700); err != nil {
		return t, err
	}
	mirror := filepath.Join(dir, "mirror")
	if pkg != "" {
		t.plugin = filepath.Join(mirror, cli.RegistryHost(), filepath.FromSlash(source), version,
			runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-bitbucket_v"+version)
		if runtime.GOOS == "windows" {
			t.plugin += ".exe"
		}
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-X main.version="+version, "-o", t.plugin, pkg)
		if out, err := build.CombinedOutput(); err != nil {
			return t, fmt.Errorf("build of %s: %w\n%s", pkg, err, out)
		}
	}
	settings := filepath.Join(dir, "cli.tfrc")
	content := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", filepath.ToSlash(mirror))
	if err := os.WriteFile(settings, []byte(content), 0o600); err != nil {
		return t, err
	}
	// What a person has set for work of their own must not change the numbers.
	t.environment = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "TF_") || strings.HasPrefix(name, "BITBUCKET_") ||
			slices.Contains([]string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"}, name)
	})
	t.environment = append(t.environment,
		"TF_CLI_CONFIG_FILE="+settings, "TF_CLI_ARGS=-no-color", "TF_INPUT=0", "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	if err := t.write(""); err != nil {
		return t, err
	}
	_, err := t.run(ctx, "init")
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
		settings += fmt.Sprintf("  required_providers {\n    bitbucket = {\n      source = %q\n    }\n  }\n", source)
	}
	return os.WriteFile(filepath.Join(t.workdir, "main.tf"), []byte(settings+"}\n"+configuration), 0o600)
}

// run returns how long all of the command's processes computed. It fails with
// all that the command printed.
func (t terraform) run(ctx context.Context, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, t.cli.Path, args...)
	cmd.Dir = t.workdir
	cmd.Env = t.environment
	// Interrupted the command stops its plugins, killed it would leave them.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w\n\n%s", filepath.Base(t.cli.Path), strings.Join(args, " "), err, out)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
