package score_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/profiles"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func person(name, birth string, sex normal.Sex) *normal.Record {
	r := &normal.Record{Names: []normal.Name{normal.NewName(name, "", "", "")}, Sex: sex}
	r.Birth, _ = normal.ParseDate(birth)
	return r
}

func withID(r *normal.Record, system, value string) *normal.Record {
	id, ok := normal.NewIdentifier(normal.RawIdentifier{System: system, Value: value}, "org", now)
	if !ok {
		panic("not an identifier: " + value)
	}
	r.IDs = append(r.IDs, id)
	return r
}

func TestNameLevels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b          string
		family, given string
	}{
		{"张伟", "张伟", "exact", "exact"},
		{"張偉", "张伟", "exact", "exact"},
		{"张伟", "Zhang Wei", "sound", "sound"},
		{"张伟", "zhangwei", "sound", "sound"},
		{"张伟", "张炜", "exact", "sound"},
		{"单雄信", "Shan Xiongxin", "sound", "sound"},
		{"吕布", "Lyu Bu", "sound", "sound"},
		{"陈大文", "Chan Tai Man", "sound", "sound"},
		{"张志强", "张自强", "exact", "fuzzy"},
		{"张志强", "张志雄", "exact", "kin"},
		{"张志强", "张强志", "exact", "typo"},
		{"王己明", "王已明", "exact", "lookalike"},
		{"王大明", "王犬明", "exact", "lookalike"},
		{"贾莉", "李佳", "different", "different"},
		{"张伟", "Wei Zhang", "swapped", "swapped"},
		{"伟张", "张伟", "swapped", "swapped"},
		{"怡怡韩", "韩怡怡", "swapped", "swapped"},
		{"叶华", "yip wah", "sound", "sound"},
		{"张伟", "李娜", "different", "different"},
		{"john smith", "jon smith", "exact", "typo"},
		{"john smith", "j smith", "exact", "close"},
		{"买买提·艾山", "买买提艾山", "exact", "exact"},
		{"买买提・艾山", "买买提·艾山", "exact", "exact"},
		{"买买提·艾山", "买买提·艾三", "silent", "kin"},
	} {
		a, b := person(c.a, "", 0), person(c.b, "", 0)
		v := score.Compare(a, b)
		f, g := score.Family.LevelName(v[score.Family]), score.Given.LevelName(v[score.Given])
		if f != c.family || g != c.given {
			t.Errorf("%s / %s: got %s %s, want %s %s", c.a, c.b, f, g, c.family, c.given)
		}
	}
}

