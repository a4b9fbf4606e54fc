package bitbucket

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// The bodies are documented, or have been observed.
func TestError_recordedBodies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		want   Error
		text   string
	}{
		"documented": {
			400,
			`{"type":"error","error":{"message":"Bad request","fields":{"src":["This field is required."]},"detail":"You must specify a valid source branch when creating a pull request.","id":"d23a1cc5178f7637f3d9bf2d13824258","data":{"extra":"Optional, endpoint-specific data to further augment the error."}}}`,
			Error{
				Message: "Bad request", Fields: map[string][]string{"src": {"This field is required."}},
				Detail:    "You must specify a valid source branch when creating a pull request.",
				RequestID: "d23a1cc5178f7637f3d9bf2d13824258",
			},
			"400 Bad Request: Bad request",
		},
		"fields": {
			400, `{"type": "error", "error": {"fields": {"url": ["Enter a valid URL."]}, "message": "url: Enter a valid URL."}}`,
			Error{Message: "url: Enter a valid URL.", Fields: map[string][]string{"url": {"Enter a valid URL."}}},
			"400 Bad Request: url: Enter a valid URL.",
		},
		"fields without a message": {
			400, `{"type": "error", "error": {"fields": {"e": ["5", "6"], "d": "4", "c": "3", "b": [{"message": "2"}], "a": "1"}}}`,
			Error{Message: "1 2 3 4 5 6", FromFields: true, Fields: map[string][]string{"a": {"1"}, "b": {"2"}, "c": {"3"}, "d": {"4"}, "e": {"5", "6"}}},
			"400 Bad Request: 1 2 3 4 5 6",
		},
		"field with objects is all": {
			400, `{"key": [{"message": "Someone has already added that access key to this repository."}]}`,
			Error{
				Message: "Someone has already added that access key to this repository.", FromFields: true,
				Fields: map[string][]string{"key": {"Someone has already added that access key to this repository."}},
			},
			"400 Bad Request: Someone has already added that access key to this repository.",
		},
		"field with texts is all": {
			400, `{"key": ["Invalid SSH key", "or none"], "type": "error"}`,
			Error{Message: "Invalid SSH key or none", FromFields: true, Fields: map[string][]string{"key": {"Invalid SSH key", "or none"}}},
			"400 Bad Request: Invalid SSH key or none",
		},
		"several fields are all": {
			400, `{"label":["Too long."],"key":["Invalid SSH key"]}`,
			Error{Message: "Invalid SSH key Too long.", FromFields: true, Fields: map[string][]string{"key": {"Invalid SSH key"}, "label": {"Too long."}}},
			"400 Bad Request: Invalid SSH key Too long.",
		},
		"message is all": {
			400, `{"message":"Invalid sort attribute provided"}`,
			Error{Message: "Invalid sort attribute provided", FromFields: true, Fields: map[string][]string{"message": {"Invalid sort attribute provided"}}},
			"400 Bad Request: Invalid sort attribute provided",
		},
		"token": {
			401, `{"type": "error", "error": {"message": "Token is invalid, expired, or not supported for this endpoint."}}`,
			Error{Message: "Token is invalid, expired, or not supported for this endpoint."},
			"401 Unauthorized: Token is invalid, expired, or not supported for this endpoint.",
		},
		"error is a string": {
			401, `{"error": "API Token provided has no Bitbucket scopes."}`,
			Error{Message: "API Token provided has no Bitbucket scopes."},
			"401 Unauthorized: API Token provided has no Bitbucket scopes.",
		},
		"plain text of several lines": {
			401, "Login failed due to incorrect login credentials or method.\n" +
				"For information on authentication methods for Bitbucket Cloud APIs, visit:\n" +
				"    https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication\n",
			Error{Message: "Login failed due to incorrect login credentials or method. For information on authentication methods for Bitbucket Cloud APIs, visit: https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication"},
			"401 Unauthorized: Login failed due to incorrect login credentials or method. For information on authentication methods for Bitbucket Cloud APIs, visit: https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication",
		},
		"scopes": {
			403, `{"type": "error", "error": {"message": "Your credentials lack one or more required privilege scopes.", "detail": {"required": ["account", "team"], "granted": ["webhook"]}}}`,
			Error{
				Message:  "Your credentials lack one or more required privilege scopes.",
				Required: []string{"account", "team"}, Granted: []string{"webhook"},
			},
			"403 Forbidden: Your credentials lack one or more required privilege scopes.",
		},
		"access token": {
			403, `{"type": "error", "error": {"message": "This API is not accessible by this authentication mechanism"}}`,
			Error{Message: "This API is not accessible by this authentication mechanism"},
			"403 Forbidden: This API is not accessible by this authentication mechanism",
		},
		"no route": {
			404, `{"type":"error","error":{"message":"Resource not found","detail":"There is no API hosted at this URL.\n\nFor information about our API's, please refer to the documentation at: https://developer.atlassian.com/bitbucket/api/2/reference/"}}`,
			Error{
				Message: "Resource not found",
				Detail:  "There is no API hosted at this URL. For information about our API's, please refer to the documentation at: https://developer.atlassian.com/bitbucket/api/2/reference/",
			},
			"404 Not Found: Resource not found",
		},
		"without type": {
			404, `{"error":{"message":"Repository beaverish/nonexistent not found."}}`,
			Error{Message: "Repository beaverish/nonexistent not found."},
			"404 Not Found: Repository beaverish/nonexistent not found.",
		},
		"data at both levels": {
			404, `{"type":"error","error":{"message":"Commit not found","data":{"shas":["main"]}},"data":{"shas":["main"]}}`,
			Error{Message: "Commit not found"},
			"404 Not Found: Commit not found",
		},
		"another service": {
			400, `{"type":"error","error":{"message":"Bad request","detail":"Invalid uuid","data":{"key":"deploy-service.request.validation-error","arguments":{"uuid":"{x}"}}}}`,
			Error{Message: "Bad request", Detail: "Invalid uuid"},
			"400 Bad Request: Bad request",
		},
		"another service, without a detail": {
			400, `{"error":{"message":"Bad request","data":{"key":"deploy-service.request.validation-error","arguments":["uuid", "sort"]}}}`,
			Error{Message: "Bad request", Detail: "deploy-service.request.validation-error uuid sort"},
			"400 Bad Request: Bad request",
		},
		"another service, without words": {
			400, `{"error":{"detail":"Invalid uuid","data":{"key":"deploy-service.request.validation-error","arguments":{"uuid":"{x}","at":["a","b"],"n":5}}}}`,
			Error{Message: "deploy-service.request.validation-error at: a b uuid: {x}", Detail: "Invalid uuid"},
			"400 Bad Request: deploy-service.request.validation-error at: a b uuid: {x}",
		},
		"another service, without a message but fields": {
			400, `{"error":{"fields":{"sort":["Unknown."]},"data":{"key":"deploy-service.request.validation-error","arguments":{}}}}`,
			Error{Message: "Unknown.", FromFields: true, Fields: map[string][]string{"sort": {"Unknown."}}, Detail: "deploy-service.request.validation-error"},
			"400 Bad Request: Unknown.",
		},
		"another service, scopes": {
			403, `{"error":{"message":"No.","detail":{"required":["pipeline"],"granted":[]},"data":{"key":"deploy-service.forbidden"}}}`,
			Error{Message: "No.", Required: []string{"pipeline"}, Granted: []string{}},
			"403 Forbidden: No.",
		},
		"workspace in plain text": {
			404, "No workspace with identifier 'badworkspace'.",
			Error{Message: "No workspace with identifier 'badworkspace'."},
			"404 Not Found: No workspace with identifier 'badworkspace'.",
		},
		"rate limit in plain text": {
			429, "Rate limit for this resource has been exceeded",
			Error{Message: "Rate limit for this resource has been exceeded"},
			"429 Too Many Requests: Rate limit for this resource has been exceeded",
		},
		"server error with id": {
			500, `{"error": {"message": "{u'user@example.com': (451, '4.3.0 <user@example.com>: Temporary lookup failure')}", "id": "5c99b0118d884499b54591e0293a90ed"}}`,
			Error{
				Message:   "{u'user@example.com': (451, '4.3.0 <user@example.com>: Temporary lookup failure')}",
				RequestID: "5c99b0118d884499b54591e0293a90ed", MaybeDone: true,
			},
			"500 Internal Server Error: {u'user@example.com': (451, '4.3.0 <user@example.com>: Temporary lookup failure')}",
		},
		"HTML with a title": {
			502, "\r\n<html>\n<head><title>\n 502 Bad\nGateway </title></head>\n<body><h1>502</h1></body></html>",
			Error{Message: `an HTML page with the title "502 Bad Gateway"`, Described: true, MaybeDone: true},
			`502 Bad Gateway: an HTML page with the title "502 Bad Gateway"`,
		},
		"HTML without a title": {
			404, "<!DOCTYPE html><html><body>Not here</body></html>",
			Error{Message: "an HTML page", Described: true},
			"404 Not Found: an HTML page",
		},
		"empty": {
			400, "",
			Error{Message: "an empty reply", Described: true},
			"400 Bad Request: an empty reply",
		},
		"unknown status": {
			555, "",
			Error{Message: "an empty reply", Described: true, MaybeDone: true},
			"555: an empty reply",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(tc.status, tc.body)), func(o *transport.Options) { o.MaxRetries, o.MaxRateLimitWait = 0, 0 })
			got := asError(t, calls["PUT"].send(t.Context(), c))
			tc.want.Method, tc.want.Path, tc.want.Status = "PUT", keyPath, tc.status
			if (got.RateLimit != nil) != (tc.status == 429) {
				t.Errorf("rate limit is %v", got.RateLimit)
			}
			got.RateLimit = nil // TestClient_rateLimit checks its content.
			if !reflect.DeepEqual(*got, tc.want) {
				t.Errorf("got  %#v\nwant %#v", *got, tc.want)
			}
			if want := "PUT " + keyPath + ": " + tc.text; got.Error() != want {
				t.Errorf("got  %s\nwant %s", got.Error(), want)
			}
			if !HasStatus(got, tc.status) {
				t.Errorf("HasStatus is false for status %d", tc.status)
			}
		})
	}
}

