package bitbucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// page1 is the request for the first page of the deploy keys.
const page1 = "GET " + keysPath + "?pagelen=100"

// pageOf sends a page of keys with these IDs.
func pageOf(next string, ids ...int64) http.HandlerFunc {
	var keys []string
	for _, id := range ids {
		keys = append(keys, fmt.Sprintf(`{"id": %d, "key": %q}`, id, keyLine))
	}
	return httpfake.Page(next, keys...)
}

// collect returns the values of all pages, or the first error.
func collect[T any](ctx context.Context, pager *Pager[T]) ([]T, error) {
	var all []T
	for pager.HasMore() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for value, err := range page {
			if err != nil {
				return nil, err
			}
			all = append(all, value)
		}
	}
	return all, nil
}

func TestPages_followsNext(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ next, line string }{
		"absolute":          {"ORIGIN" + keysPath + "?pagelen=100&page=2", keysPath + "?pagelen=100&page=2"},
		"verbatim":          {"ORIGIN/2.0/repositories/%7Ba-b%7D/%7bc%7d/deploy-keys?page=a%2Fb%20c&ctx=x+y&&q=%22", "/2.0/repositories/%7Ba-b%7D/%7bc%7d/deploy-keys?page=a%2Fb%20c&ctx=x+y&&q=%22"},
		"without pagelen":   {"ORIGIN" + keysPath + "?page=2", keysPath + "?page=2"},
		"below no base":     {"ORIGIN/!api/internal?page=2", "/!api/internal?page=2"},
		"absolute path":     {keysPath + "?page=2", keysPath + "?page=2"},
		"relative path":     {"deploy-keys?page=2", keysPath + "?page=2"},
		"query alone":       {"?page=2", keysPath + "?page=2"},
		"scheme left out":   {"//HOST" + keysPath + "?page=2", keysPath + "?page=2"},
		"scheme in capital": {"HTTP://HOST" + keysPath + "?page=2", keysPath + "?page=2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, pageOf(tc.next, 1, 2), pageOf("ORIGIN"+keysPath+"?page=3", 3), pageOf("", 4, 5))
			keys, err := collect(t.Context(), newTestClient(t, api).ListDeployKeys(repository))
			if err != nil {
				t.Fatal(err)
			}
			var ids []int64
			for _, key := range keys {
				ids = append(ids, key.ID)
			}
			if fmt.Sprint(ids) != "[1 2 3 4 5]" {
				t.Errorf("got keys %v", ids)
			}
			api.Expect(page1, "GET "+tc.line, "GET "+keysPath+"?page=3")
		})
	}
}

// An empty page may have a next page. The link may be present without a value.
func TestPages_emptyPages(t *testing.T) {
	t.Parallel()
	for _, last := range []string{`{"values": []}`, `{"values": [], "next": null}`, `{"values": [], "next": ""}`} {
		api := httpfake.NewScript(t, pageOf("?page=2"), httpfake.Reply(200, last))
		keys, err := collect(t.Context(), newTestClient(t, api).ListDeployKeys(repository))
		if err != nil || len(keys) != 0 {
			t.Errorf("%s: got %v, %v", last, keys, err)
		}
		api.Expect(page1, "GET "+keysPath+"?page=2")
	}
}

// The credentials are sent to the address in the link, so the link must not lead to a
// different origin.
func TestPages_refusesNextElsewhere(t *testing.T) {
	t.Parallel()
	path := keysPath + "?page=2"
	for name, next := range map[string]string{
		"another port":        "http://localhost:8080" + path,
		"another host":        "http://127.0.0.1" + path,
		"another scheme":      "https://HOST" + path,
		"another, no scheme":  "//elsewhere.example" + path,
		"user name":           "http://ada@HOST" + path,
		"password":            "http://ada:s3cret@HOST" + path,
		"host as user name":   "http://HOST@elsewhere.example" + path,
		"host as a beginning": "http://HOST.example.com" + path,
		"no host":             "http:" + path,
		"opaque":              "http:deploy-keys?page=2",
		"a file":              "file:///etc/passwd",
		"a script":            "javascript:alert(1)",
		"broken":              "http://[::1",
		"control characters":  "ORIGIN/\t",
		"too long to show":    "ORIGIN/" + strings.Repeat("x", 600),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, pageOf(next, 1))
			c := newTestClient(t, api, withCredentials(transport.Bearer{Token: "s3cret"}))
			keys, err := collect(t.Context(), c.ListDeployKeys(repository))
			if keys != nil || !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "next page") {
				t.Errorf("got %v, %v, want an error about the link", keys, err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error repeats the link: %v", err)
			}
			api.Expect(page1)
		})
	}
}

