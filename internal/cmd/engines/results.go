package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// resultsFile has one result for each minor version with which all acceptance
// tests passed.
const resultsFile = "internal/cmd/engines/results.json"

// result is the result of the acceptance tests with one engine.
type result struct {
	OpenTofu bool   `json:"opentofu,omitempty"`
	Version  string `json:"version"`
	Date     string `json:"date"`
	// Commit is the tested commit, with "-dirty" if the files differed from it.
	Commit string `json:"commit,omitempty"`
	Passed int    `json:"passed"`
	// Skipped counts the tests that need a newer engine.
	Skipped int `json:"skipped"`
}

func (r result) cli() terraformcli.CLI {
	return terraformcli.CLI{OpenTofu: r.OpenTofu, Version: r.Version}
}

// runAcceptanceTests runs the acceptance tests with an engine. The error includes
// the output of the tests that failed.
func runAcceptanceTests(ctx context.Context, engine terraformcli.CLI) (result, error) {
	tests := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-timeout=40m", "-parallel=4", "./internal/provider", "./internal/acceptance", "./internal/live")
	// TF_ACC would run some tests on a real workspace.
	tests.Env = append(os.Environ(), "TF_ACC=", "TF_ACC_TERRAFORM_PATH="+engine.Path)
	tests.Stderr = os.Stderr
	out, err := tests.Output()
	passed, skipped, failures := countTests(out)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, failures)
	}
	return result{OpenTofu: engine.OpenTofu, Version: engine.Version, Passed: passed, Skipped: skipped}, err
}

// countTests counts the tests in the output of "go test -json". It does not count
// a test that passed if it has subtests. failures is the output of the tests that
// neither passed nor were skipped.
func countTests(out []byte) (passed, skipped int, failures string) {
	results, output := map[string]string{}, map[string]string{}
	var names []string
	for line := range bytes.Lines(out) {
		var event struct{ Action, Package, Test, Output string }
		if json.Unmarshal(line, &event) != nil {
			continue
		}
		name := strings.TrimSuffix(event.Package+"/"+event.Test, "/")
		switch event.Action {
		case "start", "run":
			names = append(names, name)
		case "output", "build-output":
			output[name] += event.Output
		case "pass", "fail", "skip":
			results[name] = event.Action
		}
	}
	failures = output[""] // Compiler errors have no package.
	for _, name := range names {
		hasSubtests := slices.ContainsFunc(names, func(other string) bool { return strings.HasPrefix(other, name+"/") })
		switch {
		case results[name] == "skip":
			skipped++
		case results[name] != "pass":
			failures += output[name]
		case !hasSubtests:
			passed++
		}
	}
	return passed, skipped, failures
}

func readResults(root string) ([]result, error) {
	content, err := os.ReadFile(filepath.Join(root, resultsFile))
	if err != nil {
		return nil, err
	}
	var all []result
	return all, json.Unmarshal(content, &all)
}

// storeResult replaces the stored result of the same minor version. If tests
// failed, it only removes the stored result.
func storeResult(root string, r result, passed bool) error {
	all, err := readResults(root)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(other result) bool {
		return r.OpenTofu == other.OpenTofu && minor(r.Version) == minor(other.Version)
	})
	if passed {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b result) int {
		if a.OpenTofu != b.OpenTofu {
			return strings.Compare(a.cli().Name(), b.cli().Name())
		}
		return version.Must(version.NewVersion(a.Version)).Compare(version.Must(version.NewVersion(b.Version)))
	})
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, resultsFile), append(content, '\n'), 0o600)
}

// minor returns the first two numbers of a version.
func minor(text string) string {
	parts := strings.SplitN(text, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
