package acceptance

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/terraformcli"
)

// notAdmitted is Bitbucket's refusal of an IP address.
const notAdmitted = `{"type":"error","error":{"message":"To access this repository's content, an administrator must grant access to your IP address."}}`

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	linked   = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
	// guideLink is a link to a heading of a guide, in a page or in a message of the provider.
	guideLink = regexp.MustCompile(regexp.QuoteMeta(registry) + `/guides/[a-z-]+#[a-z0-9_-]+`)
)

// errorSection is a heading of a page about errors: its address, its advice, and the words of
// the message that it explains.
type errorSection struct {
	address, advice string
	warning         bool
}

// errorSections returns the sections by message. A section begins with its messages, "Error:
// `…`, `…`. Warning: `…`.", or else its heading is the message of an error.
func errorSections(t *testing.T) map[string]errorSection {
	t.Helper()
	pages, err := filepath.Glob(root + "/templates/guides/errors*.md.tmpl")
	if err != nil || len(pages) == 0 {
		t.Fatal(err, pages)
	}
	sections := map[string]errorSection{}
	for _, page := range pages {
		text := acctest.ReadFile(t, page)
		if words := len(strings.Fields(text)); words > 1500 {
			t.Errorf("%s has %d words: split it", page, words)
		}
		for _, section := range strings.Split(codeBlock.ReplaceAllString(text, ""), "\n## ")[1:] {
			title, body, _ := strings.Cut(section, "\n\n")
			if strings.HasPrefix(body, "- [") && strings.HasSuffix(page, "/errors.md.tmpl") {
				continue // A list of links to the sections of another page.
			}
			found := errorSection{
				address: registry + "/guides/" + strings.TrimSuffix(filepath.Base(page), ".md.tmpl") + "#" + anchorOf(title),
				advice:  linked.ReplaceAllString(strings.ReplaceAll(body, "`", ""), "$1"),
			}
			add := func(message string, warning bool) {
				if _, twice := sections[message]; twice {
					t.Errorf("%s explains %q, which another section explains", page, message)
				}
				found.warning = warning
				sections[message] = found
			}
			first, _, _ := strings.Cut(body, "\n\n")
			if !strings.HasPrefix(first, "Error: ") && !strings.HasPrefix(first, "Warning: ") {
				add(title, false)
				continue
			}
			ofErrors, ofWarnings, _ := strings.Cut(first, "Warning: ")
			for _, message := range codeSpan.FindAllStringSubmatch(ofErrors, -1) {
				add(message[1], false)
			}
			for _, message := range codeSpan.FindAllStringSubmatch(ofWarnings, -1) {
				add(message[1], true)
			}
		}
	}
	return sections
}

// The entry page links to every section of the other pages.
func TestErrorsPage_index(t *testing.T) {
	t.Parallel()
	index := acctest.ReadFile(t, root+"/templates/guides/errors.md.tmpl")
	for message, section := range errorSections(t) {
		if !strings.Contains(section.address, "/errors#") && !strings.Contains(index, "("+section.address+")") {
			t.Errorf("errors.md.tmpl does not link to %s, which explains %q", section.address, message)
		}
	}
}

// Every link in the code of the provider leads to a heading.
func TestErrorsPage_links(t *testing.T) {
	t.Parallel()
	addresses := map[string]bool{}
	for _, section := range errorSections(t) {
		addresses[section.address] = true
	}
	inCode := regexp.MustCompile(`"(errors[a-z-]*#[^"]+)"`)
	checked := 0
	for _, file := range []string{"error_links.go", "diagnostics.go"} {
		for _, match := range inCode.FindAllStringSubmatch(acctest.ReadFile(t, "../provider/"+file), -1) {
			if checked++; !addresses[registry+"/guides/"+match[1]] {
				t.Errorf("%s links to %s, which does not exist", file, match[1])
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d links were found", checked)
	}
}

// Every summary that the code can report is on a page.
func TestErrorsPage_complete(t *testing.T) {
	t.Parallel()
	sections := errorSections(t)
	for summary, where := range reportedSummaries(t) {
		wanted := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(summary), "…", ".+") + "$")
		found := false
		for message := range sections {
			found = found || wanted.MatchString(message)
		}
		if !found {
			t.Errorf("%s reports %q: add a heading for it to templates/guides/errors*.md.tmpl, and its cause to causes in errors_page_test.go", where, summary)
		}
	}
}

// Each message on the pages must appear when its cause occurs, as an error or a warning as
// the page describes. The section must contain the words of the advice. The message must end
// with a link to its section, and have no other link to the guides.
func TestAccErrorsPage_made(t *testing.T) {
	t.Parallel()
	sections, all := errorSections(t), causes(t)
	for message := range sections {
		if _, found := all[message]; !found {
			t.Errorf("a page explains %q: add its cause to causes in errors_page_test.go", message)
		}
	}
	reported := reportedSummaries(t)
	validated := validateCauses(t, all)
	for message, cause := range all {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			section, found := sections[message]
			if !found {
				t.Fatal("no page explains it: add a heading to templates/guides/errors*.md.tmpl, or remove it from causes")
			}
			if cause.never != "" {
				if _, found := reported[message]; !found {
					t.Error("no code reports it: remove it from causes and from the page")
				}
				return
			}
			out := validated[message]
			if cause.run != nil {
				out = cause.run(t, stage{acctest.NewFake(t), acctest.NewCLI(t)})
			}
			printed := message
			if _, found := reported[message]; found { // It is a summary, not a part of a text.
				printed = ": " + message
			}
			if !strings.Contains(out, printed) {
				t.Errorf("the output does not contain %q: %s", printed, out)
			}
			for _, words := range cause.advice {
				if !strings.Contains(out, words) {
					t.Errorf("the output does not contain %q: %s", words, out)
				}
				if !strings.Contains(section.advice, words) {
					t.Errorf("%q is not in its section: %s", words, section.advice)
				}
			}
			if warns := strings.Contains(out, "Warning: "+message); warns != section.warning {
				t.Errorf("it is a warning: %t, but not in its section", warns)
			}
			if !cause.unlinked {
				checkLink(t, out, printed, cmp.Or(cause.section, section.address))
			}
		})
	}
}

