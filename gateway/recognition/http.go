package recognition

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/gateway/principal"
)

// maxBody is the largest body of a hook call or feedback, in bytes.
const maxBody = 4 << 20

// purposeHeader is where a request states its purpose of use.
const purposeHeader = "X-Purpose-Of-Use"

// Mount puts the CDS Hooks on hooks (/cds-services) and the decision route on
// api (/api/recognition); both stand behind authentication.
func (s *Service) Mount(hooks, api *gin.RouterGroup) {
	hooks.GET("", s.discover)
	hooks.POST("/:id", s.call)
	hooks.POST("/:id/feedback", s.feedback)
	api.POST("/decisions", s.decide)
}

func (s *Service) discover(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{"services": discovery(english(c))})
}

// english reports whether the client prefers English; Chinese is the default.
func english(c *gin.Context) bool {
	return strings.HasPrefix(strings.ToLower(c.GetHeader("Accept-Language")), "en")
}

func (s *Service) call(c *gin.Context) {
	var req hookRequest
	p, err := begin(c, &req)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	a, err := s.understand(c.Request.Context(), p, c.Param("id"), c.GetHeader(purposeHeader), &req)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	a.en = english(c)
	cards, err := s.cards(c.Request.Context(), a)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	answer(c, http.StatusOK, gin.H{"cards": cards})
}

func (s *Service) feedback(c *gin.Context) {
	var req struct{ Feedback []Feedback }
	p, err := begin(c, &req)
	if err == nil && (len(req.Feedback) == 0 || len(req.Feedback) > maxOrders) {
		err = fhir.Errorf(fhir.Invalid, "feedback lists 1 to %d outcomes", maxOrders).At("feedback")
	}
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	for i, f := range req.Feedback {
		f.Supersedes = "" // CDS Hooks has no corrections
		if _, err := s.Decide(c.Request.Context(), p, c.GetHeader(purposeHeader), f); err != nil {
			rest.WriteError(c, under(err, "feedback["+strconv.Itoa(i)+"]"))
			return
		}
	}
	answer(c, http.StatusOK, gin.H{})
}

// under puts the expression of an error below a path.
func under(err error, path string) error {
	var e *fhir.Error
	if errors.As(err, &e) && len(e.Issues) > 0 && e.Issues[0].Expression != "" {
		copied := *e
		copied.Issues = append([]fhir.Issue(nil), e.Issues...)
		copied.Issues[0].Expression = path + "." + e.Issues[0].Expression
		return &copied
	}
	return err
}

func (s *Service) decide(c *gin.Context) {
	var f Feedback
	p, err := begin(c, &f)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	v, err := s.Decide(c.Request.Context(), p, c.GetHeader(purposeHeader), f)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	answer(c, http.StatusCreated, gin.H{"task": v.Key.String(), "version": v.ETag()})
}

// begin finds who asks and reads the body. Unknown members are let through:
// CDS Hooks asks for that.
func begin(c *gin.Context, into any) (*principal.Principal, error) {
	p := principal.From(c.Request.Context())
	if p == nil {
		return nil, fhir.Errorf(fhir.Unauthorized, "log in first")
	}
	err := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)).Decode(into)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, fhir.Errorf(fhir.TooLarge, "the body is larger than 4 MiB")
	}
	if err != nil {
		return nil, fhir.Errorf(fhir.Structure, "the body is not the expected JSON object")
	}
	return p, nil
}

func answer(c *gin.Context, status int, body any) {
	c.Header("Cache-Control", "no-store")
	c.JSON(status, body)
}
