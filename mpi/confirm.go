package mpi

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/mpi/link"
)

// Request is what a steward asks the index to do.
type Request struct {
	Task    string `json:"task,omitempty"`    // answer this task ...
	Answer  Answer `json:"answer,omitempty"`  // ... so
	A       string `json:"a,omitempty"`       // or link these two records (Patient ids)
	B       string `json:"b,omitempty"`       //
	Journal string `json:"journal,omitempty"` // or undo this entry
}

// Proposal is a request that waits for a second person (四眼), or has waited.
type Proposal struct {
	ID      string         `json:"id"`
	Status  ProposalStatus `json:"status"`
	Request Request        `json:"request"`
	Risk    Risk           `json:"risk"`
	Rules   []link.Reason  `json:"rules"` // what speaks for and against
	By      string         `json:"by"`
	Reason  string         `json:"reason"`
	At      time.Time      `json:"at"`
	Second  string         `json:"second,omitempty"` // who confirmed or declined it
	Because string         `json:"because,omitempty"`
	Ended   time.Time      `json:"ended,omitzero"`
	Entry   string         `json:"journal,omitempty"` // what came of it
	raw     []byte
}

// ProposalStatus is where a proposal stands.
type ProposalStatus string

// The states of a proposal. Only a pending one changes.
const (
	Pending   ProposalStatus = "pending"
	Confirmed ProposalStatus = "confirmed"
	Declined  ProposalStatus = "declined"
	Moot      ProposalStatus = "moot" // the records settled it meanwhile
)

// signature is who answers for a decision.
type signature struct {
	actor, reason   string
	second, because string
	proposal        *Proposal // that it carries out; nil if one person was enough
}

