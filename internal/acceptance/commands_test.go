//go:build unix

package acceptance

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
	framework "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"golang.org/x/crypto/ssh"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// notRun maps the commands of README and guides that no test runs to the reason.
var notRun = map[string]string{
	"make test": "it runs this test",
	"make demo": "it takes as long as many tests; it checks its own output",

	"ssh-keygen -l":                  "the same as ssh-keygen -lf key.pub",
	"ssh-keygen -lf key.pub":         "not every machine has it; internal/sshkey compares fingerprints with it if it is installed",
	"ssh-keygen -y -f FILE":          "not every machine has it",
	"ssh-keygen -i -f FILE":          "not every machine has it",
	"ssh-keygen -i -m PKCS8 -f FILE": "not every machine has it",

	"kubectl create secret generic website --namespace flux-system --from-file=identity=\"$HOME/.ssh/website\" --from-file=known_hosts=known_hosts": "it needs Kubernetes",

	"argocd cert add-ssh --batch < known_hosts\nargocd repo add git@ssh.bitbucket.org:acme/website.git --ssh-private-key-path ~/.ssh/website": "it needs Argo CD",

	"aws secretsmanager get-secret-value --secret-id bitbucket/website/ci --query SecretString --output text > ci && chmod 600 ci": "it needs AWS",
}

// ranElsewhere maps commands to the test or the target of the makefile that runs them.
var ranElsewhere = map[string]string{
	"terraform apply -replace=aws_secretsmanager_secret_version.ci": "TestAccGuide_noPrivateKeyInState",
	`ssh-keygen -t ed25519 -N "" -f ~/.ssh/website -C website`:      "TestAccGuide_machineWithout",

	"git pull":          "TestAccCommands",
	"terraform destroy": "TestAccCommands",

	// The transcript of README.
	"terraform apply -auto-approve":                                       "demo",
	"terraform plan -detailed-exitcode":                                   "demo",
	"terraform import bitbucket_deploy_key.by_hand acme/website/10958987": "demo",
}

// scenario is a sequence of commands that a guide shows.
type scenario struct {
	name  string
	start func(*testing.T) stage
	steps []step
	// end checks Bitbucket after the commands.
	end func(*testing.T, stage)
}

// step is a command as the guide shows it, with placeholders in capitals.
type step struct {
	command string
	// prints contains words that the guide promises or that show success. An ellipsis
	// stands for any words between them.
	prints string
	// before prepares the command as the guide describes.
	before func(*testing.T, stage)
	// inRepository reports whether the page says to run the command in a clone of this
	// repository.
	inRepository bool
}

// placeholders replaces the placeholders of the guides with values.
var placeholders = strings.NewReplacer("EMAIL_ADDRESS", "ci@example.com", "API_TOKEN", "api-token", "ADDRESS", acctest.Address, "WORKSPACE/REPOSITORY/KEY_ID", "acme/website/10958985", " ID", " acme/website/10958985")

