// Package rest binds the FHIR interactions to HTTP: one route table, one file
// an interaction family, one map from errors to statuses (fhir/interact/
// outcome).
package rest

import (
	"errors"
	"strings"

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
	// Person answers a read of a Patient whose id is a person's and no record's,
	// and reports whether it did; nil: there are none.
	Person func(*gin.Context) bool
	Log    zerolog.Logger
	// MaxBody bounds a request body, compressed and not, in bytes; 0 = 32 MiB.
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
	Type    fhir.Type // "" with SystemLevel; "" with another level is every type
	Name    string    // with its $: "$match"
	Level   Level     // 0: TypeLevel, or SystemLevel if Type is ""
	Reads   bool      // GET is allowed beside POST (affectsState = false)
	Handler gin.HandlerFunc
	// Definition is the canonical of its OperationDefinition, if published.
	Definition string
}

// Server is the binding.
type Server struct {
	cfg        Config
	operations map[address]Operation
}

// address is where an operation is invoked.
type address struct {
	t     fhir.Type
	name  string
	level Level
}

// New checks the configuration.
func New(cfg Config) (*Server, error) {
	if cfg.Service == nil || cfg.Caller == nil {
		return nil, errors.New("rest: Service and Caller are required")
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 32 << 20
	}
	s := &Server{cfg: cfg, operations: map[address]Operation{}}
	for _, o := range cfg.Operations {
		if !strings.HasPrefix(o.Name, "$") || o.Handler == nil {
			return nil, errors.New("rest: an operation needs a $name and a handler")
		}
		if o.Level == 0 && o.Type == "" {
			o.Level = SystemLevel
		} else if o.Level == 0 {
			o.Level = TypeLevel
		}
		for _, level := range []Level{SystemLevel, TypeLevel, InstanceLevel} {
			if o.Level&level != 0 {
				s.operations[address{o.Type, o.Name, level}] = o
			}
		}
	}
	return s, nil
}

// CallerOf gives the caller of a request that an operation serves.
func CallerOf(c *gin.Context) interact.Caller {
	v, _ := c.Get(callerKey)
	caller, _ := v.(interact.Caller)
	return caller
}

const callerKey = "hutong.caller"

// operation finds what is registered for a type and level; one for every type
// stands in where there is none for t.
func (s *Server) operation(t fhir.Type, name string, level Level) (Operation, bool) {
	if o, ok := s.operations[address{t, name, level}]; ok {
		return o, true
	}
	o, ok := s.operations[address{"", name, level}]
	return o, ok
}
