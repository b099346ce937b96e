// Package nats_test starts a real cluster from the files of this folder.
package nats_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/event"
	"hutong/fhir/event/lease"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/mpi/announce"
)

// authority is a certificate authority on disk; TestMain makes it, as the
// process reads its trusted roots (SSL_CERT_FILE) only once.
var authority struct {
	dir, file string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if authority.dir, err = os.MkdirTemp("", "nats-ca-*"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(authority.dir)) }()
	if authority.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return 0, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &authority.key.PublicKey, authority.key)
	if err != nil {
		return 0, err
	}
	if authority.cert, err = x509.ParseCertificate(der); err != nil {
		return 0, err
	}
	authority.file = filepath.Join(authority.dir, "ca.pem")
	if err := os.WriteFile(authority.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return 0, err
	}
	if err := os.Setenv("SSL_CERT_FILE", authority.file); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// issue writes a certificate for the loopback address, good for both ends.
func issue(t *testing.T, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name, "localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.cert, &k.PublicKey, authority.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// options reads nats.conf as node n, as the server itself does, and moves it
// to loopback ports. Everything else stays as the file says.
func options(t *testing.T, n int, routes []int) *server.Options {
	t.Helper()
	name := fmt.Sprintf("nats-%d", n)
	cert, key := issue(t, name)
	for k, v := range map[string]string{
		"NATS_NAME": name, "NATS_STORE": t.TempDir(), "NATS_TLS_CERT": cert, "NATS_TLS_KEY": key, "NATS_TLS_CA": authority.file,
		"NATS_NODE_PASSWORD": hashed(t, "node-secret"), "NATS_LISTENER_PASSWORD": hashed(t, "listener-secret"), "NATS_SYSTEM_PASSWORD": hashed(t, "system-secret"),
	} {
		t.Setenv(k, v)
	}
	o, err := server.ProcessConfigFile("nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Routes) != 3 || o.Cluster.Name != "hutong" || o.Port != 4222 {
		t.Fatalf("not the cluster of the file: %d routes, %q, port %d", len(o.Routes), o.Cluster.Name, o.Port)
	}
	o.Host, o.Port, o.HTTPHost, o.HTTPPort = "127.0.0.1", -1, "", 0
	o.Cluster.Host, o.Cluster.Port, o.Routes = "127.0.0.1", routes[n], nil
	for _, p := range routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", p)})
	}
	o.NoLog, o.NoSigs = true, true
	return o
}

// hashed is a bcrypt hash as the environment must hold it.
func hashed(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return `"` + string(h) + `"`
}

