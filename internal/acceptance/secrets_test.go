package acceptance

import (
	"archive/zip"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	secretToken   = "ATATT3xFfGF0Qk9wZ2xhc3M/ZG9lc24nd+CBiZWxpZXZlIHRoaXMgaXMgb25lX-0=9B4E7A1C"
	secretOfOAuth = "kP4/tZ8wLr2+Vn6xQb9_Hs3-Jm7dGf5c"
)

// Terraform must not print or write a secret, whatever happens to a key, and whatever
// Bitbucket or a proxy answers. The secrets are ephemeral variables, because Terraform
// writes the configuration and other variables into a plan.
func TestAccProvider_secretsStaySecret(t *testing.T) {
	t.Parallel()
	const variables = "\nvariable \"secret\" {\n  type      = string\n  ephemeral = true\n}\n"
	variable := func(value string) []string { return []string{"TF_VAR_secret=" + value, "TF_LOG_PATH=trace.log"} }
	for name, tc := range map[string]struct {
		lines []string
		env   []string
		// every means that each command runs, with all kinds of resources and data sources. The
		// other credentials are only used for what differs between credentials: the replies.
		every bool
	}{
		"API token":                 {[]string{`username = "ci@example.com"`, "token = var.secret"}, variable(secretToken), true},
		"password":                  {[]string{`username = "ci@example.com"`, "password = var.secret"}, variable(secretToken), false},
		"access token":              {[]string{"token = var.secret"}, variable(secretToken), false},
		"consumer":                  {[]string{`oauth_client_id = "consumer-id"`, "oauth_client_secret = var.secret"}, variable(secretOfOAuth), false},
		"environment: API token":    {nil, []string{"BITBUCKET_USERNAME=ci@example.com", "BITBUCKET_PASSWORD=" + secretToken}, false},
		"environment: access token": {nil, []string{"BITBUCKET_OAUTH_TOKEN=" + secretToken}, false},
		"environment: consumer":     {nil, []string{"BITBUCKET_OAUTH_CLIENT_ID=consumer-id", "BITBUCKET_OAUTH_CLIENT_SECRET=" + secretOfOAuth}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			more := ""
			if len(tc.lines) > 0 {
				more = variables
			}
			f, terraform := newRepeating(t), acctest.NewBuiltCLI(t, append(tc.env, "TF_LOG=TRACE")...)
			key, existing := acctest.KeyLine(acctest.NewKey(t)), f.AddDeployKey("acme", "website", acctest.NewKey(t), "imported")
			credentials := more
			more += strings.Replace(acctest.DeployKey(acctest.KeyLine(existing.Key), `label = "imported"`), `"test"`, `"imported"`, 1)
			created := more + acctest.DataHostKeys + acctest.DeployKey(key) + acctest.WEB.DeployKey(key)
			changed := more + acctest.DeployKey(key, `label = "changed"`) + acctest.WEB.DeployKey(key, `label = "changed"`)

			var printed strings.Builder
			run := func(succeeds bool, config string, args ...string) {
				t.Helper()
				terraform.Write(t, f.ConfigWith(config, append(tc.lines, "max_retries = 0")...))
				out, ok := terraform.Run(t, args...)
				printed.WriteString(out)
				if ok != succeeds {
					t.Errorf("%v: got success %t: %s", args, ok, out)
				}
			}
			list := everyTrouble(acctest.WEB, `data "bitbucket_project_deploy_keys"`)
			consumer := strings.Contains(name, "consumer")
			if tc.every {
				run(true, created, "import", "bitbucket_deploy_key.imported", fmt.Sprintf("acme/website/%d", existing.ID))
				run(true, created, "plan", "-out=saved.tfplan")
				run(true, created, "apply", "saved.tfplan")
				run(false, changed+everyTrouble(acctest.Website, `resource "bitbucket_deploy_key"`, key)+everyTrouble(acctest.WEB, `resource "bitbucket_project_deploy_key"`, key), "apply", "-auto-approve")
				run(false, changed+list+everyTrouble(acctest.Website, `data "bitbucket_deploy_keys"`)+
					everyTrouble(acctest.Website, `data "bitbucket_deployments"`)+everyTrouble(acctest.Website, `data "bitbucket_environments"`), "plan")
				f.Inject(emulator.Fault{Method: "DELETE", Status: 403, Times: 1})
				run(false, changed, "destroy", "-auto-approve")
				f.tokens.Store(true)
				run(!consumer, changed, "destroy", "-auto-approve")
			} else {
				run(false, credentials+acctest.DataHostKeys+list, "plan")
				if consumer {
					f.tokens.Store(true)
					run(false, credentials+acctest.DataDeployKey(`label = "imported"`), "plan")
				}
			}

			secrets := []string{secretToken, secretOfOAuth}
			hostKeys := 0
			for _, request := range f.Requests() {
				if request.Path == "/site/ssh" {
					hostKeys++
					if request.Authorization != "" {
						t.Error("the request for the host keys had credentials")
					}
				}
				if token, ok := strings.CutPrefix(request.Authorization, "Bearer "); ok {
					secrets = append(secrets, token)
				}
			}
			if hostKeys == 0 {
				t.Error("the host keys were not read")
			}
			written := writtenBy(t, terraform)
			if tc.every {
				expectFiles(t, written, "terraform.tfstate", "terraform.tfstate.backup", "saved.tfplan/tfplan")
				acctest.Contains(t, printed.String(), "add a deploy key to project acme/REPEATS_IN_JSON")
			}
			written["output"] = printed.String()
			for file, text := range written {
				if part := partOfSecret(text, secrets); part != "" {
					t.Errorf("%s contains %q", file, part)
				}
			}
			acctest.Contains(t, written["trace.log"]+written["output"], "Bitbucket API exchange", "Authorization: ")
			acctest.Contains(t, written["output"], "list the deploy keys of project acme/REPEATS_IN_JSON")
		})
	}
}

