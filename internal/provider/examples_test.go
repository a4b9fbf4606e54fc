package provider

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

const examples = "../../examples"

// keyText finds the public keys in an example.
var keyText = regexp.MustCompile(`ssh-ed25519 AAAA[^"]*`)

// Every example is applied as it stands, and planned again: a page that does
// not work cannot be published. Files of a guide are the steps of one state.
func TestAccExamples(t *testing.T) {
	t.Parallel()
	directories, err := filepath.Glob(examples + "/*/*")
	if err != nil || len(directories) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, directory := range directories {
		name, err := filepath.Rel(examples, directory)
		if err != nil {
			t.Fatal(err)
		}
		switch kind := filepath.Dir(name); kind {
		case "guides":
			t.Run(name, func(t *testing.T) { t.Parallel(); applyExamples(t, tfFiles(t, directory)...) })
		case "resources", "data-sources", "functions":
			for _, file := range tfFiles(t, directory) {
				t.Run(name+"/"+filepath.Base(file), func(t *testing.T) { t.Parallel(); applyExamples(t, file) })
			}
			if kind == "resources" {
				t.Run(name+"/import.sh", func(t *testing.T) { t.Parallel(); runImport(t, directory) })
			}
		case "provider":
			t.Run(name, func(t *testing.T) { t.Parallel(); applyExamples(t, directory) })
		default:
			t.Errorf("nothing tests %s", name)
		}
	}
}

func tfFiles(t *testing.T, directory string) []string {
	t.Helper()
	files, err := filepath.Glob(directory + "/*.tf")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no examples: %v", directory, err)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// exampleFake is the Bitbucket that the examples speak of.
func exampleFake(t *testing.T) *fake {
	t.Helper()
	f := startFake(t, []emulator.Repository{{Slug: "website", UUID: websiteUUID}, {Slug: "api"}, {Slug: "worker"}})
	f.AllowBearer("access-token")
	f.AllowConsumer("Xn4kQ7vTz2pLw9sRbE", "secret", 7200)
	return f
}

// exampleCLI takes its credentials from the environment, as the examples do.
func exampleCLI(t *testing.T, f *fake, file string) *cli {
	t.Helper()
	credentials := []string{"BITBUCKET_USERNAME=ci@example.com", "BITBUCKET_TOKEN=api-token"}
	switch filepath.Base(file) {
	case "provider.tf":
		credentials = credentials[1:]
	case "provider_access_token.tf":
		credentials = []string{"BITBUCKET_TOKEN=access-token"}
	case "provider_oauth.tf":
		credentials = []string{"BITBUCKET_OAUTH_CLIENT_SECRET=secret"}
	}
	return newCLI(t, append(credentials, "BITBUCKET_BASE_URL="+f.url+"/2.0")...)
}

// applyExamples applies files one after the other.
func applyExamples(t *testing.T, files ...string) {
	t.Helper()
	if strings.Contains(files[0], "/functions/") {
		needs(t, terraformcli.Functions)
	}
	if strings.Contains(files[0], "/import-by-identity.tf") {
		needs(t, terraformcli.Identity)
	}
	f := exampleFake(t)
	terraform := exampleCLI(t, f, files[0])
	for _, file := range files {
		config := read(t, file)
		switch {
		case strings.Contains(file, "/provider/"):
			f.AddDeployKey("acme", "website", newKey(t), "CI")
			config += dataDeployKey(`label = "CI"`)
		case strings.Contains(file, "/data-sources/"):
			f.AddDeployKey("acme", "website", newKey(t), "CI")
		case strings.Contains(file, "/import-by-"):
			config += read(t, filepath.Join(filepath.Dir(file), "resource.tf"))
			f.AddDeployKey("acme", "website", keyText.FindString(config), "CI")
		case strings.Contains(config, "\nimport {"):
			for _, repository := range []string{"website", "api", "worker"} {
				f.AddDeployKey("acme", repository, keyText.FindString(config), "CI")
			}
		}
		if !strings.Contains(config, "required_providers") {
			config += requiredProviders
		}
		terraform.write(t, config)
		terraform.must(t, "apply", "-auto-approve")
		terraform.must(t, "plan", "-detailed-exitcode") // Fails unless the plan is empty.
		imports := strings.Contains(config, "import {")
		if writes := f.writes(); imports && len(writes) > 0 {
			t.Errorf("the import of %s wrote: %v", file, writes)
		} else if strings.Contains(config, "resource \"bitbucket_") && !imports && len(writes) == 0 {
			t.Errorf("%s wrote nothing", file)
		}
	}
}

// runImport runs each command of import.sh beside resource.tf.
func runImport(t *testing.T, directory string) {
	t.Helper()
	config := read(t, filepath.Join(directory, "resource.tf"))
	for line := range strings.Lines(regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(read(t, filepath.Join(directory, "import.sh")), "")) {
		f := exampleFake(t)
		terraform := exampleCLI(t, f, directory)
		f.AddDeployKey("acme", "website", keyText.FindString(config), "CI")
		terraform.write(t, config+requiredProviders)
		command := strings.Fields(line)
		if len(command) != 4 || !slices.Equal(command[:2], []string{"terraform", "import"}) {
			t.Fatalf("import.sh has another command: %v", command)
		}
		terraform.must(t, command[1:]...)
		terraform.must(t, "plan", "-detailed-exitcode")
	}
}

// The examples are formatted as the CLI formats them.
func TestExamples_formatted(t *testing.T) {
	t.Parallel()
	folder, err := filepath.Abs(examples)
	if err != nil {
		t.Fatal(err)
	}
	newCLI(t).must(t, "fmt", "-check", "-recursive", folder)
}
