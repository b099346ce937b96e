package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/layout"
)

// txWriter writes the rows of one transaction into a batch.
type txWriter struct {
	s        *Store
	p        *pending
	h        *head
	b        *pebble.Batch
	t        fhir.T
	now      time.Time
	log      layout.Commit
	byType   map[uint32]*layout.Commit
	versions []fhir.Version
	undo     bool
}

func (w *txWriter) write() error {
	w.now = w.p.tx.Now
	if w.now.IsZero() {
		w.now = w.s.opts.Now()
	}
	w.now = w.now.UTC().Truncate(time.Millisecond)
	w.log = layout.Commit{NextSeq: w.h.nextSeq, High: w.h.high}
	w.byType = map[uint32]*layout.Commit{}
	w.versions = make([]fhir.Version, len(w.p.tx.Ops))
	for i := range w.p.tx.Ops {
		op, prep := &w.p.tx.Ops[i], &w.p.ops[i]
		if err := w.op(op, prep, &w.versions[i]); err != nil {
			var oe *store.OpError
			if errors.As(err, &oe) {
				oe.Index = i
			}
			return err
		}
	}
	return w.writeLog()
}

// op writes one op; v becomes the version that it makes.
func (w *txWriter) op(op *store.Op, p *prepared, v *fhir.Version) error {
	rid, found, err := w.s.rid(p.typ, op.Key.ID)
	if err != nil {
		return err
	}
	cur := &w.h.row
	cur.Version = fhir.Version{}
	var raw []byte
	if found {
		if raw, err = w.s.readRow(rid, cur); err != nil {
			return err
		}
	}
	if err := expect(op, cur); err != nil {
		return err
	}
	*v = fhir.Version{Key: op.Key, VersionID: cur.VersionID + 1, T: w.t, Method: op.Method, LastUpdated: w.now}
	if found && cur.LastUpdated.After(w.now) {
		v.LastUpdated = cur.LastUpdated
	}
	if op.Method == fhir.Deleted && (!found || cur.Deleted()) {
		*v = cur.Version // nothing to delete: no version is made
		v.Key = op.Key
		v.ID = op.Key.ID
		return nil
	}
	if !found {
		rid = w.newRID(op, p)
	}
	return w.version(op, p, v, rid, cur, raw)
}

// expect holds the op's expectation against the current version.
func expect(op *store.Op, cur *layout.Row) error {
	exists := cur.VersionID > 0
	ok := true
	switch op.Expect.Kind {
	case store.ExpectAbsent:
		ok = !exists
	case store.ExpectVersion:
		ok = cur.VersionID == op.Expect.VersionID
	case store.ExpectLive:
		ok = exists && !cur.Deleted()
	}
	if ok {
		return nil
	}
	now := cur.Version
	if exists {
		now.Key = op.Key
	}
	return &store.OpError{Current: now, Err: fhir.Errorf(fhir.Conflict, "the resource was changed by another request")}
}

func (w *txWriter) newRID(op *store.Op, p *prepared) layout.RID {
	rid := layout.NewRID(layout.HomeOf(op.Key, &op.Facts), w.log.NextSeq)
	w.log.NextSeq++
	w.h.key = layout.IDKey(w.h.key, p.typ, op.Key.ID)
	w.set(w.h.key, binary.BigEndian.AppendUint64(w.h.val[:0], uint64(rid)))
	return rid
}

// set adds a row to the batch, which fails only for a batch that is closed.
func (w *txWriter) set(key, val []byte) { _ = w.b.Set(key, val, nil) }

