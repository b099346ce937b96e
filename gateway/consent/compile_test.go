package consent

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/gateway/principal"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func key(s string) fhir.Key {
	k, ok := fhir.ParseKey(s)
	if !ok {
		panic("test key " + s)
	}
	return k
}

// sees is the naive oracle: the rules of DESIGN.md, told one resource at a
// time, without a Restriction. refused is the Forbidden of a request that
// names patients none of whom is open to the caller.
func sees(q *Question, k fhir.Key, f *fhir.Facts, now time.Time) (visible, refused bool) {
	clinical := q.Role == principal.Clinician || q.Role == principal.Emergency
	if clinical && q.Named && !slices.ContainsFunc(q.Persons, open) {
		return false, true
	}
	isOwn := q.Organization != "" && f.Custodian == q.Organization
	if clinical && hidden(q, f, isOwn) {
		return false, false
	}
	if slices.Contains(registry, k.Type) && len(f.Patients) == 0 {
		return true, false
	}
	switch q.Role {
	case principal.HIS:
		return isOwn && k.Type != "AuditEvent", false
	case principal.Coordinator:
		toOwn := q.Organization != "" && slices.Contains(f.Authors, fhir.Key{Type: "Organization", ID: q.Organization})
		return (k.Type == "Task" || k.Type == "ServiceRequest") && (isOwn || toOwn), false
	case principal.Resident:
		return common(q.Own, f.Patients), false
	case principal.Steward:
		return k.Type == "Patient", false
	case principal.Auditor:
		return k.Type == "AuditEvent", false
	case principal.Clinician, principal.Emergency:
		return treated(q, k, f, now, isOwn), false
	}
	return false, false
}

func common(a, b []fhir.Key) bool {
	return slices.ContainsFunc(a, func(k fhir.Key) bool { return slices.Contains(b, k) })
}

func open(p Person) bool {
	return len(p.Members) > 0 && (p.Treats || !p.Glass.IsZero() || len(p.Grants) > 0)
}

// hidden: what no clinician sees, whatever else permits it.
func hidden(q *Question, f *fhir.Facts, isOwn bool) bool {
	if isOwn {
		return false
	}
	for _, l := range f.Labels {
		if slices.Contains(sensitive, l) && !common(q.Self, f.Authors) {
			return true
		}
	}
	for _, p := range q.Persons {
		if len(p.Members) == 0 || !common(p.Members, f.Patients) || !p.Glass.IsZero() {
			continue
		}
		if p.Barred || p.WithholdAll || slices.Contains(p.Withheld, f.Custodian) {
			return true
		}
	}
	return false
}

// treated: what a clinician's relationships, glasses and grants open.
func treated(q *Question, k fhir.Key, f *fhir.Facts, now time.Time, isOwn bool) bool {
	if !q.Named && isOwn && common(q.InTreatment, f.Patients) && k.Type != "AuditEvent" {
		return true
	}
	for _, p := range q.Persons {
		if !common(p.Members, f.Patients) {
			continue
		}
		whole := p.Treats || now.Before(p.Glass)
		if whole && k.Type != "AuditEvent" && (k.Type != "Consent" || isOwn) {
			return true
		}
		for _, g := range p.Grants {
			if slices.Contains(g.Keys, k) && now.Before(g.Until) {
				return true
			}
		}
	}
	return false
}

// TestCompileAgainstOracle holds the compiled restrictions to the oracle on
// random questions and resources from a small world, so that every condition
// meets every other.
func TestCompileAgainstOracle(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 7))
	visible, refused := 0, 0
	for i := range 20_000 {
		q := randomQuestion(r)
		restriction, err := Compile(&q)
		for range 10 {
			k, f := randomResource(r)
			now := noon.Add(time.Duration(r.IntN(5)-2) * time.Hour)
			want, wantRefused := sees(&q, k, &f, now)
			if (err != nil) != wantRefused {
				t.Fatalf("question %d: error %v, oracle refuses %v\n%+v", i, err, wantRefused, q)
			}
			if err != nil {
				refused++
				continue
			}
			if got := restriction.Sees(k, &f, now); got != want {
				t.Fatalf("question %d: %s %+v at %s: compiled %v, oracle %v\n%+v\n%+v", i, k, f, now, got, want, q, restriction)
			}
			if want {
				visible++
			}
		}
	}
	if visible < 1000 || refused < 1000 {
		t.Errorf("the world is too one-sided: %d visible, %d refused", visible, refused)
	}
}

// pick gives each of all with the chance of one in n.
func pick[T any](r *rand.Rand, n int, all ...T) []T {
	var some []T
	for _, x := range all {
		if r.IntN(n) == 0 {
			some = append(some, x)
		}
	}
	return some
}

