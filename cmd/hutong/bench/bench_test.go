package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"hutong/cmd/hutong/bench/drive"
	"hutong/cmd/hutong/bench/report"
	"hutong/cmd/hutong/exchange"
)

// standIn makes the test binary serve as `hutong serve` does, so that the
// benchmark has a real process to measure.
const standIn = "HUTONG_BENCH_TEST_SERVES"

func TestMain(m *testing.M) {
	if os.Getenv(standIn) != "1" {
		os.Exit(m.Run())
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	var c struct {
		Serve struct{ exchange.Settings } `cmd:""`
	}
	kong.Parse(&c)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := c.Serve.Settings
	if err := cfg.Check(); err != nil {
		return err
	}
	e, err := exchange.Open(ctx, cfg, cfg.Logger())
	if err != nil {
		return err
	}
	return e.Serve(ctx, nil)
}

// command is a run of a twentieth of a second a workload.
func command(t *testing.T) *RunCmd {
	t.Helper()
	return &RunCmd{
		Patients: []int{8}, Seconds: 0.05, Seed: 1, Out: t.TempDir(), Auth: "open", Dir: t.TempDir(), Timeout: 5 * time.Minute,
		binary: os.Args[0], env: []string{standIn + "=1"}, log: t.Output(), effort: effort{lastPage: 5, lines: 40, warm: 10 * time.Millisecond},
	}
}

// noFailures wants every workload of names to have run, without an error.
func noFailures(t *testing.T, results []report.Result, names []string) {
	t.Helper()
	for _, name := range names {
		i := slices.IndexFunc(results, func(r report.Result) bool { return r.Workload == name })
		if i < 0 {
			t.Errorf("%s did not run", name)
			continue
		}
		r := &results[i]
		if r.Failed() > 0 || r.FirstError != "" {
			t.Errorf("%s: %d failed: %s", name, r.Failed(), r.FirstError)
		}
		if r.Closed.Answered+r.Open.Answered == 0 || r.RSS == 0 {
			t.Errorf("%s: nothing measured: %+v", name, *r)
		}
	}
}

// bundles is a folder with one transaction that creates two resources.
func bundles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	next, _, err := transactions(context.Background(), &target{org: writerOrg}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.json"), next(0).Body, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The whole benchmark at the smallest scale: the real server as a process,
// every workload, nothing refused, the report complete.
func TestTheWholeRun(t *testing.T) {
	c := command(t)
	c.Bundles = bundles(t)
	if err := c.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(c.Out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rep report.Report
	if err := json.Unmarshal(raw, &rep); err != nil {
		t.Fatal(err)
	}
	s := rep.Scales[0]
	noFailures(t, s.Results, names())
	if len(s.Results) != len(names()) || len(rep.LeftOut) > 0 {
		t.Errorf("%d of %d workloads, left out: %v", len(s.Results), len(names()), rep.LeftOut)
	}
	if s.Resources < 100 || s.Load.Bundles != 9 || s.Store.BytesPerResource < 100 || s.Store.IdleRSS < 10<<20 || s.Store.ColdStartMs <= 0 {
		t.Errorf("load %+v, store %+v, %d resources", s.Load, s.Store, s.Resources)
	}
	if r := s.Result("everything"); r.Per != 1000 || r.Closed.Latency.P50 <= 0 || r.Closed.CPU <= 0 {
		t.Errorf("everything: %+v", r)
	}
	if f := s.Result("create-race").Figures; f["rounds"] < 1 || f["roundsWithoutExactlyOne"] != 0 {
		t.Errorf("create-race: %v", f)
	}
	if r := s.Result("events"); r.Figures["events"] < 1 || r.Figures["p99"] <= 0 {
		t.Errorf("events: %v", r.Figures)
	}
	if left, _ := os.ReadDir(c.Dir); len(left) > 0 {
		t.Errorf("the run leaves %v", left)
	}
}

// A larger region is compared with the smallest, of which a server runs beside.
func TestFlatness(t *testing.T) {
	c := command(t)
	c.Patients, c.Only = []int{8, 12}, []string{"read", "read-cold", "everything", "transaction", "count-token"}
	rep, err := c.measure(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range rep.Scales {
		noFailures(t, s.Results, c.Only)
	}
	var got []string
	for _, f := range rep.Flatness {
		if f.From != 8 || f.To != 12 || f.CPU <= 0 || f.P50 <= 0 {
			t.Errorf("%+v", f)
		}
		got = append(got, f.Workload)
	}
	if want := []string{"read", "everything"}; !slices.Equal(got, want) {
		t.Errorf("compared: %v, want %v", got, want)
	}
	if left, _ := os.ReadDir(c.Dir); len(left) > 0 {
		t.Errorf("the run leaves %v", left)
	}
}

// With tokens, consent and audit: the same requests as a hospital's system.
func TestARunWithTokens(t *testing.T) {
	c := command(t)
	c.Auth, c.Patients = "smart", []int{20}
	c.Only = []string{"patient-code", "everything", "transaction", "import", "create-race", "export"}
	rep, err := c.measure(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	noFailures(t, rep.Scales[0].Results, c.Only)
}

// A run that fails at a later scale writes down what it measured before, says
// what is missing, and fails.
func TestAnErrorKeepsTheScalesBefore(t *testing.T) {
	c := command(t)
	c.Patients, c.Only = []int{8, 9}, []string{"read"}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.log = writerFunc(func(line []byte) {
		if bytes.HasPrefix(line, []byte("9 patients")) {
			cancel()
		}
	})
	if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("the run ends with %v", err)
	}
	file, err := os.ReadFile(filepath.Join(c.Out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rep report.Report
	if err := json.Unmarshal(file, &rep); err != nil {
		t.Fatal(err)
	}
	if len(rep.Scales) != 1 || rep.Scales[0].Patients != 8 || len(rep.Verdicts) == 0 || !strings.Contains(strings.Join(rep.LeftOut, "\n"), "9 patients") {
		t.Errorf("%d scales, %d verdicts, left out %q", len(rep.Scales), len(rep.Verdicts), rep.LeftOut)
	}
}

type writerFunc func(line []byte)

func (f writerFunc) Write(line []byte) (int, error) { f(line); return len(line), nil }

// Two servers in turns; the peer is another of ours, so that it can do all.
func TestAPeer(t *testing.T) {
	c := command(t)
	c.Only = []string{"read", "create", "pages"}
	peer, err := newServer(context.Background(), t.TempDir(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := peer.stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := peer.start(context.Background(), "embedded"); err != nil {
		t.Fatal(err)
	}
	c.Peer, c.PeerPID = peer.base(), peer.pid()
	rep, err := c.measure(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	noFailures(t, rep.Scales[0].Results, c.Only)
	noFailures(t, rep.Peer.Results, c.Only)
	if rep.Peer.Software == "" || len(rep.Peer.Ratios) != len(c.Only) {
		t.Errorf("peer %q, ratios %+v", rep.Peer.Software, rep.Peer.Ratios)
	}
	for _, r := range rep.Peer.Ratios {
		if r.Throughput <= 0 || r.Note != "" {
			t.Errorf("%+v", r)
		}
	}
	a, b := rep.Scales[0].Result("read"), rep.Peer.Results[0]
	if a.Open.Target != b.Open.Target || a.Open.Target == 0 {
		t.Errorf("open loops at %g and %g: they do not compare", a.Open.Target, b.Open.Target)
	}
}

// A server that answers wrongly is found out, and counted.
func TestWrongAnswersCount(t *testing.T) {
	c := command(t)
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	x, err := c.session(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	one, err := drive.NewClient(srv.URL, inFlight)
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{name: "wrong", client: one, org: writerOrg}
	tg.sample = &sample{strangers: []string{"Patient/nobody"}, patients: []patient{{id: "nobody", identifier: "a|b", reads: []string{"Patient/nobody"}, codes: []string{"c|d"}}}, codes: []string{"c|d"}}
	tg.sample.rank()
	for _, w := range reads()[:2] {
		results, err := x.st.measure(context.Background(), w, 1, []*target{tg})
		if err != nil {
			t.Fatal(err)
		}
		if r := results[0]; r.Closed.Answered > 0 || r.Closed.Failed == 0 || r.FirstError == "" {
			t.Errorf("%s: %+v", w.name, r)
		}
	}
}

// The same seed asks the same, of any target.
func TestRequestsAreSeeded(t *testing.T) {
	s := &sample{codes: []string{"s|1", "s|2"}}
	for i := range 50 {
		id := fmt.Sprint("p", i)
		s.strangers = append(s.strangers, "Patient/"+id)
		s.patients = append(s.patients, patient{id: id, identifier: "s|" + id, codes: []string{"s|1", "s|2"}, reads: []string{"Patient/" + id, "Observation/" + id}})
	}
	s.rank()
	make100 := func(w workload, seed uint64) string {
		next, _, err := w.prepare(context.Background(), &target{sample: s, org: writerOrg}, seed)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		for i := range 100 {
			r := next(5000 + i) // behind what warms up
			fmt.Fprintf(&b, "%s %s %s\n", r.Method, r.Path, r.Body)
		}
		return b.String()
	}
	for _, w := range slices.Concat(reads()[:8], writes("")) {
		a, b, other := make100(w, 1), make100(w, 1), make100(w, 2)
		if a != b {
			t.Errorf("%s: one seed gives two sequences", w.name)
		}
		if a == other {
			t.Errorf("%s: the seed does not matter", w.name)
		}
		if n := strings.Count(a, "\n"); n < 100 {
			t.Errorf("%s: %d requests", w.name, n)
		}
	}
}

// Each file of an import has ids of its own, and valid lines.
func TestImportFiles(t *testing.T) {
	w := importing(100)
	next, per, err := w.prepare(context.Background(), &target{org: writerOrg, epoch: 5}, 1)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range 2 {
		lines := bytes.Split(bytes.TrimSpace(next(i).Body), []byte("\n"))
		if len(lines) != int(per) {
			t.Fatalf("%d lines, want %g", len(lines), per)
		}
		for _, l := range lines {
			var r struct {
				ID      string
				Subject struct{ Reference string }
			}
			if err := json.Unmarshal(l, &r); err != nil {
				t.Fatal(err)
			}
			if seen[r.ID] {
				t.Fatalf("%s is there twice", r.ID)
			}
			seen[r.ID] = true
			if ref, ok := strings.CutPrefix(r.Subject.Reference, "Patient/"); ok && !seen[ref] {
				t.Fatalf("%s refers to %s, which no earlier line holds", r.ID, ref)
			}
		}
	}
}

func TestFlagsAreChecked(t *testing.T) {
	for _, c := range []RunCmd{
		{Seconds: 1}, {Patients: []int{0}, Seconds: 1}, {Patients: []int{10, 1}, Seconds: 1}, {Patients: []int{1}},
		{Patients: []int{1, 2}, Seconds: 1, Peer: "http://x/fhir"}, {Patients: []int{1}, Seconds: 1, Only: []string{"reads"}},
	} {
		if c.check() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// Every floor names a workload that exists.
func TestFloorsNameWorkloads(t *testing.T) {
	list, err := report.Floors()
	if err != nil || len(list) == 0 {
		t.Fatal(err)
	}
	for _, f := range list {
		if f.Workload != "" && !slices.Contains(names(), f.Workload) {
			t.Errorf("%s: no workload %s", f.Name, f.Workload)
		}
		if (f.AtLeast > 0) == (f.AtMost > 0) || f.ZH == "" || f.Unit == "" || (f.Latency != "") != (f.AtMostMs > 0) {
			t.Errorf("%+v is not one floor", f)
		}
	}
}

// The rate of the open loop: the floor's if the server can take it, else that
// of the smaller scale if it is below saturation, else a share of saturation.
func TestRates(t *testing.T) {
	saturated := func(rate int) *run {
		r := &run{}
		r.closed.sum = drive.Outcome{Answered: rate, Elapsed: time.Second}
		return r
	}
	for _, c := range []struct {
		name  string
		floor float64
		old   float64
		took  []int
		want  float64
	}{
		{"floor", 100, 0, []int{200}, 100},
		{"floor too near", 100, 0, []int{110}, 77},
		{"as before", 0, 70, []int{200}, 70},
		{"before is too much now", 0, 70, []int{80}, 56},
		{"the slowest of two, and no floor", 100, 0, []int{400, 200}, 140},
	} {
		st := &stretches{floors: map[string]float64{"w": c.floor}, rates: map[string]float64{"w": c.old}, share: 0.7}
		var runs []*run
		for _, n := range c.took {
			runs = append(runs, saturated(n))
		}
		if got := st.rate("w", runs); got < c.want-1e-6 || got > c.want+1e-6 {
			t.Errorf("%s: %g, want %g", c.name, got, c.want)
		}
	}
}
