package disk

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
)

// hit is a match with what orders it.
type hit struct {
	place layout.Place
	key   fhir.Key
	row   []byte // the facts row that the key was read from
	sort  []sortValue
}

// sortValue is a value in a form whose bytes sort; nil where the resource has
// none, which comes last in either direction.
type sortValue []byte

// collector keeps the first matches behind the cursor, and counts.
type collector struct {
	q       *search.Query
	limit   int  // one more than the page
	cursor  *hit // nil at the front
	hits    []hit
	total   int
	waiting []spot // to be sorted
}

func (x *exec) newCollector(q *search.Query) (*collector, error) {
	c := &collector{q: q}
	if q.Count > 0 {
		c.limit = q.Count + 1
	}
	if q.After == nil {
		return c, nil
	}
	h, ok := decodeCursor(q.After, len(q.Sort))
	if !ok {
		return nil, fhir.Errorf(fhir.Invalid, "the page token is damaged")
	}
	c.cursor = &h
	return c, nil
}

// start is where a scan may begin: without a total nothing before the cursor
// is of interest.
func (c *collector) start() layout.Place {
	if c.cursor == nil || c.q.Total || len(c.q.Sort) > 0 {
		return layout.Place{}
	}
	return layout.Place{Ord: c.cursor.place.Ord}
}

// take is the visitor that collects. Matches of a sorted query wait until all
// of their type are known: then it is known how their values are best read.
func (c *collector) take(m *candidate) (more bool, err error) {
	c.total++
	switch {
	case c.limit == 0:
		return true, nil
	case len(c.q.Sort) > 0:
		c.waiting = append(c.waiting, spot{m.place, m.class})
		return true, nil
	case c.cursor != nil && m.place.Ord < c.cursor.place.Ord:
		return true, nil
	case len(c.hits) == c.limit && m.place.Ord > c.hits[c.limit-1].place.Ord:
		return c.q.Total, nil
	}
	row, err := m.head()
	if err == nil {
		c.insert(hit{place: m.place, key: row.Key, row: m.raw})
	}
	return true, err
}

// insert keeps h if it is among the first matches behind the cursor.
func (c *collector) insert(h hit) {
	if c.cursor != nil && c.compare(&h, c.cursor) <= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(c.hits, h, func(a, b hit) int { return c.compare(&a, &b) })
	if at == c.limit {
		return
	}
	if len(c.hits) == c.limit {
		c.hits = c.hits[:c.limit-1]
	}
	h.row = bytes.Clone(h.row) // the candidate's memory is used again
	h.key.ID = strings.Clone(h.key.ID)
	c.hits = slices.Insert(c.hits, at, h)
}

// settle sorts the waiting matches, all of one type, into the hits. Of few the
// values are read from their bodies; of more from the posting lists of the
// criteria, where a value costs about a hundredth of a body.
func (c *collector) settle(x *exec, t fhir.Type) error {
	waiting := c.waiting
	c.waiting = c.waiting[:0]
	tables := make([]sortTable, len(c.q.Sort))
	if len(waiting) > x.s.s.opts.MaxSort {
		for i := range tables {
			var err error
			if tables[i], err = x.sortTable(t, &c.q.Sort[i], waiting); err != nil {
				return err
			}
		}
	}
	m := &candidate{x: x}
	for _, p := range waiting {
		m.reset(p)
		h := hit{place: p.Place, sort: make([]sortValue, len(tables))}
		for i := range tables {
			v, err := tables[i].value(m, &c.q.Sort[i])
			if err != nil {
				return err
			}
			h.sort[i] = v
		}
		if len(c.hits) == c.limit && c.compareSort(&h, &c.hits[c.limit-1]) > 0 {
			continue // its key cannot help it
		}
		row, err := m.head()
		if err != nil {
			return err
		}
		h.key, h.row = row.Key, m.raw
		c.insert(h)
	}
	return nil
}

// sortTable holds the values of one criterion for the matches of one type. The
// zero table holds none: values are read from the bodies.
type sortTable struct {
	values map[layout.RID]sortValue
	cut    map[layout.RID]bool // have a value that is longer than its posting
}

func (t *sortTable) value(m *candidate, k *search.SortKey) (sortValue, error) {
	if t.values == nil || t.cut[m.place.RID] {
		return m.sortValue(k)
	}
	return t.values[m.place.RID], nil
}

// sortTable reads the posting list of a criterion.
func (x *exec) sortTable(t fhir.Type, k *search.SortKey, of []spot) (sortTable, error) {
	pl := &planner{s: x.s.s, typ: t}
	list, ok, err := pl.list(k.Param.Code)
	if k.Param.Code == "_id" || err != nil {
		return sortTable{}, err
	}
	tab := sortTable{values: make(map[layout.RID]sortValue, len(of)), cut: map[layout.RID]bool{}}
	if !ok {
		return tab, nil
	}
	for _, p := range of {
		tab.values[p.RID] = nil
	}
	r := whole(list)
	err = x.postings(&r, func(value []byte, p spot) bool {
		best, wanted := tab.values[p.RID]
		if !wanted {
			return true
		}
		v, cut := x.postedSortValue(k.Param, value)
		if cut {
			tab.cut[p.RID] = true
		}
		tab.values[p.RID] = better(best, v, k.Desc)
		return true
	})
	return tab, err
}

