package bulk

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
)

// job is one export, as it lies in the space under its id. What is not
// finished can go on from here in another process.
type job struct {
	ID       string
	Node     string `json:",omitempty"` // which works on it and has its files
	Owner    string
	Acting   []byte
	Request  string      // URL of the kick-off
	Patients bool        // Patient/$export
	Types    []fhir.Type // one after the other
	Since    time.Time   `json:",omitzero"`

	State   state
	Created time.Time
	Expires time.Time `json:",omitzero"` // set when it is finished

	// The moment that is exported: zero until the first page is read.
	T  fhir.T
	At time.Time `json:",omitzero"` // manifest.transactionTime

	// Where it goes on: everything before is in the files, durably.
	Type   int    // index in Types
	After  []byte // cursor of the type
	Files  []file
	Starts int // processes that took it up

	Status int             `json:",omitempty"` // HTTP status of a failed job
	Fault  json.RawMessage `json:",omitempty"` // OperationOutcome of a failed job

	raw []byte // as it is stored; nil if it is not
}

type state string

const (
	waiting state = "waiting" // or running: both go on after a restart
	done    state = "done"
	failed  state = "failed"
)

// file is one ndjson file. Bytes are what is durable and counted.
type file struct {
	Type  fhir.Type
	Name  string
	Count int
	Bytes int64
}

// jobs keeps jobs in a space.
type jobs struct{ space store.Space }

// get gives a job, nil if there is none.
func (j jobs) get(ctx context.Context, id string) (*job, error) {
	raw, err := j.space.Get(ctx, []byte(id))
	if err != nil || raw == nil {
		return nil, err
	}
	return parseJob(raw)
}

func parseJob(raw []byte) (*job, error) {
	found := new(job)
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(found); err != nil {
		return nil, fhir.Errorf(fhir.Internal, "bulk: a job cannot be read: %w", err)
	}
	found.raw = raw
	return found, nil
}

// all lists the jobs in the order of their ids, which is that of their making.
func (j jobs) all(ctx context.Context) ([]*job, error) {
	rows, err := j.space.Scan(ctx, nil, nil, 0)
	if err != nil {
		return nil, err
	}
	list := make([]*job, len(rows))
	for i := range rows {
		if list[i], err = parseJob(rows[i].Value); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// put makes a job or a change of it durable. Conflict if it was removed
// meanwhile: cancelled, perhaps by way of another node.
func (j jobs) put(ctx context.Context, x *job) error {
	raw, err := json.Marshal(x)
	if err != nil {
		return fhir.Errorf(fhir.Internal, "bulk: %w", err)
	}
	w := store.Write{Key: []byte(x.ID), Value: raw, If: store.IfEquals, Old: x.raw}
	if x.raw == nil {
		w.If = store.IfAbsent
	}
	if err := j.space.Apply(ctx, []store.Write{w}); err != nil {
		return err
	}
	x.raw = raw
	return nil
}

func (j jobs) remove(ctx context.Context, id string) error {
	return j.space.Apply(ctx, []store.Write{{Key: []byte(id)}})
}
