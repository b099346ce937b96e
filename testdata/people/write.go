package people

import (
	"fmt"
	"strings"

	"hutong/profiles/lunar"
)

// write draws what hospitals wrote of a person, one visit after the other.
func (g *generator) write(p *person) {
	visits := []int{1, 1, 1, 1, 2, 2, 2, 3, 3, 4}[g.IntN(10)]
	if g.often(300) {
		visits += 2
	}
	var since []string
	if p.order > 0 {
		since = append(since, "twin")
	}
	if p.mother != nil && Today.Year()-p.born.Year() <= 5 && g.often(1500) {
		g.emit(g.newborn(p))
	}
	for range visits {
		since = g.live(p, since)
		r := g.plain(p)
		r.Traits = append(r.Traits, since...)
		g.damage(p, &r)
		g.emit(r)
	}
}

func (g *generator) emit(r Record) {
	if g.stopped {
		return
	}
	r.Number = g.records
	r.MRN = fmt.Sprintf("%d%08d", r.Hospital, r.Number)
	g.records++
	g.stopped = !g.yield(r)
}

// live is what happens between two visits.
func (g *generator) live(p *person, since []string) []string {
	switch {
	case g.often(450):
		p.home = g.home()
		since = append(since, "moved")
	case g.often(600) && p.mother == nil:
		p.phone = g.mobile()
		since = append(since, "number changed")
	case g.often(40) && p.mother == nil && p.latin == "": // another household, another number
		p.home, p.phone = g.home(), g.mobile()
		since = append(since, "remarried")
	case g.often(20) && p.mother != nil:
		p.family = g.tables.family(g.Rand)
		since = append(since, "renamed")
	}
	return since
}

// plain is a record without any fault.
func (g *generator) plain(p *person) Record {
	h := p.home
	r := Record{
		Person: p.id, Hospital: g.IntN(8), Gender: "male", Birth: p.born.Format("2006-01-02"), Phone: p.phone, Order: p.order,
		Province: h.province, City: h.city, District: h.district, Postal: h.postal, Name: p.family + p.given,
	}
	if p.female {
		r.Gender = "female"
	}
	if p.latin != "" {
		r.Name = p.latin
	}
	if p.phone == "" {
		r.Phone = h.phone
	}
	if !g.often(4000) {
		r.Citizen = p.citizen
	}
	if g.often(3500) {
		r.Card = p.card
	}
	if g.often(8500) {
		r.Permit = p.permit
	}
	r.Line = g.line(h)
	return r
}

// line writes the address as one of several clerks would.
func (g *generator) line(h *home) string {
	switch g.IntN(5) {
	case 0:
		return fmt.Sprintf("%s%d号%s%d栋%d单元%d室", h.road, h.number, h.estate, h.building, h.unit, h.room)
	case 1:
		return fmt.Sprintf("%s%d号%s%d-%d-%d", h.road, h.number, h.estate, h.building, h.unit, h.room)
	case 2:
		return fmt.Sprintf("%s%s%d栋%d-%d", h.district, h.estate, h.building, h.unit, h.room)
	case 3:
		return fmt.Sprintf("%s%s%s%d号%s%d幢%d单元%d", h.province, h.city, h.road, h.number, h.estate, h.building, h.unit, h.room)
	}
	return fmt.Sprintf("%s%d号", h.road, h.number)
}

// newborn is the record of a birth: no name yet, the mother's telephone.
func (g *generator) newborn(p *person) Record {
	r := g.plain(p)
	r.Citizen, r.Card, r.Temp, r.Phone = "", "", true, p.mother.phone
	r.Name = p.mother.family + p.mother.given + "之子"
	if p.female {
		r.Name = p.mother.family + p.mother.given + "之女"
	}
	r.Newborn = fmt.Sprintf("m%d-%s-%d", p.mother.id, p.born.Format("20060102"), max(1, p.order))
	r.Traits = []string{"newborn"}
	return r
}

// damage is what people and systems do to a record. Rates are our own, in
// 10,000; each field is hit for itself.
func (g *generator) damage(p *person, r *Record) {
	hit := func(of10000 int, trait string, do func()) {
		if g.often(of10000) {
			do()
			r.Traits = append(r.Traits, trait)
		}
	}
	if p.latin == "" {
		g.damageName(p, r, hit)
	} else {
		hit(200, "typo", func() { r.Name = g.slip(r.Name, "abcdefghijklmnopqrstuvwxyz") })
	}
	g.damageBirth(p, r, hit)
	hit(20, "wrong sex", func() { r.Gender = map[string]string{"male": "female", "female": "male"}[r.Gender] })
	hit(100, "no sex", func() { r.Gender = "" })
	if r.Citizen != "" {
		hit(80, "typo in id", func() { r.Citizen = g.keys(r.Citizen) })
	}
	if y := p.born.Year(); len(r.Citizen) == 18 && y >= 1900 && y < 1985 && r.Citizen == p.citizen {
		hit(150, "15 digits", func() { r.Citizen = r.Citizen[:6] + r.Citizen[8:17] })
	}
	if r.Card != "" {
		hit(50, "typo in card", func() { r.Card = g.keys(r.Card) })
	}
	hit(70, "typo in phone", func() { r.Phone = g.keys(r.Phone) })
	hit(600, "no phone", func() { r.Phone = "" })
	hit(800, "another's phone", func() { r.Phone = p.home.phone })
	hit(200, "+86", func() { r.Phone = "+86 " + r.Phone })
	hit(700, "no address", func() { r.Province, r.City, r.District, r.Postal, r.Line = "", "", "", "", "" })
	hit(3000, "no postcode", func() { r.Postal = "" })
	if p.order > 0 {
		hit(5000, "no birth order", func() { r.Order = 0 })
	}
}

