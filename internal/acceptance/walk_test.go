package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// TestAccWalk does what a new user does, with the text of the pages: README, index
// page, first key, import of three keys, rotation, an error, upgrades. "make
// test-engines" runs it with each CLI.
func TestAccWalk(t *testing.T) {
	t.Parallel()
	w := newWalk(t)

	t.Log("README: install, and the first key")
	w.write("main.tf", block(t, root+"/README.md", "terraform"))
	w.write("ci.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDikcEnmpPo+/PNuXzAHc94cmZQU5An7OdteAr9i4iKD ci@laptop\n")
	w.run("Installed "+terraformcli.Source+" v"+terraformcli.Version, "init")
	w.run("1 to add", "plan")
	w.run("1 added", "apply", "-auto-approve")
	w.run("No changes", "plan", "-detailed-exitcode")
	w.has("website", "CI")

	t.Log("Index page: its first example, without a key")
	w.write("main.tf", block(t, root+"/docs/index.md", "terraform"))
	w.run("1 destroyed", "apply", "-auto-approve")

	t.Log("Import of three keys that were added by hand")
	w.restart()
	w.write("main.tf", required+`
resource "bitbucket_deploy_key" "imported" {
  for_each   = { for i in range(3) : "service-${i}" => file("${path.module}/service-${i}.pub") }
  workspace  = "acme"
  repository = each.key
  key        = each.value
  label      = "by hand"
}
`)
	for i := range byHand {
		name := fmt.Sprintf("service-%d", i)
		key := w.bitbucket.DeployKeys("acme", name)[0]
		w.write(name+".pub", key.Key+" "+key.Comment+"\n")
	}
	w.run("", "init")
	w.run("3 to add", "plan")
	for i := range byHand {
		name := fmt.Sprintf("service-%d", i)
		w.run("Import successful!", "import", fmt.Sprintf("bitbucket_deploy_key.imported[%q]", name), fmt.Sprintf("acme/%s/%d", name, w.bitbucket.DeployKeys("acme", name)[0].ID))
	}
	w.bitbucket.ForgetRequests()
	w.run("No changes", "plan", "-detailed-exitcode")
	if requests := w.bitbucket.Requests(); len(requests) != byHand {
		t.Errorf("a plan of %d repositories made %d requests", byHand, len(requests))
	}

	t.Log("Rotation as in the guide: one key, a map of keys, both keys, the new key")
	w.restart()
	for i, want := range []string{"1 added, 0 changed, 0 destroyed", "0 added, 0 changed, 0 destroyed", "1 added, 0 changed, 0 destroyed", "0 added, 0 changed, 1 destroyed"} {
		if i > 0 && !w.cli.Has(terraformcli.Moved) {
			break
		}
		file := []string{"1-one-key.tf", "2-map.tf", "3-both-keys.tf", "4-new-key.tf"}[i]
		w.write("main.tf", required+acctest.ReadFile(t, rotationGuide+file))
		if i == 0 {
			w.run("", "init")
		}
		w.run(want, "apply", "-auto-approve")
	}
	w.run("No changes", "plan", "-detailed-exitcode")
	w.has("website", "CI")

	t.Log("An error describes what to do and is on the page of errors; no key is lost")
	w.bitbucket.SetPermission("acme", "website", emulator.PermissionRead)
	page := acctest.ReadFile(t, root+"/docs/guides/errors.md")
	out := w.fails("plan")
	for _, words := range []string{"Unable to list deploy keys", "Unable to read deploy key"} {
		if strings.Contains(out, words) && strings.Contains(page, words) {
			page = ""
		}
	}
	if page != "" || !strings.Contains(out, "admin:repository:bitbucket") {
		t.Errorf("the error has no advice, or is on no page:\n%s", out)
	}
	w.bitbucket.SetPermission("acme", "website", emulator.PermissionAdmin)
	w.run("No changes", "plan", "-detailed-exitcode")

	t.Log("Upgrade to the next version")
	w.release("0.2.0")
	w.run("from the dependency lock file", "init")
	w.run("Installed "+terraformcli.Source+" v0.2.0", "init", "-upgrade")
	w.run("No changes", "plan", "-detailed-exitcode")

	t.Log("Switch from another provider as in the guide")
	w.restart()
	key := w.bitbucket.DeployKeys("acme", "api")[0]
	w.write("main.tf", required+fmt.Sprintf("\nresource \"bitbucket_deploy_key\" \"ci\" {\n  workspace = \"acme\"\n  repository = \"api\"\n  key = %q\n  label = %q\n}\n", key.Key+" "+key.Comment, key.Label))
	w.write("terraform.tfstate", w.stateOfAnother(key))
	w.run("Successfully replaced", "state", "replace-provider", "-auto-approve", w.cli.RegistryHost()+"/drfaust92/bitbucket", w.cli.RegistryHost()+"/"+terraformcli.Source)
	w.run("", "init")
	w.run("No changes", "plan", "-detailed-exitcode")
	w.has("api", "by hand")
}

