package main

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// measured returns the results of two shapes and a large one.
func measured() results {
	return results{
		Date: time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC), CLI: "Terraform 1.14.0", Go: "go1.26.0", OS: "linux/amd64", Cores: 2,
		Startup: &startup{Seconds: 0.0412, CPUSeconds: 0.03, SchemaBytes: 21079, BinaryBytes: 19_317_001, Modules: 28},
		Overhead: &overhead{Date: time.Date(2026, 11, 27, 16, 0, 0, 0, time.UTC), Repositories: 10, KeysInEach: 100, Turns: []turn{
			{&usage{Seconds: 2, CPUSeconds: 1}, &usage{Seconds: 2, CPUSeconds: 1}, &usage{Seconds: 2.5, CPUSeconds: 1.5}},
			{&usage{Seconds: 1, CPUSeconds: 1}, &usage{Seconds: 0.5, CPUSeconds: 1}, &usage{Seconds: 1.125, CPUSeconds: 1.375}},
			{&usage{Seconds: 4, CPUSeconds: 1}, &usage{Seconds: 2, CPUSeconds: 0.5}, &usage{Seconds: 4, CPUSeconds: 1.25}},
		}},
		Hourly: &hourly{Repositories: 5000, Applies: []usage{{Requests: 0}, {Requests: 417}, {Requests: 1000}, {}, {}, {}, {Requests: 7}}, OldestHours: 23.96},
		Rows: []row{
			{
				Repositories: 10, KeysInEach: 100, LatencyMS: 80,
				Create:  &usage{Requests: 1000, Seconds: 12.34, MemoryMB: 60},
				Plan:    &usage{Requests: 10, Seconds: 2.345, MemoryMB: 50},
				Label:   &usage{Requests: 11, Seconds: 2.5, MemoryMB: 55},
				Destroy: &usage{Requests: 1010, Seconds: 15},
				Builtin: &usage{Seconds: 1},
			},
			{Repositories: 10, KeysInEach: 100, Plan: &usage{Requests: 10, Seconds: 2}},
			{Repositories: 100, KeysInEach: 100, LatencyMS: 80, Plan: &usage{Requests: 100, Seconds: 20, MemoryMB: 95}},
		},
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "results.json")
	want := measured()
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := readResults(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}
