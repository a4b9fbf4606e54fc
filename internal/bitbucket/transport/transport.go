// Package transport sends HTTP requests to Bitbucket. A request passes through these
// layers, from the outside in: retry, authentication, rate limit, attempt, connection. Each
// layer has a file. The package does not depend on Bitbucket's resources.
package transport

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Options configure a Transport. The zero value of a field is its default.
type Options struct {
	// Credentials authenticate each request. By default requests are anonymous.
	Credentials Credentials
	// MaxRetries is how many times one request is sent again after failures other than a
	// 429.
	MaxRetries int
	// MaxRateLimitWait is the longest time without requests after a 429. It also bounds how
	// long a request that got a 429 is sent again. If it is zero, a 429 is an error at once.
	MaxRateLimitWait time.Duration
	// MaxConcurrentRequests is how many requests may be in flight at once, ten by
	// default.
	MaxConcurrentRequests int
	// RequestTimeout bounds one attempt, including its reply. By default, an attempt has no
	// time limit.
	RequestTimeout time.Duration
	// RetryWait is the wait before the first retry if Bitbucket does not request a wait,
	// half a second by default. It doubles with each retry.
	RetryWait time.Duration
	// OnRateLimitWait is called before a wait of more than ten seconds. It must not call
	// methods of the Transport.
	OnRateLimitWait func(ctx context.Context, wait time.Duration, limit RateLimit)
	// UserAgent is sent with every request.
	UserAgent string
	// Base sends the requests. By default it is the result of [NewHTTPTransport].
	Base http.RoundTripper
}

// Transport sends requests to one Bitbucket with one set of credentials. It is safe
// for concurrent use.
type Transport struct {
	client *http.Client
	// anonymous sends requests without credentials.
	anonymous *http.Client
	retrier   retrier
	limiter   *rateLimiter
	// clockSkew is how far Bitbucket's clock is ahead of this machine's, as a
	// [time.Duration].
	clockSkew atomic.Int64
}

// New returns a transport for the API with this root.
func New(base *url.URL, options Options) *Transport {
	t := &Transport{
		retrier: retrier{
			maxRetries: options.MaxRetries,
			firstWait:  cmp.Or(options.RetryWait, 500*time.Millisecond),
		},
	}
	next := options.Base
	if next == nil {
		next = NewHTTPTransport()
	}
	// Build the layers from the inside out. Authentication is outside of the rate limit,
	// because its requests for access tokens count towards the limit too.
	next = header{"User-Agent", options.UserAgent, next}
	next = attempt{options.RequestTimeout, &t.clockSkew, next}
	t.limiter = newRateLimiter(next, t.retrier.firstWait, options)
	next = t.limiter
	t.anonymous = &http.Client{Transport: next, CheckRedirect: followSameOriginReads}
	if options.Credentials != nil {
		next = options.Credentials.authenticate(base, t.retrier, next)
	}
	t.client = &http.Client{Transport: next, CheckRedirect: followSameOriginReads}
	return t
}

// Response is the reply to the last attempt of a request.
type Response struct {
	StatusCode int
	Header     http.Header
	Body       []byte
	// Unredacted is the original body if Body is [Redacted], otherwise nil. It may be used
	// to classify an error, but must never be shown or stored.
	Unredacted []byte
	// Location is the target of a redirect, nil if the reply has none.
	Location *url.URL
	// MaybeDone reports whether Bitbucket may have carried out the request, in the last
	// attempt or in an earlier attempt whose reply was lost.
	MaybeDone bool
	// RetryAfter is the wait that Bitbucket requests, nil if it requests none.
	RetryAfter *time.Duration
}

// Error means that a request got no usable reply.
type Error struct {
	// MaybeDone reports whether Bitbucket may have carried out the request.
	MaybeDone bool
	Err       error
}

// Error returns the text of the cause.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Do sends a request with this JSON body, or without a body if body is nil. It sends the
// request again if that is safe. A reply with any status is a Response. A request without a
// usable reply is an [*Error], which may wrap a [*RateLimitError] or a [*TokenError].
func (t *Transport) Do(ctx context.Context, method string, u *url.URL, body []byte) (*Response, error) {
	var content any // A nil []byte would count as an empty body, which HTTP/2 sends.
	if body != nil {
		content = body
	}
	header := http.Header{"Accept": {"application/json"}}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	return t.send(ctx, t.client, method, u, header, content)
}

// GetText requests a public text. It sends no credentials, neither to u nor to the target of
// a redirect. It returns the same results as [Transport.Do].
func (t *Transport) GetText(ctx context.Context, u *url.URL) (*Response, error) {
	return t.send(ctx, t.anonymous, http.MethodGet, u, http.Header{"Accept": {"text/plain"}}, nil)
}

// send sends a request through one of the clients. content is nil or the body.
func (t *Transport) send(ctx context.Context, through *http.Client, method string, u *url.URL, header http.Header, content any) (*Response, error) {
	var unredacted atomic.Pointer[[]byte]
	ctx = context.WithValue(ctx, unredactedKey{}, &unredacted)
	request, err := retryablehttp.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return nil, &Error{Err: fmt.Errorf("building a request: %w", err)}
	}
	request.Header = header

	lost := false
	response, err := t.retrier.client(through, method, &lost).Do(request)
	if err != nil {
		return nil, &Error{MaybeDone: lost, Err: err}
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	if err != nil { // Not expected, because attempt has read the body into memory.
		return nil, &Error{MaybeDone: true, Err: err}
	}
	result := &Response{
		StatusCode: response.StatusCode,
		Header:     response.Header,
		Body:       reply,
		MaybeDone:  lost || maybeDone(response, nil),
	}
	if body := unredacted.Load(); body != nil && string(reply) == Redacted {
		result.Unredacted = *body
	}
	result.Location, _ = response.Location() // Most replies have none.
	if wait, named := retryAfter(response, time.Now()); named {
		result.RetryAfter = &wait
	}
	return result, nil
}

// ServerTime converts a time of this machine's clock to Bitbucket's clock, according to the
// Date of the last reply.
func (t *Transport) ServerTime(local time.Time) time.Time {
	return local.Add(time.Duration(t.clockSkew.Load()))
}

// SameOrigin reports whether both addresses have the same scheme and host, so that
// credentials for one may be sent to the other.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}

// SiteURL returns the address of a path on Bitbucket's web site. For Bitbucket's API, the web
// site is bitbucket.org. Otherwise it is on the host of the API.
func SiteURL(base *url.URL, path string) *url.URL {
	host := base.Host
	if strings.EqualFold(base.Hostname(), "api.bitbucket.org") {
		host = "bitbucket.org"
	}
	return &url.URL{Scheme: base.Scheme, Host: host, Path: path}
}

// followSameOriginReads follows a redirect of a read within one origin. The caller gets any
// other redirect as a reply: credentials must not be sent to another origin, and a
// redirected write would lose its body.
func followSameOriginReads(next *http.Request, via []*http.Request) error {
	if via[0].Method != http.MethodGet || !SameOrigin(next.URL, via[0].URL) || len(via) > 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

// header sets one header of each request.
type header struct {
	name, value string
	next        http.RoundTripper
}

// RoundTrip sends a copy of the request: a RoundTripper must not change its request.
func (h header) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set(h.name, h.value)
	return h.next.RoundTrip(request)
}
