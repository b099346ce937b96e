package rest

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/interact/outcome"
)

// conditions reads the headers of a conditional write.
func conditions(c *gin.Context) interact.WriteOptions {
	return interact.WriteOptions{
		IfMatch: c.GetHeader("If-Match"), IfNoneMatch: c.GetHeader("If-None-Match"), IfNoneExist: c.GetHeader("If-None-Exist"),
	}
}

// create: POST /Type.
func (s *Server) create(c *gin.Context) {
	if s.tryOperation(c, SystemLevel, c.Param("type")) {
		return
	}
	s.write(c, resourceTypes, func(body []byte) (interact.Written, error) {
		return s.cfg.Service.Create(c.Request.Context(), CallerOf(c), key(c).Type, body, conditions(c))
	})
}

// update: PUT /Type/id.
func (s *Server) update(c *gin.Context) {
	s.write(c, resourceTypes, func(body []byte) (interact.Written, error) {
		return s.cfg.Service.Update(c.Request.Context(), CallerOf(c), key(c), body, conditions(c))
	})
}

// updateWhere: PUT /Type?criteria.
func (s *Server) updateWhere(c *gin.Context) {
	s.writeWhere(c, resourceTypes, func(criteria string, body []byte) (interact.Written, error) {
		return s.cfg.Service.UpdateWhere(c.Request.Context(), CallerOf(c), key(c).Type, criteria, body, conditions(c))
	})
}

// patch: PATCH /Type/id.
func (s *Server) patch(c *gin.Context) {
	s.write(c, patchTypes, func(body []byte) (interact.Written, error) {
		return s.cfg.Service.Patch(c.Request.Context(), CallerOf(c), key(c), body, conditions(c))
	})
}

// patchWhere: PATCH /Type?criteria.
func (s *Server) patchWhere(c *gin.Context) {
	s.writeWhere(c, patchTypes, func(criteria string, body []byte) (interact.Written, error) {
		return s.cfg.Service.PatchWhere(c.Request.Context(), CallerOf(c), key(c).Type, criteria, body, conditions(c))
	})
}

// write reads the body, runs the interaction and answers.
func (s *Server) write(c *gin.Context, types []string, run func(body []byte) (interact.Written, error)) {
	body, err := s.body(c, types)
	if err != nil {
		WriteError(c, err)
		return
	}
	w, err := run(body)
	if err != nil {
		WriteError(c, err)
		return
	}
	s.writeWritten(c, w)
}

// writeWhere is write for an address of Type?criteria.
func (s *Server) writeWhere(c *gin.Context, types []string, run func(criteria string, body []byte) (interact.Written, error)) {
	criteria, ok := criteriaOf(c)
	if !ok {
		return
	}
	s.write(c, types, func(body []byte) (interact.Written, error) { return run(criteria, body) })
}

// criteriaOf gives the criteria of a conditional write; without any the method
// is not allowed on a type.
func criteriaOf(c *gin.Context) (string, bool) {
	criteria := searchPart(c.Request.URL.RawQuery)
	if criteria == "" {
		c.Header("Allow", "GET, HEAD, POST")
		WriteError(c, fhir.Errorf(fhir.MethodNotAllowed, "give an id or criteria"))
	}
	return criteria, criteria != ""
}

// delete: DELETE /Type/id.
func (s *Server) delete(c *gin.Context) {
	v, err := s.cfg.Service.Delete(c.Request.Context(), CallerOf(c), key(c), conditions(c))
	writeDeleted(c, v, err)
}

// deleteWhere: DELETE /Type?criteria.
func (s *Server) deleteWhere(c *gin.Context) {
	criteria, ok := criteriaOf(c)
	if !ok {
		return
	}
	v, err := s.cfg.Service.DeleteWhere(c.Request.Context(), CallerOf(c), key(c).Type, criteria, conditions(c))
	writeDeleted(c, v, err)
}

func writeDeleted(c *gin.Context, v fhir.Version, err error) {
	if err != nil {
		WriteError(c, err)
		return
	}
	if v.VersionID > 0 {
		c.Header("ETag", v.ETag())
	}
	if prefer(c).answer == "OperationOutcome" {
		writeJSON(c, http.StatusOK, outcome.Issues(nil, fhir.Internal, languageOf(c)))
		return
	}
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
}
