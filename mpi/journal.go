package mpi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/bulk"
	"hutong/mpi/link"
	"hutong/mpi/report"
)

// Entry is one line of the journal: what changed, who did it, why, and under
// which model. Entries are never removed; an undo is an entry of its own.
type Entry struct {
	ID       string        `json:"id"` // sorts by time
	At       time.Time     `json:"at"`
	Actor    string        `json:"actor"` // login, or "system"
	Action   string        `json:"action"`
	Reason   string        `json:"reason"` // in a human's words
	Reasons  []link.Reason `json:"rules"`
	Model    string        `json:"model"`
	Score    float64       `json:"probability,omitempty"`
	Patients []string      `json:"patients"` // Patient/..., the records acted on
	Before   []Membership  `json:"before"`
	After    []Membership  `json:"after"`
	Decided  []decided     `json:"decided,omitempty"`
	Task     string        `json:"task,omitempty"`
	UndoOf   string        `json:"undoOf"`
	UndoneBy string        `json:"undoneBy"`
	Second   string        `json:"second,omitempty"`       // login of who confirmed it (四眼)
	Because  string        `json:"secondReason,omitempty"` // in their words
	raw      []byte
}

// Membership is a person's members at one moment.
type Membership struct {
	Person  string   `json:"person"`
	Members []string `json:"members"`
}

// decided is a human decision on a pair, before and after an entry.
type decided struct {
	A      string    `json:"a"`
	B      string    `json:"b"`
	Before *decision `json:"before,omitempty"`
	After  *decision `json:"after,omitempty"`
}

// The actions of the journal.
const (
	actionFeed   = "" // replaced by what the feed turns out to do
	ActionCreate = "create"
	ActionLink   = "link"
	ActionUnlink = "unlink"
	ActionRetire = "retire"
	ActionAccept = "decide-link"
	ActionReject = "decide-reject"
	ActionSplit  = "split"
	ActionUndo   = "undo"
)

const systemActor = "system"

// journal stages the entry of this change, if anybody's person changed or a
// human decided something.
func (c *change) journal() {
	if len(c.before) == 0 && len(c.after) == 0 && len(c.decided) == 0 && c.task == "" {
		return
	}
	e := &Entry{
		ID: c.id, At: c.at.UTC(), Actor: c.actor, Action: c.action, Reason: c.why, Reasons: c.reasons,
		Model: c.x.model.Version, Score: c.score, Before: c.before, After: c.after,
		Decided: c.decided, Task: c.task, UndoOf: c.undoOf, Second: c.second, Because: c.because,
	}
	if e.Action == actionFeed {
		c.describe(e)
	}
	if e.Patients == nil {
		e.Patients = c.touched()
	}
	c.set(journalPrefix+e.ID, e)
	for _, p := range append(e.persons(), c.about...) {
		c.set(pair(journalOfPrefix, p, e.ID), true)
	}
	if len(c.before) > 0 || len(c.after) > 0 {
		c.set(outboxPrefix+e.ID, e.Action)
	}
}

// describe says what a feed turned out to do, and by which evidence.
func (c *change) describe(e *Entry) {
	id := c.subject.ID
	e.Patients = []string{keyOf(id).String()}
	switch {
	case c.subject.head.Deleted:
		e.Action = ActionRetire
	case len(e.Before) == 0:
		e.Action = ActionCreate
	case parted(e.Before, e.After):
		e.Action = ActionUnlink
	default:
		e.Action = ActionLink
	}
	for _, other := range sortedKeys(c.edges) {
		edge := c.edges[other]
		for _, r := range edge.Reasons {
			if !slices.Contains(e.Reasons, r) {
				e.Reasons = append(e.Reasons, r)
			}
		}
		e.Score = max(e.Score, edge.Probability)
	}
}

// parted reports whether two records of one person before are in two after.
func parted(before, after []Membership) bool {
	home := homes(after)
	for _, m := range before {
		for _, id := range m.Members {
			if home[id] != home[m.Members[0]] {
				return true
			}
		}
	}
	return false
}

func homes(ms []Membership) map[string]string {
	out := map[string]string{}
	for _, m := range ms {
		for _, id := range m.Members {
			out[id] = m.Person
		}
	}
	return out
}

// touched lists the records that decisions or memberships of the change name.
func (c *change) touched() []string {
	seen := map[string]bool{}
	for _, d := range c.decided {
		seen[keyOf(d.A).String()], seen[keyOf(d.B).String()] = true, true
	}
	return sortedKeys(seen)
}

func (e *Entry) persons() []string {
	seen := map[string]bool{}
	for _, m := range slices.Concat(e.Before, e.After) {
		seen[strings.TrimPrefix(m.Person, "Patient/")] = true
	}
	return sortedKeys(seen)
}

func (x *Index) entry(ctx context.Context, id string) (*Entry, error) {
	e := &Entry{}
	raw, err := x.load(ctx, journalPrefix+id, e)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, fhir.Errorf(fhir.NotFound, "no such journal entry")
	}
	e.raw = raw
	return e, nil
}

// Entry reads one entry of the journal.
func (x *Index) Entry(ctx context.Context, id string) (*Entry, error) { return x.entry(ctx, id) }

