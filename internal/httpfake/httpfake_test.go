package httpfake_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/httpfake"
)

func TestInMemory_cut(t *testing.T) {
	t.Parallel()
	response, err := send(t, httpfake.Cut)
	if err == nil {
		_ = response.Body.Close()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("got error %v, want EOF", err)
	}
}

// A mistake in a handler must not look like a lost reply.
func TestInMemory_panic(t *testing.T) {
	t.Parallel()
	defer func() {
		if reason := recover(); reason != "mistake" {
			t.Errorf("got panic %v", reason)
		}
	}()
	response, err := send(t, func(http.ResponseWriter, *http.Request) { panic("mistake") })
	if err == nil {
		_ = response.Body.Close()
	}
	t.Errorf("got error %v, want a panic", err)
}

func send(t *testing.T, handler http.HandlerFunc) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return httpfake.InMemory{Handler: handler}.RoundTrip(request)
}
