package emulator_test

import (
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/emulator"
)

func TestDuplicates(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	again := input(t, publicKey(1)+" other comment", "other")
	for range 2 { // A test may select the form again at any time.
		s.SetDuplicate(emulator.DuplicateFieldErrors)
		s.send(t, "POST", keys, input(t, publicKey(1), "same label"))
		s.send(t, "POST", keys, again).want(t, 400, keyTaken)
		s.SetDuplicate(emulator.DuplicateEnvelope)
		s.send(t, "POST", keys, again).want(t, 400, `{"type":"error","error":{
			"message":"key: Someone has already added that access key to this repository.",
			"fields":{"key":["Someone has already added that access key to this repository."]}}}`)
		s.send(t, "POST", keys, `{"key":"x"}`).want(t, 400, `{"type":"error","error":{
			"message":"key: Invalid SSH key.","fields":{"key":["Invalid SSH key."]}}}`)
	}
	if got := s.send(t, "POST", "/2.0/repositories/acme/other/deploy-keys", again); got.status != 200 {
		t.Errorf("POST of the same key to another repository: got %d %s, want 200", got.status, got.body)
	}
	if got := s.send(t, "POST", keys, input(t, publicKey(2), "same label")); got.status != 200 {
		t.Errorf("POST of another key with the same label: got %d %s, want 200", got.status, got.body)
	}
}
