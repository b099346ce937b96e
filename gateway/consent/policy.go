// Package consent decides what a principal may see and write: it gathers what
// the decision depends on (consents, treatment relationships, broken glass,
// the person's records) and compiles it into the restriction that a search
// plan carries.
//
// The decision itself is a pure function, Compile; Policy gathers.
package consent

import (
	"context"
	"errors"
	"time"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/interact"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
)

// PurposeHeader is where a request states its purpose of use.
const PurposeHeader = "X-Purpose-Of-Use"

// Persons tells which records are of one person. The MPI supplies it.
type Persons interface {
	// Members gives all source Patients of the person that k names, {k} if
	// nothing is known of it.
	Members(ctx context.Context, k fhir.Key) ([]fhir.Key, error)
	// ByIdentifier gives the person who holds a card. NotFound if nobody does.
	ByIdentifier(ctx context.Context, system, value string) (fhir.Key, error)
}

// Writer stores the exchange's own resources; *interact.Service is one.
type Writer interface {
	Put(ctx context.Context, c interact.Caller, resources ...[]byte) ([]fhir.Version, error)
}

// Auditor records security events; *audit.Log is one.
type Auditor interface {
	Event(ctx context.Context, e audit.Event) error
}

// Config is what a Policy is built from. Reader, Persons and Custodian are
// required; Writer and Auditor only to break the glass.
type Config struct {
	Reader  Reader
	Persons Persons
	Writer  Writer
	Auditor Auditor
	// Custodian is the id of the Organization that runs the exchange: it keeps
	// what residents and the exchange itself write.
	Custodian string
	Base      string           // FHIR base URL, as absolute references to this server carry it
	Zone      *time.Location   // of dates without one; nil = China Standard Time
	Now       func() time.Time // nil: the system clock
	// Recent is how long after an encounter has ended it still is a treatment
	// relationship; 0 = 30 days.
	Recent time.Duration
	Glass  time.Duration // how long a broken glass stays open; 0 = 4 hours
}

// Policy makes callers. Safe for concurrent use. It keeps nothing between
// requests: a consent that was committed is obeyed by the next query.
type Policy struct {
	cfg  Config
	defs *definition.Set // which types are about patients
}

// New checks the configuration.
func New(cfg Config) (*Policy, error) {
	if cfg.Reader == nil || cfg.Persons == nil || cfg.Custodian == "" {
		return nil, errors.New("consent: Reader, Persons and Custodian are required")
	}
	if cfg.Zone == nil {
		cfg.Zone = time.FixedZone("CST", 8*3600)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Recent == 0 {
		cfg.Recent = 30 * 24 * time.Hour
	}
	if cfg.Glass == 0 {
		cfg.Glass = 4 * time.Hour
	}
	return &Policy{cfg: cfg, defs: definition.R4()}, nil
}

// Caller makes the caller of one request: who asks, in which role, for what
// purpose. Errors: Unauthorized without a principal, Invalid for a purpose
// that does not exist, Forbidden for one that the principal may not state.
func (p *Policy) Caller(who *principal.Principal, purpose string) (interact.Caller, error) {
	if who == nil {
		return nil, fhir.Errorf(fhir.Unauthorized, "an access token is required")
	}
	if who.Open {
		return openCaller{}, nil
	}
	role, purpose, err := Acting(who, purpose)
	if err != nil {
		return nil, err
	}
	return &Caller{policy: p, who: who, role: role, purpose: purpose}, nil
}

// FromRequest makes the caller of an HTTP request that has passed the
// authentication: rest.Config.Caller.
func (p *Policy) FromRequest(c *gin.Context) (interact.Caller, error) {
	return p.Caller(principal.From(c.Request.Context()), c.GetHeader(PurposeHeader))
}

func (p *Policy) clock() clock { return clock{p.cfg.Now(), p.cfg.Zone} }
