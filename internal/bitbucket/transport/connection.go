package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// NewHTTPTransport returns the default transport for requests. It uses the proxy variables
// of the environment. It keeps connections open, because about ten requests are in flight
// at once.
func NewHTTPTransport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: refusedByProxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           32,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
	}
}

// ErrProxyCredentials means that a proxy requires credentials.
var ErrProxyCredentials = errors.New("407 Proxy Authentication Required")

// refusedByProxy returns an error if a proxy, and not Bitbucket, refused the connection.
// The error omits the text of the proxy, because the text could repeat the proxy's password.
func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	reason := fmt.Errorf("%d %s", response.StatusCode, http.StatusText(response.StatusCode))
	if response.StatusCode == http.StatusProxyAuthRequired {
		reason = ErrProxyCredentials
	}
	return notSentError{fmt.Errorf("the proxy %s refuses the connection: %w", proxy.Host, reason)}
}
