package provider

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	set := types.StringValue
	type env map[string]string
	type problem struct{ summary, path, word string }
	basic := transport.Basic{Username: "me", Token: "t"}
	for name, tc := range map[string]struct {
		block   providerModel
		env     env
		want    transport.Credentials
		problem problem
	}{
		"username and token":       {block: providerModel{Username: set("me"), Token: set("t")}, want: basic},
		"username and password":    {block: providerModel{Username: set("me"), Password: set("t")}, want: basic},
		"token":                    {block: providerModel{Token: set("t")}, want: transport.Bearer{Token: "t"}},
		"consumer":                 {block: providerModel{OAuthClientID: set("i"), OAuthClientSecret: set("s")}, want: transport.OAuthConsumer{ID: "i", Secret: "s"}},
		"token is complete":        {block: providerModel{Token: set("t")}, env: env{"BITBUCKET_USERNAME": "me", "BITBUCKET_OAUTH_CLIENT_ID": "i", "BITBUCKET_OAUTH_CLIENT_SECRET": "s"}, want: transport.Bearer{Token: "t"}},
		"block wins":               {block: providerModel{OAuthClientID: set("i"), OAuthClientSecret: set("s")}, env: env{"BITBUCKET_USERNAME": "me", "BITBUCKET_TOKEN": "t"}, want: transport.OAuthConsumer{ID: "i", Secret: "s"}},
		"username, token in env":   {block: providerModel{Username: set("me")}, env: env{"BITBUCKET_TOKEN": "t", "BITBUCKET_USERNAME": "you"}, want: basic},
		"username, password there": {block: providerModel{Username: set("me")}, env: env{"BITBUCKET_PASSWORD": "t"}, want: basic},
		"token wins over password": {block: providerModel{Username: set("me")}, env: env{"BITBUCKET_TOKEN": "t", "BITBUCKET_PASSWORD": "p"}, want: basic},
		"password, username there": {block: providerModel{Password: set("t")}, env: env{"BITBUCKET_USERNAME": "me"}, want: basic},
		"id, secret there":         {block: providerModel{OAuthClientID: set("i")}, env: env{"BITBUCKET_OAUTH_CLIENT_SECRET": "s"}, want: transport.OAuthConsumer{ID: "i", Secret: "s"}},
		"secret, id there":         {block: providerModel{OAuthClientSecret: set("s")}, env: env{"BITBUCKET_OAUTH_CLIENT_ID": "i"}, want: transport.OAuthConsumer{ID: "i", Secret: "s"}},
		"env: basic":               {env: env{"BITBUCKET_USERNAME": "me", "BITBUCKET_TOKEN": "t"}, want: basic},
		"env: password":            {env: env{"BITBUCKET_USERNAME": "me", "BITBUCKET_PASSWORD": "t"}, want: basic},
		"env: both secrets":        {env: env{"BITBUCKET_USERNAME": "me", "BITBUCKET_TOKEN": "t", "BITBUCKET_PASSWORD": "p"}, want: basic},
		"env: token":               {env: env{"BITBUCKET_TOKEN": "t"}, want: transport.Bearer{Token: "t"}},
		"env: OAuth token":         {env: env{"BITBUCKET_OAUTH_TOKEN": "t"}, want: transport.Bearer{Token: "t"}},
		"env: the same token":      {env: env{"BITBUCKET_OAUTH_TOKEN": "t", "BITBUCKET_TOKEN": "t"}, want: transport.Bearer{Token: "t"}},
		"env: consumer":            {env: env{"BITBUCKET_OAUTH_CLIENT_ID": "i", "BITBUCKET_OAUTH_CLIENT_SECRET": "s"}, want: transport.OAuthConsumer{ID: "i", Secret: "s"}},
		"env: halves beside":       {env: env{"BITBUCKET_OAUTH_TOKEN": "t", "BITBUCKET_USERNAME": "me", "BITBUCKET_OAUTH_CLIENT_ID": "i"}, want: transport.Bearer{Token: "t"}},

		"newline":      {block: providerModel{Username: set("me"), Token: set("t\n")}, want: basic},
		"env: newline": {env: env{"BITBUCKET_OAUTH_TOKEN": "t\n"}, want: transport.Bearer{Token: "t"}},

		"none":                      {problem: problem{"Missing Bitbucket credentials", "", "BITBUCKET_TOKEN"}},
		"two methods":               {block: providerModel{Username: set("me"), Token: set("t"), OAuthClientID: set("i"), OAuthClientSecret: set("s")}, problem: problem{"Conflicting Bitbucket credentials", "oauth_client_id", "OAuth consumer"}},
		"two secrets of methods":    {block: providerModel{Token: set("t"), OAuthClientSecret: set("s")}, problem: problem{"Conflicting Bitbucket credentials", "", "OAuth consumer"}},
		"secret beside username":    {block: providerModel{Username: set("me"), OAuthClientSecret: set("s")}, problem: problem{"Conflicting Bitbucket credentials", "username", "OAuth consumer"}},
		"token and password":        {block: providerModel{Token: set("t"), Password: set("p")}, problem: problem{"Conflicting Bitbucket credentials", "", "both token and password"}},
		"token, password, username": {block: providerModel{Username: set("me"), Token: set("t"), Password: set("p")}, problem: problem{"Conflicting Bitbucket credentials", "username", "both token and password"}},
		"username only":             {block: providerModel{Username: set("me")}, env: env{"BITBUCKET_OAUTH_TOKEN": "o"}, problem: problem{"Incomplete Bitbucket credentials", "username", "BITBUCKET_TOKEN"}},
		"password only":             {block: providerModel{Password: set("p")}, problem: problem{"Incomplete Bitbucket credentials", "", "BITBUCKET_USERNAME"}},
		"id only":                   {block: providerModel{OAuthClientID: set("i")}, problem: problem{"Incomplete Bitbucket credentials", "oauth_client_id", "BITBUCKET_OAUTH_CLIENT_SECRET"}},
		"secret only":               {block: providerModel{OAuthClientSecret: set("s")}, problem: problem{"Incomplete Bitbucket credentials", "", "BITBUCKET_OAUTH_CLIENT_ID"}},
		"empty":                     {block: providerModel{Username: set("me"), Token: set("")}, env: env{"BITBUCKET_TOKEN": "t"}, problem: problem{"Empty Bitbucket credentials", "", "token"}},
		"env: username only":        {env: env{"BITBUCKET_USERNAME": "me"}, problem: problem{"Incomplete Bitbucket credentials", "", "only a part"}},
		"env: password only":        {env: env{"BITBUCKET_PASSWORD": "p"}, problem: problem{"Incomplete Bitbucket credentials", "", "only a part"}},
		"env: two methods":          {env: env{"BITBUCKET_USERNAME": "me", "BITBUCKET_TOKEN": "t", "BITBUCKET_OAUTH_CLIENT_ID": "i", "BITBUCKET_OAUTH_CLIENT_SECRET": "s"}, problem: problem{"Conflicting Bitbucket credentials", "", "BITBUCKET_OAUTH_CLIENT_ID"}},
		"env: two tokens":           {env: env{"BITBUCKET_TOKEN": "t", "BITBUCKET_OAUTH_TOKEN": "o"}, problem: problem{"Conflicting Bitbucket credentials", "", "BITBUCKET_OAUTH_TOKEN"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var diags diag.Diagnostics
			got := tc.block.credentials(func(name string) string { return tc.env[name] }, &diags)
			if tc.problem == (problem{}) {
				if diags.HasError() || got != tc.want {
					t.Fatalf("got %T, want %T: %v", got, tc.want, diags)
				}
				return
			}
			if len(diags) != 1 || diags[0].Summary() != tc.problem.summary || !strings.Contains(diags[0].Detail(), tc.problem.word) {
				t.Fatalf("got %v, want %q with %q", diags, tc.problem.summary, tc.problem.word)
			}
			path := ""
			if at, ok := diags[0].(diag.DiagnosticWithPath); ok {
				path = at.Path().String()
			}
			if path != tc.problem.path {
				t.Errorf("the error is on the attribute %q, want %q", path, tc.problem.path)
			}
		})
	}
}

