// Package auth is the exchange's OAuth2 authorization server and the
// middleware that turns its tokens into principals.
//
// The protocol engine is ory/fosite; access tokens are signed and verified by
// golang-jwt; everything that must survive a restart lies in one store.Space.
package auth

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/gateway/audit"
	"hutong/gateway/auth/limit"
	"hutong/gateway/auth/verified"
)

// Persons finds whom a card belongs to. The MPI supplies it.
type Persons interface {
	// ByIdentifier gives the person who holds the identifier, as
	// "Patient/<person id>". NotFound if nobody does.
	ByIdentifier(ctx context.Context, system, value string) (fhir.Key, error)
}

// Auditor records security events. gateway/audit's Log is one.
type Auditor interface {
	Event(ctx context.Context, e audit.Event) error
}

// Config is what a Server is built from. Space and Issuer are required.
type Config struct {
	Space store.Space // state of the authorization server: usually Store.Space("auth")
	// Alone says that no other process writes to Space: then revocations are
	// looked up once a token and again after each of them, not at each request.
	Alone  bool
	Issuer string // public base URL without trailing slash: "https://exchange.example"
	// Persons resolves residents for /api/me and the launch context; nil: none.
	Persons Persons
	// Auditor hears of logins, refusals and changes of accounts; nil: nobody.
	// An error of a success event refuses what it reports.
	Auditor Auditor
	Log     zerolog.Logger
	Now     func() time.Time // nil: the system clock
	Limits  Limits
}

// Limits are the times and rates of the server. A zero field takes its default.
type Limits struct {
	UserToken    time.Duration // life of a user's access token: 10 min
	SystemToken  time.Duration // life of a system's access token: 5 min
	Code         time.Duration // life of an authorization code: 1 min
	Refresh      time.Duration // idle life of a refresh token: 30 min
	Grant        time.Duration // longest life of one login at an app: 12 h
	Session      time.Duration // idle life of the login page's session: 20 min
	Attempts     int           // failed logins until an account is locked: 5
	Lock         time.Duration // how long it is locked: 15 min
	Dormant      time.Duration // an account unused this long must be renewed: 90 days
	TokenRate    float64       // token requests a second, per client and address: 20
	TokenBurst   int           // 60
	LoginRate    float64       // logins a second, per address: 0.5
	LoginBurst   int           // 20
	CommandToken time.Duration // longest life of a token from IssueToken: 24 h
	HashMemory   uint32        // of one password hash, in KiB: 19,456
}

func (l Limits) withDefaults() Limits {
	orDuration(&l.UserToken, 10*time.Minute)
	orDuration(&l.SystemToken, 5*time.Minute)
	orDuration(&l.Code, time.Minute)
	orDuration(&l.Refresh, 30*time.Minute)
	orDuration(&l.Grant, 12*time.Hour)
	orDuration(&l.Session, 20*time.Minute)
	orDuration(&l.Lock, 15*time.Minute)
	orDuration(&l.Dormant, 90*24*time.Hour)
	orDuration(&l.CommandToken, 24*time.Hour)
	l.Attempts = orDefault(l.Attempts, 5)
	l.TokenRate = orDefault(l.TokenRate, 20)
	l.TokenBurst = orDefault(l.TokenBurst, 60)
	l.LoginRate = orDefault(l.LoginRate, 0.5)
	l.LoginBurst = orDefault(l.LoginBurst, 20)
	l.HashMemory = orDefault(l.HashMemory, 19*1024)
	return l
}

func orDuration(d *time.Duration, otherwise time.Duration) { *d = orDefault(*d, otherwise) }

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Server is the authorization server. Safe for concurrent use.
type Server struct {
	cfg      Config
	issuer   *url.URL
	space    records
	keys     *keyring
	secret   []byte // 32 bytes: codes, refresh tokens and form tokens are MACs under it
	provider fosite.OAuth2Provider
	hashing  chan struct{} // bounds the memory that password hashing takes
	decoy    string        // a hash that no password has, for unknown logins
	tokens   *limit.Limiter
	logins   *limit.Limiter
	ended    *verified.Since // counts revocations; nil unless alone
	verified *verified.Cache[*signed]
	pages    *pages
}

// verifiedTokens is how many tokens' signatures are remembered: some 1 KB each.
const verifiedTokens = 4096

