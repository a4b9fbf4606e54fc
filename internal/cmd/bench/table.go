package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// remake is the command that makes all numbers anew.
const remake = "make bench"

// table is the results as Markdown that reads well as plain text too.
func (r results) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s with ten resources at a time, %s, %s with %d cores, %s. Made by `%s`.\n",
		r.CLI, r.Go, r.OS, r.Cores, r.Date.Format("2 January 2006"), remake)
	for _, latency := range r.latencies() {
		fmt.Fprintf(&b, "\n## %d ms a request\n\n", latency)
		b.WriteString(markdown(r.lines(latency)))
	}
	b.WriteString(`
Each cell is the number of requests to Bitbucket and the wall time of the whole command. "Label" is an apply that changes
the label of one key. "One GET a key" is the same plan by this provider with sharing of reads taken out. "Terraform" is the
plan of as many ` + "`terraform_data`" + ` resources, which is the floor. Memory is the peak of the provider's process, in the
plan and in the heaviest of the other commands.
`)
	if r.Startup != nil {
		b.WriteString("\n## Start\n\n")
		b.WriteString(markdown([][]string{{"Start", "Schema", "Binary", "Modules"}, {
			fmt.Sprintf("%.0f ms", 1000*r.Startup.Seconds), fmt.Sprintf("%.0f kB", float64(r.Startup.SchemaBytes)/1000),
			fmt.Sprintf("%.1f MB", float64(r.Startup.BinaryBytes)/1e6), strconv.Itoa(r.Startup.Modules),
		}}))
		b.WriteString(`
"Start" is the median time from starting the provider to its answer with all schemas. Terraform does that in each command,
and starts it twice more for a plan. "Binary" is built as for a release. "Modules" are those of others that are linked in.
`)
	}
	return b.String()
}

// latencies lists those that occur, in order of appearance.
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

// lines are the cells for a latency, below their headings.
func (r results) lines(latency int64) [][]string {
	lines := [][]string{{
		"Keys", "Repositories × keys", "Create", "Plan", "Plan, one GET a key", "Label", "Destroy", "Plan, Terraform", "Memory",
	}}
	for _, row := range r.Rows {
		if row.LatencyMS != latency {
			continue
		}
		floor := "-"
		if row.Floor != nil {
			floor = seconds(row.Floor.Seconds)
		}
		lines = append(lines, []string{
			thousands(row.shape().total()), row.shape().String(),
			row.Create.String(), row.Plan.String(), row.OneGET.String(), row.Label.String(), row.Destroy.String(),
			floor, row.memory(),
		})
	}
	return lines
}

// memory is the peak in the plan, and in any other command of the same provider.
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

// String is a cell of the table.
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

// markdown aligns cells in columns, to the right, and leaves out those in which
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
