package revive_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/revive"
	"hutong/fhir/store/storetest"
)

// faults fails writing operations: every one while always is set, or the next
// one when the countdown ends.
type faults struct {
	always atomic.Bool
	nth    atomic.Int64 // 0: off; counts down
	seen   atomic.Int64
}

func (f *faults) wrap(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpLock {
			return nil
		}
		f.seen.Add(1)
		if f.always.Load() || f.nth.Load() > 0 && f.nth.Add(-1) == 0 {
			return syscall.EIO
		}
		return nil
	}))
}

type fixture struct {
	t   *testing.T
	w   *storetest.World
	mem *vfs.MemFS
	*faults
	s     *revive.Store
	acked map[string]uint64 // by id, the version that was acknowledged
}

func newFixture(t *testing.T, o disk.Options) *fixture {
	f := &fixture{t: t, w: storetest.NewWorld(), mem: vfs.NewCrashableMem(), faults: &faults{}, acked: map[string]uint64{}}
	o.Extract, o.VFS = f.w.Extract, f.wrap(f.mem)
	var err error
	if f.s, err = revive.Open("db", o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.s.Close() })
	return f
}

// put writes a patient and remembers what was acknowledged.
func (f *fixture) put(id string) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	defer cancel()
	op, err := f.w.Op(fhir.Updated, fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":"Li"}]}`, id))
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := f.s.Commit(ctx, store.Tx{Ops: []store.Op{op}})
	if err == nil {
		f.acked[id] = r.Versions[0].VersionID
	} else if !errors.Is(err, fhir.E(fhir.Busy)) {
		f.t.Errorf("a write to a failing disk: %v, want Busy", err)
	}
	return err
}

