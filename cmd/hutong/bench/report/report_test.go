package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"hutong/cmd/hutong/bench/drive"
	"hutong/cmd/hutong/bench/machine"
	"hutong/cmd/hutong/bench/report"
)

// result has a closed loop at rate and an open loop whose p50, p95, p99 are 1, 2 and 3 times p50.
func result(name string, rate, per, target, p50, cpu float64) report.Result {
	l := drive.Percentiles{P50: p50, P95: 2 * p50, P99: 3 * p50, P999: 4 * p50, Max: 5 * p50}
	return report.Result{
		Workload: name, Unit: "resources", Per: per,
		Closed: report.Stretch{Rate: rate, Answered: 100, Latency: l, CPU: cpu, ServerCores: 1.5, GeneratorCores: 0.4},
		Open:   report.Stretch{Target: target, Rate: target, Answered: 100, Latency: l, CPU: cpu, DiskRead: 3e6, DiskWritten: 5e5},
	}
}

func sampleReport(t *testing.T) *report.Report {
	t.Helper()
	r := &report.Report{
		Command: "hutong bench", Version: "v1", Seed: 7, Machine: machine.Info{Cores: 2, Model: "CPU | X", Fsync: machine.Fsync{PerSecond: 1234}},
		Scales: []report.Scale{
			{Patients: 1000, Resources: 59000, Results: []report.Result{result("read", 20000, 1, 12000, 1, 0.05), result("everything", 100, 1000, 70, 7, 8)}},
			{
				Patients: 10000, Resources: 590000, Store: report.Store{BytesPerResource: 1500, ColdStartMs: 900, IdleRSS: 90e6},
				Results: []report.Result{result("read", 13000, 1, 12000, 2, 0.06), result("import", 4, 5000, 0, 0, 900), result("everything", 90, 1000, 70, 9, 9)},
			},
		},
	}
	r.Flatness = report.Flatness(&r.Scales[0], &r.Scales[1])
	list, err := report.Floors()
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Scales {
		r.Verdicts = append(r.Verdicts, r.Judge(&r.Scales[i], list, func(w string) bool { return w == "import" })...)
	}
	return r
}

// verdict finds the floor of a workload and measure at a scale.
func verdict(t *testing.T, r *report.Report, patients int, workload, measure string) report.Verdict {
	t.Helper()
	for _, v := range r.Verdicts {
		if v.Patients == patients && v.Floor.Workload == workload && v.Floor.Measure == measure {
			return v
		}
	}
	t.Fatalf("no verdict on %s %s", workload, measure)
	return report.Verdict{}
}

func TestVerdicts(t *testing.T) {
	r := sampleReport(t)
	for _, c := range []struct {
		patients          int
		workload, measure string
		measured, met     bool
		missed, slow      float64
	}{
		{1000, "read", "rate", true, true, 0, 0},                           // 20,000/s and p99 3 ms
		{10000, "read", "rate", true, false, 0, 0.2},                       // fast enough, but p99 6 ms, not 5
		{10000, "import", "units", true, false, 0.2, 0},                    // 20,000 of 25,000
		{1000, "everything", "closed-p50", true, true, 0, 0},               // 7 ms
		{10000, "everything", "closed-p50", true, false, 0.125, 0},         // 9 of 8 ms
		{10000, "", "bytes-per-resource", true, false, 1500.0/1024 - 1, 0}, // a ceiling
		{10000, "", "cold-start", true, true, 0, 0},                        // 900 of 2,000 ms
		{10000, "", "idle-rss", true, true, 0, 0},                          // 90 of 100 MB
		{10000, "", "flatness", true, false, 1.2/1.1 - 1, 0},               // read: 0.06 over 0.05
		{1000, "", "flatness", false, false, 0, 0},                         // nothing to compare with
		{10000, "synthea", "rate", false, false, 0, 0},                     // did not run
	} {
		v := verdict(t, r, c.patients, c.workload, c.measure)
		if v.Measured != c.measured || v.Met != c.met || math.Abs(v.Missed-c.missed) > 1e-9 || math.Abs(v.Slow-c.slow) > 1e-9 {
			t.Errorf("%d %s %s: measured %v, met %v, missed %g, slow %g, want %+v", c.patients, c.workload, c.measure, v.Measured, v.Met, v.Missed, v.Slow, c)
		}
	}
}

