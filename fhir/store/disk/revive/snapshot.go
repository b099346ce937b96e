package revive

import (
	"context"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// snapshot reads at t by whichever engine lives: all have the same commits up
// to t, since t was durable when it was opened.
type snapshot struct {
	s     *Store
	t     fhir.T
	life  *life
	first store.Snapshot // of life
}

// Snapshot implements store.Store.
func (s *Store) Snapshot(ctx context.Context, t fhir.T) (store.Snapshot, error) {
	p := &snapshot{s: s}
	err := s.read(func(l *life) (err error) {
		p.first, err = l.Snapshot(ctx, t)
		p.life = l
		return err
	})
	if err != nil {
		return nil, err
	}
	p.t = p.first.T()
	return p, nil
}

func (p *snapshot) T() fhir.T { return p.t }

func (p *snapshot) Close() { p.first.Close() }

// ask reads at t by the engine that lives.
func (p *snapshot) ask(ctx context.Context, read func(store.Snapshot) error) error {
	return p.s.read(func(l *life) error {
		at := p.first
		if l != p.life {
			var err error
			if at, err = l.Snapshot(ctx, p.t); err != nil {
				return err
			}
			defer at.Close()
		}
		err := read(at)
		if p.t < l.Horizon() {
			// What was read may lack what retention dropped meanwhile.
			return fhir.Errorf(fhir.Gone, "that moment is older than the history that is kept")
		}
		return err
	})
}

func (p *snapshot) Get(ctx context.Context, k fhir.Key) (r fhir.Resource, err error) {
	err = p.ask(ctx, func(at store.Snapshot) error { r, err = at.Get(ctx, k); return err })
	return r, err
}

func (p *snapshot) GetMany(ctx context.Context, keys []fhir.Key) (rs []fhir.Resource, err error) {
	err = p.ask(ctx, func(at store.Snapshot) error { rs, err = at.GetMany(ctx, keys); return err })
	return rs, err
}

func (p *snapshot) GetVersion(ctx context.Context, k fhir.Key, versionID uint64) (r fhir.Resource, err error) {
	err = p.ask(ctx, func(at store.Snapshot) error { r, err = at.GetVersion(ctx, k, versionID); return err })
	return r, err
}

func (p *snapshot) History(ctx context.Context, h store.History) (page store.HistoryPage, err error) {
	err = p.ask(ctx, func(at store.Snapshot) error { page, err = at.History(ctx, h); return err })
	return page, err
}

func (p *snapshot) Search(ctx context.Context, q *search.Query) (page store.Page, err error) {
	err = p.ask(ctx, func(at store.Snapshot) error { page, err = at.Search(ctx, q); return err })
	return page, err
}

func (p *snapshot) Explain(ctx context.Context, q *search.Query) (plan string, err error) {
	err = p.ask(ctx, func(at store.Snapshot) error { plan, err = at.Explain(ctx, q); return err })
	return plan, err
}
