package live

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// Proxy passes the requests of the provider to a server. It counts and logs the requests.
type Proxy struct {
	// BaseURL is the root of the API for the provider.
	BaseURL string
	server  *httptest.Server
	mu      sync.Mutex
	sent    []string
}

// NewProxy starts a proxy on a loopback address. The caller must close it.
func (s *Server) NewProxy() *Proxy {
	p := &Proxy{}
	forward := &httputil.ReverseProxy{
		Transport: NewTransport(),
		Rewrite: func(r *httputil.ProxyRequest) {
			upstream := &url.URL{Scheme: s.Base.Scheme, Host: s.Base.Host}
			if strings.HasPrefix(r.In.URL.Path, "/site/") {
				upstream = s.siteFor(s.Base)
			}
			r.SetURL(upstream)
		},
		// If the server sends no reply, the provider must not get a reply either.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		// The provider follows redirects within one origin only.
		ModifyResponse: func(response *http.Response) error {
			if target, ok := strings.CutPrefix(response.Header.Get("Location"), s.Base.Scheme+"://"+s.Base.Host); ok {
				response.Header.Set("Location", p.server.URL+target)
			}
			p.log(response.Request, response.StatusCode, s.Base.Path)
			return nil
		},
	}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.Counter.count(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	p.BaseURL = p.server.URL + s.Base.Path
	return p
}

// Close stops the proxy.
func (p *Proxy) Close() { p.server.Close() }

func (p *Proxy) log(request *http.Request, status int, base string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, fmt.Sprintf("%s %s %d", request.Method, strings.TrimPrefix(request.URL.EscapedPath(), base), status))
}

// Writes returns the requests since the last call that could change something, as
// "METHOD path status".
func (p *Proxy) Writes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var writes []string
	for _, line := range p.sent {
		if !strings.HasPrefix(line, http.MethodGet+" ") && !strings.Contains(line, "/site/oauth2/") {
			writes = append(writes, line)
		}
	}
	p.sent = nil
	return writes
}
