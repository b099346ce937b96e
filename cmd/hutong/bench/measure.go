package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"hutong/cmd/hutong/bench/drive"
	"hutong/cmd/hutong/bench/machine"
	"hutong/cmd/hutong/bench/report"
)

// workload is one kind of request, sent closed loop and then open loop.
type workload struct {
	name    string
	unit    string              // what a request counts
	clients int                 // of the closed loop
	writes  bool                // waits for the disk
	batch   bool                // a request is long work: closed loop only
	grows   bool                // the answer's work, or what it reads, grows with the region: no measure of flatness
	warm    func(s *sample) int // requests that warm it up; nil for a few
	// prepare readies the target and gives the i-th request, which is a function
	// of seed and i alone, and the units that a request counts.
	prepare func(ctx context.Context, t *target, seed uint64) (next func(i int) drive.Request, per float64, err error)
}

// inFlight bounds the open loop's requests: far more than a server that keeps
// up ever has.
const inFlight = 64

// stretches are the lengths and rates of a run's measurements.
type stretches struct {
	closed, open time.Duration
	warm         time.Duration      // before the closed loop, not counted
	slices       int                // how often the targets take turns
	floors       map[string]float64 // rates that floors name
	rates        map[string]float64 // open-loop rates of the smaller scale, so that latencies compare
	share        float64            // of saturation, where neither tells the rate
}

// measure runs a workload on the targets, in turns, and gives a result for each.
func (st *stretches) measure(ctx context.Context, w workload, seed uint64, targets []*target) ([]report.Result, error) {
	runs := make([]*run, len(targets))
	for k, t := range targets {
		next, per, err := w.prepare(ctx, t, seed)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		runs[k] = &run{t: t, next: next, result: report.Result{Workload: w.name, Unit: w.unit, Per: per, Clients: w.clients}}
		runs[k].warm(ctx, &w, st.warm)
	}
	part := st.closed / time.Duration(st.slices)
	for range st.slices {
		for _, r := range runs {
			r.stretch(ctx, &r.closed, func() *drive.Outcome { return drive.Closed(ctx, r.open, w.clients, r.sent, part) })
		}
	}
	rate := 0.0
	if !w.batch {
		rate = st.rate(w.name, runs)
	}
	if rate > 0 {
		part, grace := st.open/time.Duration(st.slices), st.open+10*time.Second
		for range st.slices {
			for _, r := range runs {
				r.stretch(ctx, &r.paced, func() *drive.Outcome { return drive.Open(ctx, r.open, rate, inFlight, r.sent, part, grace) })
			}
		}
	}
	out := make([]report.Result, len(runs))
	for k, r := range runs {
		out[k] = r.finish(rate)
		if w.name == cold {
			r.t.met += r.sent
		}
	}
	return out, ctx.Err()
}

// rate chooses the open loop's: the floor's where the server can take it with
// a margin, else what the smaller scale had where that is well below
// saturation, else a share of what the slowest target took.
func (st *stretches) rate(name string, runs []*run) float64 {
	slowest := runs[0].closed.sum.Rate()
	for _, r := range runs[1:] {
		slowest = min(slowest, r.closed.sum.Rate())
	}
	if floor := st.floors[name]; len(runs) == 1 && floor > 0 && slowest > 1.15*floor {
		return floor
	}
	if old := st.rates[name]; old > 0 && old <= 0.8*slowest {
		return old
	}
	st.rates[name] = st.share * slowest
	return st.rates[name]
}

// run is one workload on one target.
type run struct {
	t      *target
	next   func(i int) drive.Request
	sent   int
	closed account
	paced  account
	result report.Result
}

// account adds up stretches and what they cost.
type account struct {
	sum   drive.Outcome
	turns []float64 // the server's CPU a request, ms, stretch by stretch
	spent
}

// spent is what a stretch used.
type spent struct {
	server, client time.Duration // CPU
	collecting     time.Duration // the server's of these, for its garbage; by its runtime's estimate
	machine        time.Duration // CPU of everybody
	read, written  int64         // the server's, from and to the disk
}

func (s *spent) add(o spent) {
	s.server, s.client, s.machine, s.collecting = s.server+o.server, s.client+o.client, s.machine+o.machine, s.collecting+o.collecting
	s.read, s.written = s.read+o.read, s.written+o.written
}

// open gives a worker its way to send.
func (r *run) open() drive.Send {
	conn := r.t.client.Conn()
	return func(ctx context.Context, i int) error {
		req := r.next(i)
		_, err := conn.Do(ctx, &req)
		return err
	}
}

// warmMost is the most time to warm a workload up, in lengths.
const warmMost = 150

