package shelf

import (
	"encoding/binary"
	"slices"
)

// A bucket is a run of entries in ascending order of their tags. An entry is the
// low three bytes of its tag, big-endian, then a number (uvarint) whose low bits
// say what it is:
//
//	xx0  the one record x
//	x01  a list: x bytes follow, the records ascending, the first and then the gaps
//	x11  nothing but a count: the list is too long and x long, or must be asked of the Space (x = 0)
const (
	tagBytes  = 3
	tagMask   = 1<<(8*tagBytes) - 1
	maxNumber = 1<<27 - 1
)

// list is an entry's list, taken out of its bucket.
type list struct {
	items     []uint32 // ascending; of one that is within its cap
	count     int      // of one that is too long
	elsewhere bool     // the Space must be asked
}

// add puts n in, once. A list that outgrows limit keeps its length only. It
// reports a change.
func (l *list) add(n uint32, limit int) bool {
	switch {
	case l.elsewhere:
		return false
	case l.count > 0:
		l.count++
		return true
	}
	at, found := slices.BinarySearch(l.items, n)
	switch {
	case found:
		return false
	case len(l.items) == limit:
		l.count, l.items = limit+1, nil
	default:
		l.items = slices.Insert(l.items, at, n)
	}
	return true
}

// remove takes n out. An overlong list that falls to its limit is asked of the
// Space from then on. It reports a change.
func (l *list) remove(n uint32, limit int) bool {
	switch {
	case l.elsewhere:
		return false
	case l.count > 0:
		if l.count--; l.count <= limit {
			l.count, l.elsewhere = 0, true
		}
		return true
	}
	at, found := slices.BinarySearch(l.items, n)
	if found {
		l.items = slices.Delete(l.items, at, at+1)
	}
	return found
}

// find gives where the entry of tag is in a bucket, or where it would be.
func find(bucket []byte, tag uint32) (from, to int) {
	tag &= tagMask
	for from < len(bucket) {
		_, to = span(bucket, from)
		if t := tagAt(bucket, from); t >= tag {
			if t > tag {
				to = from
			}
			return from, to
		}
		from = to
	}
	return from, from
}

func tagAt(b []byte, at int) uint32 {
	return uint32(b[at])<<16 | uint32(b[at+1])<<8 | uint32(b[at+2])
}

// span gives where the body of the entry at `at` begins, and where it ends.
func span(b []byte, at int) (body, end int) {
	at += tagBytes
	head, shift := uint64(0), 0
	for ; b[at] >= 0x80; at++ {
		head |= uint64(b[at]&0x7f) << shift
		shift += 7
	}
	head |= uint64(b[at]) << shift
	at++
	if head&3 == 1 {
		return at, at + int(head>>2)
	}
	return at, at
}

// decode takes an entry out; the list's items are appended to room. No entry is
// the empty list.
func decode(entry []byte, room []uint32) (l list) {
	l.items = room
	if len(entry) == 0 {
		return l
	}
	head, w := binary.Uvarint(entry[tagBytes:])
	switch {
	case head&1 == 0:
		l.items = append(l.items, uint32(head>>1))
	case head&2 != 0:
		l.count, l.elsewhere = int(head>>2), head>>2 == 0
	default:
		n := uint32(0)
		for b := entry[tagBytes+w:]; len(b) > 0; {
			gap, w := binary.Uvarint(b)
			n += uint32(gap)
			l.items, b = append(l.items, n), b[w:]
		}
	}
	return l
}

// encode appends the entry of tag to dst; the empty list has none.
func (l *list) encode(dst []byte, tag uint32) []byte {
	if len(l.items) == 0 && l.count == 0 && !l.elsewhere {
		return dst
	}
	dst = append(dst, byte(tag>>16), byte(tag>>8), byte(tag))
	switch {
	case l.count > 0 || l.elsewhere:
		return binary.AppendUvarint(dst, uint64(l.count)<<2|3)
	case len(l.items) == 1:
		return binary.AppendUvarint(dst, uint64(l.items[0])<<1)
	}
	size, last := 0, uint32(0)
	for _, n := range l.items {
		size += uvarintSize(n - last)
		last = n
	}
	dst, last = binary.AppendUvarint(dst, uint64(size)<<2|1), 0
	for _, n := range l.items {
		dst = binary.AppendUvarint(dst, uint64(n-last))
		last = n
	}
	return dst
}

func uvarintSize(n uint32) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}
