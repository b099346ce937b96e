package disk_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/health"
	"hutong/fhir/store/storetest"
)

// faulty fails the writing operations of a file system with an error, while
// one is set.
func faulty(fs vfs.FS) (vfs.FS, *atomic.Pointer[error]) {
	var fault atomic.Pointer[error]
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if p := fault.Load(); p != nil && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return *p
		}
		return nil
	})), &fault
}

// raw opens the tree below a store.
func raw() *pebble.Options {
	return &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: &health.Monitor{Log: zerolog.Nop()}}
}

func write(ctx context.Context, w *storetest.World, s store.Store, id string) error {
	op, err := w.Op(fhir.Created, fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":"Li"}]}`, id))
	if err != nil {
		return err
	}
	_, err = s.Commit(ctx, store.Tx{Ops: []store.Op{op}})
	return err
}

// TestDiskFull: while the disk is full writes are refused as Busy and reads go
// on; when there is space again writes go on without a restart, and nothing
// that was acknowledged is lost.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	fs, fault := faulty(mem)
	w := storetest.NewWorld()
	s, err := disk.Open("db", disk.Options{Extract: w.Extract, VFS: fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), w, s, "before"); err != nil {
		t.Fatal(err)
	}
	full := error(syscall.ENOSPC)
	fault.Store(&full)
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := write(short, w, s, "during"); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("a write to a full disk: %v, want Busy", err)
	}
	start := time.Now()
	if err := write(t.Context(), w, s, "refused"); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("a further write: %v, want Busy", err)
	}
	if time.Since(start) > time.Second {
		t.Error("a write to a disk known to be full waited")
	}
	if err := s.Space("x").Apply(t.Context(), []store.Write{{Key: []byte("k"), Value: []byte("v")}}); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("a write to a space: %v, want Busy", err)
	}
	if got := families(t, w, s); got != 1 {
		t.Errorf("a reader sees %d patients while the disk is full, want 1", got)
	}
	fault.Store(nil)
	for i := 0; ; i++ {
		if err = write(t.Context(), w, s, fmt.Sprintf("after%d", i)); err == nil {
			break
		}
		if i == 100 {
			t.Fatalf("writes do not resume: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	n := families(t, w, s)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = disk.Open("db", disk.Options{Extract: w.Extract, VFS: mem}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := families(t, w, s); got != n || n < 2 {
		t.Errorf("%d patients before the restart, %d after", n, got)
	}
}

func families(t *testing.T, w *storetest.World, s store.Store) int {
	t.Helper()
	q, err := w.Query("Patient?family=li&_count=0")
	if err != nil {
		t.Fatal(err)
	}
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	p, err := snap.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return p.Total
}

// TestDiskError: after an I/O error the store refuses writes, goes on reading,
// does not end the process, and a restart has all that was acknowledged.
func TestDiskError(t *testing.T) {
	t.Parallel()
	mem := vfs.NewCrashableMem()
	fs, fault := faulty(mem)
	w := storetest.NewWorld()
	s, err := disk.Open("db", disk.Options{Extract: w.Extract, VFS: fs})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := write(t.Context(), w, s, fmt.Sprintf("p%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	broken := error(syscall.EIO)
	fault.Store(&broken)
	for i := range 5 {
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := write(short, w, s, fmt.Sprintf("lost%d", i)); !errors.Is(err, fhir.E(fhir.Busy)) {
			t.Errorf("a write to a broken disk: %v, want Busy", err)
		}
		cancel()
	}
	if got := families(t, w, s); got != 10 {
		t.Errorf("a reader sees %d patients on the broken disk, want 10", got)
	}
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	fault.Store(nil)
	if err := write(t.Context(), w, s, "later"); !errors.Is(err, fhir.E(fhir.Busy)) {
		t.Errorf("a write after a failed fsync: %v, want Busy until a restart", err)
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "fatal") {
		t.Errorf("Close tells %v of the failure", err)
	}
	again, err := disk.Open("db", disk.Options{Extract: w.Extract, VFS: after})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := families(t, w, again); got != 10 {
		t.Errorf("%d patients after the restart, want 10", got)
	}
	if err := again.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCloseLeavesNoLogs: a store that was closed well keeps its resources in
// tables. Where the disk fails meanwhile they are in the logs, and nothing is lost.
func TestCloseLeavesNoLogs(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]bool{"sound disk": false, "disk that fails": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem()
			var locks atomic.Int32 // one for each time that the tree is opened
			broken := error(syscall.EIO)
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == errorfs.OpLock {
					locks.Add(1)
				}
				if fail && locks.Load() == 2 && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					return broken
				}
				return nil
			}))
			w := storetest.NewWorld()
			o := disk.Options{Extract: w.Extract, VFS: fs}
			s, err := disk.Open("db", o)
			if err != nil {
				t.Fatal(err)
			}
			const n = 3000
			var tx store.Tx
			for i := range n {
				op, err := w.Op(fhir.Created, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","name":[{"family":"Li","text":%q}]}`, i, strings.Repeat("x", 800)))
				if err != nil {
					t.Fatal(err)
				}
				if tx.Ops = append(tx.Ops, op); len(tx.Ops) == 100 {
					if _, err := s.Commit(t.Context(), tx); err != nil {
						t.Fatal(err)
					}
					tx = store.Tx{}
				}
			}
			if logs(t, mem) < 1<<20 {
				t.Fatal("too little was written to prove anything")
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := locks.Load(); got != 2 {
				t.Fatalf("the tree was opened %d times, want once more at the end", got)
			}
			if got := logs(t, mem); (got > 64<<10) != fail {
				t.Errorf("%d bytes of logs are left", got)
			}
			o.VFS = mem
			if s, err = disk.Open("db", o); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := families(t, w, s); got != n {
				t.Errorf("%d resources, want %d", got, n)
			}
		})
	}
}