// checkLink fails the test unless the diagnostic with this message has one link to the guides,
// which leads to this address.
func checkLink(t *testing.T, out, message, address string) {
	t.Helper()
	out = strings.ReplaceAll(out, "Internal Server Error", "") // Only a diagnostic begins with "Error: ".
	for _, diagnostic := range regexp.MustCompile(`(Error|Warning): `).Split(out, -1) {
		if !strings.Contains(": "+diagnostic, message) {
			continue
		}
		if links := guideLink.FindAllString(diagnostic, -1); len(links) != 1 || links[0] != address {
			t.Errorf("it links to %s, and not only to %s: %s", links, address, diagnostic)
		}
		return
	}
	t.Errorf("no diagnostic has %q: %s", message, out)
}

// cause makes a message appear.
type cause struct {
	// advice are words of the message that its section repeats.
	advice []string
	// validate is a block named "test" for which the command validate prints the message.
	validate string
	// run makes the message appear, and returns what was printed.
	run func(*testing.T, stage) string
	// section is the heading to which the message links. By default, this is the section that
	// explains the message.
	section string
	// unlinked reports that the message has no link: the text of a function, which Terraform ends
	// with a full stop, or an error that run takes from a resource without the server.
	unlinked bool
	// never is the reason why no test can make the message.
	never string
}

// stage is a fake and a CLI.
type stage struct {
	*acctest.Fake
	*acctest.CLI
}

// plan returns what a plan prints, whether it succeeds or fails.
func (s stage) plan(t *testing.T, config string) string {
	t.Helper()
	s.Write(t, config)
	out, _ := s.Run(t, "plan")
	return out
}

// read returns the diagnostics of a data source. No command runs, because Terraform only prints
// them.
func (s stage) read(t *testing.T, name string, values map[string]string) string {
	t.Helper()
	return acctest.NewServerWith(t, s.Fake, map[string]string{"max_rate_limit_wait": "0s"}).ReadData(t, name, values)
}

// apply returns what an apply prints, whether it succeeds or fails.
func (s stage) apply(t *testing.T, config string) string {
	t.Helper()
	s.Write(t, config)
	out, _ := s.Run(t, "apply", "-auto-approve")
	return out
}

const atOnce = "max_retries = 0"

