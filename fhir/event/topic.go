package event

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Topic is a stream of its own for what is not a change of a resource: what a
// room derives from changes and keeps an outbox of.
type Topic struct {
	js     jetstream.JetStream
	prefix string
}

// Topic makes the stream, or brings its settings up to date. Its subjects are
// prefix, which ends in a dot, and one word more. It keeps events as long as
// the stream of changes does.
func (b *Bus) Topic(ctx context.Context, stream, prefix string) (*Topic, error) {
	_, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: stream, Subjects: []string{prefix + ">"}, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage,
		MaxAge: b.cfg.MaxAge, Discard: jetstream.DiscardOld, Duplicates: min(10*time.Minute, b.cfg.MaxAge), Replicas: max(b.cfg.Replicas, 1),
	})
	if err != nil {
		return nil, fmt.Errorf("event: stream %s: %w", stream, err)
	}
	return &Topic{b.js, prefix}, nil
}

// Publish returns when the stream has the event. id is the same whenever the
// event is published: JetStream drops repeats that fall into its window.
func (t *Topic) Publish(ctx context.Context, word, id string, payload []byte) error {
	m := &nats.Msg{Subject: t.prefix + word, Data: payload, Header: nats.Header{}}
	m.Header.Set(jetstream.MsgIDHeader, id)
	if _, err := t.js.PublishMsg(ctx, m); err != nil {
		return fmt.Errorf("event: publish: %w", err)
	}
	return nil
}
