package score

import (
	"strings"

	"hutong/mpi/normal"
)

// Compare holds two records against each other, field by field. It is
// symmetric: Compare(a, b) equals Compare(b, a).
func Compare(a, b *normal.Record) Vector {
	var v Vector
	v[Family], v[Given] = names(a, b)
	v[Birth] = births(a.Birth, b.Birth)
	v[Sex] = sexes(a.Sex, b.Sex)
	v[Citizen] = citizens(a, b)
	v[Cards] = cards(a, b)
	v[Phone] = phones(a.Phones, b.Phones)
	v[Line], v[Place] = addresses(a.Addresses, b.Addresses)
	return v
}

// names takes the best agreement of any two names of the records: people have
// former names, aliases, and a spelling in pinyin.
func names(a, b *normal.Record) (family, given Level) {
	for i := range a.Names {
		for j := range b.Names {
			if !a.Names[i].Usable() || !b.Names[j].Usable() {
				continue
			}
			f, g := namePair(&a.Names[i], &b.Names[j])
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

// rank orders pairs of levels, the best first; silence costs less than a
// difference.
func rank(l Level) int {
	switch l {
	case Silent:
		return int(NameClose)
	case NameRemote:
		l = NameSwapped
	case NameLook:
		l = NameFuzzy
	case NameKin:
		l = NameTypo
	}
	return int(l) * int(l)
}

func namePair(a, b *normal.Name) (family, given Level) {
	if a.Text == b.Text || strings.ReplaceAll(a.Text, " ", "") == strings.ReplaceAll(b.Text, " ", "") {
		return whole(a, b, NameExact)
	}
	if a.Family == "" || b.Family == "" { // a dotted name: one whole
		return Silent, spelled(a.Text, b.Text, plain(a), plain(b), false)
	}
	if a.Han() != b.Han() && joined(a, b) {
		return NameSound, NameSound
	}
	family, given = familyLevel(a, b), givenLevel(a, b)
	if rank(family)+rank(given) > rank(NameDifferent) && swapped(a, b) {
		return NameSwapped, NameSwapped
	}
	return family, given
}

// whole gives both parts a level where the full names agree, however they are
// divided.
func whole(a, b *normal.Name, l Level) (family, given Level) {
	if a.Given == "" && b.Given == "" && a.Family != "" {
		return l, Silent
	}
	return l, l
}

// joined reports whether one name is the other's pinyin, however it is spaced:
// 张伟 and zhangwei.
func joined(a, b *normal.Name) bool {
	if b.Han() {
		a, b = b, a
	}
	letters := strings.ReplaceAll(b.Text, " ", "")
	for _, f := range a.FamilySound {
		if rest, ok := strings.CutPrefix(letters, f); ok {
			for _, g := range a.GivenSound {
				if g.Plain == rest {
					return true
				}
			}
		}
	}
	return false
}

// swapped reports family and given name exchanged: the same characters, or
// between two scripts the same sounds. Two Chinese names whose sounds alone are
// exchanged (贾莉, 李佳) are two names. A Chinese name of three characters with
// the family name behind is divided in the wrong place: 浩宇王 is 王浩宇.
func swapped(a, b *normal.Name) bool {
	if a.Given == "" || b.Given == "" {
		return false
	}
	if a.Han() && b.Han() && (a.Given+a.Family == b.Family+b.Given || b.Given+b.Family == a.Family+a.Given) {
		return true
	}
	return a.Family == b.Given && b.Family == a.Given || !(a.Han() && b.Han()) && crossSound(a, b)
}

func crossSound(a, b *normal.Name) bool {
	return soundsLike(a.FamilySound, b.GivenSound) && soundsLike(b.FamilySound, a.GivenSound)
}

func soundsLike(family []string, given []normal.Reading) bool {
	for _, f := range family {
		for _, g := range given {
			if f == g.Plain {
				return true
			}
		}
	}
	return false
}

func familyLevel(a, b *normal.Name) Level {
	switch {
	case a.Family == "" || b.Family == "":
		return Silent
	case a.Family == b.Family:
		return NameExact
	}
	for _, x := range a.FamilySound {
		for _, y := range b.FamilySound {
			if x == y {
				return NameSound
			}
		}
	}
	return spelled(a.Family, b.Family, firstOf(a.FamilySound), firstOf(b.FamilySound), a.FamilyFuzzy != "" && a.FamilyFuzzy == b.FamilyFuzzy)
}

func givenLevel(a, b *normal.Name) Level {
	switch {
	case a.Given == "" || b.Given == "":
		return Silent
	case a.Given == b.Given:
		return NameExact
	}
	for _, x := range a.GivenSound {
		for _, y := range b.GivenSound {
			if x.Plain == y.Plain {
				return NameSound
			}
		}
	}
	return spelled(a.Given, b.Given, plain(a), plain(b), a.GivenFuzzy != "" && a.GivenFuzzy == b.GivenFuzzy)
}

func firstOf(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}

func plain(n *normal.Name) string {
	if len(n.GivenSound) == 0 {
		return ""
	}
	return n.GivenSound[0].Plain
}

// spelled compares two unequal name parts by their sounds and letters; fuzzy
// says that their sounds are easily confused.
func spelled(a, b, soundA, soundB string, fuzzy bool) Level {
	var bufA, bufB [32]rune
	ra, rb := appendRunes(bufA[:0], a), appendRunes(bufB[:0], b)
	hanA, hanB := normal.IsHan(ra[0]), normal.IsHan(rb[0])
	if (hanA || hanB) && fuzzy {
		return NameFuzzy
	}
	if hanA && hanB {
		return hanLevel(ra, rb)
	}
	if hanA || hanB {
		ra, rb = appendRunes(bufA[:0], soundA), appendRunes(bufB[:0], soundB)
	}
	return latinLevel(ra, rb)
}

// hanLevel: of two or more characters one may be mistyped; a single character
// that differs is another name.
func hanLevel(a, b []rune) Level {
	if len(a) == len(b) && lookAlike(a, b) {
		return NameLook
	}
	if len(a) >= 2 && len(b) >= 2 && oneSlip(a, b) {
		if len(a) == len(b) && differing(a, b) == 1 {
			return NameKin
		}
		return NameTypo
	}
	for _, r := range a {
		for _, s := range b {
			if r == s && max(len(a), len(b)) >= 2 {
				return NameClose
			}
		}
	}
	return NameDifferent
}

func differing(a, b []rune) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// lookAlike reports texts of one length that differ in one character, by its
// look.
func lookAlike(a, b []rune) bool {
	differ := -1
	for i := range a {
		if a[i] != b[i] {
			if differ >= 0 {
				return false
			}
			differ = i
		}
	}
	return differ >= 0 && normal.LookAlike(a[differ], b[differ])
}

func latinLevel(a, b []rune) Level {
	shorter := min(len(a), len(b))
	switch {
	case shorter == 0:
		return Silent
	case shorter == 1 && a[0] == b[0]:
		return NameClose
	case shorter >= 3 && oneSlip(a, b):
		return NameTypo
	case shorter >= 3 && jaroWinkler(a, b) >= 0.85:
		return NameClose
	}
	return NameDifferent
}

func sexes(a, b normal.Sex) Level {
	switch {
	case a == normal.UnknownSex || b == normal.UnknownSex:
		return Silent
	case a == b:
		return Same
	}
	return Different
}

func births(a, b normal.Date) Level {
	switch {
	case a.Year == 0 || b.Year == 0:
		return Silent
	case a == b && a.Full():
		return BirthExact
	case !a.Full() || !b.Full():
		return partial(a, b)
	case a.Year == b.Year && a.Month == b.Day && a.Day == b.Month:
		return BirthSwapped
	case dateSlip(a, b):
		return BirthSlip
	case normal.Lunar(a, b) || normal.Lunar(b, a):
		return BirthLunar
	case a.Year == b.Year && (a.Defaulted() || b.Defaulted()):
		return BirthPartial
	case a.Year == b.Year:
		return BirthYear
	case a.Month == b.Month && a.Day == b.Day && abs(a.Year-b.Year) <= 10:
		return BirthYear
	}
	return BirthDifferent
}

func partial(a, b normal.Date) Level {
	if a.Year != b.Year || a.Month != b.Month && a.Month != 0 && b.Month != 0 {
		return BirthDifferent
	}
	return BirthPartial
}

func abs(n int) int { return max(n, -n) }

// better prefers the pair of levels that agrees more; equal sums are told
// apart by the family name, so that the order of the records does not matter.
func better(f, g, family, given Level) bool {
	if family == Silent && given == Silent {
		return true
	}
	now, best := rank(f)+rank(g), rank(family)+rank(given)
	return now < best || now == best && f < family
}

// dateSlip reports dates that are one typing slip apart when written as eight
// digits.
func dateSlip(a, b normal.Date) bool {
	x, y := eight(a), eight(b)
	return oneSlip(x[:], y[:])
}

func eight(d normal.Date) (out [8]rune) {
	n := d.Year*10000 + d.Month*100 + d.Day
	for i := 7; i >= 0; i-- {
		out[i] = rune('0' + n%10)
		n /= 10
	}
	return out
}
