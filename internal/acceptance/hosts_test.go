package acceptance

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

// The provider sends the credentials to one host only. It does not follow a redirect to
// another host. If the link to the next page names another host, the provider requests the
// next page from base_url. The request for the host keys has no credentials at all.
func TestAccProvider_otherHosts(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s arrived elsewhere, with Authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	var mu sync.Mutex
	var authorizations []string
	var anonymous atomic.Bool
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		there := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1) + r.URL.Path
		if r.URL.Path == "/site/ssh" {
			anonymous.Store(r.Header.Get("Authorization") == "")
			http.Redirect(w, r, there, http.StatusTemporaryRedirect)
			return
		}
		mu.Lock()
		authorizations = append(authorizations, r.Header.Get("Authorization"))
		mu.Unlock()
		if strings.Contains(r.URL.Path, "/paged/") {
			if r.URL.Query().Get("page") == "2" {
				_, _ = io.WriteString(w, `{"values": []}`)
				return
			}
			_, _ = fmt.Fprintf(w, `{"values": [], "next": %q}`, there+"?page=2")
			return
		}
		http.Redirect(w, r, there, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(api.Close)
	f, terraform := &acctest.Fake{URL: api.URL}, acctest.NewCLI(t)
	terraform.Write(t, f.Config(`
data "bitbucket_deploy_keys" "test" {
  for_each   = toset(["moved", "paged"])
  workspace  = "acme"
  repository = each.key
}
`+acctest.DataHostKeys+acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t)))))
	out := terraform.Fails(t, []string{"apply", "-auto-approve"}, "Error: ")
	acctest.Contains(t, out, "acme/moved/deploy-keys: 307 Temporary Redirect", "The address has moved", "GET /site/ssh: 307 Temporary Redirect")
	if !anonymous.Load() {
		t.Error("the request for the host keys had credentials")
	}
	if strings.Contains(out, "acme/paged") {
		t.Errorf("the second page was not read: %s", out)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(authorizations) != 3 || slices.Contains(authorizations, "") {
		t.Errorf("the requests have the Authorization headers %q", authorizations)
	}
}

// startTLS starts an emulator with HTTPS, and returns the file with its certificate.
func startTLS(t *testing.T) (f *acctest.Fake, server *httptest.Server, certificate string) {
	t.Helper()
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("Go uses the certificates of the system on this platform")
	}
	f = acctest.NewFake(t)
	server = httptest.NewUnstartedServer(f.Emulator)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // A client that does not trust the certificate closes the connection.
	server.StartTLS()
	t.Cleanup(server.Close)
	f.URL = server.URL
	certificate = filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(certificate, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return f, server, certificate
}

func TestAccProvider_certificate(t *testing.T) {
	t.Parallel()
	f, _, certificate := startTLS(t)
	config := f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))))
	for name, tc := range map[string]struct {
		env     []string
		trusted bool
	}{
		"system":        {[]string{"SSL_CERT_FILE=", "SSL_CERT_DIR="}, false},
		"SSL_CERT_FILE": {[]string{"SSL_CERT_FILE=" + certificate}, true},
		"SSL_CERT_DIR":  {[]string{"SSL_CERT_FILE=", "SSL_CERT_DIR=" + filepath.Dir(certificate)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terraform := acctest.NewBuiltCLI(t, tc.env...)
			if tc.trusted {
				terraform.Write(t, strings.Replace(config, `"website"`, fmt.Sprintf("%q", map[string]string{"SSL_CERT_FILE": "website", "SSL_CERT_DIR": "api"}[name]), 1))
				terraform.MustRun(t, "apply", "-auto-approve")
				return
			}
			terraform.Write(t, config)
			terraform.Fails(t, []string{"apply", "-auto-approve"}, "POST /2.0/repositories/acme/website/deploy-keys", "failed to verify certificate", "unknown authority", "set SSL_CERT_FILE")
		})
	}
}

// connecting is a proxy that connects to the same server for every host.
type connecting struct {
	to string

	mu       sync.Mutex
	received []string
}

func (c *connecting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.received = append(c.received, r.Method+" "+r.Host)
	c.mu.Unlock()
	authorization := r.Header.Get("Proxy-Authorization")
	if authorization != "Basic "+base64.StdEncoding.EncodeToString([]byte("ada:"+proxyPassword)) {
		http.Error(w, "Refused: "+authorization, http.StatusProxyAuthRequired)
		return
	}
	dialer := &net.Dialer{}
	server, err := dialer.DialContext(r.Context(), "tcp", c.to)
	if err != nil {
		panic(err)
	}
	defer server.Close() //nolint:errcheck // The error cannot be reported to anybody.
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
	_ = client.Close()
}

const proxyPassword = "pr0xy-s3cret-9f8e7d6c5b4a"

// The host exists only for the proxy, so a request can succeed only through the proxy.
func TestAccProvider_proxy(t *testing.T) {
	t.Parallel()
	f, server, certificate := startTLS(t)
	f.URL = "https://bitbucket.example.com"
	proxy := &connecting{to: server.Listener.Addr().String()}
	proxyServer := httptest.NewServer(proxy)
	t.Cleanup(proxyServer.Close)
	host := proxyServer.Listener.Addr().String()
	config := f.Config(acctest.DeployKey(acctest.KeyLine(acctest.NewKey(t))))
	for name, tc := range map[string]struct {
		address string
		want    []string
	}{
		"used":           {"http://ada:" + proxyPassword + "@" + host, nil},
		"without scheme": {"ada:" + proxyPassword + "@" + host, nil},
		"refuses":        {"http://eve:" + proxyPassword + "@" + host, []string{"the proxy " + host + " refuses the connection: 407 Proxy Authentication Required"}},
		"not there":      {"http://ada:" + proxyPassword + "@127.0.0.1:1", []string{"proxyconnect tcp: dial tcp 127.0.0.1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terraform := acctest.NewBuiltCLI(t, "SSL_CERT_FILE="+certificate, "HTTPS_PROXY="+tc.address, "https_proxy=", "NO_PROXY=", "no_proxy=", "TF_LOG=TRACE")
			terraform.Write(t, config)
			args := []string{"apply", "-auto-approve"}
			var out string
			if tc.want == nil {
				if name == "without scheme" {
					terraform.Write(t, strings.Replace(config, `"website"`, `"api"`, 1))
				}
				out = terraform.MustRun(t, args...)
			} else {
				out = terraform.Fails(t, args, append([]string{"Unable to create deploy key", "POST /2.0/repositories/acme/website/deploy-keys: "}, tc.want...)...)
			}
			if part := partOfSecret(out, []string{proxyPassword}); part != "" {
				t.Errorf("the password of the proxy is shown, %q: %s", part, out)
			}
		})
	}
	t.Cleanup(func() {
		if want := []string{"CONNECT bitbucket.example.com:443"}; !slices.Equal(slices.Compact(proxy.received), want) {
			t.Errorf("the proxy received %v", proxy.received)
		}
		if got := len(f.DeployKeys("acme", "website")) + len(f.DeployKeys("acme", "api")); got != 2 {
			t.Errorf("%d keys were added through the proxy", got)
		}
	})
}
