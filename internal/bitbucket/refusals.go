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

// AccessRuleError is the refusal of a workspace that admits only some IP addresses, or only
// accounts with two-step verification. No scope changes that.
type AccessRuleError struct{ Refusal *Error }

// NoEndpointError is the refusal of an address for which the API has no endpoint, whether
// or not the repository exists.
type NoEndpointError struct{ Refusal *Error }

// ParentNotFoundError is the refusal of a request whose repository, project or workspace
// does not exist, or is hidden from these credentials. Any other 404 may mean that only the
// requested deploy key, deployment or environment does not exist.
type ParentNotFoundError struct {
	Refusal *Error
	// Workspace reports whether the workspace itself was not found.
	Workspace bool
}

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
func (e *AccessRuleError) Error() string { return e.Refusal.Error() }

// Unwrap returns the refusal.
func (e *AccessRuleError) Unwrap() error { return e.Refusal }

// Error returns the text of the refusal.
func (e *NoEndpointError) Error() string { return e.Refusal.Error() }

// Unwrap returns the refusal.
func (e *NoEndpointError) Unwrap() error { return e.Refusal }

// Error returns the text of the refusal.
func (e *ParentNotFoundError) Error() string { return e.Refusal.Error() }

// Unwrap returns the refusal.
func (e *ParentNotFoundError) Unwrap() error { return e.Refusal }

// workspaceNotFound is a part of the text about a workspace.
const workspaceNotFound = "No workspace with identifier"

// parentNotFound has a part of each text: about a repository or a project, about a
// workspace, and about a project. Nobody has observed the last text.
var parentNotFound = []string{"no longer exists in this workspace", workspaceNotFound, "Project not found"}

// classifyRefusal wraps a refusal in the type that matches the text of unredacted. It returns any
// other refusal unchanged. unredacted is the refusal itself, or the same refusal with a text that
// must not be shown, because it repeats the credentials.
func classifyRefusal(e, unredacted *Error) error {
	badRequest, forbidden := e.Status == http.StatusBadRequest, e.Status == http.StatusForbidden
	switch {
	case e.Method == http.MethodPut && (e.Status == http.StatusMethodNotAllowed || badRequest && unredacted.hasText("modif")):
		return &ImmutableKeyError{e} // Both observed texts contain "modif".
	case e.Method == http.MethodPost && badRequest && unredacted.hasText("already"):
		return &KeyInUseError{e}
	case forbidden && (unredacted.hasText("authentication mechanism") || unredacted.hasText("only accessible with the following authentication types")):
		return &AccessTokenError{e}
	case forbidden && (unredacted.hasText("IP address") || unredacted.hasText("two-step verification") || unredacted.hasText("Two-step verification")):
		return &AccessRuleError{e}
	case e.Status == http.StatusNotFound && unredacted.hasText("no API hosted at this URL"):
		return &NoEndpointError{e}
	case e.Status == http.StatusNotFound && slices.ContainsFunc(parentNotFound, unredacted.hasText):
		return &ParentNotFoundError{Refusal: e, Workspace: unredacted.hasText(workspaceNotFound)}
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
