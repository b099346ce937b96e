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
// score.Compare, the pairs those that meet under the index's own keys, and what
// the file never shows is as in the built-in model. An error is ErrNothingMet or
// the context's.
func Train(ctx context.Context, records []*normal.Record, version string, now time.Time, o Options) (*score.Model, error) {
	base, err := score.Default()
	if err != nil {
		return nil, err
	}
	lists := byPass(records, now)
	step, met := lists.draw(candidates)
	if len(met) == 0 {
		return nil, ErrNothingMet
	}
	s := score.Sample{Candidates: map[score.Met]int{}, Strangers: map[score.Vector]int{}, Pairs: pairsOf(len(records)) / float64(step)}
	for i, p := range met {
		if i%4096 == 0 {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if o.Progress != nil {
				o.Progress("compare", i, len(met))
			}
		}
		s.Candidates[score.Met{Vector: score.Compare(records[p.a], records[p.b]), By: p.by}]++
	}
	randomPairs(len(records), func(a, b int) { s.Strangers[score.Compare(records[a], records[b])]++ })
	return score.Train(base, s, version), nil
}

// Bounds of the samples that a model is trained on.
const (
	strangers  = 400_000 // random pairs, for u
	candidates = 4_000_000
)

// sample counts the vectors of every so many pairs that met, and of random
// pairs.
func (r *run) sample(compare func(a, b int) score.Vector, met func(i int) score.Vector) score.Sample {
	s := score.Sample{Candidates: map[score.Met]int{}, Strangers: map[score.Vector]int{}}
	step := len(r.pairs)/candidates + 1
	for i := 0; i < len(r.pairs); i += step {
		s.Candidates[score.Met{Vector: met(i)}]++
	}
	r.strangers(func(a, b int) { s.Strangers[compare(a, b)]++ })
	s.Pairs = pairsOf(r.file.Len())
	if r.o.Split > 0 {
		s.Pairs = float64(r.o.Split) * float64(r.file.Len()-r.o.Split)
	}
	s.Pairs /= float64(step)
	return s
}

func pairsOf(n int) float64 { return float64(n) * float64(n-1) / 2 }

// strangers draws pairs, or takes all where they are few.
func (r *run) strangers(take func(a, b int)) {
	randomPairs(r.file.Len(), func(a, b int) {
		if r.across(a, b) {
			take(a, b)
		}
	})
}

func randomPairs(n int, take func(a, b int)) {
	if n*n/2 <= strangers {
		for a := range n {
			for b := a + 1; b < n; b++ {
				take(a, b)
			}
		}
		return
	}
	rng := rand.New(rand.NewPCG(1, 2)) // fixed: the same file gives the same answer
	for range strangers {
		if a, b := rng.IntN(n), rng.IntN(n); a != b {
			take(min(a, b), max(a, b))
		}
	}
}
