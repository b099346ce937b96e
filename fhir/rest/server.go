// Package rest binds the FHIR interactions to HTTP: one route table, one file
// an interaction family, one map from errors to statuses.
package rest

import (
	"errors"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/interact"
)

// Config is what the binding needs.
type Config struct {
	Service *interact.Service
	// Caller gives on whose behalf a request runs; an error (Unauthorized,
	// Forbidden ...) is answered as it stands.
	Caller func(*gin.Context) (interact.Caller, error)
	// Operations are the extended operations that other rooms serve.
	Operations []Operation
	Log        zerolog.Logger
	// MaxBody bounds a request body after decompression, in bytes; 0 = 64 MiB.
	MaxBody int64
}

// Level says on what an operation is invoked. Levels combine by |.
type Level uint8

// The levels: POST /$name, /Type/$name, /Type/id/$name.
const (
	SystemLevel Level = 1 << iota
	TypeLevel
	InstanceLevel
)

// Operation is an extended operation served under the FHIR base. Its handler
// reads the id of an instance from c.Param("id"), takes the caller from
// CallerOf, and answers errors by WriteError.
type Operation struct {
	Type    fhir.Type // "" with SystemLevel
	Name    string    // with its $: "$match"
	Level   Level     // 0: TypeLevel, or SystemLevel if Type is ""
	Reads   bool      // GET is allowed beside POST (affectsState = false)
	Handler gin.HandlerFunc
	// Definition is the canonical of its OperationDefinition, if published.
	Definition string
}

// Server is the binding.
type Server struct{ cfg Config }

// New checks the configuration.
func New(cfg Config) (*Server, error) {
	if cfg.Service == nil || cfg.Caller == nil {
		return nil, errors.New("rest: Service and Caller are required")
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 64 << 20
	}
	return &Server{cfg: cfg}, nil
}

// Mount puts every route of the FHIR base on g, whose path is the base:
// usually "/fhir".
func (s *Server) Mount(g *gin.RouterGroup) {}

// CallerOf gives the caller of a request that an operation serves.
func CallerOf(c *gin.Context) interact.Caller {
	caller, _ := c.MustGet(callerKey).(interact.Caller)
	return caller
}

const callerKey = "hutong.caller"

// WriteError answers err as an OperationOutcome with the status of its kind.
// Every JSON interface of the exchange answers errors by it.
func WriteError(c *gin.Context, err error) {}
