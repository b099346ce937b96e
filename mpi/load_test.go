package mpi_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/mpi"
)

// load takes in at once what the hospitals hold.
func (b *bench) load() *mpi.Loaded {
	b.t.Helper()
	out, err := b.x.Load(b.t.Context(), mpi.LoadOptions{Dir: b.t.TempDir()}, b.h.each)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.x.Warm(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return out
}

// each yields all Patients, in no order.
func (h *hospital) each(yield func(fhir.Key) error) error {
	h.mu.Lock()
	var keys []fhir.Key
	for k := range h.patients {
		keys = append(keys, k)
	}
	h.mu.Unlock()
	for _, k := range keys {
		if err := yield(k); err != nil {
			return err
		}
	}
	return nil
}

// asked tells between which persons, by their members, a human is asked.
func (b *bench) asked() []string {
	b.t.Helper()
	var out []string
	for _, t := range b.queue(mpi.StatusOpen) {
		p, q := b.members(t.A), b.members(t.B)
		out = append(out, fmt.Sprintf("%s | %s %s", min(p, q), max(p, q), t.Kind))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestLoadIsFeeding: a first load makes the persons, links and questions that
// feeding the same records makes in whatever order, before human decisions or
// after, and goes on from there: what comes later finds what was loaded.
func TestLoadIsFeeding(t *testing.T) {
	t.Parallel()
	linked, tasks := 0, 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 11))
		_, last := tangle(rng)
		last = slices.DeleteFunc(last, func(d deed) bool { return d.body == nil })
		fed := newBench(t)
		fed.play(last)
		if seed%2 == 0 {
			for range 4 {
				fed.meddle(rng)
			}
		}
		journal, err := fed.x.Changes(t.Context(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		loaded := newBench(t)
		for _, d := range last {
			loaded.h.put(d.org, d.id, d.body)
		}
		if err := loaded.x.Restore(t.Context(), journal); err != nil {
			t.Fatal(err)
		}
		got := loaded.load()
		if got.Records != len(last) {
			t.Fatalf("seed %d: %+v of %d records", seed, got, len(last))
		}
		if got, want := loaded.division(last), fed.division(last); got != want {
			t.Fatalf("seed %d: loaded\n%s\nfed\n%s", seed, got, want)
		}
		for _, d := range last {
			if got, want := loaded.links(d.id), fed.links(d.id); got != want {
				t.Fatalf("seed %d, %s: loaded\n%s\nfed\n%s", seed, d.id, got, want)
			}
		}
		if seed%2 == 1 { // after decisions it depends on when they were made, which questions are still open
			if got, want := strings.Join(loaded.asked(), "\n"), strings.Join(fed.asked(), "\n"); got != want {
				t.Fatalf("seed %d: asked\n%s\nfed\n%s", seed, got, want)
			}
			tasks += got.Tasks
		}
		linked += len(last) - got.Persons
		loaded.checkRestored()
		// Every record once more, as it was before and as it is: nothing is left over.
		for _, d := range last {
			loaded.feed(d.org, d.id, mk("无名", "1900-01-01", "male"))
		}
		loaded.play(last)
		if got, want := loaded.division(last), fed.division(last); got != want {
			t.Fatalf("seed %d: after edits\n%s\nfed\n%s", seed, got, want)
		}
		loaded.checkRestored()
	}
	if linked < 40 || tasks < 40 {
		t.Errorf("only %d links and %d tasks were tried", linked, tasks)
	}
}

// links tells what holds a person's records together.
func (b *bench) links(id string) string {
	b.t.Helper()
	ls, err := b.x.Links(b.t.Context(), key(id))
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, l := range ls {
		out = append(out, fmt.Sprintf("%s %s %v %.6f %s", l.A.ID, l.B.ID, l.Reasons, l.Probability, l.By))
	}
	return strings.Join(out, "\n")
}

// TestLoadWantsAnEmptyIndex and is undone like a link that a feed made.
func TestLoadWantsAnEmptyIndex(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.strangers(5)
	got := b.load()
	if got.Records != 7 || got.Persons != 6 {
		t.Errorf("loaded %+v", got)
	}
	b.want("wei-org-dist", "wei-org-dist wei-org-muni")
	_, err := b.x.Load(t.Context(), mpi.LoadOptions{Dir: t.TempDir()}, b.h.each)
	if fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("a second load: %v", err)
	}
	journal, err := b.x.Journal(t.Context(), key("wei-org-dist"))
	if err != nil || len(journal) != 1 {
		t.Fatalf("journal %v, %v", journal, err)
	}
	b.undo(journal[0].ID)
	b.want("wei-org-dist", "wei-org-dist")
	b.check()
}
