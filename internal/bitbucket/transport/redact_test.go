package transport

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// atlassianToken has the form of an API token, which ends in a checksum.
const atlassianToken = "ATATT3xFfGF0Qk9wZ2xhc3M/ZG9lc24nd+CBiZWxpZXZlIHRoaXMgaXMgb25lX-0=9B4E7A1C"

func authorized(authorization string) *http.Request {
	return &http.Request{Header: http.Header{"Authorization": {authorization}}}
}

func basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// RepeatsCredentials must recognize a copy of the credentials in each of these forms.
func TestRepeatsCredentials(t *testing.T) {
	t.Parallel()
	wrap := func(text string) string {
		var lines []string
		for ; len(text) > 40; text = text[40:] {
			lines = append(lines, text[:40])
		}
		return strings.Join(append(lines, text), "\n  ")
	}
	escapeJSON := func(text string) string {
		escaped, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return strings.NewReplacer("=", `\u003d`, "/", `\/`, "+", `\u002b`).Replace(string(escaped))
	}
	dump := func(text string) string {
		return base64.StdEncoding.EncodeToString([]byte("GET / HTTP/1.1\r\n" + text))
	}
	dumpURL := func(text string) string { return base64.URLEncoding.EncodeToString([]byte("?" + text)) }
	for name, repeat := range map[string]func(string) string{
		"verbatim":       func(text string) string { return text },
		"cut off":        func(text string) string { return text[:60] },
		"end of it":      func(text string) string { return text[40:] },
		"wrapped":        wrap,
		"JSON":           escapeJSON,
		"HTML":           html.EscapeString,
		"query":          url.QueryEscape,
		"path":           url.PathEscape,
		"base64":         dump,
		"base64 in URLs": dumpURL,
	} {
		for scheme, authorization := range map[string]string{
			"bearer":        "Bearer " + atlassianToken,
			"basic":         basic("ada@example.com", atlassianToken),
			"basic, longer": basic("adam@example.com", atlassianToken),
			"basic, both":   basic("adamo@example.com", atlassianToken),
			"escaped":       basic("consumer-id", url.QueryEscape(atlassianToken)),
		} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				t.Parallel()
				copies := []string{authorization, atlassianToken}
				if pair, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(authorization, "Basic ")); err == nil {
					copies = append(copies, string(pair))
				}
				for _, repeated := range copies {
					if strings.HasPrefix(name, "base64") && strings.HasPrefix(repeated, "Basic ") {
						continue // That would be base64 of base64.
					}
					if text := "Refused: " + repeat(repeated) + " (request 7)"; !RepeatsCredentials(authorized(authorization), text) {
						t.Errorf("the copy was not recognized: %s", text)
					}
				}
			})
		}
	}
}

// A password may contain white space.
func TestRepeatsCredentials_whiteSpace(t *testing.T) {
	t.Parallel()
	request := authorized(basic("ada@example.com", "correct horse battery staple"))
	for _, text := range []string{"No: correct horse battery staple.", "No: correct horse\n  battery staple", "correct+horse+battery+staple", "correct%20horse%20battery%20staple"} {
		if !RepeatsCredentials(request, text) {
			t.Errorf("the copy was not recognized: %q", text)
		}
	}
	for _, text := range []string{"a horse with a battery", ""} {
		if RepeatsCredentials(request, text) || RepeatsCredentials(authorized(basic("ada", "a b c d")), text) || RepeatsCredentials(authorized(basic("ada", "          ")), text) {
			t.Errorf("a password is found in %q", text)
		}
	}
}

// A secret of six characters is found, and a shorter one is not: it may be a word.
func TestRepeatsCredentials_short(t *testing.T) {
	t.Parallel()
	for secret, found := range map[string]map[string]bool{
		"abcdef":   {"No: abcdef": true, "No: abc\n def": true, "No: abcde": false},
		"abcde":    {"No: abcde": false},
		"ab cd ef": {"No: ab cd ef": true, "No: abc\ndef": true, "No: ab c": false},
		"ab cd e":  {"No: ab cd e": true, "No: abc\nde": false},
	} {
		for text, want := range found {
			if got := RepeatsCredentials(authorized(basic("ada", secret)), text); got != want {
				t.Errorf("%q is found in %q: %t, want %t", secret, text, got, want)
			}
		}
	}
}