// The client follows a bounded number of links to the next page.
func TestPages_endless(t *testing.T) {
	t.Parallel()
	requests := 0
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		pageOf(fmt.Sprintf("ORIGIN%s?page=%d", keysPath, requests+1), int64(requests))(w, r)
	}))
	if _, err := collect(t.Context(), c.ListDeployKeys(repository)); !errors.Is(err, ErrUnusable) || requests != maxPages {
		t.Errorf("got error %v after %d pages", err, requests)
	}
}

func TestPages_loop(t *testing.T) {
	t.Parallel()
	second, third := "ORIGIN"+keysPath+"?page=2", "ORIGIN"+keysPath+"?page=3"
	for name, tc := range map[string]struct {
		pages []http.HandlerFunc
		lines []string
	}{
		"to itself":    {[]http.HandlerFunc{pageOf("ORIGIN"+keysPath+"?pagelen=100", 1)}, []string{page1}},
		"to the first": {[]http.HandlerFunc{pageOf(second, 1), pageOf("ORIGIN"+keysPath+"?pagelen=100", 2)}, []string{page1, "GET " + keysPath + "?page=2"}},
		"later on": {
			[]http.HandlerFunc{pageOf(second, 1), pageOf(third, 2), pageOf(second, 3)},
			[]string{page1, "GET " + keysPath + "?page=2", "GET " + keysPath + "?page=3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, tc.pages...)
			keys, err := collect(t.Context(), newTestClient(t, api).ListDeployKeys(repository))
			if keys != nil || !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "already read") {
				t.Errorf("got %v, %v, want an error about the loop", keys, err)
			}
			api.Expect(tc.lines...)
		})
	}
}

