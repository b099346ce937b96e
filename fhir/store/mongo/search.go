package mongo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo/layout"
	"hutong/fhir/store/mongo/page"
	"hutong/fhir/store/mongo/wire"
)

// exec runs one search, its chains included, at one snapshot and on one budget.
type exec struct {
	s     *snapshot
	ctx   context.Context
	now   time.Time
	spent int64
	notes *strings.Builder // for Explain; nil otherwise
	depth int
}

func (s *snapshot) exec(ctx context.Context) *exec {
	return &exec{s: s, ctx: ctx, now: s.s.opts.Now()}
}

func (x *exec) note(format string, args ...any) {
	if x.notes != nil {
		x.notes.WriteString(strings.Repeat("  ", x.depth) + fmt.Sprintf(format, args...) + "\n")
	}
}

// spend counts a document that the search looks at.
func (x *exec) spend() error {
	if x.spent++; x.spent > x.s.s.opts.MaxExamined {
		return errTooCostly()
	}
	if x.spent%512 == 0 {
		return wire.CtxError(x.ctx)
	}
	return nil
}

// Search runs q.
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
		return store.Page{}, wire.CtxError(ctx)
	}
	ctx, cancel := s.s.long(ctx)
	defer cancel()
	x := s.exec(ctx)
	c, err := x.run(q)
	if err != nil {
		return store.Page{}, err
	}
	hits, next := c.Page()
	p := store.Page{Next: next, Total: -1, Matches: make([]fhir.Resource, 0, len(hits))}
	if q.Total {
		p.Total = c.Total
	}
	return p, x.fill(&p, hits, q.Bare)
}

// Explain tells the plan of q and what it cost. It names parameters, never
// values.
func (s *snapshot) Explain(ctx context.Context, q *search.Query) (string, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	ctx, cancel := s.s.long(ctx)
	defer cancel()
	x := s.exec(ctx)
	x.notes = &strings.Builder{}
	c, err := x.run(q)
	if err != nil {
		return "", err
	}
	hits, _ := c.Page()
	x.note("%d matches on the page, %d documents looked at", len(hits), x.spent)
	return x.notes.String(), nil
}

type (
	collector = page.Collector[*candidate]
	hit       = page.Hit[*candidate]
)

// run finds one page of q, and the total: by the server's own count where that
// is exact and the page is not all there is.
func (x *exec) run(q *search.Query) (*collector, error) {
	c, err := page.NewCollector[*candidate](q)
	if err != nil || q.Count == 0 && !q.Total {
		return c, err
	}
	p, err := x.plan(q)
	if err != nil {
		return nil, err
	}
	apart := p.countable(q)
	if !q.Total || !apart && (q.After == nil || q.TotalWithin == 0 || len(q.Sort) > 0) {
		return x.collect(p, q)
	}
	one := *q
	one.Total = false
	if c, err = x.collect(p, &one); err != nil {
		return nil, err
	}
	if _, next := c.Page(); q.Count > 0 && q.After == nil && next == nil {
		return c, nil // all matches have been seen
	}
	c.Total, err = x.total(p, q, apart)
	return c, err
}

// collect visits the matches of q for one page, and for the total if that is
// asked for.
func (x *exec) collect(p *plan, q *search.Query) (*collector, error) {
	c, err := page.NewCollector[*candidate](q)
	if err != nil || q.Count == 0 && !q.Total {
		return c, err
	}
	scan := *p
	scan.budget = search.NewBudget(q)
	counts := func() bool { return q.Total && !scan.budget.Over() }
	scan.start, scan.startKey, scan.started = c.Start()
	if !q.Total && len(q.Sort) == 0 {
		scan.batch = int32(min(q.Count+2, int(x.s.s.opts.Batch)))
	}
	scan.bodies = len(p.verify) > 0 || len(p.checks) > 0 || !q.Total
	for i := range q.Sort {
		scan.bodies = scan.bodies || page.NeedsEntries(&q.Sort[i])
	}
	err = x.each(&scan, func(m *candidate) (verdict, error) {
		if c.Full(page.Ord(m.head.Ord)) {
			if scan.budget.Beyond(); !counts() {
				return enough, nil
			}
		}
		c.Total++
		return more, x.place(c, q, m)
	})
	if scan.budget.Over() {
		c.Total = -1
	}
	return c, err
}

