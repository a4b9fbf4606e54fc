package deployments

import (
	"errors"
	"net/http"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

// Whatever the server replies, each deployment must be returned once, the newest first.
func FuzzFind(f *testing.F) {
	add := func(body string) { f.Add(200, body, "", "", 0); f.Add(200, body, "{E1}", "COMPLETED", 1) }
	for _, values := range []string{
		`{"uuid": "{1}"}, {"uuid": "{1}"}, {"uuid": "{2}", "state": {"started_on": "2026-09-01T10:00:00+14:00"}}, {"uuid": "{3}", "created_on": "9999-12-31T23:59:59.999999999Z"}`,
		`{"uuid": "{1}", "UUID": ""}`, `{"uuid": "{1}", "number": -9223372036854775808, "environment": {"uuid": "{e1}"}, "state": {"name": "COMPLETED", "start_date": "0001-01-01T00:00:00Z"}}`,
		`{"uuid": "{1}", "number": 1e3}`, `{"uuid": "\u0000\ud800", "key": "\u001b[2J"}`, `null`, `[]`, `"{1}"`,
	} {
		add(`{"values": [` + values + `], "next": "?page=2"}`)
	}
	f.Add(400, `{"message":"Invalid sort attribute provided"}`, "", "", 0)
	f.Add(404, `{"error": {"detail": "There is no API hosted at this URL."}}`, "{", "", -1)
	f.Add(404, "", "", "\x00&sort=", 3)
	f.Fuzz(func(t *testing.T, status int, body, environment, state string, limit int) {
		if status < 200 || status > 599 || status >= 300 && status < 400 {
			return // net/http accepts no other status, or follows a redirect.
		}
		requests := 0
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reply := httpfake.Reply(status, body)
			if requests++; requests > 3 { // End the list, so that the test ends.
				reply = httpfake.Reply(200, `{"values": [], "uuid": "{1}"}`)
			}
			reply(w, r)
		})
		filter := Filter{EnvironmentUUID: environment, State: state, Limit: limit}
		list, err := find(t, handler, filter)
		if _, ok := errors.AsType[*bitbucket.Error](err); err != nil && (!ok || list != nil) {
			t.Errorf("got %+v with error %v", list, err)
		}
		seen := map[string]bool{}
		for i, d := range list {
			if d.UUID == "" || seen[d.UUID] || !filter.matches(d) || limit > 0 && i >= limit || i > 0 && d.At.After(list[i-1].At) {
				t.Errorf("%+v must not be at this position", d)
			}
			seen[d.UUID] = true
		}
	})
}
