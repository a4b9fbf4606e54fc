package main

import (
	"path/filepath"
	"testing"
)

func TestAccMeasure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-shapes", "2x3", "-large", "2x4", "-latency", "1ms", "-out", dir}); err != nil {
		t.Fatal(err)
	}
	r, err := readResults(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
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
		"floor":                {measured.Floor, 0},
		"plan without latency": {withoutLatency.Plan, 2},
		"plan of large shape":  {large.Plan, 2},
		"floor of large shape": {large.Floor, 0},
	} {
		if c.used == nil || c.used.Requests != c.requests || c.used.Seconds <= 0 {
			t.Errorf("%s: got %+v, want %d requests", name, c.used, c.requests)
		}
	}
}
