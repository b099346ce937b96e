package interact

import (
	"context"

	"hutong/fhir"
)

// Operator is a Caller who may be one of those that run the exchange.
type Operator interface {
	// Operator reports whether the caller may see how searches run. A plan names
	// parameters and counts rows that the caller need not be permitted to see.
	Operator() bool
}

// Explain tells how a search would run and what it costs, a line a step. It
// runs the search under the caller's restriction and is audited like one.
// Errors: those of Search, and Forbidden for whoever is no operator.
func (s *Service) Explain(ctx context.Context, c Caller, r SearchRequest) (string, error) {
	note := &Disclosure{Op: r.op(), Caller: c, Query: r.Query, Total: -1}
	return audited(ctx, s, note, func(ctx context.Context) (string, error) {
		if o, ok := c.(Operator); !ok || !o.Operator() {
			return "", fhir.Errorf(fhir.Forbidden, "_explain is for operators")
		}
		req, err := s.parse(&r)
		if err != nil {
			return "", err
		}
		q := &req.Query
		snap, _, err := s.resume(ctx, scopeOf(c, r.path(), req.Self), req.Page, &q.After)
		if err != nil {
			return "", err
		}
		defer snap.Close()
		if _, err := s.plan(ctx, snap, c, r.op(), q, planOptions{compartment: r.Compartment, widen: c.ExpandPersons()}); err != nil {
			return "", err
		}
		return snap.Explain(ctx, q)
	})
}
