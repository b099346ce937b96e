package batch

import "math"

// cluster joins records from the likeliest pair down. Two groups join only if
// the pairs across them agree on the whole: the mean of their log-odds, the
// pair at hand included, must be positive, so that one weak bridge does not
// join two persons. Pairs that never met in a block are compared now.
func (r *run) cluster() {
	c := &clusters{root: make([]int, len(r.records)), group: make([][]int, len(r.records)), partner: make([]bool, len(r.records))}
	for i := range r.records {
		c.root[i], c.group[i] = i, []int{i}
	}
	for i := range r.res.Pairs {
		p := &r.res.Pairs[i]
		if p.Probability < r.o.Auto {
			break
		}
		if r.o.OneToOne && (c.partner[p.A] || c.partner[p.B]) {
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
	offset := math.Log2(r.model.Prior / (1 - r.model.Prior))
	for _, a := range as {
		for _, b := range bs {
			if r.across(min(a, b), max(a, b)) {
				sum += r.weight(min(a, b), max(a, b)) + offset
				n++
			}
		}
	}
	return n == 0 || sum/n > 0
}

func (r *run) weight(a, b int) float64 {
	k := [2]int32{int32(a), int32(b)}
	w, met := r.weights[k]
	if !met {
		w = r.model.Score(r.records[a], r.records[b]).Weight
		r.weights[k] = w
	}
	return w
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