// causes returns the causes by message.
func causes(t *testing.T) map[string]cause {
	t.Helper()
	key := acctest.NewKey(t)
	blob := strings.Fields(key)[1]
	managed := acctest.DeployKey(acctest.KeyLine(key))
	one := acctest.DataDeployKey("key_id = 10958984")
	exclusive := func(ids string) string {
		return "\nresource \"bitbucket_deploy_keys_exclusive\" \"test\" {\n  workspace = \"acme\"\n  repository = \"website\"\n  key_ids = " + ids + "\n}\n"
	}
	// configured plans with these lines in the provider block.
	configured := func(lines ...string) func(*testing.T, stage) string {
		return func(t *testing.T, s stage) string { return s.plan(t, s.ConfigWith(one, lines...)) }
	}
	website := func(name, value string) map[string]string {
		return map[string]string{"workspace": "acme", "repository": "website", name: value}
	}
	const dataKey, dataKeys, dataProjectKeys, dataDeployments = "bitbucket_deploy_key", "bitbucket_deploy_keys", "bitbucket_project_deploy_keys", "bitbucket_deployments"
	workspace := map[string]string{"workspace": "acme"}
	// refused reads a data source while Bitbucket answers with a fault, and reads does so with a
	// key. adds does the same for adding a key.
	refused := func(fault emulator.Fault, name string, values map[string]string) func(*testing.T, stage) string {
		return func(t *testing.T, s stage) string {
			s.Inject(fault)
			return s.read(t, name, values)
		}
	}
	reads := func(fault emulator.Fault) func(*testing.T, stage) string {
		return refused(fault, dataKey, website("key_id", "10958984"))
	}
	adds := func(faults ...emulator.Fault) func(*testing.T, stage) string {
		return func(t *testing.T, s stage) string {
			s.Inject(faults...)
			return s.apply(t, s.Config(managed, atOnce))
		}
	}
	// then applies a configuration, calls happen, and applies the second configuration.
	then := func(first string, happen func(stage), second string) func(*testing.T, stage) string {
		return func(t *testing.T, s stage) string {
			if out := s.apply(t, s.Config(first)); !strings.Contains(out, "Apply complete") {
				t.Fatal(out)
			}
			happen(s)
			return s.apply(t, s.Config(second, atOnce))
		}
	}
	unreadable := []string{"Open the list of access keys in Bitbucket's settings. Remove such an entry there, or report it to Atlassian"}
	const unknownToken = "\nresource \"terraform_data\" \"token\" {\n  input = \"api-token\"\n  triggers_replace = %d\n}\n"
	unknown := func(s stage, generation int, body string) string {
		return fmt.Sprintf(unknownToken, generation) + s.ConfigWith(body, `username = "ci@example.com"`, "token = terraform_data.token.output")
	}
	// taken plans with the state of another provider.
	taken := func(state string, args ...string) func(*testing.T, stage) string {
		return func(t *testing.T, _ stage) string {
			f, terraform := acctest.Switching(t, state, "")
			terraform.Write(t, f.Config(acctest.DeployKey(acctest.KeyLine(acctest.BareKey), `label = "ci"`)))
			terraform.ReplaceProvider(t, "drfaust92/bitbucket")
			out, _ := terraform.Run(t, append([]string{"plan"}, args...)...)
			return out
		}
	}
	const oneLine = "Give the one line of the .pub file"
	public := func(text string, advice ...string) cause {
		return cause{advice: advice, validate: acctest.DeployKey("key = " + acctest.HCL(t, text))}
	}

	// forbidden plans with an access token after an apply with an API token.
	forbidden := func(second string) func(*testing.T, stage) string {
		return func(t *testing.T, s stage) string {
			if second == "" {
				acctest.Needs(t, terraformcli.DeletePlans)
			}
			s.apply(t, s.Config(managed))
			s.AllowAccessToken("access-token")
			return s.plan(t, s.ConfigWith(second, `token = "access-token"`))
		}
	}
	// changed plans the second configuration after an apply of the first one.
	changed := func(first, second string) func(*testing.T, stage) string {
		return func(t *testing.T, s stage) string {
			s.apply(t, s.Config(first))
			return s.plan(t, s.Config(second))
		}
	}
	waysToUpdate := []string{
		"Choose one:", "Replace this key once: terraform apply -replace=ADDRESS",
		"Replace a key whenever its label or comment changes: update_strategy = \"replace\" in the provider block",
		"Keep the label and the comment that Bitbucket has: lifecycle { ignore_changes = [label, comment] } in the resource",
	}
	again := strings.Replace(managed, `"test"`, `"again"`, 1)
	const apiToken = "Use an API token: set username to the e-mail address of an Atlassian account, and token to its API token."
	const failed, forbidden403 = registry + "/guides/errors-network#bitbucket-failed", registry + "/guides/errors-credentials#403-forbidden"

	all := map[string]cause{
		"Unable to create deploy key": {advice: []string{"add a deploy key to"}, section: failed, run: adds(emulator.ServerError())},
		"Unable to read deploy key":   {advice: []string{"read deploy key 10958984 of"}, section: failed, run: reads(emulator.ServerError())},
		"Unable to list deploy keys":  {advice: []string{"list the deploy keys of"}, section: failed, run: refused(emulator.ServerError(), dataKey, website("label", "CI"))},
		"Unable to update deploy key": {advice: []string{"update deploy key 10958984 of"}, section: failed, run: then(managed, func(s stage) {
			s.Inject(emulator.Fault{Method: "PUT"})
		}, acctest.DeployKey(acctest.KeyLine(key), `label = "x"`))},
		"Unable to delete deploy key": {advice: []string{"delete deploy key 10958984 of"}, section: failed, run: then(managed, func(s stage) {
			s.Inject(emulator.Fault{Method: "DELETE"})
		}, "")},
		"Unable to list repositories": {advice: []string{"list the repositories", "read:repository:bitbucket"}, section: forbidden403, run: refused(emulator.Fault{Status: http.StatusForbidden}, dataKeys, workspace)},
		"Unable to list projects":     {advice: []string{"projects of", "read:project:bitbucket"}, section: forbidden403, run: refused(emulator.Fault{Status: http.StatusForbidden}, dataProjectKeys, workspace)},
		"Unable to list deployments": {
			advice:  []string{"list the deployments", "read:pipeline:bitbucket", "or a repository that never deployed", "read:repository:bitbucket"},
			section: forbidden403,
			run:     refused(emulator.Fault{Status: http.StatusForbidden}, dataDeployments, website("limit", "5")),
		},
		"Unable to read SSH host keys": {
			advice: []string{"read the host keys of Bitbucket's SSH server", "the reply is not from Bitbucket, ", "a different token or scope does not help", "Open the address in a browser, and check base_url and the proxy"},
			run:    refused(emulator.LoginPage(), "bitbucket_ssh_host_keys", nil),
		},
		"Unable to list environments": {
			advice:  []string{"environments of", "read:pipeline:bitbucket", "without environments", "read:repository:bitbucket"},
			section: forbidden403,
			run:     refused(emulator.Fault{Status: http.StatusForbidden}, "bitbucket_environments", map[string]string{"workspace": "acme", "repository": "website"}),
		},

		"401 Unauthorized": {
			advice: []string{"The credentials are invalid or expired", "Check first whether the token has expired.", "An API token needs username, the e-mail address of its Atlassian account", "An access token must not have a username."},
			run:    configured(`token = "wrong"`),
		},
		"403 Forbidden": {advice: []string{"an administrator of the repository"}, run: func(t *testing.T, s stage) string {
			s.SetPermission("acme", "website", emulator.PermissionRead)
			return s.plan(t, s.Config(one))
		}},
		"The workspace admits only some IP addresses": {
			advice: []string{"A different token or scope does not help", "allowed IP address", "two-step verification", "ask an administrator of the workspace"},
			run:    reads(emulator.Fault{Status: http.StatusForbidden, Body: notAdmitted}),
		},
		"This API is only accessible with the following authentication types": {
			advice: []string{apiToken, "can read deploy keys, but cannot add, update or delete them. No scope changes that."},
			run:    adds(emulator.Fault{Method: "POST", Status: http.StatusForbidden, Body: `{"error":{"message":"This API is only accessible with the following authentication types: session, password, apppassword"}}`}),
		},
		"Your credentials lack one or more required privilege scopes": {advice: []string{"Required scopes", "A scope cannot be added to a token: create a new token"}, run: func(t *testing.T, s stage) string {
			s.AllowBasic("ci@example.com", "weak", "read:repository:bitbucket")
			return s.plan(t, s.ConfigWith(one, `username = "ci@example.com"`, `token = "weak"`))
		}},
		"This API is not accessible by this authentication mechanism": {
			advice: []string{apiToken, "can read deploy keys, but cannot add, update or delete them. No scope changes that."},
			run: func(t *testing.T, s stage) string {
				s.AllowAccessToken("access-token")
				return s.apply(t, s.ConfigWith(managed, `token = "access-token"`))
			},
		},
		"Credentials cannot add deploy keys":    {advice: []string{apiToken}, run: forbidden(managed + strings.Replace(again, key, acctest.NewKey(t), 1))},
		"Credentials cannot update deploy keys": {advice: []string{apiToken}, run: forbidden(acctest.DeployKey(acctest.KeyLine(key), `label = "x"`))},
		"Credentials cannot delete deploy keys": {advice: []string{apiToken}, run: forbidden("")},
		"issued no access token for the OAuth consumer": {
			advice: []string{"Check oauth_client_id and oauth_client_secret. The consumer must be marked as private"},
			run:    configured(`oauth_client_id = "id"`, `oauth_client_secret = "wrong"`),
		},
		"Missing Bitbucket credentials":     {advice: []string{"Neither the provider block nor the environment has credentials. Choose one:", "token, or API token sent as Bearer", "BITBUCKET_USERNAME", "BITBUCKET_TOKEN"}, run: configured()},
		"Incomplete Bitbucket credentials":  {advice: []string{"here is a username but no token"}, run: configured(`username = "ci"`)},
		"Conflicting Bitbucket credentials": {advice: []string{"Keep one of them"}, run: configured(`token = "t"`, `oauth_client_id = "id"`)},
		"Empty Bitbucket credentials":       {advice: []string{"Set a value, or null to use the environment"}, run: configured(`token = ""`)},
		"Write token, not oauth_token":      {advice: []string{"Set token instead, without username.", "BITBUCKET_OAUTH_TOKEN works unchanged"}, run: configured(`oauth_token = "t"`)},
		"Provider configuration is not known yet": {advice: []string{"depends on values that are known only after apply", "Create the resource with these values first", "terraform apply -target=ADDRESS"}, run: func(t *testing.T, s stage) string {
			return s.plan(t, unknown(s, 1, one))
		}},
		"Deploy keys were not refreshed": {advice: []string{"the plan relies on the deploy keys in the state", "The next plan after the apply refreshes them."}, run: func(t *testing.T, s stage) string {
			s.apply(t, unknown(s, 1, managed))
			return s.plan(t, unknown(s, 2, managed))
		}},
		"Deploy key depends on the OAuth consumer": {advice: []string{"any change to the consumer invalidates the key", "add keys with the API token of an account"}, run: func(t *testing.T, s stage) string {
			s.AllowConsumer("id", "secret", 7200)
			return s.apply(t, s.ConfigWith(managed, `oauth_client_id = "id"`, `oauth_client_secret = "secret"`))
		}},

		"No workspace with identifier": {advice: []string{"for a typo first", "was deleted or renamed"}, run: func(t *testing.T, s stage) string {
			return s.read(t, dataKey, map[string]string{"workspace": "acmee", "repository": "website", "key_id": "1"})
		}},
		"404 Not Found": {
			advice: []string{
				"for a typo first", "was deleted or renamed, or these credentials cannot see it: Bitbucket answers 404 in all of these cases", "the new name into the configuration",
				"terraform apply -refresh=false", "terraform state rm ADDRESS",
			},
			run: then(managed, func(s stage) { s.RemoveRepository("acme", "website") }, managed),
		},
		"Not found: acme/website": {advice: []string{"for a typo first", "these credentials cannot see it", "exists by then"}, run: func(t *testing.T, s stage) string {
			elsewhere := acctest.DeployKey(acctest.KeyLine(key), `repository = "api"`)
			s.apply(t, s.Config(elsewhere))
			s.RemoveRepository("acme", "website")
			return s.plan(t, s.Config(managed))
		}},
		"Repository has another name now": {
			advice: []string{"Change workspace and repository in the configuration to the new name"},
			run:    then(managed, func(s stage) { s.RenameRepository("acme", "website", "site") }, acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))),
		},
		"the name now belongs to a different repository or project": {advice: []string{"terraform state rm ADDRESS"}, run: func(t *testing.T, s stage) string {
			theirs := s.AddProjectDeployKey("acme", "WEB", key, "")
			only := strings.NewReplacer("bitbucket_deploy", "bitbucket_project_deploy", "repository", "project", "website", "WEB").Replace(exclusive(fmt.Sprintf("[%d]", theirs.ID)))
			s.apply(t, s.Config(only))
			s.RenameProject("acme", "WEB", "SITE")
			s.AddProject("acme", emulator.Project{Key: "WEB"})
			s.AddProjectDeployKey("acme", "WEB", key, "")
			return s.plan(t, s.Config(only))
		}},
		"could not check whether": {advice: []string{"is a new name of", "deploy key is kept only in that case", "Nothing was changed"}, section: failed, run: then(managed, func(s stage) {
			s.Inject(emulator.Fault{Path: "/api/"})
		}, acctest.DeployKey(acctest.KeyLine(key), `repository = "api"`))},
		"Deploy keys of some repositories are not included": {advice: []string{"Bitbucket", "403 or 404", "must be an administrator of a"}, run: func(t *testing.T, s stage) string {
			s.SetPermission("acme", "website", emulator.PermissionRead)
			return s.read(t, dataKeys, workspace)
		}},
		"Deploy keys of some projects are not included": {advice: []string{"Bitbucket", "403 or 404", "must be an administrator of a"}, run: func(t *testing.T, s stage) string {
			s.SetProjectPermission("acme", "PROJ", emulator.PermissionRead)
			return s.read(t, dataProjectKeys, workspace)
		}},
		"Deploy keys of some repositories cannot be read": {advice: unreadable, run: func(t *testing.T, s stage) string {
			s.Inject(emulator.UnreadableKey(s.AddDeployKey("acme", "website", key, "").ID))
			return s.read(t, dataKeys, workspace)
		}},
		"Deploy keys of some projects cannot be read": {advice: unreadable, run: func(t *testing.T, s stage) string {
			s.Inject(emulator.UnreadableKey(s.AddProjectDeployKey("acme", "WEB", key, "").ID))
			return s.read(t, dataProjectKeys, workspace)
		}},
		"Bitbucket lists entries without a readable key": {advice: unreadable, run: func(t *testing.T, s stage) string {
			s.Inject(emulator.UnreadableKey(s.AddDeployKey("acme", "website", key, "").ID))
			return s.apply(t, s.Config(exclusive("[1]")))
		}},
		"No repository found in the project": {advice: []string{"the project does not exist, or it has no repository that the account can see", "Check project and workspace"}, run: func(t *testing.T, s stage) string {
			return s.read(t, dataKeys, map[string]string{"workspace": "acme", "project": "NONE"})
		}},
		"No single environment found": {advice: []string{"environment_uuid"}, run: func(t *testing.T, s stage) string {
			s.SetEnvironments("acme", "website", emulator.Environment{Name: "qa"}, emulator.Environment{Name: "qa"})
			return s.read(t, dataDeployments, website("environment", "qa"))
		}},
		"Environment names of acme/website are missing": {advice: []string{"UUID of their environment only", "read:pipeline:bitbucket"}, run: func(t *testing.T, s stage) string {
			s.AddDeployment("acme", "website", emulator.Deployment{EnvironmentUUID: acctest.ProductionUUID})
			s.Inject(emulator.Fault{Path: "/environments/", Status: http.StatusForbidden})
			return s.read(t, dataDeployments, website("limit", "5"))
		}},
		"Not all deploy keys are listed": {
			advice: []string{"limit in the list block to a higher number; the default is 100", "it would remove the deploy keys that are not listed"},
			run:    listTooFew,
		},

		"429 Too Many Requests": {advice: []string{"1,000 requests an hour", "Each request counts for one hour", "Run again later, or raise max_rate_limit_wait so that the run waits longer"}, run: reads(emulator.RateLimited())},
		"Bitbucket's rate limit is near": {advice: []string{"If no request is left, this run waits, and fails after max_rate_limit_wait"}, run: func(t *testing.T, s stage) string {
			s.SetNearLimit(true)
			return s.apply(t, s.Config(managed))
		}},

		"No usable reply arrived": {advice: []string{"Check base_url, the network and the proxy (HTTPS_PROXY)"}, run: reads(emulator.Fault{Cut: true})},
		"failed to verify certificate": {
			advice: []string{"This machine does not trust the certificate. Either a proxy opens the connection, or base_url leads to another server. If this is intended, add the certificate authority:", "set SSL_CERT_FILE to a PEM file with the authority", "add the authority to the certificates of the system"},
			run: func(t *testing.T, s stage) string {
				s.Fake, _, _ = startTLS(t)
				return s.plan(t, s.Config(one, atOnce))
			},
		},
		"refuses the connection: 407 Proxy Authentication Required": {advice: []string{"The proxy requires a user name and a password. Put both into", "HTTPS_PROXY"}, run: func(t *testing.T, s stage) string {
			proxy := httptest.NewServer(&connecting{})
			t.Cleanup(proxy.Close)
			s.URL = "https://bitbucket.example.com"
			s.CLI = acctest.NewBuiltCLI(t, "HTTPS_PROXY="+proxy.URL, "https_proxy=", "NO_PROXY=", "no_proxy=")
			return s.plan(t, s.Config(one, atOnce))
		}},
		"The reply is not from Bitbucket's API":   {advice: []string{"base_url and the proxy (HTTPS_PROXY)"}, run: reads(emulator.LoginPage())},
		"The address has moved":                   {advice: []string{"has another name now, or the reply is not from Bitbucket's API", "heck workspace, repository, base_url and the proxy (HTTPS_PROXY)"}, run: reads(emulator.Redirect("https://login.example.com/"))},
		"Bitbucket failed":                        {advice: []string{"bitbucket.status.atlassian.com", " for outages, and run Terraform again later."}, run: reads(emulator.BadGateway())},
		"Bitbucket may have added the key anyway": {advice: []string{"Apply again. If Bitbucket has the key then, the error shows how to import it."}, section: failed, run: adds(emulator.ServerError())},
		"Bitbucket may have made the change anyway": {advice: []string{"The next plan shows what Bitbucket has."}, section: failed, run: then(managed, func(s stage) {
			s.Inject(emulator.Fault{Method: "PUT"})
		}, acctest.DeployKey(acctest.KeyLine(key), `label = "x"`))},
		"is in the state as tainted": {
			advice: []string{"he next apply replaces it. To keep it, run", "terraform untaint ADDRESS"},
			run:    adds(emulator.Fault{Method: "POST", CarryOut: true, Status: http.StatusOK, Body: `{"id":10958984}`}, emulator.Fault{Method: "GET", Status: http.StatusForbidden}),
		},
		"The run was stopped": {advice: []string{"Run Terraform again."}, run: func(t *testing.T, s stage) string { return readWhenStopped(t, s.Fake) }},
		"Invalid Bitbucket base URL": {advice: []string{"base_url", "not an absolute URL"}, run: func(t *testing.T, s stage) string {
			s.URL = "api.bitbucket.org"
			return s.plan(t, s.Config(one))
		}},

		"Private key given":                public("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "committed or shared, consider it leaked: make a new pair"),
		"Empty public key":                 public("", oneLine),
		"Not a public key":                 public("hello", oneLine),
		"Incomplete public key":            public("ssh-ed25519", oneLine),
		"Damaged public key":               public(key+"AAAA", oneLine),
		"Public key on several lines":      public("ssh-ed25519\n"+blob, oneLine),
		"Control characters in public key": public(key[:30]+"\u0007"+key[30:], oneLine),
		"Unusual space in public key":      public(strings.Replace(key, " ", "\u00a0", 1), "Type a plain space in its place."),
		"Host key given":                   public("bitbucket.org "+key, "line of a known_hosts file", oneLine),
		"Fingerprint given":                public("256 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU ci (ED25519)", oneLine),
		"Path of a file given":             public("~/.ssh/id_ed25519.pub", `file("PATH")`),
		"Invalid base64 in public key":     public("ssh-ed25519 "+blob[:20]+"!", oneLine),
		"Key type does not match the key":  public("ssh-rsa "+blob, oneLine),
		"Several public keys":              public(key+"\n"+key, "for_each for several"),
		"Public key with options":          public("no-pty "+key, "authorized_keys options before", "Remove them."),
		"Public key in RFC 4716 format":    public("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA", "Convert it with", "ssh-keygen -i -f FILE"),
		"Public key in PEM format":         public("-----BEGIN PUBLIC KEY-----\nAAAA", "Convert it with", "ssh-keygen -i -m PKCS8 -f FILE"),
		"Certificate given":                public(strings.Replace(key, "ed25519", "ed25519-cert-v01@openssh.com", 1), "is an OpenSSH certificate. ", "Give the public key that it certifies: the"),
		"Bitbucket may refuse this key":    public(acctest.DSAKey(t), "DSA", "use an Ed25519 key."),
		"Bitbucket refuses this key": {advice: []string{"RSA", "2048 bits", "Use an Ed25519 key, or a longer RSA key."}, run: func(t *testing.T, s stage) string {
			return s.plan(t, s.Config(acctest.DeployKey(acctest.KeyLine(acctest.ShortRSA(t)))))
		}},
		"Bitbucket refuses new keys of this kind": {advice: []string{"This key exists and keeps working, but it could not be added again: rotate it"}, run: func(t *testing.T, s stage) string {
			old := acctest.ShortRSA(t)
			s.Write(t, s.Config(acctest.DeployKey(acctest.KeyLine(old))))
			s.MustRun(t, "import", acctest.Address, fmt.Sprintf("acme/website/%d", s.AddDeployKey("acme", "website", old, "").ID))
			return s.plan(t, s.Config(acctest.DeployKey(acctest.KeyLine(old))))
		}},
		"has this key already": {advice: []string{"a key cannot be replaced by itself"}, run: func(t *testing.T, s stage) string {
			s.AddDeployKey("acme", "website", key, "")
			return s.apply(t, s.Config(managed))
		}},
		"Deploy key exists already in acme/website": {advice: []string{"If no resource has this key yet, the apply will fail to add it"}, run: func(t *testing.T, s stage) string {
			theirs := acctest.NewKey(t)
			s.AddDeployKey("acme", "website", theirs, "")
			return changed(managed, managed+strings.Replace(again, key, theirs, 1))(t, s)
		}},
		"Same deploy key twice in acme/website": {advice: []string{"Bitbucket accepts a key once", "Remove one of the two resources."}, run: changed("", managed+again)},
		"has just added this key": {advice: []string{"Bitbucket accepts a key once", "Remove one of the two resources."}, run: func(t *testing.T, s stage) string {
			return s.apply(t, s.Config(managed+again))
		}},
		"needs the same key": {advice: []string{"Nothing is lost: apply again. A moved block, or a higher -parallelism, does this in one apply."}, run: func(t *testing.T, s stage) string {
			s.apply(t, s.Config(managed))
			// With one operation at a time, Terraform begins with the create in half of the runs.
			var out string
			for i := range 20 {
				s.Write(t, s.Config(strings.Replace(managed, `"test"`, fmt.Sprintf("%q", fmt.Sprint("renamed_", i)), 1)))
				if out, _ = s.Run(t, "apply", "-auto-approve", "-parallelism=1"); strings.Contains(out, "needs the same key") {
					break
				}
			}
			return out
		}},
		"If the repository has the key already, import it": {advice: []string{"terraform import ADDRESS WORKSPACE/REPOSITORY/KEY_ID"}, run: func(t *testing.T, s stage) string {
			s.AddDeployKey("acme", "website", key, "")
			s.Inject(emulator.Fault{Method: "GET"})
			return s.apply(t, s.Config(managed, atOnce))
		}},
		"so a user account or a workspace has it": {
			advice: []string{"Bitbucket accepts the same key either there, or on repositories and projects. Remove the key from the user account or workspace, or make another key"},
			run:    adds(emulator.Fault{Method: "POST", Status: http.StatusBadRequest, Body: `{"error":{"message":"Someone has already registered that SSH key."}}`}),
		},

		"Bitbucket refuses to update this key": {
			advice: append([]string{"othing was changed"}, waysToUpdate...),
			run:    then(managed, func(s stage) { s.SetPUT(emulator.PUTRefused) }, acctest.DeployKey(acctest.KeyLine(key), `label = "x"`)),
		},
		"Bitbucket may refuse to update this deploy key": {
			advice: append([]string{`To try the update without this warning, set update_strategy = "in_place" in the provider block.`}, waysToUpdate...),
			run:    changed(managed, acctest.DeployKey(acctest.KeyLine(key), `label = "x"`)),
		},
		"because of refresh_after, not every plan reads it": {advice: []string{"The next plan reads this key again. Plan and apply again."}, run: func(t *testing.T, s stage) string {
			s.apply(t, s.Config(managed, `refresh_after = "24h"`))
			s.RemoveDeployKey("acme", "website", acctest.FirstID)
			return s.apply(t, s.Config(acctest.DeployKey(acctest.KeyLine(key), `label = "x"`), `refresh_after = "24h"`))
		}},
		"Update strategy is not known yet": {advice: []string{"Set it to a value that is known."}, run: func(t *testing.T, s stage) string {
			s.apply(t, s.Config(managed))
			return s.plan(t, "\nresource \"terraform_data\" \"strategy\" {\n  input = \"replace\"\n}\n"+
				s.Config(acctest.DeployKey(acctest.KeyLine(key), `label = "x"`), "update_strategy = terraform_data.strategy.output"))
		}},
		"Bitbucket stored something else": {
			advice: []string{"The next plan shows the difference.", "write the stored value into the configuration", "lifecycle { ignore_changes = [label, comment] }"},
			run:    adds(emulator.Fault{Method: "POST", Status: http.StatusOK, Body: fmt.Sprintf(`{"id":10958984,"key":%q,"label":"theirs","comment":""}`, key)}),
		},

		"Invalid workspace":  {advice: []string{"Expected a slug, for example", "or a UUID in braces"}, validate: acctest.DeployKey(acctest.KeyLine(key), `workspace = "a/b"`)},
		"Invalid repository": {advice: []string{"Expected a slug, for example", "or a UUID in braces"}, validate: acctest.DeployKey(acctest.KeyLine(key), `repository = "a/b"`)},
		"Invalid project":    {advice: []string{"as Bitbucket shows it, in capitals"}, validate: "\ndata \"bitbucket_deploy_keys\" \"test\" {\n  workspace = \"acme\"\n  project = \"web\"\n}\n"},
		"Invalid label": {advice: []string{"begins or ends with white space", "Use trimspace(), or remove it."}, run: func(t *testing.T, s stage) string {
			return s.plan(t, s.Config(acctest.DeployKey(acctest.KeyLine(key), `label = " x"`)))
		}},
		"Invalid comment": {advice: []string{"begins or ends with white space", "Use trimspace(), or remove it."}, run: func(t *testing.T, s stage) string {
			return s.plan(t, s.Config(acctest.DeployKey(acctest.KeyLine(key), `comment = " x"`)))
		}},
		"Invalid label_pattern":   {advice: []string{"in the syntax of RE2, as in Terraform's regex()"}, validate: "\ndata \"bitbucket_deploy_keys\" \"test\" {\n  workspace = \"acme\"\n  label_pattern = \"(\"\n}\n"},
		"Invalid number":          {advice: []string{"Write a whole number"}, validate: acctest.DataDeployKey("key_id = 1.5")},
		"Invalid duration":        {advice: []string{`with its unit, for example "30s"`}, run: configured(`request_timeout = "30"`)},
		"Invalid id":              {advice: []string{"workspace/repository/key_id"}, validate: acctest.DataDeployKey(`id = "x"`)},
		"Invalid Attribute Value": {advice: []string{"must be"}, validate: acctest.DataDeployKey("key_id = 0")},
		"Missing Configuration for Required Attribute": {advice: []string{"required"}, validate: exclusive("null")},
		"Invalid Attribute Value Match":                {advice: []string{"must be"}, run: configured(`token = "t"`, `update_strategy = "x"`)},
		"Invalid Attribute Combination":                {advice: []string{"label", "fingerprint_sha256"}, validate: acctest.DataDeployKey("")},
		"Invalid function argument":                    called(acctest.ParseCall(`"hello"`)),
		"Expected a slug":                              called(acctest.ImportIDCall(`"a/b"`, `"website"`, "1"), "or a UUID in braces"),
		"Expected the ID of the key":                   called(acctest.ImportIDCall(`"acme"`, `"website"`, "1.5"), "key_id"),

		"Invalid import ID": {advice: []string{"The bitbucket_deploy_keys data source lists the IDs."}, run: func(t *testing.T, s stage) string {
			s.Write(t, s.Config(managed))
			return s.Fails(t, []string{"import", acctest.Address, "acme"})
		}},
		"Invalid import identity": {advice: []string{"workspace", "repository", "key_id"}, run: func(t *testing.T, s stage) string { return importIdentity(t, s.Fake) }},
		"No single deploy key found": {advice: []string{"Use the ID (key_id) of one of them"}, run: func(t *testing.T, s stage) string {
			s.AddDeployKey("acme", "website", acctest.NewKey(t), "CI")
			s.AddDeployKey("acme", "website", acctest.NewKey(t), "CI")
			return s.read(t, dataKey, website("label", "CI"))
		}},

		"Unable to take over deploy key": {advice: []string{"Nothing was changed.", "terraform state rm ADDRESS", "terraform import ADDRESS WORKSPACE/REPOSITORY/KEY_ID"}, run: taken("unknown-shape")},
		"Deploy key was not read yet":    {advice: []string{"Plan without -refresh=false"}, run: taken("drfaust92-imported", "-refresh=false")},
		"Setting id is deprecated":       {advice: []string{"another provider", "Set key_id to the ID of the key instead."}, validate: acctest.DataDeployKey(`id = "1"`)},

		"Managed deploy keys of acme/website are not in key_ids": {
			advice: []string{"The set does not remove these keys", "Add the key_id of each resource to key_ids, or remove the resource"},
			run:    then(managed, func(stage) {}, managed+exclusive("[5]")),
		},
		"Managed deploy key would be removed": {advice: []string{"Add the key_id of each resource to key_ids, or remove the resource", "othing was changed"}, run: func(t *testing.T, s stage) string {
			s.apply(t, s.Config(managed))
			s.apply(t, s.Config(managed+exclusive("[5]")))
			out, _ := s.Run(t, "plan", "-refresh=false")
			return out
		}},
		"No deploy key is allowed": {advice: []string{"To allow this, set allow_empty = true"}, validate: exclusive("[]")},
		"No deploy key would be left": {advice: []string{"one of key_ids is a deploy key of the", "To remove all deploy keys, set allow_empty = true"}, run: func(t *testing.T, s stage) string {
			s.AddDeployKey("acme", "website", key, "")
			s.apply(t, s.Config(exclusive("[5]")))
			return s.plan(t, s.Config(exclusive("[5]")))
		}},

		"Unexpected provider data":                 {advice: []string{"This is a bug in the provider. Please report it"}, unlinked: true, run: configureWrongly},
		"Unable to configure the Bitbucket client": {never: "NewClient refuses only the base URL, which is checked before"},
	}
	for words, of := range map[string]string{ // Bitbucket's messages for some of the causes.
		"Token is invalid, expired, or not supported for this endpoint":                       "401 Unauthorized",
		"You may not have access to this repository or it no longer exists in this workspace": "404 Not Found",
		"an administrator must grant access to your IP address":                               "The workspace admits only some IP addresses",
		"Rate limit for this resource has been exceeded":                                      "429 Too Many Requests",
		"Someone has already added that access key to this repository":                        "has this key already",
		"Someone has already registered that SSH key":                                         "so a user account or a workspace has it",
		"For security reasons, you can't modify the contents of an access key":                "Bitbucket refuses to update this key",
	} {
		all[words], all[of] = twice(all[of])
	}
	return all
}

