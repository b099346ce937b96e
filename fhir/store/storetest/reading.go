package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

var all = search.Unrestricted()

func versionIDs(rs []fhir.Resource) []uint64 {
	ids := []uint64{}
	for _, r := range rs {
		ids = append(ids, r.VersionID)
	}
	return ids
}

// snapshots stay as they were, by handle and by T.
func snapshots(b *bench) {
	queries := []string{"Patient?family=li", "Patient?family=wang", "Patient?name=w", "Patient", "Patient?family:missing=true",
		"Patient?family:contains=an", "Patient?family:exact=Li", "Patient?_id=p1", "Patient?identifier=p0,p2", "Patient?_lastUpdated=gt2000", "Observation?patient=p1&code=http://loinc.org|a",
		"Observation?date=gt2020", "Observation?date=le2020-03", "Observation?code:not=a", "Observation?subject:Patient.family=wang", "Patient?_has:Observation:patient:code=b",
		"Observation?value-quantity=gt5||mmol/L", "Patient?_sort=-family,_id"}
	type view struct {
		s    store.Snapshot
		want map[string]string
	}
	look := func(s store.Snapshot) map[string]string {
		m := map[string]string{}
		for _, q := range queries {
			m[q] = fmt.Sprint(b.ids(s, q))
		}
		for _, id := range []string{"p0", "p1", "p2"} {
			r, err := s.Get(b.ctx, fhir.Key{Type: "Patient", ID: id})
			m["get "+id] = fmt.Sprint(r.VersionID, fhir.KindOf(err), err != nil)
		}
		h, err := s.History(b.ctx, store.History{Restriction: all, Count: 1000, Total: true})
		b.must(err)
		m["history"] = fmt.Sprint(versionIDs(h.Versions), h.Total)
		return m
	}
	var views []view
	for round := range 12 {
		i := round % 3
		b.put(patient(fmt.Sprintf("p%d", i), []string{"Li", "Wang", "Zhang", "Liang"}[round%4]))
		b.put(observation(fmt.Sprintf("o%d", round%4), fmt.Sprintf("p%d", (round+1)%3), []string{"a", "b"}[round/2%2], fmt.Sprintf("2020-%02d-01", round+1)))
		switch round {
		case 5:
			b.delete(fhir.Key{Type: "Patient", ID: "p1"})
		case 7:
			b.delete(fhir.Key{Type: "Observation", ID: "o2"})
		}
		s := b.snap(0)
		views = append(views, view{s, look(s)})
	}
	check := func(what string, at func(view) store.Snapshot) {
		for i, v := range views {
			got := look(at(v))
			for q, want := range v.want {
				if got[q] != want {
					b.Errorf("%s, view %d, %s: got %s, want %s", what, i, q, got[q], want)
				}
			}
		}
	}
	check("by handle", func(v view) store.Snapshot { return v.s })
	check("by T", func(v view) store.Snapshot { return b.snap(v.s.T()) })
	if b.h.Reopen != nil {
		b.s = b.h.Reopen()
		check("after a restart", func(v view) store.Snapshot { return b.snap(v.s.T()) })
	}
	if _, err := b.s.Snapshot(b.ctx, views[len(views)-1].s.T()+1); err == nil {
		b.Error("a snapshot of the future was opened")
	}
}

