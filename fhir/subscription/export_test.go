package subscription

import (
	"context"

	"hutong/fhir"
	"hutong/fhir/store"
)

// Permits reports whether an address is called when only these are listed.
func Permits(listed []string, address string) bool {
	h, err := newHosts(listed)
	return err == nil && h.control("tcp", address, nil) == nil
}

// Waiting counts the notifications of a Subscription that wait.
func (s *Service) Waiting(ctx context.Context, id string) (int, error) {
	list, err := s.dues(ctx, id, 0)
	return len(list), err
}

// Examine matches a change against many Subscriptions, as a follower does:
// each is given by its criteria. It gives the number of those concerned.
func (s *Service) Examine(ctx context.Context, texts []string) (func(*store.Change) (int, error), error) {
	f := &follower{s: s, subs: map[string]*sub{}, hearers: map[fhir.Type]*hearers{}}
	for _, text := range texts {
		c, err := s.readCriteria(text)
		if err != nil {
			return nil, err
		}
		f.listen(&sub{criteria: c, kick: make(chan struct{}, 1), full: make(chan struct{})})
	}
	return func(c *store.Change) (int, error) {
		snap, err := s.cfg.Store.Snapshot(ctx, 0)
		if err != nil {
			return 0, err
		}
		defer snap.Close()
		dues, err := f.take(ctx, snap, c)
		return len(dues), err
	}, nil
}
