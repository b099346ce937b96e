package auth

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/ory/fosite"

	"hutong/gateway/audit"
	"hutong/gateway/principal"
)

// maxForm bounds the body of every form that we read, in bytes.
const maxForm = 64 << 10

// token serves POST /oauth2/token.
func (s *Server) token(c *gin.Context) {
	ctx := withOrigin(c)
	if !s.readForm(c) {
		return
	}
	if wait, ok := s.tokens.Allow(claimedClient(c.Request) + " " + c.ClientIP()); !ok {
		tooMany(c, wait)
		return
	}
	ar, err := s.provider.NewAccessRequest(ctx, c.Request, &fosite.DefaultSession{})
	if err != nil {
		s.refuseToken(ctx, c, ar, err)
		return
	}
	s.prepare(ar)
	resp, err := s.provider.NewAccessResponse(ctx, ar)
	if err == nil {
		err = s.addContext(ctx, ar, resp)
	}
	if err == nil {
		err = s.event(ctx, audit.Event{Action: audit.TokenIssued, Subject: subjectOf(ar), Reason: strings.Join(ar.GetGrantTypes(), " ")})
	}
	if err != nil {
		s.refuseToken(ctx, c, ar, err)
		return
	}
	s.provider.WriteAccessResponse(ctx, c.Writer, ar, resp)
}

// prepare grants a system what it asked for, or all that it may have, and
// shortens its token's life. fosite has already held the scopes to the client.
func (s *Server) prepare(ar fosite.AccessRequester) {
	if !ar.GetGrantTypes().ExactOne("client_credentials") {
		return
	}
	asked := ar.GetRequestedScopes()
	if len(asked) == 0 {
		asked = ar.GetClient().GetScopes()
	}
	for _, sc := range asked {
		ar.GrantScope(sc)
	}
	ar.GetSession().SetExpiresAt(fosite.AccessToken, s.cfg.Now().Add(s.cfg.Limits.SystemToken))
}

// addContext adds SMART's launch context to a resident's token response, and
// the id_token of a login to that of an app that asked for "openid".
func (s *Server) addContext(ctx context.Context, ar fosite.AccessRequester, resp fosite.AccessResponder) error {
	scopes := ar.GetGrantedScopes()
	openid := scopes.Has("openid") && ar.GetGrantTypes().ExactOne("authorization_code")
	if !openid && !scopes.Has("launch/patient") {
		return nil
	}
	a, err := s.account(ctx, ar.GetSession().GetSubject())
	if err != nil || a == nil {
		return err
	}
	person, err := personOf(ctx, s.cfg.Persons, &principal.Principal{
		Roles: a.Roles, IdentifierSystem: a.IdentifierSystem, IdentifierValue: a.IdentifierValue,
	})
	if err != nil {
		return err
	}
	if scopes.Has("launch/patient") && !person.IsZero() {
		resp.SetExtra("patient", person.ID)
	}
	if !openid {
		return nil
	}
	token, err := s.idToken(ar, a, person)
	resp.SetExtra("id_token", token)
	return err
}

// refuseToken answers in OAuth2's own form. Two exchanges of one code or
// refresh token at once come here as a lost race: the grant is then invalid.
func (s *Server) refuseToken(ctx context.Context, c *gin.Context, ar fosite.AccessRequester, err error) {
	if errors.Is(err, errConflict) || errors.Is(err, fosite.ErrSerializationFailure) {
		err = fosite.ErrInvalidGrant.WithHint("The code or refresh token was used at the same time by another request.")
	}
	rfc := fosite.ErrorToRFC6749Error(err)
	if rfc.CodeField >= http.StatusInternalServerError {
		s.cfg.Log.Error().Err(err).Msg("token request failed")
	}
	e := audit.Event{Action: audit.TokenRefused, Subject: claimedClient(c.Request), Failed: true, Reason: rfc.ErrorField}
	if aerr := s.event(ctx, e); aerr != nil {
		s.cfg.Log.Warn().Err(aerr).Msg("refused token request not audited")
	}
	s.provider.WriteAccessError(ctx, c.Writer, ar, err)
}

