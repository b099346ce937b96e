package mpi

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"hutong/fhir/store"
	"hutong/mpi/block"
	"hutong/mpi/link"
	"hutong/mpi/report"
)

// change gathers one indivisible step of the index: what it would write, seen
// over what the Space holds. Nothing happens until commit.
type change struct {
	x       *Index
	subject *row                        // the record fed; nil for a human decision
	isNew   bool                        // subject was not known before: nothing is stored of it
	unheard bool                        // the lists in memory say so, and its feed has its lock: its row's write need not ask
	had     []block.Key                 // of subject, before
	edges   map[string]*edge            // of subject, as they will be
	certain map[string]map[string]*edge // of all records, where none is stored yet (Load)
	nextID  func(time.Time) string
	rows    map[string]*row      // that change
	persons map[string]*person   // that change
	says    map[string]*decision // human decisions that change, by pair; nil = withdrawn
	minted  []string             // persons whose ids are new
	prefer  map[string]string    // record -> person that it should return to (undo)
	writes  map[string]store.Write
	order   []string
	asked   map[string]map[string][]byte // what others gave
	seen    map[string]bool              // ids of the records, persons, tasks and proposals that were looked at

	at      time.Time
	id      string // of the journal entry
	actor   string
	action  string
	why     string
	reasons []link.Reason
	undoOf  string
	task    string
	second  string // who confirmed a human decision, and why
	because string
	about   []string // persons whose journal shows the entry though it leaves them as they are
	score   float64

	before, after []Membership
	decided       []decided
	refused       []link.Refusal

	opened, overlaid int64 // tasks and reports, to be counted
}

// keys are those under which the subject meets others, before and after.
func (c *change) keys() []block.Key {
	if c.subject == nil {
		return nil
	}
	return slices.Concat(c.had, c.subject.keys)
}

// usualWrites is how many rows a new person's feed writes, about.
const usualWrites = 40

func newChange(x *Index, subject *row) *change {
	at := x.now()
	return &change{
		x: x, subject: subject, at: at, id: x.nextID(at), nextID: x.nextID,
		rows: map[string]*row{}, persons: map[string]*person{}, says: map[string]*decision{},
		writes: make(map[string]store.Write, usualWrites), order: make([]string, 0, usualWrites), seen: map[string]bool{}, asked: map[string]map[string][]byte{},
	}
}

// nextID makes an id that sorts by time and does not repeat.
func (x *Index) nextID(at time.Time) string { return x.idOf(x.clock.micros(at)) }

func (x *Index) idOf(micros int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(micros))
	return fmt.Sprintf("%x%s", b, x.salt)
}

func (c *change) write(w store.Write) {
	k := string(w.Key)
	if _, held := c.writes[k]; !held {
		c.order = append(c.order, k)
	}
	c.writes[k] = w
}

func (c *change) set(key string, v any) { c.write(put(key, v)) }
func (c *change) remove(key string)     { c.write(store.Write{Key: []byte(key)}) }

// row replaces a record's row and the postings that differ.
func (c *change) row(old, next *row) {
	c.rows[next.ID] = next
	if old != nil {
		for _, k := range old.keys {
			if !slices.Contains(next.keys, k) {
				c.write(store.Write{Key: blockKey(k, old.ID)})
			}
		}
	}
	for _, k := range next.keys {
		if old == nil || !slices.Contains(old.keys, k) {
			c.write(store.Write{Key: blockKey(k, next.ID), Value: []byte{1}})
		}
	}
	if c.isNew = old == nil; c.isNew {
		s := c.x.lists.Load()
		c.unheard = s != nil && s.Unknown(next.ID)
	}
	if old != nil {
		c.had = old.keys
		next.raw, next.head.Rev = old.raw, old.head.Rev
	}
}

// getRow reads a row as it will be.
func (c *change) getRow(ctx context.Context, id string) (*row, error) {
	c.seen[id] = true
	if r, ok := c.rows[id]; ok {
		return r, nil
	}
	return c.x.row(ctx, id)
}

