package transport

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

const (
	// minSecret is the minimum length of a secret. A shorter text may be an ordinary word.
	minSecret = 6
	// minToken is the minimum length of a secret in a successful reply. Tokens are longer.
	// A shorter password may be the same word as a label, which a reply may contain.
	minToken = 20
	// minMatch is the shortest beginning or end of a secret that counts as a copy.
	minMatch = 16
)

// Redacted replaces a text that contains the credentials.
const Redacted = "a reply that repeats the credentials of the request"

// Secrets returns the forms in which servers and proxies may repeat the credentials of
// a request: verbatim, escaped, and in base64 with any text in front of them.
func Secrets(request *http.Request) []string { return secretsFrom(request, minSecret) }

// RepeatsCredentials reports whether a text repeats the credentials of a request in any
// of these forms, even if they are wrapped over several lines.
func RepeatsCredentials(request *http.Request, text string) bool {
	return containsAnyWrapped(text, Secrets(request))
}

// containsAnyWrapped is containsAny for a text whose lines may be wrapped. It also removes
// white space from the forms, because a password may contain white space.
func containsAnyWrapped(text string, forms []string) bool {
	var unwrapped []string
	for _, form := range forms {
		if form = withoutSpace(form); len(form) >= minSecret {
			unwrapped = append(unwrapped, form)
		}
	}
	return containsAny(text, forms) || containsAny(withoutSpace(text), unwrapped)
}

// withoutSpace removes all white space, including line breaks in a wrapped text.
func withoutSpace(text string) string { return strings.Join(strings.Fields(text), "") }

// containsAny reports whether text contains the beginning or the end of one of the forms. A
// copy may be cut off on either side.
func containsAny(text string, forms []string) bool {
	return slices.ContainsFunc(forms, func(form string) bool {
		length := min(len(form), minMatch)
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
		forms = append(forms, formsOf(unescaped, least)...) // OAuth escapes the secret of a consumer.
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
		// The first and the last characters depend on the text around the secret too.
		from, to := []int{0, 2, 3}[before], len(text)*8/6
		plain = append(plain, base64.RawStdEncoding.EncodeToString([]byte(text))[from:to], base64.RawURLEncoding.EncodeToString([]byte(text))[from:to])
	}
	var forms []string
	for _, form := range plain {
		forms = append(forms, form, url.QueryEscape(form), url.PathEscape(form), slashInJSON.Replace(form), signsInJSON.Replace(form))
	}
	return forms
}

// Some JSON encoders escape slashes. Other JSON encoders also escape characters that have a
// meaning in HTML or in a URL.
var (
	slashInJSON = strings.NewReplacer("/", `\/`)
	signsInJSON = strings.NewReplacer("/", `\/`, "+", `\u002b`, "=", `\u003d`)
)

// unredactedKey is the context key of the pointer that receives [Response.Unredacted].
type unredactedKey struct{}

// redactReply replaces headers that contain the credentials. It returns the body, or
// [Redacted] if the body contains the credentials, because the credentials must not get
// into an error or into the state.
func redactReply(request *http.Request, response *http.Response, body []byte) []byte {
	forms := Secrets(request)
	for _, values := range response.Header {
		for i, value := range values {
			if containsAny(value, forms) {
				values[i] = Redacted
			}
		}
	}
	var repeats bool
	if response.StatusCode < 300 {
		repeats = containsAny(string(body), secretsFrom(request, minToken))
	} else {
		repeats = containsAnyWrapped(string(body), forms)
	}
	if !repeats {
		return body
	}
	if unredacted, ok := request.Context().Value(unredactedKey{}).(*atomic.Pointer[[]byte]); ok {
		unredacted.Store(&body)
	}
	return []byte(Redacted)
}

// redactError replaces an error that contains the credentials. An error of net/http may
// quote a malformed reply.
func redactError(request *http.Request, err error) error {
	if RepeatsCredentials(request, err.Error()) {
		return errors.New(Redacted)
	}
	return err
}
