package keyspace

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo/wire"
)

// settle waits until every record of the space is applied, helping where it
// must. The caller holds the turn.
func (sp *space) settle(ctx context.Context) error {
	if sp.head == 0 {
		if err := sp.findHead(ctx); err != nil {
			return err
		}
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		rec, err := sp.record(ctx, sp.head+1)
		if rec == nil || err != nil {
			return err
		}
		if !rec.Done && !sp.overdue(sp.head+1) {
			if err := wire.Pause(ctx, wait); err != nil {
				return err
			}
			continue
		}
		if !rec.Done {
			if err := sp.finish(ctx, rec, sp.head+1); err != nil {
				return err
			}
		}
		sp.head++
	}
}

// overdue tells that another node has had its time to apply a record.
func (sp *space) overdue(seq int64) bool {
	if sp.slow != seq {
		sp.slow, sp.from = seq, time.Now()
	}
	return time.Since(sp.from) > sp.s.Help
}

// findHead looks for the end of the log. The newest record may not be applied;
// those before it are.
func (sp *space) findHead(ctx context.Context) error {
	ctx, cancel := wire.Timed(ctx, sp.s.Timeout)
	defer cancel()
	var rec spaceRecord
	err := sp.s.Log.FindOne(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: sp.name + "/"}, {Key: "$lt", Value: sp.name + "0"}}}},
		options.FindOne().SetSort(bson.D{{Key: "_id", Value: -1}}).SetProjection(bson.D{{Key: "_id", Value: 1}})).Decode(&rec)
	if errors.Is(err, driver.ErrNoDocuments) {
		return nil
	}
	if err != nil {
		return wire.Failure(ctx, err)
	}
	seq, err := strconv.ParseInt(rec.ID[len(sp.name)+1:], 16, 64)
	if err != nil {
		return fhir.Errorf(fhir.Internal, "storage: a space's record has a strange _id")
	}
	sp.head = seq - 1
	return nil
}

// record reads one record; nil if there is none.
func (sp *space) record(ctx context.Context, seq int64) (*spaceRecord, error) {
	ctx, cancel := wire.Timed(ctx, sp.s.Timeout)
	defer cancel()
	var rec spaceRecord
	err := sp.s.Log.FindOne(ctx, bson.D{{Key: "_id", Value: sp.recordID(seq)}}).Decode(&rec)
	if errors.Is(err, driver.ErrNoDocuments) {
		return nil, nil
	}
	return &rec, wire.Failure(ctx, err)
}

// insert is the race for the end of the log; an outcome that is not known is
// asked for until it is.
func (sp *space) insert(ctx context.Context, rec *spaceRecord) (won bool, err error) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		attempt, cancel := wire.Timed(ctx, sp.s.Timeout)
		_, err := sp.s.Log.InsertOne(attempt, rec)
		failed := wire.Failure(attempt, err)
		cancel()
		if err == nil {
			return true, nil
		}
		there, rerr := sp.record(ctx, sp.head+1)
		switch {
		case rerr == nil && there != nil:
			return there.Owner == rec.Owner, nil
		case rerr == nil && fhir.KindOf(failed) != fhir.Busy:
			return false, failed
		}
		if wire.Pause(ctx, wait) != nil {
			return false, fhir.Errorf(fhir.Busy, "the write did not finish in time; it may yet: %w", wire.ErrSlow)
		}
	}
}

// chunk moves writes that are too many for one document into some beside it.
func (sp *space) chunk(ctx context.Context, rec *spaceRecord) error {
	size := func(w *spaceWrite) int { return len(w.Key) + len(w.Val) + 64 }
	total := 0
	for i := range rec.Writes {
		total += size(&rec.Writes[i])
	}
	if total <= maxInline {
		return nil
	}
	ctx, cancel := wire.Timed(ctx, sp.s.Timeout)
	defer cancel()
	c := spaceChunk{Owner: rec.Owner, Staged: time.Now().UnixMilli()}
	flush := func() error {
		c.ID = fmt.Sprintf("%s/%d", c.Owner, c.Nth)
		_, err := sp.s.Chunks.InsertOne(ctx, c)
		c.Nth, c.Writes, total = c.Nth+1, nil, 0
		return wire.Failure(ctx, err)
	}
	total = 0
	for i := range rec.Writes {
		if n := size(&rec.Writes[i]); total > 0 && total+n > maxInline {
			if err := flush(); err != nil {
				return err
			}
		}
		c.Writes = append(c.Writes, rec.Writes[i])
		total += size(&rec.Writes[i])
	}
	err := flush()
	rec.Writes, rec.Chunks = nil, c.Nth
	return err
}

// finish applies what another node committed and left.
func (sp *space) finish(ctx context.Context, rec *spaceRecord, seq int64) error {
	writes := rec.Writes
	if rec.Chunks > 0 {
		find, cancel := wire.Timed(ctx, sp.s.Timeout)
		defer cancel()
		cur, err := sp.s.Chunks.Find(find, bson.D{{Key: "g", Value: rec.Owner}}, options.Find().SetSort(bson.D{{Key: "j", Value: 1}}))
		if err != nil {
			return wire.Failure(find, err)
		}
		var docs []spaceChunk
		if err := cur.All(find, &docs); err != nil {
			return wire.Failure(find, err)
		}
		if len(docs) != int(rec.Chunks) {
			return nil // somebody else has finished, and dropped the chunks
		}
		for i := range docs {
			writes = append(writes, docs[i].Writes...)
		}
	}
	return sp.apply(ctx, rec, writes, seq)
}

