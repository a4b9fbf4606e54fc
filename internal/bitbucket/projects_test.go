package bitbucket

import (
	"slices"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

func TestListProjects(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t,
		httpfake.Page("ORIGIN/2.0/workspaces/acme/projects?page=2", `{"key": "WEB", "uuid": "{1}"}`, `{"key": "API"}`),
		httpfake.Page("", `{"key": "API"}`, `{"key": "W_1"}`))
	got, err := collect(t.Context(), newTestClient(t, api).ListProjects("acme"))
	want := []Parent{{Workspace: "acme", Project: "WEB"}, {Workspace: "acme", Project: "API"}, {Workspace: "acme", Project: "API"}, {Workspace: "acme", Project: "W_1"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	api.Expect("GET /2.0/workspaces/acme/projects?fields=next%2Cvalues.key&pagelen=100", "GET /2.0/workspaces/acme/projects?page=2&fields=next%2Cvalues.key&pagelen=100")
}

// A key becomes part of a path, so a text that is not a key is an error.
func TestListProjects_unusable(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no list":       "{}",
		"no key":        `{"values": [{"name": "B"}]}`,
		"key null":      `{"values": [{"key": null}]}`,
		"key a number":  `{"values": [{"key": 5}]}`,
		"key of a path": `{"values": [{"key": "../A"}]}`,
		"lower case":    `{"values": [{"key": "web"}]}`,
		"null":          `{"values": [null]}`,
		"endless":       `{"values": [], "next": "?fields=next%2Cvalues.key&pagelen=100"}`,
	} {
		api := httpfake.NewScript(t, httpfake.Reply(200, body))
		if got, err := collect(t.Context(), newTestClient(t, api).ListProjects("acme")); got != nil || !isUnusable(err) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for status, check := range map[int]func(error) bool{403: IsForbidden, 404: IsNotFound} {
		api := httpfake.NewScript(t, httpfake.Reply(status, ""))
		if got, err := collect(t.Context(), newTestClient(t, api).ListProjects("acme")); got != nil || !check(err) {
			t.Errorf("%d: got %v, %v", status, got, err)
		}
	}
}
