package bitbucket

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

// NewTransport returns the transport that a Client uses by default. Terraform
// has ten requests in flight, so as many connections are kept.
func NewTransport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  proxyFromEnvironment,
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

// proxyFromEnvironment is http.ProxyFromEnvironment without its error, which
// shows the address and so the password of the proxy.
func proxyFromEnvironment(request *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil {
		return nil, notSent{errors.New("the address of the proxy in HTTPS_PROXY or HTTP_PROXY is no URL")}
	}
	return proxy, nil
}

// refusedByProxy says that it is the proxy that refuses. Its own words are left
// out: they could repeat its password.
func refusedByProxy(_ context.Context, proxy *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	return notSent{fmt.Errorf("the proxy %s refuses the connection: %d %s", proxy.Host, response.StatusCode, http.StatusText(response.StatusCode))}
}