// Any body must result in bounded lines that can be printed. The message must not be empty.
func TestError_hostileBodies(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 700)
	cutOff := strings.Repeat("x", 500) + "…"
	many := strings.Repeat(`"`+strings.Repeat("y", 100)+`",`, 3000)
	var manyFields strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&manyFields, `"%d":%s`, i, many[:103])
	}
	var namedWords, shownWords strings.Builder
	for i := range 60 {
		fmt.Fprintf(&namedWords, `"%02d":"x",`, i)
		if i < maxNames-1 {
			fmt.Fprintf(&shownWords, " %02d: x", i)
		}
	}
	manyCutOff := strings.Repeat(strings.Repeat("y", 100)+" ", 4) + strings.Repeat("y", 96) + "…"
	for name, tc := range map[string]struct{ body, message string }{
		"white space":           {" \r\n\t ", "an empty reply"},
		"only control":          {"\x00\x01\x02", "an empty reply"},
		"invalid UTF-8":         {"caf\xe9 \xff\xfe closed", "caf closed"},
		"control characters":    {"\x1b[31mred\x1b[0m\x07\r\nnext\x00line\u0085\u2028end", "[31mred [0m next line end"},
		"text direction":        {"a\u202eb\u200bc\ufeffd", "a b c d"},
		"control in JSON":       {`{"error":{"message":"a\u001b[2Jb\nc\u202ed"}}`, "a [2Jb c d"},
		"control in a string":   {`{"error":"a\nb"}`, "a b"},
		"control in a title":    {"<title>a\x1b\nb</title>", `an HTML page with the title "a b"`},
		"long text":             {long, cutOff},
		"5 MB of text":          {strings.Repeat("x", 5<<20), cutOff},
		"5 MB of wide text":     {strings.Repeat("é", 5<<19), strings.Repeat("é", 500) + "…"},
		"5 MB of white space":   {strings.Repeat(" ", 5<<20), "an empty reply"},
		"5 MB of JSON":          {`{"error":{"message":"` + strings.Repeat("x", 5<<20) + `"}}`, cutOff},
		"exactly the bound":     {strings.Repeat("x", 500), strings.Repeat("x", 500)},
		"long title":            {"<html><title>" + long, `an HTML page with the title "` + strings.Repeat("x", 487) + `…"`},
		"open title":            {"<title>never closed", `an HTML page with the title "never closed"`},
		"truncated JSON":        {`{"error":{"message":"No`, "JSON that breaks off or is damaged"},
		"a number":              {"5", "JSON without a message"},
		"a string":              {`"no"`, "JSON without a message"},
		"a list":                {`["no"]`, "JSON without a message"},
		"null":                  {"null", "JSON without a message"},
		"true":                  {"true", "JSON without a message"},
		"an empty object":       {"{}", "JSON without a message"},
		"only a type":           {`{"type":"error"}`, "JSON without a message"},
		"another object":        {`{"a":5,"b":{"c":"d"},"e":null}`, "JSON without a message"},
		"error null":            {`{"error":null}`, "JSON without a message"},
		"error empty":           {`{"error":{}}`, "JSON without a message"},
		"error a number":        {`{"error":5}`, "JSON without a message"},
		"error an empty text":   {`{"error":""}`, "JSON without a message"},
		"error a list":          {`{"error":["No.",{"message":"Never."},5]}`, "No. Never."},
		"error of many":         {`{"error":[` + many + `"z"]}`, manyCutOff},
		"message a number":      {`{"error":{"message":5}}`, "JSON without a message"},
		"message null":          {`{"error":{"message":null,"fields":null,"detail":null,"id":null}}`, "JSON without a message"},
		"id a number":           {`{"error":{"message":"No.","id":7}}`, "No."},
		"detail a number":       {`{"error":{"message":"No.","detail":7}}`, "No."},
		"detail of many":        {`{"error":{"message":"No.","detail":[` + many + `"z"]}}`, "No."},
		"scopes of other types": {`{"error":{"message":"No.","detail":{"required":"account","granted":5}}}`, "No."},
		"control in scopes":     {`{"error":{"message":"No.","detail":{"required":["a\u001bb"],"granted":null}}}`, "No."},
		"control in a field":    {`{"error":{"message":"No.","fields":{"a\nb":["c\u001bd"]}}}`, "No."},
		"fields of other types": {`{"error":{"message":"No.","fields":{"a":5,"b":null,"c":[5,{"d":1}],"d":{"e":"f"}}}}`, "No."},
		"control in the id":     {`{"error":{"message":"No.","id":"a\nb"}}`, "No."},
		"data of other types":   {`{"error":{"data":[{"key":"k"}]}}`, "JSON without a message"},
		"key of another type":   {`{"error":{"data":{"key":{"a":"b"},"arguments":5}}}`, "JSON without a message"},
		"data null":             {`{"error":{"data":{"key":null,"arguments":null}}}`, "JSON without a message"},
		"control in the data":   {`{"error":{"data":{"key":"a\u001b[2Jb","arguments":{"c\nd":"e\u202ef"}}}}`, "a [2Jb c d: e f"},
		"data of many":          {`{"error":{"data":{"key":[` + many + `"z"],"arguments":{` + manyFields.String() + `"z":"z"}}}}`, manyCutOff},
		"data with a message":   {`{"error":{"message":"No.","data":{"arguments":{` + manyFields.String() + `"z":"z"}}}}`, "No."},
		"data of many names":    {`{"error":{"data":{"key":"k","arguments":{` + namedWords.String() + `"z":"z"}}}}`, "k" + shownWords.String()},
		"error of two":          {`{"error":["` + strings.Repeat("x", 500) + `","y"]}`, cutOff},
		"many in a field":       {`{"a":[` + many + `"z"]}`, manyCutOff},
		"many fields":           {`{` + manyFields.String() + `"z":"z"}`, manyCutOff},
		"many scopes":           {`{"error":{"message":"No.","detail":{"required":[` + many + `"z"],"granted":[` + many + `"z"]}}}`, "No."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Error{Status: 400}
			e.readBody([]byte(tc.body))
			if e.Message != tc.message {
				t.Errorf("got message %.700q, want %q", e.Message, tc.message)
			}
			expectShowable(t, &e)
		})
	}
}