// scenarios returns the commands that TestAccCommands runs as they are written.
func scenarios() []scenario {
	const switching = "switch-from-another-provider"
	return []scenario{
		{name: "first key", start: firstKey, steps: []step{
			{command: "make install", prints: "/.terraform.d/plugins/registry.terraform.io/bitbucket-deploy-keys/bitbucket/", inRepository: true},
			{command: "export BITBUCKET_USERNAME=EMAIL_ADDRESS"},
			{command: "export BITBUCKET_TOKEN=API_TOKEN"},
			{command: "ssh-keygen -t ed25519 -N '' -f ci -C ci"},
			{command: "terraform init", prints: "successfully initialized", before: func(t *testing.T, s stage) { s.Write(t, block(t, root+"/README.md", "terraform")) }},
			{command: "terraform apply", prints: "1 added"},
			{command: `git clone -c core.sshCommand="ssh -i '$PWD/ci' -o IdentitiesOnly=yes" git@ssh.bitbucket.org:acme/website.git`, prints: "Cloning into 'website'"},
		}, end: func(t *testing.T, s stage) {
			s.runInShell(t, "cd website && git pull")
			if label := s.OnlyKey(t).Label; label != "CI" {
				t.Errorf("the key in Bitbucket has the label %q", label)
			}
			s.MustRun(t, "plan", "-detailed-exitcode") // Fails unless the plan is empty.
			s.MustRun(t, "destroy", "-auto-approve")
		}},

		{name: "unused keys", start: func(t *testing.T) stage {
			f := exampleFake(t)
			addAudited(t, f)
			return staged(t, f, f.Config(acctest.ReadFile(t, examples+"/guides/unused-deploy-keys/unused.tf")))
		}, steps: []step{
			{command: "terraform plan", prints: "acme/worker/10958986 CI, last used: never"},
		}},

		{name: "read all keys", start: func(t *testing.T) stage {
			f := exampleFake(t)
			s := staged(t, f, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)), `label = "ours"`)), "BITBUCKET_REFRESH_AFTER=24h")
			s.MustRun(t, "apply", "-auto-approve")
			s.EditDeployKey("acme", "website", acctest.FirstID, func(key *emulator.DeployKey) { key.Label = "theirs" })
			s.MustRun(t, "plan", "-detailed-exitcode") // The key is not read.
			return s
		}, steps: []step{
			{command: "BITBUCKET_REFRESH_AFTER=1ms terraform apply", prints: `"theirs" -> "ours" … 1 changed`},
		}},

		{name: "from drfaust92 and back", start: switchingFrom("drfaust92-created-with-comment", "drfaust92"), steps: []step{
			{command: "terraform init", prints: "successfully initialized"},
			{command: "terraform state pull > before.tfstate"},
			{command: "terraform state replace-provider drfaust92/bitbucket bitbucket-deploy-keys/bitbucket", prints: "Successfully replaced provider for 1 resources.", before: func(t *testing.T, s stage) {
				s.Write(t, guideBlock(t, switching, "From drfaust92/bitbucket")+strings.TrimPrefix(s.Config(oldExample), acctest.RequiredProviders))
			}},
			{command: "terraform init", prints: "successfully initialized"},
			{command: "terraform plan", prints: "No changes."},
			{command: "terraform state push -force before.tfstate", before: func(t *testing.T, s stage) {
				s.Write(t, strings.Replace(acctest.RequiredProviders, "bitbucket-deploy-keys/", "drfaust92/", 1)+oldExample)
			}},
			{command: "terraform init", prints: "successfully initialized"},
			{command: "terraform plan", prints: "No changes."},
		}},
		{name: "from a fork", start: switchingFrom("gilesgamon-created", "gilesgamon"), steps: []step{
			{command: "terraform state replace-provider gilesgamon/bitbucket bitbucket-deploy-keys/bitbucket", prints: "Successfully replaced provider for 1 resources."},
		}},
		{name: "from zahiar", start: switchingFrom("zahiar-created-with-comment", "zahiar"), steps: []step{
			{command: "terraform state replace-provider zahiar/bitbucket bitbucket-deploy-keys/bitbucket", prints: "Successfully replaced provider for 1 resources."},
			{command: "terraform init", prints: "successfully initialized"},
			{command: "terraform apply", prints: "0 to add, 1 to change, 0 to destroy"},
			{command: "terraform plan", prints: "No changes."},
		}},
		{name: "from fabianschurig", start: func(t *testing.T) stage {
			s := switchingFrom("fabianschurig-created", "fabianschurig")(t)
			s.EditDeployKey("acme", "website", acctest.FirstID, func(key *emulator.DeployKey) { key.Label = "CI" })
			s.WriteFile(t, "deploy.pub", acctest.BareKey+" deploy@example.com\n")
			s.Write(t, s.Config(guideBlock(t, switching, "From fabianschurig/bitbucket")))
			return s
		}, steps: []step{
			{command: "terraform init", prints: "successfully initialized"},
			{command: "terraform apply", prints: "bitbucket_repo_deploy_keys.example has moved to bitbucket_deploy_key.example … 0 to add, 0 to change, 0 to destroy."},
		}},
		{name: "both providers", start: func(t *testing.T) stage {
			s := switchingFrom("drfaust92-created-with-comment", "drfaust92")(t)
			block := strings.TrimPrefix(s.Config(""), acctest.RequiredProviders)
			s.Write(t, strings.NewReplacer(
				`provider "deploykeys" {}`, strings.Replace(block, `"bitbucket"`, `"deploykeys"`, 1),
				"  # …", strings.Join(strings.Split(oldExample, "\n")[2:6], "\n"),
			).Replace(guideBlock(t, switching, "Keep both providers")))
			return s
		}, steps: []step{
			{command: "terraform init", prints: "successfully initialized"},
			{command: "terraform plan", prints: "No changes."},
		}},
		{name: "state that cannot be read", start: func(t *testing.T) stage {
			s := switchingFrom("unknown-shape", "drfaust92")(t)
			s.ReplaceProvider(t, "drfaust92/bitbucket")
			return s
		}, steps: []step{
			{command: "terraform state rm bitbucket_deploy_key.example", prints: "Successfully removed 1 resource instance(s)."},
			{command: "terraform import bitbucket_deploy_key.example acme/website/10958984", prints: "Import successful!"},
		}},

		{name: "query", start: func(t *testing.T) stage {
			acctest.Needs(t, terraformcli.Query)
			s := workspaceToTake(t, "")
			s.WriteFile(t, "deploy_keys.tfquery.hcl", acctest.ReadFile(t, examples+"/guides/query-workspace/deploy_keys.tfquery.hcl"))
			return s
		}, steps: []step{
			{command: "terraform query", prints: "acme/website: ci website"},
			{command: "terraform query -generate-config-out=deploy_keys.tf"},
			{command: "terraform apply", prints: "0 to add, 0 to change, 0 to destroy"},
			{command: "terraform plan", prints: "No changes."},
		}},
		{name: "workspace without query", start: func(t *testing.T) stage {
			return workspaceToTake(t, acctest.ReadFile(t, examples+"/guides/take-over-workspace/1-find.tf"))
		}, steps: []step{
			{command: "terraform apply", prints: "Apply complete!"},
			{command: "terraform output -json keys > keys.json"},
			{command: "terraform apply", prints: "0 to add, 0 to change, 0 to destroy", before: func(t *testing.T, s stage) {
				s.Write(t, s.Config(acctest.ReadFile(t, examples+"/guides/take-over-workspace/2-import.tf")))
			}},
			{command: "terraform plan", prints: "No changes."},
		}},

		{name: "rotate with overlap", start: func(t *testing.T) stage {
			if _, err := exec.LookPath("ssh-keygen"); err != nil {
				t.Skip("needs ssh-keygen")
			}
			f := exampleFake(t)
			f.SetPUT(emulator.PUTRefused)
			s := staged(t, f, f.Config(acctest.ReadFile(t, rotationGuide+"1-one-key.tf")))
			s.MustRun(t, "apply", "-auto-approve")
			return s
		}, steps: []step{
			{command: "terraform apply", prints: `bitbucket_deploy_key.ci has moved to bitbucket_deploy_key.ci["2026-04"] … 0 to add, 0 to change, 0 to destroy`, before: rotating("2-map.tf")},
			{command: `ssh-keygen -t ed25519 -N "" -f ci-2026-07 -C ci-2026-07`},
			{command: "terraform apply", prints: "1 to add, 0 to change, 0 to destroy", before: rotating("3-both-keys.tf")},
			{command: "terraform apply", prints: "CI ci-2026-04: never … CI ci-2026-07: never", before: func(t *testing.T, s stage) {
				s.WriteFile(t, "last-used.tf", acctest.ReadFile(t, examples+"/guides/last-used/last-used.tf"))
			}},
			{command: "terraform apply", prints: "0 to add, 0 to change, 1 to destroy", before: rotating("4-new-key.tf")},
		}, end: func(t *testing.T, s stage) {
			if got, want := s.OnlyKey(t).Key+" ci-2026-07\n", acctest.ReadFile(t, filepath.Join(s.Dir, "ci-2026-07.pub")); got != want {
				t.Errorf("Bitbucket has %q, the generated key is %q", got, want)
			}
		}},
		{name: "rotate in one apply", start: func(t *testing.T) stage {
			f := exampleFake(t)
			s := staged(t, f, f.Config(acctest.ReadFile(t, examples+"/guides/rotate-in-one-apply/1-old-key.tf")))
			s.MustRun(t, "apply", "-auto-approve")
			s.Write(t, f.Config(acctest.ReadFile(t, examples+"/guides/rotate-in-one-apply/2-new-key.tf")))
			return s
		}, steps: []step{
			{command: "terraform apply", prints: "1 to add, 0 to change, 1 to destroy"},
		}},
		{name: "machine", start: newMachine, steps: []step{
			{command: "terraform apply", prints: "Apply complete!"},
			{command: "terraform output -raw known_hosts > known_hosts"},
			{command: "chmod 600 ~/.ssh/website", before: func(t *testing.T, s stage) {
				s.WriteFile(t, ".ssh/known_hosts", acctest.ReadFile(t, filepath.Join(s.Dir, "known_hosts")))
			}},
			{command: `GIT_SSH_COMMAND="ssh -i ~/.ssh/website -o IdentitiesOnly=yes" git clone git@ssh.bitbucket.org:acme/website.git`, prints: "Cloning into 'website'"},
			{command: `git -C website config core.sshCommand "ssh -i ~/.ssh/website -o IdentitiesOnly=yes"`},
			{command: "git -C website fetch"},
			{command: "git clone website.bitbucket:acme/website.git", prints: "Cloning into 'website'", before: func(t *testing.T, s stage) {
				if err := os.RemoveAll(filepath.Join(s.Dir, "website")); err != nil {
					t.Fatal(err)
				}
			}},
			{command: "ssh -i ~/.ssh/website -o IdentitiesOnly=yes -T git@ssh.bitbucket.org", prints: "You can use git to connect to Bitbucket. Shell access is disabled."},
			{command: `GIT_SSH_COMMAND="ssh -i ~/.ssh/website -o IdentitiesOnly=yes" git ls-remote git@ssh.bitbucket.org:acme/website.git HEAD`, prints: "HEAD"},
			{command: "ssh-keygen -lf ~/.ssh/website", prints: "SHA256: … (ED25519)"},
		}},
		{name: "module", start: func(t *testing.T) stage {
			f := exampleFake(t)
			s := staged(t, f, acctest.ReadFile(t, moduleGuide+"1-resource.tf"))
			s.WriteFile(t, "provider.tf", f.Config(""))
			if err := os.Mkdir(filepath.Join(s.Dir, "deploy-keys"), 0o700); err != nil {
				t.Fatal(err)
			}
			s.WriteFile(t, "deploy-keys/main.tf", acctest.ReadFile(t, moduleGuide+"deploy-keys/main.tf"))
			s.MustRun(t, "apply", "-auto-approve")
			s.Write(t, acctest.ReadFile(t, moduleGuide+"2-module.tf"))
			return s
		}, steps: []step{
			{command: "terraform init", prints: "successfully initialized"},
			{command: "terraform apply", prints: "3 to add, 0 to change, 0 to destroy"},
			{command: "terraform apply", prints: "0 to add, 2 to change, 0 to destroy", before: func(t *testing.T, s stage) {
				s.RenameRepository("acme", "website", "site")
				s.Write(t, acctest.ReadFile(t, moduleGuide+"3-renamed-repository.tf"))
			}},
			{command: "terraform init", prints: "successfully initialized", before: func(t *testing.T, s stage) {
				s.Write(t, acctest.ReadFile(t, moduleGuide+"4-renamed-module.tf"))
			}},
			{command: "terraform apply", prints: "0 to add, 0 to change, 0 to destroy"},
		}, end: func(t *testing.T, s stage) {
			if writes := s.Writes(); len(writes) != 4 || slices.ContainsFunc(writes, func(write string) bool { return !strings.HasPrefix(write, "POST ") }) {
				t.Errorf("wrote %q, want the four deploy keys only", writes)
			}
		}},
		{name: "generated key", start: func(t *testing.T) stage {
			f := acctest.NewFake(t)
			s := staged(t, f, f.Config(guideBlock(t, "rotate-a-deploy-key", "With a generated key")), acctest.AttachedAs(t, map[string]func() tfprotov6.ProviderServer{
				"bitbucket-deploy-keys/bitbucket": provider.NewServer("test"), "hashicorp/tls": providerserver.NewProtocol6(pairProvider{}),
			}))
			s.MustRun(t, "apply", "-auto-approve")
			return s
		}, steps: []step{
			{command: "terraform apply -replace=tls_private_key.ci", prints: "2 added, 0 changed, 2 destroyed"},
		}, end: func(t *testing.T, s stage) {
			s.ExpectWrites(t, "POST "+acctest.Collection+" 200", "POST "+acctest.Collection+" 200", "DELETE "+acctest.FirstKey+" 204")()
		}},
		{name: "one key", start: func(t *testing.T) stage {
			f := acctest.NewFake(t)
			s := staged(t, f, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
			s.MustRun(t, "apply", "-auto-approve")
			return s
		}, steps: []step{
			{command: "terraform apply -refresh=false", prints: "0 added, 0 changed, 0 destroyed"},
			{command: "terraform apply -replace=ADDRESS", prints: "1 added, 0 changed, 1 destroyed"},
			{command: "terraform apply -target=ADDRESS", prints: "0 added, 0 changed, 0 destroyed"},
			{command: "terraform untaint ADDRESS", prints: "has been successfully untainted", before: func(t *testing.T, s stage) { s.MustRun(t, "taint", acctest.Address) }},
			{command: "terraform state rm ADDRESS", prints: "Successfully removed 1 resource instance(s)."},
			{command: "terraform import ADDRESS WORKSPACE/REPOSITORY/KEY_ID", prints: "Import successful!"},
			{command: "terraform import ADDRESS ID", prints: "Import successful!", before: func(t *testing.T, s stage) { s.MustRun(t, "state", "rm", acctest.Address) }},
			{command: "terraform plan", prints: "No changes."},
		}, end: func(t *testing.T, s stage) {
			s.ExpectWrites(t, "POST "+acctest.Collection+" 200", "DELETE "+acctest.FirstKey+" 204", "POST "+acctest.Collection+" 200")()
		}},
	}
}

