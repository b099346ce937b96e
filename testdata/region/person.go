package region

import (
	"iter"
	"time"
)

// person is one true person.
type person struct {
	index      int
	name       name
	female     bool
	born       time.Time
	citizen    string // "" for a newborn without an id yet
	healthCard string
	socialCard string
	insurance  string
	phone      string
	area       string // home county
	street     string
	ethnicity  string // GB/T 3304
	marital    string // GB/T 2261.2
	guardian   *person
	newbornOf  *person
	orgs       []int // indices into orgs, in order of first visit
	role       role
	chronic    []int // indices into diseases
	onset      []time.Time
}

// role marks the people of the opening households, whose stories are set.
type role uint8

const (
	ordinary role = iota
	hero
	firstTwin
	secondTwin
	newborn
	blurred   // known twice, without an id, alike but not certain: a steward must judge
	lookalike // another person who looks like the one before: a steward must judge
)

// The posting organisations, by index.
const (
	muni = iota
	dist
	county
	clinic
	laboratory
)

var china = time.FixedZone("CST", 8*3600)

// people makes the true persons, household by household.
func (g *generator) people() iter.Seq[*person] {
	return func(yield func(*person) bool) {
		for next, h := 0, 0; next < g.o.People; h++ {
			for _, p := range g.household(h, next) {
				if next == g.o.People {
					return
				}
				if !yield(p) {
					return
				}
				next++
			}
		}
	}
}

// household makes the members of the h-th household, numbered from first. Its
// members share a surname line, a home and, often, one phone.
func (g *generator) household(h, first int) []*person {
	r := newRNG(g.o.Seed, 'h', uint64(h))
	home := g.home(r, h)
	if h < len(openings) {
		return openings[h](g, r, home, first)
	}
	size := 1 + r.weighted([]int{22, 32, 28, 13, 5})
	head := g.adult(r, home, first, h%2 == 1, g.headAge(r))
	out := []*person{head}
	for i := 1; i < size; i++ {
		out = append(out, g.member(r, home, first+i, i, out))
	}
	return out
}

// headAge draws an age with the pyramid of an ageing county: few in their
// twenties, most between 40 and 70.
func (g *generator) headAge(r *rng) int {
	return 22 + 5*r.weighted([]int{5, 7, 8, 8, 9, 11, 12, 11, 9, 6, 4, 2}) + r.n(5)
}

// member makes the i-th further member: the spouse, then children and elders.
func (g *generator) member(r *rng, home place, index, i int, so []*person) *person {
	head := so[0]
	age := g.age(head)
	switch {
	case i == 1 && age >= 25:
		p := g.adult(r, home, index, !head.female, max(22, age+r.between(-4, 4)))
		p.marital, head.marital = "20", "20"
		return p
	case age >= 24 && age < 60 && (i < 4 || age > 50):
		return g.child(r, home, index, r.p(0.48), max(0, age-r.between(23, 33)), so)
	}
	p := g.adult(r, home, index, r.p(0.55), min(92, age+r.between(22, 30)))
	p.marital = "30"
	g.sharePhone(r, p, head, 0.6)
	return p
}

// adult makes a person of the given age with their own papers.
func (g *generator) adult(r *rng, home place, index int, female bool, age int) *person {
	s := g.names.surname(r)
	p := g.base(r, home, index, female, g.year(age))
	p.name = g.names.make(r, s, female)
	p.marital = "10"
	if age > 30 {
		p.marital = "20"
	}
	if r.p(0.004) {
		d := pick(r, dottedNames[:])
		p.name, p.ethnicity = name{dotted: d.han, givenPY: d.pinyin}, "05"
	}
	return p
}

