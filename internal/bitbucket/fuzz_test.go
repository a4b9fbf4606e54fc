package bitbucket

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

// addRecorded adds each recorded body as a seed.
func addRecorded(f *testing.F, add func(body string)) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no recorded bodies: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		add(string(body))
	}
}

// expectUnusable fails the test unless err is the error of a GET and can be shown.
func expectUnusable(t *testing.T, err error) {
	t.Helper()
	e := asError(t, err)
	if e.Method != http.MethodGet {
		t.Errorf("the method is %q", e.Method)
	}
	expectShowable(t, e)
}

func FuzzDeployKey(f *testing.F) {
	addRecorded(f, func(body string) { f.Add(body) })
	f.Add(oneKey)
	f.Add(oneKey + oneKey)
	f.Add(`[` + oneKey + `]`)
	f.Add(`{"id": 1235, "key": "ssh-ed25519 AAAA"}`)
	f.Add(`{"id": 1234, "ID": -1, "key": "ssh-ed25519 AAAA"}`)
	f.Add(`{"id": 1234, "key": "", "Key": null}`)
	f.Add(`{"id": 1234.0, "key": "ssh-ed25519 AAAA", "repository": null}`)
	f.Add(`{"id": 18446744073709552850, "key": "ssh-ed25519 AAAA"}`)
	f.Add(`{"type": "error", "error": {"message": "No."}}`)
	f.Add("null")
	f.Add("<html><title>Sign in\x1b</title>")
	f.Fuzz(func(t *testing.T, body string) {
		c := newTestClient(t, httpfake.Reply(200, body), withRetries(0))
		key, err := c.GetDeployKey(t.Context(), repository, 1234)
		switch {
		case err != nil:
			expectUnusable(t, err)
			if key != nil {
				t.Errorf("got %+v with error %v", key, err)
			}
		case key.ID != 1234 || key.Key == "":
			t.Errorf("got %+v", key)
		}
	})
}

func FuzzHostKeys(f *testing.F) {
	list, err := os.ReadFile("testdata/ssh_host_keys.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(list))
	f.Add(strings.ReplaceAll(string(list), "\n", "\r\n"))
	f.Add(string(list[:len(list)/2]))
	f.Add("@revoked " + string(list))
	f.Add(strings.ReplaceAll(string(list), "bitbucket.org", "bitbucket.org,ssh.bitbucket.org"))
	f.Add("{}")
	f.Add("<html><title>Sign in\x1b</title>")
	f.Fuzz(func(t *testing.T, body string) {
		keys, err := newTestClient(t, httpfake.Reply(200, body), withRetries(0)).ListHostKeys(t.Context())
		switch {
		case err != nil:
			expectUnusable(t, err)
			if keys != nil {
				t.Errorf("got %d keys with error %v", len(keys), err)
			}
		case len(keys) == 0 || slices.ContainsFunc(keys, func(key sshkey.HostKey) bool { return !strings.Contains(body, key.Host) }):
			t.Errorf("got %d keys", len(keys))
		}
	})
}

// A page and a redirect contain the next address. The credentials are sent to this address,
// so a redirect must have the same origin, and a page must have the address of the first
// page.
func FuzzPage(f *testing.F) {
	addRecorded(f, func(body string) { f.Add(body, "") })
	for _, next := range []string{
		"", "?page=2", "#x", "x/", "//127.0.0.1/2.0/x", "http://127.0.0.1/!api/internal?page=a%2Fb%20c&&q=%22",
		"https://127.0.0.1/", "http://127.0.0.1:80/", "http://127.0.0.1.example.com/", "http://127.0.0.1@example.com/", "http://a:b@127.0.0.1/",
		"//example.com/", `/\\example.com/`, "http:x", "http:///x", "file:///etc/passwd", "http://[::1", "http://127.0.0.1/\t",
		strings.Repeat("/é", 1000), "?page=1", "?page=-1&x", "?page=99999999999999999999", "?page=%zz", "?p%61ge=2&page=a b", "http://[::1?page=2#?page=3", "?pagelen=&page=",
	} {
		f.Add(`{"values": [`+oneKey+`], "next": "`+next+`"}`, next)
		f.Add(`{"values": [], "next": "`+next+`"}`, "")
	}
	f.Add(`{"values": [`+oneKey+`, `+oneKey+`, {"id": 7, "key": "k"}]}`, "")
	f.Add(`{"values": [{"id": -7, "key": "k"}], "next": 5}`, "")
	f.Add(`{"values": [null]}`, "")
	f.Add(`{"values": null, "next": "?"}`, "")
	f.Add("", strings.Repeat("\n", 1000))
	f.Fuzz(func(t *testing.T, body, location string) {
		requests, asked := 0, map[string]bool{}
		c := newClient(t, "http://127.0.0.1/2.0", transport.Options{Base: httpfake.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			if r.URL.Scheme != "http" || r.URL.Host != "127.0.0.1" || r.Host != "" && r.Host != r.URL.Host {
				t.Errorf("got a request for %s of %q", r.URL, r.Host)
			}
			if location == "" && (r.URL.EscapedPath() != keysPath || r.URL.User != nil || r.URL.Fragment != "" || strings.ContainsFunc(r.URL.RawQuery, notInQuery)) {
				t.Errorf("got a request for %s", r.URL)
			}
			if location == "" && (asked[r.URL.RawQuery] || !r.URL.Query().Has("pagelen")) {
				t.Errorf("the request for %s is repeated or lacks pagelen", r.URL)
			}
			asked[r.URL.RawQuery] = true
			reply := httpfake.Reply(200, body)
			switch requests++; {
			case requests == 1 && location != "":
				reply = httpfake.Reply(302, body, "Location: "+location)
			case requests > 4: // End the list, so that the test ends.
				reply = httpfake.Page("")
			}
			return httpfake.InMemory{Handler: reply}.RoundTrip(r)
		})})
		keys, err := collect(t.Context(), c.ListDeployKeys(repository))
		if err != nil {
			expectUnusable(t, err)
			if keys != nil {
				t.Errorf("got %+v with error %v", keys, err)
			}
		}
		for _, key := range keys {
			if key.ID <= 0 || key.Key == "" {
				t.Errorf("%+v is not a key", key)
			}
		}
	})
}

