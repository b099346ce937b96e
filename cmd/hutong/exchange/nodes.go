package exchange

import (
	"context"
	"sync/atomic"
	"time"

	"hutong/fhir"
	"hutong/fhir/event"
	"hutong/fhir/event/lease"
	"hutong/mpi"
	"hutong/mpi/announce"
)

// cacheFor is how long a node of a cluster takes what it read of the index for
// what holds: links that another node made are seen within it.
const cacheFor = 500 * time.Millisecond

// clustered reports whether other nodes may share the store.
func (s *Settings) clustered() bool { return s.NATS != "" && s.NATS != "embedded" }

// linker has the index take in Patients on one node at a time: two that feed
// at once could each miss what the other links.
type linker struct {
	index *mpi.Index
	leads atomic.Bool
}

// Committed implements interact.Follower. On the node that links, the index
// takes the versions in; on another, the answer waits, within its time, until
// that one has: a read that follows the write sees the link.
func (l *linker) Committed(ctx context.Context, versions []fhir.Version) {
	if l.leads.Load() {
		l.index.Committed(ctx, versions)
		return
	}
	for _, v := range versions {
		for v.Type == "Patient" && ctx.Err() == nil {
			if taken, err := l.index.Taken(ctx, v.Key, v.VersionID); taken || err != nil {
				break
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

// link takes Patients in, and announces what changed of persons, for as long
// as this node leads.
func (e *Exchange) link(ctx context.Context, _ *lease.Term) error {
	persons, err := e.bus.Topic(ctx, announce.Stream, announce.Subject)
	if err != nil {
		return err
	}
	e.linker.leads.Store(true)
	defer func() { e.linker.leads.Store(e.bus.Alone()) }()
	// The index heard of each commit as a follower; what it missed then (its
	// deadline, a crash, another node's commit) reaches it here.
	if err := e.bus.TakeOver(ctx, "mpi", event.Subject+"Patient", func(ctx context.Context, ev event.Event) error {
		return e.index.Feed(ctx, ev.Key, ev.VersionID)
	}); err != nil {
		return err
	}
	e.known.Run(ctx, e.index, persons)
	return context.Cause(ctx)
}

// notify serves Subscriptions for as long as this node leads.
func (e *Exchange) notify(ctx context.Context, _ *lease.Term) error { return e.hooks.Run(ctx, e.fhir) }

// expire ends consultations that nobody goes on with.
func (e *Exchange) expire(ctx context.Context, _ *lease.Term) error {
	e.consult.Run(ctx, 10*time.Minute, e.log)
	return context.Cause(ctx)
}
