package bulk

import (
	"cmp"
	"os"
	"slices"
	"sync"
)

// Spool keeps items by compartment, in files: what has been put into
// a compartment is read as a whole. Safe for concurrent use; compartments are
// read after the last Put.
type Spool struct {
	dir string
	in  []compartment
}

type compartment struct {
	mu   sync.Mutex
	f    *os.File
	wait []byte
	n    int64 // bytes in f
}

// spoolBytes is how much of a compartment waits in memory.
const spoolBytes = 32 << 10

// NewSpool makes n compartments.
func NewSpool(dir string, n int) *Spool {
	return &Spool{dir: dir, in: make([]compartment, n)}
}

// Put puts an item, or several, into a compartment; they are copied.
func (s *Spool) Put(i int, items []byte) error {
	c := &s.in[i]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wait = append(c.wait, items...)
	if len(c.wait) < spoolBytes {
		return nil
	}
	return s.write(c)
}

func (s *Spool) write(c *compartment) (err error) {
	if c.f == nil {
		if c.f, err = os.CreateTemp(s.dir, "spool-*"); err != nil {
			return err
		}
	}
	_, err = c.f.WriteAt(c.wait, c.n)
	c.n += int64(len(c.wait))
	c.wait = c.wait[:0]
	return err
}

// Take gives the items of a compartment, in no order, appended to room, and
// deletes them.
func (s *Spool) Take(i int, room []byte) ([]byte, error) {
	c := &s.in[i]
	c.mu.Lock()
	defer c.mu.Unlock()
	at := len(room)
	room = slices.Grow(room, int(c.n)+len(c.wait))[:at+int(c.n)]
	if c.f != nil {
		if _, err := c.f.ReadAt(room[at:], 0); err != nil {
			return nil, err
		}
		if err := cmp.Or(c.f.Close(), os.Remove(c.f.Name())); err != nil {
			return nil, err
		}
	}
	room = append(room, c.wait...)
	c.f, c.wait, c.n = nil, nil, 0
	return room, nil
}
