package bitbucket

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

const (
	environmentsPath = "/2.0/repositories/mleu/test/environments/"
	// oneEnvironment is one environment of a page.
	oneEnvironment = `{"uuid": "{1}", "name": "qa"}`
)

// listEnvironments returns the environments of all pages that the handler sends.
func listEnvironments(t *testing.T, handler http.Handler) ([]Environment, error) {
	t.Helper()
	return collect(t.Context(), newTestClient(t, handler, withRetries(0)).ListEnvironments(repository, EnvironmentsQuery{}))
}

func TestListEnvironments_decodes(t *testing.T) {
	t.Parallel()
	const first, second = "{00000000-0000-4000-8000-0000000000e1}", "{00000000-0000-4000-8000-0000000000e2}"
	for file, want := range map[string][]Environment{
		"environments.json": {{UUID: first, Name: "Production"}, {UUID: second, Name: "Staging"}},
		"environments_live.json": {
			{UUID: first, Name: "Production EU", Slug: "production-eu", Type: "Production", Category: "PRODUCTION", Rank: new(int64(2)), Locked: new(false)},
			{UUID: second, Name: "qa", Slug: "qa", Type: "Test", Category: "Test", Rank: new(int64(0))},
		},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			got, err := listEnvironments(t, httpfake.NewScript(t, httpfake.Reply(200, readTestdata(t, file))))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestListEnvironments_requests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		repository Parent
		query      EnvironmentsQuery
		line       string
	}{
		"all":             {repository, EnvironmentsQuery{}, "GET " + environmentsPath + "?pagelen=100"},
		"without a slash": {repository, EnvironmentsQuery{WithoutSlash: true}, "GET /2.0/repositories/mleu/test/environments?pagelen=100"},
		"by UUID":         {Parent{Workspace: "{a-b}", Repository: "{c/d}"}, EnvironmentsQuery{}, "GET /2.0/repositories/%7Ba-b%7D/%7Bc%2Fd%7D/environments/?pagelen=100"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Page("?page=2", oneEnvironment), httpfake.Page("", `{"uuid": "{2}"}`))
			got, err := collect(t.Context(), newTestClient(t, api).ListEnvironments(tc.repository, tc.query))
			if err != nil || len(got) != 2 {
				t.Errorf("got %v, %v", got, err)
			}
			api.Expect(tc.line, strings.Replace(tc.line, "?", "?page=2&", 1))
		})
	}
}

// Only the uuid is required. A field that is missing, null or of another type is empty. It
// is never a default: no rank is not 0, and no lock is not open.
func TestListEnvironments_fields(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]Environment{
		"":                                 {},
		`"name": null, "slug": null`:       {},
		`"name": "", "slug": ""`:           {},
		`"name": 5, "slug": "qa"`:          {Slug: "qa"},
		`"name": {}`:                       {},
		`"name": "QA/é "`:                  {Name: "QA/é "},
		`"rank": 0`:                        {Rank: new(int64(0))},
		`"rank": -1`:                       {Rank: new(int64(-1))},
		`"rank": null`:                     {},
		`"rank": "2"`:                      {},
		`"rank": 1.5`:                      {},
		`"rank": 9223372036854775808`:      {},
		`"rank": {}`:                       {},
		`"environment_type": null`:         {},
		`"environment_type": "Production"`: {},
		`"environment_type": {}`:           {},
		`"environment_type": {"name": 5}`:  {},
		`"environment_type": {"name": "Production", "rank": 2}`: {Type: "Production"},
		`"category": null`:                      {},
		`"category": "Test"`:                    {},
		`"category": {"name": null}`:            {},
		`"category": {"name": "TEST"}`:          {Category: "TEST"},
		`"lock": null`:                          {},
		`"lock": true`:                          {},
		`"lock": "OPEN"`:                        {},
		`"lock": []`:                            {},
		`"lock": {}`:                            {},
		`"lock": {"name": null, "type": null}`:  {},
		`"lock": {"name": true}`:                {},
		`"lock": {"lock_opener": {}}`:           {},
		`"lock": {"name": "OPEN"}`:              {Locked: new(false)},
		`"lock": {"name": "open", "type": "x"}`: {Locked: new(false)},
		`"lock": {"type": "deployment_environment_lock_open"}`:                                    {Locked: new(false)},
		`"lock": {"name": "LOCKED"}`:                                                              {Locked: new(true)},
		`"lock": {"type": "deployment_environment_lock_locked"}`:                                  {Locked: new(true)},
		`"lock": {"type": "deployment_environment_lock_opener"}`:                                  {Locked: new(true)},
		`"lock": {"type": "deployment_environment_lock_open", "name": "LOCKED"}`:                  {Locked: new(true)},
		`"environment_lock_enabled": true, "hidden": true`:                                        {},
		`"other": ` + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000) + `, "name": "qa"`:  {Name: "qa"},
		`"lock": 5, "category": 5, "environment_type": 5, "rank": "x", "slug": 5, "name": "last"`: {Name: "last"},
	} {
		want.UUID = "{1}"
		if members != "" {
			members = ", " + members
		}
		got, err := listEnvironments(t, httpfake.Page("", `{"uuid": "{1}"`+members+`}`))
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%.80s: got %+v, %v, want %+v", members, got, err, want)
		}
	}
}

// A reply that cannot be used is an error. It must not result in a shorter or empty list.
func TestListEnvironments_hostileReplies(t *testing.T) {
	t.Parallel()
	value := func(members string) string {
		return `{"values": [` + oneEnvironment + `, {"uuid": "{2}"` + members + `}]}`
	}
	for name, body := range map[string]string{
		"empty":             "",
		"null":              "null",
		"a list":            "[]",
		"no list":           "{}",
		"list null":         `{"values": null}`,
		"an error":          `{"type":"error","error":{"message":"Not found"}}`,
		"breaks off":        `{"values": [` + oneEnvironment,
		"HTML":              "<html><title>Log in</title></html>",
		"over 10 MB":        value(`, "other": "` + strings.Repeat("x", transport.MaxReplyBytes) + `"`),
		"nested too deeply": value(`, "other": ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)),
		"value null":        `{"values": [null]}`,
		"value a text":      `{"values": ["{1}"]}`,
		"no uuid":           `{"values": [{"name": "qa"}]}`,
		"uuid null":         `{"values": [{"uuid": null}]}`,
		"uuid a number":     `{"values": [{"uuid": 5}]}`,
		"next to itself":    `{"values": [], "next": "?pagelen=100"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, httpfake.Reply(200, body))
			got, err := listEnvironments(t, api)
			if got != nil || !errors.Is(err, ErrUnusable) {
				t.Errorf("got %.300s, %v, want an error", fmt.Sprint(got), err)
			}
			expectShowable(t, asError(t, err))
			api.Expect("GET " + environmentsPath + "?pagelen=100")
		})
	}
}