// twice returns two causes that run once together.
func twice(c cause) (first, second cause) {
	run := c.run
	var once sync.Once
	var out string
	c.run = func(t *testing.T, s stage) string {
		once.Do(func() { out = run(t, s) })
		return out
	}
	return c, c
}

// readWhenStopped returns the error of a data source when Terraform stops the run before
// Bitbucket has answered. A test cannot stop a command at that moment.
func readWhenStopped(t *testing.T, f *acctest.Fake) string {
	t.Helper()
	server := acctest.NewConfiguredServer(t, f)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, diagnostics := server.ReadAttributes(stopped, t, "bitbucket_deploy_keys", map[string]string{"workspace": "acme", "repository": "website"})
	return acctest.Reported(diagnostics)
}

// configureWrongly returns the error of a resource that receives the data of another
// provider. No command can cause this error.
func configureWrongly(t *testing.T, _ stage) string {
	t.Helper()
	for _, create := range provider.New("test")().Resources(t.Context()) {
		configured, ok := create().(resource.ResourceWithConfigure)
		if !ok {
			continue
		}
		var resp resource.ConfigureResponse
		configured.Configure(t.Context(), resource.ConfigureRequest{ProviderData: "another"}, &resp)
		if len(resp.Diagnostics) == 0 {
			t.Fatal("the data was accepted")
		}
		return diagnosed("error", resp.Diagnostics[0].Summary(), resp.Diagnostics[0].Detail())
	}
	t.Fatal("no resource can be configured")
	return ""
}

