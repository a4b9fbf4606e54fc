package provider

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

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

// configuredRun starts a run with only these attributes in the provider block.
func configuredRun(t *testing.T, f *acctest.Fake, attributes map[string]string) *keyRun {
	t.Helper()
	r := &keyRun{acctest.NewServer(t), f, acctest.Website}
	if out := r.Configure(t, attributes); out != "" {
		t.Fatal(out)
	}
	return r
}

// Each authentication method sends these headers.
func TestProvider_authentication(t *testing.T) {
	t.Parallel()
	basic := func(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }
	for name, tc := range map[string]struct {
		attributes map[string]string
		want       string
	}{
		"API token": {map[string]string{"username": "ci@example.com", "token": "secret"}, basic("ci@example.com:secret")},
		"password":  {map[string]string{"username": "ci@example.com", "password": "secret"}, basic("ci@example.com:secret")},
		"bearer":    {map[string]string{"token": "secret"}, "Bearer secret"},
		"consumer":  {map[string]string{"oauth_client_id": "id", "oauth_client_secret": "secret"}, "Bearer "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := acctest.NewFake(t)
			f.Revoke()
			f.AllowBasic("ci@example.com", "secret")
			f.AllowBearer("secret")
			f.AllowConsumer("id", "secret", 7200)
			tc.attributes["base_url"] = f.URL + "/2.0"
			r := configuredRun(t, f, tc.attributes)
			stored, created := r.apply(t, nil, r.plan(t, nil, map[string]string{"key": acctest.NewKey(t)}))
			if _, read := r.read(t, stored); strings.Contains(created, "Error: ") || read != "" {
				t.Error(created, read)
			}
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
			if methods := f.Writes(); !slices.Contains(methods, "POST "+acctest.Collection+" 200") {
				t.Errorf("sent %v", methods)
			}
		})
	}
}

// An access token can read keys, but cannot add one.
func TestProvider_accessToken(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	f.Revoke()
	f.AllowAccessToken("access-token")
	f.AddDeployKey("acme", "website", acctest.NewKey(t), "ci")
	r := configuredRun(t, f, map[string]string{"base_url": f.URL + "/2.0", "token": "access-token"})
	if out := r.ReadData(t, "bitbucket_deploy_key", map[string]string{"workspace": "acme", "repository": "website", "label": "ci"}); out != "" {
		t.Error(out)
	}
	_, out := r.apply(t, nil, r.plan(t, nil, map[string]string{"key": acctest.NewKey(t)}))
	acctest.Contains(t, out, "Error: Unable to create deploy key", "403 Forbidden", "This API is not accessible by this authentication mechanism",
		"can read deploy keys, but cannot add", "Use an API token")
}

// The provider requests a new token when the token expires during a run.
func TestProvider_tokenExpires(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	f.Revoke()
	f.AllowConsumer("id", "secret", 1)
	r := configuredRun(t, f, map[string]string{"base_url": f.URL + "/2.0", "oauth_client_id": "id", "oauth_client_secret": "secret"})
	stored, created := r.apply(t, nil, r.plan(t, nil, map[string]string{"key": acctest.NewKey(t)}))
	if _, read := r.read(t, stored); strings.Contains(created, "Error: ") || read != "" {
		t.Error(created, read)
	}
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

func TestProvider_wrongConsumer(t *testing.T) {
	t.Parallel()
	f := acctest.NewFake(t)
	f.Revoke()
	f.AllowConsumer("id", "secret", 7200)
	r := configuredRun(t, f, map[string]string{"base_url": f.URL + "/2.0", "oauth_client_id": "id", "oauth_client_secret": "wrong"})
	_, out := r.apply(t, nil, r.plan(t, nil, map[string]string{"key": acctest.NewKey(t)}))
	acctest.Contains(t, out, "Error: Unable to create deploy key", "POST /site/oauth2/access_token: 401 Unauthorized", "consumer must be marked as private")
	if sent := f.Sent(); slices.ContainsFunc(sent, func(line string) bool { return strings.Contains(line, "deploy-keys") }) {
		t.Errorf("requests were made without a token: %v", sent)
	}
}

// The environment provides the values that the provider block omits. This test sets
// variables of the process, so it does not run in parallel with other tests.
func TestProvider_environment(t *testing.T) { //nolint:paralleltest // See above.
	for name, tc := range map[string]struct {
		env, attributes map[string]string
		want            string
	}{
		"all":             {map[string]string{"BITBUCKET_USERNAME": "ci", "BITBUCKET_TOKEN": "t", "BITBUCKET_PASSWORD": "other"}, nil, "Basic Y2k6dA=="},
		"missing half":    {map[string]string{"BITBUCKET_PASSWORD": "t", "BITBUCKET_OAUTH_TOKEN": "other"}, map[string]string{"username": "ci"}, "Basic Y2k6dA=="},
		"OAuth token":     {map[string]string{"BITBUCKET_OAUTH_TOKEN": "t", "BITBUCKET_TOKEN": ""}, nil, "Bearer t"},
		"block is enough": {map[string]string{"BITBUCKET_USERNAME": "ci"}, map[string]string{"token": "t"}, "Bearer t"},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range tc.env {
				t.Setenv(variable, value)
			}
			f := newFakeOfEnvironment(t)
			configuredRun(t, f, tc.attributes).change(t, nil, map[string]string{"key": acctest.NewKey(t)})
			expectAuthorization(t, f, tc.want)
		})
	}
}

// An attribute whose value is null is omitted.
func TestAccProvider_environment(t *testing.T) { //nolint:paralleltest // It sets variables of the process.
	t.Setenv("BITBUCKET_TOKEN", "t")
	f, terraform := newFakeOfEnvironment(t), acctest.NewCLI(t)
	terraform.Write(t, acctest.RequiredProviders+"\nprovider \"bitbucket\" {\n  username = null\n}\n"+acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))))
	terraform.MustRun(t, "apply", "-auto-approve")
	expectAuthorization(t, f, "Bearer t")
}

// newFakeOfEnvironment starts a Bitbucket whose address is in the environment.
func newFakeOfEnvironment(t *testing.T) *acctest.Fake {
	t.Helper()
	f := acctest.NewFake(t)
	f.Revoke()
	f.AllowBasic("ci", "t")
	f.AllowBearer("t")
	t.Setenv("BITBUCKET_BASE_URL", f.URL+"/2.0/")
	return f
}

func expectAuthorization(t *testing.T, f *acctest.Fake, want string) {
	t.Helper()
	requests := f.Requests()
	if len(requests) == 0 {
		t.Error("no request was sent")
	}
	for _, request := range requests {
		if request.Authorization != want {
			t.Errorf("%s %s was sent with %s, want %s", request.Method, request.Path, request.Authorization, want)
		}
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
func TestProvider_noAccessToken(t *testing.T) {
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
			f := acctest.NewFake(t)
			f.AllowConsumer("id", "secret", 7200)
			f.Inject(tc.fault)
			r := configuredRun(t, f, map[string]string{"base_url": f.URL + "/2.0", "oauth_client_id": "id", "oauth_client_secret": "secret", "max_retries": "0", "max_rate_limit_wait": "0s"})
			out := r.ReadData(t, "bitbucket_deploy_key", map[string]string{"workspace": "acme", "repository": "website", "key_id": "1"})
			if acctest.Contains(t, out, "Error: ", "POST /site/oauth2/access_token", tc.advice); strings.Contains(out, tc.other) {
				t.Errorf("the output contains %q: %s", tc.other, out)
			}
		})
	}
}
