package mpi

import (
	"cmp"
	"context"
	"slices"

	"hutong/fhir"
	"hutong/mpi/block"
	"hutong/mpi/bulk"
	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/mpi/shelf"
	"hutong/mpi/source"
	"hutong/profiles"
)

const personSystem = profiles.PersonID

// defaultCount is how many candidates a Match gives unless asked otherwise.
const defaultCount = 20

// Match finds the persons who may be the one that a Patient's JSON describes,
// the likeliest first. A person is scored by the member that agrees best, but
// all members are asked: the person is out if any member must be someone else,
// and no more than possible if most of them speak against it.
func (x *Index) Match(ctx context.Context, patientJSON []byte, o MatchOptions) ([]Candidate, error) {
	p, err := source.Read(patientJSON)
	if err != nil {
		return nil, err
	}
	if _, ok := normal.ParseDate(p.BirthDate); !ok && p.BirthDate != "" {
		return nil, fhir.Errorf(fhir.Invalid, "not a date").At("Patient.birthDate")
	}
	query := &row{rec: p.Record("", x.now())}
	keys := block.Keys(query.rec, x.now())
	if len(keys) == 0 {
		return nil, fhir.Errorf(fhir.Unprocessable, "too little is known to look for a person: give an identifier, or a name with a birth date, phone or address").At("Patient")
	}
	found, err := x.search(ctx, query, keys, o.Exclude)
	if err != nil {
		return nil, err
	}
	if found, err = x.byCard(ctx, query.rec, found); err != nil {
		return nil, err
	}
	return narrow(found, o), nil
}

// byCard makes the holder of the query's cards a certain match, unless what
// else the query says contradicts. A query that gives nothing but cards finds
// their one holder or nobody, never two (ID-08).
func (x *Index) byCard(ctx context.Context, q *Record, found []Candidate) ([]Candidate, error) {
	var holders []string
	for i := range q.IDs {
		if id := &q.IDs[i]; id.Valid && (id.Kind.Strong() || id.Kind == normal.EmergencyTemp) {
			current, ended, err := x.holders(ctx, id.Token())
			if err != nil {
				return nil, err
			}
			if len(current) == 0 {
				current = ended
			}
			for _, p := range current {
				holders = addOnce(holders, p)
			}
		}
	}
	if len(holders) == 1 {
		for i := range found {
			if c := &found[i]; c.Person.ID == holders[0] && !contradicts(&c.Explanation) {
				c.Explanation.Grade = score.Certain
				c.Explanation.Rules = Phrases([]link.Reason{link.CardHolder})
			}
		}
	}
	if len(q.Names) > 0 || !q.Birth.IsZero() || len(q.Phones) > 0 || len(q.Addresses) > 0 {
		return found, nil
	}
	return slices.DeleteFunc(found, func(c Candidate) bool { return len(holders) != 1 || c.Person.ID != holders[0] }), nil
}

// contradicts reports that name, birth date or sex speak against the match.
func contradicts(e *Explanation) bool {
	for _, f := range e.Fields {
		switch f.Field {
		case score.Family.String(), score.Given.String(), score.Birth.String(), score.Sex.String():
			if f.Level == "different" {
				return true
			}
		}
	}
	return e.Verdict == link.Never.String()
}

func (x *Index) search(ctx context.Context, query *row, keys []block.Key, exclude fhir.Key) ([]Candidate, error) {
	all, err := x.candidates(ctx, keys)
	if err != nil {
		return nil, err
	}
	best := map[string]*met{}
	for _, a := range all {
		r, err := x.glance(ctx, a.id, a.n)
		if err != nil {
			return nil, err
		}
		if r == nil || r.head.Deleted || r.head.Person == "" || r.key() == exclude {
			continue
		}
		v := x.rules.Decide(query.rec, r.rec, x.now())
		m := best[r.head.Person]
		if m == nil {
			m = &met{row: r, verdict: v}
			best[r.head.Person] = m
		} else if m.yields(r, v) {
			m.row, m.verdict = r, v
		}
		m.card = m.card || v.Kind != link.Never && v.Score.Vector[score.Cards] == score.CardsOne || sharesTemp(query.rec, r.rec)
	}
	var out []Candidate
	for _, id := range sortedKeys(best) {
		m := best[id]
		if m.verdict.Score.Grade == score.CertainlyNot && !m.card {
			continue
		}
		c := Candidate{Person: keyOf(id), Best: m.row.key(), Explanation: x.explain(query.rec, m.row.rec, m.verdict), card: m.card}
		c.Explanation.B = c.Best.String()
		if c.Members, err = x.Members(ctx, c.Person); err != nil {
			return nil, err
		}
		if err := x.askAll(ctx, query, &c); err != nil {
			return nil, err
		}
		if c.Explanation.Grade != score.CertainlyNot || c.card {
			out = append(out, c)
		}
	}
	return out, nil
}

