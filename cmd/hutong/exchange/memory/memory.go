// Package memory says when garbage is collected, and gives back what the start
// of the process took.
package memory

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// Pace lets this many bytes of garbage gather before it is collected, however
// little is live, until the returned function is called. Go's own measure is the
// live heap, and ours is small beside what requests leave behind: it would
// collect several times a second under load, and each collection takes half a
// core from the requests for some 50 ms. Where more is live than that, Go's
// measure holds. A limit of the whole (GOMEMLIMIT) goes before both.
func Pace(garbage int) (stop func()) {
	p := &pacer{garbage: uint64(garbage)}
	p.watch()
	return func() { p.stopped.Store(true) }
}

// Spend lets a job that has the process to itself use memory instead of time, until
// the returned function is called: garbage is collected when the heap is three
// times what is live, but never let grow beyond three quarters of Available.
func Spend() (stop func()) {
	percent, limit := debug.SetGCPercent(200), debug.SetMemoryLimit(-1)
	if most := Available(); most > 0 {
		debug.SetMemoryLimit(min(limit, most/4*3))
	}
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

// Settle gives back what the start took: definitions that were read, buffers in
// pools, which live for two collections, pages of the binary.
func Settle() {
	runtime.GC()
	debug.FreeOSMemory()
	releaseC()
	releaseBinary()
}

const (
	busy  = 512 << 10 // allocated in a second: the process is not at rest
	worth = 8 << 20   // allocated since the last time, and a quarter of what is live: worth a collection
	often = 16 << 20  // live, for each second between two: one core marks that in a hundredth of it
)

// Rest settles, until ctx ends, each time the process comes to rest.
func Rest(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	r := rest{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
		metrics.Read(now)
		if r.due(now[0].Value.Uint64(), now[1].Value.Uint64()) {
			Settle()
		}
	}
}

// rest tells from what was allocated so far, second by second, when to settle.
type rest struct {
	last, settled uint64
	wait          uint64 // seconds
}

func (r *rest) due(allocated, live uint64) bool {
	quiet := allocated-r.last < busy
	r.last = allocated
	if r.wait > 0 {
		r.wait--
		return false
	}
	if !quiet || allocated-r.settled < max(worth, live/4) {
		return false
	}
	r.settled, r.wait = allocated, live/often
	return true
}

type pacer struct {
	garbage uint64
	percent int // in force; 0 before the first collection
	stopped atomic.Bool
}

// watch adjusts after each collection: what nobody holds is gone then.
func (p *pacer) watch() {
	runtime.AddCleanup(new([64]byte), (*pacer).collected, p)
}

// collected runs on the runtime's own goroutine, one at a time.
func (p *pacer) collected() {
	if p.stopped.Load() {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	// Setting it stops the world for a moment: not for a difference of nothing.
	if want := percentFor(p.garbage, live[0].Value.Uint64()); 10*abs(want-p.percent) > want {
		debug.SetGCPercent(want)
		p.percent = want
	}
	p.watch()
}

// percentFor gives the growth, in percent of what is live, that leaves room for
// the garbage: never less than Go's 100.
func percentFor(garbage, live uint64) int {
	return int(max(100, 100*garbage/max(live, 1<<20)))
}

func abs(n int) int { return max(n, -n) }
