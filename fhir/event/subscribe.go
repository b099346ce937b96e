package event

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Handler takes one event. An error has it delivered again, later, with those
// that came in one message with it; it must be idempotent, and newer versions of
// the key may have come before.
type Handler func(ctx context.Context, e Event) error

const (
	inHand      = 256 // unacknowledged messages a consumer, at most
	prefetch    = 32
	handlerTime = 25 * time.Second
	// A node that was killed keeps from the others for so long what it had
	// fetched. Behind a slow handler, what is fetched comes again, too.
	ackWait      = 30 * time.Second
	firstRetry   = time.Second
	longestRetry = 5 * time.Minute
)

// subscription is one durable consumer at work.
type subscription struct {
	durable  string
	handler  Handler
	log      zerolog.Logger
	consumer jetstream.Consumer
	consume  jetstream.ConsumeContext
	ctx      context.Context // of the handlers; ends with the subscription
	cancel   context.CancelFunc

	handled, failed atomic.Uint64
}

// Subscribe delivers events whose subject matches filter ("hutong.change.>",
// "hutong.change.Observation") to h, one at a time, until ctx ends or the Bus
// closes. durable names the consumer: it resumes where it stood, a new one
// starts with the oldest event of the stream. An event whose handler fails
// comes again after a pause that grows from 1 s to 5 min, while others go on.
func (b *Bus) Subscribe(ctx context.Context, durable, filter string, h Handler) error {
	consumer, err := b.js.CreateOrUpdateConsumer(ctx, Stream, consumerConfig(durable, filter))
	if err != nil {
		return fmt.Errorf("event: consumer %s: %w", durable, err)
	}
	return b.consume(ctx, consumer, durable, h)
}

// TakeOver is Subscribe for work that runs on one node at a time (Lead): what
// was delivered to another node, and is not acknowledged, comes here at once
// and to nobody else any more. Otherwise it would come when that node's time
// for it has passed, which may have stopped, or be cut off, without a word.
func (b *Bus) TakeOver(ctx context.Context, durable, filter string, h Handler) error {
	cfg := consumerConfig(durable, filter)
	before, err := b.js.Consumer(ctx, Stream, durable)
	if err == nil {
		var info *jetstream.ConsumerInfo
		if info, err = before.Info(ctx); err == nil {
			cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, info.AckFloor.Stream+1
			err = b.js.DeleteConsumer(ctx, Stream, durable)
		}
	}
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("event: consumer %s: %w", durable, err)
	}
	consumer, err := b.js.CreateOrUpdateConsumer(ctx, Stream, cfg)
	if err != nil {
		return fmt.Errorf("event: consumer %s: %w", durable, err)
	}
	return b.consume(ctx, consumer, durable, h)
}

func consumerConfig(durable, filter string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: durable, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
		MaxAckPending: inHand, MaxDeliver: -1, DeliverPolicy: jetstream.DeliverAllPolicy,
	}
}

// consume runs h on what the consumer is delivered, until ctx ends or the Bus
// closes.
func (b *Bus) consume(ctx context.Context, consumer jetstream.Consumer, durable string, h Handler) (err error) {
	s := &subscription{durable: durable, handler: h, consumer: consumer, log: b.cfg.Log.With().Str("consumer", durable).Logger()}
	s.ctx, s.cancel = context.WithCancel(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.cancel()
		return errors.New("event: the bus is closed")
	}
	s.consume, err = consumer.Consume(s.take, jetstream.PullMaxMessages(prefetch))
	if err != nil {
		s.cancel()
		return fmt.Errorf("event: consumer %s: %w", durable, err)
	}
	b.subs[s] = struct{}{}
	context.AfterFunc(ctx, func() { // ends with ctx; Close stops what is left
		s.stop()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, s)
	})
	return nil
}

// take handles one message. All of its events are handed over, even if one
// fails; then all of them come again.
func (s *subscription) take(m jetstream.Msg) {
	events, err := Read(m.Data())
	if err != nil {
		s.failed.Add(1)
		s.log.Error().Err(err).Msg("an event that cannot be read is dropped")
		s.tell(m.Term())
		return
	}
	var failed error
	told := time.Now()
	for i := range events {
		if i > 0 && time.Since(told) > ackWait-handlerTime {
			told = time.Now()
			s.tell(m.InProgress())
		}
		if err := s.hand(&events[i]); err != nil {
			failed = err
		}
		if s.ctx.Err() != nil {
			break
		}
	}
	switch {
	case s.ctx.Err() != nil && (failed != nil || len(events) > 1):
		s.tell(m.Nak()) // stopping: for the next run, at once
	case failed != nil:
		s.tell(m.NakWithDelay(backoff(m)))
	default:
		s.tell(m.Ack())
	}
}

// hand gives one event to the handler.
func (s *subscription) hand(e *Event) error {
	ctx, cancel := context.WithTimeout(s.ctx, handlerTime)
	defer cancel()
	err := s.handler(ctx, *e)
	if err == nil {
		s.handled.Add(1)
	} else if s.ctx.Err() == nil {
		s.failed.Add(1)
		s.log.Warn().Err(err).Str("type", string(e.Key.Type)).Uint64("t", uint64(e.T)).Msg("event not handled; it comes again")
	}
	return err
}

// backoff doubles with each delivery.
func backoff(m jetstream.Msg) time.Duration {
	meta, err := m.Metadata()
	if err != nil {
		return firstRetry
	}
	return min(firstRetry<<min(meta.NumDelivered-1, 16), longestRetry)
}

// tell logs an acknowledgement that did not get through: the event then comes
// again.
func (s *subscription) tell(err error) {
	if err != nil && s.ctx.Err() == nil {
		s.log.Warn().Err(err).Msg("event not acknowledged")
	}
}

func (s *subscription) stop() {
	s.cancel()
	s.consume.Stop()
}

// wait returns when the last handler has.
func (s *subscription) wait(ctx context.Context) error {
	select {
	case <-s.consume.Closed():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
