// Package batch matches a whole file of records at once, without labels: it
// estimates the weights from the data, scores every pair that meets in a block
// and divides the records into persons. It uses the same normal forms, blocks
// and comparisons as the index.
package batch

import (
	"cmp"
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"hutong/mpi/normal"
	"hutong/mpi/score"
)

// Options of a run.
type Options struct {
	// Split, if > 0, is the index of the first record of a second file: only
	// pairs across the two files count.
	Split int
	// OneToOne assigns at most one partner each (with Split).
	OneToOne bool
	// Auto is the probability from which a pair is linked; 0 is 0.5.
	Auto float64
	// Possible is the probability from which a pair is reported; 0 is 0.1.
	Possible float64
	Now      time.Time
	// Progress, if not nil, is told now and then how far a stage is; a total of
	// 0 is not known.
	Progress func(stage string, done, total int)
}

// Pair is a scored pair of records, by index. A < B.
type Pair struct {
	A, B        int
	Probability float64
	Weight      float64 // log2 of the odds
	Auto        bool    // linked
}

// Result of a run.
type Result struct {
	Pairs    []Pair // from Possible up, the likeliest first
	Clusters []int  // record -> cluster: the lowest index in it
	Model    *score.Model
	Compared int // pairs compared
	Skipped  int // block lists passed over as too long
}

// Match runs over records. An error is the context's.
func Match(ctx context.Context, records []*normal.Record, o Options) (*Result, error) {
	if o.Auto == 0 {
		o.Auto = 0.5
	}
	if o.Possible == 0 {
		o.Possible = 0.1
	}
	r := newRun(records, o)
	r.compare, r.estimate = score.CompareFile, score.TrainFile
	if err := r.meet(ctx); err != nil {
		return nil, err
	}
	base, err := score.FileDefault()
	if err != nil {
		return nil, err
	}
	if err := r.train(ctx, base, "trained"); err != nil {
		return nil, err
	}
	// The first division tells persons apart, so that the second can count in
	// how many of them a name or a town occurs.
	for second := range 2 {
		if second == 1 {
			r.model = r.model.WithFrequency(r.model.CountPersons(r.records, r.res.Clusters))
		}
		if err := r.score(ctx); err != nil {
			return nil, err
		}
		r.cluster()
	}
	r.transitive()
	r.res.Model = r.model
	return r.res, nil
}

// Train estimates a model for the index from a file: the levels are those of
// score.Compare, and what the file never shows is as in the built-in model. An
// error is the context's.
func Train(ctx context.Context, records []*normal.Record, version string, o Options) (*score.Model, error) {
	r := newRun(records, o)
	r.compare, r.estimate = score.Compare, score.Train
	base, err := score.Default()
	if err != nil {
		return nil, err
	}
	if err := r.meet(ctx); err != nil {
		return nil, err
	}
	if err := r.train(ctx, base, version); err != nil {
		return nil, err
	}
	return r.model, nil
}

type run struct {
	o        Options
	compare  func(a, b *normal.Record) score.Vector
	estimate func(base *score.Model, s score.Sample, version string) *score.Model
	records  []*normal.Record
	pairs    [][2]int32     // that met, sorted
	vectors  []score.Vector // of pairs
	model    *score.Model
	weights  map[[2]int32]float64 // of likely pairs, and of those that clusters asked for
	res      *Result
}

func newRun(records []*normal.Record, o Options) *run {
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	return &run{o: o, records: records, res: &Result{}}
}

func (r *run) across(a, b int) bool {
	return r.o.Split <= 0 || a < r.o.Split && b >= r.o.Split
}

// compareAll compares the pairs on all processors.
func (r *run) compareAll(ctx context.Context) error {
	r.vectors = make([]score.Vector, len(r.pairs))
	const chunk = 1 << 14
	var next atomic.Int64
	var g errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for {
				from := int(next.Add(chunk)) - chunk
				if from >= len(r.pairs) || ctx.Err() != nil {
					return ctx.Err()
				}
				for i := from; i < min(from+chunk, len(r.pairs)); i++ {
					r.vectors[i] = r.compare(r.records[r.pairs[i][0]], r.records[r.pairs[i][1]])
				}
			}
		})
	}
	return g.Wait()
}

// strangers is how many random pairs u is estimated from.
const strangers = 400_000

// strangers draws pairs, or takes all where they are few.
func (r *run) strangers(seen map[score.Vector]int) {
	n := len(r.records)
	add := func(a, b int) {
		if a != b && r.across(a, b) {
			seen[r.compare(r.records[a], r.records[b])]++
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

func (r *run) train(ctx context.Context, base *score.Model, version string) error {
	s := score.Sample{Candidates: map[score.Vector]int{}, Strangers: map[score.Vector]int{}}
	if err := r.compareAll(ctx); err != nil {
		return err
	}
	for _, v := range r.vectors {
		s.Candidates[v]++
	}
	r.o.Progress("compared", len(r.pairs), len(r.pairs))
	r.strangers(s.Strangers)
	n := len(r.records)
	s.Pairs = float64(n) * float64(n-1) / 2
	if r.o.Split > 0 {
		s.Pairs = float64(r.o.Split) * float64(n-r.o.Split)
	}
	r.model = r.estimate(base, s, version)
	return nil
}

func (r *run) score(ctx context.Context) error {
	r.weights = make(map[[2]int32]float64)
	r.res.Pairs = nil
	for i, p := range r.pairs {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		s := r.model.Weigh(r.vectors[i], r.records[p[0]], r.records[p[1]])
		if s.Probability >= r.o.Possible {
			r.weights[p] = s.LogOdds
			r.res.Pairs = append(r.res.Pairs, Pair{A: int(p[0]), B: int(p[1]), Probability: s.Probability, Weight: s.LogOdds})
		}
	}
	r.sort()
	return nil
}

// sort puts the likeliest pair first.
func (r *run) sort() {
	slices.SortFunc(r.res.Pairs, func(x, y Pair) int {
		return cmp.Or(cmp.Compare(y.Weight, x.Weight), cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B))
	})
}
