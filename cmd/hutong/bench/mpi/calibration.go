package mpi

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/testdata/people"
)

// calibration holds the probabilities that the index gives to pairs without a
// citizen id in common against how many of them are of one person. Twins and
// records without a name are left out: rules judge them, not probability.
func (c *Cmd) calibration(ctx context.Context, rep *Report, all []people.Record) error {
	model, err := score.Default()
	if err != nil {
		return err
	}
	model = model.ForRegion(c.region(c.Accuracy), 0)
	records, err := recordsOf(all)
	if err != nil {
		return err
	}
	var bins [len(binFrom)]bin
	predicted, observed := model.Thresholds.Expect(), model.Thresholds.Expect()
	err = met(ctx, records, func(a, b int) {
		if r := model.Score(records[a], records[b]); judged(records[a], records[b], &r) {
			same := 0.0
			if all[a].Person == all[b].Person {
				same = 1
			}
			bins[binOf(r.Probability)].add(r.Probability, same)
			predicted.Add(r.Probability, r.Probability, 1)
			observed.Add(r.Probability, same, 1)
		}
	})
	p, o := predicted.Shares(), observed.Shares()
	for _, name := range slices.Sorted(maps.Keys(o)) {
		c.errs(rep, name+": of two people from it on", p[name].Wrong, o[name].Wrong)
		c.errs(rep, name+": of one person below it", p[name].Missed, o[name].Missed)
	}
	pairs, gap := 0.0, 0.0
	for i, b := range bins {
		pairs += b.pairs
		gap += math.Abs(b.predicted - b.observed)
		if b.pairs > 0 {
			name := fmt.Sprintf("calibration, probability from %g", binFrom[i])
			rep.add(name+": pairs", b.pairs, "")
			rep.add(name+": predicted", b.predicted/b.pairs, "")
			rep.add(name+": observed", b.observed/b.pairs, "")
			c.say("%s: %.0f pairs, predicted %.6f, observed %.6f", name, b.pairs, b.predicted/b.pairs, b.observed/b.pairs)
		}
	}
	rep.add("calibration: expected calibration error", gap/max(pairs, 1), "")
	c.say("expected calibration error %.6f over %.0f pairs", gap/max(pairs, 1), pairs)
	return err
}

// errs reports a share of errors of a threshold.
func (c *Cmd) errs(rep *Report, what string, predicted, observed float64) {
	rep.add("threshold "+what+": predicted", predicted, "")
	rep.add("threshold "+what+": observed", observed, "")
	c.say("threshold %s: predicted %.6f, observed %.6f", what, predicted, observed)
}

// binFrom is where each bin of probabilities begins.
var binFrom = [...]float64{0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 0.9999}

func binOf(p float64) int {
	for i := len(binFrom) - 1; i > 0; i-- {
		if p >= binFrom[i] {
			return i
		}
	}
	return 0
}

// bin is the pairs of about one probability.
type bin struct{ pairs, predicted, observed float64 }

func (b *bin) add(p, same float64) {
	b.pairs++
	b.predicted += p
	b.observed += same
}

func judged(a, b *normal.Record, r *score.Result) bool {
	return r.Vector[score.Citizen] == score.Silent && a.Name() != nil && b.Name() != nil && !a.Multiple && !b.Multiple
}