// glance is getRow of a row to judge by.
func (c *change) glance(ctx context.Context, m candidate) (*row, error) {
	c.seen[m.id] = true
	if r, ok := c.rows[m.id]; ok {
		return r, nil
	}
	return c.x.glance(ctx, m.id, m.n)
}

// setEdges replaces the certain edges of the subject.
func (c *change) setEdges(ctx context.Context, verdicts map[string]link.Verdict) error {
	c.edges = make(map[string]*edge)
	for id, v := range verdicts {
		if v.Kind == link.Link {
			c.edges[id] = &edge{v.Score.Weight, v.Score.Probability, v.Reasons, c.x.model.Version}
		}
	}
	stored, err := c.others(ctx, edgePrefix, c.subject.ID)
	if err != nil {
		return err
	}
	for id := range stored {
		if c.edges[id] == nil {
			c.remove(pair(edgePrefix, c.subject.ID, id))
			c.remove(pair(edgePrefix, id, c.subject.ID))
		}
	}
	for id, e := range c.edges {
		w := put("", e).Value
		if string(stored[id]) != string(w) {
			c.write(store.Write{Key: []byte(pair(edgePrefix, c.subject.ID, id)), Value: w})
			c.write(store.Write{Key: []byte(pair(edgePrefix, id, c.subject.ID)), Value: w})
		}
	}
	return nil
}

// others is Index.others, spared for a record of which nothing is stored yet
// (but what humans decided of it, which Restore may have put there before).
func (c *change) others(ctx context.Context, prefix, id string) (map[string][]byte, error) {
	c.seen[id] = true
	if c.isNew && id == c.subject.ID && prefix != decisionPrefix {
		return nil, nil
	}
	if prefix == decisionPrefix && c.x.heard.Load() && !c.x.judged.Has(id) {
		return nil, nil
	}
	if stored, ok := c.asked[prefix+id]; ok {
		return stored, nil
	}
	stored, err := c.x.others(ctx, prefix, id)
	if err == nil {
		c.asked[prefix+id] = stored
	}
	return stored, err
}

// personRow, taskRow and proposalRow read what is stored, and note that it was read.
func (c *change) personRow(ctx context.Context, id string) (*person, error) {
	c.seen[id] = true
	return c.x.personRow(ctx, id)
}

func (c *change) taskRow(ctx context.Context, id string) (*Task, error) {
	c.seen[id] = true
	return c.x.task(ctx, id)
}

func (c *change) proposalRow(ctx context.Context, id string) (*Proposal, error) {
	c.seen[id] = true
	return c.x.proposal(ctx, id)
}

// edgesOf reads the certain edges of a record as they will be.
func (c *change) edgesOf(ctx context.Context, id string) (map[string]*edge, error) {
	if c.subject != nil && id == c.subject.ID {
		return c.edges, nil
	}
	if c.certain != nil {
		return c.certain[id], nil
	}
	stored, err := c.others(ctx, edgePrefix, id)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*edge, len(stored)+1)
	for other, raw := range stored {
		e := &edge{}
		if json.Unmarshal(raw, e) != nil {
			return nil, corrupt("edge", id)
		}
		out[other] = e
	}
	if c.subject != nil {
		delete(out, c.subject.ID)
		if e := c.edges[id]; e != nil {
			out[c.subject.ID] = e
		}
	}
	return out, nil
}

// decisionsOf reads what humans said of a record, as it will be.
func (c *change) decisionsOf(ctx context.Context, id string) (map[string]*decision, error) {
	stored, err := c.others(ctx, decisionPrefix, id)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*decision, len(stored))
	for other, raw := range stored {
		d := &decision{}
		if json.Unmarshal(raw, d) != nil {
			return nil, corrupt("decision", id)
		}
		out[other] = d
	}
	for p, d := range c.says {
		a, b, _ := strings.Cut(p, sep)
		switch id {
		case a:
			setOrDelete(out, b, d)
		case b:
			setOrDelete(out, a, d)
		}
	}
	return out, nil
}

func setOrDelete(m map[string]*decision, k string, d *decision) {
	if d == nil {
		delete(m, k)
	} else {
		m[k] = d
	}
}

