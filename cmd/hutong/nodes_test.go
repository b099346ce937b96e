package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"hutong/fhir/event"
	"hutong/fhir/event/lease"
	"hutong/fhir/store/mongo/mongotest"
	"hutong/profiles"
)

// node is a real process of the exchange, beside others on one database and
// one NATS server. Its way to NATS can be cut.
type node struct {
	t    *testing.T
	name string
	url  string
	cmd  *exec.Cmd
	cut  *atomic.Bool
}

// startNode starts it; ready waits until it answers.
func startNode(t *testing.T, name, database string, nats net.Addr) *node {
	t.Helper()
	way, cut := cuttable(t, nats)
	listen := freeAddress(t)
	n := &node{t: t, name: name, url: "http://" + listen, cut: cut, cmd: exec.Command(os.Args[0], "serve", "--auth", "open",
		"--listen", listen, "--public-url", "http://exchange.example", "--data", t.TempDir(), "--store", database,
		"--nats", "nats://"+way, "--node", name, "--log-level", "error")}
	n.cmd.Env = append(os.Environ(), "HUTONG_TEST_AS_MAIN=1")
	n.cmd.Stderr = os.Stderr
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.cmd.Process.Kill(); _ = n.cmd.Wait() })
	return n
}

func (n *node) ready() {
	n.t.Helper()
	eventually(n.t, n.name+" is not ready", func() bool {
		res, err := http.Get(n.url + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// cuttable is an address that leads to another one, unless it is cut: then
// what is sent vanishes.
func cuttable(t *testing.T, to net.Addr) (string, *atomic.Bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cut := new(atomic.Bool)
	pump := func(from, to net.Conn) {
		defer from.Close()
		defer to.Close()
		buf := make([]byte, 32<<10)
		for {
			k, err := from.Read(buf)
			if err != nil {
				return
			}
			if cut.Load() {
				continue
			}
			if _, err := to.Write(buf[:k]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to.String())
			if err != nil {
				in.Close()
				continue
			}
			go pump(in, out)
			go pump(out, in)
		}
	}()
	return l.Addr().String(), cut
}

func eventually(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !holds() {
		if time.Since(start) > 3*time.Minute {
			t.Fatal("after three minutes: " + what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(start)
}

// post stores a Patient who has a card.
func (n *node) post(id, card string) {
	n.t.Helper()
	body := fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"text":"张伟"}],"gender":"male","birthDate":"1980-05-01","identifier":[{"system":%q,"value":%q}]}`, id, profiles.CitizenID, card)
	req, err := http.NewRequest(http.MethodPut, n.url+"/fhir/Patient/"+id, bytes.NewReader([]byte(body)))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	if raw, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusCreated {
		n.t.Fatalf("%s: %s %s", n.name, res.Status, raw)
	}
}

// members are the records that n holds for one person with a record.
func (n *node) members(id string) string {
	res, err := http.Get(n.url + "/api/identity/persons/" + id)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	var view struct{ Members []struct{ Patient string } }
	if res.StatusCode != http.StatusOK || json.NewDecoder(res.Body).Decode(&view) != nil {
		return res.Status
	}
	var ids []string
	for _, m := range view.Members {
		ids = append(ids, strings.TrimPrefix(m.Patient, "Patient/"))
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// backstage reads what the nodes share.
type backstage struct {
	t  *testing.T
	js jetstream.JetStream
}

// holder is the node that holds the lease of a job.
func (b backstage) holder(job string) (node string, token uint64) {
	kv, err := b.js.KeyValue(context.Background(), lease.Bucket)
	if err != nil {
		return "", 0
	}
	keys, err := kv.Keys(context.Background())
	if err != nil {
		return "", 0
	}
	for _, k := range keys {
		if !strings.HasSuffix(k, "."+job) {
			continue
		}
		var r struct {
			Node     string
			Token    uint64
			Released bool
		}
		e, err := kv.Get(context.Background(), k)
		if err == nil && json.Unmarshal(e.Value(), &r) == nil && !r.Released {
			return r.Node, r.Token
		}
	}
	return "", 0
}

// announced are the Patients that the stream of changes holds.
func (b backstage) announced() []string {
	s, err := b.js.Stream(context.Background(), event.Stream)
	if err != nil {
		b.t.Fatal(err)
	}
	info, err := s.Info(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []string
	for n := info.State.FirstSeq; n > 0 && n <= info.State.LastSeq; n++ {
		m, err := s.GetMsg(context.Background(), n)
		if err != nil {
			b.t.Fatal(err)
		}
		events, err := event.Read(m.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range events {
			if e.Key.Type == "Patient" {
				ids = append(ids, e.Key.ID)
			}
		}
	}
	return ids
}

// startNATS is a NATS server that nodes share.
func startNATS(t *testing.T) *natsserver.Server {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{ServerName: "t", JetStream: true, StoreDir: t.TempDir(), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("no NATS server")
	}
	return s
}

// TestThreeNodes: real processes on one database. One of them links and one
// announces, and all see the links; whichever it is, when it is stopped,
// cut off or killed, another goes on, nothing is lost, and one that comes back
// does no harm.
func TestThreeNodes(t *testing.T) {
	db, err := mongotest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Stop)
	s := startNATS(t)
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	back := backstage{t, js}
	database := db.Database()
	nodes := map[string]*node{}
	for _, name := range []string{"n1", "n2", "n3"} {
		nodes[name] = startNode(t, name, database, s.Addr())
		nodes[name].ready() // the first makes the database
	}

	posted := 0
	// pair posts two records of one person at two of the nodes and waits until
	// all of them see one person.
	pair := func(what, card string, at ...*node) {
		t.Helper()
		a, b := fmt.Sprintf("p%d", posted), fmt.Sprintf("p%d", posted+1)
		posted += 2
		at[0].post(a, card)
		at[1%len(at)].post(b, card)
		for _, n := range at {
			took := eventually(t, fmt.Sprintf("%s: %s holds %q for the person of %s", what, n.name, n.members(a), a), func() bool { return n.members(a) == a+" "+b })
			t.Logf("%s: %s sees the link after %v", what, n.name, took.Round(time.Millisecond))
		}
	}
	others := func(not string) []*node {
		var list []*node
		for _, name := range []string{"n1", "n2", "n3"} {
			if n := nodes[name]; n != nil && name != not {
				list = append(list, n)
			}
		}
		return list
	}
	leader := func(not string) (name string, token uint64) {
		t.Helper()
		eventually(t, "nobody links but "+not, func() bool { name, token = back.holder("linker"); return name != "" && name != not })
		return name, token
	}

	first, t1 := leader("")
	pair("all well", "50011219800501001X", others("")...)

	send(t, nodes[first], syscall.SIGSTOP)
	second, t2 := leader(first)
	pair("linker stopped", "500112198005010036", others(first)...)
	send(t, nodes[first], syscall.SIGCONT)
	pair("linker back", "500112198005010052", others("")...)

	nodes[second].cut.Store(true)
	third, t3 := leader(second)
	pair("linker cut off", "500112198005010079", others(second)...)
	nodes[second].cut.Store(false)

	if err := nodes[third].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	delete(nodes, third)
	_, t4 := leader(third)
	pair("linker killed", "500112198005010095", others("")...)

	if !(t1 < t2 && t2 < t3 && t3 < t4) {
		t.Errorf("tokens %d %d %d %d", t1, t2, t3, t4)
	}
	var got []string
	eventually(t, "not every record is announced", func() bool {
		got = back.announced()
		unique := slices.Compact(slices.Sorted(slices.Values(got)))
		return len(unique) == posted
	})
	t.Logf("%d records, %d announcements", posted, len(got))
}

func send(t *testing.T, n *node, s syscall.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
