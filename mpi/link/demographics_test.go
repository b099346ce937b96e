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
	asked, unasked := link.NewRules(m), link.NewRules(m.ForRegion(1_000_000, 0.999))
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
		{"no more than name and date, and no sex", known("覃子墨", "1971-03-09", "", "", 0), true},
		{"a twin", known("覃子涵", "1971-03-09", phone, door, male), false},
		{"the sex mistaken", known("覃子墨", "1971-03-09", phone, door, normal.Female), true},
		{"the sex and the door", known("覃子墨", "1971-03-09", phone, "北滨路9号", normal.Female), true},
		{"the sex, the telephone and the door", known("覃子墨", "1971-03-09", "13900000001", "北滨路9号", normal.Female), false},
		{"the family name behind", known("子墨覃", "1971-03-09", phone, door, male), true},
		{"the characters exchanged", known("覃墨子", "1971-03-09", phone, door, male), true},
		{"the characters exchanged, another house", known("覃墨子", "1971-03-09", "13900000001", "北滨路9号", male), false},
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

// TestNewbornByDoor: the mother's telephone is another by now, or nobody wrote it
// down; the line of the address tells, where it is rare enough in the region.
func TestNewbornByDoor(t *testing.T) {
	t.Parallel()
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	town, province := link.NewRules(m.ForRegion(20_000, 0.99)), link.NewRules(m.ForRegion(20_000_000, 0.99))
	born := known("贾诗之子", "2026-01-25", "13812345678", "凤天路12号金科花园3栋2单元405室", normal.Male, profiles.NewbornTemp, "m1-20260125-1")
	road := known("万子墨", "2026-01-25", "13900000001", "凤天路12号", normal.Male)
	flat := known("万子墨", "2026-01-25", "13900000001", "金科花园3栋2-405", normal.Male)
	sister := known("万子墨", "2026-01-25", "13900000001", "凤天路12号", normal.Female)
	elsewhere := known("万子墨", "2026-01-25", "13900000001", "北滨路9号", normal.Male)
	for _, c := range []struct {
		name  string
		rules *link.Rules
		other *normal.Record
		want  bool
	}{
		{"the flat", town, flat, true}, {"the flat, in a province", province, flat, true},
		{"the house", town, road, true}, {"the house, in a province", province, road, false},
		{"the house, a girl", town, sister, false}, {"another house", town, elsewhere, false},
	} {
		if v := c.rules.Decide(born, c.other, now); (v.Kind == link.Link) != c.want {
			t.Errorf("%s: %s %v, probability %.6f", c.name, v.Kind, v.Reasons, v.Score.Probability)
		}
	}
}

// TestMistakenSex: one valid citizen id on two records of which one contradicts
// its digit 17. A region that lets probability link takes the id's word; without
// it, and where name or both records contradict, humans look (ID-11).
func TestMistakenSex(t *testing.T) {
	t.Parallel()
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	asked, unasked := link.NewRules(m), link.NewRules(m.ForRegion(20_000, 0.99))
	const id = "11010519491231002X" // of a woman
	of := func(name string, sex normal.Sex) *normal.Record {
		return known(name, "1949-12-31", "13812345678", "", sex, profiles.CitizenID, id)
	}
	her := of("覃子墨", normal.Female)
	for _, c := range []struct {
		name  string
		a, b  *normal.Record
		rules *link.Rules
		want  link.Kind
	}{
		{"one record mistaken", her, of("覃子墨", normal.Male), unasked, link.Link},
		{"one record mistaken, the region silent", her, of("覃子墨", normal.Male), asked, link.Review},
		{"both contradict the id", of("覃子墨", normal.Male), of("覃子墨", normal.Male), unasked, link.Review},
		{"another name", her, of("陈浩", normal.Male), unasked, link.Review},
	} {
		v := c.rules.Decide(c.a, c.b, now)
		if v.Kind != c.want || !slices.Contains(v.Reasons, link.SexContradicts) {
			t.Errorf("%s: %s %v, want %s", c.name, v.Kind, v.Reasons, c.want)
		}
	}
}

// TestExchangedCharacters: 子墨 and 墨子 under one roof are a slip, unless a twin is
// stated, or each order has a citizen id of its own: then the record without one
// goes to the child whose name it bears, and the two stay apart.
func TestExchangedCharacters(t *testing.T) {
	t.Parallel()
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	rules := link.NewRules(m.ForRegion(20_000, 0.99))
	const phone, door = "13812345678", "凤天路12号金科花园3栋2单元405室"
	of := func(name string, ids ...string) *normal.Record {
		return known(name, "1949-12-31", phone, door, normal.Female, ids...)
	}
	stated := of("覃子墨")
	stated.Multiple = true
	if v := rules.Decide(stated, of("覃墨子"), now); v.Kind == link.Link {
		t.Errorf("a twin is stated: %s %v", v.Kind, v.Reasons)
	}
	records := map[string]*normal.Record{"a": of("覃子墨", profiles.CitizenID, "11010519491231002X"), "b": of("覃墨子", profiles.CitizenID, "110105194912310089"), "c": of("覃墨子")}
	if got := records["b"].CitizenID(); got == "" {
		t.Fatal("the second number is not valid")
	}
	var edges []link.Edge
	for _, p := range [][2]string{{"a", "b"}, {"a", "c"}, {"b", "c"}} {
		if v := rules.Decide(records[p[0]], records[p[1]], now); v.Kind == link.Link {
			edges = append(edges, link.Edge{A: p[0], B: p[1], Weight: v.Score.Weight})
		}
	}
	groups, _ := link.Partition([]string{"a", "b", "c"}, edges, func(a, b string, _ bool) link.Relation {
		return rules.Relate(records[a], records[b], link.Life{}, link.Life{})
	})
	if len(edges) != 2 || len(groups) != 2 || len(groups[1]) != 2 || groups[0][0] != "a" {
		t.Errorf("edges %v, persons %v; want a alone, b with c", edges, groups)
	}
}