func TestBirthLevels(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"1980-05-01", "1980-05-01", "exact"}, {"1980-05-01", "1980-01-05", "swapped"}, {"1980-05-01", "1980-05-07", "slip"},
		{"1980-05-01", "1980-50-01", "slip"}, {"1980-05-01", "1980-05", "partial"}, {"1980", "1980-05-01", "partial"}, {"1980-05-13", "1980-01-01", "partial"},
		{"1980-05-13", "1980-11-27", "year"}, {"1980-05-13", "1982-05-13", "slip"}, {"1980-05-13", "1991-06-13", "different"}, {"1980-06", "1980-05", "different"}, {"", "1980-05-01", "silent"},
	} {
		a, b := person("", c[0], 0), person("", c[1], 0)
		if got := score.Birth.LevelName(score.Compare(a, b)[score.Birth]); got != c[2] {
			t.Errorf("%s / %s: got %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestNumberLevels(t *testing.T) {
	t.Parallel()
	const valid, typo = "11010519491231002X", "11010519491231003X"
	base := func() *normal.Record { return person("张伟", "1949-12-31", normal.Female) }
	for _, c := range []struct {
		name string
		a, b *normal.Record
		f    score.Field
		want string
	}{
		{"equal", withID(base(), profiles.CitizenID, valid), withID(base(), profiles.CitizenID, "110105491231002"), score.Citizen, "equal"},
		{"repaired", withID(base(), profiles.CitizenID, valid), withID(base(), profiles.CitizenID, typo), score.Citizen, "repaired"},
		{"invalid", withID(base(), profiles.CitizenID, typo), withID(base(), profiles.CitizenID, typo), score.Citizen, "invalid-equal"},
		{"other", withID(base(), profiles.CitizenID, valid), withID(base(), profiles.CitizenID, "440524188001010014"), score.Citizen, "different"},
		{"one card", withID(base(), profiles.SocialCard, "A12345678"), withID(base(), profiles.SocialCard, "a12345678"), score.Cards, "one"},
		{"a slip", withID(base(), profiles.SocialCard, "A12345678"), withID(base(), profiles.SocialCard, "A12345687"), score.Cards, "slip"},
		{"the citizen id as health card is no second card", withID(withID(base(), profiles.CitizenID, valid), profiles.HealthCard, valid), withID(withID(base(), profiles.CitizenID, valid), profiles.HealthCard, valid), score.Cards, "silent"},
	} {
		if got := c.f.LevelName(score.Compare(c.a, c.b)[c.f]); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestSymmetry holds Compare to its promise on random, damaged records.
func TestSymmetry(t *testing.T) {
	t.Parallel()
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	texts := []string{"张伟", "張偉", "Zhang Wei", "wei zhang", "欧阳修", "李", "", "王志强", "Wang Ziqiang", "John Smith", "买买提·艾山", "smith"}
	random := func() *normal.Record {
		r := person(texts[rng.IntN(len(texts))], []string{"", "1980", "1980-05-01", "1980-01-05", "1980-05-02"}[rng.IntN(5)], normal.Sex(rng.IntN(4)))
		r.Names = append(r.Names, normal.NewName(texts[rng.IntN(len(texts))], "", "", ""))
		for range rng.IntN(3) {
			withID(r, []string{profiles.CitizenID, profiles.SocialCard, profiles.InsuranceNo}[rng.IntN(3)], []string{"11010519491231002X", "110105194912310029", "A12345678", "A12345687"}[rng.IntN(4)])
		}
		r.Phones = [][]string{nil, {"13812345678"}, {"13812345679", "13900001111"}}[rng.IntN(3)]
		r.Addresses = []normal.Address{normal.NewAddress("重庆", "", []string{"渝中区", "渝北区"}[rng.IntN(2)], "", []string{"中山路12号", "中山路13号", ""}[rng.IntN(3)], "")}
		return r
	}
	for range 5000 {
		a, b := random(), random()
		if v, w := score.CompareFile(a, b), score.CompareFile(b, a); v != w {
			t.Fatalf("not symmetric for files: %v %v for %+v and %+v", v, w, a, b)
		}
		x, y := m.Score(a, b), m.Score(b, a)
		if x.Vector != y.Vector || x.Weight != y.Weight {
			t.Fatalf("not symmetric: %v %v for %+v and %+v", x, y, a, b)
		}
		if !(x.Probability >= 0 && x.Probability <= 1) {
			t.Fatalf("probability %v", x.Probability)
		}
	}
}

func TestRareNamesWeighMore(t *testing.T) {
	t.Parallel()
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	common := m.Score(person("王伟", "1980-05-01", 1), person("王伟", "1980-05-01", 1))
	rare := m.Score(person("亓官昊穹", "1980-05-01", 1), person("亓官昊穹", "1980-05-01", 1))
	if rare.Weight < common.Weight+5 {
		t.Errorf("rare %.2f, common %.2f", rare.Weight, common.Weight)
	}
	e := m.Explain(score.Family, person("王伟", "", 0), person("王伟", "", 0), &common)
	if e.Words.ZH != "完全相同；约每 14 人中有 1 人如此" || e.A != "王" || e.Level != "exact" {
		t.Errorf("%+v", e)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{`{`, `{}`, `{"version":"x","prior":0.1,"fields":{}}`} {
		if _, err := score.Load([]byte(doc)); err == nil {
			t.Errorf("%s was accepted", doc)
		}
	}
}

// TestTrain recovers rates from vectors drawn with known ones.
func TestTrain(t *testing.T) {
	t.Parallel()
	base, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	draw := func(exact float64) score.Level {
		if rng.Float64() < exact {
			return 1
		}
		return 3
	}
	s := score.Sample{Candidates: map[score.Met]int{}, Strangers: map[score.Vector]int{}, Pairs: 20000}
	vector := func(match bool) score.Vector {
		var v score.Vector
		p := 0.1
		if match {
			p = 0.8
		}
		v[score.Sex] = draw(map[bool]float64{true: 0.99, false: 0.5}[match])
		v[score.Phone], v[score.Birth] = draw(p), draw(p)
		v[score.Cards] = draw(p)
		if v[score.Cards] == 3 {
			v[score.Cards] = score.CardsDifferent
		}
		if v[score.Birth] == 3 {
			v[score.Birth] = score.BirthDifferent
		}
		return v
	}
	for i := range 20000 {
		s.Candidates[score.Met{Vector: vector(i%4 == 0)}]++
		s.Strangers[vector(false)]++
	}
	m := score.Train(base, s, "test")
	if got := m.Rates(score.Phone, score.Same).M; got < 0.7 || got > 0.9 {
		t.Errorf("m of phone: %.3f, drawn with 0.8", got)
	}
	if got := m.Rates(score.Phone, score.Same).U; got < 0.08 || got > 0.12 {
		t.Errorf("u of phone: %.3f, drawn with 0.1", got)
	}
}

// TestFileLevels: what is compared more finely in files than in the index.
func TestFileLevels(t *testing.T) {
	t.Parallel()
	named := func(family, given, birth string) *normal.Record {
		r := person("", birth, 0)
		r.Names = []normal.Name{normal.NewName("", family, given, "")}
		return r
	}
	for _, c := range []struct {
		a, b *normal.Record
		f    score.Field
		want string
	}{
		{named("white", "dylan", ""), named("dyoan", "white", ""), score.Family, "swapped"},
		{named("white", "dylan", ""), named("dyoan", "white", ""), score.Given, "swapped"},
		{named("mc donald", "anna", ""), named("mcdonald", "anna maria", ""), score.Family, "exact"},
		{named("mc donald", "anna", ""), named("mcdonald", "anna maria", ""), score.Given, "close"},
		{named("hendrix", "a", ""), named("hendricks", "annabel", ""), score.Given, "close"},
		{named("x", "y", "1961-05-19"), named("x", "y", "1976-05-19"), score.Birth, "near"},
		{named("x", "y", "1961-01-01"), named("x", "y", "1961-01-01"), score.Birth, "partial"},
		{named("x", "y", "1961-05-19"), named("x", "y", "1976-03-06"), score.Birth, "different"},
	} {
		for _, v := range []score.Vector{score.CompareFile(c.a, c.b), score.CompareFile(c.b, c.a)} {
			if got := c.f.LevelName(v[c.f]); got != c.want {
				t.Errorf("%s of %s, %s and %s, %s: got %s, want %s", c.f, c.a.Names[0].Text, c.a.Birth, c.b.Names[0].Text, c.b.Birth, got, c.want)
			}
		}
	}
}

func BenchmarkScore(b *testing.B) {
	m, err := score.Default()
	if err != nil {
		b.Fatal(err)
	}
	x := withID(person("张志强", "1980-05-01", 1), profiles.CitizenID, "11010519491231002X")
	y := withID(person("张自强", "1980-05-02", 1), profiles.SocialCard, "A12345678")
	x.Phones, y.Phones = []string{"13812345678"}, []string{"13900001111"}
	x.Addresses = []normal.Address{normal.NewAddress("重庆", "", "渝中区", "", "中山路12号", "")}
	y.Addresses = []normal.Address{normal.NewAddress("重庆", "", "渝中区", "", "解放路7号3栋", "")}
	b.ReportAllocs()
	for range b.N {
		m.Score(x, y)
	}
}
