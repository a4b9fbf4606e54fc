package deployments

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const (
	environmentsPath = "/2.0/repositories/mleu/test/environments/"
	// environments1 is the request for the first page.
	environments1  = "GET " + environmentsPath + "?pagelen=100"
	noEnvironments = `{"type":"error","error":{"message":"Not found","detail":"No account, repository or environment with the UUID provided exists."}}`
)

// environments is the request for a later page, if the link has only its number.
func environments(page int) string {
	return fmt.Sprintf("GET %s?page=%d&pagelen=100", environmentsPath, page)
}

// named is an environment.
func named(uuid, name string) string { return fmt.Sprintf(`{"uuid": %q, "name": %q}`, uuid, name) }

// list lists the environments that the handler sends, as pairs of UUID and name.
func list(t *testing.T, handler http.Handler) (string, error) {
	t.Helper()
	found, err := ListEnvironments(t.Context(), newClient(t, handler), repository)
	var pairs []string
	for _, e := range found {
		pairs = append(pairs, e.UUID+e.Name)
	}
	return strings.Join(pairs, " "), err
}

// All pages are read, whatever their links name. An environment that moves to another page
// is listed once.
func TestListEnvironments_pages(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"?page=%d", "http://environments.internal:8080/x?page=%d", "?page=1#%d", "https://api.bitbucket.org" + environmentsPath + "?page=%d"} {
		link := func(page int) string { return fmt.Sprintf(next, page) }
		api := httpfake.NewScript(t,
			httpfake.Page(link(2), named("{1}", "Test"), named("{2}", "Test")),
			httpfake.Page(link(3), named("{2}", "Test"), named("{e}", "qa")),
			httpfake.Page("", named("{E}", "renamed"), named("{4}", "")))
		if got, err := list(t, api); err != nil || got != "{1}Test {2}Test {e}qa {4}" {
			t.Errorf("%s: got %s, %v", next, got, err)
		}
		api.Expect(environments1, environments(2), environments(3))
	}
}

// Bitbucket may have no endpoint with a slash at the end, and may answer 404 for a repository
// without environments. Only a request for the repository itself shows whether it exists.
func TestListEnvironments_fallbacks(t *testing.T) {
	t.Parallel()
	const noSlash = "GET /2.0/repositories/mleu/test/environments?pagelen=100"
	page, missing, none := httpfake.Page("", named("{1}", "qa")), httpfake.Reply(404, noRoute), httpfake.Reply(404, noEnvironments)
	exists := httpfake.Reply(200, `{"uuid": "{85d08b4e-571d-44e9-a507-fa476535aa98}"}`)
	for name, tc := range map[string]struct {
		replies []http.HandlerFunc
		lines   []string
		status  int // 0 if the list is read.
		want    string
	}{
		"an empty list":        {[]http.HandlerFunc{httpfake.Page("")}, []string{environments1}, 0, ""},
		"no route":             {[]http.HandlerFunc{missing, page}, []string{environments1, noSlash}, 0, "{1}qa"},
		"no route, either":     {[]http.HandlerFunc{missing, missing}, []string{environments1, noSlash}, 404, ""},
		"no route, none":       {[]http.HandlerFunc{missing, none, exists}, []string{environments1, noSlash, existing}, 0, ""},
		"no route, forbidden":  {[]http.HandlerFunc{missing, httpfake.Reply(403, "")}, []string{environments1, noSlash}, 403, ""},
		"none":                 {[]http.HandlerFunc{none, exists}, []string{environments1, existing}, 0, ""},
		"gone":                 {[]http.HandlerFunc{none, httpfake.Reply(404, "")}, []string{environments1, existing}, 404, ""},
		"none, scope":          {[]http.HandlerFunc{none, httpfake.Reply(403, "")}, []string{environments1, existing}, 403, ""},
		"a page, empty":        {[]http.HandlerFunc{httpfake.Reply(404, ""), exists}, []string{environments1, existing}, 0, ""},
		"forbidden":            {[]http.HandlerFunc{httpfake.Reply(403, "")}, []string{environments1}, 403, ""},
		"failing":              {[]http.HandlerFunc{httpfake.Reply(500, "")}, []string{environments1}, 500, ""},
		"a later page missing": {[]http.HandlerFunc{httpfake.Page("?page=2", named("{1}", "qa")), none}, []string{environments1, environments(2)}, 404, ""},
		"a later page refused": {[]http.HandlerFunc{httpfake.Page("?page=2", named("{1}", "qa")), httpfake.Reply(403, "")}, []string{environments1, environments(2)}, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, tc.replies...)
			got, err := list(t, api)
			if got != tc.want || tc.status == 0 && err != nil || tc.status != 0 && !bitbucket.HasStatus(err, tc.status) {
				t.Errorf("got %q, %v, want %q, status %d", got, err, tc.want, tc.status)
			}
			api.Expect(tc.lines...)
		})
	}
}

// A reply that cannot be used is an error. It must not result in a shorter or empty list.
func TestListEnvironments_unusableReplies(t *testing.T) {
	t.Parallel()
	repeated := httpfake.Page("?page=1", named("{1}", "qa"))
	for name, replies := range map[string][]http.HandlerFunc{
		"no list":       {httpfake.Reply(200, "{}")},
		"HTML":          {httpfake.Reply(200, "<html><title>Log in</title></html>")},
		"no uuid":       {httpfake.Page("", named("{1}", "qa"), `{"name": "Test"}`)},
		"later no uuid": {httpfake.Page("?page=2", named("{1}", "qa")), httpfake.Page("", `{"name": "Test"}`)},
		"repeated page": {repeated, repeated},
		"next, damaged": {httpfake.Page("?page=%", named("{1}", "qa"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := list(t, httpfake.NewScript(t, replies...)); got != "" || !errors.Is(err, bitbucket.ErrUnusable) {
				t.Errorf("got %q, %v, want an error", got, err)
			}
		})
	}
}

func TestSetNames(t *testing.T) {
	t.Parallel()
	environments := []bitbucket.Environment{{UUID: "{e1}", Name: "Production"}, {UUID: "{E2}", Name: "Staging"}, {UUID: "{e3}"}}
	for _, tc := range []struct {
		uuid, name string
		lacks      bool
		want       string
	}{
		{"{e1}", "", true, "Production"},
		{"{E1}", "", true, "Production"},
		{"{e2}", "", true, "Staging"},
		{"{e3}", "", true, ""},
		{"{deleted}", "", true, ""},
		{"{e1}", "as deployed", false, "as deployed"},
		{"", "", false, ""},
		{"", "as deployed", false, "as deployed"},
	} {
		found := []bitbucket.Deployment{{UUID: "{1}", EnvironmentUUID: "{e1}", EnvironmentName: "x"}, {UUID: "{2}", EnvironmentUUID: tc.uuid, EnvironmentName: tc.name}}
		want := slices.Clone(found)
		want[1].EnvironmentName = tc.want
		if lacks := LackNames(found); lacks != tc.lacks {
			t.Errorf("%+v: lacks a name: %t", tc, lacks)
		}
		if SetNames(found, environments); !reflect.DeepEqual(found, want) {
			t.Errorf("%+v: got %+v", tc, found)
		}
	}
}
