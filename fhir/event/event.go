// Package event announces committed changes: a tail of the store's change log
// publishes them to a NATS JetStream stream, at least once, and subscribers
// take them from there.
package event

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store"
)

// Config says where the events go.
type Config struct {
	Store store.Store
	// URL is "embedded" (or "") for a JetStream server inside the process, or
	// the nats:// URL of a cluster.
	URL string
	// Dir holds the embedded server's files.
	Dir string
	// Listen opens the embedded server on TCP, "127.0.0.1:4222"; "" keeps it
	// inside the process.
	Listen  string
	Log     zerolog.Logger
	Metrics prometheus.Registerer // nil: none
	// MaxAge is how long events are kept in the stream; 0 = 7 days.
	MaxAge time.Duration
}

// Event is one committed version. It holds no content: a consumer that needs
// the resource reads it.
type Event struct {
	Key         fhir.Key
	VersionID   uint64
	T           fhir.T
	Method      fhir.Method
	LastUpdated time.Time
	Patients    []fhir.Key
	Custodian   string
}

// Handler takes one event. An error has it delivered again, later; it must be
// idempotent.
type Handler func(ctx context.Context, e Event) error

// Stream and subjects.
const (
	Stream  = "HUTONG"
	Subject = "hutong.change." // followed by the resource type
)

// Bus is the running tail and its connection.
type Bus struct{ cfg Config }

// Start connects (or starts the embedded server), makes the stream if it is
// not there, and starts the tail where its durable cursor stands.
func Start(ctx context.Context, cfg Config) (*Bus, error) { return &Bus{cfg: cfg}, nil }

// Subscribe delivers events whose subject matches filter ("hutong.change.>",
// "hutong.change.Observation") to h until ctx ends or the Bus closes. durable
// names the consumer: it resumes where it stood. At most a bounded number of
// events is in hand at once; a failed event comes again after a growing pause.
func (b *Bus) Subscribe(ctx context.Context, durable, filter string, h Handler) error { return nil }

// Close stops the subscriptions, then the tail, then the embedded server.
func (b *Bus) Close(ctx context.Context) error { return nil }
