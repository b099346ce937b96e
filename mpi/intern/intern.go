// Package intern numbers distinct texts, so that records hold small integers
// in place of strings: a million addresses are one run of bytes and one table,
// which the garbage collector does not look into.
package intern

import (
	"hash/maphash"
	"unsafe"
)

// Pool numbers texts in the order in which they are first put in; the empty
// text is number 0. Put is for one goroutine at a time; Get may run beside
// other Gets.
type Pool struct {
	seed  maphash.Seed
	bytes []byte
	ends  []int    // of text n in bytes
	table []uint32 // open addressing: number, 0 is free
}

// New makes an empty Pool.
func New() *Pool {
	return &Pool{seed: maphash.MakeSeed(), ends: []int{0}, table: make([]uint32, 1024)}
}

// Len is how many numbers are taken, the empty text's included.
func (p *Pool) Len() int { return len(p.ends) }

// Bytes is the memory that the Pool takes.
func (p *Pool) Bytes() int64 { return int64(cap(p.bytes) + 8*cap(p.ends) + 4*cap(p.table)) }

// Put gives the number of s.
func (p *Pool) Put(s string) uint32 {
	if s == "" {
		return 0
	}
	mask := uint64(len(p.table) - 1)
	at := maphash.String(p.seed, s) & mask
	for p.table[at] != 0 {
		if p.Get(p.table[at]) == s {
			return p.table[at]
		}
		at = (at + 1) & mask
	}
	n := uint32(len(p.ends))
	p.bytes = append(p.bytes, s...)
	p.ends = append(p.ends, len(p.bytes))
	p.table[at] = n
	if 2*len(p.ends) > len(p.table) {
		p.grow()
	}
	return n
}

func (p *Pool) grow() {
	p.table = make([]uint32, 2*len(p.table))
	mask := uint64(len(p.table) - 1)
	for n := 1; n < len(p.ends); n++ {
		at := maphash.String(p.seed, p.Get(uint32(n))) & mask
		for p.table[at] != 0 {
			at = (at + 1) & mask
		}
		p.table[at] = uint32(n)
	}
}

// Get gives the text of a number that Put gave. It shares the Pool's bytes,
// which are only ever added to.
func (p *Pool) Get(n uint32) string {
	if n == 0 {
		return ""
	}
	from, to := p.ends[n-1], p.ends[n]
	return unsafe.String(&p.bytes[from], to-from)
}