// repeating is an emulator behind a proxy that repeats the request in its answer.
type repeating struct {
	*acctest.Fake
	// tokens makes the proxy repeat requests for an access token too.
	tokens atomic.Bool
}

func newRepeating(t *testing.T) *repeating {
	t.Helper()
	f := &repeating{Fake: acctest.NewFake(t)}
	f.Revoke()
	f.AllowBasic("ci@example.com", secretToken)
	f.AllowBearer(secretToken)
	f.AllowConsumer("consumer-id", url.QueryEscape(secretOfOAuth), 7200)
	for name, fault := range troubles {
		for _, parent := range []acctest.Parent{acctest.Website, acctest.WEB} {
			fault.Path = trouble(parent, name).Path + "/"
			f.Inject(fault)
		}
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// trouble returns the repository or project with this name. The name of a project is in
// capitals.
func trouble(p acctest.Parent, name string) acctest.Parent {
	if p.IsProject() {
		name = strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	}
	return p.Named(name)
}

// troubles maps the names of repositories and projects to their faulty answers.
var troubles = map[string]emulator.Fault{
	"unauthorized": emulator.Unauthorized(),
	"forbidden":    emulator.Forbidden(),
	"failing":      emulator.ServerError(),
	"page":         emulator.BadGateway(),
	"cut":          {Cut: true},
	"truncated":    {Truncate: true},
}

// repeats maps the names of repositories and projects to answers that repeat a part of the
// request.
var repeats = map[string]func(w http.ResponseWriter, credentials string){
	"repeats-in-json": func(w http.ResponseWriter, credentials string) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error": {"message": %q, "detail": %[1]q, "fields": {%[1]q: [%[1]q]}, "id": %[1]q}}`, credentials)
	},
	"repeats-in-text": func(w http.ResponseWriter, credentials string) {
		w.WriteHeader(http.StatusProxyAuthRequired)
		for ; len(credentials) > 50; credentials = credentials[50:] {
			_, _ = fmt.Fprintln(w, credentials[:50])
		}
		_, _ = fmt.Fprintln(w, credentials)
	},
	"repeats-in-title": func(w http.ResponseWriter, credentials string) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "<html><title>%s</title>", credentials)
	},
	"repeats-in-headers": func(w http.ResponseWriter, credentials string) {
		for _, name := range []string{"Retry-After", "Www-Authenticate", "X-Request-Id", "X-Oauth-Scopes", "X-Ratelimit-Limit", "Location"} {
			w.Header().Set(name, credentials)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	},
	"repeats-in-success": func(w http.ResponseWriter, credentials string) {
		_, _ = fmt.Fprintf(w, `{"id": 7, "key": %q, "label": %[1]q, "comment": %[1]q, "created_on": %[1]q, "values": [{"id": 7, "key": %[1]q, "label": %[1]q}]}`, credentials)
	},
	"repeats-no-http": func(w http.ResponseWriter, credentials string) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintf(conn, "%s\r\n\r\n", credentials)
		_ = conn.Close()
	},
}