// Ask does what a steward asks for, or, where the policy wants two people for
// it, records the proposal: exactly one of entry and proposal is given. Conflict
// if the same is proposed already.
func (x *Index) Ask(ctx context.Context, r Request, actor, reason string) (*Entry, *Proposal, error) {
	if err := accountable(actor, reason); err != nil {
		return nil, nil, err
	}
	p := &Proposal{Status: Pending, Request: r, By: actor, Reason: reason}
	two, err := x.assess(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if !two {
		e, err := x.carryOut(ctx, r, signature{actor: actor, reason: reason})
		return e, nil, err
	}
	return nil, p, x.propose(ctx, p)
}

// carryOut runs a request.
func (x *Index) carryOut(ctx context.Context, r Request, s signature) (*Entry, error) {
	switch {
	case r.Journal != "":
		return x.undo(ctx, r.Journal, s)
	case r.Task != "":
		return x.decide(ctx, r.Task, r.Answer, s)
	}
	return x.join(ctx, keyOf(r.A), keyOf(r.B), s)
}

// assess fills in the risk of a request and tells whether the policy wants two
// people for it. Only what joins can: parting people hides nothing for good.
func (x *Index) assess(ctx context.Context, p *Proposal) (two bool, err error) {
	switch r := &p.Request; {
	case r.Journal != "":
		e, err := x.entry(ctx, r.Journal)
		if err != nil {
			return false, err
		}
		p.Risk = Low
		if e.Second != "" { // what two people decided, one does not take back
			p.Risk, two = High, true
		}
		for _, d := range e.Decided {
			if d.After == nil || d.After.Same || two {
				continue
			}
			if two, err = x.assessPair(ctx, p, d.A, d.B); err != nil {
				return false, err
			}
		}
		return two, nil
	case r.Task != "":
		t, err := x.Task(ctx, r.Task)
		if err != nil || r.Answer != AnswerLink {
			return false, err
		}
		p.Risk, p.Rules = t.Risk, slices.Clone(t.Reasons)
		return x.assessPair(ctx, p, t.A, t.B)
	}
	return x.assessPair(ctx, p, p.Request.A, p.Request.B)
}

// assessPair weighs joining the persons of two records: the pair itself, and
// every pair across the two persons.
func (x *Index) assessPair(ctx context.Context, p *Proposal, a, b string) (bool, error) {
	ra, err := x.known(ctx, keyOf(a))
	if err != nil {
		return false, err
	}
	rb, err := x.known(ctx, keyOf(b))
	if err != nil {
		return false, err
	}
	v := x.judge(x.rules, ra, rb)
	p.add(v.Reasons...)
	risk := High // nothing suggests it
	if v.Kind == link.Link || v.Kind == link.Review {
		_, risk = classify(v.Reasons, v.Score.Probability)
	}
	as, err := x.Members(ctx, keyOf(a))
	if err != nil {
		return false, err
	}
	bs, err := x.Members(ctx, keyOf(b))
	if err != nil {
		return false, err
	}
	apart, err := x.across(ctx, as, bs)
	if err != nil {
		return false, err
	}
	if p.add(apart...); len(apart) > 0 {
		risk = High
	}
	if p.Risk == "" || risk.rank() < p.Risk.rank() {
		p.Risk = risk
	}
	return x.policy.SecondPerson.Needed(string(p.Risk), p.Rules, len(as)+len(bs)), nil
}

func (p *Proposal) add(reasons ...link.Reason) {
	for _, r := range reasons {
		if !slices.Contains(p.Rules, r) {
			p.Rules = append(p.Rules, r)
		}
	}
}

// across lists why members of two persons must stay apart.
func (x *Index) across(ctx context.Context, as, bs []fhir.Key) (out []link.Reason, err error) {
	for _, a := range as {
		for _, b := range bs {
			ra, err := x.row(ctx, a.ID)
			if err != nil {
				return nil, err
			}
			rb, err := x.row(ctx, b.ID)
			if err != nil {
				return nil, err
			}
			if ra == nil || rb == nil {
				continue
			}
			if r := x.rules.Relate(ra.rec, rb.rec, ra.head.Life, rb.head.Life); r.Apart != "" && !slices.Contains(out, r.Apart) {
				out = append(out, r.Apart)
			}
		}
	}
	return out, nil
}

// propose stores a proposal; its id follows from what is asked for, so that the
// same is never pending twice.
func (x *Index) propose(ctx context.Context, p *Proposal) error {
	if err := x.decisive(); err != nil {
		return err
	}
	defer x.gate.Unlock()
	p.At = x.now().UTC()
	h := fnv.New64a()
	_ = json.NewEncoder(h).Encode(p.Request) // a hash never fails
	p.ID = fmt.Sprintf("w-%016x", h.Sum64())
	c := newChange(x, nil)
	old, err := x.proposal(ctx, p.ID)
	if err != nil {
		return err
	}
	if old != nil && old.Status == Pending {
		return fhir.Errorf(fhir.Conflict, "this is proposed already and waits for a second person")
	}
	if old != nil { // the same was proposed before: that stays in the list of what ended
		kept := *old
		kept.ID += fmt.Sprintf("-%x", old.Ended.UnixMicro())
		c.setProposal(nil, &kept)
	}
	if p.Request.Task != "" {
		t, err := x.Task(ctx, p.Request.Task)
		if err != nil {
			return err
		}
		if t.Status == StatusDone || t.Proposal != "" {
			return fhir.Errorf(fhir.Conflict, "the task is decided, or a proposal for it waits")
		}
		waiting := *t
		waiting.Proposal = p.ID
		c.setTask(t, &waiting)
	}
	c.setProposal(old, p)
	return c.commit(ctx)
}

// Confirm carries out a proposal as its second person. Forbidden for who
// proposed it; Conflict if it is not pending, or cannot be carried out any more.
func (x *Index) Confirm(ctx context.Context, id, actor, reason string) (*Entry, error) {
	p, err := x.pending(ctx, id, actor, reason)
	if err != nil {
		return nil, err
	}
	if p.By == actor {
		return nil, fhir.Errorf(fhir.Forbidden, "another steward than who proposed it must confirm it")
	}
	return x.carryOut(ctx, p.Request, signature{actor: p.By, reason: p.Reason, second: actor, because: reason, proposal: p})
}

// Decline ends a proposal without carrying it out: its task, if it has one, is
// open again. Who proposed it may take it back so.
func (x *Index) Decline(ctx context.Context, id, actor, reason string) (*Proposal, error) {
	if err := x.decisive(); err != nil {
		return nil, err
	}
	defer x.gate.Unlock()
	p, err := x.pending(ctx, id, actor, reason)
	if err != nil {
		return nil, err
	}
	c := newChange(x, nil)
	done := *p
	done.Status, done.Second, done.Because, done.Ended = Declined, actor, reason, c.at.UTC()
	c.setProposal(p, &done)
	if p.Request.Task != "" {
		t, err := x.Task(ctx, p.Request.Task)
		if err != nil {
			return nil, err
		}
		if t.Proposal == p.ID {
			open := *t
			open.Proposal = ""
			c.setTask(t, &open)
		}
	}
	return &done, c.commit(ctx)
}

func (x *Index) pending(ctx context.Context, id, actor, reason string) (*Proposal, error) {
	if err := accountable(actor, reason); err != nil {
		return nil, err
	}
	p, err := x.Proposal(ctx, id)
	if err == nil && p.Status != Pending {
		err = fhir.Errorf(fhir.Conflict, "the proposal is not pending any more")
	}
	return p, err
}

// finish stages the end of the proposal that a decision carries out.
func (c *change) finish(s signature) {
	c.actor, c.why, c.second, c.because = s.actor, s.reason, s.second, s.because
	if s.proposal == nil {
		return
	}
	done := *s.proposal
	done.Status, done.Second, done.Because, done.Ended, done.Entry = Confirmed, s.second, s.because, c.at.UTC(), c.id
	c.setProposal(s.proposal, &done)
}

// moot ends a pending proposal that the records settled.
func (c *change) moot(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	p, err := c.proposalRow(ctx, id)
	if err != nil || p == nil || p.Status != Pending {
		return err
	}
	done := *p
	done.Status, done.Ended = Moot, c.at.UTC()
	c.setProposal(p, &done)
	return nil
}

func (p *Proposal) order() string {
	if p.Status != Pending {
		return proposalStatusPrefix + fmt.Sprintf("done/%016x/%s", uint64(1<<62-p.Ended.UnixMicro()), p.ID)
	}
	return proposalStatusPrefix + fmt.Sprintf("pending/%d%016x/%s", p.Risk.rank(), uint64(p.At.UnixMicro()), p.ID)
}

// setProposal stages a proposal and its place in the lists.
func (c *change) setProposal(old, p *Proposal) {
	w := put(proposalPrefix+p.ID, p)
	if old != nil {
		c.remove(old.order())
		w = expect(w, old.raw)
	}
	c.write(w)
	c.set(p.order(), p.ID)
}

func (x *Index) proposal(ctx context.Context, id string) (*Proposal, error) {
	p := &Proposal{}
	raw, err := x.load(ctx, proposalPrefix+id, p)
	if err != nil || raw == nil {
		return nil, err
	}
	p.raw = raw
	return p, nil
}

// Proposal reads one proposal.
func (x *Index) Proposal(ctx context.Context, id string) (*Proposal, error) {
	p, err := x.proposal(ctx, id)
	if err == nil && p == nil {
		return nil, fhir.Errorf(fhir.NotFound, "no such proposal")
	}
	return p, err
}

// Proposals lists those that wait, by risk and then the oldest first, or those
// that ended, the newest first. after is next of the page before.
func (x *Index) Proposals(ctx context.Context, done bool, after string, limit int) (out []*Proposal, next string, err error) {
	prefix := proposalStatusPrefix + "pending/"
	if done {
		prefix = proposalStatusPrefix + "done/"
	}
	from := []byte(prefix)
	if after != "" {
		k, err := base64.RawURLEncoding.DecodeString(after)
		if err != nil || !strings.HasPrefix(string(k), prefix) {
			return nil, "", fhir.Errorf(fhir.Invalid, "not a page of this list").At("after")
		}
		from = append(k, 0)
	}
	kvs, err := x.space.Scan(ctx, from, behind([]byte(prefix)), limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(kvs) > limit {
		kvs = kvs[:limit]
		next = base64.RawURLEncoding.EncodeToString(kvs[limit-1].Key)
	}
	for _, kv := range kvs {
		var id string
		if json.Unmarshal(kv.Value, &id) != nil {
			return nil, "", corrupt("value", "ws")
		}
		p, err := x.proposal(ctx, id)
		if err != nil || p == nil {
			return nil, "", cmp.Or(err, corrupt("proposal", id))
		}
		out = append(out, p)
	}
	return out, next, nil
}
