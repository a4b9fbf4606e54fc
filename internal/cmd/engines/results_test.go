package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

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

// TestDocumentedVersions checks that the README and the index page state the
// versions in results.json and the features in terraformcli.
func TestDocumentedVersions(t *testing.T) {
	t.Parallel()
	results, err := readResults(root)
	if err != nil {
		t.Fatal(err)
	}
	var tested, minors []string
	for _, r := range results {
		tested = append(tested, r.cli().String())
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
		"templates/index.md.tmpl": {required, "Tested with " + strings.Join(tested, ", ") + "."},
	}
	for _, f := range terraformcli.Features {
		row := fmt.Sprintf("| %s | %s | %s |\n", f.Name, minor(f.Terraform), cmp.Or(minor(f.OpenTofu), "—"))
		statements["templates/index.md.tmpl"] = append(statements["templates/index.md.tmpl"], row)
	}
	for page, wants := range statements {
		content, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(content), want) {
				t.Errorf("%s does not state %q: edit the page and run \"make generate\"", page, want)
			}
		}
	}
}
