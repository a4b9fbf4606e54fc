package terraformcli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const (
	terraform = "Terraform v1.14.0\non linux_amd64\n"
	openTofu  = "OpenTofu v1.12.6\non linux_amd64\n"
)

// script writes an executable that prints text. It first prints a warning to
// standard error, as Terraform does if TF_CLI_CONFIG_FILE names a missing file.
func script(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	body := "#!/bin/sh\necho 'Warning: something else' >&2\nprintf %s '" + text + "'\n"
	if err := os.WriteFile(path, []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// isolate hides all installed commands. It sets PATH to an empty folder for fake
// commands and uses an empty cache folder.
func isolate(t *testing.T) (bin, cache string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the fake commands are shell scripts")
	}
	home := t.TempDir()
	bin = filepath.Join(home, "bin")
	t.Setenv("PATH", bin)
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv(pathVariable, "")
	userCache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return bin, filepath.Join(userCache, "terraform-provider-bitbucket", "cli")
}

// noInstall returns an installer that fails the test, because a command is
// available already.
func noInstall(t *testing.T) installer {
	t.Helper()
	return func(context.Context, string) (string, error) {
		t.Error("installs a command although one is available")
		return "", errors.New("not allowed")
	}
}

func TestFindOrder(t *testing.T) {
	bin, cache := isolate(t)

	// Each command has precedence over the commands before it.
	for _, c := range []struct {
		path, prints string
		want         CLI
	}{
		{filepath.Join(cache, "tofu"), openTofu, CLI{OpenTofu: true, Version: "1.12.6"}},
		{filepath.Join(cache, "terraform"), terraform, CLI{Version: "1.14.0"}},
		{filepath.Join(bin, "tofu"), openTofu, CLI{OpenTofu: true, Version: "1.12.6"}},
		{filepath.Join(bin, "terraform"), openTofu, CLI{OpenTofu: true, Version: "1.12.6"}}, // OpenTofu may be named terraform.
	} {
		c.want.Path = script(t, c.path, c.prints)
		got, err := find(t.Context(), noInstall(t))
		if err != nil || got != c.want {
			t.Errorf("got %+v, %v; want %+v", got, err, c.want)
		}
	}

	named := script(t, filepath.Join(t.TempDir(), "named"), terraform)
	t.Setenv(pathVariable, named)
	got, err := find(t.Context(), noInstall(t))
	if want := (CLI{Path: named, Version: "1.14.0"}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestFindNamedCommandInvalid(t *testing.T) {
	bin, _ := isolate(t)
	script(t, filepath.Join(bin, "terraform"), terraform)

	for _, path := range []string{
		filepath.Join(bin, "absent"),
		script(t, filepath.Join(bin, "other"), "something else v1.0.0\n"),
	} {
		t.Setenv(pathVariable, path)
		_, err := find(t.Context(), noInstall(t))
		if err == nil || !strings.Contains(err.Error(), pathVariable) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error with %s and %s", err, pathVariable, path)
		}
	}
}

func TestFindSkipsBrokenCommand(t *testing.T) {
	bin, _ := isolate(t)
	script(t, filepath.Join(bin, "terraform"), "no version selected\n")
	want := script(t, filepath.Join(bin, "tofu"), openTofu)

	got, err := find(t.Context(), noInstall(t))
	if err != nil || got.Path != want {
		t.Errorf("got %+v, %v; want %s", got, err, want)
	}
}

func TestFindInstallsCommand(t *testing.T) {
	_, cache := isolate(t)
	unreachable := func(_ context.Context, dir string) (string, error) {
		script(t, filepath.Join(dir, "terraform"), terraform)
		return "", errors.New("unreachable")
	}
	working := func(_ context.Context, dir string) (string, error) {
		return script(t, filepath.Join(dir, "tofu"), openTofu), nil
	}

	want := CLI{Path: filepath.Join(cache, "tofu"), OpenTofu: true, Version: "1.12.6"}
	got, err := find(t.Context(), unreachable, working)
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got, err = find(t.Context(), noInstall(t)); err != nil || got != want {
		t.Errorf("second search: got %+v, %v; want %+v", got, err, want)
	}

	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 1 {
		t.Errorf("cache has %v, %v; want only tofu", entries, err)
	}
}

func TestFindNothing(t *testing.T) {
	isolate(t)
	unreachable := func(context.Context, string) (string, error) { return "", errors.New("unreachable") }

	_, err := find(t.Context(), unreachable)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{pathVariable, "unreachable", `"terraform"`, `"tofu"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestBuildOpenTofu(t *testing.T) {
	bin, _ := isolate(t)
	dir := t.TempDir()
	script(t, filepath.Join(dir, "tofu"), openTofu) // The fake go command builds nothing.
	script(t, filepath.Join(bin, "go"), `{"Dir": "`+dir+`"}`+"\n")

	path, err := buildOpenTofu(t.Context(), dir)
	if err != nil || path != filepath.Join(dir, "tofu") {
		t.Errorf("got %s, %v", path, err)
	}
}

func TestRegistryHost(t *testing.T) {
	t.Parallel()
	if got := (CLI{OpenTofu: true}).RegistryHost(); got != "registry.opentofu.org" {
		t.Error(got)
	}
	if got := (CLI{}).RegistryHost(); got != "registry.terraform.io" {
		t.Error(got)
	}
}
