package backup

import (
	"context"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/keyspace"
)

// Batch is what one frame holds: commits and writes of spaces, each in order.
type Batch struct {
	T       fhir.T           `json:"t"`   // the newest commit archived with this batch
	Seq     uint64           `json:"seq"` // the newest entry of the spaces' journal
	Commits []Commit         `json:"commits,omitempty"`
	Spaces  []keyspace.Entry `json:"spaces,omitempty"`
}

// Commit is a committed transaction.
type Commit struct {
	T        fhir.T    `json:"t"`
	Versions []Version `json:"versions"`
}

// Version is a version with all that cannot be had from its body.
type Version struct {
	Key         fhir.Key    `json:"key"`
	VersionID   uint64      `json:"version"`
	Method      fhir.Method `json:"method"`
	LastUpdated time.Time   `json:"at"`
	Facts       fhir.Facts  `json:"facts"`
	Body        []byte      `json:"body,omitempty"` // as stored, byte for byte
	MetaAt      uint32      `json:"metaAt,omitempty"`
}

// at is when the commit was made: no version of it is older.
func (c *Commit) at() time.Time {
	var first time.Time
	for _, v := range c.Versions {
		if first.IsZero() || v.LastUpdated.Before(first) {
			first = v.LastUpdated
		}
	}
	return first
}

// commitsAfter reads commits, whole, about limit versions.
func commitsAfter(ctx context.Context, s store.Store, after fhir.T, limit int) ([]Commit, error) {
	changes, err := s.Changes(ctx, after, limit)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	snap, err := s.Snapshot(ctx, changes[len(changes)-1].T)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	var out []Commit
	for _, ch := range changes {
		v := Version{Key: ch.Key, VersionID: ch.VersionID, Method: ch.Method, LastUpdated: ch.LastUpdated, Facts: ch.Facts}
		if !ch.Deleted() {
			r, err := snap.GetVersion(ctx, ch.Key, ch.VersionID)
			if err != nil {
				return nil, err
			}
			v.Body, v.MetaAt = r.Body.Raw, r.Body.MetaAt
		}
		if n := len(out); n == 0 || out[n-1].T != ch.T {
			out = append(out, Commit{T: ch.T})
		}
		last := &out[len(out)-1]
		last.Versions = append(last.Versions, v)
	}
	return out, nil
}
