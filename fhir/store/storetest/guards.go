package storetest

import (
	"errors"
	"fmt"
	"sync"

	"hutong/fhir"
	"hutong/fhir/store"
)

// guards: of 64 concurrent conditional creates one creates.
func guards(b *bench) {
	const racers, rounds = 64, 8
	for round := range rounds {
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