// Each authentication method sends these headers.
func TestAccProvider_authentication(t *testing.T) {
	t.Parallel()
	basic := func(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }
	for name, tc := range map[string]struct {
		lines []string
		want  string
	}{
		"API token": {[]string{`username = "ci@example.com"`, `token = "secret"`}, basic("ci@example.com:secret")},
		"password":  {[]string{`username = "ci@example.com"`, `password = "secret"`}, basic("ci@example.com:secret")},
		"bearer":    {[]string{`token = "secret"`}, "Bearer secret"},
		"consumer":  {[]string{`oauth_client_id = "id"`, `oauth_client_secret = "secret"`}, "Bearer "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := acctest.NewFake(t)
			f.Revoke()
			f.AllowBasic("ci@example.com", "secret")
			f.AllowBearer("secret")
			f.AllowConsumer("id", "secret", 7200)
			acctest.Test(t, acctest.Step{
				Config:            f.ConfigWith(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))), tc.lines...),
				ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(acctest.Address, tfjsonpath.New("key_id"), knownvalue.NotNull())},
			})
			for _, request := range f.Requests() {
				want := tc.want
				if strings.HasPrefix(request.Path, "/site/") {
					want = basic("id:secret")
				}
				if !strings.HasPrefix(request.Authorization, want) {
					t.Errorf("%s %s was sent with %s", request.Method, request.Path, request.Authorization)
				}
				if request.UserAgent != "terraform-provider-bitbucket/test" {
					t.Errorf("%s %s was sent by %q", request.Method, request.Path, request.UserAgent)
				}
			}
		})
	}
}

