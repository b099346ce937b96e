package score

import (
	"strings"

	"hutong/mpi/normal"
)

// citizens compares the citizen ids of two records: equal beats all, two valid
// ones that differ are different people.
func citizens(a, b *normal.Record) Level {
	best := Silent
	for i := range a.IDs {
		for j := range b.IDs {
			x, y := &a.IDs[i], &b.IDs[j]
			if x.Kind != normal.Citizen || y.Kind != normal.Citizen {
				continue
			}
			if l := citizenPair(x, y); best == Silent || l < best {
				best = l
			}
		}
	}
	return best
}

func citizenPair(x, y *normal.Identifier) Level {
	switch {
	case x.Value == y.Value && x.Valid:
		return CitizenEqual
	case x.Value == y.Value:
		return CitizenInvalid
	case x.Valid != y.Valid && slip(x.Value, y.Value):
		return CitizenRepaired
	}
	return CitizenDifferent
}

// Equal lists the strong identifiers, other than citizen ids, that two records
// share. Numbers that are one number under two systems (a health card that
// repeats the citizen id) count once.
func Equal(a, b *normal.Record) []normal.Identifier {
	var out []normal.Identifier
	citizenA, citizenB := a.CitizenID(), b.CitizenID()
	for i := range a.IDs {
		for j := range b.IDs {
			x, y := &a.IDs[i], &b.IDs[j]
			if x.Kind.Strong() && x.Kind != normal.Citizen && x.Valid && *x == withEnd(*y, x.Ended) && x.Value != citizenA && x.Value != citizenB && !counted(out, x.Value) {
				out = append(out, *x)
			}
		}
	}
	return out
}

func counted(ids []normal.Identifier, value string) bool {
	for i := range ids {
		if ids[i].Value == value {
			return true
		}
	}
	return false
}

func withEnd(i normal.Identifier, ended bool) normal.Identifier {
	i.Ended = ended
	return i
}

func cards(a, b *normal.Record) Level {
	switch n := len(Equal(a, b)); {
	case n >= 2:
		return CardsSeveral
	case n == 1:
		return CardsOne
	}
	best := Silent
	for i := range a.IDs {
		for j := range b.IDs {
			if l := cardPair(&a.IDs[i], &b.IDs[j]); l != Silent && (best == Silent || l < best) {
				best = l
			}
		}
	}
	return best
}

// cardPair compares two numbers of one system. An ended card says nothing
// against: cards change, people do not. Hospitals' own numbers say nothing
// against either, since a hospital may register a person twice.
func cardPair(x, y *normal.Identifier) Level {
	if !x.Kind.Strong() || x.Kind == normal.Citizen || x.Kind == normal.MRN || x.System != y.System || x.Value == y.Value || x.Ended || y.Ended {
		return Silent
	}
	if len(x.Value) >= 6 && slip(x.Value, y.Value) {
		return CardsSlip
	}
	return CardsDifferent
}

func phones(a, b []string) Level {
	best := Silent
	for _, x := range a {
		for _, y := range b {
			switch {
			case x == y:
				return Same
			case len(x) >= 8 && slip(x, y):
				best = Near
			case best == Silent:
				best = Different
			}
		}
	}
	return best
}

func addresses(a, b []normal.Address) (line, place Level) {
	for i := range a {
		for j := range b {
			if l := lines(a[i].Line, b[j].Line); l != Silent && (line == Silent || l < line) {
				line = l
			}
			if p := places(&a[i], &b[j]); p != Silent && (place == Silent || p < place) {
				place = p
			}
		}
	}
	return line, place
}

func lines(a, b string) Level {
	if a == "" || b == "" {
		return Silent
	}
	if a == b {
		return PlaceExact
	}
	switch slip, d, jw, _ := likenesses(a, b); {
	case d >= 0.7 || slip || jw >= 0.92 || within(a, b) || sameDoor(a, b):
		return PlaceClose
	case d >= 0.4:
		return PlaceRegion
	}
	return PlaceDifferent
}

// within reports a line that is the beginning or the end of the other, its
// house number complete: 凤天路12 of 凤天路12金科花园3栋.
func within(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < 10 || !strings.ContainsAny(a, "0123456789") {
		return false
	}
	rest, begins := strings.CutPrefix(b, a)
	return begins && !digit(rest[0]) || strings.HasSuffix(b, a)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// sameDoor reports two ways to write one flat: the last two numbers or more
// agree, the last is that of a room, and so do the characters before them:
// 渝北区金科花园12栋3 405 and 学府大道25金科花园12栋3单元405.
func sameDoor(a, b string) bool {
	var bufA, bufB [8]span
	x, y := spans(bufA[:0], a), spans(bufB[:0], b)
	same := 0
	for same < min(len(x), len(y)) && x[len(x)-1-same].in(a) == y[len(y)-1-same].in(b) {
		same++
	}
	if same < 2 || x[len(x)-1].to-x[len(x)-1].from < 3 {
		return false
	}
	a, b = a[:x[len(x)-same].from], b[:y[len(y)-same].from]
	const characters = 2 * 3 // bytes
	return len(a) >= characters && len(b) >= characters && a[len(a)-characters:] == b[len(b)-characters:]
}

// SameFlat reports lines in comparison form that give one flat: street or estate,
// building and room.
func SameFlat(a, b string) bool { return sameDoor(a, b) }

// span is where a number stands in a text.
type span struct{ from, to int }

func (s span) in(text string) string { return text[s.from:s.to] }

func spans(out []span, s string) []span {
	for i := 0; i < len(s); i++ {
		if !digit(s[i]) {
			continue
		}
		from := i
		for i < len(s) && digit(s[i]) {
			i++
		}
		if len(out) == cap(out) {
			return out[:0] // more numbers than an address has
		}
		out = append(out, span{from, i})
	}
	return out
}

func places(a, b *normal.Address) Level {
	post := part(a.PostalCode, b.PostalCode)
	district := part(a.District, b.District)
	city := part(a.City, b.City)
	state := part(a.State, b.State)
	switch {
	case post == Silent && district == Silent && city == Silent && state == Silent:
		return Silent
	case (post == PlaceExact || district == PlaceExact) && city != PlaceDifferent:
		return PlaceExact
	case post <= PlaceClose && post != Silent || district <= PlaceClose && district != Silent || city == PlaceExact && post != PlaceDifferent && district != PlaceDifferent:
		return PlaceClose
	case city != Silent && city <= PlaceClose || state == PlaceExact && city == Silent && district == Silent:
		return PlaceRegion
	}
	return PlaceDifferent
}

func part(a, b string) Level {
	switch {
	case a == "" || b == "":
		return Silent
	case a == b:
		return PlaceExact
	}
	if slip, _, jw, shorter := likenesses(a, b); shorter >= 3 && (slip || jw >= 0.9) {
		return PlaceClose
	}
	return PlaceDifferent
}
