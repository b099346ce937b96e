package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
)

// versions: what is committed is read, each version for ever.
func versions(b *bench) {
	one, two := patient("p", "Li"), patient("p", "Wang")
	v1 := b.write(b.op(fhir.Created, one))
	v2 := b.put(two)
	b.same("first version", v1.VersionID, 1)
	b.same("first method", v1.Method, fhir.Created)
	b.same("second version", v2.VersionID, 2)
	if v2.T <= v1.T {
		b.Errorf("commit times do not grow: %d, %d", v1.T, v2.T)
	}
	s := b.snap(0)
	r, err := s.Get(b.ctx, v1.Key)
	b.must(err)
	b.same("current", r.Version, v2)
	b.sameJSON(r, two)
	b.same("patient's own compartment", r.Facts.Patients, []fhir.Key{v1.Key})
	for i, src := range []string{one, two} {
		r, err := s.GetVersion(b.ctx, v1.Key, uint64(i+1))
		b.must(err)
		b.sameJSON(r, src)
	}
	_, err = s.GetVersion(b.ctx, v1.Key, 3)
	b.kind("a version that is not there", err, fhir.NotFound)
	_, err = s.Get(b.ctx, fhir.Key{Type: "Patient", ID: "q"})
	b.kind("a resource that is not there", err, fhir.NotFound)
	_, err = s.Get(b.ctx, fhir.Key{Type: "Basic", ID: "p"})
	b.kind("the id under another type", err, fhir.NotFound)
	many, err := s.GetMany(b.ctx, []fhir.Key{{Type: "Patient", ID: "x"}, v1.Key, {Type: "Basic", ID: "p"}})
	b.must(err)
	b.same("GetMany", idsOf(many), []string{"p"})
}

// deletion: deleted resources are Gone, their history stays, and they may come
// back.
func deletion(b *bench) {
	v := b.put(patient("p", "Li"))
	b.put(patient("other", "Li"))
	d := b.delete(v.Key)
	b.same("deletion is a version", d.VersionID, 2)
	s := b.snap(0)
	r, err := s.Get(b.ctx, v.Key)
	b.kind("deleted", err, fhir.Gone)
	b.same("deleted version", r.Version, d)
	b.same("facts outlive the body", r.Facts.Patients, []fhir.Key{v.Key})
	r, err = s.GetVersion(b.ctx, v.Key, 2)
	b.kind("deleted version", err, fhir.Gone)
	b.same("deleted version", r.Version, d)
	many, err := s.GetMany(b.ctx, []fhir.Key{v.Key})
	b.must(err)
	b.same("GetMany leaves it out", len(many), 0)
	b.same("search leaves it out", b.ids(s, "Patient?family=li"), []string{"other"})
	again := b.write(store.Op{Key: v.Key, Method: fhir.Deleted})
	b.same("deleting again makes no version", again.VersionID, 2)
	if none := b.delete(fhir.Key{Type: "Patient", ID: "none"}); none.VersionID != 0 {
		b.Errorf("deleting what never was made version %d", none.VersionID)
	}
	back := b.put(patient("p", "Zhao"))
	b.same("back as version", back.VersionID, 3)
	b.same("found again", b.ids(b.snap(0), "Patient?family=zhao"), []string{"p"})
	h, err := b.snap(0).History(b.ctx, store.History{Key: v.Key, Count: 10, Restriction: all, Total: true})
	b.must(err)
	b.same("history", versionIDs(h.Versions), []uint64{3, 2, 1})
	b.same("the old snapshot still", b.ids(s, "Patient?family=zhao"), []string{})
}

