package transport

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

func TestCredential(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		replies []described
		kind    string
		scopes  []string
	}{
		"nothing":          {[]described{{}}, "", nil},
		"both":             {[]described{{kind: "API_token", scopes: "admin:repository:bitbucket, write:ssh-key:bitbucket"}}, "api_token", []string{"admin:repository:bitbucket", "write:ssh-key:bitbucket"}},
		"spaces":           {[]described{{scopes: " repository  repository:Admin,"}}, "", []string{"repository", "repository:admin"}},
		"the last counts":  {[]described{{kind: "apikey", scopes: "x"}, {kind: "api_token"}}, "api_token", nil},
		"none later":       {[]described{{kind: "apikey", scopes: "x"}, {}}, "apikey", []string{"x"}},
		"of an error":      {[]described{{status: http.StatusForbidden, scopes: "x"}}, "", []string{"x"}},
		"anonymous later":  {[]described{{kind: "apikey", scopes: "x"}, {kind: "none", scopes: "y", anonymous: true}}, "apikey", []string{"x"}},
		"of a wrong token": {[]described{{status: http.StatusUnauthorized, scopes: "x"}}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replies := tc.replies
			handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Credential-Type", replies[0].kind)
				w.Header().Set("X-OAuth-Scopes", replies[0].scopes)
				if replies[0].status != 0 {
					w.WriteHeader(replies[0].status)
				}
				replies = replies[1:]
			})
			base := &url.URL{Scheme: "http", Host: "localhost", Path: "/2.0"}
			transport := New(base, Options{Base: httpfake.InMemory{Handler: handler}, Credentials: Bearer{"ATCTT-s3cret"}})
			for _, reply := range tc.replies {
				send := func() (*Response, error) { return transport.Do(t.Context(), http.MethodGet, base, nil) }
				if reply.anonymous {
					send = func() (*Response, error) { return transport.GetText(t.Context(), base) }
				}
				if _, err := send(); err != nil {
					t.Fatal(err)
				}
			}
			if got := transport.Credential(); got.Type != tc.kind || !slices.Equal(got.Scopes, tc.scopes) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// described is the status and the headers of a reply, and whether its request has no
// credentials.
type described struct {
	status       int
	kind, scopes string
	anonymous    bool
}