// A workload with a wrong answer meets no floor, however fast it was.
func TestFailedRequestsMeetNoFloor(t *testing.T) {
	r := sampleReport(t)
	r.Scales[0].Results[0].Closed.Failed, r.Scales[0].Results[0].FirstError = 1, "status 500"
	list, err := report.Floors()
	if err != nil {
		t.Fatal(err)
	}
	r.Verdicts = r.Judge(&r.Scales[0], list, func(string) bool { return false })
	if v := verdict(t, r, 1000, "read", "rate"); v.Met || v.Bound.FirstError != "status 500" {
		t.Errorf("met %v, first error %q", v.Met, v.Bound.FirstError)
	}
}

func TestFlatness(t *testing.T) {
	a := report.Scale{Patients: 10, Results: []report.Result{result("same", 9, 1, 5, 1, 2), result("failed", 9, 1, 5, 1, 2), result("gone", 9, 1, 5, 1, 2)}}
	b := report.Scale{Patients: 100, Results: []report.Result{result("same", 9, 1, 5, 1.5, 3), result("failed", 9, 1, 5, 1, 1)}}
	b.Results[1].Open.Failed = 1
	want := []report.Flat{{Workload: "same", From: 10, To: 100, CPU: 1.5, P50: 1.5, Read: 3e6, Written: 5e5}}
	if got := report.Flatness(&a, &b); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}

	// The error comes from what the turns' ratios differ by, not from what the machine's
	// speed did between two turns; garbage is a share of what the smaller takes.
	small, large := &a.Results[0].Open, &b.Results[0].Open
	small.Collecting, large.Collecting = 0.2, 0.5
	for _, c := range []struct {
		small, large []float64
		want         float64
	}{
		{[]float64{1, 2, 4}, []float64{1.5, 3, 6}, 0},
		{[]float64{2, 2}, []float64{2, 4}, 1.5 * math.Ln2 / 2},
		{[]float64{2}, []float64{4}, 0},
		{[]float64{2, 2}, []float64{2, 4, 4}, 0},
		{[]float64{2, 0}, []float64{2, 4}, 0}, // a turn too short for the clock of the system
	} {
		small.Turns, large.Turns = c.small, c.large
		if f := report.Flatness(&a, &b)[0]; math.Abs(f.CPUError-c.want) > 1e-9 || math.Abs(f.Collecting-0.15) > 1e-9 {
			t.Errorf("turns %v, %v: %+v, want an error of %g", c.small, c.large, f, c.want)
		}
	}
}

