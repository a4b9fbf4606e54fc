package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

const root = "../../.."

func TestOutcome(t *testing.T) {
	t.Parallel()
	passed, skipped, failures := outcome([]byte(`{"ImportPath":"p","Action":"build-output","Output":"undefined: x\n"}
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

func TestStore(t *testing.T) {
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
		if err := store(dir, r, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := store(dir, result{Version: "1.9.9"}, false); err != nil {
		t.Fatal(err)
	}
	got, err := stored(dir)
	if want := []result{{Version: "1.14.2"}, {OpenTofu: true, Version: "1.9.1"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

// What the pages say is what the tests found, and the oldest versions that they
// promise are among it.
func TestPages(t *testing.T) {
	t.Parallel()
	contents, err := pages(root)
	if err != nil {
		t.Fatal(err)
	}
	for page, want := range contents {
		if got, err := os.ReadFile(filepath.Join(root, page)); err != nil || string(got) != want {
			t.Errorf(`%s does not say what is stored, run "go run ./internal/cmd/engines -write": %v`, page, err)
		}
	}
	for _, oldest := range []string{
		"Terraform " + minor(terraformcli.Protocol.Terraform) + " or later",
		"OpenTofu " + minor(terraformcli.Protocol.OpenTofu) + " or later",
	} {
		if !strings.Contains(contents["README.md"], oldest) {
			t.Errorf("the oldest command that passed is not that of %q", oldest)
		}
	}
}
