package storetest

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// Seeds is the variable that sets how many random worlds the oracle tests.
const Seeds = "STORETEST_SEEDS"

const stampStep = time.Minute

func timeUnit(n int) time.Duration { return time.Duration(n) }

func fhirType(s string) fhir.Type { return fhir.Type(s) }

func sortedKeys(m map[fhir.Key]*doc) []fhir.Key {
	return slices.SortedFunc(maps.Keys(m), func(a, b fhir.Key) int { return cmp.Compare(a.String(), b.String()) })
}

// seeds is the number of random worlds.
func seeds() uint64 {
	if n, err := strconv.ParseUint(os.Getenv(Seeds), 10, 16); err == nil {
		return n
	}
	if testing.Short() {
		return 1
	}
	return 2
}

// world grows a random world, remembers what was there at some moments, and
// asks random questions of the engine and of the oracle at each of them.
func (b *bench) world(seed uint64) {
	g, o := newGen(seed), &oracle{b.Defs}
	now := &state{docs: map[fhir.Key]*doc{}}
	var moments []*state
	for i := range 25 {
		b.step(g, now, Now.Add(time.Duration(i)*stampStep))
		if i%8 == 7 || i == 24 {
			moments = append(moments, &state{t: now.t, docs: maps.Clone(now.docs)})
		}
	}
	if b.h.Reopen != nil && seed%2 == 1 {
		b.s = b.h.Reopen()
	}
	questions := b.times(150)
	answered := 0
	for range questions {
		q := g.question(o, moments[len(moments)-1])
		if len(o.ask(moments[len(moments)-1], q)) > 0 {
			answered++
		}
		for _, s := range moments {
			count := 1 + g.IntN(12)
			if b.h.Slow {
				count *= 5
			}
			if diff := b.compare(o, s, q, count); diff != "" {
				b.Errorf("seed %d: %s", seed, b.shrink(o, s, q))
				return
			}
		}
	}
	if answered < questions/3 {
		b.Errorf("seed %d: only %d of %d questions have an answer: they prove little", seed, answered, questions)
	}
}

// step commits some writes and deletions and keeps the oracle's state along.
func (b *bench) step(g *gen, s *state, at time.Time) {
	tx := store.Tx{Now: at}
	named := map[fhir.Key]string{}
	for range 1 + g.IntN(12) {
		src := g.resource()
		op := b.op(fhir.Updated, src)
		if named[op.Key] != "" {
			continue
		}
		if g.chance(15) && s.docs[op.Key] != nil {
			op, src = store.Op{Key: op.Key, Method: fhir.Deleted}, "gone"
		}
		named[op.Key] = src
		tx.Ops = append(tx.Ops, op)
	}
	r, err := b.s.Commit(b.ctx, tx)
	b.must(err)
	s.t = r.T
	for i, v := range r.Versions {
		if tx.Ops[i].Method == fhir.Deleted {
			delete(s.docs, v.Key)
			continue
		}
		s.docs[v.Key] = &doc{Version: v, facts: tx.Ops[i].Facts, src: named[v.Key], values: map[string][]any{}}
	}
}

// compare asks both and tells how they differ, "" if they do not.
func (b *bench) compare(o *oracle, s *state, q *question, count int) string {
	want := o.ask(s, q)
	got, err := b.engine(s, q, count)
	if err != nil {
		return "the engine says " + err.Error()
	}
	if slices.Equal(got, want) {
		return ""
	}
	return fmt.Sprintf("engine %v, oracle %v", got, want)
}

// engine reads all pages of q at s; a wrong total is an error.
func (b *bench) engine(s *state, q *question, count int) ([]string, error) {
	parsed, err := b.Query(q.String())
	if err != nil {
		return nil, fmt.Errorf("parser: %w", err)
	}
	parsed.Restriction, parsed.Count, parsed.Total, parsed.Bare = q.see, count, count%3 != 0, count%2 == 0
	if count%3 == 1 {
		parsed.TotalWithin = []int{1, 20, 300, 5000}[count%4]
	}
	snap, err := b.s.Snapshot(b.ctx, s.t)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	return readAll(b, snap, parsed, s.seen(q))
}