// An access token can read keys, but cannot add one.
func TestAccProvider_accessToken(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	f.Revoke()
	f.AllowAccessToken("access-token")
	f.AddDeployKey("acme", "website", acctest.NewKey(t), "ci")
	acctest.Test(t,
		acctest.Step{Config: f.ConfigWith(acctest.DataDeployKey(`label = "ci"`), `token = "access-token"`)},
		acctest.Step{
			Config: f.ConfigWith(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))), `token = "access-token"`),
			ExpectError: acctest.Message("Unable to create deploy key", "403 Forbidden", "This API is not accessible by this authentication mechanism",
				"can read deploy keys, but cannot add", "Use an API token"),
		},
	)
}

// The provider requests a new token when the token expires during a run.
func TestAccProvider_tokenExpires(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	f.Revoke()
	f.AllowConsumer("id", "secret", 1)
	acctest.Test(t, acctest.Step{
		Config: f.ConfigWith(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))), `oauth_client_id = "id"`, `oauth_client_secret = "secret"`),
	})
	fetched := 0
	for _, line := range f.Sent() {
		if strings.HasPrefix(line, "POST /site/oauth2/access_token") {
			fetched++
		} else if strings.HasSuffix(line, "401") {
			t.Errorf("an expired token was sent: %s", line)
		}
	}
	if fetched < 2 {
		t.Errorf("%d tokens were fetched", fetched)
	}
}

func TestAccProvider_wrongConsumer(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	f.Revoke()
	f.AllowConsumer("id", "secret", 7200)
	acctest.Test(t, acctest.Step{
		Config:      f.ConfigWith(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))), `oauth_client_id = "id"`, `oauth_client_secret = "wrong"`),
		ExpectError: acctest.Message("Unable to create deploy key", "POST /site/oauth2/access_token: 401 Unauthorized", "consumer must be marked as private"),
	})
	if sent := f.Sent(); slices.ContainsFunc(sent, func(line string) bool { return strings.Contains(line, "deploy-keys") }) {
		t.Errorf("requests were made without a token: %v", sent)
	}
}

