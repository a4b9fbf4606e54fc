package emulator

import (
	"fmt"
	"net/http"
	"strings"
)

// errorBody is Bitbucket's standard error envelope.
type errorBody struct {
	Type  string      `json:"type"`
	Error errorDetail `json:"error"`
}

// errorDetail has the fields of observed errors. Detail is a text or an object. Data
// comes from the services behind the API.
type errorDetail struct {
	Message string              `json:"message"`
	Fields  map[string][]string `json:"fields,omitempty"`
	Detail  any                 `json:"detail,omitempty"`
	Data    any                 `json:"data,omitempty"`
}

// errorReply returns an error in the standard envelope.
func errorReply(status int, detail errorDetail) reply {
	return jsonReply(status, errorBody{Type: "error", Error: detail})
}

// errorMessage returns an error in the standard envelope with only a message.
func errorMessage(status int, message string) reply {
	return errorReply(status, errorDetail{Message: message})
}

// routeNotFound is the reply for a path that the API does not have.
func routeNotFound() reply {
	return errorReply(http.StatusNotFound, errorDetail{
		Message: "Resource not found",
		Detail: "There is no API hosted at this URL.\n\nFor information about our API's, please refer to the documentation at: " +
			"https://developer.atlassian.com/bitbucket/api/2/reference/",
	})
}

// htmlNotFound is the 404 page of the web site. The API also sends it for a
// malformed path parameter.
func htmlNotFound() reply {
	return reply{
		status: http.StatusNotFound,
		header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
		body: []byte("<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>Page not found &mdash; Bitbucket</title></head>\n" +
			"<body><h1>Resource not found</h1></body>\n</html>\n"),
	}
}

// repositoryNotFound is the reply for a repository that does not exist, and for a
// repository that the account cannot see. A client cannot distinguish the two cases.
func repositoryNotFound() reply {
	return errorMessage(http.StatusNotFound, "You may not have access to this repository or it no longer exists in this workspace. "+
		"If you think this repository exists and you have access, make sure you are authenticated.")
}

// projectNotFound is repositoryNotFound for projects.
func projectNotFound() reply {
	return errorMessage(http.StatusNotFound, "Project not found")
}

// forbidden is the reply if the account can only read the repository or project.
func forbidden() reply {
	return errorMessage(http.StatusForbidden, "Forbidden")
}

// workspaceNotFound is the reply for an unknown workspace. It repeats the name in
// the request.
func workspaceNotFound(workspace string) reply {
	return errorMessage(http.StatusNotFound, fmt.Sprintf("No workspace with identifier '%s'.", workspace))
}

// keyNotFound is the reply for an unknown deploy key. Only its message differs from
// the reply for an unknown repository or project.
func keyNotFound() reply {
	return errorMessage(http.StatusNotFound, "Deploy key not found")
}

// deploymentNotFound is the reply for an unknown deployment.
func deploymentNotFound() reply {
	return deployServiceError(http.StatusNotFound, "Not found",
		"No account, repository or deployment with the UUID provided exists.", "deploy-service.deployment.not-found")
}

// environmentNotFound is the reply for an unknown environment.
func environmentNotFound() reply {
	return deployServiceError(http.StatusNotFound, "Not found",
		"No account, repository or environment with the UUID provided exists.", "deploy-service.environment.not-found")
}

// environmentTaken is the reply for a name that another environment has.
func environmentTaken() reply {
	return deployServiceError(http.StatusConflict, "Conflict",
		"An environment host with the provided name already exists.", "deploy-service.environment.name-exists")
}

// environmentInvalid is the reply for an invalid field in the body of a request for an
// environment.
func environmentInvalid(key, field string) reply {
	return deployServiceError(http.StatusBadRequest, "Bad request", "Invalid field: "+field, key)
}

// deployServiceError returns an error in the form of Bitbucket's deployment service. The
// key names the kind of the error.
func deployServiceError(status int, message, detail, key string) reply {
	return errorReply(status, errorDetail{
		Message: message,
		Detail:  detail,
		Data:    map[string]any{"key": key, "arguments": map[string]string{}},
	})
}

// methodNotAllowed is the reply for a wrong method. It lists the allowed methods.
func methodNotAllowed(allowed ...string) reply {
	answer := errorMessage(http.StatusMethodNotAllowed, "Method not allowed")
	answer.header.Set("Allow", strings.Join(allowed, ", "))
	return answer
}

// invalidToken is the reply for a token that is unknown, expired or sent with the
// wrong authentication scheme.
func invalidToken() reply {
	answer := errorMessage(http.StatusUnauthorized, "Token is invalid, expired, or not supported for this endpoint.")
	answer.header.Set("WWW-Authenticate", "BitbucketCustom realm=Bitbucket.org HTTP")
	return answer
}

