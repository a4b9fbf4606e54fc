package transport

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // As seconds since 1970: 946684800.
	for name, tc := range map[string]struct {
		status            int
		retryAfter, reset string
		want              time.Duration
		named             bool
	}{
		"nothing":                     {429, "", "", 0, false},
		"seconds":                     {429, "120", "", 2 * time.Minute, true},
		"zero":                        {429, "0", "", 0, true},
		"a fraction":                  {429, "1.25", "", 1250 * time.Millisecond, true},
		"the longest":                 {429, "8589934592", "", 8589934592 * time.Second, true}, // A power of two is exact.
		"the first that is too long":  {429, "9000000000", "", 0, false},
		"reset after a leap year":     {429, "", "31622400", 366 * 24 * time.Hour, true},
		"too long for a duration":     {429, "9500000000", "", 0, false},
		"too large for a number":      {429, "1e400", "", 0, false},
		"negative":                    {429, "-120", "", 0, false},
		"text":                        {429, "soon", "", 0, false},
		"seconds with a unit":         {429, "120s", "", 0, false},
		"not a number":                {429, "NaN", "", 0, false},
		"infinite":                    {429, "Inf", "", 0, false},
		"a date":                      {429, "Sat, 01 Jan 2000 00:01:30 GMT", "", 90 * time.Second, true},
		"a date in an old form":       {429, "Saturday, 01-Jan-00 00:01:30 GMT", "", 90 * time.Second, true},
		"a date that has passed":      {429, "Fri, 31 Dec 1999 23:59:59 GMT", "", 0, true},
		"reset":                       {429, "", "156", 156 * time.Second, true},
		"reset now":                   {429, "", "0", 0, true},
		"reset after a year":          {429, "", "31536000", 365 * 24 * time.Hour, true},
		"reset as an epoch":           {429, "", "946684920", 2 * time.Minute, true},
		"reset as an epoch of before": {429, "", "946684000", 0, true},
		"reset in milliseconds":       {429, "", "946684920000", 0, false},
		"reset as text":               {429, "", "later", 0, false},
		"reset as a date":             {429, "", "Sat, 01 Jan 2000 00:01:30 GMT", 0, false},
		"Retry-After and reset":       {429, "7", "156", 7 * time.Second, true},
		"text and reset":              {429, "soon", "156", 156 * time.Second, true},
		"unavailable":                 {503, "30", "", 30 * time.Second, true},
		"unavailable until a date":    {503, "Sat, 01 Jan 2000 00:01:30 GMT", "", 90 * time.Second, true},
		"unavailable, only reset":     {503, "", "156", 0, false},
		"internal error":              {500, "30", "156", 0, false},
		"redirect":                    {301, "30", "156", 0, false},
		"success":                     {200, "30", "156", 0, false},
	} {
		header := http.Header{}
		header.Set("Retry-After", tc.retryAfter)
		header.Set("X-RateLimit-Reset", tc.reset)
		wait, named := retryAfter(&http.Response{StatusCode: tc.status, Header: header}, now)
		if wait != tc.want || named != tc.named {
			t.Errorf("%s: got %v, %t, want %v, %t", name, wait, named, tc.want, tc.named)
		}
	}
}
