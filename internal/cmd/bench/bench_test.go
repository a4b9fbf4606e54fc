package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseShapes(t *testing.T) {
	t.Parallel()
	got, err := parseShapes("10x100,1x1")
	if want := []shape{{10, 100}, {1, 1}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := parseShapes(""); err != nil || got != nil {
		t.Errorf("got %v, %v for nothing", got, err)
	}
	for _, text := range []string{"10", "0x1", "1x0", "x", "10x10;1x1", "-1x1"} {
		if got, err := parseShapes(text); err == nil {
			t.Errorf("%s: got %v", text, got)
		}
	}
}

// measured is what a run of two shapes finds.
func measured() results {
	return results{
		Date: time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC), CLI: "Terraform 1.14.0", Go: "go1.26.0", OS: "linux/amd64", Cores: 2,
		Startup: &startup{Seconds: 0.0412, CPUSeconds: 0.03, SchemaBytes: 21079, BinaryBytes: 19_317_001, Modules: 28},
		Rows: []row{
			{
				Repositories: 10, KeysInEach: 100, LatencyMS: 80,
				Create:  &usage{Requests: 1000, Seconds: 12.34, MemoryMB: 60},
				Plan:    &usage{Requests: 10, Seconds: 2.345, MemoryMB: 50},
				OneGET:  &usage{Requests: 1000, Seconds: 10.5},
				Label:   &usage{Requests: 11, Seconds: 2.5, MemoryMB: 55},
				Destroy: &usage{Requests: 1010, Seconds: 15},
				Floor:   &usage{Seconds: 1},
			},
			{Repositories: 10, KeysInEach: 100, Plan: &usage{Requests: 10, Seconds: 2}, OneGET: &usage{Requests: 1000, Seconds: 3}},
			{Repositories: 100, KeysInEach: 100, LatencyMS: 80, Plan: &usage{Requests: 100, Seconds: 20, MemoryMB: 95}},
		},
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := measured().table()
	for _, want := range []string{
		"Terraform 1.14.0", "2 cores, 22 November 2026", "## 80 ms a request", "## 0 ms a request",
		"|  1,000 |              10×100 | 1,000 / 12.3 s |  10 / 2.35 s |      1,000 / 10.5 s | 11 / 2.50 s | 1,010 / 15.0 s |          1.00 s | 50, 60 MB |\n",
		"| 10,000 |             100×100 |              - | 100 / 20.0 s |                   - |           - |              - |               - |     95 MB |\n",
		"|  Keys | Repositories × keys |        Plan | Plan, one GET a key |\n",
		"| 1,000 |              10×100 | 10 / 2.00 s |      1,000 / 3.00 s |\n",
		"## Start", "| 41 ms |  21 kB | 19.3 MB |      28 |\n",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("there is no %q in\n%s", want, table)
		}
	}
}

// The bounds are generous. What passes one of them is a dependency or a schema
// that somebody should have a look at, and if it is worth it raise the bound.
func TestStartup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored, before := filepath.Join(dir, "results.json"), measured()
	before.Startup = nil
	if err := before.write(stored); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-startup", "-out", dir}); err != nil {
		t.Fatal(err)
	}
	after, err := readResults(stored)
	if err != nil || after.Startup == nil {
		t.Fatalf("got %+v, %v", after, err)
	}
	s := *after.Startup
	after.Startup = nil
	if !reflect.DeepEqual(after, before) {
		t.Errorf("what was stored of all else became %+v", after)
	}
	if s.Seconds <= 0 || s.CPUSeconds <= 0 {
		t.Errorf("started in no time: %+v", s)
	}
	for what, size := range map[string]struct{ got, least, most int64 }{
		"modules":           {int64(s.Modules), 20, 32},
		"bytes of schema":   {int64(s.SchemaBytes), 10_000, 50_000},
		"bytes of provider": {s.BinaryBytes, 10_000_000, 24_000_000},
	} {
		if size.got < size.least || size.got > size.most {
			t.Errorf("%d %s, expected were %d to %d", size.got, what, size.least, size.most)
		}
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	chart := measured().chart()
	decoder := xml.NewDecoder(strings.NewReader(chart))
	var texts []string
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, chart)
		}
		if text, ok := token.(xml.CharData); ok {
			texts = append(texts, string(text))
		}
	}
	all := strings.Join(texts, "\n")
	for _, want := range []string{"10×100", "1,000 keys", "2.35 s", "10.5 s", "with 80 ms a request", "make bench", "-draw"} {
		if !strings.Contains(all, want) {
			t.Errorf("there is no %q in\n%s", want, all)
		}
	}
	if strings.Contains(all, "100×100") {
		t.Error("a shape that was not measured both ways is drawn")
	}
	if (results{}).chart() == "" {
		t.Error("no chart of nothing")
	}
}

func TestGrow(t *testing.T) {
	t.Parallel()
	keys := shape{2, 2}.deployKeys("First")
	bitbucket := newBitbucket(2)
	first := bitbucket.AddDeployKey(workspace, keys[0].repository, keys[0].key, keys[0].label)
	names, err := addAll(bitbucket, keys)
	if err != nil {
		t.Fatal(err)
	}
	if got := held(bitbucket); got != 4 {
		t.Errorf("Bitbucket holds %d keys", got)
	}

	states := &stateStore{}
	states.states.Store("/x", []byte(`{"serial": 1, "resources": [{"name": "`+keys[0].name+`", "id": "acme/repository-0/10958984", `+
		`"key_id": 10958984, "key": "`+keys[0].key+`", "created_on": "`+first.CreatedOn+`"}]}`))
	if err := states.grow("/x", names); err != nil {
		t.Fatal(err)
	}
	var state struct {
		Serial    int
		Resources []struct {
			Name, ID, Key string
			KeyID         int64 `json:"key_id"`
		}
	}
	if err := json.Unmarshal(states.load("/x"), &state); err != nil {
		t.Fatal(err)
	}
	if state.Serial != 1 || len(state.Resources) != 4 {
		t.Fatalf("got %+v", state)
	}
	last := state.Resources[3]
	if last.Name != "repository-1-key-1" || last.ID != "acme/repository-1/10958987" || last.KeyID != 10958987 || last.Key != keys[3].key {
		t.Errorf("got %+v", last)
	}
	if err := states.grow("/absent", names); err == nil {
		t.Error("a state that is absent has grown")
	}
}
