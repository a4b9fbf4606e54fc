package emulator_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// created_on and the header Date must come from the same clock, because a client
// compares them.
func TestDate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	now := time.Date(2031, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600))
	s.SetClock(func() time.Time { return now })
	got := s.send(t, "POST", keys, input(t, publicKey(1), ""))
	if created := decode[map[string]any](t, got.body)["created_on"]; created != "2031-02-03T03:05:06+00:00" {
		t.Errorf("got created_on %v", created)
	}
	s.Inject(emulator.BadGateway())
	for _, got := range []answer{got, s.send(t, "GET", keys, "")} {
		if date := got.header.Get("Date"); date != "Mon, 03 Feb 2031 03:05:06 GMT" {
			t.Errorf("got Date %q in a reply with status %d", date, got.status)
		}
	}
	s.ClearFaults()
	s.Inject(emulator.Fault{Header: http.Header{"Date": {"Thu, 01 Jan 1970 00:00:00 GMT"}}})
	if date := s.send(t, "GET", keys, "").header.Get("Date"); date != "Thu, 01 Jan 1970 00:00:00 GMT" {
		t.Errorf("got Date %q, want the Date of the fault", date)
	}
}
