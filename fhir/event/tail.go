package event

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/event/lease"
	"hutong/fhir/store"
)

const (
	batch          = 512 // versions a round, about
	maxPending     = 4096
	publishTimeout = 10 * time.Second
	maxPause       = 30 * time.Second // between attempts while NATS is away
	maxIdle        = 250 * time.Millisecond
	// How far the stored cursor may lag behind where nothing was published: what
	// lies between is only read again.
	maxLag     = 4096
	maxLagTime = 5 * time.Second
)

// tail copies the store's change log to the stream, on one node at a time. Its
// cursor is saved after the stream has acknowledged, so a crash in between
// repeats events and loses none.
type tail struct {
	bus     *Bus
	store   store.Store
	space   store.Space
	js      jetstream.JetStream
	term    *lease.Term
	stream  int64 // when the stream was made: another stream starts from the beginning
	cursor  fhir.T
	last    fhir.T // newest commit of which something was published; 0 if none
	stored  []byte // the cursor's row as it is; nil if there is none
	savedAt time.Time
	lag     int  // versions that it lags behind
	news    bool // some of them were published
	// sequence is the stream's last one, 0 if it is not known.
	sequence uint64
	empty    int // times in a row that there was nothing to publish
	log      zerolog.Logger

	published atomic.Uint64
	behind    atomic.Int64 // Unix milliseconds of the oldest version not yet published; 0 = none
}

// newTail makes the stream.
func (b *Bus) newTail(ctx context.Context) (*tail, error) {
	if _, err := b.stream(ctx); err != nil {
		return nil, err
	}
	return &tail{bus: b, store: b.cfg.Store, space: b.cfg.Store.Space("events"), js: b.js, log: b.cfg.Log}, nil
}

// begin takes the cursor over from whoever had it, here or on another node.
func (t *tail) begin(ctx context.Context, term *lease.Term) error {
	t.term, t.cursor, t.last, t.sequence = term, 0, 0, 0
	s, err := t.bus.stream(ctx)
	if err != nil {
		return err
	}
	info, err := s.Info(ctx)
	if err != nil {
		return fmt.Errorf("event: stream %s: %w", Stream, err)
	}
	t.stream = info.Created.UnixNano()
	if err := t.load(ctx); err != nil {
		return err
	}
	if err := t.rewind(ctx, s); err != nil {
		return err
	}
	return t.save(ctx) // with our token: who had it before cannot save any more
}

// rewind sets the cursor back where the stream holds less than was published:
// it is not synced on every message, so a power failure may have cut its end
// off. The last commit that it holds may be there in part and is repeated.
func (t *tail) rewind(ctx context.Context, s jetstream.Stream) error {
	last, err := s.GetLastMsgForSubject(ctx, Subject+">")
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // all have aged out
	}
	if err != nil {
		return fmt.Errorf("event: last message of %s: %w", Stream, err)
	}
	events, err := Read(last.Data)
	if err == nil && len(events) == 0 {
		err = errors.New("no event in it")
	}
	if err != nil {
		return fmt.Errorf("event: last message of %s: %w", Stream, err)
	}
	if end := events[0].T; end < t.last {
		t.log.Warn().Uint64("cursor", uint64(t.cursor)).Uint64("stream", uint64(end)).Msg("the stream lost its end; publishing it again")
		t.cursor, t.last = end-1, end-1
	}
	return nil
}

var cursorKey = []byte("cursor")

// load reads the cursor: stream, T, token and the newest T that was published,
// each 8 bytes big-endian (rows of earlier versions have no token, or were
// saved when all was published). That of a stream which is gone does not count:
// what only the old one held is published again.
func (t *tail) load(ctx context.Context) (err error) {
	if t.stored, err = t.space.Get(ctx, cursorKey); err != nil {
		return fmt.Errorf("event: read the cursor: %w", err)
	}
	if len(t.stored) >= 16 && int64(binary.BigEndian.Uint64(t.stored)) == t.stream {
		t.cursor = fhir.T(binary.BigEndian.Uint64(t.stored[8:]))
		t.last = t.cursor
		if len(t.stored) >= 32 {
			t.last = fhir.T(binary.BigEndian.Uint64(t.stored[24:]))
		}
	}
	if len(t.stored) < 24 {
		return nil
	}
	if last := binary.BigEndian.Uint64(t.stored[16:]); last >= t.term.Token {
		if !t.bus.Alone() {
			return errFenced
		}
		t.term.Token = last + 1 // our own earlier life; the clock went back
	}
	return nil
}

// errFenced says that another node has taken the cursor over.
var errFenced = errors.New("event: another node relays")

// saveTime bounds the saving of the cursor. It is waited for even when the
// tail stops: a write whose end is not known would be taken for another node's.
const saveTime = 20 * time.Second

