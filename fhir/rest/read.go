package rest

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/interact/answer"
)

// read: GET /Type/id.
func (s *Server) read(c *gin.Context) {
	if s.tryOperation(c, TypeLevel, c.Param("id")) {
		return
	}
	if s.cfg.Person != nil && c.Param("type") == "Patient" && s.cfg.Person(c) {
		return
	}
	r, err := s.cfg.Service.Read(c.Request.Context(), CallerOf(c), key(c))
	s.writeRead(c, r, err)
}

// vread: GET /Type/id/_history/version.
func (s *Server) vread(c *gin.Context) {
	version, err := strconv.ParseUint(c.Param("version"), 10, 64)
	if err != nil {
		WriteError(c, fhir.Errorf(fhir.NotFound, "no such version"))
		return
	}
	r, err := s.cfg.Service.VRead(c.Request.Context(), CallerOf(c), key(c), version)
	s.writeRead(c, r, err)
}

func (s *Server) writeRead(c *gin.Context, r fhir.Resource, err error) {
	if err != nil {
		WriteError(c, err)
		return
	}
	versionHeaders(c, r.Version)
	if notModified(c.Request, r.Version) {
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	text := answer.Buffer()
	defer answer.Release(text)
	if *text, err = s.cfg.Service.AppendSubset(*text, &r, searchPart(c.Request.URL.RawQuery)); err != nil {
		WriteError(c, err)
		return
	}
	writeJSON(c, http.StatusOK, *text)
}

// notModified evaluates a conditional read. If-None-Match decides where it is
// given. Source: R4 http.html#cread, RFC 9110 section 13.
func notModified(r *http.Request, v fhir.Version) bool {
	if tags := r.Header.Values("If-None-Match"); len(tags) > 0 {
		for tag := range strings.SplitSeq(strings.Join(tags, ","), ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(v.ETag(), "W/") {
				return true
			}
		}
		return false
	}
	header := r.Header.Get("If-Modified-Since")
	if header == "" {
		return false
	}
	since, err := http.ParseTime(header)
	return err == nil && !v.LastUpdated.Truncate(time.Second).After(since)
}

// capabilities: GET /metadata.
func (s *Server) capabilities(c *gin.Context) {
	b, err := s.cfg.Service.Capabilities(c.Request.Context())
	if err != nil {
		WriteError(c, err)
		return
	}
	writeJSON(c, http.StatusOK, b)
}