// met is what a query met of a person: the member that says most.
type met struct {
	row     *row
	verdict link.Verdict
	card    bool
}

// yields reports that r says more than the member that was met before: one that
// must be someone else says most, then the likeliest. Ties go by id, so that the
// order of meeting does not matter.
func (m *met) yields(r *row, v link.Verdict) bool {
	never, now := m.verdict.Kind == link.Never, v.Kind == link.Never
	if never != now {
		return now
	}
	if v.Score.Grade == m.verdict.Score.Grade && v.Score.Weight == m.verdict.Score.Weight {
		return r.ID < m.row.ID
	}
	return outranks(v.Score, m.verdict.Score)
}

// askAll holds a query against every member of a candidate, also those that it
// did not meet.
func (x *Index) askAll(ctx context.Context, query *row, c *Candidate) error {
	if len(c.Members) < 2 || c.Explanation.Verdict == link.Never.String() {
		return nil
	}
	against := 0
	for _, k := range c.Members {
		r, err := x.glance(ctx, k.ID, 0)
		if err != nil {
			return err
		}
		if r == nil || k == c.Best {
			continue
		}
		v := x.rules.Decide(query.rec, r.rec, x.now())
		if v.Kind == link.Never {
			c.Best, c.Explanation = k, x.explain(query.rec, r.rec, v)
			c.Explanation.B = k.String()
			return nil
		}
		if v.SpeaksAgainst() {
			against++
		}
	}
	if 2*against > len(c.Members) && gradeRank(c.Explanation.Grade) > gradeRank(score.Possible) {
		c.Explanation.Grade = score.Possible
	}
	return nil
}

// sharesTemp reports an emergency patient's own temporary number.
func sharesTemp(a, b *Record) bool {
	for i := range a.IDs {
		for j := range b.IDs {
			if a.IDs[i].Kind == normal.EmergencyTemp && a.IDs[i].Token() == b.IDs[j].Token() {
				return true
			}
		}
	}
	return false
}

func outranks(a, b score.Result) bool {
	return gradeRank(a.Grade) > gradeRank(b.Grade) || a.Grade == b.Grade && a.Weight > b.Weight
}

func gradeRank(g Grade) int {
	return slices.Index([]Grade{score.CertainlyNot, score.Possible, score.Probable, score.Certain}, g)
}

// narrow sorts candidates and applies the caller's options.
func narrow(found []Candidate, o MatchOptions) []Candidate {
	slices.SortFunc(found, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(gradeRank(b.Explanation.Grade), gradeRank(a.Explanation.Grade)),
			cmp.Compare(b.Explanation.Weight, a.Explanation.Weight), cmp.Compare(a.Person.ID, b.Person.ID))
	})
	certain := 0
	for _, c := range found {
		if c.Explanation.Grade == score.Certain {
			certain++
		}
	}
	if o.OnlyCertain {
		found = found[:certain]
	}
	if o.OnlySingle {
		if len(found) > 1 && found[0].Explanation.Grade == found[1].Explanation.Grade {
			return nil // two people, and nothing says which one is meant
		}
		found = found[:min(len(found), 1)]
	}
	if o.Count == 0 {
		o.Count = defaultCount
	}
	return found[:min(len(found), o.Count)]
}

// candidates are the records that one with these keys is compared with: all that
// share an identifier, first, and the nearest of the others (shelf.Nearest), a
// bound on the time of a feed or a match. Lists that are too long and records that
// are too far are counted (Stats.Skipped): they cost a question in the queue or,
// where the region's model lets demographics link (thresholds.link), a link.
func (x *Index) candidates(ctx context.Context, keys []block.Key) ([]candidate, error) {
	if s := x.lists.Load(); s != nil {
		if met, skipped, ok := s.Near(keys, 0); ok {
			x.stats.skipped.Add(int64(skipped))
			out := make([]candidate, len(met))
			for i := range met {
				out[i] = candidate{s.Text(met[i].N), met[i].N}
			}
			return out, nil
		}
	}
	var texts []string
	numbers, meeting := map[string]uint32{}, shelf.NewMeeting()
	for _, k := range keys {
		ids, over, err := x.posted(ctx, k)
		if err != nil {
			return nil, err
		}
		if over {
			x.stats.skipped.Add(1)
			if k.Pass != block.ByID {
				continue
			}
		}
		list := make([]uint32, len(ids))
		for i, id := range ids {
			n, known := numbers[id]
			if !known {
				n = uint32(len(texts))
				numbers[id], texts = n, append(texts, id)
			}
			list[i] = n
		}
		meeting.Add(list, k.Pass == block.ByID)
	}
	met, passed := meeting.Chosen()
	x.stats.skipped.Add(int64(passed))
	out := make([]candidate, len(met))
	for i := range met {
		out[i].id = texts[met[i].N]
	}
	return out, nil
}

