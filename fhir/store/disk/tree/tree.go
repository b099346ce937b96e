// Package tree reads Pebble's tree for one request: it makes few iterators and
// moves them often, since to move one costs a fraction of making it.
package tree

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
)

// Reader reads one tree. It sees all that was applied before its first use.
// It is not safe for concurrent use; the owner closes it.
type Reader struct {
	DB    *pebble.DB
	idle  []*pebble.Iterator // to be used again
	point *pebble.Iterator   // of Get
}

// Iter gives an iterator over [lo,hi), perhaps one that was used before and
// sees no more than it did then. The caller gives it back by Done.
func (r *Reader) Iter(lo, hi []byte) (*pebble.Iterator, error) {
	if n := len(r.idle); n > 0 {
		it := r.idle[n-1]
		r.idle = r.idle[:n-1]
		it.SetBounds(lo, hi)
		return it, nil
	}
	return r.Fresh(lo, hi)
}

// Fresh is Iter with all that was applied until now.
func (r *Reader) Fresh(lo, hi []byte) (*pebble.Iterator, error) {
	it, err := r.DB.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return nil, fail(err)
	}
	return it, nil
}

// Done takes an iterator back, and tells the error that ended it.
func (r *Reader) Done(it *pebble.Iterator) error {
	if err := it.Error(); err != nil {
		return fail(errors.Join(err, it.Close()))
	}
	r.idle = append(r.idle, it)
	return nil
}

// Get gives one row, nil if there is none. It is valid until the next Get,
// which is cheapest for a near key.
func (r *Reader) Get(key []byte) ([]byte, error) {
	if r.point == nil {
		var err error
		if r.point, err = r.Fresh(nil, nil); err != nil {
			return nil, err
		}
	}
	if !r.point.SeekGE(key) || !bytes.Equal(r.point.Key(), key) {
		if err := r.point.Error(); err != nil {
			return nil, fail(err)
		}
		return nil, nil
	}
	v, err := r.point.ValueAndErr()
	if err != nil {
		return nil, fail(err)
	}
	return v, nil
}

// Close closes the iterators that were given back.
func (r *Reader) Close() error {
	var err error
	if r.point != nil {
		err = r.point.Close()
	}
	for _, it := range r.idle {
		err = errors.Join(err, it.Close())
	}
	r.idle, r.point = nil, nil
	if err != nil {
		return fail(err)
	}
	return nil
}

func fail(err error) error { return fhir.Errorf(fhir.Internal, "storage: %w", err) }