// loginFailed is the reply for a wrong user name or password. It is plain text.
func loginFailed() reply {
	return textReply(http.StatusUnauthorized, `Login failed due to incorrect login credentials or method.
For information on authentication methods for Bitbucket Cloud APIs, visit:
    https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication
If you are unsure of which login details or login method to use, visit:
    https://support.atlassian.com/bitbucket-cloud/docs/log-into-or-connect-to-bitbucket-cloud/
`)
}

// wrongMechanism is the reply if an operation does not accept access tokens.
func wrongMechanism() reply {
	return errorMessage(http.StatusForbidden, "This API is not accessible by this authentication mechanism")
}

// missingScope is the reply for a token without a required scope. Its detail is an
// object.
func missingScope(required, granted []string) reply {
	return errorReply(http.StatusForbidden, errorDetail{
		Message: "Your credentials lack one or more required privilege scopes.",
		Detail: map[string][]string{
			"required": append([]string{}, required...), // An empty list is sent as [], not as null.
			"granted":  append([]string{}, granted...),
		},
	})
}

// badRequest is the reply for a body with invalid JSON or with a wrong type.
func badRequest() reply {
	return errorMessage(http.StatusBadRequest, "Bad request")
}

// invalidField is the reply for an invalid field in the body of a project. The message of
// the envelope does not repeat the message of the field.
func invalidField(field, message string) reply {
	return errorReply(http.StatusBadRequest, errorDetail{Message: "Bad request", Fields: map[string][]string{field: {message}}})
}

// slugInvalid is the reply for a slug that a new repository cannot have.
func slugInvalid() reply {
	return errorMessage(http.StatusBadRequest,
		"Invalid slug. Slugs must be lowercase, alphanumerical, and may also contain underscores, dashes, or dots.")
}

// slugTaken is the reply for a slug that another repository of the workspace has.
func slugTaken() reply {
	return errorReply(http.StatusBadRequest, errorDetail{
		Message: "Repository with this Slug and Owner already exists.",
		Fields:  map[string][]string{"name": {"You already have a repository with this name."}},
	})
}

// projectNotOpen is the reply for a new repository in a project that the account can
// only read.
func projectNotOpen() reply {
	return errorMessage(http.StatusBadRequest, "You can't create repositories under this project")
}

// projectKeyInvalid is the reply for a text that is not a key of a project.
func projectKeyInvalid() reply {
	return invalidField("key", "Project keys must start with a letter and may only consist of ASCII letters, numbers and underscores (A-Z, a-z, 0-9, _)")
}

// projectKeyTaken is the reply for a key that another project of the workspace has.
func projectKeyTaken() reply {
	return invalidField("__all__", "Project with this Owner and Key already exists.")
}

// projectInUse is the reply for a DELETE of a project that has repositories.
func projectInUse() reply {
	return errorMessage(http.StatusForbidden, "You cannot delete a project that still contains repositories.")
}

// keyImmutable is the reply for a PUT that tries to change the key.
func keyImmutable() reply {
	return errorMessage(http.StatusBadRequest,
		"For security reasons, you can't modify the contents of an access key. To update, delete and re-add the key.")
}

// DuplicateBehavior selects the form of the 400 for a rejected key. Bitbucket uses
// both forms, and it is not known which form deploy keys have.
type DuplicateBehavior int

const (
	// DuplicateFieldErrors sends {"key":[{"message":"…"}]}.
	DuplicateFieldErrors DuplicateBehavior = iota
	// DuplicateEnvelope sends the standard envelope with the errors of the field.
	DuplicateEnvelope
)

// SetDuplicate selects the form of the 400 for each key that is rejected later.
func (e *Emulator) SetDuplicate(behavior DuplicateBehavior) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.duplicateBehavior = behavior
}

// keyRefused is the reply for a key that cannot be added.
func (e *Emulator) keyRefused(message string) reply {
	if e.duplicateBehavior == DuplicateEnvelope {
		return errorReply(http.StatusBadRequest, errorDetail{
			Message: "key: " + message,
			Fields:  map[string][]string{"key": {message}},
		})
	}
	type fieldError struct {
		Message string `json:"message"`
	}
	return jsonReply(http.StatusBadRequest, map[string][]fieldError{"key": {{Message: message}}})
}

// keyTaken is the reply for a key that the repository or project already has.
func (e *Emulator) keyTaken(parentKind string) reply {
	return e.keyRefused("Someone has already added that access key to this " + parentKind + ".")
}

// keyInvalid is the reply for a text that is not an accepted public key.
func (e *Emulator) keyInvalid() reply {
	return e.keyRefused("Invalid SSH key.")
}
