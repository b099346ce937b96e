// Package batch matches a whole file of records at once, without labels: it
// estimates the weights from the data, scores every pair that meets in a block
// and divides the records into persons. It uses the same normal forms, blocks
// and comparisons as the index.
package batch

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

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

// Match runs over the records of file. An error is the context's.
func Match(ctx context.Context, file *File, o Options) (*Result, error) {
	if o.Auto == 0 {
		o.Auto = 0.5
	}
	if o.Possible == 0 {
		o.Possible = 0.1
	}
	base, err := score.FileDefault()
	if err != nil {
		return nil, err
	}
	r := newRun(file, o)
	if err := r.meet(ctx); err != nil {
		return nil, err
	}
	if r.vectors, err = r.compare(ctx, r.pairs); err != nil {
		return nil, err
	}
	if err := r.train(ctx, base); err != nil {
		return nil, err
	}
	// The first division tells persons apart, so that the second can count in
	// how many of them a name or a town occurs.
	for second := range 2 {
		var shares *score.Shares
		if second == 1 {
			shares = r.model.CountPeople(file.people, r.res.Clusters)
		}
		if err := r.score(ctx, r.model.NewWeigher(file.people, shares)); err != nil {
			return nil, err
		}
		r.cluster()
	}
	r.report()
	r.res.Model = r.model
	return r.res, nil
}

type run struct {
	o       Options
	file    *File
	longest int
	pairs   []uint64       // that met: a<<32 | b, a < b, each once
	vectors []score.Packed // of pairs
	model   *score.Model
	weigh   func(v score.Packed, a, b int, floor float64) float64
	likely  []likely // pairs from Possible up, the likeliest first
	res     *Result
	telling sync.Mutex
}

// likely is a pair that may be one person.
type likely struct {
	a, b    uint32
	logOdds float64
}

func (p *likely) word() uint64 { return uint64(p.a)<<32 | uint64(p.b) }

func newRun(file *File, o Options) *run {
	return &run{o: o, file: file, longest: longest(file.Len()), res: &Result{}}
}

// tell reports progress, from any goroutine.
func (r *run) tell(stage string, done, total int) {
	if r.o.Progress != nil && r.telling.TryLock() {
		defer r.telling.Unlock()
		r.o.Progress(stage, done, total)
	}
}

func (r *run) across(a, b int) bool {
	return r.o.Split <= 0 || a < r.o.Split && b >= r.o.Split
}

// each runs over chunks of n things on all processors; made gives what one
// goroutine works with.
func (r *run) each(ctx context.Context, stage string, n int, made func() func(from, to int)) error {
	chunk := min(max(n/64, 256), 1<<14)
	var next atomic.Int64
	var g errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		work := made()
		g.Go(func() error {
			for {
				from := int(next.Add(int64(chunk))) - chunk
				if from >= n || ctx.Err() != nil {
					return ctx.Err()
				}
				r.tell(stage, from, n)
				work(from, min(from+chunk, n))
			}
		})
	}
	return g.Wait()
}

// compare gives the vectors of pairs (a<<32 | b).
func (r *run) compare(ctx context.Context, pairs []uint64) ([]score.Packed, error) {
	out := make([]score.Packed, len(pairs))
	err := r.each(ctx, "compare", len(pairs), func() func(from, to int) {
		c := score.NewComparer(r.file.people)
		return func(from, to int) {
			for i := from; i < to; i++ {
				out[i] = c.Compare(int(pairs[i]>>32), int(uint32(pairs[i])))
			}
		}
	})
	return out, err
}

// train estimates the weights from the pairs that met and from random ones.
func (r *run) train(ctx context.Context, base *score.Model) error {
	var drawn []uint64
	r.strangers(func(a, b int) { drawn = append(drawn, uint64(a)<<32|uint64(b)) })
	vectors, err := r.compare(ctx, drawn)
	if err != nil {
		return err
	}
	next := 0 // sample draws the same ones in the same order
	r.model = score.TrainFile(base, r.sample(
		func(_, _ int) score.Vector { next++; return vectors[next-1].Vector() },
		func(i int) score.Vector { return r.vectors[i].Vector() }), "trained")
	return nil
}

// score weighs all pairs and keeps the likely ones.
func (r *run) score(ctx context.Context, w *score.Weigher) error {
	r.weigh = w.Weigh
	floor := math.Log2(r.o.Possible / (1 - r.o.Possible))
	var mu sync.Mutex
	r.likely = nil
	err := r.each(ctx, "weigh", len(r.pairs), func() func(from, to int) {
		return func(from, to int) {
			var found []likely
			for i := from; i < to; i++ {
				a, b := uint32(r.pairs[i]>>32), uint32(r.pairs[i])
				if o := w.Weigh(r.vectors[i], int(a), int(b), floor); o >= floor {
					found = append(found, likely{a, b, o})
				}
			}
			mu.Lock()
			defer mu.Unlock()
			r.likely = append(r.likely, found...)
		}
	})
	sortAtOnce(r.likely, func(x, y likely) int {
		if x.logOdds != y.logOdds {
			return cmp.Compare(y.logOdds, x.logOdds)
		}
		return cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b))
	})
	return err
}
