package shelf

import "slices"

// slab holds lists of two records and more in one run of words. A block is a
// header (length, class) and room for sizes[class] numbers; a block that is given
// back is first in the chain of its class.
type slab struct {
	words []uint32
	free  [len(sizes)]uint32 // offset+1 of the first free block of a class
}

// sizes are the room of a block by class: what is unused stays under a third.
var sizes = [...]int{2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 48, 64, 85, 113, 150, 200, 266, 355, 473, 630, 840, 1120}

// A header's high byte is the class, its highest bit says that the list is too
// long and only counted: then the first word is the count.
const (
	classShift = 24
	overBit    = 1 << 31
	lengthMask = 1<<classShift - 1
)

func (s *slab) class(at uint32) int     { return int(s.words[at]&^overBit) >> classShift }
func (s *slab) length(at uint32) int    { return int(s.words[at] & lengthMask) }
func (s *slab) over(at uint32) bool     { return s.words[at]&overBit != 0 }
func (s *slab) resize(at uint32, n int) { s.words[at] = uint32(s.class(at))<<classShift | uint32(n) }

// take gives a block of a class, with length 0.
func (s *slab) take(class int) uint32 {
	at := s.free[class]
	if at != 0 {
		at--
		s.free[class] = s.words[at+1]
	} else {
		at = uint32(len(s.words))
		s.extend(1 + sizes[class])
	}
	s.words[at] = uint32(class) << classShift
	return at
}

// extend adds n words, growing by an eighth at a time.
func (s *slab) extend(n int) {
	if want := len(s.words) + n; want > cap(s.words) {
		grown := make([]uint32, len(s.words), max(want, 32, cap(s.words)*9/8))
		copy(grown, s.words)
		s.words = grown
	}
	s.words = s.words[:len(s.words)+n]
}

func (s *slab) release(at uint32) {
	class := s.class(at)
	s.words[at+1] = s.free[class]
	s.free[class] = at + 1
}

// items are the numbers of a list; none of one that is only counted.
func (s *slab) items(at uint32) (_ []uint32, over bool) {
	if s.over(at) {
		return nil, true
	}
	return s.words[at+1:][:s.length(at)], false
}

// pair makes a list of two.
func (s *slab) pair(a, b uint32) uint32 {
	at := s.take(0)
	s.words[at+1], s.words[at+2] = a, b
	s.resize(at, 2)
	return at
}

// add puts n into a list, once, and gives the block where the list is then.
func (s *slab) add(at, n uint32, limit int) uint32 {
	if s.over(at) {
		s.words[at+1]++
		return at
	}
	items, _ := s.items(at)
	switch length := len(items); {
	case slices.Contains(items, n):
		return at
	case length == limit:
		s.release(at)
		at = s.take(0)
		s.words[at] |= overBit
		s.words[at+1] = uint32(length + 1)
		return at
	case length == sizes[s.class(at)]:
		larger := s.take(s.class(at) + 1)
		copy(s.words[larger+1:], s.words[at+1:][:length])
		s.release(at)
		at = larger
		fallthrough
	default:
		s.words[at+1+uint32(length)] = n
		s.resize(at, length+1)
		return at
	}
}

// remove takes n out of a list and gives the length that is left.
func (s *slab) remove(at, n uint32) (left int, over bool) {
	if s.over(at) {
		s.words[at+1]--
		return int(s.words[at+1]), true
	}
	items, _ := s.items(at)
	i := slices.Index(items, n)
	if i < 0 {
		return len(items), false
	}
	items[i] = items[len(items)-1]
	s.resize(at, len(items)-1)
	return len(items) - 1, false
}
