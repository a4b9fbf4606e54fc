package bitbucket

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// page1 is the first page of the deploy keys, as it is asked for.
const page1 = "GET " + keysPath + "?pagelen=100"

// pageOf answers with a page of keys and the address of the next one.
func pageOf(next string, ids ...int64) http.HandlerFunc {
	var keys []string
	for _, id := range ids {
		keys = append(keys, fmt.Sprintf(`{"id": %d, "key": %q}`, id, keyLine))
	}
	if next != "" {
		next = fmt.Sprintf(`, "next": %q`, next)
	}
	return answer(200, `{"pagelen": 100, "values": [`+strings.Join(keys, ", ")+`]`+next+`}`)
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
			api := answers(t, pageOf(tc.next, 1, 2), pageOf("ORIGIN"+keysPath+"?page=3", 3), pageOf("", 4, 5))
			keys, err := newTestClient(t, api).DeployKeys(t.Context(), repository)
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
			api.expect(page1, "GET "+tc.line, "GET "+keysPath+"?page=3")
		})
	}
}

// An empty page may have a next one, and next may be there without a value.
func TestPages_emptyPages(t *testing.T) {
	t.Parallel()
	for _, last := range []string{`{"values": []}`, `{"values": [], "next": null}`, `{"values": [], "next": ""}`} {
		api := answers(t, pageOf("?page=2"), answer(200, last))
		keys, err := newTestClient(t, api).DeployKeys(t.Context(), repository)
		if err != nil || len(keys) != 0 {
			t.Errorf("%s: got %v, %v", last, keys, err)
		}
		api.expect(page1, "GET "+keysPath+"?page=2")
	}
}

// The credentials go where the links lead, so links may not lead elsewhere.
func TestPages_refusesNextElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(answers(t)) // Fails the test if anything arrives.
	t.Cleanup(elsewhere.Close)
	path := keysPath + "?page=2"
	for name, next := range map[string]string{
		"another port":        elsewhere.URL + path,
		"another host":        "http://localhost:" + elsewhere.URL[strings.LastIndex(elsewhere.URL, ":")+1:] + path,
		"another scheme":      "https://HOST" + path,
		"another, no scheme":  "//" + elsewhere.Listener.Addr().String() + path,
		"user name":           "http://ada@HOST" + path,
		"password":            "http://ada:s3cret@HOST" + path,
		"host as user name":   "http://HOST@" + elsewhere.Listener.Addr().String() + path,
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
			api := answers(t, pageOf(next, 1))
			c := newTestClient(t, api, withCredentials(Bearer{"s3cret"}))
			keys, err := c.DeployKeys(t.Context(), repository)
			if keys != nil || !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "next page") {
				t.Errorf("got %v, %v, want an error about the link", keys, err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error repeats the link: %v", err)
			}
			api.expect(page1)
		})
	}
}

// Links that always lead on are followed for a while only.
func TestPages_endless(t *testing.T) {
	t.Parallel()
	asked := 0
	c := newInMemoryClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		pageOf(fmt.Sprintf("ORIGIN%s?page=%d", keysPath, asked+1), int64(asked))(w, r)
	}))
	if _, err := c.DeployKeys(t.Context(), repository); !errors.Is(err, ErrUnusable) || asked != maxPages {
		t.Errorf("got error %v after %d pages", err, asked)
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
			api := answers(t, tc.pages...)
			keys, err := newTestClient(t, api).DeployKeys(t.Context(), repository)
			if keys != nil || !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "already read") {
				t.Errorf("got %v, %v, want an error about the loop", keys, err)
			}
			api.expect(tc.lines...)
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
			api := answers(t, pageOf("?page=2", 1), answer(200, body))
			keys, err := newTestClient(t, api).DeployKeys(t.Context(), repository)
			if keys != nil || !errors.Is(err, ErrUnusable) {
				t.Errorf("got %v, %v, want no keys and an error", keys, err)
			}
			api.expect(page1, "GET "+keysPath+"?page=2")
		})
	}
}

// A list is all of it or none.
func TestPages_laterPageFails(t *testing.T) {
	t.Parallel()
	api := answers(t, pageOf("?page=2", 1), answer(403, `{"error": {"message": "Forbidden"}}`))
	keys, err := newTestClient(t, api).DeployKeys(t.Context(), repository)
	if keys != nil || !HasStatus(err, 403) {
		t.Errorf("got %v, %v, want no keys and a 403", keys, err)
	}
}
