package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	seedJSON  = `{"workspaces": [{"slug": "acme", "repositories": [{"slug": "sandbox"}]}]}`
)

// start runs the command on a free port. stop ends it and returns its error.
func start(t *testing.T, args ...string) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), writer)
		done <- err
		writer.CloseWithError(io.EOF)
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		cancel()
		t.Fatalf("the command ended before it listened: %v", <-done)
	}
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Errorf("printed %q", line)
	}
	return url, func() error {
		cancel()
		return <-done
	}
}

// status sends a request and returns the status of the response.
func status(t *testing.T, method, url, body string, authorize func(*http.Request)) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	authorize(request)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// writeSeed writes a seed file and returns its path.
func writeSeed(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seed.json")
	if err := os.WriteFile(path, []byte(seedJSON), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunKeepsState(t *testing.T) {
	t.Parallel()
	seed, state := writeSeed(t), filepath.Join(t.TempDir(), "state.json")
	basic := func(r *http.Request) { r.SetBasicAuth("somebody@example.com", "secret") }
	args := []string{"-seed", seed, "-state", state, "-username", "somebody@example.com", "-token", "secret", "-put", "refused"}

	url, stop := start(t, args...)
	keys := url + "/2.0/repositories/acme/sandbox/deploy-keys"
	if got := status(t, http.MethodPost, keys, `{"key": "`+publicKey+` me@host", "label": "ci"}`, basic); got != http.StatusOK {
		t.Errorf("POST returned %d", got)
	}
	if got := status(t, http.MethodPut, keys+"/10958984", `{"label": "other"}`, basic); got != http.StatusBadRequest {
		t.Errorf("PUT returned %d", got)
	}
	if got := status(t, http.MethodGet, keys, "", func(r *http.Request) { r.SetBasicAuth("x", "y") }); got != http.StatusUnauthorized {
		t.Errorf("GET with wrong credentials returned %d", got)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}

	saved, err := emulator.ReadSeed(state)
	if err != nil {
		t.Fatal(err)
	}
	stored := saved.Workspaces[0].Repositories[0].DeployKeys
	if len(stored) != 1 || stored[0].Key != publicKey || stored[0].Comment != "me@host" || stored[0].Label != "ci" {
		t.Errorf("the state has %+v", stored)
	}

	url, stop = start(t, args...)
	if got := status(t, http.MethodGet, url+"/2.0/repositories/acme/sandbox/deploy-keys/10958984", "", basic); got != http.StatusOK {
		t.Errorf("GET after a restart returned %d", got)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestRunCredentials(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args          []string
		authorization string
		want          int
	}{
		"any":          {nil, "Bearer whatever", http.StatusOK},
		"bearer":       {[]string{"-token", "secret"}, "Bearer secret", http.StatusOK},
		"wrong bearer": {[]string{"-token", "secret"}, "Bearer other", http.StatusUnauthorized},
		"scopes":       {[]string{"-token", "secret", "-scopes", "read:project:bitbucket, admin:repository:bitbucket"}, "Bearer secret", http.StatusOK},
		"other scopes": {[]string{"-token", "secret", "-scopes", "read:project:bitbucket"}, "Bearer secret", http.StatusForbidden},
		"basic scopes": {[]string{"-username", "x", "-token", "y", "-scopes", "read:project:bitbucket"}, "Basic eDp5", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, stop := start(t, append(test.args, "-seed", writeSeed(t))...)
			authorize := func(r *http.Request) { r.Header.Set("Authorization", test.authorization) }
			if got := status(t, http.MethodGet, url+"/2.0/repositories/acme/sandbox/deploy-keys", "", authorize); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
			if err := stop(); err != nil {
				t.Errorf("stopping: %v", err)
			}
		})
	}
}

func TestDeployments(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args          []string
		plain, slash  int
		shown, hidden string
	}{
		"default":    {nil, http.StatusOK, http.StatusOK, "start_date", "started_on"},
		"documented": {[]string{"-deployments", "documented"}, http.StatusOK, http.StatusOK, "start_date", "started_on"},
		"observed":   {[]string{"-deployments", "observed"}, http.StatusNotFound, http.StatusOK, "started_on", "start_date"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := parse(append(test.args, "-seed", writeSeed(t)), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			bitbucket, err := o.emulator()
			if err != nil {
				t.Fatal(err)
			}
			bitbucket.AddDeployment("acme", "sandbox", emulator.Deployment{StartedOn: "2026-09-01T10:00:00Z"})
			for path, want := range map[string]int{"deployments": test.plain, "deployments/": test.slash} {
				recorder := httptest.NewRecorder()
				request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/2.0/repositories/acme/sandbox/"+path, nil)
				request.SetBasicAuth("x", "y")
				bitbucket.ServeHTTP(recorder, request)
				if recorder.Code != want {
					t.Errorf("%s: got %d, want %d", path, recorder.Code, want)
				}
				body := recorder.Body.String()
				if want == http.StatusOK && (!strings.Contains(body, test.shown) || strings.Contains(body, test.hidden)) {
					t.Errorf("%s: got %s", path, body)
				}
			}
		})
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const latency = time.Minute
		o, err := parse([]string{"-latency", latency.String()}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		bitbucket, err := o.emulator()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		bitbucket.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if elapsed := time.Since(start); elapsed != latency {
			t.Errorf("a response took %v, want %v", elapsed, latency)
		}
	})
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"every interface":     {[]string{"-addr", ":0"}, "-allow-remote"},
		"a remote address":    {[]string{"-addr", "192.0.2.1:80"}, "-allow-remote"},
		"a host name":         {[]string{"-addr", "example.com:80"}, "-allow-remote"},
		"no port":             {[]string{"-addr", "127.0.0.1"}, "-allow-remote"},
		"no token":            {[]string{"-username", "x"}, "-username needs -token"},
		"scopes of no token":  {[]string{"-scopes", "x"}, "-scopes needs -token"},
		"an empty scope":      {[]string{"-token", "x", "-scopes", "x,"}, "a scope is empty"},
		"unknown deployments": {[]string{"-deployments", "x"}, "want documented or observed"},
		"a negative latency":  {[]string{"-latency", "-1s"}, "cannot be negative"},
		"an argument":         {[]string{"x"}, "unexpected argument"},
		"an unknown put":      {[]string{"-put", "x"}, "want documented"},
		"a missing seed":      {[]string{"-seed", "does-not-exist.json"}, "does-not-exist.json"},
		"an unwritable state": {[]string{"-state", "does-not-exist/state.json"}, "saving"},
		"an invalid state":    {[]string{"-state", "main_test.go"}, "main_test.go"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), test.args, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1:0": true, "127.9.9.9:80": true, "[::1]:80": true, "localhost:80": true, "[::ffff:127.0.0.1]:80": true,
		"0.0.0.0:80": false, "[::]:80": false, ":80": false, "10.0.0.1:80": false, "localhost.example.com:80": false,
	} {
		if got := isLoopback(addr); got != want {
			t.Errorf("%s: %t, want %t", addr, got, want)
		}
	}
}
