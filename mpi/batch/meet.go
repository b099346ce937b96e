package batch

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Bounds of meeting. A list is the records under one key.
const (
	wideUpTo      = 200_000   // records up to which the ends of values make keys, too
	readings      = 1000      // entries of lists read for a record, on average,
	leastReadings = 1 << 25   // or so many in all
	perRecord     = 8         // pairs kept for a record, on average,
	atLeast       = 1_000_000 // or so many in all
)

// longest is how long a list may be at all: more records share what says less.
func longest(n int) int {
	switch {
	case n <= 20_000:
		return 500
	case n <= wideUpTo:
		return 200
	}
	return 60
}

// wordsAtOnce is how many words (key<<32 | record) a pass sorts at a time: what
// makes more is done in parts, by hash.
const wordsAtOnce = 12 << 20

// meet gathers the pairs that share keys, each once: for every record those
// others with whom it shares most. The file's keys are used up.
func (r *run) meet(ctx context.Context) error {
	r.file.prune()
	found, err := r.passes(ctx)
	r.file.parts = [classes]column{}
	if err != nil {
		return err
	}
	r.pairs, err = r.nearest(ctx, r.join(found))
	r.res.Compared = len(r.pairs)
	return err
}

// pass is one way of meeting: the keys that stand alone, or two classes; and of
// its keys one part.
type pass struct {
	alone    bool
	x, y     class
	part, of uint64
}

func (p *pass) takes(key uint32) bool { return uint64(key)*p.of>>32 == p.part }

// found is the lists of a pass.
type found struct {
	runs   []uint32
	number []int
	long   int
}

// passes runs the passes, first those of keys that stand alone, whose column is
// then dropped.
func (r *run) passes(ctx context.Context) ([]found, error) {
	alone, two := r.plan()
	out := make([]found, len(alone)+len(two))
	if err := r.side(ctx, alone, out); err != nil {
		return nil, err
	}
	r.file.alone = column{}
	return out, r.side(ctx, two, out[len(alone):])
}

// side runs passes on all processors.
func (r *run) side(ctx context.Context, todo []pass, out []found) error {
	var next, done atomic.Int64
	var g errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			s := &sorter{run: r}
			for {
				i := int(next.Add(1)) - 1
				if i >= len(todo) || ctx.Err() != nil {
					return ctx.Err()
				}
				out[i] = s.pass(todo[i])
				r.tell("block", int(done.Add(1)), len(todo))
			}
		})
	}
	return g.Wait()
}

// plan lists the passes: the keys that stand alone, and every two classes.
func (r *run) plan() (alone, two []pass) {
	add := func(todo *[]pass, p pass, words int) {
		p.of = parts(words)
		for ; p.part < p.of; p.part++ {
			*todo = append(*todo, p)
		}
	}
	f := r.file
	add(&alone, pass{alone: true}, len(f.alone.values))
	for x := range classes {
		for y := x + 1; y < classes; y++ {
			if !together(x, y) {
				add(&two, pass{x: x, y: y}, len(f.parts[x].values)*len(f.parts[y].values)/max(1, f.Len()))
			}
		}
	}
	return alone, two
}

func parts(words int) uint64 { return uint64(words/wordsAtOnce) + 1 }

// together reports classes of which one says what the other does.
func together(x, y class) bool {
	dated := func(c class) bool { return c >= year && c <= monthDay }
	named := func(c class) bool { return c <= whole }
	return named(x) && y == whole || dated(x) && dated(y) && (x >= birth || y >= birth) && !(x == year && y == monthDay)
}

// sorter finds the lists of one pass after another.
type sorter struct {
	*run
	words, spare, long []uint64
	lists              lists
}

func (s *sorter) pass(p pass) found {
	s.lists.reset(s.longest)
	s.words, s.long = s.words[:0], s.long[:0]
	switch {
	case p.alone:
		s.alone(p)
	default:
		s.two(p)
	}
	return found{slices.Clone(s.lists.runs), s.lists.number, s.lists.long}
}

// cut sorts the words gathered and takes their lists.
func (s *sorter) cut(long func([]uint64)) {
	s.spare = slices.Grow(s.spare[:0], len(s.words))[:len(s.words)]
	s.lists.cut(radix(s.words, s.spare, 32, 64), s.longest, long)
}

// alone are the lists of keys that stand alone.
func (s *sorter) alone(p pass) {
	c := &s.file.alone
	for i := range c.ends {
		for _, h := range c.of(i) {
			if p.takes(h) {
				s.words = append(s.words, uint64(h)<<32|uint64(i))
			}
		}
	}
	s.cut(nil)
}

// two are the lists of two parts, one of each class. Where a file is large, the
// lists of a name and another whole value that are too long are parted by a
// third.
func (s *sorter) two(p pass) {
	xs, ys := &s.file.parts[p.x], &s.file.parts[p.y]
	for i := range xs.ends {
		second := ys.of(i)
		if len(second) == 0 {
			continue
		}
		for _, a := range xs.of(i) {
			for _, b := range second {
				if key := mix(a, b); p.takes(key) {
					s.words = append(s.words, uint64(key)<<32|uint64(i))
				}
			}
		}
	}
	if s.file.Len() <= wideUpTo || p.x > whole {
		s.cut(nil)
		return
	}
	s.cut(func(run []uint64) { s.long = append(s.long, run...) })
	s.third(p.y)
}

// third parts the lists that were too long by another value of a later class: as
// many lists at a time as make the words that are sorted at once.
func (s *sorter) third(after class) {
	s.words = s.words[:0]
	for from := 0; from < len(s.long); {
		key := s.long[from] >> 32
		for ; from < len(s.long) && s.long[from]>>32 == key; from++ {
			w := s.long[from]
			for c := after + 1; c < classes; c++ {
				for _, b := range s.file.parts[c].of(int(uint32(w))) {
					s.words = append(s.words, uint64(mix(uint32(key), b))<<32|w&0xffffffff)
				}
			}
		}
		if len(s.words) >= wordsAtOnce {
			s.cut(nil)
			s.words = s.words[:0]
		}
	}
	s.cut(nil)
}

func mix(a, b uint32) uint32 {
	h := (uint64(a)<<32 | uint64(b)) * 0x9E3779B97F4A7C15
	h ^= h >> 29
	h *= 0xBF58476D1CE4E5B9
	return uint32(h >> 32)
}
