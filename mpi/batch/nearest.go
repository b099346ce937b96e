package batch

import (
	"context"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// meeting is the lists of all passes that are read, each once.
type meeting struct {
	runs [shares][]uint32 // as in lists; by the first record of a run
	refs []uint32         // where a record's runs are: offset*shares + which of runs
	ends []uint64         // of each record's refs
}

// shares is in how many parts the lists are held, so that several processors
// can work on them; fixed, so that the order does not depend on their number.
const shares = 4

// side does n things on all processors.
func side(n, workers int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// join puts the lists of all passes together and chooses how long they may be
// for the work to stay in bounds, the shortest first.
func (r *run) join(passes []found) *meeting {
	limit := r.limit(passes)
	m := &meeting{}
	side(shares, runtime.GOMAXPROCS(0), func(share int) {
		visit := func(do func(run []uint32)) {
			for i := range passes {
				runs := passes[i].runs
				each(runs, func(at int) {
					if n := lengthAt(runs, at); n <= limit && runs[at+1]%shares == uint32(share) {
						do(runs[at : at+n+1])
					}
				})
			}
		}
		size := 0
		visit(func(run []uint32) { size += len(run) })
		l := lists{runs: make([]uint32, 0, min(size, mostWords))} // what is not used of it is never touched
		visit(func(run []uint32) {
			if len(l.runs) < mostWords {
				l.add(run)
			}
		})
		m.runs[share] = l.runs
	})
	clear(passes)
	m.index(r.file.Len())
	return m
}

// mostWords is how many words of a share a reference can reach; lists beyond it
// are not read.
const mostWords = 1<<32/shares - lengthMask - 1

// index lists the runs by record, n of them: on each processor those of a range
// of records.
func (m *meeting) index(n int) {
	m.ends = make([]uint64, n)
	workers := runtime.GOMAXPROCS(0)
	visit := func(do func(who, ref uint32)) {
		side(workers, workers, func(w int) {
			from, to := uint32(n*w/workers), uint32(n*(w+1)/workers)
			for share, runs := range m.runs {
				each(runs, func(at int) {
					for _, who := range runs[at+1 : at+1+lengthAt(runs, at)] {
						if who >= from && who < to {
							do(who, uint32(at)*shares+uint32(share))
						}
					}
				})
			}
		})
	}
	visit(func(who, _ uint32) { m.ends[who]++ })
	sum := uint64(0)
	for i, count := range m.ends { // where each begins
		m.ends[i] = sum
		sum += count
	}
	m.refs = make([]uint32, sum)
	visit(func(who, ref uint32) {
		m.refs[m.ends[who]] = ref
		m.ends[who]++
	})
}

func (m *meeting) of(i int) []uint32 {
	if i == 0 {
		return m.refs[:m.ends[0]]
	}
	return m.refs[m.ends[i-1]:m.ends[i]]
}

// run gives a run of records and how many keys they share.
func (m *meeting) run(ref uint32) (records []uint32, times int) {
	runs, at := m.runs[ref%shares], int(ref/shares)
	return runs[at+1:][:lengthAt(runs, at)], timesAt(runs, at)
}

// limit is the length up to which lists are read; the rest is counted.
func (r *run) limit(passes []found) int {
	number := make([]int, r.longest+1)
	for i := range passes {
		r.res.Skipped += passes[i].long
		for n, lists := range passes[i].number {
			number[n] += lists
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
	keep := min(max(2*perRecord, atLeast/max(n, 1)), max(n-1, 1))
	c := &circles{keep: keep, others: make([]uint32, n*keep), sizes: make([]uint32, n)}
	err := r.each(ctx, "meet", n, func() func(from, to int) {
		a := newNear(r, m, keep)
		return func(from, to int) {
			for i := from; i < to; i++ {
				c.sizes[i] = uint32(copy(c.others[i*keep:], a.seek(i)))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return c.pairs(), nil
}

// circles are the nearest of each record, ascending: at most keep, in the room
// of keep.
type circles struct {
	keep   int
	others []uint32
	sizes  []uint32
}

func (c *circles) of(i int) []uint32 { return c.others[i*c.keep:][:c.sizes[i]] }

// pairs lists each pair once (a<<32 | b, a < b): with its first record, or where
// only the second named the first, with the second.
func (c *circles) pairs() []uint64 {
	const chunk = 1 << 14
	n := len(c.sizes)
	starts := make([]int, n/chunk+2)
	walk := func(k int, do func(i, j int)) {
		for i := k * chunk; i < min(n, (k+1)*chunk); i++ {
			for _, j := range c.of(i) {
				if int(j) < i {
					if _, mutual := slices.BinarySearch(c.of(int(j)), uint32(i)); mutual {
						continue
					}
				}
				do(i, int(j))
			}
		}
	}
	workers := runtime.GOMAXPROCS(0)
	side(n/chunk+1, workers, func(k int) { walk(k, func(_, _ int) { starts[k+1]++ }) })
	for k := 1; k < len(starts); k++ {
		starts[k] += starts[k-1]
	}
	out := make([]uint64, starts[len(starts)-1])
	side(n/chunk+1, workers, func(k int) {
		at := starts[k]
		walk(k, func(i, j int) {
			out[at] = uint64(min(i, j))<<32 | uint64(max(i, j))
			at++
		})
	})
	return out
}

// near looks for the nearest of one record after another. Those that were met are
// in a small table that a processor keeps beside it: an array by record would be
// far away as soon as there are millions.
type near struct {
	r     *run
	m     *meeting
	n     int // records in all
	keep  int
	met   []share
	slots []uint32 // by hash: where in met, from 1
	shift int      // of a hash, to a slot
	kept  []uint32
}

// share is what the lists are worth that hold another record, too.
type share struct{ who, worth, slot uint32 }

func newNear(r *run, m *meeting, keep int) *near {
	const bits = 10
	return &near{r: r, m: m, n: r.file.Len(), keep: keep, slots: make([]uint32, 1<<bits), shift: 32 - bits}
}

// at gives the share of a record.
func (a *near) at(who uint32) *share {
	slot := who * 0x9E3779B1 >> a.shift
	for {
		switch i := a.slots[slot]; {
		case i == 0:
			if 2*len(a.met) >= len(a.slots) {
				a.grow()
				return a.at(who)
			}
			a.met = append(a.met, share{who: who, slot: slot})
			a.slots[slot] = uint32(len(a.met))
			return &a.met[len(a.met)-1]
		case a.met[i-1].who == who:
			return &a.met[i-1]
		}
		slot = (slot + 1) & uint32(len(a.slots)-1)
	}
}

// grow makes the table twice as large.
func (a *near) grow() {
	a.slots, a.shift = make([]uint32, 2*len(a.slots)), a.shift-1
	for i := range a.met {
		slot := a.met[i].who * 0x9E3779B1 >> a.shift
		for a.slots[slot] != 0 {
			slot = (slot + 1) & uint32(len(a.slots)-1)
		}
		a.slots[slot], a.met[i].slot = uint32(i+1), slot
	}
}

// seek gives the nearest of a record, ascending, until the next call.
func (a *near) seek(i int) []uint32 {
	for j := range a.met {
		a.slots[a.met[j].slot] = 0
	}
	a.met, a.kept = a.met[:0], a.kept[:0]
	for _, ref := range a.m.of(i) {
		run, times := a.m.run(ref)
		worth := uint32(min(mostWorth, times*(bits.Len(uint(a.n/len(run)))+1)))
		for _, j := range run {
			if int(j) == i || !a.r.across(min(i, int(j)), max(i, int(j))) {
				continue
			}
			s := a.at(j)
			s.worth = min(s.worth+worth, mostWorth)
		}
	}
	least, room := a.least()
	least = max(least, a.floor())
	for j := range a.met {
		s := a.met[j].worth
		if s < least || s == least && room == 0 {
			continue
		}
		if s == least {
			room--
		}
		a.kept = append(a.kept, a.met[j].who)
	}
	slices.Sort(a.kept)
	return a.kept
}

const mostWorth = 1023

// fraction: in a large file, whom a record shares less with than this part of
// what it shares with its very nearest is not kept for its sake. Most records
// there have a partner; what else they met are strangers.
const fraction = 12

func (a *near) floor() uint32 {
	if a.n <= wideUpTo {
		return 0
	}
	best := uint32(0)
	for j := range a.met {
		best = max(best, a.met[j].worth)
	}
	return best / fraction
}

// least is the sum from which the others are among the nearest, and how many
// of those with that very sum there is room for.
func (a *near) least() (least uint32, room int) {
	if len(a.met) <= a.keep {
		return 0, 0
	}
	var with [mostWorth + 1]int
	for j := range a.met {
		with[a.met[j].worth]++
	}
	room = a.keep
	for s := mostWorth; s > 0; s-- {
		if with[s] >= room {
			return uint32(s), room
		}
		room -= with[s]
	}
	return 0, 0
}
