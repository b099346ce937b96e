package mongo_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo"
)

// A server that is not there is an error in good time, and the error does not
// tell who would have logged in.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"mongodb://dr:s3cret@127.0.0.1:1/x", "mongodb://dr:s3cret@", "mongodb://dr:s3cret@h/x?authSource=%zz", "://s3cret"} {
		_, err := mongo.Open(t.Context(), uri, mongo.Options{Timeout: 300 * time.Millisecond})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
}

// A server that goes away while the store is open: every call says Busy in
// good time, and all goes on when it is back.
func TestOutage(t *testing.T) {
	t.Parallel()
	if !server.Own {
		t.Skip("a deployment of several servers is not reached through one address")
	}
	uri := fresh()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	l := newLine(t, u.Host)
	u.Host = l.addr
	s := node(t, u.String(), mongo.Options{Timeout: time.Second, Commit: 2 * time.Second})
	put(t, s, op(t, fhir.Created, patient("p", "Li")))
	snap, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	l.cut()
	calls := map[string]func() error{
		"commit": func() error {
			_, err := s.Commit(t.Context(), store.Tx{Ops: []store.Op{op(t, fhir.Created, patient("q", "Li"))}})
			return err
		},
		"snapshot": func() error { _, err := s.Snapshot(t.Context(), 0); return err },
		"get":      func() error { _, err := snap.Get(t.Context(), fhir.Key{Type: "Patient", ID: "p"}); return err },
		"history":  func() error { _, err := snap.History(t.Context(), store.History{Count: 1}); return err },
		"changes":  func() error { _, err := s.Changes(t.Context(), 0, 1); return err },
		"space":    func() error { return s.Space("x").Apply(t.Context(), []store.Write{{Key: []byte("k")}}) },
	}
	for name, call := range calls {
		start := time.Now()
		if err := call(); fhir.KindOf(err) != fhir.Busy {
			t.Errorf("%s: %v, want Busy", name, err)
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s hung for %v", name, took)
		}
	}
	l.mend()
	for end := time.Now().Add(30 * time.Second); ; {
		_, err := s.Commit(t.Context(), store.Tx{Ops: []store.Op{op(t, fhir.Created, patient("r", "Li"))}})
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if got := see(t, s, 0, "Patient?_id=p,r"); len(got) != 2 {
		t.Errorf("after the outage: %v", got)
	}
}

// line forwards connections, and can be cut.
type line struct {
	addr, to string
	mu       sync.Mutex
	dead     bool
	conns    []net.Conn
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &line{addr: l.Addr().String(), to: to}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(c)
		}
	}()
	return p
}

func (p *line) carry(c net.Conn) {
	defer c.Close()
	d, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer d.Close()
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return
	}
	p.conns = append(p.conns, c, d)
	p.mu.Unlock()
	go func() { _, _ = io.Copy(d, c); _ = d.Close() }()
	_, _ = io.Copy(c, d)
}

func (p *line) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func (p *line) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = false
}
