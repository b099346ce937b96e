package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	"hutong/fhir"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
)

// Claims are what an access token says (RFC 9068, with our own beside).
type Claims struct {
	jwt.RegisteredClaims
	ClientID     string           `json:"client_id"`
	Scope        string           `json:"scope"`
	Roles        []principal.Role `json:"roles"`
	Organization string           `json:"org,omitempty"`
	Practitioner string           `json:"practitioner,omitempty"`
	Purpose      string           `json:"purpose_of_use,omitempty"`
	Name         string           `json:"name,omitempty"`
	Grant        string           `json:"gid"` // all tokens of one login at one app
}

// strategy is fosite's hook for tokens: its own MACs for codes and refresh
// tokens, our JWTs for access tokens.
type strategy struct {
	*oauth2.HMACSHAStrategy
	s *Server
}

// GenerateAccessToken implements oauth2.AccessTokenStrategy. A user's roles
// are read anew each time, so that a refresh carries what holds now.
func (st *strategy) GenerateAccessToken(ctx context.Context, r fosite.Requester) (token, signature string, err error) {
	session := r.GetSession()
	claims := Claims{ClientID: r.GetClient().GetID(), Grant: r.GetID()}
	if login := session.GetSubject(); login != "" {
		err = st.s.describeUser(ctx, &claims, login, r.GetGrantedScopes())
	} else {
		err = st.s.describeSystem(ctx, &claims, r.GetGrantedScopes())
	}
	if err != nil {
		return "", "", err
	}
	token, err = st.s.sign(&claims, session.GetExpiresAt(fosite.AccessToken))
	return token, accessSignature(&claims), err
}

// AccessTokenSignature implements oauth2.AccessTokenStrategy: "" for what is
// not a token of ours. See oauthStore.GetAccessTokenSession.
func (st *strategy) AccessTokenSignature(ctx context.Context, token string) string {
	claims, err := st.s.parse(ctx, token)
	if err != nil {
		return ""
	}
	return accessSignature(&claims.Claims)
}

func accessSignature(c *Claims) string { return c.Grant + " " + c.ClientID }

// ValidateAccessToken implements oauth2.AccessTokenStrategy.
func (st *strategy) ValidateAccessToken(ctx context.Context, _ fosite.Requester, token string) error {
	if _, err := st.s.parse(ctx, token); err != nil {
		return fosite.ErrInactiveToken.WithWrap(err)
	}
	return nil
}

func (s *Server) describeUser(ctx context.Context, c *Claims, login string, scopes []string) error {
	a, err := s.account(ctx, login)
	if err != nil {
		return err
	}
	if !s.usable(a) {
		return fosite.ErrInvalidGrant.WithDebug("the account is closed or dormant")
	}
	allowed := scopesOf(a.Roles)
	c.Subject, c.Name, c.Roles = a.Login, a.Name, a.Roles
	c.Organization, c.Practitioner = a.Organization, a.Practitioner
	c.Scope = strings.Join(slices.DeleteFunc(slices.Clone(scopes), func(sc string) bool {
		return !principal.Granted(allowed, sc)
	}), " ")
	return nil
}

func (s *Server) describeSystem(ctx context.Context, c *Claims, scopes []string) error {
	cl, err := s.client(ctx, c.ClientID)
	if err != nil {
		return err
	}
	c.Subject, c.Name, c.Organization = cl.ID, cl.Name, cl.Organization
	c.Roles = []principal.Role{principal.HIS}
	c.Scope = strings.Join(scopes, " ")
	return nil
}

// sign completes the claims and signs them with the newest key.
func (s *Server) sign(c *Claims, expires time.Time) (string, error) {
	now := s.cfg.Now()
	c.Issuer, c.Audience, c.ID = s.cfg.Issuer, jwt.ClaimStrings{s.Audience()}, randomToken()
	c.IssuedAt, c.ExpiresAt = jwt.NewNumericDate(now), jwt.NewNumericDate(expires)
	return s.signJWT(c, "at+jwt")
}

func (s *Server) signJWT(c jwt.Claims, typ string) (string, error) {
	key := s.keys.signer()
	t := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	t.Header["kid"], t.Header["typ"] = key.ID, typ
	return t.SignedString(key.private)
}

// identity is what an id_token says (OpenID Connect Core 1.0, section 2).
type identity struct {
	jwt.RegisteredClaims
	AuthTime *jwt.NumericDate `json:"auth_time,omitempty"`
	Nonce    string           `json:"nonce,omitempty"`
	Name     string           `json:"name,omitempty"`
	FHIRUser string           `json:"fhirUser,omitempty"` // SMART: the URL of the user's own resource
}

// idToken tells an app who logged in. Its type keeps it from passing for an
// access token; it carries no card number and no role.
func (s *Server) idToken(ar fosite.AccessRequester, a *account, person fhir.Key) (string, error) {
	now := s.cfg.Now()
	c := identity{Name: a.Name, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: s.cfg.Issuer, Subject: a.Login, Audience: jwt.ClaimStrings{ar.GetClient().GetID()}, ID: randomToken(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(s.cfg.Limits.UserToken)),
	}}
	if session, ok := ar.GetSession().(*fosite.DefaultSession); ok {
		c.AuthTime = jwt.NewNumericDate(loginTime(session))
		c.Nonce, _ = session.Extra[extraNonce].(string)
	}
	if user := fhirUser(a, person); ar.GetGrantedScopes().Has("fhirUser") && !user.IsZero() {
		c.FHIRUser = s.Audience() + "/" + user.String()
	}
	return s.signJWT(c, "JWT")
}

