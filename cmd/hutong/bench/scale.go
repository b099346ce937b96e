package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"hutong/cmd/hutong/bench/drive"
	"hutong/cmd/hutong/bench/report"
	"hutong/testdata/region"
)

// writer is the hospital as which the benchmark writes and, with tokens, reads.
const (
	writer    = "his-muni"
	writerOrg = region.OrgMuni
)

// session is one run of the benchmark.
type session struct {
	cmd *RunCmd
	dir string // scratch
	st  stretches
	effort
	say func(format string, args ...any)
	rep *report.Report
}

// target makes our server a target.
func (x *session) target(s *server) (*target, error) {
	clients := map[string]*drive.Client{}
	for _, name := range []string{operator, "his-muni", "his-dist", "his-county", "his-clinic"} {
		c, err := drive.NewClient(s.base(), 2*racers)
		if err != nil {
			return nil, err
		}
		c.Token = s.tokens(name)
		clients[name] = c
	}
	return &target{
		name: "hutong", client: clients[writer], as: func(name string) *drive.Client { return clients[name] },
		pid: s.pid(), pprof: s.pprof, about: s.url() + "/metrics", org: writerOrg, epoch: time.Now().Unix(),
	}, nil
}

// scale measures a region of this many patients.
func (x *session) scale(ctx context.Context, patients int) (err error) {
	x.say("%d patients: starting the server", patients)
	dir := filepath.Join(x.dir, fmt.Sprint(patients))
	sc := report.Scale{Patients: patients}
	s, t, err := x.region(ctx, dir, &sc)
	defer func() { err = errors.Join(err, s.stop(), os.RemoveAll(dir)) }()
	if err != nil {
		return err
	}
	if err := x.rest(ctx, s, t, &sc); err != nil {
		return err
	}
	if err := x.flat(ctx, t, patients); err != nil {
		return fmt.Errorf("flatness: %w", err)
	}
	results, err := x.workloads(ctx, []*target{t})
	if err != nil {
		return err
	}
	sc.Results = results[0]
	if err := x.announce(ctx, s, t, &sc, filepath.Join(dir, "broker")); err != nil {
		return err
	}
	sc.Store.PeakRSS = max(sc.Store.PeakRSS, t.usage().Peak)
	x.rep.Scales = append(x.rep.Scales, sc)
	return nil
}

// region makes a server with the region of sc.Patients: loaded over HTTP from an
// empty directory, or what --keep kept of that. The server is stopped after it.
func (x *session) region(ctx context.Context, dir string, sc *report.Scale) (s *server, t *target, err error) {
	data := filepath.Join(dir, "data")
	k, err := x.recall(sc.Patients, data)
	if err != nil {
		return nil, nil, err
	}
	if s, err = newServer(ctx, data, x.cmd); err != nil {
		return s, nil, err
	}
	empty, err := s.start(ctx, "embedded")
	if err != nil {
		return s, nil, err
	}
	if t, err = x.target(s); err != nil {
		return s, nil, err
	}
	load, err := x.fill(ctx, t, sc.Patients, k != nil)
	if err != nil {
		return s, t, fmt.Errorf("load: %w", err)
	}
	sc.Resources = t.sample.resources
	if k == nil {
		k = &kept{Seed: x.cmd.Seed, Load: load, EmptyStartMs: ms(empty), PeakRSS: t.usage().Peak}
	}
	sc.Load, sc.Store.EmptyStartMs, sc.Store.PeakRSS = k.Load, k.EmptyStartMs, k.PeakRSS
	if err := s.stop(); err != nil {
		return s, t, err
	}
	return s, t, x.keep(sc.Patients, data, k)
}

// Flatness looks for a difference of hundredths, which one collection of garbage more or
// less would hide: so its stretches are longer than another workload's, in many turns. A
// turn is shorter than the second at rest after which a server gives memory back.
const (
	patience = 4
	turn     = 750 * time.Millisecond
	fewTurns = 4
	// Of saturation: near it p50 is what requests wait for each other, and grows by
	// several times what a query does.
	unhurried = 0.3
)