// postedSortValue gives entrySortValue of the entry behind a posting; cut says
// that the posting does not hold it whole.
func (x *exec) postedSortValue(p *definition.SearchParam, value []byte) (v sortValue, cut bool) {
	if p.Code == layout.UpdatedList {
		return bytes.Clone(value), false
	}
	switch p.Type {
	case definition.Date:
		lo, _, ok := layout.PeriodOf(value)
		return layout.AppendInt(nil, lo), !ok
	case definition.Number, definition.Quantity:
		lo, _, ok := layout.RangeOf(value)
		return layout.AppendFloat(nil, lo), !ok
	case definition.String, definition.URI:
		s, cut, _, ok := layout.CutString(value)
		return sortValue(s), cut || !ok
	case definition.Token:
		code, _, cut, ok := layout.TokenOf(value)
		return sortValue(code), cut || !ok
	}
	return nil, true
}

func (c *collector) compare(a, b *hit) int {
	if len(c.q.Sort) == 0 {
		if n := cmp.Compare(a.place.Ord, b.place.Ord); n != 0 {
			return n
		}
	}
	if n := c.compareSort(a, b); n != 0 {
		return n
	}
	if n := cmp.Compare(a.key.Type, b.key.Type); n != 0 {
		return n
	}
	return cmp.Compare(a.key.ID, b.key.ID)
}

func (c *collector) compareSort(a, b *hit) int {
	for i := range c.q.Sort {
		if n := compareValues(a.sort[i], b.sort[i], c.q.Sort[i].Desc); n != 0 {
			return n
		}
	}
	return 0
}

func compareValues(a, b sortValue, desc bool) int {
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

func (c *collector) result() *result {
	r := &result{page: c.hits, total: c.total}
	if c.q.Count > 0 && len(c.hits) > c.q.Count {
		r.page = c.hits[:c.q.Count]
		r.next = encodeCursor(&r.page[c.q.Count-1])
	}
	return r
}

// A cursor is the place's order, the sort values and the key of the last match
// of a page.

func encodeCursor(h *hit) []byte {
	b := binary.BigEndian.AppendUint64([]byte{1}, uint64(h.place.Ord))
	for _, v := range h.sort {
		if v == nil {
			b = binary.AppendUvarint(b, 0)
			continue
		}
		b = append(binary.AppendUvarint(b, uint64(len(v))+1), v...)
	}
	return append(b, h.key.String()...)
}

func decodeCursor(b []byte, sorts int) (h hit, ok bool) {
	if len(b) < 9 || b[0] != 1 {
		return h, false
	}
	h.place.Ord = layout.Ord(binary.BigEndian.Uint64(b[1:]))
	b = b[9:]
	for range sorts {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k)+1 {
			return h, false
		}
		b = b[k:]
		var v sortValue
		if n > 0 {
			v = append(sortValue{}, b[:n-1]...)
			b = b[n-1:]
		}
		h.sort = append(h.sort, v)
	}
	h.key, ok = fhir.ParseKey(string(b))
	return h, ok
}

// sortValue gives the candidate's value under a criterion: its smallest when
// ascending, its largest when descending.
func (m *candidate) sortValue(k *search.SortKey) (sortValue, error) {
	row, err := m.head()
	if err != nil {
		return nil, err
	}
	switch k.Param.Code {
	case "_id":
		return sortValue(strings.Clone(row.ID)), nil
	case layout.UpdatedList:
		return layout.AppendInt(nil, row.LastUpdated.UnixMilli()), nil
	}
	entries, err := m.values()
	if err != nil {
		return nil, err
	}
	var best sortValue
	for i := range entries {
		if e := &entries[i]; e.Param.Code == k.Param.Code {
			best = better(best, entrySortValue(e), k.Desc)
		}
	}
	return best, nil
}

func better(best, v sortValue, desc bool) sortValue {
	if v != nil && (best == nil || compareValues(v, best, desc) < 0) {
		return v
	}
	return best
}

// entrySortValue gives the bytes by which an entry sorts: dates by their
// beginning, strings by their normal form, quantities by their value as given.
func entrySortValue(e *search.Entry) sortValue {
	switch e.Param.Type {
	case definition.Date:
		return layout.AppendInt(nil, e.Lo)
	case definition.Number, definition.Quantity:
		return layout.AppendFloat(nil, e.Num)
	case definition.String:
		return append(sortValue{}, search.Normalize(e.Code)...)
	case definition.Reference:
		return append(sortValue{}, e.System+"/"+e.Code...)
	case definition.Token, definition.URI:
		return append(sortValue{}, e.Code...)
	}
	return nil
}
