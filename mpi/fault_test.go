package mpi_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi"
)

// flaky is a Space whose Apply fails at times: before the write, or after it,
// when only the answer is lost.
type flaky struct {
	store.Space
	mu  sync.Mutex
	rng *rand.Rand
}

func (f *flaky) Apply(ctx context.Context, writes []store.Write) error {
	f.mu.Lock()
	fate := f.rng.IntN(3)
	f.mu.Unlock()
	if fate == 0 {
		return fhir.Errorf(fhir.Busy, "lost before the write")
	}
	if err := f.Space.Apply(ctx, writes); err != nil || fate == 1 {
		return fhir.Errorf(fhir.Busy, "the answer was lost")
	}
	return nil
}

// TestLostAnswers feeds through a Space that loses writes and answers, and
// restarts in between: the outcome is that of a quiet day, and the journal
// tells each change once.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.space = &flaky{Space: b.space, rng: rand.New(rand.NewPCG(5, 5))}
	b.open()
	const people, records = 6, 4
	for r := range records {
		for p := range people {
			name := fmt.Sprintf("r%d-p%d", r, p)
			v := b.h.put(fmt.Sprintf("org-%d", r), name, mk("张伟", fmt.Sprintf("1980-05-%02d", p+1), "male", citizen(gb(fmt.Sprintf("500112198005%02d001", p+1)))))
			for b.x.Feed(t.Context(), key(name), v) != nil {
				if r%2 == 0 {
					b.open()
				}
			}
		}
	}
	for p := range people {
		var want []string
		for r := range records {
			want = append(want, fmt.Sprintf("r%d-p%d", r, p))
		}
		b.want(want[0], strings.Join(want, " "))
		j, err := b.x.Journal(t.Context(), key(want[0]))
		if err != nil {
			t.Fatal(err)
		}
		if len(j) != records || j[records-1].Action != mpi.ActionCreate {
			t.Errorf("person %d: %d journal entries, want %d", p, len(j), records)
		}
	}
}
