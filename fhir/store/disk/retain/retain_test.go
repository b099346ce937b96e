package retain_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/retain"
	"hutong/fhir/store/storetest"
)

const day = 24 * time.Hour

// world writes one transaction a day and remembers what could be read after
// each.
type world struct {
	t      *testing.T
	w      *storetest.World
	now    time.Time
	s      *disk.Store
	dir    string
	states map[fhir.T]string
	made   map[fhir.T]time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, w: storetest.NewWorld(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), dir: t.TempDir(), states: map[fhir.T]string{}, made: map[fhir.T]time.Time{}}
	w.open()
	t.Cleanup(func() { _ = w.s.Close() })
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.s, err = disk.Open(w.dir, disk.Options{Extract: w.w.Extract, Now: func() time.Time { return w.now }}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) days(n int, rng *rand.Rand) {
	w.t.Helper()
	for range n {
		w.now = w.now.Add(day)
		var tx store.Tx
		for _, k := range rng.Perm(6)[:1+rng.IntN(3)] {
			op := store.Op{Key: fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", k)}, Method: fhir.Deleted}
			if rng.IntN(6) > 0 {
				var err error
				if op, err = w.w.Op(fhir.Updated, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","name":[{"family":"n%d"}]}`, k, rng.IntN(5))); err != nil {
					w.t.Fatal(err)
				}
			}
			tx.Ops = append(tx.Ops, op)
		}
		r, err := w.s.Commit(w.t.Context(), tx)
		if err != nil {
			w.t.Fatal(err)
		}
		w.states[r.T], w.made[r.T] = w.read(r.T), w.now
	}
}

// read tells what is live at t, by search and by id.
func (w *world) read(t fhir.T) string {
	w.t.Helper()
	snap, err := w.s.Snapshot(w.t.Context(), t)
	if err != nil {
		w.t.Fatal(err)
	}
	defer snap.Close()
	var b strings.Builder
	for k := range 6 {
		r, err := snap.Get(w.t.Context(), fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", k)})
		fmt.Fprintln(&b, k, r.VersionID, string(r.Body.Raw), fhir.KindOf(err))
	}
	for n := range 5 {
		q, err := w.w.Query(fmt.Sprintf("Patient?family=n%d&_total=accurate&_sort=_id", n))
		if err != nil {
			w.t.Fatal(err)
		}
		page, err := snap.Search(w.t.Context(), q)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, m := range page.Matches {
			fmt.Fprintln(&b, n, m.Key, m.VersionID)
		}
	}
	return b.String()
}

// TestRetain: every moment from the horizon on reads as it did, every earlier
// one is Gone, and the store proves whole, however often retention runs, with
// writes between and over restarts.
func TestRetain(t *testing.T) {
	t.Parallel()
	for _, policy := range []retain.Policy{{MaxAge: 10 * day}, {MaxAge: 10 * day, KeepLast: 3}, {MaxAge: 10 * day, Followed: 17}, {}} {
		t.Run(fmt.Sprintf("%v", policy), func(t *testing.T) {
			t.Parallel()
			w, rng := newWorld(t), rand.New(rand.NewPCG(3, 3))
			p := policy
			if p.Followed == 0 {
				p.Followed = 1 << 40
			}
			dropped := 0
			for range 3 {
				w.days(13, rng)
				out, err := w.s.Retain(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				dropped += out.Versions
				if err := w.s.Close(); err != nil {
					t.Fatal(err)
				}
				w.open()
				w.holds(p)
			}
			if (policy.MaxAge > 0) != (dropped > 0) {
				t.Errorf("%d versions dropped", dropped)
			}
		})
	}
}

func (w *world) holds(p retain.Policy) {
	w.t.Helper()
	horizon := w.s.Horizon()
	if p.Followed < horizon {
		w.t.Errorf("horizon %d: a follower has read up to %d only", horizon, p.Followed)
	}
	for at, want := range w.states {
		if at >= horizon {
			if got := w.read(at); got != want {
				w.t.Errorf("at %d:\n%s\nwant\n%s", at, got, want)
			}
		} else if _, err := w.s.Snapshot(w.t.Context(), at); !errors.Is(err, fhir.E(fhir.Gone)) {
			w.t.Errorf("at %d, before the horizon %d: %v, want Gone", at, horizon, err)
		}
		if p.MaxAge > 0 && at < horizon && w.now.Sub(w.made[at]) < p.MaxAge {
			w.t.Errorf("commit %d is %v old and cannot be read", at, w.now.Sub(w.made[at]))
		}
	}
	if err := w.s.Check(context.Background()); err != nil {
		w.t.Error(err)
	}
	w.versions(p)
	changes, err := w.s.Changes(w.t.Context(), 0, 100_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range changes {
		if c.VersionID == 0 {
			w.t.Errorf("the change log names a version that is gone: %+v", c)
		}
	}
}

// versions: the newest KeepLast of each resource are there, whatever their age.
func (w *world) versions(p retain.Policy) {
	w.t.Helper()
	snap, err := w.s.Snapshot(w.t.Context(), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer snap.Close()
	for k := range 6 {
		key := fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", k)}
		h, err := snap.History(w.t.Context(), store.History{Key: key, Count: 1000, Restriction: search.Unrestricted()})
		if err != nil || len(h.Versions) == 0 {
			w.t.Fatalf("%s: %d versions (%v)", key, len(h.Versions), err)
		}
		newest := h.Versions[0].VersionID
		if kept := uint64(len(h.Versions)); kept < min(newest, max(p.KeepLast, 1)) || p.MaxAge == 0 && kept != newest {
			w.t.Errorf("%s: %d of %d versions are kept", key, kept, newest)
		}
	}
}
