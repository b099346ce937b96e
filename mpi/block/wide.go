package block

import (
	"strconv"
	"strings"
	"time"

	"hutong/mpi/normal"
)

// Wide is Keys and more: for matching whole files in memory, where lists cost
// little and records may be badly damaged. Added are pairs of whatever fields
// survive, and the deletion neighbourhoods of date and numbers, in which two
// values one slip apart meet.
func Wide(r *normal.Record, now time.Time) []Key {
	b := builder{seen: make(map[Key]bool, 96)}
	for _, k := range Keys(r, now) {
		b.seen[k] = true
		b.keys = append(b.keys, k)
	}
	if r.Emergency() {
		return b.keys
	}
	parts := parts(r)
	for i, x := range parts {
		for _, y := range parts[i+1:] {
			if x.field != y.field {
				b.add(ByPart, x.field, x.value, y.field, y.value)
			}
		}
	}
	b.deletions(r)
	return b.keys
}

type part struct{ field, value string }

func parts(r *normal.Record) []part {
	var out []part
	add := func(field, value string) {
		if value != "" && value != "0" {
			out = append(out, part{field, value})
		}
	}
	if n := r.Name(); n != nil {
		for _, f := range n.FamilySound {
			ends(add, "family", normal.FuzzySound(f))
		}
		ends(add, "given", normal.FuzzySound(given(n)[0]))
	}
	add("year", strconv.Itoa(r.Birth.Year))
	add("month", strconv.Itoa(r.Birth.Month))
	add("day", strconv.Itoa(r.Birth.Day))
	ends(add, "birth-place", r.BirthPlace)
	for i := range r.Addresses {
		a := &r.Addresses[i]
		ends(add, "post", a.PostalCode)
		ends(add, "city", a.City+a.District)
		for w := range strings.FieldsSeq(a.Line) {
			ends(add, "word", w)
		}
	}
	return out
}

// ends adds a value and its first and last three characters, one of which
// outlives most slips.
func ends(add func(field, value string), field, value string) {
	add(field, value)
	if r := []rune(value); len(r) > 4 {
		add(field, string(r[:3])+"-")
		add(field, "-"+string(r[len(r)-3:]))
	}
}

// deletions adds the values with each one character left out.
func (b *builder) deletions(r *normal.Record) {
	if r.Birth.Full() {
		initial := ""
		if n := r.Name(); n != nil && n.Family != "" {
			initial = string([]rune(n.Family)[:1])
		}
		b.without("birth"+initial, strings.ReplaceAll(r.Birth.String(), "-", ""))
	}
	for i := range r.IDs {
		b.without("id", r.IDs[i].Value)
	}
	for _, p := range r.Phones {
		b.without("phone", p)
	}
}

func (b *builder) without(field, s string) {
	if len(s) < 6 {
		return
	}
	for i := range s {
		b.add(ByDeletion, field, s[:i]+s[i+1:])
	}
}
