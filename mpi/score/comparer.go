package score

import (
	"strings"

	"hutong/mpi/normal"
)

// Packed is a Vector in one word, four bits a field.
type Packed uint64

// Pack is the word of v.
func (v *Vector) Pack() Packed {
	var p Packed
	for f, l := range v {
		p |= Packed(l) << (4 * f)
	}
	return p
}

// Level is the level of one field.
func (p Packed) Level(f Field) Level { return Level(p >> (4 * f) & 15) }

// Vector is the levels one by one.
func (p Packed) Vector() (v Vector) {
	for f := range v {
		v[f] = p.Level(Field(f))
	}
	return v
}

// Comparer compares records of People as CompareFile does, and remembers how
// alike two texts are. One for each goroutine.
type Comparer struct {
	p    *People
	seen []likeness
}

// likeness is a remembered level of two values of a kind. A table of them is
// addressed by hash, the last one kept: to forget costs a comparison.
type likeness struct {
	x, y  uint32
	kind  uint8
	level Level
}

const remembered = 1 << 16

// Kinds of remembered pairs beyond the fields themselves.
const (
	crossParts  = uint8(AllFields) + iota // a family name and a given name, in letters
	latinFamily                           // family names in letters, other levels than those of han
	latinGiven
)

// NewComparer makes one for p, to which nothing may be added meanwhile.
func NewComparer(p *People) *Comparer { return &Comparer{p, make([]likeness, remembered)} }

// slot finds where a pair is remembered; known says that it is.
func (c *Comparer) slot(kind uint8, x, y uint32) (at *likeness, known bool) {
	h := (uint64(x)<<32 | uint64(y)) * 0x9E3779B97F4A7C15
	h ^= uint64(kind) * 0xC2B2AE3D27D4EB4F
	at = &c.seen[(h>>40^h>>20)%remembered]
	if at.x == x && at.y == y && at.kind == kind {
		return at, true
	}
	at.x, at.y, at.kind = x, y, kind
	return at, false
}

// Compare is CompareFile of records a and b.
func (c *Comparer) Compare(a, b int) Packed {
	p := c.p
	x, y := &p.people[a], &p.people[b]
	var v Vector
	v[Family], v[Given] = c.names(p.namesOf(a), p.namesOf(b))
	v[Birth] = packedBirths(x.birth, y.birth)
	v[Sex] = sexes(x.sex, y.sex)
	if m, n := p.numbersOf(a), p.numbersOf(b); len(m) > 0 && len(n) > 0 {
		v[Citizen], v[Cards] = p.citizens(m, n), p.cards(m, n)
		if v[Citizen] == CitizenDifferent && differ(citizenOf(m), citizenOf(n)) {
			v[Citizen] = CitizenOther
		}
	}
	v[Phone] = p.phoneLevel(p.phonesOf(a), p.phonesOf(b))
	for f := Street; f < AllFields; f++ {
		v[f] = c.text(f, x.texts[f-Street], y.texts[f-Street])
	}
	return v.Pack()
}

func packedBirths(a, b uint32) Level {
	switch {
	case a < 10000 || b < 10000:
		return Silent
	case a == b && a%100 != 0 && a/100%100 != 0 && a%10000 != 101:
		return BirthExact
	}
	return fileBirths(unpackDate(a), unpackDate(b))
}

func (c *Comparer) text(f Field, x, y uint32) Level {
	switch {
	case x == 0 || y == 0:
		return Silent
	case x == y:
		return TextExact
	}
	if x > y {
		x, y = y, x
	}
	at, known := c.slot(uint8(f), x, y)
	if !known {
		at.level = texts(f, c.p.pools[f].Get(x), c.p.pools[f].Get(y))
	}
	return at.level
}

// names is fileNames.
func (c *Comparer) names(as, bs []wholeName) (family, given Level) {
	for _, a := range as {
		for _, b := range bs {
			f, g := c.name(a, b)
			if f == Silent && g == Silent {
				continue
			}
			if better(f, g, family, given) {
				family, given = f, g
			}
		}
	}
	return family, given
}

// name is fileName.
func (c *Comparer) name(a, b wholeName) (family, given Level) {
	if a.han || b.han {
		return c.hanName(a, b)
	}
	family, given = c.part(Family, a.family, b.family), c.part(Given, a.given, b.given)
	if rank(family)+rank(given) <= 2 {
		return family, given // nothing is better
	}
	return exchanged(family, given, c.cross(a.family, b.given), c.cross(b.family, a.given))
}