// say records what a human says of two records; nil withdraws.
func (c *change) say(a, b string, d *decision, before *decision) {
	a, b = link.Order(a, b)
	c.says[a+sep+b] = d
	c.x.judged.Add(a)
	c.x.judged.Add(b)
	c.decided = append(c.decided, decided{A: a, B: b, Before: before, After: d})
	for _, k := range []string{pair(decisionPrefix, a, b), pair(decisionPrefix, b, a)} {
		if d == nil {
			c.remove(k)
		} else {
			c.set(k, d)
		}
	}
}

// commit writes the journal entry and everything that follows from it, and
// refreshes the caches. Conflict if others changed a row or person meanwhile.
func (c *change) commit(ctx context.Context) error {
	g := newGroup(c.x)
	g.add(c)
	return g.commit(ctx)
}

// done brings caches and lists up to date after the change was written.
func (c *change) done() {
	stats := &c.x.stats
	stats.reviews.Add(c.opened)
	stats.overlays.Add(c.overlaid)
	if c.subject != nil {
		stats.feeds.Add(1)
	}
	if len(c.before) > 0 && len(c.after) > 0 {
		stats.links.Add(1)
	}
	if s := c.x.filling.Load(); s != nil && c.subject != nil {
		s.Put(c.subject.ID, c.had, c.subject.keys)
	}
	for id, r := range c.rows {
		c.x.rows.Put(id, r)
		if s := c.x.filling.Load(); s != nil {
			s.PutBrief(id, r.head.Rev, r.brief)
			c.x.glances.Drop(s.Number(id))
		}
	}
	for id, p := range c.persons {
		c.x.persons.Put(id, p)
	}
	if len(c.before) > 0 || len(c.after) > 0 {
		c.x.changed()
	}
}

// forget drops what may or may not have been written.
func (c *change) forget() {
	s := c.x.filling.Load()
	if s != nil && c.subject != nil {
		s.Doubt(c.had)
		s.Doubt(c.subject.keys)
		s.Known(c.subject.ID)
	}
	for id := range c.rows {
		c.x.rows.Drop(id)
		if s != nil {
			s.DoubtBrief(id)
			c.x.glances.Drop(s.Number(id))
		}
	}
	for id := range c.persons {
		c.x.persons.Drop(id)
	}
}

// shade records how the shadow model would have judged a pair, if either model
// would link it or ask about it. It is never acted on.
func (c *change) shade(a, b *row, live link.Verdict) {
	x := c.x
	if x.shadow == nil {
		return
	}
	v := x.judge(x.shadow, a, b)
	calls := func(k link.Kind) bool { return k == link.Link || k == link.Review }
	if !calls(live.Kind) && !calls(v.Kind) {
		return
	}
	c.write(report.ShadowWrite(report.Shadow{
		Model: x.shadow.Model().Version, A: a.ID, B: b.ID, Live: live.Kind.String(), Shadow: v.Kind.String(),
		Probability: live.Score.Probability, Other: v.Score.Probability, At: c.at.UTC(),
	}))
}

// domains stages the identifier systems of the subject that were not seen
// before.
func (c *change) domains(ctx context.Context) error {
	for i := range c.subject.rec.IDs {
		system := domainOf(c.subject.rec.IDs[i].System)
		known, err := c.x.KnowsDomain(ctx, system)
		if err != nil {
			return err
		}
		if !known {
			c.set(domainPrefix+system, true)
		}
	}
	return nil
}

// domainOf is the system as senders write it: one that hospitals share carries
// its owner in comparison form.
func domainOf(system string) string {
	if strings.HasPrefix(system, "urn:oid:") {
		system, _, _ = strings.Cut(system, "@")
	}
	return system
}

// KnowsDomain reports whether a record ever carried an identifier of system.
func (x *Index) KnowsDomain(ctx context.Context, system string) (bool, error) {
	if _, ok := x.domains.Load(system); ok || system == personSystem {
		return true, nil
	}
	raw, err := x.space.Get(ctx, []byte(domainPrefix+system))
	if err != nil || raw == nil {
		return false, err
	}
	x.domains.Store(system, true)
	return true, nil
}
