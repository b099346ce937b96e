package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
)

// Check proves the store against itself (fsck): every live resource,
// extracted anew, has exactly the postings and the facts that are stored;
// every posting belongs to a live resource; ids, rows, bodies and the change
// log agree. It reads the newest state and wants no writers beside it. The
// error lists the first differences; it names keys, never content.
func (s *Store) Check(ctx context.Context) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	c := &checker{s: s, ctx: ctx}
	for _, step := range []func() error{c.ids, c.rows, c.postings, c.log} {
		if err := step(); err != nil {
			return err
		}
	}
	return errors.Join(c.found...)
}

// maxFound is how many differences are listed.
const maxFound = 20

type checker struct {
	s        *Store
	ctx      context.Context
	found    []error
	postingN int // postings that the live resources should have
	versions int
}

func (c *checker) report(format string, args ...any) {
	if len(c.found) < maxFound {
		c.found = append(c.found, fmt.Errorf("check: "+format, args...))
	}
}

// scan visits the rows that start with prefix.
func (c *checker) scan(prefix byte, visit func(key, val []byte) error) error {
	it, err := c.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return ioError(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			err = ctxError(c.ctx)
		}
		if err == nil {
			err = visit(it.Key(), v)
		}
	}
	return errors.Join(err, it.Close())
}

// ids: every id leads to the row that names it.
func (c *checker) ids() error {
	var row layout.Row
	return c.scan('I', func(key, val []byte) error {
		if _, err := c.s.readRow(layout.RID(binary.BigEndian.Uint64(val)), &row); err != nil {
			c.report("id %x: %v", key, err)
			return nil
		}
		typ, err := c.s.names.Find(string(row.Type))
		if err == nil && !bytes.Equal(key, layout.IDKey(nil, typ, row.ID)) {
			c.report("%s: its id row leads elsewhere", row.Key)
		}
		return err
	})
}

// rows: every row has its id, its earlier versions, its body and its postings.
func (c *checker) rows() error {
	var row layout.Row
	return c.scan('F', func(key, val []byte) error {
		rid := layout.RID(binary.BigEndian.Uint64(key[1:]))
		if err := row.Read(bytes.Clone(val), c.s.names); err != nil {
			c.report("row %d: %v", rid, err)
			return nil
		}
		if got, found, err := c.s.ridOf(row.Key); err != nil || !found || got != rid {
			c.report("%s: no id row leads to it (%v)", row.Key, err)
		}
		c.versions += int(row.VersionID)
		if err := c.older(rid, &row); err != nil {
			return err
		}
		if row.Deleted() {
			return nil
		}
		return c.live(rid, &row)
	})
}

// older: the versions before the newest are there, in order of time.
func (c *checker) older(rid layout.RID, newest *layout.Row) error {
	var row layout.Row
	t := newest.T
	for ver := newest.VersionID - 1; ver > 0; ver-- {
		found, err := c.s.version(rid, ver, &row)
		if err != nil {
			return err
		}
		if !found || row.T >= t {
			c.report("%s: version %d is missing or out of order", newest.Key, ver)
			return nil
		}
		if _, err := c.s.body(rid, ver); err != nil && !row.Deleted() {
			c.report("%s: version %d has no body", newest.Key, ver)
		}
		t = row.T
	}
	return nil
}

// live: the postings and facts of a resource are those of its body.
func (c *checker) live(rid layout.RID, row *layout.Row) error {
	body, err := c.s.body(rid, row.VersionID)
	if err != nil {
		c.report("%s: its body: %v", row.Key, err)
		return nil
	}
	entries, facts, err := c.s.opts.Extract(body, row.Key)
	if err != nil {
		c.report("%s: %v", row.Key, err)
		return nil
	}
	if facts.Custodian == "" {
		facts.Custodian = row.Facts.Custodian // who wrote it may not stand in the body
	}
	if !sameFacts(facts, row.Facts) {
		c.report("%s: its facts are not those of its body", row.Key)
	}
	var p layout.Postings
	if err := p.Build(c.s.names, row.Type, entries); err != nil {
		return err
	}
	list, err := c.s.names.Find(layout.ListName(row.Type, layout.UpdatedList))
	if err != nil {
		return err
	}
	updated := layout.AppendInt(binary.BigEndian.AppendUint32(nil, list), row.LastUpdated.UnixMilli())
	place := layout.Place{Ord: row.Ord(), RID: rid}
	for _, lv := range append(p.Keys(), updated) {
		c.postingN++
		v, err := c.s.get(layout.PostingKey(nil, lv, place))
		if err != nil {
			return err
		}
		from, n := binary.Uvarint(v)
		if n <= 0 || fhir.T(from) > row.T {
			c.report("%s: a posting of list %d is missing", row.Key, binary.BigEndian.Uint32(lv))
		}
	}
	return nil
}

// sameFacts compares facts whose lists may stand in different orders: who
// stamps labels on a resource need not do so in the body's order.
func sameFacts(a, b fhir.Facts) bool {
	return a.Custodian == b.Custodian && a.Clinical.UnixMilli() == b.Clinical.UnixMilli() && a.Clinical.IsZero() == b.Clinical.IsZero() &&
		sameSet(a.Patients, b.Patients) && sameSet(a.Authors, b.Authors) &&
		sameSet(a.Categories, b.Categories) && sameSet(a.Codes, b.Codes) && sameSet(a.Labels, b.Labels)
}

func sameSet[T comparable](a, b []T) bool {
	in := func(list []T) func(T) bool { return func(x T) bool { return !slices.Contains(list, x) } }
	return !slices.ContainsFunc(a, in(b)) && !slices.ContainsFunc(b, in(a))
}

// postings: there are none but those that the live resources should have.
func (c *checker) postings() error {
	n := 0
	if err := c.scan('X', func(_, _ []byte) error { n++; return nil }); err != nil {
		return err
	}
	if n != c.postingN {
		c.report("%d postings stand, the live resources have %d", n, c.postingN)
	}
	return c.scan('Y', func(key, val []byte) error {
		from, k := binary.Uvarint(val)
		if k <= 0 || from >= binary.BigEndian.Uint64(key[5:]) {
			c.report("an undo row ends before it begins: %x", key[:layout.UndoHead])
		}
		return nil
	})
}

// log: it names every version once.
func (c *checker) log() error {
	var n, byType int
	var commit layout.Commit
	count := func(n *int) func(key, val []byte) error {
		return func(key, val []byte) error {
			if err := commit.Read(val); err != nil {
				c.report("log row %d: %v", layout.LogTime(key), err)
			}
			*n += len(commit.Made)
			return nil
		}
	}
	if err := errors.Join(c.scan('L', count(&n)), c.scan('H', count(&byType))); err != nil {
		return err
	}
	if n != c.versions || byType != c.versions {
		c.report("the log names %d versions, by type %d; the resources have %d", n, byType, c.versions)
	}
	return nil
}
