package interact

import (
	"bytes"
	"context"
	"net/url"
	"slices"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact/page"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// EverythingRequest asks for one page of a patient's whole record.
type EverythingRequest struct {
	Patient fhir.Key
	Query   string // start, end, _since, _type, _count and the page token
}

// everythingCount is the page size without _count.
const everythingCount = "1000"

// Everything gives what lies in the compartment of a patient (of all records
// of the person, for callers that join them), newest first, as matches with an
// exact total, and as includes what those refer to outside any patient's
// compartment: organisations, practitioners, medications. start and end are
// about when something was true of the patient; what has no such date is given
// in every case. Errors as of a read of the patient, and Invalid for
// parameters. Source: R4 patient-operation-everything.html.
func (s *Service) Everything(ctx context.Context, c Caller, r EverythingRequest) (*Bundle, error) {
	note := &Disclosure{Op: Op{Interaction: "$everything"}, Caller: c, Keys: []fhir.Key{r.Patient}, Query: r.Query, Total: -1}
	return audited(ctx, s, note, func(ctx context.Context) (*Bundle, error) {
		if r.Patient.Type != "Patient" || !fhir.ValidID(r.Patient.ID) {
			return nil, fhir.Errorf(fhir.NotFound, "no such resource")
		}
		e, err := s.parseEverything(&r)
		if err != nil {
			return nil, err
		}
		e.scope = scopeOf(c, e.path, e.self)
		snap, from, err := s.resume(ctx, e.scope, e.req.Page, &e.req.Query.After)
		if err != nil {
			return nil, err
		}
		defer snap.Close()
		return s.everythingPage(ctx, snap, c, e, from, note)
	})
}

// everything is the request, understood.
type everything struct {
	patient           fhir.Key
	path, self, scope string
	req               *search.Request
	from, to          time.Time // of clinical dates; zero is open
}

// parseEverything turns the operation's parameters into those of a search.
func (s *Service) parseEverything(r *EverythingRequest) (*everything, error) {
	sent, err := url.ParseQuery(r.Query)
	if err != nil {
		return nil, fhir.Errorf(fhir.Invalid, "the query string cannot be read")
	}
	e := &everything{patient: r.Patient, path: r.Patient.String() + "/$everything"}
	asked := url.Values{"_count": {everythingCount}, "_total": {"accurate"}}
	for name, values := range sent {
		if len(values) != 1 && name != "_type" {
			return nil, fhir.Errorf(fhir.Invalid, "the parameter is given more than once").At(name)
		}
		switch name {
		case "_type", "_count", "_page":
			asked[name] = values
		case "_since":
			asked.Set("_lastUpdated", "ge"+values[0])
		case "start":
			e.from, _, err = s.period(name, values[0])
		case "end":
			_, e.to, err = s.period(name, values[0])
		default:
			err = fhir.Errorf(fhir.NotSupported, "not a parameter of $everything").At(name)
		}
		if err != nil {
			return nil, err
		}
	}
	if e.req, err = s.cfg.Parser.Parse("", asked.Encode()); err != nil {
		return nil, err
	}
	sent.Del("_page")
	e.req.Query.TotalWithin = 0 // whoever reads a whole record is told how much it is
	e.self = sent.Encode()
	return e, nil
}

// period gives the first moment of a FHIR date and the one after its last, in
// the zone of the searches.
func (s *Service) period(name, date string) (from, to time.Time, err error) {
	req, err := s.cfg.Parser.Parse("Observation", "date="+url.QueryEscape(date))
	if err != nil || len(req.Query.Filter) != 1 || len(req.Query.Filter[0].Values) != 1 || req.Query.Filter[0].Values[0].Prefix != search.Eq {
		return from, to, fhir.Errorf(fhir.Invalid, "not a date").At(name)
	}
	v := &req.Query.Filter[0].Values[0]
	return time.UnixMicro(v.Lo), time.UnixMicro(v.Hi), nil
}

func (s *Service) everythingPage(ctx context.Context, snap store.Snapshot, c Caller, e *everything, from page.Token, note *Disclosure) (*Bundle, error) {
	q := &e.req.Query
	p, err := s.plan(ctx, snap, c, note.Op, q, planOptions{compartment: e.patient, widen: c.ExpandPersons()})
	if err != nil {
		return nil, err
	}
	patients := []fhir.Key{e.patient}
	if c.ExpandPersons() {
		if patients, err = s.members(ctx, patients); err != nil {
			return nil, err
		}
	}
	if err := s.seesAny(ctx, snap, patients, &p.restriction); err != nil {
		return nil, err
	}
	q.Restriction = during(q.Restriction, e.from, e.to)
	found, next, err := s.counted(ctx, snap, q, from)
	if err != nil {
		return nil, err
	}
	in := &includer{s: s, snap: snap, restriction: p.restriction, have: map[fhir.Key]bool{}}
	if err := in.support(ctx, found.Matches, q.Types); err != nil {
		return nil, err
	}
	note.Total = found.Total
	b := &Bundle{Type: "searchset", Total: found.Total, At: s.cfg.Now()}
	b.Links = s.links(e.path, e.self, e.scope, next)
	b.Entries, err = s.entries(found.Matches, in.added, subsetting{}, note)
	return b, err
}

// seesAny refuses a person of whom the caller sees no record of identity, as a
// read of it would.
func (s *Service) seesAny(ctx context.Context, snap store.Snapshot, patients []fhir.Key, r *search.Restriction) error {
	found, err := snap.GetMany(ctx, patients)
	if err != nil {
		return err
	}
	for i := range found {
		if r.Sees(found[i].Key, &found[i].Facts, s.cfg.Now()) {
			return nil
		}
	}
	return refusal(r)
}

// during narrows a restriction to clinical dates in [from,to); Patients are
// given in every case.
func during(r search.Restriction, from, to time.Time) search.Restriction {
	if from.IsZero() && to.IsZero() {
		return r
	}
	var permit []search.Rule
	for _, rule := range r.Permit {
		identity := rule
		identity.Types = []fhir.Type{"Patient"}
		if len(rule.Types) == 0 || slices.Contains(rule.Types, "Patient") {
			permit = append(permit, identity)
		}
		if rule.From.Before(from) {
			rule.From = from
		}
		if rule.To.IsZero() || !to.IsZero() && to.Before(rule.To) {
			rule.To = to
		}
		permit = append(permit, rule)
	}
	r.Permit = permit
	return r
}

// referenceKey begins every reference of a stored body, which is compact; in a
// string its quotes would be escaped.
var referenceKey = []byte(`"reference":"`)

// support adds what the matches refer to and no patient's compartment can
// hold: what one can is a match, here or on another page, or of someone else.
func (in *includer) support(ctx context.Context, matches []fhir.Resource, types []fhir.Type) error {
	var keys []fhir.Key
	asked := map[string]bool{} // as written: most refer to the same few
	for i := range matches {
		raw := matches[i].Body.Raw
		for at := bytes.Index(raw, referenceKey); at >= 0; at = bytes.Index(raw, referenceKey) {
			raw = raw[at+len(referenceKey):]
			end := bytes.IndexByte(raw, '"')
			if end < 0 {
				break
			}
			if asked[string(raw[:end])] {
				continue
			}
			asked[string(raw[:end])] = true
			k, ok := fhir.ParseKey(string(raw[:end]))
			if !ok || len(types) > 0 && !slices.Contains(types, k.Type) {
				continue
			}
			if k.Type != "Patient" && len(in.s.cfg.Defs.Compartment("Patient", k.Type)) == 0 {
				keys = append(keys, k)
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	found, err := in.snap.GetMany(ctx, keys)
	for i := range matches {
		in.have[matches[i].Key] = true
	}
	in.add(found)
	return err
}