func TestPages_unusable(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"values missing":     `{"pagelen": 100, "page": 1}`,
		"values null":        `{"values": null}`,
		"values an object":   `{"values": {"id": 1}}`,
		"values a text":      `{"values": "none"}`,
		"values of another":  `{"values": [5]}`,
		"values of null":     `{"values": [null]}`,
		"next a number":      `{"values": [], "next": 2}`,
		"a list":             `[]`,
		"null":               `null`,
		"truncated":          `{"values": [], "next":`,
		"empty":              ``,
		"HTML":               `<html><title>Sign in</title></html>`,
		"error of status OK": `{"type": "error", "error": {"message": "No."}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, pageOf("?page=2", 1), httpfake.Reply(200, body))
			keys, err := collect(t.Context(), newTestClient(t, api).ListDeployKeys(repository))
			if keys != nil || !errors.Is(err, ErrUnusable) {
				t.Errorf("got %v, %v, want no keys and an error", keys, err)
			}
			api.Expect(page1, "GET "+keysPath+"?page=2")
		})
	}
}

// If a later page fails, the earlier pages must not be returned as the whole list.
func TestPages_laterPageFails(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, pageOf("?page=2", 1), httpfake.Reply(403, `{"error": {"message": "Forbidden"}}`))
	keys, err := collect(t.Context(), newTestClient(t, api).ListDeployKeys(repository))
	if keys != nil || !HasStatus(err, 403) {
		t.Errorf("got %v, %v, want no keys and a 403", keys, err)
	}
}

// A page that cannot be used is an error. It must not result in a shorter list.
func TestPages_hostile(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"values twice":            `{"values": [` + oneKey + `], "values": null}`,
		"values, then a text":     `{"values": [` + oneKey + `], "values": "none"}`,
		"a key twice":             `{"values": [` + oneKey + `, {"id": 1234}]}`,
		"a key in a list":         `{"values": [[` + oneKey + `]]}`,
		"keys by number":          `{"values": {"0": ` + oneKey + `}}`,
		"next is an object":       `{"values": [], "next": {"href": "ORIGIN/2.0/x"}}`,
		"next is a list":          `{"values": [], "next": ["ORIGIN/2.0/x"]}`,
		"next is true":            `{"values": [], "next": true}`,
		"next twice":              `{"values": [], "next": "ORIGIN/2.0/x", "next": 5}`,
		"next of 1 MB":            `{"values": [], "next": "` + strings.Repeat("http://", 150_000) + `"}`,
		"over 10 MB":              `{"values": [], "other": "` + strings.Repeat("x", transport.MaxReplyBytes) + `"}`,
		"over 10 MB of nothing":   strings.Repeat(" ", transport.MaxReplyBytes+1),
		"nested too deeply":       `{"values": ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
		"nested after the list":   `{"values": [], "other": ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
		"an error and no list":    `{"error": {"message": "No."}, "values": null}`,
		"a list that breaks off":  `{"values": [` + oneKey + `,`,
		"a list and then garbage": `{"values": []} <html>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, err := collect(t.Context(), newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, body)), withRetries(0)).ListDeployKeys(repository))
			if keys != nil || !errors.Is(err, ErrUnusable) || len(err.Error()) > 2*transport.MaxText {
				t.Errorf("got %.300s, %v, want an error", fmt.Sprint(keys), err)
			}
		})
	}
}

func TestPager_hasMore(t *testing.T) {
	t.Parallel()
	pager := newTestClient(t, httpfake.NewScript(t, pageOf("?page=2", 1), pageOf(""))).ListDeployKeys(repository)
	for page, want := range []bool{true, true, false} {
		if got := pager.HasMore(); got != want {
			t.Errorf("has more after %d pages: %t", page, got)
		}
		if !want {
			break
		}
		if _, err := pager.NextPage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPager_clone(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, pageOf("?page=2", 1), pageOf("", 2), pageOf("?page=3", 2), pageOf("", 3))
	pager := newTestClient(t, api).ListDeployKeys(repository)
	if _, err := pager.NextPage(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[2]", "[2 3]"} {
		keys, err := collect(t.Context(), pager.Clone())
		var ids []int64
		for _, key := range keys {
			ids = append(ids, key.ID)
		}
		if err != nil || fmt.Sprint(ids) != want {
			t.Errorf("got %v, %v, want %s", ids, err, want)
		}
	}
	api.Expect(page1, "GET "+keysPath+"?page=2", "GET "+keysPath+"?page=2", "GET "+keysPath+"?page=3")
}

// A value that cannot be used does not affect the other values.
func TestPager_oneBadValue(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, httpfake.Page("?page=2", `{"id": 1, "key": "ssh-ed25519 AAAA"}`, `{"id": "2"}`, `{"id": 3}`, "4", `{"id": 5, "key": "ssh-ed25519 AAAA"}`))
	pager := newTestClient(t, api).ListDeployKeys(repository)
	page, err := pager.NextPage(t.Context())
	if err != nil || !pager.HasMore() {
		t.Fatalf("got %v", err)
	}
	for range 2 { // The values can be read again.
		var got []string
		for key, err := range page {
			if err != nil && (!errors.Is(err, ErrUnusable) || key != DeployKey{}) {
				t.Errorf("got %+v, %v", key, err)
			}
			if unreadable, ok := errors.AsType[*UnreadableKeyError](err); ok {
				got = append(got, fmt.Sprintf("without text: %d", unreadable.ID))
				continue
			}
			got = append(got, fmt.Sprint(key.ID))
		}
		if strings.Join(got, ", ") != "1, without text: 0, without text: 3, without text: 0, 5" {
			t.Errorf("got keys %v", got)
		}
	}
	for _, err := range page {
		if err != nil {
			t.Error(err)
		}
		break // The caller may stop.
	}
	api.Expect(page1)
}
