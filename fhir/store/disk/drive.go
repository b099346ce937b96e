package disk

import (
	"fmt"
	"slices"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/access"
	"hutong/fhir/store/disk/hot"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/stream"
	"hutong/fhir/store/disk/tally"
)

// typePlan is how a query runs on one type.
type typePlan struct {
	empty     bool          // some predicate cannot match
	sweep     []tally.Range // instead of a driver: see exec.sweep
	swept     *part
	sweptList []byte    // its key in hot.Cache
	packed    *hot.View // the list that is swept, if it is in memory
	driver    stream.Stream
	filters   []filter
	judge     *judge.Judge                       // what the caller may see
	verify    []*search.Predicate                // held against the entries
	checks    []func(c *candidate) (bool, error) // chains that were too many to list
	budget    *search.Budget                     // of a total that may be left out
}

// afford pays for a candidate that the caller may see; false ends the scan.
func (p *typePlan) afford(c *candidate) bool {
	cost := 1
	if len(p.verify)+len(p.checks)+len(c.unsure) > 0 {
		cost = search.TotalDear
	}
	return p.budget.Take(cost)
}

// passed pays for a candidate that a filter refuted, if it is sure that the
// caller may see it: what he may not see has no part in what he is told.
func (p *typePlan) passed(c *candidate) (bool, error) {
	if !p.budget.Spends() {
		return true, nil
	}
	v, err := p.judge.Of(c.class, c.place)
	return err == nil && (v != judge.Yes || p.afford(c)), err
}

// filter is a predicate's stream beside the driver. That of a date is opened
// only when classes leave too many candidates undecided.
type filter struct {
	st      stream.Stream
	negate  bool
	started bool
	ended   bool

	dates *judge.Dates // nil for all but dates
	pred  *search.Predicate
	part  *part
	limit int // of places that are read into memory
	asked int // candidates whose class did not tell
}

// outcome of the filters for a place.
type outcome uint8

const (
	here      outcome = iota // all hold
	not                      // one does not: go to the next place
	elsewhere                // none can hold before a later place
	ended                    // nothing can match any more
)

// filter holds the streams beside the driver against a candidate. A stream
// that must hold the place lets the driver leap to its next one.
func (p *typePlan) filter(c *candidate) (jump layout.Place, state outcome, err error) {
	for i := range p.filters {
		f := &p.filters[i]
		if f.dates != nil {
			v, err := f.dates.Of(c.class, c.place)
			if err == nil && v == judge.Maybe && f.st == nil {
				err = f.late(c)
			}
			if err != nil || v == judge.No {
				return jump, not, err
			}
			if v == judge.Yes || f.st == nil {
				continue
			}
		}
		if jump, state, err = f.holds(c.place); state != here || err != nil {
			return jump, state, err
		}
	}
	return jump, here, nil
}

// holds tells whether a filter's stream has a place.
func (f *filter) holds(at layout.Place) (jump layout.Place, state outcome, err error) {
	if !f.ended && (!f.started || f.st.Place().Compare(at) < 0) {
		ok, err := f.st.Seek(at)
		if err != nil {
			return jump, not, err
		}
		f.started, f.ended = true, !ok
	}
	found := !f.ended && f.st.Place() == at
	switch {
	case f.negate && found:
		return jump, not, nil
	case f.negate || found:
		return jump, here, nil
	case f.ended:
		return jump, ended, nil
	}
	return f.st.Place(), elsewhere, nil
}

// lateAfter is how many bodies are read for a date before its list is.
const lateAfter = 16

// late decides on a date that the candidate's class does not tell: by its body,
// or, of many candidates, by the list of the date. That is opened once.
func (f *filter) late(c *candidate) error {
	if f.asked++; f.asked == lateAfter {
		st, enough, err := c.x.open(f.part.a, f.limit)
		if err != nil {
			return err
		}
		if enough {
			f.st = st
			return nil
		}
	}
	c.unsure = append(c.unsure, f.pred)
	return nil
}

