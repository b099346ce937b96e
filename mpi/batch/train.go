package batch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"hutong/mpi/normal"
	"hutong/mpi/score"
)

// ErrNothingMet is of a file from which nothing can be learnt.
var ErrNothingMet = errors.New("no two records have enough in common to be compared: nothing can be learnt")

// Train estimates a model for the index from a file: the levels are those of
// score.Compare, and what the file never shows is as in the built-in model. An
// error is ErrNothingMet or the context's.
func Train(ctx context.Context, records []*normal.Record, version string, now time.Time, o Options) (*score.Model, error) {
	base, err := score.Default()
	if err != nil {
		return nil, err
	}
	file := NewFile(now)
	for _, r := range records {
		file.Add(r)
	}
	r := newRun(file, o)
	if err := r.meet(ctx); err != nil {
		return nil, err
	}
	if len(r.pairs) == 0 {
		return nil, ErrNothingMet
	}
	s := r.sample(func(a, b int) score.Vector { return score.Compare(records[a], records[b]) },
		func(i int) score.Vector {
			return score.Compare(records[r.pairs[i]>>32], records[uint32(r.pairs[i])])
		})
	return score.Train(base, s, version), ctx.Err()
}

// Bounds of the samples that a model is trained on.
const (
	strangers  = 400_000 // random pairs, for u
	candidates = 4_000_000
)

// sample counts the vectors of every so many pairs that met, and of random
// pairs.
func (r *run) sample(compare func(a, b int) score.Vector, met func(i int) score.Vector) score.Sample {
	s := score.Sample{Candidates: map[score.Vector]int{}, Strangers: map[score.Vector]int{}}
	step := len(r.pairs)/candidates + 1
	for i := 0; i < len(r.pairs); i += step {
		s.Candidates[met(i)]++
	}
	r.strangers(func(a, b int) { s.Strangers[compare(a, b)]++ })
	n := float64(r.file.Len())
	s.Pairs = n * (n - 1) / 2
	if r.o.Split > 0 {
		s.Pairs = float64(r.o.Split) * (n - float64(r.o.Split))
	}
	s.Pairs /= float64(step)
	return s
}

// strangers draws pairs, or takes all where they are few.
func (r *run) strangers(take func(a, b int)) {
	n := r.file.Len()
	add := func(a, b int) {
		if a != b && r.across(a, b) {
			take(a, b)
		}
	}
	if n*n/2 <= strangers {
		for a := range n {
			for b := a + 1; b < n; b++ {
				add(a, b)
			}
		}
		return
	}
	rng := rand.New(rand.NewPCG(1, 2)) // fixed: the same file gives the same answer
	for range strangers {
		a, b := rng.IntN(n), rng.IntN(n)
		add(min(a, b), max(a, b))
	}
}
