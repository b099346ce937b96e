package disk

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/layout"
)

// txWriter writes the rows of one transaction into a batch: first it decides
// what each op makes, then it writes one kind of rows after the other, each in
// the order of its keys. The tree takes in sorted rows with far less work.
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
	made     []made
	undo     bool
	homes    []uint32 // of patients of whom something changes
	ended    []taken
}

// taken is a posting that the transaction takes away.
type taken struct {
	listValue []byte
	was       layout.Place
	class     uint32
}

// made is what one op makes.
type made struct {
	none       bool // no version
	rid        layout.RID
	created    bool             // the rid is new
	row        []byte           // the row of the version before, nil if there is none
	facts      []byte           // as AppendFacts encoded them
	live       bool             // the version before has postings
	old        *layout.Postings // of the version before, if live
	oldUpdated []byte           // its _lastUpdated posting
	place, was layout.Place     // in posting lists: now and before
	class      uint32           // that the new postings carry
}

func (w *txWriter) write() error {
	w.now = w.p.tx.Now
	if w.now.IsZero() {
		w.now = w.s.opts.Now()
	}
	w.now = w.now.UTC().Truncate(time.Millisecond)
	w.log = layout.Commit{NextSeq: w.h.nextSeq, High: w.h.high, Made: make([]layout.Made, 0, len(w.p.tx.Ops))}
	w.byType = map[uint32]*layout.Commit{}
	w.versions = make([]fhir.Version, len(w.p.tx.Ops))
	w.made = make([]made, len(w.p.tx.Ops))
	if err := w.find(); err != nil {
		return err
	}
	for i := range w.p.tx.Ops {
		if err := w.decide(i); err != nil {
			var oe *store.OpError
			if errors.As(err, &oe) {
				oe.Index = i
			}
			return err
		}
	}
	w.rows()
	for i := range w.made {
		if err := w.supersede(i); err != nil {
			return err
		}
	}
	w.post()
	w.writeLog()
	return nil
}

