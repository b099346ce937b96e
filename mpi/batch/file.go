package batch

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"hutong/mpi/normal"
	"hutong/mpi/score"
)

// File is the records to match, in compact form. Add is for one goroutine. A
// match uses the keys up: a File is matched once.
type File struct {
	people *score.People
	now    time.Time
	parts  [classes]column // what a record may share with another, two at a time
	alone  column          // what says enough by itself: hashes
}

// NewFile makes an empty File. now bounds the birth dates in numbers.
func NewFile(now time.Time) *File { return &File{people: score.NewPeople(), now: now} }

// Len is how many records were added.
func (f *File) Len() int { return f.people.Len() }

// Add takes in a record; r is not kept.
func (f *File) Add(r *normal.Record) { f.Take(NewEntry(r, f.now)) }

// Entry is a record made ready to be taken in: what can be done beside others.
type Entry struct {
	record       *normal.Record
	parts, alone []uint32
}

// NewEntry makes r ready.
func NewEntry(r *normal.Record, now time.Time) Entry {
	e := Entry{record: r, parts: make([]uint32, 0, 48), alone: make([]uint32, 0, 80)}
	e.numbers(now)
	if !r.Emergency() {
		e.likeness()
	}
	return e
}

// Take is Add of an Entry.
func (f *File) Take(e Entry) {
	f.people.Add(e.record)
	wide := f.Len() <= wideUpTo
	for _, p := range e.parts {
		if wide || p&cut == 0 { // in large files the ends of values make no keys
			c := &f.parts[classOf(p)]
			c.values = append(c.values, p)
		}
	}
	f.alone.values = append(f.alone.values, e.alone...)
	for c := range f.parts {
		f.parts[c].end()
	}
	f.alone.end()
}

// class is what a part is part of. Two parts of different classes make a key.
type class uint32

const (
	family class = iota
	given
	whole // family and given name, in either order
	year
	month
	day
	birth // year, month and day
	monthDay
	birthPlace
	post
	city
	word    // of the address line
	numbers // of the address line, all of them
	classes
)

// A part is a class, whether it is a value or one end of it, and a hash.
const (
	hashBits = 27
	cut      = 1 << hashBits
)

func classOf(part uint32) class { return class(part >> (hashBits + 1)) }

func hash(field uint64, texts ...string) uint32 {
	h := uint64(14695981039346656037) ^ field
	for _, s := range texts {
		for i := 0; i < len(s); i++ {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return uint32(h ^ h>>32)
}

func (e *Entry) part(c class, texts ...string) {
	e.add(uint32(c)<<(hashBits+1) | hash(uint64(c), texts...)&(cut-1))
}

// add lists a part once.
func (e *Entry) add(part uint32) {
	for _, p := range e.parts {
		if p == part {
			return
		}
	}
	e.parts = append(e.parts, part)
}

// ends adds a value, and its first and last three characters: one of them
// outlives most slips.
func (e *Entry) ends(c class, s string) {
	if s == "" || s == "0" {
		return
	}
	e.part(c, s)
	if len(s) <= 4 {
		return
	}
	if r := []rune(s); len(r) > 4 {
		e.add(uint32(c)<<(hashBits+1) | cut | hash(uint64(c), string(r[:3]), "-")&(cut-1))
		e.add(uint32(c)<<(hashBits+1) | cut | hash(uint64(c), "-", string(r[len(r)-3:]))&(cut-1))
	}
}

// Fields of keys that stand alone.
const (
	aloneID = 100 + iota
	aloneRepair
	alonePhone
	aloneBirth
)

func (e *Entry) single(field uint64, texts ...string) {
	e.alone = append(e.alone, hash(field, texts...))
}

// numbers adds identifiers, as they are, as they may have been meant, and with
// each one character left out.
func (e *Entry) numbers(now time.Time) {
	for i := range e.record.IDs {
		id := &e.record.IDs[i]
		if id.Kind == normal.Visit {
			continue
		}
		e.single(aloneID, id.System, id.Value)
		e.without(aloneID, id.Value)
		if id.Kind != normal.Citizen {
			continue
		}
		e.single(aloneRepair, id.Value)
		if !id.Valid {
			for _, v := range normal.Repairs(id.Value, e.record.Birth, e.record.Sex, now) {
				e.single(aloneRepair, v)
			}
		}
	}
}

// without adds s with each one character left out, so that values one slip
// apart meet.
func (e *Entry) without(field uint64, s string) {
	if len(s) < 6 {
		return
	}
	for i := range s {
		if i == 0 || s[i] != s[i-1] {
			e.single(field, "-", s[:i], s[i+1:])
		}
	}
}

// likeness adds what is no number.
func (e *Entry) likeness() {
	r := e.record
	if n := r.Name(); n != nil {
		e.name(n)
	}
	e.births(r)
	e.ends(birthPlace, r.BirthPlace)
	for _, p := range r.Phones {
		e.single(alonePhone, p)
		e.without(alonePhone, p)
	}
	for i := range r.Addresses {
		a := &r.Addresses[i]
		e.ends(post, a.PostalCode)
		e.ends(city, a.City+a.District)
		e.line(a.Line)
	}
}

func (e *Entry) name(n *normal.Name) {
	first := ""
	if len(n.GivenSound) > 0 {
		first = normal.FuzzySound(n.GivenSound[0].Plain)
	}
	for _, s := range n.FamilySound {
		s = normal.FuzzySound(s)
		e.ends(family, s)
		e.part(whole, min(s, first), max(s, first))
	}
	if len(n.FamilySound) == 0 && first == "" && n.Text != "" { // a dotted name
		e.part(whole, n.Text)
	}
	e.ends(given, first)
}

func (e *Entry) births(r *normal.Record) {
	d := r.Birth
	if d.Year == 0 {
		return
	}
	e.part(year, strconv.Itoa(d.Year))
	if d.Month != 0 {
		e.part(month, strconv.Itoa(d.Month))
	}
	if !d.Full() {
		return
	}
	e.part(day, strconv.Itoa(d.Day))
	for _, date := range []normal.Date{d, d.Swapped(), d.FromLunar()} {
		if date.Full() {
			e.part(birth, date.String())
		}
	}
	if !d.Defaulted() {
		e.part(monthDay, strconv.Itoa(d.Month), strconv.Itoa(d.Day))
	}
	initial := ""
	if n := r.Name(); n != nil && n.Family != "" {
		initial = string([]rune(n.Family)[:1])
	}
	e.without(aloneBirth, initial+strings.ReplaceAll(d.String(), "-", ""))
}

// line adds the words of an address line and its numbers. Chinese is written
// without spaces: there, numbers part the words.
func (e *Entry) line(s string) {
	var digits strings.Builder
	from, last := 0, kindOf(' ')
	flush := func(to int) {
		if last == digit {
			digits.WriteByte('-')
			digits.WriteString(s[from:to])
		}
		if last != space {
			e.ends(word, s[from:to])
		}
	}
	for i, r := range s {
		if k := kindOf(r); k != last {
			flush(i)
			from, last = i, k
		}
	}
	flush(len(s))
	if digits.Len() > 0 {
		e.part(numbers, digits.String())
	}
}

type runeKind uint8

const (
	space runeKind = iota
	digit
	letter
	han
)

func kindOf(r rune) runeKind {
	switch {
	case r >= '0' && r <= '9':
		return digit
	case r < 0x80 && r > ' ', unicode.IsLetter(r) && !normal.IsHan(r):
		return letter
	case normal.IsHan(r):
		return han
	}
	return space
}
