// Package rest serves the master patient index over HTTP: $match and $person
// beside the FHIR interactions, and the steward's API under /api/identity.
// Its contract, with examples, is API.md. It authenticates nobody: who may do
// what is asked of Config.Authorize.
package rest

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/mpi"
	"hutong/mpi/merge"
	"hutong/mpi/policy"
	"hutong/mpi/report"
)

// The actions that Authorize is asked about.
const (
	ActionMatch  = "identity.match"  // $match
	ActionPerson = "identity.person" // golden records and members
	ActionQueue  = "identity.queue"  // the worklist and explanations
	ActionDecide = "identity.decide" // decisions, splits and undo
	ActionFull   = "identity.full"   // identifiers and phones in full (ID-15)
	ActionMerge  = "identity.merge"  // $merge and its undo
)

// Config is what the handlers need.
type Config struct {
	Index *mpi.Index
	// BaseURL is the public base of the FHIR interface, such as
	// https://exchange.example/fhir; "" takes the request's own.
	BaseURL string
	// Reports reads what the index reports.
	Reports report.Reader
	// Policy is the one in force, for who asks.
	Policy *policy.Policy
	// Merges serves $merge, and Merger says who asks for one (Authorize has
	// agreed before). nil: $merge is NotSupported.
	Merges *merge.Service
	Merger func(c *gin.Context) (merge.By, error)
	// Authorize says who asks and whether they may; an error (Unauthorized,
	// Forbidden) is answered as it stands. For ActionFull an error only masks.
	Authorize func(c *gin.Context, action string) (actor string, err error)
	// Disclosed records, durably, that an answer is about to name these
	// Patients; an error refuses the answer. nil records nothing (open mode).
	Disclosed func(c *gin.Context, action string, patients []fhir.Key) error
}

// Handlers serve the index.
type Handlers struct{ cfg Config }

// New checks the configuration.
func New(cfg Config) (*Handlers, error) {
	if cfg.Index == nil || cfg.Authorize == nil {
		return nil, errors.New("mpi/rest: Index and Authorize are required")
	}
	return &Handlers{cfg}, nil
}

// Mount puts the steward's routes on g, whose path is /api/identity. Match and
// Person are mounted by the FHIR binding as operations.
func (h *Handlers) Mount(g gin.IRouter) {
	g.GET("/queue", h.queue)
	g.GET("/queue/:id", h.task)
	g.POST("/queue/:id", h.decide)
	g.GET("/persons/:id", h.person)
	g.POST("/persons/:id/split", h.split)
	g.POST("/persons/:id/link", h.join)
	g.POST("/journal/:id/undo", h.undo)
	g.GET("/proposals", h.proposals)
	g.GET("/proposals/:id", h.proposal)
	g.POST("/proposals/:id", h.second)
	g.GET("/merges", h.merges)
	g.POST("/merges/:id/undo", h.undoMerge)
	g.GET("/reports/summary", h.summary)
	g.GET("/reports/duplicates", h.duplicates)
	g.GET("/reports/overlays", h.overlays)
	g.GET("/reports/shadow", h.shadow)
	g.GET("/policy", h.policy)
	g.GET("/explain", h.explain)
	g.GET("/stats", h.stats)
}

// allow asks Authorize, and answers the refusal. ok is false if refused.
func (h *Handlers) allow(c *gin.Context, action string) (actor string, ok bool) {
	actor, err := h.cfg.Authorize(c, action)
	if err != nil {
		rest.WriteError(c, err)
		return "", false
	}
	return actor, true
}

// view tells how values are shown to this caller.
func (h *Handlers) view(c *gin.Context) view {
	_, err := h.cfg.Authorize(c, ActionFull)
	return view{masked: err != nil}
}

// answer records the disclosure and then writes the body: audit comes first.
func (h *Handlers) answer(c *gin.Context, action string, about []fhir.Key, body any) {
	h.answerAs(c, http.StatusOK, action, about, body)
}

// answerAs is answer with another status.
func (h *Handlers) answerAs(c *gin.Context, status int, action string, about []fhir.Key, body any) {
	if h.cfg.Disclosed != nil {
		if err := h.cfg.Disclosed(c, action, about); err != nil {
			rest.WriteError(c, err)
			return
		}
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(status, body)
}

// bind reads a JSON body of at most 1 MiB.
func bind(c *gin.Context, into any) bool {
	if err := readJSON(c, into); err != nil {
		rest.WriteError(c, err)
		return false
	}
	return true
}
