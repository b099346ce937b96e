package merge

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/store"
	"hutong/mpi"
)

// The Space holds a Merge under m/<id>; ids sort the newest first.
const prefix = "m/"

func (s *Service) save(ctx context.Context, m *Merge) error {
	m.Numbers = nil
	for _, raw := range m.Added {
		m.Numbers = append(m.Numbers, string(raw))
	}
	value, err := json.Marshal(m)
	if err != nil {
		return err
	}
	w := store.Write{Key: []byte(prefix + m.ID), Value: value, If: store.IfAbsent}
	if m.raw != nil {
		w.If, w.Old = store.IfEquals, m.raw
	}
	if err := s.cfg.Space.Apply(ctx, []store.Write{w}); err != nil {
		return err
	}
	m.raw = value
	return nil
}

func (s *Service) drop(ctx context.Context, m *Merge) error {
	return s.cfg.Space.Apply(ctx, []store.Write{{Key: []byte(prefix + m.ID)}})
}

func decode(raw []byte) (*Merge, error) {
	m := &Merge{raw: raw}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "merge: a stored merge cannot be read: %w", err)
	}
	for _, n := range m.Numbers {
		m.Added = append(m.Added, json.RawMessage(n))
	}
	m.Numbers = nil
	return m, nil
}

// Get reads one merge. A hospital finds its own only.
func (s *Service) Get(ctx context.Context, id string, by By) (*Merge, error) {
	raw, err := s.cfg.Space.Get(ctx, []byte(prefix+id))
	if err != nil {
		return nil, err
	}
	none := fhir.Errorf(fhir.NotFound, "no such merge")
	if raw == nil {
		return nil, none
	}
	m, err := decode(raw)
	if err == nil && !by.Steward && m.Organization != by.Organization {
		return nil, none
	}
	return m, err
}

// List gives merges, the newest first: a hospital's own, or all to a steward.
func (s *Service) List(ctx context.Context, by By, limit int) ([]*Merge, error) {
	out := []*Merge{}
	for from := []byte(prefix); len(out) < limit; {
		kvs, err := s.cfg.Space.Scan(ctx, from, []byte("m0"), limit)
		if err != nil {
			return nil, err
		}
		for _, kv := range kvs {
			m, err := decode(kv.Value)
			if err != nil {
				return nil, err
			}
			if len(out) < limit && (by.Steward || m.Organization == by.Organization) {
				out = append(out, m)
			}
		}
		if len(kvs) < limit {
			break
		}
		from = append(kvs[len(kvs)-1].Key, 0)
	}
	return out, nil
}

// Undo takes a merge back: what it added is removed from the records as they
// are now, so that later edits stay. A steward's goes through the index's
// journal and may wait for a second person: then the proposal is given.
func (s *Service) Undo(ctx context.Context, id string, by By, reason string) (*Merge, *mpi.Proposal, error) {
	if strings.TrimSpace(reason) == "" || len(reason) > maxReason {
		return nil, nil, fhir.Errorf(fhir.Unprocessable, "a reason of 1 to 500 characters is required").At("reason")
	}
	m, err := s.Get(ctx, id, by)
	if err != nil {
		return nil, nil, err
	}
	if m.State == Undone {
		return nil, nil, fhir.Errorf(fhir.Conflict, "the merge was undone before")
	}
	switch {
	case m.Kind == OfPersons:
		_, waits, err := s.cfg.Index.Ask(ctx, mpi.Request{Journal: m.Journal}, by.Actor, reason)
		if err != nil || waits != nil {
			return m, waits, err
		}
	case by.Steward:
		return nil, nil, fhir.Errorf(fhir.Forbidden, "the hospital that owns the records takes its merge back")
	default:
		p, err := s.reverse(ctx, m, by)
		if err != nil {
			return nil, nil, err
		}
		if len(p.ofSource)+len(p.onward) > 0 {
			if _, err := s.cfg.Records.Transaction(ctx, by.Caller, p.bundle(), interact.BundleOptions{}); err != nil {
				return nil, nil, err
			}
		}
	}
	m.State, m.UndoneBy, m.UndoneAt, m.UndoReason = Undone, by.Actor, s.cfg.Now().UTC(), reason
	return m, nil, s.save(ctx, m)
}

// reverse works out what takes a merge back from the records as they are.
func (s *Service) reverse(ctx context.Context, m *Merge, by By) (*plan, error) {
	p := &plan{}
	var source, target *record
	var err error
	from, to := fhir.Key{Type: "Patient", ID: m.Source}, fhir.Key{Type: "Patient", ID: m.Target}
	if p.source, source, err = s.load(ctx, from, by); err != nil {
		return nil, err
	}
	if p.target, target, err = s.load(ctx, to, by); err != nil {
		return nil, err
	}
	if p.ofSource = source.unlink(to, "replaced-by"); len(p.ofSource) > 0 {
		switch {
		case m.WasActive != nil:
			p.ofSource = append(p.ofSource, op{"add", "/active", *m.WasActive})
		case source.Active != nil:
			p.ofSource = append(p.ofSource, op{Op: "remove", Path: "/active"})
		}
	}
	p.onward = append(target.unlink(from, "replaces"), target.without(m.Added)...)
	return p, nil
}

// unlink removes the links of a type to a record, the last first, since a
// removal moves those behind it; an emptied list goes altogether.
func (r *record) unlink(other fhir.Key, kind string) []op {
	var at []int
	for i, l := range r.Link {
		if l.Type == kind && l.Other.Reference == other.String() {
			at = append(at, i)
		}
	}
	return removals("link", at, len(r.Link))
}

// without removes the identifiers that the merge added, if they still are as
// it added them.
func (r *record) without(added []json.RawMessage) []op {
	var at []int
	for i, raw := range r.Identifier {
		if slices.ContainsFunc(added, func(a json.RawMessage) bool { return token(a) == token(raw) && isOld(raw) }) {
			at = append(at, i)
		}
	}
	return removals("identifier", at, len(r.Identifier))
}

func isOld(raw json.RawMessage) bool {
	var id struct{ Use string }
	return json.Unmarshal(raw, &id) == nil && id.Use == "old"
}

func removals(member string, at []int, of int) (out []op) {
	if len(at) == of && of > 0 {
		return []op{{Op: "remove", Path: "/" + member}}
	}
	for _, i := range slices.Backward(at) {
		out = append(out, op{Op: "remove", Path: "/" + member + "/" + strconv.Itoa(i)})
	}
	return out
}
