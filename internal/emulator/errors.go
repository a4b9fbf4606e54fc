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

// errorDetail holds the members seen in use; detail is a text or an object, data
// what services behind the API add.
type errorDetail struct {
	Message string              `json:"message"`
	Fields  map[string][]string `json:"fields,omitempty"`
	Detail  any                 `json:"detail,omitempty"`
	Data    any                 `json:"data,omitempty"`
}

// errorReply is an error in the standard envelope.
func errorReply(status int, detail errorDetail) reply {
	return jsonReply(status, errorBody{Type: "error", Error: detail})
}

// refusal is an error that has nothing but a message.
func errorMessage(status int, message string) reply {
	return errorReply(status, errorDetail{Message: message})
}

// routeNotFound is the answer for a path that is no API.
func routeNotFound() reply {
	return errorReply(http.StatusNotFound, errorDetail{
		Message: "Resource not found",
		Detail: "There is no API hosted at this URL.\n\nFor information about our API's, please refer to the documentation at: " +
			"https://developer.atlassian.com/bitbucket/api/2/reference/",
	})
}

// htmlNotFound is the web site's page, which also answers malformed path
// parameters.
func htmlNotFound() reply {
	return reply{
		status: http.StatusNotFound,
		header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
		body: []byte("<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>Page not found &mdash; Bitbucket</title></head>\n" +
			"<body><h1>Resource not found</h1></body>\n</html>\n"),
	}
}

// repositoryNotFound hides whether a repository exists from those who may not
// see it.
func repositoryNotFound() reply {
	return errorMessage(http.StatusNotFound, "You may not have access to this repository or it no longer exists in this workspace. "+
		"If you think this repository exists and you have access, make sure you are authenticated.")
}

// projectNotFound is the same for projects.
func projectNotFound() reply {
	return errorMessage(http.StatusNotFound, "Project not found")
}

// notAdministrator answers somebody who may only read the repository or project.
func forbidden() reply {
	return errorMessage(http.StatusForbidden, "Forbidden")
}

// workspaceNotFound repeats the workspace as it was asked for.
func workspaceNotFound(workspace string) reply {
	return errorMessage(http.StatusNotFound, fmt.Sprintf("No workspace with identifier '%s'.", workspace))
}

// keyNotFound differs from a missing repository or project in its message only.
func keyNotFound() reply {
	return errorMessage(http.StatusNotFound, "Deploy key not found")
}

// deploymentNotFound is in the form of the service that knows deployments.
func deploymentNotFound() reply {
	return errorReply(http.StatusNotFound, errorDetail{
		Message: "Not found",
		Detail:  "No account, repository or deployment with the UUID provided exists.",
		Data:    map[string]any{"key": "deploy-service.deployment.not-found", "arguments": map[string]string{}},
	})
}

// methodNotAllowed names the methods that are.
func methodNotAllowed(allowed ...string) reply {
	answer := errorMessage(http.StatusMethodNotAllowed, "Method not allowed")
	answer.header.Set("Allow", strings.Join(allowed, ", "))
	return answer
}

// invalidToken answers a token that is unknown, expired or sent the wrong way.
func invalidToken() reply {
	answer := errorMessage(http.StatusUnauthorized, "Token is invalid, expired, or not supported for this endpoint.")
	answer.header.Set("WWW-Authenticate", "BitbucketCustom realm=Bitbucket.org HTTP")
	return answer
}

// loginFailed answers a wrong user name or password, and is not JSON.
func loginFailed() reply {
	return textReply(http.StatusUnauthorized, `Login failed due to incorrect login credentials or method.
For information on authentication methods for Bitbucket Cloud APIs, visit:
    https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication
If you are unsure of which login details or login method to use, visit:
    https://support.atlassian.com/bitbucket-cloud/docs/log-into-or-connect-to-bitbucket-cloud/
`)
}

// wrongMechanism answers an access token where Bitbucket wants a person.
func wrongMechanism() reply {
	return errorMessage(http.StatusForbidden, "This API is not accessible by this authentication mechanism")
}

// missingScope is the error whose detail is an object.
func missingScope(required, granted []string) reply {
	return errorReply(http.StatusForbidden, errorDetail{
		Message: "Your credentials lack one or more required privilege scopes.",
		Detail: map[string][]string{
			"required": append([]string{}, required...), // Never null.
			"granted":  append([]string{}, granted...),
		},
	})
}

// badRequest answers a body that is not the JSON it should be.
func badRequest() reply {
	return errorMessage(http.StatusBadRequest, "Bad request")
}

// keyImmutable is the answer to a PUT that carries a key.
func keyImmutable() reply {
	return errorMessage(http.StatusBadRequest,
		"For security reasons, you can't modify the contents of an access key. To update, delete and re-add the key.")
}

// DuplicateBehavior is the shape of the 400 for a refused key: both shapes are
// in use at Bitbucket and it is not settled which one deploy keys have.
type DuplicateBehavior int

const (
	// DuplicateFieldErrors answers {"key":[{"message":"…"}]}.
	DuplicateFieldErrors DuplicateBehavior = iota
	// DuplicateEnvelope answers the standard envelope with the field's errors.
	DuplicateEnvelope
)

// SetDuplicate chooses the shape of the 400 for a refused key.
func (e *Emulator) SetDuplicate(behavior DuplicateBehavior) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.duplicateBehavior = behavior
}

// keyRefused is the 400 for a key that cannot be added.
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

// keyTaken is the refusal of a key that the repository or project already has.
func (e *Emulator) keyTaken(kind string) reply {
	return e.keyRefused("Someone has already added that access key to this " + kind + ".")
}

// keyInvalid is the refusal of anything that is no acceptable public key.
func (e *Emulator) keyInvalid() reply {
	return e.keyRefused("Invalid SSH key.")
}