// cluster starts the three nodes and waits until they have a leader.
func cluster(t *testing.T) []*server.Server {
	t.Helper()
	ports := make([]int, 3)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	nodes := make([]*server.Server, 3)
	for i := range nodes {
		s, err := server.NewServer(options(t, i, ports))
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		nodes[i] = s
	}
	wait(t, "the cluster has no leader", func() bool {
		for _, s := range nodes {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 { // only the leader knows its peers
				return true
			}
		}
		return false
	})
	return nodes
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// address is a URL of the nodes for a user, the given node first.
func address(nodes []*server.Server, user string) string {
	var all []string
	for _, s := range nodes {
		all = append(all, fmt.Sprintf("tls://%s:%s-secret@%s", user, user, s.Addr().String()))
	}
	return strings.Join(all, ",")
}

func TestTheExchangesBusOnTheCluster(t *testing.T) {
	nodes := cluster(t)
	db := openStore(t)
	put(t, db, "before")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bus, err := event.Start(ctx, event.Config{Store: db, URL: address(nodes, "node"), Replicas: 3, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	heard := make(chan string, 16)
	if err := bus.Subscribe(ctx, "test", event.Subject+"Patient", func(_ context.Context, e event.Event) error {
		heard <- e.Key.ID
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	listener := connect(t, nodes, "listener")
	plain := make(chan *nats.Msg, 16)
	if _, err := listener.ChanSubscribe(event.Subject+">", plain); err != nil {
		t.Fatal(err)
	}
	if err := listener.Flush(); err != nil {
		t.Fatal(err)
	}
	expect(t, heard, "before")
	put(t, db, "with-three")
	expect(t, heard, "with-three")
	select {
	case <-plain:
	case <-time.After(30 * time.Second):
		t.Error("the listener hears nothing")
	}
	topic, err := bus.Topic(ctx, announce.Stream, announce.Subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := topic.Publish(ctx, "create", "1", []byte("{}")); err != nil {
		t.Error(err)
	}
	js, err := jetstream.New(connect(t, nodes, "node"))
	if err != nil {
		t.Fatal(err)
	}
	oneAtATime(ctx, t, js)
	stream, err := js.Stream(ctx, event.Stream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if info.Config.Replicas != 3 || info.Cluster == nil || len(info.Cluster.Replicas) != 2 {
		t.Errorf("%d replicas, cluster %+v", info.Config.Replicas, info.Cluster)
	}
	// The node that leads the stream goes; two are enough.
	for _, s := range nodes {
		if s.Name() == info.Cluster.Leader {
			s.Shutdown()
			s.WaitForShutdown()
		}
	}
	put(t, db, "with-two")
	expect(t, heard, "with-two")
}

// oneAtATime holds a lease, and gives it back.
func oneAtATime(ctx context.Context, t *testing.T, js jetstream.JetStream) {
	t.Helper()
	leases, err := lease.Open(ctx, lease.Config{JS: js, Replicas: 3, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	held := false
	leases.Hold(ctx, "test", func(context.Context, *lease.Term) error {
		held = true
		stop()
		return nil
	})
	if !held {
		t.Error("the lease was never held")
	}
}

// expect waits for the id; others are repeats, which at-least-once allows.
func expect(t *testing.T, heard <-chan string, id string) {
	t.Helper()
	end := time.After(45 * time.Second)
	for {
		select {
		case got := <-heard:
			if got == id {
				return
			}
		case <-end:
			t.Fatalf("no event of %s", id)
		}
	}
}

func connect(t *testing.T, nodes []*server.Server, user string) *nats.Conn {
	t.Helper()
	c, err := nats.Connect(address(nodes, user))
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	t.Cleanup(c.Close)
	return c
}

// What a user may not do the server refuses, and who it does not know gets no
// further than the door.
func TestNobodyMayMoreThanTheyNeed(t *testing.T) {
	o := options(t, 0, []int{-1, -1, -1})
	o.Cluster, o.Routes = server.ClusterOpts{}, nil // one node is enough here
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	nodes := []*server.Server{s}
	for _, c := range []struct {
		user, publish, subscribe string
		allowed                  bool
	}{
		{"node", "hutong.change.Patient", "", true},
		{"node", "$JS.API.STREAM.INFO.HUTONG", "", true},
		{"node", "$KV.HUTONG_LEASES.relay", "", true},
		{"node", "", "hutong.change.>", true},
		{"node", "hutong.person.create", "", true},
		{"node", "$JS.API.STREAM.DELETE.KV_HUTONG_LEASES", "", false},
		{"node", "$JS.API.STREAM.DELETE.HUTONG", "", false},
		{"node", "$JS.API.STREAM.PURGE.HUTONG", "", false},
		{"node", "$JS.API.STREAM.MSG.DELETE.HUTONG", "", false},
		{"node", "$JS.API.STREAM.CREATE.OTHER", "", false},
		{"node", "other", "", false},
		{"node", "", ">", false},
		{"node", "", "$SYS.>", false},
		{"listener", "", "hutong.change.>", true},
		{"listener", "hutong.change.Patient", "", false},
		{"listener", "$JS.API.INFO", "", false},
		{"listener", "", "_INBOX.>", false},
		{"system", "", "$SYS.>", true},
	} {
		refused := make(chan error, 1)
		conn, err := nats.Connect(address(nodes, c.user), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			select {
			case refused <- err:
			default:
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if c.publish != "" {
			err = conn.Publish(c.publish, []byte("{}"))
		} else {
			_, err = conn.SubscribeSync(c.subscribe)
		}
		if err = errors.Join(err, conn.Flush()); err != nil {
			t.Fatal(err)
		}
		// The refusal precedes the answer to the flush; its handler runs beside.
		select {
		case err = <-refused:
		case <-time.After(map[bool]time.Duration{true: 50 * time.Millisecond, false: 10 * time.Second}[c.allowed]):
			err = nil
		}
		if (err == nil) != c.allowed || err != nil && !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s publishes %q, subscribes %q: %v, allowed %v", c.user, c.publish, c.subscribe, err, c.allowed)
		}
		conn.Close()
	}
	at := s.Addr().String()
	for name, connect := range map[string]func() (*nats.Conn, error){
		"no user":        func() (*nats.Conn, error) { return nats.Connect("tls://" + at) },
		"wrong password": func() (*nats.Conn, error) { return nats.Connect("tls://node:wrong@" + at) },
		"another authority": func() (*nats.Conn, error) {
			return nats.Connect("tls://node:node-secret@"+at, nats.Secure(&tls.Config{RootCAs: x509.NewCertPool()}))
		},
	} {
		if c, err := connect(); err == nil {
			c.Close()
			t.Errorf("%s: let in", name)
		}
	}
	if said := plainly(t, at); strings.Contains(said, "PONG") {
		t.Errorf("without TLS: let in: %q", said)
	}
}

// plainly is what the server says to who logs in without TLS.
func plainly(t *testing.T, at string) string {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(`CONNECT {"user":"node","pass":"node-secret","verbose":false}` + "\r\nPING\r\n")); err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(c) // the server cuts the connection
	return string(said)
}

// openStore is an empty store.
func openStore(t *testing.T) *disk.Store {
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
	return db
}

// put commits a Patient.
func put(t *testing.T, db *disk.Store, id string) {
	t.Helper()
	d, err := codec.Parse(fmt.Appendf(nil, `{"resourceType":"Patient","id":%q}`, id), codec.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	body, err := codec.NewBody(d, 0, codec.BodyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	entries, facts, err := search.NewExtractor(definition.R4(), search.Options{}).Extract(nil, d, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	op := store.Op{Key: fhir.Key{Type: "Patient", ID: id}, Method: fhir.Updated, Body: body, Facts: facts, Entries: entries}
	if _, err := db.Commit(context.Background(), store.Tx{Ops: []store.Op{op}}); err != nil {
		t.Fatal(err)
	}
}