// diagnosed returns a diagnostic on one line, as [acctest.CLI.Run] does.
func diagnosed(severity, summary, detail string) string {
	return strings.ToUpper(severity[:1]) + severity[1:] + ": " + summary + " " + strings.Join(strings.Fields(detail), " ")
}

// called returns a cause that calls a function with a wrong argument.
func called(call string, advice ...string) cause {
	return cause{advice: advice, unlinked: true, run: func(t *testing.T, s stage) string {
		acctest.Needs(t, terraformcli.Functions)
		s.Write(t, acctest.RequiredProviders+acctest.OutputBlock(call))
		return s.Fails(t, []string{"validate"})
	}}
}

// importIdentity imports by an identity without a repository. It uses no CLI, because many
// versions do not support this import.
func importIdentity(t *testing.T, f *acctest.Fake) string {
	t.Helper()
	kind := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"workspace": tftypes.String, "repository": tftypes.String, "key_id": tftypes.Number}}
	identity, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, map[string]tftypes.Value{
		"workspace": tftypes.NewValue(tftypes.String, "acme"), "repository": tftypes.NewValue(tftypes.String, ""), "key_id": tftypes.NewValue(tftypes.Number, 1),
	}))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := acctest.NewConfiguredServer(t, f).ImportResourceState(t.Context(), &tfprotov6.ImportResourceStateRequest{
		TypeName: "bitbucket_deploy_key", Identity: &tfprotov6.ResourceIdentityData{IdentityData: &identity},
	})
	if err != nil || len(resp.Diagnostics) == 0 {
		t.Fatal(err, resp)
	}
	return acctest.Reported(resp.Diagnostics)
}

