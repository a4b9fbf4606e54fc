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

// resultsFile holds one result for each minor version of a command with which
// all acceptance tests passed.
const resultsFile = "internal/cmd/engines/results.json"

// result is what came of the acceptance tests with one command.
type result struct {
	OpenTofu bool   `json:"opentofu,omitempty"`
	Version  string `json:"version"`
	Date     string `json:"date"`
	Passed   int    `json:"passed"`
	// Skipped tests need a newer command.
	Skipped int `json:"skipped"`
}

func (r result) cli() terraformcli.CLI {
	return terraformcli.CLI{OpenTofu: r.OpenTofu, Version: r.Version}
}

// acceptance runs the acceptance tests with a command, the installation of a
// release and the walk of a new user among them. The error has what those printed
// that failed.
func acceptance(ctx context.Context, engine terraformcli.CLI) (result, error) {
	tests := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-timeout=40m", "./internal/provider", ".")
	tests.Env = append(os.Environ(), "TF_ACC_TERRAFORM_PATH="+engine.Path)
	tests.Stderr = os.Stderr
	out, err := tests.Output()
	passed, skipped, failures := outcome(out)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, failures)
	}
	return result{OpenTofu: engine.OpenTofu, Version: engine.Version, Passed: passed, Skipped: skipped}, err
}

// outcome counts the tests in what "go test -json" printed, without those that
// only hold others, and returns what was printed by those that did not pass.
func outcome(out []byte) (passed, skipped int, failures string) {
	ended, printed := map[string]string{}, map[string]string{}
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
			printed[name] += event.Output
		case "pass", "fail", "skip":
			ended[name] = event.Action
		}
	}
	failures = printed[""] // What does not compile is in no package.
	for _, name := range names {
		holds := slices.ContainsFunc(names, func(other string) bool { return strings.HasPrefix(other, name+"/") })
		switch {
		case ended[name] == "skip":
			skipped++
		case ended[name] != "pass":
			failures += printed[name]
		case !holds:
			passed++
		}
	}
	return passed, skipped, failures
}

func stored(root string) ([]result, error) {
	content, err := os.ReadFile(filepath.Join(root, resultsFile))
	if err != nil {
		return nil, err
	}
	var all []result
	return all, json.Unmarshal(content, &all)
}

// store puts a result in the place of the one of the same minor version, or only
// takes that one away where tests failed.
func store(root string, r result, passed bool) error {
	all, err := stored(root)
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

// minor is the version up to the second number.
func minor(text string) string {
	parts := strings.SplitN(text, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
