package cache

import "sync/atomic"

// Places keeps values by number, without a lock: each number has one place, which
// it shares with others. It is safe for concurrent use.
type Places[V any] []atomic.Pointer[placed[V]]

type placed[V any] struct {
	n     uint32
	value V
}

// NewPlaces makes so many.
func NewPlaces[V any](size int) Places[V] { return make(Places[V], size) }

func (c Places[V]) at(n uint32) *atomic.Pointer[placed[V]] { return &c[n%uint32(len(c))] }

// Seen is what Get found in a place.
type Seen[V any] struct{ p *placed[V] }

// Get gives the value of n that is held, and else what PutRead wants.
func (c Places[V]) Get(n uint32) (v V, ok bool, seen Seen[V]) {
	p := c.at(n).Load()
	if p != nil && p.n == n {
		return p.value, true, Seen[V]{}
	}
	return v, false, Seen[V]{p}
}

// Put holds v, whatever was held.
func (c Places[V]) Put(n uint32, v V) { c.at(n).Store(&placed[V]{n, v}) }

// PutRead holds v, which was read since Get, unless the place has changed since, or
// valid tells that v is not what would be read now. Who changes n has valid tell so
// first, and then Puts or Drops it: after that nothing older is held.
func (c Places[V]) PutRead(n uint32, v V, seen Seen[V], valid func() bool) {
	p := &placed[V]{n, v}
	if at := c.at(n); at.CompareAndSwap(seen.p, p) && !valid() {
		at.CompareAndSwap(p, nil)
	}
}

// Drop forgets n.
func (c Places[V]) Drop(n uint32) {
	if p := c.at(n).Load(); p != nil && p.n == n {
		c.at(n).CompareAndSwap(p, nil)
	}
}
