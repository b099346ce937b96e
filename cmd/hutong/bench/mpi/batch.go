package mpi

import (
	"bufio"
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"

	"hutong/cmd/hutong/exchange/memory"
	"hutong/mpi/batch"
	"hutong/mpi/normal"
	"hutong/mpi/table"
	"hutong/testdata/people"
)

// mapping maps the columns of people.Columns, all that a file may give.
const mapping = `
id: id
name: name
gender: gender
birthDate: birth
identifiers: [citizen, card, permit]
phone: phone
state: province
city: city
district: district
postalCode: postal
line: line
`

// batch writes a file of n people and matches it.
func (c *Cmd) batch(ctx context.Context, rep *Report, dir string, n int) error {
	defer memory.Spend()() // as 'hutong mpi match' does
	name := filepath.Join(dir, "people.csv")
	truth, err := c.file(name, n)
	if err != nil {
		return err
	}
	rep.add("records", float64(len(truth)), "")
	file := batch.NewFile(people.Today)
	err = c.timed(rep, "read", func() error { return readInto(ctx, name, file) })
	if err != nil {
		return err
	}
	var res *batch.Result
	err = c.timed(rep, "match", func() (err error) {
		res, err = batch.Match(ctx, file, batch.Options{Progress: c.stage()})
		return err
	})
	if err != nil {
		return err
	}
	rep.add("pairs compared", float64(res.Compared), "")
	rep.add("lists passed over", float64(res.Skipped), "")
	rep.add("peak memory", peak(), "MiB")
	s := scoreClusters(truth, res.Clusters)
	rep.add("precision", s.precision(), "")
	rep.add("recall", s.recall(), "")
	c.say("%d records, %d pairs: precision %.5f, recall %.5f", len(truth), res.Compared, s.precision(), s.recall())
	return nil
}

// stage says where the time goes, a line a stage.
func (c *Cmd) stage() func(stage string, done, total int) {
	last := ""
	return func(stage string, _, total int) {
		if stage != last {
			last = stage
			c.say("  %s (%d), %.1f s of processor so far", stage, total, spent().Seconds())
		}
	}
}

// file writes a table of n people and gives who each row is.
func (c *Cmd) file(name string, n int) (truth []int, err error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := bufio.NewWriter(f)
	w := csv.NewWriter(b)
	err = w.Write(people.Columns)
	people.Generate(c.Seed, n, func(r people.Record) bool {
		truth = append(truth, r.Person)
		err = w.Write(r.Row())
		return err == nil
	})
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	if err == nil {
		err = b.Flush()
	}
	return truth, err
}

func readInto(ctx context.Context, name string, file *batch.File) error {
	m, err := table.ParseMapping([]byte(mapping))
	if err != nil {
		return err
	}
	src, err := os.Open(name)
	if err != nil {
		return err
	}
	defer src.Close()
	ready := func(r *normal.Record) batch.Entry { return batch.NewEntry(r, people.Today) }
	_, err = table.Read(ctx, strconv.Quote(filepath.Base(name)), src, m, people.Today, ready, file.Take, nil)
	return err
}

// scores counts pairs of records.
type scores struct{ found, real, hit int }

func (s scores) precision() float64 { return float64(s.hit) / float64(max(1, s.found)) }
func (s scores) recall() float64    { return float64(s.hit) / float64(max(1, s.real)) }

// scoreClusters counts the pairs that clusters join against those of the truth.
func scoreClusters(truth, clusters []int) scores {
	pairs := func(n int) int { return n * (n - 1) / 2 }
	type both struct{ truth, cluster int }
	t, k, b := map[int]int{}, map[int]int{}, map[both]int{}
	for i := range truth {
		t[truth[i]]++
		k[clusters[i]]++
		b[both{truth[i], clusters[i]}]++
	}
	var s scores
	for _, n := range t {
		s.real += pairs(n)
	}
	for _, n := range k {
		s.found += pairs(n)
	}
	for _, n := range b {
		s.hit += pairs(n)
	}
	return s
}
