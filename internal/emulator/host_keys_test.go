package emulator_test

import (
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

// The host keys are the same with any credentials, and without.
func TestHostKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AllowBearer("token")
	for _, want := range []string{emulator.HostKeys, "bitbucket.org ssh-ed25519 AAAA\n"} {
		s.SetHostKeys(want)
		for _, authorization := range []string{"", "Bearer token", "Bearer wrong"} {
			got := s.sendAs(t, authorization, "GET", "/site/ssh", "")
			if got.status != 200 || got.body != want || got.header.Get("Content-Type") != "text/plain" {
				t.Errorf("%q: got %d %s", authorization, got.status, got.body)
			}
		}
	}
	if got := s.sendAs(t, "", "POST", "/site/ssh", ""); got.status != 405 {
		t.Errorf("got %d", got.status)
	}
}
