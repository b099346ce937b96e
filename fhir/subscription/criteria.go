package subscription

import (
	"context"
	"errors"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// criteria are a search of one type, held against one resource at a time.
type criteria struct {
	t      fhir.Type
	filter []search.Predicate
	// patients are named by a parameter from which search takes the patients of
	// a resource's facts: those of a match name a record of one of their
	// persons. nil: anybody's.
	patients []fhir.Key
}

const criteriaPath = "Subscription.criteria"

// readCriteria understands "Observation?code=x", or "Observation" alone.
func (s *Service) readCriteria(text string) (*criteria, error) {
	name, query, _ := strings.Cut(text, "?")
	t := fhir.Type(name)
	switch {
	case !s.cfg.Defs.IsType(t):
		return nil, refuse(criteriaPath, "the criteria begin with a resource type of R4: Observation?code=...")
	case t == Type || t == "AuditEvent":
		return nil, refuse(criteriaPath, "nobody is notified of %s: a notification makes such resources itself", t)
	case query == "":
		return &criteria{t: t}, nil
	}
	r, err := s.cfg.Parser.ParseCriteria(t, query)
	if err != nil {
		return nil, at(err, criteriaPath)
	}
	c := &criteria{t: t, filter: r.Query.Filter}
	for i := range c.filter {
		if fault := unservable(&c.filter[i]); fault != "" {
			return nil, refuse(criteriaPath, "%s", fault)
		}
		if named := s.patientsOf(t, &c.filter[i]); named != nil && c.patients == nil {
			c.patients = named
		}
	}
	return c, nil
}

// at gives an error of the parser its place.
func at(err error, path string) error {
	var e *fhir.Error
	if errors.As(err, &e) {
		placed := *e
		placed.Kind, placed.Issues = fhir.Unprocessable, slices.Clone(e.Issues)
		return placed.At(path)
	}
	return err
}

// unservable tells why a predicate cannot be held against a single resource.
func unservable(p *search.Predicate) string {
	switch {
	case p.Has != nil:
		return "_has is not served in the criteria of a subscription: they are about one resource"
	case p.Chain != nil:
		return "chained parameters are not served in the criteria of a subscription: they are about one resource"
	case p.Param.Code == "_id" && p.Modifier != search.NoModifier && p.Modifier != search.Not:
		return "_id has no such modifier in the criteria of a subscription"
	case p.Param.Type == definition.Date && slices.ContainsFunc(p.Values, func(v search.Value) bool { return v.Prefix == search.Ap }):
		return "the prefix ap of a date is relative to now and not served in the criteria of a subscription"
	}
	return ""
}

// patientsOf gives whom a predicate names, if the facts of a resource know it
// and it names nothing else.
func (s *Service) patientsOf(t fhir.Type, p *search.Predicate) []fhir.Key {
	code := p.Param.Code
	if code != "patient" && code != "subject" && !slices.Contains(s.cfg.Defs.Compartment("Patient", t), code) {
		return nil
	}
	var keys []fhir.Key
	for i := range p.Values {
		k, ok := patient(p, &p.Values[i])
		if !ok {
			return nil
		}
		keys = append(keys, k)
	}
	return keys
}

// patient gives the Patient that a value names.
func patient(p *search.Predicate, v *search.Value) (fhir.Key, bool) {
	named := p.Param.Type == definition.Reference && p.Modifier == search.NoModifier && v.Version == "" && fhir.ValidID(v.Code) &&
		(v.RefType == "Patient" || v.RefType == "" && slices.Contains(p.Param.Targets, "Patient"))
	return fhir.Key{Type: "Patient", ID: v.Code}, named
}

// matches holds a version and its index values against the criteria. A value
// that names a patient means all records of the person, as of now.
func (s *Service) matches(ctx context.Context, c *criteria, v *fhir.Version, entries []search.Entry) (bool, error) {
	for i := range c.filter {
		p := c.filter[i]
		switch p.Param.Code {
		case "_id":
			if slices.ContainsFunc(p.Values, func(x search.Value) bool { return x.Code == v.ID }) == (p.Modifier == search.Not) {
				return false, nil
			}
			continue
		case "_lastUpdated":
			if !updated(&p, v) {
				return false, nil
			}
			continue
		}
		if err := s.widen(ctx, c.t, &p); err != nil {
			return false, err
		}
		if !search.Matches(&p, entries) {
			return false, nil
		}
	}
	return true, nil
}

func updated(p *search.Predicate, v *fhir.Version) bool {
	if p.Modifier == search.Missing {
		return !p.Values[0].Missing
	}
	lo := v.LastUpdated.UnixMicro()
	return slices.ContainsFunc(p.Values, func(x search.Value) bool { return search.MatchDate(&x, lo, lo+1000) })
}

// widen adds the other records of the patients that p names.
func (s *Service) widen(ctx context.Context, t fhir.Type, p *search.Predicate) error {
	if s.cfg.Persons == nil || t == "Patient" || p.Param.Type != definition.Reference {
		return nil
	}
	values := p.Values[:len(p.Values):len(p.Values)]
	for i := range p.Values {
		k, ok := patient(p, &p.Values[i])
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
	p.Values = values
	return nil
}
