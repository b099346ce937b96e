package consult

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/store"
	"hutong/gateway/principal"
)

// Records is the repository as the workflow uses it: interact.Service.
type Records interface {
	Read(ctx context.Context, c interact.Caller, k fhir.Key) (fhir.Resource, error)
	Search(ctx context.Context, c interact.Caller, r interact.SearchRequest) (*interact.Bundle, error)
	Transaction(ctx context.Context, c interact.Caller, body []byte, o interact.BundleOptions) (*interact.Bundle, error)
}

// Callers makes the caller of a principal: what they may see for a purpose.
type Callers interface {
	Caller(p *principal.Principal, purpose string) (interact.Caller, error)
}

// Persons gives all records of a patient's person.
type Persons interface {
	Members(ctx context.Context, k fhir.Key) ([]fhir.Key, error)
}

// Terms are the rules that a region sets; the zero value takes the defaults
// of TC-01.
type Terms struct {
	GrantAfter  time.Duration            // access after the appointment's end: 72 h
	GrantMax    time.Duration            // longest grant: 30 d
	Practice    int                      // years of independent practice a consultant needs: 3
	Answer      map[string]time.Duration // SLA by priority: routine 24 h, urgent 2 h, stat 30 min
	Abandon     time.Duration            // an unanswered or unheld consultation expires after: 7 d
	NeedsTreaty bool                     // the two organisations need an executed Contract
}

func (t Terms) withDefaults() Terms {
	if t.GrantAfter == 0 {
		t.GrantAfter = 72 * time.Hour
	}
	if t.GrantMax == 0 {
		t.GrantMax = 30 * 24 * time.Hour
	}
	if t.Practice == 0 {
		t.Practice = 3
	}
	if t.Answer == nil {
		t.Answer = map[string]time.Duration{"routine": 24 * time.Hour, "urgent": 2 * time.Hour, "stat": 30 * time.Minute}
	}
	if t.Abandon == 0 {
		t.Abandon = 7 * 24 * time.Hour
	}
	return t
}

// Config is what a Service is built from. All fields but Terms and Now are
// required.
type Config struct {
	Records Records
	Callers Callers
	Persons Persons
	Signer  *Signer
	Space   store.Space // of reservations of physicians' time
	Terms   Terms
	Now     func() time.Time
	NewID   func() string // of a consultation: at most 40 characters
}

// Service runs consultations. Safe for concurrent use.
type Service struct {
	cfg      Config
	calendar calendar
}

// New makes a Service.
func New(cfg Config) *Service {
	cfg.Terms = cfg.Terms.withDefaults()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, calendar: calendar{cfg.Space, cfg.Now}}
}

// Draft is what an inviting clinician asks.
type Draft struct {
	Patient    string   `json:"patient"`    // "Patient/1"
	InvitedOrg string   `json:"invitedOrg"` // Organization id
	Priority   string   `json:"priority"`   // routine (default), urgent, stat
	Question   string   `json:"question"`
	Documents  []string `json:"documents"` // references that the consultant shall see
}

// Draft opens a consultation. Guards: the clinician has an active encounter
// with the person at their organisation, sees every chosen document, and each
// document is of this person.
func (s *Service) Draft(ctx context.Context, p *principal.Principal, d Draft) (*Consultation, error) {
	if !p.Has(principal.Clinician) || p.Practitioner == "" || p.Organization == "" {
		return nil, fhir.Errorf(fhir.Forbidden, "only a clinician with a practitioner record may ask for a consultation")
	}
	patient, members, err := s.person(ctx, d.Patient)
	if err != nil {
		return nil, err
	}
	if err := s.checkDraft(ctx, p, &d, members); err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	c := &Consultation{
		ID: s.cfg.NewID(), State: Drafted, Patient: patient.String(), Priority: d.Priority, Question: d.Question,
		InvitingOrg: p.Organization, Inviting: p.Practitioner, InvitedOrg: d.InvitedOrg, Documents: d.Documents,
		Authored: now, Modified: now, Reached: map[State]time.Time{Drafted: now},
	}
	return c, s.save(ctx, c, serviceRequest(c))
}