func subjectOf(ar fosite.AccessRequester) string {
	if login := ar.GetSession().GetSubject(); login != "" {
		return login
	}
	return ar.GetClient().GetID()
}

// revoke serves POST /oauth2/revoke (RFC 7009): the grant of the token ends,
// with its refresh token and its access tokens.
func (s *Server) revoke(c *gin.Context) {
	ctx := withOrigin(c)
	if !s.readForm(c) {
		return
	}
	if wait, ok := s.tokens.Allow(claimedClient(c.Request) + " " + c.ClientIP()); !ok {
		tooMany(c, wait)
		return
	}
	err := s.provider.NewRevocationRequest(ctx, c.Request)
	if err == nil {
		err = s.event(ctx, audit.Event{Action: audit.TokenRevoked, Subject: claimedClient(c.Request)})
	}
	s.provider.WriteRevocationResponse(ctx, c.Writer, err)
}

// readForm parses the body before fosite does, under a limit.
func (s *Server) readForm(c *gin.Context) bool {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	if err := c.Request.ParseForm(); err != nil {
		c.Header("Cache-Control", "no-store")
		writeJSON(c, http.StatusBadRequest, gin.H{"error": "invalid_request", "error_description": "the form cannot be read"})
		return false
	}
	return true
}

// claimedClient names the client that a request says it is, unproven: for
// rates and the audit trail only.
func claimedClient(r *http.Request) string {
	id := r.PostForm.Get("client_id")
	if id == "" {
		id = unverifiedIssuer(r.PostForm.Get("client_assertion"))
	}
	if !validName(id) {
		return "unknown"
	}
	return id
}

func retryAfter(c *gin.Context, wait time.Duration) {
	c.Header("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
}

func tooMany(c *gin.Context, wait time.Duration) {
	retryAfter(c, wait)
	c.Header("Cache-Control", "no-store")
	writeJSON(c, http.StatusTooManyRequests, gin.H{"error": "temporarily_unavailable", "error_description": "too many requests: try again later"})
}

// jwks serves GET /oauth2/jwks.
func (s *Server) jwks(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=300")
	writeJSON(c, http.StatusOK, s.keys.public())
}

// discovery serves the SMART configuration, which is RFC 8414 metadata too.
func (s *Server) discovery(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=300")
	c.Header("Access-Control-Allow-Origin", "*")
	base := s.cfg.Issuer + "/oauth2"
	writeJSON(c, http.StatusOK, gin.H{
		"issuer":                                           s.cfg.Issuer,
		"jwks_uri":                                         base + "/jwks",
		"authorization_endpoint":                           base + "/authorize",
		"token_endpoint":                                   base + "/token",
		"revocation_endpoint":                              base + "/revoke",
		"end_session_endpoint":                             base + "/logout",
		"grant_types_supported":                            []string{"authorization_code", "refresh_token", "client_credentials"},
		"response_types_supported":                         []string{"code"},
		"id_token_signing_alg_values_supported":            []string{"ES256"},
		"claims_supported":                                 []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "name", "fhirUser"},
		"subject_types_supported":                          []string{"public"},
		"scopes_supported":                                 append(slices.Clone(plainScopes), "patient/*.rs", "patient/Consent.cruds", "user/*.rs", "system/*.cruds"),
		"code_challenge_methods_supported":                 []string{"S256"},
		"token_endpoint_auth_methods_supported":            []string{"private_key_jwt", "none"},
		"token_endpoint_auth_signing_alg_values_supported": []string{"ES256", "ES384", "RS384"},
		"ui_locales_supported":                             []string{"zh-CN", "en"},
		"capabilities": []string{
			"launch-standalone", "sso-openid-connect", "context-standalone-patient", "client-public", "client-confidential-asymmetric",
			"permission-v2", "permission-patient", "permission-user", "permission-offline", "authorize-post",
		},
	})
}