func TestCompare(t *testing.T) {
	ours := []report.Result{result("read", 900, 1, 100, 1, 1), result("has", 10, 1, 5, 1, 1), result("only-ours", 1, 1, 1, 1, 1)}
	theirs := []report.Result{result("read", 300, 1, 100, 4, 0), result("has", 10, 1, 5, 1, 1)}
	theirs[1].Closed.Failed, theirs[1].FirstError = 3, "status 400"
	got := report.Compare(ours, theirs)
	want := []report.Ratio{{Workload: "read", Throughput: 3, P50: 4, P99: 4}, {Workload: "has", Note: "the peer failed: status 400"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestMarkdown(t *testing.T) {
	r := sampleReport(t)
	r.LeftOut = []string{"synthea: no --bundles"}
	r.Peer = nil
	en, zh := string(r.Markdown("en")), string(r.Markdown("zh"))
	for _, want := range []string{
		"| Reads by id | ≥ 12,000 1/s, p99 ≤ 5 ms | 13,000 1/s | p99 6.00 ms @ 12,000/s | **missed: p99 ×1.20** | CPU: server 1.50 + generator 0.40 + others 0.00 of 2 cores |",
		"| $import | ≥ 25,000 resources/s | 20,000 resources/s | – | **missed: −20.0 %** |",
		"| $everything of 1,000 resources | ≤ 8 ms | 9 ms | – | **missed: ×1.12** |",
		"| Idle RSS | ≤ 100 MB | 90 MB | – | met | – |",
		"| read | 1,000 → 10,000 | 1.200 ± 0.000 | +0.000 | 2.00 | 3.0 + 0.5 |",
		"| import | 4 | 20,000 resources |",
		"- synthea: no --bundles",
		"2 × CPU | X",
	} {
		if !strings.Contains(en, want) {
			t.Errorf("the report lacks\n%s\n%s", want, en)
		}
	}
	for _, want := range []string{"| 按 id 读取 | ≥ 12,000 1/s", "**未达标：p99 ×1.20**", "# 性能测试报告"} {
		if !strings.Contains(zh, want) {
			t.Errorf("the Chinese report lacks\n%s", want)
		}
	}
	// Every row of a table has as many cells as its head.
	for _, text := range []string{en, zh} {
		cells := 0
		for _, line := range strings.Split(text, "\n") {
			switch n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); {
			case !strings.HasPrefix(line, "|"):
				cells = 0
			case cells == 0:
				cells = n
			case n != cells:
				t.Errorf("%d bars, the head has %d: %s", n, cells, line)
			}
		}
	}
}

func TestPeerInMarkdown(t *testing.T) {
	r := sampleReport(t)
	r.Scales = r.Scales[:1]
	r.Peer = &report.Peer{URL: "http://peer/fhir", Software: "Other 1.0", Results: []report.Result{result("read", 5000, 1, 100, 4, 0)}}
	r.Peer.Ratios = report.Compare(r.Scales[0].Results, r.Peer.Results)
	text := string(r.Markdown("en"))
	if !strings.Contains(text, "| read | 4.00× | 4.00× | 4.00× | – |  |") || !strings.Contains(text, "Against Other 1.0 (http://peer/fhir)") {
		t.Error(text)
	}
}

// The charts are well-formed, and each workload and scale has its mark.
func TestCharts(t *testing.T) {
	r := sampleReport(t)
	for name, c := range map[string]struct {
		svg    []byte
		marks  string
		number int
	}{
		"throughput": {r.Throughput(), "<rect x=\"150.0\"", 5},              // read and everything twice, import once
		"latency":    {r.LatencyChart(), "<circle", 3 * 4},                  // four percentiles of each workload of the larger scale
		"cpu":        {r.FlatnessChart(), "<circle", 4},                     // read and everything at both scales
		"floors":     {r.Throughput(), `stroke="#d00000"`, 2},               // read and import
		"empty":      {(&report.Report{}).Throughput(), "<rect x=\"150", 0}, // nothing to draw
	} {
		d := xml.NewDecoder(bytes.NewReader(c.svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, c.svg)
			}
		}
		if n := bytes.Count(c.svg, []byte(c.marks)); n != c.number {
			t.Errorf("%s: %d marks, want %d\n%s", name, n, c.number, c.svg)
		}
		if bytes.Contains(c.svg, []byte("NaN")) || bytes.Contains(c.svg, []byte("Inf")) {
			t.Errorf("%s has a place that is no number", name)
		}
	}
}

func TestWriteAndReadBack(t *testing.T) {
	r, dir := sampleReport(t), filepath.Join(t.TempDir(), "new")
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.json", "report.md", "report.zh.md", "throughput.svg", "latency.svg", "cpu.svg"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(b) < 200 {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back report.Report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&back, r) {
		t.Error("the JSON does not hold the whole report")
	}
}
