package mpi

import (
	"context"
	"errors"
	"slices"

	"hutong/fhir"
	"hutong/mpi/block"
	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/score"
	"hutong/mpi/source"
)

// maxRetries bounds how often a feed starts over because others changed the
// same persons meanwhile.
const maxRetries = 16

// Committed takes in the Patients among versions before the response leaves.
// What fails here, or misses the deadline, reaches the index again by Feed.
func (x *Index) Committed(ctx context.Context, versions []fhir.Version) {
	for _, v := range versions {
		if v.Type != "Patient" {
			continue
		}
		if err := x.Feed(ctx, v.Key, v.VersionID); err != nil {
			x.log.Warn().Err(err).Str("patient", v.ID).Uint64("version", v.VersionID).Msg("mpi: a version will be taken in by the event feed")
		}
	}
}

// Taken reports whether a version of a source Patient, or a later one, has been
// taken in, by whichever process: it asks the Space.
func (x *Index) Taken(ctx context.Context, k fhir.Key, versionID uint64) (bool, error) {
	r, err := x.readRow(ctx, k.ID)
	return err == nil && r != nil && r.head.Version >= versionID, err
}

// Feed takes in a source Patient as it is now, which is version versionID or a
// later one. It is idempotent and may be called in any order, by many at once.
// When it returns nil, the record's person is decided and durable.
func (x *Index) Feed(ctx context.Context, k fhir.Key, versionID uint64) error {
	if k.Type != "Patient" {
		return nil
	}
	x.gate.RLock()
	defer x.gate.RUnlock()
	for range maxRetries {
		err := x.feedOnce(ctx, k, versionID)
		if !errors.Is(err, fhir.E(fhir.Conflict)) {
			return err
		}
		x.stats.retries.Add(1)
	}
	return fhir.Errorf(fhir.Busy, "mpi: the persons of a record keep changing")
}

func (x *Index) feedOnce(ctx context.Context, k fhir.Key, versionID uint64) error {
	old, err := x.row(ctx, k.ID)
	if err != nil {
		return err
	}
	if old != nil && old.head.Version >= versionID {
		x.stats.unchanged.Add(1)
		return nil
	}
	next, err := x.observe(ctx, k, versionID)
	if err != nil {
		return err
	}
	unlock := x.locks.lock(meetingPoints(k.ID, old, next))
	defer unlock()
	now, err := x.row(ctx, k.ID)
	switch {
	case err != nil:
		return err
	case now != nil && now.head.Version >= next.head.Version:
		x.stats.unchanged.Add(1)
		return nil
	case (now == nil) != (old == nil) || now != nil && !slices.Equal(now.keys, old.keys):
		return fhir.E(fhir.Conflict)
	}
	x.stats.feeds.Add(1)
	return x.take(ctx, now, next)
}

// meetingPoints are the locks of a feed: every key under which the record
// meets others, before and after, and its own id.
func meetingPoints(id string, rows ...*row) []uint64 {
	out := []uint64{ownKey(id).Hash}
	for _, r := range rows {
		if r == nil {
			continue
		}
		for _, k := range r.keys {
			out = append(out, k.Hash)
		}
	}
	return out
}

// ownKey is a meeting point of a record with those that link to it.
func ownKey(id string) block.Key { return block.Identifier("patient|" + id) }

// observe reads the source Patient into a row that has no person yet.
// versionID stands in where a deletion is reported without its number.
func (x *Index) observe(ctx context.Context, k fhir.Key, versionID uint64) (*row, error) {
	res, err := x.read(ctx, k)
	r := &row{ID: k.ID, rec: &normal.Record{}, head: rowHead{Version: res.VersionID, Custodian: res.Facts.Custodian, Updated: res.LastUpdated}}
	switch {
	case errors.Is(err, fhir.E(fhir.Gone)) || err == nil && res.Deleted():
		r.head.Deleted = true
		r.head.Version = max(r.head.Version, versionID)
		return r, nil
	case err != nil:
		return nil, err
	}
	p, err := source.Read(res.Body.Raw)
	if err != nil {
		return nil, err
	}
	p.ID = k.ID
	r.rec = p.Record(res.Facts.Custodian, x.now())
	r.head.Inactive = !p.IsActive()
	r.head.Links, r.head.Life = p.Links(res.Facts.Custodian, x.now()), p.Life()
	r.keys = append(block.Keys(r.rec, x.now()), ownKey(k.ID))
	for _, l := range r.head.Links {
		k := ownKey(l.Other)
		if l.Token != "" {
			k = block.Identifier(l.Token)
		}
		if !slices.Contains(r.keys, k) {
			r.keys = append(r.keys, k)
		}
	}
	return r, nil
}

