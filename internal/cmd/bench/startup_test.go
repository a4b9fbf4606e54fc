package main

import (
	"path/filepath"
	"reflect"
	"testing"
)

// The bounds are generous. If a number passes its bound, look at the dependency
// or the schema that caused it. If it is worth its size, raise the bound.
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
		t.Errorf("the other results changed to %+v", after)
	}
	if s.Seconds <= 0 || s.CPUSeconds <= 0 {
		t.Errorf("got %+v, want positive times", s)
	}
	for name, size := range map[string]struct{ got, least, most int64 }{
		"modules":           {int64(s.Modules), 20, 32},
		"bytes of schema":   {int64(s.SchemaBytes), 10_000, 50_000},
		"bytes of provider": {s.BinaryBytes, 10_000_000, 24_000_000},
	} {
		if size.got < size.least || size.got > size.most {
			t.Errorf("got %d %s, want %d to %d", size.got, name, size.least, size.most)
		}
	}
}
