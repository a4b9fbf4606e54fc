package main

import (
	"fmt"
	"html"
	"strings"
)

// The chart has a row for each shape and two panels side by side. Each panel has
// two bars in a row: this provider and a comparison.
const (
	chartWidth = 880
	labelWidth = 150
	panelWidth = 255 // panelWidth is the length of the longest bar.
	panelGap   = 110 // panelGap leaves room for the number after a bar.
	top        = 118
	rowHeight  = 56
	barHeight  = 17

	// Below the rows, the hourly applies have a bar for each hour. limitHeight is the length
	// of a bar of hourlyLimit requests.
	hourlyHeight = 186
	limitHeight  = 100
)

// colors have enough contrast in light and dark mode. The chart draws its own
// background, because the page and the browser can disagree about the mode.
const colors = `<style>
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .small { font-size: 12px; fill: #59636e }
  .paper { fill: #ffffff }
  .provider { fill: #0969da }
  .calculated { fill: #afb8c1 }
  .builtin, .limit { fill: #cf222e }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .paper { fill: #0d1117 }
    .provider { fill: #58a6ff }
    .calculated { fill: #59636e }
    .builtin, .limit { fill: #ff7b72 }
  }
</style>
`

// chart draws the plan of each shape at the first latency, as SVG. It omits
// shapes that were only planned: they are so large that the other bars would be
// too short to compare.
func (r results) chart() string {
	var rows []row
	var mostRequests, mostSeconds float64
	for _, row := range r.Rows {
		if row.Create == nil || row.Plan == nil || row.LatencyMS != r.Rows[0].LatencyMS {
			continue
		}
		rows = append(rows, row)
		mostRequests = max(mostRequests, float64(row.Plan.Requests), float64(row.shape().total()))
		mostSeconds = max(mostSeconds, row.Plan.Seconds)
		if row.Builtin != nil {
			mostSeconds = max(mostSeconds, row.Builtin.Seconds)
		}
	}
	below := top + rowHeight*len(rows)
	hourlyTop := below
	if r.Hourly != nil {
		below += hourlyHeight
	}
	c := chart{requests: panel{x: labelWidth, most: mostRequests}, seconds: panel{x: labelWidth + panelWidth + panelGap, most: mostSeconds}}
	height := below + 34
	if r.Overhead != nil {
		height += 20
	}
	c.head(r, height)
	for i, row := range rows {
		c.row(top+rowHeight*i, row)
	}
	if r.Hourly != nil {
		c.hourly(hourlyTop, r.Hourly)
	}
	if r.Overhead != nil {
		below += 20
		c.text(16, below, "small", r.Overhead.String())
	}
	c.text(16, below+18, "small", fmt.Sprintf("%s, %s, %d cores, %s. Measured by “%s”, redrawn by “go run ./internal/cmd/bench -draw”.",
		r.CLI, r.OS, r.Cores, r.Date.Format("2 January 2006"), benchCommand))
	c.svg.WriteString("</svg>\n")
	return c.svg.String()
}

// chart builds an SVG.
type chart struct {
	svg               strings.Builder
	requests, seconds panel
}

// panel is the position where bars start and the number of the longest bar.
type panel struct {
	x    int
	most float64
}

func (p panel) length(number float64) float64 { return panelWidth * number / max(p.most, 1e-9) }

func (c *chart) head(r results, height int) {
	var latency int64
	if len(r.Rows) > 0 {
		latency = r.Rows[0].LatencyMS
	}
	const title = "What a plan costs when nothing has changed"
	fmt.Fprintf(&c.svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">
<title id="title">%s</title>
<desc id="desc">Requests and wall time of terraform plan for several numbers of repositories and keys. The requests are compared with one GET for each key, which is calculated. The time is compared with a plan of as many terraform_data resources. Below them, the requests of an apply each hour with refresh_after. The numbers are in internal/cmd/bench/results/table.md. Measured by %s, redrawn by: go run ./internal/cmd/bench -draw</desc>
`, chartWidth, height, chartWidth, height, title, benchCommand)
	c.svg.WriteString(colors)
	fmt.Fprintf(&c.svg, "<rect class=%q width=%q height=%q rx=\"6\"/>\n", "paper", "100%", "100%")
	c.text(16, 30, "title", title)

	c.rect("provider", 16, 44, 13)
	c.text(35, 56, "", "this provider")
	c.rect("calculated", 150, 44, 13)
	c.text(169, 56, "", "one GET for each key (calculated)")
	c.rect("builtin", 400, 44, 13)
	c.text(419, 56, "", "Terraform alone: as many terraform_data resources")

	c.text(16, 92, "small", "repositories × keys")
	c.text(c.requests.x, 92, "", "Requests to Bitbucket")
	c.text(c.seconds.x, 92, "", fmt.Sprintf("Wall time, with %d ms a request", latency))
}

// row draws a shape with its top at y.
func (c *chart) row(y int, r row) {
	total := r.shape().total()
	c.text(16, y+15, "", r.shape().String())
	c.text(16, y+32, "small", thousands(total)+" keys")
	below := y + barHeight + 2
	c.bar(c.requests, "provider", y, float64(r.Plan.Requests), thousands(r.Plan.Requests))
	c.bar(c.requests, "calculated", below, float64(total), thousands(total))
	c.bar(c.seconds, "provider", y, r.Plan.Seconds, seconds(r.Plan.Seconds))
	if r.Builtin != nil {
		c.bar(c.seconds, "builtin", below, r.Builtin.Seconds, seconds(r.Builtin.Seconds))
	}
}

// bar draws a bar in a panel, with its number after it.
func (c *chart) bar(p panel, class string, y int, number float64, text string) {
	length := p.length(number)
	c.rect(class, p.x, y, max(length, 1))
	c.text(p.x+int(length)+6, y+13, "", text)
}

// hourly draws the applies of each hour with their top at y, and the limit as a line.
func (c *chart) hourly(y int, h *hourly) {
	c.text(16, y+26, "", fmt.Sprintf("Requests of an apply each hour: %s", html.EscapeString(h.String())))
	full := fmt.Sprintf("limit: %s requests an hour (a full refresh needs %s)", thousands(hourlyLimit), thousands(h.Repositories))
	c.text(labelWidth, y+50, "small", full)
	limit, floor := y+56, y+56+limitHeight
	c.box("limit", labelWidth, float64(limit), chartWidth-labelWidth-16, 1)
	width := (chartWidth - labelWidth - 16) / float64(len(h.Applies))
	for hour, used := range h.Applies {
		height := max(limitHeight*float64(used.Requests)/hourlyLimit, 1)
		c.box("provider", labelWidth+width*float64(hour), float64(floor)-height, max(width-3, 1), height)
		if (hour+1)%6 == 0 {
			c.text(labelWidth+int(width*float64(hour)), floor+16, "small", fmt.Sprintf("%d h", hour+1))
		}
	}
	c.text(16, floor-20, "small", fmt.Sprintf("at most %s", thousands(h.most())))
	c.text(16, floor-4, "small", fmt.Sprintf("oldest key: %.1f h", h.OldestHours))
}

func (c *chart) box(class string, x, y, width, height float64) {
	fmt.Fprintf(&c.svg, "<rect class=%q x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", class, x, y, width, height)
}

func (c *chart) rect(class string, x, y int, length float64) {
	fmt.Fprintf(&c.svg, "<rect class=%q x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", class, x, y, length, barHeight-2)
}

func (c *chart) text(x, y int, class, text string) {
	fmt.Fprintf(&c.svg, "<text x=\"%d\" y=\"%d\" class=%q>%s</text>\n", x, y, class, text)
}
