package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

var update = flag.Bool("update", false, "store the current schema of the provider")

// stored is the file with the provider's schema without descriptions. The
// configurations and states of users depend on this schema.
var stored = filepath.Join("testdata", "bitbucket.json")

func TestSchema_stored(t *testing.T) {
	t.Parallel()

	schemas, err := readSchemas(t.Context(), providerserver.NewProtocol6(provider.New("test")())())
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(schemas.ProviderSchemas[providerKey])
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(withoutTexts(t, encoded), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(stored, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(stored)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is out of date: read \"Compatibility\" in CONTRIBUTING.md, run \"make schema\" and review the difference", stored)
	}
}

// TestAccSchema_printed compares the stored schema with the schema that Terraform
// prints. It skips the sections that the Terraform version does not support.
func TestAccSchema_printed(t *testing.T) {
	t.Parallel()

	cli, err := terraformcli.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, environment, err := cli.Install(t.Context(), dir, "../../..")
	if err != nil {
		t.Fatal(err)
	}
	configuration := `terraform {
  required_providers {
    bitbucket = { source = "` + terraformcli.Source + `" }
  }
}
`
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := cli.Run(t.Context(), dir, environment, "init"); err != nil {
		t.Fatal(err)
	}
	out, _, err := cli.Run(t.Context(), dir, environment, "providers", "schema", "-json")
	if err != nil {
		t.Fatal(err)
	}
	var printed struct {
		ProviderSchemas map[string]json.RawMessage `json:"provider_schemas"`
	}
	if err := json.Unmarshal([]byte(out), &printed); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(stored)
	if err != nil {
		t.Fatal(err)
	}

	got, want := withoutTexts(t, printed.ProviderSchemas[cli.RegistryHost()+"/"+terraformcli.Source]), withoutTexts(t, content)
	for section := range want {
		if got[section] != nil || slices.Contains([]string{"provider", "resource_schemas", "data_source_schemas"}, section) {
			compare(t, section, got[section], want[section])
		}
	}
}

// compare checks that got has everything in want. It allows more in got, because a
// newer Terraform version may print more.
func compare(t *testing.T, path string, got, want any) {
	t.Helper()
	object, ok := want.(map[string]any)
	if !ok {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Terraform prints %v, stored is %v", path, got, want)
		}
		return
	}
	printed, _ := got.(map[string]any)
	for name := range object {
		compare(t, path+"."+name, printed[name], object[name])
	}
}

// withoutTexts decodes a schema and removes its descriptions.
func withoutTexts(t *testing.T, encoded []byte) map[string]any {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal(encoded, &schema); err != nil {
		t.Fatal(err)
	}
	removeTexts(schema)
	return schema
}

// removeTexts removes descriptions. It keeps an attribute named "description",
// because the value of such an attribute is an object and not a string.
func removeTexts(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if _, text := inner.(string); text && slices.Contains([]string{"description", "description_kind", "summary"}, name) {
				delete(value, name)
			}
			removeTexts(inner)
		}
	case []any:
		for _, inner := range value {
			removeTexts(inner)
		}
	}
}
