package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
)

// cli runs the built provider as a person does: what a command prints, and
// which requests a single command makes, shows only there.
type cli struct {
	dir string
	env []string
}

// buildDir is where builtProvider builds. TestMain makes and removes it.
var buildDir string

// builtProvider builds the provider once for all tests of the package.
var builtProvider = sync.OnceValue(func() error {
	build := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-o", filepath.Join(buildDir, "terraform-provider-bitbucket"), "../..")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

func newCLI(t *testing.T, env ...string) *cli {
	t.Helper()
	if err := builtProvider(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	settings := filepath.Join(dir, "cli.tfrc")
	content := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"bitbucket-deploy-keys/bitbucket\" = %q\n  }\n  direct {}\n}\n", buildDir)
	if err := os.WriteFile(settings, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return &cli{dir: dir, env: append(append(os.Environ(), "TF_CLI_CONFIG_FILE="+settings, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1"), env...)}
}

// write replaces the configuration.
func (c *cli) write(t *testing.T, config string) {
	t.Helper()
	c.writeFile(t, "main.tf", config)
}

// writeFile replaces another file of it.
func (c *cli) writeFile(t *testing.T, name, content string) {
	t.Helper()
	understands(t, content)
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs one command and returns all that it printed, on one line, and
// whether it succeeded.
func (c *cli) run(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	var out bytes.Buffer
	command := exec.CommandContext(t.Context(), os.Getenv("TF_ACC_TERRAFORM_PATH"), append(args, "-no-color")...)
	command.Dir, command.Env, command.Stdout, command.Stderr = c.dir, c.env, &out, &out
	err := command.Run()
	return strings.Join(strings.FieldsFunc(out.String(), func(r rune) bool { return strings.ContainsRune(" \n│╷╵", r) }), " "), err == nil
}

// must runs a command that has to succeed.
func (c *cli) must(t *testing.T, args ...string) string {
	t.Helper()
	out, ok := c.run(t, args...)
	if !ok {
		t.Fatalf("%v failed: %s", args, out)
	}
	return out
}

// output is an output in state, as JSON.
func (c *cli) output(t *testing.T, name string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Getenv("TF_ACC_TERRAFORM_PATH"), "output", "-json", name)
	command.Dir, command.Env = c.dir, c.env
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// fails runs a command that has to fail, with these words in this order.
func (c *cli) fails(t *testing.T, args []string, words ...string) string {
	t.Helper()
	out, ok := c.run(t, args...)
	if ok {
		t.Fatalf("%v succeeded: %s", args, out)
	}
	contains(t, out, words...)
	return out
}

func contains(t *testing.T, out string, words ...string) {
	t.Helper()
	rest := out
	for _, word := range words {
		_, after, found := strings.Cut(rest, word)
		if !found {
			t.Fatalf("there is no %q in %s", word, out)
		}
		rest = after
	}
}

// attached is the setting that lets a CLI use a provider in this process, which
// takes a quarter of the time of starting one. Commands that run at the same
// time need one each: a provider has one configuration.
func attached(t *testing.T) string {
	t.Helper()
	return attachedAs(t, map[string]func() tfprotov6.ProviderServer{"bitbucket-deploy-keys/bitbucket": NewServer("test")})
}

// attachedAs is the same for several providers, by their source.
func attachedAs(t *testing.T, providers map[string]func() tfprotov6.ProviderServer) string {
	t.Helper()
	settings := map[string]any{}
	for source, provider := range providers {
		ctx, stop := context.WithCancel(context.Background())
		serving, stopped := make(chan *plugin.ReattachConfig), make(chan struct{})
		name := os.Getenv("TF_ACC_PROVIDER_HOST") + "/" + source
		go func() {
			if err := tf6server.Serve(name, provider, tf6server.WithDebug(ctx, serving, stopped), tf6server.WithLoggingSink(t), tf6server.WithGoPluginLogger(hclog.NewNullLogger())); err != nil {
				t.Error(err)
			}
		}()
		t.Cleanup(func() { stop(); <-stopped })
		config := <-serving
		settings[name] = map[string]any{
			"Protocol": config.Protocol, "ProtocolVersion": config.ProtocolVersion, "Pid": config.Pid, "Test": config.Test,
			"Addr": map[string]string{"Network": config.Addr.Network(), "String": config.Addr.String()},
		}
	}
	setting, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	return "TF_REATTACH_PROVIDERS=" + string(setting)
}

// managedKey is a key in state.
type managedKey struct {
	on               placeKind
	name, key, label string
	place, placeUUID string // Of the repository or project.
	id               int64
	tainted          bool
}

// state reads the keys in state, without a command.
func (c *cli) state(t *testing.T) []managedKey {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, "terraform.tfstate"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Resources []struct {
			Mode, Type string
			Name       string
			Instances  []struct {
				Status     string
				Attributes struct {
					KeyID          int64 `json:"key_id"`
					Key, Label     string
					Repository     string
					RepositoryUUID string `json:"repository_uuid"`
					Project        string
					ProjectUUID    string `json:"project_uuid"`
				}
			}
		}
	}
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	var keys []managedKey
	for _, resource := range state.Resources {
		if resource.Mode != "managed" {
			continue
		}
		for _, instance := range resource.Instances {
			held := instance.Attributes
			on := onRepository
			if resource.Type == onProject.typeName() {
				on = onProject
			}
			keys = append(keys, managedKey{
				on, resource.Name, held.Key, held.Label, held.Repository + held.Project, held.RepositoryUUID + held.ProjectUUID,
				held.KeyID, instance.Status == "tainted",
			})
		}
	}
	return keys
}
