package subscription

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
)

// due is a notification that waits: a row of the space, in the order of the
// log. It names a version and holds no content.
type due struct {
	sub     *sub      // of one that was just made
	row     []byte    // key of one that was read
	Key     fhir.Key  `json:"key"`
	Version uint64    `json:"version"`
	T       fhir.T    `json:"t"`
	At      time.Time `json:"at"` // when the version was committed

	recorded bool // the audit trail knows of it
}

func duePrefix(id string) string { return "due/" + id + "/" }

// rows of one Subscription lie between its prefix and dueEnd: '0' follows '/',
// and an id holds neither.
func dueEnd(id string) string { return "due/" + id + "0" }

// write makes the row. The same change makes the same row again.
func (d *due) write() store.Write {
	key := binary.BigEndian.AppendUint64([]byte(duePrefix(d.sub.key.ID)), uint64(d.T))
	value, _ := json.Marshal(d) // plain fields: never fails
	return store.Write{Key: append(key, d.Key.String()...), Value: value}
}

// dues reads the oldest rows of a Subscription, at most limit.
func (s *Service) dues(ctx context.Context, id string, limit int) ([]due, error) {
	rows, err := s.cfg.Space.Scan(ctx, []byte(duePrefix(id)), []byte(dueEnd(id)), limit)
	if err != nil {
		return nil, err
	}
	list := make([]due, len(rows))
	for i := range rows {
		if err := json.Unmarshal(rows[i].Value, &list[i]); err != nil {
			return nil, fhir.Errorf(fhir.Internal, "subscription: a notification that waits cannot be read: %w", err)
		}
		list[i].row = rows[i].Key
	}
	return list, nil
}

// settle removes rows that are done with.
func (s *Service) settle(ctx context.Context, done []due) error {
	if len(done) == 0 {
		return nil
	}
	writes := make([]store.Write, len(done))
	for i := range done {
		writes[i] = store.Write{Key: done[i].row}
	}
	return s.cfg.Space.Apply(ctx, writes)
}

// drop removes everything that waits for a Subscription.
func (s *Service) drop(ctx context.Context, id string) error {
	for {
		list, err := s.dues(ctx, id, maxWrites)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := s.settle(ctx, list); err != nil {
			return err
		}
	}
}

// sweep drops what waits for Subscriptions that are not served: a process may
// have ended between giving one up and dropping.
func (f *follower) sweep(ctx context.Context) error {
	for from := []byte("due/"); ; {
		rows, err := f.s.cfg.Space.Scan(ctx, from, []byte("due0"), 1)
		if err != nil || len(rows) == 0 {
			return err
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(string(rows[0].Key), "due/"), "/")
		if f.subs[id] == nil {
			if err := f.s.drop(ctx, id); err != nil {
				return err
			}
		}
		from = []byte(dueEnd(id))
	}
}
