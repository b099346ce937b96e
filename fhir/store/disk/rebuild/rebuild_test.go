package rebuild_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/rebuild"
	"hutong/fhir/store/storetest"
)

// old is a release that did not know some parameters yet.
type old struct {
	*storetest.World
	without []string // Type\x00code
}

func (o *old) extract(b fhir.Body, k fhir.Key) ([]search.Entry, fhir.Facts, error) {
	entries, facts, err := o.Extract(b, k)
	return slices.DeleteFunc(entries, func(e search.Entry) bool {
		return slices.Contains(o.without, string(k.Type)+"\x00"+e.Param.Code)
	}), facts, err
}

func (o *old) options(fs vfs.FS) disk.Options {
	table := rebuild.Fingerprints(o.Defs)
	maps.DeleteFunc(table, func(name, _ string) bool { return slices.Contains(o.without, name) })
	return disk.Options{Extract: o.extract, Parameters: table, VFS: fs}
}

func write(t *testing.T, w *storetest.World, o *old, s store.Store, n int, rng *rand.Rand) {
	t.Helper()
	for range n {
		id := rng.IntN(150)
		src := fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","subject":{"reference":"Patient/p%d"},"code":{"coding":[{"system":"http://loinc.org","code":"c%d"}]},`+
			`"effectiveDateTime":"2020-01-%02d","valueQuantity":{"value":%d,"code":"mg","system":"http://unitsofmeasure.org"}}`, id, rng.IntN(9), rng.IntN(5), 1+rng.IntN(28), rng.IntN(9))
		op, err := w.Op(fhir.Updated, src)
		if err != nil {
			t.Fatal(err)
		}
		if op.Entries, _, err = o.extract(op.Body, op.Key); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(8) == 0 {
			op = store.Op{Key: op.Key, Method: fhir.Deleted}
		}
		if _, err := s.Commit(t.Context(), store.Tx{Ops: []store.Op{op}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRebuild: a release that knows more parameters, or reads them otherwise,
// opens the store; the index is built beside writers, over kills in the
// middle, and is then that of a store which always knew them, at every moment.
func TestRebuild(t *testing.T) {
	t.Parallel()
	w := storetest.NewWorld()
	for _, names := range [][]string{{"Observation\x00code"}, {"Observation\x00patient", "Observation\x00date"}} {
		t.Run(strings.ReplaceAll(strings.Join(names, " "), "\x00", "."), func(t *testing.T) {
			t.Parallel()
			rng, mem := rand.New(rand.NewPCG(5, 5)), vfs.NewCrashableMem()
			before, now := &old{w, names}, &old{w, nil}
			s, err := disk.Open("db", before.options(mem))
			if err != nil {
				t.Fatal(err)
			}
			write(t, w, before, s, 260, rng)
			middle, err := s.Snapshot(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Check(t.Context()), s.Close()); err != nil {
				t.Fatal(err)
			}
			for kill := range 3 {
				if s, err = disk.Open("db", now.options(mem)); err != nil {
					t.Fatal(err)
				}
				write(t, w, now, s, 3, rng)
				if kill == 0 {
					refused(t, w, s, names)
				}
				mem = mem.CrashClone(vfs.CrashCloneCfg{}) // a power failure
				_ = s.Close()
			}
			if s, err = disk.Open("db", now.options(mem)); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			write(t, w, now, s, 30, rng)
			built(t, s)
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
			same(t, w, now, s, middle.T())
			same(t, w, now, s, 0)
		})
	}
}

// built waits for the index.
func built(t *testing.T, s *disk.Store) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); len(s.Building()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still building %v", s.Building())
		}
	}
}

// TestSources: a store in which each parameter had lists of its own is searched
// rightly from the first moment on by a release that finds some in the lists of
// others, and is rid of theirs.
func TestSources(t *testing.T) {
	t.Parallel()
	w, rng, mem := storetest.NewWorld(), rand.New(rand.NewPCG(6, 6)), vfs.NewMem()
	o := &old{World: w}
	before, now := o.options(mem), o.options(mem)
	before.Defs, before.Parameters = &definition.Set{}, map[string]string{}
	for name, f := range now.Parameters {
		before.Parameters[name], _, _ = strings.Cut(f, "|from")
	}
	s, err := disk.Open("db", before)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, o, s, 200, rng)
	middle, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	same(t, w, o, s, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = disk.Open("db", now); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	same(t, w, o, s, middle.T())
	write(t, w, o, s, 60, rng)
	same(t, w, o, s, 0)
	built(t, s)
	if err := s.Check(t.Context()); err != nil { // no row is there that does not follow from a resource
		t.Error(err)
	}
	same(t, w, o, s, middle.T())
	same(t, w, o, s, 0)
}

// refused: what needs a parameter that is being built is Busy, what does not is
// answered.
func refused(t *testing.T, w *storetest.World, s *disk.Store, names []string) {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	ask := func(text string) error {
		q, err := w.Query(text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = snap.Search(t.Context(), q)
		return err
	}
	whole := slices.Contains(names, "Observation\x00date") // every row says how its resource is dated
	if err := ask("Observation?status=final"); err != nil && !whole {
		t.Errorf("a search that needs nothing new: %v", err)
	}
	if err := ask("Patient?active=true"); err != nil {
		t.Errorf("a search of another type: %v", err)
	}
	param := map[string]string{"code": "code=c1", "patient": "patient=Patient/p1", "value-quantity": "value-quantity=gt1"}[strings.TrimPrefix(names[0], "Observation\x00")]
	for _, text := range []string{"Observation?" + param, "Patient?_has:Observation:subject:" + param} {
		if err := ask(text); len(s.Building()) > 0 && !errors.Is(err, fhir.E(fhir.Busy)) {
			t.Errorf("%s while its index is built: %v, want Busy", text, err)
		}
	}
}

// same: searches by the new parameters find what a scan of the bodies finds.
func same(t *testing.T, w *storetest.World, o *old, s *disk.Store, at fhir.T) {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	find := func(text string) *search.Query {
		q, err := w.Query(text)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	all, err := snap.Search(t.Context(), find("Observation?_count=1000"))
	if err != nil || len(all.Matches) < 60 {
		t.Fatalf("%d observations (%v)", len(all.Matches), err)
	}
	for _, text := range []string{"code=http://loinc.org|c1", "patient=Patient/p2", "patient=Patient/p2&code=c3", "subject=Patient/p2&code=c3", "patient:missing=false",
		"combo-code=c1", "combo-code:not=c1", "combo-code:missing=false", "code-value-quantity=c1$gt3", "combo-value-quantity=gt4", "date=ge2020-01-20", "value-quantity=gt4", "code:missing=true"} {
		q := find("Observation?" + text + "&_count=1000&_total=accurate")
		page, err := snap.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, r := range all.Matches {
			entries, _, err := o.extract(r.Body, r.Key)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(q.Filter, func(p search.Predicate) bool { return !search.Matches(&p, entries) }) {
				want++
			}
		}
		if len(page.Matches) != want || page.Total != want {
			t.Errorf("at %d, %s finds %d of %d", at, text, len(page.Matches), want)
		}
	}
}
