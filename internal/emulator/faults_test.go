package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestFaultConstructors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault             emulator.Fault
		status            int
		contentType, body string
	}{
		"rate limited": {emulator.RateLimited(), 429, "text/plain", "Rate limit for this resource has been exceeded"},
		"server error": {
			emulator.ServerError(), 500, "application/json; charset=utf-8",
			`{"error": {"message": "{u'user@example.com': (451, '4.3.0 <user@example.com>: Temporary lookup failure')}", "id": "5c99b0118d884499b54591e0293a90ed"}}`,
		},
		"bad gateway": {
			emulator.BadGateway(), 502, "text/html",
			"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
		},
		"unauthorized": {emulator.Unauthorized(), 401, "application/json; charset=utf-8", tokenInvalid},
		"forbidden":    {emulator.Forbidden(), 403, "application/json; charset=utf-8", `{"type":"error","error":{"message":"Forbidden"}}`},
		"missing scope": {
			emulator.MissingScope([]string{"account"}, nil), 403, "application/json; charset=utf-8",
			`{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes.","detail":{"granted":[],"required":["account"]}}}`,
		},
		"unavailable": {emulator.Unavailable(3), 503, "text/plain", "Service Unavailable"},
		"redirect":    {emulator.Redirect("https://login.example.com/"), 302, "", ""},
		"empty":       {emulator.EmptyOK(), 200, "", ""},
		"log-in page": {
			emulator.LoginPage(), 200, "text/html; charset=utf-8",
			"<!DOCTYPE html>\n<html>\n<head><title>Log in to the network</title></head>\n" +
				"<body><form method=\"post\"><input name=\"user\"><input name=\"password\" type=\"password\"></form></body>\n</html>\n",
		},
		"status alone": {emulator.Fault{Status: 503, Header: http.Header{"Retry-After": {"1"}}}, 503, "", ""},
		"nothing":      {emulator.Fault{}, 500, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.Inject(test.fault)
			got := s.send(t, "POST", keys, input(t, publicKey(1), ""))
			if got.status != test.status || got.header.Get("Content-Type") != test.contentType || got.body != test.body {
				t.Errorf("got %+v", got)
			}
			for _, name := range []string{"Retry-After", "Location"} {
				if want := test.fault.Header.Get(name); got.header.Get(name) != want {
					t.Errorf("got %s %q, want %q", name, got.header.Get(name), want)
				}
			}
			if stored := s.DeployKeys("acme", "sandbox"); len(stored) != 0 {
				t.Errorf("the request was carried out: %+v", stored)
			}
			s.ClearFaults()
			if got := s.send(t, "GET", keys, ""); got.status != 200 {
				t.Errorf("got status %d after ClearFaults, want 200", got.status)
			}
		})
	}
}

