package batch

import (
	"cmp"
	"fmt"
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
	pairs := []uint64{3<<32 | 4, 1<<32 | 2, 3<<32 | 4, 1<<32 | 9, 0<<32 | 1, 1<<32 | 2}
	if got, want := once(pairs, 10), []uint64{0<<32 | 1, 1<<32 | 2, 1<<32 | 9, 3<<32 | 4}; !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
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

// naive gives the pairs that share a key that stands alone, or two whole or cut
// values of classes that go together, by looking at all of them.
func naive(f *File) map[uint64]bool {
	out := map[uint64]bool{}
	for b := range f.Len() {
		for a := range b {
			alone := slices.ContainsFunc(f.aloneOf(a), func(h uint32) bool { return slices.Contains(f.aloneOf(b), h) })
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
		if err := r.meet(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := naive(f)
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
	all := &near{r: r, m: r.join(passes), keep: 1 << 20, sum: make([]uint16, f.Len())}
	for i := range f.Len() {
		few := &near{r: r, m: all.m, keep: 3, sum: make([]uint16, f.Len())}
		few.seek(i)
		if len(few.pairs) > 3 {
			t.Fatalf("%d kept", len(few.pairs))
		}
		worth := func(p uint64) (sum int) {
			other := int(p>>32) + int(uint32(p)) - i
			for _, at := range all.m.of(i) {
				if slices.Contains(all.m.runs[at+1:at+1+all.m.runs[at]], uint32(other)) {
					sum += bitsOf(f.Len() / int(all.m.runs[at]))
				}
			}
			return sum
		}
		all.pairs = nil
		all.seek(i)
		for _, p := range all.pairs {
			for _, kept := range few.pairs {
				if worth(p) > worth(kept) && !slices.Contains(few.pairs, p) {
					t.Fatalf("of %d, a pair worth %d is kept and one worth %d is not", i, worth(kept), worth(p))
				}
			}
		}
	}
}

func bitsOf(n int) int { return bitsFor(n+1) + 1 }
