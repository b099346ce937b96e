package event

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/event/lease"
	"hutong/fhir/store"
)

// Config says where the events go.
type Config struct {
	Store store.Store
	// URL is "embedded" (or "") for a JetStream server inside the process, or
	// the nats:// URL of a cluster.
	URL string
	// Dir holds the embedded server's files.
	Dir string
	// Listen opens the embedded server on TCP, "127.0.0.1:4222"; "" keeps it
	// inside the process.
	Listen  string
	Log     zerolog.Logger
	Metrics prometheus.Registerer // nil: none
	MaxAge  time.Duration         // how long the stream keeps events; 0 = 7 days
	// Silent are types whose changes are not announced: of what the server
	// itself writes at every request, each would cost as much as the request.
	Silent   []fhir.Type
	Replicas int // of the stream on a cluster; 0 = 1
	// Of the leases on a cluster: who this node is, for people, and how long a
	// silent holder stays the holder; 0 = 3 s.
	Node     string
	LeaseTTL time.Duration
}

// Bus is the running tail and its connection. Safe for concurrent use.
type Bus struct {
	cfg    Config
	server *server.Server // nil: an external cluster
	conn   *nats.Conn
	js     jetstream.JetStream
	stats  *stats

	leases  *lease.Leases // nil: the embedded server, one node
	cluster string        // all nodes that share the store

	stopTail context.CancelFunc
	tailDone chan struct{}

	mu     sync.Mutex
	closed bool
	subs   map[*subscription]struct{}
}

// Start connects (or starts the embedded server), makes the stream if it is
// not there, and starts the tail where its durable cursor stands.
func Start(ctx context.Context, cfg Config) (*Bus, error) {
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 7 * 24 * time.Hour
	}
	b := &Bus{cfg: cfg, subs: map[*subscription]struct{}{}, tailDone: make(chan struct{})}
	if err := b.connect(); err != nil {
		return nil, errors.Join(err, b.disconnect())
	}
	if err := b.join(ctx); err != nil {
		return nil, errors.Join(err, b.disconnect())
	}
	tail, err := b.newTail(ctx)
	if err != nil {
		return nil, errors.Join(err, b.disconnect())
	}
	if b.stats, err = newStats(b, tail); err != nil {
		return nil, errors.Join(err, b.disconnect())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stopTail = stop
	go func() {
		defer close(b.tailDone)
		b.Lead(running, "outbox", tail.run)
	}()
	return b, nil
}

func (b *Bus) connect() (err error) {
	url, options := b.cfg.URL, []nats.Option{nats.Name("hutong"), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second)}
	if url == "" || url == "embedded" {
		if b.server, err = startServer(&b.cfg); err != nil {
			return err
		}
		url, options = "", append(options, nats.InProcessServer(b.server))
	}
	if b.conn, err = nats.Connect(url, options...); err != nil {
		return fmt.Errorf("event: connect to NATS: %w", err)
	}
	b.js, err = jetstream.New(b.conn, jetstream.WithPublishAsyncMaxPending(maxPending), jetstream.WithPublishAsyncTimeout(publishTimeout))
	return err
}

// URL is where the bus is connected; that of an embedded server which listens
// is good for other clients, too.
func (b *Bus) URL() string {
	if b.server != nil {
		return b.server.ClientURL()
	}
	return b.conn.ConnectedUrlRedacted()
}

// startServer runs JetStream inside the process, without a TCP listener unless
// one is asked for. It does not sync every message: what a crash takes from
// the stream the store's change log gives again.
func startServer(cfg *Config) (*server.Server, error) {
	o := &server.Options{
		ServerName: "hutong", JetStream: true, StoreDir: cfg.Dir, DontListen: cfg.Listen == "", NoSigs: true, NoLog: true,
	}
	if cfg.Listen != "" {
		host, port, err := net.SplitHostPort(cfg.Listen)
		if err != nil {
			return nil, fmt.Errorf("event: listen address: %w", err)
		}
		if o.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("event: listen port: %w", err)
		}
		o.Host = host
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("event: embedded NATS: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("event: embedded NATS did not start within 10 s")
	}
	return s, nil
}

// repeats is how long the stream remembers what it has: longer than the tail
// waits before it tries again. It remembers in memory, so no longer than that.
const repeats = time.Minute

// stream makes the stream or brings its settings up to date.
func (b *Bus) stream(ctx context.Context) (jetstream.Stream, error) {
	s, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: Stream, Subjects: []string{Subject + ">"}, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage,
		MaxAge: b.cfg.MaxAge, Discard: jetstream.DiscardOld, Duplicates: min(repeats, b.cfg.MaxAge), Replicas: max(b.cfg.Replicas, 1),
	})
	if err != nil {
		return nil, fmt.Errorf("event: stream %s: %w", Stream, err)
	}
	return s, nil
}

// Close stops the subscriptions, then the tail, then the embedded server. What
// was not published stays in the store's change log for the next Start.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	open := make([]*subscription, 0, len(b.subs))
	for s := range b.subs {
		open = append(open, s)
	}
	b.mu.Unlock()
	for _, s := range open {
		s.stop()
	}
	b.stopTail()
	var err error
	select {
	case <-b.tailDone:
	case <-ctx.Done():
		err = ctx.Err()
	}
	for _, s := range open {
		err = errors.Join(err, s.wait(ctx))
	}
	b.stats.unregister(b.cfg.Metrics)
	return errors.Join(err, b.disconnect())
}

func (b *Bus) disconnect() error {
	if b.conn != nil {
		b.conn.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
	return nil
}
