package disk

import (
	"cmp"
	"encoding/binary"
	"slices"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/access"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/order"
)

// chain finds the matches of the chained queries first and then who refers to
// them; where they are too many it returns a check instead.
func (x *exec) chain(pl *access.Planner, q *search.Query, pred *search.Predicate) (*access.Access, func(*candidate) (bool, error), error) {
	a := &access.Access{Name: pred.Param.Code + " chained", Exact: true}
	list, ok, err := pl.Of(pred.Param)
	if !ok || err != nil {
		return a, nil, err
	}
	x.note("chain %s", pred.Param.Code)
	x.depth++
	defer func() { x.depth-- }()
	for _, sub := range pred.Chain {
		sq := inherit(sub, q)
		keys, enough, err := x.keysOf(&sq, x.few(fewTargets)-len(a.Ranges))
		if err != nil {
			return nil, nil, err
		}
		if !enough {
			x.note("too many to list: each candidate is asked")
			return nil, x.chainCheck(q, pred), nil
		}
		for _, k := range keys {
			system, err := x.s.s.names.Find(layout.SystemName(string(k.Type)))
			if err != nil {
				return nil, nil, err
			}
			if system == 0 {
				continue // nothing refers to this type
			}
			lv := layout.AppendToken(list[:len(list):len(list)], k.ID, system)
			a.Ranges = append(a.Ranges, access.Range{Lo: lv, Hi: layout.After(lv), Fixed: true})
		}
	}
	return a, nil, nil
}

// keysOf lists the keys of the visible matches of q; enough is false if there
// are more than limit.
func (x *exec) keysOf(q *search.Query, limit int) (keys []fhir.Key, enough bool, err error) {
	enough = true
	err = x.each(q, layout.Place{}, func(c *candidate) (bool, error) {
		if len(keys) >= limit {
			enough = false
			return false, nil
		}
		row, err := c.head()
		if err == nil {
			r := row.Clone()
			keys = append(keys, r.Key)
		}
		return true, err
	})
	return keys, enough, err
}

// chainCheck follows a candidate's references and asks whether one leads to a
// match. What was found out of a target is kept for the next candidate.
func (x *exec) chainCheck(q *search.Query, pred *search.Predicate) func(*candidate) (bool, error) {
	known := map[fhir.Key]bool{}
	return func(c *candidate) (bool, error) {
		entries, err := c.values()
		if err != nil {
			return false, err
		}
		for i := range entries {
			e := &entries[i]
			if e.Param.Code != pred.Param.Code || e.System == "" {
				continue
			}
			k := fhir.Key{Type: fhir.Type(e.System), ID: e.Code}
			hit, asked := known[k]
			if !asked {
				if hit, err = x.leadsTo(q, pred, k); err != nil {
					return false, err
				}
				known[k] = hit
			}
			if hit {
				return true, nil
			}
		}
		return false, nil
	}
}

// leadsTo asks whether k is a match of one of the chained queries.
func (x *exec) leadsTo(q *search.Query, pred *search.Predicate, k fhir.Key) (bool, error) {
	for _, sub := range pred.Chain {
		if sub.Type != k.Type {
			continue
		}
		sq := inherit(sub, q)
		sq.Filter = append(slices.Clone(sq.Filter), search.Predicate{
			Param:  &definition.SearchParam{Code: "_id", Type: definition.Token},
			Values: []search.Value{{Code: k.ID}},
		})
		if hit, err := x.exists(&sq); hit || err != nil {
			return hit, err
		}
	}
	return false, nil
}

func (x *exec) exists(q *search.Query) (bool, error) {
	found := false
	err := x.each(q, layout.Place{}, func(*candidate) (bool, error) { found = true; return false, nil })
	return found, err
}

// addPlace adds where k stood at the snapshot's time, if it was there.
func (x *exec) addPlace(a *access.Access, k fhir.Key) error {
	if err := x.spend(costRow); err != nil {
		return err
	}
	rid, found, err := x.rid(k)
	if !found || err != nil {
		return err
	}
	var row layout.Row
	if raw, err := x.row(rid, &row, nil); raw == nil || err != nil || row.Deleted() {
		return err
	}
	a.Places = append(a.Places, spot{Place: layout.Place{Ord: row.Ord(), RID: rid}})
	return nil
}

