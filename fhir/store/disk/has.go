package disk

import (
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/access"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/semi"
)

// has finds the matches of the other query first and then whom they point to;
// where they are too many it returns a check instead.
func (x *exec) has(pl *access.Planner, q *search.Query, pred *search.Predicate) (*access.Access, func(*candidate) (bool, error), error) {
	sq := inherit(pred.Has, q)
	x.note("has %s by %s", sq.Type, pred.HasParam.Code)
	x.depth++
	defer func() { x.depth-- }()
	if code := pred.HasParam.Code; pl.Type == "Patient" && (code == "patient" || code == "subject") {
		if a, check, err := x.hasPatient(pl, &sq, pred); a != nil || check != nil || err != nil {
			return a, check, err
		}
	}
	ids, all, err := x.pointed(pl.Type, &sq, pred, x.few(fewBodies))
	if err != nil {
		return nil, nil, err
	}
	if !all {
		x.note("too many to list: candidates are asked")
		return nil, semi.Ask(x.hasCheck(&sq, pred), fewBodies, x.s.s.opts.MaxJoin, func(limit int) (check, error) {
			ids, all, err := x.pointed(pl.Type, &sq, pred, limit)
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
	a := &access.Access{Name: "has " + string(sq.Type), Exact: true, Listed: true}
	for id := range ids {
		if err := x.addPlace(a, fhir.Key{Type: pl.Type, ID: id}); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(a.Places, spot.Compare)
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
func (x *exec) hasPatient(pl *access.Planner, sq *search.Query, pred *search.Predicate) (*access.Access, func(*candidate) (bool, error), error) {
	list, ok, err := x.planner(sq.Type).Of(pred.HasParam)
	if !ok || err != nil {
		return nil, nil, err
	}
	system, err := x.s.s.names.Find(layout.SystemName("Patient"))
	if system == 0 || err != nil {
		return nil, nil, err
	}
	m := &semi.Matches{T: x.s.t, Names: x.s.s.names, Get: x.tree.Get, Values: x.valuesAt, Code: pred.HasParam.Code, List: list, System: system}
	one, token, err := x.pairCheck(sq, pred)
	if err != nil {
		return nil, nil, err
	}
	all, told := false, true
	if long := token != nil && !x.all && x.s.s.long.Has(token); !long {
		all, told, err = x.gather(m, sq, x.few(fewPlaces))
	}
	switch {
	case err != nil || !told:
		return nil, nil, err
	case !all:
		if token != nil && !x.all {
			x.s.s.long.Add(token)
		}
		x.note("too many to list: candidates are asked, many of them together")
		first := 16 * semi.AskAlone
		if x.all {
			first = maxMatches
		}
		return nil, semi.Ask(one, first, maxMatches, func(limit int) (check, error) {
			all, told, err := x.gather(m, sq, limit)
			if !all || !told || err != nil {
				return nil, err
			}
			return func(c *candidate) (bool, error) { return pointedTo(m, c) }, nil
		}), nil
	}
	x.note("%d matches", m.Len())
	if everyone, err := everyone(pl); err != nil || everyone == nil {
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
	fewPlaces, fewTargets, fewBodies = 64, 1024, 64
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
func (x *exec) patientsOf(m *semi.Matches) (*access.Access, error) {
	a := &access.Access{Name: "has", Exact: true, Listed: true}
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
	slices.SortFunc(a.Places, spot.Compare)
	return a, nil
}

// valuesAt gives the values of the version that stood at a place.
func (x *exec) valuesAt(at layout.Place) ([]search.Entry, error) {
	c := &candidate{x: x}
	c.reset(spot{Place: at})
	return c.values()
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

// pairCheck is hasCheck for one that asks for a token alone, which the list of
// patients and tokens tells; list then begins the token's own. For another it is
// hasCheck.
func (x *exec) pairCheck(sq *search.Query, pred *search.Predicate) (one check, list []byte, err error) {
	asks := x.hasCheck(sq, pred)
	pl := x.planner(sq.Type)
	if len(sq.Filter) != 1 || !pl.Paired(pred.HasParam) {
		return asks, nil, nil
	}
	token := part{pred: &sq.Filter[0]}
	if token.pred.Param == nil || token.pred.Has != nil || !slices.Contains(layout.Paired[:], token.pred.Param.Code) {
		return asks, nil, nil
	}
	if token.a, err = pl.Compile(token.pred); err != nil || !token.plain(token.pred.Param.Code) || len(token.a.Ranges) != 1 || !token.a.Ranges[0].Points {
		return asks, nil, err
	}
	pairs, ok, err := pl.List(layout.PairList + token.pred.Param.Code)
	if !ok || err != nil {
		return asks, nil, err
	}
	r := &token.a.Ranges[0]
	lists, err := x.lists(r)
	if len(lists) > x.s.s.opts.MaxLists || err != nil {
		return asks, nil, err
	}
	p := &semi.Pairs{
		T: x.s.t, Each: x.tree.Each, Judge: judge.New(&sq.Restriction, sq.Type, x.now, nil, x.s.s.names),
		List: pairs, Tokens: semi.TokensOf(lists), Known: x.pairs, Epoch: x.epoch,
	}
	return func(c *candidate) (bool, error) {
		row, err := c.head()
		if err != nil {
			return false, err
		}
		if err := x.spend(near * int64(len(p.Tokens))); err != nil {
			return false, err
		}
		v, err := p.Of(c.place.RID, row.ID)
		if err != nil || v == judge.Yes {
			return err == nil, err
		}
		if v == judge.No && fhir.T(x.s.s.lastUndo.Load()) <= x.s.t {
			return false, nil
		}
		return asks(c)
	}, r.Lo, nil
}
