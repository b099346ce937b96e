package consent

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/gateway/principal"
)

// Bounds of what one decision reads. More is refused: a decision on half of
// the facts is none.
const (
	maxConsents    = 500  // active consents of one person
	maxGrants      = 200  // consents that name one principal
	maxInTreatment = 2000 // patients whom an organisation treats now
)

// activeVisits are the Encounter statuses that are a treatment relationship by
// themselves.
const activeVisits = "planned,arrived,triaged,in-progress,onleave"

// question gathers what the decision of c on op depends on.
func (p *Policy) question(ctx context.Context, c *Caller, op interact.Op, about []fhir.Key) (*Question, error) {
	q := &Question{Role: c.role, Organization: c.who.Organization, Named: len(about) > 0}
	var err error
	switch {
	case c.role == principal.Resident:
		q.Own, err = p.recordsOf(ctx, c.who)
	case c.role != principal.Clinician && c.role != principal.Emergency:
	case !q.Named && slices.Contains(registry, op.Type): // needs no patients
	default:
		err = p.clinicalQuestion(ctx, q, c, about)
	}
	return q, err
}

// recordsOf gives all records of a resident's person: none if no hospital has
// posted one.
func (p *Policy) recordsOf(ctx context.Context, who *principal.Principal) ([]fhir.Key, error) {
	if who.IdentifierValue == "" {
		return nil, nil
	}
	person, err := p.cfg.Persons.ByIdentifier(ctx, who.IdentifierSystem, who.IdentifierValue)
	if errors.Is(err, fhir.E(fhir.NotFound)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return p.cfg.Persons.Members(ctx, person)
}

func (p *Policy) clinicalQuestion(ctx context.Context, q *Question, c *Caller, about []fhir.Key) error {
	var err error
	if q.Self, err = p.self(ctx, c.who); err != nil {
		return err
	}
	if !q.Named {
		if q.InTreatment, err = p.inTreatment(ctx, q.Organization); err != nil {
			return err
		}
		if about, err = p.grantors(ctx, q); err != nil {
			return err
		}
	}
	a := &asker{
		organization: q.Organization, self: q.Self, purpose: c.purpose, emergency: c.who.Has(principal.Emergency),
		exchange: p.cfg.Custodian, base: p.cfg.Base,
	}
	q.Persons, err = p.persons(ctx, a, about, q.Named)
	return err
}

// self names the principal's Practitioner and the roles it holds.
func (p *Policy) self(ctx context.Context, who *principal.Principal) ([]fhir.Key, error) {
	if who.Practitioner == "" {
		return nil, nil
	}
	self := []fhir.Key{{Type: "Practitioner", ID: who.Practitioner}}
	roles, err := p.all(ctx, "PractitionerRole", params("practitioner", "Practitioner/"+who.Practitioner), maxGrants)
	if err != nil {
		return nil, err
	}
	for i := range roles {
		if roles[i].Facts.Custodian == "" || roles[i].Facts.Custodian == who.Organization || roles[i].Facts.Custodian == p.cfg.Custodian {
			self = append(self, roles[i].Key)
		}
	}
	return self, nil
}

// persons groups the patients by person and gathers each one's consents and,
// if asked, whether the organisation treats them.
func (p *Policy) persons(ctx context.Context, a *asker, about []fhir.Key, treats bool) ([]Person, error) {
	var all []Person
	seen := map[fhir.Key]bool{}
	for _, k := range about {
		if seen[k] {
			continue
		}
		members, err := p.cfg.Persons.Members(ctx, k)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(members, k) {
			members = append(slices.Clone(members), k)
		}
		for _, m := range members {
			seen[m] = true
		}
		person, err := p.person(ctx, a, members, treats)
		if err != nil {
			return nil, err
		}
		all = append(all, person)
	}
	return all, nil
}

func (p *Policy) person(ctx context.Context, a *asker, members []fhir.Key, treats bool) (Person, error) {
	person := Person{Members: members}
	consents, err := p.all(ctx, "Consent", params("patient", list(members), "status", "active"), maxConsents)
	if err != nil {
		return person, err
	}
	c := p.clock()
	for i := range consents {
		d, err := parseDocument(consents[i].Body.Raw)
		if err != nil {
			return person, err
		}
		person.judge(d, consents[i].Facts.Custodian, a, c)
	}
	if treats {
		person.Treats, err = p.treats(ctx, a.organization, members)
	}
	return person, err
}

// treats reports whether the organisation has a treatment relationship: an
// Encounter of its own keeping, or at it by serviceProvider, that is under way
// or has ended not long ago.
func (p *Policy) treats(ctx context.Context, org string, members []fhir.Key) (bool, error) {
	if org == "" {
		return false, nil
	}
	patients := list(members)
	for _, query := range []string{
		params("patient", patients, "status", activeVisits),
		params("patient", patients, "status", "finished", "date", "ge"+p.since()),
	} {
		for _, side := range sides(org) {
			visits, err := p.cfg.Reader.Find(ctx, "Encounter", query+side.params, side.restriction, maxConsents)
			if err != nil {
				return false, err
			}
			if slices.ContainsFunc(visits, func(v fhir.Resource) bool { return p.relates(v.Body.Raw) }) {
				return true, nil
			}
		}
	}
	return false, nil
}

// side is one of the two ways in which an Encounter is at an organisation.
type side struct {
	params      string
	restriction search.Restriction
}

func sides(org string) []side {
	return []side{
		{"", search.Restriction{Decided: true, Permit: []search.Rule{{Custodians: []string{org}}}}},
		{"&" + params("service-provider", "Organization/"+org), search.Unrestricted()},
	}
}

// fromNow is the value of a period that has not ended.
func (p *Policy) fromNow() string { return "ge" + p.cfg.Now().UTC().Format("2006-01-02T15:04:05Z") }

// since is the day from which an ended encounter counts, one day early: relates
// decides by the moment.
func (p *Policy) since() string {
	return p.cfg.Now().Add(-p.cfg.Recent).AddDate(0, 0, -1).In(p.cfg.Zone).Format("2006-01-02")
}

// relates decides whether an Encounter of the organisation is a treatment
// relationship now. A virtual encounter is not: a consultation shows what its
// grant names.
func (p *Policy) relates(raw []byte) bool {
	var v struct {
		Status string `json:"status"`
		Class  coding `json:"class"`
		Period period `json:"period"`
	}
	if json.Unmarshal(raw, &v) != nil || v.Class.Code == "VR" {
		return false
	}
	if v.Status != "finished" {
		return slices.Contains(strings.Split(activeVisits, ","), v.Status)
	}
	ended := v.Period.End
	if ended == "" {
		ended = v.Period.Start
	}
	_, to, err := bounds(ended, p.cfg.Zone)
	return err == nil && ended != "" && to.After(p.cfg.Now().Add(-p.cfg.Recent))
}

// inTreatment lists the patients whom the organisation treats now, for a
// request that names none.
func (p *Policy) inTreatment(ctx context.Context, org string) ([]fhir.Key, error) {
	if org == "" {
		return nil, nil
	}
	var patients []fhir.Key
	seen := map[fhir.Key]bool{}
	for _, query := range []string{params("status", activeVisits), params("status", "finished", "date", "ge"+p.since())} {
		visits, err := p.cfg.Reader.Find(ctx, "Encounter", query, sides(org)[0].restriction, maxInTreatment+1)
		if err != nil {
			return nil, err
		}
		for i := range visits {
			if !p.relates(visits[i].Body.Raw) {
				continue
			}
			for _, k := range visits[i].Facts.Patients {
				if !seen[k] {
					seen[k], patients = true, append(patients, k)
				}
			}
		}
		if len(visits) > maxInTreatment {
			return nil, fhir.Errorf(fhir.TooCostly, "your organisation treats too many patients for a request that names none: name a patient")
		}
	}
	return patients, nil
}

// grantors gives the patients some of whose consents name the principal: for a
// request that names no patient.
func (p *Policy) grantors(ctx context.Context, q *Question) ([]fhir.Key, error) {
	actors := slices.Clone(q.Self)
	if q.Organization != "" {
		actors = append(actors, fhir.Key{Type: "Organization", ID: q.Organization})
	}
	if len(actors) == 0 {
		return nil, nil
	}
	found, err := p.all(ctx, "Consent", params("actor", list(actors), "status", "active", "period", p.fromNow()), maxGrants)
	if err != nil {
		return nil, err
	}
	var patients []fhir.Key
	for i := range found {
		for _, k := range found[i].Facts.Patients {
			if !slices.Contains(patients, k) {
				patients = append(patients, k)
			}
		}
	}
	return patients, nil
}

// all reads every match, unrestricted; more than limit is refused.
func (p *Policy) all(ctx context.Context, t fhir.Type, query string, limit int) ([]fhir.Resource, error) {
	found, err := p.cfg.Reader.Find(ctx, t, query, search.Unrestricted(), limit+1)
	if err == nil && len(found) > limit {
		err = fhir.Errorf(fhir.TooCostly, "more than %d %s resources bear on this decision", limit, t)
	}
	return found, err
}

// params makes a query string of names and values.
func params(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(pairs[i] + "=" + url.QueryEscape(pairs[i+1]))
	}
	return b.String()
}

// list joins keys for a parameter of type reference.
func list(keys []fhir.Key) string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.String()
	}
	return strings.Join(texts, ",")
}
