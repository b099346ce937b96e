package auth

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"hutong/fhir/store"
)

// oauthStore is fosite's storage over the space. Access tokens are not stored:
// they are signed, short-lived, and refused by grant id once revoked.
type oauthStore struct{ s *Server }

// grant is a fosite request as stored.
type grant struct {
	ID        string
	Client    string
	Asked     time.Time
	Requested []string
	Granted   []string
	Form      url.Values
	Session   *fosite.DefaultSession
	Used      bool // an authorization code that was exchanged
}

func newGrant(r fosite.Requester) grant {
	session, _ := r.GetSession().(*fosite.DefaultSession)
	return grant{
		ID: r.GetID(), Client: r.GetClient().GetID(), Asked: r.GetRequestedAt(),
		Requested: r.GetRequestedScopes(), Granted: r.GetGrantedScopes(), Form: r.GetRequestForm(), Session: session,
	}
}

// request rebuilds what fosite stored. The session that fosite hands in is left
// alone: its handlers take the returned request's.
func (o *oauthStore) request(ctx context.Context, g *grant) (fosite.Requester, error) {
	c, err := o.s.client(ctx, g.Client)
	if err != nil {
		return nil, err
	}
	if g.Session == nil {
		g.Session = &fosite.DefaultSession{}
	}
	return &fosite.Request{
		ID: g.ID, RequestedAt: g.Asked, Client: c, RequestedScope: g.Requested, GrantedScope: g.Granted,
		Form: g.Form, Session: g.Session,
	}, nil
}

func (o *oauthStore) load(ctx context.Context, key string) (*grant, []byte, error) {
	g := &grant{}
	raw, err := o.s.space.get(ctx, key, g)
	if err == nil && raw == nil {
		err = fosite.ErrNotFound
	}
	return g, raw, err
}

// GetClient implements fosite.ClientManager.
func (o *oauthStore) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	return o.s.client(ctx, id)
}

// ClientAssertionJWTValid is never asked: authenticateClient keeps its own
// replay records, in one atomic step.
func (o *oauthStore) ClientAssertionJWTValid(context.Context, string) error {
	return fosite.ErrJTIKnown
}

// SetClientAssertionJWT is never asked, see ClientAssertionJWTValid.
func (o *oauthStore) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return fosite.ErrJTIKnown
}

// CreateAuthorizeCodeSession implements oauth2.AuthorizeCodeStorage. The
// record outlives the code, so that a second use is seen and ends the grant.
func (o *oauthStore) CreateAuthorizeCodeSession(ctx context.Context, sig string, r fosite.Requester) error {
	return o.s.space.add(ctx, kindCode+sig, newGrant(r), o.in(o.s.cfg.Limits.Grant))
}

// GetAuthorizeCodeSession implements oauth2.AuthorizeCodeStorage.
func (o *oauthStore) GetAuthorizeCodeSession(ctx context.Context, sig string, _ fosite.Session) (fosite.Requester, error) {
	g, _, err := o.load(ctx, kindCode+sig)
	if err != nil {
		return nil, err
	}
	r, err := o.request(ctx, g)
	if err == nil && g.Used {
		err = fosite.ErrInvalidatedAuthorizeCode
	}
	return r, err
}

// InvalidateAuthorizeCodeSession implements oauth2.AuthorizeCodeStorage: of
// two exchanges at once, one fails with errConflict.
func (o *oauthStore) InvalidateAuthorizeCodeSession(ctx context.Context, sig string) error {
	g, raw, err := o.load(ctx, kindCode+sig)
	if err != nil {
		return err
	}
	if g.Used {
		return errConflict
	}
	g.Used = true
	return o.s.space.apply(ctx, store.Write{
		Key: []byte(kindCode + sig), Value: value(g, o.in(o.s.cfg.Limits.Grant)), If: store.IfEquals, Old: raw,
	})
}

// CreatePKCERequestSession implements pkce.PKCERequestStorage.
func (o *oauthStore) CreatePKCERequestSession(ctx context.Context, sig string, r fosite.Requester) error {
	return o.s.space.put(ctx, kindPKCE+sig, newGrant(r), o.in(o.s.cfg.Limits.Code))
}

// GetPKCERequestSession implements pkce.PKCERequestStorage.
func (o *oauthStore) GetPKCERequestSession(ctx context.Context, sig string, _ fosite.Session) (fosite.Requester, error) {
	g, _, err := o.load(ctx, kindPKCE+sig)
	if err != nil {
		return nil, err
	}
	return o.request(ctx, g)
}

// DeletePKCERequestSession implements pkce.PKCERequestStorage.
func (o *oauthStore) DeletePKCERequestSession(ctx context.Context, sig string) error {
	return o.s.space.drop(ctx, kindPKCE+sig)
}

// CreateAccessTokenSession implements oauth2.AccessTokenStorage: nothing is
// stored.
func (o *oauthStore) CreateAccessTokenSession(context.Context, string, fosite.Requester) error {
	return nil
}

