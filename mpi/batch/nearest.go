package batch

import (
	"context"
	"math/bits"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// meeting is the lists of all passes that are read.
type meeting struct {
	runs []uint32 // length, then so many records, and again
	refs []uint32 // offsets into runs, by record
	ends []uint64 // of each record's refs
}

// join puts the lists of all passes together and chooses how long they may be
// for the work to stay in bounds, the shortest first.
func (r *run) join(passes []lists) *meeting {
	limit := r.limit(passes)
	m := &meeting{ends: make([]uint64, r.file.Len()+1)}
	size := 0
	for i := range passes {
		size += len(passes[i].runs)
	}
	m.runs = make([]uint32, 0, size)
	for i := range passes {
		for at, p := 0, passes[i].runs; at < len(p); at += int(p[at]) + 1 {
			if n := int(p[at]); n <= limit {
				m.runs = append(m.runs, p[at:at+n+1]...)
				for _, who := range p[at+1 : at+n+1] {
					m.ends[who+1]++
				}
			}
		}
		passes[i].runs = nil
	}
	m.index()
	return m
}

// index lists the runs by record. ends holds the counts, shifted by one.
func (m *meeting) index() {
	for i := 1; i < len(m.ends); i++ {
		m.ends[i] += m.ends[i-1]
	}
	m.refs = make([]uint32, m.ends[len(m.ends)-1])
	for at := 0; at < len(m.runs); at += int(m.runs[at]) + 1 {
		for _, who := range m.runs[at+1 : at+int(m.runs[at])+1] {
			m.refs[m.ends[who]] = uint32(at)
			m.ends[who]++
		}
	}
	m.ends = m.ends[:len(m.ends)-1]
}

func (m *meeting) of(i int) []uint32 {
	if i == 0 {
		return m.refs[:m.ends[0]]
	}
	return m.refs[m.ends[i-1]:m.ends[i]]
}

// limit is the length up to which lists are read; the rest is counted.
func (r *run) limit(passes []lists) int {
	number := make([]int, r.longest+1)
	for i := range passes {
		r.res.Skipped += passes[i].skipped
		for at, p := 0, passes[i].runs; at < len(p); at += int(p[at]) + 1 {
			number[p[at]]++
		}
	}
	limit, sum := r.longest, 0
	for n, lists := range number {
		if sum += lists * n * n; sum > max(readings*r.file.Len(), leastReadings) {
			limit = max(2, n-1)
			break
		}
	}
	for _, lists := range number[limit+1:] {
		r.res.Skipped += lists
	}
	return limit
}

// nearest finds for every record the others with whom it shares most, by what
// the lists are worth that hold both: a true pair shares many. A pair is kept
// if it is among the nearest of one of its two.
func (r *run) nearest(ctx context.Context, m *meeting) ([]uint64, error) {
	n := r.file.Len()
	const chunk = 1024
	var next atomic.Int64
	found := make([][]uint64, runtime.GOMAXPROCS(0))
	var g errgroup.Group
	for w := range found {
		g.Go(func() error {
			near := &near{r: r, m: m, keep: max(2*perRecord, atLeast/max(n, 1)), sum: make([]uint16, n)}
			defer func() { found[w] = near.pairs }()
			for {
				from := int(next.Add(chunk)) - chunk
				if from >= n || ctx.Err() != nil {
					return ctx.Err()
				}
				r.tell("meet", from, n)
				for i := from; i < min(from+chunk, n); i++ {
					near.seek(i)
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return once(slices.Concat(found...), n), nil
}

// once sorts pairs (a<<32 | b, both below n) and drops repeats.
func once(pairs []uint64, n int) []uint64 {
	b, spare := bitsFor(n), make([]uint64, len(pairs))
	sorted := radix(pairs, spare, 0, b)
	if len(pairs) > 0 && &sorted[0] == &spare[0] {
		pairs, spare = spare, pairs
	}
	return slices.Compact(radix(pairs, spare, 32, 32+b))
}

// near looks for the nearest of one record after another.
type near struct {
	r     *run
	m     *meeting
	keep  int
	sum   []uint16 // by record: what the lists shared with this one are worth
	met   []uint32 // the records whose sum is not 0
	pairs []uint64
}

func (a *near) seek(i int) {
	n := len(a.sum)
	a.met = a.met[:0]
	for _, at := range a.m.of(i) {
		size := int(a.m.runs[at])
		worth := uint16(bits.Len(uint(n / size)))
		for _, j := range a.m.runs[int(at)+1 : int(at)+1+size] {
			if int(j) == i || !a.r.across(min(i, int(j)), max(i, int(j))) {
				continue
			}
			if a.sum[j] == 0 {
				a.met = append(a.met, j)
			}
			a.sum[j] = min(a.sum[j]+worth+1, mostWorth)
		}
	}
	least, room := a.least()
	for _, j := range a.met {
		s := a.sum[j]
		a.sum[j] = 0
		if s < least || s == least && room == 0 {
			continue
		}
		if s == least {
			room--
		}
		a.pairs = append(a.pairs, uint64(min(i, int(j)))<<32|uint64(max(i, int(j))))
	}
}

const mostWorth = 1023

// least is the sum from which the others are among the nearest, and how many
// of those with that very sum there is room for.
func (a *near) least() (least uint16, room int) {
	if len(a.met) <= a.keep {
		return 0, 0
	}
	var with [mostWorth + 1]int
	for _, j := range a.met {
		with[a.sum[j]]++
	}
	room = a.keep
	for s := mostWorth; s > 0; s-- {
		if with[s] >= room {
			return uint16(s), room
		}
		room -= with[s]
	}
	return 0, 0
}
