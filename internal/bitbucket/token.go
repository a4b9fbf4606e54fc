package bitbucket

import (
	"bytes"
	"errors"
	"net/http"
	"strings"

	"golang.org/x/oauth2"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
)

// tokenError returns the error for a failed request for an access token. It omits the parts
// of the reply that could be secret.
func (c *Client) tokenError(failed *transport.TokenError) *Error {
	if limited, ok := errors.AsType[*transport.RateLimitError](failed); ok {
		return newRateLimitError(http.MethodPost, transport.TokenPath, limited)
	}
	e := &Error{Method: http.MethodPost, Path: transport.TokenPath}
	refused, ok := errors.AsType[*oauth2.RetrieveError](failed)
	if !ok || refused.Response == nil {
		e.Err = failed.Err
		return e
	}
	location, _ := refused.Response.Location() // Most replies have none.
	e.readHead(refused.Response.StatusCode, refused.Response.Header, location)
	switch {
	case refused.ErrorCode != "":
		e.Message = transport.Printable(strings.TrimSuffix(refused.ErrorCode+": "+refused.ErrorDescription, ": "))
	case bytes.Contains(refused.Body, []byte(`_token"`)):
		e.Message, e.Described = "a reply that may hold a token", true
	default:
		e.readBody(refused.Body)
	}
	if e.Status == http.StatusTooManyRequests {
		limit := c.transport.RateLimit()
		e.RateLimit = &limit
	}
	return e
}
