package tally_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/tally"
)

// TestTally: the total and the first places are those of all postings, sorted.
func TestTally(t *testing.T) {
	t.Parallel()
	db, err := pebble.Open("", &pebble.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r := rand.New(rand.NewPCG(1, 2))
	var held []layout.Place
	batch := db.NewBatch()
	for i := range 8000 {
		p, from := layout.Place{Ord: layout.Ord(r.IntN(900)), RID: layout.RID(i)}, fhir.T(1+r.IntN(10))
		value := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 1}, r.Uint32())
		if err := batch.Set(layout.PostingKey(nil, value, p), layout.AppendPosted(nil, from, 0), nil); err != nil {
			t.Fatal(err)
		}
		if from <= 7 && value[7]%2 == 0 {
			held = append(held, p)
		}
	}
	if err := batch.Commit(nil); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(held, layout.Place.Compare)
	for _, keep := range []int{0, 1, 21, 700, 20_000} {
		for _, after := range []layout.Ord{0, 5, 300, 5000} {
			check(t, db, held, keep, after)
		}
	}
}

func check(t *testing.T, db *pebble.DB, held []layout.Place, keep int, after layout.Ord) {
	t.Helper()
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	unrestricted, spent := search.Unrestricted(), int64(0)
	c := tally.Tally{T: 7, Judge: judge.New(&unrestricted, "Observation", time.Time{}, nil, nil), Keep: keep, After: &after,
		Spend: func(n int64) error { spent += n; return nil }}
	lo := []byte{'X', 0, 0, 0, 1}
	if err := c.Count(it, &tally.Range{Lo: lo, Hi: layout.After(lo), Match: func(v []byte) bool { return v[3]%2 == 0 }}); err != nil {
		t.Fatal(err)
	}
	if c.Total != len(held) || spent != 8000 {
		t.Errorf("%d counted and %d paid, want %d and 8000", c.Total, spent, len(held))
	}
	var got []layout.Place
	for _, s := range c.First() {
		got = append(got, s.Place)
	}
	want := held[:0:0]
	behind := 0
	for _, p := range held {
		if keep == 0 || p.Ord < after || behind >= keep && p.Ord > want[len(want)-1].Ord {
			continue
		}
		if want = append(want, p); p.Ord > after {
			behind++
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("keep %d after %d: %d places, want %d", keep, after, len(got), len(want))
	}
}
