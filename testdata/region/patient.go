package region

import "hutong/profiles"

// post is the bundle of one record: the Patient and all that this
// organisation knows of them.
func (g *generator) post(p *person, nth int, visits []visit) Post {
	rec := g.record(p, nth)
	b := g.bundle(rec, rec.org)
	b.patient()
	if p.newbornOf != nil {
		b.mother()
	}
	b.allergies()
	b.problems(visits)
	for i := range visits {
		if visits[i].org == rec.org {
			b.visit(&visits[i])
		}
	}
	o := g.cast[rec.org]
	return Post{Org: o.ID, Client: o.Client, Person: p.index, Bundle: b.finish(), Resources: b.n}
}

func (b *bundler) patient() {
	rec, o := b.rec, b.g.cast[b.org]
	b.open("Patient", b.g.patientID(rec), b.handle('P', 0))
	if b.id == "" {
		b.cond = "identifier=" + profiles.MRN(o.USCC) + "|" + rec.mrn
	}
	b.meta(profiles.PatientProfile)
	b.list("extension")
	b.str("url", profiles.PatientEthnic)
	b.coding("valueCoding", profiles.Ethnicity, rec.ethnicity, "")
	b.endList()
	b.identifiers(o)
	b.bool("active", true)
	b.patientName()
	b.phone("telecom", rec.phone)
	b.str("gender", b.g.gender(rec.person))
	b.date("birthDate", rec.born)
	b.address()
	b.maritalStatus()
	if rec.guardian != nil && rec.newbornOf == nil {
		b.guardian()
	}
	b.ref("managingOrganization", "Organization/"+o.ID, "")
	b.close()
}

func (b *bundler) meta(profile string) {
	b.obj("meta")
	b.arr("profile")
	b.str("", profile)
	b.endArr()
	b.end()
}

func (b *bundler) identifiers(o Org) {
	rec := b.rec
	b.arr("identifier")
	b.identifier("usual", profiles.MRN(o.USCC), rec.mrn, "MR")
	if rec.citizen != "" {
		b.identifier("official", profiles.CitizenID, rec.citizen, "NI")
	}
	if rec.citizen15 != "" {
		b.identifier("old", profiles.CitizenID, rec.citizen15, "NI")
	}
	if rec.cards && rec.healthCard != "" {
		b.identifier("secondary", profiles.HealthCard, rec.healthCard, "")
		b.identifier("secondary", profiles.SocialCard, rec.socialCard, "")
		b.identifier("secondary", profiles.InsuranceNo, rec.insurance, "")
	}
	if b.org == clinic && rec.citizen != "" {
		b.identifier("secondary", profiles.HealthRecord, o.Area+"005101"+digits(uint64(rec.index), 5), "")
	}
	if rec.newbornOf != nil {
		mother := mrn(rec.org, rec.newbornOf.index)
		b.identifier("temp", profiles.NewbornTemp, mother+"-"+rec.born.Format("20060102")+"-1", "")
	}
	b.endArr()
}

func (b *bundler) patientName() {
	rec := b.rec
	b.arr("name")
	b.obj("")
	use := "official"
	if rec.newbornOf != nil {
		use = "temp"
	}
	b.str("use", use)
	b.str("text", rec.text)
	if rec.latinOnly {
		b.str("family", upper(rec.name.familyPY))
		b.given(upper(rec.name.givenPY))
	} else if rec.name.dotted == "" {
		b.str("family", rec.name.family)
		b.given(rec.name.given)
	}
	b.end()
	if rec.latin != "" {
		b.obj("")
		b.list("extension")
		b.str("url", "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation")
		b.str("valueCode", "SYL")
		b.endList()
		b.str("use", "official")
		b.str("text", rec.latin)
		b.str("family", title(rec.name.familyPY))
		b.given(title(rec.name.givenPY))
		b.end()
	}
	b.endArr()
}

func (b *bundler) given(s string) {
	b.arr("given")
	b.str("", s)
	b.endArr()
}

func (b *bundler) phone(k, number string) {
	b.list(k)
	b.str("system", "phone")
	b.str("value", "+86 "+number)
	b.str("use", "mobile")
	b.endList()
}

func (b *bundler) address() {
	rec := b.rec
	district := areaNames[rec.area]
	b.list("address")
	b.str("use", "home")
	b.str("text", "澄江市"+district+rec.street)
	b.arr("line")
	b.str("", rec.street)
	b.endArr()
	b.str("city", "澄江市")
	b.str("district", district)
	b.str("country", "CN")
	b.endList()
}

// maritalStatus gives the national code and HL7's beside it.
func (b *bundler) maritalStatus() {
	v3 := map[string]string{"10": "S", "20": "M", "30": "W", "40": "D"}[b.rec.marital]
	b.obj("maritalStatus")
	b.arr("coding")
	b.coding("", profiles.Marital, b.rec.marital, "")
	b.coding("", "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", v3, "")
	b.endArr()
	b.end()
}

// guardian is the parent who answers for a child under 14.
func (b *bundler) guardian() {
	parent := b.rec.guardian
	b.list("contact")
	b.concepts("relationship", "http://terminology.hl7.org/CodeSystem/v2-0131", "N", "监护人")
	b.obj("name")
	b.str("text", parent.name.text())
	b.end()
	b.phone("telecom", parent.phone)
	b.endList()
}

// mother is the RelatedPerson by whom a newborn without an id is known.
func (b *bundler) mother() {
	m := b.rec.newbornOf
	b.resource("RelatedPerson", b.handle('L', 0))
	if m.citizen != "" {
		b.arr("identifier")
		b.identifier("official", profiles.CitizenID, m.citizen, "NI")
		b.endArr()
	}
	b.subject("patient")
	b.concepts("relationship", "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "MTH", "")
	b.list("name")
	b.str("text", m.name.text())
	b.endList()
	b.phone("telecom", m.phone)
	b.str("gender", "female")
	b.close()
}

// allergies: one person in nine has one on file.
func (b *bundler) allergies() {
	r := newRNG(b.g.o.Seed, 'a', uint64(b.rec.index))
	if b.rec.role != hero && (!r.p(0.11) || b.rec.role == newborn) {
		return
	}
	a := pick(r, allergens[:])
	if b.rec.role == hero {
		a = allergens[0]
	}
	b.resource("AllergyIntolerance", b.handle('A', 0))
	b.concept("clinicalStatus", "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active", "")
	b.concept("verificationStatus", "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification", "confirmed", "")
	b.str("type", "allergy")
	b.arr("category")
	b.str("", a.category)
	b.endArr()
	b.obj("code")
	if a.atc != "" {
		b.arr("coding")
		b.coding("", profiles.ATC, a.atc, a.zh)
		b.endArr()
	}
	b.str("text", a.zh)
	b.end()
	b.subject("patient")
	b.date("recordedDate", b.g.now.AddDate(-r.between(1, 3), 0, -r.n(300)))
	b.list("reaction")
	b.arr("manifestation")
	b.obj("")
	b.str("text", a.reaction)
	b.end()
	b.endArr()
	b.endList()
	b.close()
}
