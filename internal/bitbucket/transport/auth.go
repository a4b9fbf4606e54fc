package transport

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Credentials authenticate requests: [Basic], [Bearer] or [OAuthConsumer].
// https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication
type Credentials interface {
	// authenticate returns a transport that adds the credentials to each request before it
	// sends the request through next.
	authenticate(base *url.URL, retrier retrier, next http.RoundTripper) http.RoundTripper
}

// Basic is the e-mail address of an Atlassian account with one of its API tokens.
type Basic struct{ Username, Token string }

func (b Basic) authenticate(_ *url.URL, _ retrier, next http.RoundTripper) http.RoundTripper {
	pair := base64.StdEncoding.EncodeToString([]byte(b.Username + ":" + b.Token))
	return header{"Authorization", "Basic " + pair, next}
}

// Bearer is a repository, project or workspace access token, or an OAuth access token.
type Bearer struct{ Token string }

func (b Bearer) authenticate(_ *url.URL, _ retrier, next http.RoundTripper) http.RoundTripper {
	return header{"Authorization", "Bearer " + b.Token, next}
}

// OAuthConsumer is an OAuth consumer, which must be marked as private. Its client
// credentials are exchanged for access tokens, which are renewed when they expire.
// https://developer.atlassian.com/cloud/bitbucket/oauth-2/#client-credentials-grant--4-4-
type OAuthConsumer struct{ ID, Secret string }

func (o OAuthConsumer) authenticate(base *url.URL, retrier retrier, next http.RoundTripper) http.RoundTripper {
	config := &clientcredentials.Config{
		ClientID:     o.ID,
		ClientSecret: o.Secret,
		TokenURL:     SiteURL(base, TokenPath).String(),
		AuthStyle:    oauth2.AuthStyleInHeader,
	}
	// Requesting a token twice does no harm, so token requests are retried like reads.
	anonymous := &http.Client{Transport: next, CheckRedirect: followSameOriginReads}
	retrying := retrier.client(anonymous, http.MethodGet, new(bool)).StandardClient()
	retrying.CheckRedirect = followSameOriginReads
	return &tokenTransport{
		next: next,
		turn: make(chan struct{}, 1),
		fetch: func(ctx context.Context) (*oauth2.Token, error) {
			token, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, retrying))
			if err != nil {
				return nil, &TokenError{err}
			}
			return token, nil
		},
	}
}

// TokenError means that a request was not sent, because no access token could be fetched.
// It wraps the error of golang.org/x/oauth2, whose text may contain secrets.
type TokenError struct{ Err error }

// Error omits the text of the cause, which may contain secrets.
func (*TokenError) Error() string { return "no access token could be fetched" }

// Unwrap returns the cause.
func (e *TokenError) Unwrap() error { return e.Err }

// TokenPath is the path of the requests for access tokens.
const TokenPath = "/site/oauth2/access_token"

// IsTokenRequest reports whether a request is for an access token. The body of its reply
// contains the token.
func IsTokenRequest(request *http.Request) bool { return request.URL.Path == TokenPath }

// tokenTransport adds an access token to each request and renews the token.
type tokenTransport struct {
	next  http.RoundTripper
	fetch func(context.Context) (*oauth2.Token, error)
	// turn is a lock for token. It is a channel instead of a mutex, so that a waiting
	// request can stop when its context ends.
	turn  chan struct{}
	token *oauth2.Token
}

// RoundTrip sends the request with the token. If Bitbucket refuses a token that has not
// expired, RoundTrip sends the request once more with a new token. That is safe because
// Bitbucket does not carry out a request that it answers with 401.
func (t *tokenTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	token, err := t.current(request.Context(), "")
	if err != nil {
		return nil, err
	}
	response, err := t.send(request, token)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	if request, err = repeated(request); err != nil {
		return response, nil //nolint:nilerr // The body cannot be sent again, so return the refusal.
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // Allows the connection to be used again.
	_ = response.Body.Close()
	if token, err = t.current(request.Context(), token); err != nil {
		return nil, err
	}
	return t.send(request, token)
}

func (t *tokenTransport) send(request *http.Request, token string) (*http.Response, error) {
	return header{"Authorization", "Bearer " + token, t.next}.RoundTrip(request)
}

// current returns the token. It fetches a new token if the token has expired or if
// Bitbucket has refused it.
func (t *tokenTransport) current(ctx context.Context, refused string) (string, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", notSentError{ctx.Err()}
	}
	if !t.token.Valid() || t.token.AccessToken == refused {
		token, err := t.fetch(ctx)
		if err != nil {
			return "", err
		}
		t.token = token
	}
	return t.token.AccessToken, nil
}
