package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/ory/fosite"
)

// AssertionType is the client_assertion_type of private_key_jwt (RFC 7523).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	assertionLife = 5 * time.Minute  // the longest exp - now that is accepted
	clockSkew     = 30 * time.Second // between a hospital's clock and ours
)

// SignAssertion makes the client assertion by which a system client asks
// tokenURL for a token, valid for four minutes and for one use. kid names the
// registered key; "" takes the key's thumbprint, as AddClient does.
func SignAssertion(key crypto.Signer, kid, clientID, tokenURL string, now time.Time) (string, error) {
	method, err := methodOf(key.Public())
	if err != nil {
		return "", err
	}
	t := jwt.NewWithClaims(method, jwt.RegisteredClaims{
		Issuer: clientID, Subject: clientID, Audience: jwt.ClaimStrings{tokenURL}, ID: randomToken(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(4 * time.Minute)),
	})
	t.Header["kid"] = kid
	if kid == "" {
		t.Header["kid"] = thumbprint(key.Public())
	}
	return t.SignedString(key)
}

// methodOf gives the one signature algorithm that goes with a key.
func methodOf(public crypto.PublicKey) (jwt.SigningMethod, error) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return jwt.SigningMethodES256, nil
		case elliptic.P384():
			return jwt.SigningMethodES384, nil
		}
	case *rsa.PublicKey:
		return jwt.SigningMethodRS384, nil
	}
	return nil, errors.New("auth: keys are P-256 (ES256), P-384 (ES384) or RSA (RS384)")
}

// thumbprint is the RFC 7638 name of a key.
func thumbprint(public crypto.PublicKey) string {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// authenticateClient is fosite's hook. A system client proves itself by a
// private_key_jwt; a public client only names itself, and PKCE protects it.
// Secrets are never accepted: no client has one.
func (s *Server) authenticateClient(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	if form.Get("client_assertion_type") == AssertionType {
		c, err := s.checkAssertion(ctx, form.Get("client_assertion"), form.Get("client_id"))
		if err != nil {
			return nil, invalidClient(err)
		}
		return c, nil
	}
	if _, _, basic := r.BasicAuth(); basic || form.Get("client_secret") != "" || form.Get("client_assertion_type") != "" {
		return nil, invalidClient(errors.New("only private_key_jwt and public clients are served"))
	}
	c, err := s.client(ctx, form.Get("client_id"))
	if err != nil || !c.IsPublic() {
		return nil, invalidClient(errors.New("unknown client, or one that must send a client assertion"))
	}
	return c, nil
}

func invalidClient(err error) error {
	return fosite.ErrInvalidClient.WithWrap(err).WithDebug(err.Error())
}

// checkAssertion verifies a private_key_jwt: algorithm of the registered key,
// issuer and subject the client, audience our token endpoint, at most five
// minutes to live, and a jti that was never seen.
func (s *Server) checkAssertion(ctx context.Context, assertion, clientID string) (*client, error) {
	var c *client
	claims := jwt.RegisteredClaims{}
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256", "ES384", "RS384"}),
		jwt.WithAudience(s.tokenURL()), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(clockSkew), jwt.WithTimeFunc(s.cfg.Now),
	).ParseWithClaims(assertion, &claims, func(t *jwt.Token) (any, error) {
		var err error
		if c, err = s.client(ctx, claims.Subject); err != nil {
			return nil, err
		}
		return c.verifier(t)
	})
	if err != nil {
		return nil, fmt.Errorf("client assertion: %w", err)
	}
	if claims.Issuer != c.ID || clientID != "" && clientID != c.ID {
		return nil, errors.New("client assertion: iss, sub and client_id must be the same")
	}
	return c, s.useOnce(ctx, c.ID, &claims)
}

// useOnce refuses a long-lived assertion and one that was used before. The
// record outlives the assertion, so a replay is seen for as long as it could
// succeed.
func (s *Server) useOnce(ctx context.Context, clientID string, claims *jwt.RegisteredClaims) error {
	expires := claims.ExpiresAt.Time
	if expires.After(s.cfg.Now().Add(assertionLife + clockSkew)) {
		return errors.New("client assertion: exp is more than five minutes away")
	}
	if claims.ID == "" || len(claims.ID) > 256 {
		return errors.New("client assertion: needs a jti of at most 256 characters")
	}
	err := s.space.add(ctx, kindJTI+digest(clientID, claims.ID), nil, expires.Add(2*clockSkew))
	if errors.Is(err, errConflict) {
		return errors.New("client assertion: this jti was used before")
	}
	return err
}

// verifier picks the client's key that the assertion names and holds the
// assertion's algorithm to it.
func (c *client) verifier(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	for _, raw := range c.Keys {
		key, err := parseJWK(raw)
		if err != nil || key.KeyID != kid {
			continue
		}
		method, err := methodOf(key.Key)
		if err != nil || method.Alg() != t.Method.Alg() {
			return nil, errors.New("the algorithm does not go with the registered key")
		}
		return key.Key, nil
	}
	return nil, errors.New("no registered key has this kid")
}

// unverifiedIssuer reads the issuer of an assertion without verifying it.
func unverifiedIssuer(assertion string) string {
	claims := jwt.RegisteredClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(assertion, &claims); err != nil {
		return ""
	}
	return claims.Issuer
}
