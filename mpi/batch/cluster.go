package batch

import (
	"cmp"
	"math"
	"slices"

	"hutong/mpi/score"
)

// cluster divides the records into persons. What hangs together by likely
// pairs is divided by itself, each component in turn.
func (r *run) cluster() {
	root := make([]int, r.file.Len())
	for i := range root {
		root[i] = i
	}
	for i := range r.likely {
		p := &r.likely[i]
		join(root, int(p.a), int(p.b))
	}
	order := make([]uint64, len(r.likely)) // component, then pair, the likeliest first
	for i := range r.likely {
		order[i] = uint64(find(root, int(r.likely[i].a)))<<32 | uint64(i)
	}
	slices.Sort(order)
	for i := range root {
		root[i] = i
	}
	d := &division{run: r, root: root, group: map[int][]int{}, partner: map[int]bool{}, weights: map[uint64]float64{}}
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && order[to]>>32 == order[from]>>32 {
			to++
		}
		d.component(order[from:to])
		from = to
	}
	r.res.Clusters = root
}

func find(root []int, i int) int {
	for root[i] != i {
		root[i] = root[root[i]]
		i = root[i]
	}
	return i
}

func join(root []int, a, b int) {
	a, b = find(root, a), find(root, b)
	root[max(a, b)] = min(a, b)
}

// division divides one component after another. root, of the records divided,
// is the lowest record of their group.
type division struct {
	*run
	root    []int
	group   map[int][]int // by root; of one record alone nothing
	partner map[int]bool
	weights map[uint64]float64
}

// component joins its records from the likeliest pair down. Two groups join
// only if the pairs across them agree on the whole: the mean of their log-odds,
// each bounded and the pair at hand included, must reach that of Auto, so that one weak bridge
// does not join two persons, and a doubtful pair joins where the rest speaks
// for it. Pairs that never met are compared now. One-to-one is greedy: the
// likeliest pair first.
func (d *division) component(pairs []uint64) {
	clear(d.group)
	clear(d.partner)
	clear(d.weights)
	for _, at := range pairs {
		p := &d.likely[uint32(at)]
		d.weights[p.word()] = p.logOdds
	}
	for _, at := range pairs {
		p := &d.likely[uint32(at)]
		a, b := d.root[p.a], d.root[p.b]
		if d.o.OneToOne && (score.Probability(p.logOdds) < d.o.Auto || d.partner[int(p.a)] || d.partner[int(p.b)]) || a != b && !d.agree(d.members(a), d.members(b)) {
			continue
		}
		d.partner[int(p.a)], d.partner[int(p.b)] = true, true
		d.merge(min(a, b), max(a, b))
	}
}

func (d *division) members(root int) []int {
	if g := d.group[root]; g != nil {
		return g
	}
	return []int{root}
}

func (d *division) merge(a, b int) {
	if a == b {
		return
	}
	more := d.members(b)
	for _, i := range more {
		d.root[i] = a
	}
	d.group[a] = append(d.members(a), more...)
	delete(d.group, b)
}

func (d *division) agree(as, bs []int) bool {
	sum, n := 0.0, 0.0
	for _, a := range as {
		for _, b := range bs {
			if d.across(min(a, b), max(a, b)) {
				sum += vote(d.weight(min(a, b), max(a, b)))
				n++
			}
		}
	}
	return n == 0 || sum/n >= math.Log2(d.o.Auto/(1-d.o.Auto))
}

// certain is the most that one pair counts for or against, in log2 odds. The
// fields of a badly damaged record are not damaged one by one, so that sums go
// further than they are to be believed: five copies that agree are not outvoted
// by the one that says nothing right.
const certain = 6

// vote is what a pair counts. What rules forbid stays forbidden.
func vote(w float64) float64 {
	if w <= score.Never {
		return w
	}
	return min(max(w, -certain), certain)
}

func (d *division) weight(a, b int) float64 {
	k := uint64(a)<<32 | uint64(b)
	w, met := d.weights[k]
	if !met {
		w = d.weigh(d.comparer.Compare(a, b), a, b, math.Inf(-1))
		d.weights[k] = w
	}
	return w
}

// report lists the likely pairs, and those that are together in a cluster by
// way of others, so that the pairs and the clusters say the same.
func (r *run) report() {
	listed := make(map[uint64]bool)
	for i := range r.likely {
		p := &r.likely[i]
		auto := r.res.Clusters[p.a] == r.res.Clusters[p.b]
		r.res.Pairs = append(r.res.Pairs, Pair{int(p.a), int(p.b), score.Probability(p.logOdds), p.logOdds, auto})
		if auto {
			listed[p.word()] = true
		}
	}
	groups := map[int][]int{}
	for i, root := range r.res.Clusters {
		if root != i {
			groups[root] = append(groups[root], i)
		}
	}
	for root, g := range groups {
		g = append([]int{root}, g...)
		for i, a := range g {
			for _, b := range g[i+1:] {
				if r.across(a, b) && !listed[uint64(a)<<32|uint64(b)] {
					w := r.weigh(r.comparer.Compare(a, b), a, b, math.Inf(-1))
					r.res.Pairs = append(r.res.Pairs, Pair{a, b, score.Probability(w), w, true})
				}
			}
		}
	}
	slices.SortFunc(r.res.Pairs, func(x, y Pair) int {
		return cmp.Or(cmp.Compare(y.Weight, x.Weight), cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B))
	})
}
