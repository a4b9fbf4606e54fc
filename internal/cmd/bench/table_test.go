package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	t.Parallel()
	table := measured().table()
	for _, want := range []string{
		"Terraform 1.14.0", "2 cores, 22 November 2026", "## 80 ms a request", "## 0 ms a request",
		"|  1,000 |              10×100 | 1,000 / 12.3 s |  10 / 2.35 s | 11 / 2.50 s | 1,010 / 15.0 s |          1.00 s | 50, 60 MB |\n",
		"| 10,000 |             100×100 |              - | 100 / 20.0 s |           - |              - |               - |     95 MB |\n",
		"|  Keys | Repositories × keys |        Plan |\n",
		"| 1,000 |              10×100 | 10 / 2.00 s |\n",
		"| 1 to 6 | 0, 417, 1,000, 0, 0, 0 |\n| 7 to 7 |                      7 |\n", "5,000 repositories × 1 key, refresh_after = \"24h\"", "at most 24.0 hours ago",
		"A plan of 1,000 keys takes 1.38 times", "In wall time, the ratios are 1.12 and 2.00", "medians of 3 turns\nwithout latency, on 27 November 2026", "## Start", "| 41 ms |  21 kB | 19.3 MB |      28 |\n",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("missing %q in\n%s", want, table)
		}
	}
}
