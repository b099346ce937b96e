package rest

import (
	"github.com/gin-gonic/gin"

	"hutong/fhir/interact"
)

// transaction: POST / with a Bundle of type transaction or batch.
func (s *Server) transaction(c *gin.Context) {
	body, err := s.body(c, resourceTypes)
	if err != nil {
		WriteError(c, err)
		return
	}
	p := prefer(c)
	b, err := s.cfg.Service.Transaction(c.Request.Context(), CallerOf(c), body, interact.BundleOptions{
		Representation: p.answer == "representation", Lenient: p.lenient,
	})
	if err != nil {
		WriteError(c, err)
		return
	}
	writeBundle(c, b)
}
