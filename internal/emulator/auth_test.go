package emulator_test

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

const (
	tokenPath    = "/site/oauth2/access_token"
	tokenInvalid = `{"type":"error","error":{"message":"Token is invalid, expired, or not supported for this endpoint."}}`
)

// basic returns an Authorization header for Basic authentication.
func basic(name, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
}

// scopesMissing returns the error for credentials without the required scopes.
func scopesMissing(required, granted []string) string {
	list := func(scopes []string) string { return `["` + strings.Join(scopes, `","`) + `"]` }
	return `{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes.",
		"detail":{"required":` + list(required) + `,"granted":` + list(granted) + `}}}`
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for range 2 { // First the emulator accepts every token, then only one.
		s.sendAs(t, "", "GET", keys, "").want(t, 404, repositoryGone)
		s.sendAs(t, "", "POST", "/2.0/repositories/nobody/nothing/deploy-keys", "").want(t, 404, repositoryGone)
		s.sendAs(t, "", "DELETE", keys+"/1", "").want(t, 404, repositoryGone)
		s.AllowBearer("token")
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AllowBasic("me@example.com", "ATATT1")
	s.AllowBearer("bearer")
	for _, authorization := range []string{basic("me@example.com", "ATATT1"), "Bearer bearer", "bearer bearer"} {
		if got := s.sendAs(t, authorization, "GET", keys, ""); got.status != 200 {
			t.Errorf("%s: got %d %s, want 200", authorization, got.status, got.body)
		}
	}
	for _, authorization := range []string{"Bearer other", "Bearer ATATT1", basic("me@example.com", "bearer"), "Token bearer", "bearer"} {
		got := s.sendAs(t, authorization, "GET", keys, "")
		got.want(t, 401, tokenInvalid)
		if challenge := got.header.Get("Www-Authenticate"); challenge != "BitbucketCustom realm=Bitbucket.org HTTP" {
			t.Errorf("%s: got WWW-Authenticate %q", authorization, challenge)
		}
	}
	for _, authorization := range []string{basic("me@example.com", "other"), basic("other", "ATATT1"), basic("", "")} {
		got := s.sendAs(t, authorization, "GET", keys, "")
		if got.status != 401 || got.header.Get("Content-Type") != "text/plain" ||
			!strings.HasPrefix(got.body, "Login failed due to incorrect login credentials or method.\nFor information on") {
			t.Errorf("%s: got %+v", authorization, got)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	const (
		admin, write, remove = "admin:repository:bitbucket", "write:ssh-key:bitbucket", "delete:ssh-key:bitbucket"
		read                 = "read:repository:bitbucket"
	)
	oauth := []string{"repository", "repository:admin"}
	for name, test := range map[string]struct {
		granted  []string
		method   string
		required []string // required is empty if the request succeeds.
	}{
		"all":                    {nil, "POST", nil},
		"get":                    {[]string{admin}, "GET", nil},
		"get without admin":      {[]string{read, write, remove}, "GET", []string{admin}},
		"post":                   {[]string{admin, write}, "POST", nil},
		"post without write":     {[]string{admin, remove}, "POST", []string{admin, write}},
		"put":                    {[]string{admin, write}, "PUT", nil},
		"put without write":      {[]string{admin}, "PUT", []string{admin, write}},
		"delete":                 {[]string{admin, remove}, "DELETE", nil},
		"delete without delete":  {[]string{admin, write}, "DELETE", []string{admin, remove}},
		"oauth":                  {oauth, "DELETE", nil},
		"oauth without admin":    {oauth[:1], "GET", oauth},
		"oauth with admin alone": {oauth[1:], "POST", oauth},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.AllowBasic("me", "token", test.granted...)
			key := s.AddDeployKey("acme", "sandbox", publicKey(1), "")
			path, body := keys, input(t, publicKey(2), "")
			if test.method == "PUT" || test.method == "DELETE" {
				path, body = keys+"/10958984", input(t, key.Key, "new")
			}
			got := s.sendAs(t, basic("me", "token"), test.method, path, body)
			if len(test.required) == 0 {
				if got.status >= 300 {
					t.Errorf("got %d %s, want success", got.status, got.body)
				}
				return
			}
			got.want(t, 403, scopesMissing(test.required, test.granted))
		})
	}
}

func TestAccessToken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AllowAccessToken("ATCTT1")
	key := s.AddDeployKey("acme", "sandbox", publicKey(1), "")
	for _, path := range []string{keys, keys + "/10958984"} {
		if got := s.sendAs(t, "Bearer ATCTT1", "GET", path, ""); got.status != 200 {
			t.Errorf("GET %s: got %d %s, want 200", path, got.status, got.body)
		}
	}
	for method, path := range map[string]string{"POST": keys, "PUT": keys + "/10958984", "DELETE": keys + "/10958984"} {
		s.sendAs(t, "Bearer ATCTT1", method, path, input(t, key.Key, "new")).want(t, 403,
			`{"type":"error","error":{"message":"This API is not accessible by this authentication mechanism"}}`)
	}
	if stored := s.DeployKeys("acme", "sandbox"); len(stored) != 1 || stored[0] != key {
		t.Errorf("an access token changed the keys: %+v", stored)
	}
}

