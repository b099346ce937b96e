package memory

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// A small heap is given room; a large one Go's own.
func TestPercentFor(t *testing.T) {
	for _, c := range []struct {
		garbage, live uint64
		want          int
	}{{160 << 20, 40 << 20, 400}, {160 << 20, 0, 16_000}, {160 << 20, 320 << 20, 100}, {0, 40 << 20, 100}} {
		if got := percentFor(c.garbage, c.live); got != c.want {
			t.Errorf("%d of garbage at %d live: %d percent, want %d", c.garbage, c.live, got, c.want)
		}
	}
}

// The pace follows collections until it is stopped, and no further.
func TestPaceFollowsCollections(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	stop := Pace(1 << 30)
	for range 1000 { // cleanups run some time after the collection
		runtime.GC()
		if percent() > 100 {
			break
		}
	}
	if got := percent(); got <= 100 {
		t.Fatalf("%d percent with 1 GiB of room", got)
	}
	stop()
	runtime.GC()
	runtime.GC()
	p := &pacer{garbage: 1 << 30}
	p.stopped.Store(true)
	debug.SetGCPercent(100)
	p.collected()
	if got := percent(); got != 100 {
		t.Errorf("%d percent after the stop", got)
	}
}

// A process settles when it has come to rest and it is worth it, seldom where much is live.
func TestRest(t *testing.T) {
	const mb = 1 << 20
	var r rest
	for i, c := range []struct {
		seconds         int // that pass before, with nothing allocated
		allocated, live uint64
		due             bool
	}{
		{0, 100 * mb, 50 * mb, false}, // it works
		{0, 100*mb + 1000, 50 * mb, true},
		{0, 200 * mb, 50 * mb, false},
		{0, 200*mb + 1000, 50 * mb, false}, // it just has
		{2, 200*mb + 1000, 50 * mb, true},
		{9, 201 * mb, 50 * mb, false}, // nothing was left behind
		{0, 220 * mb, 500 * mb, false},
		{9, 220 * mb, 500 * mb, false}, // little beside what is live
		{0, 220 * mb, 64 * mb, true},
		{0, 900 * mb, 1000 * mb, false},
		{2, 900 * mb, 1000 * mb, false},
		{9, 900 * mb, 1000 * mb, true},
		{9, 1900 * mb, 1000 * mb, false},
		{50, 1900 * mb, 1000 * mb, false},
		{9, 1900 * mb, 1000 * mb, true},
	} {
		for range c.seconds {
			if r.due(r.last, 1<<40) {
				t.Fatalf("step %d: due for nothing", i)
			}
		}
		if due := r.due(c.allocated, c.live); due != c.due {
			t.Errorf("step %d: %v", i, due)
		}
	}
}
