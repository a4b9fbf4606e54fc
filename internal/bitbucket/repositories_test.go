package bitbucket

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// isUnusable reports whether err is about an unusable reply.
func isUnusable(err error) bool { return errors.Is(err, ErrUnusable) }

func TestListRepositories(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t,
		httpfake.Page("ORIGIN/2.0/repositories/acme?page=2", `{"slug": "website", "uuid": "{1}"}`, `{"slug": "Web.Site_1-2"}`),
		httpfake.Page("", `{"slug": "website"}`))
	got, err := collect(t.Context(), newTestClient(t, api).ListRepositories("acme", ""))
	want := []Parent{{Workspace: "acme", Repository: "website"}, {Workspace: "acme", Repository: "Web.Site_1-2"}, {Workspace: "acme", Repository: "website"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	api.Expect("GET /2.0/repositories/acme?fields=next%2Cvalues.slug&pagelen=100", "GET /2.0/repositories/acme?page=2&fields=next%2Cvalues.slug&pagelen=100")
}

// The key of a project must remain one quoted text in the filter.
func TestListRepositories_project(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, httpfake.Page(""))
	if got, err := collect(t.Context(), newTestClient(t, api).ListRepositories("{a/b}", `A" OR "B`)); err != nil || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
	line := api.Requests()[0].Line
	query, err := url.ParseQuery(line[strings.Index(line, "?")+1:])
	if err != nil || query.Get("q") != `project.key="A\" OR \"B"` || query.Get("pagelen") != "100" || query.Get("fields") != "next,values.slug" || len(query) != 3 {
		t.Errorf("got the query %v, %v", query, err)
	}
	if !strings.HasPrefix(line, "GET /2.0/repositories/%7Ba%2Fb%7D?") {
		t.Errorf("got request %s", line)
	}
}

// A slug becomes part of a path, so a text that is not a slug is an error.
func TestListRepositories_unusable(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no list":    "{}",
		"no slug":    `{"values": [{"uuid": "{1}"}]}`,
		"slug null":  `{"values": [{"slug": null}]}`,
		"a number":   `{"values": [{"slug": 5}]}`,
		"a text":     `{"values": ["website"]}`,
		"null":       `{"values": [null]}`,
		"a path":     `{"values": [{"slug": "a/b"}]}`,
		"a level up": `{"values": [{"slug": ".."}]}`,
		"endless":    `{"values": [], "next": "?fields=next%2Cvalues.slug&pagelen=100"}`,
	} {
		api := httpfake.NewScript(t, httpfake.Reply(200, body))
		if got, err := collect(t.Context(), newTestClient(t, api).ListRepositories("acme", "")); got != nil || !isUnusable(err) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for status, check := range map[int]func(error) bool{403: IsForbidden, 404: IsNotFound} {
		api := httpfake.NewScript(t, httpfake.Reply(status, ""))
		if got, err := collect(t.Context(), newTestClient(t, api).ListRepositories("acme", "")); got != nil || !check(err) {
			t.Errorf("%d: got %v, %v", status, got, err)
		}
	}
}

func TestCheckRepository(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply http.HandlerFunc
		check func(error) bool
	}{
		"it answers":    {httpfake.Reply(200, `{"uuid": "{85d08b4e-571d-44e9-a507-fa476535aa98}"}`), func(err error) bool { return err == nil }},
		"empty":         {httpfake.Reply(200, "{}"), func(err error) bool { return err == nil }},
		"gone":          {httpfake.Reply(404, `{"error": {"message": "You may not have access to this repository"}}`), IsNotFound},
		"forbidden":     {httpfake.Reply(403, ""), IsForbidden},
		"scope":         {httpfake.Reply(403, `{"error": {"message": "No.", "detail": {"required": ["repository"]}}}`), func(err error) bool { return HasStatus(err, 403) && !IsForbidden(err) }},
		"failing":       {httpfake.Reply(500, ""), func(err error) bool { return HasStatus(err, 500) }},
		"null":          {httpfake.Reply(200, "null"), isUnusable},
		"a list":        {httpfake.Reply(200, "[]"), isUnusable},
		"a log-in page": {httpfake.Reply(200, "<html><title>Log in</title>"), isUnusable},
		"breaks off":    {httpfake.Truncated(200), func(err error) bool { return err != nil && !isUnusable(err) }},
	} {
		api := httpfake.NewScript(t, tc.reply)
		if err := newTestClient(t, api, withRetries(0)).CheckRepository(t.Context(), repository); !tc.check(err) {
			t.Errorf("%s: got %v", name, err)
		}
		api.Expect("GET /2.0/repositories/mleu/test?fields=uuid")
	}
}
