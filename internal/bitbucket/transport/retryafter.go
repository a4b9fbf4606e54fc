package transport

import (
	"net/http"
	"strconv"
	"time"
)

// retryAfter returns the wait that a 429 or a 503 requests in Retry-After, as seconds or as
// a date. If a 429 has no Retry-After, retryAfter uses X-RateLimit-Reset, which Bitbucket
// sends as seconds from now.
func retryAfter(response *http.Response, now time.Time) (wait time.Duration, named bool) {
	limited := response.StatusCode == http.StatusTooManyRequests
	if !limited && response.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	after := response.Header.Get("Retry-After")
	if seconds, ok := parseSeconds(after); ok {
		return seconds, true
	}
	if date, err := http.ParseTime(after); err == nil {
		return max(0, date.Sub(now)), true
	}
	if !limited {
		return 0, false
	}
	reset, ok := parseSeconds(response.Header.Get("X-RateLimit-Reset"))
	if ok && reset > 366*24*time.Hour { // Other services send a Unix time.
		return max(0, time.Unix(int64(reset/time.Second), 0).Sub(now)), true
	}
	return reset, ok
}

// parseSeconds parses a number of seconds, which may have a fraction.
func parseSeconds(text string) (time.Duration, bool) {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0 && seconds < 9e9) { // NaN fails both; a larger number overflows a Duration.
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}
