package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hutong/cmd/hutong/bench/drive"
)

// Write puts report.json, report.md, report.zh.md and the charts into dir.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	body, err := r.JSON()
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"report.json": body, "report.md": r.Markdown("en"), "report.zh.md": r.Markdown("zh"),
		"throughput.svg": r.Throughput(), "latency.svg": r.LatencyChart(), "cpu.svg": r.FlatnessChart(),
	}
	var errs []error
	for name, b := range files {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	return errors.Join(errs...)
}

// page is a Markdown text in one language.
type page struct {
	strings.Builder
	w  *words
	zh bool
}

func (p *page) heading(level int, format string, args ...any) {
	fmt.Fprintf(p, "\n%s %s\n\n", strings.Repeat("#", level), fmt.Sprintf(format, args...))
}

// row writes cells; | within one would break the table.
func (p *page) row(cells ...string) {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(strings.ReplaceAll(c, "|", "\\|"), "\n", " ")
	}
	fmt.Fprintf(p, "| %s |\n", strings.Join(cells, " | "))
}

func (p *page) table(head ...string) {
	p.row(slices.Clone(head)...)
	p.WriteString(strings.Repeat("|---", len(head)) + "|\n")
}

// Markdown is the report for people, in "en" or "zh".
func (r *Report) Markdown(language string) []byte {
	p := &page{w: &english}
	if language == "zh" {
		p.w, p.zh = &chinese, true
	}
	fmt.Fprintf(p, "# %s\n\n", p.w.title)
	p.machine(r)
	if n := len(r.Scales); n > 0 && r.Peer == nil {
		p.verdicts(r, r.Scales[n-1].Patients)
	}
	p.flatness(r)
	for i := len(r.Scales) - 1; i >= 0; i-- {
		p.scale(&r.Scales[i])
	}
	p.peer(r)
	if len(r.LeftOut) > 0 {
		p.heading(2, "%s", p.w.leftOut)
		for _, l := range r.LeftOut {
			fmt.Fprintf(p, "- %s\n", l)
		}
	}
	p.heading(2, "%s", p.w.charts)
	p.WriteString("![](throughput.svg)\n![](latency.svg)\n![](cpu.svg)\n")
	return []byte(p.String())
}

func (p *page) machine(r *Report) {
	m := &r.Machine
	fmt.Fprintf(p, "- %s: `%s` (%s, seed %d, %.0f s)\n", p.w.command, r.Command, r.Version, r.Seed, r.Took)
	fmt.Fprintf(p, "- %s: %d × %s, %.1f GB, %s, %s, %s; %s\n", p.w.machine, m.Cores, m.Model, float64(m.Memory)/1e9, m.System, m.Kernel, m.Go, m.Started)
	fmt.Fprintf(p, "- %s: %.0f (p50 %.2f ms, p99 %.2f ms); %s: %s\n", p.w.fsync, m.Fsync.PerSecond, m.Fsync.P50, m.Fsync.P99, p.w.load, m.Load)
}

func (p *page) verdicts(r *Report, patients int) {
	p.heading(2, "%s", p.w.floors)
	fmt.Fprintf(p, p.w.floorsIntro+"\n\n", group(float64(patients)))
	p.table(p.w.floor, p.w.want, p.w.measured, p.w.latency, p.w.verdict, p.w.bound)
	for i := range r.Verdicts {
		if v := &r.Verdicts[i]; v.Patients == patients {
			p.verdict(v)
		}
	}
}

