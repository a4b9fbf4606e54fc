package live

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Redacted replaces a copy of the credentials in a text.
const Redacted = "[redacted]"

// minSecret is the minimum length of a secret. Redact ignores a shorter text, because it may
// be an ordinary word.
const minSecret = 4

// Redact replaces all copies of the credentials in a text. A server may repeat them in any
// reply.
func (s *Server) Redact(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copies == nil {
		s.copies = copiesOf(s.secrets())
	}
	lowered := lower(text)
	for _, form := range s.copies {
		for at := strings.Index(lowered, form); at >= 0; at = strings.Index(lowered, form) {
			text = text[:at] + Redacted + text[at+len(form):]
			lowered = lower(text)
		}
	}
	return text
}

// copiesOf returns the forms of all secrets in lower case. The longest form is first, because
// another form may be a part of it.
func copiesOf(secrets []string) []string {
	all := []string{} // Not nil even without secrets, because nil means that Redact must call copiesOf.
	for _, secret := range secrets {
		if len(secret) >= minSecret && !strings.Contains(Redacted, lower(secret)) {
			for _, form := range Forms(secret) {
				all = append(all, lower(form))
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// lower converts only ASCII letters to lower case, so that all positions stay the same.
func lower(text string) string {
	bytes := []byte(text)
	for i, b := range bytes {
		if b >= 'A' && b <= 'Z' {
			bytes[i] = b + 'a' - 'A'
		}
	}
	return string(bytes)
}

// Forms returns the forms in which a reply may repeat a text: verbatim, in base64 with any
// text around it, and both escaped for a URL or for JSON.
func Forms(text string) []string {
	plain := []string{text}
	if len(text) >= 6 { // The base64 of a shorter text may match by chance.
		for before := range 3 {
			padded := strings.Repeat("\x00", before) + text
			// The first and the last characters also depend on the text around it.
			from, to := []int{0, 2, 3}[before], len(padded)*8/6
			plain = append(plain,
				base64.RawStdEncoding.EncodeToString([]byte(padded))[from:to],
				base64.RawURLEncoding.EncodeToString([]byte(padded))[from:to])
		}
	}
	var forms []string
	for _, form := range plain {
		forms = append(forms, form, url.QueryEscape(form), url.PathEscape(form),
			strings.ReplaceAll(url.QueryEscape(form), ".", "%2E"),
			strings.ReplaceAll(form, "/", `\/`), escapedInJSON.Replace(form))
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// escapedInJSON escapes the characters that some JSON encoders escape.
var escapedInJSON = strings.NewReplacer("/", `\/`, "+", `\u002b`, "=", `\u003d`, "@", `\u0040`, "&", `\u0026`)

// noteCredentials records the credentials of each request, because the access tokens of an
// OAuth consumer are not in the environment.
func (s *Server) noteCredentials(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		_, sent, _ := strings.Cut(request.Header.Get("Authorization"), " ")
		s.mu.Lock()
		if !slices.Contains(s.sent, sent) {
			s.sent, s.copies = append(s.sent, sent), nil
		}
		s.mu.Unlock()
		return next.RoundTrip(request)
	})
}
