package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"time"
)

// Raced is what the races of conditional creates have shown.
type Raced struct {
	Rounds    int      `json:"rounds"`
	Racers    int      `json:"racers"`
	Created   int      `json:"created"`
	Resources int      `json:"resources"` // that a search counts in the end
	Seconds   float64  `json:"seconds"`
	Faults    []string `json:"faults"`
}

// race sends the same conditional create many times at once, round after
// round: each round makes one resource, and all answers name it.
func (c *Cmd) race(ctx context.Context, progress io.Writer) (_ *Raced, err error) {
	l, err := newLife(ctx, filepath.Join(c.Dir, "races"), rand.New(rand.NewPCG(c.Seed, 1<<32)), 0)
	if err != nil {
		return nil, err
	}
	p, err := l.serve(ctx, "--auth", "open")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.kill()) }()
	l.token = func(context.Context) (string, error) { return "none", nil }
	r := &Raced{Racers: c.Racers, Faults: []string{}}
	start := time.Now()
	c.lanes(ctx, l, r, progress)
	status, _, body := l.do(ctx, http.MethodGet, "/fhir/Patient?_summary=count", "")
	var sum struct{ Total int }
	if err := json.Unmarshal(body, &sum); status != http.StatusOK || err != nil {
		return r, fmt.Errorf("crash: counting answers %d: %w", status, err)
	}
	r.Resources, r.Seconds = sum.Total, time.Since(start).Round(time.Millisecond).Seconds()
	if r.Created != r.Rounds || r.Resources != r.Rounds {
		r.Faults = append(r.Faults, fmt.Sprintf("%d rounds, %d answers of 201, %d resources", r.Rounds, r.Created, r.Resources))
	}
	return r, ctx.Err()
}

// lanes runs the rounds, a few beside each other: while one waits for its
// commit to be durable, another races.
func (c *Cmd) lanes(ctx context.Context, l *life, r *Raced, progress io.Writer) {
	var mu sync.Mutex
	start, next := time.Now(), 0
	take := func() (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == c.Races || ctx.Err() != nil || len(r.Faults) >= 10 {
			return "", false
		}
		next++
		return fmt.Sprintf("race-%d", next), true
	}
	done := func(made int, faults []string) {
		mu.Lock()
		defer mu.Unlock()
		r.Rounds++
		r.Created += made
		r.Faults = append(r.Faults, faults...)
		if r.Rounds%1000 == 0 {
			fmt.Fprintf(progress, "crash: race %d of %d, %.1f ms each\n", r.Rounds, c.Races, time.Since(start).Seconds()*1000/float64(r.Rounds))
		}
	}
	var wg sync.WaitGroup
	for range c.Lanes {
		wg.Go(func() {
			for name, ok := take(); ok; name, ok = take() {
				done(l.oneRace(ctx, name, c.Racers))
			}
		})
	}
	wg.Wait()
}

// oneRace gives how many answers said 201, and what was wrong.
func (l *life) oneRace(ctx context.Context, name string, racers int) (made int, faults []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	ids := map[string]bool{}
	for range racers {
		wg.Go(func() {
			status, h, _ := l.again(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			switch status {
			case http.StatusCreated:
				made++
				fallthrough
			case http.StatusOK:
				ids[idOf(h.Get("Location"))] = true
			default:
				faults = append(faults, fmt.Sprintf("%s: a request was answered %d", name, status))
			}
		})
	}
	wg.Wait()
	if made != 1 || len(ids) != 1 {
		faults = append(faults, fmt.Sprintf("%s: %d answers of 201, %d resources named", name, made, len(ids)))
	}
	return made, faults
}

// again sends the create until the exchange is not busy.
func (l *life) again(ctx context.Context, name string) (status int, h http.Header, body []byte) {
	for range 100 {
		status, h, body = l.do(ctx, http.MethodPost, "/fhir/Patient", fmt.Sprintf(createBody, name), "If-None-Exist", "identifier="+identifiers+"|"+name)
		if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return status, h, body
}