// histories of a resource, a type and the whole, paged, bounded and restricted.
func histories(b *bench) {
	t0 := Now
	for i := range 10 {
		tx := store.Tx{Now: t0.Add(time.Duration(i) * time.Minute)}
		tx.Ops = append(tx.Ops, b.op(fhir.Updated, patient("p", fmt.Sprintf("f%d", i))))
		if i%2 == 0 {
			tx.Ops = append(tx.Ops, b.op(fhir.Updated, observation(fmt.Sprintf("o%d", i), "p", "a", "2020")))
		}
		if i == 9 {
			tx.Ops = append(tx.Ops, store.Op{Key: fhir.Key{Type: "Observation", ID: "o2"}, Method: fhir.Deleted})
		}
		_, err := b.s.Commit(b.ctx, tx)
		b.must(err)
	}
	s := b.snap(0)
	read := func(h store.History) []string {
		var out []string
		h.Total = true
		for {
			p, err := s.History(b.ctx, h)
			b.must(err)
			for _, r := range p.Versions {
				out = append(out, fmt.Sprintf("%s.%d", r.ID, r.VersionID))
				if r.Deleted() == (len(r.Body.Raw) > 0) {
					b.Errorf("%s: a deletion has no body, all others have one", r.Key)
				}
			}
			if p.Next == nil {
				b.same("total", p.Total, len(out))
				return out
			}
			h.After = p.Next
		}
	}
	p := fhir.Key{Type: "Patient", ID: "p"}
	inst := []string{"p.10", "p.9", "p.8", "p.7", "p.6", "p.5", "p.4", "p.3", "p.2", "p.1"}
	obs := []string{"o2.2", "o8.1", "o6.1", "o4.1", "o2.1", "o0.1"}
	whole := []string{"p.10", "o2.2", "p.9", "o8.1", "p.8", "p.7", "o6.1", "p.6", "p.5", "o4.1", "p.4", "p.3", "o2.1", "p.2", "p.1", "o0.1"}
	only := search.Restriction{Decided: true, Permit: []search.Rule{{Types: []fhir.Type{"Observation"}, Patients: []fhir.Key{p}}}}
	for _, count := range []int{1, 3, 100} {
		b.same("instance", read(store.History{Key: p, Count: count, Restriction: all}), inst)
		b.same("type", read(store.History{Key: fhir.Key{Type: "Observation"}, Count: count, Restriction: all}), obs)
		b.same("system", read(store.History{Count: count, Restriction: all}), whole)
		b.same("restricted", read(store.History{Count: count, Restriction: only}), obs)
		b.same("since", read(store.History{Key: p, Count: count, Restriction: all, Since: t0.Add(7 * time.Minute)}), inst[:3])
		b.same("type since", read(store.History{Key: fhir.Key{Type: "Observation"}, Count: count, Restriction: all, Since: t0.Add(7 * time.Minute)}), obs[:2])
		b.same("before", read(store.History{Key: p, Count: count, Restriction: all, Before: t0.Add(2 * time.Minute)}), inst[8:])
		b.same("nothing seen", read(store.History{Count: count}), []string(nil))
	}
	page, err := s.History(b.ctx, store.History{Key: p, Count: 2, Restriction: all})
	b.must(err)
	b.same("no total", page.Total, -1)
	_, err = s.History(b.ctx, store.History{Key: p, Count: 2, Restriction: all, After: []byte("junk")})
	b.kind("a damaged cursor", err, fhir.Invalid)
}

// changes: the log gives whole commits, oldest first, with facts.
func changes(b *bench) {
	b.put(patient("p", "Li"))
	for i := range 5 {
		_, err := b.s.Commit(b.ctx, store.Tx{Ops: []store.Op{
			b.op(fhir.Created, observation(fmt.Sprintf("a%d", i), "p", "a", "2020")),
			b.op(fhir.Created, observation(fmt.Sprintf("b%d", i), "p", "b", "2021")),
			b.op(fhir.Created, observation(fmt.Sprintf("c%d", i), "p", "b", "2021")),
		}})
		b.must(err)
	}
	b.delete(fhir.Key{Type: "Observation", ID: "a0"})
	var after fhir.T
	var ids []string
	for {
		cs, err := b.s.Changes(b.ctx, after, 2)
		b.must(err)
		if len(cs) == 0 {
			break
		}
		for _, c := range cs {
			if c.T <= after {
				b.Fatalf("change %v is not after %d", c.Version, after)
			}
			ids = append(ids, c.ID)
			b.same("patients of "+c.ID, c.Facts.Patients, []fhir.Key{{Type: "Patient", ID: "p"}})
		}
		if n := len(cs); n > 1 && n%3 != 0 && n != 4 {
			b.Errorf("%d changes: not whole commits", n)
		}
		after = cs[len(cs)-1].T
	}
	b.same("in order", ids, []string{"p", "a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3", "a4", "b4", "c4", "a0"})
	b.same("up to date", after, b.snap(0).T())
}

// waitChange returns when there is something to read, and not before.
func waitChange(b *bench) {
	b.put(patient("p", "Li"))
	t := b.snap(0).T()
	b.must(b.s.WaitChange(b.ctx, t-1))
	short, cancel := context.WithTimeout(b.ctx, 20*time.Millisecond)
	defer cancel()
	if err := b.s.WaitChange(short, t); err == nil {
		b.Error("WaitChange returned without a change")
	}
	done := make(chan error, 1)
	go func() { done <- b.s.WaitChange(b.ctx, t) }()
	v := b.put(patient("p", "Li"))
	b.must(<-done)
	cs, err := b.s.Changes(b.ctx, t, 10)
	b.must(err)
	b.same("the change", len(cs) == 1 && cs[0].Version == v, true)
}