// expectShowable fails the test unless all texts of an error are bounded lines that can be
// printed.
func expectShowable(t *testing.T, e *Error) {
	t.Helper()
	shown := slices.Concat([]string{e.Error(), e.Message, e.Detail, e.RequestID, e.RetryAfter}, e.Required, e.Granted)
	for field, messages := range e.Fields {
		shown = append(append(shown, field), messages...)
	}
	all := 0
	for _, text := range shown {
		n := utf8.RuneCountInString(text)
		all += n
		if n > 3*transport.MaxText { // A quoted text may be twice as long, and Error contains other texts too.
			t.Errorf("%d characters are shown: %s…", n, text[:100])
		}
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(text) {
			t.Errorf("%q cannot be printed", text)
		}
	}
	if all > 300*transport.MaxText {
		t.Errorf("%d characters are shown", all)
	}
}

func TestError_headers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status                int
		body                  string
		headers               []string
		requestID, retryAfter string
	}{
		"none":             {403, "", nil, "", ""},
		"request id":       {403, "", []string{"X-Request-Id: abc", "X-B3-Traceid: 1a4e3ec6e8f2fe21"}, "abc", ""},
		"trace id":         {403, "", []string{"X-B3-Traceid: 1a4e3ec6e8f2fe21"}, "1a4e3ec6e8f2fe21", ""},
		"id in the body":   {403, `{"error":{"id":"d23a1cc5"}}`, []string{"X-Request-Id: abc"}, "d23a1cc5", ""},
		"seconds":          {429, "", []string{"Retry-After: 3600", "X-Ratelimit-Reset: 745"}, "", "3600"},
		"date":             {429, "", []string{"Retry-After: Sat, 01 Jan 2050 00:00:00 GMT"}, "", "Sat, 01 Jan 2050 00:00:00 GMT"},
		"reset":            {429, "", []string{"X-Ratelimit-Reset: 745"}, "", "745"},
		"reset of no 429":  {403, "", []string{"X-Ratelimit-Reset: 745"}, "", ""},
		"unavailable":      {503, "", []string{"Retry-After: 3600", "X-Ratelimit-Reset: 745"}, "", "3600"},
		"not to print":     {403, "", []string{"X-Request-Id: a\xff\u202eb", "Retry-After: 1\xff"}, "a b", "1"},
		"longer than that": {403, "", []string{"X-Request-Id: " + strings.Repeat("x", 600)}, strings.Repeat("x", 500) + "…", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(tc.status, tc.body, tc.headers...)), withRetries(0))
			e := asError(t, calls["GET"].send(t.Context(), c))
			if e.RequestID != tc.requestID || e.RetryAfter != tc.retryAfter {
				t.Errorf("got request id %q, retry after %q, want %q, %q", e.RequestID, e.RetryAfter, tc.requestID, tc.retryAfter)
			}
		})
	}
}

