// Package mpi measures the master patient index: how fast and how well it
// matches files and feeds of seeded people, whom testdata/people draws.
package mpi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"hutong/cmd/hutong/bench/machine"
)

// Cmd is `hutong bench mpi`.
type Cmd struct {
	Persons    int    `placeholder:"PERSONS" help:"Fill the index with the records of so many seeded people at once, start it again, ask it for them, in process and over HTTP, and feed it the last of them."`
	Queries    int    `default:"2000" help:"Matches to ask for, with --persons."`
	Batch      int    `placeholder:"PERSONS" help:"Match a file of so many seeded people, as 'hutong mpi match' does."`
	Accuracy   int    `placeholder:"PERSONS" help:"Measure precision and recall on so many seeded people."`
	Population int    `placeholder:"PEOPLE" help:"With --accuracy: how many people the region is said to have, in which a name and a birth date are to be rare. Default: as many as are drawn."`
	Seed       uint64 `default:"2026" help:"Seed of the people. 1 to 9 are for tuning; report on another."`
	Out        string `default:"bench-mpi" type:"path" placeholder:"DIR" help:"Folder for report.json and report.md."`
	Dir        string `type:"path" placeholder:"DIR" help:"Where to make the scratch folder; it is deleted at the end."`
	Keep       string `type:"path" placeholder:"DIR" help:"With --persons: keep the filled store in this folder, and begin with it if it is there. On the file system of --dir."`
	Profiles   string `type:"path" placeholder:"DIR" help:"Folder for a profile of the processor time of each stage (go tool pprof)."`

	log io.Writer
}

// Report is what was measured.
type Report struct {
	Command string        `json:"command"`
	Machine machine.Info  `json:"machine"`
	Stages  []Measurement `json:"stages"`
}

// Measurement is one figure.
type Measurement struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// Run measures what was asked for and writes the report.
func (c *Cmd) Run(ctx context.Context) error {
	if c.log == nil {
		c.log = os.Stderr
	}
	dir, err := os.MkdirTemp(c.Dir, "hutong-bench-mpi-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rep := &Report{Command: strings.Join(os.Args, " ")}
	if rep.Machine, err = machine.Describe(dir); err != nil {
		return err
	}
	for _, part := range []struct {
		wanted int
		run    func(context.Context, *Report, string, int) error
	}{{c.Batch, c.batch}, {c.Accuracy, c.accuracy}, {c.Persons, c.index}} {
		if part.wanted > 0 {
			if err := part.run(ctx, rep, dir, part.wanted); err != nil {
				return err
			}
		}
	}
	return rep.write(c.Out)
}

func (c *Cmd) say(format string, args ...any) { fmt.Fprintf(c.log, format+"\n", args...) }

func (r *Report) add(name string, value float64, unit string) {
	r.Stages = append(r.Stages, Measurement{name, value, unit})
}

// write writes report.json and report.md.
func (r *Report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	doc, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "report.json"), append(doc, '\n'), 0o644); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Master patient index, measured\n\n`%s`\n\n%d cores, %s, load %s, %s, %s\n\n| | | |\n|---|---:|---|\n", r.Command, r.Machine.Cores, r.Machine.Model, r.Machine.Load, r.Machine.Go, r.Machine.Started)
	for _, s := range r.Stages {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.Name, figure(s.Value), s.Unit)
	}
	return os.WriteFile(filepath.Join(dir, "report.md"), []byte(b.String()), 0o644)
}

func figure(v float64) string {
	s := fmt.Sprintf("%.4f", v)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// spent is the processor time of this process so far.
func spent() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory that this process has had since freshPeak, in MiB.
func peak() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	_, _ = fmt.Sscan(rest, &kib) // 0 where the system does not tell
	return kib / 1024
}

// freshPeak has peak begin anew, without what the stages before left behind.
func freshPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // where it cannot be, peak counts from the start
}

// timed runs a stage and adds its time by the clock and by the processors.
func (c *Cmd) timed(r *Report, name string, do func() error) error {
	wall, cpu := time.Now(), spent()
	if err := c.profiled(name, do); err != nil {
		return err
	}
	w, p := time.Since(wall).Seconds(), (spent() - cpu).Seconds()
	r.add(name+": wall", w, "s")
	r.add(name+": processor", p, "s")
	c.say("%s: %.1f s, %.1f s of %d processors, peak %.0f MiB", name, w, p, runtime.GOMAXPROCS(0), peak())
	return nil
}
