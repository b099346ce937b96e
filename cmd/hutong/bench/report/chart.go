package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// drawing is an SVG picture that grows downwards. Lengths are in pixels.
type drawing struct {
	b      strings.Builder
	width  float64
	height float64
}

const (
	chartWidth = 860.0
	labelWidth = 150.0
	rightEdge  = chartWidth - 90
	font       = `font-family="system-ui,-apple-system,'Noto Sans','Noto Sans CJK SC',sans-serif"`
)

// colours are told apart by people who see no red or green (Okabe and Ito).
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7"}

func (d *drawing) text(x, y float64, anchor string, size int, colour, s string) {
	fmt.Fprintf(&d.b, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d" fill="%s">%s</text>`+"\n", x, y, anchor, size, colour, html.EscapeString(s))
}

func (d *drawing) rect(x, y, w, h float64, colour, title string) {
	fmt.Fprintf(&d.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s</title></rect>`+"\n",
		x, y, math.Max(w, 1), h, colour, html.EscapeString(title))
}

func (d *drawing) line(x1, y1, x2, y2 float64, colour string, width float64) {
	fmt.Fprintf(&d.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%.1f"/>`+"\n", x1, y1, x2, y2, colour, width)
}

func (d *drawing) dot(x, y float64, colour, title string) {
	fmt.Fprintf(&d.b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"><title>%s</title></circle>`+"\n", x, y, colour, html.EscapeString(title))
}

// svg closes the picture. It has a light ground of its own, so that it reads
// on a dark page.
func (d *drawing) svg(title string) []byte {
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img" %s>
<title>%s</title>
<rect width="100%%" height="100%%" fill="#ffffff"/>
%s</svg>
`, d.width, d.height, font, html.EscapeString(title), d.b.String())
}

// axis is a logarithmic scale from lo to hi, both powers of ten.
type axis struct{ lo, hi float64 }

// axisOf spans the positive values.
func axisOf(values []float64) axis {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 {
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
	}
	if math.IsInf(lo, 1) {
		return axis{1, 10}
	}
	a := axis{math.Pow(10, math.Floor(math.Log10(lo))), math.Pow(10, math.Ceil(math.Log10(hi)))}
	if a.lo >= a.hi {
		a.hi = a.lo * 10
	}
	return a
}

func (a axis) at(v float64) float64 {
	if v <= 0 {
		return labelWidth
	}
	share := (math.Log10(v) - math.Log10(a.lo)) / (math.Log10(a.hi) - math.Log10(a.lo))
	return labelWidth + math.Max(0, math.Min(1, share))*(rightEdge-labelWidth)
}

// grid draws the decades and the heading; it returns where rows begin.
func (d *drawing) grid(a axis, title, unit string, legend []string, rows int, rowHeight float64) float64 {
	d.width = chartWidth
	d.text(12, 24, "start", 16, "#111111", title)
	x := 12.0
	for i, l := range legend {
		d.rect(x, 36, 12, 12, colours[i%len(colours)], l)
		d.text(x+17, 46, "start", 12, "#333333", l)
		x += 40 + 7.2*float64(len([]rune(l)))
	}
	top := 76.0
	d.height = top + float64(rows)*rowHeight + 16
	for v := a.lo; v <= a.hi*1.0001; v *= 10 {
		d.line(a.at(v), top-6, a.at(v), d.height-10, "#dddddd", 1)
		d.text(a.at(v), top-10, "middle", 11, "#666666", short(v))
	}
	d.text(chartWidth-8, top-10, "end", 11, "#666666", unit)
	return top
}

// short writes a number of an axis or a bar: 1200 as 1.2k.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return trim(v/1e6) + "M"
	case v >= 1e3:
		return trim(v/1e3) + "k"
	}
	return trim(v)
}

func trim(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

// Throughput draws each workload's closed-loop throughput at every scale, in
// the workload's own unit, and the floors as red marks.
func (r *Report) Throughput() []byte {
	legend, values := r.legend(), []float64{}
	var names []string
	floors := r.floorUnits()
	for i := range r.Scales {
		for _, res := range r.Scales[i].Results {
			values = append(values, res.Units(), floors[res.Workload])
		}
	}
	for _, name := range r.workloads() {
		if r.Scales[len(r.Scales)-1].Result(name).Closed.Rate > 0 {
			names = append(names, name)
		}
	}
	const bar = 12.0
	d, a, row := &drawing{}, axisOf(values), bar*float64(len(r.Scales))+8
	y := d.grid(a, "Throughput, closed loop (red: the floor)", "1/s", legend, len(names), row)
	for _, name := range names {
		unit := ""
		for i := range r.Scales {
			res := r.Scales[i].Result(name)
			if res == nil || res.Closed.Rate == 0 {
				continue
			}
			at, v := y+float64(i)*bar, res.Units()
			unit = res.Unit
			d.rect(labelWidth, at, a.at(v)-labelWidth, bar-2, colours[i%len(colours)], fmt.Sprintf("%s: %.0f %s/s", name, v, unit))
			d.text(a.at(v)+5, at+bar-3, "start", 10, "#333333", short(v))
		}
		d.text(labelWidth-8, y+row/2+1, "end", 12, "#111111", name)
		d.text(chartWidth-8, y+row/2+1, "end", 11, "#666666", unit)
		if f := floors[name]; f > 0 {
			d.line(a.at(f), y-2, a.at(f), y+row-6, "#d00000", 2)
		}
		y += row
	}
	return d.svg("Throughput")
}

// floorUnits gives the floors of throughput, in the workloads' units.
func (r *Report) floorUnits() map[string]float64 {
	out := map[string]float64{}
	for i := range r.Verdicts {
		f := &r.Verdicts[i].Floor
		switch {
		case f.Measure == "units":
			out[f.Workload] = f.AtLeast
		case f.Measure == "rate" && out[f.Workload] == 0:
			for j := range r.Scales {
				if res := r.Scales[j].Result(f.Workload); res != nil {
					out[f.Workload] = f.AtLeast * res.Per
				}
			}
		}
	}
	return out
}

func (r *Report) legend() (out []string) {
	for i := range r.Scales {
		out = append(out, fmt.Sprintf("%s patients", short(float64(r.Scales[i].Patients))))
	}
	return out
}

// workloads lists the names in the order of the largest scale.
func (r *Report) workloads() (names []string) {
	if len(r.Scales) == 0 {
		return nil
	}
	for _, res := range r.Scales[len(r.Scales)-1].Results {
		names = append(names, res.Workload)
	}
	return names
}

// LatencyChart draws p50, p95, p99 and p99.9 of the open loops at the largest scale.
func (r *Report) LatencyChart() []byte {
	d := &drawing{}
	var rows []Result
	var values []float64
	patients := 0
	if n := len(r.Scales); n > 0 {
		patients = r.Scales[n-1].Patients
		for _, res := range r.Scales[n-1].Results {
			if res.Open.Answered > 0 {
				rows = append(rows, res)
				values = append(values, res.Open.Latency.P50, res.Open.Latency.P999)
			}
		}
	}
	a := axisOf(values)
	const row = 24.0
	title := fmt.Sprintf("Latency at a constant rate, from when a request was due (%s patients)", short(float64(patients)))
	y := d.grid(a, title, "ms", []string{"p50", "p95", "p99", "p99.9"}, len(rows), row)
	for _, res := range rows {
		p := res.Open.Latency
		d.text(labelWidth-8, y+14, "end", 12, "#111111", res.Workload)
		d.line(a.at(p.P50), y+10, a.at(p.P999), y+10, "#999999", 2)
		for i, v := range []float64{p.P50, p.P95, p.P99, p.P999} {
			d.dot(a.at(v), y+10, colours[i], fmt.Sprintf("%.2f ms", v))
		}
		d.text(chartWidth-8, y+14, "end", 11, "#666666", short(res.Open.Target)+"/s")
		y += row
	}
	return d.svg("Latency")
}

// FlatnessChart draws the server's CPU a request at every scale.
func (r *Report) FlatnessChart() []byte {
	d, legend := &drawing{}, r.legend()
	var values []float64
	for i := range r.Scales {
		for _, res := range r.Scales[i].Results {
			values = append(values, res.Open.CPU)
		}
	}
	var names []string
	for _, name := range r.workloads() {
		if res := r.Scales[0].Result(name); res != nil && res.Open.CPU > 0 {
			names = append(names, name)
		}
	}
	a := axisOf(values)
	const row = 24.0
	y := d.grid(a, "Server CPU a request, open loop", "ms", legend, len(names), row)
	for _, name := range names {
		d.text(labelWidth-8, y+14, "end", 12, "#111111", name)
		for i := range r.Scales {
			if res := r.Scales[i].Result(name); res != nil && res.Open.CPU > 0 {
				d.dot(a.at(res.Open.CPU), y+10, colours[i%len(colours)], fmt.Sprintf("%s: %.3f ms", legend[i], res.Open.CPU))
			}
		}
		y += row
	}
	return d.svg("Server CPU a request")
}