func TestHasStatus(t *testing.T) {
	t.Parallel()
	notFound := &Error{Method: "GET", Path: "/2.0/x", Status: 404}
	wrapped := fmt.Errorf("reading: %w", fmt.Errorf("twice: %w", notFound))
	for name, tc := range map[string]struct {
		err      error
		status   int
		has      bool
		notFound bool
	}{
		"itself":        {notFound, 404, true, true},
		"wrapped":       {wrapped, 404, true, true},
		"joined":        {errors.Join(errors.New("other"), notFound), 404, true, true},
		"another":       {notFound, 403, false, true},
		"forbidden":     {fmt.Errorf("reading: %w", &Error{Status: 403}), 403, true, false},
		"no reply":      {&Error{Err: context.Canceled}, 0, false, false},
		"cut off":       {&Error{Status: 404, Err: errors.New("cut")}, 404, false, false},
		"another error": {errors.New("404 Not Found"), 404, false, false},
		"for a token":   {&Error{Path: transport.TokenPath, Status: 404}, 404, false, false},
		"none":          {nil, 404, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := HasStatus(tc.err, tc.status); got != tc.has {
				t.Errorf("HasStatus(%v, %d) = %t", tc.err, tc.status, got)
			}
			if got := IsNotFound(tc.err); got != tc.notFound {
				t.Errorf("IsNotFound(%v) = %t", tc.err, got)
			}
		})
	}
}

