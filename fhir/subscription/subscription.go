// Package subscription serves R4 Subscriptions over REST hooks: who subscribed
// is told of every committed change that meets the criteria, at least once, if
// the subscriber may see the resource at that moment.
//
// Source: R4 subscription.html. Topics, $status and $events of R4B and R5 are
// not served.
package subscription

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// Type is the resource type that the room serves.
const Type fhir.Type = "Subscription"

// Interaction is what a notification is called in access decisions and in the
// audit trail: who may be notified may also read and search the type.
const Interaction = "$notify"

// Access stands between the room and the gateway.
type Access interface {
	// Admit decides whether the caller of a write may subscribe at all, and
	// says who that is: what Resume makes the subscriber from, later. It is
	// stored and holds no secret.
	Admit(ctx context.Context, c interact.Caller) (acting []byte, err error)
	// Resume makes the subscriber's caller as things stand now, and the
	// context in which it acts. Forbidden or NotFound: the account has ended.
	Resume(ctx context.Context, acting []byte) (context.Context, interact.Caller, error)
}

// Config is what a Service is built from. Persons, Auditor and Metrics may be
// nil: no records are joined, nothing is recorded, nothing is counted.
type Config struct {
	Store     store.Store
	Space     store.Space // cursor, notifications that wait, subscribers' secrets
	Defs      *definition.Set
	Parser    *search.Parser
	Extractor *search.Extractor
	Persons   interact.Persons
	Auditor   interact.Auditor
	Access    Access
	BaseURL   string // the FHIR base
	Custodian string // on whose behalf the server changes a status
	// Content permits payloads with the resource; otherwise notifications name
	// it at most.
	Content bool
	// Hosts are names, addresses and prefixes ("his.example", "10.2.0.0/16")
	// that may be called though they are private or without TLS.
	Hosts   []string
	Log     zerolog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time // nil: the system clock
	Limits  Limits
}

// Limits bound the work. A zero field takes its default.
type Limits struct {
	Deliveries int           // at a time, of all subscriptions: 32
	Waiting    int           // notifications of one subscription that wait: 10,000
	PerOwner   int           // subscriptions of one organisation: 500
	Attempts   int           // of one notification before the subscription is given up: 10
	Handshakes int           // attempts of the first, empty notification: 4
	Deadline   time.Duration // of one delivery: 10 s
	Pause      time.Duration // before the second attempt, then doubled: 1 s
	MaxPause   time.Duration // 5 min
	Linger     time.Duration // how long changes are gathered: 10 ms
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Deliveries, 32}, {&l.Waiting, 10_000}, {&l.PerOwner, 500}, {&l.Attempts, 10}, {&l.Handshakes, 4}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&l.Deadline, 10 * time.Second}, {&l.Pause, time.Second}, {&l.MaxPause, 5 * time.Minute}, {&l.Linger, 10 * time.Millisecond}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return l
}

// Service curates Subscriptions (give it to interact.Config.Curators) and, as
// long as Run runs, notifies. Safe for concurrent use.
type Service struct {
	cfg    Config
	hosts  *hosts
	client *http.Client
	stats  *stats
}

// New checks the configuration.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Space == nil || cfg.Defs == nil || cfg.Parser == nil || cfg.Extractor == nil || cfg.Access == nil {
		return nil, errors.New("subscription: Store, Space, Defs, Parser, Extractor and Access are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Limits = cfg.Limits.withDefaults()
	h, err := newHosts(cfg.Hosts)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, hosts: h, client: newClient(h), stats: newStats()}
	if cfg.Metrics != nil {
		err = s.stats.register(cfg.Metrics)
	}
	return s, err
}

// Documentation is what the CapabilityStatement says of the type.
func (s *Service) Documentation() string {
	text := "Served: channel rest-hook; criteria of one type without chains, _has and result parameters. " +
		"Without channel.payload a notification is an empty POST that names the resource in its Link header. "
	if s.cfg.Content {
		return text + "With channel.payload application/fhir+json it is a PUT of the resource to [endpoint]/[type]/[id]."
	}
	return text + "Payloads are not sent."
}

// members gives all records of the persons whom the patients are.
func (s *Service) members(ctx context.Context, patients []fhir.Key) ([]fhir.Key, error) {
	if s.cfg.Persons == nil {
		return patients, nil
	}
	seen := make(map[fhir.Key]bool, len(patients))
	var all []fhir.Key
	add := func(keys ...fhir.Key) {
		for _, k := range keys {
			if !seen[k] {
				seen[k], all = true, append(all, k)
			}
		}
	}
	add(patients...)
	for _, k := range patients {
		of, err := s.cfg.Persons.Members(ctx, k)
		if err != nil {
			return nil, err
		}
		add(of...)
	}
	return all, nil
}
