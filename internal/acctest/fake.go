package provider

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// engine is the CLI that the tests run. TestMain finds it.
var engine terraformcli.CLI

// needs skips a test where the CLI is too old for it.
func needs(t *testing.T, feature terraformcli.Feature) {
	t.Helper()
	if !engine.Has(feature) {
		t.Skipf("%s has no %s", engine, feature)
	}
}

// features are what a CLI needs for a configuration with this text.
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

// understands skips the rest of a test where the CLI is too old for a
// configuration.
func understands(t *testing.T, config string) {
	t.Helper()
	for text, feature := range features {
		if strings.Contains(config, text) {
			needs(t, feature)
		}
	}
}

// TestMain finds the CLI that the tests run, and keeps the environment of the
// person who runs them out of the tests.
func TestMain(m *testing.M) {
	var err error
	if engine, err = terraformcli.Find(context.Background()); err != nil {
		log.Fatal(err)
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "BITBUCKET_") || name == "TF_CLI_CONFIG_FILE" || name == "TF_CLI_ARGS" || name == "TF_LOG" {
			_ = os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"TF_ACC_TERRAFORM_PATH":     engine.Path,
		"TF_ACC_PROVIDER_HOST":      engine.RegistryHost(),
		"TF_ACC_PROVIDER_NAMESPACE": "bitbucket-deploy-keys",
	} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	if buildDir, err = os.MkdirTemp("", "terraform-provider-bitbucket-"); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// requiredProviders ties the name bitbucket to the provider under test.
const requiredProviders = `
terraform {
  required_providers {
    bitbucket = {
      source = "bitbucket-deploy-keys/bitbucket"
    }
  }
}
`

// fake is an emulator behind a server, and a provider configuration for it.
type fake struct {
	*emulator.Emulator
	url string
}

// newFake starts an emulator that holds acme/website, acme/api and
// other/website, and the projects WEB and API of acme and WEB of other.
func newFake(t *testing.T) *fake {
	t.Helper()
	return startFake(t, []emulator.Repository{{Slug: "website", UUID: websiteUUID}, {Slug: "api"}})
}

func startFake(t *testing.T, repositories []emulator.Repository) *fake {
	t.Helper()
	return startFakeOf(t, repositories, []emulator.Project{{Key: "WEB", UUID: webUUID}, {Key: "API"}})
}

func startFakeOf(t *testing.T, repositories []emulator.Repository, projects []emulator.Project) *fake {
	t.Helper()
	e := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{
		{Slug: "acme", UUID: workspaceUUID, Repositories: repositories, Projects: projects},
		{Slug: "other", Repositories: []emulator.Repository{{Slug: "website"}}, Projects: []emulator.Project{{Key: "WEB"}}},
	}})
	e.AllowBasic("ci@example.com", "api-token")
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return &fake{e, server.URL}
}

// newFakeOfMany starts one whose workspace acme has so many repositories, or so
// many projects.
func newFakeOfMany(t *testing.T, at testPlace, number int) (*fake, []testPlace) {
	t.Helper()
	var places []testPlace
	var repositories []emulator.Repository
	var projects []emulator.Project
	for i := range number {
		name := fmt.Sprintf("repository-%d", i)
		if at.placeKind == onProject {
			name = fmt.Sprintf("PROJECT_%d", i)
			projects = append(projects, emulator.Project{Key: name})
		} else {
			repositories = append(repositories, emulator.Repository{Slug: name})
		}
		places = append(places, at.named(name))
	}
	return startFakeOf(t, repositories, projects), places
}

const (
	workspaceUUID = "{2f5a9b2e-0000-4000-8000-0000000000ac}"
	websiteUUID   = "{85d08b4e-571d-44e9-a507-fa476535aa98}"
	webUUID       = "{6f1a7a0c-0000-4000-8000-00000000003b}"
)

// testPlace is where the keys of a test are. Most tests are the same for both.
type testPlace struct {
	placeKind
	name, uuid string
	// other is the name of another place of acme.
	other string
	// path is its path in the API, page the address of its settings.
	path, page string
}

var (
	website = testPlace{onRepository, "website", websiteUUID, "api", "/2.0/repositories/acme/website", "https://bitbucket.org/acme/website/admin"}
	web     = testPlace{onProject, "WEB", webUUID, "API", "/2.0/workspaces/acme/projects/WEB", "https://bitbucket.org/acme/workspace/projects/WEB/settings"}
)

// forEachPlace runs a test for keys of repositories and for those of projects.
func forEachPlace(t *testing.T, test func(t *testing.T, at testPlace)) {
	t.Helper()
	for _, at := range []testPlace{website, web} {
		t.Run(string(at.placeKind), func(t *testing.T) {
			t.Parallel()
			test(t, at)
		})
	}
}

// named is another place of the same kind.
func (p testPlace) named(name string) testPlace {
	p.path, p.page = strings.Replace(p.path, p.name, name, 1), strings.Replace(p.page, p.name, name, 1)
	p.name, p.uuid = name, ""
	return p
}

// said is what a test says of repositories, as it is said of this kind of place.
func (p testPlace) said(text string) string {
	if p.placeKind == onProject {
		return strings.NewReplacer("website", "WEB", "api", "API", "secret", "SECRET", "empty", "EMPTY", "repositories", "projects", "repository", "project").Replace(text)
	}
	return text
}

