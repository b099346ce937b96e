package batch_test

import (
	"fmt"
	"math"
	"testing"

	"hutong/mpi/batch"
	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/mpi/source"
	"hutong/testdata/people"
)

// TestTrainedRatesAreTheTrue: how often the records of one person agree in a field
// is found without labels, though pairs meet because fields agree.
func TestTrainedRatesAreTheTrue(t *testing.T) {
	t.Parallel()
	all := people.All(5, 4000)
	records := make([]*normal.Record, len(all))
	persons := map[int][]int{}
	for i := range all {
		p, err := source.Read(all[i].Patient())
		if err != nil {
			t.Fatal(err)
		}
		records[i] = p.Record(fmt.Sprint("hospital-", all[i].Hospital), people.Today)
		persons[all[i].Person] = append(persons[all[i].Person], i)
	}
	m, err := batch.Train(t.Context(), records, "test", people.Today, batch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var agree, said [score.AllFields]float64
	below, pairs := 0.0, 0.0
	for _, of := range persons {
		for i, a := range of {
			for _, b := range of[i+1:] {
				if pairs++; m.Score(records[a], records[b]).Probability < m.Thresholds.Probable {
					below++
				}
				for f, l := range score.Compare(records[a], records[b]) {
					if l != score.Silent {
						said[f]++
					}
					if l == 1 {
						agree[f]++
					}
				}
			}
		}
	}
	for _, f := range []score.Field{score.Citizen, score.Family, score.Given, score.Birth, score.Sex, score.Phone, score.Line, score.Place} {
		got, want := m.Rates(f, 1).M, agree[f]/said[f]
		if math.Abs(got-want) > 0.01 {
			t.Errorf("%s agrees in %.4f of the pairs of one person, in truth in %.4f", f, got, want)
		}
	}
	if got, want := m.Expected["probable"].Missed, below/pairs; math.Abs(got-want) > 0.01 {
		t.Errorf("%.4f of the pairs of one person are expected below probable, in truth %.4f", got, want)
	}
	if certain, review := m.Expected["certain"], m.Expected["review"]; certain.Wrong >= review.Wrong || certain.Missed <= review.Missed || review.Wrong > 0.05 {
		t.Errorf("certain %+v, review %+v", certain, review)
	}
}
