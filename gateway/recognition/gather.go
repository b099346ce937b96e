package recognition

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/profiles"
)

// candidates is how many results are looked at for one order, newest first.
const candidates = 10

// found is what one search gave: the matches in order and everything by key.
type found struct {
	matches []fhir.Resource
	all     map[fhir.Key]*resource
	bodies  map[fhir.Key]fhir.Resource
}

// results finds the newest results of an item for a person, as far as the
// caller may see them: what consent hides is not there.
func (s *Service) results(ctx context.Context, c interact.Caller, patient fhir.Key, it profiles.Item, now time.Time) ([]Result, error) {
	typ, query := s.query(patient, it, now)
	b, err := s.cfg.Records.Search(ctx, c, interact.SearchRequest{Type: typ, Query: query})
	if err != nil {
		return nil, err
	}
	f, err := collect(b)
	if err != nil {
		return nil, err
	}
	out := make([]Result, 0, len(f.matches))
	for _, m := range f.matches {
		res, err := s.complete(ctx, c, patient, f, m)
		if err != nil {
			return nil, err
		}
		out = append(out, res)
	}
	return out, nil
}

// query asks for Observations of an item, or for the reports of a panel or an
// examination, within the item's window. A window that counts from the report
// reaches back further, for reports are issued after the specimen was taken.
func (s *Service) query(patient fhir.Key, it profiles.Item, now time.Time) (fhir.Type, string) {
	since := now.Add(-it.Window).AddDate(0, 0, -1) // a day more: dates have a zone of their own
	if it.StartFrom == "report" {
		since = since.AddDate(0, 0, -30)
	}
	var codes []string
	for _, c := range s.rules.Catalogue.Codings(it.Code) {
		codes = append(codes, c[0]+"|"+c[1])
	}
	q := url.Values{
		"patient": {patient.String()}, "code": {strings.Join(codes, ",")}, "date": {"ge" + since.UTC().Format(time.DateOnly)},
		"_sort": {"-date"}, "_count": {strconv.Itoa(candidates)},
	}
	if len(it.Members) > 0 || it.Imaging {
		q["_include"] = []string{"DiagnosticReport:result", "DiagnosticReport:specimen"}
		return "DiagnosticReport", q.Encode()
	}
	q["_include"] = []string{"Observation:specimen"}
	q["_revinclude"] = []string{"DiagnosticReport:result"}
	return "Observation", q.Encode()
}

func collect(b *interact.Bundle) (*found, error) {
	f := &found{all: map[fhir.Key]*resource{}, bodies: map[fhir.Key]fhir.Resource{}}
	for _, e := range b.Entries {
		if e.Mode == "outcome" || len(e.Resource.Body.Raw) == 0 {
			continue
		}
		r, err := parse(e.Resource.Body.Raw)
		if err != nil {
			return nil, err
		}
		f.all[e.Resource.Key], f.bodies[e.Resource.Key] = r, e.Resource
		if e.Mode == "match" {
			f.matches = append(f.matches, e.Resource)
		}
	}
	return f, nil
}

// complete reads a match with what stands around it.
func (s *Service) complete(ctx context.Context, c interact.Caller, patient fhir.Key, f *found, m fhir.Resource) (Result, error) {
	r := f.all[m.Key]
	out := r.result(m)
	for _, ref := range r.specimens() {
		if sp := f.all[ref.key()]; sp != nil {
			out.specimen(sp)
		}
	}
	for _, ref := range r.Result {
		if k := ref.key(); f.all[k] != nil {
			part, err := s.complete(ctx, c, patient, f, f.bodies[k])
			if err != nil {
				return out, err
			}
			out.Parts = append(out.Parts, part)
		}
	}
	if m.Type == "Observation" {
		out.report(f)
	}
	if err := s.images(ctx, c, r, &out); err != nil {
		return out, err
	}
	lab, err := s.performer(ctx, r, m.Facts.Custodian)
	if err != nil {
		return out, err
	}
	out.Assessments, out.Performer = lab.assessments, lab.name
	out.Permitted = true // the search showed it
	out.Certain, err = s.same(ctx, patient, m.Facts.Patients)
	return out, err
}