func blockKey(k block.Key, patient string) []byte {
	return append(k.Append([]byte{blockPrefix}), patient...)
}

// posted lists the patients under a block key, at most the pass's cap; over
// says that there are more. Those of an identifier are given all the same.
func (x *Index) posted(ctx context.Context, k block.Key) (ids []string, over bool, err error) {
	if s := x.lists.Load(); s != nil {
		if ids, over, ok := s.List(k); ok && (!over || k.Pass != block.ByID) {
			return ids, over, nil
		}
	}
	from := blockKey(k, "")
	kvs, err := x.space.Scan(ctx, from, behind(from), k.Pass.Cap()+1)
	if err != nil {
		return nil, false, err
	}
	for _, kv := range kvs {
		ids = append(ids, string(kv.Key[len(from):]))
	}
	return ids, len(kvs) > k.Pass.Cap(), nil
}

// mergeWeight puts a hospital's own merge before every link by evidence.
const mergeWeight = 1000

// judge is the rules' verdict on two rows, with what their hospital says of
// them: its own merge of two of its own records counts, unless they must stay
// apart or contradict each other about life and death.
func (x *Index) judge(rules *link.Rules, a, b *row) link.Verdict {
	v := rules.Decide(a.rec, b.rec, x.now())
	life := link.Against(a.rec, b.rec, a.head.Life, b.head.Life)
	if life != "" && v.Kind == link.Link {
		v.Kind, v.Reasons, v.Score.Grade = link.Review, append([]link.Reason{life}, v.Reasons...), score.Probable
	}
	if !merges(a, b) && !merges(b, a) || v.Kind == link.Link {
		return v
	}
	if a.head.Custodian != b.head.Custodian || a.rec.Emergency() || b.rec.Emergency() || link.Apart(a.rec, b.rec) != "" || life != "" {
		v.Kind, v.Reasons = link.Review, append([]link.Reason{link.SourceMerge}, v.Reasons...)
		return v
	}
	v.Kind, v.Reasons = link.Link, []link.Reason{link.SourceMerge}
	v.Score.Weight, v.Score.Grade = mergeWeight, score.Certain
	return v
}

// merges reports that a's hospital says a and b are one record: by the id of
// the other Patient, or by its identifier (ITI-104).
func merges(a, b *row) bool {
	for _, l := range a.head.Links {
		if l.Type != "replaced-by" && l.Type != "replaces" {
			continue
		}
		if l.Other == b.ID || l.Token != "" && carries(b.rec, l.Token) {
			return true
		}
	}
	return false
}

func carries(r *normal.Record, token string) bool {
	return slices.ContainsFunc(r.IDs, func(id normal.Identifier) bool { return id.Token() == token })
}

// comparison is one goroutine's part of compare.
type comparison struct {
	l    *loader
	rows *bulk.Recent[*row]
}

func (w *comparison) meet(a uint32) error {
	r, err := w.rows.Get(a)
	if err != nil || r.head.Deleted {
		return err
	}
	met, skipped, _ := w.l.lists.Near(r.keys, a)
	w.l.x.stats.skipped.Add(int64(skipped))
	for _, m := range met {
		if m.Mutual && m.N > a {
			continue // it meets this one
		}
		if err := w.judge(r, a, m.N); err != nil {
			return err
		}
	}
	return nil
}

func (w *comparison) judge(r *row, a, b uint32) error {
	l := w.l
	other, err := w.rows.Get(b)
	if err != nil || other.head.Deleted {
		return err
	}
	v := l.x.judge(l.x.rules, r, other)
	if v.Kind != link.Link && v.Kind != link.Review {
		return nil
	}
	if v.Kind == link.Link {
		l.mu.Lock()
		l.union.Join(a, b)
		l.mu.Unlock()
	}
	item := bulk.Verdict{A: min(a, b), B: max(a, b), Weight: v.Score.Weight, Probability: v.Score.Probability, Link: v.Kind == link.Link, Reasons: l.reasons.Number(v.Reasons)}
	return l.verdicts.Put(l.compartment(item.A), item.Append(nil))
}
