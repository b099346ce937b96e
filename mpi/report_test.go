package mpi_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hutong/mpi"
	"hutong/mpi/link"
	"hutong/mpi/report"
	"hutong/mpi/score"
	"hutong/profiles"
)

func (b *bench) duplicates(org string) string {
	b.t.Helper()
	list, _, err := report.Reader{Space: b.space}.Duplicates(b.t.Context(), org, "", 100)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, d := range list {
		if k, _, _ := b.x.PersonOf(b.t.Context(), key(d.Patients[0])); k.ID != d.Person {
			b.t.Errorf("the report names %s, the index %s", d.Person, k.ID)
		}
		out = append(out, d.Organization+": "+strings.Join(d.Patients, " "))
	}
	return strings.Join(out, "; ")
}

// TestDuplicates: the report follows every way in which records of a hospital
// become one person, stop being one, or are retired.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	zhang := func() map[string]any { return mk("张伟", "1980-05-01", "male", citizen(wei)) }
	want := func(what, list string) {
		t.Helper()
		if got := b.duplicates(""); got != list {
			t.Errorf("%s: got %q, want %q", what, got, list)
		}
	}
	b.feed("org-muni", "a", zhang())
	b.feed("org-dist", "b", zhang())
	want("one each", "")
	b.feed("org-muni", "c", zhang())
	want("two of one", "org-muni: a c")
	if got := b.duplicates("org-dist"); got != "" {
		t.Errorf("another hospital's list: %q", got)
	}
	b.feed("org-muni", "c", with(zhang(), "active", false))
	want("one retired", "")
	b.feed("org-muni", "c", zhang())
	b.feed("org-dist", "d", zhang())
	want("two hospitals", "org-dist: b d; org-muni: a c")
	b.feed("org-muni", "a", mk("王芳", "1975-02-11", "female"))
	want("the evidence is gone", "org-dist: b d")
	b.feed("org-dist", "d", nil)
	want("deleted", "")
}

func (b *bench) overlays() []report.Overlay {
	b.t.Helper()
	list, _, err := report.Reader{Space: b.space}.Overlays(b.t.Context(), "", "", 100)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	other := citizen(gb("50011219750211002"))
	zhang := func() map[string]any { return mk("张伟", "1980-05-01", "male", citizen(wei)) }
	for _, c := range []struct {
		name   string
		before map[string]any
		after  map[string]any
		want   []link.Reason
	}{
		{"another human", zhang(), mk("王芳", "1975-02-11", "female", other), []link.Reason{link.OtherCitizenID, link.OtherName, link.OtherBirth, link.OtherSex}},
		{"another human without numbers", mk("张伟", "1980-05-01", "male"), mk("王芳", "1975-02-11", "female"), []link.Reason{link.OtherName, link.OtherBirth, link.OtherSex}},
		{"a repeat", zhang(), zhang(), nil},
		{"one slip is a correction", mk("张伟", "1980-05-01", "male"), mk("张玮", "1980-05-10", "male"), nil},
		{"a wrong id is corrected", zhang(), mk("张伟", "1980-05-01", "male", other), nil},
		{"everything but the id is corrected", mk("王芳", "1975-02-11", "female", citizen(wei)), zhang(), nil},
		{"a newborn is named", mk("某某之子", "2026-05-20", "male", id(profiles.NewbornTemp, "m-1")), mk("张子轩", "2026-05-20", "male"), nil},
		{"an unknown patient is recognised", mk("无名氏", "", "male", id(profiles.EmergencyTemp, "E1")), zhang(), nil},
		{"a sex is corrected", zhang(), mk("张伟", "1980-05-01", "female", citizen(wei)), nil},
	} {
		b := newBench(t)
		b.feed("org-muni", "a", c.before)
		before, _, _ := b.x.PersonOf(t.Context(), key("a"))
		b.feed("org-muni", "a", c.after)
		list := b.overlays()
		switch {
		case c.want == nil && len(list) != 0, c.want != nil && len(list) != 1:
			t.Errorf("%s: %+v", c.name, list)
		case c.want != nil && (!slices.Equal(list[0].Reasons, c.want) || list[0].Before != before.ID || list[0].Patient != "a" || list[0].Version != 1 || list[0].By != 2 || list[0].Organization != "org-muni"):
			t.Errorf("%s: %+v", c.name, list[0])
		}
	}
}

