package mpi_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"hutong/fhir"
	"hutong/mpi"
	"hutong/profiles"
)

var wei = gb("50011219800501001") // male, 1980-05-01

func TestLink(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		a, b   map[string]any
		linked bool
		task   mpi.TaskKind // "" = none
	}{
		{"same id, same name", mk("张伟", "1980-05-01", "male", citizen(wei)), mk("张伟", "1980-05-01", "male", citizen(wei)), true, ""},
		{"same id, traditional", mk("張偉", "1980-05-01", "male", citizen(wei)), mk("张伟", "1980-05-01", "male", citizen(wei)), true, ""},
		{"same id, pinyin", mk("Zhang Wei", "1980-05-01", "male", citizen(wei)), mk("张伟", "1980-05-01", "male", citizen(wei)), true, ""},
		{"same id, old 15-digit form", mk("张伟", "1980-05-01", "male", citizen("500112800501001")), mk("张伟", "1980-05-01", "male", citizen(wei)), true, ""},
		{"same id, lower-case and spaces", mk("张伟", "1980-05-01", "male", citizen(" "+strings.ToLower(wei))), mk("张伟", "", "male", citizen(wei)), true, ""},
		{"same id, other name", mk("李娜", "1980-05-01", "male", citizen(wei)), mk("张伟", "1980-05-01", "male", citizen(wei)), false, mpi.Contradiction},
		{"same id, sex against digit 17", mk("张伟", "1980-05-01", "female", citizen(wei)), mk("张伟", "1980-05-01", "male", citizen(wei)), false, mpi.Contradiction},
		{"same id, no name", mk("张某之子", "1980-05-01", "male", citizen(wei)), mk("张伟", "1980-05-01", "male", citizen(wei)), false, mpi.Likely},
		{"two ids, same person otherwise", phone(mk("张伟", "1980-05-01", "male", citizen(wei)), "13812345678"), phone(mk("张伟", "1980-05-01", "male", citizen(gb("50011219800501003"))), "13812345678"), false, ""},
		{"two ids, one card", mk("张伟", "1980-05-01", "male", citizen(wei), id(profiles.SocialCard, "A12345678")), mk("张伟", "1980-05-01", "male", citizen(gb("50011219800501003")), id(profiles.SocialCard, "A12345678")), false, mpi.Contradiction},
		{"two cards", mk("张伟", "1980-05-01", "male", id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "P990017")), mk("张伟", "1980-05-01", "male", id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "P990017")), true, ""},
		{"one number under two systems is one card", mk("张伟", "1980-05-01", "male", id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "A12345678")), mk("张伟", "1980-05-01", "male", id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "A12345678")), false, mpi.Likely},
		{"two cards, homophone", mk("张伟", "1980-05-01", "male", id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "P990017")), mk("张炜", "1980-05-01", "male", id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "P990017")), false, mpi.Likely},
		{"demographics alone never link", phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345678"), phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345678"), false, mpi.Likely},
		{"health record number alone", mk("张伟", "1980-05-01", "male", id(profiles.HealthRecord, "50011200510100001")), mk("王芳", "1975-02-11", "female", id(profiles.HealthRecord, "50011200510100001")), false, ""},
		{"twins by number", phone(with(mk("张子轩", "2020-05-01", "male"), "multipleBirthInteger", 1), "13812345678"), phone(with(mk("张子轩", "2020-05-01", "male"), "multipleBirthInteger", 2), "13812345678"), false, ""},
		{"twins by custom", phone(mk("张子轩", "2020-05-01", "male"), "13812345678"), phone(mk("张子涵", "2020-05-01", "male"), "13812345678"), false, ""},
		{"emergency patient", mk("无名氏", "", "male", id(profiles.EmergencyTemp, "E1"), citizen(wei)), mk("张伟", "1980-05-01", "male", citizen(wei)), false, mpi.EmergencyTask},
		{"emergency patient, demographics", mk("张伟", "1980-05-01", "male", id(profiles.EmergencyTemp, "E1")), mk("张伟", "1980-05-01", "male"), false, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.feed("org-muni", "a", c.a)
			b.feed("org-dist", "b", c.b)
			want := "a"
			if c.linked {
				want = "a b"
			}
			b.want("a", want)
			q := b.queue(mpi.StatusOpen)
			if (c.task == "") != (len(q) == 0) || c.task != "" && q[0].Kind != c.task {
				e, _ := b.x.Explain(t.Context(), key("a"), key("b"))
				t.Errorf("tasks %+v, want %q; %+v", q, c.task, e)
			}
		})
	}
}

