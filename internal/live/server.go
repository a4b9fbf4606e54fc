// Package live makes requests to a Bitbucket workspace without the provider's client. The
// acceptance tests of this package use it to prepare and check what the provider does, on
// the emulator and on the real Bitbucket.
package live

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// WorkspaceVariable names the environment variable with the slug of the workspace. The
// credentials are in the variables that the provider reads.
const WorkspaceVariable = "BITBUCKET_TEST_WORKSPACE"

// defaultBaseURL is the root of Bitbucket's API. The provider has the same default.
const defaultBaseURL = "https://api.bitbucket.org/2.0"

// timeout limits each request, including the reading of its reply.
const timeout = time.Minute

// Server is a workspace of a Bitbucket, with the credentials of an account that may create
// repositories in the workspace. It is safe for concurrent use.
type Server struct {
	// Base is the root of the API.
	Base *url.URL
	// Workspace is the slug of the workspace.
	Workspace string
	// Counter counts all requests, including requests of the proxies and requests for tokens.
	Counter *Counter

	account account
	client  *http.Client

	creating sync.RWMutex // creating is held for writing while created is emptied.
	mu       sync.Mutex
	created  []string // created has the paths of repositories and projects.
	sent     []string // sent has the credentials of requests, as their headers have them.
	copies   []string // copies are the forms in which a text may repeat the credentials. It is nil until Redact needs it.
	closed   bool
	// defaultProject is the project that was created because the workspace had none.
	defaultProject string
}

// Counter counts requests and refuses requests above a limit. Its zero value has no limit.
type Counter struct {
	// Limit is the highest number of requests, or 0 for no limit. Set it before the first
	// request. [Server.Close] may send more requests.
	Limit int64
	sent  atomic.Int64
}

// Sent returns the number of requests.
func (c *Counter) Sent() int64 { return c.sent.Load() }

// count adds a request. It returns an error if the limit does not allow the request.
func (c *Counter) count() error {
	if sent := c.sent.Add(1); c.Limit > 0 && sent > c.Limit {
		return fmt.Errorf("more than %d requests, which is the limit of this run", c.Limit)
	}
	return nil
}

// account holds the credentials as the environment has them.
type account struct{ username, token, clientID, clientSecret string }

// FromEnvironment returns the server that the environment describes. The error names the
// variable to set.
func FromEnvironment(getenv func(string) string) (*Server, error) {
	get := func(name string) string { return strings.TrimSpace(getenv(name)) }
	workspace := get(WorkspaceVariable)
	if workspace == "" {
		return nil, errors.New("set " + WorkspaceVariable + " to the slug of a workspace in which repositories may be created and deleted")
	}
	a := account{
		username:     get("BITBUCKET_USERNAME"),
		token:        cmp.Or(get("BITBUCKET_TOKEN"), get("BITBUCKET_PASSWORD"), get("BITBUCKET_OAUTH_TOKEN")),
		clientID:     get("BITBUCKET_OAUTH_CLIENT_ID"),
		clientSecret: get("BITBUCKET_OAUTH_CLIENT_SECRET"),
	}
	if a.token == "" && (a.clientID == "" || a.clientSecret == "") {
		return nil, errors.New("set BITBUCKET_USERNAME and BITBUCKET_TOKEN to the e-mail address of an Atlassian account and its API token")
	}
	return newServer(cmp.Or(get("BITBUCKET_BASE_URL"), defaultBaseURL), workspace, a, &Counter{})
}

// NewServer returns the server with this root, for an API token of an account.
func NewServer(baseURL, workspace, username, token string, counter *Counter) (*Server, error) {
	return newServer(baseURL, workspace, account{username: username, token: token}, counter)
}