func (s *Service) checkDraft(ctx context.Context, p *principal.Principal, d *Draft, members []fhir.Key) error {
	if d.Priority == "" {
		d.Priority = "routine"
	}
	if s.cfg.Terms.Answer[d.Priority] == 0 {
		return fhir.Errorf(fhir.Invalid, "priority is routine, urgent or stat").At("priority")
	}
	if strings.TrimSpace(d.Question) == "" || len([]rune(d.Question)) > 2000 {
		return fhir.Errorf(fhir.Invalid, "a question of 1 to 2,000 characters is required").At("question")
	}
	if len(d.Documents) == 0 || len(d.Documents) > 200 {
		return fhir.Errorf(fhir.Invalid, "choose 1 to 200 documents").At("documents")
	}
	if d.InvitedOrg == p.Organization {
		return fhir.Errorf(fhir.Invalid, "the invited organisation is your own").At("invitedOrg")
	}
	if _, err := s.system(ctx, "", fhir.Key{Type: "Organization", ID: d.InvitedOrg}); err != nil {
		return fhir.Errorf(fhir.Invalid, "no such organisation").At("invitedOrg")
	}
	if err := s.activeEncounter(ctx, p.Organization, members); err != nil {
		return err
	}
	return s.visible(ctx, p, d.Documents, members)
}

// visible holds every document against what the clinician sees and against the
// patient.
func (s *Service) visible(ctx context.Context, p *principal.Principal, documents []string, members []fhir.Key) error {
	caller, err := s.cfg.Callers.Caller(p, "")
	if err != nil {
		return err
	}
	for i, d := range documents {
		at := "documents[" + strconv.Itoa(i) + "]"
		k, ok := fhir.ParseKey(d)
		if !ok {
			return fhir.Errorf(fhir.Invalid, "a document is a reference such as Observation/1").At(at)
		}
		r, err := s.cfg.Records.Read(ctx, caller, k)
		if err != nil {
			return fhir.Errorf(fhir.KindOf(err), "a chosen document cannot be read").At(at)
		}
		if !slices.ContainsFunc(r.Facts.Patients, func(k fhir.Key) bool { return slices.Contains(members, k) }) {
			return fhir.Errorf(fhir.Invalid, "the document is not of this patient").At(at)
		}
	}
	return nil
}

// activeEncounter is the guard of state 1.
func (s *Service) activeEncounter(ctx context.Context, org string, members []fhir.Key) error {
	var ids []string
	for _, m := range members {
		ids = append(ids, m.String())
	}
	found, err := s.search(ctx, "Encounter", url.Values{
		"patient": {strings.Join(ids, ",")}, "status": {"planned,arrived,triaged,in-progress,onleave"}, "_count": {"50"},
	})
	if err != nil {
		return err
	}
	for _, r := range found {
		if r.Facts.Custodian == org {
			return nil
		}
	}
	return fhir.Errorf(fhir.Conflict, "the patient has no active encounter at your organisation").At("patient")
}

// person resolves the patient and all their records.
func (s *Service) person(ctx context.Context, ref string) (fhir.Key, []fhir.Key, error) {
	k, ok := fhir.ParseKey(ref)
	if !ok || k.Type != "Patient" {
		return k, nil, fhir.Errorf(fhir.Invalid, "a patient is a reference such as Patient/1").At("patient")
	}
	members, err := s.cfg.Persons.Members(ctx, k)
	if err != nil {
		return k, nil, err
	}
	if len(members) > 0 && !slices.Contains(members, k) {
		k = members[0] // k was a person id: artefacts point to a record that is stored
	}
	if _, err := s.system(ctx, "", k); err != nil {
		return k, nil, fhir.Errorf(fhir.NotFound, "no such patient").At("patient")
	}
	return k, members, nil
}

// Get reads a consultation for one of its parties; for anybody else it is not
// there.
func (s *Service) Get(ctx context.Context, p *principal.Principal, id string) (*Consultation, error) {
	missing := fhir.Errorf(fhir.NotFound, "no such consultation")
	if !fhir.ValidID(id) {
		return nil, missing
	}
	r, err := s.system(ctx, "", fhir.Key{Type: "Task", ID: id})
	if errors.Is(err, fhir.E(fhir.NotFound)) || errors.Is(err, fhir.E(fhir.Gone)) {
		return nil, missing
	} else if err != nil {
		return nil, err
	}
	c, ok, err := decode(&r)
	if err != nil {
		return nil, err
	}
	if !ok || !party(c, p, 0) {
		return nil, missing
	}
	return c, nil
}

