package acceptance

import (
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

const errorsPage = root + "/templates/guides/errors.md.tmpl"

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	linked   = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
)

// errorRow is a row of the page: its messages, and its advice.
type errorRow struct{ messages, advice string }

// errorRows returns the rows by message. The messages are the code in the first cell.
func errorRows(t *testing.T) map[string]errorRow {
	t.Helper()
	rows := map[string]errorRow{}
	for line := range strings.Lines(acctest.ReadFile(t, errorsPage)) {
		cells := strings.SplitN(strings.Trim(line, "| \n"), " | ", 2)
		if !strings.HasPrefix(line, "| `") || len(cells) != 2 {
			continue
		}
		for _, message := range codeSpan.FindAllStringSubmatch(cells[0], -1) {
			if _, twice := rows[message[1]]; twice {
				t.Errorf("%s has two rows for %q", errorsPage, message[1])
			}
			rows[message[1]] = errorRow{cells[0], linked.ReplaceAllString(strings.ReplaceAll(cells[1], "`", ""), "$1")}
		}
	}
	return rows
}

// Every summary that the code can report has a row.
func TestErrorsPage_complete(t *testing.T) {
	t.Parallel()
	rows := errorRows(t)
	for summary, where := range reportedSummaries(t) {
		wanted := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(summary), "…", ".+") + "$")
		found := false
		for row := range rows {
			found = found || wanted.MatchString(row)
		}
		if !found {
			t.Errorf("%s reports %q: add a row for it to %s, and its cause to causes in errors_page_test.go", where, summary, errorsPage)
		}
	}
}

// Each message on the page must appear when its cause occurs, as an error or a warning as
// the page describes. The row must contain the words of the advice.
func TestAccErrorsPage_made(t *testing.T) {
	t.Parallel()
	rows, all := errorRows(t), causes(t)
	for message := range rows {
		if _, found := all[message]; !found {
			t.Errorf("%s has a row for %q: add its cause to causes in errors_page_test.go", errorsPage, message)
		}
	}
	reported := reportedSummaries(t)
	validated := validateCauses(t, all)
	for message, cause := range all {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			row, found := rows[message]
			if !found {
				t.Fatalf("the page has no row for it: add one to %s, or remove it from causes", errorsPage)
			}
			if cause.never != "" {
				if _, found := reported[message]; !found {
					t.Error("no code reports it: remove it from causes and from the page")
				}
				return
			}
			out := validated[message]
			if cause.run != nil {
				out = cause.run(t, stage{acctest.NewFake(t), acctest.NewCLI(t, acctest.Attached(t))})
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
				if !strings.Contains(row.advice, words) {
					t.Errorf("%q is not in its row: %s", words, row.advice)
				}
			}
			if warns := strings.Contains(out, "Warning: "+message); warns != strings.Contains(row.messages, "(warning") {
				t.Errorf("it is a warning: %t, but its row begins with %s", warns, row.messages)
			}
		})
	}
}

