package verified

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"

	"hutong/fhir"
	"hutong/fhir/store"
)

// Since is a Space that counts the writes to some kinds of keys. Where no other
// process writes to it, what was read of these kinds holds as long as the count
// stands still.
type Since struct {
	store.Space
	prefixes [][]byte
	count    atomic.Uint64
	unsure   atomic.Bool // a write failed that may yet be made
}

// Counting counts the writes to keys that begin with one of the prefixes.
func Counting(s store.Space, prefixes ...string) *Since {
	c := &Since{Space: s}
	c.count.Store(1)
	for _, p := range prefixes {
		c.prefixes = append(c.prefixes, []byte(p))
	}
	return c
}

// Apply implements store.Space. The count rises before the writer hears that it
// is done.
func (c *Since) Apply(ctx context.Context, writes []store.Write) error {
	err := c.Space.Apply(ctx, writes)
	for i := range writes {
		if c.counts(writes[i].Key) {
			if err != nil && !errors.Is(err, fhir.E(fhir.Conflict)) {
				c.unsure.Store(true)
			}
			c.count.Add(1)
			break
		}
	}
	return err
}

func (c *Since) counts(key []byte) bool {
	for _, p := range c.prefixes {
		if bytes.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

// Now is what to remember with what is about to be read, which holds as long as
// Now is the same; 0 if nothing may be remembered: for a nil c, and once a
// write failed of which nobody knows whether it will be made.
func (c *Since) Now() uint64 {
	if c == nil || c.unsure.Load() {
		return 0
	}
	return c.count.Load()
}
