package consult

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/gateway/principal"
)

const maxBody = 1 << 20

// Mount puts the routes on g, which is /api/consultations behind
// authentication.
func (s *Service) Mount(g *gin.RouterGroup) {
	g.GET("", s.handle(http.StatusOK, func(c *gin.Context, p *principal.Principal) (any, error) {
		found, err := s.List(c.Request.Context(), p)
		out := make([]view, 0, len(found))
		for _, f := range found {
			out = append(out, s.view(f, p))
		}
		return gin.H{"consultations": out}, err
	}))
	g.POST("", s.handle(http.StatusCreated, func(c *gin.Context, p *principal.Principal) (any, error) {
		var d Draft
		if err := read(c, &d); err != nil {
			return nil, err
		}
		return s.shown(p)(s.Draft(c.Request.Context(), p, d))
	}))
	g.GET("/:id", s.handle(http.StatusOK, func(c *gin.Context, p *principal.Principal) (any, error) {
		return s.shown(p)(s.Get(c.Request.Context(), p, c.Param("id")))
	}))
	g.POST("/:id/:move", s.handle(http.StatusOK, func(c *gin.Context, p *principal.Principal) (any, error) {
		var in Input
		if err := read(c, &in); err != nil {
			return nil, err
		}
		return s.shown(p)(s.Move(c.Request.Context(), p, c.Param("id"), Move(c.Param("move")), in))
	}))
	g.GET("/:id/proof", s.handle(http.StatusOK, func(c *gin.Context, p *principal.Principal) (any, error) {
		return s.VerifyReport(c.Request.Context(), p, c.Param("id"))
	}))
}

// handle authenticates, runs and answers.
func (s *Service) handle(status int, f func(*gin.Context, *principal.Principal) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		p := principal.From(c.Request.Context())
		if p == nil {
			rest.WriteError(c, fhir.Errorf(fhir.Unauthorized, "log in first"))
			return
		}
		out, err := f(c, p)
		if err != nil {
			rest.WriteError(c, err)
			return
		}
		c.Header("Cache-Control", "no-store")
		c.JSON(status, out)
	}
}

// read decodes a JSON body; unknown members are refused so that a typing
// mistake is not lost. An empty body is an empty object.
func read(c *gin.Context, into any) error {
	body := http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fhir.Errorf(fhir.TooLarge, "the body is larger than 1 MiB")
	}
	return fhir.Errorf(fhir.Structure, "the body is not the expected JSON object: %v", err)
}

// view is a consultation as the API shows it.
type view struct {
	ID           string     `json:"id"`
	State        State      `json:"state"`
	StateText    [2]string  `json:"stateText"` // zh-CN, en
	Reason       string     `json:"reason,omitempty"`
	Patient      string     `json:"patient"`
	Priority     string     `json:"priority"`
	Question     string     `json:"question"`
	InvitingOrg  string     `json:"invitingOrg"`
	Inviting     string     `json:"inviting"`
	InvitedOrg   string     `json:"invitedOrg"`
	Role         string     `json:"role,omitempty"`
	Consultant   string     `json:"consultant,omitempty"`
	Documents    []string   `json:"documents"`
	Start        *time.Time `json:"start,omitempty"`
	End          *time.Time `json:"end,omitempty"`
	CheckedIn    []string   `json:"checkedIn,omitempty"`
	Opinion      string     `json:"opinion,omitempty"` // Composition reference
	Decision     string     `json:"decision,omitempty"`
	DecisionText string     `json:"decisionText,omitempty"`
	AuthoredOn   time.Time  `json:"authoredOn"`
	Modified     time.Time  `json:"modified"`
	AnswerBy     *time.Time `json:"answerBy,omitempty"` // while requested
	Overdue      bool       `json:"overdue"`
	Moves        []Move     `json:"moves"` // what the caller may do now
}

// view shows c to p.
func (s *Service) view(c *Consultation, p *principal.Principal) view {
	v := view{
		ID: c.ID, State: c.State, StateText: labels[c.State], Reason: c.Reason, Patient: c.Patient, Priority: c.Priority,
		Question: c.Question, InvitingOrg: c.InvitingOrg, Inviting: c.Inviting, InvitedOrg: c.InvitedOrg, Role: c.Role,
		Consultant: c.Consultant, Documents: c.Documents, CheckedIn: c.CheckedIn, Decision: c.Decision,
		DecisionText: c.DecisionText, AuthoredOn: c.Authored, Modified: c.Modified,
		Moves: moves(c.State, func(part Party) bool { return party(c, p, part) }),
	}
	if !c.Start.IsZero() {
		v.Start, v.End = &c.Start, &c.End
	}
	if _, ok := c.Reached[OpinionDrafted]; ok {
		v.Opinion = "Composition/" + c.ID + opinionSuffix
	}
	if at, ok := c.Reached[Requested]; ok && c.State == Requested {
		by := at.Add(s.cfg.Terms.Answer[c.Priority])
		v.AnswerBy, v.Overdue = &by, s.cfg.Now().After(by)
	}
	return v
}

// shown turns a result into its view.
func (s *Service) shown(p *principal.Principal) func(*Consultation, error) (any, error) {
	return func(c *Consultation, err error) (any, error) {
		if err != nil {
			return nil, err
		}
		return s.view(c, p), nil
	}
}
