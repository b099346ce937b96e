// Package event announces committed changes: a tail of the store's change log
// publishes them to a NATS JetStream stream, at least once, and subscribers
// take them from there.
package event

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/store"
)

// Event is one committed version. It holds no content: a consumer that needs
// the resource reads it.
type Event struct {
	Key         fhir.Key
	VersionID   uint64
	T           fhir.T
	Method      fhir.Method
	LastUpdated time.Time
	Patients    []fhir.Key // in whose compartments the resource lies
	Custodian   string
}

// Stream and subjects.
const (
	Stream  = "HUTONG"
	Subject = "hutong.change." // followed by the resource type
)

func of(c *store.Change) Event {
	return Event{
		Key: c.Key, VersionID: c.VersionID, T: c.T, Method: c.Method, LastUpdated: c.LastUpdated,
		Patients: c.Facts.Patients, Custodian: c.Facts.Custodian,
	}
}

// wire is the form of an event in a payload.
type wire struct {
	Key       string    `json:"key"`
	Version   uint64    `json:"version"`
	T         fhir.T    `json:"t"`
	Method    string    `json:"method"`
	At        time.Time `json:"at"`
	Patients  []string  `json:"patients,omitempty"`
	Custodian string    `json:"custodian,omitempty"`
}

// Read reads the payload of a message: an event, or an array of those of one
// type that one commit made.
func Read(payload []byte) ([]Event, error) {
	if len(payload) > 0 && payload[0] == '[' {
		var events []Event
		err := json.Unmarshal(payload, &events)
		return events, err
	}
	events := make([]Event, 1)
	return events, json.Unmarshal(payload, &events[0])
}

// MarshalJSON writes wire.
func (e Event) MarshalJSON() ([]byte, error) { return e.append(nil), nil }

// append appends wire, without what reflection costs for every version that is
// ever stored.
func (e *Event) append(b []byte) []byte {
	b = codec.AppendString(append(b, `{"key":`...), e.Key.String())
	b = strconv.AppendUint(append(b, `,"version":`...), e.VersionID, 10)
	b = strconv.AppendUint(append(b, `,"t":`...), uint64(e.T), 10)
	b = codec.AppendString(append(b, `,"method":`...), e.Method.String())
	b = append(e.LastUpdated.UTC().AppendFormat(append(b, `,"at":"`...), time.RFC3339Nano), '"')
	for i, p := range e.Patients {
		if i == 0 {
			b = append(b, `,"patients":[`...)
		} else {
			b = append(b, ',')
		}
		b = codec.AppendString(b, p.String())
	}
	if len(e.Patients) > 0 {
		b = append(b, ']')
	}
	if e.Custodian != "" {
		b = codec.AppendString(append(b, `,"custodian":`...), e.Custodian)
	}
	return append(b, '}')
}

// UnmarshalJSON reads wire.
func (e *Event) UnmarshalJSON(b []byte) error {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	key, ok := fhir.ParseKey(w.Key)
	if !ok {
		return fmt.Errorf("event: %q is not a key", w.Key)
	}
	*e = Event{Key: key, VersionID: w.Version, T: w.T, LastUpdated: w.At, Custodian: w.Custodian}
	for _, m := range []fhir.Method{fhir.Created, fhir.Updated, fhir.Deleted} {
		if m.String() == w.Method {
			e.Method = m
		}
	}
	if e.Method == 0 {
		return fmt.Errorf("event: %q is not a method", w.Method)
	}
	for _, p := range w.Patients {
		if k, ok := fhir.ParseKey(p); ok {
			e.Patients = append(e.Patients, k)
		}
	}
	return nil
}
