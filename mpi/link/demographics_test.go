package link_test

import (
	"slices"
	"testing"

	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/profiles"
)

// known is a record with all that demographics can say.
func known(name, birth, phone, line string, sex normal.Sex, ids ...string) *normal.Record {
	r := rec(name, birth, sex, ids...)
	if phone != "" {
		r.Phones = []string{phone}
	}
	if line != "" {
		r.Addresses = []normal.Address{normal.NewAddress("重庆市", "重庆市", "渝北区", "", line, "")}
	}
	return r
}

// TestDemographics: a region may let demographics link; what no number proves
// still never joins twins, relatives, newborns, unknown patients, or two
// numbers. Without the region's word nothing links so.
func TestDemographics(t *testing.T) {
	t.Parallel()
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	asked, unasked := link.NewRules(m), link.NewRules(m.ForRegion(1_000_000, 0.9999))
	const a, b = "11010519491231002X", "440524188001010014"
	const phone, door, flat = "13812345678", "凤天路12号金科花园3栋2单元405室", "金科花园3栋2-405"
	male := normal.Male
	base := known("覃子墨", "1971-03-09", phone, door, male)
	for _, c := range []struct {
		name  string
		other *normal.Record
		want  bool
	}{
		{"the same", known("覃子墨", "1971-03-09", phone, door, male), true},
		{"the door in other words, another telephone", known("覃子墨", "1971-03-09", "13900000001", flat, male), true},
		{"moved, the telephone kept", known("覃子墨", "1971-03-09", phone, "北滨路9号", male), true},
		{"pinyin", known("Qin Zimo", "1971-03-09", phone, door, male), true},
		{"a slip in the date", known("覃子墨", "1971-03-08", phone, door, male), true},
		{"the Chinese calendar", known("覃子墨", "1971-02-13", phone, door, male), true},
		{"no more than a rare name and the date", known("覃子墨", "1971-03-09", "", "", male), true},
		{"no more than name and date, and no sex", known("覃子墨", "1971-03-09", "", "", 0), false},
		{"a twin", known("覃子涵", "1971-03-09", phone, door, male), false},
		{"the sex mistaken", known("覃子墨", "1971-03-09", phone, door, normal.Female), true},
		{"the sex and the door", known("覃子墨", "1971-03-09", phone, "北滨路9号", normal.Female), false},
		{"the family name behind", known("子墨覃", "1971-03-09", phone, door, male), true},
		{"the characters exchanged, as twins are named", known("覃墨子", "1971-03-09", phone, door, male), false},
		{"another family name", known("陈子墨", "1971-03-09", phone, door, male), true},
		{"no date", known("覃子墨", "", phone, door, male), true},
		{"a twin sister", known("覃子萱", "1971-03-09", phone, door, normal.Female), false},
		{"a child of one house", known("覃子墨", "1999-11-20", phone, door, male), false},
		{"a newborn without a name", known("覃子墨之子", "1971-03-09", phone, door, male), false},
		{"an unknown patient", known("覃子墨", "1971-03-09", phone, door, male, profiles.EmergencyTemp, "E1"), false},
		{"another card", known("覃子墨", "1971-03-09", phone, door, male, profiles.SocialCard, "B00000001"), true},
	} {
		v := unasked.Decide(base, c.other, now)
		if got := v.Kind == link.Link && slices.Contains(v.Reasons, link.SamePerson); got != c.want {
			t.Errorf("%s: %s %v, probability %.6f, %v", c.name, v.Kind, v.Reasons, v.Score.Probability, v.Score.Vector)
		}
		if v := asked.Decide(base, c.other, now); v.Kind == link.Link {
			t.Errorf("%s: linked unasked, though the region has not said so", c.name)
		}
	}
	small, large := link.NewRules(m.ForRegion(20_000, 0.999)), link.NewRules(m.ForRegion(20_000_000, 0.999))
	wang := func() *normal.Record { return known("王伟", "1971-03-09", "", "", male) }
	if v := small.Decide(wang(), wang(), now); v.Kind != link.Link {
		t.Errorf("a common name in a town: %s, probability %.6f", v.Kind, v.Score.Probability)
	}
	if v := large.Decide(wang(), wang(), now); v.Kind == link.Link {
		t.Errorf("a common name in a province: linked, probability %.6f", v.Score.Probability)
	}
	newborn := func(name, number string, order int) *normal.Record {
		r := known(name, "2026-01-25", phone, door, male)
		if number != "" {
			r = known(name, "2026-01-25", phone, door, male, profiles.NewbornTemp, number)
		}
		r.Order, r.Multiple = order, order > 0
		return r
	}
	for _, c := range []struct {
		name        string
		born, named int
		want        bool
	}{{"a single child", 0, 0, true}, {"a twin of the same order", 2, 2, true}, {"a twin of unknown order", 1, 0, false}, {"the other twin", 1, 2, false}} {
		v := unasked.Decide(newborn("贾诗之子", "m1-20260125-1", c.born), newborn("万子墨", "", c.named), now)
		if got := v.Kind == link.Link; got != c.want {
			t.Errorf("newborn, %s: %s %v", c.name, v.Kind, v.Reasons)
		}
	}
	x, y := known("覃子墨", "1971-03-09", phone, door, 0, profiles.CitizenID, a), known("覃子墨", "1971-03-09", phone, door, 0, profiles.CitizenID, b)
	if v := unasked.Decide(x, y, now); v.Kind != link.Never {
		t.Errorf("two citizen ids: %s %v", v.Kind, v.Reasons)
	}
}
