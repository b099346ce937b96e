// Package retain drops versions that a policy no longer keeps. The current
// version of a resource, a deletion too, is never dropped.
package retain

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store/disk/health"
	"hutong/fhir/store/disk/layout"
)

// Policy says which versions are kept. The zero value keeps all.
type Policy struct {
	// MaxAge is how long a version is kept after another has taken its place;
	// 0 keeps all.
	MaxAge time.Duration
	// KeepLast newest versions of each resource are kept however old they are;
	// less than 1 counts as 1, the current one.
	KeepLast uint64
	// Followed is the newest commit that all followers of the change log have
	// read: nothing newer is dropped.
	Followed fhir.T
}

// Purged says what a run dropped.
type Purged struct {
	Horizon  fhir.T `json:"horizon"` // the oldest moment that can be read now
	Versions int    `json:"versions"`
	Commits  int    `json:"commits"` // rows of the change log that became empty
}

// batchBytes is the size of a batch: what a kill interrupts is done again.
const batchBytes = 1 << 20

// Tree is the store that versions are dropped from. Writers may go on beside.
type Tree struct {
	DB    *pebble.DB
	Names layout.Dict
}

// Horizon finds the newest commit that was made at or before cutoff, and after
// which nothing is older: the moment up to which superseded versions may go.
func (t Tree) Horizon(cutoff time.Time, newest fhir.T) (fhir.T, error) {
	it, err := t.DB.NewIter(&pebble.IterOptions{LowerBound: layout.LogKey(nil, 0), UpperBound: layout.LogKey(nil, newest+1)})
	if err != nil {
		return 0, err
	}
	lo, hi := fhir.T(0), newest // the row at or before lo is old enough, that at hi+1 is not
	for lo < hi && err == nil {
		mid := lo + (hi-lo+1)/2
		old := true // a beginning of the log that is gone is old
		if it.SeekLT(layout.LogKey(nil, mid+1)) {
			var c layout.Commit
			err = c.Read(it.Value())
			old = c.High <= cutoff.UnixMilli()
		}
		if old {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo, errors.Join(err, it.Close())
}

// run is one pass over the change log.
type run struct {
	Tree
	keep    uint64
	horizon fhir.T
	newest  fhir.T
	out     Purged
	batch   *pebble.Batch
	row     layout.Row
	next    layout.Row
}

// Drop drops what was superseded up to horizon, but for the newest keep
// versions of each resource. newest is the last commit, whose row of the log
// stays because it holds the counters.
func (t Tree) Drop(ctx context.Context, horizon, newest fhir.T, keep uint64) (Purged, error) {
	r := &run{Tree: t, keep: max(keep, 1), horizon: horizon, newest: newest, batch: t.DB.NewBatch(), out: Purged{Horizon: horizon}}
	err := r.log(ctx)
	if err == nil {
		err = r.undo()
	}
	return r.out, errors.Join(err, r.flush(true), r.batch.Close())
}

// log goes through the commits up to the horizon.
func (r *run) log(ctx context.Context) error {
	it, err := r.DB.NewIter(&pebble.IterOptions{LowerBound: layout.LogKey(nil, 0), UpperBound: layout.LogKey(nil, r.horizon+1)})
	if err != nil {
		return err
	}
	var c layout.Commit
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			err = errors.Join(c.Read(v), ctx.Err())
		}
		if err == nil {
			err = r.commit(layout.LogTime(it.Key()), &c)
		}
	}
	return errors.Join(err, it.Close())
}

