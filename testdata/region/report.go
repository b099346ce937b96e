package region

import (
	"time"

	"hutong/profiles"
)

// performer is the laboratory that does a panel for an organisation: its own,
// or, for what the township clinic cannot do, the laboratory centre.
func (b *bundler) performer(p panel) (org int, id string) {
	org = b.org
	if _, ours := b.g.catalogue.Local(profiles.LabSystem(b.g.cast[org].USCC), p.items[0]); !ours {
		org = laboratory
	}
	if org == laboratory {
		return org, OrgLab
	}
	return org, b.g.cast[org].ID + "-lab"
}

// collected is when the specimens of a visit were taken.
func (v *visit) collected() time.Time { return v.at.Add(40 * time.Minute) }

// report writes a Specimen, the Observations of a panel, and the
// DiagnosticReport over them.
func (b *bundler) report(v *visit, p panel, n int) {
	lab, performer := b.performer(p)
	specimen := b.handle('S', v.n*8+n)
	b.specimen(specimen, v, p)
	var results []handle
	for i, item := range p.items {
		res, ok := b.g.measure(b.rec.person, item, v.collected(), v.reason)
		if !ok {
			continue
		}
		h := b.handle('O', (v.n*8+n)*16+i)
		b.observation(h, v, res, lab, performer, specimen)
		results = append(results, h)
	}
	b.diagnosticReport(v, p, n, lab, performer, specimen, results)
}

func (b *bundler) specimen(h handle, v *visit, p panel) {
	b.resource("Specimen", h)
	b.arr("identifier")
	b.identifier("usual", "https://hutong.example/sid/"+b.g.cast[b.org].USCC+"/specimen", digits(uint64(h), 10), "")
	b.endArr()
	b.str("status", "available")
	display := "血清"
	if p.specimen == "BLD" {
		display = "全血"
	}
	b.concept("type", profiles.Specimen, p.specimen, display)
	b.subject("subject")
	b.obj("collection")
	b.instant("collectedDateTime", v.collected())
	b.end()
	b.close()
}

func (b *bundler) observation(h handle, v *visit, res result, lab int, performer string, specimen handle) {
	b.resource("Observation", h)
	b.meta(profiles.LabObservation)
	b.str("status", "final")
	b.concepts("category", "http://terminology.hl7.org/CodeSystem/observation-category", "laboratory", "")
	b.labCode(lab, res.item.Code, res.item.LOINC, res.item.Name)
	b.subject("subject")
	b.ref("encounter", b.handle('E', v.n).urn(), "")
	b.instant("effectiveDateTime", v.collected())
	b.arr("performer")
	b.ref("", "Organization/"+performer, "")
	b.endArr()
	b.value(res)
	b.concepts("interpretation", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", res.interpretation, "")
	b.ref("specimen", specimen.urn(), "")
	if !res.ordinal {
		b.referenceRange(res)
	}
	b.close()
}

// labCode gives the laboratory's own code first, as its HIS does, then LOINC.
func (b *bundler) labCode(lab int, item, loinc, zh string) {
	b.obj("code")
	b.arr("coding")
	if local, ok := b.g.catalogue.Local(profiles.LabSystem(b.g.cast[lab].USCC), item); ok {
		b.coding("", local.System, local.Code, local.Display)
	}
	b.coding("", profiles.LOINC, loinc, "")
	b.endArr()
	b.str("text", zh)
	b.end()
}

func (b *bundler) value(res result) {
	if !res.ordinal {
		b.quantity("valueQuantity", res.value, res.dec, res.item.UCUM)
		return
	}
	display := "阴性"
	if res.positive {
		display = "阳性"
	}
	b.concept("valueCodeableConcept", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", res.interpretation, display)
}

func (b *bundler) referenceRange(res result) {
	b.list("referenceRange")
	if res.low > 0 {
		b.quantity("low", res.low, res.dec, res.item.UCUM)
	}
	b.quantity("high", res.high, res.dec, res.item.UCUM)
	b.endList()
}

func (b *bundler) diagnosticReport(v *visit, p panel, n, lab int, performer string, specimen handle, results []handle) {
	h := b.handle('R', v.n*8+n)
	b.resource("DiagnosticReport", h)
	b.meta(profiles.LabReport)
	if scope := eqaLevel[lab]; scope != "" && v.at.After(b.g.now.AddDate(0, -6, 0)) {
		b.mark(scope, p)
	}
	b.arr("identifier")
	b.identifier("official", "https://hutong.example/sid/"+b.g.cast[lab].USCC+"/report", v.at.Format("20060102")+digits(uint64(h), 6), "")
	b.endArr()
	b.str("status", "final")
	b.concepts("category", "http://terminology.hl7.org/CodeSystem/v2-0074", "LAB", "")
	b.labCode(lab, p.code, p.loinc, p.zh)
	b.subject("subject")
	b.ref("encounter", b.handle('E', v.n).urn(), "")
	b.instant("effectiveDateTime", v.collected())
	b.instant("issued", v.collected().Add(3*time.Hour+time.Duration(uint64(h)%7200)*time.Second))
	b.arr("performer")
	b.ref("", "Organization/"+performer, "")
	b.endArr()
	b.arr("specimen")
	b.ref("", specimen.urn(), "")
	b.endArr()
	b.arr("result")
	for _, o := range results {
		b.ref("", o.urn(), "")
	}
	b.endArr()
	b.close()
}

// mark is the recognition mark as the laboratory asserts it (全国HR, 本省HR).
func (b *bundler) mark(scope string, p panel) {
	system := profiles.HRScopeTag
	if scope != "CN" {
		system = profiles.Area
	}
	b.list("extension")
	b.arr("extension")
	b.obj("")
	b.str("url", "scope")
	b.coding("valueCoding", system, scope, "")
	b.end()
	if p.code != "" {
		b.obj("")
		b.str("url", "item")
		b.coding("valueCoding", profiles.HRItem, p.code, p.zh)
		b.end()
	}
	b.obj("")
	b.str("url", "status")
	b.str("valueCode", "asserted")
	b.end()
	b.endArr()
	b.str("url", profiles.HRMark)
	b.endList()
}
