package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestChart(t *testing.T) {
	t.Parallel()
	chart := measured().chart()
	all := texts(t, chart)
	for _, want := range []string{"10×100", "1,000 keys", "2.35 s", "1.00 s", "with 80 ms a request", "make bench", "-draw", "A plan of 1,000 keys takes 1.38 times the processor time of a provider that does nothing, or 1.50 times", "5,000 repositories × 1 key, refresh_after", "limit: 1,000 requests an hour", "at most 1,000", "6 h"} {
		if !strings.Contains(all, want) {
			t.Errorf("missing %q in\n%s", want, all)
		}
	}
	if strings.Contains(all, "100×100") {
		t.Error("the chart shows a shape that was only planned")
	}
}

func TestChart_empty(t *testing.T) {
	t.Parallel()
	if got := texts(t, (results{}).chart()); !strings.Contains(got, "this provider") {
		t.Errorf("missing the legend in\n%s", got)
	}
}

// texts parses a chart and returns the texts in it.
func texts(t *testing.T, chart string) string {
	t.Helper()
	var all []string
	for decoder := xml.NewDecoder(strings.NewReader(chart)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return strings.Join(all, "\n")
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, chart)
		}
		if text, ok := token.(xml.CharData); ok {
			all = append(all, string(text))
		}
	}
}