func TestReject(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := func() map[string]any { return phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345678") }
	b.feed("org-muni", "a", one())
	b.feed("org-dist", "b", one())
	task := b.only()
	e := b.decide(task.ID, mpi.AnswerReject)
	b.feed("org-muni", "a", with(one(), "active", true)) // a later edit
	b.feed("org-dist", "b", one())
	if q := b.queue(mpi.StatusOpen); len(q) != 0 {
		t.Errorf("a rejected pair is asked about again: %+v", q[0])
	}
	b.want("a", "a")
	// Even a certain edge does not join what a human parted.
	id := gb("50011219800501002")
	b.feed("org-muni", "a", with(one(), "identifier", []any{citizen(id)}))
	b.feed("org-dist", "b", with(one(), "identifier", []any{citizen(id)}))
	b.want("a", "a")
	b.undo(e.ID)
	b.want("a", "a b")
	if _, err := b.x.Undo(t.Context(), e.ID, "steward.ye", "again"); fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("second undo: %v", err)
	}
}

func TestDecideLinkAndUndo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := func() map[string]any { return phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345678") }
	b.feed("org-muni", "a", one())
	b.feed("org-dist", "b", one())
	pa, _, _ := b.x.PersonOf(t.Context(), key("a"))
	pb, _, _ := b.x.PersonOf(t.Context(), key("b"))
	task := b.only()
	e := b.decide(task.ID, mpi.AnswerLink)
	b.want("a", "a b")
	b.want(pb.ID, "a b") // the person that was merged away still resolves
	if e.Actor != "steward.qi" || e.Reason == "" || e.Model == "" || len(e.Before) != 2 || len(e.After) != 1 {
		t.Errorf("journal entry %+v", e)
	}
	if _, err := b.x.Decide(t.Context(), task.ID, mpi.AnswerReject, "steward.qi", "x"); fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("second decision: %v", err)
	}
	// The link survives an edit that takes all likeness away.
	b.feed("org-dist", "b", mk("欧阳兰", "1951-12-03", "female"))
	b.want("a", "a b")
	b.undo(e.ID)
	b.want("a", "a")
	for rec, p := range map[string]fhir.Key{"a": pa, "b": pb} {
		if got, _, _ := b.x.PersonOf(t.Context(), key(rec)); got != p {
			t.Errorf("person of %s after undo: %v, want %v", rec, got, p)
		}
	}
	if again := b.only(); again.ID != task.ID {
		t.Errorf("the task did not come back: %+v", again)
	}
}

func TestUndoAutomaticLink(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.feed("org-muni", "a", mk("张伟", "1980-05-01", "male", citizen(wei)))
	b.feed("org-dist", "b", mk("张伟", "1980-05-01", "male", citizen(wei)))
	b.want("a", "a b")
	j, err := b.x.Journal(t.Context(), key("b"))
	if err != nil || len(j) != 2 || j[0].Action != mpi.ActionLink || j[0].Actor != "system" {
		t.Fatalf("journal %+v, %v", j, err)
	}
	undo := b.undo(j[0].ID)
	b.want("a", "a")
	b.feed("org-dist", "b", mk("张伟", "1980-05-01", "male", citizen(wei)))
	b.want("a", "a") // it is not done again
	b.undo(undo.ID)  // the undo of the undo
	b.want("a", "a b")
}

func TestSplit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, id := range []string{"a", "b", "c"} {
		b.feed("org-"+id, id, mk("张伟", "1980-05-01", "male", citizen(wei)))
	}
	b.want("a", "a b c")
	if _, err := b.x.Split(t.Context(), key("a"), []fhir.Key{key("a"), key("b"), key("c")}, "s", "r"); fhir.KindOf(err) != fhir.Unprocessable {
		t.Errorf("split of all: %v", err)
	}
	e, err := b.x.Split(t.Context(), key("a"), []fhir.Key{key("c")}, "steward.qi", "证件被冒用")
	if err != nil {
		t.Fatal(err)
	}
	b.want("a", "a b")
	b.want("c", "c")
	b.feed("org-d", "d", mk("张伟", "1980-05-01", "male", citizen(wei)))
	b.want("a", "a b d")
	if _, _, err := b.x.ByIdentifier(t.Context(), profiles.CitizenID, wei); fhir.KindOf(err) != fhir.MultipleMatches {
		t.Errorf("a card held by two persons: %v", err)
	}
	b.undo(e.ID)
	b.want("a", "a b c d")
}