func (p *page) verdict(v *Verdict) {
	f := &v.Floor
	name, sign, limit := f.Name, "≥", f.AtLeast
	if p.zh {
		name = f.ZH
	}
	if f.AtLeast == 0 {
		sign, limit = "≤", f.AtMost
	}
	want, latency := fmt.Sprintf("%s %s %s", sign, group(limit), f.Unit), p.w.none
	if f.Latency != "" {
		want += fmt.Sprintf(", %s ≤ %g ms", f.Latency, f.AtMostMs)
		if v.Measured {
			latency = fmt.Sprintf("%s %.2f ms @ %s/s", f.Latency, v.LatencyMs, group(v.AtRate))
		}
	}
	if !v.Measured {
		p.row(name, want, p.w.none, p.w.none, p.w.unmeasured, p.failure(&v.Bound))
		return
	}
	p.row(name, want, group(v.Value)+" "+f.Unit, latency, p.judgement(v), p.bound(&v.Bound))
}

// judgement says by how much a floor is missed: a rate by the share that is
// lacking, a size or time by the factor.
func (p *page) judgement(v *Verdict) string {
	var parts []string
	switch {
	case v.Missed > 0 && v.Floor.AtLeast > 0:
		parts = append(parts, fmt.Sprintf("−%.1f %%", v.Missed*100))
	case v.Missed > 0:
		parts = append(parts, fmt.Sprintf("×%.2f", v.Missed+1))
	}
	if v.Slow > 0 {
		parts = append(parts, fmt.Sprintf("%s ×%.2f", v.Floor.Latency, v.Slow+1))
	}
	if v.Bound.Failed > 0 {
		parts = append(parts, p.w.errors)
	}
	if len(parts) == 0 {
		return p.w.met
	}
	return "**" + fmt.Sprintf(p.w.missed, strings.Join(parts, ", ")) + "**"
}

func (p *page) failure(b *Bound) string {
	if b.Failed > 0 {
		return fmt.Sprintf(p.w.failed, b.Failed, b.FirstError)
	}
	return p.w.none
}

// bound says what the figures show of the limit: the cores, the disk, or
// neither.
func (p *page) bound(b *Bound) string {
	busy, free := b.ServerCores+b.GeneratorCores, float64(b.Cores)-b.OtherCores
	switch {
	case b.Failed > 0:
		return p.failure(b)
	case b.ServerCores == 0:
		return p.w.none
	case busy >= 0.85*free:
		return fmt.Sprintf(p.w.cpuBound, b.ServerCores, b.GeneratorCores, b.OtherCores, b.Cores)
	case b.Writes:
		return fmt.Sprintf(p.w.diskBound, busy, free, megabytes(int64(b.DiskRead)), megabytes(int64(b.DiskWritten)), b.Fsync)
	}
	return fmt.Sprintf(p.w.waitBound, busy, free, megabytes(int64(b.DiskRead)), megabytes(int64(b.DiskWritten)))
}

