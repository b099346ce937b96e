// Package cache keeps what was read of a Space, in revisions.
package cache

import (
	"sync"
	"time"
)

// Cache keeps the most recently added values; the oldest gives way. Safe for
// concurrent use. Values carry revisions: a slow reader or writer never
// replaces a newer value by the older one that it holds. Where other processes
// write, too, a value older than age is read again.
type Cache[V interface{ Revision() uint64 }] struct {
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

// New makes one for so many values; age 0 is for ever.
func New[V interface{ Revision() uint64 }](size int, age time.Duration) *Cache[V] {
	return &Cache[V]{age: age, items: make(map[string]cached[V]), ring: make([]string, 0, size)}
}

// Get gives the value of k that is held, if it is young enough.
func (c *Cache[V]) Get(k string) (V, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.items[k]
	return v.value, ok && (c.age == 0 || time.Since(v.at) < c.age)
}

// Put adds a value, unless a newer one is held.
func (c *Cache[V]) Put(k string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, held := c.items[k]
	if held && was.value.Revision() > v.Revision() {
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

// Drop forgets k: what the Space holds is in doubt.
func (c *Cache[V]) Drop(k string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.items, k)
}
