// Package lease lets one of several processes do a job at a time: a lease on a
// JetStream key-value bucket. Nothing is assumed of anybody's clock but that
// all run at about the same speed.
package lease

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Bucket is the key-value bucket that holds the leases.
const Bucket = "HUTONG_LEASES"

// Config is what Leases are kept with. JS is required.
type Config struct {
	JS       jetstream.JetStream
	Replicas int           // of the bucket; 0 = 1
	TTL      time.Duration // how long a holder that is silent stays the holder; 0 = 3 s
	Node     string        // who holds, for people; "" = random
	Log      zerolog.Logger
}

// Leases are the leases of a cluster, as one process sees them. Safe for
// concurrent use.
type Leases struct {
	cfg Config
	kv  jetstream.KeyValue
}

// record is the value of a lease.
type record struct {
	Node     string        `json:"node"`
	Token    uint64        `json:"token"`
	TTL      time.Duration `json:"ttl"`
	Released bool          `json:"released,omitempty"` // given back: the next may take it at once
}

// Open makes the bucket if it is not there.
func Open(ctx context.Context, cfg Config) (*Leases, error) {
	if cfg.TTL == 0 {
		cfg.TTL = 3 * time.Second
	}
	if cfg.Node == "" {
		var b [6]byte
		_, _ = rand.Read(b[:]) // never fails, see crypto/rand
		cfg.Node = hex.EncodeToString(b[:])
	}
	kv, err := cfg.JS.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: Bucket, Replicas: max(cfg.Replicas, 1), History: 1, Description: "who does what only one may do",
	})
	if err != nil {
		return nil, fmt.Errorf("lease: bucket %s: %w", Bucket, err)
	}
	return &Leases{cfg: cfg, kv: kv}, nil
}

// ErrLost is the cause of a context that ended because the lease did.
var ErrLost = errors.New("lease: it is not ours any more")

// Hold runs work whenever this process holds the lease of that name, until ctx
// ends. work gets a context that ends before anybody else can hold the lease,
// as long as this process runs; a process that was stopped and goes on may
// notice late, so what work writes is fenced by Term.Token. A work that
// returns gives the lease back; it is tried again after a pause.
func (l *Leases) Hold(ctx context.Context, name string, work func(ctx context.Context, t *Term) error) {
	c := candidate{l: l, name: name}
	for pause := time.Duration(0); ctx.Err() == nil; {
		t, err := c.attempt(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			l.cfg.Log.Debug().Err(err).Str("lease", name).Msg("the lease cannot be asked for")
			fallthrough
		case t == nil:
			wait(ctx, l.cfg.TTL/4)
			continue
		}
		l.cfg.Log.Info().Str("lease", name).Uint64("token", t.Token).Str("node", l.cfg.Node).Msg("lease taken")
		began := time.Now()
		err = t.serve(ctx, work)
		l.cfg.Log.Info().AnErr("reason", err).Str("lease", name).Uint64("token", t.Token).Msg("lease given up")
		if pause = min(max(2*pause, l.cfg.TTL/4), 2*l.cfg.TTL); time.Since(began) > 2*pause {
			pause = l.cfg.TTL / 4
		}
		wait(ctx, pause)
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// candidate is this process where it does not hold the lease. A holder is
// silent if its record has not changed for as long as it says, by our own
// clock, from when we first saw it.
type candidate struct {
	l     *Leases
	name  string
	seen  uint64    // revision of the record
	since time.Time // when we first saw it: monotonic
}

// attempt takes the lease if it is free; nil if it is not.
func (c *candidate) attempt(ctx context.Context) (*Term, error) {
	ctx, cancel := context.WithTimeout(ctx, c.l.cfg.TTL)
	defer cancel()
	e, err := c.l.kv.Get(ctx, c.name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return c.take(ctx, record{}, 0)
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(e.Value(), &r); err != nil {
		return nil, fmt.Errorf("lease: %s holds something else: %w", c.name, err)
	}
	if e.Revision() != c.seen {
		c.seen, c.since = e.Revision(), time.Now()
	}
	if !r.Released && time.Since(c.since) < max(r.TTL, c.l.cfg.TTL) {
		return nil, nil
	}
	return c.take(ctx, r, e.Revision())
}

// take replaces the record of that revision, 0 if there is none; nil if
// somebody else was faster.
func (c *candidate) take(ctx context.Context, before record, revision uint64) (*Term, error) {
	t := &Term{l: c.l, name: c.name}
	// Rising even where the bucket was lost, or a clock goes back.
	t.Token = max(before.Token+1, uint64(time.Now().UnixMilli()))
	sent := time.Now()
	var err error
	if revision == 0 {
		t.revision, err = c.l.kv.Create(ctx, c.name, t.value(false))
	} else {
		t.revision, err = c.l.kv.Update(ctx, c.name, t.value(false), revision)
	}
	if overtaken(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t.extend(sent)
	return t, nil
}

// overtaken reports that the record has changed meanwhile.
func overtaken(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}
