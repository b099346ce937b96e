package score

import (
	"hutong/mpi/intern"
	"hutong/mpi/normal"
)

// People holds many records in compact form, for CompareFile over millions of
// pairs: texts are numbers of pools, so that equal texts are equal numbers and
// a likeness, once found, can be looked up. A record is about 120 bytes and the
// texts that it does not share. Add is for one goroutine at a time; what only
// reads may then run side by side.
type People struct {
	pools   [AllFields]*intern.Pool // of the fields that are texts
	codes   *intern.Pool            // numbers, their systems, phones, whole names
	family  []normal.Name           // by number in pools[Family]: that part, and how it sounds
	given   []normal.Name           // by number in pools[Given]
	people  []compact
	names   []wholeName
	phones  []uint32
	numbers []number
}

// compact is one record. names, phones and numbers are where its own end in
// the runs of People; they begin where the record before ends.
type compact struct {
	birth                  uint32 // YYYYMMDD
	names, phones, numbers uint32
	texts                  [AllFields - Street]uint32
	family, given          uint32 // of the first usable name
	sex                    normal.Sex
}

type wholeName struct {
	text, family, given uint32
	han                 bool
}

type number struct {
	system, value uint32
	kind          normal.Kind
	valid, ended  bool
}

// NewPeople makes an empty collection.
func NewPeople() *People {
	p := &People{codes: intern.New(), family: make([]normal.Name, 1), given: make([]normal.Name, 1)}
	for f := range p.pools {
		if textField(Field(f)) {
			p.pools[f] = intern.New()
		}
	}
	return p
}

// textField reports the fields whose values are counted.
func textField(f Field) bool { return f == Family || f == Given || f >= Street }

// Len is how many records were added.
func (p *People) Len() int { return len(p.people) }

// Add takes in a record; r is not kept.
func (p *People) Add(r *normal.Record) {
	c := compact{birth: packDate(r.Birth), sex: r.Sex}
	for i := range r.Names {
		if n := &r.Names[i]; n.Usable() {
			w := wholeName{p.codes.Put(n.Text), p.part(Family, n), p.part(Given, n), n.Han()}
			if c.family == 0 && c.given == 0 && i == firstUsable(r) {
				c.family, c.given = w.family, w.given
			}
			p.names = append(p.names, w)
		}
	}
	for f := Street; f < AllFields; f++ {
		c.texts[f-Street] = p.pools[f].Put(textOf(f, r))
	}
	for _, s := range r.Phones {
		p.phones = append(p.phones, p.codes.Put(s))
	}
	for i := range r.IDs {
		id := &r.IDs[i]
		p.numbers = append(p.numbers, number{p.codes.Put(id.System), p.codes.Put(id.Value), id.Kind, id.Valid, id.Ended})
	}
	c.names, c.phones, c.numbers = uint32(len(p.names)), uint32(len(p.phones)), uint32(len(p.numbers))
	p.people = append(p.people, c)
}

func firstUsable(r *normal.Record) int {
	for i := range r.Names {
		if r.Names[i].Usable() {
			return i
		}
	}
	return -1
}

// part numbers one part of a name and keeps how it sounds.
func (p *People) part(f Field, n *normal.Name) uint32 {
	if f == Family {
		at := p.pools[Family].Put(n.Family)
		if int(at) == len(p.family) {
			p.family = append(p.family, normal.Name{Family: p.pools[Family].Get(at), FamilySound: n.FamilySound, FamilyFuzzy: n.FamilyFuzzy})
		}
		return at
	}
	at := p.pools[Given].Put(n.Given)
	if int(at) == len(p.given) {
		p.given = append(p.given, normal.Name{Given: p.pools[Given].Get(at), GivenSound: n.GivenSound, GivenFuzzy: n.GivenFuzzy})
	}
	return at
}

func packDate(d normal.Date) uint32 { return uint32(d.Year*10000 + d.Month*100 + d.Day) }

func unpackDate(n uint32) normal.Date {
	return normal.Date{Year: int(n / 10000), Month: int(n / 100 % 100), Day: int(n % 100)}
}

func (p *People) namesOf(i int) []wholeName {
	return p.names[p.before(i).names:p.people[i].names]
}

func (p *People) phonesOf(i int) []uint32 { return p.phones[p.before(i).phones:p.people[i].phones] }

func (p *People) numbersOf(i int) []number {
	return p.numbers[p.before(i).numbers:p.people[i].numbers]
}

var nobody compact

func (p *People) before(i int) *compact {
	if i == 0 {
		return &nobody
	}
	return &p.people[i-1]
}

// value is the number of record i's text in a text field; 0 is none.
func (p *People) value(f Field, i int) uint32 {
	switch c := &p.people[i]; f {
	case Family:
		return c.family
	case Given:
		return c.given
	default:
		return c.texts[f-Street]
	}
}

// name puts the parts of a name together again.
func (p *People) name(w wholeName) normal.Name {
	n, g := p.family[w.family], &p.given[w.given]
	n.Text, n.Given, n.GivenSound, n.GivenFuzzy = p.codes.Get(w.text), g.Given, g.GivenSound, g.GivenFuzzy
	return n
}
