package bitbucket

import (
	"net/http"
	"slices"
	"strings"
)

// Some of Bitbucket's refusals differ only in their text. Each such refusal has a type
// here, which wraps the [*Error]. Only [classifyRefusal] depends on the texts.

// ImmutableKeyError is the refusal to change a deploy key in place.
type ImmutableKeyError struct{ Refusal *Error }

// KeyInUseError is the refusal to add a key that Bitbucket already has, on the same
// repository or project or elsewhere.
type KeyInUseError struct{ Refusal *Error }

// AccessTokenError is the refusal of an endpoint that does not accept access tokens of
// repositories, projects and workspaces.
type AccessTokenError struct{ Refusal *Error }

// NoEndpointError is the refusal of an address for which the API has no endpoint, whether
// or not the repository exists.
type NoEndpointError struct{ Refusal *Error }

// Error returns the text of the refusal.
func (e *ImmutableKeyError) Error() string { return e.Refusal.Error() }

// Unwrap returns the refusal.
func (e *ImmutableKeyError) Unwrap() error { return e.Refusal }

// Error returns the text of the refusal.
func (e *KeyInUseError) Error() string { return e.Refusal.Error() }

// Unwrap returns the refusal.
func (e *KeyInUseError) Unwrap() error { return e.Refusal }

// Error returns the text of the refusal.
func (e *AccessTokenError) Error() string { return e.Refusal.Error() }

// Unwrap returns the refusal.
func (e *AccessTokenError) Unwrap() error { return e.Refusal }

// Error returns the text of the refusal.
func (e *NoEndpointError) Error() string { return e.Refusal.Error() }

// Unwrap returns the refusal.
func (e *NoEndpointError) Unwrap() error { return e.Refusal }

// classifyRefusal wraps a refusal in the type that matches its text. It returns any other
// refusal unchanged.
func classifyRefusal(e *Error) error {
	badRequest := e.Status == http.StatusBadRequest
	switch {
	case e.Method == http.MethodPut && (e.Status == http.StatusMethodNotAllowed || badRequest && e.hasText("modif")):
		return &ImmutableKeyError{e} // Both observed texts contain "modif".
	case e.Method == http.MethodPost && badRequest && e.hasText("already"):
		return &KeyInUseError{e}
	case e.Status == http.StatusForbidden && e.hasText("authentication mechanism"):
		return &AccessTokenError{e}
	case e.Status == http.StatusNotFound && e.hasText("no API hosted at this URL"):
		return &NoEndpointError{e}
	}
	return e
}

// hasText reports whether one of Bitbucket's messages contains this text.
func (e *Error) hasText(text string) bool {
	messages := []string{e.Message, e.Detail}
	for _, ofField := range e.Fields {
		messages = append(messages, ofField...)
	}
	return slices.ContainsFunc(messages, func(message string) bool { return strings.Contains(message, text) })
}
