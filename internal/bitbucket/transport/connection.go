package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// NewHTTPTransport returns the default transport for requests. It uses the proxy variables
// of the environment. It keeps connections open, because Terraform has ten requests in
// flight.
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

// refusedByProxy reports that a proxy, and not Bitbucket, refused the connection. The text
// of the proxy is left out because it could repeat the proxy's password.
func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	return notSentError{fmt.Errorf("the proxy %s refuses the connection: %d %s", proxy.Host, response.StatusCode, http.StatusText(response.StatusCode))}
}