// party reports whether p takes the part in c; part 0 asks for any.
func party(c *Consultation, p *principal.Principal, part Party) bool {
	inviting := p.Has(principal.Clinician) && p.Practitioner != "" && p.Practitioner == c.Inviting
	consultant := p.Has(principal.Clinician) && p.Practitioner != "" && p.Practitioner == c.Consultant
	coordinator := p.Has(principal.Coordinator) && p.Organization == c.InvitedOrg && c.State != Drafted && c.State != Consented
	switch part {
	case Inviting:
		return inviting
	case Consultant:
		return consultant
	case Coordinator:
		return coordinator
	case Either:
		return inviting || consultant
	case 0:
		return inviting || consultant || coordinator
	}
	return false
}

// List gives the consultations in which p takes part, newest first, at most
// 200.
func (s *Service) List(ctx context.Context, p *principal.Principal) ([]*Consultation, error) {
	var out []*Consultation
	for _, q := range listQueries(p) {
		found, err := s.search(ctx, "Task", q)
		if err != nil {
			return nil, err
		}
		for i := range found {
			c, ok, err := decode(&found[i])
			if err != nil {
				return nil, err
			}
			if ok && party(c, p, 0) && !slices.ContainsFunc(out, func(o *Consultation) bool { return o.ID == c.ID }) {
				out = append(out, c)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Consultation) int { return b.Modified.Compare(a.Modified) })
	return out, nil
}

func listQueries(p *principal.Principal) []url.Values {
	base := func(param, value string) url.Values {
		return url.Values{"code": {inputSystem + "|" + taskCode}, param: {value}, "_sort": {"-modified"}, "_count": {"200"}}
	}
	var out []url.Values
	if p.Practitioner != "" {
		out = append(out, base("requester", "Practitioner/"+p.Practitioner), base("owner:PractitionerRole.practitioner", "Practitioner/"+p.Practitioner))
	}
	if p.Has(principal.Coordinator) {
		out = append(out, base("owner:Organization", p.Organization), base("owner:PractitionerRole.organization", p.Organization))
	}
	return out
}

// system reads as the exchange.
func (s *Service) system(ctx context.Context, custodian string, k fhir.Key) (fhir.Resource, error) {
	return s.cfg.Records.Read(ctx, interact.SystemCaller(custodian), k)
}

// search runs a search as the exchange and gives its matches.
func (s *Service) search(ctx context.Context, t fhir.Type, q url.Values) ([]fhir.Resource, error) {
	b, err := s.cfg.Records.Search(ctx, interact.SystemCaller(""), interact.SearchRequest{Type: t, Query: q.Encode()})
	if err != nil {
		return nil, err
	}
	var out []fhir.Resource
	for _, e := range b.Entries {
		if e.Mode == "match" {
			out = append(out, e.Resource)
		}
	}
	return out, nil
}

// save writes the Task and the artefacts of a move in one transaction. The
// Task must still be at the version that was read, so of two moves made at
// once one fails with Conflict.
func (s *Service) save(ctx context.Context, c *Consultation, artefacts ...obj) error {
	taskJSON, err := encode(c)
	if err != nil {
		return err
	}
	type request struct {
		Method  string `json:"method"`
		URL     string `json:"url"`
		IfMatch string `json:"ifMatch,omitempty"`
	}
	type entry struct {
		Resource any     `json:"resource"`
		Request  request `json:"request"`
	}
	first := entry{json.RawMessage(taskJSON), request{Method: "PUT", URL: "Task/" + c.ID}}
	if c.VersionID > 0 {
		first.Request.IfMatch = fhir.Version{VersionID: c.VersionID}.ETag()
	}
	entries := []entry{first}
	for _, a := range artefacts {
		entries = append(entries, entry{a, request{Method: "PUT", URL: a["resourceType"].(string) + "/" + a["id"].(string)}})
	}
	body, err := json.Marshal(obj{"resourceType": "Bundle", "type": "transaction", "entry": entries})
	if err != nil {
		return err
	}
	_, err = s.cfg.Records.Transaction(ctx, interact.SystemCaller(c.InvitingOrg), body, interact.BundleOptions{})
	if errors.Is(err, fhir.E(fhir.PreconditionFailed)) || errors.Is(err, fhir.E(fhir.Conflict)) {
		return fhir.Errorf(fhir.Conflict, "somebody else has just moved this consultation: %w", err)
	}
	if err == nil {
		c.VersionID++
	}
	return err
}