func TestByIdentifier(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	old := id(profiles.SocialCard, "B00000001")
	old["period"] = map[string]any{"end": "2024-01-01"}
	b.feed("org-muni", "a", mk("张伟", "1980-05-01", "male", citizen(wei), id(profiles.HealthCard, wei), old, id(profiles.SocialCard, "C00000002")))
	b.feed("org-dist", "b", mk("张伟", "1980-05-01", "male", citizen(wei), id(profiles.MRN("125001124501000270"), "0042")))
	p, _, _ := b.x.PersonOf(t.Context(), key("a"))
	for _, c := range [][2]string{
		{profiles.CitizenID, wei}, {profiles.CitizenID, "500112800501001"}, {profiles.CitizenID, strings.ToLower(wei)},
		{profiles.HealthCard, wei}, {profiles.SocialCard, "B00000001"}, {profiles.SocialCard, "c00000002"},
		{profiles.MRN("125001124501000270"), "0042"}, {profiles.PersonID, p.ID},
	} {
		got, ok, err := b.x.ByIdentifier(t.Context(), c[0], c[1])
		if err != nil || !ok || got != p {
			t.Errorf("%v: got %v %v %v", c, got, ok, err)
		}
	}
	if _, ok, err := b.x.ByIdentifier(t.Context(), profiles.MRN("125001124501000999"), "0042"); ok || err != nil {
		t.Errorf("another hospital's number resolved: %v", err)
	}
	// A card that passed to somebody else resolves to who holds it now.
	b.feed("org-dist", "z", mk("王芳", "1975-02-11", "female", id(profiles.SocialCard, "B00000001")))
	if got, ok, err := b.x.ByIdentifier(t.Context(), profiles.SocialCard, "B00000001"); err != nil || !ok || got == p {
		t.Errorf("re-issued card: %v %v %v", got, ok, err)
	}
}

func TestSourceMergeAndDelete(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.feed("org-muni", "old", mk("某某之子", "2026-05-20", "male", id(profiles.NewbornTemp, "m-20260520-1")))
	replaced := func(other string) map[string]any {
		return with(with(mk("某某之子", "2026-05-20", "male", id(profiles.NewbornTemp, "m-20260520-1")), "active", false),
			"link", []any{map[string]any{"other": map[string]any{"reference": "Patient/" + other}, "type": "replaced-by"}})
	}
	b.feed("org-muni", "old", replaced("new")) // its successor is not known yet
	b.want("old", "old")
	b.feed("org-muni", "new", mk("张子轩", "2026-05-20", "male", citizen(gb("50011220260520001"))))
	b.want("new", "new old")
	if p, ok, err := b.x.ByIdentifier(t.Context(), profiles.NewbornTemp, "m-20260520-1"); !ok || err != nil || b.members(p.ID) != "new old" {
		t.Errorf("the temporary id does not resolve any more: %v %v", ok, err)
	}
	// Another hospital's say-so is not enough.
	b.feed("org-dist", "far", mk("王芳", "1975-02-11", "female"))
	b.feed("org-muni", "near", replaced("far"))
	b.want("far", "far")
	person, _, _ := b.x.PersonOf(t.Context(), key("new"))
	b.feed("org-muni", "new", nil)
	b.want("old", "old")
	b.want("new", "new")
	if p, _, _ := b.x.PersonOf(t.Context(), key("old")); p != person {
		t.Errorf("the person changed its id: %v, was %v", p, person)
	}
	b.feed("org-muni", "old", nil)
	b.want(person.ID, person.ID)
	b.feed("org-muni", "old", mk("张子轩", "2026-05-20", "male"))
	if p, _, _ := b.x.PersonOf(t.Context(), key("old")); p != person {
		t.Errorf("a record that came back got another person: %v, was %v", p, person)
	}
}

func TestFeedIsIdempotent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.feed("org-muni", "a", mk("张伟", "1980-05-01", "male", citizen(wei)))
	b.feed("org-dist", "b", mk("张伟", "1980-05-01", "male", citizen(wei)))
	before, _ := b.x.Journal(t.Context(), key("a"))
	b.x.Committed(t.Context(), []fhir.Version{{Key: key("a"), VersionID: 1}, {Key: key("b"), VersionID: 1}, {Key: fhir.Key{Type: "Observation", ID: "o"}, VersionID: 1}})
	after, _ := b.x.Journal(t.Context(), key("a"))
	if len(before) != len(after) {
		t.Errorf("a repeat wrote to the journal: %d, then %d", len(before), len(after))
	}
	if s := b.x.Stats(); s.Feeds != 2 || s.Unchanged != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := func() map[string]any { return phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345678") }
	b.feed("org-muni", "a", one())
	b.feed("org-dist", "b", one())
	e := b.decide(b.only().ID, mpi.AnswerLink)
	b.feed("org-muni", "c", mk("张伟", "1980-05-01", "male", citizen(wei)))
	person, _, _ := b.x.PersonOf(t.Context(), key("a"))
	b.open()
	b.want("b", "a b")
	if got, _, _ := b.x.PersonOf(t.Context(), key("b")); got != person {
		t.Errorf("person after restart: %v, want %v", got, person)
	}
	b.feed("org-dist", "d", mk("张伟", "1980-05-01", "male", citizen(wei)))
	b.want("c", "c d")
	b.undo(e.ID)
	b.want("a", "a")
}

