package bulk

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"

	"hutong/mpi/link"
)

// Verdict is what two records call for: a link or a review.
type Verdict struct {
	A, B                uint32
	Weight, Probability float64
	Link                bool
	Reasons             uint16 // a number of Reasons
}

// VerdictSize is the bytes of one.
const VerdictSize = 27

// Append appends the bytes of v.
func (v *Verdict) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, v.A), v.B)
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.Weight))
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.Probability))
	flag := byte(0)
	if v.Link {
		flag = 1
	}
	return binary.BigEndian.AppendUint16(append(b, flag), v.Reasons)
}

// ReadVerdicts reads what Append wrote, one behind the other.
func ReadVerdicts(b []byte) []Verdict {
	out := make([]Verdict, 0, len(b)/VerdictSize)
	for ; len(b) > 0; b = b[VerdictSize:] {
		be := binary.BigEndian
		out = append(out, Verdict{be.Uint32(b), be.Uint32(b[4:]), math.Float64frombits(be.Uint64(b[8:])), math.Float64frombits(be.Uint64(b[16:])), b[24] == 1, be.Uint16(b[25:])})
	}
	return out
}

// Reasons numbers the lists of reasons that occur.
type Reasons struct {
	mu    sync.Mutex
	lists [][]link.Reason
}

// Number is the number of a list.
func (t *Reasons) Number(rs []link.Reason) uint16 {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.lists, func(l []link.Reason) bool { return slices.Equal(l, rs) })
	if i < 0 {
		i = len(t.lists)
		t.lists = append(t.lists, slices.Clone(rs))
	}
	return uint16(i)
}

// List is the list of a number.
func (t *Reasons) List(i uint16) []link.Reason {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lists[i]
}