// TestShadow: a model that asks about less is recorded beside the one in force
// and changes nothing.
func TestShadow(t *testing.T) {
	t.Parallel()
	plain := newBench(t)
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	strict, err := score.Load([]byte(strings.Replace(strings.Replace(string(raw), m.Version, "strict-1", 1), fmt.Sprintf(`"review":%v`, m.Thresholds.Review), `"review":1`, 1)))
	if err != nil || strict.Thresholds.Review != 1 {
		t.Fatalf("%v, %+v", err, strict.Thresholds)
	}
	b := newBench(t)
	b.x, err = mpi.Open(t.Context(), mpi.Config{Space: b.space, Read: b.h.read, Shadow: strict})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*bench{plain, b} {
		x.feed("org-muni", "a", phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345678"))
		x.feed("org-dist", "b", phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345678"))
		x.feed("org-muni", "c", mk("张伟", "1980-05-01", "male", citizen(wei)))
		x.feed("org-dist", "d", mk("张伟", "1980-05-01", "male", citizen(wei)))
		x.only()
		x.want("c", "c d")
	}
	r := report.Reader{Space: b.space}
	if models, err := r.Models(t.Context()); err != nil || !slices.Equal(models, []string{"strict-1"}) {
		t.Errorf("models %v, %v", models, err)
	}
	got, err := r.Compare(t.Context(), "strict-1", 10)
	if err != nil {
		t.Fatal(err)
	}
	if got.Pairs != 2 || got.Verdicts["review -> none"] != 1 || got.Verdicts["link -> link"] != 1 || len(got.Disagreements) != 1 || got.Disagreements[0].A != "a" {
		t.Errorf("%+v", got)
	}
	if models, err := (report.Reader{Space: plain.space}).Models(t.Context()); err != nil || len(models) != 0 {
		t.Errorf("without a shadow: %v, %v", models, err)
	}
}

func TestPagesOfReports(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 7 {
		for j := range 2 {
			n := fmt.Sprintf("p%d-%d", i, j)
			b.feed(fmt.Sprintf("org-%d", i%3), n, mk("张伟", "1980-05-01", "male", citizen(gb(fmt.Sprintf("50011219800501%03d", 2*i+1)))))
		}
	}
	r, ctx := report.Reader{Space: b.space}, t.Context()
	for _, org := range []string{"", "org-0"} {
		whole, _, err := r.Duplicates(ctx, org, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		var paged []report.Duplicates
		for after := ""; ; {
			page, next, err := r.Duplicates(ctx, org, after, 2)
			if err != nil || len(page) > 2 {
				t.Fatal(err, page)
			}
			paged = append(paged, page...)
			if after = next; next == "" {
				break
			}
		}
		if fmt.Sprint(paged) != fmt.Sprint(whole) || len(whole) != map[string]int{"": 7, "org-0": 3}[org] {
			t.Errorf("%q: pages %v, whole %v", org, paged, whole)
		}
	}
}

// TestOutbox: each change of a person is in the outbox until it is announced,
// over restarts too; repeats and rejections are none.
func TestOutbox(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), t.Context()
	outbox := func() string {
		t.Helper()
		list, err := b.x.Outbox(ctx, 100)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range list {
			out = append(out, e.Action)
		}
		return strings.Join(out, " ")
	}
	b.feed("org-muni", "a", phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345678"))
	b.feed("org-dist", "b", phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345678"))
	b.feed("org-dist", "b", phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345679"))
	e := b.decide(b.only().ID, mpi.AnswerReject)
	b.undo(e.ID)
	if got := outbox(); got != "create create" {
		t.Errorf("got %q", got)
	}
	list, _ := b.x.Outbox(ctx, 1)
	if err := b.x.Announced(ctx, list[0].ID); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.decide(b.only().ID, mpi.AnswerLink)
	b.feed("org-muni", "a", nil)
	if got := outbox(); got != "create decide-link retire" {
		t.Errorf("got %q", got)
	}
}
