// Package announce tells the world that a person changed: it follows the index's
// outbox and publishes each entry, at least once, in the order of the journal.
// An announcement holds ids and the kind of change, never a value of a person;
// who needs more asks the identity API.
package announce

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"hutong/mpi"
)

// Stream and subjects: hutong.person.<change>, where change is the action of the
// journal entry: create, link, unlink, retire, decide-link, decide-reject, split
// or undo.
const (
	Stream  = "HUTONG-PERSON"
	Subject = "hutong.person."
)

// Publisher publishes an event and returns when it is kept; word completes the
// subject, and id is the same whenever the event is published. *event.Topic is one.
type Publisher interface {
	Publish(ctx context.Context, word, id string, payload []byte) error
}

// Event is the payload.
type Event struct {
	ID       string           `json:"id"` // of the journal entry: the same at every repeat
	At       time.Time        `json:"at"`
	Change   string           `json:"change"`
	Patients []string         `json:"patients"` // Patient/..., the records acted on
	Before   []mpi.Membership `json:"before"`   // persons and their members before
	After    []mpi.Membership `json:"after"`    // and after: a person in Before only is gone into one of these
	UndoOf   string           `json:"undoOf,omitempty"`
}

func of(e *mpi.Entry) Event {
	return Event{ID: e.ID, At: e.At, Change: e.Action, Patients: e.Patients, Before: e.Before, After: e.After, UndoOf: e.UndoOf}
}

// Tail follows one index.
type Tail struct {
	log  zerolog.Logger
	wake chan struct{}
}

// New makes a Tail; its Wake goes into mpi.Config.Changed.
func New(log zerolog.Logger) *Tail {
	return &Tail{log: log, wake: make(chan struct{}, 1)}
}

// Wake tells the tail that the outbox has something new. It never blocks.
func (t *Tail) Wake() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// batch is how many entries are read from the outbox at once.
const batch = 256

// idle is how long the tail waits for a wake at most: entries that an earlier
// process left behind, or whose publication failed, wait no longer.
const idle = 5 * time.Second

// Run follows x and publishes to p until ctx ends.
func (t *Tail) Run(ctx context.Context, x *mpi.Index, p Publisher) {
	for {
		n, err := Drain(ctx, x, p)
		if err != nil && ctx.Err() == nil {
			t.log.Warn().Err(err).Msg("mpi: changes of persons wait to be announced")
		}
		if err == nil && n == batch {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-time.After(idle):
		}
	}
}

// publishing bounds how long one event may take to be kept.
const publishing = 10 * time.Second

// Drain announces at most one batch and gives how many it was. What was
// published is taken out of the outbox even if a later one fails.
func Drain(ctx context.Context, x *mpi.Index, p Publisher) (int, error) {
	entries, err := x.Outbox(ctx, batch)
	if err != nil {
		return 0, err
	}
	var kept []string
	for _, e := range entries {
		payload, err := json.Marshal(of(e))
		if err != nil {
			return 0, fmt.Errorf("announce: %w", err)
		}
		if err = publish(ctx, p, e, payload); err != nil {
			if len(kept) > 0 {
				_ = x.Announced(ctx, kept...) // if not, they are published again: the same events
			}
			return len(kept), err
		}
		kept = append(kept, e.ID)
	}
	if len(kept) == 0 {
		return 0, nil
	}
	return len(kept), x.Announced(ctx, kept...)
}

func publish(ctx context.Context, p Publisher, e *mpi.Entry, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, publishing)
	defer cancel()
	return p.Publish(ctx, e.Action, e.ID, payload)
}
