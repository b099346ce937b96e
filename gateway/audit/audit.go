// Package audit keeps the record of who saw or did what: FHIR AuditEvents in a
// hash chain, durable before the answer that they tell of leaves.
//
// One writer goroutine owns the chain. Requests queue, are committed in
// groups, and wait for the disk; a full queue refuses the answer.
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
	Custodian string           // Organization that runs the exchange
	Chain     string           // name of this node's chain: 1 to 40 of [a-z0-9]; "" = "audit"
	Site      string           // AuditEvent.source.site; "" = Chain
	Queue     int              // requests that may wait; 0 = 1024
	Batch     int              // most events of one commit; 0 = 256
	Now       func() time.Time // nil: the system clock
	Log       zerolog.Logger
}

// Log is the audit trail of one node. It implements interact.Auditor.
type Log struct {
	cfg    Config
	chain  *chain
	queue  chan *request
	done   chan struct{} // closed when the writer has stopped
	mu     sync.RWMutex  // guards closed against sends on the queue
	closed bool
}

// request is what one caller wants recorded: one event or several, in order.
type request struct {
	events []*event
	result chan error // buffered: the writer never waits for a caller
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
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if !validChain(cfg.Chain) {
		return nil, errors.New("audit: a chain's name is 1 to 40 of a-z and 0-9")
	}
	l := &Log{cfg: cfg, queue: make(chan *request, cfg.Queue), done: make(chan struct{})}
	l.chain = &chain{name: cfg.Chain, store: cfg.Store, extract: cfg.Extractor.ExtractBody}
	if err := l.chain.resume(ctx); err != nil {
		return nil, err
	}
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

// Close refuses new records, writes those that wait, and stops the writer.
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
	r := &request{events: events, result: make(chan error, 1)}
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

// write is the writer: it takes what waits, up to a batch, and commits it.
func (l *Log) write(ctx context.Context) {
	defer close(l.done)
	for first := range l.queue {
		batch := l.gather(first)
		err := l.chain.append(ctx, batch)
		if err != nil {
			l.cfg.Log.Error().Err(err).Int("requests", len(batch)).Msg("audit records not written")
			err = refused(err)
		}
		for _, r := range batch {
			r.result <- err
		}
	}
}

// refused keeps the kind of an error that tells the client to try again; any
// other is Busy too: the answer is withheld, nothing is wrong with the request.
func refused(err error) error {
	e := fhir.Errorf(fhir.Busy, "the audit record could not be written")
	e.Err = err
	return e
}

func (l *Log) gather(first *request) []*request {
	batch, events := []*request{first}, len(first.events)
	for events < l.cfg.Batch {
		select {
		case r, ok := <-l.queue:
			if !ok {
				return batch
			}
			batch, events = append(batch, r), events+len(r.events)
		default:
			return batch
		}
	}
	return batch
}

// Head is the durable end of this node's chain: how many records it has and
// the hash of the last. Publish it now and then to a place that the operator
// of the database cannot change.
func (l *Log) Head() Head {
	l.chain.mu.Lock()
	defer l.chain.mu.Unlock()
	return l.chain.head
}
