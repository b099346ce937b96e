package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
)

// Authenticate lets only requests with a valid bearer token pass, with their
// principal and origin in the request's context. Others are answered 401 with
// WWW-Authenticate (RFC 6750) and an OperationOutcome.
func (s *Server) Authenticate(c *gin.Context) {
	ctx := withOrigin(c)
	token, sent := bearer(c.Request)
	if !sent {
		s.challenge(c, fhir.Errorf(fhir.Unauthorized, "an access token is required"), "")
		return
	}
	p, err := s.Verify(ctx, token)
	if err != nil {
		s.refuse(ctx, c, err)
		return
	}
	c.Request = c.Request.WithContext(principal.With(ctx, p))
	c.Next()
}

// refuse answers a token that did not verify. The refusal is audited without
// the token; a full audit queue does not turn a 401 into something else.
func (s *Server) refuse(ctx context.Context, c *gin.Context, err error) {
	if fhir.KindOf(err) != fhir.Unauthorized {
		rest.WriteError(c, err)
		c.Abort()
		return
	}
	if aerr := s.event(ctx, audit.Event{Action: audit.TokenRefused, Failed: true, Reason: "invalid token"}); aerr != nil {
		s.cfg.Log.Warn().Err(aerr).Msg("refused token not audited")
	}
	s.challenge(c, err, `, error="invalid_token"`)
}

func (s *Server) challenge(c *gin.Context, err error, detail string) {
	c.Header("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q%s`, s.Audience(), detail))
	rest.WriteError(c, err)
	c.Abort()
}

// bearer reads the Authorization header; a token in the URL is not looked for.
func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

// withOrigin notes where the request came from, if nobody has yet.
func withOrigin(c *gin.Context) context.Context {
	if principal.OriginOf(c.Request.Context()).Address != "" {
		return c.Request.Context()
	}
	return principal.WithOrigin(c.Request.Context(), principal.Origin{
		Address: c.ClientIP(), Request: c.GetHeader("X-Request-Id"),
	})
}

// Open gives every request the principal that may do everything: for
// conformance tools and development. Call CheckOpen first.
func Open() gin.HandlerFunc {
	p := &principal.Principal{Subject: "open", Name: "open", Client: "open", Open: true, Purpose: "HTEST"}
	return func(c *gin.Context) {
		c.Request = c.Request.WithContext(principal.With(withOrigin(c), p))
		c.Next()
	}
}

// CheckOpen refuses the open mode unless the listen address is on the
// loopback: "127.0.0.1:8080", "[::1]:8080", "localhost:8080".
func CheckOpen(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("auth: listen address %q: %w", listen, err)
	}
	if !loopback(host) {
		return errors.New("auth: open mode gives everybody everything; it runs only on a loopback address such as 127.0.0.1")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// Identity is the answer of /api/me: what the apps show of who is logged in.
type Identity struct {
	Subject      string           `json:"subject"`
	Name         string           `json:"name,omitempty"`
	Client       string           `json:"client"`
	Roles        []principal.Role `json:"roles"`
	Organization string           `json:"organization,omitempty"`
	Practitioner string           `json:"practitioner,omitempty"`
	Patient      string           `json:"patient,omitempty"` // a resident's person: "Patient/<id>"
	Scopes       []string         `json:"scopes"`
	Open         bool             `json:"open,omitempty"`
}

// Me serves GET /api/me behind Authenticate or Open.
func (s *Server) Me(c *gin.Context) {
	ctx := c.Request.Context()
	p := principal.From(ctx)
	if p == nil {
		rest.WriteError(c, fhir.Errorf(fhir.Unauthorized, "an access token is required"))
		return
	}
	me := Identity{
		Subject: p.Subject, Name: p.Name, Client: p.Client, Roles: p.Roles, Organization: p.Organization,
		Practitioner: p.Practitioner, Scopes: p.Scopes, Open: p.Open,
	}
	key, err := personOf(ctx, s.cfg.Persons, p)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	if !key.IsZero() {
		me.Patient = key.String()
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, me)
}

// personOf finds a resident's person: zero for others, and for a resident of
// whom no hospital has posted anything yet.
func personOf(ctx context.Context, persons Persons, p *principal.Principal) (fhir.Key, error) {
	if persons == nil || !p.Has(principal.Resident) || p.IdentifierValue == "" {
		return fhir.Key{}, nil
	}
	key, err := persons.ByIdentifier(ctx, p.IdentifierSystem, p.IdentifierValue)
	if errors.Is(err, fhir.E(fhir.NotFound)) {
		return fhir.Key{}, nil
	}
	return key, err
}

// writeJSON answers an OAuth2 document.
func writeJSON(c *gin.Context, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	c.Data(status, "application/json", body)
}