func (f *repeating) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, password, _ := r.BasicAuth()
	credentials := fmt.Sprintf("Refused: Authorization: %s %s", password, r.Header.Get("Authorization"))
	for name, repeat := range repeats {
		switch {
		case !strings.HasPrefix(r.URL.Path, trouble(acctest.Website, name).Path+"/") && !strings.HasPrefix(r.URL.Path, trouble(acctest.WEB, name).Path+"/"):
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			repeat(w, credentials)
			return
		}
	}
	if f.tokens.Load() && strings.HasPrefix(r.URL.Path, "/site/") {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprintf(w, `{"error": "invalid_client", "error_description": %q}`, credentials)
		return
	}
	f.Fake.ServeHTTP(w, r)
}

// everyTrouble returns a block of this kind for each repository or project in troubles and
// repeats.
func everyTrouble(parent acctest.Parent, kind string, lines ...string) string {
	var names []string
	for _, name := range slices.Concat(slices.Collect(maps.Keys(troubles)), slices.Collect(maps.Keys(repeats))) {
		names = append(names, fmt.Sprintf("%q", trouble(parent, name).Name))
	}
	return fmt.Sprintf("\n%s \"trouble\" {\n  for_each  = toset([%s])\n  workspace = \"acme\"\n  %s = each.key\n  %s\n}\n",
		kind, strings.Join(names, ", "), parent.Kind, strings.Join(lines, "\n  "))
}

// writtenBy returns the texts of all files that the CLI wrote, including the files
// inside a saved plan.
func writtenBy(t *testing.T, terraform *acctest.CLI) map[string]string {
	t.Helper()
	texts := map[string]string{}
	read := func(name string, open func() (io.ReadCloser, error)) {
		file, err := open()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		text, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	err := filepath.WalkDir(terraform.Dir, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		if err != nil || entry.IsDir() || name == "main.tf" || name == "cli.tfrc" {
			return err
		}
		read(name, func() (io.ReadCloser, error) { return os.Open(path) })
		if filepath.Ext(name) == ".tfplan" {
			plan, err := zip.NewReader(strings.NewReader(texts[name]), int64(len(texts[name])))
			if err != nil {
				return err
			}
			for _, file := range plan.File {
				read(name+"/"+file.Name, file.Open)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// expectFiles fails the test unless all of these files were read and have content.
func expectFiles(t *testing.T, read map[string]string, names ...string) {
	t.Helper()
	for _, name := range names {
		if read[name] == "" {
			t.Errorf("the test did not look into %s", name)
		}
	}
}

// partOfSecret returns a part of a secret that is in the text, "" if there is none. It
// finds plain text and base64 in any alphabet and alignment, even across lines.
func partOfSecret(text string, secrets []string) string {
	const length = 16
	parts := map[string]bool{}
	for _, secret := range secrets {
		forms := []string{secret, url.QueryEscape(secret)}
		for before := range 3 {
			form := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", before) + secret))
			forms = append(forms, form, strings.NewReplacer("+", "-", "/", "_").Replace(form))
		}
		for _, form := range forms {
			for ; len(form) >= length; form = form[1:] {
				parts[form[:length]] = true
			}
		}
	}
	for _, text := range []string{text, strings.Join(strings.Fields(text), "")} {
		for i := range max(0, len(text)-length+1) {
			if part := text[i : i+length]; parts[part] {
				return part
			}
		}
	}
	return ""
}
