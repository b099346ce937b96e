package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"hutong/fhir"
	"hutong/fhir/store"
)

// guards: of 64 concurrent conditional creates one creates.
func guards(b *bench) {
	const racers = 64
	for round := range b.times(8) {
		criteria := fmt.Sprintf("Patient?identifier=http://example.org/card|c%d", round)
		q := b.query(criteria)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var made []fhir.Key
		for i := range racers {
			wg.Go(func() {
				op := b.op(fhir.Created, fmt.Sprintf(`{"resourceType":"Patient","id":"r%d-%d","identifier":[{"system":"http://example.org/card","value":"c%d"}]}`, round, i, round))
				_, err := b.s.Commit(b.ctx, store.Tx{Ops: []store.Op{op}, Guards: []store.Guard{{Claim: criteria, Query: q}}})
				mu.Lock()
				defer mu.Unlock()
				var ge *store.GuardError
				switch {
				case err == nil:
					made = append(made, op.Key)
				case !errors.As(err, &ge):
					b.Errorf("got %v, want a GuardError", err)
				case len(ge.Found) != 1 || ge.Index != 0:
					b.Errorf("guard %d found %v", ge.Index, ge.Found)
				}
			})
		}
		wg.Wait()
		b.same("created", len(made), 1)
		found := b.ids(b.snap(0), criteria)
		b.same("found", found, []string{made[0].ID})
		// A conditional update names what it expects to match.
		op := b.op(fhir.Updated, fmt.Sprintf(`{"resourceType":"Patient","id":%q,"identifier":[{"system":"http://example.org/card","value":"moved"}]}`, made[0].ID))
		g := store.Guard{Claim: criteria, Query: q, Expect: made}
		if _, err := b.s.Commit(b.ctx, store.Tx{Ops: []store.Op{op}, Guards: []store.Guard{g}}); err != nil {
			b.Errorf("a guard that holds: %v", err)
		}
		if _, err := b.s.Commit(b.ctx, store.Tx{Ops: []store.Op{op}, Guards: []store.Guard{{Claim: "x", Query: q}, g}}); err == nil {
			b.Error("a guard that no longer holds was taken")
		} else if ge := new(store.GuardError); !errors.As(err, &ge) || ge.Index != 1 || len(ge.Found) != 0 {
			b.Errorf("got %v, want guard 1 to have found nothing", err)
		}
	}
}

// readersAndWriters: while writers change everything, a reader at one snapshot
// gets one answer, however often and by whatever path it asks.
func readersAndWriters(b *bench) {
	const patients, writers = 6, 3
	rounds := b.times(60)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range writers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for range rounds {
				op := b.op(fhir.Updated, observation(fmt.Sprintf("o%d", r.IntN(30)), fmt.Sprintf("p%d", r.IntN(patients)),
					string(rune('a'+r.IntN(3))), fmt.Sprintf("202%d-01-01", r.IntN(5))))
				if r.IntN(5) == 0 {
					op = store.Op{Key: op.Key, Method: fhir.Deleted}
				}
				if _, err := b.s.Commit(b.ctx, store.Tx{Ops: []store.Op{op}}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	go func() { wg.Wait(); close(stop) }()
	for {
		b.oneAnswer()
		select {
		case <-stop:
			return
		default:
		}
	}
}

// oneAnswer asks one snapshot the same thing in several ways.
func (b *bench) oneAnswer() {
	s, err := b.s.Snapshot(b.ctx, 0)
	b.must(err)
	defer s.Close()
	whole, err := s.Search(b.ctx, b.query("Observation?_count=1000"))
	b.must(err)
	byCode := []string{}
	for _, r := range whole.Matches {
		for _, c := range r.Facts.Codes {
			if c.Code == "a" {
				byCode = append(byCode, r.ID)
			}
		}
	}
	slices.Sort(byCode)
	for range 2 {
		for _, q := range []string{"Observation?code=a", "Observation?code=http://loinc.org|a&status=final", "Observation?code:not=b,c", "Observation?patient=p0,p1,p2,p3,p4,p5&code=a",
			"Observation?date=gt2000&code=a", "Observation?code=a&_sort=date"} {
			if got := sorted(b.ids(s, q+"&_count=1000")); !slices.Equal(got, byCode) {
				b.Errorf("%s at %d: got %v, want %v", q, s.T(), got, byCode)
			}
		}
	}
}
