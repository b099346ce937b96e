package cache

import (
	"hash/maphash"
	"sync/atomic"
)

// Perhaps is a set of texts in a fixed 128 KiB: it has all that were added, and now
// and then one that was not. The zero value is not ready; it is safe for concurrent use.
type Perhaps struct {
	seed maphash.Seed
	bits [1 << 14]atomic.Uint64
}

// NewPerhaps makes an empty one.
func NewPerhaps() *Perhaps { return &Perhaps{seed: maphash.MakeSeed()} }

func (p *Perhaps) at(s string) (word *atomic.Uint64, bit uint64) {
	h := maphash.String(p.seed, s)
	return &p.bits[h>>6%uint64(len(p.bits))], 1 << (h & 63)
}

// Add adds s.
func (p *Perhaps) Add(s string) {
	word, bit := p.at(s)
	word.Or(bit)
}

// Has reports whether s may have been added.
func (p *Perhaps) Has(s string) bool {
	word, bit := p.at(s)
	return word.Load()&bit != 0
}
