package mpi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/block"
	"hutong/mpi/head"
	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/source"
)

// maxRetries bounds how often a feed starts over because others changed the
// same persons meanwhile.
const maxRetries = 16

// Committed takes in the Patients among versions before the response leaves.
// What fails here, or misses the deadline, reaches the index again by Feed.
func (x *Index) Committed(ctx context.Context, versions []fhir.Version) {
	if err := x.FeedAll(ctx, versions); err != nil {
		x.log.Warn().Err(err).Int("versions", len(versions)).Msg("mpi: versions will be taken in by the event feed")
	}
}

// FeedAll is Feed for the Patients among the versions of one commit, which are
// decided and written together where they can be. A failure with one keeps
// none of the others out; the first error is told.
func (x *Index) FeedAll(ctx context.Context, versions []fhir.Version) error {
	var heard []notice
	for _, v := range versions {
		if v.Type == "Patient" {
			heard = append(heard, notice{v.Key, v.VersionID, v.VersionID == 1})
		}
	}
	var first error
	for part := range slices.Chunk(heard, maxGroup) {
		first = cmp.Or(first, x.feed(ctx, part))
	}
	return first
}

// Taken reports whether a version of a source Patient, or a later one, has been
// taken in, by whichever process: it asks the Space.
func (x *Index) Taken(ctx context.Context, k fhir.Key, versionID uint64) (bool, error) {
	r, err := x.readRow(ctx, k.ID)
	return err == nil && r != nil && r.head.Version >= versionID, err
}

// Feed takes in a source Patient as it is now, which is version versionID or a
// later one. It is idempotent and may be called in any order, by many at once.
// When it returns nil, the record's person is decided and durable.
func (x *Index) Feed(ctx context.Context, k fhir.Key, versionID uint64) error {
	if k.Type != "Patient" {
		return nil
	}
	return x.feed(ctx, []notice{{k, versionID, false}})
}

// notice says that a source Patient has a version. first: the store has just
// made its first one, so the index knows nothing of it yet; where it does, the
// condition of the row's write tells.
type notice struct {
	key     fhir.Key
	version uint64
	first   bool
}

// maxGroup bounds how many records are decided and written at once: those whose
// feeds could meet them wait so long.
const maxGroup = 64

// feed takes in several records, in groups that are written at once. A record
// that has to do with one before it waits for the next group. One that cannot
// be taken in keeps none of the others out; the first error is told.
func (x *Index) feed(ctx context.Context, heard []notice) error {
	x.gate.RLock()
	defer x.gate.RUnlock()
	if x.loading.Load() {
		return errLoading
	}
	var first error
	for tries := 0; len(heard) > 0; {
		left, overtaken, err := x.feedGroup(ctx, heard)
		first = cmp.Or(first, err)
		if overtaken {
			x.stats.retries.Add(1)
			if tries++; tries == maxRetries {
				return cmp.Or(first, error(fhir.Errorf(fhir.Busy, "mpi: the persons of a record keep changing")))
			}
		}
		heard = left
	}
	return first
}

// arrival is a version on its way into the index.
type arrival struct {
	notice
	old, next *row
}

// feedGroup takes in those that have nothing to do with one another, the first
// always, and gives the others. overtaken: somebody else changed the same
// records or persons meanwhile, and what is left is to be looked at anew.
func (x *Index) feedGroup(ctx context.Context, heard []notice) (left []notice, overtaken bool, err error) {
	var in []arrival
	var points []uint64
	for _, n := range heard {
		a := arrival{notice: n}
		known, e := x.observe(ctx, &a)
		err = cmp.Or(err, e)
		if e == nil && !known {
			in, points = append(in, a), append(points, meetingPoints(n.key.ID, a.old, a.next)...)
		}
	}
	unlock := x.locks.Lock(points)
	defer unlock()
	g := newGroup(x)
	for i := range in {
		joined, changed, e := x.admit(ctx, g, &in[i])
		err = cmp.Or(err, e)
		if e == nil && !joined {
			left, overtaken = append(left, in[i].notice), overtaken || changed
		}
	}
	e := g.commit(ctx)
	if !errors.Is(e, fhir.E(fhir.Conflict)) {
		err = cmp.Or(err, e)
	} else {
		left, overtaken = left[:0], true
		for i := range in {
			in[i].first = false
			left = append(left, in[i].notice)
		}
	}
	return left, overtaken, err
}