func TestError_withoutReply(t *testing.T) {
	t.Parallel()
	e := &Error{Method: http.MethodGet, Path: "/2.0/x", Status: 200, Message: "not shown", Err: context.Canceled}
	if got, want := e.Error(), "GET /2.0/x: context canceled"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(e, context.Canceled) {
		t.Error("errors.Is does not find the cause")
	}
}

func TestIsForbidden(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"403":            {fmt.Errorf("reading: %w", &Error{Status: 403}), true},
		"granted scopes": {&Error{Status: 403, Granted: []string{"account"}}, true},
		"scope":          {&Error{Status: 403, Required: []string{"account"}}, false},
		"404":            {&Error{Status: 404}, false},
		"no reply":       {&Error{Status: 403, Err: context.Canceled}, false},
		"for a token":    {&Error{Path: transport.TokenPath, Status: 403}, false},
		"none":           {nil, false},
	} {
		if got := IsForbidden(tc.err); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// Only a redirect leads somewhere.
func TestError_location(t *testing.T) {
	t.Parallel()
	for status, detail := range map[int]string{399: "it redirects to http://localhost/elsewhere", 400: ""} {
		c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(status, "", "Location: /elsewhere")))
		if e := asError(t, calls["PUT"].send(t.Context(), c)); e.Detail != detail {
			t.Errorf("%d: got the detail %q, want %q", status, e.Detail, detail)
		}
	}
}

