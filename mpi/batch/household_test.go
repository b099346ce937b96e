package batch_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"hutong/mpi/batch"
	"hutong/mpi/normal"
)

// households draws families of two to four who share family name, address and
// telephone, each person twice, the second time with slips and gaps.
func households(n int, seed uint64) *set {
	rng := rand.New(rand.NewPCG(seed, seed))
	word := func(parts int) string {
		w := ""
		for range parts {
			w += string("bdfgklmnprst"[rng.IntN(12)]) + string("aeiou"[rng.IntN(5)])
		}
		return w
	}
	given := make([]string, 300)
	for i := range given {
		given[i] = word(2 + i%2)
	}
	s := &set{}
	for home := range n {
		family, street, town := word(3), fmt.Sprintf("%d %s street", 1+rng.IntN(99), word(3)), word(4)
		post, phone := fmt.Sprint(1000+rng.IntN(8000)), fmt.Sprintf("02%08d", rng.IntN(1e8))
		for member := range 2 + rng.IntN(3) {
			name := given[rng.IntN(len(given))]
			born := normal.Date{Year: 1930 + rng.IntN(80), Month: 1 + rng.IntN(12), Day: 2 + rng.IntN(27)}
			for again := range 2 {
				r := &normal.Record{Names: []normal.Name{normal.NewName("", family, name, "")}, Birth: born, Phones: []string{phone}}
				if again == 1 && rng.IntN(4) == 0 {
					r.Birth.Day = 1 + rng.IntN(28)
				}
				if again == 1 && rng.IntN(4) == 0 {
					r.Names[0] = normal.NewName("", family, name+"s", "")
				}
				r.Addresses = []normal.Address{normal.NewAddress("", town, "", post, street, "")}
				s.records = append(s.records, r)
				s.truth = append(s.truth, fmt.Sprint(home, "-", member))
			}
		}
	}
	return s
}

// TestHouseholds: a whole address in common is one agreement, not five, so
// relatives stay apart.
func TestHouseholds(t *testing.T) {
	t.Parallel()
	s := households(250, 3)
	r, err := batch.Match(t.Context(), s.file(), batch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, recall := s.measure(r)
	t.Logf("%d records, precision %.4f recall %.4f", len(s.records), p, recall)
	if p < 0.99 || recall < 0.97 {
		t.Errorf("precision %.4f recall %.4f", p, recall)
	}
}
