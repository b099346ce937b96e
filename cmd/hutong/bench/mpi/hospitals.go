package mpi

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"

	"hutong/fhir"
	"hutong/testdata/people"
)

// hospitals hold the hospitals' Patients while they are fed: a region of any
// size passes through, and only the last records, and those that will be asked
// for, stay.
type hospitals struct {
	singles int
	taken   int // records drawn
	last    []sent
	asked   [][]byte // drawn evenly from all (Vitter's algorithm R)
	mu      sync.Mutex
	now     map[fhir.Key]*people.Record // on their way; guarded by mu
}

// sent is a record on its way.
type sent struct {
	key    fhir.Key
	record *people.Record
}

func newHospitals(queries, persons int) *hospitals {
	return &hospitals{singles: min(singles, persons/2), asked: make([][]byte, 0, queries), now: map[fhir.Key]*people.Record{}}
}

// Sizes of what draw gives.
const (
	perCommit = 64
	commitsOf = 64 // households are spread over so many commits
)

// draw makes commits of the records of n persons, but for the last ones.
func (s *hospitals) draw(ctx context.Context, seed uint64, n int, commits chan<- []sent) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	var waiting []sent
	give := func(all []sent) error {
		for first := range commitsOf {
			var commit []sent
			for i := first; i < len(all); i += commitsOf {
				commit = append(commit, all[i])
			}
			if len(commit) == 0 {
				continue
			}
			select {
			case commits <- commit:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	}
	var err error
	people.Generate(seed, n, func(r people.Record) bool {
		waiting = append(waiting, sent{fhir.Key{Type: "Patient", ID: fmt.Sprint("p", s.taken)}, &r})
		s.taken++
		if len(s.asked) < cap(s.asked) {
			s.asked = append(s.asked, r.Patient())
		} else if at := rng.IntN(s.taken); at < len(s.asked) {
			s.asked[at] = r.Patient()
		}
		if len(waiting) == s.singles+perCommit*commitsOf {
			err = give(waiting[:perCommit*commitsOf])
			waiting = append([]sent(nil), waiting[perCommit*commitsOf:]...)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	s.last = waiting[max(0, len(waiting)-s.singles):]
	return give(waiting[:len(waiting)-len(s.last)])
}

// hold makes records readable and gives their versions.
func (s *hospitals) hold(records []sent) []fhir.Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]fhir.Version, 0, len(records))
	for _, r := range records {
		s.now[r.key] = r.record
		out = append(out, version(r.key))
	}
	return out
}

// drop forgets records that the index has taken in.
func (s *hospitals) drop(records []sent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		delete(s.now, r.key)
	}
}

func version(k fhir.Key) fhir.Version {
	return fhir.Version{Key: k, VersionID: 1, Method: fhir.Updated, LastUpdated: people.Today}
}

// read is what the repository would answer.
func (s *hospitals) read(_ context.Context, k fhir.Key) (fhir.Resource, error) {
	s.mu.Lock()
	r := s.now[k]
	s.mu.Unlock()
	if r == nil {
		return fhir.Resource{}, fhir.E(fhir.NotFound)
	}
	out := fhir.Resource{Version: version(k)}
	out.Body.Raw, out.Facts.Custodian = r.Patient(), fmt.Sprint("hospital-", r.Hospital)
	return out, nil
}

// queries are Patients without their numbers, spread over all.
func (s *hospitals) queries() [][]byte {
	out := make([][]byte, 0, len(s.asked))
	for _, body := range s.asked {
		var p map[string]any
		if json.Unmarshal(body, &p) == nil {
			delete(p, "identifier")
			b, _ := json.Marshal(p) // of what was just read
			out = append(out, b)
		}
	}
	return out
}