// String is the place as errors name it.
func (p testPlace) String() string {
	if p.placeKind == onProject {
		return "project acme/" + p.name
	}
	return "acme/" + p.name
}

// address is that of the resource which deployKey makes.
func (p testPlace) address() string { return p.typeName() + ".test" }

// id is that of a key with this number.
func (p testPlace) id(number int64) string { return fmt.Sprintf("acme/%s/%d", p.name, number) }

// collection, first and second are the paths of all keys, and of the first two
// that a test adds, as sent shows them.
func (p testPlace) collection() string { return sentPath(p.path) + "/deploy-keys" }
func (p testPlace) first() string      { return fmt.Sprintf("%s/%d", p.collection(), firstID) }
func (p testPlace) second() string     { return fmt.Sprintf("%s/%d", p.collection(), firstID+1) }

// deployKey is a resource with these lines, here unless they say otherwise.
func (p testPlace) deployKey(lines ...string) string {
	body := strings.Join(lines, "\n  ")
	for name, value := range map[string]string{"workspace": "acme", string(p.placeKind): p.name} {
		if !regexp.MustCompile(`(?m)^\s*` + name + `\s*=`).MatchString(body) {
			body = fmt.Sprintf("%s = %q\n  ", name, value) + body
		}
	}
	return fmt.Sprintf("\nresource %q \"test\" {\n  %s\n}\n", p.typeName(), body)
}

// in is the line of a configuration that names another place.
func (p testPlace) in(name string) string { return fmt.Sprintf("%s = %q", p.placeKind, name) }

// data is a data source for one key here.
func (p testPlace) data(lines ...string) string {
	return strings.Replace(p.deployKey(lines...), "resource", "data", 1)
}

// The keys of a place, and what somebody else does to them.
func (f *fake) keys(at testPlace) []emulator.DeployKey {
	if at.placeKind == onProject {
		return f.ProjectDeployKeys("acme", at.name)
	}
	return f.DeployKeys("acme", at.name)
}

func (f *fake) add(at testPlace, key, label string) emulator.DeployKey {
	if at.placeKind == onProject {
		return f.AddProjectDeployKey("acme", at.name, key, label)
	}
	return f.AddDeployKey("acme", at.name, key, label)
}

func (f *fake) edit(at testPlace, id int64, edit func(*emulator.DeployKey)) {
	if at.placeKind == onProject {
		f.EditProjectDeployKey("acme", at.name, id, edit)
		return
	}
	f.EditDeployKey("acme", at.name, id, edit)
}

func (f *fake) remove(at testPlace, id int64) {
	if at.placeKind == onProject {
		f.RemoveProjectDeployKey("acme", at.name, id)
		return
	}
	f.RemoveDeployKey("acme", at.name, id)
}

// removePlace removes the place with its keys.
func (f *fake) removePlace(at testPlace) {
	if at.placeKind == onProject {
		f.RemoveProject("acme", at.name)
		return
	}
	f.RemoveRepository("acme", at.name)
}

// config is a whole configuration with the usual credentials: the provider,
// with more lines in its block, and body.
func (f *fake) config(body string, lines ...string) string {
	return f.configWith(body, append(lines, `username = "ci@example.com"`, `token = "api-token"`)...)
}

// configWith is a whole configuration whose provider block has these lines.
func (f *fake) configWith(body string, lines ...string) string {
	return requiredProviders + fmt.Sprintf("\nprovider \"bitbucket\" {\n  base_url = \"%s/2.0\"\n  %s\n}\n", f.url, strings.Join(lines, "\n  ")) + body
}

// deployKey is a resource with these lines, in acme/website unless they say
// otherwise.
func deployKey(lines ...string) string { return website.deployKey(lines...) }

// sent lists the requests since the last call, as "METHOD path status".
func (f *fake) sent() []string {
	var lines []string
	for _, r := range f.Requests() {
		lines = append(lines, fmt.Sprintf("%s %s %d", r.Method, sentPath(r.Path), r.Status))
	}
	f.ForgetRequests()
	return lines
}

// sentPath is a path as sent shows it: that of a repository from the workspace on.
func sentPath(path string) string { return strings.TrimPrefix(path, "/2.0/repositories/") }

// writes are the requests among them that are meant to change something.
func (f *fake) writes() []string {
	var lines []string
	for _, line := range f.sent() {
		if !strings.HasPrefix(line, "GET ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// newKey makes a public key without a comment.
func newKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return authorizedKey(t, public)
}

func authorizedKey(t *testing.T, public any) string {
	t.Helper()
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// test runs steps with the provider in process. None needs TF_ACC: there is
// nothing outside this process to be careful with.
func test(t *testing.T, steps ...resource.TestStep) {
	t.Helper()
	for _, step := range steps {
		understands(t, step.Config)
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: map[string]func() (tfprotov6.ProviderServer, error){
			"bitbucket": func() (tfprotov6.ProviderServer, error) { return NewServer("test")(), nil },
		},
		Steps: steps,
	})
}

// message matches an error that has these parts in this order, wherever the CLI
// wraps its lines. Parts are regular expressions.
func message(parts ...string) *regexp.Regexp {
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(part, " ", `[\s│]+`)
	}
	return regexp.MustCompile(`(?s)` + strings.Join(parts, `.*`))
}
