package order

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
)

// Hit is a match with what orders it.
type Hit struct {
	Place layout.Place
	Key   fhir.Key
	Row   []byte // the facts row that the key was read from
	Sort  []Value
}

// Top keeps the first matches behind a cursor. Without Keys they come in the
// default order.
type Top struct {
	Keys   []search.SortKey
	Limit  int
	Cursor *Hit // nil at the front
	Hits   []Hit
}

// Insert keeps h if it is among the first matches behind the cursor. It copies
// what it keeps.
func (t *Top) Insert(h Hit) {
	if t.Cursor != nil && t.Compare(&h, t.Cursor) <= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(t.Hits, h, func(a, b Hit) int { return t.Compare(&a, &b) })
	if at == t.Limit {
		return
	}
	if len(t.Hits) == t.Limit {
		t.Hits = t.Hits[:t.Limit-1]
	}
	h.Row = bytes.Clone(h.Row)
	h.Key.ID = strings.Clone(h.Key.ID)
	t.Hits = slices.Insert(t.Hits, at, h)
}

// Full reports whether there are as many as are kept.
func (t *Top) Full() bool { return len(t.Hits) == t.Limit }

// Last is the last that is kept, of at least one.
func (t *Top) Last() *Hit { return &t.Hits[len(t.Hits)-1] }

// Compare orders two matches.
func (t *Top) Compare(a, b *Hit) int {
	if len(t.Keys) == 0 {
		if n := cmp.Compare(a.Place.Ord, b.Place.Ord); n != 0 {
			return n
		}
	}
	return cmp.Or(t.CompareSort(a, b), cmp.Compare(a.Key.Type, b.Key.Type), cmp.Compare(a.Key.ID, b.Key.ID))
}

// CompareSort orders them by their values alone.
func (t *Top) CompareSort(a, b *Hit) int {
	for i := range t.Keys {
		if n := Compare(a.Sort[i], b.Sort[i], t.Keys[i].Desc); n != 0 {
			return n
		}
	}
	return 0
}
