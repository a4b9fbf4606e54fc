package provider

import (
	"context"
	"net/http"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"
)

// loggingTransport tells at DEBUG which requests were made and how they ended.
// Headers and bodies stay out of the log: they hold credentials and keys.
type loggingTransport struct{ next http.RoundTripper }

// RoundTrip logs one try of a request.
func (t loggingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
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
	tflog.Debug(request.Context(), "Bitbucket API request", fields)
	return response, err
}

// logRateLimitWait tells why nothing happens for a while.
func logRateLimitWait(ctx context.Context, until time.Time, limit string) {
	tflog.Warn(ctx, "Bitbucket's rate limit is reached: no request is sent until it ends", map[string]any{
		"until": until.Format(time.RFC3339),
		"limit": limit,
	})
}
