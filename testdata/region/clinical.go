package region

import (
	"math"
	"slices"
	"time"
)

// disease is a diagnosis with what it brings: drugs, laboratory panels, and
// shifts of laboratory values in standard deviations.
type disease struct {
	code, zh string // ICD-10 (GB/T 14396)
	chronic  bool
	from, to int                   // ages that have it
	rate     func(age int) float64 // chronic: prevalence; acute: weight among visits
	drugs    []drug
	panels   []string
	shift    map[string]float64
	fever    bool
}

// drug is a prescription: ATC code, name, the dose as written.
type drug struct{ atc, zh, dose string }

// rising gives a prevalence that grows from age a, to at most top at age b.
func rising(a, b int, top float64) func(int) float64 {
	return func(age int) float64 {
		x := float64(age-a) / float64(b-a)
		return top * math.Max(0, math.Min(1, x))
	}
}

func weight(w float64) func(int) float64 { return func(int) float64 { return w } }

// diseases: the chronic ones first. Prevalences are rounded from what surveys
// of Chinese adults report; they serve plausibility, not epidemiology.
var diseases = []disease{
	{code: "I10", zh: "原发性高血压", chronic: true, from: 30, to: 120, rate: rising(30, 75, 0.55),
		drugs: []drug{{"C08CA01", "苯磺酸氨氯地平片", "每次5mg，每日1次"}, {"C09CA03", "缬沙坦胶囊", "每次80mg，每日1次"}}, panels: []string{"LYTES", "RFT"}},
	{code: "E11.9", zh: "2型糖尿病", chronic: true, from: 35, to: 120, rate: rising(35, 70, 0.22),
		drugs: []drug{{"A10BA02", "盐酸二甲双胍片", "每次0.5g，每日3次"}}, panels: []string{"GLU", "RFT"}, shift: map[string]float64{"Glu": 5.5, "HbA1c": 7}},
	{code: "E78.5", zh: "高脂血症", chronic: true, from: 30, to: 120, rate: rising(30, 65, 0.30),
		drugs: []drug{{"C10AA05", "阿托伐他汀钙片", "每次20mg，每晚1次"}}, panels: []string{"LIPID", "LFT"}, shift: map[string]float64{"TC": 1.8, "LDL-C": 1.8, "TG": 1.6, "HDL-C": -0.8}},
	{code: "I25.1", zh: "冠状动脉粥样硬化性心脏病", chronic: true, from: 45, to: 120, rate: rising(45, 80, 0.16),
		drugs: []drug{{"B01AC06", "阿司匹林肠溶片", "每次100mg，每日1次"}}, panels: []string{"LIPID", "CK"}},
	{code: "N18.3", zh: "慢性肾脏病3期", chronic: true, from: 50, to: 120, rate: rising(50, 85, 0.10),
		panels: []string{"RFT", "LYTES", "CBC"}, shift: map[string]float64{"Cre": 5, "Urea": 3, "K": 1, "UA": 1.2, "Hb": -2, "P": 1}},
	{code: "M10.9", zh: "痛风", chronic: true, from: 30, to: 120, rate: rising(30, 60, 0.05),
		drugs: []drug{{"M04AA01", "别嘌醇片", "每次0.1g，每日2次"}}, panels: []string{"RFT"}, shift: map[string]float64{"UA": 2.6}},
	{code: "K76.0", zh: "脂肪肝", chronic: true, from: 25, to: 120, rate: rising(25, 55, 0.20),
		panels: []string{"LFT", "LIPID"}, shift: map[string]float64{"ALT": 2.4, "AST": 1.5, "GGT": 2}},
	{code: "J44.9", zh: "慢性阻塞性肺疾病", chronic: true, from: 50, to: 120, rate: rising(50, 80, 0.14),
		drugs: []drug{{"R03AC02", "硫酸沙丁胺醇气雾剂", "必要时吸入"}}, panels: []string{"CBC"}},
	{code: "E03.9", zh: "甲状腺功能减退症", chronic: true, from: 25, to: 120, rate: rising(20, 60, 0.03),
		drugs: []drug{{"H03AA01", "左甲状腺素钠片", "每次50μg，每日1次"}}, panels: []string{"THYROID"}, shift: map[string]float64{"TSH": 3, "FT4": -1.6}},
	{code: "B18.1", zh: "慢性乙型病毒性肝炎", chronic: true, from: 25, to: 90, rate: weight(0.04),
		drugs: []drug{{"J05AF10", "恩替卡韦分散片", "每次0.5mg，每日1次"}}, panels: []string{"HEPB", "LFT"}, shift: map[string]float64{"ALT": 1.5, "HBsAg": 9}},
	{code: "J06.9", zh: "急性上呼吸道感染", to: 120, rate: weight(10), fever: true, drugs: []drug{{"N02BE01", "对乙酰氨基酚片", "发热时每次0.5g"}}, panels: []string{"CBC"}, shift: map[string]float64{"WBC": 1.5}},
	{code: "J20.9", zh: "急性支气管炎", to: 120, rate: weight(5), fever: true, drugs: []drug{{"J01CA04", "阿莫西林胶囊", "每次0.5g，每日3次"}}, panels: []string{"CBC"}, shift: map[string]float64{"WBC": 2.4}},
	{code: "J10.1", zh: "流行性感冒伴呼吸道表现", to: 120, rate: weight(2), fever: true, drugs: []drug{{"J05AH02", "磷酸奥司他韦胶囊", "每次75mg，每日2次"}}, panels: []string{"CBC"}, shift: map[string]float64{"WBC": -1}},
	{code: "B08.4", zh: "手足口病", to: 6, rate: weight(5), fever: true, panels: []string{"CBC"}},
	{code: "K29.5", zh: "慢性胃炎", from: 18, to: 120, rate: weight(4), drugs: []drug{{"A02BC01", "奥美拉唑肠溶胶囊", "每次20mg，每日1次"}}},
	{code: "A09.9", zh: "急性胃肠炎", to: 120, rate: weight(3), panels: []string{"CBC", "LYTES"}, shift: map[string]float64{"WBC": 1.6, "K": -0.8}},
	{code: "M54.5", zh: "腰痛", from: 25, to: 120, rate: weight(4), drugs: []drug{{"M01AE01", "布洛芬缓释胶囊", "每次0.3g，每日2次"}}},
	{code: "N39.0", zh: "泌尿道感染", from: 18, to: 120, rate: weight(2), panels: []string{"CBC", "RFT"}, shift: map[string]float64{"WBC": 1.8}},
	{code: "L30.9", zh: "皮炎", to: 120, rate: weight(2)},
	{code: "S93.4", zh: "踝关节扭伤", from: 8, to: 80, rate: weight(1.5)},
	{code: "D50.9", zh: "缺铁性贫血", from: 15, to: 90, rate: weight(1), drugs: []drug{{"B03AA02", "富马酸亚铁片", "每次0.2g，每日3次"}}, panels: []string{"CBC"}, shift: map[string]float64{"Hb": -4, "RBC": -1.5, "HCT": -3.5}},
	{code: "Z00.0", zh: "健康体检", from: 40, to: 120, rate: weight(2), panels: []string{"CBC", "GLU", "LFT", "RFT", "LIPID"}},
}