// The commands of the guides must do what the guides describe if they are typed as shown.
func TestAccCommands(t *testing.T) {
	t.Parallel()
	for _, scenario := range scenarios() {
		t.Run(scenario.name, func(t *testing.T) {
			t.Parallel()
			s := scenario.start(t)
			for _, step := range scenario.steps {
				if step.before != nil {
					step.before(t, s)
				}
				run := s.runInShell
				if step.inRepository {
					run = s.runInRepository
				}
				acctest.Contains(t, run(t, placeholders.Replace(step.command)), strings.Split(step.prints, " … ")...)
			}
			if scenario.end != nil {
				scenario.end(t, s)
			}
		})
	}
}

// Each command on a page must be run by a test, or notRun must contain the reason. A block
// of commands must be run as a whole and in order.
func TestCommands_accounted(t *testing.T) {
	t.Parallel()
	var all []string
	for _, scenario := range scenarios() {
		var commands []string
		for _, step := range scenario.steps {
			commands = append(commands, step.command)
		}
		all = append(all, "\n"+strings.Join(commands, "\n")+"\n")
	}
	ran := func(commands string) bool {
		return slices.ContainsFunc(all, func(scenario string) bool { return strings.Contains(scenario, "\n"+commands) })
	}
	pages := ""
	for _, page := range pagesWithCommands(t) {
		blocks, single := commandsIn(acctest.ReadFile(t, page))
		for _, block := range blocks {
			if !ran(block+"\n") && !allNotRun(block) {
				t.Errorf("%s has this block, which no scenario has: add its commands to scenarios in commands_test.go, or the block to notRun with the reason\n%s", page, block)
			}
		}
		for _, command := range single {
			// A page may mention a command without its arguments.
			_, not := notRun[command]
			if _, elsewhere := ranElsewhere[command]; !not && !elsewhere && !ran(command+"\n") && !ran(command+" ") {
				t.Errorf("%s has %q, which nothing runs: add it to scenarios or ranElsewhere in commands_test.go, or to notRun with the reason", page, command)
			}
		}
		pages += "\n" + strings.Join(blocks, "\n") + "\n" + strings.Join(single, "\n") + "\n"
	}
	makefile := acctest.ReadFile(t, root+"/GNUmakefile")
	for command, where := range ranElsewhere {
		if !strings.Contains(makefile, "\n"+where+":") && !strings.Contains(testsHere(t), "\nfunc "+where+"(") {
			t.Errorf("no test and no target of the makefile has the name %q, which must run %q", where, command)
		}
		if !strings.Contains(pages, "\n"+command+"\n") {
			t.Errorf("no page has %q any more: remove it from ranElsewhere", command)
		}
	}
	for command := range notRun {
		if target, is := strings.CutPrefix(command, "make "); is && !strings.Contains(makefile, "\n"+target+":") {
			t.Errorf("the makefile has no %s", target)
		}
		if !strings.Contains(pages, "\n"+command+"\n") {
			t.Errorf("no page has %q any more: remove it from notRun", command)
		}
	}
	for command := range strings.FieldsFuncSeq(strings.Join(all, ""), func(r rune) bool { return r == '\n' }) {
		if !strings.Contains(pages, "\n"+command+"\n") {
			t.Errorf("no page has %q any more: remove it from scenarios", command)
		}
	}
}

