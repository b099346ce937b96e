package bulk

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"hutong/fhir/store"
	"hutong/mpi/block"
)

// Postings keeps which record stands under which key, in the order of the keys.
// Safe for concurrent use.
type Postings struct{ spool *Spool }

// postingSize is a posting in the spool: hash and number; the compartment says
// the pass and the hash's first bits.
const postingSize, hashBits = 12, 4

// NewPostings makes one with its files in dir.
func NewPostings(dir string) *Postings {
	return &Postings{NewSpool(dir, block.Passes<<hashBits)}
}

// Put puts a record under its keys.
func (p *Postings) Put(n uint32, keys []block.Key) error {
	for _, k := range keys {
		var b [postingSize]byte
		binary.BigEndian.PutUint64(b[:], k.Hash)
		binary.BigEndian.PutUint32(b[8:], n)
		if err := p.spool.Put(int(k.Pass)<<hashBits|int(k.Hash>>(64-hashBits)), b[:]); err != nil {
			return err
		}
	}
	return nil
}

// Parts give a pair for each posting: prefix, key and the record's id, which name
// appends.
func (p *Postings) Parts(prefix byte, name func(dst []byte, n uint32) []byte) (out []store.Part) {
	for i := range p.spool.in {
		out = append(out, func(put func(key, value []byte) error) error { return p.lay(i, prefix, name, put) })
	}
	return out
}

func (p *Postings) lay(i int, prefix byte, name func([]byte, uint32) []byte, put func(key, value []byte) error) error {
	items, err := p.spool.Take(i, nil)
	if err != nil {
		return err
	}
	type posting struct {
		hash uint64
		n    uint32
	}
	ps := make([]posting, 0, len(items)/postingSize)
	for b := items; len(b) > 0; b = b[postingSize:] {
		ps = append(ps, posting{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])})
	}
	var x, y, key []byte
	slices.SortFunc(ps, func(p, q posting) int {
		if p.hash != q.hash {
			return cmp.Compare(p.hash, q.hash)
		}
		x, y = name(x[:0], p.n), name(y[:0], q.n)
		return bytes.Compare(x, y)
	})
	for _, p := range ps {
		key = name(block.Key{Pass: block.Pass(i >> hashBits), Hash: p.hash}.Append(append(key[:0], prefix)), p.n)
		if err := put(key, []byte{1}); err != nil {
			return err
		}
	}
	return nil
}
