package acctest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
)

// CLI runs commands in a separate directory, as a user does. A test needs this to check what
// a command prints and which requests one command sends.
type CLI struct {
	Dir string
	Env []string
}

// buildDir is the directory that builtProvider builds into. Main creates and
// removes it.
var buildDir string

// builtProvider builds the provider once for all tests of a package.
var builtProvider = sync.OnceValue(func() error {
	// Without debugging information, a build takes half the time.
	build := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(buildDir, "terraform-provider-bitbucket"), "../..")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// NewCLI returns a CLI that uses providers in this process, which takes a quarter of the time
// of starting them. They are those that [AttachedAs] returns, or the provider under test.
func NewCLI(t *testing.T, attached ...string) *CLI {
	t.Helper()
	if len(attached) == 0 {
		attached = []string{AttachedAs(t, map[string]func() tfprotov6.ProviderServer{"bitbucket-deploy-keys/bitbucket": newServer("test")})}
	}
	return newCLI(t, attached...)
}

// NewBuiltCLI returns a CLI that starts the built provider, with env added to the
// environment. A test needs this if the provider reads the environment, if the configuration
// has several provider blocks, or if a command is interrupted.
func NewBuiltCLI(t *testing.T, env ...string) *CLI {
	t.Helper()
	if err := builtProvider(); err != nil {
		t.Fatal(err)
	}
	return newCLI(t, env...)
}

// moreGarbage is the GOGC of the CLI and of the tests. The CLI needs a third less time for most
// commands than with the default of 100.
const moreGarbage = 400

// newCLI returns a CLI with a directory of its own.
func newCLI(t *testing.T, env ...string) *CLI {
	t.Helper()
	dir := t.TempDir()
	settings := filepath.Join(dir, "cli.tfrc")
	content := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"bitbucket-deploy-keys/bitbucket\" = %q\n  }\n  direct {}\n}\n", buildDir)
	if err := os.WriteFile(settings, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	standard := []string{"TF_CLI_CONFIG_FILE=" + settings, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", fmt.Sprintf("GOGC=%d", moreGarbage)}
	return &CLI{Dir: dir, Env: slices.Concat(os.Environ(), standard, env)}
}

// Write replaces the configuration.
func (c *CLI) Write(t *testing.T, config string) {
	t.Helper()
	c.WriteFile(t, "main.tf", config)
}

// WriteFile replaces any file of the directory.
func (c *CLI) WriteFile(t *testing.T, name, content string) {
	t.Helper()
	skipIfUnsupported(t, content)
	if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Run runs one command. It returns all that the command printed, on one line, and
// reports whether the command succeeded.
func (c *CLI) Run(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	var out bytes.Buffer
	command := exec.CommandContext(t.Context(), os.Getenv("TF_ACC_TERRAFORM_PATH"), append(args, "-no-color")...)
	command.Dir, command.Env, command.Stdout, command.Stderr = c.Dir, c.Env, &out, &out
	err := command.Run()
	return strings.Join(strings.FieldsFunc(out.String(), func(r rune) bool { return strings.ContainsRune(" \n│╷╵", r) }), " "), err == nil
}

// MustRun runs a command that must succeed, and returns what it printed.
func (c *CLI) MustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, ok := c.Run(t, args...)
	if !ok {
		t.Fatalf("%v failed: %s", args, out)
	}
	return out
}

// Generate writes a configuration with import blocks, and generates the resources into
// generated.tf. Terraform 1.16 finds the provider of an import block without a resource only
// by its argument, which is an error as soon as the resource exists.
func (c *CLI) Generate(t *testing.T, config string) {
	t.Helper()
	c.Write(t, strings.ReplaceAll(config, "import {\n", "import {\n  provider = bitbucket\n"))
	c.MustRun(t, "plan", "-generate-config-out=generated.tf")
	c.Write(t, config)
}

// Output returns an output of the state, as JSON.
func (c *CLI) Output(t *testing.T, name string) string {
	t.Helper()
	output, ok := c.readState(t).Outputs[name]
	if !ok {
		t.Fatalf("the state has no output %s", name)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, output.Value); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Fails runs a command that must fail and print these words in this order.
func (c *CLI) Fails(t *testing.T, args []string, words ...string) string {
	t.Helper()
	out, ok := c.Run(t, args...)
	if ok {
		t.Fatalf("%v succeeded: %s", args, out)
	}
	Contains(t, out, words...)
	return out
}

// Contains checks that these words are in the text, in this order.
func Contains(t *testing.T, out string, words ...string) {
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

// AttachedAs returns the environment variable that lets a CLI use providers in this process.
// The keys of providers are their sources. Each of several commands that run at the same time
// needs its own variable, because a provider has one configuration.
func AttachedAs(t *testing.T, providers map[string]func() tfprotov6.ProviderServer) string {
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

// ManagedKey is a deploy key in the state.
type ManagedKey struct {
	Kind       string // Kind is the kind of the parent, as in [Parent].
	Name       string // Name is the name of the resource.
	Key, Label string
	Parent     string // Parent is the name of the repository or project.
	ParentUUID string
	ID         int64
	Tainted    bool
}

// State returns the deploy keys in the state.
func (c *CLI) State(t *testing.T) []ManagedKey {
	t.Helper()
	var keys []ManagedKey
	for _, resource := range c.readState(t).Resources {
		if resource.Mode != "managed" {
			continue
		}
		for _, instance := range resource.Instances {
			var attributes struct {
				KeyID          int64 `json:"key_id"`
				Key, Label     string
				Repository     string
				RepositoryUUID string `json:"repository_uuid"`
				Project        string
				ProjectUUID    string `json:"project_uuid"`
			}
			if err := json.Unmarshal(instance.Attributes, &attributes); err != nil {
				t.Fatal(err)
			}
			kind := Website.Kind
			if resource.Type == WEB.TypeName {
				kind = WEB.Kind
			}
			keys = append(keys, ManagedKey{
				kind, resource.Name, attributes.Key, attributes.Label, attributes.Repository + attributes.Project, attributes.RepositoryUUID + attributes.ProjectUUID,
				attributes.KeyID, instance.Status == "tainted",
			})
		}
	}
	return keys
}

// FoundDeployments checks which deployments the data source of DataDeployments has found.
func (c *CLI) FoundDeployments(t *testing.T, want string) {
	t.Helper()
	var uuids []string
	if err := json.Unmarshal([]byte(c.Output(t, "uuids")), &uuids); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(uuids, " "); got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}