// version writes header, body, postings and log entries of a new version.
func (w *txWriter) version(op *store.Op, p *prepared, v *fhir.Version, rid layout.RID, cur *layout.Row, raw []byte) error {
	facts := p.facts
	if op.Method == fhir.Deleted {
		facts = cur.RawFacts() // who may hear of a deletion is who could see what was deleted
	}
	if raw != nil {
		w.h.key = layout.OldRowKey(w.h.key, rid, cur.VersionID)
		w.set(w.h.key, raw)
	}
	w.h.key = layout.RowKey(w.h.key, rid)
	w.h.val = layout.AppendRow(w.h.val[:0], p.typ, v, facts)
	w.set(w.h.key, w.h.val)
	if op.Method != fhir.Deleted {
		w.h.key = layout.BodyKey(w.h.key, rid, v.VersionID)
		w.set(w.h.key, p.body)
	}
	if err := w.postings(op, p, v, rid, cur); err != nil {
		return err
	}
	w.made(p.typ, layout.Made{RID: rid, Ver: v.VersionID}, v.LastUpdated.UnixMilli())
	return nil
}

func (w *txWriter) made(typ uint32, m layout.Made, ms int64) {
	w.log.High = max(w.log.High, ms)
	w.log.Made = append(w.log.Made, m)
	c := w.byType[typ]
	if c == nil {
		c = &layout.Commit{}
		w.byType[typ] = c
	}
	c.Made = append(c.Made, m)
}

// postings writes the difference between the old version's postings and the
// new one's: what goes becomes an undo row, what stays is not touched.
func (w *txWriter) postings(op *store.Op, p *prepared, v *fhir.Version, rid layout.RID, cur *layout.Row) error {
	live := cur.VersionID > 0 && !cur.Deleted()
	old := &p.old
	if live && p.oldVer != cur.VersionID {
		old = &w.h.old
		if err := w.s.extractOld(rid, op.Key, cur, old); err != nil {
			return err
		}
	}
	class := p.postings.ClassAt(rid)
	from := layout.AppendPosted(nil, w.t, class)
	next := layout.Row{Version: *v}
	next.Facts.Clinical = op.Facts.Clinical.Truncate(time.Millisecond)
	place, was := layout.Place{Ord: next.Ord(), RID: rid}, layout.Place{Ord: cur.Ord(), RID: rid}
	stay := live && op.Method != fhir.Deleted && place == was && class == old.ClassAt(rid)
	if live {
		for _, k := range old.Keys() {
			if stay && p.postings.Has(k) {
				continue
			}
			if err := w.close(k, was); err != nil {
				return err
			}
		}
		if err := w.close(layout.AppendInt(bytes.Clone(p.updated), cur.LastUpdated.UnixMilli()), was); err != nil {
			return err
		}
	}
	if op.Method == fhir.Deleted {
		return nil
	}
	for _, k := range p.postings.Keys() {
		if stay && old.Has(k) {
			continue
		}
		w.h.key = layout.PostingKey(w.h.key, k, place)
		w.set(w.h.key, from)
	}
	w.h.key = layout.PostingKey(w.h.key, layout.AppendInt(bytes.Clone(p.updated), v.LastUpdated.UnixMilli()), place)
	w.set(w.h.key, from)
	return nil
}

// close moves a posting to the undo rows.
func (w *txWriter) close(listValue []byte, was layout.Place) error {
	w.h.key = layout.PostingKey(w.h.key, listValue, was)
	from, err := w.s.get(w.h.key)
	if err != nil {
		return err
	}
	if from == nil {
		return nil // the extractor knows more than the one that wrote it did
	}
	_ = w.b.Delete(w.h.key, nil) // fails only for a closed batch
	w.h.key = layout.UndoKey(w.h.key, listValue, was, w.t)
	w.set(w.h.key, from)
	w.undo = true
	return nil
}

func (w *txWriter) writeLog() error {
	w.set(layout.LogKey(w.h.key, w.t), layout.AppendCommit(w.h.val[:0], &w.log))
	for typ, c := range w.byType {
		c.High = w.log.High
		w.set(layout.TypeLogKey(w.h.key, typ, w.t), layout.AppendCommit(w.h.val[:0], c))
	}
	return nil
}
