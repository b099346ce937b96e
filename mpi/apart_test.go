package mpi_test

import (
	"slices"
	"testing"

	"hutong/mpi"
	"hutong/mpi/link"
	"hutong/profiles"
)

// TestBridge: one record carries the citizen id of one person and the cards of
// another. It goes to whom it resembles more, and the other edge is a question.
func TestBridge(t *testing.T) {
	t.Parallel()
	cards := func() []map[string]any {
		return []map[string]any{id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "P990017")}
	}
	at := func(p map[string]any, number, line string) map[string]any {
		return with(phone(p, number), "address", []any{map[string]any{"text": line}})
	}
	number := gb("50011219511203003")
	p := func() map[string]any {
		return at(mk("张建军", "1951-12-03", "unknown", citizen(number)), "13700000001", "云岭县石桥镇七社八号")
	}
	q := func(more ...map[string]any) map[string]any {
		return at(mk("张建国", "1980-05-01", "male", slices.Concat(cards(), more)...), "13812345678", "澄江市青溪区柳荫路十二号院三单元")
	}
	b := newBench(t)
	b.feed("org-1", "p1", p())
	b.feed("org-2", "p2", p())
	b.feed("org-3", "q1", q())
	b.feed("org-4", "q2", q())
	b.want("p1", "p1 p2")
	b.want("q1", "q1 q2")
	b.feed("org-x", "x", q(citizen(number)))
	b.want("p1", "p1 p2")
	b.want("q1", "q1 q2 x")
	task := b.only()
	if task.Kind != mpi.ConflictTask || task.Risk != mpi.High || !slices.Contains(task.Reasons, link.WeakBridge) {
		t.Errorf("task %+v", task)
	}
	// A human decides, and the person is whole.
	b.decide(task.ID, mpi.AnswerLink)
	b.want("q1", "p1 p2 q1 q2 x")
}

// TestLifeAndDeath: contradictions about life and death part what other evidence
// joins, and a correction joins it again.
func TestLifeAndDeath(t *testing.T) {
	t.Parallel()
	cards := func() map[string]any {
		return mk("张伟", "1980-05-01", "male", id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "P990017"))
	}
	known := func() map[string]any { return mk("张伟", "1980-05-01", "male", citizen(wei)) }
	died := func(p map[string]any, on string) map[string]any { return with(p, "deceasedDateTime", on) }
	for _, c := range []struct {
		name   string
		a, b   map[string]any
		linked bool
		reason link.Reason
	}{
		{"dead, and alive by the cards", died(cards(), "2025-01-01"), with(cards(), "deceasedBoolean", false), false, link.DeadAndAlive},
		{"dead, and the other says nothing", died(cards(), "2025-01-01"), cards(), true, ""},
		{"the news has not arrived", died(known(), "2025-01-01"), with(known(), "deceasedBoolean", false), true, ""},
		{"two dates of death", died(known(), "2025-01-01"), died(known(), "2025-06-01"), false, link.TwoDeaths},
		{"a day of registration", died(known(), "2025-01-01"), died(known(), "2025-01-03T10:00:00+08:00"), true, ""},
	} {
		b := newBench(t)
		b.feed("org-muni", "a", c.a)
		b.feed("org-dist", "b", c.b)
		if got := b.members("a") == "a b"; got != c.linked {
			t.Errorf("%s: linked %v", c.name, got)
		}
		if q := b.queue(mpi.StatusOpen); (c.reason != "") != (len(q) == 1) || c.reason != "" && (!slices.Contains(q[0].Reasons, c.reason) || q[0].Risk != mpi.High) {
			t.Errorf("%s: tasks %+v", c.name, q)
		}
	}
	b := newBench(t)
	b.feed("org-muni", "a", died(known(), "2025-01-01"))
	b.feed("org-dist", "b", known())
	b.want("a", "a b")
	b.feed("org-dist", "b", died(known(), "2024-01-01"))
	b.want("a", "a")
	b.feed("org-dist", "b", died(known(), "2025-01-01"))
	b.want("a", "a b")
}
