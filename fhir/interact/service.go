package interact

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
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
	// PageKey signs page tokens; at least 32 bytes. nil draws a random key, so
	// that tokens end with the process.
	PageKey []byte
	Limits  Limits
	Now     func() time.Time // nil: the system clock
	NewID   func() string    // nil: random 128-bit ids
	// BaseURL is the service's public base, such as
	// "https://exchange.example/fhir": fullUrl, Location and links carry it.
	BaseURL string
	// About is what the CapabilityStatement tells besides the definitions.
	About About
}

// Limits bound one request. A zero field takes its default.
type Limits struct {
	BodyBytes     int           // 64 MiB
	BundleEntries int           // 10,000
	PageSize      int           // default _count: 20
	MaxPageSize   int           // largest _count: 1,000
	Includes      int           // included resources a page: 5,000
	IncludeDepth  int           // rounds of :iterate: 5
	Retries       int           // attempts of a commit whose guard failed: 10
	Request       time.Duration // time a request may take: 60 s
	Followers     time.Duration // what all followers of a commit get: 20 ms
}

// About describes the installation in its CapabilityStatement.
type About struct {
	Name, Version, Publisher string
	Date                     time.Time // of the release
	// SMART lists the OAuth URIs of the security section: "authorize", "token",
	// "introspect", "revoke", "register", "manage". Empty: no security section.
	SMART map[string]string
	// Operations are those that other rooms mount; "" as a type is the system.
	Operations []Operation
}

// Operation is an extended operation for the CapabilityStatement.
type Operation struct {
	Type       fhir.Type
	Name       string // with its $
	Definition string // canonical of the OperationDefinition
}

// Service runs the interactions. Safe for concurrent use.
type Service struct {
	cfg Config
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
		cfg.NewID = randomID
	}
	return &Service{cfg: cfg}, nil
}

func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// WriteOptions are the conditions of a write.
type WriteOptions struct {
	IfMatch     string // an entity tag, W/"3"; "" = none
	IfNoneExist string // search criteria of a conditional create, "identifier=sys|val"
}

// Written is what a write did.
type Written struct {
	Resource fhir.Resource
	Created  bool // the first version of a key
	// Existed: a conditional create found its match, which stands in Resource;
	// nothing was written.
	Existed bool
	Issues  []fhir.Issue // warnings of validation
}

// SearchRequest is one search, whether from a URL or from a form.
type SearchRequest struct {
	Type        fhir.Type // "" for a search of the system
	Compartment fhir.Key  // of a compartment search: Patient/1
	Query       string    // raw query string, without '?'
	Lenient     bool      // Prefer: handling=lenient
}

// HistoryRequest is one history, of a resource, a type (Key.Type only) or all.
type HistoryRequest struct {
	Key   fhir.Key
	Query string // _since, _at, _count and the page token
}

// Read gives the current version of a resource.
// Errors: NotFound, Gone, or what the restriction refuses with.
func (s *Service) Read(ctx context.Context, c Caller, k fhir.Key) (fhir.Resource, error) {
	return fhir.Resource{}, errUnready
}

// VRead gives one version of a resource.
func (s *Service) VRead(ctx context.Context, c Caller, k fhir.Key, version uint64) (fhir.Resource, error) {
	return fhir.Resource{}, errUnready
}

// Get is Read, for the exchange's own workflows.
func (s *Service) Get(ctx context.Context, c Caller, k fhir.Key) (fhir.Resource, error) {
	return s.Read(ctx, c, k)
}

// Create stores a new resource under an id of the server's choice.
func (s *Service) Create(ctx context.Context, c Caller, t fhir.Type, body []byte, o WriteOptions) (Written, error) {
	return Written{}, errUnready
}

// Update stores a resource under its id; it creates what is not there.
func (s *Service) Update(ctx context.Context, c Caller, k fhir.Key, body []byte, o WriteOptions) (Written, error) {
	return Written{}, errUnready
}

// UpdateWhere updates the one match of criteria, or creates it.
func (s *Service) UpdateWhere(ctx context.Context, c Caller, t fhir.Type, criteria string, body []byte, o WriteOptions) (Written, error) {
	return Written{}, errUnready
}

// Patch applies a JSON Patch (RFC 6902) to the current version.
func (s *Service) Patch(ctx context.Context, c Caller, k fhir.Key, patch []byte, o WriteOptions) (Written, error) {
	return Written{}, errUnready
}

// PatchWhere patches the one match of criteria.
func (s *Service) PatchWhere(ctx context.Context, c Caller, t fhir.Type, criteria string, patch []byte, o WriteOptions) (Written, error) {
	return Written{}, errUnready
}

// Delete deletes a resource. Deleting what is deleted or never was succeeds:
// the result then has a zero version.
func (s *Service) Delete(ctx context.Context, c Caller, k fhir.Key, o WriteOptions) (fhir.Version, error) {
	return fhir.Version{}, errUnready
}

// DeleteWhere deletes the match of criteria, if there is one.
func (s *Service) DeleteWhere(ctx context.Context, c Caller, t fhir.Type, criteria string, o WriteOptions) (fhir.Version, error) {
	return fhir.Version{}, errUnready
}

// Put creates or updates several resources (JSON, ids given) in one
// transaction: the way in for the exchange's own workflows.
func (s *Service) Put(ctx context.Context, c Caller, resources ...[]byte) ([]fhir.Version, error) {
	return nil, errUnready
}

// Search runs a search and gives one page of it.
func (s *Service) Search(ctx context.Context, c Caller, r SearchRequest) (*Bundle, error) {
	return nil, errUnready
}

// History lists versions, newest first, and gives one page.
func (s *Service) History(ctx context.Context, c Caller, r HistoryRequest) (*Bundle, error) {
	return nil, errUnready
}

// BundleOptions say how a transaction or batch is answered.
type BundleOptions struct {
	Representation bool // Prefer: return=representation: entries carry what was stored
	Lenient        bool // Prefer: handling=lenient, for the searches inside
}

// Transaction runs a Bundle of type transaction or batch. A failing
// transaction has done nothing, and the error names Bundle.entry[i].
func (s *Service) Transaction(ctx context.Context, c Caller, body []byte, o BundleOptions) (*Bundle, error) {
	return nil, errUnready
}

// Capabilities is the CapabilityStatement as JSON.
func (s *Service) Capabilities(ctx context.Context) ([]byte, error) { return nil, errUnready }

var errUnready = fhir.Errorf(fhir.NotSupported, "not available")

// Validator checks a resource against the definitions; fhir/validate is one.
type Validator interface {
	// Resource gives what is wrong with resource i of d. path is its
	// expression, "" for a resource that stands alone.
	Resource(d *codec.Doc, i uint32, path string) []fhir.Issue
}
