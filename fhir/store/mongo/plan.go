package mongo

import (
	"regexp"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store/mongo/layout"
	"hutong/fhir/store/mongo/page"
	"hutong/fhir/store/mongo/terms"
	"hutong/fhir/store/mongo/wire"
)

// check holds something against a candidate.
type check func(m *candidate) (bool, error)

// plan is how a query runs: one condition for the current documents, and what
// is held against each.
type plan struct {
	never  bool     // nothing can match
	types  bson.D   // condition on the type
	conds  bson.A   // on the current documents; all must hold
	ids    []string // if not nil, the keys of all matches are among these
	verify []check  // what conds do not decide
	all    []check  // every predicate, for documents that conds did not choose
	checks []check  // chains that were too many to list
	see    *search.Restriction
	budget *search.Budget // of a total that may be left out

	bodies   bool // read the bodies along
	batch    int32
	started  bool // go on behind start and startKey
	start    page.Ord
	startKey fhir.Key
}

// part is a predicate on its way into the plan.
type part struct {
	name string
	pred *search.Predicate
	cond terms.Condition
	test check // decides it on a candidate
	done bool  // covered by another part
}

// plan compiles q.
func (x *exec) plan(q *search.Query) (*plan, error) {
	p := &plan{see: &q.Restriction, batch: x.s.s.opts.Batch, types: typesOf(q)}
	see, some := visible(&q.Restriction)
	if p.never = !some; p.never {
		x.note("the caller sees nothing")
		return p, nil
	}
	parts := make([]*part, 0, len(q.Filter)+1)
	for i := range q.Filter {
		one, err := x.part(p, q, &q.Filter[i])
		if err != nil {
			return nil, err
		}
		if one != nil {
			parts = append(parts, one)
		}
	}
	for _, one := range parts {
		p.all = append(p.all, one.test)
	}
	parts = pair(parts)
	if see != nil {
		parts = append(parts, &part{name: "what the caller sees", cond: terms.Condition{Filter: see, Exact: true, Driving: true}})
	}
	for _, one := range parts {
		x.add(p, one)
	}
	return p, nil
}

// add takes a part into the plan.
func (x *exec) add(p *plan, one *part) {
	if one.done {
		return
	}
	if one.cond.Filter != nil {
		p.conds = append(p.conds, one.cond.Filter)
	}
	if !one.cond.Exact {
		p.verify = append(p.verify, one.test)
	}
	x.note("%s: indexed %v, exact %v", one.name, one.cond.Driving, one.cond.Exact)
}

// typesOf is the condition on the type. Deleted resources have none.
func typesOf(q *search.Query) bson.D {
	switch {
	case q.Type != "":
		return bson.D{{Key: "type", Value: string(q.Type)}}
	case len(q.Types) > 0:
		types := make([]string, len(q.Types))
		for i, t := range q.Types {
			types[i] = string(t)
		}
		return bson.D{{Key: "type", Value: bson.D{{Key: "$in", Value: types}}}}
	}
	return bson.D{{Key: "type", Value: bson.D{{Key: "$gt", Value: ""}}}}
}

// query is the plan's condition on the current documents, with the place to go
// on from.
func (p *plan) query() bson.D {
	f := append(bson.D{}, p.types...)
	and := slices.Clone(p.conds)
	if p.started {
		and = append(and, bson.D{{Key: "$or", Value: bson.A{
			bson.D{{Key: "ord", Value: bson.D{{Key: "$gt", Value: int64(p.start)}}}},
			bson.D{{Key: "ord", Value: int64(p.start)}, {Key: "_id", Value: bson.D{{Key: "$gt", Value: p.startKey.String()}}}},
		}}})
	}
	if len(and) > 0 {
		f = append(f, bson.E{Key: "$and", Value: and})
	}
	return f
}

// part compiles one predicate; nil if it became a check of the plan.
func (x *exec) part(p *plan, q *search.Query, pred *search.Predicate) (*part, error) {
	switch {
	case pred.Has != nil:
		return x.has(p, q, pred)
	case len(pred.Chain) > 0:
		return x.chain(p, q, pred)
	case pred.Param.Code == "_id":
		return byID(p, q, pred)
	case pred.Param.Code == "_lastUpdated":
		return lastUpdated(pred)
	}
	return &part{name: pred.Param.Code, pred: pred, cond: terms.Compile(pred), test: func(m *candidate) (bool, error) {
		entries, err := m.values()
		return err == nil && search.Matches(pred, entries), err
	}}, nil
}

// pair replaces a patient and a code, or category, by the tokens of both.
func pair(parts []*part) []*part {
	for _, a := range parts {
		for _, b := range parts {
			if a.done || b.done || a.pred == nil || b.pred == nil {
				continue
			}
			if c, ok := terms.Pair(a.pred, b.pred); ok {
				a.done, b.done = true, true
				return append(parts, &part{name: "patient and " + b.name, cond: c})
			}
		}
	}
	return parts
}

