package region

import (
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

func dayOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, china)
}

// record is a person as one organisation knows them: mostly the truth, here
// and there not.
type record struct {
	*person
	org         int
	mrn         string
	name        name
	text        string // HumanName.text
	latin       string // a second, romanised name; "" if none
	latinOnly   bool
	born        time.Time
	citizen     string
	citizen15   string
	phone       string
	area        string
	street      string
	cards       bool // health card and social card are on file
	differences []string
}

func (rec *record) differ(how string) { rec.differences = append(rec.differences, how) }

// record gives the person as their nth organisation has them on file. The
// first one registered them properly; later ones err.
func (g *generator) record(p *person, nth int) *record {
	org := p.orgs[nth]
	r := newRNG(g.o.Seed, 'r', uint64(p.index), uint64(org))
	rec := &record{
		person: p, org: org, mrn: mrn(org, p.index), name: p.name, text: p.name.text(), born: p.born,
		citizen: p.citizen, phone: p.phone, area: p.area, street: p.street, cards: r.p(0.6),
	}
	if org == muni && p.name.dotted == "" && p.role != newborn {
		rec.latin = p.name.latin()
	}
	switch p.role {
	case hero:
		g.heroRecord(rec)
	case blurred:
		g.blur(r, rec, nth)
	case lookalike:
		rec.citizen, rec.cards = "", false
		rec.differ("no-id")
	case firstTwin, secondTwin:
		if nth > 0 {
			rec.citizen, rec.cards = "", false
			rec.differ("no-id")
		}
	case ordinary:
		if nth > 0 {
			g.err(r, rec)
		}
	}
	return rec
}

// heroRecord keeps the resident's cards everywhere but lets the county know
// her by an old phone and the romanised name.
func (g *generator) heroRecord(rec *record) {
	rec.cards = true
	if rec.org == county {
		rec.phone = g.phone(hash(g.o.Seed, 'o', 0))
		rec.differ("phone")
		rec.differ(traditionalName(g, nil, rec))
	}
}

// blur makes a record that is probably, but not certainly, the person known
// elsewhere: no id, another phone, and a slip in name or birth date.
func (g *generator) blur(r *rng, rec *record, nth int) {
	rec.citizen, rec.cards = "", false
	rec.differ("no-id")
	if nth == 0 {
		return
	}
	rec.street = g.address(r, rec.org)
	rec.area = g.cast[rec.org].Area
	rec.differ("moved")
	if rec.female {
		rec.phone = g.phone(r.next())
		rec.differ("phone")
		return
	}
	rec.born = rec.born.AddDate(0, 0, 1)
	rec.differ("birth-date")
}

// err applies what goes wrong at a second or third registration. The rates are
// ours, in the range that studies of duplicate records report.
func (g *generator) err(r *rng, rec *record) {
	for _, e := range []struct {
		chance float64
		apply  func(*generator, *rng, *record) string
	}{
		{0.25, dropID}, {0.04, slipID}, {0.08, oldID}, {0.30, changePhone}, {0.20, move},
		{0.04, pinyinName}, {0.05, homophoneName}, {0.03, glyphName}, {0.05, traditionalName}, {0.02, slipBirth},
	} {
		if r.p(e.chance) {
			if how := e.apply(g, r, rec); how != "" {
				rec.differ(how)
			}
		}
	}
}

func dropID(_ *generator, _ *rng, rec *record) string {
	rec.citizen = ""
	return "no-id"
}

func slipID(_ *generator, r *rng, rec *record) string {
	if rec.citizen == "" {
		return ""
	}
	rec.citizen = keySlip(rec.citizen, r.between(14, 16))
	return "id-typo"
}

// oldID: registered before the 18-character ids, the old number kept.
func oldID(_ *generator, _ *rng, rec *record) string {
	if rec.citizen != rec.person.citizen || rec.born.Year() >= 1999 {
		return ""
	}
	rec.citizen, rec.citizen15 = "", old15(rec.citizen)
	return "id-15"
}

func changePhone(g *generator, r *rng, rec *record) string {
	rec.phone = g.phone(r.next())
	return "phone"
}

func move(g *generator, r *rng, rec *record) string {
	rec.street, rec.area = g.address(r, rec.org), g.cast[rec.org].Area
	return "moved"
}

func pinyinName(_ *generator, _ *rng, rec *record) string {
	if rec.name.dotted != "" {
		return ""
	}
	rec.text, rec.latin, rec.latinOnly = strings.ToUpper(rec.name.latin()), "", true
	return "pinyin"
}

func homophoneName(g *generator, _ *rng, rec *record) string {
	return misspell(rec, g.names.homophone, "homophone")
}

func glyphName(g *generator, _ *rng, rec *record) string {
	return misspell(rec, g.names.glyph, "glyph")
}

func misspell(rec *record, table map[rune]rune, how string) string {
	given, ok := swap(rec.name.given, table)
	if !ok || rec.latinOnly {
		return ""
	}
	rec.name.given = given
	rec.text = rec.name.text()
	return how
}

func traditionalName(g *generator, _ *rng, rec *record) string {
	t := swapAll(rec.text, g.names.traditionalise)
	if t == rec.text {
		return ""
	}
	rec.name.family = swapAll(rec.name.family, g.names.traditionalise)
	rec.name.given = swapAll(rec.name.given, g.names.traditionalise)
	rec.text = t
	return "traditional"
}

// slipBirth swaps day and month where that is a date, else is a day off.
func slipBirth(_ *generator, _ *rng, rec *record) string {
	b := rec.born
	if b.Day() <= 12 && b.Day() != int(b.Month()) {
		rec.born = time.Date(b.Year(), time.Month(b.Day()), int(b.Month()), 0, 0, 0, 0, china)
	} else {
		rec.born = b.AddDate(0, 0, 1)
	}
	return "birth-date"
}
