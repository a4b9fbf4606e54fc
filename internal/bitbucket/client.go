// Package bitbucket is a client of the Bitbucket Cloud REST API,
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/, for the pages
// that this provider uses. It knows nothing of Terraform.
package bitbucket

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// DefaultBaseURL is where the API answers.
const DefaultBaseURL = "https://api.bitbucket.org/2.0"

// Options configure a Client. The zero value of a field is its default.
type Options struct {
	// BaseURL is the root of the API, [DefaultBaseURL] by default. Plain http
	// is for loopback hosts only: see [ParseBaseURL].
	BaseURL string
	// Credentials sign each request; none means that requests go unsigned.
	Credentials Credentials
	// MaxRetries is how often one request is tried again.
	MaxRetries int
	// MaxRateLimitWait is the longest time without requests after a 429; zero
	// means that a 429 is not waited for at all.
	MaxRateLimitWait time.Duration
	// MaxConcurrentRequests is how many requests may be in flight at once, ten by
	// default.
	MaxConcurrentRequests int
	// RequestTimeout bounds one try of a request, its reply included; none by
	// default.
	RequestTimeout time.Duration
	// RetryWait is the first wait before a request is tried again where
	// Bitbucket names none, half a second by default. It doubles with each try.
	RetryWait time.Duration
	// OnRateLimitWait is told of waits that a person would wonder about, with
	// the time that they end and the limit, if Bitbucket names it.
	OnRateLimitWait func(ctx context.Context, until time.Time, limit string)
	// UserAgent is sent with every request.
	UserAgent string
	// Transport carries the requests; by default one of the client's own that
	// honors the proxy variables of the environment and keeps connections open.
	Transport http.RoundTripper
}

// Client talks to one Bitbucket with one set of credentials. It is safe for
// concurrent use.
type Client struct {
	base       *url.URL
	http       *http.Client
	gate       *gate
	listings   *listings
	names      names
	maxRetries int
	retryWait  time.Duration
	// ahead is how far Bitbucket's clock is ahead of ours, as a [time.Duration].
	ahead atomic.Int64
	// created has the ids of the keys that this client has added.
	created sync.Map
}

// NewClient returns a client, or an error that says what is wrong with the
// base URL.
func NewClient(options Options) (*Client, error) {
	base, err := ParseBaseURL(cmp.Or(options.BaseURL, DefaultBaseURL))
	if err != nil {
		return nil, err
	}
	if options.Transport == nil {
		options.Transport = NewTransport()
	}
	c := &Client{
		base:       base,
		maxRetries: options.MaxRetries,
		retryWait:  cmp.Or(options.RetryWait, 500*time.Millisecond),
	}
	c.listings = &listings{c: c, of: map[Place]*listing{}}

	// From the inside out: what a request passes last comes first. Credentials
	// are outside of the gate, since the request for an access token passes it
	// too, while others wait for the token.
	var transport http.RoundTripper = header{"User-Agent", options.UserAgent, options.Transport}
	transport = try{options.RequestTimeout, &c.ahead, transport}
	c.gate = &gate{
		next:   transport,
		slots:  make(chan struct{}, cmp.Or(options.MaxConcurrentRequests, 10)),
		first:  c.retryWait,
		most:   options.MaxRateLimitWait,
		onWait: options.OnRateLimitWait,
	}
	transport = c.gate
	if options.Credentials != nil {
		transport = options.Credentials.sign(c, transport)
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: sameOriginReads}
	return c, nil
}

// ParseBaseURL checks the root of an API: https, or http on a loopback host,
// since a token is sent with every request.
func ParseBaseURL(raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	switch {
	case err != nil || base.Hostname() == "" || base.Opaque != "":
		return nil, errors.New("it is not an absolute URL like " + DefaultBaseURL)
	case base.User != nil:
		return nil, errors.New("it holds a user name or password; credentials have attributes of their own")
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

// sameOriginReads follows a redirect only where the credentials may go along
// and nothing is written: others reach the caller as the 3xx they are.
func sameOriginReads(next *http.Request, via []*http.Request) error {
	if via[0].Method != http.MethodGet || !sameOrigin(next.URL, via[0].URL) || len(via) > 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}

// url returns the address of the elements below the base, each escaped, so
// that no element can name another endpoint.
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

// do sends a request, tries it again where that is safe, and reads the reply into
// out, unless that is nil, if its status is one of want. Everything else is an
// *Error.
func (c *Client) do(ctx context.Context, method string, u *url.URL, in, out any, want ...int) error {
	var body any // An empty []byte would be a body too, which HTTP/2 sends.
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding a request: %w", err)
		}
		body = encoded
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return fmt.Errorf("building a request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}

	// An earlier try may have been carried out although its answer did not arrive.
	lost := false
	response, err := c.retryPolicy(c.http, method, &lost).Do(request)
	if err != nil {
		return failed(method, u, lost, err)
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	if err != nil { // It is in memory.
		return failed(method, u, lost, err)
	}
	if !slices.Contains(want, response.StatusCode) {
		e := newError(method, u, response, reply)
		e.Lost = e.Lost || lost
		if e.Status == http.StatusTooManyRequests {
			c.gate.explain(e)
		}
		return e
	}
	if out == nil {
		return nil
	}
	return decode(method, u, reply, out)
}

// failed is the error for a request that got no answer.
func failed(method string, u *url.URL, lost bool, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e // The gate has refused it, or no access token could be had.
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // Which says the method and the address again.
	}
	return &Error{Method: method, Path: u.EscapedPath(), Lost: lost, Err: err}
}

// ErrUnusable marks a reply that arrived whole and will not be better the next
// time.
var ErrUnusable = errors.New("the reply cannot be used")

// decode reads a reply of the API into out.
func decode(method string, u *url.URL, reply []byte, out any) error {
	err := json.Unmarshal(reply, out)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return unusable(method, u, fmt.Sprintf("it is not the JSON that the API documents: %q is a %s", wrong.Field, wrong.Value))
	}
	if err != nil {
		return unusable(method, u, "it is not the JSON that the API documents: "+describeBody(reply))
	}
	return nil
}

// unusable is the error for a successful reply that does not say what it must.
func unusable(method string, u *url.URL, why string) *Error {
	return &Error{Method: method, Path: u.EscapedPath(), Lost: true, Err: fmt.Errorf("%w: %s", ErrUnusable, why)}
}
