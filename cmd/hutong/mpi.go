package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"hutong/cmd/hutong/exchange"
	"hutong/cmd/hutong/exchange/memory"
	"hutong/mpi"
	"hutong/mpi/batch"
	"hutong/mpi/model"
	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/mpi/table"
)

type mpiCmd struct {
	Match  mpiMatchCmd  `cmd:"" help:"Find the records of one person in plain CSV files, without labels."`
	Train  mpiTrainCmd  `cmd:"" help:"Estimate a model of the index from a CSV file, without labels."`
	Load   mpiLoadCmd   `cmd:"" help:"Have the empty index of a stopped exchange take in all Patients of its store at once."`
	Region mpiRegionCmd `cmd:"" help:"Write the index's model for a region of so many people, in which demographics may link unasked."`
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
	out, err := openOutputs([]string{c.In, c.With, c.Map}, c.Pairs, c.Clusters)
	if err != nil {
		return err
	}
	defer out.discard()
	defer memory.Spend()()
	say := newProgress(os.Stderr)
	now := time.Now()
	file := batch.NewFile(now)
	ready := func(r *normal.Record) batch.Entry { return batch.NewEntry(r, now) }
	a, err := readTable(ctx, c.Map, c.In, say, ready, file.Take)
	if err != nil {
		return err
	}
	o := batch.Options{OneToOne: c.OneToOne, Progress: say.step}
	id := a.ID
	var origin func(int) string
	if c.With != "" {
		b, err := readTable(ctx, c.Map, c.With, say, ready, file.Take)
		if err != nil {
			return err
		}
		o.Split = a.Len()
		if overlap(a, b) {
			names := []string{filepath.Base(c.In), filepath.Base(c.With)}
			if names[0] == names[1] {
				names = []string{"in", "with"}
			}
			origin = func(i int) string { return names[flagOf(i >= o.Split)] }
			say.line("ids occur in both files: %s gets a third column, file", c.Clusters)
		}
		id = func(i int) string {
			if i < o.Split {
				return a.ID(i)
			}
			return b.ID(i - o.Split)
		}
	}
	r, err := batch.Match(ctx, file, o)
	if err != nil {
		return err
	}
	if err := out.write(
		func(w io.Writer) error { return table.WritePairs(w, id, r.Pairs) },
		func(w io.Writer) error { return table.WriteClusters(w, id, r.Clusters, origin) },
	); err != nil {
		return err
	}
	auto := 0
	for _, p := range r.Pairs {
		auto += flagOf(p.Auto)
	}
	say.line("%d records, %d pairs compared, %d auto, %d possible, %d block lists passed over as too long", file.Len(), r.Compared, auto, len(r.Pairs)-auto, r.Skipped)
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
	out, err := openOutputs([]string{c.In, c.Map}, c.Out)
	if err != nil {
		return err
	}
	defer out.discard()
	say := newProgress(os.Stderr)
	var records []*normal.Record
	_, err = readTable(ctx, c.Map, c.In, say,
		func(r *normal.Record) *normal.Record { return r }, func(r *normal.Record) { records = append(records, r) })
	if err != nil {
		return err
	}
	version := "trained-" + time.Now().UTC().Format("20060102T150405Z")
	m, err := batch.Train(ctx, records, version, time.Now(), batch.Options{Progress: say.step})
	if err != nil {
		return fmt.Errorf("%s: %w", c.In, err)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Expected)) {
		x := m.Expected[name]
		say.line("from %s on, %.4f%% of the pairs are expected to be of two people; %.3f%% of the pairs of one person lie below", name, 100*x.Wrong, 100*x.Missed)
	}
	return out.writeModel(m)
}

type mpiLoadCmd struct {
	offline
	Scratch string `type:"existingdir" help:"Where a scratch folder is made, about 2 KiB a Patient; default is the data directory." placeholder:"DIR"`
}

