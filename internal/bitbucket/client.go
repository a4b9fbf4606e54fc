// Package bitbucket is a client of the Bitbucket Cloud REST API,
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/, for the endpoints that this
// provider uses. One method sends one request. The package does not depend on Terraform.
package bitbucket

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
)

// DefaultBaseURL is the root of Bitbucket Cloud's API.
const DefaultBaseURL = "https://api.bitbucket.org/2.0"

// Client sends requests to one Bitbucket with one set of credentials. It is safe for
// concurrent use.
type Client struct {
	base      *url.URL
	transport *transport.Transport
}

// NewClient returns a client of the API at baseURL, by default [DefaultBaseURL]. It returns
// the error of [ParseBaseURL] if baseURL is invalid.
func NewClient(baseURL string, options transport.Options) (*Client, error) {
	base, err := ParseBaseURL(cmp.Or(baseURL, DefaultBaseURL))
	if err != nil {
		return nil, err
	}
	return &Client{base, transport.New(base, options)}, nil
}

// ParseBaseURL checks the root of an API. The root must be https, or http on a loopback
// host, because a token is sent with every request.
func ParseBaseURL(raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	switch {
	case err != nil || base.Hostname() == "" || base.Opaque != "":
		return nil, errors.New("it is not an absolute URL like " + DefaultBaseURL)
	case base.User != nil:
		return nil, errors.New("it contains a user name or password, which have attributes of their own")
	case base.RawQuery != "" || base.ForceQuery || base.Fragment != "":
		return nil, errors.New("it has a query or a fragment")
	case base.Scheme == "http" && !isLoopback(base.Hostname()):
		return nil, errors.New("plain http would send the token unencrypted: use https (http is for loopback hosts only)")
	case base.Scheme != "http" && base.Scheme != "https":
		return nil, errors.New("its scheme is not https")
	}
	base.Path = strings.TrimRight(base.Path, "/")
	base.RawPath = strings.TrimRight(base.RawPath, "/")
	return base, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// NearLimit reports whether Bitbucket has warned in a reply that few requests are left.
func (c *Client) NearLimit() bool { return c.transport.NearLimit() }

// Credential describes the credentials according to the last reply that described them.
func (c *Client) Credential() transport.Credential { return c.transport.Credential() }

// MaxConcurrentRequests returns how many requests may be in flight at once.
func (c *Client) MaxConcurrentRequests() int { return c.transport.MaxConcurrentRequests() }

// ServerTime converts a time of this machine's clock to Bitbucket's clock, according to the
// Date of the last reply.
func (c *Client) ServerTime(local time.Time) time.Time { return c.transport.ServerTime(local) }

// WaitToRetry waits before the caller sends a write again, after the caller has looked up
// the outcome of the last attempt. It waits as long as the error of the last attempt
// requests, or else for a back-off. It returns false if the write must not be sent again.
func (c *Client) WaitToRetry(ctx context.Context, attempt int, last *Error) bool {
	return c.transport.WaitToRetry(ctx, attempt, last.retryAfter)
}

// url returns the address of the path elements below the base. Each element is escaped, so
// that no element can lead to a different endpoint.
func (c *Client) url(elements ...string) *url.URL {
	escaped := make([]string, len(elements))
	for i, element := range elements {
		escaped[i] = url.PathEscape(element)
	}
	u := *c.base
	u.RawPath = u.EscapedPath() + "/" + strings.Join(escaped, "/")
	u.Path += "/" + strings.Join(elements, "/")
	return &u
}

// do sends a request. If the status of the reply is one of want, do reads the reply into
// out, unless out is nil. Otherwise do returns an error that wraps an [*Error].
func (c *Client) do(ctx context.Context, method string, u *url.URL, in, out any, want ...int) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encoding a request: %w", err)
		}
	}
	response, err := c.transport.Do(ctx, method, u, body)
	if err != nil {
		return c.errorWithoutReply(method, u, err)
	}
	if !slices.Contains(want, response.StatusCode) {
		return c.errorFromReply(method, u, response)
	}
	if out == nil {
		return nil
	}
	return decode(method, u, response.Body, out)
}

// decode reads a reply of the API into out.
func decode(method string, u *url.URL, reply []byte, out any) error {
	err := json.Unmarshal(reply, out)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return unusable(method, u, fmt.Sprintf("it is not the JSON that the API documents: %q is a %s", wrong.Field, wrong.Value))
	}
	if err != nil {
		text, _ := describeBody(reply)
		return unusable(method, u, "it is not the JSON that the API documents: "+text)
	}
	return nil
}

// errorWithoutReply returns the error for a request that got no usable reply.
func (c *Client) errorWithoutReply(method string, u *url.URL, err error) *Error {
	failed, ok := errors.AsType[*transport.Error](err)
	if !ok {
		failed = &transport.Error{Err: err} // Not expected: the transport returns no other error.
	}
	var e *Error
	if token, ok := errors.AsType[*transport.TokenError](failed); ok {
		e = c.tokenError(token)
	} else if limited, ok := errors.AsType[*transport.RateLimitError](failed); ok {
		e = newRateLimitError(method, u.EscapedPath(), limited)
	} else {
		e = &Error{Method: method, Path: u.EscapedPath(), Err: failed.Err}
		if wrapped, ok := errors.AsType[*url.Error](failed.Err); ok {
			e.Err = wrapped.Err // The url.Error repeats method and address.
		}
	}
	e.MaybeDone = failed.MaybeDone
	return e
}

// errorFromReply returns the error for a request that Bitbucket answered with an unexpected
// status.
func (c *Client) errorFromReply(method string, u *url.URL, response *transport.Response) error {
	e := newError(method, u, response)
	if e.Status == http.StatusTooManyRequests {
		limit := c.transport.RateLimit()
		e.RateLimit = &limit
	}
	if response.Unredacted == nil {
		return classifyRefusal(e, e)
	}
	whole := *response
	whole.Body = response.Unredacted
	return classifyRefusal(e, newError(method, u, &whole))
}