// listTooFew lists one of two keys. It uses no CLI, because few versions have a query.
func listTooFew(t *testing.T, s stage) string {
	t.Helper()
	s.AddDeployKey("acme", "website", acctest.NewKey(t), "")
	s.AddDeployKey("acme", "website", acctest.NewKey(t), "")
	server, out := acctest.NewConfiguredServer(t, s.Fake), ""
	const name = "bitbucket_deploy_key"
	stream, err := server.ListResource(t.Context(), &tfprotov6.ListResourceRequest{
		TypeName: name, Config: acctest.ProtocolObject(t, server.Schemas.ListResourceSchemas[name], map[string]string{"workspace": "acme"}), Limit: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for result := range stream.Results {
		out += acctest.Reported(result.Diagnostics)
	}
	return out
}

// validateCauses returns the diagnostics that one run of validate reports for each block.
func validateCauses(t *testing.T, all map[string]cause) map[string]string {
	t.Helper()
	config, messages := acctest.RequiredProviders, []string{}
	for message, cause := range all {
		if cause.validate != "" {
			config += strings.Replace(cause.validate, `"test"`, fmt.Sprintf(`"cause_%d"`, len(messages)), 1)
			messages = append(messages, message)
		}
	}
	terraform := acctest.NewCLI(t)
	terraform.Write(t, config)
	out, _ := terraform.Run(t, "validate", "-json")
	var result struct {
		Diagnostics []struct{ Severity, Summary, Detail, Address string }
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	output := map[string]string{}
	for _, d := range result.Diagnostics {
		for i, message := range messages {
			if strings.HasSuffix(d.Address, fmt.Sprintf(".cause_%d", i)) {
				output[message] += diagnosed(d.Severity, d.Summary, d.Detail)
			}
		}
	}
	return output
}

// reportedSummaries maps the summaries of all errors and warnings to the code that reports
// them. It includes the summaries of validators. An ellipsis stands for the words of a
// summary that vary.
func reportedSummaries(t *testing.T) map[string]string {
	t.Helper()
	summaries := map[string]string{}
	for _, pattern := range []string{"../provider/*.go", "../sshkey/*.go"} {
		fset := token.NewFileSet()
		var files []*ast.File
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		// The type checker evaluates constants even without the imports.
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
		_, _ = (&types.Config{Error: func(error) {}}).Check("", fset, files, info)
		for _, file := range files {
			ast.Inspect(file, func(node ast.Node) bool {
				if summary := summaryIn(node); summary != nil {
					text, ok := textOf(info, summary)
					if !ok {
						t.Errorf("%s: the summary cannot be read: write it as a literal, or extend textOf", fset.Position(summary.Pos()))
					} else if text, _, _ = strings.Cut(text, ", for example"); text != "" {
						summaries[text] = fset.Position(summary.Pos()).String()
					}
				}
				return true
			})
		}
	}
	for summary, where := range validatorSummaries(t) {
		summaries[summary] = where
	}
	delete(summaries, "Invalid …") // validatorSummaries has the actual ones.
	return summaries
}

// summaryIn returns the summary in a call or a literal, nil if it has none.
func summaryIn(node ast.Node) ast.Expr {
	switch node := node.(type) {
	case *ast.CallExpr:
		called, ok := node.Fun.(*ast.SelectorExpr)
		if !ok {
			return nil
		}
		switch called.Sel.Name {
		case "AddError", "AddWarning", "NewErrorDiagnostic", "NewWarningDiagnostic":
			return node.Args[0]
		case "AddAttributeError", "AddAttributeWarning", "NewAttributeErrorDiagnostic", "NewAttributeWarningDiagnostic":
			return node.Args[1]
		case "NewArgumentFuncError": // It has no summary, so its text is used, unless the text repeats another error.
			if _, repeats := node.Args[1].(*ast.CallExpr); !repeats {
				return node.Args[1]
			}
		}
	case *ast.CompositeLit:
		if kind, ok := node.Type.(*ast.Ident); !ok || kind.Name != "operation" && kind.Name != "Problem" {
			return nil
		}
		for _, element := range node.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok && strings.EqualFold(types.ExprString(pair.Key), "summary") {
				return pair.Value
			}
		}
	}
	return nil
}

// textOf returns the text of an expression, "" for an expression that repeats another summary.
func textOf(info *types.Info, expression ast.Expr) (text string, ok bool) {
	if value := info.Types[expression].Value; value != nil && value.Kind() == constant.String {
		return constant.StringVal(value), true
	}
	switch expression := expression.(type) {
	case *ast.BinaryExpr:
		left, ok := textOf(info, expression.X)
		if !ok || left == "" {
			left = "…"
		}
		right, ok := textOf(info, expression.Y)
		if !ok || right == "" {
			right = "…"
		}
		return left + right, true
	case *ast.SelectorExpr:
		return "", strings.EqualFold(expression.Sel.Name, "summary")
	}
	return "", false
}

// validatorSummaries returns the summaries that the provider reports when every attribute
// has an invalid value.
func validatorSummaries(t *testing.T) map[string]string {
	t.Helper()
	server := acctest.NewServer(t)
	schemas := server.Schemas
	summaries := map[string]string{}
	note := func(where string, diagnostics []*tfprotov6.Diagnostic, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range diagnostics {
			summaries[d.Summary] = "validating " + where
		}
	}
	nonsense := func(schema *tfprotov6.Schema) *tfprotov6.DynamicValue {
		values := map[string]string{}
		for _, attribute := range schema.Block.Attributes {
			if (attribute.Required || attribute.Optional) && (attribute.Type.Is(tftypes.String) || attribute.Type.Is(tftypes.Number)) {
				values[attribute.Name] = " (" // As a number, 0.
			}
		}
		return acctest.ProtocolObject(t, schema, values)
	}
	block, err := server.ValidateProviderConfig(t.Context(), &tfprotov6.ValidateProviderConfigRequest{Config: nonsense(schemas.Provider)})
	note("the provider block", block.Diagnostics, err)
	for name, schema := range schemas.ResourceSchemas {
		resp, err := server.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
			TypeName: name, Config: nonsense(schema),
			ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
		})
		note("the resource "+name, resp.Diagnostics, err)
	}
	for name, schema := range schemas.DataSourceSchemas {
		resp, err := server.ValidateDataResourceConfig(t.Context(), &tfprotov6.ValidateDataResourceConfigRequest{TypeName: name, Config: nonsense(schema)})
		note("the data source "+name, resp.Diagnostics, err)
	}
	for name, schema := range schemas.ListResourceSchemas {
		resp, err := server.ValidateListResourceConfig(t.Context(), &tfprotov6.ValidateListResourceConfigRequest{TypeName: name, Config: nonsense(schema)})
		note("the list resource "+name, resp.Diagnostics, err)
	}
	return summaries
}
