// Package upgrade brings a store that an older engine wrote to the format of
// this one, when it is opened.
package upgrade

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
)

// flushAt is the size of a batch of rows.
const flushAt = 4 << 20

// Run brings a store from a format to the newest one, 2. newest is the T of its
// last commit. What is not finished when the machine stops is done again at
// the next opening.
//
// Format 2 adds classes to postings, which rows of format 1 do without, and
// the lists of the patients in whose compartment a resource lies. Those are
// written here for what is live now, so that no earlier moment can be read
// afterwards.
func Run(db *pebble.DB, names layout.Dict, format uint64, newest fhir.T) error {
	if format != 1 {
		return fmt.Errorf("format %d cannot be upgraded", format)
	}
	u := &upgrader{db: db, names: names, batch: db.NewBatch()}
	if err := errors.Join(u.rows(), u.batch.Close()); err != nil {
		return fmt.Errorf("upgrade from format 1: %w", err)
	}
	b := db.NewBatch()
	return errors.Join(
		b.Set(layout.HorizonKey(), binary.AppendUvarint(nil, uint64(newest)), nil),
		b.Set(layout.FormatKey(), []byte{2}, nil),
		b.Commit(pebble.Sync),
	)
}

type upgrader struct {
	db    *pebble.DB
	names layout.Dict
	batch *pebble.Batch
	key   []byte
	row   layout.Row
}

// rows visits the newest version of every resource.
func (u *upgrader) rows() error {
	it, err := u.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'F'}, UpperBound: []byte{'F' + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err != nil {
			break
		}
		if err = u.row.Read(bytes.Clone(v), u.names); err == nil && !u.row.Deleted() {
			err = u.homes(layout.RID(binary.BigEndian.Uint64(it.Key()[1:])))
		}
		if err == nil && u.batch.Len() > flushAt {
			err = u.flush()
		}
	}
	return errors.Join(err, it.Close(), u.flush())
}

// homes writes the compartment postings of the row that was read.
func (u *upgrader) homes(rid layout.RID) error {
	list, err := u.names.ID(layout.ListName(u.row.Type, layout.HomeList))
	if err != nil {
		return err
	}
	for _, k := range u.row.Facts.Patients {
		lv := layout.AppendCut(binary.BigEndian.AppendUint32(nil, list), k.ID)
		u.key = layout.PostingKey(u.key, lv, layout.Place{Ord: u.row.Ord(), RID: rid})
		if err := u.batch.Set(u.key, layout.AppendPosted(nil, u.row.T, 0), nil); err != nil {
			return err
		}
	}
	return nil
}

func (u *upgrader) flush() error {
	err := errors.Join(u.batch.Commit(pebble.NoSync), u.batch.Close())
	u.batch = u.db.NewBatch()
	return err
}