func newServer(baseURL, workspace string, a account, counter *Counter) (*Server, error) {
	base, err := url.Parse(strings.TrimRight(baseURL, "/"))
	if err != nil || base.Host == "" {
		return nil, errors.New("BITBUCKET_BASE_URL is not an absolute URL like " + defaultBaseURL)
	}
	s := &Server{Base: base, Workspace: workspace, Counter: counter, account: a}
	s.client = &http.Client{
		Transport: s.authenticated(s.noteCredentials(NewTransport())),
		Timeout:   timeout,
		// A redirect is a reply that a caller may want to see.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// NewTransport returns a transport with connections of its own. If a test closes a server of
// net/http/httptest, that breaks the connections of [http.DefaultTransport].
func NewTransport() http.RoundTripper {
	return &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second}
}

// authenticated returns a transport that adds the credentials to each request.
func (s *Server) authenticated(next http.RoundTripper) http.RoundTripper {
	if s.account.token == "" {
		site := s.siteFor(s.Base)
		consumer := clientcredentials.Config{
			ClientID: s.account.clientID, ClientSecret: s.account.clientSecret,
			TokenURL: site.JoinPath("/site/oauth2/access_token").String(), AuthStyle: oauth2.AuthStyleInHeader,
		}
		// Use a transport of its own, because a transport that records must not receive tokens.
		// The limit does not apply: a token belongs to a request that was allowed already.
		counted := s.noteCredentials(NewTransport())
		tokens := &http.Client{Timeout: timeout, Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
			s.Counter.sent.Add(1)
			return counted.RoundTrip(request)
		})}
		ctx := context.WithValue(context.Background(), oauth2.HTTPClient, tokens)
		return &oauth2.Transport{Source: consumer.TokenSource(ctx), Base: next}
	}
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		request = request.Clone(request.Context())
		if s.account.username == "" {
			request.Header.Set("Authorization", "Bearer "+s.account.token)
		} else {
			request.SetBasicAuth(s.account.username, s.account.token)
		}
		return next.RoundTrip(request)
	})
}

// siteFor returns the root of the web site that belongs to an API. Bitbucket's API has a host
// of its own.
func (s *Server) siteFor(base *url.URL) *url.URL {
	site := &url.URL{Scheme: base.Scheme, Host: base.Host}
	if strings.EqualFold(base.Hostname(), "api.bitbucket.org") {
		site.Host = "bitbucket.org"
	}
	return site
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// Secrets returns the texts of the credentials, for a caller that must not store them.
func (s *Server) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets()
}

func (s *Server) secrets() []string {
	return append([]string{s.account.username, s.account.token, s.account.clientID, s.account.clientSecret}, s.sent...)
}

// SetTransport replaces the transport. The transport receives requests with credentials.
func (s *Server) SetTransport(transport http.RoundTripper) {
	s.client.Transport = s.authenticated(s.noteCredentials(transport))
}

// Reply is a reply with any status.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Decode reads the body of the reply as JSON.
func (r *Reply) Decode(out any) error {
	if err := json.Unmarshal(r.Body, out); err != nil {
		return fmt.Errorf("the reply with status %d is not the expected JSON: %w", r.Status, err)
	}
	return nil
}

// Message returns the message of an error and the required scopes, without the messages about
// fields.
func (r *Reply) Message() string {
	var envelope struct {
		Error struct {
			Message string
			Detail  json.RawMessage
		}
	}
	var scopes struct{ Required []string }
	if json.Unmarshal(r.Body, &envelope) == nil && envelope.Error.Message != "" {
		if json.Unmarshal(envelope.Error.Detail, &scopes) == nil && len(scopes.Required) > 0 {
			return envelope.Error.Message + " Required: " + strings.Join(scopes.Required, ", ")
		}
		return envelope.Error.Message
	}
	return strings.Join(strings.Fields(string(r.Body)), " ")
}

// Error is a reply with an unexpected status.
type Error struct {
	Method, Path string
	Reply        *Reply
}

// Error returns what was requested and what was answered.
func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Reply.Status, e.Reply.Message())
}

// Status returns the status of the reply in err, or 0 if err has no reply.
func Status(err error) int {
	if refused, ok := errors.AsType[*Error](err); ok {
		return refused.Reply.Status
	}
	return 0
}

// Do sends a request. The path is below the root of the API and may have a query. The body is
// sent as JSON, or not at all if it is nil. Do does not follow redirects and does not repeat
// requests. A reply with any status is not an error.
func (s *Server) Do(ctx context.Context, method, path string, body any) (*Reply, error) {
	if err := s.Counter.count(); err != nil {
		return nil, err
	}
	return s.send(ctx, method, path, body)
}

// send is Do without counting the request.
func (s *Server) send(ctx context.Context, method, path string, body any) (*Reply, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding a request: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.Base.String()+path, content)
	if err != nil {
		return nil, fmt.Errorf("building a request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(response.Body, 10<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the reply to %s %s: %w", method, path, err)
	}
	return &Reply{response.StatusCode, response.Header, reply}, nil
}

// Expect is Do for a request that must succeed. Any status except 200 to 204 is an [*Error].
// The reply is decoded into out, unless out is nil.
func (s *Server) Expect(ctx context.Context, method, path string, body, out any) error {
	reply, err := s.Do(ctx, method, path, body)
	if err != nil {
		return err
	}
	if err := reply.check(method, path); err != nil || out == nil {
		return err
	}
	return reply.Decode(out)
}

// check returns an [*Error] unless the status is 200 to 204.
func (r *Reply) check(method, path string) error {
	if r.Status < http.StatusOK || r.Status > http.StatusNoContent {
		return &Error{method, path, r}
	}
	return nil
}
