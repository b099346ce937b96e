package disk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/retain"
	"hutong/fhir/store/storetest"
)

// hotRegion is a store whose lists in memory are held against the tree.
type hotRegion struct {
	*storetest.World
	*disk.Store
	asked, cached atomic.Int64
}

const hotResources = 400

// change writes, moves or deletes a few resources in one commit.
func (g *hotRegion) change(ctx context.Context, r *rand.Rand) error {
	var tx store.Tx
	seen := map[fhir.Key]bool{}
	for range 1 + r.IntN(6) {
		op, err := g.World.Op(fhir.Updated, hotResource(r))
		if err != nil {
			return err
		}
		if seen[op.Key] {
			continue
		}
		if seen[op.Key] = true; r.IntN(6) == 0 {
			op = store.Op{Method: fhir.Deleted, Key: op.Key}
		}
		tx.Ops = append(tx.Ops, op)
	}
	_, err := g.Commit(ctx, tx)
	return err
}

func hotResource(r *rand.Rand) string {
	i, p := r.IntN(hotResources), r.IntN(30)
	if i < 30 {
		return fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","gender":%q}`, i, []string{"female", "male"}[r.IntN(2)])
	}
	day := fmt.Sprintf("2024-03-%02d", 1+r.IntN(6))
	dates := []string{fmt.Sprintf(`"effectiveDateTime":%q`, day), fmt.Sprintf(`"effectiveDateTime":"%sT%02d:30:00Z"`, day, r.IntN(24)),
		fmt.Sprintf(`"effectivePeriod":{"start":%q,"end":"2024-03-%02d"}`, day, 6+r.IntN(5)), fmt.Sprintf(`"effectivePeriod":{"start":%q}`, day)}
	return fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":%q,"code":{"coding":[{"system":%q,"code":"c%d"}]},"subject":{"reference":"Patient/p%d"},%s,`+
		`"meta":{"tag":[{"system":"http://example.org/custodian","code":"org%d"}]}}`,
		i, []string{"final", "final", "amended"}[r.IntN(3)], []string{"http://loinc.org", "urn:other"}[r.IntN(8)/7], r.IntN(2), p, dates[r.IntN(len(dates))], r.IntN(3))
}

var hotQuestions = []string{
	"Observation?code=http://loinc.org|c0", "Observation?code=c1", "Observation?status=final", "Observation?date=ge2024-03-03",
	"Observation?date=gt2024-03-02&date=lt2024-03-05", "Observation?date=2024-03-04", "Observation?code=c0&status=final",
	"Observation?code=c0&status:not=final", "Observation?status=final&date=le2024-03-03", "Observation?code=c0,c1&status=amended",
	"Patient?_has:Observation:subject:status=final", "Patient?gender=female&_has:Observation:patient:code=c1", "Patient?_has:Observation:patient:code=urn:other|c0", "Observation?status=final&_sort=date",
}

// ask asks the same of the lists in memory and of the tree, page by page.
func (g *hotRegion) ask(t *testing.T, snap store.Snapshot, r *rand.Rand) error {
	q, err := g.Query(hotQuestions[r.IntN(len(hotQuestions))] + fmt.Sprintf("&_count=%d", []int{0, 1, 7, 50}[r.IntN(4)]))
	if err != nil {
		return err
	}
	q.Total = r.IntN(3) > 0
	q.TotalWithin *= r.IntN(2)
	q.Restriction = []search.Restriction{search.Unrestricted(),
		{Decided: true, Permit: []search.Rule{{}}, Deny: []search.Rule{{Custodians: []string{"org1"}}}},
		{Decided: true, Permit: []search.Rule{{Patients: []fhir.Key{{Type: "Patient", ID: "p3"}, {Type: "Patient", ID: "p4"}}}, {Types: []fhir.Type{"Patient"}}}},
		{Decided: true, Permit: []search.Rule{{From: time.Date(2024, 3, 3, 0, 0, 0, 0, time.UTC)}}}}[r.IntN(4)]
	for range 3 {
		held, err := snap.Search(t.Context(), q)
		if err != nil {
			return fmt.Errorf("%+v: %w", q.Filter, err)
		}
		tree, err := disk.SearchTree(t.Context(), snap, q)
		if err != nil {
			return err
		}
		if q.TotalWithin > 0 && (held.Total < 0 || tree.Total < 0) {
			held.Total, tree.Total = -1, -1 // which of them counts to the end depends on the plan
		}
		if a, b := answer(held), answer(tree); a != b {
			return fmt.Errorf("%+v at %d:\nin memory %s\nin the tree %s", q.Filter, snap.T(), a, b)
		}
		if q.After = held.Next; q.After == nil {
			break
		}
	}
	g.asked.Add(1)
	if disk.HotBytes(g.Store) > 0 {
		g.cached.Add(1)
	}
	return nil
}

