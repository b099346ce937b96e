package event_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"hutong/fhir/event"
	"hutong/fhir/event/lease"
)

const leaseTTL = 1200 * time.Millisecond

func cluster(t *testing.T) *natsserver.Server {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{ServerName: "t", JetStream: true, StoreDir: t.TempDir(), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("no NATS server")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// node is a bus of a cluster on a store that nodes share.
func node(t *testing.T, s *source, url string) (*event.Bus, func()) {
	t.Helper()
	bus, err := event.Start(context.Background(), event.Config{Store: s, URL: url, LeaseTTL: leaseTTL, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = bus.Close(ctx) // one that is cut off cannot say goodbye
	})
	t.Cleanup(stop)
	return bus, stop
}

// messages counts what the stream holds.
func messages(t *testing.T, url string) (n uint64) {
	t.Helper()
	stored(t, url, func(jetstream.Stream, uint64) { n++ })
	return n
}

// stream lists the events that the stream holds, in order.
func stream(t *testing.T, url string) (ids []string) {
	t.Helper()
	stored(t, url, func(s jetstream.Stream, n uint64) {
		m, err := s.GetMsg(context.Background(), n)
		if err != nil {
			t.Fatal(err)
		}
		events, err := event.Read(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			ids = append(ids, e.Key.ID)
		}
	})
	return ids
}

// stored visits the sequences of the stream's messages.
func stored(t *testing.T, url string, visit func(jetstream.Stream, uint64)) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(context.Background(), event.Stream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n <= info.State.LastSeq; n++ {
		visit(s, n)
	}
}

func numbers(to int) (ids []string) {
	for i := range to {
		ids = append(ids, fmt.Sprintf("p%d", i))
	}
	return ids
}

// TestOneRelay: of two nodes one publishes, and the other goes on where it
// stopped.
func TestOneRelay(t *testing.T) {
	t.Parallel()
	s, nats := newSource(t), cluster(t)
	_, stop := node(t, s, nats.ClientURL())
	b, _ := node(t, s, nats.ClientURL())
	var seen tally
	subscribe(t, b, "all", event.Subject+">", seen.handle)
	s.fill(0, 50)
	seen.wait(t, 50)
	stop()
	s.fill(50, 60)
	seen.wait(t, 60)
	if got := stream(t, nats.ClientURL()); !slices.Equal(got, numbers(60)) {
		t.Errorf("the stream holds %v", got)
	}
}

// wire is a way to the server that can be cut: what it swallows nobody hears of.
type wire struct {
	url string
	cut atomic.Bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &wire{url: "nats://" + l.Addr().String()}
	pump := func(from, to net.Conn) {
		defer to.Close()
		buf := make([]byte, 4096)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if !w.cut.Load() {
				if _, err := to.Write(buf[:n]); err != nil {
					return
				}
			}
		}
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			go pump(in, out)
			go pump(out, in)
		}
	}()
	return w
}

// TestACutOffRelayIsFenced: a relay is cut off while it saves its cursor; when
// its write comes at last, another has taken over, and the write is refused.
func TestACutOffRelayIsFenced(t *testing.T) {
	t.Parallel()
	s, nats := newSource(t), cluster(t)
	w := newWire(t, nats.Addr().String())
	var slow atomic.Bool
	reached, hold := make(chan struct{}, 1), make(chan struct{})
	a := &source{t: t, x: s.x, Store: s.Store, saving: func() error {
		if slow.Load() {
			select {
			case reached <- struct{}{}:
			default:
			}
			<-hold
		}
		return nil
	}}
	_, stop := node(t, a, w.url)
	s.fill(0, 5)
	var seen tally
	b, _ := node(t, s, nats.ClientURL())
	subscribe(t, b, "all", event.Subject+">", seen.handle)
	seen.wait(t, 5)
	slow.Store(true)
	s.fill(5, 6)
	<-reached // published, and about to save
	w.cut.Store(true)
	s.fill(6, 20)
	seen.wait(t, 20) // b relays
	key := []byte("cursor")
	var before []byte
	for end := time.Now().Add(20 * time.Second); len(before) < 16 || binary.BigEndian.Uint64(before[8:]) < 20; time.Sleep(5 * time.Millisecond) {
		var err error
		if before, err = s.Space("events").Get(context.Background(), key); err != nil || time.Now().After(end) {
			t.Fatalf("the cursor stays at %x: %v", before, err)
		}
	}
	close(hold)
	stop()
	after, err := s.Space("events").Get(context.Background(), key)
	if err != nil || string(after) != string(before) {
		t.Errorf("the cursor went from %x to %x: %v", before, after, err)
	}
	if got := stream(t, nats.ClientURL()); !slices.Equal(got, numbers(20)) {
		t.Errorf("the stream holds %v", got)
	}
}

