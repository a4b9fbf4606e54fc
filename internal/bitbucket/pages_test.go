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

// page2 is the request for the second page if the link is "?page=2".
const page2 = "GET " + keysPath + "?page=2&pagelen=100"

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

// Of a link to the next page, only the query counts. The address is that of the first page.
func TestPages_followsNext(t *testing.T) {
	t.Parallel()
	const second = "?pagelen=100&page=2"
	for name, tc := range map[string]struct{ next, query string }{
		"absolute":            {"ORIGIN" + keysPath + "?pagelen=100&page=2", second},
		"another order":       {"ORIGIN" + keysPath + "?page=2&pagelen=100", "?page=2&pagelen=100"},
		"verbatim":            {"ORIGIN/2.0/repositories/%7Ba-b%7D/%7bc%7d/deploy-keys?page=a%2Fb%20c&ctx=x+y&&q=%22", "?page=a%2Fb%20c&ctx=x+y&q=%22&pagelen=100"},
		"without pagelen":     {"ORIGIN" + keysPath + "?page=2", "?page=2&pagelen=100"},
		"another pagelen":     {"ORIGIN" + keysPath + "?page=2&pagelen=50", "?page=2&pagelen=50"},
		"another path":        {"ORIGIN/!api/internal?page=2", "?page=2&pagelen=100"},
		"absolute path":       {keysPath + "?page=2", "?page=2&pagelen=100"},
		"query alone":         {"?page=2", "?page=2&pagelen=100"},
		"scheme left out":     {"//HOST" + keysPath + second, second},
		"another port":        {"http://localhost:8080" + keysPath + second, second},
		"another host":        {"https://api.bitbucket.org" + keysPath + second, second},
		"an internal host":    {"http://deployments.internal/internal/x" + second, second},
		"another scheme":      {"https://HOST" + keysPath + second, second},
		"user and password":   {"http://ada:s3cret@elsewhere.example" + keysPath + second, second},
		"host as user name":   {"http://HOST@elsewhere.example" + keysPath + second, second},
		"no host":             {"http:" + keysPath + second, second},
		"opaque":              {"http:deploy-keys" + second, second},
		"a file":              {"file:///etc/passwd" + second, second},
		"broken host":         {"http://[::1" + second, second},
		"fragment":            {"ORIGIN/x" + second + "#?page=7", second},
		"same number":         {"ORIGIN" + keysPath + "?pagelen=100&page=1", second},
		"number zero":         {"ORIGIN" + keysPath + "?pagelen=100&page=0", second},
		"negative number":     {"ORIGIN" + keysPath + "?pagelen=100&page=-7", second},
		"further on":          {"ORIGIN" + keysPath + "?pagelen=100&page=7", "?pagelen=100&page=7"},
		"number too large":    {"?page=99999999999999999999", "?page=99999999999999999999&pagelen=100"},
		"a cursor as page":    {"?page=Zm9v&pagelen=100", "?page=Zm9v&pagelen=100"},
		"a cursor":            {"?ctx=Zm9v;bar", "?ctx=Zm9v;bar&pagelen=100"},
		"escaped name":        {"?p%61ge=1&%70agelen=100", "?page=2&%70agelen=100"},
		"a path in the query": {"?page=2&x=/../../..//evil", "?page=2&x=/../../..//evil&pagelen=100"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, pageOf(tc.next, 1, 2), pageOf("", 3))
			c := newTestClient(t, api, withCredentials(transport.Bearer{Token: "s3cret"}), func(o *transport.Options) {
				o.Base = httpfake.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					if r.URL.Scheme != "http" || r.URL.Host != "localhost" || r.URL.Path != keysPath || r.URL.User != nil {
						t.Errorf("got a request for %s", r.URL)
					}
					return httpfake.InMemory{Handler: api}.RoundTrip(r)
				})
			})
			keys, err := collect(t.Context(), c.ListDeployKeys(repository))
			if err != nil || len(keys) != 3 {
				t.Errorf("got %v, %v", keys, err)
			}
			api.Expect(page1, "GET "+keysPath+tc.query)
		})
	}
}

// Some endpoints do not repeat the parameters of the request in the link.
func TestPages_keepsParameters(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, httpfake.Page("?page=2", `{"slug": "a"}`), httpfake.Page("?q=other&page=3", `{"slug": "b"}`), httpfake.Page("", `{"slug": "c"}`))
	found, err := collect(t.Context(), newTestClient(t, api).ListRepositories("acme", "WEB"))
	if err != nil || len(found) != 3 {
		t.Errorf("got %v, %v", found, err)
	}
	const fields, q, pagelen = "&fields=next%2Cvalues.slug", "&q=project.key%3D%22WEB%22", "&pagelen=100"
	api.Expect("GET /2.0/repositories/acme?"+fields[1:]+pagelen+q, "GET /2.0/repositories/acme?page=2"+fields+pagelen+q, "GET /2.0/repositories/acme?q=other&page=3"+fields+pagelen)
}

// A link that repeats a page number is counted on from page to page.
func TestPages_countsPages(t *testing.T) {
	t.Parallel()
	for name, links := range map[string][3]string{
		"always the first": {"?page=1", "?page=1", "?page=1"},
		"one behind":       {"?page=1", "?page=2", "?page=3"},
		"backwards":        {"?page=3", "?page=2", "?page=1"},
	} {
		api := httpfake.NewScript(t, pageOf(links[0], 1), pageOf(links[1], 2), pageOf(links[2], 3), pageOf("", 4))
		keys, err := collect(t.Context(), newTestClient(t, api).ListDeployKeys(repository))
		if err != nil || len(keys) != 4 {
			t.Errorf("%s: got %v, %v", name, keys, err)
		}
		first := 2
		if name == "backwards" {
			first = 3
		}
		want := []string{page1}
		for i := range 3 {
			want = append(want, fmt.Sprintf("GET %s?page=%d&pagelen=100", keysPath, first+i))
		}
		api.Expect(want...)
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
		api.Expect(page1, page2)
	}
}

