package rest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/gin-gonic/gin"
	"golang.org/x/text/language"

	"hutong/fhir"
	"hutong/fhir/interact/outcome"
)

// identify gives the request an id, if nobody has: the client's if it is
// harmless. It finds the language of the texts.
func (s *Server) identify(c *gin.Context) {
	id := c.Writer.Header().Get("X-Request-Id") // as the log and the audit trail have it
	if id == "" {
		id = c.GetHeader("X-Request-Id")
	}
	if !fhir.ValidID(id) {
		var b [12]byte
		_, _ = rand.Read(b[:]) // never fails, see crypto/rand
		id = hex.EncodeToString(b[:])
	}
	c.Header("X-Request-Id", id)
	if l := languageOf(c); l != outcome.English { // which nobody needs to be told
		c.Request = c.Request.WithContext(outcome.WithLanguage(c.Request.Context(), l))
	}
}

// served are the languages of the texts.
var served = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})

// languageOf reads Accept-Language: Chinese if that is what fits best.
func languageOf(c *gin.Context) outcome.Language {
	header := c.GetHeader("Accept-Language")
	if header == "" {
		return outcome.English
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return outcome.English
	}
	_, i, confidence := served.Match(tags...)
	if i == 1 && confidence != language.No {
		return outcome.Chinese
	}
	return outcome.English
}

// recover answers a panic with 500 and no detail, and logs where it came from
// but not its value, which may hold content.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		s.cfg.Log.Error().Str("request", c.Writer.Header().Get("X-Request-Id")).Str("route", c.FullPath()).
			Str("panic", fmt.Sprintf("%T", p)).Bytes("stack", debug.Stack()).Msg("panic in a handler")
		if !c.Writer.Written() {
			WriteError(c, fhir.Errorf(fhir.Internal, "panic"))
		}
		c.Abort()
	}()
	c.Next()
	for _, err := range c.Errors {
		if outcome.KindOf(err.Err) == fhir.Internal {
			s.cfg.Log.Error().Str("request", c.Writer.Header().Get("X-Request-Id")).Str("route", c.FullPath()).Err(err.Err).Msg("request failed")
		}
	}
}

// negotiate refuses what asks for anything but JSON. Source: R4
// http.html#mime-type.
func (s *Server) negotiate(c *gin.Context) {
	wanted := parameter(c, "_format")
	if wanted == "" {
		wanted = strings.Join(c.Request.Header.Values("Accept"), ",")
	}
	if wanted == "" {
		return
	}
	for part := range strings.SplitSeq(wanted, ",") {
		if isJSONFormat(part) {
			return
		}
	}
	WriteError(c, fhir.Errorf(fhir.NotAcceptable, "only application/fhir+json is served"))
}

// isJSONFormat reports whether a media range or a value of _format takes JSON.
// In a query string the '+' of fhir+json arrives as a blank.
func isJSONFormat(s string) bool {
	name, params, _ := strings.Cut(s, ";")
	if strings.ReplaceAll(params, " ", "") == "q=0" {
		return false
	}
	switch strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), " ", "+") {
	case "*/*", "application/*", "json", "application/json", "text/json",
		"application/fhir+json", "application/json+fhir", "application/json-patch+json":
		return true
	}
	return false
}

// authorize finds on whose behalf the request runs.
func (s *Server) authorize(c *gin.Context) {
	caller, err := s.cfg.Caller(c)
	if err != nil {
		WriteError(c, err)
		return
	}
	c.Set(callerKey, caller)
}
