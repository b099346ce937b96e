package batch

import "math"

// cluster joins records from the likeliest pair down. Two groups join only if
// the pairs across them agree on the whole: the mean of their log-odds, the
// pair at hand included, must reach that of Auto, so that one weak bridge does
// not join two persons, and a doubtful pair joins where the rest speaks for it.
// Pairs that never met in a block are compared now. One-to-one is greedy: the
// likeliest pair first.
func (r *run) cluster() {
	c := &clusters{root: make([]int, len(r.records)), group: make([][]int, len(r.records)), partner: make([]bool, len(r.records))}
	for i := range r.records {
		c.root[i], c.group[i] = i, []int{i}
	}
	for i := range r.res.Pairs {
		p := &r.res.Pairs[i]
		if r.o.OneToOne && (p.Probability < r.o.Auto || c.partner[p.A] || c.partner[p.B]) {
			continue
		}
		a, b := c.root[p.A], c.root[p.B]
		if a != b && !r.agree(c.group[a], c.group[b]) {
			continue
		}
		c.partner[p.A], c.partner[p.B] = true, true
		c.join(min(a, b), max(a, b))
	}
	for i := range r.res.Pairs {
		p := &r.res.Pairs[i]
		p.Auto = c.root[p.A] == c.root[p.B]
	}
	r.res.Clusters = c.root
}

func (r *run) agree(as, bs []int) bool {
	sum, n := 0.0, 0.0
	for _, a := range as {
		for _, b := range bs {
			if r.across(min(a, b), max(a, b)) {
				sum += r.weight(min(a, b), max(a, b))
				n++
			}
		}
	}
	return n == 0 || sum/n >= math.Log2(r.o.Auto/(1-r.o.Auto))
}

func (r *run) weight(a, b int) float64 {
	k := [2]int32{int32(a), int32(b)}
	w, met := r.weights[k]
	if !met {
		w = r.model.ScoreFile(r.records[a], r.records[b]).LogOdds
		r.weights[k] = w
	}
	return w
}

// transitive adds the pairs that are together in a cluster by way of others,
// so that the pairs and the clusters say the same.
func (r *run) transitive() {
	listed := make(map[[2]int]bool, len(r.res.Pairs))
	for _, p := range r.res.Pairs {
		listed[[2]int{p.A, p.B}] = true
	}
	groups := map[int][]int{}
	for i, root := range r.res.Clusters {
		groups[root] = append(groups[root], i)
	}
	for _, g := range groups {
		for i, a := range g {
			for _, b := range g[i+1:] {
				if r.across(a, b) && !listed[[2]int{a, b}] {
					s := r.model.ScoreFile(r.records[a], r.records[b])
					r.res.Pairs = append(r.res.Pairs, Pair{A: a, B: b, Probability: s.Probability, Weight: s.LogOdds, Auto: true})
				}
			}
		}
	}
	r.sort()
}

type clusters struct {
	root    []int
	group   [][]int
	partner []bool
}

func (c *clusters) join(a, b int) {
	if a == b {
		return
	}
	for _, i := range c.group[b] {
		c.root[i] = a
	}
	c.group[a] = append(c.group[a], c.group[b]...)
	c.group[b] = nil
}
