package interact

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/interact/answer"
	"hutong/fhir/interact/capability"
	"hutong/fhir/interact/outcome"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// Config is what a Service is built from.
type Config struct {
	Store     store.Store
	Defs      *definition.Set
	Extractor *search.Extractor
	Parser    *search.Parser
	Validator Validator  // nil checks nothing beyond well-formedness
	Persons   Persons    // nil joins no records
	Followers []Follower // told of every commit, in order
	Auditor   Auditor    // nil records nothing (open mode)
	// Curators have a say in writes of their types.
	Curators map[fhir.Type]Curator
	// PageKey signs page tokens; at least 32 bytes. nil draws a random key, so
	// that tokens end with the process.
	PageKey []byte
	Limits  Limits
	Now     func() time.Time // nil: the system clock
	NewID   func() string    // nil: the time and 80 random bits, in hexadecimal
	// BaseURL is the service's public base, such as
	// "https://exchange.example/fhir": fullUrl, Location and links carry it.
	BaseURL string
	// About is what the CapabilityStatement tells besides the definitions.
	About About
}

// About describes the installation in its CapabilityStatement.
type About = capability.About

// Operation is an extended operation for the CapabilityStatement.
type Operation = capability.Operation

// Bundle is an answer of several resources; WriteTo streams it.
type Bundle = answer.Bundle

// Entry is one entry of a Bundle.
type Entry = answer.Entry

// Link is one link of a Bundle.
type Link = answer.Link

// Validator checks a resource against the definitions; fhir/validate is one.
type Validator interface {
	// Resource gives what is wrong with resource i of d. path is its
	// expression, "" for a resource that stands alone.
	Resource(d *codec.Doc, i uint32, path string) []fhir.Issue
}

// Limits bound one request. A zero field takes its default.
type Limits struct {
	Body          codec.Limits  // codec.DefaultLimits
	BundleEntries int           // 10,000
	Includes      int           // included resources a page: 5,000
	IncludeDepth  int           // rounds of :iterate: 5
	Patients      int           // patients that a search may name to have their persons joined: 50
	Retries       int           // attempts of a commit that others overtook: 10
	Request       time.Duration // time a request may take: 60 s
	Followers     time.Duration // what all followers of a commit get: 20 ms
}

func (l Limits) withDefaults() Limits {
	if l.Body == (codec.Limits{}) {
		l.Body = codec.DefaultLimits()
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&l.BundleEntries, 10_000}, {&l.Includes, 5_000}, {&l.IncludeDepth, 5}, {&l.Patients, 50}, {&l.Retries, 10}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.Request == 0 {
		l.Request = time.Minute
	}
	if l.Followers == 0 {
		l.Followers = 20 * time.Millisecond
	}
	return l
}

// Service runs the interactions. Safe for concurrent use.
type Service struct {
	cfg          Config
	capabilities []byte
	queues       queues
}

// New checks the configuration and fills in defaults.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Defs == nil || cfg.Extractor == nil || cfg.Parser == nil {
		return nil, fhir.Errorf(fhir.Internal, "interact: Store, Defs, Extractor and Parser are required")
	}
	if cfg.PageKey == nil {
		cfg.PageKey = make([]byte, 32)
		_, _ = rand.Read(cfg.PageKey) // never fails, see crypto/rand
	}
	if len(cfg.PageKey) < 32 {
		return nil, fhir.Errorf(fhir.Internal, "interact: PageKey has %d bytes, needs 32", len(cfg.PageKey))
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.NewID == nil {
		cfg.NewID = func() string { return newID(cfg.Now()) }
	}
	cfg.Limits = cfg.Limits.withDefaults()
	statement, err := capability.Statement(cfg.Defs, cfg.About, cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, capabilities: statement, queues: queues{seed: maphash.MakeSeed()}}, nil
}

// newID is laid out as a UUID of version 7 (RFC 9562), without its dashes and
// fixed bits: resources that arrive together lie together in an engine's key
// order, and none can be guessed from another.
func newID(now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli())<<16)
	_, _ = rand.Read(b[6:])
	return hex.EncodeToString(b[:])
}

// BaseURL is the public base that was configured.
func (s *Service) BaseURL() string { return s.cfg.BaseURL }

// IsType reports whether t is a resource type that the service knows.
func (s *Service) IsType(t fhir.Type) bool { return s.cfg.Defs.IsType(t) }

// Capabilities is the CapabilityStatement as JSON. It is public: no caller, no
// audit.
func (s *Service) Capabilities(context.Context) ([]byte, error) { return s.capabilities, nil }

// audited runs f within the request's time, then has the disclosure recorded;
// if that fails, the answer is withheld. f completes the disclosure.
func audited[A any](ctx context.Context, s *Service, d *Disclosure, f func(context.Context) (A, error)) (A, error) {
	limited, cancel := context.WithTimeout(ctx, s.cfg.Limits.Request)
	defer cancel()
	a, err := f(limited)
	if aerr := s.record(ctx, d, err); aerr != nil {
		var none A
		return none, aerr
	}
	return a, err
}

// record writes the disclosure even where the client has gone: what was done
// was done.
func (s *Service) record(ctx context.Context, d *Disclosure, err error) error {
	if s.cfg.Auditor == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Limits.Request)
	defer cancel()
	d.Err, d.At = err, s.cfg.Now()
	if err := s.cfg.Auditor.Record(ctx, *d); err != nil {
		e := fhir.Errorf(fhir.Busy, "the audit trail cannot be written: %w", err)
		e.Issues[0].Text, e.Issues[0].MessageID = "the audit trail cannot be written", outcome.AuditUnavailable
		return e
	}
	return nil
}

// seen adds a resource to the disclosure.
func (d *Disclosure) seen(k fhir.Key, f *fhir.Facts) {
	d.Keys = append(d.Keys, k)
	d.Patients = appendNew(d.Patients, patientsOf(k, f)...)
}

// patientsOf gives in whose compartments a resource lies; a Patient lies in
// its own.
func patientsOf(k fhir.Key, f *fhir.Facts) []fhir.Key {
	if k.Type == "Patient" {
		return appendNew([]fhir.Key{k}, f.Patients...)
	}
	return f.Patients
}

// unknownType is the error for a type that R4 does not have.
func (s *Service) unknownType(t fhir.Type) error {
	if s.cfg.Defs.IsType(t) {
		return nil
	}
	e := fhir.Errorf(fhir.NotFound, "not a resource type of FHIR R4")
	e.Issues[0].MessageID = outcome.UnknownType
	return e
}