// The environment provides the values that the provider block omits. These tests set
// variables of the process, so they do not run in parallel with other tests.
func TestAccProvider_environment(t *testing.T) { //nolint:paralleltest // See above.
	for name, tc := range map[string]struct {
		env   map[string]string
		lines []string
		want  string
	}{
		"all":              {map[string]string{"BITBUCKET_USERNAME": "ci", "BITBUCKET_TOKEN": "t", "BITBUCKET_PASSWORD": "other"}, nil, "Basic Y2k6dA=="},
		"missing half":     {map[string]string{"BITBUCKET_PASSWORD": "t", "BITBUCKET_OAUTH_TOKEN": "other"}, []string{`username = "ci"`}, "Basic Y2k6dA=="},
		"OAuth token":      {map[string]string{"BITBUCKET_OAUTH_TOKEN": "t", "BITBUCKET_TOKEN": ""}, nil, "Bearer t"},
		"block is enough":  {map[string]string{"BITBUCKET_USERNAME": "ci"}, []string{`token = "t"`}, "Bearer t"},
		"null is left out": {map[string]string{"BITBUCKET_TOKEN": "t"}, []string{"username = null"}, "Bearer t"},
	} {
		t.Run(name, func(t *testing.T) {
			f := acctest.NewFake(t)
			f.Revoke()
			f.AllowBasic("ci", "t")
			f.AllowBearer("t")
			t.Setenv("BITBUCKET_BASE_URL", f.URL+"/2.0/")
			for variable, value := range tc.env {
				t.Setenv(variable, value)
			}
			acctest.Test(t, acctest.Step{
				Config: acctest.RequiredProviders + "\nprovider \"bitbucket\" {\n  " + strings.Join(tc.lines, "\n  ") + "\n}\n" + acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))),
			})
			for _, request := range f.Requests() {
				if request.Authorization != tc.want {
					t.Errorf("%s %s was sent with %s, want %s", request.Method, request.Path, request.Authorization, tc.want)
				}
			}
		})
	}
}

// The error names the attribute to use instead of oauth_token, which is the name in another
// provider. It does not show the line with the token.
func TestAccProvider_oauthToken(t *testing.T) {
	t.Parallel()
	f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
	terraform.Write(t, f.ConfigWith(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))), `oauth_token = "very-secret"`))
	for _, command := range []string{"validate", "plan"} {
		if out := terraform.Fails(t, []string{command}, "Write token, not oauth_token", "BITBUCKET_OAUTH_TOKEN works unchanged"); strings.Contains(out, "very-secret") {
			t.Errorf("%s shows the token: %s", command, out)
		}
	}
}

// Wrong credentials of the OAuth consumer and other failures of the request for a token
// result in different advice.
func TestAccProvider_noAccessToken(t *testing.T) {
	t.Parallel()
	const consumer = "Check oauth_client_id and oauth_client_secret"
	for name, tc := range map[string]struct {
		fault  emulator.Fault
		advice string
		other  string
	}{
		"refused":   {emulator.Fault{Status: http.StatusUnauthorized}, consumer, "max_rate_limit_wait"},
		"limited":   {emulator.RateLimited(), "Requests made by this run: 1", consumer},
		"outage":    {emulator.ServerError(), "Bitbucket failed. See https://bitbucket.status.atlassian.com", consumer},
		"no answer": {emulator.Fault{Cut: true}, "No usable reply arrived.", consumer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, terraform := acctest.NewFake(t), acctest.NewCLI(t)
			f.AllowConsumer("id", "secret", 7200)
			f.Inject(tc.fault)
			terraform.Write(t, f.ConfigWith(acctest.DataDeployKey("key_id = 1"), `oauth_client_id = "id"`, `oauth_client_secret = "secret"`, "max_retries = 0", `max_rate_limit_wait = "0s"`))
			if out := terraform.Fails(t, []string{"plan"}, "POST /site/oauth2/access_token", tc.advice); strings.Contains(out, tc.other) {
				t.Errorf("the output contains %q: %s", tc.other, out)
			}
		})
	}
}