// byID gives the places of the ids asked for.
func (x *exec) byID(pl *access.Planner, pred *search.Predicate) (*access.Access, error) {
	if pred.Modifier != search.NoModifier && pred.Modifier != search.Not {
		return nil, fhir.Errorf(fhir.NotSupported, "_id takes no modifier %q", pred.Modifier)
	}
	a := &access.Access{Name: "_id", Exact: true, Listed: true, Negate: pred.Modifier == search.Not}
	for i := range pred.Values {
		if err := x.addPlace(a, fhir.Key{Type: pl.Type, ID: pred.Values[i].Code}); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(a.Places, spot.Compare)
	a.Places = slices.Compact(a.Places)
	return a, nil
}

// visitor takes one match; more is false when it wants no more of this type.
type visitor func(c *candidate) (more bool, err error)

// each visits the visible matches of q, each type from the place start on,
// newest first within a type.
func (x *exec) each(q *search.Query, start layout.Place, visit visitor) error {
	for _, t := range x.types(q) {
		if err := x.eachOf(q, t, start, visit); err != nil {
			return err
		}
	}
	return nil
}

func (x *exec) eachOf(q *search.Query, t fhir.Type, start layout.Place, visit visitor) error {
	p, err := x.plan(q, t, nil)
	if err == nil {
		err = x.scan(p, q, start, visit)
	}
	return join(err, p.close())
}

// inherit gives a sub-query the restriction of the query that it stands in,
// unless it has one of its own, so that nobody learns by a chain of what he may
// not see.
func inherit(sub, parent *search.Query) search.Query {
	q := *sub
	if !q.Restriction.Decided {
		q.Restriction = parent.Restriction
	}
	return q
}

// types that a query ranges over, in order of name.
func (x *exec) types(q *search.Query) []fhir.Type {
	if q.Type != "" {
		return []fhir.Type{q.Type}
	}
	if len(q.Types) > 0 {
		return q.Types
	}
	return x.s.s.names.Types()
}

// many reads several resources, leaving out what is absent or deleted.
func (x *exec) many(keys []fhir.Key) ([]fhir.Resource, error) {
	hits := make([]order.Hit, 0, len(keys))
	var row layout.Row
	for _, k := range keys {
		if err := ctxError(x.ctx); err != nil {
			return nil, err
		}
		rid, found, err := x.rid(k)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		raw, err := x.row(rid, &row, nil)
		if err != nil {
			return nil, err
		}
		if raw != nil && !row.Deleted() {
			hits = append(hits, order.Hit{Place: layout.Place{RID: rid}, Row: raw})
		}
	}
	return x.resources(hits, true)
}

// rid looks a resource up by its key.
func (x *exec) rid(k fhir.Key) (rid layout.RID, found bool, err error) {
	typ, err := x.s.s.names.Find(string(k.Type))
	if typ == 0 || err != nil {
		return 0, false, err
	}
	if rid, found = x.s.s.ids.RID(typ, k.ID); found {
		return rid, true, nil
	}
	var buf [80]byte
	v, err := x.tree.Get(layout.IDKey(buf[:0], typ, k.ID))
	if err != nil || len(v) != 8 {
		return 0, false, err
	}
	rid = layout.RID(binary.BigEndian.Uint64(v))
	x.s.s.ids.Keep(typ, k.ID, rid)
	return rid, true, nil
}

// rows reads the rows of places, in the order of the store, where each lies near
// the one before.
func (x *exec) rows(of []spot) ([][]byte, error) {
	byRID := make([]int, len(of))
	for i := range byRID {
		byRID[i] = i
	}
	slices.SortFunc(byRID, func(a, b int) int { return cmp.Compare(of[a].RID, of[b].RID) })
	out := make([][]byte, len(of))
	var all []byte // their memory
	for _, i := range byRID {
		v, err := x.rowBytes(of[i].RID)
		if err = join(err, x.spend(costRow)); err != nil {
			return nil, err
		}
		if _, t := layout.VersionOf(v); v != nil && t <= x.s.t {
			from := len(all)
			all = append(all, v...)
			out[i] = all[from:]
			continue
		}
		var row layout.Row
		if out[i], err = x.row(of[i].RID, &row, nil); err != nil || out[i] == nil {
			return nil, join(err, ioError(errNoRow))
		}
	}
	return out, nil
}

// resources gives those of hits, and reads bodies in the order of the store.
func (x *exec) resources(hits []order.Hit, bodies bool) ([]fhir.Resource, error) {
	out := make([]fhir.Resource, len(hits))
	byRID := make([]int, len(hits))
	for i := range byRID {
		byRID[i] = i
	}
	slices.SortFunc(byRID, func(a, b int) int { return cmp.Compare(hits[a].Place.RID, hits[b].Place.RID) })
	for _, i := range byRID {
		var row layout.Row
		err := row.Read(hits[i].Row, x.s.s.names)
		if err != nil {
			return nil, ioError(err)
		}
		out[i] = fhir.Resource{Version: row.Version, Facts: row.Facts}
		if bodies {
			out[i].Body, err = x.body(hits[i].Place.RID, row.VersionID)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