// commit drops those versions of a commit that may go, and their places in the
// log, in one batch.
func (r *run) commit(t fhir.T, c *layout.Commit) error {
	left := layout.Commit{NextSeq: c.NextSeq, High: c.High}
	touched := map[uint32]bool{}
	byType := map[uint32]*layout.Commit{}
	for _, m := range c.Made {
		typ, goes, err := r.version(m)
		if err != nil {
			return err
		}
		part := byType[typ]
		if part == nil {
			part = &layout.Commit{High: c.High}
			byType[typ] = part
		}
		if goes {
			touched[typ] = true
			continue
		}
		left.Made = append(left.Made, m)
		part.Made = append(part.Made, m)
	}
	if len(touched) == 0 {
		return nil
	}
	for typ := range touched {
		r.set(layout.TypeLogKey(nil, typ, t), byType[typ], false)
	}
	r.set(layout.LogKey(nil, t), &left, t == r.newest)
	if len(left.Made) == 0 {
		r.out.Commits++
	}
	return r.flush(false)
}

// set writes a row of a log, or deletes it if nothing of it is left.
func (r *run) set(key []byte, c *layout.Commit, stays bool) {
	if len(c.Made) == 0 && !stays {
		_ = r.batch.Delete(key, nil) // fails only for a closed batch
		return
	}
	_ = r.batch.Set(key, layout.AppendCommit(nil, c), nil)
}

// version drops one version if it may go.
func (r *run) version(m layout.Made) (typ uint32, goes bool, err error) {
	if err := r.read(layout.RowKey(nil, m.RID), &r.row); err != nil {
		return 0, false, fmt.Errorf("retain: resource %d: %w", m.RID, err)
	}
	if typ, err = r.Names.ID(string(r.row.Type)); err != nil {
		return 0, false, err
	}
	newest := r.row.VersionID
	if m.Ver+r.keep > newest {
		return typ, false, nil
	}
	next := &r.row
	if m.Ver+1 < newest {
		next = &r.next
		if err := r.read(layout.OldRowKey(nil, m.RID, m.Ver+1), next); err != nil {
			return 0, false, fmt.Errorf("retain: version %d of resource %d: %w", m.Ver+1, m.RID, err)
		}
	}
	if next.T > r.horizon {
		return typ, false, nil
	}
	_ = r.batch.Delete(layout.OldRowKey(nil, m.RID, m.Ver), nil)
	_ = r.batch.Delete(layout.BodyKey(nil, m.RID, m.Ver), nil)
	r.out.Versions++
	return typ, true, nil
}

func (r *run) read(key []byte, row *layout.Row) error {
	v, closer, err := r.DB.Get(key)
	if err != nil {
		return err
	}
	return errors.Join(row.Read(bytes.Clone(v), r.Names), closer.Close())
}

// undo drops the superseded postings that no moment from the horizon on needs:
// one range a list.
func (r *run) undo() error {
	it, err := r.DB.NewIter(&pebble.IterOptions{LowerBound: []byte{'Y'}, UpperBound: []byte{'Y' + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; {
		list := binary.BigEndian.Uint32(it.Key()[1:])
		head := binary.BigEndian.AppendUint32([]byte{'Y'}, list)
		_ = r.batch.DeleteRange(bytes.Clone(head), binary.BigEndian.AppendUint64(bytes.Clone(head), uint64(r.horizon)+1), nil)
		ok = it.SeekGE(binary.BigEndian.AppendUint32([]byte{'Y'}, list+1))
	}
	return errors.Join(it.Error(), it.Close())
}

// flush applies the batch when it is large enough, or in the end durably.
func (r *run) flush(end bool) error {
	if !end && r.batch.Len() < batchBytes || r.batch.Empty() {
		return nil
	}
	o := pebble.NoSync
	if end {
		o = pebble.Sync
	}
	b := r.batch
	r.batch = r.DB.NewBatch()
	return errors.Join(health.Do(func() error { return b.Commit(o) }), b.Close())
}

// Compact gives back the space of what was dropped.
func (t Tree) Compact(ctx context.Context) error {
	for _, prefix := range []byte{'B', 'G', 'H', 'L', 'Y'} {
		if err := t.DB.Compact(ctx, []byte{prefix}, []byte{prefix + 1}, false); err != nil {
			return err
		}
	}
	return nil
}