func one[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

func randomQuestion(r *rand.Rand) Question {
	q := Question{
		Role: one(r, principal.HIS, principal.Clinician, principal.Clinician, principal.Clinician, principal.Emergency, principal.Coordinator,
			principal.Resident, principal.Steward, principal.Auditor, principal.Admin),
		Organization: one(r, "", "a", "a", "b"),
		Named:        r.IntN(3) > 0,
	}
	q.Self = pick(r, 2, key("Practitioner/me"), key("PractitionerRole/me"))
	q.Own = pick(r, 2, key("Patient/1"), key("Patient/2"))
	if !q.Named {
		q.InTreatment = pick(r, 2, key("Patient/1"), key("Patient/2"), key("Patient/3"))
	}
	for _, members := range [][]fhir.Key{{key("Patient/1"), key("Patient/2")}, {key("Patient/3")}, {}} {
		if r.IntN(2) == 0 {
			q.Persons = append(q.Persons, randomPerson(r, members))
		}
	}
	return q
}

func randomPerson(r *rand.Rand, members []fhir.Key) Person {
	p := Person{
		Members: members, Treats: r.IntN(2) == 0, Withheld: pick(r, 3, "a", "b", "c"),
		WithholdAll: r.IntN(8) == 0, Barred: r.IntN(6) == 0,
	}
	if r.IntN(5) == 0 {
		p.Glass = noon.Add(time.Hour)
	}
	if r.IntN(3) == 0 {
		p.Grants = []Grant{{Keys: pick(r, 2, key("Observation/1"), key("Consent/1"), key("Patient/1")), Until: noon}}
	}
	return p
}

func randomResource(r *rand.Rand) (fhir.Key, fhir.Facts) {
	k := key(one(r, "Observation/1", "Observation/2", "Consent/1", "AuditEvent/1", "Patient/1", "Organization/1", "Task/1", "ServiceRequest/1", "Medication/1"))
	return k, fhir.Facts{
		Custodian: one(r, "", "a", "b", "c"),
		Patients:  pick(r, 3, key("Patient/1"), key("Patient/2"), key("Patient/3")),
		Labels:    pick(r, 8, sensitive[0], sensitive[4], fhir.Coding{System: ActCodeSystem, Code: "OTHER"}),
		Authors:   pick(r, 4, key("Practitioner/me"), key("Practitioner/you"), key("Organization/a")),
	}
}

// TestCompileTable names the cases that people argue about.
func TestCompileTable(t *testing.T) {
	t.Parallel()
	ours := fhir.Facts{Custodian: "a", Patients: []fhir.Key{key("Patient/1")}}
	theirs := fhir.Facts{Custodian: "b", Patients: []fhir.Key{key("Patient/2")}}
	members := []fhir.Key{key("Patient/1"), key("Patient/2")}
	labelled := func(f fhir.Facts, authors ...fhir.Key) fhir.Facts {
		f.Labels, f.Authors = []fhir.Coding{{System: ActCodeSystem, Code: "HIV"}}, authors
		return f
	}
	ask := func(p Person) Question {
		p.Members = members
		return Question{Role: principal.Clinician, Organization: "a", Self: []fhir.Key{key("Practitioner/me")}, Named: true, Persons: []Person{p}}
	}
	obs := key("Observation/1")
	for name, c := range map[string]struct {
		q    Question
		k    fhir.Key
		f    fhir.Facts
		want bool
	}{
		"in treatment, another hospital's":           {ask(Person{Treats: true}), obs, theirs, true},
		"the other hospital withheld":                {ask(Person{Treats: true, Withheld: []string{"b"}}), obs, theirs, false},
		"a third hospital withheld":                  {ask(Person{Treats: true, Withheld: []string{"c"}}), obs, theirs, true},
		"our own withheld from others, seen by us":   {ask(Person{Treats: true, Withheld: []string{"a"}}), obs, ours, true},
		"we are barred, our own":                     {ask(Person{Treats: true, Barred: true}), obs, ours, true},
		"we are barred, another's":                   {ask(Person{Treats: true, Barred: true}), obs, theirs, false},
		"glass over a bar":                           {ask(Person{Barred: true, Glass: noon.Add(time.Hour)}), obs, theirs, true},
		"glass does not open labels":                 {ask(Person{Glass: noon.Add(time.Hour)}), obs, labelled(theirs), false},
		"a glass that has closed":                    {ask(Person{Glass: noon}), obs, theirs, false},
		"HIV of another hospital":                    {ask(Person{Treats: true}), obs, labelled(theirs), false},
		"HIV of our own":                             {ask(Person{Treats: true}), obs, labelled(ours), true},
		"HIV that I wrote elsewhere":                 {ask(Person{Treats: true}), obs, labelled(theirs, key("Practitioner/me")), true},
		"granted":                                    {ask(Person{Grants: []Grant{{[]fhir.Key{obs}, noon.Add(1)}}}), obs, theirs, true},
		"granted until now":                          {ask(Person{Grants: []Grant{{[]fhir.Key{obs}, noon}}}), obs, theirs, false},
		"another resource than granted":              {ask(Person{Grants: []Grant{{[]fhir.Key{obs}, noon.Add(1)}}}), key("Observation/2"), theirs, false},
		"granted, then denied":                       {ask(Person{Barred: true, Grants: []Grant{{[]fhir.Key{obs}, noon.Add(1)}}}), obs, theirs, false},
		"who looked is not for clinicians":           {ask(Person{Treats: true}), key("AuditEvent/1"), theirs, false},
		"who is shut out is not for clinicians":      {ask(Person{Treats: true}), key("Consent/1"), theirs, false},
		"a consent that we keep":                     {ask(Person{Treats: true}), key("Consent/1"), ours, true},
		"somebody else's record":                     {ask(Person{Treats: true}), obs, fhir.Facts{Custodian: "b", Patients: []fhir.Key{key("Patient/9")}}, false},
		"a document of another person in the grant":  {ask(Person{Grants: []Grant{{[]fhir.Key{obs}, noon.Add(1)}}}), obs, fhir.Facts{Patients: []fhir.Key{key("Patient/9")}}, false},
		"the registry":                               {ask(Person{Treats: true}), key("Organization/b"), fhir.Facts{Custodian: "b"}, true},
		"a registry type about a patient is no such": {ask(Person{Treats: true}), key("Medication/1"), fhir.Facts{Patients: []fhir.Key{key("Patient/9")}}, false},
		"HIS without an organisation":                {Question{Role: principal.HIS}, obs, fhir.Facts{}, false},
		"resident without a record":                  {Question{Role: principal.Resident}, obs, theirs, false},
		"admin":                                      {Question{Role: principal.Admin, Organization: "b"}, obs, theirs, false},
		"steward, Patient":                           {Question{Role: principal.Steward}, key("Patient/2"), theirs, true},
		"steward, Observation":                       {Question{Role: principal.Steward}, obs, theirs, false},
		"auditor, AuditEvent":                        {Question{Role: principal.Auditor}, key("AuditEvent/1"), theirs, true},
		"auditor, Patient":                           {Question{Role: principal.Auditor}, key("Patient/2"), theirs, false},
		"no role":                                    {Question{}, obs, theirs, false},
	} {
		restriction, err := Compile(&c.q)
		if err != nil || !restriction.Decided {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := restriction.Sees(c.k, &c.f, noon); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	stranger := ask(Person{})
	if _, err := Compile(&stranger); !errors.Is(err, fhir.E(fhir.Forbidden)) {
		t.Errorf("no relationship: %v", err)
	}
}

func TestActing(t *testing.T) {
	t.Parallel()
	roles := func(r ...principal.Role) *principal.Principal { return &principal.Principal{Roles: r} }
	for name, c := range map[string]struct {
		p       *principal.Principal
		stated  string
		role    principal.Role
		purpose string
		kind    fhir.Kind // Internal: no error
	}{
		"default of a clinician":     {roles(principal.Clinician), "", principal.Clinician, "TREAT", 0},
		"default of a resident":      {roles(principal.Resident), "", principal.Resident, "PATRQT", 0},
		"both, treating":             {roles(principal.Resident, principal.Clinician), "TREAT", principal.Clinician, "TREAT", 0},
		"both, for themselves":       {roles(principal.Clinician, principal.Resident), "PATRQT", principal.Resident, "PATRQT", 0},
		"emergency":                  {roles(principal.Clinician, principal.Emergency), "BTG", principal.Emergency, "BTG", 0},
		"of the token":               {&principal.Principal{Roles: []principal.Role{principal.Clinician}, Purpose: "CAREMGT"}, "", principal.Clinician, "CAREMGT", 0},
		"no such code":               {roles(principal.Clinician), "BECAUSE", "", "", fhir.Invalid},
		"case matters":               {roles(principal.Clinician), "treat", "", "", fhir.Invalid},
		"research is nobody's":       {roles(principal.Clinician), "HRESCH", "", "", fhir.Forbidden},
		"a clinician for themselves": {roles(principal.Clinician), "PATRQT", "", "", fhir.Forbidden},
		"an auditor treats nobody":   {roles(principal.Auditor), "TREAT", "", "", fhir.Forbidden},
		"no role":                    {roles(), "", "", "", fhir.Forbidden},
	} {
		role, purpose, err := Acting(c.p, c.stated)
		if role != c.role || purpose != c.purpose || err != nil && fhir.KindOf(err) != c.kind || (err != nil) != (c.kind != 0) {
			t.Errorf("%s: %s %s %v", name, role, purpose, err)
		}
	}
	for r := range purposes {
		if !slices.Contains(precedence, r) {
			t.Errorf("role %s has no place in the order", r)
		}
	}
}