func TestIsRedirect(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"300":         {&Error{Status: 300}, true},
		"301":         {fmt.Errorf("reading: %w", &Error{Status: 301}), true},
		"308":         {&Error{Status: 308}, true},
		"299":         {&Error{Status: 299}, false},
		"400":         {&Error{Status: 400}, false},
		"no reply":    {&Error{Status: 302, Err: context.Canceled}, false},
		"for a token": {&Error{Path: transport.TokenPath, Status: 302}, false},
		"none":        {nil, false},
	} {
		if got := IsRedirect(tc.err); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// secrets are the texts that no error may contain, in plain text and in base64.
var secrets = []string{
	"s3cret", "consumer-id",
	"YWRhQGV4YW1wbGUuY29tOkFUQVRULXMzY3JldA==", // ada@example.com:ATATT-s3cret
	"Y29uc3VtZXItaWQ6czNjcmV0LW9mLWNvbnN1bWVy", // consumer-id:s3cret-of-consumer
	"token-1", "token-2",
}

func expectNoSecrets(t *testing.T, err error) {
	t.Helper()
	text := dump(err)
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("the error contains %q: %s", secret, text)
		}
	}
}

// dump returns the texts and the fields of an error and of all errors that it wraps. A
// field may contain a secret that the text omits.
func dump(err error) string {
	var all strings.Builder
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&all, "%v %#v\n", err, err)
		if e, ok := err.(*Error); ok { //nolint:errorlint // This loop looks at each error by itself.
			fmt.Fprintf(&all, "%+v\n", e.RateLimit)
		}
	}
	return all.String()
}

// An error without a reply may contain addresses, but no secrets.
func TestCredentials_areNotInErrors(t *testing.T) {
	t.Parallel()
	noRoute := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route to host") }
	for name, credentials := range map[string]transport.Credentials{
		"basic":              transport.Basic{Username: "ada@example.com", Token: "ATATT-s3cret"},
		"bearer":             transport.Bearer{Token: "ATCTT-s3cret"},
		"bearer with a line": transport.Bearer{Token: "ATCTT-s3cret\n"},
		"consumer":           transport.OAuthConsumer{ID: "consumer-id", Secret: "s3cret-of-consumer"},
	} {
		for reason, o := range map[string]transport.Options{
			"no connection": {Base: &http.Transport{DialContext: noRoute}},
			"transport":     {Base: httpfake.RoundTripFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("proxy failed") })},
			"wrong proxy":   {Base: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return nil, errors.New("no proxy") }}},
		} {
			t.Run(name+" "+reason, func(t *testing.T) {
				t.Parallel()
				o.Credentials, o.MaxRetries, o.RetryWait = credentials, 1, 1
				c := newClient(t, "", o)
				for method, call := range calls {
					err := call.send(t.Context(), c)
					if e := asError(t, err); e.Status != 0 || e.Err == nil {
						t.Errorf("%s: got error %v", method, err)
					}
					expectNoSecrets(t, err)
				}
			})
		}
	}
}

// atlassianToken has the form of an API token, which ends in a checksum.
const atlassianToken = "ATATT3xFfGF0Qk9wZ2xhc3M/ZG9lc24nd+CBiZWxpZXZlIHRoaXMgaXMgb25lX-0=9B4E7A1C"