// take decides what a new version of a record changes, and commits it.
func (x *Index) take(ctx context.Context, old, next *row) error {
	if old != nil {
		next.head.Person, next.head.Origin = old.head.Person, old.head.Origin
		if next.head.Deleted {
			next.head.Custodian = old.head.Custodian
		}
	}
	c := newChange(x, next)
	c.actor, c.action = systemActor, actionFeed
	c.row(old, next)
	if err := c.domains(ctx); err != nil {
		return err
	}
	verdicts, err := c.compare(ctx, next)
	if err != nil {
		return err
	}
	if err := c.setEdges(ctx, verdicts); err != nil {
		return err
	}
	if err := c.settle(ctx, []string{next.ID}); err != nil {
		return err
	}
	if err := c.review(ctx, verdicts); err != nil {
		return err
	}
	c.overlay(old)
	return c.commit(ctx)
}

// compare holds a record against every record that it meets, itself left out.
func (c *change) compare(ctx context.Context, r *row) (map[string]link.Verdict, error) {
	x := c.x
	ids, err := x.candidates(ctx, r.keys)
	if err != nil {
		return nil, err
	}
	out := make(map[string]link.Verdict)
	for _, id := range ids {
		if id == r.ID {
			continue
		}
		other, err := x.row(ctx, id)
		if err != nil {
			return nil, err
		}
		if other == nil || other.head.Deleted {
			continue
		}
		v := x.judge(x.rules, r, other)
		if v.Kind == link.Link || v.Kind == link.Review {
			out[id] = v
		}
		c.shade(r, other, v)
	}
	return out, nil
}

// maxCandidates bounds how many records one record is compared with, beside
// those that share an identifier: a bound on the time of a feed or a match. What
// it costs is counted (Stats.Skipped): a question in the queue or, where the
// region's model lets demographics link (thresholds.link), a link.
const maxCandidates = 1000

// candidates are the records under keys, each once, in order of meeting:
// identifiers first. Lists that are too long, and those beyond maxCandidates,
// are passed over and counted.
func (x *Index) candidates(ctx context.Context, keys []block.Key) ([]string, error) {
	var out []string
	seen := make(map[string]bool)
	for _, k := range keys {
		if len(out) >= maxCandidates && k.Pass != block.ByID {
			x.stats.skipped.Add(1)
			continue
		}
		ids, over, err := x.posted(ctx, k)
		if err != nil {
			return nil, err
		}
		if over {
			x.stats.skipped.Add(1)
			if k.Pass != block.ByID {
				continue
			}
		}
		for _, id := range ids {
			if !seen[id] {
				seen[id] = true
				out = append(out, id)
			}
		}
	}
	return out, nil
}

func blockKey(k block.Key, patient string) []byte {
	return append(k.Append([]byte{blockPrefix}), patient...)
}

// posted lists the patients under a block key, at most the pass's cap; over
// says that there are more. Those of an identifier are given all the same.
func (x *Index) posted(ctx context.Context, k block.Key) (ids []string, over bool, err error) {
	if s := x.lists.Load(); s != nil {
		if ids, over, ok := s.List(k); ok && (!over || k.Pass != block.ByID) {
			return ids, over, nil
		}
	}
	from := blockKey(k, "")
	kvs, err := x.space.Scan(ctx, from, behind(from), k.Pass.Cap()+1)
	if err != nil {
		return nil, false, err
	}
	for _, kv := range kvs {
		ids = append(ids, string(kv.Key[len(from):]))
	}
	return ids, len(kvs) > k.Pass.Cap(), nil
}

// mergeWeight puts a hospital's own merge before every link by evidence.
const mergeWeight = 1000

// judge is the rules' verdict on two rows, with what their hospital says of
// them: its own merge of two of its own records counts, unless they must stay
// apart or contradict each other about life and death.
func (x *Index) judge(rules *link.Rules, a, b *row) link.Verdict {
	v := rules.Decide(a.rec, b.rec, x.now())
	life := link.Against(a.rec, b.rec, a.head.Life, b.head.Life)
	if life != "" && v.Kind == link.Link {
		v.Kind, v.Reasons, v.Score.Grade = link.Review, append([]link.Reason{life}, v.Reasons...), score.Probable
	}
	if !merges(a, b) && !merges(b, a) || v.Kind == link.Link {
		return v
	}
	if a.head.Custodian != b.head.Custodian || a.rec.Emergency() || b.rec.Emergency() || link.Apart(a.rec, b.rec) != "" || life != "" {
		v.Kind, v.Reasons = link.Review, append([]link.Reason{link.SourceMerge}, v.Reasons...)
		return v
	}
	v.Kind, v.Reasons = link.Link, []link.Reason{link.SourceMerge}
	v.Score.Weight, v.Score.Grade = mergeWeight, score.Certain
	return v
}

// merges reports that a's hospital says a and b are one record: by the id of
// the other Patient, or by its identifier (ITI-104).
func merges(a, b *row) bool {
	for _, l := range a.head.Links {
		if l.Type != "replaced-by" && l.Type != "replaces" {
			continue
		}
		if l.Other == b.ID || l.Token != "" && carries(b.rec, l.Token) {
			return true
		}
	}
	return false
}

func carries(r *normal.Record, token string) bool {
	return slices.ContainsFunc(r.IDs, func(id normal.Identifier) bool { return id.Token() == token })
}
