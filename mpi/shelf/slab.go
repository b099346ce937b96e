package shelf

import (
	"encoding/binary"
	"math/bits"
)

// slab holds the buckets of a shard in one run of bytes. A block's room follows
// from how much of it is used (roomFor), so it is stored nowhere; a block that
// is given back heads the chain of its size.
type slab struct {
	bytes []byte
	free  [classes]uint32 // offset+1 of the first free block of a size
}

const classes = 8 * 32

// roomFor is the size of the block that holds n bytes: eight sizes to a
// doubling, so a block is filled by eight ninths at least, and by 17 of 18 on
// average.
func roomFor(n int) int {
	step := max(4, 1<<max(0, bits.Len(uint(n-1))-4))
	return (n + step - 1) / step * step
}

func classOf(room int) int {
	top := bits.Len(uint(room - 1))
	return top*8 + room>>max(0, top-4)&7
}

// take gives a block for n bytes, n > 0.
func (s *slab) take(n int) uint32 {
	room := roomFor(n)
	if head := &s.free[classOf(room)]; *head != 0 {
		at := *head - 1
		*head = binary.LittleEndian.Uint32(s.bytes[at:])
		return at
	}
	at := len(s.bytes)
	if at+room > cap(s.bytes) { // by an eighth: doubling would leave half of the memory unused
		grown := make([]byte, at, max(at+room, cap(s.bytes)*9/8))
		copy(grown, s.bytes)
		s.bytes = grown
	}
	s.bytes = s.bytes[:at+room]
	return uint32(at)
}

// release gives back the block at which n bytes were used; none if n is 0.
func (s *slab) release(at uint32, n int) {
	if n == 0 {
		return
	}
	head := &s.free[classOf(roomFor(n))]
	binary.LittleEndian.PutUint32(s.bytes[at:], *head)
	*head = at + 1
}