// cause makes a message appear.
type cause struct {
	// advice are words of the message that the row repeats.
	advice []string
	// validate is a block named "test" for which the command validate prints the message.
	validate string
	// run makes the message appear, and returns what was printed.
	run func(*testing.T, stage) string
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

// apply returns what an apply prints, whether it succeeds or fails.
func (s stage) apply(t *testing.T, config string) string {
	t.Helper()
	s.Write(t, config)
	out, _ := s.Run(t, "apply", "-auto-approve")
	return out
}

const atOnce, noWait = "max_retries = 0", `max_rate_limit_wait = "0s"`

// causes returns the causes by message.
func causes(t *testing.T) map[string]cause {
	t.Helper()
	key := acctest.NewKey(t)
	blob := strings.Fields(key)[1]
	managed := acctest.DeployKey(acctest.KeyLine(key))
	one := acctest.DataDeployKey("key_id = 10958984")
	workspaceKeys := func(kind string) string {
		return fmt.Sprintf("\ndata %q \"all\" {\n  workspace = \"acme\"\n}\n", kind)
	}
	exclusive := func(ids string) string {
		return "\nresource \"bitbucket_deploy_keys_exclusive\" \"test\" {\n  workspace = \"acme\"\n  repository = \"website\"\n  key_ids = " + ids + "\n}\n"
	}
	// configured plans with these lines in the provider block.
	configured := func(lines ...string) func(*testing.T, stage) string {
		return func(t *testing.T, s stage) string { return s.plan(t, s.ConfigWith(one, lines...)) }
	}
	// reads returns a function that reads a key while Bitbucket answers with a fault. adds
	// does the same for adding a key.
	reads := func(fault emulator.Fault) func(*testing.T, stage) string {
		return func(t *testing.T, s stage) string {
			s.Inject(fault)
			return s.plan(t, s.Config(one, atOnce, noWait))
		}
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
	unreadable := []string{"Look at the access keys in Bitbucket's settings: remove such an entry there, or report it to Atlassian"}
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
	again := strings.Replace(managed, `"test"`, `"again"`, 1)
	const apiToken = "Set username and token to an Atlassian account and its API token"

	all := map[string]cause{
		"Unable to create deploy key": {advice: []string{"add a deploy key to"}, run: adds(emulator.ServerError())},
		"Unable to read deploy key":   {advice: []string{"read deploy key 10958984 of"}, run: reads(emulator.ServerError())},
		"Unable to list deploy keys": {advice: []string{"list the deploy keys of"}, run: func(t *testing.T, s stage) string {
			s.Inject(emulator.ServerError())
			return s.plan(t, s.Config(acctest.DataDeployKey(`label = "CI"`), atOnce))
		}},
		"Unable to update deploy key": {advice: []string{"update deploy key 10958984 of"}, run: then(managed, func(s stage) {
			s.Inject(emulator.Fault{Method: "PUT"})
		}, acctest.DeployKey(acctest.KeyLine(key), `label = "x"`))},
		"Unable to delete deploy key": {advice: []string{"delete deploy key 10958984 of"}, run: then(managed, func(s stage) {
			s.Inject(emulator.Fault{Method: "DELETE"})
		}, "")},
		"Unable to list repositories": {advice: []string{"list the repositories of", "read:repository:bitbucket"}, run: func(t *testing.T, s stage) string {
			s.Inject(emulator.Fault{Status: http.StatusForbidden})
			return s.plan(t, s.Config(workspaceKeys("bitbucket_deploy_keys")))
		}},
		"Unable to list projects": {advice: []string{"list the projects of", "read:project:bitbucket"}, run: func(t *testing.T, s stage) string {
			s.Inject(emulator.Fault{Status: http.StatusForbidden})
			return s.plan(t, s.Config(workspaceKeys("bitbucket_project_deploy_keys")))
		}},
		"Unable to list deployments": {
			advice: []string{"list the deployments of", "read:pipeline:bitbucket and, for a repository that never deployed, read:repository:bitbucket"},
			run: func(t *testing.T, s stage) string {
				s.Inject(emulator.Fault{Status: http.StatusForbidden})
				return s.plan(t, s.Config(acctest.DataDeployments()))
			},
		},
		"Unable to read SSH host keys": {
			advice: []string{"show the host keys of its SSH server", "something other than Bitbucket has answered", "the address in a browser", "and check base_url and the proxy"},
			run: func(t *testing.T, s stage) string {
				s.Inject(emulator.LoginPage())
				return s.plan(t, s.Config(acctest.DataHostKeys))
			},
		},
		"Unable to list environments": {
			advice: []string{"list the environments of", "read:pipeline:bitbucket and, for a repository without environments, read:repository:bitbucket"},
			run: func(t *testing.T, s stage) string {
				s.Inject(emulator.Fault{Status: http.StatusForbidden})
				return s.plan(t, s.Config(acctest.DataEnvironments()))
			},
		},

		"401 Unauthorized": {
			advice: []string{"wrong or expired", "the e-mail address of the account", "an access token goes without username"},
			run:    configured(`token = "wrong"`),
		},
		"403 Forbidden": {advice: []string{"an administrator of the repository"}, run: func(t *testing.T, s stage) string {
			s.SetPermission("acme", "website", emulator.PermissionRead)
			return s.plan(t, s.Config(one))
		}},
		"The workspace admits only some IP addresses": {
			advice: []string{"No other token and no scope changes that", "allowed IP address", "two-step verification", "ask an administrator of the workspace"},
			run:    reads(emulator.Fault{Status: http.StatusForbidden, Body: notAdmitted}),
		},
		"This API is only accessible with the following authentication types": {
			advice: []string{"Set username and token to an Atlassian account and its API token"},
			run:    adds(emulator.Fault{Method: "POST", Status: http.StatusForbidden, Body: `{"error":{"message":"This API is only accessible with the following authentication types: session, password, apppassword"}}`}),
		},
		"Your credentials lack one or more required privilege scopes": {advice: []string{"Required scopes"}, run: func(t *testing.T, s stage) string {
			s.AllowBasic("ci@example.com", "weak", "read:repository:bitbucket")
			return s.plan(t, s.ConfigWith(one, `username = "ci@example.com"`, `token = "weak"`))
		}},
		"This API is not accessible by this authentication mechanism": {
			advice: []string{"Set username and token to an Atlassian account and its API token"},
			run: func(t *testing.T, s stage) string {
				s.AllowAccessToken("access-token")
				return s.apply(t, s.ConfigWith(managed, `token = "access-token"`))
			},
		},
		"Credentials cannot add deploy keys":    {advice: []string{apiToken}, run: forbidden(managed + strings.Replace(again, key, acctest.NewKey(t), 1))},
		"Credentials cannot update deploy keys": {advice: []string{apiToken}, run: forbidden(acctest.DeployKey(acctest.KeyLine(key), `label = "x"`))},
		"Credentials cannot delete deploy keys": {advice: []string{apiToken}, run: forbidden("")},
		"No access token could be had for the OAuth consumer": {
			advice: []string{"Check oauth_client_id and oauth_client_secret; the consumer must be marked as private"},
			run:    configured(`oauth_client_id = "id"`, `oauth_client_secret = "wrong"`),
		},
		"Missing Bitbucket credentials":     {advice: []string{"BITBUCKET_USERNAME", "BITBUCKET_TOKEN"}, run: configured()},
		"Incomplete Bitbucket credentials":  {advice: []string{"here is a username but no token beside it"}, run: configured(`username = "ci"`)},
		"Conflicting Bitbucket credentials": {advice: []string{"Keep one of them"}, run: configured(`token = "t"`, `oauth_client_id = "id"`)},
		"Empty Bitbucket credentials":       {advice: []string{"Give a value, or null to use the environment"}, run: configured(`token = ""`)},
		"Write token, not oauth_token":      {advice: []string{"without a username", "BITBUCKET_OAUTH_TOKEN works as it is"}, run: configured(`oauth_token = "t"`)},
		"Bitbucket cannot be asked yet": {advice: []string{"terraform apply -target=ADDRESS"}, run: func(t *testing.T, s stage) string {
			return s.plan(t, unknown(s, 1, one))
		}},
		"Bitbucket was not asked": {advice: []string{"were not refreshed", "once what the configuration depends on exists"}, run: func(t *testing.T, s stage) string {
			s.apply(t, unknown(s, 1, managed))
			return s.plan(t, unknown(s, 2, managed))
		}},
		"Deploy key depends on the OAuth consumer": {advice: []string{"any change to the consumer invalidates the key", "API token of an account"}, run: func(t *testing.T, s stage) string {
			s.AllowConsumer("id", "secret", 7200)
			return s.apply(t, s.ConfigWith(managed, `oauth_client_id = "id"`, `oauth_client_secret = "secret"`))
		}},

		"404 Not Found": {
			advice: []string{
				"was deleted or renamed, or these credentials cannot see it: Bitbucket answers all of that the same way", "put the new name into the configuration",
				"terraform apply -refresh=false", "terraform state rm ADDRESS",
			},
			run: then(managed, func(s stage) { s.RemoveRepository("acme", "website") }, managed),
		},
		"Not found: acme/website": {advice: []string{"Correct the name, unless", "will exist by then"}, run: func(t *testing.T, s stage) string {
			elsewhere := acctest.DeployKey(acctest.KeyLine(key), `repository = "api"`)
			s.apply(t, s.Config(elsewhere))
			s.RemoveRepository("acme", "website")
			return s.plan(t, s.Config(managed))
		}},
		"Repository has another name now": {
			advice: []string{"Change workspace and repository in the configuration to the new name"},
			run:    then(managed, func(s stage) { s.RenameRepository("acme", "website", "site") }, acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))),
		},
		"the name is that of another repository or project now": {advice: []string{"terraform state rm ADDRESS"}, run: func(t *testing.T, s stage) string {
			theirs := s.AddProjectDeployKey("acme", "WEB", key, "")
			only := strings.NewReplacer("bitbucket_deploy", "bitbucket_project_deploy", "repository", "project", "website", "WEB").Replace(exclusive(fmt.Sprintf("[%d]", theirs.ID)))
			s.apply(t, s.Config(only))
			s.RenameProject("acme", "WEB", "SITE")
			s.AddProject("acme", emulator.Project{Key: "WEB"})
			s.AddProjectDeployKey("acme", "WEB", key, "")
			return s.plan(t, s.Config(only))
		}},
		"only then is its deploy key kept": {advice: []string{"Nothing was changed"}, run: then(managed, func(s stage) {
			s.Inject(emulator.Fault{Path: "/api/"})
		}, acctest.DeployKey(acctest.KeyLine(key), `repository = "api"`))},
		"Deploy keys of some repositories are not included": {advice: []string{"Bitbucket", "403 or 404", "must be an administrator of"}, run: func(t *testing.T, s stage) string {
			s.SetPermission("acme", "website", emulator.PermissionRead)
			return s.plan(t, s.Config(workspaceKeys("bitbucket_deploy_keys")))
		}},
		"Deploy keys of some projects are not included": {advice: []string{"Bitbucket", "403 or 404", "must be an administrator of"}, run: func(t *testing.T, s stage) string {
			s.SetProjectPermission("acme", "PROJ", emulator.PermissionRead)
			return s.plan(t, s.Config(workspaceKeys("bitbucket_project_deploy_keys")))
		}},
		"Deploy keys of some repositories cannot be read": {advice: unreadable, run: func(t *testing.T, s stage) string {
			s.Inject(emulator.UnreadableKey(s.AddDeployKey("acme", "website", key, "").ID))
			return s.plan(t, s.Config(workspaceKeys("bitbucket_deploy_keys")))
		}},
		"Deploy keys of some projects cannot be read": {advice: unreadable, run: func(t *testing.T, s stage) string {
			s.Inject(emulator.UnreadableKey(s.AddProjectDeployKey("acme", "WEB", key, "").ID))
			return s.plan(t, s.Config(workspaceKeys("bitbucket_project_deploy_keys")))
		}},
		"Bitbucket lists entries without a readable key": {advice: unreadable, run: func(t *testing.T, s stage) string {
			s.Inject(emulator.UnreadableKey(s.AddDeployKey("acme", "website", key, "").ID))
			return s.apply(t, s.Config(exclusive("[1]")))
		}},
		"No repository found in the project": {advice: []string{"the project does not exist, or it has no repository that the account can see", "Check project and workspace"}, run: func(t *testing.T, s stage) string {
			return s.plan(t, s.Config(strings.Replace(workspaceKeys("bitbucket_deploy_keys"), "}", "  project = \"NONE\"\n}", 1)))
		}},
		"No single environment found": {advice: []string{"environment_uuid"}, run: func(t *testing.T, s stage) string {
			s.SetEnvironments("acme", "website", emulator.Environment{Name: "qa"}, emulator.Environment{Name: "qa"})
			return s.plan(t, s.Config(acctest.DataDeployments(`environment = "qa"`)))
		}},
		"Environment names of acme/website are missing": {advice: []string{"UUID of their environment only", "read:pipeline:bitbucket"}, run: func(t *testing.T, s stage) string {
			s.AddDeployment("acme", "website", emulator.Deployment{EnvironmentUUID: acctest.ProductionUUID})
			s.Inject(emulator.Fault{Path: "/environments/", Status: http.StatusForbidden})
			return s.plan(t, s.Config(acctest.DataDeployments()))
		}},
		"Not all deploy keys are listed": {
			advice: []string{"limit in the list block to a higher number; the default is 100", "it would remove the deploy keys that are not listed"},
			run:    listTooFew,
		},

		"429 Too Many Requests": {advice: []string{"1,000 requests an hour", "Run again later, or raise max_rate_limit_wait"}, run: reads(emulator.RateLimited())},
		"Bitbucket's rate limit is near": {advice: []string{"When none is left, this run waits, and fails after max_rate_limit_wait"}, run: func(t *testing.T, s stage) string {
			s.SetNearLimit(true)
			return s.apply(t, s.Config(managed))
		}},

		"No answer came that could be used": {advice: []string{"Check base_url, the network and the proxy (HTTPS_PROXY)"}, run: reads(emulator.Fault{Cut: true})},
		"failed to verify certificate": {
			advice: []string{"Either a proxy", "base_url leads to another server", "set SSL_CERT_FILE to a PEM file with the authority", "add the authority to the system's certificates"},
			run: func(t *testing.T, s stage) string {
				s.Fake, _, _ = startTLS(t)
				return s.plan(t, s.Config(one, atOnce))
			},
		},
		"refuses the connection: 407 Proxy Authentication Required": {advice: []string{"HTTPS_PROXY"}, run: func(t *testing.T, s stage) string {
			proxy := httptest.NewServer(&connecting{})
			t.Cleanup(proxy.Close)
			s.URL = "https://bitbucket.example.com"
			s.CLI = acctest.NewCLI(t, "HTTPS_PROXY="+proxy.URL, "https_proxy=", "NO_PROXY=", "no_proxy=")
			return s.plan(t, s.Config(one, atOnce))
		}},
		"Something other than Bitbucket's API has answered": {advice: []string{"base_url and the proxy (HTTPS_PROXY)"}, run: reads(emulator.LoginPage())},
		"The address has moved":                             {advice: []string{"Check workspace, repository, base_url and the proxy (HTTPS_PROXY)"}, run: reads(emulator.Redirect("https://login.example.com/"))},
		"Bitbucket failed":                                  {advice: []string{"Try again later; ", "bitbucket.status.atlassian.com", " tells of outages"}, run: reads(emulator.BadGateway())},
		"Bitbucket may have added the key all the same":     {advice: []string{"the next apply says that", "exists and how to import it"}, run: adds(emulator.ServerError())},
		"Bitbucket may have done it all the same": {advice: []string{"The next plan shows what there is"}, run: then(managed, func(s stage) {
			s.Inject(emulator.Fault{Method: "PUT"})
		}, acctest.DeployKey(acctest.KeyLine(key), `label = "x"`))},
		"is in the state as tainted": {
			advice: []string{"the next apply replaces it. To keep it, run", "terraform untaint ADDRESS"},
			run:    adds(emulator.Fault{Method: "POST", CarryOut: true, Status: http.StatusOK, Body: `{"id":10958984}`}, emulator.Fault{Method: "GET", Status: http.StatusForbidden}),
		},
		"The run was stopped": {run: func(t *testing.T, s stage) string { return readWhenStopped(t, s.Fake) }},
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
		"Bitbucket may refuse this key":    public(acctest.DSAKey(t), "DSA", "an Ed25519 key."),
		"Bitbucket refuses this key": {advice: []string{"RSA", "2048 bits", "Use an Ed25519 key, or a longer RSA key."}, run: func(t *testing.T, s stage) string {
			return s.plan(t, s.Config(acctest.DeployKey(acctest.KeyLine(acctest.ShortRSA(t)))))
		}},
		"Bitbucket refuses such a key today": {advice: []string{"keeps working, but could not be added again"}, run: func(t *testing.T, s stage) string {
			old := acctest.ShortRSA(t)
			s.Write(t, s.Config(acctest.DeployKey(acctest.KeyLine(old))))
			s.MustRun(t, "import", acctest.Address, fmt.Sprintf("acme/website/%d", s.AddDeployKey("acme", "website", old, "").ID))
			return s.plan(t, s.Config(acctest.DeployKey(acctest.KeyLine(old))))
		}},
		"has this key already": {advice: []string{"If no resource has it yet, import it"}, run: func(t *testing.T, s stage) string {
			s.AddDeployKey("acme", "website", key, "")
			return s.apply(t, s.Config(managed))
		}},
		"Deploy key exists already in acme/website": {advice: []string{"If no resource has this key yet, the apply will fail to add it"}, run: func(t *testing.T, s stage) string {
			theirs := acctest.NewKey(t)
			s.AddDeployKey("acme", "website", theirs, "")
			return changed(managed, managed+strings.Replace(again, key, theirs, 1))(t, s)
		}},
		"Same deploy key twice in acme/website": {advice: []string{"Bitbucket accepts a key once", "Remove one of the two resources."}, run: changed("", managed+again)},
		"has just added this key": {advice: []string{"Bitbucket accepts a key once", "keep one of the two resources"}, run: func(t *testing.T, s stage) string {
			return s.apply(t, s.Config(managed+again))
		}},
		"wants the same key": {advice: []string{"Nothing is lost: apply again"}, run: func(t *testing.T, s stage) string {
			s.apply(t, s.Config(managed))
			// With one operation at a time, Terraform begins with the create in half of the runs.
			var out string
			for i := range 20 {
				s.Write(t, s.Config(strings.Replace(managed, `"test"`, fmt.Sprintf("%q", fmt.Sprint("renamed_", i)), 1)))
				if out, _ = s.Run(t, "apply", "-auto-approve", "-parallelism=1"); strings.Contains(out, "wants the same key") {
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
		"so a user account or a workspace does": {
			advice: []string{"Bitbucket takes a key there or on repositories and projects, not both.", "Remove it there, or make another key"},
			run:    adds(emulator.Fault{Method: "POST", Status: http.StatusBadRequest, Body: `{"error":{"message":"Someone has already registered that SSH key."}}`}),
		},

		"Bitbucket does not let this key be changed in place": {
			advice: []string{"othing was changed", "terraform apply -replace=ADDRESS", `update_strategy = "replace" in the provider block`, "lifecycle { ignore_changes = [label, comment] }"},
			run:    then(managed, func(s stage) { s.SetPUT(emulator.PUTRefused) }, acctest.DeployKey(acctest.KeyLine(key), `label = "x"`)),
		},
		"Bitbucket may refuse to update this deploy key": {
			advice: []string{`update_strategy = "replace" in the provider block`, `update_strategy = "in_place"`, "try", "without this warning"},
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

		"Invalid workspace":  {advice: []string{"slug as it stands in the address of the page", "or a UUID in braces"}, validate: acctest.DeployKey(acctest.KeyLine(key), `workspace = "a/b"`)},
		"Invalid repository": {advice: []string{"slug as it stands in the address of the page", "or a UUID in braces"}, validate: acctest.DeployKey(acctest.KeyLine(key), `repository = "a/b"`)},
		"Invalid project":    {advice: []string{"as Bitbucket shows it, in capitals"}, validate: "\ndata \"bitbucket_deploy_keys\" \"test\" {\n  workspace = \"acme\"\n  project = \"web\"\n}\n"},
		"Invalid label": {advice: []string{"begins or ends with white space", "Use trimspace(), or remove it."}, run: func(t *testing.T, s stage) string {
			return s.plan(t, s.Config(acctest.DeployKey(acctest.KeyLine(key), `label = " x"`)))
		}},
		"Invalid comment": {advice: []string{"begins or ends with white space", "Use trimspace(), or remove it."}, run: func(t *testing.T, s stage) string {
			return s.plan(t, s.Config(acctest.DeployKey(acctest.KeyLine(key), `comment = " x"`)))
		}},
		"Invalid label_pattern":   {advice: []string{"in the syntax of RE2, as in Terraform's regex()"}, validate: "\ndata \"bitbucket_deploy_keys\" \"test\" {\n  workspace = \"acme\"\n  label_pattern = \"(\"\n}\n"},
		"Invalid number":          {advice: []string{"Write a whole number"}, validate: acctest.DataDeployKey("key_id = 1.5")},
		"Invalid duration":        {advice: []string{"positive duration", `with its unit, for example "30s"`}, run: configured(`request_timeout = "30"`)},
		"Invalid id":              {advice: []string{"workspace/repository/key_id"}, validate: acctest.DataDeployKey(`id = "x"`)},
		"Invalid Attribute Value": {advice: []string{"must be"}, validate: acctest.DataDeployKey("key_id = 0")},
		"Missing Configuration for Required Attribute":            {advice: []string{"required"}, validate: exclusive("null")},
		"Invalid Attribute Value Match":                           {advice: []string{"must be"}, run: configured(`token = "t"`, `update_strategy = "x"`)},
		"Invalid Attribute Combination":                           {advice: []string{"label", "fingerprint_sha256"}, validate: acctest.DataDeployKey("")},
		"Invalid function argument":                               called(acctest.ParseCall(`"hello"`)),
		"Expected a slug as it stands in the address of the page": called(acctest.ImportIDCall(`"a/b"`, `"website"`, "1"), "or a UUID in braces"),
		"Expected the number of the key":                          called(acctest.ImportIDCall(`"acme"`, `"website"`, "1.5"), "key_id"),

		"Invalid import ID": {advice: []string{"The bitbucket_deploy_keys data source lists the numbers."}, run: func(t *testing.T, s stage) string {
			s.Write(t, s.Config(managed))
			return s.Fails(t, []string{"import", acctest.Address, "acme"})
		}},
		"Invalid import identity": {advice: []string{"workspace", "repository", "key_id"}, run: func(t *testing.T, s stage) string { return importIdentity(t, s.Fake) }},
		"No single deploy key found": {advice: []string{"Use the number (key_id) of one of them"}, run: func(t *testing.T, s stage) string {
			s.AddDeployKey("acme", "website", acctest.NewKey(t), "CI")
			s.AddDeployKey("acme", "website", acctest.NewKey(t), "CI")
			return s.plan(t, s.Config(acctest.DataDeployKey(`label = "CI"`)))
		}},

		"Unable to take over deploy key": {advice: []string{"Nothing was changed.", "terraform state rm ADDRESS", "terraform import ADDRESS WORKSPACE/REPOSITORY/KEY_ID"}, run: taken("unknown-shape")},
		"Deploy key was not read yet":    {advice: []string{"Plan without -refresh=false"}, run: taken("drfaust92-imported", "-refresh=false")},
		"Setting id is deprecated":       {advice: []string{"another provider", "Write key_id with the number of the key."}, validate: acctest.DataDeployKey(`id = "1"`)},

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
		"No deploy key is allowed": {advice: []string{"If that is meant", "allow_empty = true"}, validate: exclusive("[]")},
		"No deploy key would be left": {advice: []string{"one of key_ids", "allow_empty = true"}, run: func(t *testing.T, s stage) string {
			s.AddDeployKey("acme", "website", key, "")
			s.apply(t, s.Config(exclusive("[5]")))
			return s.plan(t, s.Config(exclusive("[5]")))
		}},

		"Unexpected provider data":                 {advice: []string{"This is a bug in the provider. Please report it"}, run: configureWrongly},
		"Unable to configure the Bitbucket client": {never: "NewClient refuses only the base URL, which is checked before"},
	}
	for words, of := range map[string]string{ // Bitbucket's messages for some of the causes.
		"Token is invalid, expired, or not supported for this endpoint":                       "401 Unauthorized",
		"You may not have access to this repository or it no longer exists in this workspace": "404 Not Found",
		"an administrator must grant access to your IP address":                               "The workspace admits only some IP addresses",
		"Rate limit for this resource has been exceeded":                                      "429 Too Many Requests",
		"Someone has already added that access key to this repository":                        "has this key already",
		"Someone has already registered that SSH key":                                         "so a user account or a workspace does",
		"For security reasons, you can't modify the contents of an access key":                "Bitbucket does not let this key be changed in place",
	} {
		all[words] = all[of]
	}
	return all
}

// readWhenStopped returns the error of a data source when Terraform stops the run before
// Bitbucket has answered. A test cannot stop a command at that moment.
func readWhenStopped(t *testing.T, f *acctest.Fake) string {
	t.Helper()
	server := acctest.NewConfiguredServer(t, f)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	const name = "bitbucket_deploy_keys"
	resp, err := server.ReadDataSource(stopped, &tfprotov6.ReadDataSourceRequest{
		TypeName: name, Config: acctest.ProtocolObject(t, server.Schemas.DataSourceSchemas[name], map[string]string{"workspace": "acme", "repository": "website"}),
	})
	if err != nil || len(resp.Diagnostics) == 0 {
		t.Fatal(err, resp)
	}
	return diagnosed("error", resp.Diagnostics[0].Summary, resp.Diagnostics[0].Detail)
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
	return cause{advice: advice, run: func(t *testing.T, s stage) string {
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
	return diagnosed("error", resp.Diagnostics[0].Summary, resp.Diagnostics[0].Detail)
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
		for _, d := range result.Diagnostics {
			out += diagnosed(strings.ToLower(d.Severity.String()), d.Summary, d.Detail)
		}
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
	terraform := acctest.NewCLI(t, acctest.Attached(t))
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
