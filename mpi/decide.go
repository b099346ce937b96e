package mpi

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/mpi/link"
)

// Answer is what a steward says of a task.
type Answer string

// The answers.
const (
	AnswerLink   Answer = "link"
	AnswerReject Answer = "reject"
)

// maxReason bounds a reason, in bytes of UTF-8.
const maxReason = 2000

// human runs one human decision alone, starting over if a feed got in between.
func (x *Index) human(ctx context.Context, s signature, do func() (*change, error)) (*Entry, error) {
	if err := accountable(s.actor, s.reason); err != nil {
		return nil, err
	}
	if err := x.decisive(); err != nil {
		return nil, err
	}
	defer x.gate.Unlock()
	for range maxRetries {
		c, err := do()
		if err == nil {
			c.finish(s)
			err = c.commit(ctx)
		}
		if err == nil {
			return x.entry(ctx, c.id)
		}
		if !errors.Is(err, fhir.E(fhir.Conflict)) || isFinal(err) {
			return nil, err
		}
	}
	return nil, fhir.Errorf(fhir.Busy, "mpi: the persons of a record keep changing")
}

// accountable holds every decision to a name and a reason.
func accountable(actor, reason string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > maxReason {
		return fhir.Errorf(fhir.Unprocessable, "a reason of 1 to 500 characters is required").At("reason")
	}
	if actor == "" {
		return fhir.Errorf(fhir.Unauthorized, "who decides is not known")
	}
	return nil
}

// isFinal tells a conflict that the caller must hear of (it has words) from a
// lost race (it has none).
func isFinal(err error) bool {
	var e *fhir.Error
	return errors.As(err, &e) && len(e.Issues) > 0
}

// Decide answers a task. The answer holds for all present members of both
// persons and outlives every later edit of the records. Like Join and Undo it
// does what one person says; Ask holds it to the policy first.
func (x *Index) Decide(ctx context.Context, taskID string, answer Answer, actor, reason string) (*Entry, error) {
	return x.decide(ctx, taskID, answer, signature{actor: actor, reason: reason})
}

func (x *Index) decide(ctx context.Context, taskID string, answer Answer, s signature) (*Entry, error) {
	if answer != AnswerLink && answer != AnswerReject {
		return nil, fhir.Errorf(fhir.Invalid, "decision is link or reject").At("decision")
	}
	return x.human(ctx, s, func() (*change, error) {
		t, err := x.Task(ctx, taskID)
		if err != nil {
			return nil, err
		}
		if t.Status == StatusDone {
			return nil, fhir.Errorf(fhir.Conflict, "the task is decided already")
		}
		if t.Proposal != "" && (s.proposal == nil || s.proposal.ID != t.Proposal) {
			return nil, fhir.Errorf(fhir.Conflict, "a proposal for this task waits for a second person")
		}
		c := newChange(x, nil)
		if err := c.answer(ctx, t, answer); err != nil {
			return nil, err
		}
		done := *t
		done.Status, done.Proposal = StatusDone, ""
		done.Decision = &Decision{Decision: string(answer), By: s.actor, Reason: s.reason, At: c.at, Journal: c.id, Second: s.second}
		c.setTask(t, &done)
		c.task, c.score = t.ID, t.Probability
		if err := c.settle(ctx, []string{t.A, t.B}); err != nil {
			return nil, err
		}
		return c, c.closeSettled(ctx, map[string]*Task{t.ID: t})
	})
}

// answer stages the pairs of an answer: one link joins two persons; a rejection
// parts every member of one from every member of the other.
func (c *change) answer(ctx context.Context, t *Task, answer Answer) error {
	c.about = nil
	if answer == AnswerLink {
		c.action, c.reasons = ActionAccept, []link.Reason{link.HumanLink}
		return c.declare(ctx, t.A, t.B, true)
	}
	c.action, c.reasons = ActionReject, []link.Reason{link.HumanReject}
	as, err := c.x.Members(ctx, keyOf(t.A))
	if err != nil {
		return err
	}
	bs, err := c.x.Members(ctx, keyOf(t.B))
	if err != nil {
		return err
	}
	return c.part(ctx, ids(as), ids(bs))
}

func ids(keys []fhir.Key) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.ID
	}
	return out
}

