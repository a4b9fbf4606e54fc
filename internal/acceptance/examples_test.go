package provider

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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
			if name == "guides/query-workspace" {
				t.Run(name, func(t *testing.T) { t.Parallel(); runQuery(t, filepath.Join(directory, "deploy_keys.tfquery.hcl")) })
				continue
			}
			if name == "guides/no-private-key-in-state" {
				continue // It needs other providers too, which its own test has.
			}
			t.Run(name, func(t *testing.T) { t.Parallel(); applyExamples(t, tfFiles(t, directory)...) })
		case "list-resources":
			t.Run(name, func(t *testing.T) { t.Parallel(); runQuery(t, filepath.Join(directory, "list-resource.tfquery.hcl")) })
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
	f := startFake(t, []emulator.Repository{{Slug: "website", UUID: websiteUUID, Project: "WEB"}, {Slug: "api"}, {Slug: "worker"}})
	f.AllowBearer("access-token")
	f.AllowConsumer("Xn4kQ7vTz2pLw9sRbE", "secret", 7200)
	return f
}

// exampleOf is where the keys of an example are.
func exampleOf(file string) testPlace {
	if strings.Contains(file, "bitbucket_project_") {
		return web
	}
	return website
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
	f := exampleFake(t)
	terraform := exampleCLI(t, f, files[0])
	for _, file := range files {
		config := read(t, file)
		switch {
		case strings.Contains(file, "/provider/"):
			f.AddDeployKey("acme", "website", newKey(t), "CI")
			config += dataDeployKey(`label = "CI"`)
		case strings.Contains(file, "/bitbucket_deployments/"):
			for _, status := range []string{"SUCCESSFUL", "FAILED"} {
				f.AddDeployment("acme", "website", emulator.Deployment{EnvironmentUUID: productionUUID, Status: status, Commit: "commit that " + status})
			}
		case strings.Contains(file, "/data-sources/"):
			f.add(exampleOf(file), newKey(t), "CI")
		case strings.Contains(file, "/2-import.tf"):
			terraform.writeFile(t, "keys.json", terraform.output(t, "keys"))
		case strings.Contains(file, "/check-deploy-keys/"):
			f.AddDeployKey("acme", "website", newKey(t), "new")
		case strings.Contains(config, "data \"bitbucket_deploy_keys\""):
			addAudited(t, f)
		case strings.Contains(file, "keys_exclusive/"):
			f.AddDeployKey("acme", "website", newKey(t), "stranger")
			f.AddProjectDeployKey("acme", "WEB", newKey(t), "stranger")
		case strings.Contains(file, "/import-by-"):
			config += read(t, filepath.Join(filepath.Dir(file), "resource.tf"))
			f.add(exampleOf(file), keyText.FindString(config), "CI")
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
		for name, want := range exampleOutputs {
			if strings.Contains(config, "output \""+name+"\"") {
				contains(t, terraform.output(t, name), want...)
			}
		}
	}
}

// addAudited adds keys to repositories that have none: one of them on two, and
// one that was never used.
func addAudited(t *testing.T, f *fake) {
	t.Helper()
	const shared = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILBqHsX3+q0qSag0M1kjnrojMhitRlA4SgN95NHQ65wS ci@example.com"
	day := func(days int) *string {
		return new(time.Now().AddDate(0, 0, -days).UTC().Format("2006-01-02T15:04:05.000000-07:00"))
	}
	for i, used := range []*string{day(1), day(200), nil, nil} {
		repository := []string{"website", "api", "worker", "worker"}[i]
		key := shared
		if i > 1 {
			key = newKey(t)
		}
		added := f.AddDeployKey("acme", repository, key, "CI")
		f.EditDeployKey("acme", repository, added.ID, func(k *emulator.DeployKey) {
			k.LastUsed = used
			if i == 2 {
				k.CreatedOn = *day(181)
			}
		})
	}
}

// exampleOutputs are what the examples find among those keys.
var exampleOutputs = map[string][]string{
	"readers_of_web":          {`["CI"]`},
	"unused_for_180_days":     {`["acme/api/10958985 CI, last used: 20`, `","acme/worker/10958986 CI, last used: never"]`},
	"on_several_repositories": {`{"SHA256:L7RaJ9z1fhgcsFNlyZKT0BcV1Pl9SBfp3vUurVqhRWU":["api","website"]}`},
	"in_production":           {"commit that SUCCESSFUL"},
	"found_on":                {`["acme/api/10958985","acme/website/10958984"]`},
}

// runQuery runs the queries of a file, and applies what they write.
func runQuery(t *testing.T, file string) {
	t.Helper()
	needs(t, terraformcli.Query)
	f := exampleFake(t)
	terraform := exampleCLI(t, f, file)
	at := exampleOf(file)
	f.add(at, newKey(t), "ci website")
	f.add(at.named(at.other), newKey(t)+" ci@example.com", "CI")
	terraform.write(t, requiredProviders+"\nprovider \"bitbucket\" {}\n")
	terraform.writeFile(t, filepath.Base(file), read(t, file))
	contains(t, terraform.must(t, "query"), "acme/"+at.name+": ci website (SHA256:", "acme/"+at.other+": CI (SHA256:")
	terraform.must(t, "query", "-generate-config-out=deploy_keys.tf")
	contains(t, terraform.must(t, "apply", "-auto-approve"), "imported, 0 added, 0 changed, 0 destroyed")
	terraform.must(t, "plan", "-detailed-exitcode")
	if writes := f.writes(); len(writes) > 0 {
		t.Errorf("wrote: %v", writes)
	}
}

// runImport runs each command of import.sh beside resource.tf.
func runImport(t *testing.T, directory string) {
	t.Helper()
	config := read(t, filepath.Join(directory, "resource.tf"))
	for line := range strings.Lines(regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(read(t, filepath.Join(directory, "import.sh")), "")) {
		f := exampleFake(t)
		terraform := exampleCLI(t, f, directory)
		f.add(exampleOf(directory), keyText.FindString(config), "CI")
		terraform.write(t, config+requiredProviders)
		command := strings.Fields(line)
		if len(command) != 4 || !slices.Equal(command[:2], []string{"terraform", "import"}) {
			t.Fatalf("import.sh has another command: %v", command)
		}
		terraform.must(t, command[1:]...)
		if !strings.HasSuffix(directory, "_exclusive") { // Its keys are to be imported besides.
			terraform.must(t, "plan", "-detailed-exitcode")
		}
	}
}

// The examples are formatted as the CLI formats them.
func TestExamples_formatted(t *testing.T) {
	t.Parallel()
	needs(t, terraformcli.Functions) // An older CLI cannot read their names.
	folder, err := filepath.Abs(examples)
	if err != nil {
		t.Fatal(err)
	}
	newCLI(t).must(t, "fmt", "-check", "-recursive", folder)
}
