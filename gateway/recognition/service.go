package recognition

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/store"
	"hutong/fhir/term/ucum"
	"hutong/gateway/principal"
	"hutong/profiles"
)

// Records is the repository as recognition uses it: *interact.Service.
type Records interface {
	Read(ctx context.Context, c interact.Caller, k fhir.Key) (fhir.Resource, error)
	Search(ctx context.Context, c interact.Caller, r interact.SearchRequest) (*interact.Bundle, error)
	Put(ctx context.Context, c interact.Caller, resources ...[]byte) ([]fhir.Version, error)
}

// Callers makes the caller of a principal: what they may see for a purpose.
type Callers interface {
	Caller(p *principal.Principal, purpose string) (interact.Caller, error)
}

// Links tells whether two records are certainly of one person. The MPI
// supplies it.
type Links interface {
	Certain(ctx context.Context, a, b fhir.Key) (bool, error)
}

// Images tells of each series of an ImagingStudy whether its metadata can be
// retrieved (WADO-RS answers 200).
type Images interface {
	Retrievable(ctx context.Context, study fhir.Resource) ([]bool, error)
}

// Config is what a Service is built from. Records, Callers, Catalogue and
// Space are required.
type Config struct {
	Records   Records
	Callers   Callers
	Catalogue *profiles.Catalogue
	Space     store.Space // the cards that were shown and the decisions on them
	BaseURL   string      // public address of the exchange, for links in cards
	// Custodian is the Organization that keeps the decisions; "" leaves them
	// with the organisation that decided.
	Custodian string
	Units     Units  // nil: UCUM
	Links     Links  // nil: every record that the search joined is certain
	Images    Images // nil: no image can be retrieved, so no imaging is recognised
	Now       func() time.Time
	NewID     func() string // of a card: a UUID
}

// Service answers the CDS Hooks and keeps decisions. Safe for concurrent use.
type Service struct {
	cfg     Config
	rules   *Rules
	labs    labCache
	reasons []profiles.Reason
}

// New checks the configuration and fills in defaults.
func New(cfg Config) (*Service, error) {
	if cfg.Records == nil || cfg.Callers == nil || cfg.Catalogue == nil || cfg.Space == nil {
		return nil, errors.New("recognition: Records, Callers, Catalogue and Space are required")
	}
	if cfg.Units == nil {
		cfg.Units = &ucum.Units{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.NewID == nil {
		cfg.NewID = uuid
	}
	reasons, err := profiles.DeclineReasons()
	if err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, rules: &Rules{Catalogue: cfg.Catalogue, Units: cfg.Units}, reasons: reasons}, nil
}

// uuid is a random UUID (RFC 9562, version 4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails: it ends the process instead
	b[6], b[8] = b[6]&15|64, b[8]&63|128
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
