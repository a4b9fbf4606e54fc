package emulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestReadyMadeFaults(t *testing.T) {
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
			if want := test.fault.Header.Get("Retry-After"); got.header.Get("Retry-After") != want {
				t.Errorf("Retry-After is %q, want %q", got.header.Get("Retry-After"), want)
			}
			if held := s.DeployKeys("acme", "sandbox"); len(held) != 0 {
				t.Errorf("holds %+v", held)
			}
			s.ClearFaults()
			if got := s.send(t, "GET", keys, ""); got.status != 200 {
				t.Errorf("%d after clearing", got.status)
			}
		})
	}
}

func TestFaultsAreMatchedInOrder(t *testing.T) {
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
		t.Errorf("%d %s", got.status, got.body)
	}
	if _, err := s.try(t, "Bearer token", "POST", keys, input(t, publicKey(2), "")); !errors.Is(err, io.EOF) {
		t.Errorf("a cut connection gave %v", err)
	}
	if held := s.DeployKeys("acme", "sandbox"); len(held) != 2 {
		t.Errorf("holds %+v", held)
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Inject(emulator.Fault{Truncate: true})
	got, err := s.try(t, "Bearer token", "POST", keys, input(t, publicKey(1), ""))
	if !errors.Is(err, io.ErrUnexpectedEOF) || got.status != 200 || got.body == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := s.send(t, "DELETE", keys+"/10958984", ""); got.status != 204 {
		t.Errorf("a reply without a body: %+v", got)
	}
	if requests := s.Requests(); requests[0].Status != 200 || requests[1].Status != 204 {
		t.Errorf("logged %+v", requests)
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Inject(emulator.Fault{Hang: true, Times: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+keys, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(request)
	if err == nil {
		t.Errorf("answered %d, closed with %v", response.StatusCode, response.Body.Close())
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := s.send(t, "GET", keys, ""); got.status != 200 { // Nothing waits for the one that hung.
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := s.Requests()[0].Status; got != 0 {
		t.Errorf("a request without an answer was logged as %d", got)
	}
}
