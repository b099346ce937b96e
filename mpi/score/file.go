package score

import (
	"strings"

	"hutong/mpi/normal"
)

// CompareFile is Compare for files of other people's making: the parts of an
// address stand alone, names and dates have more levels, and birth place and
// occupation count. The weights of these come from the file itself (Train), so
// that fine levels do no harm where they say nothing. It is symmetric.
func CompareFile(a, b *normal.Record) Vector {
	var v Vector
	v[Family], v[Given] = fileNames(a, b)
	v[Birth] = fileBirths(a.Birth, b.Birth)
	v[Sex] = sexes(a.Sex, b.Sex)
	v[Citizen] = citizens(a, b)
	if v[Citizen] == CitizenDifferent && differ(a.CitizenID(), b.CitizenID()) {
		v[Citizen] = CitizenOther
	}
	v[Cards] = cards(a, b)
	v[Phone] = phones(a.Phones, b.Phones)
	for f := Street; f < AllFields; f++ {
		v[f] = texts(f, textOf(f, a), textOf(f, b))
	}
	return v
}

// differ reports two numbers, both known, that are not one.
func differ[T comparable](a, b T) bool {
	var none T
	return a != none && b != none && a != b
}

// textOf is what a record says in a text field.
func textOf(f Field, r *normal.Record) string {
	switch f {
	case Family, Given:
		n := r.Name()
		switch {
		case n == nil:
			return ""
		case f == Family:
			return n.Family
		}
		return n.Given
	case BirthPlace:
		return r.BirthPlace
	case Occupation:
		return r.Occupation
	}
	if len(r.Addresses) == 0 {
		return ""
	}
	a := &r.Addresses[0]
	switch f {
	case Street:
		return words(a.Line)
	case Number:
		return numbers(a.Line)
	case City:
		return strings.TrimSpace(a.City + a.District)
	case Post:
		return a.PostalCode
	case State:
		return a.State
	}
	return ""
}

// words is a line without its numbers; numbers is the first of them.
func words(line string) string { return strings.TrimLeft(line, "0123456789 ") }

func numbers(line string) string { return line[:len(line)-len(strings.TrimLeft(line, "0123456789"))] }

// texts compares two texts. Short codes have no half-way likeness.
func texts(f Field, a, b string) Level {
	switch {
	case a == "" || b == "":
		return Silent
	case a == b || sameLetters(a, b):
		return TextExact
	}
	slip, d, jw, shorter := likenesses(a, b)
	switch {
	case slip && shorter >= 2:
		return TextSlip
	case f == Post && len(a) > 2 && len(b) > 2 && a[:2] == b[:2]:
		return TextAlike // neighbouring areas share the beginning of a postcode
	case shorter < 4:
		return TextDifferent
	}
	switch like := max(d, 2*jw-1); {
	case like >= 0.75:
		return TextClose
	case like >= 0.5:
		return TextAlike
	}
	return TextDifferent
}

// sameLetters reports texts that differ in spaces only.
func sameLetters(a, b string) bool {
	if !strings.Contains(a, " ") && !strings.Contains(b, " ") {
		return a == b
	}
	return strings.ReplaceAll(a, " ", "") == strings.ReplaceAll(b, " ", "")
}