// A link that cannot be used is an error only if the next page is needed.
func TestPages_unusableNext(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]string{
		"no query":           "http://ada:s3cret@HOST" + keysPath,
		"a script":           "javascript:alert(1)",
		"broken escape":      "?page=%zz&x=s3cret",
		"broken escape name": "?%=2",
		"a space":            "?page=a b",
		"a line break":       "?page=2\r\nHost: elsewhere.example",
		"control characters": "?page=2\t",
		"not ASCII":          "?page=é",
		"too long":           "?page=" + strings.Repeat("x", 5000),
		"the first page":     "ORIGIN" + keysPath + "?pagelen=100",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, pageOf(next, 1))
			pager := newTestClient(t, api, withCredentials(transport.Bearer{Token: "s3cret"})).ListDeployKeys(repository)
			if _, err := pager.NextPage(t.Context()); err != nil || !pager.HasMore() {
				t.Fatalf("got %v for the first page", err)
			}
			_, err := pager.NextPage(t.Context())
			if !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "next page") {
				t.Errorf("got %v, want an error about the link", err)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || len(err.Error()) > 300) {
				t.Errorf("the error repeats the link: %v", err)
			}
			api.Expect(page1)
		})
	}
}

// A link may only have characters that can be sent.
func TestFollowingQuery_characters(t *testing.T) {
	t.Parallel()
	for character, want := range map[rune]bool{0x1f: false, ' ': false, '!': true, '~': true, 0x7f: false, 'é': false} {
		if _, _, ok := followingQuery("?ctx="+string(character), "", 1); ok != want {
			t.Errorf("%q: got %t", character, ok)
		}
	}
}

// The bound is for the whole query, with the parameters of the first request.
func TestPages_longestNext(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]int{maxQuery: 2, maxQuery + 1: 0} {
		next := "?ctx=" + strings.Repeat("x", length-len("ctx=&pagelen=100"))
		c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			page := pageOf(next, 1)
			if r.URL.Query().Has("ctx") {
				page = pageOf("", 2)
			}
			page(w, r)
		}))
		keys, err := collect(t.Context(), c.ListDeployKeys(repository))
		if len(keys) != want || errors.Is(err, ErrUnusable) != (want == 0) {
			t.Errorf("a query of %d bytes: got %d keys, %v", length, len(keys), err)
		}
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

// A page that repeats what was read is an error. It must not lead to an endless loop or to
// a shorter list.
func TestPages_loop(t *testing.T) {
	t.Parallel()
	line := func(page int) string { return fmt.Sprintf("GET %s?page=%d&pagelen=100", keysPath, page) }
	cursor := func(name string) string { return "GET " + keysPath + "?ctx=" + name + "&pagelen=100" }
	for name, tc := range map[string]struct {
		pages []http.HandlerFunc
		lines []string
	}{
		"to itself":             {[]http.HandlerFunc{pageOf("ORIGIN"+keysPath+"?pagelen=100", 1)}, []string{page1}},
		"to the first":          {[]http.HandlerFunc{pageOf("?page=2", 1), pageOf("ORIGIN"+keysPath+"?pagelen=100", 2)}, []string{page1, line(2)}},
		"a cursor":              {[]http.HandlerFunc{pageOf("?ctx=a", 1), pageOf("?ctx=b", 2), pageOf("?pagelen=100&ctx=a", 3)}, []string{page1, cursor("a"), cursor("b")}},
		"the number is ignored": {[]http.HandlerFunc{pageOf("?page=2", 1, 2), pageOf("?page=2", 1, 2)}, []string{page1, line(2)}},
		"without a link":        {[]http.HandlerFunc{pageOf("?page=2", 1, 2), pageOf("", 1, 2)}, []string{page1, line(2)}},
		"in another order":      {[]http.HandlerFunc{pageOf("?page=2", 1, 2), pageOf("?page=3", 2, 1)}, []string{page1, line(2)}},
		"of several pages":      {[]http.HandlerFunc{pageOf("?page=2", 1), pageOf("?page=2", 2), pageOf("?page=3", 2, 1)}, []string{page1, line(2), line(3)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, tc.pages...)
			keys, err := collect(t.Context(), newTestClient(t, api).ListDeployKeys(repository))
			if keys != nil || !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "a page already read") {
				t.Errorf("got %v, %v, want an error about the loop", keys, err)
			}
			api.Expect(tc.lines...)
		})
	}
}

// A key that is added or removed meanwhile moves other keys to another page.
func TestPages_shifted(t *testing.T) {
	t.Parallel()
	api := httpfake.NewScript(t, pageOf("?page=2", 1, 2), pageOf("?page=3", 2, 3), pageOf(""))
	keys, err := collect(t.Context(), newTestClient(t, api).ListDeployKeys(repository))
	if err != nil || len(keys) != 4 {
		t.Errorf("got %v, %v", keys, err)
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
			api.Expect(page1, page2)
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
	api.Expect(page1, page2, page2, "GET "+keysPath+"?page=3&pagelen=100")
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