// expectations fail with the op's index, and nothing has happened.
func expectations(b *bench) {
	v1 := b.put(patient("p", "Li"))
	gone := b.put(patient("gone", "Li"))
	b.delete(gone.Key)
	before := b.snap(0).T()
	absent := store.Expect{Kind: store.ExpectAbsent}
	live := store.Expect{Kind: store.ExpectLive}
	version := func(n uint64) store.Expect { return store.Expect{Kind: store.ExpectVersion, VersionID: n} }
	for _, tt := range []struct {
		id     string
		expect store.Expect
		ok     bool
	}{
		{"p", absent, false}, {"gone", absent, false}, {"gone", live, false}, {"never", live, false},
		{"p", version(2), false}, {"never", version(1), false}, {"p", version(0), false},
	} {
		op := b.op(fhir.Updated, patient(tt.id, "Zhang"))
		op.Expect = tt.expect
		_, err := b.s.Commit(b.ctx, store.Tx{Ops: []store.Op{b.op(fhir.Created, patient("beside", "Li")), op}})
		var oe *store.OpError
		if !errors.As(err, &oe) || oe.Index != 1 {
			b.Errorf("%s %+v: got %v, want an OpError of op 1", tt.id, tt.expect, err)
			continue
		}
		b.kind("expectation", err, fhir.Conflict)
		if tt.id == "p" {
			b.same("current in the error", oe.Current, v1)
		}
	}
	s := b.snap(0)
	b.same("no commit was made", s.T(), before)
	b.same("nothing happened", b.ids(s, "Patient"), []string{"p"})
	for id, e := range map[string]store.Expect{"p": version(1), "new": absent, "gone": version(2)} {
		op := b.op(fhir.Updated, patient(id, "Zhang"))
		op.Expect = e
		b.write(op)
	}
	twice := b.op(fhir.Updated, patient("p", "Li"))
	if _, err := b.s.Commit(b.ctx, store.Tx{Ops: []store.Op{twice, twice}}); err == nil {
		b.Error("a transaction that names a key twice was taken")
	}
}

// atomicity: a bundle is seen whole or not at all.
func atomicity(b *bench) {
	const writers, size = 4, 8
	rounds := b.times(25)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				tx := store.Tx{}
				for n := range size {
					tx.Ops = append(tx.Ops, b.op(fhir.Created, patient(fmt.Sprintf("w%d-%d-%d", w, i, n), fmt.Sprintf("bundle%dx%d", w, i))))
				}
				if _, err := b.s.Commit(b.ctx, tx); err != nil {
					b.Error(err)
				}
			}
		})
	}
	go func() { wg.Wait(); close(stop) }()
	for done := false; !done; {
		select {
		case <-stop:
			done = true
		default:
		}
		s, err := b.s.Snapshot(b.ctx, 0)
		b.must(err)
		p, err := s.Search(b.ctx, b.query("Patient?_count=10000"))
		b.must(err)
		count := map[string]int{}
		for _, r := range p.Matches {
			count[r.ID[:len(r.ID)-1]]++
		}
		for k, n := range count {
			if n != size {
				b.Fatalf("half a bundle is visible: %d of %s", n, k)
			}
		}
		b.same("total", p.Total, len(p.Matches))
		s.Close()
	}
	b.same("all bundles", b.snap(0).T() > 0, true)
	p, err := b.snap(0).Search(b.ctx, b.query("Patient?_count=0"))
	b.must(err)
	b.same("total", p.Total, writers*rounds*size)
}

// monotonic: T grows from commit to commit, lastUpdated never goes back for a
// resource, and a commit is seen by every snapshot that starts afterwards.
func monotonic(b *bench) {
	late, early := Now, Now.Add(-time.Hour)
	r1, err := b.s.Commit(b.ctx, store.Tx{Now: late, Ops: []store.Op{b.op(fhir.Created, patient("p", "Li"))}})
	b.must(err)
	r2, err := b.s.Commit(b.ctx, store.Tx{Now: early, Ops: []store.Op{b.op(fhir.Updated, patient("p", "Li")), b.op(fhir.Created, patient("q", "Li"))}})
	b.must(err)
	b.same("T grows", r2.T > r1.T, true)
	b.same("T of the versions", []fhir.T{r2.Versions[0].T, r2.Versions[1].T}, []fhir.T{r2.T, r2.T})
	b.same("kept", r2.Versions[0].LastUpdated, late)
	b.same("as given", r2.Versions[1].LastUpdated, early)
	b.same("newest first", b.ids(b.snap(0), "Patient"), []string{"p", "q"})
	b.same("lastUpdated", b.ids(b.snap(0), "Patient?_lastUpdated=lt2024-06-01T12:00:00Z"), []string{"q"})
}

// race: of many writers that expect the same version one wins, each time.
func race(b *bench) {
	v := b.put(patient("p", "Li"))
	for round := range 10 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 16 {
			wg.Go(func() {
				op := b.op(fhir.Updated, patient("p", fmt.Sprintf("r%d", round)))
				op.Expect = store.Expect{Kind: store.ExpectVersion, VersionID: v.VersionID}
				_, err := b.s.Commit(b.ctx, store.Tx{Ops: []store.Op{op}})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if fhir.KindOf(err) != fhir.Conflict {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		b.same("winners", won, 1)
		r, err := b.snap(0).Get(b.ctx, v.Key)
		b.must(err)
		v = r.Version
	}
	b.same("version", v.VersionID, 11)
}
