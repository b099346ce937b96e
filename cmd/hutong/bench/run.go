// Package bench measures an exchange from outside: it starts the real server
// as a process of its own, fills it with a seeded region and sends it load.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hutong/cmd/hutong/bench/machine"
	"hutong/cmd/hutong/bench/mpi"
	"hutong/cmd/hutong/bench/report"
	"hutong/cmd/hutong/exchange"
)

// Cmd is the group of benchmark commands. Each is a command of its own
// package or file; a new one is one more field here.
type Cmd struct {
	Server RunCmd  `cmd:"" name:"run" default:"withargs" help:"Measure a server: load a seeded region, send load, write a report."`
	Mpi    mpi.Cmd `cmd:"" help:"Measure the master patient index on seeded people."`
}

// RunCmd measures the server's HTTP interface.
type RunCmd struct {
	Patients   []int         `default:"1000,10000" help:"Patients to load, one scale after the other, the smallest first."`
	Seconds    float64       `default:"3" help:"Length of the open-loop part of each workload; the closed loop before it takes half of that."`
	Seed       uint64        `default:"20261122" help:"The same seed gives the same data and the same requests."`
	Out        string        `default:"bench-out" type:"path" help:"Folder for report.json, report.md and the charts." placeholder:"DIR"`
	Bundles    string        `type:"path" help:"Folder of Synthea transaction bundles; without it that workload is left out, and the report says so." placeholder:"DIR"`
	Only       []string      `help:"Names of the workloads to run; default all." placeholder:"NAME"`
	Auth       string        `enum:"open,smart" default:"open" help:"How the server is started: open, or smart with a hospital's client (consent and audit take part)."`
	Peer       string        `help:"FHIR base of another server: the same workloads run on both in turns, and the report gives ratios." placeholder:"URL"`
	PeerHeader []string      `help:"Header for the peer, such as 'Authorization: Bearer ...'." placeholder:"NAME: VALUE" sep:"none"`
	PeerPID    int           `name:"peer-pid" help:"The peer's process on this machine, to measure its CPU and memory too." placeholder:"PID"`
	Dir        string        `type:"path" help:"Where to make the scratch folder of the servers' data; it is deleted at the end." placeholder:"DIR"`
	Keep       string        `type:"path" help:"Keep each region that is loaded in this folder, and begin with it if it is there. On the file system of --dir; with --auth open." placeholder:"DIR"`
	Profile    bool          `help:"Write a CPU profile of the server for each workload beside the report."`
	Timeout    time.Duration `default:"3h" help:"Give up after this time."`

	binary string   // for tests: what stands in for this binary
	env    []string // and its environment
	log    io.Writer
	effort effort
}

// effort is what a run spends beside --seconds; tests spend less.
type effort struct {
	lastPage int           // held against page 1
	lines    int           // of an $import request
	settle   time.Duration // the most to wait for a server to come to rest before each workload
	warm     time.Duration // of each workload, before it counts
	idle     time.Duration // at rest, before its memory is read
}

func (e effort) withDefaults() effort {
	if e == (effort{}) {
		return effort{lastPage: 1000, lines: 5000, settle: 2 * time.Minute, warm: 200 * time.Millisecond, idle: 2 * time.Second}
	}
	return e
}

// Run measures and writes the report; what was measured before an error is
// written all the same.
func (c *RunCmd) Run(ctx context.Context) error {
	rep, err := c.measure(ctx)
	if rep == nil {
		return err
	}
	if werr := rep.Write(c.Out); werr != nil {
		return errors.Join(err, werr)
	}
	fmt.Fprintf(c.out(), "report: %s\n", filepath.Join(c.Out, "report.md"))
	return err
}

func (c *RunCmd) out() io.Writer {
	if c.log == nil {
		return os.Stderr
	}
	return c.log
}

// check holds the flags against each other.
func (c *RunCmd) check() error {
	if len(c.Patients) == 0 || slices.Min(c.Patients) < 1 || !slices.IsSorted(c.Patients) {
		return errors.New("--patients: at least one number, the smallest first")
	}
	if c.Seconds <= 0 {
		return errors.New("--seconds must be more than 0")
	}
	if c.Peer != "" && len(c.Patients) > 1 {
		return errors.New("--peer compares at one scale: give --patients one number")
	}
	if c.Keep != "" && (c.Auth != "open" || c.Peer != "") {
		return errors.New("--keep is for --auth open without --peer")
	}
	known := names()
	for _, n := range c.Only {
		if !slices.Contains(known, n) {
			return fmt.Errorf("--only %s: the workloads are %s", n, strings.Join(known, ", "))
		}
	}
	return nil
}

