package shelf

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"

	"hutong/mpi/block"
)

// A record is compared with those that share most of its lists. A list says the
// less of two records that it holds the longer it is: of a region's namesakes
// hundreds share a list or two with a record, but those that are one person with
// it share many, or a short one. A record is worth the sum of what it shares, 1/n
// for a list of n: the same seen from either side.
const (
	// Nearest is how many are compared at most, beside those of an identifier.
	Nearest = 32
	unit    = 1 << 16
	enough  = unit / 20 // of this worth, or of half the best: who has little to say meets somebody, too
)

// Meeting gathers who shares lists with a record. For one goroutine.
type Meeting struct {
	met   []Met
	slots []uint32 // by hash of the number: index+1 in met
	room  []uint32
}

// Met is a record that was met, by its number.
type Met struct {
	N      uint32
	worth  uint32
	sure   bool // shares an identifier
	Mutual bool // is chosen from either side, unless there are too many
}

// NewMeeting makes one.
func NewMeeting() *Meeting { return &Meeting{slots: make([]uint32, 1<<8)} }

func (w *Meeting) begin() {
	w.met = w.met[:0]
	clear(w.slots)
}

// Add has those of a list met; sure says that it is an identifier's.
func (w *Meeting) Add(list []uint32, sure bool) {
	worth := uint32(unit / max(1, len(list)))
	for _, n := range list {
		m := w.at(n)
		m.worth += worth
		m.sure = m.sure || sure
	}
}

func (w *Meeting) at(n uint32) *Met {
	if 2*len(w.met) >= len(w.slots) {
		w.slots = make([]uint32, 2*len(w.slots))
		for i := range w.met {
			w.slots[w.slot(w.met[i].N)] = uint32(i + 1)
		}
	}
	i := w.slot(n)
	if w.slots[i] == 0 {
		w.met = append(w.met, Met{N: n})
		w.slots[i] = uint32(len(w.met))
	}
	return &w.met[w.slots[i]-1]
}

func (w *Meeting) slot(n uint32) uint32 {
	mask := uint32(len(w.slots) - 1)
	i := n * 0x9e3779b1 >> 7 & mask
	for w.slots[i] != 0 && w.met[w.slots[i]-1].N != n {
		i = (i + 1) & mask
	}
	return i
}

// Chosen gives those that are to be compared, those with an identifier in common
// first, then by worth, and how many others were met. It does not depend on the
// order of lists; of equal worth, the lower number goes first.
func (w *Meeting) Chosen() (chosen []Met, passed int) {
	best := uint32(0)
	for i := range w.met {
		if !w.met[i].sure {
			best = max(best, w.met[i].worth)
		}
	}
	least := min(enough, best/2)
	for i := range w.met {
		m := w.met[i]
		if m.Mutual = m.sure || m.worth >= enough; m.sure || m.worth >= least {
			chosen = append(chosen, m)
		}
	}
	slices.SortFunc(chosen, func(a, b Met) int {
		if a.sure != b.sure {
			if a.sure {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.worth, a.worth), cmp.Compare(a.N, b.N))
	})
	sure := 0
	for sure < len(chosen) && chosen[sure].sure {
		sure++
	}
	chosen = chosen[:min(len(chosen), sure+Nearest)]
	return chosen, len(w.met) - len(chosen)
}

var meetings = sync.Pool{New: func() any { return NewMeeting() }}

// Near gives the records that one with these keys is to be compared with; self
// is its number, which is left out, or 0. skipped counts lists that are too long,
// and records that were met and not chosen. ok is false where the Space must be
// asked, as of an identifier that too many carry: with a number it is left out.
func (s *Shelf) Near(keys []block.Key, self uint32) (chosen []Met, skipped int, ok bool) {
	w := meetings.Get().(*Meeting)
	defer meetings.Put(w)
	w.begin()
	for _, k := range keys {
		sh, tag := s.at(k)
		list, over, ok := sh.list(tag, w.room[:0])
		if !ok || over && k.Pass == block.ByID && self == 0 {
			return nil, 0, false
		}
		if over {
			skipped++
			continue
		}
		w.Add(list, k.Pass == block.ByID)
		if cap(list) > cap(w.room) {
			w.room = list
		}
	}
	chosen, passed := w.Chosen()
	if self != 0 {
		chosen = slices.DeleteFunc(chosen, func(m Met) bool { return m.N == self })
	}
	return chosen, skipped + passed, true
}

// Text is the id of a number.
func (s *Shelf) Text(n uint32) string { return s.ids.get(n) }

// AppendText appends the id of a number to dst.
func (s *Shelf) AppendText(dst []byte, n uint32) []byte { return s.ids.append(dst, n) }

// Number is the number of an id; 0 if it has none.
func (s *Shelf) Number(id string) uint32 { return s.ids.find(id) }

// Clear drops the lists. The numbers of the records stay.
func (s *Shelf) Clear() {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.buckets, sh.level, sh.parted, sh.entries, sh.slab = nil, 0, 0, 0, slab{}
		sh.mu.Unlock()
	}
}

// Sorted lists all numbers in the order of their ids.
func (s *Shelf) Sorted() []uint32 {
	type named struct {
		head uint64 // the id's beginning
		n    uint32
	}
	all := make([]named, s.Len())
	var text []byte
	for i := range all {
		n := uint32(i + 1)
		head := [8]byte{}
		text = s.AppendText(text[:0], n)
		copy(head[:], text)
		all[i] = named{binary.BigEndian.Uint64(head[:]), n}
	}
	slices.SortFunc(all, func(a, b named) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return cmp.Compare(s.Text(a.n), s.Text(b.n))
	})
	out := make([]uint32, len(all))
	for i := range all {
		out[i] = all[i].n
	}
	return out
}
