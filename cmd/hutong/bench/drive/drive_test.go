package drive_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"hutong/cmd/hutong/bench/drive"
)

// Percentiles against a sorted slice: the histogram may be off by its
// precision of three digits, not more.
func TestPercentilesAgreeWithASortedSlice(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := 1 + r.IntN(5000)
		whole, parts := drive.NewLatencies(), []*drive.Latencies{drive.NewLatencies(), drive.NewLatencies(), drive.NewLatencies()}
		all := make([]time.Duration, n)
		for i := range all {
			// From microseconds to a minute, every order of magnitude as often.
			all[i] = time.Duration(1+r.IntN(9)) * time.Microsecond
			for range r.IntN(7) {
				all[i] *= time.Duration(2 + r.IntN(9))
			}
			all[i] = min(all[i], time.Minute)
			whole.Record(all[i])
			parts[i%3].Record(all[i])
		}
		merged := drive.NewLatencies()
		for _, p := range parts {
			merged.Merge(p)
		}
		if whole.Percentiles() != merged.Percentiles() || merged.Count() != n {
			t.Fatalf("seed %d: merging parts differs from recording at once", seed)
		}
		slices.Sort(all)
		p := whole.Percentiles()
		for _, c := range []struct{ q, got float64 }{{0.5, p.P50}, {0.95, p.P95}, {0.99, p.P99}, {0.999, p.P999}, {1, p.Max}} {
			// The rank of a percentile is rounded one way or the other.
			rank := c.q * float64(n)
			lo, hi := all[max(0, int(rank)-1)], all[min(n-1, int(rank+0.5))]
			if c.got < ms(lo)*0.998 || c.got > ms(hi)*1.002 {
				t.Errorf("seed %d, n %d: p%g is %g ms, not between %g and %g", seed, n, c.q*100, c.got, ms(lo), ms(hi))
			}
		}
	}
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

func TestEmptyAndOutOfRange(t *testing.T) {
	l := drive.NewLatencies()
	if l.Percentiles() != (drive.Percentiles{}) {
		t.Error("an empty histogram has percentiles")
	}
	l.Record(-time.Second)
	l.Record(time.Hour)
	if p := l.Percentiles(); l.Count() != 2 || p.Max < 299_000 || p.Max > 301_000 {
		t.Errorf("%d recorded, max %g ms", l.Count(), p.Max)
	}
}

// A server that stalls once, for 300 ms, at one worker: the requests that were
// due meanwhile waited for it, and the percentiles must show that. Noise of the
// machine can only make latencies longer.
func TestOpenLoopCountsTheWaiting(t *testing.T) {
	const stall = 300 * time.Millisecond
	send := func(_ context.Context, i int) error {
		if i == 0 {
			time.Sleep(stall)
		}
		return nil
	}
	out := drive.Open(context.Background(), func() drive.Send { return send }, 500, 1, 0, stall, 10*time.Second)
	p := out.Latencies.Percentiles()
	if out.Answered != 150 || out.Unsent != 0 {
		t.Fatalf("%d answered, %d unsent, want 150 and 0", out.Answered, out.Unsent)
	}
	// Requests come every 2 ms; the i-th waits stall - 2i ms: half of them more than 150 ms.
	if p.P50 < 145 || p.Max < 299 {
		t.Errorf("p50 %g ms, max %g ms: the stall is hidden", p.P50, p.Max)
	}
	// The closed loop, which does hide it, is not used for latencies at a rate.
	closed := drive.Closed(context.Background(), func() drive.Send { return send }, 1, 0, stall+100*time.Millisecond)
	if closed.Answered < 2 || closed.Latencies.Percentiles().P50 > 145 {
		t.Errorf("closed loop: %d answered, p50 %g ms", closed.Answered, closed.Latencies.Percentiles().P50)
	}
}

// Who never answers does not hold up the end, and nobody who waited is forgotten.
func TestOpenLoopEndsAndCountsTheUnsent(t *testing.T) {
	send := func(ctx context.Context, _ int) error {
		<-ctx.Done()
		return ctx.Err()
	}
	out := drive.Open(context.Background(), func() drive.Send { return send }, 100, 2, 0, 200*time.Millisecond, 100*time.Millisecond)
	if out.Answered != 0 || out.Failed != 2 || out.Unsent != 18 || out.Tried() != 20 {
		t.Errorf("answered %d, failed %d, unsent %d, want 0, 2, 18", out.Answered, out.Failed, out.Unsent)
	}
	if p := out.Latencies.Percentiles(); p.Max < 200 {
		t.Errorf("the longest wait is %g ms, want more than 200", p.Max)
	}
}

// Numbers run on without a gap or a repeat, over all workers, in both loops.
func TestEveryRequestIsSentOnce(t *testing.T) {
	for name, load := range map[string]func(func() drive.Send) *drive.Outcome{
		"open": func(s func() drive.Send) *drive.Outcome {
			return drive.Open(context.Background(), s, 5000, 16, 100, 100*time.Millisecond, time.Minute)
		},
		"closed": func(s func() drive.Send) *drive.Outcome {
			return drive.Closed(context.Background(), s, 16, 100, 300*time.Millisecond)
		},
	} {
		seen := make([]atomic.Int32, 2_000_000)
		var workers atomic.Int32
		out := load(func() drive.Send {
			workers.Add(1)
			return func(_ context.Context, i int) error {
				seen[i].Add(1)
				time.Sleep(100 * time.Microsecond)
				if i%7 == 0 {
					return errors.New("no")
				}
				return nil
			}
		})
		n := out.Tried()
		for i := range seen {
			want := int32(0)
			if i >= 100 && i < 100+n {
				want = 1
			}
			if got := seen[i].Load(); got != want {
				t.Fatalf("%s: request %d was sent %d times, want %d", name, i, got, want)
			}
		}
		failed := 0
		for i := 100; i < 100+n; i++ {
			if i%7 == 0 {
				failed++
			}
		}
		if workers.Load() != 16 || out.Failed != failed || out.FirstFail == nil || out.Latencies.Count() != out.Answered {
			t.Errorf("%s: %d workers, %d failed of %d, want %d, %d latencies for %d answers", name, workers.Load(), out.Failed, n, failed, out.Latencies.Count(), out.Answered)
		}
	}
}
