// Package dated reads ranges of a date's postings from the newest back, where
// the default order goes by that date: a stream that comes in order from lists
// that stand the other way round, so that a page of it needs no more than a page.
package dated

import (
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/stream"
)

// Source is the tree at one moment, for one search.
type Source struct {
	Iter  func(lo, hi []byte) (*pebble.Iterator, error)
	Done  func(*pebble.Iterator) error
	Holds func(*pebble.Iterator) (class uint32, in bool, err error) // whether its posting was made by that moment
	Spend func(postings int64) error
}

const (
	classLen = 4 + 1        // of a list and the class of lengths
	beginsAt = 1 + classLen // where the beginning stands in a posting's key
)

// Values are list values, all of one class of lengths.
type Values struct {
	Lo, Hi []byte
	Match  func(value []byte) bool // of what stands behind the list; nil takes all
}

// Open opens ranges of one list, each behind the one before. Those without a
// beginning, out of the order of the others, are left to aside, up to hi.
func Open(s Source, ranges []Values, aside func(i int, hi []byte) error) (in []stream.Stream, err error) {
	for i, r := range ranges {
		if i > 0 { // most lists hold periods of one class
			next, err := s.first(r.Lo)
			if err != nil {
				return in, err
			}
			if len(next) == 0 {
				break
			}
			if string(next) >= string(r.Hi) {
				continue
			}
		}
		if first, some := split(r.Lo, r.Hi); some {
			if err := aside(i, first); err != nil {
				return in, err
			}
			r.Lo = first
		}
		if d, err := open(s, r); d != nil {
			in = append(in, d)
		} else if err != nil {
			return in, err
		}
	}
	return in, nil
}

// first gives the first list value and place of lo's list that is not before lo.
func (s *Source) first(lo []byte) (key []byte, err error) {
	x := []byte{'X'}
	it, err := s.Iter(append(x[:1:1], lo...), append(x[:1:1], layout.After(lo[:classLen-1])...))
	if err != nil {
		return nil, err
	}
	if it.First() {
		key = slices.Clone(it.Key()[1:])
	}
	return key, s.Done(it)
}

// split parts the list values [lo,hi), all of one class of lengths, at those
// without a beginning, if there may be some: they stand at the place of their
// end, out of the order of the others, which start at first.
func split(lo, hi []byte) (first []byte, some bool) {
	first = layout.AppendInt(slices.Clone(lo[:classLen]), search.MinDate+1)
	return first, int(lo[classLen-1]) == layout.PeriodClasses-1 && string(lo) < string(first) && string(first) < string(hi)
}

// Range is a stream.Stream of the postings between two list values of one class
// of lengths, none without a beginning. It is not safe for concurrent use.
type Range struct {
	Source
	Match func(value []byte) bool

	it    *pebble.Iterator
	key   []byte        // the class: 'X', list, class
	group []stream.Spot // of one order
	at    int
	more  bool // it stands on the posting before the group
}

// open opens the range; nil if nothing stands in it.
func open(s Source, r Values) (*Range, error) {
	x := []byte{'X'}
	it, err := s.Iter(append(x[:1:1], r.Lo...), append(x[:1:1], r.Hi...))
	if err != nil {
		return nil, err
	}
	if !it.Last() {
		return nil, s.Done(it)
	}
	return &Range{Source: s, Match: r.Match, it: it, key: append(x[:1:1], r.Lo[:classLen]...), more: true}, nil
}

// Seek is that of stream.Stream.
func (r *Range) Seek(p layout.Place) (bool, error) {
	for ; r.at < len(r.group); r.at++ {
		if r.group[r.at].Place.Compare(p) >= 0 {
			return true, nil
		}
	}
	if p.Ord > 0 && r.more {
		if v := r.it.Key(); binary.BigEndian.Uint64(v[beginsAt:]) >= binary.BigEndian.Uint64(layout.AppendInt(nil, (p.Ord.Moment()+1)*1000)) {
			r.more = r.it.SeekLT(layout.AppendInt(r.key[:len(r.key):len(r.key)], (p.Ord.Moment()+1)*1000))
		}
	}
	for {
		if ok, err := r.fill(); !ok || err != nil {
			return false, err
		}
		for ; r.at < len(r.group); r.at++ {
			if r.group[r.at].Place.Compare(p) >= 0 {
				return true, nil
			}
		}
	}
}

// Next is that of stream.Stream.
func (r *Range) Next() (bool, error) {
	if r.at++; r.at < len(r.group) {
		return true, nil
	}
	return r.fill()
}

// fill reads the next group: the places of one order, which stand the other way
// round and, of several lengths, apart.
func (r *Range) fill() (bool, error) {
	r.group, r.at = r.group[:0], 0
	for ; r.more; r.more = r.it.Prev() {
		key := r.it.Key()
		p := layout.PlaceOf(key)
		if len(r.group) > 0 && p.Ord != r.group[0].Ord {
			break
		}
		if err := r.Spend(1); err != nil {
			return false, err
		}
		if r.Match != nil && !r.Match(key[layout.PostingHead:len(key)-layout.PlaceLen]) {
			continue
		}
		class, in, err := r.Holds(r.it)
		if err != nil {
			return false, err
		}
		if in {
			r.group = append(r.group, stream.Spot{Place: p, Class: class})
		}
	}
	slices.SortFunc(r.group, stream.Spot.Compare)
	return len(r.group) > 0, nil
}

// Place is that of stream.Stream.
func (r *Range) Place() layout.Place { return r.group[r.at].Place }

// Class is that of stream.Stream.
func (r *Range) Class() uint32 { return r.group[r.at].Class }

// Close is that of stream.Stream. It tells the error that ended the reading.
func (r *Range) Close() error { return r.Done(r.it) }