func (t *tail) save(ctx context.Context) error {
	v := binary.BigEndian.AppendUint64(nil, uint64(t.stream))
	v = binary.BigEndian.AppendUint64(v, uint64(t.cursor))
	v = binary.BigEndian.AppendUint64(v, t.term.Token)
	v = binary.BigEndian.AppendUint64(v, uint64(t.last))
	w := store.Write{Key: cursorKey, Value: v, If: store.IfEquals, Old: t.stored}
	if t.stored == nil {
		w.If = store.IfAbsent
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	err := t.space.Apply(ctx, []store.Write{w})
	if err != nil {
		if now, gerr := t.space.Get(ctx, cursorKey); gerr == nil && bytes.Equal(now, v) {
			err = nil // made, though its answer was lost: the token says that it is ours
		}
	}
	if errors.Is(err, fhir.E(fhir.Conflict)) {
		return errFenced
	}
	if err != nil {
		return fmt.Errorf("event: save the cursor: %w", err)
	}
	t.stored, t.lag, t.news, t.savedAt = v, 0, false, time.Now()
	return nil
}

// settle saves the cursor if that is due.
func (t *tail) settle(ctx context.Context) error {
	if t.news || t.lag >= maxLag || t.lag > 0 && time.Since(t.savedAt) >= maxLagTime {
		return t.save(ctx)
	}
	return nil
}

// run publishes until ctx ends or another node does. A failure is tried again
// after a pause that grows: the change log waits.
func (t *tail) run(ctx context.Context, term *lease.Term) error {
	defer t.behind.Store(0)
	begun := false
	for pause := time.Duration(0); ; {
		var err error
		if !begun {
			err = t.begin(ctx, term)
			begun = err == nil
		} else {
			err = t.round(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errFenced):
			return err
		case err == nil:
			pause = 0
			continue
		}
		pause = min(max(2*pause, 100*time.Millisecond), maxPause)
		t.log.Warn().Err(err).Dur("pause", pause).Uint64("cursor", uint64(t.cursor)).Msg("events wait")
		wait(ctx, pause)
	}
}

// round waits for commits and publishes a batch of them.
func (t *tail) round(ctx context.Context) error {
	changes, err := t.store.Changes(ctx, t.cursor, batch)
	if err != nil {
		return fmt.Errorf("event: read the change log: %w", err)
	}
	if len(changes) == 0 {
		t.behind.Store(0)
		if err := t.settle(ctx); err != nil { // where it failed before
			return err
		}
		if t.empty++; t.empty > 1 { // a commit may make no version: do not ask again and again
			wait(ctx, min(time.Millisecond<<min(t.empty, 10), maxIdle))
		}
		return t.store.WaitChange(ctx, t.cursor)
	}
	t.empty = 0
	if !t.term.Held() {
		return errFenced
	}
	end, seen := changes[len(changes)-1].T, len(changes)
	if err := t.publish(ctx, t.announced(changes)); err != nil {
		return err
	}
	t.cursor, t.lag = end, t.lag+seen
	if err := t.settle(ctx); err != nil {
		return err
	}
	if seen < batch/2 {
		wait(ctx, gather)
	}
	return nil
}

// announced leaves out what is not announced, in place.
func (t *tail) announced(changes []store.Change) []store.Change {
	return slices.DeleteFunc(changes, func(c store.Change) bool { return slices.Contains(t.bus.cfg.Silent, c.Type) })
}

// gather is how long a round lets commits come together: each round saves the
// cursor, which the commits themselves would wait for. A commit that stands
// alone is published at once.
const gather = 10 * time.Millisecond

// publish returns when the stream holds all of the changes.
func (t *tail) publish(ctx context.Context, changes []store.Change) error {
	if len(changes) == 0 {
		t.behind.Store(0)
		return nil
	}
	t.behind.Store(changes[0].LastUpdated.UnixMilli())
	for messages := range slices.Chunk(pack(changes), unacknowledged) {
		whole, err := t.send(ctx, messages)
		if err == nil && !whole {
			err = t.insist(ctx, messages)
		}
		if err != nil {
			return fmt.Errorf("event: publish: %w", err)
		}
	}
	t.published.Add(uint64(len(changes)))
	t.last, t.news = changes[len(changes)-1].T, true
	return nil
}

// unacknowledged is how many messages go out before the stream is asked where
// it stands; JetStream drops what it cannot queue, and takes 10,000.
const unacknowledged = 256

// send asks for the acknowledgement of the last message only: if the stream
// has grown by all of them, it holds all of them. Acknowledging each costs both
// sides more than storing it does. whole is false where that cannot be told:
// at the beginning, after repeats, and where somebody else publishes, too.
func (t *tail) send(ctx context.Context, messages []*nats.Msg) (whole bool, err error) {
	if t.sequence == 0 {
		return false, nil
	}
	last := len(messages) - 1
	for _, m := range messages[:last] {
		if err := t.js.Conn().PublishMsg(m); err != nil {
			return false, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	ack, err := t.js.PublishMsg(ctx, messages[last])
	if err != nil {
		t.sequence = 0
		return false, err
	}
	whole = ack.Sequence == t.sequence+uint64(len(messages))
	t.sequence = ack.Sequence
	return whole, nil
}

// insist has each message acknowledged; the stream drops those that it has
// already.
func (t *tail) insist(ctx context.Context, messages []*nats.Msg) error {
	acks := make([]jetstream.PubAckFuture, 0, len(messages))
	for _, m := range messages {
		again := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: m.Header}
		ack, err := t.js.PublishMsgAsync(again, jetstream.WithStallWait(publishTimeout))
		if err != nil {
			return err
		}
		acks = append(acks, ack)
	}
	end := uint64(0)
	for _, ack := range acks {
		select {
		case a := <-ack.Ok():
			end = max(end, a.Sequence)
		case err := <-ack.Err():
			return err
		case <-time.After(publishTimeout):
			return errors.New("the stream did not acknowledge in time")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	t.sequence = end
	return nil
}
