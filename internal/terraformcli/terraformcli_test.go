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

// script writes an executable that prints text, after a warning on standard
// error such as a dangling TF_CLI_CONFIG_FILE causes.
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

// machine is a computer with nothing installed: PATH is one empty folder for
// fake commands, and the cache folder is empty.
func machine(t *testing.T) (bin, cache string) {
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

// offline fails the test when the search goes further than it should.
func offline(t *testing.T) bringer {
	t.Helper()
	return func(context.Context, string) (string, error) {
		t.Error("tried to bring a command although one is there")
		return "", errors.New("offline")
	}
}

func TestFindOrder(t *testing.T) {
	bin, cache := machine(t)

	// Each command put down comes before all those put down earlier.
	for _, c := range []struct {
		path, prints string
		want         CLI
	}{
		{filepath.Join(cache, "tofu"), openTofu, CLI{OpenTofu: true, Version: "1.12.6"}},
		{filepath.Join(cache, "terraform"), terraform, CLI{Version: "1.14.0"}},
		{filepath.Join(bin, "tofu"), openTofu, CLI{OpenTofu: true, Version: "1.12.6"}},
		{filepath.Join(bin, "terraform"), openTofu, CLI{OpenTofu: true, Version: "1.12.6"}}, // Also when tofu is named terraform.
	} {
		c.want.Path = script(t, c.path, c.prints)
		got, err := find(t.Context(), offline(t))
		if err != nil || got != c.want {
			t.Errorf("got %+v, %v; want %+v", got, err, c.want)
		}
	}

	named := script(t, filepath.Join(t.TempDir(), "named"), terraform)
	t.Setenv(pathVariable, named)
	got, err := find(t.Context(), offline(t))
	if want := (CLI{Path: named, Version: "1.14.0"}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestFindNamedCommandThatIsNone(t *testing.T) {
	bin, _ := machine(t)
	script(t, filepath.Join(bin, "terraform"), terraform)

	for _, path := range []string{
		filepath.Join(bin, "absent"),
		script(t, filepath.Join(bin, "other"), "something else v1.0.0\n"),
	} {
		t.Setenv(pathVariable, path)
		_, err := find(t.Context(), offline(t))
		if err == nil || !strings.Contains(err.Error(), pathVariable) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error with %s and %s", err, pathVariable, path)
		}
	}
}

func TestFindPassesOverCommandThatDoesNotRun(t *testing.T) {
	bin, _ := machine(t)
	script(t, filepath.Join(bin, "terraform"), "no version chosen\n")
	want := script(t, filepath.Join(bin, "tofu"), openTofu)

	got, err := find(t.Context(), offline(t))
	if err != nil || got.Path != want {
		t.Errorf("got %+v, %v; want %s", got, err, want)
	}
}

func TestFindBringsCommandToCache(t *testing.T) {
	_, cache := machine(t)
	unreachable := func(_ context.Context, dir string) (string, error) {
		script(t, filepath.Join(dir, "terraform"), terraform)
		return "", errors.New("unreachable")
	}
	bring := func(_ context.Context, dir string) (string, error) {
		return script(t, filepath.Join(dir, "tofu"), openTofu), nil
	}

	want := CLI{Path: filepath.Join(cache, "tofu"), OpenTofu: true, Version: "1.12.6"}
	got, err := find(t.Context(), unreachable, bring)
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got, err = find(t.Context(), offline(t)); err != nil || got != want {
		t.Errorf("second search: got %+v, %v; want %+v", got, err, want)
	}

	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 1 {
		t.Errorf("cache holds %v, %v; want only tofu", entries, err)
	}
}

func TestFindNothing(t *testing.T) {
	machine(t)
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
	bin, _ := machine(t)
	dir := t.TempDir()
	script(t, filepath.Join(dir, "tofu"), openTofu) // The fake go below builds nothing.
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
