package disk_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/storetest"
)

// region is a store of patients and their observations, which change, and what
// its observations were at two moments.
type region struct {
	*storetest.World
	*disk.Store
	then, now       fhir.T
	before, current map[string]observed
}

type observed struct {
	patient, status string
	entries         []search.Entry
}

const regionPatients = 150

// newRegion makes one; several tells whether observations may have several patients.
func newRegion(t *testing.T, several bool) *region {
	t.Helper()
	w := storetest.NewWorld()
	s, err := disk.Open("db", disk.Options{Extract: w.Extract, VFS: vfs.NewMem(), MaxJoin: 40, HotAfter: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	g := &region{World: w, Store: s, before: map[string]observed{}, current: map[string]observed{}}
	r := rand.New(rand.NewPCG(8, 9))
	for p := range regionPatients {
		g.put(t, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, p))
	}
	for i := range 300 {
		g.observe(t, r, i, several)
	}
	for id, o := range g.current {
		g.before[id] = o
	}
	g.then = g.now
	for range 100 {
		g.observe(t, r, r.IntN(300), several)
	}
	return g
}

func (g *region) put(t *testing.T, src string) (r store.Op) {
	t.Helper()
	op, err := g.World.Op(fhir.Updated, src)
	if err != nil {
		t.Fatal(err)
	}
	done, err := g.Commit(t.Context(), store.Tx{Ops: []store.Op{op}})
	if err != nil {
		t.Fatal(err)
	}
	g.now = done.T
	return op
}

// observe writes observation i: of a patient, of a status, at a date of any precision.
func (g *region) observe(t *testing.T, r *rand.Rand, i int, several bool) {
	t.Helper()
	day := fmt.Sprintf("2024-03-%02d", 1+r.IntN(6))
	dates := []string{`"effectiveDateTime":"2024-03"`, fmt.Sprintf(`"effectiveDateTime":%q`, day),
		fmt.Sprintf(`"effectiveDateTime":"%sT%02d:30:00Z"`, day, r.IntN(24)),
		fmt.Sprintf(`"effectivePeriod":{"start":%q,"end":"2024-03-%02d"}`, day, 6+r.IntN(5)), fmt.Sprintf(`"effectivePeriod":{"start":%q}`, day)}
	id, p, status := fmt.Sprintf("o%d", i), fmt.Sprintf("p%d", r.IntN(regionPatients)), []string{"final", "final", "amended"}[r.IntN(3)]
	about := fmt.Sprintf(`"subject":{"reference":"Patient/%s"}`, p)
	if r.IntN(4) == 0 { // by the patient, about nobody
		about, p = fmt.Sprintf(`"performer":[{"reference":"Patient/%s"}]`, p), ""
	} else if several && r.IntN(20) == 0 {
		about += `,"performer":[{"reference":"Patient/p1"}]`
	}
	op := g.put(t, fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":%q,"code":{"text":"x"},%s,%s}`,
		id, status, about, dates[r.IntN(len(dates))]))
	entries, _, err := g.World.Extract(op.Body, op.Key)
	if err != nil {
		t.Fatal(err)
	}
	g.current[id] = observed{p, status, entries}
}

// all pages through a query at a moment, and holds the totals against the matches.
func (g *region) all(t *testing.T, at fhir.T, query string) (ids []string) {
	t.Helper()
	q, err := g.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	q.Restriction = search.Unrestricted()
	snap, err := g.Snapshot(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	total := 0
	for first := true; first || q.After != nil; first = false {
		q.Total, q.TotalWithin = first, 0
		page, err := snap.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Matches {
			ids = append(ids, page.Matches[i].ID)
		}
		if first {
			total = page.Total
		}
		q.After = page.Next
	}
	if total != len(ids) {
		t.Errorf("%s: total %d, matches %d", query, total, len(ids))
	}
	slices.Sort(ids)
	return ids
}

// TestDatesTogether: several criteria on one date find what each finds, at any
// moment.
func TestDatesTogether(t *testing.T) {
	t.Parallel()
	g := newRegion(t, false)
	prefixes := []string{"", "ne", "gt", "lt", "ge", "le", "sa", "eb"}
	values := []string{"2024-03-03", "2024-03-04T10", "2024-03-05", "2024-03"}
	r := rand.New(rand.NewPCG(1, 1))
	for range 120 {
		query := "Observation?_count=9"
		for range 1 + r.IntN(3) {
			v := values[r.IntN(len(values))]
			if len(v) == 13 {
				v += ":30:00Z"
			}
			query += "&date=" + prefixes[r.IntN(len(prefixes))] + v
		}
		if r.IntN(3) == 0 {
			query += "&status=final"
		}
		for at, state := range map[fhir.T]map[string]observed{g.then: g.before, g.now: g.current} {
			if got, want := g.all(t, at, query), g.matching(t, query, state); !slices.Equal(got, want) {
				t.Fatalf("%s at %d: %d matches, want %d:\n%v\n%v", query, at, len(got), len(want), got, want)
			}
		}
	}
}

func (g *region) matching(t *testing.T, query string, state map[string]observed) (ids []string) {
	t.Helper()
	q, err := g.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	for id, o := range state {
		if !slices.ContainsFunc(q.Filter, func(p search.Predicate) bool { return !search.Matches(&p, o.entries) }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// TestHasPatient: whom many observations point to, and whom few do.
func TestHasPatient(t *testing.T) {
	t.Parallel()
	for _, several := range []bool{false, true} {
		g := newRegion(t, several)
		for _, status := range []string{"final", "amended"} {
			for _, few := range []string{"", "&_has:Observation:patient:date=2024-03-02"} {
				g.hasPatient(t, status, few)
			}
		}
	}
}

func (g *region) hasPatient(t *testing.T, status, few string) {
	t.Helper()
	for at, state := range map[fhir.T]map[string]observed{g.then: g.before, g.now: g.current} {
		got := g.all(t, at, "Patient?_count=9&_has:Observation:subject:status="+status+few)
		if want := g.pointedTo(t, state, status, few != ""); !slices.Equal(got, want) {
			t.Errorf("%s%s at %d: %v, want %v", status, few, at, got, want)
		}
	}
}

func (g *region) pointedTo(t *testing.T, state map[string]observed, status string, dated bool) (ids []string) {
	t.Helper()
	by, on := map[string]bool{}, map[string]bool{}
	day := g.matching(t, "Observation?date=2024-03-02", state)
	for id, o := range state {
		by[o.patient] = by[o.patient] || o.status == status
		on[o.patient] = on[o.patient] || !dated || slices.Contains(day, id)
	}
	for p, yes := range by {
		if yes && on[p] && p != "" {
			ids = append(ids, p)
		}
	}
	slices.Sort(ids)
	return ids
}