func (c *Comparer) part(f Field, x, y uint32) Level {
	switch {
	case x == 0 || y == 0:
		return Silent
	case x == y:
		return NameExact
	}
	kind := latinFamily
	if f == Given {
		kind = latinGiven
	}
	at, known := c.slot(kind, min(x, y), max(x, y))
	if !known {
		at.level = letters(c.p.pools[f].Get(x), c.p.pools[f].Get(y))
	}
	return at.level
}

func (c *Comparer) cross(family, given uint32) Level {
	if family == 0 || given == 0 {
		return Silent
	}
	at, known := c.slot(crossParts, family, given)
	if !known {
		at.level = letters(c.p.pools[Family].Get(family), c.p.pools[Given].Get(given))
	}
	return at.level
}

// hanName is namePair.
func (c *Comparer) hanName(a, b wholeName) (family, given Level) {
	p := c.p
	if a.text == b.text || p.sameText(a.text, b.text) || a.family == 0 || b.family == 0 || a.han != b.han {
		x, y := p.name(a), p.name(b)
		return namePair(&x, &y)
	}
	family, given = NameExact, NameExact
	if a.family != b.family {
		family = c.han(Family, a.family, b.family, familyLevel, p.family)
	}
	if a.given == 0 || b.given == 0 {
		given = Silent
	} else if a.given != b.given {
		given = c.han(Given, a.given, b.given, givenLevel, p.given)
	}
	if rank(family)+rank(given) > rank(NameDifferent) {
		x, y := p.name(a), p.name(b)
		if swapped(&x, &y) {
			return NameSwapped, NameSwapped
		}
	}
	return family, given
}

func (c *Comparer) han(f Field, x, y uint32, level func(a, b *normal.Name) Level, parts []normal.Name) Level {
	at, known := c.slot(uint8(f), min(x, y), max(x, y))
	if !known {
		at.level = level(&parts[x], &parts[y])
	}
	return at.level
}

// sameText reports texts that differ in spaces only.
func (p *People) sameText(x, y uint32) bool {
	a, b := p.codes.Get(x), p.codes.Get(y)
	return (strings.Contains(a, " ") || strings.Contains(b, " ")) && sameLetters(a, b)
}

// phoneLevel is phones.
func (p *People) phoneLevel(a, b []uint32) Level {
	best := Silent
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return Same
			}
			if s := p.codes.Get(x); len(s) >= 8 && slip(s, p.codes.Get(y)) {
				best = Near
			} else if best == Silent {
				best = Different
			}
		}
	}
	return best
}

// citizens is the function of that name.
func (p *People) citizens(as, bs []number) Level {
	best := Silent
	for _, a := range as {
		for _, b := range bs {
			if a.kind != normal.Citizen || b.kind != normal.Citizen {
				continue
			}
			l := CitizenDifferent
			switch {
			case a.value == b.value && a.valid:
				l = CitizenEqual
			case a.value == b.value:
				l = CitizenInvalid
			case a.valid != b.valid && slip(p.codes.Get(a.value), p.codes.Get(b.value)):
				l = CitizenRepaired
			}
			if best == Silent || l < best {
				best = l
			}
		}
	}
	return best
}

// cards is the function of that name.
func (p *People) cards(as, bs []number) Level {
	switch p.equal(as, bs) {
	case 0:
	case 1:
		return CardsOne
	default:
		return CardsSeveral
	}
	best := Silent
	for _, a := range as {
		for _, b := range bs {
			if !a.kind.Strong() || a.kind == normal.Citizen || a.kind == normal.MRN || a.system != b.system || a.value == b.value || a.ended || b.ended {
				continue
			}
			l := CardsDifferent
			if s := p.codes.Get(a.value); len(s) >= 6 && slip(s, p.codes.Get(b.value)) {
				l = CardsSlip
			}
			if best == Silent || l < best {
				best = l
			}
		}
	}
	return best
}

// equal counts what Equal lists, up to two.
func (p *People) equal(as, bs []number) int {
	first := uint32(0)
	for _, a := range as {
		for _, b := range bs {
			if a.value != b.value || a.system != b.system || a.kind != b.kind || a.valid != b.valid || !a.valid || !a.kind.Strong() ||
				a.kind == normal.Citizen || a.value == citizenOf(as) || a.value == citizenOf(bs) || a.value == first {
				continue
			}
			if first != 0 {
				return 2
			}
			first = a.value
		}
	}
	if first != 0 {
		return 1
	}
	return 0
}

func citizenOf(ns []number) uint32 {
	for _, n := range ns {
		if n.kind == normal.Citizen && n.valid && !n.ended {
			return n.value
		}
	}
	return 0
}
