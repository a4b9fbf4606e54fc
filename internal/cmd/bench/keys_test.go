package main

import (
	"reflect"
	"testing"
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
