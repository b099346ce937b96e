package mpi

import (
	"sync"
	"sync/atomic"
	"time"
)

// cache keeps the most recently added values; the oldest gives way. Safe for
// concurrent use. Values carry revisions: a slow reader or writer never
// replaces a newer value by the older one that it holds. Where other processes
// write, too, a value older than age is read again.
type cache[V interface{ revision() uint64 }] struct {
	mu    sync.RWMutex
	age   time.Duration // 0: for ever
	items map[string]cached[V]
	ring  []string
	next  int
}

type cached[V any] struct {
	value V
	at    time.Time // when it was put; zero without an age
}

func newCache[V interface{ revision() uint64 }](size int, age time.Duration) *cache[V] {
	return &cache[V]{age: age, items: make(map[string]cached[V]), ring: make([]string, 0, size)}
}

func (c *cache[V]) get(k string) (V, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.items[k]
	return v.value, ok && (c.age == 0 || time.Since(v.at) < c.age)
}

func (c *cache[V]) put(k string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, held := c.items[k]
	if held && was.value.revision() > v.revision() {
		return
	}
	if !held {
		if len(c.ring) < cap(c.ring) {
			c.ring = append(c.ring, k)
		} else {
			delete(c.items, c.ring[c.next])
			c.ring[c.next] = k
			c.next = (c.next + 1) % len(c.ring)
		}
	}
	fresh := cached[V]{value: v}
	if c.age > 0 {
		fresh.at = time.Now()
	}
	c.items[k] = fresh
}

// drop forgets k: what the Space holds is in doubt.
func (c *cache[V]) drop(k string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.items, k)
}

// clock gives microseconds that never repeat within a process: the order of
// journal entries and of person ids.
type clock struct{ last atomic.Int64 }

func (c *clock) micros(now time.Time) int64 {
	for {
		last := c.last.Load()
		t := max(now.UnixMicro(), last+1)
		if c.last.CompareAndSwap(last, t) {
			return t
		}
	}
}

// stripes serialise feeds that could meet: two records that share a block key
// share a stripe.
type stripes [1024]sync.Mutex

// lock takes the stripes of the hashes in ascending order, each once, and
// gives the function that releases them.
func (s *stripes) lock(hashes []uint64) (unlock func()) {
	var want [len(s) / 64]uint64
	for _, h := range hashes {
		i := h % uint64(len(s))
		want[i/64] |= 1 << (i % 64)
	}
	each := func(do func(*sync.Mutex)) {
		for i := range s {
			if want[i/64]&(1<<(i%64)) != 0 {
				do(&s[i])
			}
		}
	}
	each((*sync.Mutex).Lock)
	return func() { each((*sync.Mutex).Unlock) }
}

// counters are what the index counts of its own work since Open.
type counters struct {
	feeds, unchanged, retries, links, reviews, skipped, oversized, overlays atomic.Int64
}

// Stats tells what the index did since Open.
type Stats struct {
	Feeds     int64 `json:"feeds"`     // versions taken in
	Unchanged int64 `json:"unchanged"` // of these, repeats
	Retries   int64 `json:"retries"`   // after a concurrent change
	Links     int64 `json:"links"`     // changes of a person's members
	Reviews   int64 `json:"reviews"`   // tasks opened
	Skipped   int64 `json:"skipped"`   // block lists passed over as too long
	Oversized int64 `json:"oversized"` // components too large to divide anew
	Overlays  int64 `json:"overlays"`  // updates that made a record speak of another human
}

// Stats reads the counters.
func (x *Index) Stats() Stats {
	s := &x.stats
	return Stats{s.feeds.Load(), s.unchanged.Load(), s.retries.Load(), s.links.Load(), s.reviews.Load(), s.skipped.Load(), s.oversized.Load(), s.overlays.Load()}
}
