package provider

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket/transport"
)

// loggingTransport logs each request with its status at DEBUG, and headers and bodies at
// TRACE. It omits headers and bodies that contain credentials, and masks credentials if a
// reply repeats them.
type loggingTransport struct{ next http.RoundTripper }

// RoundTrip logs one attempt.
func (t loggingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := tflog.MaskAllFieldValuesStrings(request.Context(), transport.Secrets(request)...)
	start := time.Now()
	response, err := t.next.RoundTrip(request)
	fields := map[string]any{
		"method":      request.Method,
		"path":        request.URL.EscapedPath(),
		"query":       request.URL.RawQuery,
		"duration_ms": time.Since(start).Milliseconds(),
	}
	if err != nil {
		fields["error"] = err.Error()
	} else {
		fields["status"] = response.StatusCode
	}
	tflog.Debug(ctx, "Bitbucket API request", fields)
	if err == nil && tflog.IsTrace(ctx) {
		traceExchange(ctx, request, response)
	}
	return response, err
}

// maxLoggedBody bounds what is logged of one body, in bytes.
const maxLoggedBody = 8 << 10

// traceExchange logs headers and bodies. It logs no body of a request for an access token.
func traceExchange(ctx context.Context, request *http.Request, response *http.Response) {
	fields := map[string]any{
		"method":          request.Method,
		"path":            request.URL.EscapedPath(),
		"status":          response.StatusCode,
		"request_headers": loggedHeaders(request.Header),
		"reply_headers":   loggedHeaders(response.Header),
	}
	if !transport.IsTokenRequest(request) {
		fields["request_body"] = requestBody(request)
		body := firstOfBody(response)
		if transport.RepeatsCredentials(request, body) { // Masks do not match text that is wrapped over several lines.
			body = transport.Redacted
		}
		fields["reply_body"] = body
	}
	tflog.Trace(ctx, "Bitbucket API exchange", fields)
}

// loggedHeader lists the headers that are logged. They contain no credentials. The headers
// of the rate limit are logged too.
var loggedHeader = []string{
	"Accept", "Content-Length", "Content-Type", "Date", "Location", "Retry-After", "Server", "User-Agent", "Via", "Www-Authenticate",
	"X-Accepted-Oauth-Scopes", "X-B3-Traceid", "X-Credential-Type", "X-Oauth-Scopes", "X-Request-Id",
}

func loggedHeaders(header http.Header) string {
	var lines []string
	for name, values := range header {
		if slices.Contains(loggedHeader, name) || strings.HasPrefix(name, "X-Ratelimit-") {
			lines = append(lines, fmt.Sprintf("%s: %s", name, strings.Join(values, ", ")))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func requestBody(request *http.Request) string {
	if request.GetBody == nil {
		return ""
	}
	body, err := request.GetBody()
	if err != nil {
		return ""
	}
	defer body.Close()
	return firstOf(body)
}

// firstOfBody returns the beginning of a reply. The reply can then still be read from its
// start.
func firstOfBody(response *http.Response) string {
	first, rest := firstOf(response.Body), response.Body
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(first), rest), rest}
	return first
}

// firstOf reads as much as is logged. It ignores errors, because the next read returns the
// same error again.
func firstOf(body io.Reader) string {
	var first bytes.Buffer
	_, _ = io.CopyN(&first, body, maxLoggedBody)
	return first.String()
}

// logRateLimitWait logs why no request is sent for a while. It logs a point in time only if
// Bitbucket named it. Otherwise nobody knows when the limit ends.
func logRateLimitWait(ctx context.Context, wait time.Duration, limit transport.RateLimit) {
	fields := map[string]any{"wait": wait.Round(time.Second).String(), "limit": limit.Limit, "requests": limit.Requests}
	if !limit.Until.IsZero() {
		fields["until"] = limit.Until.Format(time.RFC3339)
	}
	tflog.Warn(ctx, "Bitbucket's rate limit is reached: no request is sent during the wait", fields)
}
