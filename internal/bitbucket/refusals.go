package bitbucket

import (
	"net/http"
	"slices"
	"strings"
)

// Bitbucket tells some refusals apart only by their text. Each has a type here, and
// [classifyRefusal] is the only code that knows the texts. All wrap the [*Error].

// ImmutableKeyError is the refusal to change a deploy key in place.
type ImmutableKeyError struct{ Refusal *Error }

// KeyInUseError is the refusal to add a key that Bitbucket has already: on the same
// repository or project, or elsewhere.
type KeyInUseError struct{ Refusal *Error }

// AccessTokenError is the refusal of an endpoint that does not accept access tokens of
// repositories, projects and workspaces.
type AccessTokenError struct{ Refusal *Error }

// NoEndpointError is the reply that there is no endpoint with this address, for any
// repository.
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

// classifyRefusal returns the refusal as an error of the type that its text means, or
// as it is.
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
