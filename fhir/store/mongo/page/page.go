// Package page orders matches, keeps those of one page and writes its cursor.
// It does no I/O.
package page

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// Ord is a moment in inverted milliseconds: ascending order is newest first.
type Ord int64

// OrdOf gives the default order of a version: its clinical date, or
// lastUpdated where it has none.
func OrdOf(clinical, lastUpdated time.Time) Ord {
	if clinical.IsZero() {
		clinical = lastUpdated
	}
	return Ord(-clinical.UnixMilli())
}

// Value is a sort value in a form whose bytes sort; nil where the resource has
// none, which comes last in either direction.
type Value []byte

// Hit is a match with what orders it. Ref is the caller's.
type Hit[R any] struct {
	Ord  Ord
	Key  fhir.Key
	Sort []Value
	Ref  R
}

// Collector keeps the first matches behind the cursor, and counts all.
type Collector[R any] struct {
	q      *search.Query
	limit  int     // one more than the page
	cursor *Hit[R] // nil at the front
	hits   []Hit[R]
	Total  int
}

// NewCollector reads the query's cursor; a damaged one is fhir.Invalid.
func NewCollector[R any](q *search.Query) (*Collector[R], error) {
	c := &Collector[R]{q: q}
	if q.Count > 0 {
		c.limit = q.Count + 1
	}
	if q.After == nil {
		return c, nil
	}
	h := &Hit[R]{}
	if !decode(q.After, len(q.Sort), h) {
		return nil, fhir.Errorf(fhir.Invalid, "the page token is damaged")
	}
	c.cursor = h
	return c, nil
}

// Start is the place behind which matches are wanted; ok is false if all are,
// because they are counted or sorted otherwise.
func (c *Collector[R]) Start() (ord Ord, key fhir.Key, ok bool) {
	if c.cursor == nil || c.q.Total || len(c.q.Sort) > 0 {
		return 0, fhir.Key{}, false
	}
	return c.cursor.Ord, c.cursor.Key, true
}

// Wants tells whether a match at ord could stand on the page. It is for
// matches in the default order; of sorted ones all are wanted.
func (c *Collector[R]) Wants(ord Ord) bool {
	if c.limit == 0 {
		return false
	}
	if len(c.q.Sort) > 0 {
		return true
	}
	return (c.cursor == nil || ord >= c.cursor.Ord) && (len(c.hits) < c.limit || ord <= c.hits[c.limit-1].Ord)
}

// Full tells that no match behind ord can change the page.
func (c *Collector[R]) Full(ord Ord) bool {
	return len(c.q.Sort) == 0 && len(c.hits) == c.limit && (c.limit == 0 || ord > c.hits[c.limit-1].Ord)
}

// Add keeps h if it is among the first matches behind the cursor.
func (c *Collector[R]) Add(h Hit[R]) {
	if c.limit == 0 || c.cursor != nil && c.compare(&h, c.cursor) <= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(c.hits, h, func(a, b Hit[R]) int { return c.compare(&a, &b) })
	if at == c.limit {
		return
	}
	if len(c.hits) == c.limit {
		c.hits = c.hits[:c.limit-1]
	}
	c.hits = slices.Insert(c.hits, at, h)
}

// Page gives the matches of the page and the cursor of the next one, nil at
// the end.
func (c *Collector[R]) Page() (hits []Hit[R], next []byte) {
	if c.q.Count > 0 && len(c.hits) > c.q.Count {
		hits = c.hits[:c.q.Count]
		return hits, encode(&hits[c.q.Count-1])
	}
	return c.hits, nil
}

func (c *Collector[R]) compare(a, b *Hit[R]) int {
	if len(c.q.Sort) == 0 {
		if n := cmp.Compare(a.Ord, b.Ord); n != 0 {
			return n
		}
	}
	for i := range c.q.Sort {
		if n := compareValues(a.Sort[i], b.Sort[i], c.q.Sort[i].Desc); n != 0 {
			return n
		}
	}
	return cmp.Or(cmp.Compare(a.Key.Type, b.Key.Type), cmp.Compare(a.Key.ID, b.Key.ID))
}

func compareValues(a, b Value, desc bool) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	case desc:
		return cmp.Compare(string(b), string(a))
	}
	return cmp.Compare(string(a), string(b))
}

// A cursor is a version, the order, the sort values and the key of the last
// match of a page.

func encode[R any](h *Hit[R]) []byte {
	b := binary.BigEndian.AppendUint64([]byte{1}, uint64(h.Ord))
	for _, v := range h.Sort {
		if v == nil {
			b = binary.AppendUvarint(b, 0)
			continue
		}
		b = append(binary.AppendUvarint(b, uint64(len(v))+1), v...)
	}
	return append(b, h.Key.String()...)
}

func decode[R any](b []byte, sorts int, h *Hit[R]) (ok bool) {
	if len(b) < 9 || b[0] != 1 {
		return false
	}
	h.Ord = Ord(binary.BigEndian.Uint64(b[1:]))
	b = b[9:]
	for range sorts {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k)+1 {
			return false
		}
		b = b[k:]
		var v Value
		if n > 0 {
			v = append(Value{}, b[:n-1]...)
			b = b[n-1:]
		}
		h.Sort = append(h.Sort, v)
	}
	h.Key, ok = fhir.ParseKey(string(b))
	return ok
}

// SortValue gives the value of a resource under a criterion: its smallest when
// ascending, its largest when descending. entries are not looked at for _id
// and _lastUpdated.
func SortValue(k *search.SortKey, v *fhir.Version, entries []search.Entry) Value {
	switch k.Param.Code {
	case "_id":
		return Value(v.ID)
	case "_lastUpdated":
		return appendInt(nil, v.LastUpdated.UnixMilli())
	}
	var best Value
	for i := range entries {
		if e := &entries[i]; e.Param.Code == k.Param.Code {
			if v := entryValue(e); v != nil && (best == nil || compareValues(v, best, k.Desc) < 0) {
				best = v
			}
		}
	}
	return best
}

// NeedsEntries tells whether a criterion is read from entries.
func NeedsEntries(k *search.SortKey) bool {
	return k.Param.Code != "_id" && k.Param.Code != "_lastUpdated"
}

// entryValue gives the bytes by which an entry sorts: dates by their
// beginning, strings by their normal form, quantities by their value as given.
func entryValue(e *search.Entry) Value {
	switch e.Param.Type {
	case definition.Date:
		return appendInt(nil, e.Lo)
	case definition.Number, definition.Quantity:
		return appendFloat(nil, e.Num)
	case definition.String:
		return append(Value{}, search.Normalize(e.Code)...)
	case definition.Reference:
		return append(Value{}, e.System+"/"+e.Code...)
	case definition.Token, definition.URI:
		return append(Value{}, e.Code...)
	}
	return nil
}

// appendInt appends eight bytes that sort as n does.
func appendInt(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)^1<<63) }

// appendFloat appends eight bytes that sort as f does.
func appendFloat(b []byte, f float64) []byte {
	if f == 0 {
		f = 0 // -0 sorts as 0
	}
	bits := math.Float64bits(f)
	if bits>>63 != 0 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(b, bits)
}