// admissions are the diagnoses of inpatient stays.
var admissions = []disease{
	{code: "J18.9", zh: "肺炎", to: 120, fever: true, drugs: []drug{{"J01DD04", "注射用头孢曲松钠", "2.0g静脉滴注，每日1次"}}, panels: []string{"CBC", "LYTES", "LFT", "RFT"}, shift: map[string]float64{"WBC": 4, "Alb": -2}},
	{code: "K35.8", zh: "急性阑尾炎", from: 6, to: 70, drugs: []drug{{"J01DC02", "注射用头孢呋辛钠", "1.5g静脉滴注，每日2次"}}, panels: []string{"CBC", "LYTES"}, shift: map[string]float64{"WBC": 5}},
	{code: "I63.9", zh: "脑梗死", from: 55, to: 120, drugs: []drug{{"B01AC04", "硫酸氢氯吡格雷片", "每次75mg，每日1次"}}, panels: []string{"CBC", "LYTES", "LIPID", "GLU"}},
	{code: "S72.0", zh: "股骨颈骨折", from: 60, to: 120, panels: []string{"CBC", "LYTES", "LFT"}, shift: map[string]float64{"Hb": -2}},
	{code: "K80.2", zh: "胆囊结石", from: 30, to: 90, panels: []string{"CBC", "LFT", "AMY"}, shift: map[string]float64{"ALP": 2, "GGT": 3}},
}

