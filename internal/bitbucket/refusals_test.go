package bitbucket

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// The texts that Bitbucket has been observed to send.
const (
	cannotModify    = `{"type": "error", "error": {"message": "For security reasons, you can't modify the contents of an access key. To update, delete and re-add the key."}}`
	cannotModifyOld = `{"error": {"message": "The content of a deploy key cannot be modified."}}`
	inUse           = `{"key": [{"message": "Someone has already added that access key to this repository."}]}`
	inUsePlain      = "Someone has already added that access key to this repository."
	inUseOld        = "Someone has already registered this key as a deploy key for this repository"
	inUseByAccount  = `{"type": "error", "error": {"message": "Someone has already registered that SSH key."}}`
	noAccessToken   = `{"type": "error", "error": {"message": "This API is not accessible by this authentication mechanism"}}`
	otherTokens     = `{"type": "error", "error": {"message": "This API is only accessible with the following authentication types: session, password, apppassword"}}`
	otherAddress    = `{"type": "error", "error": {"message": "To access this repository's content, an administrator must grant access to your IP address."}}`
	twoStep         = `{"type": "error", "error": {"message": "Your administrator requires two-step verification to access this workspace."}}`
	noRepository    = `{"type":"error","error":{"message":"You may not have access to this repository or it no longer exists in this workspace. If you think this repository exists and you have access, make sure you are authenticated."}}`
	noWorkspace     = `{"type":"error","error":{"message":"No workspace with identifier 'acme'."}}`
	noEndpoint      = `{"type":"error","error":{"message":"Resource not found","detail":"There is no API hosted at this URL.\n\nFor information about our API's, please refer to the documentation at: https://developer.atlassian.com/bitbucket/api/2/reference/"}}`
)

// classify returns the type of the error for a reply.
func classify(t *testing.T, method string, status int, body string) string {
	t.Helper()
	c := newTestClient(t, nil)
	response := &transport.Response{StatusCode: status, Header: http.Header{}, Body: []byte(body)}
	err := c.errorFromReply(method, c.url("x"), response)
	e := asError(t, err)
	if err.Error() != e.Error() || e.Status != status || !HasStatus(err, status) || !errors.Is(err, e) {
		t.Errorf("%s %d: got %v, which wraps %v", method, status, err, e)
	}
	return fmt.Sprintf("%T", err)
}

