package disk

import (
	"bytes"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/order"
	"hutong/fhir/store/disk/tally"
)

// collector keeps the first matches behind the cursor, and counts.
type collector struct {
	q         *search.Query
	order.Top // Limit is one more than the page
	total     int
	waiting   []spot         // to be sorted
	budget    *search.Budget // of a total that may be left out; nil of an exact one, or none

	byDate bool // sorted by the date of the default order, newest first
	lot    int  // of such, as many are sorted at a time
}

func (x *exec) newCollector(q *search.Query) (*collector, error) {
	c := &collector{q: q, budget: search.NewBudget(q), Top: order.Top{Keys: q.Sort}}
	if q.Count > 0 {
		c.Limit = q.Count + 1
		c.byDate, c.lot = q.Type != "" && len(q.Sort) > 0 && q.Sort[0].Orders && q.Sort[0].Desc, 2*c.Limit
	}
	if q.After == nil {
		return c, nil
	}
	h := order.Hit{}
	ok := false
	if h.Place.Ord, h.Sort, h.Key, ok = order.ParseCursor(q.After, len(q.Sort)); !ok {
		return nil, fhir.Errorf(fhir.Invalid, "the page token is damaged")
	}
	c.Cursor = &h
	return c, nil
}

// start is where a scan may begin: without a total nothing before the cursor
// is of interest.
func (c *collector) start() layout.Place {
	if c.Cursor == nil || c.counts() || len(c.q.Sort) > 0 {
		return layout.Place{}
	}
	return layout.Place{Ord: c.Cursor.Place.Ord}
}

// counts reports whether the total is still to be known.
func (c *collector) counts() bool { return c.q.Total && !c.budget.Over() }

// beyond is called at the first match that the page does not need.
func (c *collector) beyond() (more bool) {
	c.budget.Beyond()
	return c.counts()
}

// take is the visitor that collects. Matches of a sorted query wait until all
// of their type are known: then it is known how their values are best read.
func (c *collector) take(m *candidate) (more bool, err error) {
	c.total++
	return c.offer(m)
}

// offer is take for a match that was counted.
func (c *collector) offer(m *candidate) (more bool, err error) {
	switch {
	case c.Limit == 0:
		return true, nil
	case c.byDate && c.ripe(m.place):
		return c.beyond(), nil
	case len(c.q.Sort) > 0:
		c.waiting = append(c.waiting, spot{Place: m.place, Class: m.class})
		if c.byDate && len(c.waiting) >= c.lot {
			c.lot *= 2
			return true, c.settle(m.x, c.q.Type)
		}
		return true, nil
	case c.Cursor != nil && m.place.Ord < c.Cursor.Place.Ord:
		return true, nil
	case c.Full() && m.place.Ord > c.Last().Place.Ord:
		return c.beyond(), nil
	}
	row, err := m.head()
	if err == nil {
		c.Insert(order.Hit{Place: m.place, Key: row.Key, Row: m.raw})
	}
	return true, err
}

// ripe reports whether a sort by the date of the default order has its page:
// whoever stands at p or behind it has no date that is newer than p.
func (c *collector) ripe(p layout.Place) bool {
	if !c.Full() || len(c.waiting) > 0 {
		return false
	}
	last := c.Last().Sort[0]
	return last != nil && layout.IntOf(last) >= (p.Ord.Moment()+1)*1000
}

// alone reports whether the driver's postings decide all: nothing stands beside
// it but what the judge decides.
func alone(parts []part, driver *part) bool {
	if driver.a.Negate || driver.a.Listed || !driver.a.Exact && !driver.homes {
		return false
	}
	for i := range parts {
		if q := &parts[i]; q != driver && !q.done && !q.homes {
			return false
		}
	}
	return true
}

