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
	taken   int  // records drawn
	passing bool // each is read once, and then forgotten
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
	return &hospitals{singles: max(2, min(singles, persons/2)), asked: make([][]byte, 0, queries), now: map[fhir.Key]*people.Record{}}
}

// draw gives the keys of the records of n persons, but for the last ones: the
// reader of a key takes its record away.
func (s *hospitals) draw(seed uint64, n int, give func(fhir.Key) error) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	waiting := make([]sent, 0, s.singles)
	s.passing = true
	defer func() { s.passing = false }()
	var err error
	people.Generate(seed, n, func(r people.Record) bool {
		next := sent{keyOf(s.taken), &r}
		s.taken++
		if len(s.asked) < cap(s.asked) {
			s.asked = append(s.asked, r.Patient())
		} else if at := rng.IntN(s.taken); at < len(s.asked) {
			s.asked[at] = r.Patient()
		}
		if len(waiting) < s.singles {
			waiting = append(waiting, next)
			return true
		}
		at := s.taken % s.singles
		first := waiting[at]
		waiting[at] = next
		s.hold([]sent{first})
		err = give(first.key)
		return err == nil
	})
	rng.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] }) // a commit has one record of many households
	s.last = waiting
	return err
}

// keyOf spreads the records over the ids, as a server's ids are spread: those of
// a person, or of a household, do not lie side by side.
func keyOf(number int) fhir.Key {
	return fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%08x", uint32(number)*0x9e3779b1)} // odd: each number has its own
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

func version(k fhir.Key) fhir.Version {
	return fhir.Version{Key: k, VersionID: 1, Method: fhir.Updated, LastUpdated: people.Today}
}

// read is what the repository would answer.
func (s *hospitals) read(_ context.Context, k fhir.Key) (fhir.Resource, error) {
	s.mu.Lock()
	r := s.now[k]
	if s.passing {
		delete(s.now, k)
	}
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
