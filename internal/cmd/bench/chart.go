package main

import (
	"fmt"
	"strings"
)

// The chart has a line for each shape and two panels beside each other, with
// two bars in each: the provider, and one GET a key.
const (
	chartWidth = 880
	labelWidth = 150
	panelWidth = 255 // panelWidth is how long the longest bar is.
	panelGap   = 110 // panelGap has room for the number behind a bar.
	top        = 118
	lineHeight = 56
	barHeight  = 17
)

// colors are readable in light and dark, with a background of their own: a page
// may be dark where the browser is not.
const colors = `<style>
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .small { font-size: 12px; fill: #59636e }
  .paper { fill: #ffffff }
  .ours { fill: #0969da }
  .others { fill: #afb8c1 }
  .floor { stroke: #cf222e; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .paper { fill: #0d1117 }
    .ours { fill: #58a6ff }
    .others { fill: #59636e }
    .floor { stroke: #ff7b72 }
  }
</style>
`

// chart draws the plan of each shape that was made both ways, at the first
// latency, as SVG.
func (r results) chart() string {
	var rows []row
	var mostRequests, mostSeconds float64
	for _, row := range r.Rows {
		if row.Plan == nil || row.OneGET == nil || row.LatencyMS != r.Rows[0].LatencyMS {
			continue
		}
		rows = append(rows, row)
		mostRequests = max(mostRequests, float64(row.Plan.Requests), float64(row.OneGET.Requests))
		mostSeconds = max(mostSeconds, row.Plan.Seconds, row.OneGET.Seconds)
	}
	c := chart{requests: panel{x: labelWidth, most: mostRequests}, seconds: panel{x: labelWidth + panelWidth + panelGap, most: mostSeconds}}
	c.head(r, top+lineHeight*len(rows)+34)
	for i, row := range rows {
		c.line(top+lineHeight*i, row)
	}
	c.text(16, top+lineHeight*len(rows)+18, "small", fmt.Sprintf("%s, %s, %d cores, %s. Measured by “%s”, redrawn by “go run ./internal/cmd/bench -draw”.",
		r.CLI, r.OS, r.Cores, r.Date.Format("2 January 2006"), remake))
	c.svg.WriteString("</svg>\n")
	return c.svg.String()
}

// chart is an SVG in the making.
type chart struct {
	svg               strings.Builder
	requests, seconds panel
}

// panel is where bars begin, and the number that the longest one stands for.
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
<desc id="desc">Requests and wall time of terraform plan for several numbers of repositories and keys: this provider beside one GET for each key. The numbers are in internal/cmd/bench/results/table.md. Made by %s, redrawn by: go run ./internal/cmd/bench -draw</desc>
`, chartWidth, height, chartWidth, height, title, remake)
	c.svg.WriteString(colors)
	fmt.Fprintf(&c.svg, "<rect class=%q width=%q height=%q rx=\"6\"/>\n", "paper", "100%", "100%")
	c.text(16, 30, "title", title)

	c.bar("ours", 16, 44, 13)
	c.text(35, 56, "", "this provider")
	c.bar("others", 150, 44, 13)
	c.text(169, 56, "", "one GET for each key")
	c.tick(333, 43, 15)
	c.text(341, 56, "", "Terraform alone: as many terraform_data")

	c.text(16, 92, "small", "repositories × keys")
	c.text(c.requests.x, 92, "", "Requests to Bitbucket")
	c.text(c.seconds.x, 92, "", fmt.Sprintf("Wall time, with %d ms a request", latency))
}

// line draws a shape, with its top at y.
func (c *chart) line(y int, r row) {
	c.text(16, y+15, "", r.shape().String())
	c.text(16, y+32, "small", thousands(r.shape().total())+" keys")
	for i, kind := range []struct {
		class string
		*usage
	}{{"ours", r.Plan}, {"others", r.OneGET}} {
		at := y + i*(barHeight+2)
		for _, bar := range []struct {
			panel
			number float64
			text   string
		}{
			{c.requests, float64(kind.Requests), thousands(kind.Requests)},
			{c.seconds, kind.Seconds, seconds(kind.Seconds)},
		} {
			length := bar.length(bar.number)
			c.bar(kind.class, bar.x, at, max(length, 1))
			c.text(bar.x+int(length)+6, at+13, "", bar.text)
		}
	}
	if r.Floor != nil {
		c.tick(float64(c.seconds.x)+c.seconds.length(r.Floor.Seconds), y-1, 2*barHeight)
	}
}

func (c *chart) bar(class string, x, y int, length float64) {
	fmt.Fprintf(&c.svg, "<rect class=%q x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", class, x, y, length, barHeight-2)
}

// tick marks the floor across both bars of a shape.
func (c *chart) tick(x float64, y, height int) {
	fmt.Fprintf(&c.svg, "<path class=\"floor\" d=\"M%.1f %dv%d\"/>\n", x, y, height)
}

func (c *chart) text(x, y int, class, text string) {
	fmt.Fprintf(&c.svg, "<text x=\"%d\" y=\"%d\" class=%q>%s</text>\n", x, y, class, text)
}