// sweepable gives p what exec.sweep answers q by: a list in memory, or ranges
// of the tree in which no place stands twice. It gives nothing where there are
// none, and where a driver comes in order and may stop after a page.
func (x *exec) sweepable(p *typePlan, d *part, c *collector) (err error) {
	a := d.a
	if a.Distinct && len(a.Ranges) > 0 {
		if a.Ordered && !(c.counts() && c.budget == nil) {
			return nil
		}
		p.sweptList = a.Ranges[0].Lo[:4]
		for _, r := range a.Ranges {
			p.sweep = append(p.sweep, tally.Range{Lo: append([]byte{'X'}, r.Lo...), Hi: append([]byte{'X'}, r.Hi...), Match: r.Match})
		}
		p.packed, err = x.packed(p.sweptList, d.pred)
		return err
	}
	if !c.counts() || len(a.Ranges) != 1 || !a.Ranges[0].Fixed && !a.Ranges[0].Points {
		return nil
	}
	if c.budget != nil && !x.hot.May(a.Ranges[0].Lo) {
		return nil // what is not in memory is not swept
	}
	lists, err := x.lists(&a.Ranges[0])
	if err != nil || len(lists) != 1 {
		return err
	}
	lo := append([]byte{'X'}, lists[0]...)
	p.sweptList, p.sweep = lists[0], []tally.Range{{Lo: lo, Hi: layout.After(lo), Len: len(lo) + layout.PlaceLen}}
	if p.packed, err = x.packed(p.sweptList, nil); p.packed != nil && err == nil && !a.Ranges[0].Fixed {
		// What the range held under another value, and no longer does, is in the tree.
		err = x.undone(&a.Ranges[0], func(value []byte, _ spot) bool {
			if !bytes.Equal(value, lists[0][4:]) {
				p.packed = nil
			}
			return p.packed != nil
		})
	}
	if c.budget == nil || err != nil {
		return err
	}
	known := false // without a look at each row
	if p.packed != nil {
		known, err = (&tally.Tally{Judge: p.judge}).Settles(p.packed)
	}
	if !known {
		p.sweep, p.packed = nil, nil
	}
	return err
}

