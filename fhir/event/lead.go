package event

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"hutong/fhir"
	"hutong/fhir/event/lease"
	"hutong/fhir/store"
)

// Lead runs work on one of the nodes that share the store, at a time, until
// ctx ends: here whenever this node holds the lease of that name. With the
// embedded server there is one node, and work runs at once. work's context ends
// before another node begins; see lease.Leases.Hold for what is promised to
// whom. A work that fails is begun again after a pause.
func (b *Bus) Lead(ctx context.Context, name string, work func(ctx context.Context, t *lease.Term) error) {
	if b.leases != nil {
		b.leases.Hold(ctx, b.cluster+"."+name, work)
		return
	}
	for pause := time.Duration(0); ctx.Err() == nil; {
		began := time.Now()
		err := work(ctx, lease.Alone())
		if pause = min(max(2*pause, 100*time.Millisecond), maxPause); time.Since(began) > 2*pause {
			pause = 100 * time.Millisecond
		}
		if ctx.Err() == nil {
			b.cfg.Log.Warn().Err(err).Str("work", name).Dur("pause", pause).Msg("begun again")
		}
		wait(ctx, pause)
	}
}

// Alone reports whether no other node can share the work: the server is inside
// this process.
func (b *Bus) Alone() bool { return b.leases == nil }

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// join opens the leases of an external cluster. Their names begin with what
// the nodes of one store share, so that two exchanges may share a cluster.
func (b *Bus) join(ctx context.Context) (err error) {
	if b.server != nil {
		return nil
	}
	if b.cluster, err = clusterOf(ctx, b.cfg.Store.Space("events")); err != nil {
		return err
	}
	b.leases, err = lease.Open(ctx, lease.Config{JS: b.js, Replicas: b.cfg.Replicas, TTL: b.cfg.LeaseTTL, Node: b.cfg.Node, Log: b.cfg.Log})
	return err
}

// clusterOf gives the random name of all that share the space.
func clusterOf(ctx context.Context, space store.Space) (string, error) {
	key := []byte("cluster")
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	name := hex.EncodeToString(b[:])
	err := space.Apply(ctx, []store.Write{{Key: key, Value: []byte(name), If: store.IfAbsent}})
	if errors.Is(err, fhir.E(fhir.Conflict)) {
		var old []byte
		old, err = space.Get(ctx, key)
		name = string(old)
	}
	if err != nil {
		return "", fmt.Errorf("event: name of the cluster: %w", err)
	}
	return name, nil
}
