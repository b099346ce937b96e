// Package hot keeps posting lists that are read often in memory, packed into 16
// bytes a posting, so that counting and intersecting them costs nanoseconds a
// posting instead of a step of the tree's merging iterator.
//
// A list is its state at one moment and the changes since, which the committer
// tells as it applies them: a reading at any later moment is exact, one at an
// earlier moment is left to the tree. Lists come in when as much of them has
// been read from the tree as they are long, and go when memory is short, the
// longest unused first, or when they change more than they are read.
package hot

import (
	"encoding/binary"
	"math"
	"sync"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
)

const (
	rowBytes    = 16
	oddBytes    = 32
	changeBytes = 48
	listBytes   = 512     // a list beside its rows, about
	maxChanges  = 1 << 15 // of a list that nobody reads meanwhile; with more it goes
	foldAt      = 1 << 11 // changes that a reader works into the state
	maxAsked    = 1024    // lists whose reads are counted
)

// Cache is safe for concurrent use. A nil Cache holds nothing.
type Cache struct {
	limit int64 // bytes
	after int64 // postings read from a list before it is kept

	mu      sync.Mutex
	applied fhir.T           // the newest commit whose changes it has been told
	lists   map[string]*list // by key
	ids     map[uint32]int   // how many of them are of a list's number
	asked   map[string]*reads
	askedOf map[uint32]bool // numbers of the lists that are in asked
	bytes   int64
	clock   int64
	build   sync.Mutex // one list is read at a time
}

// reads says what was read of a list from the tree, and how long it is.
type reads struct {
	cost, need int64
}

// New makes a cache of at most limit bytes for a store whose newest applied
// commit is t. A list is kept once after postings of it were read, and as many
// as it has; 0 takes 4096.
func New(limit, after int64, t fhir.T) *Cache {
	if after == 0 {
		after = 4096
	}
	return &Cache{limit: limit, after: after, applied: t, lists: map[string]*list{}, ids: map[uint32]int{}, asked: map[string]*reads{}, askedOf: map[uint32]bool{}}
}

// Committed tells what commit t did, after it was applied to the tree and
// before anybody reads at t. each visits the postings that it ended (end), then
// those that it made.
func (c *Cache) Committed(t fhir.T, each func(visit func(listValue []byte, p layout.Place, class uint32, end bool))) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.applied = t
	if len(c.lists) == 0 {
		return
	}
	each(func(listValue []byte, p layout.Place, class uint32, end bool) {
		if c.ids[binary.BigEndian.Uint32(listValue)] == 0 {
			return
		}
		if l := c.lists[string(listValue)]; l != nil && !l.dated {
			c.push(l, change{row: pack(p, class), at: t, end: end})
		}
		if l := c.lists[string(listValue[:4])]; l != nil && l.dated {
			lo, hi, _ := layout.PeriodOf(listValue[4:])
			c.push(l, change{row: pack(p, class), lo: lo, hi: hi, at: t, end: end})
		}
	})
	c.evict()
}

func (c *Cache) push(l *list, ch change) {
	if len(l.changes) >= maxChanges {
		c.drop(l)
		return
	}
	l.changes = append(l.changes, ch)
	c.bytes += changeBytes
	l.bytes += changeBytes
}

// Reset drops all lists: rows of the tree changed that no commit made.
func (c *Cache) Reset() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.lists {
		c.drop(l)
	}
}

// drop forgets a list. Views of it stay good: what they hold never changes.
func (c *Cache) drop(l *list) {
	if l.dead {
		return
	}
	l.dead = true
	c.bytes -= l.bytes
	delete(c.lists, l.key)
	id := l.id()
	if c.ids[id]--; c.ids[id] == 0 {
		delete(c.ids, id)
	}
}

// evict makes room: the list that was not used for the longest time goes first.
func (c *Cache) evict() {
	for c.bytes > c.limit {
		var oldest *list
		for _, l := range c.lists {
			if l.ready && (oldest == nil || l.used < oldest.used) {
				oldest = l
			}
		}
		if oldest == nil {
			return
		}
		c.drop(oldest)
	}
}

// Bytes is the memory in use.
func (c *Cache) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// View gives the list of a key as it was at t, nil if the cache cannot tell.
// The key is a list and a value, or a list of dates (see Source.Dated).
func (c *Cache) View(key []byte, t fhir.T) *View {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	l := c.lists[string(key)]
	if l == nil || !l.ready || t < l.since {
		c.mu.Unlock()
		return nil
	}
	c.clock++
	l.used = c.clock
	v := &View{state: l.state}
	changes := l.changes[:len(l.changes):len(l.changes)]
	c.mu.Unlock()
	v.resolve(changes, t)
	if len(v.gone)+len(v.extra) > foldAt {
		c.fold(l, v, t)
	}
	return v
}

// fold makes what a view saw at t the state of its list.
func (c *Cache) fold(l *list, v *View, t fhir.T) {
	next := v.folded()
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.dead || l.since != v.since {
		return // another reader did
	}
	next.since = t
	l.state = next
	var left []change
	for _, ch := range l.changes {
		if ch.at > t {
			left = append(left, ch)
		}
	}
	l.changes = left
	c.resize(l)
}

func (c *Cache) resize(l *list) {
	c.bytes -= l.bytes
	l.bytes = listBytes + rowBytes*int64(len(l.rows)) + oddBytes*int64(len(l.odd)) + changeBytes*int64(len(l.changes))
	c.bytes += l.bytes
	c.evict()
}

// Used counts postings of a list that were read from the tree. Short reads,
// of which there are many, do not push out the counts of others.
func (c *Cache) Used(key []byte, postings int64) {
	if c == nil || postings <= c.after/16 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.asked[string(key)]
	if r == nil {
		if len(c.asked) >= maxAsked {
			clear(c.asked)
			clear(c.askedOf)
		}
		r = &reads{need: -1}
		c.asked[string(key)] = r
		c.askedOf[binary.BigEndian.Uint32(key)] = true
	}
	r.cost += postings
}

// May reports whether a list of this number, its first four bytes, is held or may
// be wanted: where not, there is no need to know its values.
func (c *Cache) May(list []byte) bool {
	if c == nil {
		return false
	}
	id := binary.BigEndian.Uint32(list)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids[id] > 0 || c.askedOf[id]
}

// Wants reports whether a list is to be kept. length estimates how many
// postings it has; it is asked once.
func (c *Cache) Wants(key []byte, length func() (int64, error)) (bool, error) {
	if c == nil {
		return false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.asked[string(key)]
	if r == nil || r.cost < c.after {
		return false, nil
	}
	if r.need < 0 {
		c.mu.Unlock() // the committer does not wait for the estimate
		n, err := length()
		c.mu.Lock()
		if err != nil {
			return false, err
		}
		if r.need = n; n > c.most() {
			r.need = math.MaxInt64
		}
	}
	return r.cost >= r.need, nil
}

// most is how many postings a list may have: one does not take all memory.
func (c *Cache) most() int64 { return c.limit / 2 / rowBytes }

// refuse says that a list is not to be kept.
func (c *Cache) refuse(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.asked[key]; r != nil {
		r.need = math.MaxInt64
	}
}
