package latch

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestLock: nobody holds a key beside another, none waits for ever, and nothing is
// kept of keys that nobody holds.
func TestLock(t *testing.T) {
	t.Parallel()
	var table Table
	var counts [40]int // guarded by the key of the same number
	var wg sync.WaitGroup
	const workers, rounds, each = 8, 400, 6
	for w := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for range rounds {
				keys := make([]uint64, each)
				for i, n := range r.Perm(len(counts))[:each] {
					keys[i] = uint64(n) * 256 // all in one shard
				}
				unlock := table.Lock(keys)
				for _, k := range keys {
					n := counts[k/256]
					runtime.Gosched()
					counts[k/256] = n + 1
				}
				unlock()
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	if want := workers * rounds * each; sum != want {
		t.Errorf("%d of %d: two held one key", sum, want)
	}
	for i := range table.shards {
		if n := len(table.shards[i].held); n != 0 {
			t.Errorf("shard %d keeps %d keys", i, n)
		}
	}
}

// TestOthersGoOn: who shares no key does not wait.
func TestOthersGoOn(t *testing.T) {
	t.Parallel()
	var table Table
	unlock := table.Lock([]uint64{1, 2})
	table.Lock([]uint64{3, 257})()
	waited := make(chan struct{})
	go func() {
		table.Lock([]uint64{2, 9})()
		close(waited)
	}()
	select {
	case <-waited:
		t.Fatal("a held key was taken")
	case <-time.After(20 * time.Millisecond):
	}
	unlock()
	<-waited
}
