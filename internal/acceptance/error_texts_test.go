package acceptance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// Each reply leads to the advice that helps, and not to another one.
func TestAccErrors_texts(t *testing.T) {
	t.Parallel()
	const (
		scopes = "Scopes of its API token:"
		other  = "The reply is not from Bitbucket's API"
	)
	key := acctest.NewKey(t)
	post := func(status int, body string) []emulator.Fault {
		return []emulator.Fault{{Method: "POST", Status: status, Body: body}}
	}
	for name, tc := range map[string]struct {
		token    string
		faults   []emulator.Fault
		want     []string
		unwanted []string
	}{
		"IP address": {"api-token", post(403, notAdmitted), []string{"Bitbucket says: To access", "The workspace admits only some IP addresses"}, []string{scopes}},
		"two-step verification": {
			"api-token", post(403, `{"error":{"message":"Two-step verification is required to access this workspace."}}`),
			[]string{"The workspace admits only", "turn on two-step verification"},
			[]string{scopes},
		},
		"firewall": {
			"api-token", post(403, "<html><head><title>Blocked by WAF</title></head></html>"),
			[]string{`403 Forbidden: an HTML page with the title "Blocked by WAF"`, other},
			[]string{scopes, "Bitbucket says"},
		},
		"another server": {
			"api-token", post(404, "<html><head><title>Page not found</title></head></html>"),
			[]string{`404 Not Found: an HTML page with the title "Page not found"`, other},
			[]string{scopes, "typo"},
		},
		"closed endpoint": {
			"api-token", post(403, `{"error":{"message":"This API is only accessible with the following authentication types: session, password, apppassword"}}`),
			[]string{"Use an API token: set username to the e-mail address of an Atlassian account"},
			nil,
		},
		"forbidden": {"api-token", post(403, ""), []string{"403 Forbidden: an empty reply", scopes}, []string{"Bitbucket says"}},
		"fields": {
			"api-token", post(400, `{"key":["This key is weak."],"label":["Ensure this value has at most 100 characters."]}`),
			[]string{"Bitbucket says about key: This key is weak.", "Bitbucket says about label: Ensure this value"},
			[]string{"Bitbucket says: "},
		},
		"redirect": {
			"api-token",
			[]emulator.Fault{{Method: "POST", Status: http.StatusMovedPermanently, Header: http.Header{"Location": {"/2.0/repositories/acme/renamed/deploy-keys?token=x"}}}},
			[]string{"it redirects to http://127.0.0.1:", "/2.0/repositories/acme/renamed/deploy-keys"},
			[]string{"token=x"},
		},
		"token in a refusal": {
			"access", post(403, `{"error":{"message":"This API is not accessible by this authentication mechanism"}}`),
			[]string{"403 Forbidden: a reply that repeats the credentials of the request", "Use an API token: set username to the e-mail address of an Atlassian account"},
			[]string{"accessible", "Bitbucket says"},
		},
		"token in a conflict": {
			"registered", post(400, `{"error":{"message":"Someone has already registered that SSH key."}}`),
			[]string{"a reply that repeats the credentials of the request", "so a user account or a workspace has it"},
			[]string{"Bitbucket says"},
		},
		"only an id": {
			"api-token",
			[]emulator.Fault{{Method: "POST", CarryOut: true, Status: http.StatusOK, Body: `{"id":10958984}`}, {Method: "GET", Status: http.StatusForbidden}},
			[]string{"Bitbucket added the key with the ID 10958984"},
			[]string{"may have added"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stage{acctest.NewFake(t), acctest.NewCLI(t)}
			s.AllowBasic("ci@example.com", tc.token, "admin:repository:bitbucket", "write:ssh-key:bitbucket")
			s.Inject(tc.faults...)
			out := s.apply(t, s.ConfigWith(acctest.DeployKey(acctest.KeyLine(key)), `username = "ci@example.com"`, `token = "`+tc.token+`"`, atOnce))
			_, out, _ = strings.Cut(out, "Error: Unable to create deploy key")
			for _, words := range tc.want {
				if !strings.Contains(out, words) {
					t.Errorf("there is no %q in %s", words, out)
				}
			}
			for _, words := range tc.unwanted {
				if strings.Contains(out, words) {
					t.Errorf("there is %q in %s", words, out)
				}
			}
		})
	}
}

// The error about a name has an example of that name, and the error of a data source without
// a choice names key_id.
func TestAccErrors_examples(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	key := acctest.KeyLine(acctest.NewKey(t))
	for config, want := range map[string]string{
		acctest.DeployKey(key, `workspace = "acme/web"`):  `"my-workspace" in bitbucket.org/my-workspace/my-repository`,
		acctest.DeployKey(key, `repository = "acme/web"`): `"my-repository" in bitbucket.org/my-workspace/my-repository`,
		acctest.DataDeployKey(""):                         "one (and only one) of [key_id,label,fingerprint_sha256,id] is required",
	} {
		terraform.Write(t, f.Config(config))
		terraform.Fails(t, []string{"validate"}, want)
	}
}
