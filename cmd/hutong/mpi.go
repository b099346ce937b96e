package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hutong/mpi/batch"
	"hutong/mpi/normal"
	"hutong/mpi/table"
)

type mpiCmd struct {
	Match mpiMatchCmd `cmd:"" help:"Find the records of one person in plain CSV files, without labels."`
	Train mpiTrainCmd `cmd:"" help:"Estimate a model of the index from a CSV file, without labels."`
}

type mpiMatchCmd struct {
	In       string `required:"" type:"existingfile" help:"CSV file: UTF-8, comma, a header row." placeholder:"A.csv"`
	With     string `type:"existingfile" help:"Second file of the same columns: only pairs across the two count." placeholder:"B.csv"`
	Map      string `required:"" type:"existingfile" help:"YAML: our field to the file's column or list of columns. Fields: id, name, given, family, birthDate, gender, phone, line, city, district, postalCode, state, birthPlace, occupation, identifiers. What is not mapped is not used." placeholder:"MAP.yaml"`
	Pairs    string `required:"" type:"path" help:"To write: a,b,probability,decision; decision is auto or possible." placeholder:"PAIRS.csv"`
	Clusters string `required:"" type:"path" help:"To write: id,cluster of every record, from the auto decisions." placeholder:"CLUSTERS.csv"`
	OneToOne bool   `help:"With --with: at most one partner each, assigned greedily from the likeliest pair down."`
}

// Run reads, matches and writes. Nothing is written unless all of it can be.
func (c *mpiMatchCmd) Run(ctx context.Context) error {
	if c.OneToOne && c.With == "" {
		return fmt.Errorf("--one-to-one needs --with: within one file nobody has a partner of his own")
	}
	say := newProgress(os.Stderr)
	now := time.Now()
	file := batch.NewFile(now)
	ready := func(r *normal.Record) batch.Entry { return batch.NewEntry(r, now) }
	a, err := readTable(ctx, c.Map, c.In, say, ready, file.Take)
	if err != nil {
		return err
	}
	o := batch.Options{OneToOne: c.OneToOne, Progress: say.step}
	ids := a.IDs
	var origin func(int) string
	if c.With != "" {
		b, err := readTable(ctx, c.Map, c.With, say, ready, file.Take)
		if err != nil {
			return err
		}
		o.Split = len(ids)
		if overlap(ids, b.IDs) {
			origin = func(i int) string { return filepath.Base([]string{c.In, c.With}[flagOf(i >= o.Split)]) }
			say.line("ids occur in both files: %s gets a third column, file", c.Clusters)
		}
		ids = slices.Concat(ids, b.IDs)
	}
	r, err := batch.Match(ctx, file, o)
	if err != nil {
		return err
	}
	if err := writeFile(c.Pairs, func(w io.Writer) error { return table.WritePairs(w, ids, r.Pairs) }); err != nil {
		return err
	}
	if err := writeFile(c.Clusters, func(w io.Writer) error { return table.WriteClusters(w, ids, r.Clusters, origin) }); err != nil {
		return err
	}
	auto := 0
	for _, p := range r.Pairs {
		auto += flagOf(p.Auto)
	}
	say.line("%d records, %d pairs compared, %d auto, %d possible, %d block lists passed over as too long", len(ids), r.Compared, auto, len(r.Pairs)-auto, r.Skipped)
	return nil
}

type mpiTrainCmd struct {
	In  string `required:"" type:"existingfile" help:"CSV file: UTF-8, comma, a header row." placeholder:"A.csv"`
	Map string `required:"" type:"existingfile" help:"YAML: our field to the file's column, as for match." placeholder:"MAP.yaml"`
	Out string `required:"" type:"path" help:"Model to write." placeholder:"MODEL.json"`
}

// Run estimates the levels' rates and the prior; thresholds and the
// frequencies of names stay those of the built-in model.
func (c *mpiTrainCmd) Run(ctx context.Context) error {
	say := newProgress(os.Stderr)
	var records []*normal.Record
	_, err := readTable(ctx, c.Map, c.In, say,
		func(r *normal.Record) *normal.Record { return r }, func(r *normal.Record) { records = append(records, r) })
	if err != nil {
		return err
	}
	version := "trained-" + time.Now().UTC().Format("20060102T150405Z")
	m, err := batch.Train(ctx, records, version, time.Now(), batch.Options{Progress: say.step})
	if err != nil {
		return err
	}
	return writeFile(c.Out, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(m)
	})
}

// readTable reads one file under the mapping, as table.Read does, and says what
// it left unused.
func readTable[T any](ctx context.Context, mapping, name string, say *progress, ready func(*normal.Record) T, take func(T)) (*table.File, error) {
	text, err := os.ReadFile(mapping)
	if err != nil {
		return nil, err
	}
	m, err := table.ParseMapping(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", mapping, err)
	}
	src, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	f, err := table.Read(ctx, name, src, m, time.Now(), ready, take, func(rows int) { say.step("read "+filepath.Base(name), rows, 0) })
	if err != nil {
		return nil, fmt.Errorf("rows that cannot be used:\n%w", err)
	}
	if f.Dates > 0 {
		say.line("%s: %d birth dates are not readable and are not used, the first in line %d", name, f.Dates, f.DateAt)
	}
	return f, nil
}

func overlap(a, b []string) bool {
	seen := make(map[string]bool, len(a))
	for _, id := range a {
		seen[id] = true
	}
	return slices.ContainsFunc(b, func(id string) bool { return seen[id] })
}

func flagOf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// writeFile writes beside the target and renames, so that a failure leaves no
// half of a file.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already where all went well
	w := bufio.NewWriter(f)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Chmod(0o644)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// progress tells a person how far a run is, at most once a second.
type progress struct {
	out  io.Writer
	last time.Time
}

func newProgress(out io.Writer) *progress { return &progress{out: out, last: time.Now()} }

func (p *progress) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// step reports done of total; a total of 0 is not known.
func (p *progress) step(stage string, done, total int) {
	if time.Since(p.last) < time.Second {
		return
	}
	p.last = time.Now()
	if total > 0 {
		p.line("%s: %d of %d", stage, done, total)
	} else {
		p.line("%s: %d", stage, done)
	}
}