func TestConcurrentFeeds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const people, records = 12, 8
	var wg sync.WaitGroup
	for r := range records {
		wg.Go(func() {
			for p := range people {
				// Every record knows the person by the citizen id, or by two cards that overlap with its neighbour's.
				ids := []map[string]any{citizen(gb(fmt.Sprintf("500112198005%02d%03d", p+1, 1)))}
				name := fmt.Sprintf("r%d-p%d", r, p)
				v := b.h.put(fmt.Sprintf("org-%d", r), name, mk("张伟", fmt.Sprintf("1980-05-%02d", p+1), "male", ids...))
				if err := b.x.Feed(context.WithoutCancel(b.t.Context()), key(name), v); err != nil {
					t.Errorf("feed %s: %v", name, err)
				}
			}
		})
	}
	wg.Wait()
	b.open()
	persons := map[string]bool{}
	for p := range people {
		want := make([]string, records)
		for r := range records {
			want[r] = fmt.Sprintf("r%d-p%d", r, p)
		}
		for r := range records {
			name := fmt.Sprintf("r%d-p%d", r, p)
			b.want(name, strings.Join(want, " "))
			k, _, _ := b.x.PersonOf(t.Context(), key(name))
			persons[k.ID] = true
		}
	}
	if len(persons) != people {
		t.Errorf("%d persons, want %d", len(persons), people)
	}
}

// TestOrderDoesNotMatter feeds the same records in many orders: the division
// into persons is the same.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	id2 := gb("50011219800501003")
	records := []map[string]any{
		mk("张伟", "1980-05-01", "male", citizen(wei)),
		mk("张伟", "1980-05-01", "male", citizen(wei), id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "P990017")),
		mk("张伟", "1980-05-01", "male", id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "P990017")),
		// The same cards, but another citizen id: must not end up with the first.
		mk("张伟", "1980-05-01", "male", citizen(id2), id(profiles.SocialCard, "A12345678"), id(profiles.InsuranceNo, "P990017")),
		mk("张伟", "1980-05-01", "male", citizen(id2)),
		mk("李娜", "1980-05-01", "male", citizen(wei)),
	}
	outcome := func(order []int) string {
		b := newBench(t)
		for _, i := range order {
			b.feed(fmt.Sprintf("org-%d", i), fmt.Sprintf("r%d", i), records[i])
		}
		var out []string
		for i := range records {
			out = append(out, b.members(fmt.Sprintf("r%d", i)))
		}
		return strings.Join(out, "; ")
	}
	order := []int{0, 1, 2, 3, 4, 5}
	want := outcome(order)
	for i := range 20 {
		order = slices.Clone(order)
		for j := range order { // a fixed shuffle: the failing order can be told
			k := (i*7 + j*j + 3) % len(order)
			order[j], order[k] = order[k], order[j]
		}
		if got := outcome(order); got != want {
			t.Fatalf("order %v: got %s, want %s", order, got, want)
		}
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.feed("org-muni", "nobody", mk("无名氏", "", "male", id(profiles.EmergencyTemp, "E1")))
	b.feed("org-dist", "zhang", mk("张伟", "1980-05-01", "male", citizen(wei)))
	e, err := b.x.Join(t.Context(), key("nobody"), key("zhang"), "steward.qi", "家属辨认")
	if err != nil {
		t.Fatal(err)
	}
	b.want("zhang", "nobody zhang")
	if _, err := b.x.Join(t.Context(), key("nobody"), key("zhang"), "steward.qi", "x"); fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("joined twice: %v", err)
	}
	if _, err := b.x.Join(t.Context(), key("nobody"), key("none"), "steward.qi", "x"); fhir.KindOf(err) != fhir.NotFound {
		t.Errorf("joined with nothing: %v", err)
	}
	// Two citizen ids that a human joined stay joined when a third record comes.
	other := gb("50011219800501003")
	b.feed("org-muni", "other", mk("张伟", "1980-05-01", "male", citizen(other)))
	if _, err := b.x.Join(t.Context(), key("other"), key("zhang"), "steward.qi", "一人两号，公安已核实"); err != nil {
		t.Fatal(err)
	}
	b.feed("org-county", "third", mk("张伟", "1980-05-01", "male", citizen(other)))
	b.want("zhang", "nobody other third zhang")
	b.undo(e.ID)
	b.want("nobody", "nobody")
	if _, err := b.x.Split(t.Context(), key("zhang"), []fhir.Key{key("other")}, "steward.qi", "查无此事"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.x.Join(t.Context(), key("other"), key("zhang"), "steward.qi", "x"); fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("joined against a rejection: %v", err)
	}
}
