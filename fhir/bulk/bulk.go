// Package bulk is what moves many resources at once: $everything of a patient,
// $export as ndjson files (FHIR Bulk Data Access 2.0) and $import of ndjson.
// What is read and written goes through fhir/interact: this room holds the
// jobs, the files and the streams.
package bulk

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"

	"hutong/fhir/interact"
	"hutong/fhir/rest"
	"hutong/fhir/store"
	"hutong/profiles"
)

// Requester is who asks for an operation of the whole system.
type Requester struct {
	// Owner is whose the job is: only the same owner hears of it again.
	Owner string
	// Acting is what Access.Resume makes the caller from, later. It is stored
	// with the job and holds no secret.
	Acting []byte
}

// Access stands between the operations and the gateway.
type Access interface {
	// Admit decides whether the sender of a request may use "$export" or
	// "$import" at all.
	Admit(c *gin.Context, operation string) (Requester, error)
	// Resume makes the caller of a job that was admitted, without its request,
	// and the context in which it acts.
	Resume(ctx context.Context, acting []byte) (context.Context, interact.Caller, error)
}

// Config is what a Service is built from. Service, Space, Dir, Access and URL
// are required.
type Config struct {
	Service *interact.Service
	Space   store.Space // of the jobs
	Dir     string      // of the files; nothing else may lie in it
	Node    string      // name of this node where several share Space; it begins the ids of its jobs
	Access  Access
	URL     string // public URL of the group that Mount is given
	Log     zerolog.Logger
	Now     func() time.Time // nil: the system clock
	Limits  Limits
}

// Limits bound the work. A zero field takes its default.
type Limits struct {
	Exports   int           // jobs at a time: 1
	Waiting   int           // jobs that wait: 64
	PerOwner  int           // unfinished jobs of one owner: 4
	Page      int           // resources read at a time: 1,000
	FileBytes int64         // a file is closed when it is larger: 256 MiB
	Keep      time.Duration // files of a finished job: 24 h
	Imports   int           // at a time: 2
	Batch     int           // resources of a transaction: 500
	LineBytes int           // of a resource: 32 MiB
	Faults    int           // after so many an import ends: 10,000
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.Exports, 1}, {&l.Waiting, 64}, {&l.PerOwner, 4}, {&l.Page, 1000}, {&l.Imports, 2},
		{&l.Batch, 500}, {&l.LineBytes, 32 << 20}, {&l.Faults, 10_000},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.FileBytes == 0 {
		l.FileBytes = 256 << 20
	}
	if l.Keep == 0 {
		l.Keep = 24 * time.Hour
	}
	return l
}

// Service serves the operations. Safe for concurrent use. Exports run while
// Run does.
type Service struct {
	cfg     Config
	exports *exports
	imports chan struct{} // a place for each running import
}

// New checks the configuration and makes the directory.
func New(cfg Config) (*Service, error) {
	if cfg.Service == nil || cfg.Space == nil || cfg.Dir == "" || cfg.Access == nil || cfg.URL == "" {
		return nil, errors.New("bulk: Service, Space, Dir, Access and URL are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Limits = cfg.Limits.withDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, exports: newExports(&cfg), imports: make(chan struct{}, cfg.Limits.Imports)}, nil
}

// Run works on the exports, first on those that an earlier process left, and
// removes what has expired, until ctx ends. Call it once.
func (s *Service) Run(ctx context.Context) { s.exports.run(ctx) }

// Definitions are the operations as the CapabilityStatement tells them: for
// interact.About, which is needed before there is a Service.
func Definitions() []interact.Operation {
	const bulkData = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
	return []interact.Operation{
		{Type: "Patient", Name: "$everything", Definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything"},
		{Name: "$export", Definition: bulkData + "export"},
		{Type: "Patient", Name: "$export", Definition: bulkData + "patient-export"},
		{Name: "$import", Definition: profiles.Canonical + "/OperationDefinition/import"},
	}
}

// Operations are the operations to register.
func (s *Service) Operations() []rest.Operation {
	served := []rest.Operation{
		{Level: rest.InstanceLevel, Reads: true, Handler: s.everything},
		{Level: rest.SystemLevel, Reads: true, Handler: s.kickOff(false)},
		{Level: rest.TypeLevel, Reads: true, Handler: s.kickOff(true)},
		{Level: rest.SystemLevel, Handler: s.importing},
	}
	for i, d := range Definitions() {
		served[i].Type, served[i].Name, served[i].Definition = d.Type, d.Name, d.Definition
	}
	return served
}

// Mount serves the jobs and their files on g, whose public URL is Config.URL.
// The group authenticates.
func (s *Service) Mount(g *gin.RouterGroup) {
	g.GET("/:job", s.status)
	g.DELETE("/:job", s.cancel)
	g.GET("/:job/:file", s.download)
}