// child makes a child of the household's head; under 14 the head is guardian.
func (g *generator) child(r *rng, home place, index int, female bool, age int, so []*person) *person {
	father := so[0]
	if father.female && len(so) > 1 {
		father = so[1]
	}
	p := g.base(r, home, index, female, g.year(age))
	p.name = g.names.make(r, namePart{father.name.family, father.name.familyPY}, female)
	if father.name.dotted != "" {
		p.name = g.names.make(r, g.names.surname(r), female)
	}
	p.marital = "10"
	if age < 14 {
		p.guardian = so[len(so)-1]
		if g.age(p.guardian) < 18 {
			p.guardian = so[0]
		}
		p.phone = p.guardian.phone
	}
	return p
}

// base fills what does not depend on the place in the household.
func (g *generator) base(r *rng, home place, index int, female bool, year int) *person {
	day, _, _ := slot(index)
	p := &person{index: index, female: female, born: birthday(year, day), area: home.area, street: home.street, ethnicity: "01"}
	if p.born.After(g.now) {
		p.born = birthday(year-1, day)
	}
	if r.p(0.06) {
		p.ethnicity = pick(r, []string{"06", "15", "11", "03", "07"})
	}
	id := uint64(index)
	p.citizen = citizenID(index, p.born, female, false)
	p.healthCard = "5001" + digits(hash(g.o.Seed, 'c', id), 14)
	p.socialCard = string(rune('A'+r.n(26))) + digits(id*7_368_787+hash(g.o.Seed, 's'), 8)
	p.insurance = "5000" + digits(id*10_007+hash(g.o.Seed, 'i'), 16)
	p.phone = g.phone(hash(g.o.Seed, 'p', id))
	p.orgs = g.orgs(r, home)
	return p
}

func (g *generator) phone(h uint64) string {
	return [...]string{"138", "139", "150", "151", "158", "177", "186", "189", "199"}[h%9] + digits(h>>8, 8)
}

func (g *generator) sharePhone(r *rng, p, with *person, chance float64) {
	if r.p(chance) {
		p.phone = with.phone
	}
}

func (g *generator) year(age int) int  { return g.now.Year() - age }
func (g *generator) age(p *person) int { return g.ageAt(p, g.now) }
func (g *generator) gender(p *person) string {
	if p.female {
		return "female"
	}
	return "male"
}

// ageAt gives completed years, negative before birth.
func (g *generator) ageAt(p *person, t time.Time) int {
	y := t.Year() - p.born.Year()
	if t.YearDay() < p.born.YearDay() {
		y--
	}
	return y
}

// place is where a household lives and which organisation it goes to first.
type place struct {
	area, street string
	primary      int
}

func (g *generator) home(r *rng, h int) place {
	primary := [...]int{muni, dist, county, clinic}[r.weighted([]int{30, 28, 22, 20})]
	if h == 0 {
		primary = clinic
	}
	return place{area: g.cast[primary].Area, street: g.address(r, primary), primary: primary}
}

// address is a street address in the county of an organisation.
func (g *generator) address(r *rng, primary int) string {
	streets := [...][]string{
		muni:   {"人民路", "解放东路", "文庙街", "滨江路", "学府路"},
		dist:   {"青溪大道", "柳荫街", "新桥路", "工农路"},
		county: {"云岭街", "北门路", "茶山路", "城南大道"},
		clinic: {"石桥镇石桥村", "石桥镇双河村", "石桥镇大坪村", "石桥镇正街"},
	}
	s := pick(r, streets[primary])
	if primary == clinic {
		return s + itoa(r.between(1, 12)) + "组" + itoa(r.between(1, 90)) + "号"
	}
	return s + itoa(r.between(1, 320)) + "号" + itoa(r.between(1, 18)) + "栋" + itoa(r.between(1, 26)) + "0" + itoa(r.between(1, 4))
}

