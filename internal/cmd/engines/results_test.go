package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-version"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

const root = "../../.."

func TestCountTests(t *testing.T) {
	t.Parallel()
	passed, skipped, failures := countTests([]byte(`{"ImportPath":"p","Action":"build-output","Output":"undefined: x\n"}
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/one"}
{"Action":"run","Package":"p","Test":"TestA/two"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"run","Package":"p","Test":"TestAB"}
{"Action":"run","Package":"p","Test":"TestC"}
{"Action":"run","Package":"p","Test":"TestD"}
no JSON
{"Action":"output","Package":"p","Test":"TestAB","Output":"good\n"}
{"Action":"output","Package":"p","Test":"TestC","Output":"bad\n"}
{"Action":"output","Package":"p","Test":"TestD","Output":"cut off\n"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"skip","Package":"p","Test":"TestA/two"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Test":"TestAB"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Output":"panic\n"}
{"Action":"fail","Package":"p"}
{"Action":"start","Package":"p/q"}
{"Action":"run","Package":"p/q","Test":"TestC"}
{"Action":"pass","Package":"p/q","Test":"TestC"}
{"Action":"pass","Package":"p/q"}
`))
	if passed != 3 || skipped != 2 || failures != "undefined: x\npanic\nbad\ncut off\n" {
		t.Errorf("got %d passed, %d skipped, %q", passed, skipped, failures)
	}
}

// Each test must run on an emulator, also if TF_ACC selects a real workspace.
func TestRunAcceptanceTests_emulated(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the fake command is a shell script")
	}
	bin := t.TempDir()
	script := "#!/bin/sh\necho \"TF_ACC=$TF_ACC, $TF_ACC_TERRAFORM_PATH\" >&2\ntest -z \"$TF_ACC\" && test \"$TF_ACC_TERRAFORM_PATH\" = tofu\n"
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(script), 0o700); err != nil { //nolint:gosec // A script must be executable.
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	t.Setenv("TF_ACC", "1")
	if _, err := runAcceptanceTests(t.Context(), terraformcli.CLI{Path: "tofu"}); err != nil {
		t.Error(err)
	}
}

func TestStoreResult(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, filepath.FromSlash(resultsFile))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []result{{OpenTofu: true, Version: "1.9.1"}, {Version: "1.14.0"}, {Version: "1.9.8"}, {Version: "1.14.2"}} {
		if err := storeResult(dir, r, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := storeResult(dir, result{Version: "1.9.9"}, false); err != nil {
		t.Fatal(err)
	}
	got, err := readResults(dir)
	if want := []result{{Version: "1.14.2"}, {OpenTofu: true, Version: "1.9.1"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestDocumentedVersions checks that the README and the index page state the versions in
// results.json and the features in terraformcli.
func TestDocumentedVersions(t *testing.T) {
	t.Parallel()
	results, err := readResults(root)
	if err != nil {
		t.Fatal(err)
	}
	var minors []string
	for _, r := range results {
		minors = append(minors, r.cli().Name()+" "+minor(r.Version))
	}
	oldestTerraform, oldestOpenTofu := minor(terraformcli.Protocol.Terraform), minor(terraformcli.Protocol.OpenTofu)
	for _, oldest := range []string{"terraform " + oldestTerraform, "tofu " + oldestOpenTofu} {
		if !slices.Contains(minors, oldest) {
			t.Errorf("the oldest supported version %s is not in %s", oldest, resultsFile)
		}
	}

	required := "Terraform " + oldestTerraform + " or later, or OpenTofu " + oldestOpenTofu + " or later"
	statements := map[string][]string{
		"README.md":               {required},
		"templates/index.md.tmpl": {required, "|\n" + testedVersions(results) + "\n", "|\n" + featureVersions() + "\n"},
	}
	for page, wants := range statements {
		content := readFile(t, page)
		for _, want := range wants {
			if !strings.Contains(content, want) {
				t.Errorf("%s does not have this text: edit the page and run \"make generate\"\n%s", page, want)
			}
		}
	}
}

// testedVersions returns the rows of the table of tested versions. Each row has the features
// that the previous tested version of the same command lacks.
func testedVersions(results []result) string {
	rows := ""
	for i, r := range results {
		var features []string
		first := i == 0 || results[i-1].OpenTofu != r.OpenTofu
		if first {
			features = append(features, "Resources and data sources")
		}
		for _, f := range terraformcli.Features {
			if f != terraformcli.Protocol && r.cli().Has(f) && (first || !results[i-1].cli().Has(f)) {
				features = append(features, f.Name)
			}
		}
		rows += fmt.Sprintf("| %s | %s |\n", r.cli(), cmp.Or(strings.Join(features, ", "), "—"))
	}
	return rows
}

// featureVersions returns the rows of the table of features.
func featureVersions() string {
	rows := ""
	for _, f := range terraformcli.Features {
		rows += fmt.Sprintf("| %s | %s | %s |\n", f.Name, minor(f.Terraform), cmp.Or(minor(f.OpenTofu), "—"))
	}
	return rows
}

// The workflow must test each version that the index page names, again and again.
func TestWorkflowVersions(t *testing.T) {
	t.Parallel()
	results, err := readResults(root)
	if err != nil {
		t.Fatal(err)
	}
	workflow := readFile(t, ".github/workflows/engines.yml")
	for _, r := range results {
		row := fmt.Sprintf("{ command: %s, version: %q }", r.cli().Name(), minor(r.Version)+".*")
		newest := !slices.ContainsFunc(results, func(other result) bool {
			return other.OpenTofu == r.OpenTofu && version.Must(version.NewVersion(other.Version)).GreaterThan(version.Must(version.NewVersion(r.Version)))
		})
		if newest && strings.Contains(workflow, fmt.Sprintf("{ command: %s, version: latest }", r.cli().Name())) {
			continue
		}
		if !strings.Contains(workflow, row) {
			t.Errorf("engines.yml does not have %s, which %s has", row, resultsFile)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
