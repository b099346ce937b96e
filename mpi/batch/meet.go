package batch

import (
	"context"
	"runtime"
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

// lists is what one pass found: runs of records, each led by its length, and
// how many there were that are too long.
type lists struct {
	runs    []uint32
	skipped int
}

// meet gathers the pairs that share keys, each once: for every record those
// others with whom it shares most.
func (r *run) meet(ctx context.Context) error {
	passes, err := r.passes(ctx)
	if err != nil {
		return err
	}
	m := r.join(passes)
	pairs, err := r.nearest(ctx, m)
	if err != nil {
		return err
	}
	r.pairs = pairs
	r.res.Compared = len(pairs)
	return nil
}

// passes runs the passes on all processors.
func (r *run) passes(ctx context.Context) ([]lists, error) {
	todo := r.plan()
	out := make([]lists, len(todo))
	var next, done atomic.Int64
	var g errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(todo) || ctx.Err() != nil {
					return ctx.Err()
				}
				out[i] = todo[i]()
				r.tell("block", int(done.Add(1)), len(todo))
			}
		})
	}
	return out, g.Wait()
}

// plan lists the passes: the keys that stand alone, and every two classes.
func (r *run) plan() []func() lists {
	todo := []func() lists{r.aloneLists}
	rare := r.rareParts()
	for x := range classes {
		for y := x + 1; y < classes; y++ {
			if !together(x, y) {
				todo = append(todo, func() lists { return r.pairLists(x, y, rare) })
			}
		}
	}
	return todo
}

// together reports classes of which one says what the other does.
func together(x, y class) bool {
	dated := func(c class) bool { return c >= year && c <= monthDay }
	named := func(c class) bool { return c <= whole }
	return named(x) && y == whole || dated(x) && dated(y) && (x >= birth || y >= birth) && !(x == year && y == monthDay)
}

// aloneLists are those of keys that stand alone.
func (r *run) aloneLists() lists {
	f := r.file
	words := make([]uint64, 0, len(f.alone))
	for i := range f.ends {
		for _, h := range f.aloneOf(i) {
			words = append(words, uint64(h)<<32|uint64(i))
		}
	}
	var l lists
	l.cut(radix(words, make([]uint64, len(words)), 32, 64), r.longest, nil)
	return l
}

// rareParts marks the parts that only one record has: no key of theirs can be
// shared. A part that is not marked may be rare all the same.
func (r *run) rareParts() *marks {
	m := &marks{once: make([]uint64, marksWords), twice: make([]uint64, marksWords)}
	for i := range r.file.ends {
		for _, p := range r.file.partsOf(i) {
			m.add(p)
		}
	}
	return m
}

const (
	marksBits  = 26
	marksWords = 1 << marksBits / 64
)

type marks struct{ once, twice []uint64 }

func spot(p uint32) (word int, bit uint64) {
	h := uint32(p*2654435769) >> (32 - marksBits)
	return int(h / 64), 1 << (h % 64)
}

func (m *marks) add(p uint32) {
	w, b := spot(p)
	if m.once[w]&b != 0 {
		m.twice[w] |= b
	}
	m.once[w] |= b
}

func (m *marks) rare(p uint32) bool {
	w, b := spot(p)
	return m.twice[w]&b == 0
}

// pairLists are those of two parts, one of each class. Where a file is large,
// the lists of a name and another whole value that are too long are parted by a
// third.
func (r *run) pairLists(x, y class, rare *marks) lists {
	var words []uint64
	ends := r.file.Len() <= wideUpTo
	for i := range r.file.ends {
		parts := r.file.partsOf(i)
		for _, p := range parts {
			if classOf(p) != x || p&cut != 0 && !ends || rare.rare(p) {
				continue
			}
			for _, q := range parts {
				if classOf(q) == y && (q&cut == 0 || ends) && !rare.rare(q) {
					words = append(words, uint64(mix(p, q))<<32|uint64(i))
				}
			}
		}
	}
	var l lists
	spare := make([]uint64, len(words))
	sorted := radix(words, spare, 32, 64)
	if ends {
		l.cut(sorted, r.longest, nil)
		return l
	}
	var long []uint64
	if x > whole {
		l.cut(sorted, r.longest, nil)
		return l
	}
	l.cut(sorted, r.longest, func(run []uint64) { long = append(long, run...) })
	l.third(r, y, rare, long)
	return l
}

// third parts lists that are too long by another value of a later class.
func (l *lists) third(r *run, after class, rare *marks, long []uint64) {
	var words []uint64
	for _, w := range long {
		for _, p := range r.file.partsOf(int(uint32(w))) {
			if classOf(p) > after && p&cut == 0 && !rare.rare(p) {
				words = append(words, uint64(mix(uint32(w>>32), p))<<32|w&0xffffffff)
			}
		}
	}
	l.cut(radix(words, make([]uint64, len(words)), 32, 64), r.longest, nil)
}

func mix(a, b uint32) uint32 {
	h := (uint64(a)<<32 | uint64(b)) * 0x9E3779B97F4A7C15
	h ^= h >> 29
	h *= 0xBF58476D1CE4E5B9
	return uint32(h >> 32)
}

// cut divides sorted words (key<<32 | record) into lists. What is too long goes
// to long, or is counted.
func (l *lists) cut(words []uint64, longest int, long func([]uint64)) {
	for from := 0; from < len(words); {
		to := from + 1
		for to < len(words) && words[to]>>32 == words[from]>>32 {
			to++
		}
		run := words[from:to]
		from = to
		switch {
		case len(run) == 1:
		case len(run) <= longest:
			l.add(run)
		case long != nil:
			long(run)
		default:
			l.skipped++
		}
	}
}

func (l *lists) add(run []uint64) {
	at := len(l.runs)
	l.runs = append(l.runs, 0)
	last := uint64(1 << 40)
	for _, w := range run {
		if i := w & 0xffffffff; i != last { // one record under one key twice, by a clash
			l.runs = append(l.runs, uint32(i))
			last = i
		}
	}
	l.runs[at] = uint32(len(l.runs)) - uint32(at) - 1
	if l.runs[at] < 2 {
		l.runs = l.runs[:at]
	}
}
