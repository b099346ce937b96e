package table

import (
	"strconv"
	"strings"

	"hutong/mpi/normal"
	"hutong/profiles"
)

// record brings a row into comparison form.
func (r *row) record() *normal.Record {
	rec := &normal.Record{
		Sex: sex(r.get(Gender)), Birth: r.birth(),
		BirthPlace: normal.Fold(clip(r.get(BirthPlace))), Occupation: normal.Fold(clip(r.get(Occupation))),
	}
	if n := r.names.get(r.get(Name), r.get(Family), r.get(Given)); n.Text != "" {
		rec.Names = []normal.Name{n}
	}
	for _, i := range r.at[Phone] {
		if p := normal.Phone(cell(r.cells[i])); p != "" {
			rec.Phones = append(rec.Phones, p)
		}
	}
	if a := normal.NewAddress(r.get(State), r.get(City), r.get(District), r.get(PostalCode), r.get(Line), ""); !a.IsZero() {
		rec.Addresses = []normal.Address{a}
	}
	for _, i := range r.at[Identifiers] {
		if c := cell(r.cells[i]); !nothing(c) {
			r.identifier(rec, r.header[i], c)
		}
	}
	return rec
}

// identifier adds a number. Each column is a system of its own; a number of
// the form of a citizen id is one, whatever the column is called.
func (r *row) identifier(rec *normal.Record, column, value string) {
	raw := normal.RawIdentifier{System: "urn:column:" + column, TypeCode: "NI", Value: value}
	if citizenShaped(normal.Code(value)) {
		raw.System = profiles.CitizenID
	}
	if id, ok := normal.NewIdentifier(raw, "", r.now); ok {
		rec.IDs = append(rec.IDs, id)
	}
}

// citizenShaped reports 17 digits and a digit or X with a birth date in the
// middle: a mistyped check digit does not make it another kind of number.
func citizenShaped(v string) bool {
	if len(v) != 18 {
		return false
	}
	for i := range 17 {
		if v[i] < '0' || v[i] > '9' {
			return false
		}
	}
	if last := v[17]; last != 'X' && (last < '0' || last > '9') {
		return false
	}
	d, ok := normal.ParseDate(v[6:14])
	return ok && d.Real() && d.Year >= 1850 && d.Year < 2150
}

// names remembers names by their texts: how one sounds takes long to find out,
// and most names come again. What is remembered is not changed. For one
// goroutine.
type names map[[3]string]normal.Name

// namesKept is how many names are remembered; then all are forgotten.
const namesKept = 1 << 14

func (m names) get(whole, family, given string) normal.Name {
	k := [3]string{whole, family, given}
	n, known := m[k]
	if !known {
		n = name(whole, family, given)
		if len(m) == namesKept {
			clear(m)
		}
		for i := range k {
			k[i] = strings.Clone(k[i]) // not to keep the row
		}
		m[k] = n
	}
	return n
}

// name builds a name. A part that a row leaves out is left out: it is not
// guessed from the other.
func name(whole, family, given string) normal.Name {
	if family == "" && given == "" {
		if f, g, ok := strings.Cut(whole, ","); ok && !strings.Contains(g, ",") {
			return name("", strings.TrimSpace(f), strings.TrimSpace(g))
		}
		return normal.NewName(whole, "", "", "")
	}
	if family != "" {
		return normal.NewName("", family, given, "")
	}
	n := normal.NewName("", "x", given, "")
	n.Family, n.FamilySound, n.FamilyFuzzy, n.Text = "", nil, "", n.Given
	return n
}

func sex(s string) normal.Sex {
	switch strings.ToLower(s) {
	case "m", "male", "man", "1", "男", "男性":
		return normal.Male
	case "f", "female", "woman", "2", "女", "女性":
		return normal.Female
	case "o", "other":
		return normal.OtherSex
	}
	return normal.UnknownSex
}

func (r *row) birth() normal.Date {
	s := r.get(BirthDate)
	d, ok := date(s)
	r.badDate = !ok && s != ""
	return d
}

// date reads FHIR dates, eight digits, and three numbers apart: the year is
// the one of four digits; of the others a number above twelve is the day, and
// the day comes first where both could be. A time of day is passed over.
func date(s string) (normal.Date, bool) {
	s, _, _ = strings.Cut(strings.ReplaceAll(s, "T", " "), " ")
	if d, ok := normal.ParseDate(s); ok {
		return d, true
	}
	parts := strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune("-/.年月日", c) })
	if len(parts) != 3 {
		return normal.Date{}, false
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 || len(p) > 4 {
			return normal.Date{}, false
		}
		n[i] = v
	}
	switch {
	case len(parts[0]) == 4:
		return normal.Date{Year: n[0], Month: n[1] % 100, Day: n[2] % 100}, n[0] > 0
	case len(parts[2]) == 4 && n[1] > 12 && n[0] <= 12:
		return normal.Date{Year: n[2], Month: n[0] % 100, Day: n[1] % 100}, n[2] > 0
	case len(parts[2]) == 4:
		return normal.Date{Year: n[2], Month: n[1] % 100, Day: n[0] % 100}, n[2] > 0
	}
	return normal.Date{}, false
}

// clip bounds what is compared of a text.
func clip(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200])
	}
	return s
}