// TestTakeOver: what a node that is cut off holds comes to the one that takes
// over, at once; what was acknowledged does not come again.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	s, nats := newSource(t), cluster(t)
	w := newWire(t, nats.Addr().String())
	a, _ := node(t, s, w.url)
	b, _ := node(t, s, nats.ClientURL())
	var here, there tally
	hold := make(chan struct{})
	if err := a.TakeOver(context.Background(), "work", event.Subject+">", func(ctx context.Context, e event.Event) error {
		if e.Key.ID == "p5" {
			<-hold
			return nil
		}
		return here.handle(ctx, e)
	}); err != nil {
		t.Fatal(err)
	}
	s.fill(0, 10)
	here.wait(t, 5) // p5 is in hand, the rest is fetched
	time.Sleep(100 * time.Millisecond)
	w.cut.Store(true)
	if err := b.TakeOver(context.Background(), "work", event.Subject+">", there.handle); err != nil {
		t.Fatal(err)
	}
	there.wait(t, 5) // sooner than the time for an acknowledgement
	close(hold)
	if n, _ := there.count(); n != 5 {
		t.Errorf("%d events came again, want the 5 that were not acknowledged", n)
	}
}

// TestLead: work of one name runs on one node at a time, of another name
// independently, and tokens rise.
func TestLead(t *testing.T) {
	t.Parallel()
	s, nats := newSource(t), cluster(t)
	var mu sync.Mutex
	var tokens []uint64
	inside, most := 0, 0
	for range 3 {
		b, _ := node(t, s, nats.ClientURL())
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Lead(ctx, "work", func(_ context.Context, term *lease.Term) error {
				mu.Lock()
				tokens = append(tokens, term.Token)
				inside++
				most = max(most, inside)
				mu.Unlock()
				time.Sleep(10 * time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				inside--
				return nil
			})
		}()
		t.Cleanup(func() { cancel(); <-done })
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		n := len(tokens)
		mu.Unlock()
		if n >= 5 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d terms after 20 s", n)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.IsSorted(tokens) || most != 1 {
		t.Errorf("tokens %v, %d at once", tokens, most)
	}
}

// TestWatch: every node hears of every change, in order, from when it began.
func TestWatch(t *testing.T) {
	t.Parallel()
	s, nats := newSource(t), cluster(t)
	a, _ := node(t, s, nats.ClientURL())
	b, _ := node(t, s, nats.ClientURL())
	var all tally
	subscribe(t, a, "all", event.Subject+">", all.handle)
	s.fill(0, 10)
	all.wait(t, 10)
	var mu sync.Mutex
	var heard [2][]string
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i, bus := range []*event.Bus{a, b} {
		err := bus.Watch(ctx, event.Subject+"Patient", func(e event.Event) {
			mu.Lock()
			defer mu.Unlock()
			heard[i] = append(heard[i], e.Key.ID)
		}, func() { t.Error("events were missed") })
		if err != nil {
			t.Fatal(err)
		}
	}
	s.fill(10, 30)
	all.wait(t, 30)
	read := func(i int) []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(heard[i]) }
	for end := time.Now().Add(20 * time.Second); (len(read(0)) < 20 || len(read(1)) < 20) && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	for i := range heard {
		if got := read(i); !slices.Equal(got, numbers(30)[10:]) {
			t.Errorf("node %d heard of %v", i, got)
		}
	}
	cancel()
	time.Sleep(20 * time.Millisecond)
	s.fill(30, 31)
	all.wait(t, 31)
	if got := read(0); len(got) != 20 {
		t.Errorf("after the end: %v", got)
	}
}
