package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/ledger"
)

// Report is what Inspect found: how much was read, and the first differences,
// which name keys and never content.
type Report struct {
	Whole     bool     `json:"whole"`
	T         fhir.T   `json:"t"`       // the newest commit
	Horizon   fhir.T   `json:"horizon"` // the oldest T that can be read
	Resources int      `json:"resources"`
	Versions  int      `json:"versions"`
	Postings  int      `json:"postings"`
	Undone    int      `json:"undone"` // superseded postings
	Commits   int      `json:"commits"`
	Faults    []string `json:"faults"`
}

// Progress hears how many rows of a step have been read. It may be nil.
type Progress func(step string, rows int)

// Check proves the store against itself: see Inspect. The error lists the
// first differences.
func (s *Store) Check(ctx context.Context) error {
	r, err := s.Inspect(ctx, nil)
	if err != nil {
		return err
	}
	var all []error
	for _, f := range r.Faults {
		all = append(all, errors.New("check: "+f))
	}
	return errors.Join(all...)
}

// Inspect proves the store against itself (fsck): each version that is kept,
// extracted anew, has exactly the postings that are stored, current and
// superseded, from the right commit on; no posting stands without a version;
// ids, rows, facts, bodies and the change log agree. It reads the newest state
// and wants no writers beside it. Memory does not grow with the store. The
// error is of reading, not of what was found.
func (s *Store) Inspect(ctx context.Context, progress Progress) (Report, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return Report{}, err
	}
	defer leave()
	if progress == nil {
		progress = func(string, int) {}
	}
	c := &checker{s: s, ctx: ctx, progress: progress}
	c.r.T, c.r.Horizon, c.r.Faults = fhir.T(s.visible.Load()), s.Horizon(), []string{}
	for _, step := range []func() error{c.ids, c.rows, c.older, c.postings, c.undo, c.log} {
		if err := step(); err != nil {
			return c.r, err
		}
	}
	c.r.Whole = len(c.r.Faults) == 0
	return c.r, nil
}

// maxFound is how many differences are listed.
const maxFound = 20

type checker struct {
	s        *Store
	ctx      context.Context
	progress Progress
	r        Report
	chain    ledger.Chain
	kept     int // versions with a row
}

func (c *checker) report(format string, args ...any) {
	if len(c.r.Faults) < maxFound {
		c.r.Faults = append(c.r.Faults, fmt.Sprintf(format, args...))
	}
}

// scan visits the rows that start with prefix.
func (c *checker) scan(prefix byte, visit func(key, val []byte) error) error {
	it, err := c.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return ioError(err)
	}
	n := 0
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if n++; n%(1<<16) == 0 {
			c.progress(steps[prefix], n)
		}
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			err = ctxError(c.ctx)
		}
		if err == nil {
			err = visit(it.Key(), v)
		}
	}
	c.progress(steps[prefix], n)
	return errors.Join(err, it.Close())
}

// steps name the kinds of rows for people.
var steps = map[byte]string{
	'I': "ids", 'F': "resources", 'G': "older versions", 'X': "postings", 'Y': "superseded postings", 'L': "log", 'H': "log by type",
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
		c.r.Resources++
		return c.resource(rid, &row)
	})
}

// resource follows one resource through its versions.
func (c *checker) resource(rid layout.RID, newest *layout.Row) error {
	oldest, err := c.s.oldest(rid, newest.VersionID)
	if err != nil {
		return err
	}
	if oldest > 1 && c.r.Horizon == 0 {
		c.report("%s: version %d is missing", newest.Key, oldest-1)
	}
	updated, err := c.s.names.Find(layout.ListName(newest.Type, layout.UpdatedList))
	if err != nil {
		return err
	}
	c.chain.Reset()
	var row layout.Row
	var t fhir.T
	for ver := oldest; ver <= newest.VersionID; ver++ {
		found, err := c.s.version(rid, ver, &row)
		if err != nil {
			return err
		}
		if !found || row.T <= t || row.VersionID != ver {
			c.report("%s: version %d is missing or out of order", newest.Key, ver)
			return nil
		}
		t = row.T
		c.r.Versions++
		if err := c.version(rid, &row, updated); err != nil {
			return err
		}
	}
	return c.chain.Current(c.stands)
}

// version: its body gives the postings and facts that are stored.
func (c *checker) version(rid layout.RID, row *layout.Row, updated uint32) error {
	var p layout.Postings
	if !row.Deleted() {
		body, err := c.s.body(rid, row.VersionID)
		if err != nil {
			c.report("%s: version %d: its body: %v", row.Key, row.VersionID, err)
			return nil
		}
		entries, facts, err := c.s.opts.Extract(body, row.Key)
		if err != nil {
			c.report("%s: version %d: %v", row.Key, row.VersionID, err)
			return nil
		}
		if facts.Custodian == "" {
			facts.Custodian = row.Facts.Custodian // who wrote it may not stand in the body
		}
		if !sameFacts(facts, row.Facts) {
			c.report("%s: version %d: its facts are not those of its body", row.Key, row.VersionID)
		}
		if err := p.Build(c.s.names, c.s.opts.Defs, row.Key, entries, &row.Facts); err != nil {
			return err
		}
	}
	return c.chain.Add(rid, row, &p, updated, func(p *ledger.Posting) error {
		if p.To <= c.r.Horizon {
			return nil // may be gone
		}
		return c.stands(p)
	})
}