func (g *generator) damageName(p *person, r *Record, hit func(int, string, func())) {
	t := g.tables
	hit(120, "homophone", func() { r.Name = g.exchange(p.family, p.given, t.alike) })
	hit(30, "lookalike", func() { r.Name = g.exchange(p.family, p.given, t.seem) })
	hit(20, "characters exchanged", func() {
		if c := []rune(p.given); len(c) == 2 {
			r.Name = p.family + string(c[1]) + string(c[0])
		}
	})
	hit(20, "name order", func() { r.Name = p.given + p.family })
	hit(20, "title", func() { r.Name += "同志" })
	old, latin := 60, 40
	if p.abroad {
		old, latin = 5000, 2500
	}
	hit(old, "traditional", func() { r.Name = t.traditional(r.Name) })
	hit(latin, "pinyin", func() {
		f, n := t.pinyin(p.family, p.given)
		r.Name = strings.ToUpper(f) + " " + strings.ToUpper(n)
	})
	if s, ok := abroad(p.family, p.given); ok && p.abroad {
		hit(3000, "cantonese", func() { r.Name = s })
	}
}

func (g *generator) damageBirth(p *person, r *Record, hit func(int, string, func())) {
	hit(60, "typo in birth date", func() { r.Birth = g.digit(r.Birth) })
	hit(15, "month and day exchanged", func() {
		if p.born.Day() <= 12 {
			r.Birth = fmt.Sprintf("%04d-%02d-%02d", p.born.Year(), p.born.Day(), p.born.Month())
		}
	})
	hit(60, "1 January", func() { r.Birth = p.born.Format("2006") + "-01-01" })
	hit(30, "year only", func() { r.Birth = p.born.Format("2006") })
	if p.born.Year() < 1975 {
		hit(150, "lunar date", func() {
			if d, ok := lunar.From(p.born.Year(), int(p.born.Month()), p.born.Day()); ok && !d.Leap {
				r.Birth = fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
			}
		})
	}
	hit(20, "no birth date", func() { r.Birth = "" })
}

// exchange replaces one character of the given name, seldom of the family name,
// by one of its row in the table.
func (g *generator) exchange(family, given string, table map[rune][]rune) string {
	name := []rune(family + given)
	i := len([]rune(family)) + g.IntN(len([]rune(given)))
	if g.often(1000) {
		i = 0
	}
	if row := table[name[i]]; len(row) > 0 {
		name[i] = pick(g.Rand, row)
	}
	return string(name)
}

// keys makes a typist's fault in a number: a neighbouring key, two exchanged, or
// one left out.
func (g *generator) keys(s string) string {
	if len(s) < 4 {
		return s
	}
	i := 1 + g.IntN(len(s)-3)
	switch b := []byte(s); g.IntN(5) {
	case 0, 1:
		b[i], b[i+1] = b[i+1], b[i]
		return string(b)
	case 2:
		return s[:i] + s[i+1:]
	default:
		b[i] = beside(b[i], g.IntN(2))
		return string(b)
	}
}

// beside is the key to the left or right of a digit.
func beside(c byte, right int) byte {
	const row = "1234567890"
	at := strings.IndexByte(row, c)
	if at < 0 {
		return '1'
	}
	if at = at - 1 + 2*right; at < 0 || at == len(row) {
		at = 4
	}
	return row[at]
}

// digit mistypes one digit of a date: of day, month or the year's end.
func (g *generator) digit(date string) string {
	if len(date) < 10 {
		return date
	}
	b := []byte(date)
	switch i := []int{2, 3, 6, 8, 9}[g.IntN(5)]; i {
	case 6:
		b[5], b[6] = '0', "123456789"[g.IntN(9)]
	case 8:
		b[8] = "012"[g.IntN(3)]
	default:
		b[i] = beside(b[i], g.IntN(2))
	}
	return string(b)
}

func (g *generator) slip(s, letters string) string {
	i := g.IntN(len(s))
	if s[i] >= 0x80 {
		return s
	}
	switch g.IntN(3) {
	case 0:
		return s[:i] + s[i+1:]
	case 1:
		return s[:i] + string(letters[g.IntN(len(letters))]) + s[i:]
	}
	return s[:i] + string(letters[g.IntN(len(letters))]) + s[i+1:]
}