// names lists the workloads in their order.
func names() []string {
	var out []string
	x := &session{cmd: &RunCmd{Bundles: "any"}}
	for _, w := range x.plain() {
		out = append(out, w.name)
	}
	for _, w := range x.specials() {
		out = append(out, w.name)
	}
	return append(out, "events")
}

func (c *RunCmd) wants(name string) bool { return len(c.Only) == 0 || slices.Contains(c.Only, name) }

// measure runs every scale; a scratch folder holds the data meanwhile. With an
// error comes the report of the scales that were finished before it, if any.
func (c *RunCmd) measure(ctx context.Context) (rep *report.Report, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	dir, err := os.MkdirTemp(c.Dir, "hutong-bench-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	x, err := c.session(dir)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if c.Peer != "" {
		err = x.versus(ctx, c.Patients[0])
	} else {
		for _, n := range c.Patients {
			if err = x.scale(ctx, n); err != nil {
				x.rep.LeftOut = append(x.rep.LeftOut, fmt.Sprintf("%d patients: %v", n, err))
				break
			}
		}
	}
	if err != nil && len(x.rep.Scales) == 0 {
		return nil, err
	}
	x.rep.Took = time.Since(start).Seconds()
	return x.rep, errors.Join(err, x.judge())
}

func (c *RunCmd) session(dir string) (*session, error) {
	about, err := machine.Describe(dir)
	if err != nil {
		return nil, err
	}
	list, err := report.Floors()
	if err != nil {
		return nil, err
	}
	x := &session{cmd: c, dir: dir, effort: c.effort.withDefaults(), say: func(format string, args ...any) { fmt.Fprintf(c.out(), format+"\n", args...) }}
	x.st = stretches{
		open: time.Duration(c.Seconds * float64(time.Second)), closed: time.Duration(c.Seconds / 2 * float64(time.Second)),
		warm: c.effort.withDefaults().warm, slices: 1, floors: map[string]float64{}, rates: map[string]float64{}, share: 0.7,
	}
	for _, f := range list {
		if f.Measure == "rate" {
			x.st.floors[f.Workload] = f.AtLeast
		}
	}
	x.rep = &report.Report{
		Command: strings.Join(append([]string{"hutong"}, os.Args[1:]...), " "), Version: exchange.Version, Seed: c.Seed, Seconds: c.Seconds,
		Auth: c.Auth, Machine: about,
	}
	if c.Bundles == "" && c.wants("synthea") {
		x.rep.LeftOut = append(x.rep.LeftOut, "synthea: no --bundles")
	}
	return x, nil
}

// judge holds the floors against every scale, and the scales against each other.
func (x *session) judge() error {
	list, err := report.Floors()
	if err != nil {
		return err
	}
	writing := map[string]bool{}
	for _, w := range x.plain() {
		writing[w.name] = w.writes
	}
	for i := range x.rep.Scales {
		x.rep.Verdicts = append(x.rep.Verdicts, x.rep.Judge(&x.rep.Scales[i], list, func(name string) bool { return writing[name] })...)
	}
	return nil
}

// profile takes a CPU profile of our server until the returned function is called.
func (x *session) profile(ctx context.Context, name string, t *target) (stop func()) {
	if !x.cmd.Profile || t.pprof == "" {
		return func() {}
	}
	seconds := max(1, int(x.cmd.Seconds*1.5))
	done := make(chan struct{})
	go func() {
		defer close(done)
		file := filepath.Join(x.cmd.Out, "profiles", fmt.Sprintf("%s-%d.pb.gz", name, len(x.rep.Scales)))
		if err := fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", t.pprof, seconds), file); err != nil {
			x.say("  no profile of %s: %v", name, err)
		}
	}()
	return func() { <-done }
}

// fetch writes what a URL answers to a file.
func fetch(ctx context.Context, url, file string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}