// place puts a match on the page, if it belongs there.
func (x *exec) place(c *collector, q *search.Query, m *candidate) error {
	if !c.Wants(page.Ord(m.head.Ord)) {
		return nil
	}
	h := hit{Ord: page.Ord(m.head.Ord), Key: m.key, Ref: m}
	for i := range q.Sort {
		var entries []search.Entry
		if page.NeedsEntries(&q.Sort[i]) {
			var err error
			if entries, err = m.values(); err != nil {
				return err
			}
		}
		v := m.head.VersionOf(m.key)
		h.Sort = append(h.Sort, page.SortValue(&q.Sort[i], &v, entries))
	}
	m.entries, m.hasEntries = nil, false // a page of them is not kept
	c.Add(h)
	return nil
}

// fill reads the bodies that the page lacks and adds its resources; bare ones have
// none.
func (x *exec) fill(p *store.Page, hits []hit, bare bool) error {
	if bare {
		for i := range hits {
			h := hits[i].Ref.head
			p.Matches = append(p.Matches, fhir.Resource{Version: h.VersionOf(hits[i].Key), Facts: h.Facts.Facts()})
		}
		return nil
	}
	docs := make([]layout.Version, len(hits))
	for i := range hits {
		m := hits[i].Ref
		docs[i] = layout.Version{ID: m.version, Head: *m.head, Body: m.body}
	}
	if err := x.s.s.bodies(x.ctx, docs); err != nil {
		return err
	}
	for i := range hits {
		r, err := x.s.s.resource(hits[i].Key, &docs[i].Head, docs[i].Body)
		if err != nil {
			return err
		}
		p.Matches = append(p.Matches, r)
	}
	return nil
}

// candidate is a version that is being looked at.
type candidate struct {
	x          *exec
	key        fhir.Key
	head       *layout.Head
	version    string // _id of its layout.Version
	body       []byte // nil if it was not asked for
	entries    []search.Entry
	hasEntries bool
}

// values extracts the candidate's index entries from its body.
func (m *candidate) values() ([]search.Entry, error) {
	if m.hasEntries {
		return m.entries, nil
	}
	s := m.x.s.s
	if m.body == nil {
		docs := []layout.Version{{ID: m.version, Head: *m.head}}
		if err := s.bodies(m.x.ctx, docs); err != nil {
			return nil, err
		}
		m.body = docs[0].Body
	}
	body, err := s.codec.Unpack(m.body)
	if err != nil {
		return nil, err
	}
	if m.entries, _, err = s.opts.Extract(body, m.key); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "mongo: index values of a stored version: %w", err)
	}
	m.hasEntries = true
	return m.entries, nil
}

// verdict of a visitor.
type verdict uint8

const (
	more   verdict = iota
	enough         // no more current documents; what was superseded is still looked at
	stop
)

type visitor func(m *candidate) (verdict, error)

// each visits the matches of a plan that held at the snapshot's time: those
// among the current documents, in order, and then those that have been
// superseded since. A commit moves a version from the first to the second, and
// shows it in the second first; so what moves meanwhile is seen twice, never
// missed, and counted once.
func (x *exec) each(p *plan, visit visitor) error {
	if p.never {
		return nil
	}
	seen := map[string]struct{}{}
	v, err := x.eachCurrent(p, func(m *candidate) (verdict, error) {
		v, err := visit(m)
		seen[m.version] = struct{}{}
		return v, err
	})
	if err != nil || v == stop {
		return err
	}
	undone, err := x.s.s.undone(x.ctx, x.s.t)
	if !undone || err != nil {
		return err
	}
	return x.eachSuperseded(p, func(m *candidate) (verdict, error) {
		if _, twice := seen[m.version]; twice {
			return more, nil
		}
		return visit(m)
	})
}

