package region

import (
	"time"

	"hutong/profiles"
)

// practitioner is a licensed member of staff.
type practitioner struct {
	id, name, latin, gender string
	licensed                time.Time
	specialty               string
}

var specialties = [...]string{"全科医学", "心血管内科", "内分泌科", "呼吸内科", "普通外科", "儿科", "急诊医学", "医学检验"}

// practitioners lists the staff of each posting organisation: the cast's users
// first, then doctors of our making. They do not depend on the seed, so that
// regions of several seeds share one registry.
func (g *generator) practitioners() [][]practitioner {
	out := make([][]practitioner, len(g.cast))
	for _, u := range Users() {
		if o := g.orgIndex(u.Org); u.Practitioner != "" && o >= 0 {
			licensed, _ := time.ParseInLocation(time.DateOnly, u.Licensed, china)
			out[o] = append(out[o], practitioner{u.Practitioner, u.Name, u.NameEN, "unknown", licensed, specialties[len(out[o])]})
		}
	}
	for o := range out {
		r := newRNG('s', uint64(o))
		for i := range 6 {
			female := r.p(0.5)
			n := g.names.make(r, g.names.surname(r), female)
			p := practitioner{"prac-" + g.short(o) + "-" + itoa(i+1), n.text(), n.latin(), "male", time.Date(r.between(1995, 2020), 7, 1, 0, 0, 0, 0, china), pick(r, specialties[:])}
			if female {
				p.gender = "female"
			}
			out[o] = append(out[o], p)
		}
	}
	return out
}

func (g *generator) orgIndex(id string) int {
	for i := range g.cast {
		if g.cast[i].ID == id {
			return i
		}
	}
	return -1
}

// registry is the bundle of the operator: institutions with their
// laboratories' external quality assessment, staff, roles and places.
func (g *generator) registry() Post {
	b := g.bundle(nil, -1)
	for _, o := range Orgs() {
		g.organization(b, o)
	}
	for o := range g.cast {
		if o != laboratory {
			g.department(b, o)
		}
		for _, p := range g.staff[o] {
			g.practitioner(b, p)
			g.practitionerRole(b, p, g.cast[o].ID)
		}
		for _, l := range places(o) {
			g.location(b, o, l)
		}
	}
	return Post{Org: OrgExchange, Person: -1, Bundle: b.finish(), Resources: b.n}
}

func (g *generator) organization(b *bundler, o Org) {
	b.begin("Organization", o.ID)
	b.arr("identifier")
	b.identifier("official", profiles.USCC, o.USCC, "")
	b.endArr()
	if o.ID == OrgLab {
		g.qualifications(b, laboratory)
	}
	b.bool("active", true)
	b.concepts("type", "http://terminology.hl7.org/CodeSystem/organization-type", orgType(o.Type), "")
	b.str("name", o.Name)
	b.arr("alias")
	b.str("", o.NameEN)
	b.endArr()
	b.list("address")
	b.str("city", "澄江市")
	b.str("district", areaNames[o.Area])
	b.str("postalCode", o.Area)
	b.str("country", "CN")
	b.endList()
	if o.PartOf != "" {
		b.ref("partOf", "Organization/"+o.PartOf, "")
	}
	b.close()
}

// areaNames are the fictional counties behind the area codes that they borrow.
var areaNames = map[string]string{"500103": "江城区", "500112": "青溪区", "500233": "云岭县"}

func orgType(t string) string {
	switch t {
	case "hospital", "clinic", "laboratory":
		return "prov"
	}
	return "govt"
}

// department is a hospital's laboratory: it performs, and it is what external
// quality assessment judges. Its rounds stay out of the hospital's own
// Organization, which every page reads.
func (g *generator) department(b *bundler, org int) {
	o := g.cast[org]
	b.begin("Organization", o.ID+"-lab")
	g.qualifications(b, org)
	b.bool("active", true)
	b.concepts("type", "http://terminology.hl7.org/CodeSystem/organization-type", "dept", "")
	b.str("name", o.Name+"检验科")
	b.ref("partOf", "Organization/"+o.ID, "")
	b.close()
}

// eqaLevel is the scope that a laboratory's rounds open: the nation for those
// that take part in the national rounds, the province for the county. The
// clinic takes part in none.
var eqaLevel = [...]string{muni: "CN", dist: "CN", county: "500000", clinic: "", laboratory: "CN"}