// admit decides what an arrival changes and adds it to the group. It is not
// joined if it has to do with another of the group, or if what is known of it
// has changed since it was observed.
func (x *Index) admit(ctx context.Context, g *group, a *arrival) (joined, changed bool, err error) {
	now, err := x.rowOf(ctx, a.notice)
	switch {
	case err != nil:
		return false, false, err
	case now != nil && now.head.Version >= a.next.head.Version:
		x.stats.unchanged.Add(1)
		return true, false, nil
	case (now == nil) != (a.old == nil) || now != nil && !slices.Equal(now.keys, a.old.keys):
		return false, true, nil
	}
	c, err := x.take(ctx, now, a.next)
	if err != nil {
		return false, false, err
	}
	return g.add(c), false, nil
}

// rowOf is what the index knows of a record. What nothing can be known of is not
// looked for.
func (x *Index) rowOf(ctx context.Context, n notice) (*row, error) {
	if r, ok := x.rows.Get(n.key.ID); ok {
		return r, nil
	}
	if s := x.lists.Load(); n.first || s != nil && s.Unknown(n.key.ID) {
		return nil, nil
	}
	return x.readRow(ctx, n.key.ID)
}

// meetingPoints are the locks of a feed: every key under which the record
// meets others, before and after, and its own id.
func meetingPoints(id string, rows ...*row) []uint64 {
	out := []uint64{ownKey(id).Hash}
	for _, r := range rows {
		if r == nil {
			continue
		}
		for _, k := range r.keys {
			out = append(out, k.Hash)
		}
	}
	return out
}

// ownKey is a meeting point of a record with those that link to it.
func ownKey(id string) block.Key { return block.Identifier("patient|" + id) }

// observe finds what is known of the record and what it is now. known says that
// the index has that version, or a later one.
func (x *Index) observe(ctx context.Context, a *arrival) (known bool, err error) {
	if a.old, err = x.rowOf(ctx, a.notice); err != nil {
		return false, err
	}
	if a.old != nil && a.old.head.Version >= a.version {
		x.stats.unchanged.Add(1)
		return true, nil
	}
	a.next, err = x.look(ctx, a.key, a.version)
	return false, err
}

// look reads the source Patient into a row that has no person yet.
// versionID stands in where a deletion is reported without its number.
func (x *Index) look(ctx context.Context, k fhir.Key, versionID uint64) (*row, error) {
	res, err := x.read(ctx, k)
	r := &row{ID: k.ID, rec: &normal.Record{}, head: head.Head{Version: res.VersionID, Custodian: res.Facts.Custodian, Updated: res.LastUpdated}}
	switch {
	case errors.Is(err, fhir.E(fhir.Gone)) || err == nil && res.Deleted():
		r.head.Deleted = true
		r.head.Version = max(r.head.Version, versionID)
		return r, nil
	case err != nil:
		return nil, err
	}
	p, err := source.Read(res.Body.Raw)
	if err != nil {
		return nil, err
	}
	p.ID = k.ID
	r.rec = p.Record(res.Facts.Custodian, x.now())
	r.head.Inactive = !p.IsActive()
	r.head.Links, r.head.Life = p.Links(res.Facts.Custodian, x.now()), p.Life()
	r.keys = append(block.Keys(r.rec, x.now()), ownKey(k.ID))
	for _, l := range r.head.Links {
		k := ownKey(l.Other)
		if l.Token != "" {
			k = block.Identifier(l.Token)
		}
		if !slices.Contains(r.keys, k) {
			r.keys = append(r.keys, k)
		}
	}
	return r, nil
}