func (p *typePlan) close() error {
	if p == nil {
		return nil
	}
	var all []stream.Stream
	if p.driver != nil {
		all = append(all, p.driver)
	}
	for i := range p.filters {
		if p.filters[i].st != nil {
			all = append(all, p.filters[i].st)
		}
	}
	return stream.CloseAll(all)
}

// part is a predicate of the query on its way into the plan.
type part struct {
	pred   *search.Predicate
	also   []*search.Predicate // on the same date: see together
	homes  bool                // instead of a predicate: the compartments that the restriction does not go beyond
	a      *access.Access
	count  int  // postings, counted up to the limit of the last round
	opened bool // became driver or filter
	done   bool // covered by another part
}

// maxRead is the number of places that a plan reads into memory for a driver.
const maxRead = 4_000_000

// uncounted is the count of a part that was not counted.
const uncounted = maxRead + 1

func (x *exec) planner(t fhir.Type) *access.Planner {
	return &access.Planner{Names: x.s.s.names, Defs: x.s.s.opts.Defs, Type: t}
}

// plan compiles q for one type; c permits exec.sweep if its matches need no
// sorting, nil does not. The caller closes the plan, also after an error.
func (x *exec) plan(q *search.Query, t fhir.Type, c *collector) (*typePlan, error) {
	p := &typePlan{}
	pl := x.planner(t)
	homes, bounded := judge.Compartments(&q.Restriction, t, x.now)
	if p.empty = bounded && len(homes) == 0; p.empty {
		x.note("%s: nothing is permitted", t)
		return p, nil
	}
	parts, err := x.parts(p, pl, q)
	if err == nil && bounded && len(homes) <= x.s.s.opts.MaxJoin {
		var a *access.Access
		a, err = pl.Homes(homes)
		parts = append(parts, part{a: a, homes: true})
	}
	if err != nil {
		return p, err
	}
	driver, err := x.choose(parts)
	if err == nil && driver == nil {
		driver, err = everyone(pl)
	}
	if err != nil || driver == nil {
		p.empty = true
		return p, err
	}
	x.note("%s: drive %s%s", t, driver.a.Name, about(driver.count))
	p.judge = judge.New(&q.Restriction, t, x.now, within(parts, driver, homes), x.s.s.names)
	if c != nil && (c.Limit == 0 || len(q.Sort) == 0) && len(p.checks) == 0 && alone(parts, driver) {
		if err = x.sweepable(p, driver, c); p.sweep != nil || err != nil {
			p.swept = driver
			return p, err
		}
	}
	return p, x.drive(p, parts, driver)
}

// drive opens the driver and the filters beside it.
func (x *exec) drive(p *typePlan, parts []part, driver *part) error {
	st, enough, err := x.open(driver.a, maxRead)
	if err != nil {
		return err
	}
	if !enough {
		return fhir.Errorf(fhir.TooCostly, "the search looks at too much: narrow it, by a patient or a date")
	}
	p.driver, driver.opened = st, true
	return x.filters(p, parts, driver)
}

// within gives patients in whose compartments all matches lie: those of the
// driver's compartments, or those that the query names by patient, which every
// resource's facts list too (fhir/search).
func within(parts []part, driver *part, homes []fhir.Key) []fhir.Key {
	if driver.homes {
		return homes
	}
	for i := range parts {
		p := &parts[i]
		if !p.plain("patient") {
			continue
		}
		var named []fhir.Key
		for _, v := range p.pred.Values {
			if v.RefType == "Patient" || v.RefType == "" && p.done { // the pair list knows patients only
				named = append(named, fhir.Key{Type: "Patient", ID: v.Code})
			}
		}
		if len(named) == len(p.pred.Values) {
			return named
		}
	}
	return nil
}

