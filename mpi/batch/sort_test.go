package batch

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSortAtOnce: parts that are sorted side by side become one list in order.
func TestSortAtOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 1000, 1 << 14, 100_003} {
		want := make([]int, n)
		for i := range want {
			want[i] = i
		}
		got := slices.Clone(want)
		r := rand.New(rand.NewPCG(1, uint64(n)))
		r.Shuffle(n, func(i, j int) { got[i], got[j] = got[j], got[i] })
		if sortAtOnce(got, cmp.Compare[int]); !slices.Equal(got, want) {
			t.Errorf("%d items are not in order", n)
		}
	}
}

// TestBorder: a component is never parted.
func TestBorder(t *testing.T) {
	t.Parallel()
	order := []uint64{1 << 32, 1<<32 | 1, 2 << 32, 2<<32 | 2, 2<<32 | 3, 9 << 32}
	for at, want := range []int{0, 2, 2, 5, 5, 5, 6} {
		if got := border(order, at); got != want {
			t.Errorf("border at %d is %d, want %d", at, got, want)
		}
	}
}
