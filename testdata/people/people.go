// Package people draws people of a Chinese region as several hospitals would
// have registered them, and says which records are one person: ground for
// measuring the master patient index. The same seed gives the same people.
// Nobody in it exists.
package people

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Record is one person as one hospital wrote them down.
type Record struct {
	Person   int    // who it is: the truth
	Number   int    // of the record, from 0
	Hospital int    // who wrote it, from 0
	MRN      string // the hospital's own number
	Name     string // as written: han, traditional, or Latin letters
	Temp     bool   // of a name not yet given
	Gender   string // FHIR code; "" is not said
	Birth    string // FHIR date of any precision; "" is not said
	Citizen  string // 居民身份证号 as typed; "" is not said
	Permit   string // passport or travel permit
	Card     string // 社会保障卡
	Newborn  string // temporary number of a newborn
	Order    int    // of a multiple birth; 0 is not said
	Phone    string
	Province, City, District, Postal,
	Line string
	Traits []string // what is hard about it: "typo", "moved", "twin", ...
}

// person is someone as they are.
type person struct {
	id              int
	family, given   string
	latin           string // of a foreigner
	female          bool
	born            time.Time
	citizen, permit string
	card            string
	phone           string
	home            *home
	order           int  // among twins
	abroad          bool // from Hong Kong, Macao or Taiwan
	mother          *person
}

// home is what a family shares.
type home struct {
	province, city, district, postal string
	road, estate                     string
	number, building, unit, room     int
	phone                            string
}

// generator draws in a fixed order from one seed.
type generator struct {
	*rand.Rand
	tables  *tables
	yield   func(Record) bool
	records int
	people  int
	stopped bool
}

// Today is the day on which the records end.
var Today = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// Generate draws n people, family by family, and yields their records until it
// answers false.
func Generate(seed uint64, n int, yield func(Record) bool) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x6875746f6e67)), tables: newTables(), yield: yield}
	for g.people < n && !g.stopped {
		for _, p := range g.household() {
			if p.id < n {
				g.write(p)
			}
		}
	}
}

// All is Generate into a slice.
func All(seed uint64, n int) []Record {
	var out []Record
	Generate(seed, n, func(r Record) bool { out = append(out, r); return true })
	return out
}

// often says yes in so many of 10,000 draws.
func (g *generator) often(of10000 int) bool { return g.IntN(10_000) < of10000 }

// household draws one to six people who live together.
func (g *generator) household() []*person {
	h := g.home()
	if g.often(150) {
		return []*person{g.visitor(h)}
	}
	age := 22 + g.IntN(65)
	father := g.adult(h, age+g.IntN(5), false)
	if g.often(2500) {
		return []*person{father}
	}
	mother := g.adult(h, age, true)
	out := []*person{father, mother}
	if g.often(1200) && age < 55 { // a grandmother in the house
		out = append(out, g.adult(h, age+25, true))
	}
	for births := g.IntN(3); births > 0; births-- {
		out = append(out, g.children(father, mother, age)...)
	}
	return out
}

// children is one birth: one child, or twins.
func (g *generator) children(father, mother *person, age int) []*person {
	young := max(0, age-20-g.IntN(18))
	born := g.day(Today.Year() - young)
	if young > 45 {
		return nil
	}
	first := g.child(father, mother, born, g.IntN(2) == 0, "", "")
	if !g.often(160) {
		return []*person{first}
	}
	shared := string([]rune(first.given)[:1])
	second := g.child(father, mother, born, first.female == g.often(6500), shared, first.given)
	first.order, second.order = 1, 2
	return []*person{first, second}
}

func (g *generator) child(father, mother *person, born time.Time, female bool, shared, besides string) *person {
	p := g.new(father.home, born, female)
	p.mother, p.family = mother, father.family
	p.given = g.given(born.Year(), female)
	for shared != "" && (p.given == besides || len(p.given) != len(besides) || len(p.given) > 3 && p.given[:3] != besides[:3] || g.tables.spell(p.given) == g.tables.spell(besides)) { // twins are named alike, but not so that one calls both
		p.given = g.given(born.Year(), female)
		if len(p.given) > 3 {
			p.given = shared + p.given[3:]
		}
	}
	if Today.Year()-born.Year() < 16 {
		p.phone = mother.phone
	}
	return p
}

func (g *generator) adult(h *home, age int, female bool) *person {
	p := g.new(h, g.day(Today.Year()-age), female)
	p.family, p.given = g.tables.family(g.Rand), g.given(p.born.Year(), female)
	p.phone = g.mobile()
	if age > 70 && g.often(4000) { // the old give a child's number
		p.phone = h.phone
	}
	return p
}

// visitor is a foreigner, or a resident of Hong Kong, Macao or Taiwan.
func (g *generator) visitor(h *home) *person {
	female := g.IntN(2) == 0
	p := g.new(h, g.day(1945+g.IntN(65)), female)
	p.citizen, p.card, p.phone = "", "", g.mobile()
	if g.often(3000) {
		p.latin = pick(g.Rand, foreignFamily) + ", " + pick(g.Rand, foreignGiven)
		p.permit = string(rune('A'+g.IntN(26))) + fmt.Sprintf("%08d", g.IntN(1e8))
		return p
	}
	p.abroad = true
	p.family, p.given = pick(g.Rand, hongKong), g.given(p.born.Year(), female)
	p.permit = []string{"H", "M"}[g.IntN(2)] + fmt.Sprintf("%08d", g.IntN(1e8))
	return p
}

func (g *generator) new(h *home, born time.Time, female bool) *person {
	p := &person{id: g.people, home: h, born: born, female: female}
	g.people++
	p.citizen = g.citizen(p)
	p.card = fmt.Sprintf("%c%08d", 'A'+g.IntN(8), g.IntN(1e8))
	return p
}

// day draws a birthday of a year, not after Today.
func (g *generator) day(year int) time.Time {
	d := time.Date(year, 1, 1+g.IntN(365), 0, 0, 0, 0, time.UTC)
	if d.After(Today) {
		return d.AddDate(-1, 0, 0)
	}
	return d
}

func (g *generator) citizen(p *person) string {
	sequence := 2*g.IntN(500) + 1
	if p.female {
		sequence--
	}
	return withCheck(fmt.Sprintf("%s%s%03d", pick(g.Rand, areas), p.born.Format("20060102"), sequence))
}

// withCheck adds the check character of GB 11643 to 17 digits.
func withCheck(s string) string {
	weights, sum := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}, 0
	for i, w := range weights {
		sum += int(s[i]-'0') * w
	}
	return s + string("10X98765432"[sum%11])
}

func (g *generator) mobile() string {
	return fmt.Sprintf("1%s%08d", pick(g.Rand, []string{"38", "39", "35", "36", "37", "58", "59", "88", "86", "80", "89", "33", "77", "91", "99"}), g.IntN(1e8))
}

func (g *generator) home() *home {
	at := places[g.IntN(len(places))]
	district := g.IntN(len(at.districts))
	return &home{
		province: at.province, city: at.city, district: at.districts[district], postal: fmt.Sprintf("%d%02d", at.postal/100, district*3),
		road: pick(g.Rand, roadNames) + pick(g.Rand, roadNames) + pick(g.Rand, []string{"路", "街", "大道", "巷"}), estate: pick(g.Rand, estates) + pick(g.Rand, []string{"花园", "小区", "家园", "公寓", "苑"}),
		number: 1 + g.IntN(400), building: 1 + g.IntN(30), unit: 1 + g.IntN(4), room: 100*(1+g.IntN(28)) + 1 + g.IntN(6), phone: g.mobile(),
	}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