// A text without credentials may be shown.
func TestRepeatsCredentials_otherText(t *testing.T) {
	t.Parallel()
	text := "ATATT3x is short, ada@example.com may authenticate, ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoqKioqKioqKioqKioqKioqKioqKioqKioqKioqKioq"
	for _, authorization := range []string{
		"", "Bearer", "Bearer ", "Bearer " + atlassianToken, basic("ada@example.com", atlassianToken),
		"Bearer is", basic("ada@example.com", ""), basic("ada@example.com", "short"), "Basic !", "Other",
	} {
		if RepeatsCredentials(authorized(authorization), text) {
			t.Errorf("%q is found in %s", authorization, text)
		}
	}
}

// showsSecret returns a part of the secret or of its base64 that is in the text.
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

// A short password may be an ordinary word that Bitbucket also stores.
func TestRedact_data(t *testing.T) {
	t.Parallel()
	const data = `{"id": 7, "comment": "hunter22"}`
	for status, want := range map[int]string{200: data, 299: data, 300: Redacted, 400: Redacted} {
		c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(status, data)), withCredentials(Basic{"ada", "hunter22"}))
		if response, err := calls["GET"].do(t.Context(), c); err != nil || string(response.Body) != want {
			t.Errorf("%d: got %+v, %v, want %s", status, response, err, want)
		}
	}
}

// Only the refusal that is hidden can be used to decide what it means.
func TestTransport_unredacted(t *testing.T) {
	t.Parallel()
	const refusal = `{"error": "exists", "token": "` + atlassianToken + `"}`
	for name, tc := range map[string]struct {
		replies []http.HandlerFunc
		want    string
	}{
		"refusal":                    {[]http.HandlerFunc{httpfake.Reply(400, refusal)}, refusal},
		"other refusal":              {[]http.HandlerFunc{httpfake.Reply(400, "No.")}, ""},
		"text like a hidden one":     {[]http.HandlerFunc{httpfake.Reply(400, Redacted)}, ""},
		"refusal of another attempt": {[]http.HandlerFunc{httpfake.Reply(500, refusal), httpfake.Reply(400, "No.")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httpfake.NewScript(t, tc.replies...)
			c := newTestClient(t, api, withCredentials(Bearer{atlassianToken}))
			response, err := calls["GET"].do(t.Context(), c)
			if err != nil || string(response.Unredacted) != tc.want || strings.Contains(string(response.Body), atlassianToken) {
				t.Errorf("got %+v, %v", response, err)
			}
			if len(api.Requests()) != len(tc.replies) {
				t.Errorf("got %d requests", len(api.Requests()))
			}
		})
	}
}