// New opens the server's state in cfg.Space, making keys at the first start.
// No account exists until AddUser and AddClient make one.
func New(ctx context.Context, cfg Config) (*Server, error) {
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil || cfg.Space == nil || issuer.Host == "" || strings.HasSuffix(cfg.Issuer, "/") {
		return nil, errors.New("auth: needs a Space and an Issuer such as https://exchange.example")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Limits = cfg.Limits.withDefaults()
	s := &Server{
		cfg: cfg, issuer: issuer, space: records{cfg.Space, cfg.Now},
		hashing: make(chan struct{}, 4), decoy: decoyHash(cfg.Limits.HashMemory),
		tokens:   limit.New(cfg.Limits.TokenRate, cfg.Limits.TokenBurst, cfg.Now),
		logins:   limit.New(cfg.Limits.LoginRate, cfg.Limits.LoginBurst, cfg.Now),
		verified: verified.New[*signed](verifiedTokens),
	}
	if cfg.Alone {
		s.ended = verified.Counting(cfg.Space, kindRevoked, kindEpoch)
		s.space.space = s.ended
	}
	if s.pages, err = newPages(); err != nil {
		return nil, err
	}
	if s.secret, err = s.space.secret(ctx, "main"); err != nil {
		return nil, err
	}
	if s.keys, err = openKeyring(ctx, s.space); err != nil {
		return nil, err
	}
	s.provider = s.newProvider()
	return s, nil
}

// newProvider wires fosite: the flows that we serve, our storage, our client
// authentication and our access tokens.
func (s *Server) newProvider() fosite.OAuth2Provider {
	c := &fosite.Config{
		AccessTokenLifespan:          s.cfg.Limits.UserToken,
		RefreshTokenLifespan:         s.cfg.Limits.Refresh,
		AuthorizeCodeLifespan:        s.cfg.Limits.Code,
		EnforcePKCE:                  true,
		TokenURL:                     s.tokenURL(),
		RefreshTokenScopes:           []string{},
		GlobalSecret:                 s.secret,
		ScopeStrategy:                scopeStrategy,
		AudienceMatchingStrategy:     fosite.ExactAudienceMatchingStrategy,
		MinParameterEntropy:          fosite.MinParameterEntropy,
		ClientAuthenticationStrategy: s.authenticateClient,
	}
	hmac := compose.NewOAuth2HMACStrategy(c)
	return compose.Compose(c, &oauthStore{s}, &strategy{hmac, s},
		compose.OAuth2AuthorizeExplicitFactory,
		compose.OAuth2PKCEFactory,
		compose.OAuth2RefreshTokenGrantFactory,
		compose.OAuth2ClientCredentialsGrantFactory,
		compose.OAuth2TokenRevocationFactory,
	)
}

func (s *Server) tokenURL() string { return s.cfg.Issuer + "/oauth2/token" }

// Audience is what access tokens are for: the FHIR base. Every interface of
// the exchange takes the same tokens.
func (s *Server) Audience() string { return s.cfg.Issuer + "/fhir" }

// Mount puts the server's routes on r.
func (s *Server) Mount(r gin.IRouter) {
	r.GET("/oauth2/authorize", s.authorize)
	r.POST("/oauth2/authorize", s.authorize)
	r.GET("/oauth2/login", s.loginForm)
	r.POST("/oauth2/login", s.login)
	r.GET("/oauth2/login.css", s.stylesheet)
	r.POST("/oauth2/token", s.token)
	r.POST("/oauth2/revoke", s.revoke)
	r.GET("/oauth2/logout", s.logout)
	r.POST("/oauth2/logout", s.logout)
	r.GET("/oauth2/jwks", s.jwks)
	r.GET("/fhir/.well-known/smart-configuration", s.discovery)
	r.GET("/.well-known/oauth-authorization-server", s.discovery)
	r.GET("/.well-known/openid-configuration", s.discovery)
}

// Sweep deletes what has expired: codes, tokens, sessions, replay records.
// Nothing depends on it but disk space.
func (s *Server) Sweep(ctx context.Context) error { return s.space.sweep(ctx) }

// Run sweeps every hour until ctx ends. The caller owns the goroutine.
func (s *Server) Run(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Log.Warn().Err(err).Msg("expired sign-in records not swept")
			}
		}
	}
}
