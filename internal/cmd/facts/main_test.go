package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// start starts an emulator and returns it with the environment for the command. The handler
// sees each request first.
func start(t *testing.T, before func(*http.Request)) (*emulator.Emulator, map[string]string) {
	t.Helper()
	e := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{{Slug: "initech"}}})
	e.AllowBasic("jane@initech.example", "ATATT3xFfGF0-secret")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before(r)
		e.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return e, map[string]string{
		"BITBUCKET_BASE_URL": server.URL + "/2.0", "BITBUCKET_TEST_WORKSPACE": "initech",
		"BITBUCKET_USERNAME": "jane@initech.example", "BITBUCKET_TOKEN": "ATATT3xFfGF0-secret",
	}
}

// isEmpty fails the test if something that the command has created is left.
func isEmpty(t *testing.T, e *emulator.Emulator) {
	t.Helper()
	if left, err := json.Marshal(e.Seed()); err != nil || strings.Contains(string(left), "tf-acc-") {
		t.Errorf("something is left: %s %v", left, err)
	}
}

func getenv(environment map[string]string) func(string) string {
	return func(name string) string { return environment[name] }
}

func TestRun(t *testing.T) {
	t.Parallel()
	e, environment := start(t, func(*http.Request) {})
	e.SetPUT(emulator.PUTRefused)
	file := filepath.Join(t.TempDir(), "facts.yaml")
	var out strings.Builder
	if err := run(t.Context(), []string{"-record", "-output", file}, getenv(environment), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Differs from the emulator: 3 of ", "The emulator can play this: SetPUT(PUTLabelOnly), SetPUT(PUTRefused).",
		"Not asked: 0\n", " requests to " + environment["BITBUCKET_BASE_URL"], "The exchanges are in " + file,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String()[strings.Index(out.String(), "\nDiffers"):])
		}
	}
	content, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(content), "initech") || !strings.Contains(string(content), "/2.0/repositories/acme/tf-acc-") {
		t.Error("the recording is wrong", err)
	}
	isEmpty(t, e)
}

func TestRun_environment(t *testing.T) {
	t.Parallel()
	for name, environment := range map[string]map[string]string{
		"set BITBUCKET_TEST_WORKSPACE to":               {},
		"set BITBUCKET_USERNAME and BITBUCKET_TOKEN to": {"BITBUCKET_TEST_WORKSPACE": "acme"},
	} {
		if err := run(t.Context(), nil, getenv(environment), io.Discard); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
	if err := run(t.Context(), []string{"record"}, getenv(nil), io.Discard); err == nil || err.Error() != `unexpected argument "record"` {
		t.Error(err)
	}
}

// An interrupted run removes what it has created, and stores nothing.
func TestRun_interrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	e, environment := start(t, func(r *http.Request) {
		if r.Method == http.MethodPut {
			cancel()
		}
	})
	file := filepath.Join(t.TempDir(), "facts.yaml")
	var out strings.Builder
	err := run(ctx, []string{"-record", "-output", file}, getenv(environment), &out)
	if err == nil || err.Error() != "interrupted: what was created is removed again" || out.String() != "" {
		t.Errorf("got %v and %q", err, out.String())
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("an incomplete recording was stored")
	}
	isEmpty(t, e)
}

// What could not be removed is named, and the answers are shown all the same.
func TestRun_notRemoved(t *testing.T) {
	t.Parallel()
	e, environment := start(t, func(*http.Request) {})
	e.Inject(emulator.Fault{Method: http.MethodDelete, Path: "/2.0/repositories/initech/tf-acc-", Status: http.StatusForbidden, Body: "no, ATATT3xFfGF0-secret"})
	file := filepath.Join(t.TempDir(), "facts.yaml")
	var out strings.Builder
	err := run(t.Context(), []string{"-record", "-output", file}, getenv(environment), &out)
	if err == nil || !strings.Contains(err.Error(), `: 403 no, [redacted]: run "make sweep" to delete it`) {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "* DELETE of a key (key-delete)") {
		t.Error("the answers are missing")
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a recording was stored")
	}
}
