// Package terraformcli finds the Terraform or OpenTofu command that the tests
// and the demo run, and brings one to the user's cache folder where there is
// none, so that a fresh clone needs nothing but Go.
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

// pathVariable is the variable terraform-plugin-testing reads too, so one
// setting decides for every test.
const pathVariable = "TF_ACC_TERRAFORM_PATH"

// openTofuModule is built where releases.hashicorp.com cannot be reached: the
// Go module proxy, which this repository needs anyway, has OpenTofu but no
// usable Terraform.
const openTofuModule = "github.com/opentofu/opentofu@v1.12.6"

// CLI is a command that was run successfully at least once.
type CLI struct {
	Path     string
	OpenTofu bool
	Version  string
}

// RegistryHost returns the host that the command puts before a provider source
// of the form NAMESPACE/NAME.
func (c CLI) RegistryHost() string {
	if c.OpenTofu {
		return "registry.opentofu.org"
	}
	return "registry.terraform.io"
}

// Find returns the command named by TF_ACC_TERRAFORM_PATH, else the first one in
// ENGINES, else terraform or tofu from PATH, else one it brought to the cache
// folder in this or an earlier run.
func Find(ctx context.Context) (CLI, error) {
	return find(ctx, downloadTerraform, buildOpenTofu)
}

// bringer puts a command into the folder dir and returns its path.
type bringer func(ctx context.Context, dir string) (string, error)

func find(ctx context.Context, bringers ...bringer) (CLI, error) {
	if path := os.Getenv(pathVariable); path != "" {
		cli, err := inspect(ctx, path)
		if err != nil {
			return CLI{}, fmt.Errorf("%s does not name a Terraform or OpenTofu command, correct or unset it: %w", pathVariable, err)
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

	// A candidate that does not run, such as a version manager's shim with no
	// version chosen, must not hide the next one.
	var tried []error
	for _, name := range []string{"terraform", "tofu", filepath.Join(cache, "terraform"), filepath.Join(cache, "tofu")} {
		cli, err := inspect(ctx, name)
		if err == nil {
			return cli, nil
		}
		tried = append(tried, err)
	}

	for _, bring := range bringers {
		cli, err := install(ctx, cache, bring)
		if err == nil {
			return cli, nil
		}
		tried = append(tried, err)
	}
	return CLI{}, fmt.Errorf("no Terraform or OpenTofu command found, install one or set %s to its path; tried:\n%w", pathVariable, errors.Join(tried...))
}

// cacheFolder is where commands are kept that were brought.
func cacheFolder() (string, error) {
	userCache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep a Terraform command in, set %s to an existing one: %w", pathVariable, err)
	}
	return filepath.Join(userCache, "terraform-provider-bitbucket", "cli"), nil
}

// The first line is all that tells the two apart for certain: with -json both
// call their version terraform_version.
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
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1") // No request for newer versions.
	out, err := cmd.CombinedOutput()
	if err != nil {
		return CLI{}, fmt.Errorf("%s version: %w\n%s", path, err, out)
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return CLI{}, fmt.Errorf("%s version: neither Terraform nor OpenTofu answered:\n%s", path, out)
	}
	return CLI{Path: path, OpenTofu: string(match[1]) == "OpenTofu", Version: string(match[2])}, nil
}

// install moves a finished command into the cache folder by one rename, so that
// neither an interrupted run nor two runs at once leave half a command there.
func install(ctx context.Context, cache string, bring bringer) (CLI, error) {
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return CLI{}, err
	}
	dir, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return CLI{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	made, err := bring(ctx, dir)
	if err != nil {
		return CLI{}, err
	}
	path := filepath.Join(cache, filepath.Base(made))
	if err := os.Rename(made, path); err != nil {
		return CLI{}, err
	}
	return inspect(ctx, path)
}

func downloadTerraform(ctx context.Context, dir string) (string, error) {
	say("downloading the newest Terraform from releases.hashicorp.com")
	newest := releases.LatestVersion{Product: product.Terraform, InstallDir: dir, Timeout: 2 * time.Minute}
	path, err := newest.Install(ctx)
	if err != nil {
		return "", fmt.Errorf("download of Terraform: %w", err)
	}
	return path, nil
}

// buildOpenTofu builds inside the folder of the module itself, because go
// install refuses a module with replace directives.
func buildOpenTofu(ctx context.Context, dir string) (string, error) {
	say("building OpenTofu from its Go module instead, up to 5 minutes the first time")
	out, err := goCommand(ctx, dir, "mod", "download", "-json", openTofuModule)
	var module struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &module); err == nil {
		err = jsonErr
	}
	if err != nil {
		return "", fmt.Errorf("download of %s: %w %s", openTofuModule, err, module.Error)
	}

	// Without version.dev the command would call itself a development build.
	_, err = goCommand(ctx, module.Dir, "build", "-trimpath",
		"-ldflags", "-s -w -X github.com/opentofu/opentofu/version.dev=no",
		"-o", dir+string(filepath.Separator), "./cmd/tofu")
	if err != nil {
		return "", fmt.Errorf("build of %s: %w", openTofuModule, err)
	}
	return exec.LookPath(filepath.Join(dir, "tofu"))
}

// goCommand runs go without the settings a person may have made for this
// repository, and without a C compiler.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

func say(doing string) {
	fmt.Fprintf(os.Stderr, "No Terraform or OpenTofu found: %s (set %s to use another).\n", doing, pathVariable)
}
