package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// record is an event ready for the chain: encoded and indexed by whoever asked
// for it, so that the writer only fills in its place.
type record struct {
	raw    []byte
	metaAt uint32
	// offsets in raw of what the place decides; whole is 0 if there is none
	id, previous, whole int
	// offsets of where these elements begin; outcome is where recorded ends
	content, recorded, outcome, entity int

	custodian string
	facts     fhir.Facts
	entries   []search.Entry
	parts     []int // the entries that refer to the whole
	placed    bool
}

// index reads the record's index values and facts. Of these only the reference
// to the whole depends on the place: an id is no entry, and no search parameter
// of AuditEvent looks at extensions.
func (r *record) index(x *indexer, of *event) (err error) {
	if r.entries, r.facts, err = x.values(of, r); err != nil {
		return fmt.Errorf("audit: index: %w", err)
	}
	r.facts.Custodian = r.custodian
	for i := range r.entries {
		if e := &r.entries[i]; r.whole > 0 && e.Param.Type == definition.Reference && e.System == "AuditEvent" && e.Code == x.unplaced.ID {
			r.parts = append(r.parts, i)
		}
	}
	return nil
}

// place gives the record its number and makes the operation that stores it; it
// tells the record's hash. first is the number of the first record of the
// request. A record that is placed anew leaves what it was before alone: the
// store may still hold it.
func (r *record) place(chain string, seq, first uint64, previous string) (op store.Op, hash string) {
	if r.placed {
		r.raw, r.entries = bytes.Clone(r.raw), slices.Clone(r.entries)
	}
	r.placed = true
	id := appendID(r.raw[:r.id], chain, seq)[r.id:]
	copy(r.raw[r.previous:], previous)
	if r.whole > 0 {
		whole := string(appendID(r.raw[:r.whole], chain, first)[r.whole:])
		for _, i := range r.parts {
			r.entries[i].Code = whole
		}
	}
	op = store.Op{
		Key: fhir.Key{Type: Type, ID: string(id)}, Method: fhir.Created, Expect: store.Expect{Kind: store.ExpectAbsent},
		Body: fhir.Body{Raw: r.raw, MetaAt: r.metaAt}, Facts: r.facts, Entries: r.entries,
	}
	return op, hashOf(op.Body)
}

// hashOf is the hash of a record: SHA-256 of its stored body, in hex.
func hashOf(b fhir.Body) string {
	sum := sha256.Sum256(b.Raw)
	return hex.EncodeToString(sum[:])
}

// request is what one caller wants recorded: one record or several, in order.
type request struct {
	records []*record
	result  chan error // buffered: the writer never waits for a caller
}

// batch is what one commit appends.
type batch struct {
	chain     string
	base, end Head
	requests  []*request
	ops       []store.Op
}

// add places a request behind what the batch has.
func (b *batch) add(r *request) {
	b.requests = append(b.requests, r)
	b.place(r)
}

func (b *batch) place(r *request) {
	first := b.end.Seq + 1
	for _, rec := range r.records {
		op, hash := rec.place(b.chain, b.end.Seq+1, first, linkTo(b.end))
		b.ops, b.end = append(b.ops, op), Head{b.end.Seq + 1, hash}
	}
}

// rebase places everything anew, behind another end.
func (b *batch) rebase(on Head) {
	b.base, b.end, b.ops = on, on, make([]store.Op, 0, len(b.ops))
	for _, r := range b.requests {
		b.place(r)
	}
}

// answer tells all callers of the batch.
func (b *batch) answer(err error) {
	for _, r := range b.requests {
		r.result <- err
	}
}