func TestClassifyRefusal(t *testing.T) {
	t.Parallel()
	const (
		plain       = "*bitbucket.Error"
		immutable   = "*bitbucket.ImmutableKeyError"
		keyInUse    = "*bitbucket.KeyInUseError"
		accessToken = "*bitbucket.AccessTokenError"
		accessRule  = "*bitbucket.AccessRuleError"
		unknownURL  = "*bitbucket.NoEndpointError"
		noParent    = "*bitbucket.ParentNotFoundError"
	)
	for _, tc := range []struct {
		method string
		status int
		body   string
		want   string
	}{
		{"PUT", 400, cannotModify, immutable},
		{"PUT", 400, cannotModifyOld, immutable},
		{"PUT", 405, "", immutable},
		{"PUT", 405, `{"error": {"message": "Method not allowed"}}`, immutable},
		{"POST", 403, otherTokens, accessToken},
		{"GET", 403, otherAddress, accessRule},
		{"POST", 403, twoStep, accessRule},
		{"GET", 404, otherAddress, plain},
		{"POST", 400, inUse, keyInUse},
		{"POST", 400, inUsePlain, keyInUse},
		{"POST", 400, inUseOld, keyInUse},
		{"POST", 400, inUseByAccount, keyInUse},
		{"GET", 403, noAccessToken, accessToken},
		{"POST", 403, noAccessToken, accessToken},
		{"PUT", 403, noAccessToken, accessToken},
		{"DELETE", 403, noAccessToken, accessToken},
		{"GET", 404, noEndpoint, unknownURL},
		{"POST", 404, noEndpoint, unknownURL},
		{"GET", 404, noRepository, noParent},
		{"POST", 404, noRepository, noParent},
		{"GET", 404, noWorkspace, noParent},
		{"GET", 404, `{"type":"error","error":{"message":"Project not found"}}`, noParent},

		// The text may be in any message.
		{"POST", 400, `{"error": {"message": "Bad request", "detail": "It is there already."}}`, keyInUse},
		{"POST", 400, `{"error": {"message": "Bad request", "fields": {"label": ["No."], "key": ["One.", "It is there already."]}}}`, keyInUse},

		// The method or the status differs.
		{"GET", 400, cannotModify, plain},
		{"POST", 400, cannotModify, plain},
		{"DELETE", 400, cannotModify, plain},
		{"PUT", 403, cannotModify, plain},
		{"PUT", 500, cannotModify, plain},
		{"GET", 405, "", plain},
		{"POST", 405, "", plain},
		{"DELETE", 405, "", plain},
		{"PUT", 400, inUse, plain},
		{"GET", 400, inUse, plain},
		{"POST", 403, inUse, plain},
		{"POST", 409, inUse, plain},
		{"POST", 500, inUse, plain},
		{"GET", 401, noAccessToken, plain},
		{"GET", 404, noAccessToken, plain},
		{"GET", 400, noEndpoint, plain},
		{"GET", 410, noEndpoint, plain},
		{"GET", 403, noRepository, plain},
		{"GET", 400, noWorkspace, plain},
		{"GET", 404, `{"type":"error","error":{"message":"Deploy key not found"}}`, plain},

		// The text differs.
		{"PUT", 400, `{"error": {"message": "Invalid SSH key"}}`, plain},
		{"PUT", 400, "", plain},
		{"PUT", 400, `{"error": {"message": "No.", "id": "modify"}}`, plain},
		{"POST", 400, `{"key": [{"message": "Invalid SSH key"}]}`, plain},
		{"POST", 400, "", plain},
		{"POST", 400, `{"error": {"message": "No.", "detail": {"required": ["already"]}}}`, plain},
		{"POST", 400, `{"error": {"fields": {"already": ["No."]}}}`, plain},
		{"GET", 403, `{"error": {"message": "Your credentials lack one or more required privilege scopes.", "detail": {"required": ["repository"], "granted": []}}}`, plain},
		{"GET", 403, "", plain},
		{"GET", 404, `{"type":"error","error":{"message":"Resource not found"}}`, plain},
		{"GET", 404, `{"error": {"message": "You may not have access to this repository"}}`, plain},
		{"GET", 404, "<html><title>There is no API here</title></html>", plain},
		{"GET", 404, "", plain},
	} {
		t.Run(fmt.Sprintf("%s %d %.60s", tc.method, tc.status, tc.body), func(t *testing.T) {
			t.Parallel()
			if got := classify(t, tc.method, tc.status, tc.body); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// If Bitbucket refuses the request for a token, the error has no special type, because the
// refusal does not concern the key.
func TestClassifyRefusal_token(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, withTokens(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, noAccessToken, http.StatusForbidden)
	}), httpfake.NewScript(t)), consumer)
	err := calls["POST"].send(t.Context(), c)
	if _, typed := errors.AsType[*AccessTokenError](err); typed || !asError(t, err).ForToken() {
		t.Errorf("got %T %v", err, err)
	}
}

// A rule of the workspace and a firewall concern all objects, not only the requested one.
func TestIsForbidden_allObjects(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{"": true, "Forbidden": true, noAccessToken: true, otherAddress: false, twoStep: false, "<html></html>": false} {
		c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(http.StatusForbidden, body)))
		if err := calls["GET"].send(t.Context(), c); IsForbidden(err) != want {
			t.Errorf("IsForbidden is not %t for %q", want, body)
		}
	}
}

// A reply that repeats the credentials is not shown, but its text still decides the type.
func TestClassifyRefusal_repeatsCredentials(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ token, method, body, want string }{
		{"accessible", "POST", noAccessToken, "*bitbucket.AccessTokenError"},
		{"registered", "POST", inUseByAccount, "*bitbucket.KeyInUseError"},
		{"security", "PUT", cannotModify, "*bitbucket.ImmutableKeyError"},
	} {
		status := http.StatusBadRequest
		if tc.body == noAccessToken {
			status = http.StatusForbidden
		}
		c := newTestClient(t, httpfake.NewScript(t, httpfake.Reply(status, tc.body)), withCredentials(transport.Bearer{Token: tc.token}))
		err := calls[tc.method].send(t.Context(), c)
		if got := fmt.Sprintf("%T", err); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.token, got, tc.want)
		}
		if e := asError(t, err); e.Message != transport.Redacted || !e.Described || strings.Contains(fmt.Sprintf("%+v", e), tc.token) {
			t.Errorf("%s: got %+v", tc.token, e)
		}
	}
}