// apply sets the values of a record, marks it and drops one that no scan asks
// for any more.
func (sp *space) apply(ctx context.Context, rec *spaceRecord, writes []spaceWrite, seq int64) error {
	if err := sp.s.Fail(); err != nil {
		return err
	}
	ctx, cancel := wire.Timed(ctx, sp.s.Timeout)
	defer cancel()
	for i := range writes {
		if err := sp.set(ctx, &writes[i], seq); err != nil {
			return err
		}
	}
	_, err := sp.s.Log.UpdateOne(ctx, bson.D{{Key: "_id", Value: rec.ID}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "done", Value: true}}}, {Key: "$unset", Value: bson.D{{Key: "w", Value: ""}}}})
	if err != nil {
		return wire.Failure(ctx, err)
	}
	if rec.Chunks > 0 {
		if _, err := sp.s.Chunks.DeleteMany(ctx, bson.D{{Key: "g", Value: rec.Owner}}); err != nil {
			return wire.Failure(ctx, err)
		}
	}
	if seq > keptRecords {
		_, err = sp.s.Log.DeleteOne(ctx, bson.D{{Key: "_id", Value: sp.recordID(seq - keptRecords)}})
	}
	return wire.Failure(ctx, err)
}

// set writes one value, unless a newer one is there.
func (sp *space) set(ctx context.Context, w *spaceWrite, seq int64) error {
	d := spaceDoc{ID: w.Key, Seq: seq, Gone: w.Gone, Val: w.Val}
	for range 2 {
		r, err := sp.s.Values.ReplaceOne(ctx, bson.D{{Key: "_id", Value: w.Key}, {Key: "s", Value: bson.D{{Key: "$lt", Value: seq}}}}, d)
		if err != nil || r.MatchedCount > 0 {
			return wire.Failure(ctx, err)
		}
		if _, err = sp.s.Values.InsertOne(ctx, d); err == nil || !driver.IsDuplicateKeyError(err) {
			return wire.Failure(ctx, err)
		}
	}
	return nil // what is there is not older
}

// spaceRange is what a scan asks for, in _ids.
type spaceRange struct {
	lo, hi string
	limit  int
}

func (r *spaceRange) contains(id string) bool { return id >= r.lo && id < r.hi }

// scan reads the range as of the head that it finds. ok is false if what was
// overwritten meanwhile is not kept.
func (sp *space) scan(ctx context.Context, r spaceRange) (out []store.KV, ok bool, err error) {
	if err := sp.take(ctx); err != nil {
		return nil, false, err
	}
	err = sp.settle(ctx)
	head := sp.head
	<-sp.turn
	if err != nil {
		return nil, false, err
	}
	extra := 0
	for {
		docs, err := sp.read(ctx, r, extra)
		if err != nil {
			return nil, false, err
		}
		undo, ok, err := sp.since(ctx, head, &r)
		if err != nil || !ok {
			return nil, false, err
		}
		if len(undo) <= extra || r.limit == 0 {
			out, err := sp.asOf(docs, undo, &r, extra)
			return out, err == nil, err
		}
		extra = len(undo) // so many keys may not have been there at head
	}
}

// read gives the values of a range as they are now.
func (sp *space) read(ctx context.Context, r spaceRange, extra int) ([]spaceDoc, error) {
	o := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}})
	if r.limit > 0 {
		o.SetLimit(int64(r.limit + extra))
	}
	cur, err := sp.s.Values.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: r.lo}, {Key: "$lt", Value: r.hi}}}, {Key: "gone", Value: false}}, o)
	if err != nil {
		return nil, wire.Failure(ctx, err)
	}
	var docs []spaceDoc
	err = cur.All(ctx, &docs)
	return docs, wire.Failure(ctx, err)
}

// since gives what the records behind head replaced in the range: of each key
// the oldest value.
func (sp *space) since(ctx context.Context, head int64, r *spaceRange) (map[string]*spaceUndo, bool, error) {
	undo := map[string]*spaceUndo{}
	for seq := head + 1; ; seq++ {
		rec, err := sp.record(ctx, seq)
		if err != nil {
			return nil, false, err
		}
		if rec == nil {
			// Either the end, or a record that was dropped: then head is too old.
			return undo, seq == head+1 || seq-head < keptRecords/2, nil
		}
		for i := range rec.Undo {
			u := &rec.Undo[i]
			if _, older := undo[u.Key]; older || !r.contains(u.Key) {
				continue
			}
			if u.Large {
				return nil, false, nil
			}
			undo[u.Key] = u
		}
	}
}

// asOf takes the newer values back.
func (sp *space) asOf(docs []spaceDoc, undo map[string]*spaceUndo, r *spaceRange, extra int) ([]store.KV, error) {
	end := r.hi
	if r.limit > 0 && len(docs) == r.limit+extra {
		end = docs[len(docs)-1].ID + "\x00" // nothing is known of what follows
	}
	var ids []string
	values := map[string][]byte{}
	for i := range docs {
		if undo[docs[i].ID] == nil {
			ids = append(ids, docs[i].ID)
			values[docs[i].ID] = notNil(docs[i].Val)
		}
	}
	for id, u := range undo {
		if !u.Gone && id < end {
			ids = append(ids, id)
			values[id] = notNil(u.Val)
		}
	}
	slices.Sort(ids)
	var out []store.KV
	for _, id := range ids {
		if r.limit > 0 && len(out) == r.limit {
			break
		}
		key, err := hex.DecodeString(strings.TrimPrefix(id, sp.name+"/"))
		if err != nil {
			return nil, fhir.Errorf(fhir.Internal, "storage: a space's key cannot be read")
		}
		out = append(out, store.KV{Key: key, Value: values[id]})
	}
	return out, nil
}