// restart: everything is there again, and counters go on.
func restart(b *bench) {
	if b.h.Reopen == nil {
		b.Skip("nothing to reopen")
	}
	v := b.put(patient("p", "Li"))
	b.put(observation("o", "p", "a", "2020"))
	b.must(b.s.Space("x").Apply(b.ctx, []store.Write{{Key: []byte("k"), Value: []byte("v")}}))
	for i := range 3 {
		t := b.snap(0).T()
		b.s = b.h.Reopen()
		b.same("T", b.snap(0).T(), t)
		next := b.put(patient("p", fmt.Sprintf("Li%d", i)))
		b.same("version goes on", next.VersionID, v.VersionID+uint64(i)+1)
		b.same("T goes on", next.T > t, true)
		b.put(patient(fmt.Sprintf("new%d", i), "Neu"))
		b.same("search", b.ids(b.snap(0), "Observation?patient=p&code=a"), []string{"o"})
		val, err := b.s.Space("x").Get(b.ctx, []byte("k"))
		b.must(err)
		b.same("space", string(val), "v")
	}
	b.same("each its own", sorted(b.ids(b.snap(0), "Patient?family=neu")), []string{"new0", "new1", "new2"})
}

// ties: matches of one moment come in the order of their keys, across pages.
func ties(b *bench) {
	var ops []store.Op
	var want []string
	for i := range 40 {
		id := fmt.Sprintf("o%02d", (i*17)%40)
		ops = append(ops, b.op(fhir.Created, observation(id, "p", "a", "2020-01-01")))
		want = append(want, fmt.Sprintf("o%02d", i))
	}
	ops = append(ops, b.op(fhir.Created, observation("new", "p", "a", "2021")), b.op(fhir.Created, observation("aold", "p", "a", "2019")))
	want = append(append([]string{"new"}, want...), "aold")
	_, err := b.s.Commit(b.ctx, store.Tx{Ops: ops})
	b.must(err)
	for _, q := range []string{"Observation?code=a", "Observation?patient=p&code=a", "Observation?status=final", "Observation", "Observation?date=gt2000"} {
		for _, count := range []int{1, 7, 20, 42, 100} {
			b.same(fmt.Sprintf("%s by %d", q, count), b.pages(b.snap(0), b.query(q), count), want)
		}
	}
	back := b.query("Observation?_sort=-_id")
	desc := b.pages(b.snap(0), back, 5)
	slices.Sort(want)
	slices.Reverse(want)
	b.same("by id, descending", desc, want)
}

// pages reads a query to its end and holds the totals against the sum.
func (b *bench) pages(s store.Snapshot, q *search.Query, count int) []string {
	b.Helper()
	c := *q
	c.Count, c.After = count, nil
	out := []string{}
	totals := map[int]bool{}
	for {
		p, err := s.Search(b.ctx, &c)
		if err != nil {
			b.Fatal(err)
		}
		if len(p.Matches) > count {
			b.Fatalf("a page of %d holds %d", count, len(p.Matches))
		}
		out = append(out, idsOf(p.Matches)...)
		totals[p.Total] = true
		if p.Next == nil {
			break
		}
		c.After = p.Next
	}
	want := len(out)
	if !c.Total {
		want = -1
	}
	if len(totals) != 1 || !totals[want] {
		b.Errorf("totals %v, want %d", totals, want)
	}
	return out
}

