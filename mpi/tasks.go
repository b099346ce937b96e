package mpi

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/mpi/bulk"
	"hutong/mpi/link"
	"hutong/mpi/score"
)

// Task is one question for a steward: are these two records one person?
type Task struct {
	ID          string        `json:"id"`
	Status      Status        `json:"status"`
	Kind        TaskKind      `json:"kind"`
	Risk        Risk          `json:"risk"`
	A           string        `json:"a"` // Patient ids, A < B
	B           string        `json:"b"`
	Probability float64       `json:"probability"`
	Reasons     []link.Reason `json:"reasons"`
	Created     time.Time     `json:"created"`
	Decision    *Decision     `json:"decision,omitempty"`
	Proposal    string        `json:"proposal,omitempty"` // that waits for a second person
	raw         []byte
}

// Decision is how a task ended.
type Decision struct {
	Decision string    `json:"decision"` // link, reject; or linked, obsolete if the records settled it
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
	Journal  string    `json:"journal"`          // what Undo takes
	Second   string    `json:"second,omitempty"` // who confirmed it
}

// Status of a task.
type Status string

// The states of a task.
const (
	StatusOpen Status = "open"
	StatusDone Status = "done"
)

// TaskKind says why a human is asked.
type TaskKind string

// The kinds of tasks.
const (
	Likely        TaskKind = "likely"        // probability
	Contradiction TaskKind = "contradiction" // same id, other name or sex
	ConflictTask  TaskKind = "conflict"      // a link would join people who must stay apart
	EmergencyTask TaskKind = "emergency"     // an unknown patient shares a card
)

// Risk orders the worklist: what harm a wrong answer does.
type Risk string

// The risks.
const (
	High   Risk = "high"
	Medium Risk = "medium"
	Low    Risk = "low"
)

// rank puts the highest risk first.
func (r Risk) rank() int { return max(slices.Index([]Risk{High, Medium, Low}, r), 0) }

func taskID(a, b string) string {
	a, b = link.Order(a, b)
	h := fnv.New64a()
	_, _ = h.Write([]byte(a + sep + b)) // a hash never fails
	return fmt.Sprintf("t-%016x", h.Sum64())
}

func classify(reasons []link.Reason, probability float64) (TaskKind, Risk) {
	for _, r := range reasons {
		switch r {
		case link.NameContradicts, link.SexContradicts, link.SharedCards, link.TwoDeaths, link.BornAfterDeath, link.DeadAndAlive:
			return Contradiction, High
		case link.Constrained, link.HumanReject:
			return ConflictTask, High
		case link.EmergencyPatient:
			return EmergencyTask, High
		case link.NameMissing, link.SourceMerge:
			return Likely, Medium
		}
	}
	if probability >= 0.99 {
		return Likely, Medium
	}
	return Likely, Low
}

// order is the place of a task in its list: open ones by risk and age, done
// ones newest first.
func (t *Task) order() string {
	if t.Status == StatusDone {
		return taskStatusPrefix + fmt.Sprintf("done/%016x/%s", uint64(1<<62-t.Decision.At.UnixMicro()), t.ID)
	}
	return taskStatusPrefix + fmt.Sprintf("open/%d%016x/%s", t.Risk.rank(), uint64(t.Created.UnixMicro()), t.ID)
}

// setTask stages a task, in its list and under both its records.
func (c *change) setTask(old, t *Task) {
	if old != nil && old.order() != t.order() {
		c.remove(old.order())
	}
	if old == nil {
		c.set(pair(taskOfPrefix, t.A, t.ID), true)
		c.set(pair(taskOfPrefix, t.B, t.ID), true)
	}
	w := put(taskPrefix+t.ID, t)
	if old != nil {
		w = expect(w, old.raw)
	}
	c.write(w)
	c.set(t.order(), t.ID)
}

func (x *Index) task(ctx context.Context, id string) (*Task, error) {
	t := &Task{}
	raw, err := x.load(ctx, taskPrefix+id, t)
	if err != nil || raw == nil {
		return nil, err
	}
	t.raw = raw
	return t, nil
}

