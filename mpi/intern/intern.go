// Package intern numbers distinct texts, so that records hold small integers
// in place of strings: a million addresses are some runs of bytes and one table,
// which the garbage collector does not look into.
package intern

import (
	"encoding/binary"
	"hash/maphash"
	"unsafe"
)

// Pool numbers texts in the order in which they are first put in; the empty
// text is number 0. Put is for one goroutine at a time; Get may run beside
// other Gets.
type Pool struct {
	seed   maphash.Seed
	blocks [][]byte // texts, each led by its length (uvarint), whole in one block
	base   []uint64 // of every so many texts the place of the first: block<<blockBits + offset
	places []uint32 // of text n, from its base on
	table  []uint32 // open addressing: number, 0 is free
}

const (
	blockBits = 20
	baseBits  = 12
)

// New makes an empty Pool.
func New() *Pool {
	return &Pool{seed: maphash.MakeSeed(), base: []uint64{0}, places: []uint32{0}, table: make([]uint32, 1024)}
}

// Len is how many numbers are taken, the empty text's included.
func (p *Pool) Len() int { return len(p.places) }

// Has reports whether s has a number.
func (p *Pool) Has(s string) bool { return s == "" || p.table[p.slot(s)] != 0 }

// slot is where the number of s is in the table, or the free place where it
// would be.
func (p *Pool) slot(s string) uint64 {
	mask := uint64(len(p.table) - 1)
	at := maphash.String(p.seed, s) & mask
	for p.table[at] != 0 && p.Get(p.table[at]) != s {
		at = (at + 1) & mask
	}
	return at
}

// Put gives the number of s.
func (p *Pool) Put(s string) uint32 {
	if s == "" {
		return 0
	}
	at := p.slot(s)
	if p.table[at] != 0 {
		return p.table[at]
	}
	n := uint32(len(p.places))
	place := p.write(s)
	if n>>baseBits == uint32(len(p.base)) {
		p.base = append(p.base, place)
	}
	p.places = append(p.places, uint32(place-p.base[n>>baseBits]))
	p.table[at] = n
	if 2*len(p.places) > len(p.table) {
		p.grow()
	}
	return n
}

// write adds a text to the last block, or to a new one.
func (p *Pool) write(s string) (place uint64) {
	room := len(s) + binary.MaxVarintLen32
	last := len(p.blocks) - 1
	if last < 0 || len(p.blocks[last])+room > cap(p.blocks[last]) {
		p.blocks = append(p.blocks, make([]byte, 0, max(room, min(1<<blockBits, 1<<12<<len(p.blocks)))))
		last++
	}
	b := p.blocks[last]
	place = uint64(last)<<blockBits + uint64(len(b))
	p.blocks[last] = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	return place
}

func (p *Pool) grow() {
	p.table = make([]uint32, 2*len(p.table))
	mask := uint64(len(p.table) - 1)
	for n := 1; n < len(p.places); n++ {
		at := maphash.String(p.seed, p.Get(uint32(n))) & mask
		for p.table[at] != 0 {
			at = (at + 1) & mask
		}
		p.table[at] = uint32(n)
	}
}

// Get gives the text of a number that Put gave. It shares the Pool's bytes,
// which never move.
func (p *Pool) Get(n uint32) string {
	if n == 0 {
		return ""
	}
	place := p.base[n>>baseBits] + uint64(p.places[n])
	b := p.blocks[place>>blockBits][place&(1<<blockBits-1):]
	size, w := uint64(b[0]), 1
	if size >= 0x80 {
		size, w = binary.Uvarint(b)
	}
	return unsafe.String(&b[w], size)
}
