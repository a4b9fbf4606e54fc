package emulator_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func isGet(request emulator.Request) bool { return request.Method == "GET" }

func TestAwaitRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bitbucket := newHandler()
		awaited := make(chan error, 1)
		go func() { awaited <- bitbucket.AwaitRequest(t.Context(), isGet) }()
		synctest.Wait()
		bitbucket.handle(t, "DELETE", keys+"/1")
		synctest.Wait()
		select {
		case err := <-awaited:
			t.Fatalf("another request ended the wait: %v", err)
		default:
		}
		bitbucket.handle(t, "GET", keys)
		if err := <-awaited; err != nil {
			t.Error(err)
		}
		if err := bitbucket.AwaitRequest(t.Context(), isGet); err != nil {
			t.Errorf("the request that had arrived before: %v", err)
		}
	})
}

// Nobody has to answer a request before AwaitRequest returns.
func TestAwaitRequest_unanswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bitbucket := newHandler()
		bitbucket.Inject(emulator.Fault{Hang: true})
		ctx, giveUp := context.WithCancel(t.Context())
		go bitbucket.handleIn(ctx, "GET", keys)
		if err := bitbucket.AwaitRequest(t.Context(), isGet); err != nil {
			t.Error(err)
		}
		giveUp()
	})
}

func TestAwaitRequest_ends(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancelCause(t.Context())
	reason := errors.New("the test ended")
	end(reason)
	if err := newHandler().AwaitRequest(ctx, isGet); !errors.Is(err, reason) {
		t.Errorf("got %v", err)
	}
}

// A condition about what Bitbucket holds is checked again after a request has been
// carried out, and not only when it arrives.
func TestAwait_carriedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bitbucket := newHandler()
		bitbucket.AddDeployKey("acme", "sandbox", publicKey(1), "")
		bitbucket.SetLatency(1) // The request arrives before it is carried out.
		awaited := make(chan error, 1)
		go func() {
			awaited <- bitbucket.Await(t.Context(), func() bool { return len(bitbucket.DeployKeys("acme", "sandbox")) == 0 })
		}()
		synctest.Wait()
		bitbucket.handle(t, "DELETE", keys+"/10958984")
		if err := <-awaited; err != nil {
			t.Error(err)
		}
	})
}

// handler is an emulator without a connection, for tests in a synctest bubble.
type handler struct{ *emulator.Emulator }

func newHandler() handler {
	return handler{emulator.New(emulator.Seed{Workspaces: []emulator.Workspace{{
		Slug: "acme", Repositories: []emulator.Repository{{Slug: "sandbox"}},
	}}})}
}

// handle answers a request with a token that is accepted by default.
func (h handler) handle(t *testing.T, method, path string) {
	t.Helper()
	h.handleIn(t.Context(), method, path)
}

func (h handler) handleIn(ctx context.Context, method, path string) {
	// The emulator panics to close the connection, as net/http asks for.
	defer func() {
		if reason := recover(); reason != nil && reason != http.ErrAbortHandler { //nolint:errorlint // It is not wrapped.
			panic(reason)
		}
	}()
	request := httptest.NewRequestWithContext(ctx, method, path, http.NoBody)
	request.Header.Set("Authorization", "Bearer token")
	h.ServeHTTP(httptest.NewRecorder(), request)
}
