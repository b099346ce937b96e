package disk

import (
	"slices"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
)

// typePlan is how a query runs on one type.
type typePlan struct {
	empty   bool // some predicate cannot match
	driver  stream
	filters []filter
	verify  []*search.Predicate                // held against the entries
	checks  []func(c *candidate) (bool, error) // chains that were too many to list
}

// filter is a predicate's stream beside the driver.
type filter struct {
	st      stream
	negate  bool
	started bool
	ended   bool
}

// outcome of the filters for a place.
type outcome uint8

const (
	here      outcome = iota // all hold
	not                      // one does not: go to the next place
	elsewhere                // none can hold before a later place
	ended                    // nothing can match any more
)

// filter holds the streams beside the driver against a place. A stream that
// must hold the place lets the driver leap to its next one.
func (p *typePlan) filter(at layout.Place) (jump layout.Place, state outcome, err error) {
	for i := range p.filters {
		f := &p.filters[i]
		if !f.ended && (!f.started || f.st.place().Compare(at) < 0) {
			ok, err := f.st.seek(at)
			if err != nil {
				return jump, not, err
			}
			f.started, f.ended = true, !ok
		}
		found := !f.ended && f.st.place() == at
		switch {
		case f.negate && found:
			return jump, not, nil
		case f.negate || found:
		case f.ended:
			return jump, ended, nil
		default:
			return f.st.place(), elsewhere, nil
		}
	}
	return jump, here, nil
}

func (p *typePlan) close() error {
	if p == nil {
		return nil
	}
	var all []stream
	if p.driver != nil {
		all = append(all, p.driver)
	}
	for i := range p.filters {
		all = append(all, p.filters[i].st)
	}
	return closeAll(all)
}

// part is a predicate of the query on its way into the plan.
type part struct {
	pred   *search.Predicate
	a      *access
	count  int  // postings, counted up to the limit of the last round
	opened bool // became driver or filter
	done   bool // covered by another part
}

// maxRead is the number of places that a plan reads into memory for a driver.
const maxRead = 4_000_000

// plan compiles q for one type. The caller closes the plan, also after an
// error.
func (x *exec) plan(q *search.Query, t fhir.Type) (*typePlan, error) {
	p := &typePlan{}
	pl := &planner{s: x.s.s, typ: t}
	parts, err := x.parts(p, pl, q)
	if err != nil {
		return p, err
	}
	driver, err := x.choose(parts)
	if err != nil {
		return p, err
	}
	if driver == nil {
		list, ok, err := pl.list(layout.AllList)
		if !ok || err != nil {
			p.empty = true
			return p, err
		}
		driver = &part{a: &access{name: "all " + string(t), exact: true, ranges: []valueRange{{lo: list, hi: layout.After(list), fixed: true}}}, count: maxRead}
	}
	x.note("%s: drive %s (about %d)", t, driver.a.name, driver.count)
	var enough bool
	if p.driver, enough, err = x.open(driver.a, maxRead); err == nil && !enough {
		err = fhir.Errorf(fhir.TooCostly, "the search looks at too much: narrow it, by a patient or a date")
	}
	if err != nil {
		return p, err
	}
	driver.opened = true
	return p, x.filters(p, parts, driver)
}

// choose counts the postings of the parts, in rounds of growing limits, until
// the rarest is known. nil means that no part can drive.
func (x *exec) choose(parts []part) (*part, error) {
	for _, limit := range []int{64, 1024, 16384} {
		var best *part
		for i := range parts {
			q := &parts[i]
			if q.done || q.a == nil || q.a.negate {
				continue
			}
			n, err := x.count(q.a, limit)
			if err != nil {
				return nil, err
			}
			if q.count = n; best == nil || n < best.count {
				best = q
			}
		}
		if best == nil || best.count < limit || limit == 16384 {
			return best, nil
		}
	}
	return nil, nil
}

// filters opens the other parts beside the driver. What would take longer to
// read than to verify on the driver's candidates is verified.
func (x *exec) filters(p *typePlan, parts []part, driver *part) error {
	for i := range parts {
		q := &parts[i]
		if q.done {
			continue
		}
		exact := q.a != nil && q.a.exact
		if q.a != nil && !q.opened {
			st, enough, err := x.open(q.a, min(maxRead, 100*driver.count+1000))
			if err != nil {
				return err
			}
			if enough {
				x.note("with %s (about %d, negated %v)", q.a.name, q.count, q.a.negate)
				p.filters = append(p.filters, filter{st: st, negate: q.a.negate})
			}
			exact = exact && enough
		}
		if !exact {
			x.note("verify %s", q.pred.Param.Code)
			p.verify = append(p.verify, q.pred)
		}
	}
	return nil
}

// parts compiles the predicates of q.
func (x *exec) parts(p *typePlan, pl *planner, q *search.Query) ([]part, error) {
	parts := make([]part, 0, len(q.Filter)+1)
	for i := range q.Filter {
		pred := &q.Filter[i]
		a, check, err := x.part(pl, q, pred)
		if err != nil {
			return nil, err
		}
		if check != nil {
			p.checks = append(p.checks, check)
			continue
		}
		parts = append(parts, part{pred: pred, a: a})
	}
	return x.pair(pl, parts)
}

// part compiles one predicate: to an access, to a check, or to neither.
func (x *exec) part(pl *planner, q *search.Query, pred *search.Predicate) (*access, func(*candidate) (bool, error), error) {
	switch {
	case pred.Has != nil:
		return x.has(pl, q, pred)
	case len(pred.Chain) > 0:
		return x.chain(pl, q, pred)
	case pred.Param.Code == "_id":
		a, err := x.byID(pl, pred)
		return a, nil, err
	case pred.Param.Code == layout.UpdatedList:
		a, err := pl.lastUpdated(pred)
		return a, nil, err
	}
	a, err := pl.compile(pred)
	return a, nil, err
}

// pair replaces a patient and a code, or category, by the list of both.
func (x *exec) pair(pl *planner, parts []part) ([]part, error) {
	pat := slices.IndexFunc(parts, func(p part) bool { return (&p).plain("patient") })
	if pat < 0 {
		return parts, nil
	}
	for i := range parts {
		p := &parts[i]
		if !slices.ContainsFunc(layout.Paired[:], p.plain) {
			continue
		}
		a, err := pl.pairs(parts[pat].pred, p.pred)
		if err != nil {
			return nil, err
		}
		if a != nil {
			p.done, parts[pat].done = true, true
			return append(parts, part{pred: p.pred, a: a}), nil
		}
	}
	return parts, nil
}

// plain reports whether the part is the parameter of that code, without
// modifier or chain, and decided by its postings.
func (p *part) plain(code string) bool {
	return p.pred.Param != nil && p.pred.Param.Code == code && p.pred.Modifier == search.NoModifier &&
		p.pred.Chain == nil && p.a != nil && p.a.exact
}
