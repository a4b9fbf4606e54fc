package acceptance

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

const (
	examples      = root + "/examples"
	rotationGuide = examples + "/guides/rotate-with-overlap/"
	moduleGuide   = examples + "/guides/module/"
)

// keyText finds the public keys in an example.
var keyText = regexp.MustCompile(`ssh-ed25519 AAAA[^"]*`)

// Every example is applied as the page shows it, and then planned if it has resources, so that
// no page has an example that fails. The files of a guide are steps that share a state.
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
			if name == "guides/no-private-key-in-state" || name == "guides/module" || name == "guides/ci-and-automation" || strings.HasPrefix(name, "guides/rotate-") {
				continue // See TestAccGuide_noPrivateKeyInState, TestAccGuide_module, TestAccCommands_ci and TestAccExamples_rotation.
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

// exampleFake starts a Bitbucket with the repositories that the examples use. The API token
// has the scopes that the guide to authentication lists for everything.
func exampleFake(t *testing.T) *acctest.Fake {
	t.Helper()
	f := acctest.NewFakeOfRepositories(t, []emulator.Repository{{Slug: "website", UUID: acctest.WebsiteUUID, Project: "WEB"}, {Slug: "api"}, {Slug: "worker"}})
	_, everything, _ := strings.Cut(acctest.ReadFile(t, root+"/templates/guides/authentication.md.tmpl"), "One set for everything: ")
	everything, _, _ = strings.Cut(everything, "\n")
	f.AllowBasic("ci@example.com", "api-token", scopesIn(t, everything)...)
	f.AllowBearer("access-token")
	f.AllowConsumer("Xn4kQ7vTz2pLw9sRbE", "secret", 7200)
	return f
}

// scopesIn returns the scopes of API tokens in a text.
func scopesIn(t *testing.T, text string) []string {
	t.Helper()
	scopes := regexp.MustCompile(`[a-z]+:[a-z-]+:bitbucket`).FindAllString(text, -1)
	if len(scopes) == 0 { // The emulator would accept everything.
		t.Fatal("the text has no scopes")
	}
	return scopes
}

// exampleOf returns the parent of the keys in an example.
func exampleOf(file string) acctest.Parent {
	if strings.Contains(file, "bitbucket_project_") {
		return acctest.WEB
	}
	return acctest.Website
}

// providerCLI returns a CLI with the credentials of an example of the provider block in its
// environment.
func providerCLI(t *testing.T, f *acctest.Fake, file string) *acctest.CLI {
	t.Helper()
	var credentials []string
	switch filepath.Base(file) {
	case "provider.tf", "provider_refresh_after.tf":
		credentials = []string{"BITBUCKET_TOKEN=api-token"}
	case "provider_access_token.tf":
		credentials = []string{"BITBUCKET_TOKEN=access-token"}
	case "provider_oauth.tf":
		credentials = []string{"BITBUCKET_OAUTH_CLIENT_SECRET=secret"}
	}
	return acctest.NewBuiltCLI(t, append(credentials, "BITBUCKET_BASE_URL="+f.URL+"/2.0")...)
}

// applyExamples applies files one after the other.
func applyExamples(t *testing.T, files ...string) {
	t.Helper()
	f := exampleFake(t)
	ofProvider := strings.Contains(files[0], "/provider/")
	var terraform *acctest.CLI
	if ofProvider {
		terraform = providerCLI(t, f, files[0])
	} else {
		terraform = acctest.NewCLI(t)
	}
	for _, file := range files {
		config := acctest.ReadFile(t, file)
		switch {
		case ofProvider:
			f.AddDeployKey("acme", "website", acctest.NewKey(t), "CI")
			config += acctest.DataDeployKey(`label = "CI"`)
		case strings.Contains(config, "data \"bitbucket_environments\""):
			f.SetEnvironments("acme", "website", exampleEnvironments...)
		case strings.Contains(file, "/bitbucket_deployments/"):
			f.SetEnvironments("acme", "website", exampleEnvironments...)
			for _, status := range []string{"SUCCESSFUL", "FAILED"} {
				f.AddDeployment("acme", "website", emulator.Deployment{EnvironmentUUID: acctest.ProductionUUID, Status: status, Commit: "commit that " + status})
			}
		case strings.Contains(file, "/data-sources/"):
			f.Add(exampleOf(file), acctest.NewKey(t), "CI")
		case strings.Contains(file, "/2-import.tf"):
			terraform.WriteFile(t, "keys.json", terraform.Output(t, "keys"))
		case strings.Contains(file, "/check-deploy-keys/"):
			f.AddDeployKey("acme", "website", acctest.NewKey(t), "new")
		case strings.Contains(config, "data \"bitbucket_deploy_keys\""):
			addAudited(t, f)
		case strings.Contains(file, "keys_exclusive/"):
			f.AddDeployKey("acme", "website", acctest.NewKey(t), "stranger")
			f.AddProjectDeployKey("acme", "WEB", acctest.NewKey(t), "stranger")
		case strings.Contains(file, "/import-by-"):
			config += acctest.ReadFile(t, filepath.Join(filepath.Dir(file), "resource.tf"))
			f.Add(exampleOf(file), keyText.FindString(config), "CI")
		case strings.Contains(config, "\nimport {"):
			for _, repository := range []string{"website", "api", "worker"} {
				f.AddDeployKey("acme", repository, keyText.FindString(config), "CI")
			}
		}
		switch {
		case !ofProvider:
			config = f.Config(config)
		case !strings.Contains(config, "required_providers"):
			config += acctest.RequiredProviders
		}
		terraform.Write(t, config)
		terraform.MustRun(t, "apply", "-auto-approve")
		if strings.Contains(file, "keys_exclusive/") {
			expectOnlyShownRemoved(t, f, terraform)
		}
		hostKeys := strings.Contains(file, "/bitbucket_ssh_host_keys/")
		if hostKeys { // The outputs are the same if the page has both names.
			f.SetHostKeys(strings.ReplaceAll(emulator.HostKeys, "bitbucket.org", "bitbucket.org,ssh.bitbucket.org"))
		}
		if hostKeys || strings.Contains(config, "resource \"") {
			terraform.MustRun(t, "plan", "-detailed-exitcode") // Fails unless the plan is empty.
		}
		imports := strings.Contains(config, "import {")
		if writes := f.Writes(); imports && len(writes) > 0 {
			t.Errorf("the import of %s wrote: %v", file, writes)
		} else if strings.Contains(config, "resource \"bitbucket_") && !imports && !strings.Contains(config, "moved {") && len(writes) == 0 {
			t.Errorf("%s wrote nothing", file)
		}
		expectOutputs(t, terraform, config)
	}
}

// expectOutputs fails the test unless the outputs of an example have their values.
func expectOutputs(t *testing.T, terraform *acctest.CLI, config string) {
	t.Helper()
	for name, want := range exampleOutputs {
		if strings.Contains(config, "output \""+name+"\"") {
			acctest.Contains(t, terraform.Output(t, name), want...)
		}
	}
}

// exampleEnvironments are the environments of the repository in the examples.
var exampleEnvironments = []emulator.Environment{
	{UUID: acctest.StagingUUID, Name: "Staging", Type: "Staging"}, {UUID: acctest.ProductionUUID, Name: "Production", Type: "Production"},
}

// expectOnlyShownRemoved checks that the first apply of an exclusive set has removed nothing,
// and that the next apply removes what its plan shows.
func expectOnlyShownRemoved(t *testing.T, f *acctest.Fake, terraform *acctest.CLI) {
	t.Helper()
	for _, request := range f.Requests() {
		if request.Method == http.MethodDelete {
			t.Errorf("the first apply sent DELETE %s", request.Path)
		}
	}
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "~ other_keys = {", `- label = "stranger"`, "0 to add, 1 to change, 0 to destroy")
}

