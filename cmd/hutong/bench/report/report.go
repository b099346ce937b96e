// Package report holds what a benchmark found, judges it by the floors that
// the project set itself, and writes it as JSON, as Markdown and as charts.
package report

import (
	"encoding/json"
	"math"

	"hutong/cmd/hutong/bench/drive"
	"hutong/cmd/hutong/bench/machine"
)

// Report is one run.
type Report struct {
	Command  string       `json:"command"`
	Version  string       `json:"version"`
	Seed     uint64       `json:"seed"`
	Seconds  float64      `json:"secondsPerWorkload"`
	Auth     string       `json:"auth"`
	Machine  machine.Info `json:"machine"`
	Took     float64      `json:"tookSeconds"`
	Scales   []Scale      `json:"scales"`
	Peer     *Peer        `json:"peer,omitempty"`
	Verdicts []Verdict    `json:"verdicts"`
	Flatness []Flat       `json:"flatness,omitempty"`
	LeftOut  []string     `json:"leftOut,omitempty"` // workloads that did not run, and why
}

// Scale is what was measured on a region of one size.
type Scale struct {
	Patients  int      `json:"patients"`
	Resources int      `json:"resources"`
	Load      Load     `json:"load"`
	Store     Store    `json:"store"`
	Results   []Result `json:"results"`
}

// Load is how the region went in: transaction bundles of hospitals, eight at a time.
type Load struct {
	Bundles            int               `json:"bundles"`
	Seconds            float64           `json:"seconds"`
	ResourcesPerSecond float64           `json:"resourcesPerSecond"`
	JSONPerResource    float64           `json:"jsonBytesPerResource"`
	CPU                float64           `json:"serverCPUmsPerResource"`
	Written            float64           `json:"bytesWrittenPerResource"` // what reached the disk, logs and compactions included
	Latency            drive.Percentiles `json:"latencyMs"`
}

// Store is what the data costs at rest.
type Store struct {
	BytesPerResource  float64 `json:"bytesPerResource"`      // of the store, the server stopped
	LogBytes          int64   `json:"logBytes"`              // of these the write-ahead logs: some tens of MB however large the store is
	EventsPerResource float64 `json:"eventBytesPerResource"` // of the event stream, which keeps seven days
	ColdStartMs       float64 `json:"coldStartMs"`           // from the start of the process to ready
	EmptyStartMs      float64 `json:"emptyStartMs"`          // the same, no data yet
	IdleRSS           int64   `json:"idleRSSBytes"`          // a few seconds after the cold start
	IdleFiles         int64   `json:"idleRSSOfFilesBytes"`   // part of it: clean pages of the binary, above all
	PeakRSS           int64   `json:"peakRSSBytes"`          // the highest of the whole run
}

// Result is one workload on one server.
type Result struct {
	Workload   string  `json:"workload"`
	Unit       string  `json:"unit"` // what Per counts: requests, resources, rows
	Per        float64 `json:"unitsPerRequest"`
	Clients    int     `json:"clients"`    // of the closed loop
	Closed     Stretch `json:"closedLoop"` // each client sends its next request after an answer: how much the server can take
	Open       Stretch `json:"openLoop"`   // constant rate, latency from the moment a request was due
	RSS        int64   `json:"rssBytes"`   // of the server, after the workload
	FirstError string  `json:"firstError,omitempty"`
	Figures    Figures `json:"figures,omitempty"` // of workloads with measures of their own
}

// Figures are named measures.
type Figures map[string]float64

// Stretch is one way of sending a workload.
type Stretch struct {
	Target         float64           `json:"targetPerSecond,omitempty"` // open loop: the constant rate
	Rate           float64           `json:"perSecond"`                 // requests answered well
	Answered       int               `json:"answered"`
	Failed         int               `json:"failed"`
	Unsent         int               `json:"unsent,omitempty"`
	Latency        drive.Percentiles `json:"latencyMs"`
	SendLagP99     float64           `json:"sendLagP99Ms,omitempty"`
	CPU            float64           `json:"serverCPUmsPerRequest"`
	Collecting     float64           `json:"collectingCPUmsPerRequest,omitempty"` // of CPU, for garbage, as the server's runtime estimates it
	Turns          []float64         `json:"serverCPUmsOfTurns,omitempty"`        // CPU, turn by turn
	ServerCores    float64           `json:"serverCores"`                         // busy, on average
	GeneratorCores float64           `json:"generatorCores"`
	OtherCores     float64           `json:"otherCores"`                // what else the machine did meanwhile
	DiskRead       float64           `json:"diskReadBytesPerSecond"`    // the server's; what the page cache gives does not count
	DiskWritten    float64           `json:"diskWrittenBytesPerSecond"` // logs, flushes and compactions
}

