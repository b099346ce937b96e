package lease_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"hutong/fhir/event/lease"
)

const ttl = 1500 * time.Millisecond

// TestMain lets the test binary be a process that holds a lease, so that a
// test can stop a real one.
func TestMain(m *testing.M) {
	if url := os.Getenv("HUTONG_TEST_LEASE"); url != "" {
		holder(url)
		return
	}
	os.Exit(m.Run())
}

// holder writes "token n" for as long as it holds the lease.
func holder(url string) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel() }()
	l, stop, err := open(ctx, url, "child")
	if err != nil {
		fmt.Println("error", err)
		return
	}
	defer stop()
	l.Hold(ctx, "job", func(ctx context.Context, t *lease.Term) error {
		for ctx.Err() == nil {
			if t.Held() {
				fmt.Println("held", t.Token)
			}
			time.Sleep(5 * time.Millisecond)
		}
		fmt.Println("ended", t.Token)
		return nil
	})
}

func open(ctx context.Context, url, node string) (*lease.Leases, func(), error) {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.Timeout(2*time.Second))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, nil, err
	}
	l, err := lease.Open(ctx, lease.Config{JS: js, TTL: ttl, Node: node, Log: zerolog.Nop()})
	return l, conn.Close, err
}

func startServer(t *testing.T) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{ServerName: "t", JetStream: true, StoreDir: t.TempDir(), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
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

// diary notes who held the lease, when.
type diary struct {
	mu    sync.Mutex
	terms []entry
}

type entry struct {
	node     string
	token    uint64
	from, to time.Time
	why      error
}

// run holds the lease as node until the returned function is called.
func (d *diary) run(t *testing.T, url, node string, work func(context.Context, *lease.Term) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l, shut, err := open(ctx, url, node)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Hold(ctx, "job", func(ctx context.Context, term *lease.Term) error {
			d.mu.Lock()
			i := len(d.terms)
			d.terms = append(d.terms, entry{node: node, token: term.Token, from: time.Now()})
			d.mu.Unlock()
			var err error
			if work != nil {
				err = work(ctx, term)
			} else {
				<-ctx.Done()
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.terms[i].to, d.terms[i].why = time.Now(), context.Cause(ctx)
			return err
		})
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done; shut() })
	t.Cleanup(stop)
	return stop
}

func (d *diary) all() []entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.terms)
}

// current is who holds the lease; "" if nobody.
func (d *diary) current() string {
	if all := d.all(); len(all) > 0 && all[len(all)-1].to.IsZero() {
		return all[len(all)-1].node
	}
	return ""
}

// orderly holds the diary to what a lease promises: terms do not overlap, and
// tokens rise.
func (d *diary) orderly(t *testing.T) {
	t.Helper()
	all := d.all()
	for i := 1; i < len(all); i++ {
		if all[i-1].to.IsZero() || all[i].from.Before(all[i-1].to) {
			t.Errorf("term %d of %s began before that of %s had ended", i, all[i].node, all[i-1].node)
		}
		if all[i].token <= all[i-1].token {
			t.Errorf("term %d: token %d after %d", i, all[i].token, all[i-1].token)
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("after 20 s: " + what)
		}
	}
}

// TestOneHolderAtATime: several want it, each gives it back after a while.
func TestOneHolderAtATime(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var d diary
	var inside, most, terms atomic.Int32
	work := func(ctx context.Context, term *lease.Term) error {
		most.Store(max(most.Load(), inside.Add(1)))
		defer inside.Add(-1)
		terms.Add(1)
		if !term.Held() {
			t.Error("a term that begins is not held")
		}
		time.Sleep(20 * time.Millisecond)
		return errors.New("enough")
	}
	for i := range 4 {
		d.run(t, s.ClientURL(), fmt.Sprint("n", i), work)
	}
	eventually(t, "no 8 terms", func() bool { return terms.Load() >= 8 })
	d.orderly(t)
	if most.Load() != 1 {
		t.Errorf("%d held the lease at once", most.Load())
	}
	nodes := map[string]bool{}
	for _, e := range d.all() {
		nodes[e.node] = true
	}
	if len(nodes) < 2 {
		t.Errorf("only %v ever held it", nodes)
	}
}

// TestHandover: who stops gives the lease back, and the next has it sooner
// than after a TTL.
func TestHandover(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var d diary
	stop := d.run(t, s.ClientURL(), "a", nil)
	eventually(t, "a does not hold it", func() bool { return d.current() == "a" })
	d.run(t, s.ClientURL(), "b", nil)
	time.Sleep(3 * ttl) // renewed, not lost
	if d.current() != "a" || len(d.all()) != 1 {
		t.Fatalf("terms %+v", d.all())
	}
	stop()
	eventually(t, "b does not take over", func() bool { return d.current() == "b" })
	d.orderly(t)
	if e := d.all()[0]; !errors.Is(e.why, context.Canceled) {
		t.Errorf("a ended because of %v", e.why)
	}
}

