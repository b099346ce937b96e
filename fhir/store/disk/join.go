package disk

import (
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/semi"
)

// chain finds the matches of the chained queries first and then who refers to
// them; where they are too many it returns a check instead.
func (x *exec) chain(pl *planner, q *search.Query, pred *search.Predicate) (*access, func(*candidate) (bool, error), error) {
	a := &access{name: pred.Param.Code + " chained", exact: true}
	list, ok, err := pl.list(pred.Param.Code)
	if !ok || err != nil {
		return a, nil, err
	}
	x.note("chain %s", pred.Param.Code)
	x.depth++
	defer func() { x.depth-- }()
	for _, sub := range pred.Chain {
		sq := inherit(sub, q)
		keys, enough, err := x.keysOf(&sq, x.few(fewTargets)-len(a.ranges))
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
			a.ranges = append(a.ranges, valueRange{lo: lv, hi: layout.After(lv), fixed: true})
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

// has finds the matches of the other query first and then whom they point to;
// where they are too many it returns a check instead.
func (x *exec) has(pl *planner, q *search.Query, pred *search.Predicate) (*access, func(*candidate) (bool, error), error) {
	sq := inherit(pred.Has, q)
	x.note("has %s by %s", sq.Type, pred.HasParam.Code)
	x.depth++
	defer func() { x.depth-- }()
	if code := pred.HasParam.Code; pl.typ == "Patient" && (code == "patient" || code == "subject") {
		if a, check, err := x.hasPatient(pl, &sq, pred); a != nil || check != nil || err != nil {
			return a, check, err
		}
	}
	ids, all, err := x.pointed(pl.typ, &sq, pred, x.few(fewBodies))
	if err != nil {
		return nil, nil, err
	}
	if !all {
		x.note("too many to list: candidates are asked")
		return nil, semi.Ask(x.hasCheck(&sq, pred), fewBodies, x.s.s.opts.MaxJoin, func(limit int) (check, error) {
			ids, all, err := x.pointed(pl.typ, &sq, pred, limit)
			if !all || err != nil {
				return nil, err
			}
			return func(c *candidate) (bool, error) {
				row, err := c.head()
				_, ok := ids[row.ID]
				return ok, err
			}, nil
		}), nil
	}
	a := &access{name: "has " + string(sq.Type), exact: true, listed: true}
	for id := range ids {
		if err := x.addPlace(a, fhir.Key{Type: pl.typ, ID: id}); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(a.places, spot.Compare)
	return a, nil, nil
}

// pointed lists the ids of the resources of type t that matches of a _has point
// to; all is false if there are more matches than limit.
func (x *exec) pointed(t fhir.Type, sq *search.Query, pred *search.Predicate, limit int) (ids map[string]struct{}, all bool, err error) {
	ids = map[string]struct{}{}
	n := 0
	err = x.each(sq, layout.Place{}, func(c *candidate) (bool, error) {
		if n++; n > limit {
			return false, nil
		}
		entries, err := c.values()
		for i := range entries {
			if e := &entries[i]; e.Param.Code == pred.HasParam.Code && e.System == string(t) {
				ids[e.Code] = struct{}{}
			}
		}
		return true, err
	})
	return ids, n <= limit, err
}

// hasPatient is has where the other query's resources name their patient: their
// facts list it (fhir/search), so that the rid of a match with one patient
// tells the patient's home. It gives nothing where that does not work.
func (x *exec) hasPatient(pl *planner, sq *search.Query, pred *search.Predicate) (*access, func(*candidate) (bool, error), error) {
	list, ok, err := (&planner{s: x.s.s, typ: sq.Type}).list(pred.HasParam.Code)
	if !ok || err != nil {
		return nil, nil, err
	}
	system, err := x.s.s.names.Find(layout.SystemName("Patient"))
	if system == 0 || err != nil {
		return nil, nil, err
	}
	m := &semi.Matches{T: x.s.t, Names: x.s.s.names, Get: x.tree.Get, Values: x.valuesAt, Code: pred.HasParam.Code, List: list, System: system}
	all, told, err := x.gather(m, sq, x.few(fewPlaces))
	switch {
	case err != nil || !told:
		return nil, nil, err
	case !all:
		x.note("too many to list: candidates are asked, many of them together")
		first := 32 * semi.AskAlone
		if x.all {
			first = maxMatches
		}
		return nil, semi.Ask(x.hasCheck(sq, pred), first, maxMatches, func(limit int) (check, error) {
			all, told, err := x.gather(m, sq, limit)
			if !all || !told || err != nil {
				return nil, err
			}
			return func(c *candidate) (bool, error) { return pointedTo(m, c) }, nil
		}), nil
	}
	x.note("%d matches", m.Len())
	if everyone, err := pl.all(); err != nil || everyone == nil {
		return nil, nil, err
	} else if n, err := x.weigh(everyone.a); err != nil || n/refutes < m.Len() {
		return nil, func(c *candidate) (bool, error) { return pointedTo(m, c) }, err
	}
	a, err := x.patientsOf(m)
	return a, nil, err
}

const (
	// refutes is how many patients are refuted in memory in the time that one
	// match takes to become a place.
	refutes = 20
	// maxMatches of a _has are held in memory, 16 bytes each.
	maxMatches = 1_000_000
	// As many of a join's other side are listed while it is planned, in about
	// the time of a page: places in memory, keys of rows, references in bodies.
	fewPlaces, fewTargets, fewBodies = 256, 1024, 64
)

// few bounds n, and lifts it for a search that visits all.
func (x *exec) few(n int) int {
	if x.all {
		n = x.s.s.opts.MaxJoin
	}
	return min(n, x.s.s.opts.MaxJoin)
}

// check decides on a candidate what its postings do not.
type check = func(*candidate) (bool, error)

// gather finds the matches of a _has. all is false if there are more than
// limit, told is false if one does not tell its home.
func (x *exec) gather(m *semi.Matches, sq *search.Query, limit int) (all, told bool, err error) {
	m.Reset()
	all, told = true, true
	err = x.each(sq, layout.Place{}, func(c *candidate) (bool, error) {
		if all = m.Len() < limit; !all {
			return false, nil
		}
		told, err = m.Add(c.class, c.place)
		return told, err
	})
	if all && told {
		m.Sort()
	}
	return all, told, err
}

// pointedTo reports whether a match points to the candidate, a Patient.
func pointedTo(m *semi.Matches, c *candidate) (bool, error) {
	for _, at := range m.At(c.place.RID) {
		row, err := c.head()
		if err != nil {
			return false, err
		}
		if err := c.x.spend(costRow); err != nil {
			return false, err
		}
		if ok, err := m.Points(at, row.ID); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// patientsOf gives the places of the patients that matches point to.
func (x *exec) patientsOf(m *semi.Matches) (*access, error) {
	a := &access{name: "has", exact: true, listed: true}
	known := map[string]bool{}
	c := &candidate{x: x}
	for _, at := range m.Places() {
		c.reset(spot{Place: at})
		row, err := c.head()
		if err != nil {
			return nil, err
		}
		for _, k := range row.Facts.Patients {
			if k.Type != "Patient" || known[k.ID] {
				continue
			}
			k.ID = strings.Clone(k.ID)
			points, err := m.Points(at, k.ID)
			if err != nil {
				return nil, err
			}
			if known[k.ID] = points; points {
				if err := x.addPlace(a, k); err != nil {
					return nil, err
				}
			}
		}
	}
	slices.SortFunc(a.places, spot.Compare)
	return a, nil
}

// valuesAt gives the values of the version that stood at a place.
func (x *exec) valuesAt(at layout.Place) ([]search.Entry, error) {
	c := &candidate{x: x}
	c.reset(spot{Place: at})
	return c.values()
}

// addPlace adds where k stood at the snapshot's time, if it was there.
func (x *exec) addPlace(a *access, k fhir.Key) error {
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
	a.places = append(a.places, spot{Place: layout.Place{Ord: row.Ord(), RID: rid}})
	return nil
}

// hasCheck asks of each candidate whether a match points to it.
func (x *exec) hasCheck(sq *search.Query, pred *search.Predicate) func(*candidate) (bool, error) {
	return func(c *candidate) (bool, error) {
		row, err := c.head()
		if err != nil {
			return false, err
		}
		one := *sq
		one.Filter = append(slices.Clone(sq.Filter), search.Predicate{
			Param:  pred.HasParam,
			Values: []search.Value{{RefType: row.Type, Code: row.ID}},
		})
		return x.exists(&one)
	}
}

// byID gives the places of the ids asked for.
func (x *exec) byID(pl *planner, pred *search.Predicate) (*access, error) {
	if pred.Modifier != search.NoModifier && pred.Modifier != search.Not {
		return nil, fhir.Errorf(fhir.NotSupported, "_id takes no modifier %q", pred.Modifier)
	}
	a := &access{name: "_id", exact: true, listed: true, negate: pred.Modifier == search.Not}
	for i := range pred.Values {
		if err := x.addPlace(a, fhir.Key{Type: pl.typ, ID: pred.Values[i].Code}); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(a.places, spot.Compare)
	a.places = slices.Compact(a.places)
	return a, nil
}

// lastUpdated gives the ranges of _lastUpdated, which is indexed by the
// millisecond.
func (p *planner) lastUpdated(pred *search.Predicate) (*access, error) {
	if pred.Modifier != search.NoModifier {
		return nil, fhir.Errorf(fhir.NotSupported, "_lastUpdated takes no modifier %q", pred.Modifier)
	}
	a := &access{name: pred.Param.Code, exact: true}
	list, ok, err := p.list(layout.UpdatedList)
	if !ok || err != nil {
		return a, err
	}
	for i := range pred.Values {
		v := &pred.Values[i]
		from, to := int64(search.MinDate), int64(search.MaxDate)
		switch v.Prefix {
		case search.Eq, search.Ap, "":
			from, to = v.Lo, v.Hi
		case search.Gt, search.Ge, search.Sa:
			from = v.Lo
		case search.Lt, search.Le, search.Eb:
			to = v.Hi
		}
		list = list[:len(list):len(list)]
		a.ranges = append(a.ranges, spanRange(layout.AppendInt(list, from/1000-1), layout.AppendInt(list, to/1000+1), func(value []byte) bool {
			us := layout.IntOf(value) * 1000
			return search.MatchDate(v, us, us+1000)
		}))
	}
	return a, nil
}