// fhirUser is the resource that stands for the user: a practitioner's, or the
// person of a resident; zero for accounts that have neither.
func fhirUser(a *account, person fhir.Key) fhir.Key {
	if a.Practitioner != "" {
		return fhir.Key{Type: "Practitioner", ID: a.Practitioner}
	}
	return person
}

// parse verifies signature, type, algorithm, issuer, audience and expiry. It
// does not ask whether the token was revoked. The claims are shared by those
// who send the token again: they must not be changed.
func (s *Server) parse(ctx context.Context, token string) (*signed, error) {
	if c, known := s.verified.Get(token); known && s.standing(ctx, c) {
		return c, nil
	}
	c := &signed{}
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(s.cfg.Issuer), jwt.WithAudience(s.Audience()),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(s.cfg.Now),
	).ParseWithClaims(token, &c.Claims, func(t *jwt.Token) (any, error) {
		if t.Header["typ"] != "at+jwt" {
			return nil, errors.New("not an access token")
		}
		c.key, _ = t.Header["kid"].(string)
		return s.keys.verifier(ctx, c.key)
	})
	if err == nil && (c.Subject == "" || c.Grant == "" || c.ID == "" || c.IssuedAt == nil) {
		err = errors.New("claims are missing")
	}
	if err == nil {
		s.verified.Put(token, c)
	}
	return c, err
}

// signed is a token whose signature was verified, with the key that made it.
type signed struct {
	Claims
	key string
	// standsAt is at which count of revocations the store was asked and had none
	// for the token; 0 if that must be asked.
	standsAt atomic.Uint64
}

// standing reports whether what else parse asks still holds.
func (s *Server) standing(ctx context.Context, c *signed) bool {
	now := s.cfg.Now()
	if !now.Before(c.ExpiresAt.Time) || now.Before(c.IssuedAt.Time) || c.NotBefore != nil && now.Before(c.NotBefore.Time) {
		return false
	}
	_, err := s.keys.verifier(ctx, c.key)
	return err == nil
}

// Verify turns an access token into the principal that it stands for, or says
// Unauthorized.
func (s *Server) Verify(ctx context.Context, token string) (*principal.Principal, error) {
	c, err := s.parse(ctx, token)
	if err != nil {
		e := fhir.Errorf(fhir.Unauthorized, "the access token is invalid or has expired")
		e.Err = err
		return nil, e
	}
	if err := s.checkRevoked(ctx, c); err != nil {
		return nil, err
	}
	p := &principal.Principal{
		Subject: c.Subject, Name: c.Name, Client: c.ClientID, Roles: slices.Clone(c.Roles), Organization: c.Organization,
		Practitioner: c.Practitioner, Scopes: strings.Fields(c.Scope), Purpose: c.Purpose, TokenID: c.ID,
	}
	if !p.Has(principal.Resident) {
		return p, nil
	}
	// A card number is not for a token that travels: it is read here.
	a, err := s.account(ctx, c.Subject)
	if err == nil && a != nil {
		p.IdentifierSystem, p.IdentifierValue = a.IdentifierSystem, a.IdentifierValue
	}
	return p, err
}

// checkRevoked refuses tokens of an ended grant and those issued before the
// subject's tokens were ended.
func (s *Server) checkRevoked(ctx context.Context, c *signed) error {
	now := s.ended.Now() // before looking: what is revoked meanwhile is looked for again
	if now != 0 && c.standsAt.Load() == now {
		return nil
	}
	gone, err := s.space.get(ctx, kindRevoked+c.Grant, nil)
	if err != nil {
		return err
	}
	var epoch int64
	if _, err := s.space.get(ctx, kindEpoch+c.Subject, &epoch); err != nil {
		return err
	}
	if gone != nil || c.IssuedAt.Unix() <= epoch {
		return fhir.Errorf(fhir.Unauthorized, "the access token was revoked")
	}
	c.standsAt.Store(now)
	return nil
}

// IssueToken makes an access token for a user's login or a system client
// without asking for proof: for `hutong token`, on the machine that holds the
// data. It carries every scope of the subject. ttl 0 takes the usual life; at
// most Limits.CommandToken. The issue is audited.
func (s *Server) IssueToken(ctx context.Context, subject string, ttl time.Duration) (string, error) {
	a, err := s.account(ctx, subject)
	if err != nil {
		return "", err
	}
	claims := Claims{ClientID: "hutong-token", Grant: randomToken()}
	life := s.cfg.Limits.UserToken
	if a != nil {
		err = s.describeUser(ctx, &claims, subject, scopesOf(a.Roles))
	} else {
		claims.ClientID, life = subject, s.cfg.Limits.SystemToken
		err = s.describeClient(ctx, &claims)
	}
	if err != nil {
		return "", fmt.Errorf("auth: token for %q: %w", subject, err)
	}
	if ttl == 0 {
		ttl = life
	}
	if ttl < 0 || ttl > s.cfg.Limits.CommandToken {
		return "", fmt.Errorf("auth: a token lives at most %s", s.cfg.Limits.CommandToken)
	}
	if err := s.event(ctx, audit.Event{Action: audit.TokenIssued, Subject: subject, Reason: "by command"}); err != nil {
		return "", err
	}
	return s.sign(&claims, s.cfg.Now().Add(ttl))
}

// describeClient gives a system client all its scopes.
func (s *Server) describeClient(ctx context.Context, c *Claims) error {
	cl, err := s.client(ctx, c.ClientID)
	if errors.Is(err, fosite.ErrNotFound) || err == nil && cl.App() {
		return fhir.Errorf(fhir.NotFound, "neither a user nor a system client")
	}
	if err != nil {
		return err
	}
	return s.describeSystem(ctx, c, cl.Scopes)
}
