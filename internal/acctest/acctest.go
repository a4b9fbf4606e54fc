// Package acctest contains the helpers of the acceptance tests of several packages: a
// Bitbucket in memory, the CLI, configurations, and checks of plans and requests. It does
// not import internal/provider, because the tests of internal/provider import this package.
package acctest

import (
	"context"
	"log"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// Engine is the CLI that the tests run. Main finds it.
var Engine terraformcli.CLI

// newServer creates the provider under test. Main sets it.
var newServer func(version string) func() tfprotov6.ProviderServer

// Main runs the tests of a package. It finds the CLI. It also removes the environment
// variables of a developer that would change how the tests run. The provider is an
// argument, because the tests of internal/provider import this package.
func Main(m interface{ Run() int }, server func(version string) func() tfprotov6.ProviderServer) {
	newServer = server
	var err error
	if Engine, err = terraformcli.Find(context.Background()); err != nil {
		log.Fatal(err)
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "BITBUCKET_") || name == "TF_CLI_CONFIG_FILE" || name == "TF_CLI_ARGS" || name == "TF_LOG" {
			_ = os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"TF_ACC_TERRAFORM_PATH":     Engine.Path,
		"TF_ACC_PROVIDER_HOST":      Engine.RegistryHost(),
		"TF_ACC_PROVIDER_NAMESPACE": "bitbucket-deploy-keys",
	} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	if buildDir, err = os.MkdirTemp("", "terraform-provider-bitbucket-"); err != nil {
		log.Fatal(err)
	}
	debug.SetGCPercent(moreGarbage) // Each command makes a new provider, which is soon garbage.
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// Needs skips a test if the CLI is too old for it.
func Needs(t *testing.T, feature terraformcli.Feature) {
	t.Helper()
	if !Engine.Has(feature) {
		t.Skipf("%s has no %s", Engine, feature)
	}
}

// features maps a text of a configuration to the feature of the CLI that it requires.
var features = map[string]terraformcli.Feature{
	"moved {":                            terraformcli.Moved,
	"resource \"terraform_data\" ":       terraformcli.TerraformData,
	"\ncheck \"":                         terraformcli.Checks,
	"plantimestamp(":                     terraformcli.PlanTimestamp,
	"import {":                           terraformcli.ImportBlocks,
	"import {\n  for_each":               terraformcli.ImportForEach,
	"provider::":                         terraformcli.Functions,
	"ephemeral = true":                   terraformcli.EphemeralVariables,
	"identity =":                         terraformcli.Identity,
	"from = bitbucket_repo_deploy_keys.": terraformcli.MovedTypes, // From another provider.
}

// skipIfUnsupported skips the rest of a test if the CLI is too old for a configuration.
func skipIfUnsupported(t *testing.T, config string) {
	t.Helper()
	for text, feature := range features {
		if strings.Contains(config, text) {
			Needs(t, feature)
		}
	}
}

// RequiredProviders makes "bitbucket" the name of the provider under test.
const RequiredProviders = `
terraform {
  required_providers {
    bitbucket = {
      source = "bitbucket-deploy-keys/bitbucket"
    }
  }
}
`

// Message matches an error that has these parts in this order, as [CLI.Run] returns it. The
// parts are regular expressions.
func Message(parts ...string) *regexp.Regexp {
	for i, part := range parts {
		parts[i] = strings.Join(strings.Fields(part), " ")
	}
	return regexp.MustCompile(strings.Join(parts, `.*`))
}

// ReadFile returns the content of a file.
func ReadFile(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
