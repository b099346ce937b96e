package rest

import (
	"github.com/gin-gonic/gin"

	"hutong/fhir/interact"
)

// history: GET /Type/id/_history, /Type/_history, /_history.
func (s *Server) history(c *gin.Context) {
	r := interact.HistoryRequest{Key: key(c), Query: searchPart(c.Request.URL.RawQuery)}
	b, err := s.cfg.Service.History(c.Request.Context(), CallerOf(c), r)
	if err != nil {
		WriteError(c, err)
		return
	}
	writeBundle(c, b)
}