// review opens a task for the best doubtful pair with each other person, closes
// what the new state has settled, and asks about links that were refused.
func (c *change) review(ctx context.Context, verdicts map[string]link.Verdict) error {
	wanted, err := c.wanted(ctx, verdicts)
	if err != nil {
		return err
	}
	for _, f := range c.refused {
		id := taskID(f.Edge.A, f.Edge.B)
		wanted[id] = &Task{ID: id, A: f.Edge.A, B: f.Edge.B, Probability: 1, Reasons: []link.Reason{link.Constrained, f.Reason}}
	}
	for _, id := range sortedKeys(wanted) {
		if err := c.open(ctx, wanted[id]); err != nil {
			return err
		}
	}
	return c.closeSettled(ctx, wanted)
}

// wanted picks, for each other person, the pair that most calls for review.
func (c *change) wanted(ctx context.Context, verdicts map[string]link.Verdict) (map[string]*Task, error) {
	self := c.rows[c.subject.ID]
	if self.head.Deleted || self.head.Inactive {
		return map[string]*Task{}, nil
	}
	said, err := c.decisionsOf(ctx, self.ID)
	if err != nil {
		return nil, err
	}
	best := map[string]*Task{} // by the other's person
	for _, id := range sortedKeys(verdicts) {
		v := verdicts[id]
		other, err := c.getRow(ctx, id)
		if err != nil {
			return nil, err
		}
		if v.Kind != link.Review || said[id] != nil || other.head.Inactive || other.head.Person == self.head.Person {
			continue
		}
		a, b := link.Order(self.ID, id)
		t := &Task{ID: taskID(a, b), A: a, B: b, Probability: v.Score.Probability, Reasons: v.Reasons}
		if old := best[other.head.Person]; old == nil || urgency(t) > urgency(old) {
			best[other.head.Person] = t
		}
	}
	out := map[string]*Task{}
	for _, t := range best {
		out[t.ID] = t
	}
	return out, nil
}

func urgency(t *Task) float64 {
	_, risk := classify(t.Reasons, t.Probability)
	return map[Risk]float64{High: 2, Medium: 1, Low: 0}[risk] + t.Probability
}

// open stages a task unless it stands already or was answered by a human.
func (c *change) open(ctx context.Context, t *Task) error {
	var old *Task
	if !c.isNew || t.A != c.subject.ID && t.B != c.subject.ID { // nobody was asked about a record that was not known
		var err error
		if old, err = c.taskRow(ctx, t.ID); err != nil {
			return err
		}
	}
	if old != nil && (old.Status == StatusOpen && slices.Equal(old.Reasons, t.Reasons) || old.Decision != nil && old.Decision.Journal != "") {
		return nil
	}
	t.Status, t.Created = StatusOpen, c.at
	if old != nil && old.Status == StatusOpen {
		t.Created, t.Proposal = old.Created, old.Proposal
	}
	t.Kind, t.Risk = classify(t.Reasons, t.Probability)
	c.setTask(old, t)
	if old == nil || old.Status == StatusDone {
		c.opened++
	}
	return nil
}

