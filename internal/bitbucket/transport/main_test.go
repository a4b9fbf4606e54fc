package transport

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the tests if a goroutine or a connection outlives them.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