// showsSecret returns a part of the secret, or of its base64, that is in the text.
func showsSecret(text, secret string) string {
	forms := []string{secret}
	for before := range 3 {
		form := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", before) + secret))
		forms = append(forms, form, strings.NewReplacer("+", "-", "/", "_").Replace(form))
	}
	for _, form := range forms {
		for ; len(form) >= 16; form = form[1:] {
			if part := form[:16]; strings.Contains(text, part) {
				return part
			}
		}
	}
	return ""
}

// A server or proxy may repeat the credentials in any part of its reply. No error may show
// them.
func TestClient_repeatedCredentials(t *testing.T) {
	t.Parallel()
	credentialsOf := func(r *http.Request) string {
		_, password, _ := r.BasicAuth()
		return strings.TrimSpace(password + " Authorization: " + r.Header.Get("Authorization"))
	}
	body := func(format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, format, credentialsOf(r))
		}
	}
	header := func(status int, names ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, name := range names {
				w.Header().Set(name, credentialsOf(r))
			}
			w.WriteHeader(status)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"message":         body(`{"error": {"message": "No: %s"}}`),
		"detail":          body(`{"error": {"message": "No", "detail": "%s"}}`),
		"fields":          body(`{"error": {"fields": {"%s": ["No"], "key": "%[1]s"}}}`),
		"scopes":          body(`{"error": {"message": "No", "detail": {"required": ["%s"], "granted": ["%[1]s"]}}}`),
		"request id":      body(`{"error": {"message": "No", "id": "%s"}}`),
		"error of OAuth":  body(`{"error": "%s", "error_description": "%[1]s"}`),
		"plain text":      body("GET / HTTP/1.1\nAuthorization: %s\n"),
		"title":           body("<html><title>%s</title></html>"),
		"headers":         header(http.StatusUnauthorized, "X-Request-Id", "X-B3-Traceid", "Retry-After", "Www-Authenticate"),
		"limit":           header(http.StatusTooManyRequests, "Retry-After", "X-Ratelimit-Reset", "X-Ratelimit-Limit"),
		"redirect":        header(http.StatusFound, "Location"),
		"status 200":      httpfake.Reply(200, `{"id": 1234, "key": "none"`),
		"status 200 text": func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, credentialsOf(r)) },
		"not HTTP": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = fmt.Fprintf(conn, "%s\r\n\r\n", credentialsOf(r))
			_ = conn.Close()
		},
	} {
		for scheme, credentials := range map[string]transport.Credentials{
			"basic":    transport.Basic{Username: "ada@example.com", Token: atlassianToken},
			"bearer":   transport.Bearer{Token: atlassianToken},
			"consumer": transport.OAuthConsumer{ID: "consumer-id", Secret: atlassianToken},
		} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				t.Parallel()
				server := httptest.NewServer(handler)
				t.Cleanup(server.Close)
				c := newClient(t, server.URL+"/2.0", transport.Options{Credentials: credentials, RetryWait: 1, MaxRateLimitWait: time.Millisecond})
				for method, call := range calls {
					err := call.send(t.Context(), c)
					if err == nil {
						t.Errorf("%s succeeded", method)
					}
					if part := showsSecret(dump(err), atlassianToken); part != "" {
						t.Errorf("%s: the error shows %s of the credentials: %s", method, part, dump(err))
					}
				}
			})
		}
	}
}

// The fields of a key are stored in the state, so a reply that contains the credentials is
// an error.
func TestClient_repeatedCredentialsInKey(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"id": 1234, "key": %q, "label": "by %s"}`, keyLine, r.Header.Get("Authorization"))
	}), withCredentials(transport.Bearer{Token: atlassianToken}))
	if key, err := c.GetDeployKey(t.Context(), repository, 1234); !errors.Is(err, ErrUnusable) {
		t.Errorf("got %+v, %v", key, err)
	}
}

// A short password may be an ordinary word that a label or a comment also contains.
func TestClient_passwordInKey(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(200, oneKey[:len(oneKey)-1]+`, "comment": "hunter22"}`)), withCredentials(transport.Basic{Username: "ada", Token: "hunter22"}))
	if key, err := c.GetDeployKey(t.Context(), repository, 1234); err != nil || key.Comment != "hunter22" {
		t.Errorf("got %+v, %v", key, err)
	}
}