// allNotRun reports whether notRun has each command of a block, or the whole block.
func allNotRun(block string) bool {
	if _, not := notRun[block]; not {
		return true
	}
	for command := range strings.SplitSeq(block, "\n") {
		if _, not := notRun[command]; !not {
			return false
		}
	}
	return true
}

// testsHere returns the text of the tests in this folder.
func testsHere(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, file := range files {
		text += acctest.ReadFile(t, file)
	}
	return text
}

func pagesWithCommands(t *testing.T) []string {
	t.Helper()
	guides, err := filepath.Glob(root + "/templates/guides/*.md.tmpl")
	if err != nil || len(guides) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	return append(guides, root+"/README.md", root+"/templates/index.md.tmpl")
}

var (
	fencedBlock = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```\n")
	indentation = regexp.MustCompile(`(?m)^ +`)
	commandLine = regexp.MustCompile(`(?m)^\s*\$ (.*)$`)
	commandSpan = regexp.MustCompile("`((?:terraform|tofu|make|ssh-keygen|go|git) [^`]+)`")
	lineComment = regexp.MustCompile(`(?m)\s+#.*$`)
)

// commandsIn returns the blocks of commands on a page, without comments, and the
// single commands in transcripts and in the text.
func commandsIn(page string) (blocks, single []string) {
	for _, fenced := range fencedBlock.FindAllStringSubmatch(page, -1) {
		if fenced[1] == "shell" || fenced[1] == "console" {
			blocks = append(blocks, strings.TrimSpace(lineComment.ReplaceAllString(indentation.ReplaceAllString(fenced[2], ""), "")))
		}
		for _, line := range commandLine.FindAllStringSubmatch(fenced[2], -1) {
			single = append(single, line[1])
		}
	}
	for _, span := range commandSpan.FindAllStringSubmatch(fencedBlock.ReplaceAllString(page, ""), -1) {
		single = append(single, span[1])
	}
	return blocks, single
}

// guideBlock returns the first block of configuration in a section of a guide.
func guideBlock(t *testing.T, guide, section string) string {
	t.Helper()
	return guideCode(t, guide, section, "terraform")
}

// guideCode returns the first block in a language in a section of a guide.
func guideCode(t *testing.T, guide, section, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(acctest.ReadFile(t, root+"/templates/guides/"+guide+".md.tmpl"), "\n## "+section+"\n")
	for _, fenced := range fencedBlock.FindAllStringSubmatch(rest, -1) {
		if found && fenced[1] == language {
			return fenced[2]
		}
	}
	t.Fatalf("%s has no block of %s in %q", guide, language, section)
	return ""
}

// staged returns a stage with a configuration.
func staged(t *testing.T, f *acctest.Fake, config string, attached ...string) stage {
	t.Helper()
	s := stage{f, acctest.NewCLI(t, attached...)}
	s.Write(t, config)
	return s
}

// runInShell runs a command in a shell and answers its questions with yes. Later commands
// have the variables that it exports.
func (s stage) runInShell(t *testing.T, line string) string {
	t.Helper()
	if variable, ok := strings.CutPrefix(line, "export "); ok {
		s.Env = append(s.Env, variable)
		return ""
	}
	return s.runInFolder(t, s.Dir, line)
}

// runInRepository is runInShell in the root of this repository.
func (s stage) runInRepository(t *testing.T, line string) string {
	t.Helper()
	return s.runInFolder(t, root, line)
}

func (s stage) runInFolder(t *testing.T, folder, line string) string {
	t.Helper()
	bin := t.TempDir()
	if err := os.Symlink(acctest.Engine.Path, filepath.Join(bin, "terraform")); err != nil {
		t.Fatal(err)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", line)
	shell.Dir, shell.Env, shell.Stdin = folder, append(s.Env, "PATH="+bin+":"+filepath.Join(s.Dir, "bin")+":"+os.Getenv("PATH")), strings.NewReader("yes\n")
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	text := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(string(out), "")
	return strings.Join(strings.Fields(text), " ")
}

// firstKey returns a stage for the first key of README: a user without an installed
// provider, with a home folder of its own and a token with the scopes of README. ssh connects
// to a server that has the repository and accepts the deploy keys in the emulator.
func firstKey(t *testing.T) stage {
	t.Helper()
	for _, command := range []string{"make", "git", "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(command); err != nil {
			t.Skipf("needs %s", command)
		}
	}
	f := exampleFake(t)
	f.AllowBasic("ci@example.com", "api-token", scopesIn(t, acctest.ReadFile(t, root+"/README.md"))...)
	home, noSettings := t.TempDir(), filepath.Join(t.TempDir(), "none.tfrc")
	if err := os.WriteFile(noSettings, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := stage{f, acctest.NewBuiltCLI(t, "HOME="+home, "TF_CLI_CONFIG_FILE="+noSettings, "BITBUCKET_BASE_URL="+f.URL+"/2.0")}
	// Do not build everything anew because of the other home folder.
	for _, name := range []string{"GOCACHE", "GOPATH", "GOMODCACHE"} {
		value, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		s.Env = append(s.Env, name+"="+strings.TrimSpace(string(value)))
	}
	serveGit(t, s)
	return s
}

// rotating returns a function that writes a step of the rotation, with the public key that
// was generated in place of the new key of the example.
func rotating(file string) func(*testing.T, stage) {
	return func(t *testing.T, s stage) {
		t.Helper()
		config := acctest.ReadFile(t, rotationGuide+file)
		if generated, err := os.ReadFile(filepath.Join(s.Dir, "ci-2026-07.pub")); err == nil {
			config = regexp.MustCompile(`ssh-ed25519 .* ci-2026-07`).ReplaceAllLiteralString(config, strings.TrimSpace(string(generated)))
		}
		s.Write(t, s.Config(config))
	}
}

// oldExample is the configuration of the key in the states of internal/acctest.
const oldExample = `
resource "bitbucket_deploy_key" "example" {
  workspace  = "acme"
  repository = "website"
  key        = "` + acctest.BareKey + ` deploy@example.com"
  label      = "ci"
}
`

// switchingFrom returns a stage with the state of another provider.
func switchingFrom(state, namespace string) func(*testing.T) stage {
	return func(t *testing.T) stage {
		t.Helper()
		f, terraform := acctest.Switching(t, state, "deploy@example.com", acctest.AttachedAs(t, map[string]func() tfprotov6.ProviderServer{
			"bitbucket-deploy-keys/bitbucket": provider.NewServer("test"), namespace + "/bitbucket": providerserver.NewProtocol6(oldProvider{}),
		}))
		content := acctest.ReadFile(t, filepath.Join(terraform.Dir, "terraform.tfstate"))
		terraform.WriteFile(t, "terraform.tfstate", regexp.MustCompile(`"name": "\w+"`).ReplaceAllString(content, `"name": "example"`))
		terraform.Write(t, f.Config(oldExample))
		return stage{f, terraform}
	}
}

// workspaceToTake returns a stage with keys that no configuration manages.
func workspaceToTake(t *testing.T, config string) stage {
	t.Helper()
	f := exampleFake(t)
	f.AddDeployKey("acme", "website", acctest.NewKey(t), "ci website")
	f.AddDeployKey("acme", "api", acctest.NewKey(t)+" ci@example.com", "CI")
	return staged(t, f, f.Config(config))
}

// oldProvider is used instead of another provider for Bitbucket. Its resource can be read.
type oldProvider struct{ acctest.OtherProvider }

func (oldProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return oldResource{acctest.OtherResource{TypeName: "bitbucket_deploy_key"}} },
		func() resource.Resource { return acctest.OtherResource{TypeName: "bitbucket_repo_deploy_keys"} },
	}
}

type oldResource struct{ acctest.OtherResource }

func (oldResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema.Attributes = map[string]schema.Attribute{}
	for _, name := range []string{"workspace", "repository", "key", "label"} {
		resp.Schema.Attributes[name] = schema.StringAttribute{Required: true}
	}
	for _, name := range []string{"id", "key_id", "comment"} {
		resp.Schema.Attributes[name] = schema.StringAttribute{Computed: true}
	}
}

func (oldResource) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}

// pairProvider is used instead of hashicorp/tls. It has only the resource that a guide
// uses.
type pairProvider struct{ acctest.OtherProvider }

func (pairProvider) Metadata(_ context.Context, _ framework.MetadataRequest, resp *framework.MetadataResponse) {
	resp.TypeName = "tls"
}

func (pairProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return pairResource{acctest.OtherResource{TypeName: "tls_private_key"}} }}
}

type pairResource struct{ acctest.OtherResource }

func (pairResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema.Attributes = map[string]schema.Attribute{
		"algorithm":          schema.StringAttribute{Required: true},
		"public_key_openssh": schema.StringAttribute{Computed: true},
	}
}

func (pairResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		panic(err)
	}
	resp.State.Raw = req.Plan.Raw
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("public_key_openssh"), string(ssh.MarshalAuthorizedKey(key)))...)
}

func (pairResource) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}

func (pairResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}
