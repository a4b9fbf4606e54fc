package emulator_test

import (
	"net/http"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestCredentialHeaders(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		allow      func(e *emulator.Emulator)
		authorize  func(r *http.Request)
		kind, want string
	}{
		"API token": {func(e *emulator.Emulator) {
			e.AllowBasic("ci", "t", "admin:repository:bitbucket", "write:ssh-key:bitbucket")
		}, func(r *http.Request) { r.SetBasicAuth("ci", "t") }, "api_token", "admin:repository:bitbucket, write:ssh-key:bitbucket"},
		"all scopes":   {func(e *emulator.Emulator) { e.AllowBasic("ci", "t") }, func(r *http.Request) { r.SetBasicAuth("ci", "t") }, "api_token", ""},
		"access token": {func(e *emulator.Emulator) { e.AllowAccessToken("t") }, func(r *http.Request) { r.Header.Set("Authorization", "Bearer t") }, "repo_access_token", "repository, repository:admin, project, project:admin"},
		"bearer":       {func(e *emulator.Emulator) { e.AllowBearer("t", "repository") }, func(r *http.Request) { r.Header.Set("Authorization", "Bearer t") }, "", "repository"},
		"wrong token":  {func(e *emulator.Emulator) { e.AllowBearer("t", "repository") }, func(r *http.Request) { r.Header.Set("Authorization", "Bearer u") }, "", ""},
		"anonymous":    {func(e *emulator.Emulator) { e.AllowBearer("t", "repository") }, func(*http.Request) {}, "", ""},
		"any":          {func(*emulator.Emulator) {}, func(r *http.Request) { r.SetBasicAuth("ci", "t") }, "", ""},
		"none": {func(e *emulator.Emulator) {
			e.AllowBasic("ci", "t", "repository")
			e.SetCredentialHeaders(nil)
		}, func(r *http.Request) { r.SetBasicAuth("ci", "t") }, "", ""},
		"others": {func(e *emulator.Emulator) {
			e.SetCredentialHeaders(http.Header{"X-Credential-Type": {"x"}, "X-Oauth-Scopes": {"y"}})
		}, func(r *http.Request) { r.SetBasicAuth("ci", "t") }, "x", "y"},
		"others, revoked": {func(e *emulator.Emulator) {
			e.SetCredentialHeaders(http.Header{"X-Credential-Type": {"x"}, "X-Oauth-Scopes": {"y"}})
			e.Revoke()
		}, func(r *http.Request) { r.SetBasicAuth("ci", "t") }, "x", "y"},
		"a fault's": {func(e *emulator.Emulator) {
			e.AllowBasic("ci", "t")
			e.Inject(emulator.Fault{Status: http.StatusOK, Body: "{}", Header: http.Header{"X-Credential-Type": {"theirs"}}})
		}, func(r *http.Request) { r.SetBasicAuth("ci", "t") }, "theirs", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			tc.allow(s.Emulator)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+keys, nil)
			if err != nil {
				t.Fatal(err)
			}
			tc.authorize(request)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if kind, scopes := response.Header.Get("X-Credential-Type"), response.Header.Get("X-Oauth-Scopes"); kind != tc.kind || scopes != tc.want {
				t.Errorf("got %q and %q, want %q and %q", kind, scopes, tc.kind, tc.want)
			}
		})
	}
}
