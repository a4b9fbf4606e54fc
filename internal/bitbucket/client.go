// Package bitbucket is a client of the Bitbucket Cloud REST API,
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/, for the pages
// that this provider uses. It knows nothing of Terraform.
package bitbucket

import (
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
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// DefaultBaseURL is where the API answers.
const DefaultBaseURL = "https://api.bitbucket.org/2.0"

// maxBody bounds what is read of one reply, in bytes. A page of 100 keys is
// below 200 kB.
const maxBody = 10 << 20

// Options configure a Client. The zero value of a field is its default.
type Options struct {
	// BaseURL is the root of the API, [DefaultBaseURL] by default. Plain http
	// is for loopback hosts only: see [ParseBaseURL].
	BaseURL string
	// Credentials sign each request; none means that requests go unsigned.
	Credentials Credentials
	// MaxRetries is how often one request is tried again.
	MaxRetries int
	// RequestTimeout bounds one try of a request, its reply included; none by
	// default.
	RequestTimeout time.Duration
	// RetryWait is the first wait before a request is tried again where
	// Bitbucket names none, half a second by default. It doubles with each try.
	RetryWait time.Duration
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
	maxRetries int
	retryWait  time.Duration
}

// NewClient returns a client, or an error that says what is wrong with the
// base URL.
func NewClient(options Options) (*Client, error) {
	if options.BaseURL == "" {
		options.BaseURL = DefaultBaseURL
	}
	base, err := ParseBaseURL(options.BaseURL)
	if err != nil {
		return nil, err
	}
	if options.Transport == nil {
		options.Transport = NewTransport()
	}
	if options.RetryWait == 0 {
		options.RetryWait = 500 * time.Millisecond
	}
	c := &Client{base: base, maxRetries: options.MaxRetries, retryWait: options.RetryWait}
	c.http = &http.Client{
		Transport:     header{"User-Agent", options.UserAgent, options.Transport},
		Timeout:       options.RequestTimeout,
		CheckRedirect: sameOriginReads,
	}
	if options.Credentials != nil {
		c.http.Transport = options.Credentials.sign(c, c.http.Transport)
	}
	return c, nil
}

// NewTransport returns the transport that a Client uses by default. Terraform
// has ten requests in flight, so as many connections are kept.
func NewTransport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          32,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
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

// reply is an answer of the API whose status the caller asked for.
type reply struct {
	// lost tells that an earlier try of the same request may have been carried
	// out although its answer did not arrive.
	lost bool
	body []byte
}

// do sends a request, tries it again where that is safe, and returns the reply
// if its status is one of want. Everything else is an *Error.
func (c *Client) do(ctx context.Context, method string, u *url.URL, in any, want ...int) (*reply, error) {
	var body any // An empty []byte would be a body too, which HTTP/2 sends.
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encoding a request: %w", err)
		}
		body = encoded
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("building a request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}

	answer := &reply{}
	// The body belongs to the try: one that breaks off in the middle is as lost
	// as one that never came.
	request.SetResponseHandler(func(response *http.Response) (err error) {
		answer.body, err = readBody(response.Body)
		return err
	})
	response, err := c.retryPolicy(c.http, method, &answer.lost).Do(request)
	if response != nil {
		defer response.Body.Close()
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		return answer, refused // No access token: the request was not sent.
	}
	if err != nil {
		return answer, &Error{Method: method, Path: u.EscapedPath(), Lost: answer.lost, Err: err}
	}
	if !slices.Contains(want, response.StatusCode) {
		if answer.body == nil { // Given up on without reading it.
			if answer.body, err = readBody(response.Body); err != nil {
				answer.body = nil
			}
		}
		return answer, newError(method, u, response, answer)
	}
	return answer, nil
}

// readBody reads the whole of a reply, if it is not too long.
func readBody(from io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("%w: over %d MB", errUnusable, maxBody>>20)
	}
	return body, nil
}

// errUnusable marks a reply that arrived whole and will not be better the next
// time.
var errUnusable = errors.New("the reply cannot be used")

// decode reads a reply of the API into out.
func decode(method string, u *url.URL, from *reply, out any) error {
	if err := json.Unmarshal(from.body, out); err != nil {
		return unusable(method, u, "it is not the JSON that the API documents: "+describeBody(from.body))
	}
	return nil
}

// unusable is the error for a successful reply that does not say what it must.
func unusable(method string, u *url.URL, why string) *Error {
	return &Error{Method: method, Path: u.EscapedPath(), Lost: true, Err: fmt.Errorf("%w: %s", errUnusable, why)}
}
