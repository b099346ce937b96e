package intern_test

import (
	"fmt"
	"testing"

	"hutong/mpi/intern"
)

// TestPool holds the pool to what a map would say, over several growths.
func TestPool(t *testing.T) {
	t.Parallel()
	p := intern.New()
	want := map[string]uint32{"": 0}
	for i := range 20_000 {
		s := fmt.Sprint("张", i*7919%5000)
		n := p.Put(s)
		if m, known := want[s]; known && m != n {
			t.Fatalf("%s has the numbers %d and %d", s, m, n)
		}
		want[s] = n
	}
	if p.Len() != len(want) {
		t.Fatalf("%d numbers for %d texts", p.Len(), len(want))
	}
	for s, n := range want {
		if p.Get(n) != s || p.Put(s) != n {
			t.Fatalf("%d is %q, not %q", n, p.Get(n), s)
		}
	}
}
