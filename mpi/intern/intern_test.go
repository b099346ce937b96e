package intern_test

import (
	"fmt"
	"strings"
	"testing"

	"hutong/mpi/intern"
)

// TestPool holds the pool to what a map would say, over several growths.
func TestPool(t *testing.T) {
	t.Parallel()
	p := intern.New()
	want := map[string]uint32{"": 0}
	for i := range 20_000 {
		s := fmt.Sprint("张", i*7919%9000)
		if i%4000 == 3999 { // longer than a block
			s = strings.Repeat(s, 1<<20/len(s)+i%3)
		}
		n := p.Put(s)
		if m, known := want[s]; known && m != n {
			t.Fatalf("%s has the numbers %d and %d", s, m, n)
		}
		want[s] = n
	}
	if p.Len() != len(want) {
		t.Fatalf("%d numbers for %d texts", p.Len(), len(want))
	}
	if p.Has("李") {
		t.Error("has what was never put in")
	}
	for s, n := range want {
		if p.Get(n) != s || p.Put(s) != n || !p.Has(s) {
			t.Fatalf("%d is %q, not %q", n, p.Get(n), s)
		}
	}
}