// Run loads the index and prints what it made.
func (c *mpiLoadCmd) Run(ctx context.Context) error {
	say, one := newProgress(os.Stderr), sync.Mutex{}
	return c.run(ctx, func(e *exchange.Exchange) error {
		o := mpi.LoadOptions{Dir: cmp.Or(c.Scratch, c.Data), Progress: func(stage string, done, total int) {
			one.Lock()
			defer one.Unlock()
			say.step(stage, done, total)
		}}
		out, err := e.LoadIndex(ctx, o)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(out)
	})
}

type mpiRegionCmd struct {
	Population int     `required:"" help:"People of the region: the more there are, the rarer a name must be for name, birth date and sex to prove a person." placeholder:"PEOPLE"`
	Link       float64 `default:"0.99" help:"Probability from which records without a number in common are linked unasked; 0 is never."`
	Model      string  `type:"existingfile" help:"Model to start from; default is the built-in one." placeholder:"FILE"`
	Out        string  `required:"" type:"path" help:"Model to write, for serve --mpi-model." placeholder:"MODEL.json"`
}

// Run writes the model with the region's prior and threshold.
func (c *mpiRegionCmd) Run() error {
	if c.Population < 2 || c.Link < 0 || c.Link > 1 {
		return fmt.Errorf("--population is at least 2, --link from 0 to 1")
	}
	out, err := openOutputs([]string{c.Model}, c.Out)
	if err != nil {
		return err
	}
	defer out.discard()
	m, err := score.Default()
	if c.Model != "" {
		var loaded *model.Loaded
		if loaded, err = model.Load(c.Model); err == nil {
			m = loaded.Model
		}
	}
	if err != nil {
		return err
	}
	return out.writeModel(m.ForRegion(c.Population, c.Link))
}

// writeModel fills the one file with a model.
func (o *outputs) writeModel(m *score.Model) error {
	return o.write(func(w io.Writer) error {
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
		return nil, fmt.Errorf("nothing is written, since the file cannot be used as it is:\n%w", err)
	}
	if f.Dates > 0 {
		say.line("%s: %d birth dates are not readable and are not used, the first in line %d", name, f.Dates, f.DateAt)
	}
	if f.Blank > 0 {
		say.line("%s: %d rows of empty cells passed over", name, f.Blank)
	}
	return f, nil
}

func overlap(a, b *table.File) bool {
	for i := range b.Len() {
		if a.Has(b.ID(i)) {
			return true
		}
	}
	return false
}

func flagOf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// outputs are the files of a command that writes all of them or none: each is
// written beside its target, which it then replaces. They are opened first, so
// that a folder that cannot be written is told before the work and not after.
type outputs struct {
	names []string
	files []*os.File
}

// openOutputs refuses targets that are no plain files, one of the inputs, or
// the same file twice. Empty inputs are none.
func openOutputs(inputs []string, names ...string) (o *outputs, err error) {
	o = &outputs{}
	defer func() {
		if err != nil {
			o.discard()
		}
	}()
	taken := slices.Clone(inputs)
	for _, name := range names {
		if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
			return o, fmt.Errorf("%s: a plain file is needed, not a link, a folder or a device", name)
		}
		for _, other := range taken {
			if other != "" && sameFile(name, other) {
				return o, fmt.Errorf("%s would be overwritten: it is read, or written for something else", other)
			}
		}
		f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
		if err != nil {
			return o, err
		}
		o.names, o.files, taken = append(o.names, name), append(o.files, f), append(taken, name)
	}
	return o, nil
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return a == b || errX == nil && errY == nil && os.SameFile(x, y)
}

// write fills the files in their order and puts them in place.
func (o *outputs) write(each ...func(io.Writer) error) error {
	for i, f := range o.files {
		w := bufio.NewWriter(f)
		if err := errors.Join(each[i](w), w.Flush(), f.Chmod(0o644), f.Close()); err != nil {
			return fmt.Errorf("%s: %w", o.names[i], err)
		}
	}
	for i, f := range o.files {
		if err := os.Rename(f.Name(), o.names[i]); err != nil {
			return err
		}
	}
	return nil
}

// discard removes what was not put in place.
func (o *outputs) discard() {
	for _, f := range o.files {
		_, _ = f.Close(), os.Remove(f.Name()) // both are done already where all went well
	}
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