// seen is how many resources of the type the caller may see.
func (s *state) seen(q *question) (n int) {
	for k, d := range s.docs {
		if string(k.Type) == q.typ && q.see.Sees(k, &d.facts, time.Now()) {
			n++
		}
	}
	return n
}

// readAll reads all pages of q and holds the totals against their sum and, of a
// total that may be left out, against the reason to: how many the caller sees.
func readAll(b *bench, snap store.Snapshot, q *search.Query, seen int) ([]string, error) {
	ids := []string{}
	totals := []int{}
	for {
		p, err := snap.Search(b.ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range p.Matches {
			if bare := p.Matches[i].Body.Raw == nil; bare != q.Bare {
				return nil, fmt.Errorf("%s: without a body: %v", p.Matches[i].Key, bare)
			}
		}
		ids = append(ids, idsOf(p.Matches)...)
		totals = append(totals, p.Total)
		if q.After = p.Next; p.Next == nil {
			break
		}
	}
	for _, n := range totals {
		mayBeOut := q.TotalWithin > 0 && len(totals) > 1 && seen > q.TotalWithin/search.TotalDear
		if q.Total && n != len(ids) && !(mayBeOut && n == -1) || !q.Total && n != -1 {
			return nil, fmt.Errorf("totals %v, but %d matches", totals, len(ids))
		}
	}
	return ids, nil
}

// shrink drops what a failing question does not need, and reports.
func (b *bench) shrink(o *oracle, s *state, q *question) string {
	small := *q
	fails := func(t question) bool { return b.compare(o, s, &t, 1000) != "" || b.compare(o, s, &t, 2) != "" }
	for again := true; again; {
		again = false
		for _, t := range smaller(small) {
			if fails(t) {
				small, again = t, true
				break
			}
		}
	}
	diff := b.compare(o, s, &small, 1000)
	if diff == "" {
		diff = "with pages of 2: " + b.compare(o, s, &small, 2)
	}
	out := fmt.Sprintf("%s at %d, seeing %+v: %s", small.String(), s.t, small.see, diff)
	got, _ := b.engine(s, &small, 1000)
	want := o.ask(s, &small)
	for _, id := range append(slices.Clone(got), want...) {
		if slices.Contains(got, id) != slices.Contains(want, id) {
			d := s.docs[fhir.Key{Type: fhir.Type(small.typ), ID: id}]
			if d != nil {
				out += "\nfor example " + d.src + fmt.Sprintf("\nlastUpdated %s", instant(d.LastUpdated))
			}
			break
		}
	}
	if snap, err := b.s.Snapshot(b.ctx, s.t); err == nil {
		if parsed, err := b.Query(small.String()); err == nil {
			parsed.Restriction = small.see
			plan, _ := snap.Explain(b.ctx, parsed)
			out += "\nplan:\n" + plan
		}
		snap.Close()
	}
	return strings.TrimSpace(out)
}

// smaller lists questions with one thing less.
func smaller(q question) []question {
	var out []question
	if !q.see.System {
		t := q
		t.see = search.Unrestricted()
		out = append(out, t)
	}
	if len(q.sort) > 0 {
		t := q
		t.sort = q.sort[1:]
		out = append(out, t)
	}
	for i := range q.clauses {
		t := q
		t.clauses = slices.Delete(slices.Clone(q.clauses), i, i+1)
		out = append(out, t)
		if len(q.clauses[i].values) > 1 {
			t := q
			t.clauses = slices.Clone(q.clauses)
			t.clauses[i].values = t.clauses[i].values[1:]
			out = append(out, t)
		}
	}
	return out
}
