package bitbucket

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// atlassianToken has the form of an API token, which ends in a checksum.
const atlassianToken = "ATATT3xFfGF0Qk9wZ2xhc3M/ZG9lc24nd+CBiZWxpZXZlIHRoaXMgaXMgb25lX-0=9B4E7A1C"

func signed(authorization string) *http.Request {
	return &http.Request{Header: http.Header{"Authorization": {authorization}}}
}

func basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// However a request is repeated, that is noticed.
func TestRepeats(t *testing.T) {
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
		"as it is":       func(text string) string { return text },
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
					if text := "Refused: " + repeat(repeated) + " (request 7)"; !Repeats(signed(authorization), text) {
						t.Errorf("%s passes", text)
					}
				}
			})
		}
	}
}

// showsSecret returns a part of the secret or its base64 that is in the text.
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

// What is no secret may be shown.
func TestRepeats_otherText(t *testing.T) {
	t.Parallel()
	text := "ATATT3x is short, ada@example.com may authenticate, " + keyLine
	for _, authorization := range []string{
		"", "Bearer", "Bearer ", "Bearer " + atlassianToken, basic("ada@example.com", atlassianToken),
		"Bearer is", basic("ada@example.com", ""), basic("ada@example.com", "short"), "Basic !", "Other",
	} {
		if Repeats(signed(authorization), text) {
			t.Errorf("%q is found in %s", authorization, text)
		}
	}
}

// A password may be a word that is in what Bitbucket stores.
func TestRepeats_data(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, answers(t, answer(200, oneKey[:len(oneKey)-1]+`, "comment": "hunter22"}`)), withCredentials(Basic{"ada", "hunter22"}))
	if key, err := c.FindDeployKey(t.Context(), repository, 1234); err != nil || key.Comment != "hunter22" {
		t.Errorf("got %+v, %v", key, err)
	}
}

// A server or proxy that repeats the request tells nothing by it, whatever part
// of the reply it puts it in.
func TestClient_repeatedCredentials(t *testing.T) {
	t.Parallel()
	said := func(r *http.Request) string {
		_, password, _ := r.BasicAuth()
		return strings.TrimSpace(password + " Authorization: " + r.Header.Get("Authorization"))
	}
	body := func(format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, format, said(r))
		}
	}
	header := func(status int, names ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, name := range names {
				w.Header().Set(name, said(r))
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
		"status 200":      answer(200, `{"id": 1234, "key": "none"`),
		"status 200 text": func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, said(r)) },
		"not HTTP": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = fmt.Fprintf(conn, "%s\r\n\r\n", said(r))
			_ = conn.Close()
		},
	} {
		for scheme, credentials := range map[string]Credentials{
			"basic":    Basic{"ada@example.com", atlassianToken},
			"bearer":   Bearer{atlassianToken},
			"consumer": Consumer{ID: "consumer-id", Secret: atlassianToken},
		} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				t.Parallel()
				c := newTestClient(t, handler, withCredentials(credentials), withRetries(0))
				for method, call := range calls {
					err := call.send(t.Context(), c)
					if err == nil {
						t.Errorf("%s succeeded", method)
					}
					if text := fmt.Sprintf("%v %#v", err, err); showsSecret(text, atlassianToken) != "" {
						t.Errorf("%s: the error shows the credentials: %s", method, text)
					}
				}
			})
		}
	}
}

// What Bitbucket says of a key ends up in the state.
func TestClient_repeatedCredentialsInKey(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"id": 1234, "key": %q, "label": "by %s"}`, keyLine, r.Header.Get("Authorization"))
	}), withCredentials(Bearer{atlassianToken}))
	if key, err := c.FindDeployKey(t.Context(), repository, 1234); !errors.Is(err, ErrUnusable) {
		t.Errorf("got %+v, %v", key, err)
	}
}
