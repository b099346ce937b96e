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

// Refusal is an edge that could not be followed because of a pair that must
// stay apart.
type Refusal struct {
	Edge   Edge
	Apart  [2]string
	Reason Reason
}

// Partition divides records into persons. It follows the edges from the
// strongest to the weakest and joins two groups unless some pair across them
// must stay apart: apart gives the reason or "". Human links come first and
// yield only to human rejections, for which apart is asked with human set. The
// outcome does not depend on the order of ids or edges. Groups and their
// members are sorted.
func Partition(ids []string, edges []Edge, apart func(a, b string, human bool) Reason) ([][]string, []Refusal) {
	p := newPartition(ids)
	edges = slices.Clone(edges)
	slices.SortFunc(edges, func(x, y Edge) int {
		return cmp.Or(bools(y.Must, x.Must), cmp.Compare(y.Weight, x.Weight), cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B))
	})
	var refused []Refusal
	for _, e := range edges {
		a, b := p.find(e.A), p.find(e.B)
		if a == "" || b == "" || a == b {
			continue
		}
		if pair, reason := p.conflict(a, b, e, apart); reason != "" {
			refused = append(refused, Refusal{e, pair, reason})
			continue
		}
		p.join(a, b)
	}
	return p.result(), refused
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
}

func newPartition(ids []string) *partition {
	p := &partition{make(map[string]string, len(ids)), make(map[string][]string, len(ids))}
	for _, id := range ids {
		p.root[id] = id
		p.group[id] = []string{id}
	}
	return p
}

func (p *partition) find(id string) string { return p.root[id] }

func (p *partition) conflict(a, b string, e Edge, apart func(a, b string, human bool) Reason) ([2]string, Reason) {
	for _, x := range p.group[a] {
		for _, y := range p.group[b] {
			if r := apart(x, y, e.Must); r != "" {
				return [2]string{x, y}, r
			}
		}
	}
	return [2]string{}, ""
}

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
