package table

import (
	"encoding/csv"
	"io"
	"strconv"

	"hutong/mpi/batch"
)

// WritePairs writes a,b,probability,decision: decision is auto for records put
// together, possible for pairs that a person should look at. The likeliest
// come first. id gives that of a record, in the order in which they were matched.
func WritePairs(dst io.Writer, id func(i int) string, pairs []batch.Pair) error {
	w := csv.NewWriter(dst)
	if err := w.Write([]string{"a", "b", "probability", "decision"}); err != nil {
		return err
	}
	for _, p := range pairs {
		decision := "possible"
		if p.Auto {
			decision = "auto"
		}
		if err := w.Write([]string{id(p.A), id(p.B), strconv.FormatFloat(p.Probability, 'f', 6, 64), decision}); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// WriteClusters writes id,cluster for every record, numbered from 1 in the
// order of the files. file, if not nil, gives a third column, for two files
// whose ids are not apart.
func WriteClusters(dst io.Writer, id func(i int) string, clusters []int, file func(i int) string) error {
	w := csv.NewWriter(dst)
	header := []string{"id", "cluster"}
	if file != nil {
		header = append(header, "file")
	}
	if err := w.Write(header); err != nil {
		return err
	}
	number, last := make([]uint32, len(clusters)), uint32(0) // by the cluster's first record
	for i, c := range clusters {
		if number[c] == 0 {
			last++
			number[c] = last
		}
		row := []string{id(i), strconv.Itoa(int(number[c]))}
		if file != nil {
			row = append(row, file(i))
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