// fileNames takes the best agreement of any two names, as names does.
func fileNames(a, b *normal.Record) (family, given Level) {
	for i := range a.Names {
		for j := range b.Names {
			if !a.Names[i].Usable() || !b.Names[j].Usable() {
				continue
			}
			f, g := fileName(&a.Names[i], &b.Names[j])
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

// fileName compares part by part; what one side leaves out is silent, unless
// the part it has agrees with the other part of the other side.
func fileName(a, b *normal.Name) (family, given Level) {
	if a.Han() || b.Han() {
		return namePair(a, b)
	}
	return exchanged(letters(a.Family, b.Family), letters(a.Given, b.Given), letters(a.Family, b.Given), letters(b.Family, a.Given))
}

// exchanged chooses between the parts held against each other as they stand,
// and crosswise: fg is one's family name with the other's given name.
func exchanged(family, given, fg, gf Level) (f, g Level) {
	if rank(fg)+rank(gf) < rank(family)+rank(given) && crossed(fg) && crossed(gf) && (fg != Silent || gf != Silent) {
		if fg <= NameSound || gf <= NameSound {
			return NameSwapped, NameSwapped
		}
		return NameSwapped, NameClose
	}
	return family, given
}

// crossed reports a level at which exchanged parts may be believed.
func crossed(l Level) bool { return l == Silent || l <= NameClose || l == NameLook || l == NameKin }

// letters compares two name parts in Latin letters.
func letters(a, b string) Level {
	switch {
	case a == "" || b == "":
		return Silent
	case a == b || sameLetters(a, b):
		return NameExact
	}
	slip, d, w, shorter := likenesses(a, b)
	switch {
	case slip && shorter >= 3:
		return NameTypo
	case shorter <= 2 && a[0] == b[0] || oneWord(a, b):
		return NameClose
	case w >= 0.87:
		return NameClose
	case w >= 0.75 || d >= 0.5:
		return NameRemote
	}
	return NameDifferent
}

// oneWord reports names of which one is a word of the other: anna, anna maria.
func oneWord(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return strings.HasPrefix(b, a+" ") || strings.HasSuffix(b, " "+a)
}

// fileBirths adds to births the dates that agree in two of their three parts
// or are two slips apart.
func fileBirths(a, b normal.Date) Level {
	l := births(a, b)
	if l == BirthExact && a.Defaulted() {
		return BirthPartial // what is written where only the year is known
	}
	if l < BirthYear || l == BirthLunar || !a.Full() || !b.Full() {
		return l
	}
	parts := 0
	for _, same := range [3]bool{a.Year == b.Year, a.Month == b.Month, a.Day == b.Day} {
		if same {
			parts++
		}
	}
	if parts == 2 || alike(a, b) >= 6 {
		return BirthNear
	}
	return l
}

// alike is how many of the eight digits of two dates agree in their place.
func alike(a, b normal.Date) int {
	x, y := eight(a), eight(b)
	n := 0
	for i := range x {
		if x[i] == y[i] {
			n++
		}
	}
	return n
}

// rareTexts does for the text fields what rareNames does for names.
func (m *Model) rareTexts(a, b *normal.Record, r *Result) {
	for f := range AllFields {
		table := m.Frequency.Text[f.String()]
		if table == nil || r.Vector[f] != TextExact {
			continue
		}
		x, listed := table[textOf(f, a)]
		y, both := table[textOf(f, b)]
		if listed && both {
			m.byFrequency(r, f, max(x, y))
		}
	}
}

// CountPersons makes the frequency table of a file in which persons tells the
// records of one person by a number: a value counts once a person, however
// many records repeat it. The share of a value is what other persons than its
// first carrier show, drawn towards the model's average.
func (m *Model) CountPersons(records []*normal.Record, persons []int) Frequency {
	f := Frequency{Text: map[string]map[string]float64{}}
	for field := range AllFields {
		if field == Family || field == Given || field >= Street {
			f.Text[field.String()] = m.sharesOf(field, records, persons)
		}
	}
	return f
}

// pull is how strongly shares are drawn towards the average.
const pull = 0.25

func (m *Model) sharesOf(f Field, records []*normal.Record, persons []int) map[string]float64 {
	type carrier struct {
		value  string
		person int
	}
	seen, all := map[carrier]bool{}, map[int]bool{}
	out := map[string]float64{}
	for i, r := range records {
		c := carrier{textOf(f, r), persons[i]}
		if c.value == "" || seen[c] {
			continue
		}
		seen[c], all[c.person] = true, true
		out[c.value]++
	}
	n := float64(len(all))
	for v, c := range out {
		out[v] = (c - 1 + pull*n*m.rates[f][TextExact].U) / (n*(1+pull) - 1 + 1e-9)
	}
	return out
}