// stands: the posting is there, from the right commit on.
func (c *checker) stands(p *ledger.Posting) error {
	if p.To == 0 {
		c.r.Postings++
	} else {
		c.r.Undone++
	}
	v, err := c.s.get(p.Key(nil))
	if err != nil {
		return err
	}
	if from, class := layout.PostedOf(v); !p.Holds(from, class, c.r.Horizon) {
		c.report("a posting of list %d of resource %d is missing", binary.BigEndian.Uint32(p.ListValue), p.Place.RID)
	}
	return nil
}

// older: no row of an older version stands that its resource does not know.
func (c *checker) older() error {
	err := c.scan('G', func(_, _ []byte) error { c.kept++; return nil })
	c.kept += c.r.Resources
	if err == nil && c.kept != c.r.Versions {
		c.report("%d rows of versions stand, the resources have %d versions", c.kept, c.r.Versions)
	}
	return err
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

// postings: there are none but those that the resources should have.
func (c *checker) postings() error {
	n := 0
	if err := c.scan('X', func(_, _ []byte) error { n++; return nil }); err != nil {
		return err
	}
	if n == c.r.Postings {
		return nil
	}
	c.report("%d postings stand, the live resources have %d", n, c.r.Postings)
	return c.scan('X', c.owned)
}

// owned: the resource of a posting is there and stands where the posting says.
func (c *checker) owned(key, _ []byte) error {
	var row layout.Row
	at := layout.PlaceOf(key)
	raw, err := c.s.get(layout.RowKey(nil, at.RID))
	if err != nil {
		return err
	}
	if raw == nil || row.Read(raw, c.s.names) != nil || row.Deleted() || row.Ord() != at.Ord {
		c.report("a posting of list %d belongs to no live resource", binary.BigEndian.Uint32(key[1:]))
	}
	return nil
}

// undo: there are no superseded postings but those of older versions.
func (c *checker) undo() error {
	n := 0
	err := c.scan('Y', func(key, val []byte) error {
		to := fhir.T(binary.BigEndian.Uint64(key[5:]))
		if to > c.r.Horizon {
			n++
		}
		if from, k := binary.Uvarint(val); k <= 0 || fhir.T(from) >= to {
			c.report("an undo row ends before it begins: %x", key[:layout.UndoHead])
		}
		return nil
	})
	if err == nil && n != c.r.Undone {
		c.report("%d superseded postings stand, the versions have %d", n, c.r.Undone)
	}
	return err
}

// log: it names every version once, in order of time, and so does that by type.
func (c *checker) log() error {
	var n, byType, commits int
	var commit layout.Commit
	count := func(n, rows *int) func(key, val []byte) error {
		return func(key, val []byte) error {
			if err := commit.Read(val); err != nil {
				c.report("log row %d: %v", layout.LogTime(key), err)
			}
			*rows++
			*n += len(commit.Made)
			for _, m := range commit.Made {
				c.made(layout.LogTime(key), m)
			}
			return nil
		}
	}
	if err := errors.Join(c.scan('L', count(&n, &c.r.Commits)), c.scan('H', count(&byType, &commits))); err != nil {
		return err
	}
	if n != c.r.Versions || byType != c.r.Versions {
		c.report("the log names %d versions, by type %d; the resources have %d", n, byType, c.r.Versions)
	}
	return nil
}

// made: the version that the log names is of that commit.
func (c *checker) made(t fhir.T, m layout.Made) {
	var row layout.Row
	if found, err := c.s.version(m.RID, m.Ver, &row); err != nil || !found || row.T != t {
		c.report("the log of commit %d names version %d of resource %d, which is not of it", t, m.Ver, m.RID)
	}
}

// oldest is the first version of rid that is kept.
func (s *Store) oldest(rid layout.RID, newest uint64) (uint64, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: layout.OldRowKey(nil, rid, newest),
		UpperBound: append(layout.OldRowKey(nil, rid, 0), 0),
	})
	if err != nil {
		return 0, ioError(err)
	}
	ver := newest
	if it.Last() {
		ver = ^binary.BigEndian.Uint64(it.Key()[9:])
	}
	return ver, it.Close()
}

// Explain tells the plan of q and what it cost.
func (s *snapshot) Explain(ctx context.Context, q *search.Query) (string, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	x := s.exec(ctx)
	x.hot = s.s.hot
	x.notes = &strings.Builder{}
	r, err := x.run(q)
	if err = join(err, x.tree.Close()); err != nil {
		return "", err
	}
	fmt.Fprintf(x.notes, "%d matches on the page, cost %d\n", len(r.page), x.spent)
	return x.notes.String(), nil
}
