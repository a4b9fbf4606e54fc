package deploykeys

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/bitbucket"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// After a lost reply, a PUT is sent again only if the key has not changed.
func TestUpdate_recovers(t *testing.T) {
	t.Parallel()
	for name, fault := range lostReplies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e, s := newEmulator(t)
				id := e.AddDeployKey("mleu", "test", keyLine, "old").ID
				fault.Method, fault.Times = http.MethodPut, 1
				e.Inject(fault)
				result := s.Update(t.Context(), repository, id, bitbucket.DeployKeyInput{Key: keyLine + " ada@host", Label: "new"})
				if result.Outcome != Done || result.Err != nil || result.LookupErr != nil || result.Key.ID != id || result.Key.Label != "new" || result.Key.Comment != "ada@host" {
					t.Errorf("got %+v", result)
				}
				puts, want := strings.Count(methods(e), "PUT"), 1
				if !fault.CarryOut && !fault.Truncate && fault.Rewrite == nil {
					want = 2
				}
				if puts != want {
					t.Errorf("%d PUTs, want %d", puts, want)
				}
			})
		})
	}
}

func TestUpdate_givesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, s := newEmulator(t)
		id := e.AddDeployKey("mleu", "test", keyLine, "old").ID
		e.Inject(emulator.Fault{Method: "PUT", Status: 500})
		result := s.Update(t.Context(), repository, id, input)
		if got := methods(e); result.Outcome != Unknown || result.LookupErr != nil || !bitbucket.HasStatus(result.Err, 500) || got != "PUT 500, GET 200, PUT 500, GET 200, PUT 500, GET 200" {
			t.Errorf("got %+v after %s", result, got)
		}
		e.Inject(emulator.Fault{Method: "GET", Status: 403})
		result = s.Update(t.Context(), repository, id, input)
		if got := methods(e); result.Outcome != Unknown || !bitbucket.HasStatus(result.LookupErr, 403) || !bitbucket.HasStatus(result.Err, 500) || got != "PUT 500, GET 403" {
			t.Errorf("got %+v after %s", result, got)
		}
	})
}

// A refusal is returned without a lookup and keeps its type.
func TestUpdate_refused(t *testing.T) {
	t.Parallel()
	e, s := newEmulator(t)
	id := e.AddDeployKey("mleu", "test", keyLine, "old").ID
	e.Inject(emulator.Fault{Method: "PUT", Status: 400, Body: `{"error": {"message": "For security reasons, you can't modify the contents of an access key. To update, delete and re-add the key."}}`})
	result := s.Update(t.Context(), repository, id, input)
	if _, immutable := errors.AsType[*bitbucket.ImmutableKeyError](result.Err); !immutable || result.Outcome != Refused || result.Key != nil || methods(e) != "PUT 400" {
		t.Errorf("got %+v", result)
	}
}
