package batch

import (
	"cmp"
	"slices"
	"time"

	"hutong/mpi/block"
	"hutong/mpi/normal"
	"hutong/mpi/score"
)

// restsOn tells which fields agree, at least nearly, because a pair met in a pass.
var restsOn = [block.Passes]score.FieldSet{
	block.ByID:          score.SetOf(score.Citizen, score.Cards),
	block.ByIDPrefix:    score.SetOf(score.Citizen, score.Birth),
	block.ByIDRepair:    score.SetOf(score.Citizen),
	block.ByPhone:       score.SetOf(score.Phone),
	block.ByNameYear:    score.SetOf(score.Family, score.Given, score.Birth),
	block.ByFamilyBirth: score.SetOf(score.Family, score.Birth),
	block.ByGivenBirth:  score.SetOf(score.Given, score.Birth),
	block.ByFuzzyYear:   score.SetOf(score.Family, score.Given, score.Birth),
	block.ByNameDay:     score.SetOf(score.Family, score.Given, score.Birth),
	block.ByAddress:     score.SetOf(score.Given, score.Line, score.Place),
	block.ByNamePlace:   score.SetOf(score.Family, score.Given, score.Place),
	block.ByChild:       score.SetOf(score.Birth, score.Place),
}

// place is a record under a key.
type place struct {
	key    block.Key
	record uint32
}

// places are the records under the index's keys, in the order of the keys: a run
// of one key is a list.
type places []place

func byPass(records []*normal.Record, now time.Time) (out places) {
	for i, r := range records {
		for _, k := range block.Keys(r, now) {
			out = append(out, place{k, uint32(i)})
		}
	}
	slices.SortFunc(out, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.key.Pass, b.key.Pass), cmp.Compare(a.key.Hash, b.key.Hash), cmp.Compare(a.record, b.record))
	})
	return out
}

// lists visits the lists that are not too long to be met in.
func (p places) lists(visit func(pass block.Pass, list places)) {
	for len(p) > 0 {
		n := 1
		for n < len(p) && p[n].key == p[0].key {
			n++
		}
		if n <= p[0].key.Pass.Cap() {
			visit(p[0].key.Pass, p[:n])
		}
		p = p[n:]
	}
}

// acquainted is a pair, a < b, and the fields that all its meetings rest on.
type acquainted struct {
	a, b uint32
	by   score.FieldSet
}

// draw gives every step-th pair that meets, about most of them, chosen by their
// hash, so that all meetings of a pair are seen or none.
func (p places) draw(most int) (step int, out []acquainted) {
	total := 0
	p.lists(func(_ block.Pass, list places) { total += len(list) * (len(list) - 1) / 2 })
	step = total/most + 1
	p.lists(func(pass block.Pass, list places) {
		for i := range list {
			for j := i + 1; j < len(list); j++ {
				if a, b := list[i].record, list[j].record; mix(a, b)%uint32(step) == 0 {
					out = append(out, acquainted{a, b, restsOn[pass]})
				}
			}
		}
	})
	slices.SortFunc(out, func(a, b acquainted) int { return cmp.Or(cmp.Compare(a.a, b.a), cmp.Compare(a.b, b.b)) })
	kept := 0
	for _, m := range out {
		if last := kept - 1; last >= 0 && out[last].a == m.a && out[last].b == m.b {
			out[last].by &= m.by
			continue
		}
		out[kept] = m
		kept++
	}
	return step, out[:kept]
}
