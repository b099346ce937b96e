// Package audit keeps the record of who saw or did what: FHIR AuditEvents in a
// hash chain, durable before the answer that they tell of leaves.
//
// Requests queue for the chain, are committed in groups, and wait for the disk;
// a full queue refuses the answer.
package audit

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// Persons tells which records are of one person. The MPI supplies it.
type Persons interface {
	Members(ctx context.Context, k fhir.Key) ([]fhir.Key, error)
}

// Extractor reads the index values and access facts of a stored body.
type Extractor interface {
	ExtractBody(b fhir.Body, key fhir.Key) ([]search.Entry, fhir.Facts, error)
}

// Config is what a Log is built from. Store, Extractor and Custodian are
// required.
type Config struct {
	Store store.Store
	// Extractor reads index values and facts of a body: *search.Extractor.
	Extractor Extractor
	// Persons keeps what is told to one resident free of others; nil takes each
	// Patient for a person of its own.
	Persons   Persons
	Custodian string // Organization that runs the exchange
	Chain     string // name of this node's chain: 1 to 40 of [a-z0-9]; "" = "audit"
	Site      string // AuditEvent.source.site; "" = Chain
	Queue     int    // requests that may wait; 0 = 1024
	Batch     int    // most events of one commit, about; 0 = 256
	// HeadEvery is how far the durable head of the chain may stay behind its
	// records; 0 = 100 ms.
	HeadEvery time.Duration
	Now       func() time.Time // nil: the system clock
	Log       zerolog.Logger
}

// Log is the audit trail of one node. It implements interact.Auditor.
type Log struct {
	cfg     Config
	chain   *chain
	index   *indexer
	queue   chan *request // to the placer
	batches chan *batch   // from the placer to the committer
	placed  chan Head     // from the committer to the placer: where a batch ends
	done    chan struct{} // closed when the committer has stopped
	mu      sync.RWMutex  // guards closed against sends on the queue
	closed  bool
}

// Open reads the head of the chain, adopts what was committed after it, and
// starts the writer. It refuses a chain whose head is not what it was.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Store == nil || cfg.Extractor == nil || cfg.Custodian == "" {
		return nil, errors.New("audit: Store, Extractor and Custodian are required")
	}
	if cfg.Chain == "" {
		cfg.Chain = "audit"
	}
	if cfg.Site == "" {
		cfg.Site = cfg.Chain
	}
	if cfg.Queue <= 0 {
		cfg.Queue = 1024
	}
	if cfg.Batch <= 0 {
		cfg.Batch = 256
	}
	if cfg.HeadEvery <= 0 {
		cfg.HeadEvery = 100 * time.Millisecond
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if !validChain(cfg.Chain) {
		return nil, errors.New("audit: a chain's name is 1 to 40 of a-z and 0-9")
	}
	l := &Log{
		cfg: cfg, queue: make(chan *request, cfg.Queue), batches: make(chan *batch), placed: make(chan Head), done: make(chan struct{}),
		index: newIndexer(cfg.Extractor, cfg.Chain),
		chain: &chain{name: cfg.Chain, store: cfg.Store, every: cfg.HeadEvery},
	}
	if err := l.chain.resume(ctx); err != nil {
		return nil, err
	}
	go l.place(l.chain.end)
	go l.write(context.WithoutCancel(ctx))
	return l, nil
}

func validChain(name string) bool {
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9') {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 40
}

// Close refuses new records, writes those that wait and the head, and stops the
// goroutines.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Record implements interact.Auditor.
func (l *Log) Record(ctx context.Context, d interact.Disclosure) error {
	events, err := l.disclosure(ctx, d)
	if err != nil {
		return err
	}
	return l.submit(ctx, events)
}

// Event records a security event.
func (l *Log) Event(ctx context.Context, e Event) error {
	return l.submit(ctx, []*event{l.security(ctx, e)})
}

// submit queues events and waits until they are durable. Busy if the queue is
// full or closing. If ctx ends first the events may still be written.
func (l *Log) submit(ctx context.Context, events []*event) error {
	r := &request{records: make([]*record, len(events)), result: make(chan error, 1)}
	for i, e := range events {
		r.records[i] = e.encode(l.cfg.Chain)
		if err := r.records[i].index(l.index, e); err != nil {
			return err
		}
	}
	if !l.offer(r) {
		return fhir.Errorf(fhir.Busy, "the audit trail cannot take more now")
	}
	select {
	case err := <-r.result:
		return err
	case <-ctx.Done():
		return fhir.Errorf(fhir.Timeout, "the audit record was not confirmed in time: %w", ctx.Err())
	}
}

func (l *Log) offer(r *request) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return false
	}
	select {
	case l.queue <- r:
		return true
	default:
		return false
	}
}

// Head is the end of this node's chain, all durable: how many records it has
// and the hash of the last. Publish it now and then to a place that the operator
// of the database cannot change.
func (l *Log) Head() Head {
	l.chain.mu.Lock()
	defer l.chain.mu.Unlock()
	return l.chain.end
}