// allergens: ATC for a drug, text only for the rest.
var allergens = []struct{ atc, zh, category, reaction string }{
	{"J01CA04", "青霉素类", "medication", "皮疹"}, {"J01DC02", "头孢菌素类", "medication", "荨麻疹"}, {"M01AE01", "布洛芬", "medication", "哮喘发作"},
	{"", "海鲜", "food", "荨麻疹"}, {"", "花生", "food", "口唇肿胀"}, {"", "花粉", "environment", "鼻炎"},
}

// illnesses draws a person's chronic diseases and when each began.
func (g *generator) illnesses(p *person) {
	r := newRNG(g.o.Seed, 'd', uint64(p.index))
	age := g.age(p)
	for i := range diseases {
		d := &diseases[i]
		if !d.chronic || p.role == newborn {
			break
		}
		has := age >= d.from && age <= d.to && r.p(d.rate(age))
		if p.role == hero {
			has = d.code == "I10" || d.code == "E11.9" || d.code == "E78.5"
		}
		if has {
			p.chronic = append(p.chronic, i)
			p.onset = append(p.onset, dayOf(g.now.AddDate(-r.between(2, 9), -r.n(12), -r.n(28))))
		}
	}
}

// acute draws the reason of an unplanned visit.
func acute(r *rng, from []disease, age int) *disease {
	var weights [32]int
	n := 0
	for i := range from {
		if d := &from[i]; !d.chronic && age >= d.from && age <= d.to {
			weights[i] = 10
			if d.rate != nil {
				weights[i] = int(d.rate(age) * 10)
			}
			n++
		}
	}
	if n == 0 {
		return &from[0]
	}
	return &from[r.weighted(weights[:len(from)])]
}

// visit is one encounter of a person at one organisation.
type visit struct {
	n       int // number within person
	org     int
	at      time.Time
	class   string // AMB, EMER, IMP
	days    int    // length of an inpatient stay
	reason  *disease
	panels  []string
	drugs   []drug
	active  bool // still in progress
	special bool // the hero's tests of three days ago
}

// visits makes a person's encounters of the last three to five years across
// all organisations, oldest first.
func (g *generator) visits(p *person) []visit {
	r := newRNG(g.o.Seed, 'e', uint64(p.index))
	start := g.now.AddDate(-r.between(3, 5), 0, 0)
	if p.born.After(start) {
		start = p.born
	}
	var out []visit
	if p.role == newborn {
		return []visit{{org: p.orgs[0], at: p.born.Add(9 * time.Hour), class: "IMP", days: 4, reason: &birth}}
	}
	out = g.chronicVisits(r, p, start, out)
	out = g.acuteVisits(r, p, start, out)
	for _, o := range p.orgs { // whoever has a record has seen the person
		if !slices.ContainsFunc(out, func(v visit) bool { return v.org == o }) {
			out = append(out, g.unplanned(r, p, o, between(r, start, g.now)))
		}
	}
	if p.role == hero {
		out = g.heroVisits(p, out)
	}
	slices.SortStableFunc(out, func(a, b visit) int { return a.at.Compare(b.at) })
	for i := range out {
		out[i].n = i
	}
	return out
}

