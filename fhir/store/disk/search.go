package disk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/hot"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/order"
	"hutong/fhir/store/disk/tree"
	"hutong/fhir/store/disk/warm"
)

// exec runs one search, its chains included, at one snapshot and on one budget.
type exec struct {
	s     *snapshot
	ctx   context.Context
	now   time.Time
	spent int64
	notes *strings.Builder // for Explain; nil otherwise
	quiet bool             // what is planned for one candidate is not noted
	depth int
	all   bool // every match is visited, not only those of a page
	tree  tree.Reader
	hot   *hot.Cache // nil: read the tree only, and so with
	warm  *warm.Cache
	pairs *warm.Pairs
	epoch uint64 // of pairs
}

func (s *snapshot) exec(ctx context.Context) *exec {
	return &exec{s: s, ctx: ctx, now: s.s.opts.Now(), tree: tree.Reader{DB: s.s.db}}
}

// row reads the row of rid that held at the snapshot's time into row, and
// gives its bytes, in buf's memory, which the row shares; nil if there was none.
func (x *exec) row(rid layout.RID, row *layout.Row, buf []byte) ([]byte, error) {
	v, err := x.rowBytes(rid)
	if err != nil || v == nil {
		return nil, err
	}
	raw := append(buf[:0], v...)
	if err := row.Read(raw, x.s.s.names); err != nil {
		return nil, ioError(err)
	}
	if row.T <= x.s.t {
		return raw, nil
	}
	return x.s.olderRow(rid, row)
}

// rowBytes reads the newest row of rid, nil if there is none. It is valid until
// the next is read, and not to be changed.
func (x *exec) rowBytes(rid layout.RID) ([]byte, error) {
	if v := x.warm.Row(rid, x.s.t); v != nil {
		return v, nil
	}
	var key [16]byte
	v, err := x.tree.Get(layout.RowKey(key[:0], rid))
	if v != nil {
		x.warm.Keep(rid, x.s.t, v)
	}
	return v, err
}

// body reads the content of a version.
func (x *exec) body(rid layout.RID, ver uint64) (fhir.Body, error) {
	v := x.warm.Body(rid, ver)
	if v == nil {
		var key [24]byte
		read, err := x.tree.Get(layout.BodyKey(key[:0], rid, ver))
		if err != nil {
			return fhir.Body{}, err
		}
		v = append(make([]byte, 0, len(read)), read...)
		x.warm.KeepBody(rid, ver, v)
	}
	b, err := layout.BodyOf(v)
	if err != nil {
		return fhir.Body{}, ioError(err)
	}
	return b, nil
}

func (x *exec) spend(cost int64) error { return x.s.s.spend(x.ctx, &x.spent, cost) }

// Search runs q. At most Options.Searches run at once, so that readers leave
// writers room.
func (s *snapshot) Search(ctx context.Context, q *search.Query) (store.Page, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return store.Page{}, err
	}
	defer leave()
	select {
	case s.s.slots <- struct{}{}:
		defer func() { <-s.s.slots }()
	case <-ctx.Done():
		return store.Page{}, ctxError(ctx)
	}
	x := s.exec(ctx)
	x.hot, x.warm, x.pairs, x.epoch = s.s.hot, s.s.warm, s.s.pairs, s.s.pairs.Epoch()
	page, err := x.page(q)
	return page, join(err, x.tree.Close())
}

func (x *exec) page(q *search.Query) (store.Page, error) {
	r, err := x.run(q)
	if err != nil {
		return store.Page{}, err
	}
	page := store.Page{Next: r.next, Total: -1}
	if q.Total {
		page.Total = r.total
	}
	page.Matches, err = x.resources(r.page, !q.Bare)
	return page, err
}

func (x *exec) note(format string, args ...any) {
	if x.notes != nil && !x.quiet {
		x.notes.WriteString(strings.Repeat("  ", x.depth) + fmt.Sprintf(format, args...) + "\n")
	}
}

// result is what a search found.
type result struct {
	page  []order.Hit
	next  []byte
	total int
}

func (s *snapshot) run(ctx context.Context, q *search.Query) (*result, error) {
	x := s.exec(ctx)
	r, err := x.run(q)
	return r, join(err, x.tree.Close())
}

func (x *exec) run(q *search.Query) (*result, error) {
	if err := x.s.s.index.Refuses(q); err != nil {
		return nil, err
	}
	c, err := x.newCollector(q)
	if err != nil {
		return nil, err
	}
	if q.Count == 0 && !q.Total {
		return c.result(), nil
	}
	if c.Cursor != nil && c.budget != nil && (c.byDate || len(q.Sort) == 0) {
		return x.behind(q)
	}
	x.all = c.counts() && c.budget == nil || len(q.Sort) > 0 && !c.byDate
	for _, t := range x.types(q) {
		if err := x.collectOf(q, t, c); err != nil {
			return nil, err
		}
	}
	return c.result(), nil
}

// behind runs q from its cursor on, and its total, which is not worth the way
// there, for itself.
func (x *exec) behind(q *search.Query) (*result, error) {
	page, count := *q, *q
	page.Total = false
	count.Count, count.After, count.Sort = 0, nil, nil
	r, err := x.run(&page)
	if err != nil {
		return nil, err
	}
	n, err := x.run(&count)
	if err == nil {
		r.total = n.total
	}
	return r, err
}

