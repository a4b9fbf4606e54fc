package bitbucket

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// startTLS starts a server that speaks at most this version of TLS.
func startTLS(t *testing.T, version uint16, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// newTransport is the transport of a client, which also trusts the server.
func newTransport(t *testing.T, server *httptest.Server) *http.Transport {
	t.Helper()
	transport, ok := NewTransport().(*http.Transport)
	if !ok {
		t.Fatal("the transport is of another kind")
	}
	transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	return transport
}

func TestNewTransport_tls(t *testing.T) {
	t.Parallel()
	for version, accepted := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			handler := answers(t)
			if accepted {
				handler = answers(t, answer(200, oneKey))
			}
			server := startTLS(t, version, handler)
			c, err := NewClient(Options{BaseURL: server.URL + "/2.0", Transport: newTransport(t, server)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.FindDeployKey(t.Context(), repository, 1234)
			if accepted != (err == nil) || !accepted && !strings.Contains(err.Error(), "protocol version not supported") {
				t.Errorf("got error %v", err)
			}
		})
	}
}

// Nobody listens in by showing a certificate that nobody trusts.
func TestNewTransport_certificate(t *testing.T) {
	t.Parallel()
	server := startTLS(t, tls.VersionTLS13, answers(t)) // Fails the test if anything arrives.
	trusting := newTransport(t, server)
	trusting.TLSClientConfig.ServerName = "bitbucket.example.org"
	for name, transport := range map[string]http.RoundTripper{"of no authority": NewTransport(), "of another name": trusting} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := NewClient(Options{BaseURL: server.URL + "/2.0", Transport: transport, MaxRetries: 3, RetryWait: 1})
			if err != nil {
				t.Fatal(err)
			}
			for method, call := range calls {
				err := call.send(t.Context(), c)
				if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
					t.Errorf("%s: got error %v", method, err)
				}
			}
		})
	}
}

// What a proxy says about itself could repeat its password.
func TestNewTransport_proxyRefuses(t *testing.T) {
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
	transport, _ := NewTransport().(*http.Transport)
	host := proxy.Listener.Addr().String()
	transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: host, User: url.UserPassword("ada", "s3cret")})
	c, err := NewClient(Options{BaseURL: "https://bitbucket.example.com/2.0", Credentials: Bearer{"ATCTT-s3cret"}, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	for method, call := range calls {
		err := call.send(t.Context(), c)
		want := "the proxy " + host + " refuses the connection: 407 Proxy Authentication Required"
		if e := asError(t, err); !strings.HasSuffix(e.Error(), want) || e.Lost {
			t.Errorf("%s: got error %v", method, err)
		}
	}
}
