package subscription

import (
	"context"

	"hutong/fhir"
	"hutong/fhir/search"
)

// Permits reports whether an address is called when only these are listed.
func Permits(listed []string, address string) bool {
	h, err := newHosts(listed)
	return err == nil && h.control("tcp", address, nil) == nil
}

// Meets holds a version against criteria as the follower does.
func (s *Service) Meets(ctx context.Context, text string, v *fhir.Version, entries []search.Entry) (bool, error) {
	c, err := s.readCriteria(text)
	if err != nil {
		return false, err
	}
	return s.matches(ctx, c, v, entries)
}

// Waiting counts the notifications of a Subscription that wait.
func (s *Service) Waiting(ctx context.Context, id string) (int, error) {
	list, err := s.dues(ctx, id, 0)
	return len(list), err
}