// A deployment must have a UUID. It must have a time if the reply has a start time. A reply
// without a UUID is an error.
func FuzzDeployment(f *testing.F) {
	addRecorded(f, func(body string) { f.Add(body) })
	f.Add(`{"uuid": "{2}", "state": {"started_on": "2026-09-01T10:00:00+14:00"}}`)
	f.Add(`{"uuid": "{3}", "created_on": "9999-12-31T23:59:59.999999999Z"}`)
	f.Add(`{"uuid": "{1}", "UUID": ""}`)
	f.Add(`{"uuid": "{1}", "number": -9223372036854775808, "key": 1e300, "state": {"name": "COMPLETED", "start_date": "0001-01-01T00:00:00Z"}}`)
	f.Add(`{"uuid": "{1}", "number": 1e3}`)
	f.Add(`{"uuid": "\u0000\ud800", "key": "\u001b[2J"}`)
	f.Add(`null`)
	f.Add(`[]`)
	u := &url.URL{Path: "/2.0/x"}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := decodeDeployment(u, []byte(value))
		if err != nil {
			expectUnusable(t, err)
		}
		if (err == nil) != (got.UUID != "") {
			t.Errorf("got %+v, %v", got, err)
		}
		if at, err := time.Parse(time.RFC3339, got.StartedOn); err == nil && !got.At.Equal(at) {
			t.Errorf("%s was read as %v", got.StartedOn, got.At)
		}
	})
}

// An environment must have a UUID. A rank and a lock must be in the reply: they are never a
// default. A reply without a UUID is an error.
func FuzzEnvironment(f *testing.F) {
	addRecorded(f, func(body string) { f.Add(body) })
	f.Add(`{"uuid": "{1}", "name": "qa", "rank": 0, "environment_type": {"name": "Test"}, "category": {"name": "Test"}, "lock": {"type": "deployment_environment_lock_open", "name": "OPEN"}}`)
	f.Add(`{"uuid": "{1}", "rank": 1e3, "lock": {"type": "deployment_environment_lock_open"}}`)
	f.Add(`{"uuid": "{1}", "rank": -9223372036854775809, "lock": {"name": "LOCKED"}}`)
	f.Add(`{"uuid": "{1}", "UUID": "", "rank": "x", "lock": "open"}`)
	f.Add(`{"uuid": "\u0000\ud800", "name": "\u001b[2J", "lock": {"name": [], "type": "x"}}`)
	f.Add(`null`)
	f.Add(`[]`)
	u := &url.URL{Path: "/2.0/x"}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := decodeEnvironment(u, []byte(value))
		if err != nil {
			expectUnusable(t, err)
		}
		if (err == nil) != (got.UUID != "") {
			t.Errorf("got %+v, %v", got, err)
		}
		mentions := func(name string) bool {
			return strings.Contains(strings.ToLower(value), name) || strings.Contains(value, `\u`) // An escape can hide a name.
		}
		if got.Rank != nil && !mentions("rank") || got.Locked != nil && !mentions("lock") {
			t.Errorf("got %+v from %s", got, value)
		}
	})
}

// Whatever Bitbucket returns as a project key, the resulting address must be the address of
// the deploy keys of one project.
func FuzzProject(f *testing.F) {
	for _, key := range []string{"WEB", "W_1", "", "web", "..", "A/B", "A%2FB", "{UUID}", "A?B", "É", "A\n"} {
		f.Add(fmt.Sprintf(`{"key": %q}`, key))
	}
	f.Add(`{"key": 5}`)
	f.Add("null")
	f.Fuzz(func(t *testing.T, value string) {
		c := newTestClient(t, nil)
		found, err := decodeProject(c.base, "acme", []byte(value))
		if err != nil {
			expectUnusable(t, err)
			return
		}
		u, err := c.base.Parse(c.deployKeysURL(found).String())
		if err != nil || u.Path != "/2.0/workspaces/acme/projects/"+found.Project+"/deploy-keys" || strings.Count(u.Path, "/") != 6 {
			t.Errorf("%q leads to %s, %v", value, u, err)
		}
	})
}