// wire is a TCP connection to the server that can be cut.
type wire struct {
	net.Listener
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l}
	t.Cleanup(func() { l.Close(); w.set(true) })
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
			w.mu.Lock()
			w.conns = append(w.conns, in, out)
			w.mu.Unlock()
			go w.pump(in, out)
			go w.pump(out, in)
		}
	}()
	return w
}

// pump copies; while the wire is cut, what arrives is swallowed, as by a
// network that drops packets: nobody hears of it.
func (w *wire) pump(from, to net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			to.Close()
			return
		}
		w.mu.Lock()
		cut := w.cut
		w.mu.Unlock()
		if !cut {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}

// set cuts the wire, or mends it: then what was open is closed, since bytes
// are missing.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut = cut; !cut {
		for _, c := range w.conns {
			c.Close()
		}
		w.conns = nil
	}
}

// TestCutOff: a holder that cannot renew steps down before another can take
// over, and comes back as a candidate.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := newWire(t, s.Addr().String())
	var d diary
	d.run(t, "nats://"+w.Addr().String(), "cut", nil)
	eventually(t, "nobody holds it", func() bool { return d.current() == "cut" })
	stop := d.run(t, s.ClientURL(), "whole", nil)
	w.set(true)
	eventually(t, "whole does not take over", func() bool { return d.current() == "whole" })
	d.orderly(t)
	if e := d.all()[0]; !errors.Is(e.why, lease.ErrLost) {
		t.Errorf("the cut-off holder ended because of %v", e.why)
	}
	w.set(false)
	stop()
	eventually(t, "the mended one does not take over", func() bool { return d.current() == "cut" })
	d.orderly(t)
}

// TestLostBucket: somebody removes the bucket; tokens rise all the same.
func TestLostBucket(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var d diary
	d.run(t, s.ClientURL(), "a", nil)
	eventually(t, "nobody holds it", func() bool { return d.current() == "a" })
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(context.Background(), lease.Bucket); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the holder does not notice", func() bool { return d.current() == "" })
	d.run(t, s.ClientURL(), "b", nil) // makes the bucket again
	eventually(t, "nobody holds it again", func() bool { return d.current() != "" })
	d.orderly(t)
}

// child is a process that wants the lease.
type child struct {
	cmd   *exec.Cmd
	mu    sync.Mutex
	lines []string
}

func startChild(t *testing.T, url string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), "HUTONG_TEST_LEASE="+url)
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.mu.Lock()
			c.lines = append(c.lines, s.Text())
			c.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Signal(syscall.SIGCONT)
		in.Close()
		<-read
		_ = c.cmd.Wait()
	})
	return c
}

func (c *child) said() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.lines)
}

// TestStoppedProcess: a real process is stopped while it holds the lease, and
// goes on when another holds it: it does nothing under its old token.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := startChild(t, s.ClientURL())
	held := func() bool {
		return slices.ContainsFunc(c.said(), func(l string) bool { return strings.HasPrefix(l, "held ") })
	}
	eventually(t, "the child does not hold it", held)
	var d diary
	d.run(t, s.ClientURL(), "here", nil)
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // what it wrote before it stopped
	before := len(c.said())
	eventually(t, "nobody takes over from a stopped process", func() bool { return d.current() == "here" })
	if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	ended := func() bool {
		return slices.ContainsFunc(c.said(), func(l string) bool { return strings.HasPrefix(l, "ended ") })
	}
	eventually(t, "the child does not step down", ended)
	time.Sleep(2 * ttl)
	for _, line := range c.said()[before:] {
		if strings.HasPrefix(line, "held ") {
			t.Fatalf("after it went on: %q", c.said()[before:])
		}
	}
	var token uint64
	if _, err := fmt.Sscanf(c.said()[0], "held %d", &token); err != nil || d.all()[0].token <= token {
		t.Errorf("token %d after %q: %v", d.all()[0].token, c.said()[0], err)
	}
	if d.current() != "here" {
		t.Error("the child took the lease back")
	}
}

// TestKilledProcess: nothing is given back; another has it after its time.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := startChild(t, s.ClientURL())
	eventually(t, "the child does not hold it", func() bool { return len(c.said()) > 0 })
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var d diary
	d.run(t, s.ClientURL(), "here", nil)
	eventually(t, "nobody takes over from a killed process", func() bool { return d.current() == "here" })
}
