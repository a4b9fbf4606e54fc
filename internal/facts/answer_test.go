package facts

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/live"
)

// A server may answer an error in any form. The form is a part of the answer.
func TestRefusal(t *testing.T) {
	t.Parallel()
	server, err := live.NewServer("https://api.bitbucket.org/2.0", "acme", "ci@example.com", token, &live.Counter{})
	if err != nil {
		t.Fatal(err)
	}
	r := &run{server: server, names: map[string]string{"tf-acc-0123456789ab": "{repository}"}}
	for body, want := range map[string]string{
		`{"type":"error","error":{"message":"Bad request"}}`:                                     `400 "Bad request"`,
		`{"error":{"message":"Bad request"}}`:                                                    `400, error.message "Bad request"`,
		`{"type":"error","error":{"message":"key: No","fields":{"key":["No"]}}}`:                 `400 "key: No", error.fields.key[] "No"`,
		`{"type":"error","error":{"message":"No","detail":{"required":["a","b"],"granted":[]}}}`: `400 "No", error.detail.granted [], error.detail.required[] "a", error.detail.required[] "b"`,
		`{"type":"error","error":{"message":"No","id":"d23a1cc5178f7637f3d9bf2d13824258"}}`:      `400 "No", error.id "{hexadecimal number}"`,
		`{"key":["No"]}`:              `400 key[] "No"`,
		`{"key":[{"message":"No"}]}`:  `400 key[].message "No"`,
		`{"key":"No"}`:                `400 key "No"`,
		`{"error":"No scopes."}`:      `400 error "No scopes."`,
		`{"type":"error","error":{}}`: `400 type "error"`,
		`{}`:                          `400`,
		`[]`:                          `400 []`,
		`null`:                        `400 null`,
		`"No"`:                        `400 "No"`,
		"":                            "400 with an empty body",
		" \n":                         "400 with an empty body",
		"Rate limit":                  `400 text "Rate limit"`,
		"<!DOCTYPE html><p>No":        "400 HTML page",
		"{\"error\": {\"mess":         `400 text "{\"error\": {\"mess"`,
		`{"type":"error","error":{"message":"/repositories/acme/tf-acc-0123456789ab/deploy-keys/17 {0a1b2c3d-1111-4222-8333-444455556666}"}}`: `400 "/repositories/{workspace}/{repository}/deploy-keys/{id} {uuid}"`,
		`{"type":"error","error":{"message":"ACME: workspace, 'acme', https://api.bitbucket.org/2.0/repositories/acme"}}`:                     `400 "ACME: workspace, '{workspace}', {api}/repositories/{workspace}"`,
		`{"type":"error","error":{"message":"` + token + ` of CI@example.com as ` + url.QueryEscape("ci@example.com:"+token) + `"}}`:          `400 "[redacted] of [redacted] as [redacted]%3A[redacted]"`,
	} {
		if got := r.refusal(&live.Reply{Status: http.StatusBadRequest, Body: []byte(body)}); got != want {
			t.Errorf("%s\n\tgot  %s\n\twant %s", body, got, want)
		}
	}
	redirect := &live.Reply{Status: http.StatusMovedPermanently, Header: http.Header{"Location": {"https://api.bitbucket.org/2.0/repositories/acme/tf-acc-0123456789ab?a=b"}}}
	if got := r.refusal(redirect); got != "301 to {api}/repositories/{workspace}/{repository}?a=b" {
		t.Error(got)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "",
		"one two three four five": "one two|three four|five",
		"abcdefghijklmnopqrstuvw": "abcdefghij|klmnopqrst|uvw",
		"a 🚀🚀🚀🚀🚀🚀🚀🚀 b":            "a 🚀🚀🚀🚀🚀🚀🚀🚀|b",
	} {
		if got := strings.Join(wrap(text, 10), "|"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