// sweep collects the matches of a plan without filters: all are counted as they
// lie, whatever their order, and the places of the page are kept.
func (x *exec) sweep(p *typePlan, q *search.Query, c *collector) error {
	m := &candidate{x: x}
	t := tally.Tally{T: x.s.t, Judge: p.judge, Keep: c.Limit, Spend: x.spend, Ask: func(at spot) (bool, error) {
		m.reset(at)
		return x.accept(p, q, m)
	}}
	if c.Cursor != nil {
		t.After = &c.Cursor.Place.Ord
	}
	if err := x.tallied(p, &t); err != nil {
		return err
	}
	c.total += t.Total
	for lot := range slices.Chunk(t.First(), 1024) {
		rows, err := x.rows(lot)
		if err != nil {
			return err
		}
		for i, at := range lot {
			m.reset(at)
			if err := m.with(rows[i]); err != nil {
				return err
			}
			if more, err := c.offer(m); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// tallied counts what a sweep is to see, in memory or in the tree.
func (x *exec) tallied(p *typePlan, t *tally.Tally) error {
	switch {
	case p.packed != nil && p.swept.a.Distinct:
		x.note("count the dates in memory")
		return t.Dates(p.packed, p.swept.dateBounds, p.swept.onDate)
	case p.packed != nil:
		x.note("count in memory")
		return t.Packed(p.packed)
	}
	x.note("count as they lie")
	it, err := x.tree.Iter(nil, nil)
	if err != nil {
		return err
	}
	before := x.spent
	for i := range p.sweep {
		if err = t.Count(it, &p.sweep[i]); err != nil {
			break
		}
	}
	x.hot.Used(p.sweptList, x.spent-before)
	if err == nil {
		err = x.sweepUndone(p, t, it)
	}
	return join(err, x.tree.Done(it))
}

// sweepUndone adds what was superseded since the snapshot, but for what the
// sweep saw before it was.
func (x *exec) sweepUndone(p *typePlan, t *tally.Tally, it *pebble.Iterator) error {
	var places []spot
	seen := map[layout.Place][]byte{}
	for i := range p.swept.a.Ranges {
		r := &p.swept.a.Ranges[i]
		err := x.undone(r, func(value []byte, at spot) bool {
			places = append(places, at)
			seen[at.Place] = slices.Concat([]byte{'X'}, r.Lo[:4], value)
			return true
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(places, spot.Compare)
	for _, at := range slices.CompactFunc(places, func(a, b spot) bool { return a.Place == b.Place }) {
		key := seen[at.Place]
		if p.sweep[0].Len != 0 {
			key = p.sweep[0].Lo // the one list
		}
		had, err := t.Has(it, layout.AppendPlace(bytes.Clone(key), at.Place))
		if err == nil && !had {
			err = t.Add(spot{Place: at.Place, Class: at.Class})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle sorts the waiting matches, all of one type, into the hits. A date is
// told by the posting that was matched, if its class says so. Other values of
// few are read from their bodies; of more from the posting lists of the
// criteria, where a value costs about a hundredth of a body.
func (c *collector) settle(x *exec, t fhir.Type) error {
	waiting := c.waiting
	c.waiting = c.waiting[:0]
	tables := make([]sortTable, len(c.q.Sort))
	for i := range tables {
		k := &c.q.Sort[i]
		if len(waiting) > x.s.s.opts.MaxSort {
			var err error
			if tables[i], err = x.sortTable(t, k, waiting); err != nil {
				return err
			}
		}
		tables[i].dates = judge.NewDates(&search.Predicate{Param: k.Param}, x.s.s.names)
	}
	m := &candidate{x: x}
	for _, p := range waiting {
		m.reset(p)
		h := order.Hit{Place: p.Place, Sort: make([]order.Value, len(tables))}
		for i := range tables {
			v, err := tables[i].value(m, &c.q.Sort[i])
			if err != nil {
				return err
			}
			h.Sort[i] = v
		}
		if c.Full() && c.CompareSort(&h, c.Last()) > 0 {
			continue // its key cannot help it
		}
		row, err := m.head()
		if err != nil {
			return err
		}
		h.Key, h.Row = row.Key, m.raw
		c.Insert(h)
	}
	return nil
}

// sortTable holds the values of one criterion for the matches of one type. The
// zero table holds none: values are read from the bodies.
type sortTable struct {
	values map[layout.RID]order.Value
	cut    map[layout.RID]bool // have a value that is longer than its posting
	dates  *judge.Dates        // tells the value by class and order; nil for what is no date
}

func (t *sortTable) value(m *candidate, k *search.SortKey) (order.Value, error) {
	if t.dates != nil {
		if span, err := t.dates.Span(m.class); span > 0 || err != nil {
			return layout.AppendInt(nil, m.place.Ord.Moment()*1000), err
		}
	}
	if t.values == nil || t.cut[m.place.RID] {
		return m.sortValue(k)
	}
	return t.values[m.place.RID], nil
}

// sortTable reads the posting list of a criterion.
func (x *exec) sortTable(t fhir.Type, k *search.SortKey, of []spot) (sortTable, error) {
	all, err := x.planner(t).Whole(k.Param)
	if k.Param.Code == "_id" || err != nil {
		return sortTable{}, err
	}
	tab := sortTable{values: make(map[layout.RID]order.Value, len(of)), cut: map[layout.RID]bool{}}
	for _, p := range of {
		tab.values[p.RID] = nil
	}
	for i := range all {
		err = join(err, x.postings(&all[i], func(value []byte, p spot) bool {
			best, wanted := tab.values[p.RID]
			if !wanted {
				return true
			}
			v, cut := order.Posted(k.Param, value)
			if cut {
				tab.cut[p.RID] = true
			}
			tab.values[p.RID] = order.Better(best, v, k.Desc)
			return true
		}))
	}
	return tab, err
}

func (c *collector) result() *result {
	r := &result{page: c.Hits, total: c.total}
	if c.budget.Over() {
		r.total = -1
	}
	if c.q.Count > 0 && len(c.Hits) > c.q.Count {
		r.page = c.Hits[:c.q.Count]
		last := &r.page[c.q.Count-1]
		r.next = order.AppendCursor(last.Place.Ord, last.Sort, last.Key)
	}
	return r
}

// sortValue gives the candidate's value under a criterion: its smallest when
// ascending, its largest when descending.
func (m *candidate) sortValue(k *search.SortKey) (order.Value, error) {
	row, err := m.head()
	if err != nil {
		return nil, err
	}
	switch k.Param.Code {
	case "_id":
		return order.Value(strings.Clone(row.ID)), nil
	case layout.UpdatedList:
		return layout.AppendInt(nil, row.LastUpdated.UnixMilli()), nil
	}
	entries, err := m.values()
	if err != nil {
		return nil, err
	}
	var best order.Value
	for i := range entries {
		if e := &entries[i]; e.Param.Code == k.Param.Code {
			best = order.Better(best, order.Of(e), k.Desc)
		}
	}
	return best, nil
}