// byHand is the number of keys that were added by hand.
const byHand = 3

// required declares the provider for configurations that are on no page.
const required = `
terraform {
  required_providers {
    bitbucket = { source = "bitbucket-deploy-keys/bitbucket" }
  }
}

provider "bitbucket" {
  username = "ci@example.com"
}
`

// walk is a new user with a CLI, a mirror of the registry and a Bitbucket.
type walk struct {
	t           *testing.T
	cli         terraformcli.CLI
	bitbucket   *emulator.Emulator
	dir, work   string
	environment []string
	started     int
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	cli := acctest.Engine
	repositories := []emulator.Repository{{Slug: "website", UUID: acctest.WebsiteUUID}, {Slug: "api"}}
	for i := range byHand {
		repositories = append(repositories, emulator.Repository{Slug: fmt.Sprintf("service-%d", i)})
	}
	bitbucket := emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{{Slug: "acme", Repositories: repositories}}})
	bitbucket.AllowBasic("ci@example.com", "api-token")
	for _, repository := range repositories[1:] {
		bitbucket.AddDeployKey("acme", repository.Slug, acctest.NewKey(t)+" admin@example.com", "by hand")
	}
	server := httptest.NewServer(bitbucket)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	_, environment, err := cli.Install(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	w := &walk{t: t, cli: cli, bitbucket: bitbucket, dir: dir, environment: append(environment, "BITBUCKET_USERNAME=ci@example.com", "BITBUCKET_TOKEN=api-token", "BITBUCKET_BASE_URL="+server.URL+"/2.0")}
	w.release(terraformcli.Version)
	w.restart()
	return w
}

// release puts a version into the mirror, where "init" finds it. All versions have the same
// provider.
func (w *walk) release(version string) {
	w.t.Helper()
	packages := filepath.Join(w.dir, "mirror", w.cli.RegistryHost(), filepath.FromSlash(terraformcli.Source))
	if err := os.MkdirAll(packages, 0o700); err != nil {
		w.t.Fatal(err)
	}
	makeRelease(w.t, packages, version)
}

// restart continues in an empty folder.
func (w *walk) restart() {
	w.t.Helper()
	w.started++
	w.work = filepath.Join(w.dir, fmt.Sprintf("work-%d", w.started))
	if err := os.Mkdir(w.work, 0o700); err != nil {
		w.t.Fatal(err)
	}
}

func (w *walk) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.work, name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a command that must succeed and print this text.
func (w *walk) run(wants string, args ...string) {
	w.t.Helper()
	w.t.Logf("  $ %s %s", w.cli.Name(), strings.Join(args, " "))
	out, _, err := w.cli.Run(w.t.Context(), w.work, w.environment, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(out, wants) {
		w.t.Errorf("it printed no %q:\n%s", wants, out)
	}
}

// fails runs a command that must fail, and returns what it printed.
func (w *walk) fails(args ...string) string {
	w.t.Helper()
	w.t.Logf("  $ %s %s", w.cli.Name(), strings.Join(args, " "))
	out, _, err := w.cli.Run(w.t.Context(), w.work, w.environment, args...)
	if err == nil {
		w.t.Fatalf("it succeeded:\n%s", out)
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// has checks that a repository has one key, with this label.
func (w *walk) has(repository, label string) {
	w.t.Helper()
	if keys := w.bitbucket.DeployKeys("acme", repository); len(keys) != 1 || keys[0].Label != label {
		w.t.Errorf("acme/%s has %v, want one key %q", repository, keys, label)
	}
}

// stateOfAnother returns the state of drfaust92/bitbucket for a key.
func (w *walk) stateOfAnother(key emulator.DeployKey) string {
	w.t.Helper()
	state, err := json.Marshal(map[string]any{
		"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "0f9b1f4e-0000-4000-8000-000000000001", "outputs": map[string]any{},
		"resources": []any{map[string]any{
			"mode": "managed", "type": "bitbucket_deploy_key", "name": "ci", "provider": fmt.Sprintf("provider[%q]", w.cli.RegistryHost()+"/drfaust92/bitbucket"),
			"instances": []any{map[string]any{"schema_version": 0, "attributes": map[string]any{
				"id": fmt.Sprintf("acme/api/%d", key.ID), "workspace": "acme", "repository": "api", "key": "", "label": key.Label, "comment": key.Comment, "key_id": fmt.Sprint(key.ID),
			}}},
		}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(state)
}

// block returns the first fenced block of a page in this language.
func block(t *testing.T, page, language string) string {
	t.Helper()
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(acctest.ReadFile(t, page))
	if found == nil {
		t.Fatalf("%s has no block of %s", page, language)
	}
	return found[1]
}