// candidate is a resource that is being looked at; row and entries are read
// when they are asked for.
type candidate struct {
	x       *exec
	place   layout.Place
	class   uint32
	row     layout.Row
	raw     []byte // what the row was read from
	buf     []byte // raw's memory, for the next candidate
	hasRow  bool
	entries []search.Entry
	hasEnts bool
	unsure  []*search.Predicate // dates that the class does not tell
}

func (c *candidate) reset(p spot) {
	c.place, c.class, c.hasRow, c.hasEnts, c.unsure = p.Place, p.Class, false, false, c.unsure[:0]
}

var errNoRow = errors.New("a posting without a resource")

// head reads the candidate's row. It is valid until the next candidate.
func (c *candidate) head() (*layout.Row, error) {
	if c.hasRow {
		return &c.row, nil
	}
	if err := c.x.spend(costRow); err != nil {
		return nil, err
	}
	var err error
	if c.raw, err = c.x.row(c.place.RID, &c.row, c.buf); err == nil && c.raw == nil {
		err = ioError(errNoRow)
	}
	c.hasRow, c.buf = err == nil, c.raw
	return &c.row, err
}

// with gives the candidate its row's bytes.
func (c *candidate) with(raw []byte) error {
	if err := c.row.Read(raw, c.x.s.s.names); err != nil {
		return ioError(err)
	}
	c.raw, c.hasRow = raw, true
	return nil
}

// values extracts the candidate's index entries from its body.
func (c *candidate) values() ([]search.Entry, error) {
	if c.hasEnts {
		return c.entries, nil
	}
	row, err := c.head()
	if err != nil {
		return nil, err
	}
	if err := c.x.spend(costBody); err != nil {
		return nil, err
	}
	body, err := c.x.body(c.place.RID, row.VersionID)
	if err != nil {
		return nil, err
	}
	if c.entries, _, err = c.x.s.s.opts.Extract(body, row.Key); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "disk: index values of a stored version: %w", err)
	}
	c.hasEnts = true
	return c.entries, nil
}

// collectOf hands c the matches of one type.
func (x *exec) collectOf(q *search.Query, t fhir.Type, c *collector) error {
	p, err := x.plan(q, t, c)
	switch {
	case err != nil:
	case p.sweep != nil:
		err = x.sweep(p, q, c)
	default:
		p.budget = c.budget
		err = x.scan(p, q, c.start(), c.take)
	}
	if err = join(err, p.close()); err != nil {
		return err
	}
	return c.settle(x, t)
}

// scan drives from the plan's rarest predicate and holds the others against
// each candidate, the cheap ones first.
func (x *exec) scan(p *typePlan, q *search.Query, start layout.Place, visit visitor) error {
	if p.empty {
		return nil
	}
	quiet := x.quiet
	x.quiet = true
	defer func() { x.quiet = quiet }()
	c := &candidate{x: x}
	ok, err := p.driver.Seek(start)
	for ok && err == nil {
		c.reset(spot{Place: p.driver.Place(), Class: p.driver.Class()})
		jump, state, ferr := p.filter(c)
		switch {
		case ferr != nil:
			return ferr
		case state == ended:
			return nil
		case state == here:
			match, merr := x.accept(p, q, c)
			if merr != nil {
				return merr
			}
			if match {
				if more, verr := visit(c); verr != nil || !more {
					return verr
				}
			}
			if p.budget.Over() {
				return nil
			}
		default:
			if more, jerr := p.passed(c); jerr != nil || !more {
				return jerr
			}
		}
		if state == elsewhere {
			ok, err = p.driver.Seek(jump)
			continue
		}
		ok, err = p.driver.Next()
	}
	return err
}

// accept holds what postings do not decide against the candidate: what the
// caller may see first, since a body costs more than a row.
func (x *exec) accept(p *typePlan, q *search.Query, c *candidate) (bool, error) {
	seen, err := p.judge.Of(c.class, c.place)
	if err != nil || seen == judge.No {
		return false, err
	}
	if seen == judge.Maybe {
		row, err := c.head()
		if err != nil || !q.Restriction.Sees(row.Key, &row.Facts, x.now) {
			return false, err
		}
	}
	if !p.afford(c) {
		return false, nil
	}
	for _, preds := range [2][]*search.Predicate{p.verify, c.unsure} {
		if ok, err := c.satisfies(preds); !ok || err != nil {
			return false, err
		}
	}
	for _, check := range p.checks {
		if ok, err := check(c); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// satisfies holds predicates against the candidate's body.
func (c *candidate) satisfies(preds []*search.Predicate) (bool, error) {
	if len(preds) == 0 {
		return true, nil
	}
	entries, err := c.values()
	if err != nil {
		return false, err
	}
	for _, pred := range preds {
		if !search.Matches(pred, entries) {
			return false, nil
		}
	}
	return true, nil
}

// Forget lets go of the blocks that were read: for a reader of much that is not
// read again. It needs Options.Cache.
func (s *Store) Forget() {
	if c := s.opts.Cache; c != nil {
		c.Reserve(int(s.opts.CacheSize()))()
	}
}