// cursors: a page goes on where the one before it ended while writers change
// everything, because it names its snapshot.
func cursors(b *bench) {
	for i := range 60 {
		b.put(observation(fmt.Sprintf("o%02d", i), "p", "a", fmt.Sprintf("2020-01-%02d", i%28+1)))
	}
	q := b.query("Observation?code=a")
	t := b.snap(0).T()
	want := b.pages(b.snap(t), q, 60)
	q.Count = 7
	var got []string
	for i := 0; ; i++ {
		p, err := b.snap(t).Search(b.ctx, q)
		b.must(err)
		got = append(got, idsOf(p.Matches)...)
		if q.After = p.Next; p.Next == nil {
			break
		}
		b.put(observation(fmt.Sprintf("o%02d", 59-i), "p", "a", "2024-01-01"))
		b.delete(fhir.Key{Type: "Observation", ID: fmt.Sprintf("o%02d", i+20)})
		b.put(observation(fmt.Sprintf("n%02d", i), "p", "a", "2019-05-05"))
	}
	b.same("pages", got, want)
	for _, bad := range [][]byte{{}, {9}, []byte("0123456789"), {1, 0, 0, 0, 0, 0, 0, 0, 0, 'x'}} {
		q.After = bad
		_, err := b.snap(0).Search(b.ctx, q)
		b.kind(fmt.Sprintf("cursor %q", bad), err, fhir.Invalid)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	q.After = nil
	if _, err := b.snap(0).Search(ctx, q); err == nil || !errors.Is(err, context.Canceled) {
		b.Errorf("a search whose request has ended: %v", err)
	}
}

// totals: one that may be left out is where the caller sees much, and what he
// does not see has no part in it.
func totals(b *bench) {
	seen, hidden := b.times(60), b.times(400)
	at := func(i int) string { return Now.Add(-time.Duration(i) * time.Hour).Format(time.RFC3339) }
	var tx store.Tx
	for i := range hidden {
		tx.Ops = append(tx.Ops, b.op(fhir.Updated, observation(fmt.Sprintf("h%d", i), "hidden", "a", at(i))))
	}
	for i := range seen { // from the newest to the oldest of all
		tx.Ops = append(tx.Ops, b.op(fhir.Updated, observation(fmt.Sprintf("o%d", i), "p", "a", at(i*hidden/seen))))
	}
	tx.Ops = append(tx.Ops, b.op(fhir.Updated, patient("p", "f")), b.op(fhir.Updated, patient("hidden", "g")))
	for ops := range slices.Chunk(tx.Ops, 20) { // a slow engine has ten seconds for each
		_, err := b.s.Commit(b.ctx, store.Tx{Ops: ops})
		b.must(err)
	}
	s := b.snap(0)
	only := search.Restriction{Decided: true, Permit: []search.Rule{{Patients: []fhir.Key{{Type: "Patient", ID: "p"}}}}}
	not := search.Restriction{Decided: true, Permit: []search.Rule{{}}, Deny: []search.Rule{{Patients: []fhir.Key{{Type: "Patient", ID: "hidden"}}}}}
	for _, text := range []string{
		"Observation?code=a", "Observation?status=final", "Observation?date=gt2000", "Observation?code=a&_sort=-date", "Observation?code=a&status=final&date=gt2000",
		"Observation?patient.family=f,g", "Observation", "Observation?code:text=nothing,a&code=a", "Observation?_sort=date",
	} {
		q := b.query(text)
		ask := func(see search.Restriction, count, within int) int {
			c := *q
			c.Restriction, c.Count, c.TotalWithin = see, count, within
			p, err := s.Search(b.ctx, &c)
			if err != nil {
				b.Fatalf("%s by %d within %d, seeing %+v: %v", text, count, within, see, err)
			}
			if p.Next == nil {
				return p.Total
			}
			next := c
			next.After = p.Next
			again, err := s.Search(b.ctx, &next)
			b.must(err)
			if again.Total != p.Total && again.Total >= 0 && p.Total >= 0 {
				b.Errorf("%s: total %d on the first page, %d on the second", text, p.Total, again.Total)
			}
			return p.Total
		}
		for _, see := range []search.Restriction{only, not} {
			whole := ask(see, 100, 0)
			b.same(text+": all on one page", ask(see, 100, 1), whole)
			b.same(text+": what is hidden does not count", ask(see, 5, seen*search.TotalDear), whole)
		}
		whole := ask(all, 5, 0)
		b.same(text+": far enough", ask(all, 5, (seen+hidden)*search.TotalDear), whole)
		if n := ask(all, 5, 10); n != -1 && n != whole {
			b.Errorf("%s: total %d of %d", text, n, whole)
		}
	}
	left := b.query("Observation?code=a&patient=hidden")
	left.Count, left.TotalWithin = 5, 10
	p, err := s.Search(b.ctx, left)
	b.must(err)
	b.same("left out", p.Total, -1)
}
