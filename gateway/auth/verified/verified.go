// Package verified remembers which tokens had a good signature, so that a
// client's hundredth request costs no elliptic curve. It remembers nothing that
// may change: expiry and the key's standing are asked each time, and
// revocation wherever it may have changed since.
package verified

import (
	"crypto/sha256"
	"sync"
)

// Cache maps tokens, by their SHA-256, to what was read from them. It keeps the
// limit most recent ones, about. Safe for concurrent use; what it gives is
// shared and must not be changed.
type Cache[T any] struct {
	limit int
	mu    sync.Mutex
	// What is not asked for while as many others come as a generation holds is
	// forgotten.
	young, old map[[sha256.Size]byte]T
}

// New makes a cache of at most limit tokens.
func New[T any](limit int) *Cache[T] {
	return &Cache[T]{limit: limit, young: map[[sha256.Size]byte]T{}}
}

// Get gives what was put for the token.
func (c *Cache[T]) Get(token string) (v T, ok bool) {
	sum := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok = c.young[sum]; ok {
		return v, true
	}
	if v, ok = c.old[sum]; ok {
		c.put(sum, v)
	}
	return v, ok
}

// Put remembers a token whose signature was verified.
func (c *Cache[T]) Put(token string, v T) {
	sum := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(sum, v)
}

func (c *Cache[T]) put(sum [sha256.Size]byte, v T) {
	if len(c.young) >= c.limit/2 {
		c.old, c.young = c.young, map[[sha256.Size]byte]T{}
	}
	c.young[sum] = v
}
