package bitbucket

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Credentials sign requests: [Basic], [Bearer] or [Consumer].
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication
type Credentials interface {
	// sign returns a transport that signs what it sends through next.
	sign(c *Client, next http.RoundTripper) http.RoundTripper
}

// Basic is an Atlassian account's e-mail with one of its API tokens.
type Basic struct{ Username, Token string }

func (b Basic) sign(_ *Client, next http.RoundTripper) http.RoundTripper {
	pair := base64.StdEncoding.EncodeToString([]byte(b.Username + ":" + b.Token))
	return header{"Authorization", "Basic " + pair, next}
}

// Bearer is a repository, project or workspace access token, or an OAuth
// access token.
type Bearer struct{ Token string }

func (b Bearer) sign(_ *Client, next http.RoundTripper) http.RoundTripper {
	return header{"Authorization", "Bearer " + b.Token, next}
}

// header is a transport that sets one header.
type header struct {
	name, value string
	next        http.RoundTripper
}

// RoundTrip sends a copy of the request, as a transport has to.
func (h header) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set(h.name, h.value)
	return h.next.RoundTrip(request)
}

// Consumer is an OAuth consumer, which must be marked private. Its client
// credentials buy access tokens, renewed when they expire.
// https://developer.atlassian.com/cloud/bitbucket/oauth-2/#client-credentials-grant--4-4-
type Consumer struct{ ID, Secret string }

func (o Consumer) sign(c *Client, next http.RoundTripper) http.RoundTripper {
	endpoint := tokenURL(c.base)
	config := &clientcredentials.Config{
		ClientID:     o.ID,
		ClientSecret: o.Secret,
		TokenURL:     endpoint.String(),
		AuthStyle:    oauth2.AuthStyleInHeader,
	}
	// Asking for a token twice does no harm, so it is tried again like a read.
	unsigned := &http.Client{Transport: next, CheckRedirect: sameOriginReads}
	retrying := c.retryPolicy(unsigned, http.MethodGet, new(bool)).StandardClient()
	retrying.CheckRedirect = sameOriginReads
	return &tokenTransport{
		next: next,
		turn: make(chan struct{}, 1),
		buy: func(ctx context.Context) (*oauth2.Token, error) {
			token, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, retrying))
			if err != nil {
				failed := tokenError(endpoint, err)
				if failed.Status == http.StatusTooManyRequests {
					c.gate.explain(failed)
				}
				return nil, failed
			}
			return token, nil
		},
	}
}

const tokenPath = "/site/oauth2/access_token"

// BuysToken tells whether a request is for an access token, which is in the body
// of the reply.
func BuysToken(request *http.Request) bool { return request.URL.Path == tokenPath }

// tokenURL is where access tokens are bought: Bitbucket's web site for its
// API, else the host of the API itself.
func tokenURL(base *url.URL) *url.URL {
	host := base.Host
	if strings.EqualFold(base.Hostname(), "api.bitbucket.org") {
		host = "bitbucket.org"
	}
	return &url.URL{Scheme: base.Scheme, Host: host, Path: tokenPath}
}

// tokenError tells why no token could be bought in the form of any other
// refusal, without the parts of the answer that could be secret.
func tokenError(endpoint *url.URL, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok { // The gate has refused it.
		return e
	}
	e := &Error{Method: http.MethodPost, Path: endpoint.Path}
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		e.Err = err
		return e
	}
	e.readHead(refused.Response)
	switch {
	case refused.ErrorCode != "":
		e.Message = clean(strings.TrimSuffix(refused.ErrorCode+": "+refused.ErrorDescription, ": "))
	case bytes.Contains(refused.Body, []byte(`_token"`)):
		e.Message = "a reply that may hold a token"
	default:
		e.readBody(refused.Body)
	}
	return e
}

// tokenTransport signs requests with an access token that it renews.
type tokenTransport struct {
	next http.RoundTripper
	buy  func(context.Context) (*oauth2.Token, error)
	// turn is held by the one request that may look at the token or renew it.
	// It is a channel because the others must be able to stop waiting.
	turn  chan struct{}
	token *oauth2.Token
}

// RoundTrip signs the request. Where the token is refused although it should
// be good, a new one is tried once: a 401 has not carried anything out.
func (t *tokenTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	token, err := t.current(request.Context(), "")
	if err != nil {
		return nil, err
	}
	response, err := t.send(request, token)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	if request.Body != nil && request.Body != http.NoBody {
		again := request.Clone(request.Context())
		if again.Body, err = request.GetBody(); err != nil {
			return response, nil //nolint:nilerr // The refusal is the answer then.
		}
		request = again
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // Only so that the connection can be used again.
	_ = response.Body.Close()
	if token, err = t.current(request.Context(), token); err != nil {
		return nil, err
	}
	return t.send(request, token)
}

func (t *tokenTransport) send(request *http.Request, token string) (*http.Response, error) {
	return header{"Authorization", "Bearer " + token, t.next}.RoundTrip(request)
}

// current returns the token, a new one if the last has expired or is the one
// that was refused.
func (t *tokenTransport) current(ctx context.Context, refused string) (string, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", notSent{ctx.Err()}
	}
	if !t.token.Valid() || t.token.AccessToken == refused {
		token, err := t.buy(ctx)
		if err != nil {
			return "", err
		}
		t.token = token
	}
	return t.token.AccessToken, nil
}
