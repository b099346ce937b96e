package bulk

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"

	"hutong/fhir"
	"hutong/fhir/interact/outcome"
	"hutong/fhir/rest"
)

// batchTime is how long the sender may take for a batch of lines.
const batchTime = 2 * time.Minute

// importing: POST /$import, an ndjson body, gzipped or not. It answers a
// Parameters resource once the body has been read: 200 if all lines were
// decided, at fault or not, and otherwise the status of what stopped it.
func (s *Service) importing(c *gin.Context) {
	if _, err := s.cfg.Access.Admit(c, "$import"); err != nil {
		rest.WriteError(c, s.cfg.Service.Refuse(c.Request.Context(), rest.CallerOf(c), "$import", err))
		return
	}
	select {
	case s.imports <- struct{}{}:
		defer func() { <-s.imports }()
	default:
		rest.WriteError(c, fhir.Errorf(fhir.Throttled, "too many imports are under way; send it again later"))
		return
	}
	body, err := ndjson(c)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	defer body.Close()
	// A server without deadlines needs none set: the errors do not matter.
	deadlines := http.NewResponseController(c.Writer)
	report := s.Import(c.Request.Context(), rest.CallerOf(c), Source{
		Reader: body,
		More:   func() { _ = deadlines.SetReadDeadline(time.Now().Add(batchTime)) },
		Enough: func() { _ = deadlines.SetReadDeadline(time.Now()) },
	})
	_ = deadlines.SetWriteDeadline(time.Now().Add(time.Minute))
	s.answer(c, report)
}

// ndjson gives the body as plain text.
func ndjson(c *gin.Context) (io.ReadCloser, error) {
	if !isNDJSON(c.GetHeader("Content-Type")) {
		return nil, fhir.Errorf(fhir.UnsupportedMedia, "the Content-Type must be application/fhir+ndjson")
	}
	switch c.GetHeader("Content-Encoding") {
	case "", "identity":
		return c.Request.Body, nil
	case "gzip":
		z, err := gzip.NewReader(c.Request.Body)
		if err != nil {
			return nil, fhir.Errorf(fhir.Structure, "the body is not gzip")
		}
		return z, nil
	}
	return nil, fhir.Errorf(fhir.UnsupportedMedia, "bodies may be plain or gzip")
}

// parameter is one of Parameters.parameter.
type parameter struct {
	Name     string          `json:"name"`
	Integer  *int            `json:"valueInteger,omitempty"`
	Resource json.RawMessage `json:"resource,omitempty"`
	Part     []parameter     `json:"part,omitempty"`
}

func count(name string, n int) parameter { return parameter{Name: name, Integer: &n} }

// answer writes the report: lines, stored, failed, a fault for each line that
// was not stored (its number and its OperationOutcome), and stopped.
func (s *Service) answer(c *gin.Context, r *Report) {
	language := outcome.LanguageOf(c.Request.Context())
	list := []parameter{count("lines", r.Lines), count("stored", r.Stored), count("failed", len(r.Faults))}
	for _, f := range r.Faults {
		list = append(list, parameter{Name: "fault", Part: []parameter{
			count("line", f.Line), {Name: "outcome", Resource: outcome.JSON(f.Err, language)},
		}})
	}
	status := http.StatusOK
	if r.Stopped != nil {
		_ = c.Error(r.Stopped)
		status = outcome.Status(r.Stopped)
		list = append(list, parameter{Name: "stopped", Resource: outcome.JSON(r.Stopped, language)})
	}
	raw, err := json.Marshal(struct {
		ResourceType string      `json:"resourceType"`
		Parameter    []parameter `json:"parameter"`
	}{"Parameters", list})
	if err != nil {
		rest.WriteError(c, fhir.Errorf(fhir.Internal, "bulk: %w", err))
		return
	}
	c.Data(status, "application/fhir+json; charset=utf-8", raw)
}
