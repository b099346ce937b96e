package region

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
