package shelf

import (
	"encoding/binary"
	"math/bits"
)

// slab holds the buckets of a shard in runs of bytes, which are never moved: a
// shard that grows copies nothing. A block's room follows from how much of it is
// used (roomFor), so it is stored nowhere; a block that is given back heads the
// chain of its size.
type slab struct {
	runs [][]byte        // a block is at run<<16 + offset
	last int             // the run that is being filled
	end  int             // how far
	free [classes]uint32 // place+1 of the first free block of a size
}

// A run is an eighth of what there is, within these bounds.
const leastRun, mostRun = 1 << 10, 1 << 16

// at gives the bytes from a place on.
func (s *slab) at(place uint32) []byte { return s.runs[place>>16][place&0xffff:] }

// room is how many bytes there are.
func (s *slab) room() (n int) {
	for _, r := range s.runs {
		n += len(r)
	}
	return n
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
		*head = binary.LittleEndian.Uint32(s.at(at))
		return at
	}
	if len(s.runs) == 0 || s.end+room > len(s.runs[s.last]) {
		if room > mostRun { // one for itself
			s.runs = append(s.runs, make([]byte, room))
			return uint32(len(s.runs)-1) << 16
		}
		s.begin(max(room, min(mostRun, max(leastRun, s.room()/8))))
	}
	at := uint32(s.last)<<16 | uint32(s.end)
	s.end += room
	return at
}

// begin begins a run of n bytes.
func (s *slab) begin(n int) {
	s.runs = append(s.runs, make([]byte, n))
	s.last, s.end = len(s.runs)-1, 0
}

// release gives back the block at which n bytes were used; none if n is 0.
func (s *slab) release(at uint32, n int) {
	if n == 0 {
		return
	}
	head := &s.free[classOf(roomFor(n))]
	binary.LittleEndian.PutUint32(s.at(at), *head)
	*head = at + 1
}
