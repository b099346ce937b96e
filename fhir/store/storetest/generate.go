package storetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// gen makes random resources and questions, small worlds in which values often
// meet.
type gen struct{ *rand.Rand }

func newGen(seed uint64) *gen { return &gen{rand.New(rand.NewPCG(seed, 7))} }

func pick[T any](g *gen, list ...T) T { return list[g.IntN(len(list))] }

func (g *gen) chance(percent int) bool { return g.IntN(100) < percent }

type object = map[string]any

// types of the oracle's world with the number of ids that each has.
var population = map[string]int{
	"Organization": 3, "Patient": 8, "Encounter": 10, "Condition": 12, "Observation": 30,
	"MedicationRequest": 8, "DiagnosticReport": 8, "RiskAssessment": 5,
}

var worldTypes = []string{"Condition", "DiagnosticReport", "Encounter", "MedicationRequest", "Observation", "Organization", "Patient", "RiskAssessment"}

// resource makes a random resource of a random type and id.
func (g *gen) resource() string {
	t := g.weightedType()
	r := object{"resourceType": t, "id": fmt.Sprintf("%s%d", string(t[0]+32), g.IntN(population[t]))}
	if t == "Patient" && g.chance(10) {
		r["id"] = "P-UPPER.1"
	}
	meta := object{}
	if g.chance(60) {
		meta["tag"] = []any{object{"system": custodianSystem, "code": pick(g, "org1", "org2")}}
	}
	if g.chance(30) {
		meta["security"] = []any{object{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": pick(g, "R", "V")}}
	}
	if g.chance(30) {
		meta["profile"] = []any{pick(g, "http://example.org/p/a", "http://example.org/p/a|1.0", "http://example.org/p/ab|2.0")}
		meta["source"] = pick(g, "http://his/1", "http://his/2")
	}
	r["meta"] = meta
	if g.chance(50) {
		r["identifier"] = g.some(2, g.identifier)
	}
	switch t {
	case "Patient":
		g.patient(r)
	case "Organization":
		r["name"] = g.word()
		r["alias"] = g.some(2, func() any { return g.word() })
		r["active"] = g.chance(50)
		r["type"] = g.some(1, g.concept)
		if g.chance(40) {
			r["partOf"] = g.ref("Organization")
		}
	default:
		g.clinical(t, r)
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (g *gen) weightedType() string {
	n := g.IntN(84)
	for _, t := range worldTypes {
		if n -= population[t]; n < 0 {
			return t
		}
	}
	return "Observation"
}

// some makes up to most values of an array, at least one.
func (g *gen) some(most int, f func() any) []any {
	var out []any
	for range 1 + g.IntN(most) {
		out = append(out, f())
	}
	return out
}

func (g *gen) word() string {
	return pick(g, "Li", "Lin", "lina", "Wang", "wáng", "Müller", "MULLER", "Ünal", "van der Berg", "van  Dyke", "Åse", "Zoé", "A", "Li Wei", "nanjing", "Beijing 1")
}

func (g *gen) code() string { return pick(g, "8867-4", "718-7", "ABC", "abc", "x.1", "9", "A") }

func (g *gen) system() string {
	return pick(g, "http://loinc.org", "http://snomed.info/sct", ucumSystem, "urn:oid:1.2.3")
}

func (g *gen) coding() any {
	c := object{"code": g.code()}
	if g.chance(80) {
		c["system"] = g.system()
	}
	if g.chance(50) {
		c["display"] = g.word()
	}
	return c
}

func (g *gen) concept() any {
	c := object{}
	if g.chance(90) {
		c["coding"] = g.some(2, g.coding)
	}
	if g.chance(40) || c["coding"] == nil {
		c["text"] = g.word()
	}
	return c
}

func (g *gen) identifier() any {
	id := object{"value": pick(g, "1", "2", "X3", "x3", "44")}
	if g.chance(80) {
		id["system"] = pick(g, "http://example.org/mrn", "http://example.org/card")
	}
	if g.chance(30) {
		id["type"] = object{"coding": []any{object{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": pick(g, "MR", "SS")}}}
	}
	return id
}

func (g *gen) date() string {
	t := time.Date(2018+g.IntN(6), time.Month(1+g.IntN(12)), 1+g.IntN(28), g.IntN(24), g.IntN(60), g.IntN(60), 0, time.UTC)
	switch g.IntN(10) {
	case 0:
		return t.Format("2006")
	case 1:
		return t.Format("2006-01")
	case 2, 3, 4:
		return t.Format("2006-01-02")
	case 5:
		return t.Format("2006-01-02T15:04:05+08:00")
	case 6:
		return t.Add(time.Duration(g.IntN(1000)) * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	}
	return t.Format("2006-01-02T15:04:05Z")
}

// moment is a full date, as instants and birth dates want.
func (g *gen) moment() string {
	return fmt.Sprintf("%d-%02d-%02dT%02d:00:00Z", 2018+g.IntN(6), 1+g.IntN(12), 1+g.IntN(28), g.IntN(24))
}

func (g *gen) period() any {
	p := object{}
	a, b := g.date(), g.date()
	sa, _ := spanOf(a)
	sb, _ := spanOf(b)
	if sa.lo > sb.lo {
		a, b = b, a
	}
	if g.chance(85) {
		p["start"] = a
	}
	if g.chance(70) || p["start"] == nil {
		p["end"] = b
	}
	return p
}

func (g *gen) number() json.Number {
	return json.Number(pick(g, "5", "5.4", "5.40", "0", "-1.5", "100", "5.35", "1e2", "0.5", "5478.4", "5529.6", "1024"))
}

func (g *gen) quantity() any {
	q := object{"value": g.number()}
	switch g.IntN(4) {
	case 0:
		q["unit"] = "mg"
	case 1:
		q["system"], q["code"], q["unit"] = ucumSystem, pick(g, "mg", "g"), "milli"
	case 2:
		q["system"], q["code"] = ucumSystem, "mmol/L"
	}
	if g.chance(15) {
		q["comparator"] = pick(g, "<", ">", "<=", ">=")
	}
	return q
}

// ref points to a resource of the world, or out of it.
func (g *gen) ref(types ...string) any {
	t := pick(g, types...)
	switch g.IntN(20) {
	case 0:
		return object{"reference": "http://elsewhere.org/fhir/" + t + "/1"}
	case 1:
		return object{"identifier": g.identifier()}
	case 2:
		return object{"reference": fmt.Sprintf("%s/%s0/_history/%d", t, string(t[0]+32), 1+g.IntN(2))}
	case 3:
		return object{"reference": "Patient/P-UPPER.1"}
	}
	return object{"reference": fmt.Sprintf("%s/%s%d", t, string(t[0]+32), g.IntN(population[t])), "identifier": object{"value": "1"}}
}

func (g *gen) patient(r object) {
	if g.chance(90) {
		r["name"] = g.some(2, func() any {
			n := object{"given": g.some(2, func() any { return g.word() })}
			if g.chance(80) {
				n["family"] = g.word()
			}
			if g.chance(20) {
				n["text"] = g.word()
			}
			return n
		})
	}
	r["gender"] = pick(g, "male", "female")
	r["active"] = g.chance(50)
	if g.chance(70) {
		r["birthDate"] = pick(g, "1990", "1990-02", "1990-02-03", "2001-12-31")
	}
	switch g.IntN(4) {
	case 0:
		r["deceasedBoolean"] = g.chance(50)
	case 1:
		r["deceasedDateTime"] = g.date()
	}
	if g.chance(50) {
		r["telecom"] = g.some(2, func() any {
			return object{"system": pick(g, "phone", "email"), "value": pick(g, "138001", "a@b.cn", "X@b.cn")}
		})
	}
	if g.chance(50) {
		r["address"] = g.some(1, func() any {
			return object{"city": g.word(), "line": g.some(2, func() any { return g.word() }), "country": "CN", "use": pick(g, "home", "work")}
		})
	}
	if g.chance(50) {
		r["managingOrganization"] = g.ref("Organization")
	}
}

func (g *gen) clinical(t string, r object) {
	if g.chance(90) {
		r["subject"] = g.ref("Patient")
	}
	if g.chance(10) { // a subject, and no patient, though its id is a patient's
		r["subject"] = object{"reference": pick(g, "Group/p1", "Group/P-UPPER.1", "Device/p2", "http://elsewhere.org/fhir/Group/1")}
	}
	if g.chance(50) {
		r["encounter"] = g.ref("Encounter")
	}
	r["category"] = g.some(1, g.concept)
	r["code"] = g.concept()
	r["status"] = pick(g, "final", "active", "completed")
	switch t {
	case "Observation":
		g.observation(r)
	case "Encounter":
		delete(r, "category")
		delete(r, "code")
		delete(r, "encounter")
		r["type"] = g.some(2, g.concept)
		r["class"] = g.coding()
		r["period"] = g.period()
		r["serviceProvider"] = g.ref("Organization")
		if g.chance(40) {
			r["length"] = object{"value": g.number(), "system": ucumSystem, "code": "min"}
		}
	case "Condition":
		delete(r, "status")
		r["clinicalStatus"] = g.concept()
		pick(g,
			func() { r["onsetDateTime"] = g.date() },
			func() { r["onsetPeriod"] = g.period() },
			func() { r["onsetString"] = g.word() },
			func() { r["onsetAge"] = object{"value": 30, "system": ucumSystem, "code": "a"} },
			func() { r["onsetRange"] = object{"low": object{"value": 20}, "high": object{"value": 40}} },
			func() {},
		)()
		if g.chance(50) {
			r["recordedDate"] = g.date()
		}
	case "MedicationRequest":
		delete(r, "code")
		r["intent"] = pick(g, "order", "plan")
		r["medicationCodeableConcept"] = g.concept()
		r["authoredOn"] = g.date()
		r["dosageInstruction"] = []any{object{"timing": object{"event": g.some(2, func() any { return g.date() })}}}
	case "DiagnosticReport":
		r["issued"] = g.moment()
		r["effectivePeriod"] = g.period()
		r["result"] = g.some(3, func() any { return g.ref("Observation") })
		r["performer"] = g.some(1, func() any { return g.ref("Organization") })
	case "RiskAssessment":
		delete(r, "category")
		r["prediction"] = g.some(2, func() any {
			if g.chance(50) {
				return object{"probabilityDecimal": g.number()}
			}
			return object{"probabilityRange": object{"low": object{"value": g.number()}}}
		})
		r["occurrenceDateTime"] = g.date()
	}
}

func (g *gen) observation(r object) {
	switch g.IntN(4) {
	case 0:
		r["effectivePeriod"] = g.period()
	case 1, 2:
		r["effectiveDateTime"] = g.date()
	}
	g.value(r)
	if g.chance(30) {
		r["component"] = g.some(2, func() any {
			c := object{"code": g.concept()}
			g.value(c)
			return c
		})
	}
	r["performer"] = g.some(1, func() any { return g.ref("Organization", "Patient") })
	if g.chance(30) {
		r["hasMember"] = g.some(2, func() any { return g.ref("Observation") })
	}
}

func (g *gen) value(r object) {
	switch g.IntN(6) {
	case 0, 1, 2:
		r["valueQuantity"] = g.quantity()
	case 3:
		r["valueCodeableConcept"] = g.concept()
	case 4:
		r["valueString"] = g.word()
	}
}
