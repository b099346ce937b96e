package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"hutong/cmd/hutong/bench/drive"
	"hutong/testdata/region"
)

// target is a server that takes load.
type target struct {
	name   string
	client *drive.Client
	as     func(clientID string) *drive.Client // who posts the region's bundles
	sample *sample
	pid    int    // of its process, 0 where that is not known
	pprof  string // address of its profiles, "" for none
	about  string // URL of its metrics, "" for none
	org    string // the hospital as which writes are made
	epoch  int64  // tells the record numbers of this run from those of others
	met    int    // strangers who were asked for
}

// sample is what the requests are made from: patients of whom the region gave
// the ids, with some of their resources. They are as many in a region of any size:
// those who are treated just now. strangers are resources of others, of each one.
type sample struct {
	patients  []patient
	reads     []string      // of all of them
	pairs     []patientWith // each of them with each of their codes
	strangers []string      // Type/id
	codes     []string      // of Observations, system|code, the commonest first
	resources int           // loaded
	bytes     int64         // of the bundles
	count     map[string]int
}

type patient struct {
	id           string
	identifier   string // system|value
	observations []string
	reads        []string // Type/id of anything
	codes        []string // of the Observations
}

// patientWith is a patient and the code of one of his Observations, system|code.
type patientWith struct{ id, code string }

const (
	active    = 1000
	strangers = 20_000
)

// loading is the speed at which the region went in.
type loading struct {
	bundles, resources int
	bytes              int64
	took               time.Duration
	latencies          *drive.Latencies
}

// load posts the bundles of a region of this many Patients, eight in flight:
// the registry first, which the others refer to. Patients whose id the server
// gives are loaded but not sampled. org: sample only its patients ("" all). there:
// the server has the region already, which is only sampled.
func (t *target) load(ctx context.Context, patients int, seed uint64, org string, there bool) (loading, error) {
	out := loading{latencies: drive.NewLatencies()}
	t.sample = &sample{count: map[string]int{}}
	var mu sync.Mutex
	start := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	every, other := max(1, patients/active), max(1, patients/strangers)
	var failed atomic.Bool
	posts := 0
	for p := range region.Generate(region.Options{People: patients, Seed: seed}) {
		if posts > patients || failed.Load() || gctx.Err() != nil {
			break
		}
		if posts > 0 && (org == "" || p.Org == org) {
			if err := t.sample.take(p, posts%every == 0, posts%other == 0); err != nil {
				return out, err
			}
		}
		send := func() error {
			var took time.Duration
			var err error
			if !there {
				took, err = t.post(gctx, p)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed.Store(true)
				return err
			}
			out.latencies.Record(took)
			out.bundles++
			out.resources += p.Resources
			out.bytes += int64(len(p.Bundle))
			return nil
		}
		if posts == 0 {
			if err := send(); err != nil {
				return out, fmt.Errorf("registry: %w", err)
			}
		} else {
			g.Go(send)
		}
		posts++
	}
	if err := g.Wait(); err != nil {
		return out, err
	}
	out.took = time.Since(start)
	t.sample.resources, t.sample.bytes = out.resources, out.bytes
	t.sample.rank()
	if len(t.sample.patients) == 0 {
		return out, errors.New("no patient to make requests from: take more patients")
	}
	return out, ctx.Err()
}

// post sends one bundle, again where the server is busy.
func (t *target) post(ctx context.Context, p region.Post) (time.Duration, error) {
	name := p.Client
	if name == "" {
		name = operator
	}
	conn := t.as(name).Conn()
	start := time.Now()
	for attempt := 0; ; attempt++ {
		a, err := conn.Do(ctx, &drive.Request{Method: http.MethodPost, Path: "", Body: p.Bundle})
		if err == nil || attempt == 20 || a.Status != http.StatusServiceUnavailable && a.Status != http.StatusTooManyRequests {
			return time.Since(start), err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// take adds the bundle's patient and resources, if their ids are known: to those
// who are treated, or as a stranger.
func (s *sample) take(p region.Post, treated, stranger bool) error {
	if !treated && !stranger {
		return nil
	}
	var b struct {
		Entry []struct {
			Resource struct {
				ResourceType string
				ID           string
				Identifier   []struct{ System, Value string }
				Code         struct {
					Coding []struct{ System, Code string }
				}
			}
		}
	}
	if err := json.Unmarshal(p.Bundle, &b); err != nil {
		return fmt.Errorf("the region's bundle: %w", err)
	}
	one := patient{}
	seen := map[string]bool{}
	if stranger {
		defer func() {
			if n := len(one.reads); n > 0 {
				s.strangers = append(s.strangers, one.reads[len(s.strangers)%n])
			}
		}()
	}
	for i := range b.Entry {
		r := &b.Entry[i].Resource
		if r.ID == "" {
			continue
		}
		switch r.ResourceType {
		case "Patient":
			one.id = r.ID
			if len(r.Identifier) > 0 {
				one.identifier = r.Identifier[0].System + "|" + r.Identifier[0].Value
			}
		case "Observation":
			one.observations = append(one.observations, r.ID)
			for _, c := range r.Code.Coding {
				code := c.System + "|" + c.Code
				if c.System != "http://loinc.org" || seen[code] {
					continue
				}
				seen[code] = true
				one.codes = append(one.codes, code)
				if treated {
					s.count[code]++
				}
			}
		}
		one.reads = append(one.reads, r.ResourceType+"/"+r.ID)
	}
	if treated && one.id != "" && len(one.codes) > 0 {
		s.patients = append(s.patients, one)
	}
	return nil
}

// rank puts the codes that most patients have first, and lists what is asked for.
func (s *sample) rank() {
	for _, p := range s.patients {
		s.reads = append(s.reads, p.reads...)
		for _, c := range p.codes {
			s.pairs = append(s.pairs, patientWith{p.id, c})
		}
	}
	for code := range s.count {
		s.codes = append(s.codes, code)
	}
	slices.SortFunc(s.codes, func(a, b string) int {
		if s.count[a] != s.count[b] {
			return s.count[b] - s.count[a]
		}
		return strings.Compare(a, b)
	})
}