// resume writes until a write is taken.
func (f *fixture) resume(id string) {
	f.t.Helper()
	for i := 0; f.put(id) != nil; i++ {
		if i == 1000 {
			f.t.Fatal("writes do not resume")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// verify: what was acknowledged is there, by this engine and by one that
// starts from what a power failure would have left.
func (f *fixture) verify() {
	f.t.Helper()
	f.holds(f.s)
	crashed, err := disk.Open("db", disk.Options{Extract: f.w.Extract, VFS: f.mem.CrashClone(vfs.CrashCloneCfg{})})
	if err != nil {
		f.t.Fatalf("after a power failure: %v", err)
	}
	defer crashed.Close()
	f.holds(crashed)
}

func (f *fixture) holds(s interface {
	store.Store
	Check(context.Context) error
}) {
	f.t.Helper()
	snap, err := s.Snapshot(f.t.Context(), 0)
	if err != nil {
		f.t.Fatal(err)
	}
	defer snap.Close()
	for id, version := range f.acked {
		r, err := snap.Get(f.t.Context(), fhir.Key{Type: "Patient", ID: id})
		if err != nil || r.VersionID < version {
			f.t.Errorf("%s: version %d was acknowledged, there is %d (%v)", id, version, r.VersionID, err)
		}
	}
	if err := s.Check(f.t.Context()); err != nil {
		f.t.Error(err)
	}
}

// TestRecovers: on a broken disk writes are refused and reads served, whatever
// snapshot they were opened with; once it is mended writes resume in the same
// process and nothing that was acknowledged is lost.
func TestRecovers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, disk.Options{})
	for i := range 10 {
		if err := f.put(fmt.Sprintf("p%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	old, err := f.s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- f.s.WaitChange(t.Context(), old.T()) }()
	f.always.Store(true)
	for i := range 5 {
		if f.put(fmt.Sprintf("lost%d", i)) == nil {
			t.Error("a write to a broken disk was acknowledged")
		}
	}
	if err := f.s.Space("x").Apply(t.Context(), []store.Write{{Key: []byte("k"), Value: []byte("v")}}); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("a write to a space: %v, want Busy", err)
	}
	f.readable(old)
	f.always.Store(false)
	f.resume("later")
	if n := f.s.Recoveries(); n != 1 {
		t.Errorf("%d recoveries, want 1", n)
	}
	f.readable(old)
	if err := f.s.Space("x").Apply(t.Context(), []store.Write{{Key: []byte("k"), Value: []byte("v")}}); err != nil {
		t.Error(err)
	}
	if err := <-waited; err != nil {
		t.Errorf("who waited for a change over the failure: %v", err)
	}
	f.verify()
}

func (f *fixture) readable(s store.Snapshot) {
	f.t.Helper()
	for i := range 10 {
		if _, err := s.Get(f.t.Context(), fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", i)}); err != nil {
			f.t.Error(err)
		}
	}
}

// TestEveryWriteFailsOnce fails each writing operation of a workload in turn,
// those of recovery included: it goes on each time and loses nothing.
func TestEveryWriteFailsOnce(t *testing.T) {
	t.Parallel()
	var recovered atomic.Uint64
	t.Cleanup(func() {
		if recovered.Load() < 6 {
			t.Errorf("%d recoveries: hardly a fault was met", recovered.Load())
		}
	})
	for nth := int64(1); nth < 60; nth += 9 {
		t.Run(fmt.Sprint(nth), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, disk.Options{MemTableBytes: 64 << 10})
			f.resume("first")
			f.nth.Store(nth)
			for i := range 50 {
				f.resume(fmt.Sprintf("p%d", i%7))
				if i%20 == 10 {
					f.nth.Store(3 + nth%5)
				}
			}
			f.verify()
			recovered.Add(f.s.Recoveries())
		})
	}
}

// TestReads: every way to read says the same before, during and after a
// failure, by a snapshot that was opened before it.
func TestReads(t *testing.T) {
	t.Parallel()
	f := newFixture(t, disk.Options{})
	for i := range 12 {
		f.resume(fmt.Sprintf("p%d", i%5))
	}
	if err := f.s.Space("x").Apply(t.Context(), []store.Write{{Key: []byte("k"), Value: []byte("v")}}); err != nil {
		t.Fatal(err)
	}
	snap, err := f.s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	before := f.everything(snap)
	f.always.Store(true)
	_ = f.put("lost")
	if got := f.everything(snap); got != before {
		t.Errorf("during the failure:\n%s\nwant\n%s", got, before)
	}
	f.always.Store(false)
	f.resume("later")
	if got := f.everything(snap); got != before {
		t.Errorf("after the failure:\n%s\nwant\n%s", got, before)
	}
}

// everything reads by each method.
func (f *fixture) everything(snap store.Snapshot) string {
	f.t.Helper()
	ctx, key := f.t.Context(), fhir.Key{Type: "Patient", ID: "p1"}
	q, err := f.w.Query("Patient?family=li&_sort=_id&_total=accurate")
	if err != nil {
		f.t.Fatal(err)
	}
	one, err1 := snap.Get(ctx, key)
	many, err2 := snap.GetMany(ctx, []fhir.Key{key, {Type: "Patient", ID: "none"}})
	first, err3 := snap.GetVersion(ctx, key, 1)
	history, err4 := snap.History(ctx, store.History{Key: key, Count: 10, Restriction: unrestricted()})
	page, err5 := snap.Search(ctx, q)
	_, err6 := snap.Explain(ctx, q)
	changes, err7 := f.s.Changes(ctx, 0, 5)
	kvs, err8 := f.s.Space("x").Scan(ctx, nil, nil, 0)
	value, err9 := f.s.Space("x").Get(ctx, []byte("k"))
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9); err != nil {
		f.t.Fatal(err)
	}
	return fmt.Sprint(snap.T(), one, many, first, history, page, changes, kvs, value)
}

// TestFlapping: a disk that fails again and again, in the middle of recovery
// too.
func TestFlapping(t *testing.T) {
	t.Parallel()
	f := newFixture(t, disk.Options{})
	for round := range 4 {
		f.always.Store(true)
		_ = f.put("flap")
		time.Sleep(120 * time.Millisecond)
		f.always.Store(false)
		f.nth.Store(int64(5 + 9*round)) // one more failure while the engine reopens
		f.resume(fmt.Sprintf("p%d", round))
	}
	f.verify()
}

