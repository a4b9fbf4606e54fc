package live

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Redacted replaces a copy of the credentials in a text.
const Redacted = "[redacted]"

// minSecret is the length from which a text is searched for. A shorter text may be an
// ordinary word.
const minSecret = 4

// Redact replaces all copies of the credentials in a text. A server may repeat them in any
// reply.
func (s *Server) Redact(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copies == nil {
		s.copies = copiesOf(s.secrets())
	}
	return s.copies.ReplaceAllString(text, Redacted)
}

// copiesOf returns a pattern that matches the secrets in all their forms.
func copiesOf(secrets []string) *regexp.Regexp {
	var all []string
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			all = append(all, Forms(secret)...)
		}
	}
	if len(all) == 0 {
		return regexp.MustCompile(`\z\A.`) // It matches nothing.
	}
	// The longest form first: another form may be a part of it.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	for i, form := range all {
		all[i] = regexp.QuoteMeta(form)
	}
	return regexp.MustCompile("(?i)" + strings.Join(all, "|"))
}

// Forms returns the forms in which a reply may repeat a text: verbatim, in base64 with any
// text around it, and each of them escaped for a URL or for JSON.
func Forms(text string) []string {
	plain := []string{text}
	if len(text) >= 6 { // The base64 of a shorter text is found by chance.
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

// noteCredentials remembers the credentials of each request: a consumer fetches access tokens,
// which no environment variable holds.
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
