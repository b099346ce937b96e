package mongo

import (
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/mongo/terms"
)

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

// chain finds the matches of the chained queries first and then who refers to
// them; where they are too many, each candidate is asked.
func (x *exec) chain(p *plan, q *search.Query, pred *search.Predicate) (*part, error) {
	x.note("chain %s", pred.Param.Code)
	x.depth++
	defer func() { x.depth-- }()
	var keys []fhir.Key
	for _, sub := range pred.Chain {
		sq := inherit(sub, q)
		found, all, err := x.keysOf(&sq, x.s.s.opts.MaxJoin-len(keys))
		if err != nil {
			return nil, err
		}
		if !all {
			x.note("too many to list: each candidate is asked")
			p.checks = append(p.checks, x.chainCheck(q, pred))
			return nil, nil
		}
		keys = append(keys, found...)
	}
	to := make(map[fhir.Key]bool, len(keys))
	for _, k := range keys {
		to[k] = true
	}
	test := func(m *candidate) (bool, error) {
		return refers(m, pred.Param, func(k fhir.Key) (bool, error) { return to[k], nil })
	}
	return &part{name: pred.Param.Code + " chained", cond: terms.PointsTo(pred.Param, keys), test: test}, nil
}

// refers asks whether a reference of the candidate satisfies a condition.
func refers(m *candidate, param *definition.SearchParam, holds func(fhir.Key) (bool, error)) (bool, error) {
	entries, err := m.values()
	if err != nil {
		return false, err
	}
	for i := range entries {
		e := &entries[i]
		if e.Param.Code != param.Code || e.System == "" {
			continue
		}
		if ok, err := holds(fhir.Key{Type: fhir.Type(e.System), ID: e.Code}); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// keysOf lists the keys of the visible matches of q; all is false if there
// are more than limit.
func (x *exec) keysOf(q *search.Query, limit int) (keys []fhir.Key, all bool, err error) {
	all = true
	p, err := x.plan(q)
	if err != nil {
		return nil, false, err
	}
	p.bodies = len(p.verify)+len(p.checks) > 0
	err = x.each(p, func(m *candidate) (verdict, error) {
		if len(keys) >= limit {
			all = false
			return stop, nil
		}
		keys = append(keys, m.key)
		return more, nil
	})
	return keys, all, err
}

// chainCheck follows a candidate's references and asks whether one leads to a
// match. What was found out of a target is kept for the next candidate.
func (x *exec) chainCheck(q *search.Query, pred *search.Predicate) check {
	known := map[fhir.Key]bool{}
	return func(m *candidate) (bool, error) {
		return refers(m, pred.Param, func(k fhir.Key) (bool, error) {
			hit, asked := known[k]
			if asked {
				return hit, nil
			}
			hit, err := x.leadsTo(q, pred, k)
			known[k] = hit
			return hit, err
		})
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

func (x *exec) exists(q *search.Query) (found bool, err error) {
	notes := x.notes
	x.notes = nil
	defer func() { x.notes = notes }()
	p, err := x.plan(q)
	if err != nil {
		return false, err
	}
	p.bodies = len(p.verify)+len(p.checks) > 0
	err = x.each(p, func(*candidate) (verdict, error) { found = true; return stop, nil })
	return found, err
}

// has finds the matches of the other query first and then whom they point to;
// where they are too many, each candidate is asked.
func (x *exec) has(p *plan, q *search.Query, pred *search.Predicate) (*part, error) {
	sq := inherit(pred.Has, q)
	x.note("has %s by %s", sq.Type, pred.HasParam.Code)
	x.depth++
	defer func() { x.depth-- }()
	sub, err := x.plan(&sq)
	if err != nil {
		return nil, err
	}
	sub.bodies = true
	keys, ids, n := map[fhir.Key]bool{}, []string{}, 0
	err = x.each(sub, func(m *candidate) (verdict, error) {
		if n++; n > x.s.s.opts.MaxJoin {
			return stop, nil
		}
		_, err := refers(m, pred.HasParam, func(k fhir.Key) (bool, error) {
			if !keys[k] {
				keys[k] = true
				ids = append(ids, k.String())
			}
			return false, nil
		})
		return more, err
	})
	if err != nil {
		return nil, err
	}
	if n > x.s.s.opts.MaxJoin {
		x.note("too many to list: each candidate is asked")
		p.checks = append(p.checks, x.hasCheck(&sq, pred))
		return nil, nil
	}
	cond := terms.Condition{Filter: bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, Exact: true, Driving: true}
	return &part{name: "has " + string(sq.Type), cond: cond, test: func(m *candidate) (bool, error) { return keys[m.key], nil }}, nil
}

// hasCheck asks of each candidate whether a match points to it.
func (x *exec) hasCheck(sq *search.Query, pred *search.Predicate) check {
	return func(m *candidate) (bool, error) {
		one := *sq
		one.Filter = append(slices.Clone(sq.Filter), search.Predicate{
			Param:  pred.HasParam,
			Values: []search.Value{{RefType: m.key.Type, Code: m.key.ID}},
		})
		return x.exists(&one)
	}
}