// TestTornWrite: a power failure in the middle of a write leaves any part of
// what was not synced; what was acknowledged is there, and nothing in part.
func TestTornWrite(t *testing.T) {
	t.Parallel()
	f := newFixture(t, disk.Options{})
	for i := range 30 {
		f.resume(fmt.Sprintf("p%d", i%9))
		if i%3 == 0 {
			f.always.Store(i%6 == 0)
			_ = f.put("torn")
			f.always.Store(false)
		}
		if i%5 != 0 {
			continue
		}
		torn := f.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng(uint64(i))})
		s, err := disk.Open("db", disk.Options{Extract: f.w.Extract, VFS: torn})
		if err != nil {
			t.Fatalf("after a torn write: %v", err)
		}
		f.holds(s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMetrics: a collector that was registered once follows the living engine.
func TestMetrics(t *testing.T) {
	t.Parallel()
	f := newFixture(t, disk.Options{})
	f.resume("p")
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(f.s.Metrics())
	f.always.Store(true)
	_ = f.put("q")
	f.always.Store(false)
	f.resume("r")
	if fams, err := reg.Gather(); err != nil || len(fams) == 0 {
		t.Errorf("metrics after a recovery: %d, %v", len(fams), err)
	}
}

// TestLocked: a second process (here: a second store) is refused while the
// first lives, also after a recovery.
func TestLocked(t *testing.T) {
	t.Parallel()
	dir, w := t.TempDir(), storetest.NewWorld()
	s, err := revive.Open(dir, disk.Options{Extract: w.Extract})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := revive.Open(dir, disk.Options{Extract: w.Extract}); err == nil {
		t.Error("two stores in one directory")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := revive.Open(dir, disk.Options{Extract: w.Extract})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// TestSlowDisk: a disk that takes long makes writes wait or be refused as
// Busy, never fail otherwise, and none is lost.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	w, mem := storetest.NewWorld(), vfs.NewMem()
	var slow atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if slow.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			time.Sleep(50 * time.Millisecond)
		}
		return nil
	}))
	f := &fixture{t: t, w: w, acked: map[string]uint64{}}
	var err error
	if f.s, err = revive.Open("db", disk.Options{Extract: w.Extract, VFS: fs, Queue: 2}); err != nil {
		t.Fatal(err)
	}
	defer f.s.Close()
	f.resume("p")
	slow.Store(true)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	op, err := w.Op(fhir.Updated, `{"resourceType":"Patient","id":"late"}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.s.Commit(short, store.Tx{Ops: []store.Op{op}}); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("a write that the disk is too slow for: %v, want Busy", err)
	}
	for i := range 5 {
		f.resume(fmt.Sprintf("p%d", i))
	}
	slow.Store(false)
	f.holds(f.s)
	if f.s.Recoveries() != 0 {
		t.Error("slowness was taken for failure")
	}
}

// TestClockJumps: whatever the clock does, lastUpdated never goes backwards
// for one resource, nor do histories lose versions.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f := newFixture(t, disk.Options{Now: func() time.Time { return now }})
	var last time.Time
	jumps := []time.Duration{time.Hour, -26 * time.Hour, 0, 400 * 24 * time.Hour, -800 * 24 * time.Hour, time.Millisecond}
	for i, jump := range jumps {
		now = now.Add(jump)
		f.resume("p")
		snap, err := f.s.Snapshot(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		r, err := snap.Get(t.Context(), fhir.Key{Type: "Patient", ID: "p"})
		if err != nil || r.LastUpdated.Before(last) {
			t.Errorf("jump %d: lastUpdated %v after %v (%v)", i, r.LastUpdated, last, err)
		}
		last = r.LastUpdated
		h, err := snap.History(t.Context(), store.History{Key: fhir.Key{Type: "Patient"}, Since: last, Count: 100, Restriction: unrestricted()})
		if err != nil || len(h.Versions) == 0 {
			t.Errorf("jump %d: the history since lastUpdated has %d versions (%v)", i, len(h.Versions), err)
		}
		snap.Close()
	}
	f.verify()
}

// refusing lets no compaction begin.
type refusing struct{ pebble.CompactionScheduler }

func (refusing) TrySchedule() (bool, pebble.CompactionGrantHandle) { return false, nil }

// runs gives the sorted runs that a read of s may look at.
func runs(t *testing.T, s *disk.Store) int {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(s.Metrics()); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	for _, f := range families {
		if f.GetName() == "hutong_store_read_amplification" {
			return int(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	t.Fatalf("no metric (%v)", err)
	return 0
}

// TestCompactsWhatItFinds: a store that was closed with much to compact is compacted
// though nobody writes: writers would wait for ever for a tree whose level 0 is full.
func TestCompactsWhatItFinds(t *testing.T) {
	t.Parallel()
	w, mem := storetest.NewWorld(), vfs.NewMem()
	o := disk.Options{Extract: w.Extract, VFS: mem, MemTableBytes: 256 << 10}
	first := o
	first.Compactions = refusing{pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()}
	d, err := disk.Open("db", first)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i%100 > 0 || runs(t, d) < 12; i++ {
		op, err := w.Op(fhir.Created, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","name":[{"text":"%0900d"}]}`, i, i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Commit(t.Context(), store.Tx{Ops: []store.Op{op}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := revive.Open("db", o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for end := time.Now().Add(20 * time.Second); runs(t, s.Engine()) > 8; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d sorted runs, and nothing is compacted", runs(t, s.Engine()))
		}
	}
}
