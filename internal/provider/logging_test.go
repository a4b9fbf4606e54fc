package provider

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-log/tflogtest"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

// fixedReply is a transport with one reply to every request.
type fixedReply struct {
	header http.Header
	body   io.Reader
}

func (r fixedReply) RoundTrip(request *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: r.header, Body: io.NopCloser(r.body), Request: request}, nil
}

// exchange sends a request through the logging transport, and returns the body of the
// reply.
func exchange(ctx context.Context, t *testing.T, url string, next http.RoundTripper) string {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"label": "ci"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer ATCTT3xFfGN0-secret")
	request.Header.Set("Cookie", "cookie-of-request")
	request.Header.Set("Content-Type", "application/json")
	response, err := loggingTransport{next}.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestLoggingTransport_trace(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*maxLoggedBody)
	for name, tc := range map[string]struct {
		path, body string
		logged     []string
		hidden     []string
	}{
		"headers and bodies": {
			"/2.0/repositories", `{"label": "answered"}`,
			[]string{`Content-Type: application/json`, `{\"label\": \"ci\"}`, `{\"label\": \"answered\"}`, "X-Ratelimit-Limit: 1000", "X-Request-Id: abc"},
			[]string{"cookie-of"},
		},
		"repeated credentials": {"/2.0/repositories", "Authorization: Bearer ATCTT3xFfGN0-secret", []string{"repeats the credentials", "Www-Authenticate: Bearer ***"}, nil},
		"long":                 {"/2.0/repositories", "long" + long, []string{"long" + long[:maxLoggedBody-4] + `"`}, []string{long[:maxLoggedBody]}},
		"token":                {"/site/oauth2/access_token", `{"access_token": "bought"}`, []string{"access_token", "X-Request-Id: abc"}, []string{"bought", "label"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			header := http.Header{
				"Set-Cookie": {"cookie-of-reply"}, "X-Request-Id": {"abc"}, "X-Ratelimit-Limit": {"1000"}, "Www-Authenticate": {"Bearer ATCTT3xFfGN0-secret"},
			}
			got := exchange(tflogtest.RootLogger(t.Context(), &log), t, "http://localhost"+tc.path, fixedReply{header, strings.NewReader(tc.body)})
			if got != tc.body {
				t.Errorf("the body of the reply became %.200q", got)
			}
			acctest.Contains(t, log.String(), `"@level":"debug"`, "Bitbucket API request", `"@level":"trace"`, "Bitbucket API exchange")
			for _, text := range tc.logged {
				acctest.Contains(t, log.String(), text)
			}
			for _, text := range append(tc.hidden, "ATCTT3xFfGN0-secret", "cookie-of") {
				if strings.Contains(log.String(), text) {
					t.Errorf("the log contains %.100q: %s", text, log.String())
				}
			}
		})
	}
}

// countingReader counts how often it is read.
type countingReader struct{ read *int }

func (u countingReader) Read([]byte) (int, error) { *u.read++; return 0, io.EOF }

// The transport does not read bodies while the log is off.
func TestLoggingTransport_off(t *testing.T) {
	t.Parallel()
	read := 0
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/2.0", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := loggingTransport{fixedReply{nil, countingReader{&read}}}.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if read > 0 {
		t.Error("the body was read")
	}
}

type failing struct{}

func (failing) RoundTrip(request *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("malformed HTTP response %q", "Authorization: "+request.Header.Get("Authorization"))
}

func TestLoggingTransport_error(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	request, err := http.NewRequestWithContext(tflogtest.RootLogger(t.Context(), &log), http.MethodGet, "http://localhost/2.0", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("ada@example.com", "ATATT3xFfGF0-secret")
	response, err := loggingTransport{failing{}}.RoundTrip(request)
	if err == nil {
		response.Body.Close()
		t.Fatal("it succeeded")
	}
	if acctest.Contains(t, log.String(), "malformed HTTP response", "Basic YWRhQGV4YW1wbGUuY29tOk***"); strings.Contains(log.String(), "trace") {
		t.Errorf("an exchange is logged: %s", log.String())
	}
}