var birth = disease{code: "Z38.0", zh: "单胎活产婴儿，在医院内出生"}

// chronicVisits are the regular ones: every five months or so, laboratory work
// at each second.
func (g *generator) chronicVisits(r *rng, p *person, start time.Time, out []visit) []visit {
	if len(p.chronic) == 0 {
		return out
	}
	for t := start.AddDate(0, 0, r.n(150)); t.Before(g.now.AddDate(0, 0, -10)); t = t.AddDate(0, 0, r.between(100, 210)) {
		i := r.n(len(p.chronic))
		if p.onset[i].After(t) {
			continue
		}
		d := &diseases[p.chronic[i]]
		v := visit{org: pick(r, p.orgs), at: clock(r, t), class: "AMB", reason: d, drugs: d.drugs}
		if r.p(0.55) {
			v.panels = append(v.panels, d.panels...)
			if d.code == "E11.9" {
				v.panels = append(v.panels, "HBA1C")
			}
		}
		out = append(out, v)
	}
	return out
}

// acuteVisits are the unplanned ones: more for the young and the old.
func (g *generator) acuteVisits(r *rng, p *person, start time.Time, out []visit) []visit {
	age := g.age(p)
	gap := 420
	switch {
	case age < 7:
		gap = 170
	case age >= 65:
		gap = 260
	}
	for t := start.AddDate(0, 0, r.n(gap)); t.Before(g.now.AddDate(0, 0, -5)); t = t.AddDate(0, 0, r.between(gap/2, gap*3/2)) {
		out = append(out, g.unplanned(r, p, pick(r, p.orgs), t))
	}
	return out
}

func (g *generator) unplanned(r *rng, p *person, org int, t time.Time) visit {
	age := max(0, g.ageAt(p, t))
	d := acute(r, diseases, age)
	v := visit{org: org, at: clock(r, t), class: "AMB", reason: d, drugs: d.drugs}
	if stay := 0.03 + float64(age)/900; org != clinic && r.p(stay) {
		d = acute(r, admissions, age)
		return visit{org: org, at: clock(r, t), class: "IMP", days: r.between(4, 13), reason: d, drugs: d.drugs, panels: d.panels}
	}
	if org != clinic && d.fever && r.p(0.25) {
		v.class = "EMER"
	}
	if r.p(0.6) {
		v.panels = d.panels
	}
	return v
}

// heroVisits gives the resident her quarterly potassium at the municipal
// hospital, the tests of three days ago, and the visit that is going on now.
func (g *generator) heroVisits(p *person, out []visit) []visit {
	hypertension := &diseases[0]
	for m := 36; m >= 3; m -= 3 {
		at := dayOf(g.now.AddDate(0, -m, -4)).Add(9*time.Hour + 20*time.Minute)
		out = append(out, visit{org: muni, at: at, class: "AMB", reason: hypertension, panels: []string{"LYTES", "RFT", "GLU", "HBA1C"}, drugs: []drug{{"C03AA03", "氢氯噻嗪片", "每次25mg，每日1次"}}})
	}
	return append(out,
		visit{org: muni, at: g.now.AddDate(0, 0, -3).Add(-40 * time.Minute), class: "AMB", reason: hypertension, panels: []string{"LYTES", "CBC", "RFT"}, special: true},
		visit{org: clinic, at: g.now.Add(-time.Hour), class: "AMB", reason: hypertension, active: true})
}

// clock puts a day's visit into opening hours.
func clock(r *rng, t time.Time) time.Time {
	return dayOf(t).Add(time.Duration(r.between(8*60, 16*60)) * time.Minute)
}

func between(r *rng, a, b time.Time) time.Time {
	days := int(b.Sub(a).Hours()/24) - 1
	return a.AddDate(0, 0, r.n(max(1, days)))
}
