package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// Floor is what the project demands of itself, as data: one measure, and a
// latency with it where the floor names one.
type Floor struct {
	Name     string  `json:"name"`
	ZH       string  `json:"zh"`
	Workload string  `json:"workload"`
	Measure  string  `json:"measure"`
	AtLeast  float64 `json:"atLeast"` // 0: the measure has a ceiling instead
	AtMost   float64 `json:"atMost"`
	Unit     string  `json:"unit"`
	Latency  string  `json:"latency"` // p95 or p99 of the open loop; "" none
	AtMostMs float64 `json:"atMostMs"`
}

//go:embed floors.json
var floors []byte

// Floors reads the list.
func Floors() ([]Floor, error) {
	var out []Floor
	if err := json.Unmarshal(floors, &out); err != nil {
		return nil, fmt.Errorf("floors.json: %w", err)
	}
	return out, nil
}

// Verdict holds one floor against one scale.
type Verdict struct {
	Floor     Floor   `json:"floor"`
	Patients  int     `json:"patients"`
	Measured  bool    `json:"measured"`
	Value     float64 `json:"value"`
	LatencyMs float64 `json:"latencyMs,omitempty"`
	AtRate    float64 `json:"latencyAtPerSecond,omitempty"` // the open loop's rate
	Met       bool    `json:"met"`
	Missed    float64 `json:"missedBy,omitempty"`        // share by which the measure is below the floor or above the ceiling: 0.25 is a quarter
	Slow      float64 `json:"latencyMissedBy,omitempty"` // the same of the latency
	Bound     Bound   `json:"bound"`
}

// Bound tells what a workload was limited by, as far as the figures show.
type Bound struct {
	ServerCores    float64 `json:"serverCores"`
	GeneratorCores float64 `json:"generatorCores"`
	OtherCores     float64 `json:"otherCores"`
	Cores          int     `json:"cores"`
	DiskRead       float64 `json:"diskReadBytesPerSecond"`
	DiskWritten    float64 `json:"diskWrittenBytesPerSecond"`
	Fsync          float64 `json:"fsyncPerSecond"`
	Writes         bool    `json:"writes"`
	Failed         int     `json:"failed"`
	FirstError     string  `json:"firstError,omitempty"`
}

// Judge holds the floors against the scale. writes tells which workloads wait
// for the disk.
func (r *Report) Judge(s *Scale, list []Floor, writes func(string) bool) []Verdict {
	out := make([]Verdict, len(list))
	for i, f := range list {
		v := Verdict{Floor: f, Patients: s.Patients}
		res := s.Result(f.Workload)
		v.Value, v.Measured = r.measure(&f, s, res)
		if v.Measured {
			v.Missed = shortfall(v.Value, f.AtLeast, f.AtMost)
			v.latency(res)
		}
		if res != nil {
			v.Bound = Bound{
				ServerCores: res.Closed.ServerCores, GeneratorCores: res.Closed.GeneratorCores, OtherCores: res.Closed.OtherCores, Cores: r.Machine.Cores,
				DiskRead: res.Closed.DiskRead, DiskWritten: res.Closed.DiskWritten,
				Fsync: r.Machine.Fsync.PerSecond, Writes: writes(f.Workload), Failed: res.Failed(), FirstError: res.FirstError,
			}
		}
		v.Met = v.Measured && v.Missed == 0 && v.Slow == 0 && v.Bound.Failed == 0
		out[i] = v
	}
	return out
}

// latency holds the floor's percentile against the open loop. Requests that
// were never sent are in the percentiles already.
func (v *Verdict) latency(res *Result) {
	f := &v.Floor
	if f.Latency == "" || res == nil {
		return
	}
	p := res.Open.Latency
	v.LatencyMs, v.AtRate = map[string]float64{"p50": p.P50, "p95": p.P95, "p99": p.P99}[f.Latency], res.Open.Target
	v.Slow = shortfall(v.LatencyMs, 0, f.AtMostMs)
}

// shortfall is the share of the floor by which the value misses it, 0 if it does not.
func shortfall(value, atLeast, atMost float64) float64 {
	if atLeast > 0 {
		return max(0, 1-value/atLeast)
	}
	return max(0, value/atMost-1)
}

// measure reads the value that the floor speaks of.
func (r *Report) measure(f *Floor, s *Scale, res *Result) (value float64, ok bool) {
	switch f.Measure {
	case "bytes-per-resource":
		return s.Store.BytesPerResource, s.Store.BytesPerResource > 0
	case "cold-start":
		return s.Store.ColdStartMs, s.Store.ColdStartMs > 0
	case "idle-rss":
		return float64(s.Store.IdleRSS) / 1e6, s.Store.IdleRSS > 0
	case "flatness":
		return r.steepest(s.Patients)
	}
	if res == nil || res.Closed.Answered == 0 && len(res.Figures) == 0 {
		return 0, false
	}
	switch f.Measure {
	case "units":
		return res.Units(), true
	case "rate":
		return res.Closed.Rate, true
	case "closed-p50":
		return res.Closed.Latency.P50, true
	}
	name, _ := strings.CutPrefix(f.Measure, "figure:")
	value, ok = res.Figures[name]
	return value, ok
}

// steepest is the worst ratio of CPU a query up to this scale.
func (r *Report) steepest(patients int) (worst float64, ok bool) {
	for _, f := range r.Flatness {
		if f.To == patients {
			worst, ok = max(worst, f.CPU), true
		}
	}
	return worst, ok
}
