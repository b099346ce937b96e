package rest

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/interact/outcome"
)

// searchType: GET /Type?..., POST /Type/_search.
func (s *Server) searchType(c *gin.Context) {
	if s.tryOperation(c, SystemLevel, c.Param("type")) {
		return
	}
	s.search(c, interact.SearchRequest{Type: key(c).Type})
}

// searchSystem: GET /?..., POST /_search.
func (s *Server) searchSystem(c *gin.Context) { s.search(c, interact.SearchRequest{}) }

// searchCompartment: GET /Patient/1/Observation?..., GET /Patient/1/*.
func (s *Server) searchCompartment(c *gin.Context) {
	other := c.Param("other")
	if s.tryOperation(c, InstanceLevel, other) {
		return
	}
	k := key(c)
	switch k.Type {
	case "Patient", "Encounter", "RelatedPerson", "Practitioner", "Device":
	default:
		WriteError(c, unknownRoute())
		return
	}
	if !fhir.ValidID(k.ID) {
		WriteError(c, unknownRoute())
		return
	}
	s.search(c, interact.SearchRequest{Compartment: k, Type: fhir.Type(strings.TrimPrefix(other, "*"))})
}

func (s *Server) search(c *gin.Context, r interact.SearchRequest) {
	var err error
	if r.Query, err = s.query(c); err != nil {
		WriteError(c, err)
		return
	}
	r.Lenient = prefer(c).lenient
	if parameter(c, explainParameter) == "true" {
		s.explain(c, r)
		return
	}
	b, err := s.cfg.Service.Search(c.Request.Context(), CallerOf(c), r)
	if err != nil {
		WriteError(c, err)
		return
	}
	writeBundle(c, b)
}

// explain answers with the plan of a search instead of its matches.
func (s *Server) explain(c *gin.Context, r interact.SearchRequest) {
	plan, err := s.cfg.Service.Explain(c.Request.Context(), CallerOf(c), r)
	if err != nil {
		WriteError(c, err)
		return
	}
	told := []fhir.Issue{{Severity: fhir.Information, Code: "informational", Text: plan}}
	writeJSON(c, http.StatusOK, outcome.Issues(told, fhir.Internal, outcome.English))
}