func TestConsumer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	now := time.Date(2026, 9, 30, 13, 7, 33, 0, time.UTC)
	s.SetClock(func() time.Time { return now })
	s.AllowConsumer("id", "secret", 60)

	got := s.sendAs(t, basic("id", "secret"), "POST", tokenPath, "grant_type=client_credentials")
	token := decode[map[string]any](t, got.body)
	issued, ok := token["access_token"].(string)
	if !ok || issued == "" {
		t.Fatalf("got no token: %d %s", got.status, got.body)
	}
	delete(token, "access_token")
	if want := map[string]any{
		"scope": "repository repository:admin project project:admin", "expires_in": 60.0, "token_type": "bearer", "state": "client_credentials",
	}; got.status != 200 || !reflect.DeepEqual(token, want) {
		t.Errorf("got %d %v, want %v", got.status, token, want)
	}
	if got := s.sendAs(t, "Bearer "+issued, "POST", keys, input(t, publicKey(1), "")); got.status != 200 {
		t.Errorf("the token got %d %s, want 200", got.status, got.body)
	}
	now = now.Add(60 * time.Second)
	s.sendAs(t, "Bearer "+issued, "GET", keys, "").want(t, 401, tokenInvalid)

	const wrongClient = `{"error":"unauthorized_client","error_description":"Invalid OAuth client credentials"}`
	s.sendAs(t, basic("id", "other"), "POST", tokenPath, "grant_type=client_credentials").want(t, 401, wrongClient)
	s.sendAs(t, "", "POST", tokenPath, "grant_type=client_credentials&client_id=id&client_secret=secret").want(t, 401, wrongClient)
	s.sendAs(t, basic("id", "secret"), "POST", tokenPath, "").want(t, 400,
		`{"error_description":"Unsupported grant type: None","error":"invalid_grant"}`)
	s.sendAs(t, basic("id", "secret"), "POST", tokenPath, "grant_type=password").want(t, 400,
		`{"error_description":"Unsupported grant type: password","error":"invalid_grant"}`)
	s.sendAs(t, basic("id", "secret"), "POST", tokenPath, "%zz").want(t, 400, badRequest)
	s.sendAs(t, basic("id", "secret"), "GET", tokenPath, "").want(t, 405, wrongMethod)
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AllowBearer("token")
	s.AllowConsumer("id", "secret", 60)
	issued := decode[map[string]any](t, s.sendAs(t, basic("id", "secret"), "POST", tokenPath, "grant_type=client_credentials").body)
	s.Revoke()
	for _, authorization := range []any{"token", issued["access_token"], "unknown"} {
		token, ok := authorization.(string)
		if !ok {
			t.Fatalf("got no token in %v", issued)
		}
		s.sendAs(t, "Bearer "+token, "GET", keys, "").want(t, 401, tokenInvalid)
	}
	if got := s.sendAs(t, basic("id", "secret"), "POST", tokenPath, "grant_type=client_credentials"); got.status != 401 {
		t.Errorf("the revoked consumer got %d, want 401", got.status)
	}
	s.AllowBearer("new")
	if got := s.sendAs(t, "Bearer new", "GET", keys, ""); got.status != 200 {
		t.Errorf("a new token got %d, want 200", got.status)
	}
}

func TestScopes_projects(t *testing.T) {
	t.Parallel()
	const admin, write, remove = "admin:project:bitbucket", "write:ssh-key:bitbucket", "delete:ssh-key:bitbucket"
	const one = projectKeys + "/1"
	repositoryScopes := []string{"admin:repository:bitbucket", write, remove}
	oauth := []string{"project", "project:admin"}
	for name, test := range map[string]struct {
		granted      []string
		method, path string
		required     []string // required is empty if the request succeeds.
	}{
		"get":                      {[]string{admin}, "GET", one, nil},
		"get, repository scopes":   {repositoryScopes, "GET", projectKeys, []string{admin}},
		"post":                     {[]string{admin, write}, "POST", projectKeys, nil},
		"post without write":       {[]string{admin, remove}, "POST", projectKeys, []string{admin, write}},
		"post, repository scopes":  {repositoryScopes, "POST", projectKeys, []string{admin, write}},
		"delete":                   {[]string{admin, remove}, "DELETE", one, nil},
		"delete without delete":    {[]string{admin, write}, "DELETE", one, []string{admin, remove}},
		"oauth":                    {oauth, "DELETE", one, nil},
		"oauth without admin":      {oauth[:1], "GET", one, oauth},
		"oauth, repository scopes": {[]string{"repository", "repository:admin"}, "POST", projectKeys, oauth},
		"list":                     {[]string{"read:project:bitbucket"}, "GET", projects, nil},
		"list with admin":          {[]string{admin}, "GET", projects, []string{"read:project:bitbucket"}},
		"list with oauth":          {oauth[:1], "GET", projects, nil},
		"list, repository scopes":  {[]string{"repository"}, "GET", projects, oauth[:1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newProjectServer(t, emulator.DeployKey{ID: 1, Key: publicKey(1)})
			s.AllowBasic("me", "token", test.granted...)
			got := s.sendAs(t, basic("me", "token"), test.method, test.path, input(t, publicKey(2), ""))
			if len(test.required) == 0 {
				if got.status >= 300 {
					t.Errorf("got %d %s, want success", got.status, got.body)
				}
				return
			}
			got.want(t, 403, scopesMissing(test.required, test.granted))
		})
	}
}
