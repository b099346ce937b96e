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

// A process settles when it has come to rest, once.
func TestRest(t *testing.T) {
	var r rest
	for i, c := range []struct {
		allocated uint64
		due       bool
	}{
		{100 << 20, false}, // it works
		{100<<20 + 1000, true},
		{100<<20 + 2000, false}, // nothing was left behind since
		{101 << 20, false},
		{120 << 20, false},
		{120<<20 + 1000, true},
	} {
		if due := r.due(c.allocated); due != c.due {
			t.Errorf("second %d: %v", i, due)
		}
	}
}