func TestFaults_order(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Inject(
		emulator.Fault{Method: "GET", Path: "/deploy-keys", Skip: 1, Times: 2, Status: 501},
		emulator.Fault{Method: "GET", Times: 2, Status: 502},
		emulator.Fault{Path: "/%7B%7D/", Status: 503},
	)
	var got []int
	for _, path := range []string{keys, "/2.0/user", keys, keys, "/2.0/user", keys, "/2.0/repositories/%7B%7D/x/deploy-keys"} {
		got = append(got, s.send(t, "GET", path, "").status)
	}
	if want := []int{502, 502, 501, 501, 404, 200, 503}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCarryOut(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	fault := emulator.ServerError()
	fault.CarryOut, fault.Times = true, 1
	s.Inject(fault, emulator.Fault{CarryOut: true, Cut: true, Times: 1})
	if got := s.send(t, "POST", keys, input(t, publicKey(1), "")); got.status != 500 {
		t.Errorf("got %d %s, want 500", got.status, got.body)
	}
	if _, err := s.trySend(t, "Bearer token", "POST", keys, input(t, publicKey(2), "")); !errors.Is(err, io.EOF) {
		t.Errorf("a cut connection returned %v, want EOF", err)
	}
	if stored := s.DeployKeys("acme", "sandbox"); len(stored) != 2 {
		t.Errorf("stored %+v, want two keys", stored)
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Inject(emulator.Fault{Truncate: true})
	got, err := s.trySend(t, "Bearer token", "POST", keys, input(t, publicKey(1), ""))
	if !errors.Is(err, io.ErrUnexpectedEOF) || got.status != 200 || got.body == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := s.send(t, "DELETE", keys+"/10958984", ""); got.status != 204 {
		t.Errorf("Truncate changed a reply without a body: %+v", got)
	}
	if requests := s.Requests(); requests[0].Status != 200 || requests[1].Status != 204 {
		t.Errorf("the request log has %+v", requests)
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Inject(emulator.Fault{Reset: true, Times: 1})
	if got, err := s.trySend(t, "Bearer token", "POST", keys, input(t, publicKey(1), "")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %+v, %v", got, err)
	}
	if stored := s.DeployKeys("acme", "sandbox"); len(stored) != 0 {
		t.Errorf("the request was carried out: %+v", stored)
	}
	s.Inject(emulator.Fault{Reset: true, CarryOut: true, Times: 1})
	if got, err := s.trySend(t, "Bearer token", "POST", keys, input(t, publicKey(1), "")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %+v, %v", got, err)
	}
	if stored := s.DeployKeys("acme", "sandbox"); len(stored) != 1 {
		t.Errorf("stored %+v, want one key", stored)
	}
	s.Inject(emulator.Fault{Reset: true, Truncate: true})
	if got, err := s.trySend(t, "Bearer token", "GET", keys, ""); !errors.Is(err, syscall.ECONNRESET) || got.status != 200 || got.body == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := s.send(t, "DELETE", keys+"/10958984", ""); got.status != 204 {
		t.Errorf("Truncate changed a reply without a body: %+v", got)
	}
	var got []int
	for _, request := range s.Requests() {
		got = append(got, request.Status)
	}
	if want := []int{0, 0, 200, 204}; !slices.Equal(got, want) {
		t.Errorf("the request log has the statuses %v, want %v", got, want)
	}
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddDeployKey("acme", "sandbox", publicKey(1), "")
	complete := s.send(t, "GET", keys+"/10958984", "").body
	for name, test := range map[string]struct {
		fault             emulator.Fault
		contentType, body string
	}{
		"truncated JSON":     {emulator.TruncatedJSON(), "application/json; charset=utf-8", complete[:len(complete)/2]},
		"wrong content type": {emulator.WrongContentType(), "text/html; charset=utf-8", complete},
	} {
		test.fault.Times = 1
		s.Inject(test.fault)
		if got := s.send(t, "GET", keys+"/10958984", ""); got.status != 200 || got.header.Get("Content-Type") != test.contentType || got.body != test.body {
			t.Errorf("%s: got %+v", name, got)
		}
		s.Inject(test.fault)
		if got := s.send(t, "POST", keys, input(t, publicKey(2), "")); got.status != 200 {
			t.Errorf("%s: got %+v", name, got)
		}
		s.Inject(test.fault)
		id := s.DeployKeys("acme", "sandbox")[1].ID // The faulty POST has added a second key.
		if got := s.send(t, "DELETE", fmt.Sprintf("%s/%d", keys, id), ""); got.status != 204 || got.body != "" {
			t.Errorf("%s changed a reply without a body: %+v", name, got)
		}
	}
}

// Only the text of this key is missing, in a list and in a reply about the one key.
func TestUnreadableKey(t *testing.T) {
	t.Parallel()
	s := newServer(t, emulator.DeployKey{ID: 1, Key: publicKey(1)}, emulator.DeployKey{ID: 2, Key: publicKey(2)})
	whole := s.send(t, "GET", keys, "").body
	s.Inject(emulator.UnreadableKey(2))
	list := s.send(t, "GET", keys, "").body
	if !strings.Contains(whole, publicKey(2)) || strings.Contains(list, publicKey(2)) || !strings.Contains(list, publicKey(1)) || !strings.Contains(list, `"id":2`) {
		t.Errorf("got %s", list)
	}
	if one := s.send(t, "GET", keys+"/2", "").body; strings.Contains(one, `"key"`) || !strings.Contains(one, `"id":2`) {
		t.Errorf("got %s", one)
	}
	if got := s.send(t, "DELETE", keys+"/2", ""); got.status != 204 {
		t.Errorf("got %+v", got)
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bitbucket := emulator.New(acmeSeed(emulator.DeployKey{ID: 1, Key: publicKey(1)}))
		bitbucket.Inject(emulator.Fault{Hang: true, CarryOut: true, Times: 1})
		ctx, cancel := context.WithCancel(t.Context())
		aborted := make(chan bool)
		go func() {
			_, ended := serveDirectly(bitbucket, newRequest(ctx, "DELETE", keys+"/1"))
			aborted <- ended
		}()
		synctest.Wait()
		if got, _ := serveDirectly(bitbucket, newRequest(t.Context(), "GET", keys)); got.Code != 200 {
			t.Errorf("another request got %d %s while a request hangs", got.Code, got.Body)
		}
		select {
		case <-aborted:
			t.Fatal("the request ended before the client canceled it")
		default:
		}
		cancel()
		if !<-aborted {
			t.Error("a hanging request got a reply")
		}
		if got := bitbucket.Requests()[0].Status; got != 0 {
			t.Errorf("the request log has status %d for a request without a reply, want 0", got)
		}
		if stored := bitbucket.DeployKeys("acme", "sandbox"); len(stored) != 0 {
			t.Errorf("the request was not carried out: %+v", stored)
		}
	})
}

// Faults and the headers of the rate limit also apply to requests for projects.
func TestFaults_projects(t *testing.T) {
	t.Parallel()
	s := newProjectServer(t)
	lost := emulator.ServerError()
	lost.Path, lost.CarryOut, lost.Times = "/projects/", true, 1
	s.Inject(lost)
	s.SetNearLimit(true)
	if got := s.send(t, "GET", projects, ""); got.status != 200 || got.header.Get("X-Ratelimit-Nearlimit") != "true" {
		t.Errorf("GET of the list: got %+v", got)
	}
	if got := s.send(t, "POST", projectKeys, input(t, publicKey(1), "")); got.status != 500 || got.header.Get("X-Ratelimit-Nearlimit") != "true" {
		t.Errorf("POST: got %+v", got)
	}
	s.send(t, "POST", projectKeys, input(t, publicKey(1), "")).want(t, 400, projectKeyTaken)
}
