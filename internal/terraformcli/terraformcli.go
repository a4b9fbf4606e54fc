// Package terraformcli finds the Terraform or OpenTofu command that the tests
// and the demo run. If there is none, it installs one into the user's cache
// folder, so that a fresh clone needs only Go.
package terraformcli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/hashicorp/hc-install/product"
	"github.com/hashicorp/hc-install/releases"
)

// pathVariable names the command to use. terraform-plugin-testing reads the same
// variable, so all tests use the same command.
const pathVariable = "TF_ACC_TERRAFORM_PATH"

// openTofuModule is built if releases.hashicorp.com is not reachable. This
// repository needs the Go module proxy anyway, and the proxy has OpenTofu but no
// Terraform that can be built.
const (
	openTofuVersion = "1.12.6"
	openTofuModule  = "github.com/opentofu/opentofu@v" + openTofuVersion
)

// CLI is a Terraform or OpenTofu command that reported its version.
type CLI struct {
	Path     string
	OpenTofu bool
	Version  string
}

// RegistryHost returns the command's default host for a provider source of the
// form NAMESPACE/NAME.
func (c CLI) RegistryHost() string {
	if c.OpenTofu {
		return "registry.opentofu.org"
	}
	return "registry.terraform.io"
}

// Find returns the first command that it finds in this order:
//   - TF_ACC_TERRAFORM_PATH
//   - the first command in ENGINES
//   - terraform or tofu from PATH
//   - terraform or tofu from the cache folder
//
// If there is none, Find installs Terraform or OpenTofu into the cache folder.
func Find(ctx context.Context) (CLI, error) {
	return find(ctx, downloadTerraform, buildOpenTofu)
}

// An installer puts a command into the folder dir and returns its path.
type installer func(ctx context.Context, dir string) (string, error)

func find(ctx context.Context, installers ...installer) (CLI, error) {
	if path := os.Getenv(pathVariable); path != "" {
		cli, err := inspect(ctx, path)
		if err != nil {
			return CLI{}, fmt.Errorf("%s must name a Terraform or OpenTofu command, correct or unset it: %w", pathVariable, err)
		}
		return cli, nil
	}

	if os.Getenv(enginesVariable) != "" {
		all, err := FindAll(ctx)
		if err != nil {
			return CLI{}, err
		}
		return all[0], nil
	}
	cache, err := cacheFolder()
	if err != nil {
		return CLI{}, err
	}

	// Skip a command that does not run. For example, the shim of a version manager
	// fails if no version is selected.
	var tried []error
	for _, name := range []string{"terraform", "tofu", filepath.Join(cache, "terraform"), filepath.Join(cache, "tofu")} {
		cli, err := inspect(ctx, name)
		if err == nil {
			return cli, nil
		}
		tried = append(tried, err)
	}

	for _, one := range installers {
		cli, err := install(ctx, cache, one)
		if err == nil {
			return cli, nil
		}
		tried = append(tried, err)
	}
	return CLI{}, fmt.Errorf("no Terraform or OpenTofu command found, install one or set %s to its path; tried:\n%w", pathVariable, errors.Join(tried...))
}

// cacheFolder returns the folder of the installed commands.
func cacheFolder() (string, error) {
	userCache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder for a Terraform command, set %s to the path of a command: %w", pathVariable, err)
	}
	return filepath.Join(userCache, "terraform-provider-bitbucket", "cli"), nil
}

// The first line identifies the product. The output of "version -json" does not:
// both products name their version terraform_version.
var versionLine = regexp.MustCompile(`(?m)^(Terraform|OpenTofu) v(\S+)\s*$`)

func inspect(ctx context.Context, name string) (CLI, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return CLI{}, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return CLI{}, err
	}
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1") // Do not check for newer versions.
	out, err := cmd.CombinedOutput()
	if err != nil {
		return CLI{}, fmt.Errorf("%s version: %w\n%s", path, err, out)
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return CLI{}, fmt.Errorf("%s version: the output is not from Terraform or OpenTofu:\n%s", path, out)
	}
	return CLI{Path: path, OpenTofu: string(match[1]) == "OpenTofu", Version: string(match[2])}, nil
}

// install runs an installer in a temporary folder and then renames the command
// into the cache folder. The rename is atomic, so an interrupted run or two
// parallel runs do not leave an incomplete command.
func install(ctx context.Context, cache string, run installer) (CLI, error) {
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return CLI{}, err
	}
	dir, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return CLI{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	installed, err := run(ctx, dir)
	if err != nil {
		return CLI{}, err
	}
	path := filepath.Join(cache, filepath.Base(installed))
	if err := os.Rename(installed, path); err != nil {
		return CLI{}, err
	}
	return inspect(ctx, path)
}

func downloadTerraform(ctx context.Context, dir string) (string, error) {
	logProgress("downloading the latest Terraform from releases.hashicorp.com")
	latest := releases.LatestVersion{Product: product.Terraform, InstallDir: dir, Timeout: 2 * time.Minute}
	path, err := latest.Install(ctx)
	if err != nil {
		return "", fmt.Errorf("download of Terraform: %w", err)
	}
	return path, nil
}

// buildOpenTofu builds in the module's own folder, because "go install" refuses
// modules with replace directives.
func buildOpenTofu(ctx context.Context, dir string) (string, error) {
	logProgress("building OpenTofu from its Go module, which takes up to 5 minutes the first time")
	out, err := goCommand(ctx, dir, "mod", "download", "-json", openTofuModule)
	var module struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &module); err == nil {
		err = jsonErr
	}
	if err != nil {
		return "", fmt.Errorf("download of %s: %w %s", openTofuModule, err, module.Error)
	}

	// Without version.dev=no, the command reports a development version.
	_, err = goCommand(ctx, module.Dir, "build", "-trimpath",
		"-ldflags", "-s -w -X github.com/opentofu/opentofu/version.dev=no",
		"-o", dir+string(filepath.Separator), "./cmd/tofu")
	if err != nil {
		return "", fmt.Errorf("build of %s: %w", openTofuModule, err)
	}
	return exec.LookPath(filepath.Join(dir, "tofu"))
}

// goCommand runs go without the user's GOFLAGS and go.work, because these apply
// to this repository only. It does not need a C compiler.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

// logProgress prints what the installation does now.
func logProgress(activity string) {
	fmt.Fprintf(os.Stderr, "%s (set %s to use an existing command)\n", activity, pathVariable)
}
