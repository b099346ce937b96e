package interact

import (
	"context"
	"errors"
	"slices"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/interact/outcome"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// planOptions say what plan does beyond restricting.
type planOptions struct {
	compartment fhir.Key // matches lie in this compartment
	widen       bool     // a query for a patient asks for all records of the person
}

// planned is what became of a query, for what is added to its matches.
type planned struct {
	restriction search.Restriction
	issues      []fhir.Issue
}

// plan puts into q what the caller may see: it finds the patients that the
// query is about, has the caller decide, and carries the decision into every
// part of the query, chains and _has included.
func (s *Service) plan(ctx context.Context, snap store.Snapshot, c Caller, op Op, q *search.Query, o planOptions) (planned, error) {
	q.Filter = slices.Clone(q.Filter)
	var about, found []fhir.Key
	var err error
	if b, ok := c.(Blanket); !ok || !b.Blanket() {
		if about, found, err = s.named(ctx, snap, q); err != nil {
			return planned{}, err
		}
	}
	if o.compartment.Type == "Patient" {
		about = appendNew(about, o.compartment)
	} else if !o.compartment.IsZero() {
		of, err := s.behind(ctx, snap, []fhir.Key{o.compartment})
		if err != nil {
			return planned{}, err
		}
		found = appendNew(found, of...)
	}
	var p planned
	p.restriction, err = s.restrict(ctx, c, op, appendNew(slices.Clone(about), found...))
	if len(found) > 0 && errors.Is(err, fhir.E(fhir.Forbidden)) {
		// Who only describes patients must not learn from a refusal that one
		// exists: they are answered as if these had not been found.
		p.restriction, err = s.restrict(ctx, c, op, about)
	}
	if err != nil {
		return planned{}, err
	}
	carry(q, p.restriction)
	if o.widen {
		if p.issues, err = s.widen(ctx, snap, q); err != nil {
			return planned{}, err
		}
	}
	if !o.compartment.IsZero() {
		err = s.narrow(ctx, snap, q, o)
	}
	return p, err
}

// carry sets the restriction of q and of every query inside it.
func carry(q *search.Query, r search.Restriction) {
	q.Restriction = r
	for i := range q.Filter {
		for _, sub := range q.Filter[i].Chain {
			carry(sub, r)
		}
		if q.Filter[i].Has != nil {
			carry(q.Filter[i].Has, r)
		}
	}
}

// named finds the patients that a query is about: keys are named by reference
// or _id; found satisfy criteria on Patient, or are the patients of another
// resource that is named (encounter=v). Up to Limits.Patients are looked up;
// they decide only what the caller is asked, they are not shown.
func (s *Service) named(ctx context.Context, snap store.Snapshot, q *search.Query) (keys, found []fhir.Key, err error) {
	byOther := false
	var others []fhir.Key
	for i := range q.Filter {
		p := &q.Filter[i]
		for v := range p.Values {
			if k, ok := patientOf(q.Type, p, &p.Values[v]); ok {
				keys = appendNew(keys, k)
			} else {
				others = appendNew(others, resourcesOf(q.Type, p, &p.Values[v])...)
			}
		}
		byOther = byOther || p.Param == nil || p.Param.Code != "_id"
		for _, sub := range inner(p) {
			k, f, err := s.named(ctx, snap, sub)
			if err != nil {
				return nil, nil, err
			}
			keys, found = appendNew(keys, k...), appendNew(found, f...)
		}
	}
	of, err := s.behind(ctx, snap, others)
	found = appendNew(found, of...)
	if err != nil || q.Type != "Patient" || !byOther || len(q.Filter) == 0 {
		return keys, found, err
	}
	looked, err := s.lookUp(ctx, snap, q, search.Unrestricted())
	return keys, appendNew(found, looked...), err
}

func inner(p *search.Predicate) []*search.Query {
	if p.Has != nil {
		return append(slices.Clone(p.Chain), p.Has)
	}
	return p.Chain
}

// behind gives the patients of resources, of the first Limits.Patients of them.
func (s *Service) behind(ctx context.Context, snap store.Snapshot, keys []fhir.Key) ([]fhir.Key, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	found, err := snap.GetMany(ctx, keys[:min(len(keys), s.cfg.Limits.Patients)])
	var patients []fhir.Key
	for i := range found {
		patients = appendNew(patients, found[i].Facts.Patients...)
	}
	return patients, err
}

// maxBareTargets is up to how many target types a bare id is looked up in.
const maxBareTargets = 4

// resourcesOf gives what a value may name: _id=1, subject=Patient/1,
// encounter=1. A bare id names a Patient wherever the parameter permits one.
func resourcesOf(t fhir.Type, p *search.Predicate, v *search.Value) []fhir.Key {
	switch {
	case p.Param == nil || p.Modifier != search.NoModifier || !fhir.ValidID(v.Code):
		return nil
	case p.Param.Code == "_id" && t != "":
		return []fhir.Key{{Type: t, ID: v.Code}}
	case p.Param.Type != definition.Reference:
		return nil
	case v.RefType != "":
		return []fhir.Key{{Type: v.RefType, ID: v.Code}}
	case len(p.Param.Targets) == 0 || slices.Contains(p.Param.Targets, "Patient"):
		return []fhir.Key{{Type: "Patient", ID: v.Code}}
	}
	var keys []fhir.Key
	for _, target := range p.Param.Targets[:min(len(p.Param.Targets), maxBareTargets)] {
		keys = append(keys, fhir.Key{Type: target, ID: v.Code})
	}
	return keys
}

// patientOf gives the patient that a value names.
func patientOf(t fhir.Type, p *search.Predicate, v *search.Value) (fhir.Key, bool) {
	keys := resourcesOf(t, p, v)
	if len(keys) == 0 || keys[0].Type != "Patient" {
		return fhir.Key{}, false
	}
	return keys[0], true
}

// lookUp runs q for its first keys, one more than Limits.Patients at most.
func (s *Service) lookUp(ctx context.Context, snap store.Snapshot, q *search.Query, r search.Restriction) ([]fhir.Key, error) {
	first := search.Query{Type: q.Type, Filter: q.Filter, Count: s.cfg.Limits.Patients + 1, Bare: true}
	carry(&first, r)
	page, err := snap.Search(ctx, &first)
	keys := make([]fhir.Key, len(page.Matches))
	for i := range page.Matches {
		keys[i] = page.Matches[i].Key
	}
	return keys, err
}

// widen makes a query for a patient one for all records of the person: values
// that name a patient become all members, a chain through Patient becomes the
// members of its matches. Patient itself is never widened: a record is a
// record.
func (s *Service) widen(ctx context.Context, snap store.Snapshot, q *search.Query) ([]fhir.Issue, error) {
	if s.cfg.Persons == nil || q.Type == "Patient" {
		return nil, nil
	}
	var issues []fhir.Issue
	for i := range q.Filter {
		p := &q.Filter[i]
		if err := s.widenValues(ctx, q.Type, p); err != nil {
			return nil, err
		}
		if p.Param == nil {
			continue
		}
		p.Chain = slices.Clone(p.Chain)
		for j, sub := range p.Chain {
			if sub.Type != "Patient" {
				continue
			}
			patients, cut, err := s.widenChain(ctx, snap, sub)
			if err != nil {
				return nil, err
			}
			if cut {
				issues = append(issues, fhir.Issue{Severity: fhir.Warning, Code: "incomplete", MessageID: outcome.NotWidened, Expression: p.Param.Code})
				continue
			}
			p.Chain[j] = patients
		}
	}
	return issues, nil
}

func (s *Service) widenValues(ctx context.Context, t fhir.Type, p *search.Predicate) error {
	var values []search.Value
	for i := range p.Values {
		values = append(values, p.Values[i])
		k, ok := patientOf(t, p, &p.Values[i])
		if !ok {
			continue
		}
		members, err := s.cfg.Persons.Members(ctx, k)
		if err != nil {
			return err
		}
		for _, m := range members {
			if m != k {
				values = append(values, search.Value{Prefix: search.Eq, RefType: m.Type, Code: m.ID})
			}
		}
	}
	if values != nil {
		p.Values = values
	}
	return nil
}

// widenChain gives the query for all records of the persons whom the visible
// matches of sub belong to. cut: there are too many, sub stays as it is.
func (s *Service) widenChain(ctx context.Context, snap store.Snapshot, sub *search.Query) (wide *search.Query, cut bool, err error) {
	found, err := s.lookUp(ctx, snap, sub, sub.Restriction)
	if err != nil || len(found) == 0 {
		return sub, false, err
	}
	if len(found) > s.cfg.Limits.Patients {
		return sub, true, nil
	}
	members, err := s.members(ctx, found)
	return s.byID("Patient", members, sub.Restriction), false, err
}

// byID asks for resources by their keys.
func (s *Service) byID(t fhir.Type, keys []fhir.Key, r search.Restriction) *search.Query {
	p := search.Predicate{Param: s.cfg.Defs.Param(t, "_id")}
	for _, k := range keys {
		p.Values = append(p.Values, search.Value{Prefix: search.Eq, Code: k.ID})
	}
	return &search.Query{Type: t, Filter: []search.Predicate{p}, Restriction: r}
}

// maxCompartment bounds the union of a compartment that several parameters
// define.
const maxCompartment = 1000

// narrow keeps of q what lies in a compartment. Source: R4
// compartmentdefinition.html.
func (s *Service) narrow(ctx context.Context, snap store.Snapshot, q *search.Query, o planOptions) error {
	k := o.compartment
	if q.Type != "" && len(s.cfg.Defs.Compartment(string(k.Type), q.Type)) == 0 {
		return fhir.Errorf(fhir.NotFound, "%s is not in the %s compartment", q.Type, k.Type)
	}
	if k.Type != "Patient" {
		return s.narrowByParams(ctx, snap, q, k)
	}
	patients := []fhir.Key{k}
	if o.widen {
		var err error
		if patients, err = s.members(ctx, patients); err != nil {
			return err
		}
	}
	q.Restriction = within(q.Restriction, patients)
	return nil
}

// within narrows a restriction to the compartments of patients. Every
// resource's facts say in which patients' compartments it lies, so this needs
// no predicate. Of a resource that lies in two patients' compartments, a rule
// about one of them does not show it in the other's: never too much.
func within(r search.Restriction, patients []fhir.Key) search.Restriction {
	narrowed := search.Restriction{Decided: true, Deny: r.Deny, Refuse: r.Refuse}
	if r.System {
		narrowed.Permit = []search.Rule{{Patients: patients}}
		return narrowed
	}
	for _, rule := range r.Permit {
		if len(rule.Patients) == 0 {
			rule.Patients = patients
		} else if rule.Patients = common(rule.Patients, patients); len(rule.Patients) == 0 {
			continue
		}
		narrowed.Permit = append(narrowed.Permit, rule)
	}
	return narrowed
}

func common(a, b []fhir.Key) []fhir.Key {
	var both []fhir.Key
	in := make(map[fhir.Key]bool, len(b))
	for _, k := range b {
		in[k] = true
	}
	for _, k := range a {
		if in[k] {
			both = append(both, k)
		}
	}
	return both
}

// narrowByParams narrows by the reference parameters that define the
// compartment: one is a predicate; of several the union is taken first.
func (s *Service) narrowByParams(ctx context.Context, snap store.Snapshot, q *search.Query, k fhir.Key) error {
	codes := s.cfg.Defs.Compartment(string(k.Type), q.Type)
	if len(codes) == 0 {
		return fhir.Errorf(fhir.NotSupported, "a search of all types is supported in the Patient compartment only")
	}
	var union []fhir.Key
	for _, code := range codes {
		param := s.cfg.Defs.Param(q.Type, code)
		if param == nil {
			continue
		}
		p := search.Predicate{Param: param, Values: []search.Value{{Prefix: search.Eq, RefType: k.Type, Code: k.ID}}}
		if len(codes) == 1 {
			q.Filter = append(q.Filter, p)
			return nil
		}
		some := search.Query{Type: q.Type, Filter: append(q.Filter[:len(q.Filter):len(q.Filter)], p), Count: maxCompartment, Restriction: q.Restriction}
		page, err := snap.Search(ctx, &some)
		if err != nil {
			return err
		}
		if page.Next != nil || len(union)+len(page.Matches) > maxCompartment {
			return fhir.Errorf(fhir.TooCostly, "the compartment holds more than %d resources of the type; add criteria", maxCompartment)
		}
		for i := range page.Matches {
			union = appendNew(union, page.Matches[i].Key)
		}
	}
	if len(union) == 0 {
		q.Restriction = search.Restriction{Decided: true, Refuse: q.Restriction.Refuse}
		return nil
	}
	q.Filter = append(q.Filter, s.byID(q.Type, union, q.Restriction).Filter...)
	return nil
}