// decide finds what an op makes of what is there.
func (w *txWriter) decide(i int) (err error) {
	op, p, m, v := &w.p.tx.Ops[i], &w.p.ops[i], &w.made[i], &w.versions[i]
	cur := &w.h.row
	cur.Version = fhir.Version{}
	found := !m.created
	if found {
		if m.row, err = w.s.readRow(m.rid, cur); err != nil {
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
		m.none, m.created = true, false
		return nil
	}
	m.facts = p.facts
	w.touch(op.Facts.Patients)
	if found {
		w.touch(cur.Facts.Patients)
	}
	if !found {
		m.rid = w.newRID(op)
	}
	if op.Method == fhir.Deleted {
		m.facts = cur.RawFacts() // who may hear of a deletion is who could see what was deleted
	}
	w.count(p.typ, layout.Made{RID: m.rid, Ver: v.VersionID}, v.LastUpdated.UnixMilli())
	next := layout.Row{Version: *v}
	next.Facts.Clinical = op.Facts.Clinical.Truncate(time.Millisecond)
	m.class = p.postings.ClassAt(m.rid)
	m.place, m.was = layout.Place{Ord: next.Ord(), RID: m.rid}, layout.Place{Ord: cur.Ord(), RID: m.rid}
	if m.live = cur.VersionID > 0 && !cur.Deleted(); m.live {
		err = w.before(op, p, m, cur)
	}
	return err
}

// touch notes patients of whom something changes.
func (w *txWriter) touch(patients []fhir.Key) {
	for _, k := range patients {
		w.homes = append(w.homes, layout.HashOf(k.ID))
	}
}

// before finds the postings of the version that an op supersedes.
func (w *txWriter) before(op *store.Op, p *prepared, m *made, cur *layout.Row) error {
	m.oldUpdated = layout.AppendInt(bytes.Clone(p.updated[:]), cur.LastUpdated.UnixMilli())
	m.old = &p.old
	if p.oldVer == cur.VersionID {
		return nil
	}
	m.old = &layout.Postings{}
	return w.s.extractOld(m.rid, op.Key, cur, m.old)
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

func (w *txWriter) newRID(op *store.Op) layout.RID {
	rid := layout.NewRID(layout.HomeOf(op.Key, &op.Facts), w.log.NextSeq)
	w.log.NextSeq++
	return rid
}

// count enters a version into the logs.
func (w *txWriter) count(typ uint32, m layout.Made, ms int64) {
	w.log.High = max(w.log.High, ms)
	w.log.Made = append(w.log.Made, m)
	c := w.byType[typ]
	if c == nil {
		c = &layout.Commit{}
		w.byType[typ] = c
	}
	c.Made = append(c.Made, m)
}

// set adds a row to the batch, which fails only for a batch that is closed.
func (w *txWriter) set(key, val []byte) { _ = w.b.Set(key, val, nil) }

// rows writes ids, headers and bodies.
func (w *txWriter) rows() {
	for i := range w.made {
		if m := &w.made[i]; m.created {
			w.h.key = layout.IDKey(w.h.key, w.p.ops[i].typ, w.p.tx.Ops[i].Key.ID)
			w.set(w.h.key, binary.BigEndian.AppendUint64(w.h.val[:0], uint64(m.rid)))
		}
	}
	for i := range w.made {
		if m := &w.made[i]; m.row != nil && !m.none {
			w.h.key = layout.OldRowKey(w.h.key, m.rid, w.versions[i].VersionID-1)
			w.set(w.h.key, m.row)
		}
	}
	for i := range w.made {
		if m := &w.made[i]; !m.none {
			w.h.key = layout.RowKey(w.h.key, m.rid)
			w.h.val = layout.AppendRow(w.h.val[:0], w.p.ops[i].typ, &w.versions[i], m.facts)
			w.set(w.h.key, w.h.val)
		}
	}
	for i := range w.made {
		if m := &w.made[i]; !m.none && w.p.tx.Ops[i].Method != fhir.Deleted {
			w.h.key = layout.BodyKey(w.h.key, m.rid, w.versions[i].VersionID)
			w.body(w.h.key, w.p.tx.Ops[i].Body)
		}
	}
}

// body writes a body straight into the batch.
func (w *txWriter) body(key []byte, body fhir.Body) {
	row := w.b.SetDeferred(len(key), layout.BodyLen(body))
	copy(row.Key, key)
	layout.AppendBody(row.Value[:0], body)
	_ = row.Finish() // fails only for an indexed batch
}

// supersede moves the postings that an op ends to the undo rows.
func (w *txWriter) supersede(i int) error {
	m := &w.made[i]
	if !m.live {
		return nil
	}
	for _, k := range m.old.Keys() {
		if w.stays(i) && w.p.ops[i].postings.Has(k) {
			continue
		}
		if err := w.close(k, m.was); err != nil {
			return err
		}
	}
	return w.close(m.oldUpdated, m.was)
}

// stays tells whether the postings that both versions have are left as they are.
func (w *txWriter) stays(i int) bool {
	m := &w.made[i]
	return m.live && w.p.tx.Ops[i].Method != fhir.Deleted && m.place == m.was && m.class == m.old.ClassAt(m.rid)
}

// post writes the new postings, in the order of their lists and values.
func (w *txWriter) post() {
	value := make([]byte, 0, 16)
	w.posted(func(listValue []byte, m *made) {
		w.h.key = layout.PostingKey(w.h.key, listValue, m.place)
		value = layout.AppendPosted(value[:0], w.t, m.class)
		w.set(w.h.key, value)
	})
}

// changes tells the postings that the transaction ended, then those it made.
func (w *txWriter) changes(visit func(listValue []byte, p layout.Place, class uint32, end bool)) {
	for i := range w.ended {
		e := &w.ended[i]
		visit(e.listValue, e.was, e.class, true)
	}
	w.posted(func(listValue []byte, m *made) { visit(listValue, m.place, m.class, false) })
}

// posted visits the postings that are new.
func (w *txWriter) posted(visit func(listValue []byte, m *made)) {
	for _, ref := range w.p.order {
		m, prep := &w.made[ref.op], &w.p.ops[ref.op]
		if m.none {
			continue
		}
		var k []byte
		if ref.key < 0 {
			w.h.val = layout.AppendInt(append(w.h.val[:0], prep.updated[:]...), w.versions[ref.op].LastUpdated.UnixMilli())
			k = w.h.val
		} else if k = prep.postings.Keys()[ref.key]; w.stays(int(ref.op)) && m.old.Has(k) {
			continue
		}
		visit(k, m)
	}
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
	_, class := layout.PostedOf(from)
	w.ended = append(w.ended, taken{listValue, was, class})
	return nil
}

func (w *txWriter) writeLog() {
	w.set(layout.LogKey(w.h.key, w.t), layout.AppendCommit(w.h.val[:0], &w.log))
	for typ, c := range w.byType {
		c.High = w.log.High
		w.set(layout.TypeLogKey(w.h.key, typ, w.t), layout.AppendCommit(w.h.val[:0], c))
	}
}

// posting names one posting of a transaction.
type posting struct {
	op  int32
	key int32 // in the postings of the op; -1 is that of _lastUpdated
}

// run is the postings of one list and value, newest first, in a chain.
type run struct {
	head        uint64 // the first eight bytes, which mostly decide the order
	key         []byte
	first, last int32 // places in the chain
}

// chained is a posting and the place of the one behind it in its run; -1: none.
type chained struct {
	posting
	next int32
}

// sort puts the postings of all ops into one order; those that the ops share
// stand newest first, as they will in the tree. Most values are shared by many
// ops, so that it is runs that are sorted, and no run within.
func (p *pending) sort() {
	n := 0
	newest := make([]int32, 0, len(p.ops))
	for i := range p.ops {
		if p.tx.Ops[i].Method != fhir.Deleted {
			newest = append(newest, int32(i))
			n += 1 + len(p.ops[i].postings.Keys())
		}
	}
	slices.SortStableFunc(newest, func(a, b int32) int { return p.tx.Ops[b].Facts.Clinical.Compare(p.tx.Ops[a].Facts.Clinical) })
	chain, runs := make([]chained, 0, n), make([]run, 0, n/2+1)
	at := make(map[uint64]int32, n/2) // hash of a key -> its run
	add := func(key []byte, ref posting) {
		place, h := int32(len(chain)), maphash.Bytes(runSeed, key)
		chain = append(chain, chained{ref, -1})
		if i, ok := at[h]; ok && bytes.Equal(runs[i].key, key) {
			chain[runs[i].last].next, runs[i].last = place, place
			return
		}
		at[h] = int32(len(runs)) // of two keys of one hash the earlier one's run has ended
		runs = append(runs, run{layout.Head(key), key, place, place})
	}
	for _, op := range newest {
		add(p.ops[op].updated[:], posting{op, -1})
		for j, k := range p.ops[op].postings.Keys() {
			add(k, posting{op, int32(j)})
		}
	}
	slices.SortFunc(runs, func(a, b run) int {
		if c := cmp.Compare(a.head, b.head); c != 0 {
			return c
		}
		return bytes.Compare(a.key, b.key)
	})
	p.order = make([]posting, 0, n)
	for i := range runs {
		for at := runs[i].first; at >= 0; at = chain[at].next {
			p.order = append(p.order, chain[at].posting)
		}
	}
}

var runSeed = maphash.MakeSeed()
