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
	walk  *pebble.Iterator   // of Each: what is asked in turns lies far apart
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
	if err := r.open(&r.point); err != nil {
		return nil, err
	}
	it := r.point
	if !it.SeekGE(key) || !bytes.Equal(it.Key(), key) {
		if err := it.Error(); err != nil {
			return nil, fail(err)
		}
		return nil, nil
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return nil, fail(err)
	}
	return v, nil
}

// Each visits the rows whose keys begin with prefix, until visit returns false. What
// it is given is valid until it returns; it does not call Each.
func (r *Reader) Each(prefix []byte, visit func(key, value []byte) (more bool, err error)) error {
	if err := r.open(&r.walk); err != nil {
		return err
	}
	it := r.walk
	for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return fail(err)
		}
		if more, err := visit(it.Key(), v); !more || err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fail(err)
	}
	return nil
}

func (r *Reader) open(it **pebble.Iterator) (err error) {
	if *it == nil {
		*it, err = r.Fresh(nil, nil)
	}
	return err
}

// Close closes the iterators that were given back.
func (r *Reader) Close() error {
	var err error
	for _, it := range append(r.idle, r.point, r.walk) {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}
	r.idle, r.point, r.walk = nil, nil, nil
	if err != nil {
		return fail(err)
	}
	return nil
}

func fail(err error) error { return fhir.Errorf(fhir.Internal, "storage: %w", err) }
