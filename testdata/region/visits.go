package region

import (
	"slices"
	"time"
)

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
		out = append(out, visit{org: muni, at: at, class: "AMB", reason: hypertension, panels: []string{"LYTES", "RFT", "GLU", "HBA1C"}, drugs: []drug{{"C03DA01", "螺内酯片", "每次20mg，每日1次"}}})
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