// orgs draws who knows a person: one organisation for two thirds, two or three
// for one third.
func (g *generator) orgs(r *rng, home place) []int {
	out := []int{home.primary}
	more := 0
	if r.p(1.0 / 3) {
		more = 1 + r.weighted([]int{70, 30})
	}
	for len(out) <= more {
		o := r.n(4)
		if !contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}

func contains(xs []int, x int) bool {
	for _, y := range xs {
		if y == x {
			return true
		}
	}
	return false
}

// openings are the first households, in which every case that identity
// matching must meet occurs once, however small the region.
var openings = [...]func(g *generator, r *rng, home place, first int) []*person{
	heroHousehold, twinHousehold, newbornHousehold, blurredHousehold, lookalikeHousehold,
}

// heroHousehold is person 0, the demonstration's resident, and her husband,
// whose records carry her phone.
func heroHousehold(g *generator, r *rng, home place, first int) []*person {
	p := g.adult(r, home, first, true, 67)
	p.role, p.marital, p.ethnicity = hero, "20", "01"
	p.name = name{family: "陈", given: "桂兰", familyPY: "chen", givenPY: "guilan"}
	p.orgs = []int{clinic, county, muni}
	husband := g.adult(r, home, first+1, false, 69)
	husband.marital, husband.phone = "20", p.phone
	husband.orgs = []int{clinic, county}
	return []*person{p, husband}
}

// twinHousehold is a mother with twin daughters: one birth date, sex, surname,
// phone and home, names of one sound apart.
func twinHousehold(g *generator, r *rng, home place, first int) []*person {
	mother := g.adult(r, home, first, true, 36)
	mother.name = name{family: "杨", given: "雪梅", familyPY: "yang", givenPY: "xuemei"}
	out := []*person{mother}
	a := g.child(r, home, first+1, true, 8, out)
	b := g.child(r, home, first+2, true, 8, out)
	a.name = name{family: "罗", given: "诗涵", familyPY: "luo", givenPY: "shihan"}
	b.name = name{family: "罗", given: "诗晗", familyPY: "luo", givenPY: "shihan"}
	b.born = a.born
	b.citizen = citizenID(b.index, b.born, true, true)
	a.role, b.role, b.guardian, b.phone = firstTwin, secondTwin, mother, mother.phone
	a.orgs, b.orgs = []int{dist, muni}, []int{dist, muni}
	return append(out, a, b)
}

// newbornHousehold is a mother and her daughter of twelve days, who has a
// temporary id and no name yet.
func newbornHousehold(g *generator, r *rng, home place, first int) []*person {
	mother := g.adult(r, home, first, true, 29)
	mother.orgs = []int{county}
	p := g.child(r, home, first+1, true, 0, []*person{mother})
	p.born = dayOf(g.now.AddDate(0, 0, -12))
	p.role, p.newbornOf, p.citizen, p.healthCard, p.socialCard, p.insurance = newborn, mother, "", "", "", ""
	p.name = name{dotted: mother.name.text() + "之女"} // text only, as custom has it
	p.orgs = []int{county}
	return []*person{mother, p}
}

// blurredHousehold is two people each known twice in a way that no rule can
// settle: see blur.
func blurredHousehold(g *generator, r *rng, home place, first int) []*person {
	a := g.adult(r, home, first, false, 52)
	b := g.adult(r, home, first+1, true, 47)
	a.role, b.role = blurred, blurred
	a.orgs, b.orgs = []int{dist, county}, []int{muni, dist}
	return []*person{a, b}
}

// lookalikeHousehold is two men and two women who are not each other, of the
// same name and birth date, one of each pair without an id.
func lookalikeHousehold(g *generator, r *rng, home place, first int) []*person {
	var out []*person
	for i, female := range []bool{false, true} {
		a := g.adult(r, home, first+2*i, female, 41+i*7)
		b := g.adult(r, g.home(r, 5), first+2*i+1, female, 41+i*7)
		b.name, b.born, b.role = a.name, a.born, lookalike
		b.citizen = citizenID(b.index, b.born, female, false)
		a.orgs, b.orgs = []int{muni}, []int{dist}
		out = append(out, a, b)
	}
	return out
}
