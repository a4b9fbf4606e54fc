package main

import (
	"path/filepath"
	"testing"
)

func TestAccMeasure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-shapes", "2x3", "-large", "2x4", "-latency", "1ms", "-compared", "2x5", "-turns", "1", "-repositories", "12", "-hours", "3", "-out", dir}); err != nil {
		t.Fatal(err)
	}
	r, err := readResults(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	// No key is due in the first 12 hours.
	if len(r.Hourly.Applies) != 3 {
		t.Errorf("measured %d hours", len(r.Hourly.Applies))
	}
	for hour, used := range r.Hourly.Applies {
		if used.Requests != 0 || used.Seconds <= 0 {
			t.Errorf("hour %d: got %+v, want no request", hour+1, used)
		}
	}
	if r.Hourly.OldestHours < 3 || r.Hourly.OldestHours > 3.1 {
		t.Errorf("the oldest key was %v hours old, want 3", r.Hourly.OldestHours)
	}
	if len(r.Rows) != 3 {
		t.Fatalf("got %d rows, want 3", len(r.Rows))
	}
	measured, withoutLatency, large := r.Rows[0], r.Rows[1], r.Rows[2]
	if measured.LatencyMS != 1 || withoutLatency.LatencyMS != 0 || large.LatencyMS != 1 {
		t.Errorf("got latencies %d, %d, %d ms", measured.LatencyMS, withoutLatency.LatencyMS, large.LatencyMS)
	}
	for name, c := range map[string]struct {
		used     *usage
		requests int
	}{
		"create":               {measured.Create, 6},
		"plan":                 {measured.Plan, 2},
		"label":                {measured.Label, 2 + 1},
		"destroy":              {measured.Destroy, 2 + 6},
		"builtin":              {measured.Builtin, 0},
		"plan without latency": {withoutLatency.Plan, 2},
		"plan of large shape":  {large.Plan, 2},
		"builtin, large shape": {large.Builtin, 0},
		"compared plan":        {r.Overhead.Turns[0].Plan, 2},
		"floor":                {r.Overhead.Turns[0].Floor, 0},
		"silent floor":         {r.Overhead.Turns[0].Silent, 0},
	} {
		if c.used == nil || c.used.Requests != c.requests || c.used.Seconds <= 0 {
			t.Errorf("%s: got %+v, want %d requests", name, c.used, c.requests)
		}
	}
}