// qualifications are the rounds of the last eighteen months: one row an item
// and round, valid from its report for seven months.
func (g *generator) qualifications(b *bundler, org int) {
	if eqaLevel[org] == "" {
		return
	}
	b.arr("extension")
	for round := range 3 {
		from := time.Date(g.now.Year(), g.now.Month(), 1, 0, 0, 0, 0, china).AddDate(0, -2-6*round, 0)
		for _, it := range g.catalogue.Items(from) {
			if _, ours := g.catalogue.Local(profiles.LabSystem(g.cast[org].USCC), it.Code); ours && it.EQAScheme != "" {
				g.qualification(b, org, round, it, from)
			}
		}
	}
	b.endArr()
}

func (g *generator) qualification(b *bundler, org, round int, it profiles.Item, from time.Time) {
	b.obj("")
	b.arr("extension")
	b.obj("")
	b.str("url", "identifier")
	b.obj("valueIdentifier")
	b.str("system", profiles.Canonical+"/sid/eqa-round")
	b.str("value", from.Format("200601")+"-"+it.Code)
	b.end()
	b.end()
	b.obj("")
	b.str("url", "code")
	b.concept("valueCodeableConcept", profiles.HRItem, it.Code, it.Name)
	b.end()
	b.obj("")
	b.str("url", "period")
	b.obj("valuePeriod")
	b.date("start", from)
	b.date("end", from.AddDate(0, 7, -1))
	b.end()
	b.end()
	b.obj("")
	b.str("url", profiles.EQAOutcome)
	b.arr("extension")
	b.obj("")
	b.str("url", "result")
	b.str("valueCode", outcome(org, round, it.Code))
	b.end()
	b.obj("")
	b.str("url", "scope")
	scopeSystem := profiles.HRScopeTag
	if eqaLevel[org] != "CN" {
		scopeSystem = profiles.Area
	}
	b.coding("valueCoding", scopeSystem, eqaLevel[org], "")
	b.end()
	b.endArr()
	b.end()
	b.endArr()
	b.str("url", profiles.OrgQualification)
	b.end()
}

// outcome: the district failed lactate dehydrogenase in the newest round, the
// county triglycerides in the one before; everything else passed.
func outcome(org, round int, item string) string {
	if org == dist && round == 0 && item == "LDH" || org == county && round == 1 && item == "TG" {
		return "fail"
	}
	return "pass"
}

func (g *generator) practitioner(b *bundler, p practitioner) {
	b.begin("Practitioner", p.id)
	b.arr("identifier")
	b.identifier("official", profiles.Practitioner, digits(hashString(p.id), 15), "")
	b.endArr()
	b.bool("active", true)
	b.list("name")
	b.str("text", p.name)
	b.endList()
	b.str("gender", p.gender)
	if !p.licensed.IsZero() {
		b.list("qualification")
		b.concept("code", "http://terminology.hl7.org/CodeSystem/v2-0360", "MD", "执业医师")
		b.obj("period")
		b.date("start", p.licensed)
		b.end()
		b.endList()
	}
	b.close()
}

func (g *generator) practitionerRole(b *bundler, p practitioner, org string) {
	b.begin("PractitionerRole", p.id+"-role")
	b.bool("active", true)
	b.obj("period")
	since := p.licensed
	if since.IsZero() {
		since = time.Date(2020, 1, 1, 0, 0, 0, 0, china)
	}
	b.date("start", since)
	b.end()
	b.ref("practitioner", "Practitioner/"+p.id, p.name)
	b.ref("organization", "Organization/"+org, "")
	code := "doctor"
	if p.licensed.IsZero() {
		code = "ict"
	}
	b.concepts("code", "http://terminology.hl7.org/CodeSystem/practitioner-role", code, "")
	b.arr("specialty")
	b.obj("")
	b.str("text", p.specialty)
	b.end()
	b.endArr()
	b.close()
}

// spot is a place within an organisation.
type spot struct{ id, zh, typ string }

func places(org int) []spot {
	out := []spot{{"opd", "门诊部", "OF"}}
	if org != clinic && org != laboratory {
		out = append(out, spot{"er", "急诊科", "ER"}, spot{"ward", "内科病区", "HU"})
	}
	return out
}

func (g *generator) location(b *bundler, org int, s spot) {
	o := g.cast[org]
	b.begin("Location", "loc-"+g.short(org)+"-"+s.id)
	b.str("status", "active")
	b.str("name", o.Name+s.zh)
	b.str("mode", "instance")
	b.concepts("type", "http://terminology.hl7.org/CodeSystem/v3-RoleCode", s.typ, "")
	b.ref("managingOrganization", "Organization/"+o.ID, "")
	b.close()
}