// addAudited adds keys to repositories without keys. One key is on two repositories,
// and one was never used.
func addAudited(t *testing.T, f *acctest.Fake) {
	t.Helper()
	const shared = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILBqHsX3+q0qSag0M1kjnrojMhitRlA4SgN95NHQ65wS ci@example.com"
	day := func(days int) *string {
		return new(time.Now().AddDate(0, 0, -days).UTC().Format("2006-01-02T15:04:05.000000-07:00"))
	}
	for i, used := range []*string{day(1), day(200), nil, nil} {
		repository := []string{"website", "api", "worker", "worker"}[i]
		key := shared
		if i > 1 {
			key = acctest.NewKey(t)
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

// The steps of a rotation do what the guide promises, even if Bitbucket refuses to update
// deploy keys. In TestAccWalk, Bitbucket accepts updates.
func TestAccExamples_rotation(t *testing.T) {
	t.Parallel()
	type step struct {
		file, plan string
		writes     []string
	}
	for directory, steps := range map[string][]step{
		"rotate-with-overlap": {
			{"1-one-key.tf", "Plan: 1 to add, 0 to change, 0 to destroy.", []string{"POST acme/website/deploy-keys 200"}},
			{"2-map.tf", `bitbucket_deploy_key.ci has moved to bitbucket_deploy_key.ci["2026-04"]`, nil},
			{"3-both-keys.tf", "Plan: 1 to add, 0 to change, 0 to destroy.", []string{"POST acme/website/deploy-keys 200"}},
			{"4-new-key.tf", "Plan: 0 to add, 0 to change, 1 to destroy.", []string{"DELETE acme/website/deploy-keys/10958984 204"}},
		},
		"rotate-in-one-apply": {
			{"1-old-key.tf", "Plan: 1 to add, 0 to change, 0 to destroy.", []string{"POST acme/api/deploy-keys 200"}},
			{"2-new-key.tf", "Plan: 1 to add, 0 to change, 1 to destroy.", []string{"POST acme/api/deploy-keys 200", "DELETE acme/api/deploy-keys/10958984 204"}},
		},
	} {
		t.Run(directory, func(t *testing.T) {
			t.Parallel()
			f, terraform := exampleFake(t), acctest.NewCLI(t)
			f.SetPUT(emulator.PUTRefused)
			for _, step := range steps {
				terraform.Write(t, f.Config(acctest.ReadFile(t, filepath.Join(examples, "guides", directory, step.file))))
				acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), step.plan)
				f.ExpectWrites(t, step.writes...)()
				terraform.MustRun(t, "plan", "-detailed-exitcode") // Fails unless the plan is empty.
			}
		})
	}
}

// The steps of the guide to a module move the keys, and write only what their plans show.
func TestAccGuide_module(t *testing.T) {
	t.Parallel()
	f := exampleFake(t)
	f.SetPUT(emulator.PUTRefused)
	terraform := acctest.NewCLI(t)
	terraform.WriteFile(t, "provider.tf", f.Config(""))
	if err := os.Mkdir(filepath.Join(terraform.Dir, "deploy-keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	terraform.WriteFile(t, "deploy-keys/main.tf", acctest.ReadFile(t, moduleGuide+"deploy-keys/main.tf"))
	const add = "POST acme/website/deploy-keys 200"
	for _, step := range []struct {
		file   string
		plan   []string
		writes []string
	}{
		{"1-resource.tf", []string{"Plan: 1 to add, 0 to change, 0 to destroy."}, []string{add}},
		{
			"2-module.tf",
			[]string{`bitbucket_deploy_key.ci has moved to module.deploy_keys.bitbucket_deploy_key.reader["website/ci"]`, "Plan: 3 to add, 0 to change, 0 to destroy."},
			[]string{"POST acme/api/deploy-keys 200", "POST acme/api/deploy-keys 200", add},
		},
		{"3-renamed-repository.tf", []string{`(moved from module.deploy_keys.bitbucket_deploy_key.reader["website/backup"])`, `"website" -> "site"`, "Plan: 0 to add, 2 to change, 0 to destroy."}, nil},
		{"4-renamed-module.tf", []string{`module.deploy_keys.bitbucket_deploy_key.reader["api/backup"] has moved to module.readers.bitbucket_deploy_key.reader["api/backup"]`, "Plan: 0 to add, 0 to change, 0 to destroy."}, nil},
	} {
		if step.file == "3-renamed-repository.tf" {
			f.RenameRepository("acme", "website", "site")
		}
		terraform.Write(t, acctest.ReadFile(t, moduleGuide+step.file))
		terraform.MustRun(t, "get")
		acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), step.plan...)
		writes := f.Writes()
		slices.Sort(writes)
		if !slices.Equal(writes, step.writes) {
			t.Errorf("%s wrote %q, want %q", step.file, writes, step.writes)
		}
		terraform.MustRun(t, "plan", "-detailed-exitcode") // Fails unless the plan is empty.
	}
}

// sshHostKeys are the host keys of the emulator under the new name.
var sshHostKeys = strings.ReplaceAll(emulator.HostKeys, "bitbucket.org", "ssh.bitbucket.org")

// exampleOutputs are the outputs of the examples with the keys of addAudited.
var exampleOutputs = map[string][]string{
	"readers_of_web":          {`["CI"]`},
	"older_than_90_days":      {`["acme/worker/10958986 CI, added: 20`, `"]`},
	"unused_for_90_days":      {`["acme/api/10958985 CI, last used: 20`, `","acme/worker/10958986 CI, last used: never"]`},
	"keys_last_used":          {`["CI ci@example.com: 20`},
	"on_several_repositories": {`{"SHA256:L7RaJ9z1fhgcsFNlyZKT0BcV1Pl9SBfp3vUurVqhRWU":["api","website"]}`},
	"in_production":           {"commit that SUCCESSFUL"},
	"environment_uuids":       {`{"Production":"` + acctest.ProductionUUID + `","Staging":"` + acctest.StagingUUID + `"}`},
	"production_environments": {`["Production"]`},
	"names":                   {`["Staging","Production"]`},
	"uuids":                   {`["` + acctest.StagingUUID + `","` + acctest.ProductionUUID + `"]`},
	"production":              {`"type":"Production","uuid":"` + acctest.ProductionUUID + `"`},
	"found_on":                {`["acme/api/10958985","acme/website/10958984"]`},
	"bitbucket_fingerprints":  {`["ecdsa-sha2-nistp256 SHA256:FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0","ssh-ed25519 SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM","ssh-rsa SHA256:46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E"]`},
	"user_data":               {`"#cloud-config\n\"write_files\":\n- \"content\": |\n` + inJSON("    ", sshHostKeys) + `  \"path\": \"/etc/ssh/ssh_known_hosts\"\n`},
	"cloud_config":            {`"#cloud-config\n`, `ssh -i /root/website`, `- \"content\": |\n` + inJSON("    ", sshHostKeys) + `  \"path\": \"/etc/ssh/ssh_known_hosts\"\n`},
	"flux_secret":             {`\"known_hosts\": \"` + base64.StdEncoding.EncodeToString([]byte(sshHostKeys)) + `\"\n`},
	"argo_cd":                 {`\"ssh_known_hosts\": |\n` + inJSON("    ", sshHostKeys) + `\"kind\": \"ConfigMap\"\n`, `---\n`, `\"argocd.argoproj.io/secret-type\": \"repository\"`},
	"dockerfile":              {`COPY \u003c\u003cEOF /etc/ssh/ssh_known_hosts\n` + inJSON("", sshHostKeys) + `EOF\nRUN `},
	"known_hosts":             {`"` + inJSON("", emulator.HostKeys+sshHostKeys) + `"`},
}

// inJSON returns lines as they are inside of a JSON string, each after an indent.
func inJSON(indent, lines string) string {
	return indent + strings.TrimSuffix(strings.ReplaceAll(lines, "\n", `\n`+indent), indent)
}

// runQuery runs the queries of a file, and applies the configuration that they write.
func runQuery(t *testing.T, file string) {
	t.Helper()
	acctest.Needs(t, terraformcli.Query)
	f := exampleFake(t)
	terraform := acctest.NewCLI(t)
	parent := exampleOf(file)
	f.Add(parent, acctest.NewKey(t), "ci website")
	f.Add(parent.Named(parent.Other), acctest.NewKey(t)+" ci@example.com", "CI")
	terraform.Write(t, f.Config(""))
	terraform.WriteFile(t, filepath.Base(file), acctest.ReadFile(t, file))
	acctest.Contains(t, terraform.MustRun(t, "query"), "acme/"+parent.Name+": ci website (SHA256:", "acme/"+parent.Other+": CI (SHA256:")
	terraform.MustRun(t, "query", "-generate-config-out=deploy_keys.tf")
	acctest.Contains(t, terraform.MustRun(t, "apply", "-auto-approve"), "imported, 0 added, 0 changed, 0 destroyed")
	terraform.MustRun(t, "plan", "-detailed-exitcode")
	if writes := f.Writes(); len(writes) > 0 {
		t.Errorf("wrote: %v", writes)
	}
}

// runImport runs each command of import.sh with the configuration of resource.tf.
func runImport(t *testing.T, directory string) {
	t.Helper()
	config := acctest.ReadFile(t, filepath.Join(directory, "resource.tf"))
	for line := range strings.Lines(regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(acctest.ReadFile(t, filepath.Join(directory, "import.sh")), "")) {
		f := exampleFake(t)
		terraform := acctest.NewCLI(t)
		f.Add(exampleOf(directory), keyText.FindString(config), "CI")
		terraform.Write(t, f.Config(config))
		command := strings.Fields(line)
		if len(command) != 4 || !slices.Equal(command[:2], []string{"terraform", "import"}) {
			t.Fatalf("import.sh has another command: %v", command)
		}
		terraform.MustRun(t, command[1:]...)
		if !strings.HasSuffix(directory, "_exclusive") { // Its keys must be imported too.
			terraform.MustRun(t, "plan", "-detailed-exitcode")
		}
	}
}

// The examples are formatted as the CLI formats them.
func TestExamples_formatted(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Functions) // An older CLI cannot parse the names of provider functions.
	folder, err := filepath.Abs(examples)
	if err != nil {
		t.Fatal(err)
	}
	acctest.NewCLI(t).MustRun(t, "fmt", "-check", "-recursive", folder)
}