// flat sends the queries whose work does not grow with the region to a server of the
// smallest region and to this one, in turns: the machine's own speed changes from
// one hour to the next by more than a region may slow a query. The smallest is loaded
// anew, as what was measured before wrote into the records of those who are treated.
func (x *session) flat(ctx context.Context, t *target, patients int) (err error) {
	smallest := x.cmd.Patients[0]
	if patients == smallest {
		return nil
	}
	dir := filepath.Join(x.dir, "smallest")
	small, large := report.Scale{Patients: smallest}, report.Scale{Patients: patients}
	s, beside, err := x.region(ctx, dir, &small)
	defer func() { err = errors.Join(err, s.stop(), os.RemoveAll(dir)) }()
	if err != nil {
		return err
	}
	if _, err := s.start(ctx, "embedded"); err != nil { // as the large one was, after its load
		return err
	}
	beside.restarted(s)
	st := stretches{closed: patience / 2 * x.st.closed, open: patience * x.st.open, warm: x.st.warm, rates: map[string]float64{}, share: unhurried}
	st.slices = max(fewTurns, int(st.open/turn))
	targets := []*target{beside, t}
	for _, w := range x.plain() {
		if w.grows || w.batch || w.writes || !x.cmd.wants(w.name) {
			continue
		}
		x.calm(ctx, targets)
		results, err := st.measure(ctx, w, x.cmd.Seed, targets)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		small.Results, large.Results = append(small.Results, results[0]), append(large.Results, results[1])
	}
	x.rep.Flatness = append(x.rep.Flatness, report.Flatness(&small, &large)...)
	for _, f := range x.rep.Flatness {
		if f.To == patients {
			x.say("  %-13s %.3f ± %.3f times the CPU (%+.3f by collecting garbage) and %.2f times the p50 of %d patients", f.Workload, f.CPU, f.CPUError, f.Collecting, f.P50, f.From)
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// restarted makes t know the new process; connections to the old one are gone.
func (t *target) restarted(s *server) {
	t.pid = s.pid()
	t.client.Close()
}

// fill loads the region and tells the speed. With tokens, requests ask for the
// writer's own patients. there: it is loaded already, and only to be known.
func (x *session) fill(ctx context.Context, t *target, patients int, there bool) (report.Load, error) {
	only := ""
	if x.cmd.Auth == "smart" {
		only = writerOrg
	}
	x.say("%s: loading %d patients", t.name, patients)
	before := t.usage()
	l, err := t.load(ctx, patients, x.cmd.Seed, only, there)
	if err != nil {
		return report.Load{}, err
	}
	if there {
		return report.Load{}, nil
	}
	loaded := t.usage().CPU - before.CPU
	t.settle(ctx, 8*x.settle)
	n := float64(l.resources)
	x.say("%s: %d resources in %.1f s (%.0f/s)", t.name, l.resources, l.took.Seconds(), n/l.took.Seconds())
	return report.Load{
		Bundles: l.bundles, Seconds: l.took.Seconds(), ResourcesPerSecond: n / l.took.Seconds(), JSONPerResource: float64(l.bytes) / n,
		CPU: ms(loaded) / n, Written: float64(t.usage().Written-before.Written) / n, Latency: l.latencies.Percentiles(),
	}, nil
}

// rest weighs the stopped server's data, and starts it again with them.
func (x *session) rest(ctx context.Context, s *server, t *target, sc *report.Scale) error {
	store, logs, events, err := s.stored()
	if err != nil {
		return err
	}
	n := float64(sc.Resources)
	sc.Store.BytesPerResource, sc.Store.EventsPerResource, sc.Store.LogBytes = float64(store)/n, float64(events)/n, logs
	cold, err := s.start(ctx, "embedded")
	if err != nil {
		return err
	}
	t.restarted(s)
	t.settle(ctx, x.settle)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(x.idle):
	}
	at := t.usage()
	sc.Store.ColdStartMs, sc.Store.IdleRSS, sc.Store.IdleFiles = ms(cold), at.RSS, at.Files
	x.say("%.0f B a resource (%.0f MB of it are logs), cold start %.0f ms, idle RSS %.0f MB", sc.Store.BytesPerResource, float64(logs)/1e6, sc.Store.ColdStartMs, float64(sc.Store.IdleRSS)/1e6)
	return nil
}

// workloads runs all that were asked for on the targets, reads first. The
// result has a list for each target.
func (x *session) workloads(ctx context.Context, targets []*target) ([][]report.Result, error) {
	out := make([][]report.Result, len(targets))
	note := func(name string, results []report.Result) {
		for k, r := range results {
			out[k] = append(out[k], r)
			x.say("  %-13s %-8s %9.0f %s/s closed, open loop at %.0f/s p50 %.2f p99 %.2f ms, %d failed %s", name, targets[k].name, r.Units(), r.Unit,
				r.Open.Target, r.Open.Latency.P50, r.Open.Latency.P99, r.Failed(), r.FirstError)
		}
	}
	for _, w := range x.plain() {
		if !x.cmd.wants(w.name) {
			continue
		}
		x.calm(ctx, targets)
		stop := x.profile(ctx, w.name, targets[0])
		results, err := x.st.measure(ctx, w, x.cmd.Seed, targets)
		stop()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		note(w.name, results)
	}
	for _, w := range x.specials() {
		if !x.cmd.wants(w.name) {
			continue
		}
		x.calm(ctx, targets)
		results := make([]report.Result, len(targets))
		for k, t := range targets {
			r, err := w.run(ctx, t)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				r.Closed.Failed++
				r.FirstError = err.Error()
			}
			results[k] = r
		}
		note(w.name, results)
	}
	return out, nil
}

// plain lists the workloads of one request again and again.
func (x *session) plain() []workload {
	return slices.Concat(reads(), writes(x.cmd.Bundles), []workload{importing(x.lines)})
}

// special is a workload that is not one request again and again.
type special struct {
	name string
	run  func(ctx context.Context, t *target) (report.Result, error)
}

func (x *session) specials() []special {
	return []special{
		{"pages", func(ctx context.Context, t *target) (report.Result, error) {
			return pages(ctx, t, x.lastPage, x.st.closed)
		}},
		{"create-race", func(ctx context.Context, t *target) (report.Result, error) {
			return race(ctx, t, x.cmd.Seed, x.st.closed)
		}},
		{"export", export},
	}
}

// calm lets the targets come to rest.
func (x *session) calm(ctx context.Context, targets []*target) {
	for _, t := range targets {
		t.settle(ctx, x.settle)
	}
}

// announce measures the way of an event, with a broker beside the server.
func (x *session) announce(ctx context.Context, s *server, t *target, sc *report.Scale, dir string) (err error) {
	if !x.cmd.wants("events") {
		return nil
	}
	sc.Store.PeakRSS = max(sc.Store.PeakRSS, t.usage().Peak)
	if err := s.stop(); err != nil {
		return err
	}
	b, err := broker(dir)
	if err != nil {
		return err
	}
	defer func() { b.Shutdown(); b.WaitForShutdown() }()
	if _, err := s.start(ctx, b.ClientURL()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }() // before the broker goes
	t.restarted(s)
	if err := caughtUp(ctx, s.url(), 10*time.Minute); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	t.settle(ctx, x.settle)
	r, err := events(ctx, t, x.cmd.Seed, b.ClientURL(), x.st.open)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	sc.Results = append(sc.Results, r)
	sc.Store.PeakRSS = max(sc.Store.PeakRSS, t.usage().Peak)
	x.say("  %-13s p50 %.2f p99 %.2f ms from commit to event, %d failed %s", "events", r.Figures["p50"], r.Figures["p99"], r.Failed(), r.FirstError)
	return nil
}
