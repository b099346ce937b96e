package region

import (
	"strings"
	"time"

	"hutong/profiles"
)

func upper(s string) string { return strings.ToUpper(s) }

// problems are the chronic conditions that this organisation has on its list.
func (b *bundler) problems(visits []visit) {
	for i, d := range b.rec.chronic {
		for j := range visits {
			if v := &visits[j]; v.org == b.org && v.reason == &diseases[d] {
				b.condition(b.handle('D', d), &diseases[d], "problem-list-item", "active", b.rec.onset[i], v)
				break
			}
		}
	}
}

func (b *bundler) condition(h handle, d *disease, category, status string, onset time.Time, v *visit) {
	b.resource("Condition", h)
	b.concept("clinicalStatus", "http://terminology.hl7.org/CodeSystem/condition-clinical", status, "")
	b.concept("verificationStatus", "http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed", "")
	b.concepts("category", "http://terminology.hl7.org/CodeSystem/condition-category", category, "")
	b.concept("code", profiles.ICD10, d.code, d.zh)
	b.subject("subject")
	b.ref("encounter", b.handle('E', v.n).urn(), "")
	b.date("onsetDateTime", onset)
	if status == "resolved" {
		b.date("abatementDateTime", onset.AddDate(0, 0, 7+v.days))
	}
	b.date("recordedDate", v.at)
	b.close()
}

// visit writes an encounter and what came of it.
func (b *bundler) visit(v *visit) {
	doctor := b.doctor(v)
	b.encounter(v, doctor)
	if !v.reason.chronic && v.reason.code[0] != 'Z' {
		b.condition(b.handle('C', v.n), v.reason, "encounter-diagnosis", "resolved", v.at, v)
	}
	b.vitals(v)
	for i, d := range v.drugs {
		b.prescription(v, d, i, doctor)
	}
	for i, code := range v.panels {
		b.report(v, panels[code], i)
	}
}

func (b *bundler) encounter(v *visit, doctor practitioner) {
	o := b.g.cast[b.org]
	b.resource("Encounter", b.handle('E', v.n))
	b.arr("identifier")
	b.identifier("usual", "https://hutong.example/sid/"+o.USCC+"/visit", v.at.Format("20060102")+digits(uint64(b.handle('E', v.n)), 6), "VN")
	b.endArr()
	status := "finished"
	if v.active {
		status = "in-progress"
	}
	b.str("status", status)
	b.coding("class", "http://terminology.hl7.org/CodeSystem/v3-ActCode", v.class, "")
	b.subject("subject")
	b.list("participant")
	b.concepts("type", "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "ATND", "")
	b.ref("individual", "Practitioner/"+doctor.id, doctor.name)
	b.endList()
	b.obj("period")
	b.instant("start", v.at)
	if !v.active {
		b.instant("end", v.end())
	}
	b.end()
	b.concepts("reasonCode", profiles.ICD10, v.reason.code, v.reason.zh)
	if v.class == "IMP" {
		b.obj("hospitalization")
		b.concept("dischargeDisposition", "http://terminology.hl7.org/CodeSystem/discharge-disposition", "home", "")
		b.end()
	}
	b.list("location")
	b.ref("location", "Location/loc-"+b.g.short(b.org)+"-"+v.spot(), "")
	b.endList()
	b.ref("serviceProvider", "Organization/"+o.ID, o.Name)
	b.close()
}

func (v *visit) end() time.Time {
	if v.class == "IMP" {
		return v.at.AddDate(0, 0, v.days)
	}
	return v.at.Add(35 * time.Minute)
}

func (v *visit) spot() string {
	switch v.class {
	case "IMP":
		return "ward"
	case "EMER":
		return "er"
	}
	return "opd"
}

// vitals: blood pressure and pulse of adults, temperature with an infection,
// height and weight once a year.
func (b *bundler) vitals(v *visit) {
	p, g := b.rec.person, b.g
	r := newRNG(g.o.Seed, 'w', uint64(p.index), uint64(v.n))
	age := g.ageAt(p, v.at)
	if age >= 14 {
		b.bloodPressure(v, r)
		b.vital(v, 1, "8867-4", "心率", float64(r.between(60, 92)), 0, "/min")
	}
	if v.reason.fever {
		b.vital(v, 2, "8310-5", "体温", 37.2+1.9*r.f(), 1, "Cel")
	}
	if v.n%4 == 0 && age >= 1 {
		height, weight := stature(newRNG(g.o.Seed, 'k', uint64(p.index)), p.female, age)
		b.vital(v, 3, "8302-2", "身高", height, 1, "cm")
		b.vital(v, 4, "29463-7", "体重", weight+r.normal(), 1, "kg")
	}
}

// stature gives height in cm and weight in kg.
func stature(r *rng, female bool, age int) (height, weight float64) {
	height, bmi := 169+6*r.normal(), 23.6+2.8*r.normal()
	if female {
		height -= 11
	}
	if age < 18 {
		height *= 0.44 + 0.56*float64(age)/18
		bmi = 16 + 0.3*float64(age)
	}
	return height, bmi * height * height / 10_000
}

func (b *bundler) vitalHead(v *visit, n int, loinc, zh string) {
	b.resource("Observation", b.handle('V', v.n*8+n))
	b.str("status", "final")
	b.concepts("category", "http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "")
	b.concept("code", profiles.LOINC, loinc, zh)
	b.subject("subject")
	b.ref("encounter", b.handle('E', v.n).urn(), "")
	b.instant("effectiveDateTime", v.at.Add(5*time.Minute))
}

func (b *bundler) vital(v *visit, n int, loinc, zh string, value float64, dec int, unit string) {
	b.vitalHead(v, n, loinc, zh)
	b.quantity("valueQuantity", value, dec, unit)
	b.close()
}

func (b *bundler) bloodPressure(v *visit, r *rng) {
	systolic := 108 + float64(b.g.ageAt(b.rec.person, v.at))*0.28 + 8*r.normal()
	for i, d := range b.rec.chronic {
		if diseases[d].code == "I10" && b.rec.onset[i].Before(v.at) {
			systolic += 17
		}
	}
	b.vitalHead(v, 0, "85354-9", "血压")
	b.arr("component")
	b.component("8480-6", "收缩压", systolic)
	b.component("8462-4", "舒张压", systolic*0.6+3*r.normal())
	b.endArr()
	b.close()
}

func (b *bundler) component(loinc, zh string, value float64) {
	b.obj("")
	b.concept("code", profiles.LOINC, loinc, zh)
	b.quantity("valueQuantity", value, 0, "mm[Hg]")
	b.end()
}

func (b *bundler) prescription(v *visit, d drug, n int, doctor practitioner) {
	b.resource("MedicationRequest", b.handle('M', v.n*8+n))
	status := "completed"
	if v.at.After(b.g.now.AddDate(0, -3, 0)) && v.reason.chronic {
		status = "active"
	}
	b.str("status", status)
	b.str("intent", "order")
	b.concept("medicationCodeableConcept", profiles.ATC, d.atc, d.zh)
	b.subject("subject")
	b.ref("encounter", b.handle('E', v.n).urn(), "")
	b.instant("authoredOn", v.at.Add(20*time.Minute))
	b.ref("requester", "Practitioner/"+doctor.id, doctor.name)
	b.list("dosageInstruction")
	b.str("text", d.dose)
	b.endList()
	b.close()
}
