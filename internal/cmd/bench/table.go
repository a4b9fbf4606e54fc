package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// benchCommand is the command that measures all numbers again.
const benchCommand = "make bench"

// table returns the results as Markdown that is also readable as plain text.
func (r results) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s with ten resources at a time, %s, %s with %d cores, %s. Measured by `%s`.\n",
		r.CLI, r.Go, r.OS, r.Cores, r.Date.Format("2 January 2006"), benchCommand)
	for _, latency := range r.latencies() {
		fmt.Fprintf(&b, "\n## %d ms a request\n\n", latency)
		b.WriteString(markdown(r.lines(latency)))
	}
	b.WriteString(`
Each cell has the number of requests to Bitbucket and the wall time of the whole command. "Label" is an apply that changes
the label of one key. One GET for each key would take as many requests as there are keys. "Plan, Terraform" is a plan of as
many ` + "`terraform_data`" + ` resources, which shows the time that Terraform itself takes. "Memory" is the peak of the
provider's process: first in the plan, then in the other commands.
`)
	if r.Overhead != nil {
		b.WriteString("\n" + r.Overhead.table())
	}
	if r.Hourly != nil {
		b.WriteString("\n## An apply each hour with refresh_after\n\n")
		b.WriteString(r.Hourly.table())
	}
	if r.Startup != nil {
		b.WriteString("\n## Start\n\n")
		b.WriteString(markdown([][]string{{"Start", "Schema", "Binary", "Modules"}, {
			fmt.Sprintf("%.0f ms", 1000*r.Startup.Seconds), fmt.Sprintf("%.0f kB", float64(r.Startup.SchemaBytes)/1000),
			fmt.Sprintf("%.1f MB", float64(r.Startup.BinaryBytes)/1e6), strconv.Itoa(r.Startup.Modules),
		}}))
		b.WriteString(`
"Start" is the median time from the start of the provider to its reply with all schemas. Every command starts the provider
at least once, and a plan three times. "Schema" is the size of that reply. "Binary" is the size of a release build. "Modules"
is the number of third-party Go modules in it.
`)
	}
	return b.String()
}

// table returns the requests of the hourly applies, in lines of six hours.
func (h *hourly) table() string {
	lines := [][]string{{"Hours", "Requests of each apply"}}
	for from := 0; from < len(h.Applies); from += 6 {
		var requests []string
		for _, used := range h.Applies[from:min(from+6, len(h.Applies))] {
			requests = append(requests, thousands(used.Requests))
		}
		lines = append(lines, []string{fmt.Sprintf("%d to %d", from+1, from+len(requests)), strings.Join(requests, ", ")})
	}
	return markdown(lines) + fmt.Sprintf(`
%s: all keys were read at once before the first hour, and nothing changes. The clock is scaled: all
times in the state become an hour older before each apply. Bitbucket allows %s requests in each hour and refused none. After
each apply, the oldest key was read at most %.1f hours ago. A full refresh would take %s requests.
`, h, thousands(hourlyLimit), h.OldestHours, thousands(h.Repositories))
}

// latencies returns each latency once, in order of appearance.
func (r results) latencies() []int64 {
	var all []int64
	seen := map[int64]bool{}
	for _, row := range r.Rows {
		if !seen[row.LatencyMS] {
			seen[row.LatencyMS] = true
			all = append(all, row.LatencyMS)
		}
	}
	return all
}

// lines returns the headings and the cells of a table for one latency.
func (r results) lines(latency int64) [][]string {
	lines := [][]string{{
		"Keys", "Repositories × keys", "Create", "Plan", "Label", "Destroy", "Plan, Terraform", "Memory",
	}}
	for _, row := range r.Rows {
		if row.LatencyMS != latency {
			continue
		}
		builtin := "-"
		if row.Builtin != nil {
			builtin = seconds(row.Builtin.Seconds)
		}
		lines = append(lines, []string{
			thousands(row.shape().total()), row.shape().String(),
			row.Create.String(), row.Plan.String(), row.Label.String(), row.Destroy.String(),
			builtin, row.memory(),
		})
	}
	return lines
}

// memory returns the peak in the plan and the highest peak in the other commands.
func (r row) memory() string {
	most := 0.0
	for _, used := range []*usage{r.Create, r.Label, r.Destroy} {
		if used != nil {
			most = max(most, used.MemoryMB)
		}
	}
	switch {
	case r.Plan == nil || r.Plan.MemoryMB == 0:
		return "-"
	case most == 0:
		return fmt.Sprintf("%.0f MB", r.Plan.MemoryMB)
	default:
		return fmt.Sprintf("%.0f, %.0f MB", r.Plan.MemoryMB, most)
	}
}

// String returns a cell of the table.
func (u *usage) String() string {
	if u == nil {
		return "-"
	}
	return thousands(u.Requests) + " / " + seconds(u.Seconds)
}

func seconds(s float64) string {
	if s < 10 {
		return fmt.Sprintf("%.2f s", s)
	}
	return fmt.Sprintf("%.1f s", s)
}

func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// markdown returns a table with right-aligned columns. It omits columns in which
// nothing was measured.
func markdown(lines [][]string) string {
	for column := len(lines[0]) - 1; column >= 0; column-- {
		if !slices.ContainsFunc(lines[1:], func(line []string) bool { return line[column] != "-" }) {
			for i := range lines {
				lines[i] = slices.Delete(lines[i], column, column+1)
			}
		}
	}
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, line := range lines {
		for i, cell := range line {
			fmt.Fprintf(&b, "| %*s ", widths[i], cell)
		}
		b.WriteString("|\n")
		if n == 0 {
			for _, width := range widths {
				b.WriteString("| " + strings.Repeat("-", width-1) + ": ")
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}
