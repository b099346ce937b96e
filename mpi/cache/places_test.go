package cache_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"hutong/mpi/cache"
)

// TestPlaces: numbers that share a place take it from each other, and what was read
// before a change is not held after it.
func TestPlaces(t *testing.T) {
	t.Parallel()
	c := cache.NewPlaces[string](4)
	yes, no := func() bool { return true }, func() bool { return false }
	held := func(n uint32, want string) {
		t.Helper()
		if got, ok, _ := c.Get(n); ok != (want != "") || got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
	_, _, seen := c.Get(1)
	c.PutRead(1, "one", seen, yes)
	held(1, "one")
	held(5, "")
	_, _, seen = c.Get(5)
	c.Put(1, "one again")
	c.PutRead(5, "five", seen, yes) // the place has changed
	held(1, "one again")
	_, _, seen = c.Get(5)
	c.PutRead(5, "five", seen, no)
	held(5, "")
	c.Put(5, "five")
	c.Drop(1)
	held(5, "five")
	c.Drop(5)
	held(5, "")
}

// TestPlacesKeepUp: readers beside a writer never leave an old value behind.
func TestPlacesKeepUp(t *testing.T) {
	t.Parallel()
	c := cache.NewPlaces[int64](2)
	var stored [4]atomic.Int64 // what would be read
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for i := uint32(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				n := i % 4
				if _, ok, seen := c.Get(n); !ok {
					v := stored[n].Load()
					c.PutRead(n, v, seen, func() bool { return stored[n].Load() == v })
				}
			}
		})
	}
	for i := range int64(20_000) {
		n := uint32(i % 4)
		stored[n].Store(i)
		c.Put(n, i)
		if got, ok, _ := c.Get(n); ok && got != i {
			t.Errorf("%d is %d after %d was put", n, got, i)
		}
	}
	close(stop)
	wg.Wait()
}
