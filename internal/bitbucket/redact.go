package bitbucket

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// leastSecret is the length from which a text counts as a secret: less may be
	// an ordinary word.
	leastSecret = 6
	// leastToken is the length that only tokens have. What Bitbucket stores is
	// searched for no less, since a label may well be somebody's password.
	leastToken = 20
	// telling is how much of a secret gives it away.
	telling = 16
)

// Repeating stands in place of what repeats the credentials.
const Repeating = "a reply that repeats the credentials of the request"

// Secrets are the forms in which servers and proxies may repeat the credentials
// of a request: as they are, in base64 whatever stands before them, and escaped.
func Secrets(request *http.Request) []string { return secretsFrom(request, leastSecret) }

// Repeats tells whether a text has the credentials of a request in it, in
// whatever form and however its lines are wrapped.
func Repeats(request *http.Request, text string) bool {
	return repeats(unwrapped(text), Secrets(request))
}

// unwrapped is a text without the white space that lines are wrapped with.
func unwrapped(text string) string { return strings.Join(strings.Fields(text), "") }

// repeats looks for the beginning and the end of each form, since copies are cut
// off on either side.
func repeats(text string, forms []string) bool {
	return slices.ContainsFunc(forms, func(form string) bool {
		length := min(len(form), telling)
		return strings.Contains(text, form[:length]) || strings.Contains(text, form[len(form)-length:])
	})
}

func secretsFrom(request *http.Request, least int) []string {
	_, secret, basic := request.BasicAuth()
	if !basic {
		_, secret, _ = strings.Cut(request.Header.Get("Authorization"), " ")
	}
	forms := formsOf(secret, least)
	if unescaped, err := url.QueryUnescape(secret); basic && err == nil && unescaped != secret {
		forms = append(forms, formsOf(unescaped, least)...) // OAuth has the secret of a consumer escaped.
	}
	return forms
}

func formsOf(secret string, least int) []string {
	if len(secret) < least {
		return nil
	}
	plain := []string{secret}
	for before := range 3 {
		text := strings.Repeat("\x00", before) + secret
		// The first and the last characters depend on what stands beside it too.
		from, to := []int{0, 2, 3}[before], len(text)*8/6
		plain = append(plain, base64.RawStdEncoding.EncodeToString([]byte(text))[from:to], base64.RawURLEncoding.EncodeToString([]byte(text))[from:to])
	}
	var forms []string
	for _, form := range plain {
		forms = append(forms, form, url.QueryEscape(form), url.PathEscape(form), slashInJSON.Replace(form), signsInJSON.Replace(form))
	}
	return forms
}

// Some encoders of JSON escape a slash, some all that means something in HTML or
// a URL.
var (
	slashInJSON = strings.NewReplacer("/", `\/`)
	signsInJSON = strings.NewReplacer("/", `\/`, "+", `\u002b`, "=", `\u003d`)
)

// withoutSecrets returns the body of a reply, or what to show instead where it
// repeats the credentials: neither an error nor the state must hold them. It
// does the same to the headers.
func withoutSecrets(request *http.Request, response *http.Response, body []byte) []byte {
	forms := Secrets(request)
	for _, values := range response.Header {
		for i, value := range values {
			if repeats(value, forms) {
				values[i] = Repeating
			}
		}
	}
	text := string(body)
	if response.StatusCode < 300 {
		forms = secretsFrom(request, leastToken)
	} else {
		text = unwrapped(text)
	}
	if repeats(text, forms) {
		return []byte(Repeating)
	}
	return body
}

// withoutSecretsIn does it to an error: net/http quotes what it cannot read.
func withoutSecretsIn(request *http.Request, err error) error {
	if Repeats(request, err.Error()) {
		return errors.New(Repeating)
	}
	return err
}
