package batch

import (
	"cmp"
	"math"
	"runtime"
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
	workers := runtime.GOMAXPROCS(0)
	side(workers, workers, func(w int) {
		d := &division{run: r, root: root, group: map[int][]int{}, partner: map[int]bool{}, weights: map[uint64]float64{}, comparer: score.NewComparer(r.file.people)}
		from, last := border(order, w*len(order)/workers), border(order, (w+1)*len(order)/workers)
		for from < last {
			to := border(order, from+1)
			d.component(order[from:to])
			from = to
		}
	})
	r.res.Clusters = root
}

// border is where the first component begins at or behind a place in order.
func border(order []uint64, at int) int {
	for at > 0 && at < len(order) && order[at]>>32 == order[at-1]>>32 {
		at++
	}
	return at
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
	comparer *score.Comparer
	root     []int
	group    map[int][]int // by root; of one record alone nothing
	partner  map[int]bool
	weights  map[uint64]float64
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
	size := make([]uint32, len(r.res.Clusters))
	for _, root := range r.res.Clusters {
		size[root]++
	}
	many := func(root int) bool { return size[root] > 2 } // the pair that made a cluster of two is a likely one
	listed := make(map[uint64]bool)
	r.res.Pairs = make([]Pair, 0, len(r.likely))
	for i := range r.likely {
		p := &r.likely[i]
		root := r.res.Clusters[p.a]
		auto := root == r.res.Clusters[p.b]
		r.res.Pairs = append(r.res.Pairs, Pair{int(p.a), int(p.b), score.Probability(p.logOdds), p.logOdds, auto})
		if auto && many(root) {
			listed[p.word()] = true
		}
	}
	groups := map[int][]int{}
	for i, root := range r.res.Clusters {
		if many(root) {
			groups[root] = append(groups[root], i)
		}
	}
	comparer := score.NewComparer(r.file.people)
	for _, g := range groups {
		for i, a := range g {
			for _, b := range g[i+1:] {
				if r.across(a, b) && !listed[uint64(a)<<32|uint64(b)] {
					w := r.weigh(comparer.Compare(a, b), a, b, math.Inf(-1))
					r.res.Pairs = append(r.res.Pairs, Pair{a, b, score.Probability(w), w, true})
				}
			}
		}
	}
	sortAtOnce(r.res.Pairs, func(x, y Pair) int {
		if x.Weight != y.Weight {
			return cmp.Compare(y.Weight, x.Weight)
		}
		return cmp.Or(cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B))
	})
}

// sortAtOnce sorts on all processors: a part on each, which are then merged. No
// two items are equal.
func sortAtOnce[T any](list []T, order func(x, y T) int) {
	parts := runtime.GOMAXPROCS(0)
	if len(list) < 1<<14 || parts < 2 {
		slices.SortFunc(list, order)
		return
	}
	end := func(i int) int { return len(list) * i / parts }
	side(parts, parts, func(i int) { slices.SortFunc(list[end(i):end(i+1)], order) })
	room := make([]T, len(list))
	for i := 1; i < parts; i++ { // one part after the other: they are as many as processors
		room = merge(room[:0], list[:end(i)], list[end(i):end(i+1)], order)
		copy(list, room)
	}
}

func merge[T any](out, a, b []T, order func(x, y T) int) []T {
	for len(a) > 0 && len(b) > 0 {
		if order(a[0], b[0]) < 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