// logs is the size of the write-ahead logs.
func logs(t *testing.T, fs vfs.FS) (bytes int64) {
	t.Helper()
	names, err := fs.List("db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			st, err := fs.Stat(fs.PathJoin("db", name))
			if err != nil {
				t.Fatal(err)
			}
			bytes += st.Size()
		}
	}
	return bytes
}

// TestFormat: a directory of a newer release is refused with a clear error.
func TestFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := disk.Open(dir, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Open(dir, raw())
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(db.Set([]byte("Mformat"), binary.AppendUvarint(nil, disk.Format+1), pebble.Sync), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = disk.Open(dir, disk.Options{}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("format %d", disk.Format+1)) {
		t.Errorf("a newer format: %v", err)
	}
}

// TestHorizon: a snapshot of a time whose history is no longer kept is Gone.
func TestHorizon(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := storetest.NewWorld()
	s, err := disk.Open(dir, disk.Options{Extract: w.Extract})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := write(t.Context(), w, s, fmt.Sprintf("p%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	db, err := pebble.Open(dir, raw())
	if err == nil {
		t.Fatal("a second process opened the store's folder")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = pebble.Open(dir, raw()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("Mhorizon"), binary.AppendUvarint(nil, 3), pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = disk.Open(dir, disk.Options{Extract: w.Extract}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for at, want := range map[fhir.T]error{2: fhir.E(fhir.Gone), 3: nil, 4: nil} {
		if _, err := s.Snapshot(t.Context(), at); !errors.Is(err, want) {
			t.Errorf("Snapshot(%d): %v, want %v", at, err, want)
		}
	}
}

// TestMetrics: what is registered can be gathered, before and after Close.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := storetest.NewWorld()
	s, err := disk.Open("db", disk.Options{Extract: w.Extract, VFS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), w, s, "p"); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.Metrics())
	values := func() map[string]float64 {
		fams, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]float64{}
		for _, f := range fams {
			m[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
		return m
	}
	if m := values(); m["hutong_store_commits_total"] != 1 || m["hutong_store_writable"] != 1 || m["hutong_store_memtable_bytes"] == 0 {
		t.Errorf("metrics %v", m)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if m := values(); len(m) != 0 {
		t.Errorf("metrics of a closed store: %v", m)
	}
}

// TestBudget: a search that looks at too much is refused, not run.
func TestBudget(t *testing.T) {
	t.Parallel()
	w := storetest.NewWorld()
	s, err := disk.Open("db", disk.Options{Extract: w.Extract, VFS: vfs.NewMem(), MaxExamined: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 60 {
		if err := write(t.Context(), w, s, fmt.Sprintf("p%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for query, kind := range map[string]fhir.Kind{"Patient?_id=p1": 0, "Patient?family=li&name:contains=i&_count=0": fhir.TooCostly} {
		q, err := w.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = snap.Search(t.Context(), q)
		if (err != nil) != (kind != 0) || err != nil && fhir.KindOf(err) != kind {
			t.Errorf("%s: %v", query, err)
		}
	}
}
