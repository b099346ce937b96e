package cache_test

import (
	"fmt"
	"testing"

	"hutong/mpi/cache"
)

// TestPerhaps: nothing that was added is missing, and few others are there.
func TestPerhaps(t *testing.T) {
	t.Parallel()
	p := cache.NewPerhaps()
	strays := 0
	for i := range 10_000 {
		p.Add(fmt.Sprint("in", i))
	}
	for i := range 10_000 {
		if !p.Has(fmt.Sprint("in", i)) {
			t.Fatalf("%d was added", i)
		}
		if p.Has(fmt.Sprint("out", i)) {
			strays++
		}
	}
	if strays > 200 { // about 95 of 2^20 bits
		t.Errorf("%d of 10,000 others are there", strays)
	}
}
