package consult

import (
	"context"
	"net/url"
	"time"

	"github.com/rs/zerolog"
)

// Run ends consultations that nobody answered or held, until ctx ends. Of
// several nodes that run it, the version check of save lets one win.
func (s *Service) Run(ctx context.Context, every time.Duration, log zerolog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if n, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				log.Error().Err(err).Msg("consultations: sweep")
			} else if n > 0 {
				log.Info().Int("expired", n).Msg("consultations: sweep")
			}
		}
	}
}

// Sweep expires what is due and tells how many.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	found, err := s.search(ctx, "Task", url.Values{
		"code": {inputSystem + "|" + taskCode}, "status": {"draft,requested,on-hold,accepted"}, "_sort": {"modified"}, "_count": {"500"},
	})
	if err != nil {
		return 0, err
	}
	n := 0
	for i := range found {
		c, ok, err := decode(&found[i])
		if err != nil {
			return n, err
		}
		if !ok || !s.due(c) {
			continue
		}
		row, err := plan(c.State, MoveExpire)
		if err != nil {
			return n, err
		}
		c.Modified = s.cfg.Now()
		if err := s.take(ctx, nil, c, row, Input{}); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// due: nothing happened for the time that Terms.Abandon gives, counted from
// the appointment's end where there is one.
func (s *Service) due(c *Consultation) bool {
	last := c.Modified
	if c.End.After(last) {
		last = c.End
	}
	return s.cfg.Now().After(last.Add(s.cfg.Terms.Abandon))
}
