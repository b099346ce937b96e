package region

import (
	"iter"
	"time"
)

// Options say which region to make.
type Options struct {
	People int       // true persons; 0 makes the registry only
	Seed   uint64    // same seed, same bytes
	Now    time.Time // the moment up to which records reach; zero is DefaultNow
}

// DefaultNow is the present of a region whose Options name none.
var DefaultNow = time.Date(2026, 11, 20, 10, 0, 0, 0, time.FixedZone("CST", 8*3600))

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
	MRN         string   // value; the system is profiles.MRN(org's USCC)
	System      string   // identifier system of the MRN
	Patient     string   // Patient id, "" where the server gives one (the HIS creates by MRN, if none exists)
	Differences []string // how the record departs from the truth: "no-id", "pinyin", "phone" ...
}

// Facts are what a demonstration or a test needs to know of person 0.
type Facts struct {
	Name, NameEN, Gender, BirthDate string
	CitizenID                       string // profiles.CitizenID
	HealthCard                      string // profiles.HealthCard
	SocialCard                      string // profiles.SocialCard
	Phone                           string
	Records                         []Record  // at org-muni, org-county, org-clinic
	Encounter                       string    // id of the active Encounter at org-clinic
	Report                          string    // id of org-muni's recent chemistry DiagnosticReport, potassium included
	Potassium                       string    // id of its potassium Observation
	BloodCount                      string    // id of org-muni's recent blood count DiagnosticReport
	Collected                       time.Time // when the specimens were taken: three days before Now
	Order                           []byte    // draft ServiceRequest of dr.zhou for potassium: JSON
	OrderBloodCount                 []byte    // the same for a complete blood count
}

// Generate makes the region in posting order: the registry, then person by
// person the bundles of the organisations that know them. Memory does not grow
// with People.
func Generate(o Options) iter.Seq[Post] { return func(func(Post) bool) {} }

// Truth lists which source Patient belongs to which person, in the order of Generate.
func Truth(o Options) iter.Seq[Record] { return func(func(Record) bool) {} }

// Hero gives the facts of person 0, the demonstration's resident.
func Hero(o Options) Facts { return Facts{} }
