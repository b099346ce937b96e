// Package block makes the keys under which records that may be one person
// meet. Two records are compared only if they share a key; several passes make
// up for each other's misses. It is pure.
package block

import (
	"strconv"
	"strings"
	"time"

	"hutong/mpi/normal"
)

// Pass names one way of meeting.
type Pass uint8

// The passes. A pass's number is part of its keys: never reuse one.
const (
	ByID          Pass = iota + 1 // an identifier, exactly
	ByIDPrefix                    // citizen id less its last four characters
	ByIDRepair                    // a mistyped citizen id, as it may have been meant
	ByPhone                       // one telephone number
	ByNameYear                    // sound of the name (either order) and birth year
	ByFamilyBirth                 // sound of the family name and birth date
	ByGivenBirth                  // sound of the given name and birth date
	ByFuzzyYear                   // often confused sounds of the name, and birth year
	ByNameDay                     // sound of the name, month and day: the year may be wrong
	ByAddress                     // address line and first letter of the given name
	ByNamePlace                   // sound of the name and the place
	ByPart                        // Wide only: two of family, given, birth year, place, line and month-day
	ByDeletion                    // Wide only: birth date, line or number less one character
	ByChild                       // small children: birth date and district, for want of a name
)

// Passes is the number of passes and of the zero, which is none.
const Passes = int(ByChild) + 1

var passNames = [...]string{"", "id", "id-prefix", "id-repair", "phone", "name-year", "family-birth", "given-birth", "fuzzy-year", "name-day", "address", "name-place", "part", "deletion", "child"}

// String is the pass's name in reports.
func (p Pass) String() string { return passNames[p] }

// Cap is how many records a list may hold before it is passed over: a longer
// one says little (the phone of a call centre) and would cost much. The skip
// is counted and reported. Identifier lists are never passed over.
func (p Pass) Cap() int {
	switch p {
	case ByID:
		return 1000
	case ByPhone, ByIDRepair:
		return 50
	}
	return 200
}

// Key is one meeting point: a pass and the hash of what is shared.
type Key struct {
	Pass Pass
	Hash uint64
}

// Append appends the nine bytes of k: pass, then hash, big-endian.
func (k Key) Append(dst []byte) []byte {
	dst = append(dst, byte(k.Pass))
	for shift := 56; shift >= 0; shift -= 8 {
		dst = append(dst, byte(k.Hash>>shift))
	}
	return dst
}

// Identifier is the key of one identifier token.
func Identifier(token string) Key { return key(ByID, token) }

func key(p Pass, parts ...string) Key {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, s := range parts {
		for i := 0; i < len(s); i++ {
			h = (h ^ uint64(s[i])) * prime
		}
		h = (h ^ 0xff) * prime
	}
	return Key{p, h}
}

// Keys lists the meeting points of a record, each once. A record of an unknown
// emergency patient has only its identifiers. now bounds repaired birth dates.
func Keys(r *normal.Record, now time.Time) []Key {
	b := builder{seen: make(map[Key]bool, 32)}
	b.identifiers(r, now)
	if r.Emergency() {
		return b.keys
	}
	for _, p := range r.Phones {
		b.add(ByPhone, p)
	}
	births := births(r, now)
	for i := range r.Names {
		if n := &r.Names[i]; n.Usable() {
			b.name(n, births, r.Addresses)
		}
	}
	b.child(r, now)
	return b.keys
}

// namedBy is how many years after its birth a newborn's record, which has no name,
// is still looked for.
const namedBy = 6

// child adds the meeting point of a newborn without a name and its later records,
// whose telephone may be another.
func (b *builder) child(r *normal.Record, now time.Time) {
	if !r.Birth.Full() || now.Year()-r.Birth.Year > namedBy {
		return
	}
	for i := range r.Addresses {
		if a := &r.Addresses[i]; a.District != "" || a.City != "" {
			b.add(ByChild, r.Birth.String(), a.City, a.District)
		}
	}
}

type builder struct {
	keys []Key
	seen map[Key]bool
}

func (b *builder) add(p Pass, parts ...string) {
	k := key(p, parts...)
	if !b.seen[k] {
		b.seen[k] = true
		b.keys = append(b.keys, k)
	}
}

func (b *builder) identifiers(r *normal.Record, now time.Time) {
	for i := range r.IDs {
		id := &r.IDs[i]
		if id.Kind == normal.Visit {
			continue
		}
		b.add(ByID, id.Token())
		if id.Kind != normal.Citizen {
			continue
		}
		if len(id.Value) == 18 && !r.Emergency() {
			b.add(ByIDPrefix, id.Value[:14])
		}
		b.add(ByIDRepair, id.Value)
		if !id.Valid && !r.Emergency() {
			for _, v := range normal.Repairs(id.Value, r.Birth, r.Sex, now) {
				b.add(ByIDRepair, v)
			}
		}
	}
}

// lastLunar is the year up to which people may give their birthday in the
// Chinese calendar.
const lastLunar = 1985

// births lists the dates worth blocking on: the stated one, its day and month
// exchanged, that of a valid citizen id, and for the old that of the Chinese
// calendar.
func births(r *normal.Record, now time.Time) []normal.Date {
	var out []normal.Date
	for _, d := range []normal.Date{r.Birth, r.BirthOrID(now)} {
		if d.Year != 0 && (len(out) == 0 || out[0] != d) {
			out = append(out, d)
		}
	}
	if s := r.Birth.Swapped(); s.Full() && s != r.Birth {
		out = append(out, s)
	}
	if l := r.Birth.FromLunar(); l.Full() && r.Birth.Year <= lastLunar {
		out = append(out, l)
	}
	return out
}

// name adds the keys of one name. Sounds stand for spellings, so that 张伟, 張偉
// and Zhang Wei meet; family and given are sorted, so that an exchanged order
// meets too.
func (b *builder) name(n *normal.Name, births []normal.Date, places []normal.Address) {
	for _, given := range given(n) {
		for _, family := range n.FamilySound {
			b.full(family, given, births, places)
		}
		for _, d := range births {
			if d.Full() && given != "" {
				b.add(ByGivenBirth, given, d.String())
			}
		}
		for i := range places {
			if given != "" && len(places[i].Line) >= 6 {
				b.add(ByAddress, places[i].Line, given[:1])
			}
		}
	}
	for _, family := range n.FamilySound {
		for _, d := range births {
			if d.Full() {
				b.add(ByFamilyBirth, family, d.String())
				b.add(ByGivenBirth, family, d.String())
			}
		}
	}
}

func (b *builder) full(family, given string, births []normal.Date, places []normal.Address) {
	x, y := family, given
	if y < x {
		x, y = y, x
	}
	fuzzy := normal.FuzzySound(family) + normal.FuzzySound(given)
	for _, d := range births {
		year := strconv.Itoa(d.Year)
		b.add(ByNameYear, x, y, year)
		b.add(ByFuzzyYear, fuzzy, year)
		if d.Month != 0 && d.Day != 0 && !d.Defaulted() {
			b.add(ByNameDay, x, y, strconv.Itoa(d.Month*100+d.Day))
		}
	}
	for i := range places {
		if p := place(&places[i]); p != "" {
			b.add(ByNamePlace, x, y, p)
		}
	}
}

func place(a *normal.Address) string {
	if a.PostalCode != "" {
		return a.PostalCode
	}
	return strings.TrimSpace(a.City + " " + a.District)
}

func given(n *normal.Name) []string {
	var out []string
	for i, r := range n.GivenSound {
		if i == 0 || r.Plain != out[len(out)-1] {
			out = append(out, r.Plain)
		}
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}
