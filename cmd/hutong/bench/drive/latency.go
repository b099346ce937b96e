// Package drive sends load: closed loop, to find how much a server can take,
// and open loop at a constant rate, with each latency measured from the moment
// at which the request was due, so that a server that stalls cannot hide the
// requests that had to wait (coordinated omission).
package drive

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies is a histogram of durations from 1 µs to 5 minutes with three
// significant digits. It is not safe for concurrent use: each worker has one.
type Latencies struct{ h *hdrhistogram.Histogram }

const longest = 5 * time.Minute

// NewLatencies gives an empty histogram.
func NewLatencies() *Latencies {
	return &Latencies{hdrhistogram.New(1, longest.Microseconds(), 3)}
}

// Record adds one duration; what is out of range counts as the range's end.
func (l *Latencies) Record(d time.Duration) {
	us := min(max(d.Microseconds(), 1), longest.Microseconds())
	_ = l.h.RecordValue(us) // within the range
}

// Merge adds all that o holds.
func (l *Latencies) Merge(o *Latencies) { l.h.Merge(o.h) }

// Count tells how many durations were recorded.
func (l *Latencies) Count() int { return int(l.h.TotalCount()) }

// Percentiles are in milliseconds.
type Percentiles struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// Percentiles reads the histogram; all are 0 where it is empty.
func (l *Latencies) Percentiles() Percentiles {
	if l.Count() == 0 {
		return Percentiles{}
	}
	at := func(q float64) float64 { return float64(l.h.ValueAtQuantile(q)) / 1e3 }
	return Percentiles{P50: at(50), P95: at(95), P99: at(99), P999: at(99.9), Max: float64(l.h.Max()) / 1e3, Mean: l.h.Mean() / 1e3}
}
