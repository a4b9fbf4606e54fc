package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// startTLS starts a server that supports TLS up to this version.
func startTLS(t *testing.T, version uint16, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// newHTTPTransport returns the default transport, which also trusts the server.
func newHTTPTransport(t *testing.T, server *httptest.Server) *http.Transport {
	t.Helper()
	transport, ok := NewHTTPTransport().(*http.Transport)
	if !ok {
		t.Fatal("the transport has another type")
	}
	transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	return transport
}

func TestNewHTTPTransport_tls(t *testing.T) {
	t.Parallel()
	for version, accepted := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			handler := httpfake.NewScript(t)
			if accepted {
				handler = httpfake.NewScript(t, httpfake.Reply(200, item))
			}
			server := startTLS(t, version, handler)
			err := calls["GET"].send(t.Context(), newClient(t, server.URL+"/2.0", Options{Base: newHTTPTransport(t, server)}))
			if accepted != (err == nil) || !accepted && !strings.Contains(err.Error(), "protocol version not supported") {
				t.Errorf("got error %v", err)
			}
		})
	}
}

// A server with an untrusted certificate receives no request, and the attempt is not
// repeated.
func TestNewHTTPTransport_certificate(t *testing.T) {
	t.Parallel()
	server := startTLS(t, tls.VersionTLS13, httpfake.NewScript(t)) // Fails the test if a request arrives.
	trusting := newHTTPTransport(t, server)
	trusting.TLSClientConfig.ServerName = "bitbucket.example.org"
	for name, base := range map[string]http.RoundTripper{"of no authority": NewHTTPTransport(), "of another name": trusting} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for method, call := range calls {
				attempts := 0
				c := newClient(t, server.URL+"/2.0", Options{MaxRetries: 3, RetryWait: 1, Base: httpfake.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					attempts++
					return base.RoundTrip(r)
				})})
				err := call.send(t.Context(), c)
				_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
				if _, maybeDone := outcome(t, err); !untrusted || maybeDone || attempts != 1 {
					t.Errorf("%s: got error %v with MaybeDone %t after %d attempts", method, err, maybeDone, attempts)
				}
			}
		})
	}
}

// The error must not contain the text of the proxy, which could repeat the proxy's
// password.
func TestNewHTTPTransport_proxyRefuses(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") == "" || r.Header.Get("Authorization") != "" {
			t.Errorf("got %s with %v", r.Method, r.Header)
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 407 No: " + r.Header.Get("Proxy-Authorization") + "\r\n\r\n"))
		_ = conn.Close()
	}))
	t.Cleanup(proxy.Close)
	transport, _ := NewHTTPTransport().(*http.Transport)
	host := proxy.Listener.Addr().String()
	transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: host, User: url.UserPassword("ada", "s3cret")})
	c := newClient(t, "https://bitbucket.example.com/2.0", Options{Credentials: Bearer{"ATCTT-s3cret"}, Base: transport})
	for method, call := range calls {
		err := call.send(t.Context(), c)
		want := "the proxy " + host + " refuses the connection: 407 Proxy Authentication Required"
		if _, maybeDone := outcome(t, err); !strings.HasSuffix(err.Error(), want) || maybeDone {
			t.Errorf("%s: got error %v with MaybeDone %t", method, err, maybeDone)
		}
		if !errors.Is(err, ErrProxyCredentials) {
			t.Errorf("%s: %v is not ErrProxyCredentials", method, err)
		}
		expectNoSecrets(t, err)
	}
	if err := refusedByProxy(t.Context(), &url.URL{Host: host}, nil, &http.Response{StatusCode: http.StatusOK}); err != nil {
		t.Errorf("a proxy that accepts the connection: %v", err)
	}
}

// A zero would let a silent server hold a request, or a connection, without end.
func TestNewHTTPTransport_bounds(t *testing.T) {
	t.Parallel()
	transport, ok := NewHTTPTransport().(*http.Transport)
	if !ok {
		t.Fatal("the default is not a transport of net/http")
	}
	if transport.TLSHandshakeTimeout < time.Second || transport.IdleConnTimeout < time.Second {
		t.Errorf("the handshake has %v, an idle connection %v", transport.TLSHandshakeTimeout, transport.IdleConnTimeout)
	}
}