// filters opens the other parts beside the driver. What would take longer to
// read than to verify on the driver's candidates is verified.
func (x *exec) filters(p *typePlan, parts []part, driver *part) error {
	limit := min(maxRead, 100*driver.count+100)
	for i := range parts {
		q := &parts[i]
		if q.done || q.homes {
			continue // another part, or the judge, decides
		}
		exact := q.a != nil && q.a.Exact
		switch dates := judge.NewDates(q.pred, x.s.s.names); {
		case q.a == nil || q.opened:
		case exact && dates != nil:
			x.note("with %s by class (about %d)", q.a.Name, q.count)
			p.filters = append(p.filters, filter{dates: dates, pred: q.pred, part: q, limit: limit})
			for _, pred := range q.also {
				p.filters = append(p.filters, filter{dates: judge.NewDates(pred, x.s.s.names), pred: pred, part: q, limit: limit})
			}
		default:
			st, enough, err := x.open(q.a, limit)
			if err != nil {
				return err
			}
			if enough {
				x.note("with %s (about %d, negated %v)", q.a.Name, q.count, q.a.Negate)
				p.filters = append(p.filters, filter{st: st, negate: q.a.Negate})
			}
			exact = exact && enough
		}
		if !exact {
			x.note("verify %s", q.pred.Param.Code)
			p.verify = append(append(p.verify, q.pred), q.also...)
		}
	}
	return nil
}

// parts compiles the predicates of q.
func (x *exec) parts(p *typePlan, pl *access.Planner, q *search.Query) ([]part, error) {
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
	together(parts)
	return x.pair(pl, parts)
}

// part compiles one predicate: to an access, to a check, or to neither.
func (x *exec) part(pl *access.Planner, q *search.Query, pred *search.Predicate) (*access.Access, func(*candidate) (bool, error), error) {
	switch {
	case pred.Has != nil:
		return x.has(pl, q, pred)
	case len(pred.Chain) > 0:
		return x.chain(pl, q, pred)
	case pred.Param.Code == "_id":
		a, err := x.byID(pl, pred)
		return a, nil, err
	case pred.Param.Code == layout.UpdatedList:
		a, err := pl.LastUpdated(pred)
		return a, nil, err
	}
	a, err := pl.Compile(pred)
	return a, nil, err
}

// pair replaces a patient and a code, or category, by the list of both.
func (x *exec) pair(pl *access.Planner, parts []part) ([]part, error) {
	pat := slices.IndexFunc(parts, func(p part) bool {
		return !p.homes && p.pred.Param != nil && pl.Paired(p.pred.Param) && (&p).plain(p.pred.Param.Code)
	})
	if pat < 0 {
		return parts, nil
	}
	for i := range parts {
		p := &parts[i]
		if !slices.ContainsFunc(layout.Paired[:], p.plain) {
			continue
		}
		a, err := pl.Pairs(parts[pat].pred, p.pred)
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
	return !p.homes && p.pred.Param != nil && p.pred.Param.Code == code && p.pred.Modifier == search.NoModifier &&
		p.pred.Chain == nil && p.a != nil && p.a.Exact
}

// together joins the parts that ask for the same date, date=ge..&date=lt..:
// the first gets the ranges that all of them share.
func together(parts []part) {
	for i := range parts {
		first := &parts[i]
		if first.done || first.a == nil || len(first.a.Ranges) == 0 || !access.OneDate(first.pred) {
			continue
		}
		for j := i + 1; j < len(parts); j++ {
			if other := &parts[j]; !other.done && other.pred.Param == first.pred.Param && access.OneDate(other.pred) {
				first.also, other.done = append(first.also, other.pred), true
				first.a.Ranges = access.Common(first.a.Ranges, other.a.Ranges)
			}
		}
	}
}

// all drives from every resource of the type; nil if there never was one.
func everyone(p *access.Planner) (*part, error) {
	list, ok, err := p.List(layout.AllList)
	if !ok || err != nil {
		return nil, err
	}
	return &part{a: &access.Access{Name: "all " + string(p.Type), Exact: true, Ranges: []access.Range{{Lo: list, Hi: layout.After(list), Fixed: true}}}, count: uncounted}, nil
}

// about tells an estimate, if one was made.
func about(n int) string {
	if n == uncounted {
		return ""
	}
	return fmt.Sprintf(" (about %d)", n)
}