// Whatever Bitbucket returns as a slug, the resulting address must be the address of the
// deploy keys of one repository.
func FuzzRepository(f *testing.F) {
	for _, slug := range []string{"website", "Web.Site_1-2", "", ".", "..", "../x", "a/b", "%2e%2e", "{uuid}", "{}", "a?b", "a#b", "é", "\x00"} {
		f.Add(fmt.Sprintf(`{"slug": %q, "uuid": "{1}"}`, slug))
	}
	f.Add(`{"slug": 5}`)
	f.Add("null")
	f.Fuzz(func(t *testing.T, value string) {
		c := newTestClient(t, nil)
		found, err := decodeRepository(c.base, "acme", []byte(value))
		if err != nil {
			expectUnusable(t, err)
			return
		}
		u, err := c.base.Parse(c.deployKeysURL(found).String())
		if err != nil || !strings.HasPrefix(u.Path, "/2.0/repositories/acme/") || strings.Count(u.Path, "/") != 5 || !strings.HasSuffix(u.Path, "/deploy-keys") {
			t.Errorf("%q leads to %s, %v", value, u, err)
		}
	})
}

func FuzzError(f *testing.F) {
	addRecorded(f, func(body string) { f.Add(404, body, "", "") })
	f.Add(400, `{"type":"error","error":{"message":"Bad request","fields":{"src":["This field is required."]},"detail":"You must.","id":"d23a1cc5"}}`, "abc", "")
	f.Add(400, `{"key": [{"message": "Someone has already added that access key to this repository."}], "a": "b"}`, "", "")
	f.Add(401, `{"error": ["a", {"message": "b"}, 5]}`, "", "")
	f.Add(403, `{"error": {"message": "No.", "detail": {"required": ["account", "a\u001bb"], "granted": ["webhook"]}}}`, "", "")
	f.Add(403, `{"error": {"fields": {"a\u0000": "1", "a\u0001": "2"}, "id": "a\nb"}}`, "", "")
	f.Add(400, `{"error": {"data": {"key": "deploy-service.request.validation-error", "arguments": {"a\u001b": ["1", {"message": "2"}], "b": 5}}}}`, "", "")
	f.Add(429, "Rate limit for this resource has been exceeded", "a\xff\u202eb", "3600")
	f.Add(502, "\r\n<html>\n<head><title>\n 502 \"Bad\\\nGateway </title>", "", "soon\x1b")
	f.Add(200, "caf\xe9 \ufffd \u0085\u2028\u200b", "", "")
	f.Add(-1, "", "\n", "\n")
	u := &url.URL{Path: "/2.0/x"}
	f.Fuzz(func(t *testing.T, status int, body, requestID, retryAfter string) {
		response := &transport.Response{StatusCode: status, Header: http.Header{"X-Request-Id": {requestID}, "Retry-After": {retryAfter}}, Body: []byte(body)}
		read := func() *Error { return newError(http.MethodPut, u, response) }
		e := read()
		if e.Message == "" || e.Status != status {
			t.Errorf("got %+v", e)
		}
		if again := read(); !reflect.DeepEqual(again, e) {
			t.Errorf("the same reply was read as %+v and as %+v", e, again)
		}
		expectShowable(t, e)
	})
}

// A read must end even if the server requests long waits, because each wait is bounded.
func FuzzNamedWait(f *testing.F) {
	for _, wait := range []string{
		"", "0", "-0", "120", "1.25", "1e3", "0x1p3", "600", "601", "8999999999", "9e9", "9223372036854775807", "1e400", "-1", "NaN", "Inf", "soon",
		"946684920", "Sat, 01 Jan 2000 00:01:30 GMT", "Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Monday, 01-Jan-00 00:00:00 GMT",
	} {
		f.Add(429, wait, "")
		f.Add(429, "", wait)
		f.Add(503, wait, wait)
	}
	f.Add(500, "3600", "3600")
	f.Add(200, "3600", "3600")
	f.Fuzz(func(t *testing.T, status int, retryAfter, reset string) {
		synctest.Test(t, func(t *testing.T) {
			head := http.Header{"Retry-After": {retryAfter}, "X-Ratelimit-Reset": {reset}}
			c := newTestClient(t, nil, func(o *transport.Options) {
				o.RetryWait = time.Second
				o.Base = httpfake.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: status, Header: head, Body: http.NoBody, Request: r}, nil
				})
			})
			start := time.Now()
			if _, err := c.GetDeployKey(t.Context(), repository, 1234); err == nil {
				t.Error("got a key from an empty reply")
			}
			longest := 3 * 10 * time.Minute
			if status == http.StatusTooManyRequests {
				longest = 10 * time.Minute // For all attempts together.
			}
			if waited := time.Since(start); waited > longest {
				t.Errorf("waited %v", waited)
			}
		})
	})
}