// report takes over what the DiagnosticReport of an Observation says.
func (out *Result) report(f *found) {
	for _, d := range f.all {
		if d.ResourceType != "DiagnosticReport" || !slices.ContainsFunc(d.Result, func(r reference) bool { return r.key() == out.Key }) {
			continue
		}
		out.ReportStatus = d.Status
		out.Signed = len(d.ResultsInterpreter) > 0
		if out.Issued.IsZero() {
			out.Issued = instant(d.Issued)
		}
		if out.Claimed == (Scope{}) {
			out.Claimed = d.mark()
		}
	}
}

// images asks of each series of the report's studies whether it can be had.
func (s *Service) images(ctx context.Context, c interact.Caller, r *resource, out *Result) error {
	if s.cfg.Images == nil {
		return nil
	}
	for _, ref := range r.ImagingStudy {
		study, err := s.cfg.Records.Read(ctx, c, ref.key())
		if err != nil {
			out.Series = append(out.Series, false) // what cannot be seen cannot be retrieved
			continue
		}
		parsed, err := parse(study.Body.Raw)
		if err != nil {
			return err
		}
		for _, series := range parsed.Series {
			out.Modality, out.BodySite = first(out.Modality, series.Modality.Code), first(out.BodySite, series.BodySite.Code)
		}
		ok, err := s.cfg.Images.Retrievable(ctx, study)
		if err != nil {
			return err
		}
		out.Series = append(out.Series, ok...)
	}
	return nil
}

// same reports whether the record of a result certainly belongs to the patient
// asked for. Without Links the search vouches for it: it joins only records
// that the MPI has linked, and a possible match is not linked.
func (s *Service) same(ctx context.Context, asked fhir.Key, of []fhir.Key) (bool, error) {
	if s.cfg.Links == nil || len(of) == 0 || slices.Contains(of, asked) {
		return len(of) > 0, nil
	}
	return s.cfg.Links.Certain(ctx, asked, of[0])
}

// performer is the laboratory of a result: its performing Organization, else
// the custodian; the parent's assessments where it has none of its own.
func (s *Service) performer(ctx context.Context, r *resource, custodian string) (*laboratory, error) {
	k := fhir.Key{Type: "Organization", ID: custodian}
	for _, p := range r.Performer {
		if p.key().Type == "Organization" {
			k = p.key()
			break
		}
	}
	lab, err := s.labs.get(ctx, s.cfg.Records, k, s.cfg.Now())
	if err != nil || len(lab.assessments) > 0 || lab.partOf.IsZero() {
		return lab, err
	}
	parent, err := s.labs.get(ctx, s.cfg.Records, lab.partOf, s.cfg.Now())
	if err != nil {
		return lab, err
	}
	return &laboratory{name: lab.name, area: lab.area, partOf: lab.partOf, assessments: parent.assessments}, nil
}

// Laboratories change a few times a year and their Organizations are large
// (hundreds of rounds), so they are kept for a minute: a failed round counts
// from then on at the latest.
const (
	labAge = time.Minute
	labMax = 2048
)

// labCache keeps parsed Organizations. Safe for concurrent use.
type labCache struct {
	mu sync.Mutex
	of map[fhir.Key]cachedLab
}

type cachedLab struct {
	*laboratory
	read time.Time
}

// get reads an Organization as the exchange itself: that a laboratory passed
// its assessment is nobody's secret. An absent one is a laboratory without
// anything.
func (c *labCache) get(ctx context.Context, records Records, k fhir.Key, now time.Time) (*laboratory, error) {
	c.mu.Lock()
	hit, ok := c.of[k]
	c.mu.Unlock()
	if ok && now.Sub(hit.read) < labAge {
		return hit.laboratory, nil
	}
	lab, err := readLab(ctx, records, k)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil || len(c.of) >= labMax {
		c.of = map[fhir.Key]cachedLab{}
	}
	c.of[k] = cachedLab{lab, now}
	return lab, nil
}

func readLab(ctx context.Context, records Records, k fhir.Key) (*laboratory, error) {
	if k.ID == "" {
		return &laboratory{}, nil
	}
	res, err := records.Read(ctx, interact.SystemCaller(""), k)
	if errors.Is(err, fhir.E(fhir.NotFound)) || errors.Is(err, fhir.E(fhir.Gone)) {
		return &laboratory{}, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := parse(res.Body.Raw)
	if err != nil {
		return nil, err
	}
	return r.laboratory(), nil
}
