package region

import (
	"math"
	"time"

	"hutong/profiles"
)

// assay is how one laboratory item is distributed in healthy adults, and its
// reference range, with other values for women where they differ.
type assay struct {
	mean, sd, low, high float64
	dec                 int
	women               *[4]float64 // mean, sd, low, high
	ordinal             bool        // 阴性/阳性: positive if the value exceeds high
}

func women(mean, sd, low, high float64) *[4]float64 { return &[4]float64{mean, sd, low, high} }

// assays by hr-item. Ranges follow WS/T 404 and WS/T 405 where these give one.
var assays = map[string]assay{
	"K": {4.2, 0.3, 3.5, 5.3, 2, nil, false}, "Na": {140.5, 1.9, 137, 147, 1, nil, false}, "Cl": {103.2, 2, 99, 110, 1, nil, false},
	"Ca": {2.33, 0.08, 2.11, 2.52, 2, nil, false}, "P": {1.15, 0.14, 0.85, 1.51, 2, nil, false},
	"TP": {73, 4, 65, 85, 1, nil, false}, "Alb": {45.5, 2.6, 40, 55, 1, nil, false},
	"TC": {4.6, 0.7, 0, 5.2, 2, nil, false}, "TG": {1.2, 0.4, 0, 1.7, 2, nil, false},
	"HDL-C": {1.35, 0.24, 1.04, 2.2, 2, women(1.48, 0.25, 1.04, 2.4), false}, "LDL-C": {2.6, 0.55, 0, 3.4, 2, nil, false},
	"Cre": {76, 9, 57, 97, 1, women(57, 7, 41, 73), false}, "Urea": {5.4, 1.1, 3.1, 8, 1, women(4.9, 1, 2.6, 7.5), false},
	"UA":  {335, 52, 208, 428, 0, women(258, 44, 155, 357), false},
	"Glu": {5.1, 0.42, 3.9, 6.1, 2, nil, false}, "HbA1c": {5.4, 0.28, 4, 6, 1, nil, false},
	"ALT": {24, 9, 9, 50, 0, women(18, 7, 7, 40), false}, "AST": {23, 5, 15, 40, 0, women(20, 5, 13, 35), false},
	"ALP": {78, 17, 45, 125, 0, women(68, 15, 35, 100), false}, "GGT": {28, 11, 10, 60, 0, women(19, 8, 7, 45), false},
	"LDH": {182, 24, 120, 250, 0, nil, false}, "CK": {110, 40, 50, 310, 0, women(80, 28, 40, 200), false}, "Amy": {68, 18, 35, 135, 0, nil, false},
	"TSH": {2.1, 0.75, 0.27, 4.2, 3, nil, false}, "FT3": {4.8, 0.5, 3.1, 6.8, 2, nil, false}, "FT4": {16.2, 1.9, 12, 22, 2, nil, false},
	"HBsAg": {0.2, 0.1, 0, 1, 0, nil, true}, "anti-HCV": {0.2, 0.1, 0, 1, 0, nil, true}, "HBsAb": {86, 40, 10, 1000, 1, nil, false},
	"AFP": {3, 1.1, 0, 7, 2, nil, false}, "CEA": {1.8, 0.7, 0, 5, 2, nil, false},
	"WBC": {6.2, 1.2, 3.5, 9.5, 2, nil, false}, "RBC": {4.95, 0.32, 4.3, 5.8, 2, women(4.4, 0.29, 3.8, 5.1), false},
	"Hb": {151, 8.5, 130, 175, 0, women(132, 7.5, 115, 150), false}, "PLT": {222, 42, 125, 350, 0, nil, false},
	"HCT": {44.6, 2.2, 40, 50, 1, women(39.8, 2.1, 35, 45), false},
}

// panel is what one order asks for: a DiagnosticReport.
type panel struct {
	code, loinc, zh string
	specimen        string // HL7 table 0487
	items           []string
}

