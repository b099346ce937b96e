package storetest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gofhir/fhirpath"
	"github.com/gofhir/fhirpath/types"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// The oracle answers a search as the specification reads, with no regard for
// speed: it evaluates the published expressions by a FHIRPath library over the
// JSON and compares value by value. It shares no code with the extractor, the
// parser, search.Matches or an engine.

// doc is one version of a resource as the oracle sees it.
type doc struct {
	fhir.Version
	facts  fhir.Facts
	src    string
	values map[string][]any // by parameter: evaluated when first asked for
}

// state is all live resources at one T.
type state struct {
	t    fhir.T
	docs map[fhir.Key]*doc
}

// clause is one search parameter of a question: an optional way over other
// resources, and what must hold at its end.
type clause struct {
	way    []step
	code   string
	mod    string
	values []string
}

// step leads over a reference: forward to a type (chain), or back from a type
// that points here (_has).
type step struct {
	back  bool
	param string
	typ   string
}

// question is a search in the oracle's own form.
type question struct {
	typ     string
	clauses []clause
	sort    []string // with - for descending
	see     search.Restriction
}

// oracle evaluates questions.
type oracle struct{ defs *definition.Set }

// anyone resolves every reference to a stub of the type that it names.
type anyone struct{}

func (anyone) Resolve(_ context.Context, ref string) ([]byte, error) {
	parts := strings.Split(ref, "/")
	for i, p := range parts[:len(parts)-1] {
		if p != "" && p[0] >= 'A' && p[0] <= 'Z' {
			return fmt.Appendf(nil, `{"resourceType":%q,"id":%q}`, p, parts[i+1]), nil
		}
	}
	return nil, fmt.Errorf("%s names no type", ref)
}

// ask gives the ids that answer q in state s, in order.
func (o *oracle) ask(s *state, q *question) []string {
	var hits []*doc
	for k, d := range s.docs {
		if string(k.Type) == q.typ && visible(&q.see, d) && o.all(s, q, d) {
			hits = append(hits, d)
		}
	}
	slices.SortFunc(hits, func(a, b *doc) int { return o.order(q, a, b) })
	ids := []string{}
	for _, d := range hits {
		ids = append(ids, d.ID)
	}
	return ids
}

func (o *oracle) all(s *state, q *question, d *doc) bool {
	for i := range q.clauses {
		if !o.holds(s, q, d, &q.clauses[i], q.clauses[i].way) {
			return false
		}
	}
	return true
}

// holds follows the way from d and asks at its end.
func (o *oracle) holds(s *state, q *question, d *doc, c *clause, way []step) bool {
	if len(way) == 0 {
		return o.leaf(d, c)
	}
	for k, other := range s.docs {
		if string(k.Type) != way[0].typ || !visible(&q.see, other) {
			continue
		}
		from, to := d, other
		if way[0].back {
			from, to = other, d
		}
		if o.pointsTo(from, way[0].param, to.Key) && o.holds(s, q, other, c, way[1:]) {
			return true
		}
	}
	return false
}

func (o *oracle) pointsTo(from *doc, param string, to fhir.Key) bool {
	for _, v := range o.eval(from, param) {
		if typ, id, _, ok := localRef(v); ok && typ == string(to.Type) && id == to.ID {
			return true
		}
	}
	return false
}

// eval gives the JSON values that a parameter's expression selects.
func (o *oracle) eval(d *doc, code string) []any {
	if v, ok := d.values[code]; ok {
		return v
	}
	p := o.defs.Param(d.Type, code)
	found, err := fhirpath.MustGetCached(p.Expression).EvaluateWithOptions([]byte(d.src), fhirpath.WithResolver(anyone{}), fhirpath.WithTimeout(time.Minute))
	if err != nil {
		panic(fmt.Sprintf("oracle: %s of %s: %v", code, d.Type, err))
	}
	out := []any{}
	for _, v := range found {
		out = append(out, plain(v))
	}
	d.values[code] = out
	return out
}

// plain turns a FHIRPath value into plain JSON.
func plain(v types.Value) any {
	switch v := v.(type) {
	case *types.ObjectValue:
		var m map[string]any
		dec := json.NewDecoder(strings.NewReader(string(v.Data())))
		dec.UseNumber()
		if err := dec.Decode(&m); err != nil {
			panic(err)
		}
		return m
	case types.Boolean:
		return v.String() == "true"
	case types.Integer, types.Decimal:
		return json.Number(v.String())
	}
	return v.String()
}

// visible is the oracle's reading of a Restriction.
func visible(r *search.Restriction, d *doc) bool {
	if r.System {
		return true
	}
	ok := false
	for _, rule := range r.Permit {
		ok = ok || applies(&rule, d)
	}
	for _, rule := range r.Deny {
		ok = ok && !applies(&rule, d)
	}
	return r.Decided && ok
}

func applies(r *search.Rule, d *doc) bool {
	f := &d.facts
	some := func(n int, has func(i int) bool) bool {
		for i := range n {
			if has(i) {
				return true
			}
		}
		return n == 0
	}
	known := !f.Clinical.IsZero()
	return some(len(r.Types), func(i int) bool { return r.Types[i] == d.Type }) &&
		(len(r.NotTypes) == 0 || !slices.Contains(r.NotTypes, d.Type)) &&
		some(len(r.Patients), func(i int) bool { return slices.Contains(f.Patients, r.Patients[i]) }) &&
		!(r.NoPatient && len(f.Patients) > 0) &&
		some(len(r.Custodians), func(i int) bool { return r.Custodians[i] == f.Custodian }) &&
		(len(r.NotCustody) == 0 || !slices.Contains(r.NotCustody, f.Custodian)) &&
		some(len(r.Keys), func(i int) bool { return r.Keys[i] == d.Key }) &&
		some(len(r.Labels), func(i int) bool { return slices.Contains(f.Labels, r.Labels[i]) }) &&
		some(len(r.Categories), func(i int) bool { return slices.Contains(f.Categories, r.Categories[i]) }) &&
		some(len(r.Codes), func(i int) bool { return slices.Contains(f.Codes, r.Codes[i]) }) &&
		!(known && !r.From.IsZero() && f.Clinical.Before(r.From)) &&
		!(known && !r.To.IsZero() && !f.Clinical.Before(r.To))
}

// order is the order of the matches: the criteria, values that lack last; by
// default the newest first; then the key.
func (o *oracle) order(q *question, a, b *doc) int {
	if len(q.sort) == 0 {
		if n := when(b).Compare(when(a)); n != 0 {
			return n
		}
	}
	for _, s := range q.sort {
		code, desc := strings.CutPrefix(s, "-")
		x, y := o.sortKey(a, code, desc), o.sortKey(b, code, desc)
		n := 0
		switch {
		case x == nil && y == nil:
		case x == nil:
			n = 1
		case y == nil:
			n = -1
		default:
			if n = x.compare(y); desc {
				n = -n
			}
		}
		if n != 0 {
			return n
		}
	}
	return cmp.Compare(a.ID, b.ID)
}

func when(d *doc) time.Time {
	if d.facts.Clinical.IsZero() {
		return d.LastUpdated
	}
	return d.facts.Clinical.Truncate(time.Millisecond)
}

// sortKey is the least value of a parameter, or the greatest when descending.
func (o *oracle) sortKey(d *doc, code string, desc bool) *sortable {
	var best *sortable
	for _, s := range o.sortables(d, code) {
		if best == nil || s.compare(best) < 0 != desc && s.compare(best) != 0 {
			best = s
		}
	}
	return best
}