// The data of a successful reply is stored in the state, so it must not contain a token.
func TestRedact_tokenInData(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"id": 7, "label": "by %s"}`, r.Header.Get("Authorization"))
	}), withCredentials(Bearer{atlassianToken}))
	if response, err := calls["GET"].do(t.Context(), c); err != nil || string(response.Body) != Redacted {
		t.Errorf("got %+v, %v, want %q", response, err, Redacted)
	}
}

// Only the header that repeats the credentials is replaced.
func TestRedact_header(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, httpfake.Reply(403, "No.", "X-Request-Id: abc", "Www-Authenticate: "+atlassianToken), withCredentials(Bearer{atlassianToken}))
	response, err := calls["GET"].do(t.Context(), c)
	if err != nil || string(response.Body) != "No." || response.Header.Get("X-Request-Id") != "abc" || response.Header.Get("Www-Authenticate") != Redacted {
		t.Errorf("got %+v, %v", response, err)
	}
}

// An error of net/http may quote a malformed reply and so contain the credentials. An error
// without credentials is not changed.
func TestRedact_error(t *testing.T) {
	t.Parallel()
	for name, credentials := range map[string]Credentials{
		"basic":    Basic{"ada@example.com", "ATATT-s3cret"},
		"bearer":   Bearer{"ATCTT-s3cret"},
		"consumer": OAuthConsumer{ID: "consumer-id", Secret: "s3cret-of-consumer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for method, call := range calls {
				cause := errors.New("proxy failed")
				c := newInMemoryClient(t, nil, withCredentials(credentials), withRetries(0), withBase(func(r *http.Request) (*http.Response, error) {
					if cause != nil {
						return nil, cause
					}
					return nil, fmt.Errorf("malformed HTTP response %q", r.Header.Get("Authorization"))
				}))
				if err := call.send(t.Context(), c); !errors.Is(err, cause) {
					t.Errorf("%s: got error %v, want %v", method, err, cause)
				}
				cause = nil
				err := call.send(t.Context(), c)
				if failed, ok := errors.AsType[*TokenError](err); ok {
					expectNoSecrets(t, err)
					err = failed.Err
				}
				if !strings.HasSuffix(err.Error(), Redacted) {
					t.Errorf("%s: got error %v, want %q", method, err, Redacted)
				}
				expectNoSecrets(t, err)
			}
		})
	}
}

// A server or proxy may repeat the credentials in any part of its reply. No response and no
// error may contain them.
func TestTransport_repeatedCredentials(t *testing.T) {
	t.Parallel()
	repeated := func(r *http.Request) string {
		_, password, _ := r.BasicAuth()
		return strings.TrimSpace(password + " Authorization: " + r.Header.Get("Authorization"))
	}
	body := func(format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, format, repeated(r))
		}
	}
	header := func(status int, names ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, name := range names {
				w.Header().Set(name, repeated(r))
			}
			w.WriteHeader(status)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"message":        body(`{"error": {"message": "No: %s"}}`),
		"detail":         body(`{"error": {"message": "No", "detail": "%s"}}`),
		"fields":         body(`{"error": {"fields": {"%s": ["No"], "key": "%[1]s"}}}`),
		"scopes":         body(`{"error": {"message": "No", "detail": {"required": ["%s"], "granted": ["%[1]s"]}}}`),
		"request id":     body(`{"error": {"message": "No", "id": "%s"}}`),
		"error of OAuth": body(`{"error": "%s", "error_description": "%[1]s"}`),
		"plain text":     body("GET / HTTP/1.1\nAuthorization: %s\n"),
		"wrapped": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			for line := range slices.Chunk([]byte(repeated(r)), 12) {
				_, _ = fmt.Fprintf(w, "%s\n  ", line)
			}
		},
		"title":           body("<html><title>%s</title></html>"),
		"headers":         header(http.StatusUnauthorized, "X-Request-Id", "X-B3-Traceid", "Retry-After", "Www-Authenticate"),
		"success":         header(http.StatusOK, "X-Request-Id", "Etag"),
		"limit":           header(http.StatusTooManyRequests, "Retry-After", "X-Ratelimit-Reset", "X-Ratelimit-Limit"),
		"redirect":        header(http.StatusFound, "Location"),
		"status 200 text": func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, repeated(r)) },
		"not HTTP": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = fmt.Fprintf(conn, "%s\r\n\r\n", repeated(r))
			_ = conn.Close()
		},
	} {
		for scheme, credentials := range map[string]Credentials{
			"basic":    Basic{"ada@example.com", atlassianToken},
			"bearer":   Bearer{atlassianToken},
			"consumer": OAuthConsumer{ID: "consumer-id", Secret: atlassianToken},
		} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				t.Parallel()
				c := newTestClient(t, handler, withCredentials(credentials), func(o *Options) { o.MaxRetries, o.MaxRateLimitWait = 0, time.Millisecond })
				for method, call := range calls {
					response, err := call.do(t.Context(), c)
					if response == nil && err == nil {
						t.Errorf("%s: neither a response nor an error", method)
					}
					texts := errorTexts(err)
					if response != nil {
						texts += fmt.Sprintf(" %s %v %v", response.Body, response.Header, response.Location)
					}
					texts += fmt.Sprintf(" %+v", c.RateLimit())
					if showsSecret(withoutSpace(texts), atlassianToken) != "" {
						t.Errorf("%s: the outcome shows the credentials: %s", method, texts)
					}
				}
			})
		}
	}
}
