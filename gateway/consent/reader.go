package consent

import (
	"context"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// Reader reads the repository for decisions: as of now, and unaudited, for
// nothing of it leaves the exchange.
type Reader interface {
	// Find gives at most limit matches of a search, under a restriction.
	Find(ctx context.Context, t fhir.Type, query string, r search.Restriction, limit int) ([]fhir.Resource, error)
	// Get reads one resource: NotFound, Gone.
	Get(ctx context.Context, k fhir.Key) (fhir.Resource, error)
}

// StoreReader reads straight from a store.
type StoreReader struct {
	Store  store.Store
	Parser *search.Parser
}

// Find implements Reader.
func (s StoreReader) Find(ctx context.Context, t fhir.Type, query string, r search.Restriction, limit int) ([]fhir.Resource, error) {
	req, err := s.Parser.Parse(t, query)
	if err != nil {
		return nil, err
	}
	snap, err := s.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	q := req.Query
	q.Restriction, q.Total, q.Count = r, false, min(limit, 1000)
	var found []fhir.Resource
	for {
		page, err := snap.Search(ctx, &q)
		if err != nil {
			return nil, err
		}
		found = append(found, page.Matches...)
		if page.Next == nil || len(found) >= limit {
			return found[:min(len(found), limit)], nil
		}
		q.After = page.Next
	}
}

// Get implements Reader.
func (s StoreReader) Get(ctx context.Context, k fhir.Key) (fhir.Resource, error) {
	snap, err := s.Store.Snapshot(ctx, 0)
	if err != nil {
		return fhir.Resource{}, err
	}
	defer snap.Close()
	return snap.Get(ctx, k)
}