// group writes a number for people: 20,000,000; 7.25.
func group(v float64) string {
	if v < 100 && v != float64(int64(v)) {
		return trim(v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func (p *page) flatness(r *Report) {
	if len(r.Flatness) == 0 {
		return
	}
	p.heading(2, "%s", p.w.flat)
	p.WriteString(p.w.flatIntro + "\n\n")
	p.table(p.w.workload, p.w.patients, p.w.cpu, p.w.garbage, "p50", p.w.disk)
	for _, f := range r.Flatness {
		p.row(f.Workload, group(float64(f.From))+" → "+group(float64(f.To)), fmt.Sprintf("%.3f ± %.3f", f.CPU, f.CPUError), fmt.Sprintf("%+.3f", f.Collecting), fmt.Sprintf("%.2f", f.P50), fmt.Sprintf("%.1f + %.1f", f.Read/1e6, f.Written/1e6))
	}
}

func (p *page) scale(s *Scale) {
	p.heading(2, p.w.workloads, group(float64(s.Patients)), group(float64(s.Resources)))
	p.load(p.w.loading, &s.Load)
	if s.Store.BytesPerResource > 0 {
		fmt.Fprintf(p, "- %s: %.0f B (logs: %s in all) + %.0f B (NATS) / %s, cold start %.0f ms (empty %.0f ms), idle RSS %s (%s), peak RSS %s\n", p.w.storage, s.Store.BytesPerResource, megabytes(s.Store.LogBytes),
			s.Store.EventsPerResource, p.w.resources, s.Store.ColdStartMs, s.Store.EmptyStartMs, megabytes(s.Store.IdleRSS), fmt.Sprintf(p.w.files, megabytes(s.Store.IdleFiles)), megabytes(s.Store.PeakRSS))
	}
	p.WriteString("\n" + p.w.workloadsIntro + "\n\n")
	p.results(s.Results)
}

func (p *page) load(title string, l *Load) {
	fmt.Fprintf(p, "- %s: %s bundles, %s resources/s, %.1f s; p50 %.1f ms, p99 %.1f ms; CPU %.3f ms, JSON %.0f B, disk %.0f B / %s\n", title, group(float64(l.Bundles)),
		group(l.ResourcesPerSecond), l.Seconds, l.Latency.P50, l.Latency.P99, l.CPU, l.JSONPerResource, l.Written, p.w.resources)
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

func (p *page) results(list []Result) {
	w := p.w
	p.table(w.workload, w.closed+" /s", w.units, "p50 / p99", w.cpu, w.cores, w.disk, w.open+" /s", "p50", "p95", "p99", "p99.9", "max", w.rss, w.errors)
	for i := range list {
		r := &list[i]
		failed := group(float64(r.Failed()))
		if r.Open.Unsent > 0 {
			failed += ", " + fmt.Sprintf(w.unsent, r.Open.Unsent)
		}
		if r.FirstError != "" {
			failed += ": " + r.FirstError
		}
		cells := []string{r.Workload, w.none, w.none, w.none, w.none, w.none, w.none, w.none}
		if c := &r.Closed; c.Answered > 0 {
			cells = []string{
				r.Workload, group(c.Rate), group(r.Units()) + " " + r.Unit, fmt.Sprintf("%.2f / %.2f", c.Latency.P50, c.Latency.P99),
				fmt.Sprintf("%.3f", c.CPU), fmt.Sprintf("%.2f + %.2f", c.ServerCores, c.GeneratorCores),
				fmt.Sprintf("%.0f + %.0f", c.DiskRead/1e6, c.DiskWritten/1e6), w.none,
			}
		}
		open := []string{w.none, w.none, w.none, w.none, w.none}
		if r.Open.Answered > 0 {
			cells[7], open = group(r.Open.Target), percentiles(r.Open.Latency)
		}
		p.row(append(append(cells, open...), megabytes(r.RSS), failed)...)
	}
	for i := range list {
		if r := &list[i]; len(r.Figures) > 0 {
			fmt.Fprintf(p, "\n- %s: %s", r.Workload, r.Figures.text())
		}
	}
	p.WriteString("\n")
}

func percentiles(l drive.Percentiles) (out []string) {
	for _, v := range []float64{l.P50, l.P95, l.P99, l.P999, l.Max} {
		out = append(out, fmt.Sprintf("%.2f", v))
	}
	return out
}

// text lists the figures by name.
func (f Figures) text() string {
	var out []string
	for name, v := range f {
		out = append(out, fmt.Sprintf("%s %s", name, group(v)))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (p *page) peer(r *Report) {
	if r.Peer == nil {
		return
	}
	p.heading(2, p.w.peer, strings.TrimSpace(r.Peer.Software)+" ("+r.Peer.URL+")")
	p.WriteString(p.w.peerIntro + "\n\n")
	p.table(p.w.workload, p.w.units, "p50", "p99", p.w.cpu, "")
	for _, x := range r.Peer.Ratios {
		p.row(x.Workload, p.times(x.Throughput), p.times(x.P50), p.times(x.P99), p.times(x.CPU), x.Note)
	}
	p.WriteString("\n")
	p.load(p.w.loading, &r.Peer.Load)
	p.WriteString("\n")
	p.results(r.Peer.Results)
}

func (p *page) times(v float64) string {
	if v == 0 {
		return p.w.none
	}
	return fmt.Sprintf("%.2f×", v)
}
