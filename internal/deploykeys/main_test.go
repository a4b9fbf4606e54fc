package deploykeys

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the tests if a shared call, a wait or a connection outlives them.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
