package interact

import (
	"context"
	"slices"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/interact/outcome"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// includer adds to a page what _include and _revinclude ask for. Everything it
// adds is held against the same restriction as the matches. What it cannot add
// for lack of room it reports.
type includer struct {
	s           *Service
	snap        store.Snapshot
	restriction search.Restriction
	have        map[fhir.Key]bool
	added       []fhir.Resource
	issues      []fhir.Issue
}

// revincludeKeys is how many targets one reverse query names.
const revincludeKeys = 100

// run follows the includes from the matches, and those that iterate from what
// was added, too. Source: R4 search.html#include.
func (in *includer) run(ctx context.Context, matches []fhir.Resource, req *search.Request) error {
	for i := range matches {
		in.have[matches[i].Key] = true
	}
	from := matches
	for round := 0; len(from) > 0; round++ {
		before := len(in.added)
		if round > in.s.cfg.Limits.IncludeDepth {
			in.cut()
			return nil
		}
		for i := range req.Includes {
			if inc := &req.Includes[i]; round == 0 || inc.Iterate {
				if err := in.forward(ctx, from, inc); err != nil {
					return err
				}
			}
		}
		for i := range req.RevIncludes {
			if inc := &req.RevIncludes[i]; round == 0 || inc.Iterate {
				if err := in.reverse(ctx, from, inc); err != nil {
					return err
				}
			}
		}
		from = slices.Clone(in.added[before:])
	}
	return nil
}

// forward adds what the resources refer to.
func (in *includer) forward(ctx context.Context, from []fhir.Resource, inc *search.Include) error {
	var keys []fhir.Key
	asked := map[fhir.Key]bool{}
	for i := range from {
		if inc.Source != "" && from[i].Type != inc.Source {
			continue
		}
		entries, err := in.s.cfg.Extractor.References(from[i].Body)
		if err != nil {
			return err
		}
		for e := range entries {
			k, ok := target(&entries[e], inc)
			if ok && !in.have[k] && !asked[k] {
				asked[k] = true
				keys = append(keys, k)
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	found, err := in.snap.GetMany(ctx, keys)
	if err != nil {
		return err
	}
	in.add(found)
	return nil
}

// target gives where an entry points, if the include follows it.
func target(e *search.Entry, inc *search.Include) (fhir.Key, bool) {
	k := fhir.Key{Type: fhir.Type(e.System), ID: e.Code}
	follows := e.Param.Type == definition.Reference && (inc.Param == nil || e.Param == inc.Param || e.Param.Code == inc.Param.Code)
	return k, follows && k.Type != "" && fhir.ValidID(k.ID) && (inc.Target == "" || inc.Target == k.Type)
}

// add takes what the caller may see, as far as there is room.
func (in *includer) add(found []fhir.Resource) {
	now := in.s.cfg.Now()
	for i := range found {
		r := &found[i]
		if in.have[r.Key] || !in.restriction.Sees(r.Key, &r.Facts, now) {
			continue
		}
		if len(in.added) >= in.s.cfg.Limits.Includes {
			in.cut()
			return
		}
		in.have[r.Key] = true
		in.added = append(in.added, *r)
	}
}

// reverse adds what refers to the resources.
func (in *includer) reverse(ctx context.Context, from []fhir.Resource, inc *search.Include) error {
	params := []*definition.SearchParam{inc.Param}
	if inc.Param == nil {
		params = in.s.references(inc.Source)
	}
	for _, param := range params {
		values := pointing(from, param, inc.Target)
		for chunk := range slices.Chunk(values, revincludeKeys) {
			if err := in.referrers(ctx, inc.Source, search.Predicate{Param: param, Values: chunk}); err != nil {
				return err
			}
		}
	}
	return nil
}

// pointing gives the values that name the resources as targets of param.
func pointing(to []fhir.Resource, param *definition.SearchParam, t fhir.Type) []search.Value {
	var values []search.Value
	for i := range to {
		k := to[i].Key
		if (t == "" || t == k.Type) && (len(param.Targets) == 0 || slices.Contains(param.Targets, k.Type)) {
			values = append(values, search.Value{Prefix: search.Eq, RefType: k.Type, Code: k.ID})
		}
	}
	return values
}

// referrers adds the matches of one reverse query, page by page.
func (in *includer) referrers(ctx context.Context, t fhir.Type, p search.Predicate) error {
	q := search.Query{Type: t, Filter: []search.Predicate{p}, Restriction: in.restriction}
	for {
		q.Count = min(in.s.cfg.Limits.Includes-len(in.added)+1, 1000)
		page, err := in.snap.Search(ctx, &q)
		if err != nil {
			return err
		}
		in.add(page.Matches)
		if page.Next == nil || len(in.issues) > 0 {
			return nil
		}
		q.After = page.Next
	}
}

// cut notes, once, that not everything is there.
func (in *includer) cut() {
	if len(in.issues) == 0 {
		in.issues = append(in.issues, fhir.Issue{Severity: fhir.Warning, Code: "incomplete", MessageID: outcome.IncludesCut})
	}
}

// references lists the reference parameters of a type.
func (s *Service) references(t fhir.Type) []*definition.SearchParam {
	var list []*definition.SearchParam
	for _, p := range s.cfg.Defs.Params(t) {
		if p.Type == definition.Reference {
			list = append(list, p)
		}
	}
	return list
}