// closeSettled ends open tasks of the records that changed: those whose records
// are one person now, and those of the subject that nothing speaks for any more.
func (c *change) closeSettled(ctx context.Context, wanted map[string]*Task) error {
	for _, id := range sortedKeys(c.rows) {
		tasks, err := c.others(ctx, taskOfPrefix, id)
		if err != nil {
			return err
		}
		for _, tid := range sortedKeys(tasks) {
			if wanted[tid] != nil {
				continue
			}
			if err := c.closeTask(ctx, tid); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *change) closeTask(ctx context.Context, id string) error {
	t, err := c.taskRow(ctx, id)
	if err != nil || t == nil || t.Status == StatusDone {
		return err
	}
	a, errA := c.getRow(ctx, t.A)
	b, errB := c.getRow(ctx, t.B)
	if errA != nil || errB != nil || a == nil || b == nil {
		return cmp.Or(errA, errB)
	}
	how := ""
	switch {
	case a.head.Person == b.head.Person && a.head.Person != "":
		how = "linked"
	case c.subject != nil && (t.A == c.subject.ID || t.B == c.subject.ID) && t.Kind != ConflictTask:
		how = "obsolete"
	}
	if how == "" {
		return nil
	}
	done := *t
	done.Status, done.Decision, done.Proposal = StatusDone, &Decision{Decision: how, By: systemActor, At: c.at}, ""
	c.setTask(t, &done)
	return c.moot(ctx, t.Proposal)
}

// QueuePage is one page of the worklist.
type QueuePage struct {
	Tasks      []*Task
	Next       string // "" on the last page
	Open, Done int    // lengths of the lists, counted up to 10,000
}

const countedUpTo = 10_000

// Queue lists tasks of a status: open ones by risk, then oldest first; done
// ones newest first. after is QueuePage.Next of the page before.
func (x *Index) Queue(ctx context.Context, status Status, after string, limit int) (*QueuePage, error) {
	if status != StatusOpen && status != StatusDone {
		return nil, fhir.Errorf(fhir.Invalid, "status is open or done").At("status")
	}
	prefix := taskStatusPrefix + string(status) + "/"
	from := []byte(prefix)
	if after != "" {
		k, err := base64.RawURLEncoding.DecodeString(after)
		if err != nil || !strings.HasPrefix(string(k), prefix) {
			return nil, fhir.Errorf(fhir.Invalid, "not a page of this list").At("after")
		}
		from = append(k, 0)
	}
	kvs, err := x.space.Scan(ctx, from, behind([]byte(prefix)), limit+1)
	if err != nil {
		return nil, err
	}
	page := &QueuePage{}
	if len(kvs) > limit {
		kvs = kvs[:limit]
		page.Next = base64.RawURLEncoding.EncodeToString(kvs[limit-1].Key)
	}
	for _, kv := range kvs {
		var id string
		if json.Unmarshal(kv.Value, &id) != nil {
			return nil, corrupt("value", "qs")
		}
		t, err := x.task(ctx, id)
		if err != nil {
			return nil, err
		}
		if t != nil {
			page.Tasks = append(page.Tasks, t)
		}
	}
	if page.Open, err = x.count(ctx, taskStatusPrefix+"open/"); err != nil {
		return nil, err
	}
	page.Done, err = x.count(ctx, taskStatusPrefix+"done/")
	return page, err
}

func (x *Index) count(ctx context.Context, prefix string) (int, error) {
	kvs, err := x.space.Scan(ctx, []byte(prefix), behind([]byte(prefix)), countedUpTo)
	return len(kvs), err
}

// Task reads one task.
func (x *Index) Task(ctx context.Context, id string) (*Task, error) {
	t, err := x.task(ctx, id)
	if err == nil && t == nil {
		return nil, fhir.Errorf(fhir.NotFound, "no such task")
	}
	return t, err
}

// Explain compares two source Patients by the rules and the model in force.
func (x *Index) Explain(ctx context.Context, a, b fhir.Key) (*Explanation, error) {
	ra, err := x.known(ctx, a)
	if err != nil {
		return nil, err
	}
	rb, err := x.known(ctx, b)
	if err != nil {
		return nil, err
	}
	e := x.explain(ra.rec, rb.rec, x.judge(x.rules, ra, rb))
	e.A, e.B = a.String(), b.String()
	e.Same = ra.head.Person != "" && ra.head.Person == rb.head.Person
	return &e, nil
}

func (x *Index) known(ctx context.Context, k fhir.Key) (*row, error) {
	r, err := x.row(ctx, k.ID)
	if err != nil {
		return nil, err
	}
	if r == nil || k.Type != "Patient" {
		return nil, fhir.Errorf(fhir.NotFound, "the index knows no such record")
	}
	return r, nil
}

func (x *Index) explain(a, b *Record, v link.Verdict) Explanation {
	e := Explanation{
		Probability: v.Score.Probability, Weight: v.Score.Weight, Grade: v.Score.Grade,
		Verdict: v.Kind.String(), Rules: Phrases(v.Reasons), Model: x.model.Version,
	}
	for f := score.Field(0); f < score.Fields; f++ {
		e.Fields = append(e.Fields, x.model.Explain(f, a, b, &v.Score))
	}
	return e
}

// doubt opens a task for the pair of a record with another person that most
// calls for it; none if they are one, or a human has answered.
func (l *loader) doubt(w *bulk.Writer, vs []bulk.Verdict) {
	var best *Task
	for _, v := range vs {
		if l.homes[v.A] == l.homes[v.B] {
			return
		}
		a, b := l.lists.Text(v.A), l.lists.Text(v.B)
		if l.said[a][b] != nil {
			continue
		}
		t := &Task{ID: taskID(a, b), A: a, B: b, Probability: v.Probability, Reasons: l.reasons.List(v.Reasons)}
		if best == nil || cmp.Or(cmp.Compare(urgency(t), urgency(best)), cmp.Compare(best.A, t.A)) > 0 {
			best = t
		}
	}
	if best == nil {
		return
	}
	if _, parted := l.parted.Load(best.ID); !parted {
		l.task(w, best)
	}
}
