package score_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/profiles"
)

// anyone draws a record from few values, so that all levels occur.
func anyone(rng *rand.Rand) *normal.Record {
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	r := &normal.Record{Sex: normal.Sex(rng.IntN(4)), BirthPlace: pick("", "paris", "parris", "chongqing"), Occupation: pick("", "sculptor", "painter")}
	r.Birth, _ = normal.ParseDate(pick("", "1980", "1980-05", "1980-05-01", "1980-01-05", "1980-05-02", "1980-01-01", "1991-05-01", "1980-01-01"))
	for range rng.IntN(3) {
		r.Names = append(r.Names, normal.NewName(pick("张伟", "張偉", "Zhang Wei", "wei zhang", "zhangwei", "欧阳修", "李", "王志强", "王自强", "Wang Ziqiang", "买买提·艾山", "李某之子"), "", "", ""))
	}
	if rng.IntN(2) == 0 {
		r.Names = append(r.Names, normal.NewName("", pick("", "smith", "smyth", "anna", "de la cruz"), pick("", "anna", "anna maria", "ana", "smith", "a"), ""))
	}
	for range rng.IntN(3) {
		withID(r, pick(profiles.CitizenID, profiles.SocialCard, profiles.InsuranceNo), pick("11010519491231002X", "110105194912310029", "440524188001010014", "A12345678", "A12345687"))
	}
	for range rng.IntN(3) {
		r.Phones = append(r.Phones, pick("13812345678", "13812345687", "13900000001", "1234567"))
	}
	if rng.IntN(4) > 0 {
		r.Addresses = append(r.Addresses, normal.NewAddress(pick("", "nsw", "vic"), pick("", "重庆市", "st james", "stjames"), pick("", "渝北区"), pick("", "4011", "4012", "401"), pick("", "6 tullaroop street", "6 tularoop street", "解放路12号"), ""))
	}
	return r
}

// TestPeople: records in compact form compare, count and weigh as they do in
// full, whatever was compared before.
func TestPeople(t *testing.T) {
	t.Parallel()
	m, err := score.FileDefault()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(11, 11))
	p, full, persons := score.NewPeople(), []*normal.Record{}, []int{}
	for i := range 400 {
		r := anyone(rng)
		p.Add(r)
		full, persons = append(full, r), append(persons, i/2)
	}
	counted := m.WithFrequency(m.CountPersons(full, persons))
	weigher := m.NewWeigher(p, m.CountPeople(p, persons))
	compare := score.NewComparer(p)
	for range 60_000 {
		a, b := rng.IntN(len(full)), rng.IntN(len(full))
		want := score.CompareFile(full[a], full[b])
		got := compare.Compare(a, b)
		if got.Vector() != want || want.Pack() != got {
			t.Fatalf("got %v, want %v of\n%+v\n%+v", got.Vector(), want, full[a], full[b])
		}
		w := counted.Weigh(want, full[a], full[b])
		if o := weigher.Weigh(got, a, b, math.Inf(-1)); math.Abs(o-w.LogOdds) > 1e-4 || math.Abs(score.Probability(o)-w.Probability) > 1e-4 {
			t.Fatalf("log odds %v, want %v of %v", o, w.LogOdds, want)
		}
		if o := weigher.Weigh(got, a, b, 3); (o < 3) != (w.LogOdds < 3) && math.Abs(w.LogOdds-3) > 1e-4 {
			t.Fatalf("log odds %v, want %v: on the other side of the floor", o, w.LogOdds)
		}
	}
}

// TestCompareAllocatesNothing: a file of a million has ten million pairs. Names
// of one script; between two, spaces are taken out.
func TestCompareAllocatesNothing(t *testing.T) {
	for _, names := range [][]string{{"张伟", "王志强", "王自强", "欧阳修", "强志王"}, {"anna smith", "ana smith", "smith anna", "john doe", "de la cruz"}} {
		p := score.NewPeople()
		for i, n := range names {
			r := person(n, []string{"1980-05-01", "1980-01-05", "1980", "1991-06-13", ""}[i], normal.Male)
			r.Phones = []string{fmt.Sprint("1381234567", i)}
			r.Addresses = []normal.Address{normal.NewAddress("nsw", "重庆市", "渝北区", "4011", []string{"6 tullaroop street", "6 tularoop street", "解放路12号", "解放路15号金科花园3栋", ""}[i], "")}
			p.Add(r)
		}
		c := score.NewComparer(p)
		if n := testing.AllocsPerRun(5, func() {
			for a := range p.Len() {
				for b := range p.Len() {
					c.Compare(a, b)
				}
			}
		}); n > 0 {
			t.Errorf("%s...: %v allocations", names[0], n)
		}
	}
}