// Units is the throughput in the workload's own unit.
func (r *Result) Units() float64 { return r.Closed.Rate * r.Per }

// Failed counts the requests that went wrong.
func (r *Result) Failed() int { return r.Closed.Failed + r.Open.Failed }

// Result finds a workload of the scale, nil if it did not run.
func (s *Scale) Result(workload string) *Result {
	for i := range s.Results {
		if s.Results[i].Workload == workload {
			return &s.Results[i]
		}
	}
	return nil
}

// Peer is another server, measured in turns with ours on the same data.
type Peer struct {
	URL      string   `json:"url"`
	Software string   `json:"software,omitempty"` // by its CapabilityStatement
	Load     Load     `json:"load"`
	Results  []Result `json:"results"`
	Ratios   []Ratio  `json:"ratios"`
}

// Ratio is ours over the peer's; for latencies the peer's over ours, so that
// more than 1 is better for us throughout.
type Ratio struct {
	Workload   string  `json:"workload"`
	Throughput float64 `json:"throughput"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	CPU        float64 `json:"serverCPU,omitempty"` // where the peer's process is known
	Note       string  `json:"note,omitempty"`      // why there is no ratio
}

// Compare puts two servers' results side by side.
func Compare(ours, theirs []Result) []Ratio {
	var out []Ratio
	for i := range ours {
		a := &ours[i]
		for j := range theirs {
			if b := &theirs[j]; a.Workload == b.Workload {
				out = append(out, ratio(a, b))
			}
		}
	}
	return out
}

func ratio(a, b *Result) Ratio {
	r := Ratio{Workload: a.Workload}
	switch {
	case a.Failed() > 0:
		r.Note = "ours failed: " + a.FirstError
	case b.Failed() > 0 || b.Closed.Answered == 0:
		r.Note = "the peer failed: " + b.FirstError
	default:
		r.Throughput = over(a.Closed.Rate, b.Closed.Rate)
		r.P50, r.P99 = over(b.Open.Latency.P50, a.Open.Latency.P50), over(b.Open.Latency.P99, a.Open.Latency.P99)
		r.CPU = over(b.Closed.CPU, a.Closed.CPU)
	}
	return r
}

// over is a/b, 0 where that is not known.
func over(a, b float64) float64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	return a / b
}

// Flat tells by how much a workload slows from the smallest region to a larger one.
type Flat struct {
	Workload   string  `json:"workload"`
	From       int     `json:"fromPatients"`
	To         int     `json:"toPatients"`
	CPU        float64 `json:"cpuRatio"`                  // server CPU a request, larger over smaller
	CPUError   float64 `json:"cpuRatioStandardError"`     // by the spread of the turns
	Collecting float64 `json:"collectingShareOfRatio"`    // of the ratio's distance from 1, what garbage costs more
	P50        float64 `json:"p50Ratio"`                  // open loop at the same rate
	Read       float64 `json:"diskReadBytesPerSecond"`    // by the larger's server meanwhile
	Written    float64 `json:"diskWrittenBytesPerSecond"` // reads write nothing: by compactions
}

// Flatness compares a region with a smaller one, each query sent to both in
// turns. One that failed is left out.
func Flatness(small, large *Scale) []Flat {
	var out []Flat
	for i := range small.Results {
		a := &small.Results[i]
		b := large.Result(a.Workload)
		if b == nil || a.Failed()+b.Failed() > 0 || a.Open.Answered == 0 || b.Open.Answered == 0 {
			continue
		}
		f := Flat{
			Workload: a.Workload, From: small.Patients, To: large.Patients, CPU: over(b.Open.CPU, a.Open.CPU), P50: over(b.Open.Latency.P50, a.Open.Latency.P50),
			Read: b.Open.DiskRead, Written: b.Open.DiskWritten,
		}
		f.CPUError = f.CPU * spread(b.Open.Turns, a.Open.Turns)
		if a.Open.CPU > 0 {
			f.Collecting = (b.Open.Collecting - a.Open.Collecting) / a.Open.CPU
		}
		out = append(out, f)
	}
	return out
}

// spread is the relative standard error of the ratio of two servers that took turns,
// 0 where that is not known.
func spread(b, a []float64) float64 {
	if len(a) != len(b) || len(a) < 2 {
		return 0
	}
	sum, squares, n := 0.0, 0.0, float64(len(a))
	for i := range a {
		if over(b[i], a[i]) == 0 {
			return 0
		}
		d := math.Log(b[i] / a[i])
		sum, squares = sum+d, squares+d*d
	}
	return math.Sqrt(max(0, squares-sum*sum/n) / (n - 1) / n)
}

// JSON is the machine's form of the report.
func (r *Report) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	return append(b, '\n'), err
}
