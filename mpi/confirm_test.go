package mpi_test

import (
	"slices"
	"testing"

	"hutong/fhir"
	"hutong/mpi"
	"hutong/mpi/link"
	"hutong/profiles"
)

// quarrel makes two records with one citizen id and different names: a task of
// high risk.
func quarrel(b *bench) *mpi.Task {
	b.feed("org-muni", "a", mk("张伟", "1980-05-01", "male", citizen(wei)))
	b.feed("org-dist", "b", mk("李娜", "1980-05-01", "male", citizen(wei)))
	return b.only()
}

func (b *bench) ask(r mpi.Request, actor string) (*mpi.Entry, *mpi.Proposal) {
	b.t.Helper()
	e, p, err := b.x.Ask(b.t.Context(), r, actor, "核对户口簿")
	if err != nil {
		b.t.Fatal(err)
	}
	if (e == nil) == (p == nil) {
		b.t.Fatalf("entry %v and proposal %v", e, p)
	}
	return e, p
}

func (b *bench) refused(kind fhir.Kind, err error, what string) {
	b.t.Helper()
	if fhir.KindOf(err) != kind {
		b.t.Errorf("%s: got %v, want %v", what, err, kind)
	}
}

func TestTwoPeople(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), t.Context()
	task := quarrel(b)
	_, p := b.ask(mpi.Request{Task: task.ID, Answer: mpi.AnswerLink}, "steward.qi")
	if p == nil || p.Risk != mpi.High || !slices.Contains(p.Rules, link.NameContradicts) {
		t.Fatalf("proposal %+v", p)
	}
	b.want("a", "a")
	if got := b.only(); got.Proposal != p.ID {
		t.Errorf("the task does not name its proposal: %+v", got)
	}
	_, _, err := b.x.Ask(ctx, mpi.Request{Task: task.ID, Answer: mpi.AnswerLink}, "steward.ye", "x")
	b.refused(fhir.Conflict, err, "proposed twice")
	_, err = b.x.Decide(ctx, task.ID, mpi.AnswerReject, "steward.ye", "x")
	b.refused(fhir.Conflict, err, "decided past the proposal")
	_, err = b.x.Confirm(ctx, p.ID, "steward.qi", "x")
	b.refused(fhir.Forbidden, err, "confirmed by who proposed it")
	_, err = b.x.Confirm(ctx, p.ID, "steward.ye", " ")
	b.refused(fhir.Unprocessable, err, "confirmed without a reason")
	b.open() // a restart forgets nothing
	e, err := b.x.Confirm(ctx, p.ID, "steward.ye", "已电话核实")
	if err != nil {
		t.Fatal(err)
	}
	b.want("a", "a b")
	if e.Actor != "steward.qi" || e.Second != "steward.ye" || e.Because != "已电话核实" {
		t.Errorf("entry %+v", e)
	}
	if done, _ := b.x.Task(ctx, task.ID); done.Status != mpi.StatusDone || done.Decision.Second != "steward.ye" || done.Proposal != "" {
		t.Errorf("task %+v, decision %+v", done, done.Decision)
	}
	_, err = b.x.Confirm(ctx, p.ID, "steward.ye", "x")
	b.refused(fhir.Conflict, err, "confirmed twice")

	// What two people decided one does not take back.
	_, undo := b.ask(mpi.Request{Journal: e.ID}, "steward.qi")
	if undo == nil {
		t.Fatal("one person undid what two had decided")
	}
	b.want("a", "a b")
	if _, err = b.x.Confirm(ctx, undo.ID, "steward.ye", "确有误"); err != nil {
		t.Fatal(err)
	}
	b.want("a", "a")
	if done, _, err := b.x.Proposals(ctx, true, "", 10); err != nil || len(done) != 2 || done[0].ID != undo.ID || done[1].Status != mpi.Confirmed {
		t.Errorf("ended proposals %+v, %v", done, err)
	}
}

func TestOnePersonIsEnough(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	task := quarrel(b)
	// A rejection parts: it needs nobody else.
	e, _ := b.ask(mpi.Request{Task: task.ID, Answer: mpi.AnswerReject}, "steward.qi")
	if e == nil || e.Second != "" {
		t.Fatalf("entry %+v", e)
	}
	// To take it back joins nobody that evidence would not, but what stood against the link stands again.
	if _, p := b.ask(mpi.Request{Journal: e.ID}, "steward.qi"); p == nil {
		t.Error("a rejection of high risk was undone by one person")
	}
	c := newBench(t)
	one := func() map[string]any { return phone(mk("诸葛雨桐", "1980-05-01", "female"), "13812345678") }
	c.feed("org-muni", "a", one())
	c.feed("org-dist", "b", one())
	if e, _ := c.ask(mpi.Request{Task: c.only().ID, Answer: mpi.AnswerLink}, "steward.qi"); e == nil {
		t.Error("a likely pair of low risk waits for a second person")
	}
	c.want("a", "a b")
}

func TestJoinByTwo(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), t.Context()
	b.feed("org-muni", "nobody", mk("无名氏", "", "male", id(profiles.EmergencyTemp, "E1")))
	b.feed("org-dist", "zhang", mk("张伟", "1980-05-01", "male", citizen(wei)))
	join := mpi.Request{A: "nobody", B: "zhang"}
	_, p := b.ask(join, "steward.qi")
	if p == nil || !slices.Contains(p.Rules, link.EmergencyPatient) {
		t.Fatalf("proposal %+v", p)
	}
	_, _, err := b.x.Ask(ctx, join, "steward.ye", "x")
	b.refused(fhir.Conflict, err, "proposed twice")
	if _, err := b.x.Decline(ctx, p.ID, "steward.qi", "家属否认"); err != nil {
		t.Fatal(err)
	}
	b.want("zhang", "zhang")
	_, again := b.ask(join, "steward.ye")
	if again == nil {
		t.Fatal("a declined proposal cannot be made again")
	}
	if done, _, err := b.x.Proposals(ctx, true, "", 10); err != nil || len(done) != 1 || done[0].Status != mpi.Declined || done[0].By != "steward.qi" {
		t.Errorf("the declined proposal is lost: %+v, %v", done, err)
	}
	if _, err := b.x.Confirm(ctx, again.ID, "steward.qi", "指纹"); err != nil {
		t.Fatal(err)
	}
	b.want("zhang", "nobody zhang")
	_, err = b.x.Proposal(ctx, "w-none")
	b.refused(fhir.NotFound, err, "no such proposal")
	_, _, err = b.x.Ask(ctx, mpi.Request{A: "nobody", B: "none"}, "steward.qi", "x")
	b.refused(fhir.NotFound, err, "a join with nothing")
}

// TestMoot: what the records settle needs no second person any more.
func TestMoot(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), t.Context()
	_, p := b.ask(mpi.Request{Task: quarrel(b).ID, Answer: mpi.AnswerLink}, "steward.qi")
	b.feed("org-dist", "b", mk("张伟", "1980-05-01", "male", citizen(wei)))
	b.want("a", "a b")
	if got, err := b.x.Proposal(ctx, p.ID); err != nil || got.Status != mpi.Moot {
		t.Errorf("proposal %+v, %v", got, err)
	}
	if waiting, _, err := b.x.Proposals(ctx, false, "", 10); err != nil || len(waiting) != 0 {
		t.Errorf("waiting %+v, %v", waiting, err)
	}
}
