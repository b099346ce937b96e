// Package merge is Patient/$merge (FHIR R5, here on R4): two records are told to
// be one person, with a preview before and an undo after. A hospital that owns
// both merges its records: the source is retired with link.replaced-by, the
// target gets link.replaces and the source's numbers, in one transaction on the
// hospital's behalf, and the index follows as it follows ITI-104. A data steward
// owns no records: they join the persons in the index, under the policy's rule
// of two people, and no resource changes.
package merge

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/store"
	"hutong/mpi"
)

// Records runs a transaction for a caller; *interact.Service does.
type Records interface {
	Transaction(ctx context.Context, c interact.Caller, body []byte, o interact.BundleOptions) (*interact.Bundle, error)
}

// Config is what a Service works with. All is required but Now.
type Config struct {
	Index   *mpi.Index
	Space   store.Space // of its own
	Records Records
	// Read gives the current version of a Patient, whoever may see it.
	Read func(ctx context.Context, k fhir.Key) (fhir.Resource, error)
	Now  func() time.Time // nil is time.Now
}

// Service merges. Safe for concurrent use.
type Service struct{ cfg Config }

// New checks the configuration.
func New(cfg Config) (*Service, error) {
	if cfg.Index == nil || cfg.Space == nil || cfg.Records == nil || cfg.Read == nil {
		return nil, fhir.Errorf(fhir.Internal, "merge: Index, Space, Records and Read are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg}, nil
}

// By is who merges.
type By struct {
	Actor        string
	Organization string // of a hospital's system: what it owns it may merge
	Steward      bool   // joins persons instead
	Caller       interact.Caller
}

// Request asks for a merge. The source is what goes into the target.
type Request struct {
	Source, Target fhir.Key
	Result         []byte // the target as it should be; nil: made from both. Only of a hospital
	Reason         string
	Preview        bool // change nothing, tell what would be
}

// Outcome is what a merge did, or would do.
type Outcome struct {
	Result   []byte        // the Patient: the target, or the person's golden record
	Issues   []fhir.Issue  // what the caller should know; none is an error
	Merge    *Merge        // nil of a preview or while it waits
	Proposal *mpi.Proposal // it waits for a second steward
	Patients []fhir.Key    // whom the answer is about
}

// Merge is one merge on record.
type Merge struct {
	ID           string            `json:"id"`
	Kind         Kind              `json:"kind"`
	State        State             `json:"state"`
	Source       string            `json:"source"` // Patient ids
	Target       string            `json:"target"`
	Organization string            `json:"organization,omitempty"`
	By           string            `json:"by"`
	Reason       string            `json:"reason"`
	At           time.Time         `json:"at"`
	WasActive    *bool             `json:"wasActive,omitempty"` // Patient.active of the source before; nil: not said
	Added        []json.RawMessage `json:"-"`                   // numbers that the target got; not for lists
	Numbers      []string          `json:"numbers,omitempty"`   // Added as stored
	Journal      string            `json:"journal,omitempty"`   // of a steward's: what undoes it
	UndoneBy     string            `json:"undoneBy,omitempty"`
	UndoneAt     time.Time         `json:"undoneAt,omitzero"`
	UndoReason   string            `json:"undoReason,omitempty"`
	raw          []byte
}

// Kind tells a hospital's merge of records from a steward's of persons.
type Kind string

// The kinds.
const (
	OfRecords Kind = "records"
	OfPersons Kind = "persons"
)

// State is how far a merge is. An intended one was cut off by a crash before or
// after its transaction; its undo takes back whatever is there.
type State string

// The states.
const (
	Intended State = "intended"
	Done     State = "done"
	Undone   State = "undone"
)

// maxReason bounds a reason, in bytes of UTF-8.
const maxReason = 2000

// Merge merges, or tells what merging would do. NotFound and Gone of records
// that are not there; Forbidden if a hospital does not own both; Unprocessable
// if they are one, or one of them was merged away; what mpi.Index.Ask says of a
// steward's.
func (s *Service) Merge(ctx context.Context, r Request, by By) (*Outcome, error) {
	if r.Source == r.Target {
		return nil, fhir.Errorf(fhir.Unprocessable, "source and target are the same record")
	}
	if by.Steward {
		return s.persons(ctx, r, by)
	}
	p, err := s.plan(ctx, r, by)
	if err != nil {
		return nil, err
	}
	out := &Outcome{Result: p.result, Patients: []fhir.Key{r.Source, r.Target}}
	if out.Issues, err = s.foresee(ctx, r); err != nil || r.Preview {
		return out, err
	}
	m, err := s.commit(ctx, p, r, by)
	if err != nil {
		return nil, err
	}
	out.Merge = m
	res, err := s.cfg.Read(ctx, r.Target)
	if err != nil {
		return nil, err
	}
	out.Result = res.JSON()
	return out, nil
}

// commit puts the merge on record before it is done: a crash in between leaves
// something that can be undone, never a merge that nobody can find.
func (s *Service) commit(ctx context.Context, p *plan, r Request, by By) (*Merge, error) {
	reason := cmp.Or(r.Reason, "$merge")
	if len(reason) > maxReason {
		return nil, fhir.Errorf(fhir.Unprocessable, "a reason has at most 500 characters").At("reason")
	}
	m := &Merge{
		ID: s.id(r.Source.ID), Kind: OfRecords, State: Intended, Source: r.Source.ID, Target: r.Target.ID, Organization: by.Organization,
		By: by.Actor, Reason: reason, At: s.cfg.Now().UTC(), WasActive: p.wasActive, Added: p.added,
	}
	if err := s.save(ctx, m); err != nil {
		return nil, err
	}
	if _, err := s.cfg.Records.Transaction(ctx, by.Caller, p.bundle(), interact.BundleOptions{}); err != nil {
		return nil, cmp.Or(s.drop(ctx, m), err)
	}
	m.State = Done
	return m, s.save(ctx, m)
}

// foresee tells what stands in the way of the index following a hospital.
func (s *Service) foresee(ctx context.Context, r Request) (out []fhir.Issue, err error) {
	e, err := s.cfg.Index.Explain(ctx, r.Source, r.Target)
	if fhir.KindOf(err) == fhir.NotFound {
		return nil, nil // the index has not heard of one of them yet
	}
	if err != nil {
		return nil, err
	}
	if e.Verdict == "never" {
		for _, rule := range e.Rules {
			out = append(out, fhir.Issue{Severity: fhir.Warning, Code: "business-rule", Text: rule.Text.EN + ": the index will ask a data steward before it joins the persons"})
		}
	}
	return out, nil
}

// persons is the merge of a steward.
func (s *Service) persons(ctx context.Context, r Request, by By) (*Outcome, error) {
	if r.Result != nil {
		return nil, fhir.Errorf(fhir.Unprocessable, "a data steward changes no records: result-patient is for the hospital that owns them").At("Parameters.parameter.where(name='result-patient')")
	}
	p, err := s.cfg.Index.Preview(ctx, r.Source, r.Target)
	if err != nil {
		return nil, err
	}
	out := &Outcome{Result: p.Golden.JSON, Patients: p.Members}
	for _, rule := range mpi.Phrases(p.Rules) {
		out.Issues = append(out.Issues, fhir.Issue{Severity: fhir.Information, Code: "informational", Text: rule.Text.EN})
	}
	if p.TwoPeople {
		out.Issues = append(out.Issues, fhir.Issue{Severity: fhir.Warning, Code: "business-rule", Text: "a second data steward must confirm this merge"})
	}
	if r.Preview {
		return out, nil
	}
	e, waits, err := s.cfg.Index.Ask(ctx, mpi.Request{A: r.Source.ID, B: r.Target.ID}, by.Actor, r.Reason)
	if err != nil || waits != nil {
		out.Proposal = waits
		return out, err
	}
	out.Merge = &Merge{
		ID: s.id(r.Source.ID), Kind: OfPersons, State: Done, Source: r.Source.ID, Target: r.Target.ID,
		By: by.Actor, Reason: r.Reason, At: e.At, Journal: e.ID,
	}
	return out, s.save(ctx, out.Merge)
}

// id sorts the newest first.
func (s *Service) id(source string) string {
	return fmt.Sprintf("%016x-%s", uint64(1<<63-1-s.cfg.Now().UnixNano()), source)
}
