package region

import (
	"iter"
	"time"

	"hutong/profiles"
)

// Options say which region to make.
type Options struct {
	People int       // true persons; 0 makes the registry only
	Seed   uint64    // same seed, same bytes
	Now    time.Time // the moment up to which records reach; zero is DefaultNow()
}

// DefaultNow is the present of a region whose Options name none.
func DefaultNow() time.Time { return time.Date(2026, 11, 20, 10, 0, 0, 0, china) }

// Post is one transaction Bundle as one HIS sends it to the FHIR base. Posting
// it again changes nothing but version numbers.
type Post struct {
	Org       string // Organization id of the sender and custodian
	Client    string // its OAuth2 client id; "" for the registry, which the operator posts
	Person    int    // the true person, -1 for the registry
	Bundle    []byte // JSON; the receiver may keep it
	Resources int    // entries in the bundle
}

// Record is one row of the truth: this source Patient belongs to this person.
type Record struct {
	Person      int
	Org         string
	System      string   // identifier system of the MRN
	MRN         string   // local record number
	Patient     string   // Patient id; "" where the server gives one (org-county creates by MRN, if none exists)
	Differences []string // how the record departs from the truth: "no-id", "pinyin", "phone" ...
}

// Pair is two source Patients that a steward must judge: alike, not certain.
type Pair struct {
	A, B Record
	Same bool // they are one person
}

// Generate makes the region in posting order: the registry, then person by
// person the bundles of the organisations that know them. Memory does not grow
// with People.
func Generate(o Options) iter.Seq[Post] {
	return func(yield func(Post) bool) {
		g := newGenerator(o)
		if !yield(g.registry()) {
			return
		}
		for p := range g.people() {
			g.illnesses(p)
			visits := g.visits(p)
			for nth := range p.orgs {
				if !yield(g.post(p, nth, visits)) {
					return
				}
			}
		}
	}
}

// Truth lists which source Patient belongs to which person, in the order of Generate.
func Truth(o Options) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		g := newGenerator(o)
		for p := range g.people() {
			for nth := range p.orgs {
				if !yield(g.truth(g.record(p, nth))) {
					return
				}
			}
		}
	}
}

// Pairs lists the pairs for the stewards' queue; they stand among the first
// fourteen people.
func Pairs(o Options) []Pair {
	g := newGenerator(o)
	var out []Pair
	var before *person
	for p := range g.people() {
		switch p.role {
		case blurred:
			out = append(out, Pair{g.truth(g.record(p, 0)), g.truth(g.record(p, 1)), true})
		case lookalike:
			out = append(out, Pair{g.truth(g.record(before, 0)), g.truth(g.record(p, 0)), false})
		case ordinary, hero, firstTwin, secondTwin, newborn:
		}
		if p.index > 20 {
			break
		}
		before = p
	}
	return out
}

func (g *generator) truth(rec *record) Record {
	out := Record{
		Person: rec.index, Org: g.cast[rec.org].ID, System: profiles.MRN(g.cast[rec.org].USCC),
		MRN: rec.mrn, Patient: g.patientID(rec), Differences: rec.differences,
	}
	return out
}

// generator holds what one run needs; it is not shared.
type generator struct {
	o         Options
	now       time.Time
	names     *nameTables
	catalogue *profiles.Catalogue
	cast      []Org // the posting organisations, by index
	staff     [][]practitioner
	size      int // of the largest bundle so far: the next one's capacity
}

func newGenerator(o Options) *generator {
	g := &generator{o: o, now: o.Now, names: newNameTables(), cast: Orgs()[:laboratory+1], size: 1 << 16}
	if g.now.IsZero() {
		g.now = DefaultNow()
	}
	g.now = g.now.In(china).Truncate(time.Second)
	catalogue, err := profiles.NewCatalogue()
	if err != nil {
		panic(err) // embedded data that a test compiles
	}
	g.catalogue = catalogue
	g.staff = g.practitioners()
	return g
}

// short is the name of an organisation within ids: "muni".
func (g *generator) short(org int) string { return g.cast[org].ID[len("org-"):] }

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
