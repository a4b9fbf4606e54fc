//go:build unix

package acceptance

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

const ciGuide = examples + "/guides/ci-and-automation/"

// The pipelines of the guide plan a pull request, apply a saved plan, and find a difference
// without changing anything.
func TestAccCommands_ci(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"bitbucket-pipelines.yml", "github-actions.yml"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			var commands []string
			for _, command := range pipelineCommands(t, file) {
				if strings.HasPrefix(command, "terraform ") && command != "terraform init -input=false" {
					commands = append(commands, command)
				}
			}
			if len(commands) != 5 {
				t.Fatalf("got the commands %q, want those of a pull request, an apply and a search for differences", commands)
			}
			request, apply, drift := commands[0], commands[1:3], commands[3:]

			f := exampleFake(t)
			config := f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)), `label = "CI"`), `refresh_after = "24h"`)
			s := staged(t, f, config)
			s.runInShell(t, "terraform init -input=false")
			acctest.Contains(t, s.runInShell(t, request), "1 to add, 0 to change, 0 to destroy")
			f.ExpectWrites(t)()
			for _, command := range apply {
				s.runInShell(t, command)
			}
			f.ExpectWrites(t, "POST "+acctest.Collection+" 200")()

			// Without the stored time, the key is read. The apply of an empty plan stores it.
			s.Write(t, strings.Replace(config, "24h", "0s", 1))
			s.runInShell(t, "terraform apply -auto-approve")
			s.Write(t, config)
			for i, want := range []string{"GET " + acctest.Collection + " 200", ""} {
				f.ForgetRequests()
				for _, command := range drift {
					s.runInShell(t, command)
				}
				if sent := strings.Join(f.Sent(), ", "); sent != want {
					t.Errorf("run %d sent %q, want %q", i, sent, want)
				}
			}

			// A difference ends the script with exit code 2, before the apply.
			s.Write(t, strings.Replace(config, `"CI"`, `"build"`, 1))
			acctest.Contains(t, s.runInShell(t, drift[0]+" || test $? -eq 2 && echo found a difference"), "0 to add, 1 to change, 0 to destroy", "found a difference")
			f.ExpectWrites(t)()
		})
	}
}

// Every file of the guide is YAML, and each action is pinned to a commit.
func TestCommands_pipelines(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(ciGuide)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		root := readYAML(t, file.Name())
		for _, action := range valuesOf(root, "uses") {
			if _, commit, _ := strings.Cut(action, "@"); len(commit) != 40 {
				t.Errorf("%s uses %s, which is not pinned to a commit", file.Name(), action)
			}
		}
	}
}

// pipelineCommands returns the commands of a pipeline in the order of the file.
func pipelineCommands(t *testing.T, file string) []string {
	t.Helper()
	root := readYAML(t, file)
	return slices.Concat(valuesOf(root, "script"), valuesOf(root, "run"))
}

func readYAML(t *testing.T, file string) *yaml.Node {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(acctest.ReadFile(t, ciGuide+file)), &root); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return &root
}

// valuesOf returns the scalars that all keys with this name have, alone or in a list.
func valuesOf(node *yaml.Node, name string) []string {
	var values []string
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 && node.Content[i-1].Value == name {
			if child.Kind == yaml.ScalarNode {
				values = append(values, child.Value)
			}
			for _, item := range child.Content {
				values = append(values, item.Value)
			}
			continue
		}
		values = append(values, valuesOf(child, name)...)
	}
	return values
}
