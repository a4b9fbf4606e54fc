package main

import (
	"path/filepath"
	"testing"
)

func TestAccMeasure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-shapes", "2x3", "-large", "2x4", "-latency", "1ms", "-compared", "2x5", "-turns", "1", "-repositories", "12", "-hours", "24", "-out", dir}); err != nil {
		t.Fatal(err)
	}
	r, err := readResults(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Each key is due once between 12 and 24 hours after the time with which it begins.
	requests := 0
	for hour, used := range r.Hourly.Applies {
		requests += used.Requests
		if hour < 10 && used.Requests > 0 || hour == 23 && requests != 12 {
			t.Errorf("%d requests up to hour %d", requests, hour+1)
		}
	}
	if r.Hourly.OldestHours < 12 || r.Hourly.OldestHours > 24 {
		t.Errorf("the oldest key was %v hours old", r.Hourly.OldestHours)
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