var panels = map[string]panel{
	"CBC":     {"CBC", "58410-2", "血常规", "BLD", []string{"WBC", "RBC", "Hb", "HCT", "PLT"}},
	"LYTES":   {"LYTES", "24326-1", "电解质", "SER", []string{"K", "Na", "Cl"}},
	"LIPID":   {"LIPID", "24331-1", "血脂", "SER", []string{"TC", "TG", "HDL-C", "LDL-C"}},
	"LFT":     {"LFT", "24325-3", "肝功能", "SER", []string{"TP", "Alb", "ALT", "AST", "ALP", "GGT"}},
	"RFT":     {"RFT", "24362-6", "肾功能", "SER", []string{"Cre", "Urea", "UA"}},
	"GLU":     {"", "14749-6", "血糖", "SER", []string{"Glu"}},
	"HBA1C":   {"", "4548-4", "糖化血红蛋白", "BLD", []string{"HbA1c"}},
	"CK":      {"", "2157-6", "心肌酶", "SER", []string{"CK", "LDH"}},
	"AMY":     {"", "1798-8", "淀粉酶", "SER", []string{"Amy"}},
	"THYROID": {"", "3016-3", "甲状腺功能", "SER", []string{"TSH", "FT3", "FT4"}},
	"HEPB":    {"", "5196-1", "乙肝两项", "SER", []string{"HBsAg", "HBsAb"}},
}

// result is one measured value with what its laboratory says of it.
type result struct {
	item           profiles.Item
	value          float64
	low, high      float64
	dec            int
	positive       bool // of an ordinal assay
	ordinal        bool
	interpretation string // L, N, H; POS, NEG
}

// measure gives the person's value of an item at a time: their own set point,
// a slow drift, the diseases of the day, and the noise of one measurement. It
// is a function of its arguments, so values of one person agree across
// hospitals.
func (g *generator) measure(p *person, item string, at time.Time, reason *disease) (result, bool) {
	a, ok := assays[item]
	if !ok {
		return result{}, false
	}
	it, ok := g.catalogue.Item(item)
	if !ok {
		return result{}, false
	}
	mean, sd, low, high := a.mean, a.sd, a.low, a.high
	if p.female && a.women != nil {
		mean, sd, low, high = a.women[0], a.women[1], a.women[2], a.women[3]
	}
	key := hash(g.o.Seed, 'v', uint64(p.index), hashString(item))
	z := 0.75*newRNG(key).normal() + g.drift(key, at) + g.shift(p, item, at, reason) +
		0.25*newRNG(key, uint64(at.Unix())).normal()
	v := math.Max(mean+z*sd, mean*0.08)
	return a.judge(it, v, low, high), true
}

// drift is a slow wave of about two years, its phase the person's own.
func (g *generator) drift(key uint64, at time.Time) float64 {
	days := at.Sub(epoch).Hours() / 24
	return 0.35 * math.Sin(2*math.Pi*(days/(500+float64(key%400))+float64(key>>40)/(1<<24)))
}

// shift sums what chronic diseases since their onset, and the reason of the
// visit, do to an item. Treatment halves a chronic shift within two years.
func (g *generator) shift(p *person, item string, at time.Time, reason *disease) float64 {
	s := 0.0
	for i, d := range p.chronic {
		if years := at.Sub(p.onset[i]).Hours() / 8766; years > 0 {
			s += diseases[d].shift[item] * (0.5 + 0.5*math.Exp(-years))
		}
	}
	if reason != nil && !reason.chronic {
		s += reason.shift[item]
	}
	if p.role == hero && item == "K" { // a thiazide: potassium creeps down
		s -= 3.1 * math.Exp(-g.now.Sub(at).Hours()/24/200)
	}
	return s
}

func (a *assay) judge(it profiles.Item, v, low, high float64) result {
	res := result{item: it, low: low, high: high, dec: a.dec, ordinal: a.ordinal, interpretation: "N"}
	scale := math.Pow(10, float64(a.dec))
	res.value = math.Round(v*scale) / scale
	switch {
	case a.ordinal:
		res.positive, res.interpretation = v > high, "NEG"
		if res.positive {
			res.interpretation = "POS"
		}
	case res.value < low:
		res.interpretation = "L"
	case res.value > high:
		res.interpretation = "H"
	}
	return res
}

var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// hashString is FNV-1a.
func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

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