func (x *exec) eachCurrent(p *plan, visit visitor) (verdict, error) {
	o := options.Find().SetSort(bson.D{{Key: "ord", Value: 1}, {Key: "_id", Value: 1}}).SetBatchSize(p.batch)
	o.SetProjection(withoutIndex)
	if !p.bodies {
		o.SetProjection(append(bson.D{{Key: "b", Value: 0}}, withoutIndex...))
	}
	cur, err := x.s.s.current.Find(x.ctx, p.query(), o)
	if err != nil {
		return stop, wire.Failure(x.ctx, err)
	}
	return x.walk(cur, p, false, visit, func() (*candidate, error) {
		var d layout.Current
		if err := cur.Decode(&d); err != nil {
			return nil, err
		}
		if d.T > x.s.t {
			return nil, nil
		}
		k, _ := fhir.ParseKey(d.ID)
		return &candidate{x: x, key: k, head: &d.Head, version: d.Version, body: d.Body}, nil
	})
}

func (x *exec) eachSuperseded(p *plan, visit visitor) error {
	f := append(bson.D{}, p.types...)
	f = append(f, bson.E{Key: "to", Value: bson.D{{Key: "$gt", Value: x.s.t}, {Key: "$lt", Value: int64(layout.OpenEnd)}}},
		bson.E{Key: "t", Value: bson.D{{Key: "$gt", Value: int64(0)}, {Key: "$lte", Value: x.s.t}}},
		bson.E{Key: "m", Value: bson.D{{Key: "$lt", Value: int32(fhir.Deleted)}}})
	if p.ids != nil {
		f = append(f, bson.E{Key: "k", Value: bson.D{{Key: "$in", Value: p.ids}}})
	}
	cur, err := x.s.s.versions.Find(x.ctx, f, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetBatchSize(x.s.s.opts.Batch))
	if err != nil {
		return wire.Failure(x.ctx, err)
	}
	_, err = x.walk(cur, p, true, visit, func() (*candidate, error) {
		var d layout.Version
		if err := cur.Decode(&d); err != nil {
			return nil, err
		}
		k, _ := fhir.ParseKey(d.Key)
		return &candidate{x: x, key: k, head: &d.Head, version: d.ID, body: d.Body}, nil
	})
	return err
}

// walk reads a cursor to its end and visits the candidates that match. read
// gives nil for a document that does not count. all verifies every predicate,
// where no condition has chosen the documents.
func (x *exec) walk(cur *driver.Cursor, p *plan, all bool, visit visitor, read func() (*candidate, error)) (verdict, error) {
	defer func() { _ = cur.Close(context.WithoutCancel(x.ctx)) }()
	for cur.Next(x.ctx) {
		if err := x.spend(); err != nil {
			return stop, err
		}
		m, err := read()
		if err != nil {
			return stop, wire.Failure(x.ctx, err)
		}
		if m == nil {
			continue
		}
		ok, err := x.accept(p, all, m)
		if err != nil {
			return stop, err
		}
		if p.budget.Over() && !all {
			return enough, nil
		}
		if !ok {
			continue
		}
		if v, err := visit(m); v == stop || v == enough && !all || err != nil {
			return v, err // what was superseded is in no order
		}
	}
	return more, wire.Failure(x.ctx, cur.Err())
}

// accept holds against a candidate what the conditions do not decide: first
// what the caller may see.
func (x *exec) accept(p *plan, all bool, m *candidate) (bool, error) {
	if !p.see.System {
		facts := m.head.Facts.Facts()
		if !p.see.Sees(m.key, &facts, x.now) {
			return false, nil
		}
	}
	verify := p.verify
	if all {
		verify = p.all
	}
	cost := 1
	if len(verify)+len(p.checks) > 0 {
		cost = search.TotalDear
	}
	p.budget.Take(cost)
	for i := range verify {
		if ok, err := verify[i](m); !ok || err != nil {
			return false, err
		}
	}
	for _, check := range p.checks {
		if ok, err := check(m); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}
