package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/event"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
)

// source is a real store with a way to fill it.
type source struct {
	t *testing.T
	x *search.Extractor
	*disk.Store
	// saving decides about each save of a cursor; nil permits all.
	saving func() error
}

func newSource(t *testing.T) *source {
	t.Helper()
	x := search.NewExtractor(definition.R4(), search.Options{})
	db, err := disk.Open(t.TempDir(), disk.Options{Extract: x.ExtractBody, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &source{t: t, x: x, Store: db}
}

// Space gives spaces whose writes the test may refuse.
func (s *source) Space(name string) store.Space { return &space{s.Store.Space(name), s} }

type space struct {
	store.Space
	s *source
}

func (p *space) Apply(ctx context.Context, writes []store.Write) error {
	if p.s.saving != nil {
		if err := p.s.saving(); err != nil {
			return err
		}
	}
	return p.Space.Apply(ctx, writes)
}

// put commits one version of a Patient.
func (s *source) put(id string) {
	s.t.Helper()
	s.commit("Patient", id, fmt.Appendf(nil, `{"resourceType":"Patient","id":%q,"name":[{"family":"Secret"}]}`, id))
}

func (s *source) commit(typ fhir.Type, id string, raw []byte) {
	s.t.Helper()
	if _, err := s.Commit(context.Background(), store.Tx{Ops: []store.Op{s.op(typ, id, raw)}}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *source) op(typ fhir.Type, id string, raw []byte) store.Op {
	s.t.Helper()
	d, err := codec.Parse(raw, codec.DefaultLimits())
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := codec.NewBody(d, 0, codec.BodyOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	entries, facts, err := s.x.Extract(nil, d, 0, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	facts.Custodian = "org-a"
	return store.Op{Key: fhir.Key{Type: typ, ID: id}, Method: fhir.Updated, Body: body, Facts: facts, Entries: entries}
}

func (s *source) fill(from, to int) {
	for i := from; i < to; i++ {
		s.put(fmt.Sprintf("p%d", i))
	}
}

// start runs a bus in dir until the returned function is called.
func start(t *testing.T, s store.Store, dir string, metrics prometheus.Registerer) (*event.Bus, func()) {
	t.Helper()
	bus, err := event.Start(context.Background(), event.Config{Store: s, Dir: dir, Log: zerolog.Nop(), Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	stop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := bus.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	t.Cleanup(stop) // closing twice is harmless
	return bus, stop
}

// tally counts what a handler is given.
type tally struct {
	mu   sync.Mutex
	seen map[string]int
	last event.Event
}

func (c *tally) handle(_ context.Context, e event.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	c.seen[fmt.Sprintf("%s/%d", e.Key, e.VersionID)]++
	c.last = e
	return nil
}

// count gives distinct events and deliveries.
func (c *tally) count() (events, deliveries int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.seen {
		deliveries += n
	}
	return len(c.seen), deliveries
}

func (c *tally) wait(t *testing.T, events int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if n, _ := c.count(); n >= events {
			return
		}
	}
	n, all := c.count()
	t.Fatalf("%d events (%d deliveries) after 10 s, want %d", n, all, events)
}

func subscribe(t *testing.T, bus *event.Bus, durable, filter string, h event.Handler) {
	t.Helper()
	if err := bus.Subscribe(context.Background(), durable, filter, h); err != nil {
		t.Fatal(err)
	}
}

func TestChangesArrive(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	s.fill(0, 20)
	bus, _ := start(t, s, t.TempDir(), nil)
	var all, none tally
	subscribe(t, bus, "all", event.Subject+">", all.handle)
	subscribe(t, bus, "none", event.Subject+"Observation", none.handle)
	s.fill(20, 40)
	all.wait(t, 40)
	e := all.last
	if e.Key.Type != "Patient" || e.Method != fhir.Updated || e.Custodian != "org-a" || e.VersionID != 1 || e.T == 0 ||
		len(e.Patients) != 1 || e.Patients[0] != e.Key || time.Since(e.LastUpdated) > time.Minute {
		t.Errorf("event %+v", e)
	}
	if n, _ := none.count(); n != 0 {
		t.Errorf("the filter let %d through", n)
	}
	b, err := json.Marshal(e)
	if err != nil || strings.Contains(string(b), "Secret") {
		t.Errorf("payload %s: %v", b, err)
	}
}

func TestRestartResumes(t *testing.T) {
	t.Parallel()
	s, dir := newSource(t), t.TempDir()
	var seen tally
	s.fill(0, 30)
	bus, stop := start(t, s, dir, nil)
	subscribe(t, bus, "mpi", event.Subject+">", seen.handle)
	seen.wait(t, 30)
	stop()
	s.fill(30, 60) // while nobody publishes
	bus, _ = start(t, s, dir, nil)
	subscribe(t, bus, "mpi", event.Subject+">", seen.handle)
	seen.wait(t, 60)
	if n, deliveries := seen.count(); n != 60 || deliveries > 62 {
		t.Errorf("%d events in %d deliveries", n, deliveries)
	}
}

// TestACommitOfMany: its changes come in one message a type, or a few; one that
// is not handled comes again with those beside it, and none is lost.
func TestACommitOfMany(t *testing.T) {
	t.Parallel()
	s, nats := newSource(t), cluster(t)
	bus, _ := node(t, s, nats.ClientURL())
	var all, watched, shaky tally
	subscribe(t, bus, "all", event.Subject+">", all.handle)
	watch := func(e event.Event) { _ = watched.handle(t.Context(), e) }
	if err := bus.Watch(t.Context(), event.Subject+">", watch, func() { t.Error("something was missed") }); err != nil {
		t.Fatal(err)
	}
	failed := false
	subscribe(t, bus, "shaky", event.Subject+"Basic", func(ctx context.Context, e event.Event) error {
		if e.Key.ID == "b1" && !failed {
			failed = true
			return errors.New("not now")
		}
		return shaky.handle(ctx, e)
	})
	var tx store.Tx
	for i := range 300 {
		id := fmt.Sprintf("p%d", i)
		tx.Ops = append(tx.Ops, s.op("Patient", id, fmt.Appendf(nil, `{"resourceType":"Patient","id":%q}`, id)))
		if i < 3 {
			id = fmt.Sprintf("b%d", i)
			tx.Ops = append(tx.Ops, s.op("Basic", id, fmt.Appendf(nil, `{"resourceType":"Basic","id":%q,"code":{"text":"x"}}`, id)))
		}
	}
	if _, err := s.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	s.put("alone")
	all.wait(t, 304)
	watched.wait(t, 304)
	shaky.wait(t, 3)
	if n, deliveries := shaky.count(); n != 3 || deliveries != 5 {
		t.Errorf("%d events in %d deliveries, want 3 in 5: two of them twice", n, deliveries)
	}
	if n := messages(t, nats.ClientURL()); n != 5 {
		t.Errorf("%d messages, want 3 of the Patients, one of the others, and one of the commit behind them", n)
	}
}

// TestSilentTypes: their changes are passed over and not announced; what was
// announced before them is not announced again by the next start.
func TestSilentTypes(t *testing.T) {
	t.Parallel()
	s, dir := newSource(t), t.TempDir()
	begin := func() (*event.Bus, *prometheus.Registry, func()) {
		r := prometheus.NewRegistry()
		bus, err := event.Start(t.Context(), event.Config{Store: s, Dir: dir, Log: zerolog.Nop(), Metrics: r, Silent: []fhir.Type{"Basic"}})
		if err != nil {
			t.Fatal(err)
		}
		stop := func() {
			if err := bus.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
		t.Cleanup(stop)
		return bus, r, stop
	}
	silent := func(from, to int) {
		for i := from; i < to; i++ {
			id := fmt.Sprintf("b%d", i)
			s.commit("Basic", id, fmt.Appendf(nil, `{"resourceType":"Basic","id":%q,"code":{"text":"x"}}`, id))
		}
	}
	var seen, later tally
	s.fill(0, 5)
	silent(0, 5)
	bus, _, stop := begin()
	subscribe(t, bus, "all", event.Subject+">", seen.handle)
	seen.wait(t, 5)
	silent(5, 10)
	s.fill(5, 10)
	silent(10, 15)
	seen.wait(t, 10)
	stop()
	silent(15, 20)
	bus, r, _ := begin()
	s.fill(10, 11)
	subscribe(t, bus, "later", event.Subject+">", later.handle)
	later.wait(t, 11)
	if n, _ := later.count(); n != 11 || later.last.Key.Type != "Patient" {
		t.Errorf("%d events, the last %+v", n, later.last)
	}
	if n := metrics(t, r)["hutong_event_published_total"]; n != 1 {
		t.Errorf("%v were published after the start, want 1", n)
	}
}

// TestNothingIsLostBetweenPublishAndSave: the process ends after the stream
// has the events and before the cursor is saved.
func TestNothingIsLostBetweenPublishAndSave(t *testing.T) {
	t.Parallel()
	s, dir := newSource(t), t.TempDir()
	var mu sync.Mutex
	dead := false
	s.saving = func() error {
		mu.Lock()
		defer mu.Unlock()
		if dead {
			return errors.New("killed")
		}
		return nil
	}
	var seen tally
	s.fill(0, 10)
	bus, stop := start(t, s, dir, nil)
	subscribe(t, bus, "all", event.Subject+">", seen.handle)
	seen.wait(t, 10)
	mu.Lock()
	dead = true
	mu.Unlock()
	s.fill(10, 20)
	seen.wait(t, 20)
	stop()
	mu.Lock()
	dead = false
	mu.Unlock()
	s.fill(20, 30)
	bus, _ = start(t, s, dir, nil)
	subscribe(t, bus, "all", event.Subject+">", seen.handle)
	seen.wait(t, 30)
	if n, _ := seen.count(); n != 30 {
		t.Errorf("%d events, want 30", n)
	}
}

// TestALostStreamIsFilledAgain: the stream's files are gone; what they held
// comes again from the change log.
func TestALostStreamIsFilledAgain(t *testing.T) {
	t.Parallel()
	s, dir := newSource(t), t.TempDir()
	s.fill(0, 10)
	var first, second tally
	bus, stop := start(t, s, dir, nil)
	subscribe(t, bus, "all", event.Subject+">", first.handle)
	first.wait(t, 10)
	stop()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	bus, _ = start(t, s, dir, nil)
	subscribe(t, bus, "all", event.Subject+">", second.handle)
	second.wait(t, 10)
}

// TestACutStreamIsFilledAgain: a power failure took the end of the stream,
// which the cursor counts as published.
func TestACutStreamIsFilledAgain(t *testing.T) {
	t.Parallel()
	s, dir := newSource(t), t.TempDir()
	s.fill(0, 10)
	var first, second tally
	bus, stop := start(t, s, dir, nil)
	subscribe(t, bus, "first", event.Subject+">", first.handle)
	first.wait(t, 10)
	stop()
	server, err := natsserver.NewServer(&natsserver.Options{ServerName: "hutong", JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	conn, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(context.Background(), event.Stream)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(8); n <= 10; n++ {
		if err := stream.DeleteMsg(context.Background(), n); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close()
	server.Shutdown()
	server.WaitForShutdown()
	bus, _ = start(t, s, dir, nil)
	subscribe(t, bus, "second", event.Subject+">", second.handle)
	second.wait(t, 10)
}

// TestFailedEventsComeAgain, and do not hold up the others.
func TestFailedEventsComeAgain(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	registry := prometheus.NewPedanticRegistry()
	bus, stop := start(t, s, t.TempDir(), registry)
	var seen tally
	var mu sync.Mutex
	failures := 0
	subscribe(t, bus, "shaky", event.Subject+">", func(ctx context.Context, e event.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if e.Key.ID == "p0" && failures < 1 {
			failures++
			return errors.New("not now")
		}
		return seen.handle(ctx, e)
	})
	s.fill(0, 5)
	seen.wait(t, 4)
	seen.wait(t, 5)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		m := metrics(t, registry)
		if m["hutong_event_published_total"] == 5 && m["hutong_event_consumer_lag"] == 0 && m["hutong_event_consumer_failed_total"] == 1 &&
			m["hutong_event_consumer_handled_total"] == 5 && m["hutong_event_tail_lag_seconds"] == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("metrics %v", m)
		}
	}
	stop()
	if err := bus.Subscribe(context.Background(), "late", event.Subject+">", seen.handle); err == nil {
		t.Error("a closed bus takes a subscription")
	}
}

func metrics(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]float64{}
	for _, f := range families {
		for _, x := range f.GetMetric() {
			m[f.GetName()] += x.GetCounter().GetValue() + x.GetGauge().GetValue()
		}
	}
	return m
}

// TestASubscriptionEndsWithItsContext: the handler is left alone afterwards.
func TestASubscriptionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	bus, _ := start(t, s, t.TempDir(), nil)
	var ended, other tally
	ctx, cancel := context.WithCancel(context.Background())
	if err := bus.Subscribe(ctx, "ended", event.Subject+">", ended.handle); err != nil {
		t.Fatal(err)
	}
	subscribe(t, bus, "other", event.Subject+">", other.handle)
	s.fill(0, 3)
	ended.wait(t, 3)
	cancel()
	time.Sleep(50 * time.Millisecond)
	s.fill(3, 6)
	other.wait(t, 6)
	if n, _ := ended.count(); n != 3 {
		t.Errorf("%d events reached a subscription that had ended", n)
	}
}

// TestAnotherServer: the same bus over TCP, as with a cluster.
func TestAnotherServer(t *testing.T) {
	t.Parallel()
	s := newSource(t)
	host, err := event.Start(context.Background(), event.Config{Store: newSource(t), Dir: t.TempDir(), Listen: "127.0.0.1:-1", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := host.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	bus, err := event.Start(context.Background(), event.Config{Store: s, URL: host.URL(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bus.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	var seen tally
	subscribe(t, bus, "all", event.Subject+">", seen.handle)
	s.fill(0, 3)
	seen.wait(t, 3)
	if _, err := event.Start(context.Background(), event.Config{Store: s, URL: "nats://127.0.0.1:1", Log: zerolog.Nop()}); err == nil {
		t.Error("a server that is not there is connected to")
	}
}

// FuzzEvent: no payload breaks the reader, and what it takes it writes again.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"key":"Patient/1","version":1,"t":3,"method":"PUT","at":"2024-01-01T00:00:00Z","patients":["Patient/1"]}`))
	f.Add([]byte(`{"key":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again event.Event
		if json.Unmarshal(b, &e) != nil {
			return
		}
		out, err := json.Marshal(e)
		if err != nil {
			t.Skip() // a year that JSON cannot hold
		}
		if err := json.Unmarshal(out, &again); err != nil || again.Key != e.Key || again.T != e.T || again.Method != e.Method {
			t.Fatalf("%s becomes %s: %v", b, out, err)
		}
	})
}