// Journal lists what happened to a person (k names it or a member), newest
// first.
func (x *Index) Journal(ctx context.Context, k fhir.Key) ([]*Entry, error) {
	p, ok, err := x.PersonOf(ctx, k)
	if err != nil || !ok {
		return nil, err
	}
	ids, err := x.others(ctx, journalOfPrefix, p.ID)
	if err != nil {
		return nil, err
	}
	var out []*Entry
	for _, id := range sortedKeys(ids) {
		e, err := x.entry(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	slices.Reverse(out)
	return out, nil
}

// Changes lists journal entries after the id given ("" from the first), oldest
// first: what event publishers follow.
func (x *Index) Changes(ctx context.Context, afterID string, limit int) ([]*Entry, error) {
	from := []byte(journalPrefix + afterID)
	if afterID != "" {
		from = append(from, 0)
	}
	kvs, err := x.space.Scan(ctx, from, behind([]byte(journalPrefix)), limit)
	if err != nil {
		return nil, err
	}
	out := make([]*Entry, 0, len(kvs))
	for _, kv := range kvs {
		e := &Entry{raw: kv.Value}
		if err := json.Unmarshal(kv.Value, e); err != nil {
			return nil, fmt.Errorf("mpi: journal: %w", err)
		}
		out = append(out, e)
	}
	return out, nil
}

// Outbox lists the journal entries that changed a person and are not announced
// yet, at most limit of them. Each is listed, over restarts too, until Announced
// took it out: announce first, then take out.
func (x *Index) Outbox(ctx context.Context, limit int) ([]*Entry, error) {
	kvs, err := x.space.Scan(ctx, []byte(outboxPrefix), behind([]byte(outboxPrefix)), limit)
	if err != nil {
		return nil, err
	}
	out := make([]*Entry, 0, len(kvs))
	for _, kv := range kvs {
		e, err := x.entry(ctx, string(kv.Key[len(outboxPrefix):]))
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// Announced takes entries out of the outbox.
func (x *Index) Announced(ctx context.Context, ids ...string) error {
	writes := make([]store.Write, len(ids))
	for i, id := range ids {
		writes[i].Key = []byte(outboxPrefix + id)
	}
	return x.space.Apply(ctx, writes)
}

// duplicates brings the report of duplicates up to date for the persons that
// changed, and for the subject's own, whose records may have been retired.
func (c *change) duplicates(comp *component) {
	touched := map[string][2][]string{} // person -> members before, after
	for i, ms := range [][]Membership{c.before, c.after} {
		for _, m := range ms {
			id := strings.TrimPrefix(m.Person, "Patient/")
			t := touched[id]
			t[i] = m.Members
			touched[id] = t
		}
	}
	if c.subject != nil {
		home := comp.rows[c.subject.ID].head.Person
		if _, changed := touched[home]; !changed && home != "" {
			same := comp.membersOf(home)
			touched[home] = [2][]string{same, same}
		}
	}
	for _, p := range sortedKeys(touched) {
		for _, w := range report.DuplicateWrites(p, comp.records(touched[p][0]), comp.records(touched[p][1]), c.at) {
			c.write(w)
		}
	}
}

func (comp *component) membersOf(person string) (out []string) {
	for _, id := range comp.ids {
		if r := comp.rows[id]; r.head.Person == person && !r.head.Deleted {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (comp *component) records(refs []string) (out []report.Record) {
	for _, ref := range refs {
		if r := comp.rows[strings.TrimPrefix(ref, "Patient/")]; r != nil {
			out = append(out, report.Record{ID: r.ID, Organization: r.head.Custodian, Active: !r.head.Inactive && !r.head.Deleted})
		}
	}
	return out
}

// overlay reports an update that made the subject speak of another human.
func (c *change) overlay(old *row) {
	if old == nil || old.head.Deleted || c.subject.head.Deleted {
		return
	}
	reasons := c.x.rules.Overlay(old.rec, c.subject.rec)
	if reasons == nil {
		return
	}
	c.overlaid++
	c.write(report.OverlayWrite(report.Overlay{
		ID: c.id, Organization: c.subject.head.Custodian, Patient: c.subject.ID, Version: old.head.Version, By: c.subject.head.Version,
		At: c.at.UTC(), Before: old.head.Person, After: c.rows[c.subject.ID].head.Person, Reasons: reasons,
	}))
}

// entry journals a person that the load made. One of several records counts as
// linked, so that a steward can undo it.
func (l *loader) entry(w *bulk.Writer, id string, p *person, certain map[string]map[string]*edge) {
	l.persons.Add(1)
	e := &Entry{
		ID: id, At: time.UnixMicro(l.base).UTC(), Actor: systemActor, Action: ActionCreate, Model: l.x.model.Version,
		Patients: refs(p.Members), After: []Membership{{Person: keyOf(p.ID).String(), Members: refs(p.Members)}},
	}
	if len(p.Members) > 1 {
		e.Action = ActionLink
	}
	for i, a := range p.Members {
		for _, b := range p.Members[i+1:] {
			if d := certain[a][b]; d != nil {
				e.Score = max(e.Score, d.Probability)
				for _, r := range d.Reasons {
					if !slices.Contains(e.Reasons, r) {
						e.Reasons = append(e.Reasons, r)
					}
				}
			}
		}
	}
	slices.Sort(e.Reasons)
	set(w, journalPrefix, e.ID, e)
	set(w, journalOfPrefix, pair("", p.ID, e.ID), true)
	set(w, outboxPrefix, e.ID, e.Action)
}

// offset reads a person's id that counts from base.
func (l *loader) offset(id string) uint32 {
	n, _ := strconv.ParseInt(id[len(personIDPrefix):len(personIDPrefix)+16], 16, 64) // as idOf wrote it
	return uint32(n-l.base) + 1
}

// person is the id at an offset; "" for none.
func (l *loader) person(offset uint32) string {
	if offset == 0 {
		return ""
	}
	return personIDPrefix + l.x.idOf(l.base+int64(offset)-1)
}

// CanUndo reports whether Undo has something to do.
func (e *Entry) CanUndo() bool {
	return e.UndoneBy == "" && e.Action != ActionCreate && e.Action != ActionRetire
}
