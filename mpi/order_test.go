package mpi_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/mpi"
	"hutong/profiles"
)

// deed is one step of a hospital: a record's new content; nil deletes it.
type deed struct {
	org, id string
	body    map[string]any
}

// tangle makes records of a few people who are hard to tell apart: numbers that
// cross over, twins, namesakes, the dead, records merged by their hospital.
func tangle(rng *rand.Rand) (first, last []deed) {
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	content := func() map[string]any {
		var ids []map[string]any
		if rng.IntN(3) > 0 {
			ids = append(ids, citizen(gb(fmt.Sprintf("5001121980050100%d", 1+rng.IntN(3)*2))))
		}
		if rng.IntN(2) == 0 {
			card := rng.IntN(3)
			ids = append(ids, id(profiles.SocialCard, fmt.Sprintf("A%08d", card)), id(profiles.InsuranceNo, fmt.Sprintf("P%06d", card)))
		}
		p := mk(pick("张伟", "张伟", "张炜", "诸葛雨桐"), pick("1980-05-01", "1980-05-01", "1980-05-10"), "male", ids...)
		if rng.IntN(3) == 0 {
			phone(p, pick("13812345678", "13900000001"))
		}
		switch rng.IntN(8) {
		case 0:
			p["multipleBirthInteger"] = 1 + rng.IntN(2)
		case 1:
			p["deceasedDateTime"] = pick("2025-01-01", "2025-01-02", "2024-03-01", "1979-01-01")
		case 2:
			p["deceasedBoolean"] = false
		case 3:
			p["active"] = false
			p["link"] = []any{map[string]any{"other": map[string]any{"reference": fmt.Sprintf("Patient/r%02d", rng.IntN(10))}, "type": "replaced-by"}}
		case 4:
			p["link"] = []any{map[string]any{"other": map[string]any{"identifier": id(profiles.SocialCard, "A00000001")}, "type": "replaces"}}
		}
		return p
	}
	for i := range 10 {
		d := deed{fmt.Sprintf("org-%d", rng.IntN(3)), fmt.Sprintf("r%02d", i), content()}
		last = append(last, d)
		if rng.IntN(3) == 0 { // it was something else before
			first = append(first, deed{d.org, d.id, content()})
		}
		if rng.IntN(8) == 0 {
			first, last[i].body = append(first, d), nil
		}
	}
	return first, last
}

func (b *bench) play(deeds []deed) {
	b.t.Helper()
	for _, d := range deeds {
		b.feed(d.org, d.id, d.body)
	}
}

// playTogether has the index hear of all at once, as of one transaction.
func (b *bench) playTogether(deeds []deed) {
	b.t.Helper()
	var versions []fhir.Version
	for _, d := range deeds {
		versions = append(versions, fhir.Version{Key: key(d.id), VersionID: b.h.put(d.org, d.id, d.body)})
	}
	b.x.Committed(b.t.Context(), versions)
}

// meddle lets a steward do something, if there is something to do.
func (b *bench) meddle(rng *rand.Rand) {
	b.t.Helper()
	ctx, one, two := b.t.Context(), fmt.Sprintf("r%02d", rng.IntN(10)), fmt.Sprintf("r%02d", rng.IntN(10))
	switch q := b.queue(mpi.StatusOpen); {
	case rng.IntN(4) == 0:
		_, _ = b.x.Join(ctx, key(one), key(two), "steward.qi", "r") // may be refused, as any may
	case rng.IntN(4) == 0:
		_, _ = b.x.Split(ctx, key(one), []fhir.Key{key(one)}, "steward.qi", "r")
	case rng.IntN(4) == 0:
		if j, _ := b.x.Changes(ctx, "", 0); len(j) > 0 {
			_, _ = b.x.Undo(ctx, j[rng.IntN(len(j))].ID, "steward.qi", "r")
		}
	case len(q) > 0:
		b.decide(q[rng.IntN(len(q))].ID, []mpi.Answer{mpi.AnswerLink, mpi.AnswerReject}[rng.IntN(2)])
	}
}

// division tells who is with whom, without the persons' ids.
func (b *bench) division(deeds []deed) string {
	b.t.Helper()
	var out []string
	for _, d := range deeds {
		out = append(out, d.id+": "+b.members(d.id))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// TestOrderAndDecisionsAlone is the target of the room: whatever the order of
// arrival, one by one or together, with edits, deletions and repeats in between, the persons follow
// from the records as they are and the journalled human decisions, also when
// those are replayed on an index that has seen none, some or all of the records.
func TestOrderAndDecisionsAlone(t *testing.T) {
	t.Parallel()
	decided := 0
	for seed := range uint64(24) {
		rng := rand.New(rand.NewPCG(seed, 9))
		first, last := tangle(rng)
		b := newBench(t)
		for _, d := range slices.Concat(first, last) {
			b.play([]deed{d})
			if rng.IntN(3) == 0 {
				b.meddle(rng)
			}
		}
		want := b.division(last)
		b.check()
		journal, err := b.x.Changes(t.Context(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range journal {
			decided += len(e.Decided)
		}
		for range 3 {
			shuffled := slices.Clone(last)
			rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			when := rng.IntN(len(shuffled) + 1)
			again := newBench(t)
			play := again.play
			if rng.IntN(2) == 0 {
				play = again.playTogether
			}
			if rng.IntN(2) == 0 {
				again.play(first)
			}
			play(shuffled[:when])
			for range 2 { // a repeat changes nothing
				if err := again.x.Restore(t.Context(), journal); err != nil {
					t.Fatal(err)
				}
			}
			play(shuffled[when:])
			if got := again.division(last); got != want {
				t.Fatalf("seed %d, decisions after %d records: got\n%s\nwant\n%s", seed, when, got, want)
			}
			again.checkRestored()
		}
	}
	if decided < 100 {
		t.Errorf("only %d human decisions were tried", decided)
	}
}
