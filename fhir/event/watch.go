package event

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Held visits the events that the stream holds now, in its order, whoever was
// delivered them. It is for proofs.
func (b *Bus) Held(ctx context.Context, visit func(Event)) error {
	s, err := b.js.Stream(ctx, Stream)
	if err != nil {
		return fmt.Errorf("event: stream %s: %w", Stream, err)
	}
	c, err := b.js.OrderedConsumer(ctx, Stream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("event: read %s: %w", Stream, err)
	}
	last := s.CachedInfo().State.LastSeq
	for at := uint64(0); at < last; {
		m, err := c.Next(jetstream.FetchMaxWait(publishTimeout))
		if err != nil {
			return fmt.Errorf("event: read %s behind message %d of %d: %w", Stream, at, last, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("event: read %s: %w", Stream, err)
		}
		events, err := Read(m.Data())
		if err != nil {
			return err
		}
		for _, e := range events {
			visit(e)
		}
		at = meta.Sequence.Stream
	}
	return nil
}

// Pending tells where a durable consumer stands.
func (b *Bus) Pending(ctx context.Context, durable string) (string, error) {
	c, err := b.js.Consumer(ctx, Stream, durable)
	if err != nil {
		return "", fmt.Errorf("event: consumer %s: %w", durable, err)
	}
	i := c.CachedInfo()
	return fmt.Sprintf("delivered to %d, acknowledged to %d, in hand %d, again %d, to come %d", i.Delivered.Stream, i.AckFloor.Stream, i.NumAckPending, i.NumRedelivered, i.NumPending), nil
}

// Watch delivers the events whose subject matches filter to this process, in
// the order of the stream, from now on until ctx ends: every node that watches
// gets every event. It is for what a node keeps in memory and must let go of
// when it changes elsewhere. h must be quick and does not fail; lost is called
// when events may have been missed (the stream was lost, or what it no longer
// keeps): then everything is to be let go of. Neither is called after ctx has
// ended, apart from one call that is under way.
func (b *Bus) Watch(ctx context.Context, filter string, h func(Event), lost func()) error {
	c, err := b.js.OrderedConsumer(ctx, Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverNewPolicy,
	})
	if err != nil {
		return fmt.Errorf("event: watch %s: %w", filter, err)
	}
	take := func(m jetstream.Msg) {
		if ctx.Err() != nil {
			return
		}
		events, err := Read(m.Data())
		if err != nil {
			lost()
			return
		}
		for _, e := range events {
			h(e)
		}
	}
	// The consumer goes on behind the last event that it got; it reports what
	// made it begin anew.
	trouble := jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		if ctx.Err() == nil {
			b.cfg.Log.Warn().Err(err).Str("filter", filter).Msg("watching was interrupted")
			lost()
		}
	})
	running, err := c.Consume(take, trouble)
	if err != nil {
		return fmt.Errorf("event: watch %s: %w", filter, err)
	}
	context.AfterFunc(ctx, running.Stop)
	return nil
}
