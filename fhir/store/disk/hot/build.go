package hot

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
)

// Source is where a list is read from.
type Source struct {
	Fresh   func(lo, hi []byte) (*pebble.Iterator, error) // sees all that was applied until now
	Horizon func() fhir.T
	// Dated: the key is a list of dates of which no resource has two, and Span
	// gives the length of the date that a class tells of that list, 0 if none.
	Dated bool
	Span  func(class uint32) (int64, error)
	Check func() error // tells why to stop
}

// Build reads a list as it was at t, the moment of a reading, and what has
// changed since, and keeps it. It gives nil where the list is not to be had:
// another reader is at it, or it does not fit.
func (c *Cache) Build(key []byte, t fhir.T, src Source) (*View, error) {
	if !c.build.TryLock() {
		return nil, nil
	}
	defer c.build.Unlock()
	l := &list{key: string(key), state: state{dated: src.Dated, since: t}}
	c.mu.Lock()
	if c.lists[l.key] != nil {
		c.mu.Unlock()
		return nil, nil // of a moment after t
	}
	// From here on the committer tells what it does after the commit upto; all up
	// to that was applied, so the iterator below sees it.
	upto := c.applied
	c.lists[l.key] = l
	c.ids[l.id()]++
	c.mu.Unlock()
	b := builder{Source: src, key: key, t: t, upto: upto, most: c.most(), found: l.state}
	fits, err := b.read()
	c.mu.Lock()
	if err != nil || !fits || b.small(c.after) || src.Horizon() > t {
		c.drop(l)
		c.mu.Unlock()
		if err == nil {
			c.refuse(l.key)
		}
		return nil, err
	}
	if l.dead {
		c.mu.Unlock()
		return nil, nil
	}
	delete(c.asked, l.key)
	l.state = b.found
	l.changes = append(b.changes, l.changes...)
	l.ready = true
	c.resize(l)
	c.mu.Unlock()
	return c.View(key, t), nil
}

// builder reads the rows of one list.
type builder struct {
	Source
	key     []byte
	t, upto fhir.T
	most    int64
	found   state    // what held at t
	changes []change // from t to upto
	spans   map[uint32]int64
	n       int64
}

// small: a list that is read as fast from the tree.
func (b *builder) small(after int64) bool { return int64(len(b.found.rows)+len(b.found.odd)) < after/8 }

// read visits the current postings and those superseded since t, by one
// iterator, so that none is missed or seen twice.
func (b *builder) read() (fits bool, err error) {
	b.spans = map[uint32]int64{}
	it, err := b.Fresh(nil, nil)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	lo := append([]byte{'X'}, b.key...)
	fits, err = b.scan(it, lo, layout.After(lo), layout.PostingHead)
	if !fits || err != nil {
		return fits, err
	}
	undo := append([]byte{'Y'}, b.key[:4]...)
	fits, err = b.scan(it, binary.BigEndian.AppendUint64(bytes.Clone(undo), uint64(b.t)+1), layout.After(undo), layout.UndoHead)
	slices.SortStableFunc(b.changes, func(x, y change) int {
		if c := cmp.Compare(x.at, y.at); c != 0 || x.end == y.end {
			return c
		}
		if x.end {
			return -1
		}
		return 1
	})
	b.found.finish(b.spans)
	return fits && !b.found.twice(), err
}

func (b *builder) scan(it *pebble.Iterator, lo, hi []byte, head int) (fits bool, err error) {
	it.SetBounds(lo, hi)
	for ok := it.First(); ok; ok = it.Next() {
		if b.n++; b.n > b.most {
			return false, nil
		}
		if b.n%4096 == 0 {
			if err := b.Check(); err != nil {
				return false, err
			}
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		key := it.Key()
		value := key[head : len(key)-layout.PlaceLen]
		if !b.Dated && !bytes.Equal(value, b.key[4:]) {
			continue
		}
		to := fhir.T(0)
		if head == layout.UndoHead {
			to = fhir.T(binary.BigEndian.Uint64(key[5:]))
		}
		from, class := layout.PostedOf(v)
		if err := b.take(from, to, class, layout.PlaceOf(key), value); err != nil {
			return false, err
		}
	}
	return true, it.Error()
}

// take enters a posting that held from a commit on, to another if that is not 0.
func (b *builder) take(from, to fhir.T, class uint32, p layout.Place, value []byte) error {
	if from > b.upto {
		return nil // the committer tells
	}
	x := period{row: pack(p, class)}
	if b.Dated {
		x.lo, x.hi, _ = layout.PeriodOf(value)
		if _, known := b.spans[x.class()]; !known {
			span, err := b.Span(x.class())
			if err != nil {
				return err
			}
			b.spans[x.class()] = span
		}
	}
	if from <= b.t {
		b.found.put(x, b.spans[x.class()])
	} else {
		b.changes = append(b.changes, change{row: x.row, lo: x.lo, hi: x.hi, at: from})
	}
	if to != 0 && to <= b.upto {
		b.changes = append(b.changes, change{row: x.row, lo: x.lo, hi: x.hi, at: to, end: true})
	}
	return nil
}
