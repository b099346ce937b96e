package pace

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestDue: a job rests as long as it worked, whatever it did before it began.
func TestDue(t *testing.T) {
	t.Parallel()
	j, now, rested := &job{}, time.Now(), time.Duration(0)
	const step, steps = 100 * time.Microsecond, 1000
	for range steps {
		now = now.Add(step)
		if d := j.due(now); d > 0 {
			rested += d
			now = now.Add(d)
			j.resume(now)
		}
	}
	if worked := steps * step; rested < worked-slice || rested > worked+slice {
		t.Errorf("rested %v after %v of work", rested, worked)
	}
	if d := j.due(now.Add(time.Hour)); d > 2*slice {
		t.Errorf("rests %v after an hour in which nothing was written", d)
	}
}

// TestWhoRests: flushes and compactions rest, logs do not, and nobody where that
// would hold writers up or the end of the process.
func TestWhoRests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		kind   vfs.DiskWriteCategory
		logs   int // that were begun just now
		behind bool
		stop   bool
		want   bool
	}{
		{name: "flush", kind: "pebble-memtable-flush", want: true},
		{name: "compaction", kind: "pebble-compaction", want: true},
		{name: "blob rewrite", kind: "pebble-blob-file-rewrite", want: true},
		{name: "one memtable was full", kind: "pebble-memtable-flush", logs: 1, want: true},
		{name: "memtables fill fast", kind: "pebble-memtable-flush", logs: 2},
		{name: "backlog", kind: "pebble-compaction", behind: true},
		{name: "closing", kind: "pebble-compaction", stop: true},
		{name: "log", kind: "pebble-wal"},
		{name: "other", kind: vfs.WriteCategoryUnspecified},
	} {
		var rests atomic.Int32
		f := New(vfs.NewMem(), func() bool { return c.behind })
		f.sleep = func(time.Duration) { rests.Add(1) }
		for range c.logs {
			if _, err := f.Create("log", "pebble-wal"); err != nil {
				t.Fatal(err)
			}
		}
		if c.stop {
			f.Stop()
		}
		file, err := f.Create("file", c.kind)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 { // after an hour each: a slice of work
			if j := f.jobs[c.kind]; j != nil {
				j.resume(time.Now().Add(-time.Hour))
			}
			if n, err := file.Write([]byte("block")); n != 5 || err != nil {
				t.Fatal(n, err)
			}
		}
		if got := rests.Load() == 3; got != c.want || !c.want && rests.Load() > 0 {
			t.Errorf("%s: %d rests after 3 slices of work", c.name, rests.Load())
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		in, err := f.Open("file")
		if err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(in); string(all) != "blockblockblock" || err != nil {
			t.Errorf("%s: wrote %q (%v)", c.name, all, err)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
