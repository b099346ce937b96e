package link

import (
	"cmp"
	"slices"
)

// Edge is a reason to hold two records for one person. A < B.
type Edge struct {
	A, B   string // record ids
	Must   bool   // a human said so
	Weight float64
}

// Order puts the ends of an edge in order.
func Order(a, b string) (string, string) {
	if b < a {
		return b, a
	}
	return a, b
}

// Refusal is an edge that could not be followed: a pair across the two groups
// must stay apart, or most pairs across them contradict each other.
type Refusal struct {
	Edge   Edge
	Apart  [2]string // the pair that stands against it; the first of several
	Reason Reason
}

// Relation is how two records stand to each other beside the edges.
type Relation struct {
	Apart   Reason // never in one group; "" if they may be
	Against bool   // their own evidence speaks for two people
}

// Relate tells how two records stand to each other. human is set for the sake
// of a link that a human made: only other humans' rejections count then.
type Relate func(a, b string, human bool) Relation

// Partition divides records into persons. It follows the edges from the
// strongest to the weakest and joins two groups unless some pair across them
// must stay apart, or more than half of the pairs across them speak against it:
// a bridge of one damaged record between two people is cut, not crossed. Human
// links come first and yield only to human rejections. The outcome does not
// depend on the order of ids or edges. Groups and their members are sorted.
func Partition(ids []string, edges []Edge, relate Relate) ([][]string, []Refusal) {
	p := newPartition(ids)
	edges = slices.Clone(edges)
	slices.SortFunc(edges, func(x, y Edge) int {
		return cmp.Or(bools(y.Must, x.Must), cmp.Compare(y.Weight, x.Weight), cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B))
	})
	why := map[Edge]Refusal{}
	// A group that grew may carry a bridge that was too weak before, so the
	// edges are walked until nothing joins any more.
	for p.walk(edges, relate, why) {
	}
	return p.result(), p.refusals(edges, why)
}

// walk follows the edges once and reports whether any two groups joined.
func (p *partition) walk(edges []Edge, relate Relate, why map[Edge]Refusal) (joined bool) {
	for _, e := range edges {
		a, b := p.find(e.A), p.find(e.B)
		if a == "" || b == "" || a == b || !e.Must && p.held(a, b) {
			continue
		}
		if pair, reason := p.conflict(a, b, e, relate); reason != "" {
			why[e] = Refusal{e, pair, reason}
			p.hold(a, b)
			continue
		}
		p.join(a, b)
		joined = true
	}
	return joined
}

// refusals gives, for each two groups that an edge would join, the strongest
// one that was refused.
func (p *partition) refusals(edges []Edge, why map[Edge]Refusal) (out []Refusal) {
	told := map[[2]string]bool{}
	for _, e := range edges {
		a, b := Order(p.find(e.A), p.find(e.B))
		r, refused := why[e]
		if a == b || !refused || told[[2]string{a, b}] {
			continue
		}
		told[[2]string{a, b}] = true
		out = append(out, r)
	}
	return out
}

func bools(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return 1
	}
	return -1
}

type partition struct {
	root  map[string]string
	group map[string][]string
	// refused holds the pairs of groups that were refused, with their sizes:
	// a weaker edge between the same two is refused without looking again.
	refused map[[2]string][2]int
}

func newPartition(ids []string) *partition {
	p := &partition{make(map[string]string, len(ids)), make(map[string][]string, len(ids)), map[[2]string][2]int{}}
	for _, id := range ids {
		p.root[id] = id
		p.group[id] = []string{id}
	}
	return p
}

func (p *partition) find(id string) string { return p.root[id] }

func (p *partition) held(a, b string) bool {
	a, b = Order(a, b)
	return p.refused[[2]string{a, b}] == [2]int{len(p.group[a]), len(p.group[b])}
}

func (p *partition) hold(a, b string) {
	a, b = Order(a, b)
	p.refused[[2]string{a, b}] = [2]int{len(p.group[a]), len(p.group[b])}
}

// conflict finds what stands against joining the groups of an edge. Of several
// pairs it names the first in order, so that the outcome does not depend on
// how the groups came about.
func (p *partition) conflict(a, b string, e Edge, relate Relate) (pair [2]string, reason Reason) {
	against, pairs := 0, len(p.group[a])*len(p.group[b])
	var doubtful [2]string
	for _, x := range p.group[a] {
		for _, y := range p.group[b] {
			x, y := Order(x, y)
			r := relate(x, y, e.Must)
			if r.Apart != "" && (reason == "" || before([2]string{x, y}, pair)) {
				pair, reason = [2]string{x, y}, r.Apart
			}
			if r.Against {
				if against++; against == 1 || before([2]string{x, y}, doubtful) {
					doubtful = [2]string{x, y}
				}
			}
		}
	}
	if reason == "" && !e.Must && 2*against > pairs {
		return doubtful, WeakBridge
	}
	return pair, reason
}

func before(x, y [2]string) bool { return x[0] < y[0] || x[0] == y[0] && x[1] < y[1] }

func (p *partition) join(a, b string) {
	for _, id := range p.group[b] {
		p.root[id] = a
	}
	p.group[a] = append(p.group[a], p.group[b]...)
	delete(p.group, b)
}

func (p *partition) result() [][]string {
	out := make([][]string, 0, len(p.group))
	for _, g := range p.group {
		slices.Sort(g)
		out = append(out, g)
	}
	slices.SortFunc(out, func(x, y []string) int { return cmp.Compare(x[0], y[0]) })
	return out
}

// Assign gives each group a person id: groups keep the person that most of
// their members had (ties: the person id that sorts first, which is the
// oldest), no person goes to two groups, and the rest get new ids from fresh.
// was maps a record to its person so far, "" if none.
func Assign(groups [][]string, was func(id string) string, fresh func() string) []string {
	type claim struct {
		group, votes int
		person       string
	}
	var claims []claim
	for i, g := range groups {
		votes := map[string]int{}
		for _, id := range g {
			if p := was(id); p != "" {
				votes[p]++
			}
		}
		for p, n := range votes {
			claims = append(claims, claim{i, n, p})
		}
	}
	slices.SortFunc(claims, func(x, y claim) int {
		return cmp.Or(cmp.Compare(y.votes, x.votes), cmp.Compare(x.person, y.person), cmp.Compare(x.group, y.group))
	})
	out := make([]string, len(groups))
	taken := map[string]bool{}
	for _, c := range claims {
		if out[c.group] == "" && !taken[c.person] {
			out[c.group], taken[c.person] = c.person, true
		}
	}
	for i := range out {
		if out[i] == "" {
			out[i] = fresh()
		}
	}
	return out
}