// warm makes the first requests count for nothing: those of every worker, and
// those that find what they ask for in no cache.
func (r *run) warm(ctx context.Context, w *workload, length time.Duration) {
	for range warmMost {
		r.sent += drive.Closed(ctx, r.open, w.clients, r.sent, length).Tried()
		if w.warm == nil || r.sent >= w.warm(r.t.sample) || ctx.Err() != nil {
			return
		}
	}
}

func (r *run) stretch(ctx context.Context, a *account, send func() *drive.Outcome) {
	collected := r.t.collecting(ctx)
	from := r.t.meter()
	out := send()
	s := from.since()
	s.collecting = r.t.collecting(ctx) - collected
	a.add(s)
	a.sum.Add(out)
	if out.Answered > 0 {
		a.turns = append(a.turns, s.server.Seconds()*1e3/float64(out.Answered))
	}
	r.sent += out.Tried()
}

func (r *run) finish(rate float64) report.Result {
	r.result.Closed, r.result.Open = r.closed.report(), r.paced.report()
	r.result.Open.Target = rate
	r.result.RSS = r.t.usage().RSS
	for _, a := range []*account{&r.closed, &r.paced} {
		if err := a.sum.FirstFail; err != nil && r.result.FirstError == "" {
			r.result.FirstError = err.Error()
		}
	}
	return r.result
}

func (a *account) report() report.Stretch {
	if a.sum.Latencies == nil {
		return report.Stretch{}
	}
	s := report.Stretch{
		Rate: a.sum.Rate(), Answered: a.sum.Answered, Failed: a.sum.Failed, Unsent: a.sum.Unsent,
		Latency: a.sum.Latencies.Percentiles(), SendLagP99: a.sum.Lag.Percentiles().P99,
	}
	if a.sum.Answered > 0 {
		s.CPU = a.server.Seconds() * 1e3 / float64(a.sum.Answered)
		s.Collecting = a.collecting.Seconds() * 1e3 / float64(a.sum.Answered)
	}
	if len(a.turns) > 1 {
		s.Turns = a.turns
	}
	if sec := a.sum.Elapsed.Seconds(); sec > 0 {
		s.ServerCores, s.GeneratorCores = a.server.Seconds()/sec, a.client.Seconds()/sec
		s.OtherCores = max(0, a.machine.Seconds()/sec-s.ServerCores-s.GeneratorCores)
		s.DiskRead, s.DiskWritten = float64(a.read)/sec, float64(a.written)/sec
	}
	return s
}

// usage is that of the target's process, zero where it is not known.
func (t *target) usage() machine.Usage {
	if t.pid == 0 {
		return machine.Usage{}
	}
	u, err := machine.Of(t.pid)
	if err != nil {
		return machine.Usage{} // no /proc: the report has no such figures
	}
	return u
}

// collecting is the CPU that the target's process spent on its garbage, as far as
// its metrics tell.
func (t *target) collecting(ctx context.Context) time.Duration {
	if t.about == "" {
		return 0
	}
	s, _ := figure(ctx, t.about, "go_cpu_classes_gc_total_cpu_seconds_total") // a figure more or less: not worth the run
	return time.Duration(s * float64(time.Second))
}

// meter reads what target, generator and machine have used.
type meter struct {
	t            *target
	start        time.Time
	server       machine.Usage
	client, busy time.Duration
}

func (t *target) meter() meter {
	return meter{t, time.Now(), t.usage(), own().CPU, machine.Busy()}
}

func (m meter) since() spent {
	u := m.t.usage()
	return spent{
		server: u.CPU - m.server.CPU, client: own().CPU - m.client, machine: machine.Busy() - m.busy,
		read: u.Read - m.server.Read, written: u.Written - m.server.Written,
	}
}

// stretch sums up a special workload that answered so many.
func (m meter) stretch(answered int) report.Stretch {
	a := account{sum: drive.Outcome{Answered: answered, Elapsed: time.Since(m.start), Latencies: drive.NewLatencies(), Lag: drive.NewLatencies()}}
	a.spent = m.since()
	return a.report()
}

func own() machine.Usage {
	u, err := machine.Of(os.Getpid())
	if err != nil {
		return machine.Usage{}
	}
	return u
}

// settle waits until the target's process is nearly idle: compactions and
// followers of an earlier load would cost the next one, and those that wait for
// the disk use no CPU. It gives up after most.
func (t *target) settle(ctx context.Context, most time.Duration) {
	if t.pid == 0 {
		return
	}
	const look, few = 300 * time.Millisecond, 256 << 10
	for end := time.Now().Add(most); most > 0 && time.Now().Before(end) && ctx.Err() == nil; {
		from := t.meter()
		select {
		case <-ctx.Done():
		case <-time.After(look):
		}
		if s := from.since(); s.server < look/20 && s.read+s.written < few {
			return
		}
	}
}