// GetAccessTokenSession implements oauth2.AccessTokenStorage for revocation:
// the "signature" of a token that verifies is its grant and client.
func (o *oauthStore) GetAccessTokenSession(ctx context.Context, sig string, _ fosite.Session) (fosite.Requester, error) {
	id, clientID, ok := strings.Cut(sig, " ")
	if !ok {
		return nil, fosite.ErrNotFound
	}
	return o.request(ctx, &grant{ID: id, Client: clientID})
}

// DeleteAccessTokenSession implements oauth2.AccessTokenStorage.
func (o *oauthStore) DeleteAccessTokenSession(context.Context, string) error { return nil }

// CreateRefreshTokenSession implements oauth2.RefreshTokenStorage: the new
// token becomes the one live token of its grant.
func (o *oauthStore) CreateRefreshTokenSession(ctx context.Context, sig, _ string, r fosite.Requester) error {
	end := o.in(o.s.cfg.Limits.Grant)
	return o.s.space.apply(ctx,
		store.Write{Key: []byte(kindRefresh + sig), Value: value(newGrant(r), end)},
		store.Write{Key: []byte(kindFamily + r.GetID()), Value: value(sig, end)})
}

// GetRefreshTokenSession implements oauth2.RefreshTokenStorage. A token that
// is no longer the live one of its grant is ErrInactiveToken; fosite then ends
// the grant.
func (o *oauthStore) GetRefreshTokenSession(ctx context.Context, sig string, _ fosite.Session) (fosite.Requester, error) {
	g, _, err := o.load(ctx, kindRefresh+sig)
	if err != nil {
		return nil, err
	}
	r, err := o.request(ctx, g)
	if err != nil {
		return nil, err
	}
	var live string
	if _, err := o.s.space.get(ctx, kindFamily+g.ID, &live); err != nil {
		return nil, err
	}
	if live != sig {
		return r, fosite.ErrInactiveToken
	}
	if o.s.cfg.Now().After(loginTime(g.Session).Add(o.s.cfg.Limits.Grant)) {
		return nil, fosite.ErrNotFound
	}
	return r, nil
}

// DeleteRefreshTokenSession implements oauth2.RefreshTokenStorage.
func (o *oauthStore) DeleteRefreshTokenSession(ctx context.Context, sig string) error {
	return o.s.space.drop(ctx, kindRefresh+sig)
}

// RotateRefreshToken implements oauth2.RefreshTokenStorage: it claims the live
// token, so that of two refreshes at once one fails.
func (o *oauthStore) RotateRefreshToken(ctx context.Context, id, sig string) error {
	var live string
	raw, err := o.s.space.get(ctx, kindFamily+id, &live)
	if err != nil {
		return err
	}
	if live != sig {
		return fosite.ErrSerializationFailure
	}
	return o.s.space.apply(ctx, store.Write{
		Key: []byte(kindFamily + id), Value: value("", o.in(o.s.cfg.Limits.Grant)), If: store.IfEquals, Old: raw,
	})
}

// RevokeRefreshToken implements oauth2.TokenRevocationStorage.
func (o *oauthStore) RevokeRefreshToken(ctx context.Context, id string) error {
	return o.s.space.drop(ctx, kindFamily+id)
}

// RevokeAccessToken implements oauth2.TokenRevocationStorage: the grant's
// access tokens are refused for as long as one can live.
func (o *oauthStore) RevokeAccessToken(ctx context.Context, id string) error {
	return o.s.space.put(ctx, kindRevoked+id, nil, o.in(o.s.cfg.Limits.CommandToken))
}

// BeginTX implements storage.Transactional: writes gather until Commit.
func (o *oauthStore) BeginTX(ctx context.Context) (context.Context, error) {
	return context.WithValue(ctx, batchKey{}, &batch{}), nil
}

// Commit implements storage.Transactional.
func (o *oauthStore) Commit(ctx context.Context) error {
	b, ok := ctx.Value(batchKey{}).(*batch)
	if !ok {
		return errors.New("auth: commit without a transaction")
	}
	err := o.s.space.space.Apply(ctx, b.writes)
	if errors.Is(err, errConflict) {
		return fosite.ErrSerializationFailure.WithWrap(err)
	}
	return err
}

// Rollback implements storage.Transactional.
func (o *oauthStore) Rollback(context.Context) error { return nil }

func (o *oauthStore) in(d time.Duration) time.Time { return o.s.cfg.Now().Add(d) }

// What a session's Extra holds: when the password was given (RFC 3339), and
// the nonce that the app sent with its authorization request.
const (
	extraLogin = "login"
	extraNonce = "nonce"
)

// loginTime is when the user of a session gave the password.
func loginTime(s *fosite.DefaultSession) time.Time {
	text, _ := s.Extra[extraLogin].(string)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}
