package deployments

import (
	"errors"
	"net/http"
	"strings"
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

// Whatever the server replies, each environment must be listed once, and a deployment must
// have the name that it had, or that of its environment.
func FuzzListEnvironments(f *testing.F) {
	for _, values := range []string{
		`{"uuid": "{1}", "name": "a"}, {"uuid": "{1}", "name": "b"}, {"uuid": "{E}", "name": "qa"}, {"uuid": "{e}"}`,
		`{"uuid": "{1}", "UUID": ""}`, `{"uuid": "\u0000\ud800", "name": "\u001b[2J"}`, `{"uuid": "{\u212a}"}, {"uuid": "{k}", "name": "Kelvin"}`, `null`, `[]`, `"{1}"`,
	} {
		f.Add(200, `{"values": [`+values+`], "next": "?page=2"}`, "{E}", "")
	}
	f.Add(404, `{"error": {"detail": "There is no API hosted at this URL."}}`, "{1}", "a")
	f.Add(404, "", "", "")
	f.Fuzz(func(t *testing.T, status int, body, uuid, name string) {
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
		environments, err := ListEnvironments(t.Context(), newClient(t, handler), repository)
		if _, ok := errors.AsType[*bitbucket.Error](err); err != nil && (!ok || environments != nil) {
			t.Errorf("got %+v with error %v", environments, err)
		}
		found := []bitbucket.Deployment{{UUID: "{d}", EnvironmentUUID: uuid, EnvironmentName: name}}
		allowed, seen := map[string]bool{name: true}, map[string]bool{}
		for _, e := range environments {
			if e.UUID == "" || seen[e.UUID] {
				t.Errorf("%+v must not be at this position", e)
			}
			seen[e.UUID] = true
			if name == "" && strings.EqualFold(e.UUID, uuid) {
				allowed[e.Name] = true
			}
		}
		if SetNames(found, environments); !allowed[found[0].EnvironmentName] {
			t.Errorf("the name of %q is %q, from %+v", uuid, found[0].EnvironmentName, environments)
		}
	})
}
