package batch

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hutong/mpi/normal"
)

// TestRadix holds the sort to the library's, order of equals included.
func TestRadix(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		words := make([]uint64, rng.IntN(3000))
		for i := range words {
			words[i] = uint64(rng.IntN(50))<<32 | uint64(i)
		}
		want := slices.Clone(words)
		slices.SortStableFunc(want, func(a, b uint64) int { return cmp.Compare(a>>32, b>>32) })
		if got := radix(words, make([]uint64, len(words)), 32, 64); !slices.Equal(got, want) {
			t.Fatal("not in order")
		}
	}
}

// TestLists: equal runs are held once and counted, whatever their keys.
func TestLists(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	var l lists
	for range 3 { // a sorter uses its lists again
		l.reset(20)
		want, keys, long := map[string]int{}, 0, 0
		var words []uint64
		for key := range uint64(4000) {
			var run []uint64
			for range 1 + rng.IntN(4) {
				run = append(run, key<<32|uint64(rng.IntN(12)))
			}
			if key%1000 == 7 {
				for i := range uint64(30) {
					run = append(run, key<<32|i)
				}
			}
			slices.Sort(run)
			words = append(words, run...)
			long += flag(len(run) > 20)
			records := slices.Compact(run)
			for i := range records {
				records[i] &= 1<<32 - 1
			}
			if len(run) <= 20 && len(records) > 1 {
				want[fmt.Sprint(records)]++
				keys++
			}
		}
		l.cut(words, 20, nil)
		each(l.runs, func(at int) {
			run := fmt.Sprint(l.runs[at+1 : at+1+lengthAt(l.runs, at)])
			if want[run] != timesAt(l.runs, at) {
				t.Errorf("%s came %d times, not %d", run, want[run], timesAt(l.runs, at))
			}
			delete(want, run)
		})
		sum := 0
		for _, n := range l.number {
			sum += n
		}
		if len(want) > 0 || sum != keys || l.long != long {
			t.Errorf("%d runs are missing; %d keys of %d, %d too long of %d", len(want), sum, keys, l.long, long)
		}
	}
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestParts: what a pass finds does not depend on the parts in which it is done.
func TestParts(t *testing.T) {
	t.Parallel()
	f := crowd(3000, 5)
	s := &sorter{run: newRun(f, Options{})}
	collect := func(p pass) map[string]int {
		out := map[string]int{}
		for p.part = range p.of {
			found := s.pass(p)
			each(found.runs, func(at int) {
				out[fmt.Sprint(found.runs[at+1:at+1+lengthAt(found.runs, at)])] += timesAt(found.runs, at)
			})
		}
		return out
	}
	for _, p := range []pass{{alone: true}, {x: given, y: year}, {x: family, y: monthDay}} {
		one, more := p, p
		one.of, more.of = 1, 5
		if a, b := collect(one), collect(more); len(a) == 0 || !maps.Equal(a, b) {
			t.Errorf("%+v: %d runs in one part, %d in five", p, len(a), len(b))
		}
	}
}

// crowd draws people of few names, dates and streets.
func crowd(n int, seed uint64) *File {
	rng := rand.New(rand.NewPCG(seed, seed))
	f := NewFile(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	for range n {
		r := &normal.Record{Birth: normal.Date{Year: 1960 + rng.IntN(40), Month: 1 + rng.IntN(12), Day: 1 + rng.IntN(28)}}
		r.Names = []normal.Name{normal.NewName("", fmt.Sprint("fam", string(rune('a'+rng.IntN(20)))), fmt.Sprint("giv", string(rune('a'+rng.IntN(26)))), "")}
		r.Addresses = []normal.Address{normal.NewAddress("", fmt.Sprint("town", string(rune('a'+rng.IntN(9)))), "", "", fmt.Sprintf("%d road%c", rng.IntN(99), 'a'+rune(rng.IntN(26))), "")}
		if rng.IntN(3) == 0 {
			r.Phones = []string{fmt.Sprintf("138%08d", rng.IntN(200))}
		}
		f.Add(r)
	}
	return f
}

// partsOf gives the parts of a record, of all classes.
func (f *File) partsOf(i int) (out []uint32) {
	for c := range f.parts {
		out = append(out, f.parts[c].of(i)...)
	}
	return out
}

// naive gives the pairs that share a key that stands alone, or two whole or cut
// values of classes that go together, by looking at all of them.
func naive(f *File) map[uint64]bool {
	out := map[uint64]bool{}
	for b := range f.Len() {
		for a := range b {
			alone := slices.ContainsFunc(f.alone.of(a), func(h uint32) bool { return slices.Contains(f.alone.of(b), h) })
			var common []uint32
			for _, p := range f.partsOf(a) {
				if slices.Contains(f.partsOf(b), p) {
					common = append(common, p)
				}
			}
			two := false
			for _, p := range common {
				for _, q := range common {
					two = two || classOf(p) < classOf(q) && !together(classOf(p), classOf(q))
				}
			}
			if alone || two {
				out[uint64(a)<<32|uint64(b)] = true
			}
		}
	}
	return out
}

// TestMeet: in a file so small that no list is too long, exactly those pairs
// meet that share a key; of two files, those across them.
func TestMeet(t *testing.T) {
	t.Parallel()
	for _, split := range []int{0, 100} {
		f := crowd(300, 4)
		r := newRun(f, Options{Split: split})
		want := naive(f)
		if err := r.meet(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sorted := slices.Compact(slices.Sorted(slices.Values(r.pairs))); len(sorted) != len(r.pairs) {
			t.Errorf("%d pairs meet twice", len(r.pairs)-len(sorted))
		}
		for _, p := range r.pairs {
			a, b := int(p>>32), int(uint32(p))
			if !want[p] && split == 0 || !r.across(a, b) {
				t.Errorf("%d and %d meet", a, b)
			}
			delete(want, p)
		}
		for p := range want {
			if r.across(int(p>>32), int(uint32(p))) {
				t.Errorf("%d and %d do not meet", p>>32, uint32(p))
			}
		}
	}
}

// TestNearest: where a record may keep few, those are kept with whom it shares
// most.
func TestNearest(t *testing.T) {
	t.Parallel()
	f := crowd(200, 9)
	r := newRun(f, Options{})
	passes, err := r.passes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := newNear(r, r.join(passes), 1<<20)
	for i := range f.Len() {
		few := newNear(r, all.m, 3)
		kept := few.seek(i)
		if len(kept) > 3 || !slices.IsSorted(kept) {
			t.Fatalf("%v kept", kept)
		}
		worth := func(other uint32) (sum int) {
			for _, ref := range all.m.of(i) {
				if run, times := all.m.run(ref); slices.Contains(run, other) {
					sum += times * bitsOf(f.Len()/len(run))
				}
			}
			return sum
		}
		for _, j := range all.seek(i) {
			for _, k := range kept {
				if worth(j) > worth(k) && !slices.Contains(kept, j) {
					t.Fatalf("of %d, one worth %d is kept and one worth %d is not", i, worth(k), worth(j))
				}
			}
		}
	}
}

func bitsOf(n int) int { return bitsFor(n+1) + 1 }