// byID answers _id from the key.
func byID(p *plan, q *search.Query, pred *search.Predicate) (*part, error) {
	if pred.Modifier != search.NoModifier && pred.Modifier != search.Not {
		return nil, fhir.Errorf(fhir.NotSupported, "_id takes no modifier %q", pred.Modifier)
	}
	not := pred.Modifier == search.Not
	ids, any := map[string]bool{}, bson.A{}
	keys := []string{}
	for i := range pred.Values {
		id := pred.Values[i].Code
		if ids[id] || !fhir.ValidID(id) {
			continue
		}
		ids[id] = true
		any = append(any, bson.D{{Key: "_id", Value: bson.D{{Key: "$regex", Value: "/" + regexp.QuoteMeta(id) + "$"}}}})
		for _, t := range q.Types {
			keys = append(keys, fhir.Key{Type: t, ID: id}.String())
		}
		if q.Type != "" {
			keys = append(keys, fhir.Key{Type: q.Type, ID: id}.String())
		}
	}
	f := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: keys}}}}
	if q.Type == "" && len(q.Types) == 0 && len(any) > 0 { // the id under whatever type
		f = bson.D{{Key: "$or", Value: any}}
	} else if !not {
		p.ids = keys
	}
	one := &part{name: "_id", cond: terms.Condition{Filter: f, Exact: true, Driving: !not}}
	if not {
		one.cond.Filter = bson.D{{Key: "$nor", Value: bson.A{f}}}
	}
	one.test = func(m *candidate) (bool, error) { return ids[m.key.ID] != not, nil }
	return one, nil
}

// lastUpdated answers _lastUpdated from the version, which is kept by the
// millisecond.
func lastUpdated(pred *search.Predicate) (*part, error) {
	if pred.Modifier != search.NoModifier {
		return nil, fhir.Errorf(fhir.NotSupported, "_lastUpdated takes no modifier %q", pred.Modifier)
	}
	or := bson.A{}
	for i := range pred.Values {
		or = append(or, bson.D{{Key: "at", Value: updatedRange(&pred.Values[i])}})
	}
	test := func(m *candidate) (bool, error) {
		us := m.head.At * 1000
		return slices.ContainsFunc(pred.Values, func(v search.Value) bool { return search.MatchDate(&v, us, us+1000) }), nil
	}
	return &part{name: "_lastUpdated", test: test, cond: terms.Condition{Filter: bson.D{{Key: "$or", Value: or}}, Driving: true}}, nil
}

// updatedRange holds for every lastUpdated, in milliseconds, that can satisfy
// the value.
func updatedRange(v *search.Value) bson.D {
	from, to := bson.E{Key: "$gte", Value: v.Lo/1000 - 1}, bson.E{Key: "$lte", Value: v.Hi/1000 + 1}
	switch v.Prefix {
	case search.Gt, search.Ge, search.Sa:
		return bson.D{from}
	case search.Lt, search.Le, search.Eb:
		return bson.D{to}
	case search.Ne:
		return bson.D{{Key: "$exists", Value: true}}
	}
	return bson.D{from, to}
}

// visible is a condition that holds for whatever a restriction permits; nil
// says nothing, some is false if it permits nothing. Denials are held against
// the candidates.
func visible(r *search.Restriction) (cond bson.D, some bool) {
	if r.System {
		return nil, true
	}
	if !r.Decided || len(r.Permit) == 0 {
		return nil, false
	}
	or := bson.A{}
	for i := range r.Permit {
		c := permitted(&r.Permit[i])
		if len(c) == 0 {
			return nil, true
		}
		or = append(or, c)
	}
	if len(or) == 1 {
		return or[0].(bson.D), true
	}
	return bson.D{{Key: "$or", Value: or}}, true
}

func permitted(r *search.Rule) bson.D {
	var d bson.D
	in := func(field string, values []string) {
		d = append(d, bson.E{Key: field, Value: bson.D{{Key: "$in", Value: values}}})
	}
	if len(r.Patients) > 0 {
		in("pt", layout.KeyStrings(r.Patients))
	} else if r.NoPatient {
		d = append(d, bson.E{Key: "pt", Value: bson.D{{Key: "$exists", Value: false}}})
	}
	if len(r.Keys) > 0 {
		in("_id", layout.KeyStrings(r.Keys))
	}
	if len(r.Custodians) > 0 && !slices.Contains(r.Custodians, "") {
		in("cu", r.Custodians)
	}
	if len(r.Types) > 0 {
		types := make([]string, len(r.Types))
		for i, t := range r.Types {
			types[i] = string(t)
		}
		in("type", types)
	}
	return d
}

// countable tells that the conditions decide everything.
func (p *plan) countable(q *search.Query) bool {
	return len(q.Sort) == 0 && !p.never && len(p.verify)+len(p.checks) == 0 && p.see.System
}

// total counts the matches of q apart from its page, by the server's own count
// if the plan lets it; -1 if there are more than q wants to know.
func (x *exec) total(p *plan, q *search.Query, count bool) (int, error) {
	most := 0
	if q.TotalWithin > 0 {
		most = q.Count + q.TotalWithin
	}
	if count {
		n, ok, err := x.counted(p, most+min(most, 1))
		switch {
		case err != nil:
			return 0, err
		case ok && most > 0 && n > most:
			return -1, nil
		case ok:
			return n, nil
		}
	}
	all := *q
	all.Count, all.After, all.Sort = 0, nil, nil
	c, err := x.collect(p, &all)
	if err != nil {
		return 0, err
	}
	return c.Total, nil
}

// counted gives the total of a plan by the server's own count, to limit if that
// is not 0; ok is false if something has been superseded since the snapshot.
// While nothing at all has been committed since, every current document counts,
// and an index alone may answer.
func (x *exec) counted(p *plan, limit int) (n int, ok bool, err error) {
	newest := x.s.s.log.visible.Load() == x.s.t
	f := p.query()
	if !newest {
		f = append(f, bson.E{Key: "t", Value: bson.D{{Key: "$lte", Value: x.s.t}}})
	}
	o := options.Count()
	if limit > 0 {
		o.SetLimit(int64(limit))
	}
	found, err := x.s.s.current.CountDocuments(x.ctx, f, o)
	if err != nil {
		return 0, false, wire.Failure(x.ctx, err)
	}
	undone, err := x.s.s.undone(x.ctx, x.s.t)
	if newest && x.s.s.log.visible.Load() != x.s.t {
		undone = true
	}
	return int(found), !undone, err
}