// The check of the guide names unused keys, and the plan stays empty. The check needs no
// additional request, because it shares the list of the repository.
func TestAccExamples_check(t *testing.T) {
	t.Parallel()
	acctest.Needs(t, terraformcli.Checks)
	f := exampleFake(t)
	terraform := acctest.NewCLI(t)
	terraform.Write(t, f.Config(acctest.ReadFile(t, examples+"/guides/check-deploy-keys/check.tf")+acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)), `label = "CI"`)))
	terraform.MustRun(t, "apply", "-auto-approve")
	ours := f.OnlyKey(t)
	forgotten := f.AddDeployKey("acme", "website", acctest.NewKey(t), "forgotten")
	old := "2021-03-04T05:06:07.000000+00:00"
	f.EditDeployKey("acme", "website", forgotten.ID, func(key *emulator.DeployKey) { key.CreatedOn = old })
	f.EditDeployKey("acme", "website", ours.ID, func(key *emulator.DeployKey) { key.LastUsed = &old })
	f.ForgetRequests()
	acctest.Contains(t, terraform.MustRun(t, "plan", "-detailed-exitcode"), "Check block assertion failed", "Not used for 90 days: acme/website/10958984 CI, acme/website/10958985 forgotten.")
	if sent := f.Sent(); len(sent) != 1 {
		t.Errorf("sent %q", sent)
	}
	f.RemoveDeployKey("acme", "website", forgotten.ID)
	f.EditDeployKey("acme", "website", ours.ID, func(key *emulator.DeployKey) { key.LastUsed = nil })
	if out := terraform.MustRun(t, "plan", "-detailed-exitcode"); strings.Contains(out, "assertion failed") {
		t.Errorf("the check failed although no key is unused: %s", out)
	}
}
