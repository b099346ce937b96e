package revive

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// backlog is a tree in which a compaction waits; how many may run at once is
// the test's to say.
type backlog struct {
	allowed, ran atomic.Int32
}

func (b *backlog) GetAllowedWithoutPermission() int { return int(b.allowed.Load()) }

func (b *backlog) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	return b.ran.Load() == 0, pebble.WaitingCompaction{}
}

func (b *backlog) Schedule(pebble.CompactionGrantHandle) bool {
	b.ran.Add(1)
	return true
}

// TestCallsWhoWaits: a compaction that was refused begins as soon as more may
// run at once, though none has ended.
func TestCallsWhoWaits(t *testing.T) {
	t.Parallel()
	tree := &backlog{}
	tree.allowed.Store(1)
	g := &gate{CompactionScheduler: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()}
	g.Register(1, tree)
	if ok, _ := g.TrySchedule(); ok {
		t.Fatal("a compaction began before the engine was open")
	}
	tree.ran.Store(1) // nobody waits yet
	g.open()
	if ok, _ := g.TrySchedule(); !ok {
		t.Fatal("the first compaction was refused")
	}
	if ok, _ := g.TrySchedule(); ok {
		t.Fatal("two compactions run, one may")
	}
	if g.behind() {
		t.Error("a backlog, though one compaction may run")
	}
	tree.ran.Store(0)
	tree.allowed.Store(2)
	for end := time.Now().Add(20 * time.Second); tree.ran.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the second compaction was never called")
		}
	}
	if !g.behind() {
		t.Error("no backlog, though two compactions may run")
	}
	g.Unregister()
	if ok, _ := g.TrySchedule(); ok {
		t.Error("a compaction began after the end")
	}
}
