package drive

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Send makes the i-th request of a workload and checks its answer. Each worker
// has a Send of its own, which it calls from one goroutine.
type Send func(ctx context.Context, i int) error

// Outcome is what a stretch of load showed.
type Outcome struct {
	Answered  int           // requests answered well
	Failed    int           // requests that failed or were answered wrongly
	Unsent    int           // open loop: due, but still waiting for a worker when time was up
	Elapsed   time.Duration // from the first request to the last answer
	Latencies *Latencies    // of the answered; open loop: and the waiting time so far of the unsent
	Lag       *Latencies    // open loop: how late a request was sent, which is the generator's part or a full set of workers
	FirstFail error
}

// Rate is the answers a second.
func (o *Outcome) Rate() float64 {
	if o.Elapsed <= 0 {
		return 0
	}
	return float64(o.Answered) / o.Elapsed.Seconds()
}

// Tried counts the requests that were due.
func (o *Outcome) Tried() int { return o.Answered + o.Failed + o.Unsent }

// Add puts another stretch of the same workload to o.
func (o *Outcome) Add(p *Outcome) {
	o.Answered += p.Answered
	o.Failed += p.Failed
	o.Unsent += p.Unsent
	o.Elapsed += p.Elapsed
	if o.Latencies == nil {
		o.Latencies, o.Lag = NewLatencies(), NewLatencies()
	}
	o.Latencies.Merge(p.Latencies)
	o.Lag.Merge(p.Lag)
	if o.FirstFail == nil {
		o.FirstFail = p.FirstFail
	}
}

// Closed sends with this many clients, each its next request after the answer
// to the one before, for the given time. Requests are numbered from first.
func Closed(ctx context.Context, open func() Send, clients int, first int, length time.Duration) *Outcome {
	defer light()()
	var next atomic.Int64
	next.Store(int64(first))
	start := time.Now()
	end := start.Add(length)
	return gather(clients, start, func(out *Outcome) {
		send := open()
		for now := time.Now(); now.Before(end) && ctx.Err() == nil; now = time.Now() {
			out.note(send(ctx, int(next.Add(1)-1)), now)
		}
	})
}

// Open sends at a constant rate (1/s) for the given time, whatever the server
// does, with at most this many requests in flight. A request that finds no
// free worker waits, and its waiting counts as latency. grace is how long the
// answers may take once all requests are due.
func Open(ctx context.Context, open func() Send, rate float64, workers, first int, length, grace time.Duration) *Outcome {
	defer light()()
	total := max(int(rate*length.Seconds()), 1)
	gap := time.Duration(float64(time.Second) / rate)
	ctx, cancel := context.WithTimeout(ctx, length+grace)
	defer cancel()
	ready := make(chan int, min(total, 4096))
	start := time.Now()
	due := func(i int) time.Time { return start.Add(time.Duration(i) * gap) }
	var dispatched int
	var broken error // of the clock, no fault of the server's: it fails the run
	done := make(chan struct{})
	go func() {
		defer close(done)
		dispatched, broken = dispatch(ctx, ready, total, gap, due)
	}()
	var unsent atomic.Int64
	out := gather(workers, start, func(out *Outcome) {
		send := open()
		for i := range ready {
			if ctx.Err() != nil {
				unsent.Add(1)
				out.Latencies.Record(time.Since(due(i)))
				continue
			}
			out.Lag.Record(time.Since(due(i)))
			out.note(send(ctx, first+i), due(i))
		}
	})
	<-done
	for i := dispatched; i < total; i++ {
		unsent.Add(1)
		out.Latencies.Record(time.Since(due(i)))
	}
	out.Unsent = int(unsent.Load())
	if out.FirstFail == nil {
		out.FirstFail = broken
	}
	return out
}

// shortest is the least time between two looks at which requests are due: what
// is due between them is sent together, late by that much at most.
const shortest = 100 * time.Microsecond

// dispatch hands the requests out when they are due and tells how many it
// handed out.
func dispatch(ctx context.Context, ready chan<- int, total int, gap time.Duration, due func(int) time.Time) (int, error) {
	defer close(ready)
	beat, err := newMetronome(max(gap, shortest))
	if err != nil {
		return 0, err
	}
	defer beat.stop()
	for i := range total {
		for time.Until(due(i)) > 0 {
			if err := beat.wait(); err != nil {
				return i, err
			}
		}
		select {
		case ready <- i:
		case <-ctx.Done():
			return i, nil
		}
	}
	return total, nil
}

// note counts one answer to a request that was due at since.
func (o *Outcome) note(err error, since time.Time) {
	if err == nil {
		o.Answered++
		o.Latencies.Record(time.Since(since))
		return
	}
	o.Failed++
	if o.FirstFail == nil {
		o.FirstFail = err
	}
}

// light makes the generator cost little while it sends: what it takes from a
// server on the same machine would count as the server's latency. It runs on
// half of the processors, so that handing a request to a worker wakes no other
// thread where there are two, and does not collect its garbage meanwhile unless
// there is much.
func light() (restore func()) {
	runtime.GC()
	percent := debug.SetGCPercent(800)
	procs := runtime.GOMAXPROCS(max(1, runtime.NumCPU()/2))
	return func() {
		runtime.GOMAXPROCS(procs)
		debug.SetGCPercent(percent)
	}
}

// gather runs the workers and adds up what they noted.
func gather(workers int, start time.Time, work func(*Outcome)) *Outcome {
	parts := make([]Outcome, workers)
	var wg sync.WaitGroup
	for w := range parts {
		parts[w].Latencies, parts[w].Lag = NewLatencies(), NewLatencies()
		wg.Go(func() { work(&parts[w]) })
	}
	wg.Wait()
	sum := &Outcome{}
	for w := range parts {
		sum.Add(&parts[w])
	}
	sum.Elapsed = time.Since(start)
	return sum
}