// take decides what a new version of a record changes.
func (x *Index) take(ctx context.Context, old, next *row) (*change, error) {
	if old != nil {
		next.head.Person, next.head.Origin = old.head.Person, old.head.Origin
		if next.head.Deleted {
			next.head.Custodian = old.head.Custodian
		}
	}
	c := newChange(x, next)
	c.actor, c.action = systemActor, actionFeed
	c.row(old, next)
	if err := c.domains(ctx); err != nil {
		return nil, err
	}
	verdicts, err := c.compare(ctx, next)
	if err != nil {
		return nil, err
	}
	if err := c.setEdges(ctx, verdicts); err != nil {
		return nil, err
	}
	if err := c.settle(ctx, []string{next.ID}); err != nil {
		return nil, err
	}
	if err := c.review(ctx, verdicts); err != nil {
		return nil, err
	}
	c.overlay(old)
	return c, nil
}

// compare holds a record against every record that it meets, itself left out.
func (c *change) compare(ctx context.Context, r *row) (map[string]link.Verdict, error) {
	x := c.x
	met, err := x.candidates(ctx, r.keys)
	if err != nil {
		return nil, err
	}
	out := make(map[string]link.Verdict)
	for _, m := range met {
		if m.id == r.ID {
			continue
		}
		other, err := c.glance(ctx, m)
		if err != nil {
			return nil, err
		}
		if other == nil || other.head.Deleted {
			continue
		}
		v := x.judge(x.rules, r, other)
		if v.Kind == link.Link || v.Kind == link.Review {
			out[m.id] = v
		}
		c.shade(r, other, v)
	}
	return out, nil
}

// group is changes that are written together. None of them looked at what one
// before it writes, so together they do what they would do one after the other.
type group struct {
	x       *Index
	changes []*change
	keys    map[block.Key]bool // under which their records meet others
	written map[string]bool    // ids of the records, persons, tasks and proposals that they write
}

func newGroup(x *Index) *group {
	return &group{x: x, keys: map[block.Key]bool{}, written: map[string]bool{}}
}

// add takes a change in, unless it has to do with one that is in.
func (g *group) add(c *change) bool {
	c.finishRows()
	c.journal()
	if len(g.changes) > 0 && g.meets(c) {
		return false
	}
	g.changes = append(g.changes, c)
	for _, k := range c.keys() {
		g.keys[k] = true
	}
	for _, k := range c.order {
		if id, ok := stateOf(k); ok {
			g.written[id] = true
		}
	}
	return true
}

func (g *group) meets(c *change) bool {
	if slices.ContainsFunc(c.keys(), func(k block.Key) bool { return g.keys[k] }) {
		return true
	}
	for id := range c.seen {
		if g.written[id] {
			return true
		}
	}
	for _, k := range c.order {
		if id, ok := stateOf(k); ok && g.written[id] {
			return true
		}
	}
	return false
}

// stateOf gives the id whose state a stored key holds; none for postings, of
// which keys tell, and for what no change looks at: journal, lists and reports.
func stateOf(key string) (id string, ok bool) {
	kind, rest, _ := strings.Cut(key, "/")
	switch kind + "/" {
	case rowPrefix, personPrefix, edgePrefix, decisionPrefix, taskPrefix, taskOfPrefix, proposalPrefix:
		id, _, _ = strings.Cut(rest, sep)
		return id, true
	}
	return "", false
}

// commit writes the changes in one Apply and brings caches and lists up to date.
func (g *group) commit(ctx context.Context) error {
	if len(g.changes) == 0 {
		return nil
	}
	err := g.x.space.Apply(ctx, g.writes())
	conflict := errors.Is(err, fhir.E(fhir.Conflict))
	for _, c := range g.changes {
		switch {
		case err == nil:
			c.done()
		case !conflict:
			c.forget()
		default:
			err = cmp.Or(c.refresh(ctx), err)
		}
	}
	return err
}

// writes are those of all changes in the order of their keys, in which a tree
// takes them in with less work. What two write alike is written once.
func (g *group) writes() []store.Write {
	var out []store.Write
	for _, c := range g.changes {
		for _, k := range c.order {
			out = append(out, c.writes[k])
		}
	}
	slices.SortFunc(out, func(a, b store.Write) int { return bytes.Compare(a.Key, b.Key) })
	return slices.CompactFunc(out, func(a, b store.Write) bool { return bytes.Equal(a.Key, b.Key) })
}