// part rejects every pair across two groups.
func (c *change) part(ctx context.Context, as, bs []string) error {
	for _, a := range as {
		for _, b := range bs {
			if a == b {
				continue
			}
			if err := c.declare(ctx, a, b, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// declare stages a decision on a pair and remembers the one before it.
func (c *change) declare(ctx context.Context, a, b string, same bool) error {
	before, err := c.decisionsOf(ctx, a)
	if err != nil {
		return err
	}
	c.say(a, b, &decision{Same: same, Journal: c.id}, before[b])
	return c.mention(ctx, a, b)
}

// mention lets the journals of the records' persons show the entry.
func (c *change) mention(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		r, err := c.getRow(ctx, id)
		if err != nil {
			return err
		}
		if r != nil && r.head.Person != "" && !slices.Contains(c.about, r.head.Person) {
			c.about = append(c.about, r.head.Person)
		}
	}
	return nil
}

// Split parts members from the rest of their person for good.
func (x *Index) Split(ctx context.Context, k fhir.Key, members []fhir.Key, actor, reason string) (*Entry, error) {
	return x.human(ctx, signature{actor: actor, reason: reason}, func() (*change, error) {
		all, err := x.Members(ctx, k)
		if err != nil {
			return nil, err
		}
		var rest []string
		for _, m := range all {
			if !slices.Contains(members, m) {
				rest = append(rest, m.ID)
			}
		}
		if len(members) == 0 || len(rest) == 0 || len(rest)+len(members) != len(all) {
			return nil, fhir.Errorf(fhir.Unprocessable, "members must be a proper part of the person's members").At("members")
		}
		c := newChange(x, nil)
		c.action, c.reasons = ActionSplit, []link.Reason{link.HumanReject}
		parted := ids(members)
		if err := c.part(ctx, parted, rest); err != nil {
			return nil, err
		}
		// What was one person stays one on either side.
		for _, side := range [][]string{parted, rest} {
			for i := 1; i < len(side); i++ {
				if err := c.declare(ctx, side[0], side[i], true); err != nil {
					return nil, err
				}
			}
		}
		return c, c.settle(ctx, slices.Concat(parted, rest))
	})
}

// Join links two records, and with them their persons, on a human's word alone:
// the way for what no evidence suggests, such as an unknown emergency patient
// who was recognised. Conflict if a human has said that they are two people:
// that is to be undone first.
func (x *Index) Join(ctx context.Context, a, b fhir.Key, actor, reason string) (*Entry, error) {
	return x.join(ctx, a, b, signature{actor: actor, reason: reason})
}

func (x *Index) join(ctx context.Context, a, b fhir.Key, s signature) (*Entry, error) {
	return x.human(ctx, s, func() (*change, error) {
		for _, k := range []fhir.Key{a, b} {
			r, err := x.known(ctx, k)
			if err != nil {
				return nil, err
			}
			if r.head.Deleted {
				return nil, fhir.Errorf(fhir.Gone, "a deleted record cannot be linked")
			}
		}
		if same, err := x.Certain(ctx, a, b); err != nil || same {
			return nil, cmp.Or(err, error(fhir.Errorf(fhir.Conflict, "the records are one person already")))
		}
		c := newChange(x, nil)
		said, err := c.decisionsOf(ctx, a.ID)
		if err != nil {
			return nil, err
		}
		if d := said[b.ID]; d != nil && !d.Same {
			return nil, fhir.Errorf(fhir.Conflict, "the records were declared to be two people: undo that first")
		}
		c.action, c.reasons = ActionAccept, []link.Reason{link.HumanLink}
		if err := c.declare(ctx, a.ID, b.ID, true); err != nil {
			return nil, err
		}
		if err := c.settle(ctx, []string{a.ID, b.ID}); err != nil {
			return nil, err
		}
		if len(c.after) == 0 {
			return nil, fhir.Errorf(fhir.Conflict, "a rejection between other records of the two persons stands against it: undo that first")
		}
		return c, c.closeSettled(ctx, nil)
	})
}

// Undo takes an entry back. What humans decided in it is withdrawn; what the
// index did by itself is reversed by a standing decision, so that it is not done
// again. Later edits and later decisions on other records stay.
func (x *Index) Undo(ctx context.Context, journalID, actor, reason string) (*Entry, error) {
	return x.undo(ctx, journalID, signature{actor: actor, reason: reason})
}

func (x *Index) undo(ctx context.Context, journalID string, s signature) (*Entry, error) {
	return x.human(ctx, s, func() (*change, error) {
		e, err := x.entry(ctx, journalID)
		if err != nil {
			return nil, err
		}
		if !e.CanUndo() {
			return nil, fhir.Errorf(fhir.Conflict, "the entry was undone, or there is nothing in it to undo")
		}
		c := newChange(x, nil)
		c.action, c.undoOf, c.task = ActionUndo, e.ID, e.Task
		c.prefer = trimmed(homes(e.Before))
		seeds, err := c.reverse(ctx, e)
		if err != nil {
			return nil, err
		}
		undone := *e
		undone.UndoneBy = c.id
		c.write(expect(put(journalPrefix+e.ID, &undone), e.raw))
		if err := c.settle(ctx, seeds); err != nil {
			return nil, err
		}
		return c, c.reopen(ctx, e.Task)
	})
}

// reverse stages the decisions that take e back, and gives the records concerned.
func (c *change) reverse(ctx context.Context, e *Entry) (seeds []string, err error) {
	for _, d := range e.Decided {
		now, err := c.decisionsOf(ctx, d.A)
		if err != nil {
			return nil, err
		}
		c.say(d.A, d.B, d.Before, now[d.B])
		seeds = append(seeds, d.A, d.B)
		if err := c.mention(ctx, d.A, d.B); err != nil {
			return nil, err
		}
	}
	for _, m := range slices.Concat(e.Before, e.After) {
		for _, id := range m.Members {
			seeds = append(seeds, strings.TrimPrefix(id, "Patient/"))
		}
	}
	if len(e.Decided) > 0 {
		return seeds, nil
	}
	return seeds, c.restore(ctx, trimmed(homes(e.Before)), trimmed(homes(e.After)))
}

// restore parts what an automatic change joined and joins what it parted.
func (c *change) restore(ctx context.Context, before, after map[string]string) error {
	all := sortedKeys(after)
	for i, a := range all {
		for _, b := range all[i+1:] {
			// A record without a person before was alone.
			wasOne := before[a] != "" && before[a] == before[b]
			isOne := after[a] == after[b]
			if wasOne == isOne {
				continue
			}
			if err := c.declare(ctx, a, b, wasOne); err != nil {
				return err
			}
		}
	}
	return nil
}

func trimmed(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[strings.TrimPrefix(k, "Patient/")] = strings.TrimPrefix(v, "Patient/")
	}
	return out
}

// reopen puts the task of an undone decision back into the list.
func (c *change) reopen(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	t, err := c.taskRow(ctx, id)
	if err != nil || t == nil || t.Status == StatusOpen {
		return err
	}
	again := *t
	again.Status, again.Decision = StatusOpen, nil
	c.setTask(t, &again)
	return nil
}

// Restore states again, on this index, what humans decided on another: entries
// as Changes gave them, in their order. Those that decided nothing, or that are
// known here, are passed over. The records may arrive before or after: an index
// is a function of its records and of these decisions.
func (x *Index) Restore(ctx context.Context, entries []*Entry) error {
	if err := x.decisive(); err != nil {
		return err
	}
	defer x.gate.Unlock()
	for _, e := range entries {
		if len(e.Decided) == 0 {
			continue
		}
		if _, err := x.entry(ctx, e.ID); fhir.KindOf(err) != fhir.NotFound {
			if err != nil {
				return err
			}
			continue
		}
		if err := x.restate(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) restate(ctx context.Context, e *Entry) error {
	c := newChange(x, nil)
	c.id, c.at, c.actor, c.action, c.why, c.reasons, c.undoOf = e.ID, e.At, e.Actor, e.Action, e.Reason, e.Reasons, e.UndoOf
	var seeds []string
	for _, d := range e.Decided {
		now, err := c.decisionsOf(ctx, d.A)
		if err != nil {
			return err
		}
		c.say(d.A, d.B, d.After, now[d.B])
		if err := c.mention(ctx, d.A, d.B); err != nil {
			return err
		}
		seeds = append(seeds, d.A, d.B)
	}
	if err := c.settle(ctx, seeds); err != nil {
		return err
	}
	if err := c.closeSettled(ctx, nil); err != nil {
		return err
	}
	return c.commit(ctx)
}
