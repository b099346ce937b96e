package backup_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/backup"
	"hutong/fhir/store/storetest"
)

// region is a store with an archive and a memory of what it was at each T.
type region struct {
	t       *testing.T
	w       *storetest.World
	rng     *rand.Rand
	dir     string
	s       *disk.Store
	a       *backup.Archive
	now     time.Time
	states  map[fhir.T]string // all versions of all resources, and the spaces
	instant map[fhir.T]time.Time
}

func newRegion(t *testing.T, segment int64) *region {
	r := &region{
		t: t, w: storetest.NewWorld(), rng: rand.New(rand.NewPCG(7, 7)), dir: t.TempDir(),
		now: time.Now().UTC().Truncate(time.Second), states: map[fhir.T]string{}, instant: map[fhir.T]time.Time{},
	}
	r.s = r.openStore(filepath.Join(r.dir, "store"))
	t.Cleanup(func() { _ = r.s.Close() })
	for range 10 {
		r.write()
	}
	r.archive(segment)
	return r
}

func (r *region) openStore(dir string) *disk.Store {
	r.t.Helper()
	s, err := disk.Open(dir, disk.Options{Extract: r.w.Extract, Now: func() time.Time { return r.now }})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *region) archive(segment int64) {
	r.t.Helper()
	var err error
	r.a, err = backup.Open(r.t.Context(), backup.Config{
		Store: r.s, Engine: func() backup.Engine { return r.s }, Dir: r.archiveDir(), Staging: filepath.Join(r.dir, "staging"),
		Segment: segment, Now: func() time.Time { return r.now },
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *region) archiveDir() string { return filepath.Join(r.dir, "archive") }

// write commits one random transaction and one write to a space, and remembers
// the state that follows.
func (r *region) write() {
	r.t.Helper()
	r.now = r.now.Add(time.Duration(1+r.rng.IntN(5)) * time.Second)
	var tx store.Tx
	for _, n := range r.rng.Perm(12)[:1+r.rng.IntN(4)] {
		id := fmt.Sprintf("p%d", n)
		if r.rng.IntN(5) == 0 {
			tx.Ops = append(tx.Ops, store.Op{Key: fhir.Key{Type: "Patient", ID: id}, Method: fhir.Deleted})
			continue
		}
		op, err := r.w.Op(fhir.Updated, fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":"<%d&>"}],"active":%t}`, id, r.rng.IntN(100), r.rng.IntN(2) == 0))
		if err != nil {
			r.t.Fatal(err)
		}
		tx.Ops = append(tx.Ops, op)
	}
	res, err := r.s.Commit(r.t.Context(), tx)
	if err != nil {
		r.t.Fatal(err)
	}
	w := store.Write{Key: fmt.Appendf(nil, "k%d", r.rng.IntN(5)), Value: fmt.Appendf(nil, "after %d \x00\xff", res.T)}
	if r.rng.IntN(4) == 0 {
		w.Value = nil
	}
	if err := r.s.Space(fmt.Sprintf("s%d", r.rng.IntN(3))).Apply(r.t.Context(), []store.Write{w}); err != nil {
		r.t.Fatal(err)
	}
	r.states[res.T], r.instant[res.T] = describe(r.t, r.s), r.now
}

// describe tells everything that can be read of a store.
func describe(t *testing.T, s store.Store) string {
	t.Helper()
	var b strings.Builder
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	h, err := snap.History(t.Context(), store.History{Count: 100_000, Restriction: search.Unrestricted()})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range h.Versions {
		fmt.Fprintln(&b, v.T, v.Key, v.VersionID, v.Method, v.LastUpdated, v.Facts, string(v.Body.Raw))
	}
	for i := range 3 {
		kvs, err := s.Space(fmt.Sprintf("s%d", i)).Scan(t.Context(), nil, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range kvs {
			fmt.Fprintf(&b, "s%d %q %q\n", i, kv.Key, kv.Value)
		}
	}
	return b.String()
}

func (r *region) step() {
	r.t.Helper()
	if err := r.a.Step(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *region) restore(from string, target backup.Target) (backup.Restored, *disk.Store, error) {
	to := filepath.Join(r.t.TempDir(), "restored")
	job := backup.Restore{From: from, To: to, Target: target, Open: func(_ context.Context, dir string, o disk.Options) (*disk.Store, error) {
		o.Extract = r.w.Extract
		return disk.Open(dir, o)
	}}
	out, err := job.Run(r.t.Context())
	if err != nil {
		if _, serr := os.Stat(to); !errors.Is(serr, os.ErrNotExist) {
			r.t.Errorf("a restore that failed left something behind (%v)", serr)
		}
		return out, nil, err
	}
	s := r.openStore(to)
	r.t.Cleanup(func() { _ = s.Close() })
	return out, s, nil
}

// same restores as of a moment and compares everything.
func (r *region) same(target backup.Target, want fhir.T) backup.Restored {
	r.t.Helper()
	out, s, err := r.restore(r.archiveDir(), target)
	if err != nil {
		r.t.Fatal(err)
	}
	if out.T != want {
		r.t.Errorf("target %+v: restored to commit %d, want %d", target, out.T, want)
	}
	if got := describe(r.t, s); got != r.states[want] {
		r.t.Errorf("target %+v:\n%s\nwant\n%s", target, got, r.states[want])
	}
	if err := s.Check(r.t.Context()); err != nil {
		r.t.Error(err)
	}
	return out
}

func (r *region) newest() fhir.T {
	var t fhir.T
	for at := range r.states {
		t = max(t, at)
	}
	return t
}

// TestRestore: any moment between the first copy and the end of the archive
// comes back whole: resources, histories and spaces; over restarts of the
// exchange, several copies and many segments.
func TestRestore(t *testing.T) {
	t.Parallel()
	r := newRegion(t, 2000)
	from := r.newest()
	for i := range 40 {
		r.write()
		if i%3 == 0 {
			r.step()
		}
		switch i {
		case 12:
			if _, err := r.a.Copy(t.Context()); err != nil {
				t.Fatal(err)
			}
		case 20: // a restart: the archive goes on where it was
			if err := errors.Join(r.a.Close(t.Context()), r.s.Close()); err != nil {
				t.Fatal(err)
			}
			r.s = r.openStore(filepath.Join(r.dir, "store"))
			r.write()
			r.archive(2000)
		case 30: // a crash: what was not archived is archived later
			r.archive(2000)
		}
	}
	r.step()
	end := r.newest()
	r.same(backup.Target{}, end)
	for range 2 {
		at := from + fhir.T(r.rng.IntN(int(end-from)+1))
		r.same(backup.Target{T: at}, at)
		if at > from {
			r.same(backup.Target{At: r.instant[at]}, at)
		}
	}
	if out := r.same(backup.Target{T: end - 1}, end-1); !strings.Contains(out.Base, "base-") || out.Commits > 35 {
		t.Errorf("restoring a late moment began with %s and made %d commits: not the newest copy", out.Base, out.Commits)
	}
	for _, target := range []backup.Target{{T: from - 1}, {T: end + 1}, {At: r.instant[from].Add(-time.Hour)}} {
		if _, _, err := r.restore(r.archiveDir(), target); err == nil {
			t.Errorf("a moment that the archive does not hold was restored: %+v", target)
		}
	}
	if _, _, err := r.restore(r.archiveDir(), backup.Target{}); err != nil {
		t.Error(err)
	}
}

// TestCopyAlone: a single copy is a backup too.
func TestCopyAlone(t *testing.T) {
	t.Parallel()
	r := newRegion(t, 0)
	all, err := filepath.Glob(filepath.Join(r.archiveDir(), "base-*"))
	if err != nil || len(all) != 1 {
		t.Fatalf("%d copies (%v)", len(all), err)
	}
	_, s, err := r.restore(all[0], backup.Target{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describe(t, s), r.states[r.newest()]; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestUnjournaled: what was written while no journal was kept is in no
// archive, so the archive begins again with a copy of its own.
func TestUnjournaled(t *testing.T) {
	t.Parallel()
	r := newRegion(t, 0)
	r.write()
	r.step()
	if err := r.s.Spaces().StopJournal(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.write()
	r.archive(0)
	r.write()
	r.step()
	r.same(backup.Target{}, r.newest())
}

// TestDamage: one changed, missing or added byte anywhere is found, named by
// file and place, and nothing is written.
func TestDamage(t *testing.T) {
	t.Parallel()
	r := newRegion(t, 1500)
	for range 8 {
		r.write()
		r.step()
	}
	files := []string{}
	for _, pattern := range []string{"*.archive", "base-*/*"} {
		found, err := filepath.Glob(filepath.Join(r.archiveDir(), pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, name := range files {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		newest := name == newestSegment(files)
		for n := range 2 {
			bad := append([]byte(nil), whole...)
			switch at := r.rng.IntN(len(bad) + 1); {
			case n == 0 && !newest && len(bad) > 1:
				bad = bad[:len(bad)-1-r.rng.IntN(len(bad)-1)]
			case at == len(bad):
				bad = append(bad, 'x')
			default:
				bad[at] ^= 1 << r.rng.IntN(8)
			}
			r.refused(name, bad)
		}
		if err := os.WriteFile(name, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	middle := files[1]
	whole, err := os.ReadFile(middle)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(middle); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.restore(r.archiveDir(), backup.Target{}); err == nil {
		t.Error("a segment is missing and nobody noticed")
	}
	if err := os.WriteFile(middle, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	r.same(backup.Target{}, r.newest())
}

func newestSegment(files []string) (last string) {
	for _, f := range files {
		if strings.HasSuffix(f, ".archive") {
			last = f
		}
	}
	return last
}

func (r *region) refused(name string, bad []byte) {
	r.t.Helper()
	if err := os.WriteFile(name, bad, 0o600); err != nil {
		r.t.Fatal(err)
	}
	out, _, err := r.restore(r.archiveDir(), backup.Target{})
	var damage *backup.DamageError
	switch {
	case err == nil && out.Torn == "":
		r.t.Errorf("%s was damaged and nobody noticed", filepath.Base(name))
	case err != nil && (!errors.As(err, &damage) || !strings.Contains(damage.Error(), filepath.Base(name))):
		r.t.Errorf("%s was damaged, and the error says %v", filepath.Base(name), err)
	}
}

// TestTorn: a frame that a crash cut off ends the archive, is said, and is
// written anew when the exchange goes on.
func TestTorn(t *testing.T) {
	t.Parallel()
	r := newRegion(t, 0)
	r.write()
	r.step()
	before := r.newest()
	r.write()
	r.step()
	name, err := filepath.Glob(filepath.Join(r.archiveDir(), "*.archive"))
	if err != nil || len(name) != 1 {
		t.Fatal(name, err)
	}
	st, err := os.Stat(name[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name[0], st.Size()-5); err != nil {
		t.Fatal(err)
	}
	if out := r.same(backup.Target{}, before); out.Torn == "" {
		t.Error("the torn end is not said")
	}
}