func answer(p store.Page) string {
	s := fmt.Sprintf("%d %x:", p.Total, p.Next)
	for i := range p.Matches {
		s += fmt.Sprintf(" %s/%d", p.Matches[i].ID, p.Matches[i].VersionID)
	}
	return s
}

// TestHotLists: lists in memory say at any moment what the tree says, beside
// writers, retention, and reopening with other parameters, in much memory and little.
func TestHotLists(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{8 << 20, 24 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			g := &hotRegion{World: storetest.NewWorld()}
			mem := vfs.NewMem()
			table := map[string]string{"Observation\x00status": "a", "Observation\x00date": "date a"}
			for round := range 3 {
				table["Observation\x00status"] = fmt.Sprint(round) // its list is built anew
				s, err := disk.Open("db", disk.Options{Extract: g.World.Extract, VFS: mem, HotAfter: 1, HotBytes: size, MaxJoin: 10, Parameters: table})
				if err != nil {
					t.Fatal(err)
				}
				g.Store = s
				g.beside(t, uint64(round))
				if err := s.Check(t.Context()); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d questions, %d of them with lists in memory", g.asked.Load(), g.cached.Load())
			if g.cached.Load() < 100 {
				t.Error("few lists were in memory")
			}
		})
	}
}

// TestHotOtherValue: what stood under another system of the same code is found
// at the moment before it went, though only the list of the first is in memory.
func TestHotOtherValue(t *testing.T) {
	t.Parallel()
	g := &hotRegion{World: storetest.NewWorld()}
	s, err := disk.Open("db", disk.Options{Extract: g.World.Extract, VFS: vfs.NewMem(), HotAfter: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g.Store = s
	var keys []fhir.Key
	for _, system := range []string{"urn:a", "urn:b"} {
		op, err := g.World.Op(fhir.Created, fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"coding":[{"system":%q,"code":"c"}]}}`, system[4:], system))
		if err == nil {
			_, err = s.Commit(t.Context(), store.Tx{Ops: []store.Op{op}})
		}
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, op.Key)
	}
	then, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	total := func(query string) int {
		q, err := g.Query(query + "&_count=0")
		if err != nil {
			t.Fatal(err)
		}
		q.Total, q.Restriction = true, search.Unrestricted()
		page, err := then.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return page.Total
	}
	for range 3 {
		total("Observation?code=urn:a|c")
	}
	if disk.HotBytes(s) == 0 {
		t.Fatal("the list is not in memory")
	}
	if _, err := s.Commit(t.Context(), store.Tx{Ops: []store.Op{{Method: fhir.Deleted, Key: keys[1]}}}); err != nil {
		t.Fatal(err)
	}
	if n := total("Observation?code=c"); n != 2 {
		t.Errorf("%d had the code then, want 2", n)
	}
}

// beside asks while two writers change the store, at new moments and old ones.
func (g *hotRegion) beside(t *testing.T, seed uint64) {
	ctx, done := context.WithCancel(t.Context())
	var writers, readers sync.WaitGroup
	for i := range uint64(2) {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(seed, i))
			for n := range 500 {
				if err := g.change(t.Context(), r); err != nil {
					t.Error(err)
					return
				}
				if i == 0 && n%100 == 99 {
					if _, err := g.Retain(t.Context(), retain.Policy{MaxAge: 50 * time.Millisecond, Followed: 1 << 60}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for i := range uint64(3) {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(seed, 10+i))
			for ctx.Err() == nil {
				if err := g.moment(t, r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	done()
	readers.Wait()
}

// moment asks a few questions of one snapshot. What retention takes away
// meanwhile is no difference.
func (g *hotRegion) moment(t *testing.T, r *rand.Rand) error {
	snap, err := g.Snapshot(t.Context(), 0)
	if err != nil {
		return err
	}
	if back := fhir.T(r.IntN(40)); r.IntN(3) == 0 && snap.T() > g.Horizon()+back {
		if snap, err = g.Snapshot(t.Context(), snap.T()-back); err != nil {
			return nil
		}
	}
	for range 1 + r.IntN(8) {
		if err := g.ask(t, snap, r); err != nil {
			if snap.T() < g.Horizon() || errors.Is(err, fhir.E(fhir.Busy)) { // Busy: its list is being built
				return nil
			}
			return err
		}
	}
	return nil
}
