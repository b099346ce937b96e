package region

import (
	"time"

	"hutong/profiles"
)

// Facts are what a demonstration or a test needs to know of person 0.
type Facts struct {
	Name, NameEN, Gender, BirthDate string
	CitizenID                       string // profiles.CitizenID
	HealthCard                      string // profiles.HealthCard
	SocialCard                      string // profiles.SocialCard
	Phone                           string
	Records                         []Record  // at org-clinic, org-county, org-muni
	Encounter                       string    // id of the active Encounter at org-clinic
	Report                          string    // id of org-muni's DiagnosticReport (electrolytes) of three days ago
	Potassium                       string    // id of its potassium Observation
	BloodCount                      string    // id of org-muni's blood count DiagnosticReport of three days ago
	Collected                       time.Time // when those specimens were taken: three days before Now
	Order                           []byte    // draft ServiceRequest of dr.zhou for potassium: JSON
	OrderBloodCount                 []byte    // the same for a blood count
}

// Hero gives the facts of person 0, the demonstration's resident. Options.People
// does not matter.
func Hero(o Options) Facts {
	o.People = 1
	g := newGenerator(o)
	var f Facts
	for p := range g.people() {
		f = Facts{
			Name: p.name.text(), NameEN: p.name.latin(), Gender: g.gender(p), BirthDate: p.born.Format(time.DateOnly),
			CitizenID: p.citizen, HealthCard: p.healthCard, SocialCard: p.socialCard, Phone: p.phone,
		}
		for nth := range p.orgs {
			f.Records = append(f.Records, g.truth(g.record(p, nth)))
		}
		g.illnesses(p)
		g.heroFacts(p, &f)
	}
	return f
}

func (g *generator) heroFacts(p *person, f *Facts) {
	for _, v := range g.visits(p) {
		switch {
		case v.active:
			f.Encounter = g.id(clinic, g.handleOf(clinic, p.index, 'E', v.n))
		case v.special:
			id := func(kind byte, n int) string { return g.id(muni, g.handleOf(muni, p.index, kind, n)) }
			f.Report, f.BloodCount = id('R', v.n*8), id('R', v.n*8+1)
			f.Potassium = id('O', v.n*8*16)
			f.Collected = v.collected()
		}
	}
	patient := g.id(clinic, g.handleOf(clinic, p.index, 'P', 0))
	f.Order = g.order("draft-k", "K", "2823-3", "血清钾测定", patient, f.Encounter)
	f.OrderBloodCount = g.order("draft-cbc", "CBC", "58410-2", "血细胞分析", patient, f.Encounter)
}

// order is a draft ServiceRequest as the clinic's HIS hands it to CDS Hooks.
func (g *generator) order(id, item, loinc, zh, patient, encounter string) []byte {
	w := &writer{}
	w.obj("")
	w.str("resourceType", "ServiceRequest")
	w.str("id", id)
	w.str("status", "draft")
	w.str("intent", "order")
	w.concepts("category", "http://snomed.info/sct", "108252007", "Laboratory procedure")
	w.obj("code")
	w.arr("coding")
	w.coding("", profiles.HRItem, item, "")
	w.coding("", profiles.LOINC, loinc, "")
	w.endArr()
	w.str("text", zh)
	w.end()
	w.ref("subject", "Patient/"+patient, "")
	w.ref("encounter", "Encounter/"+encounter, "")
	w.instant("authoredOn", g.now)
	w.ref("requester", "Practitioner/prac-zhou", "周文")
	w.end()
	return w.b
}
