package consent

import (
	"slices"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/gateway/principal"
)

// Question is everything that a decision depends on, gathered before it is
// taken. Compile is a pure function of it.
type Question struct {
	Role         principal.Role
	Organization string     // id the principal acts for; "" if none
	Self         []fhir.Key // Practitioner and PractitionerRole resources of the principal
	Own          []fhir.Key // a resident's records: all members of their person
	Persons      []Person   // whom the request names, or whose grants the principal holds
	Named        bool       // the request names patients
	// InTreatment are the patients whom the organisation treats now: asked for
	// only if the request names none.
	InTreatment []fhir.Key
}

// Person is one person as a request concerns them.
type Person struct {
	Members []fhir.Key // all source Patients
	Treats  bool       // the principal's organisation treats them
	// Glass is until when the principal has broken the glass; zero if not.
	Glass time.Time
	// Withheld are organisations whose records the person does not share.
	Withheld []string
	// WithholdAll: nobody's records are shared beyond their custodian.
	WithholdAll bool
	// Barred: the principal, or their organisation, may not see.
	Barred bool
	Grants []Grant // consents that show chosen documents to the principal
}

// Grant shows some resources until a moment.
type Grant struct {
	Keys  []fhir.Key
	Until time.Time
}

// Compile takes the decision: what the principal may see. It refuses, with the
// way out in its text, a clinician who names patients none of whom they treat.
func Compile(q *Question) (search.Restriction, error) {
	r := search.Restriction{Decided: true, Permit: []search.Rule{{Types: registry, NoPatient: true}}}
	switch q.Role {
	case principal.HIS:
		permitOwn(&r, q, search.Rule{NotTypes: []fhir.Type{"AuditEvent"}})
	case principal.Clinician, principal.Emergency:
		return clinical(r, q)
	case principal.Coordinator:
		work := search.Rule{Types: []fhir.Type{"Task", "ServiceRequest"}}
		permitOwn(&r, q, work)
		if q.Organization != "" {
			work.Authors = []fhir.Key{{Type: "Organization", ID: q.Organization}}
			r.Permit = append(r.Permit, work)
		}
	case principal.Resident:
		permitPatients(&r, q.Own, search.Rule{})
	case principal.Steward:
		r.Permit = append(r.Permit, search.Rule{Types: []fhir.Type{"Patient"}})
	case principal.Auditor:
		r.Permit = append(r.Permit, search.Rule{Types: []fhir.Type{"AuditEvent"}})
	}
	return r, nil
}

// permitOwn permits what rule matches of the organisation's own. Without an
// organisation there is nothing: an empty condition would match everything.
func permitOwn(r *search.Restriction, q *Question, rule search.Rule) {
	if q.Organization != "" {
		rule.Custodians = []string{q.Organization}
		r.Permit = append(r.Permit, rule)
	}
}

// permitPatients permits what rule matches in these compartments.
func permitPatients(r *search.Restriction, patients []fhir.Key, rule search.Rule) {
	if len(patients) > 0 {
		rule.Patients = patients
		r.Permit = append(r.Permit, rule)
	}
}

// clinical decides for those who treat.
func clinical(r search.Restriction, q *Question) (search.Restriction, error) {
	open := 0
	for i := range q.Persons {
		if permitPerson(&r, q, &q.Persons[i]) {
			open++
		}
	}
	if q.Named {
		r.Refuse = fhir.Forbidden
		if open == 0 {
			return search.Restriction{}, noRelationship()
		}
	} else if q.Organization != "" {
		permitPatients(&r, q.InTreatment, search.Rule{Custodians: []string{q.Organization}, NotTypes: []fhir.Type{"AuditEvent"}})
	}
	r.Deny = append(r.Deny, search.Rule{Labels: sensitive, NotCustody: own(q), NotAuthors: q.Self})
	return r, nil
}

func noRelationship() error {
	return fhir.Errorf(fhir.Forbidden, "no treatment relationship with this patient: register the encounter at your organisation, ask for a consultation, or, in an emergency, break the glass (POST /api/breakglass)")
}

// permitPerson adds what the principal may see of one person. It reports
// whether that is anything at all.
func permitPerson(r *search.Restriction, q *Question, p *Person) bool {
	if len(p.Members) == 0 {
		return false
	}
	glass := !p.Glass.IsZero()
	if p.Treats || glass {
		whole := search.Rule{}
		if !p.Treats {
			whole.Until = p.Glass
		}
		permitCompartment(r, q, p, whole)
	}
	for _, g := range p.Grants {
		if len(g.Keys) > 0 { // an empty list would match everything
			r.Permit = append(r.Permit, search.Rule{Patients: p.Members, Keys: g.Keys, Until: g.Until})
		}
	}
	if !glass {
		r.Deny = append(r.Deny, denials(q, p)...)
	}
	return p.Treats || glass || len(p.Grants) > 0
}

// permitCompartment permits the person's records but not who looked at them,
// which is the resident's and the auditor's, nor the consents that other
// organisations keep: who is shut out is not for those who are let in.
func permitCompartment(r *search.Restriction, q *Question, p *Person, rule search.Rule) {
	rule.NotTypes = []fhir.Type{"AuditEvent", "Consent"}
	permitPatients(r, p.Members, rule)
	permitOwn(r, q, search.Rule{Patients: p.Members, Types: []fhir.Type{"Consent"}, Until: rule.Until})
}

// denials are the person's refusals as rules. None hides from an organisation
// what is its own.
func denials(q *Question, p *Person) []search.Rule {
	if p.Barred || p.WithholdAll {
		return []search.Rule{{Patients: p.Members, NotCustody: own(q)}}
	}
	others := slices.DeleteFunc(slices.Clone(p.Withheld), func(org string) bool { return org == q.Organization })
	if len(others) == 0 {
		return nil
	}
	return []search.Rule{{Patients: p.Members, Custodians: others}}
}

// own is the principal's organisation as a list; empty if there is none.
func own(q *Question) []string {
	if q.Organization == "" {
		return nil
	}
	return []string{q.Organization}
}
