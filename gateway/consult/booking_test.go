package consult

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
)

func newCalendar(t *testing.T, now func() time.Time) (calendar, store.Space) {
	t.Helper()
	db, err := disk.Open(t.TempDir(), disk.Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return calendar{db.Space("consult"), now}, db.Space("consult")
}

// TestNodesDoNotBookTwice: many nodes book one physician for times that touch
// each other; one gets each time.
func TestNodesDoNotBookTwice(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	_, space := newCalendar(t, nil)
	var won [4]atomic.Int32
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			node := calendar{space, func() time.Time { return now }} // shares nothing but the space
			hour := n % len(won)
			r := reservation{Consultation: fmt.Sprint("c", n), Start: now.Add(time.Duration(hour) * time.Hour), End: now.Add(time.Duration(hour+1) * time.Hour)}
			switch err := node.reserve(context.Background(), r, "lin", fmt.Sprint("asker", n)); fhir.KindOf(err) {
			case fhir.Conflict:
			default:
				if err != nil {
					t.Error(err)
				}
				won[hour].Add(1)
			}
		})
	}
	wg.Wait()
	for hour := range won {
		if n := won[hour].Load(); n != 1 {
			t.Errorf("hour %d was booked %d times", hour, n)
		}
	}
}

func TestReservations(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	k, _ := newCalendar(t, func() time.Time { return now })
	ctx := context.Background()
	book := func(c string, from, to int, who ...string) bool {
		t.Helper()
		err := k.reserve(ctx, reservation{Consultation: c, Start: now.Add(time.Duration(from) * time.Minute), End: now.Add(time.Duration(to) * time.Minute)}, who...)
		if err != nil && fhir.KindOf(err) != fhir.Conflict {
			t.Fatal(err)
		}
		return err == nil
	}
	for _, x := range []struct {
		c        string
		from, to int
		who      []string
		want     bool
	}{
		{"a", 60, 90, []string{"zhou", "lin"}, true},
		{"b", 89, 120, []string{"han", "lin"}, false},
		{"b", 60, 61, []string{"zhou", "han"}, false},
		{"b", 90, 120, []string{"han", "lin"}, true}, // the end is free
		{"a", 60, 90, []string{"zhou", "lin"}, true}, // a repeat of one's own
		{"c", 60, 90, []string{"han", "han"}, true},
		{"d", 60, 90, []string{"han", "mu"}, false},
		{"d", 60, 90, []string{"mu"}, true}, // a refusal has reserved nothing
	} {
		if got := book(x.c, x.from, x.to, x.who...); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
	if err := k.release(ctx, reservation{Consultation: "a", Start: now.Add(time.Hour), End: now.Add(90 * time.Minute)}, "zhou", "lin"); err != nil {
		t.Fatal(err)
	}
	if !book("e", 60, 89, "lin") || book("f", 100, 110, "lin") {
		t.Error("after a release")
	}
	now = now.Add(underWay + time.Second)
	if !book("f", 100, 110, "lin") {
		t.Error("a reservation counts for ever")
	}
}
