package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/ory/fosite"

	"hutong/gateway/audit"
)

// Cookies. The session lives as long as the browser, at most Limits.Session
// idle; the form cookie ties a login form to the browser that fetched it.
const (
	sessionCookie = "hutong_session"
	formCookie    = "hutong_form"
)

// session is a browser that has logged in.
type session struct {
	Login  string
	At     time.Time // when the password was given
	Grants []string  // what logging out ends
}

// authorize serves /oauth2/authorize. Both apps are the exchange's own, so a
// login is the consent; an unknown browser is sent to the login form first.
func (s *Server) authorize(c *gin.Context) {
	ctx := withOrigin(c)
	if c.Request.Method == http.MethodPost && !s.readForm(c) {
		return
	}
	ar, err := s.provider.NewAuthorizeRequest(ctx, c.Request)
	if err == nil {
		err = s.checkAud(ar.GetRequestForm().Get("aud"))
	}
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, c.Writer, ar, err)
		return
	}
	key, sess, err := s.session(c)
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, c.Writer, ar, err)
		return
	}
	if sess == nil || ar.GetRequestForm().Get("prompt") == "login" && s.cfg.Now().Sub(sess.At) > time.Minute {
		s.toLogin(c, ar)
		return
	}
	s.grant(ctx, c, ar, key, sess)
}

// checkAud holds SMART's aud parameter, where it is sent, to our FHIR base: an
// app that was pointed at another server must not get our code for it.
func (s *Server) checkAud(aud string) error {
	if aud != "" && aud != s.Audience() {
		return fosite.ErrInvalidRequest.WithHint("The parameter 'aud' is not the FHIR base of this server.")
	}
	return nil
}

// toLogin sends the browser to the form, with the request to come back to.
func (s *Server) toLogin(c *gin.Context, ar fosite.AuthorizeRequester) {
	q := url.Values{"request": {ar.GetRequestForm().Encode()}}
	if l := ar.GetRequestForm().Get("ui_locales"); l != "" {
		q.Set("ui_locales", l)
	}
	c.Header("Cache-Control", "no-store")
	c.Redirect(http.StatusSeeOther, "/oauth2/login?"+q.Encode())
}

// grant gives the app its code. The scopes are what it asked for and the
// user's roles allow; the token response names them.
func (s *Server) grant(ctx context.Context, c *gin.Context, ar fosite.AuthorizeRequester, key string, sess *session) {
	a, err := s.account(ctx, sess.Login)
	if err == nil && !s.usable(a) {
		err = fosite.ErrAccessDenied.WithHint("The account is closed.")
	}
	if err == nil {
		err = s.remember(ctx, key, ar.GetID())
	}
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, c.Writer, ar, err)
		return
	}
	allowed := scopesOf(a.Roles)
	for _, sc := range ar.GetRequestedScopes() {
		if scopeStrategy(allowed, sc) {
			ar.GrantScope(sc)
		}
	}
	resp, err := s.provider.NewAuthorizeResponse(ctx, ar, &fosite.DefaultSession{
		Subject: a.Login, Username: a.Login, Extra: map[string]any{
			extraLogin: sess.At.UTC().Format(time.RFC3339), extraNonce: ar.GetRequestForm().Get("nonce"),
		},
	})
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, c.Writer, ar, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	s.provider.WriteAuthorizeResponse(ctx, c.Writer, ar, resp)
}

// session finds the browser's session; nil if it has none.
func (s *Server) session(c *gin.Context) (key string, sess *session, err error) {
	cookie, err := c.Cookie(sessionCookie)
	if err != nil || cookie == "" {
		return "", nil, nil
	}
	key, sess = kindSession+digest(cookie), &session{}
	raw, err := s.space.get(c.Request.Context(), key, sess)
	if err != nil || raw == nil || s.cfg.Now().Sub(sess.At) > s.cfg.Limits.Grant {
		return "", nil, err
	}
	return key, sess, nil
}

// maxGrants is how many grants one session keeps: an app that keeps its tokens
// in memory asks for one at each load of its page.
const maxGrants = 50

// remember notes a grant in the session, so that logging out ends it, and
// renews the session's idle time. The oldest grant beyond maxGrants ends.
func (s *Server) remember(ctx context.Context, key, grant string) error {
	var ended []string
	err := s.space.swap(ctx, key, func(raw []byte) ([]byte, error) {
		var sess session
		if raw == nil {
			return nil, fosite.ErrAccessDenied.WithHint("The session has ended.")
		}
		if err := json.Unmarshal(raw[8:], &sess); err != nil {
			return nil, err
		}
		ended, sess.Grants = keepLast(append(sess.Grants, grant), maxGrants)
		return value(sess, s.cfg.Now().Add(s.cfg.Limits.Session)), nil
	})
	for _, id := range ended {
		if err == nil {
			err = (&oauthStore{s}).RevokeRefreshToken(ctx, id)
		}
	}
	return err
}

func keepLast(all []string, n int) (dropped, kept []string) {
	at := max(0, len(all)-n)
	return all[:at], all[at:]
}

// loginForm serves GET /oauth2/login.
func (s *Server) loginForm(c *gin.Context) { s.showForm(c, http.StatusOK, c.Query("request"), "") }

// login serves POST /oauth2/login.
func (s *Server) login(c *gin.Context) {
	ctx := withOrigin(c)
	if !s.readForm(c) {
		return
	}
	form := c.Request.PostForm
	if !s.sameForm(c, form.Get("csrf")) {
		s.showForm(c, http.StatusForbidden, form.Get("request"), "expired")
		return
	}
	if wait, ok := s.logins.Allow(c.ClientIP()); !ok {
		retryAfter(c, wait)
		s.showForm(c, http.StatusTooManyRequests, form.Get("request"), "slow")
		return
	}
	a, err := s.check(ctx, form.Get("login"), form.Get("password"), strings.TrimSpace(form.Get("code")))
	if err == nil {
		err = s.auditLogin(ctx, a, form.Get("login"))
	}
	switch {
	case err != nil:
		s.cfg.Log.Error().Err(err).Msg("login failed")
		s.showForm(c, http.StatusServiceUnavailable, form.Get("request"), "failed")
	case a == nil:
		s.showForm(c, http.StatusUnauthorized, form.Get("request"), "wrong")
	default:
		s.loggedIn(c, a, form.Get("request"))
	}
}

// auditLogin records the outcome. The login as typed is recorded only if it
// exists: people type passwords into the wrong field.
func (s *Server) auditLogin(ctx context.Context, a *account, typed string) error {
	if a != nil {
		return s.event(ctx, audit.Event{Action: audit.Login, Subject: a.Login})
	}
	known, err := s.account(ctx, typed)
	if err != nil {
		return err
	}
	e := audit.Event{Action: audit.LoginFailed, Subject: "unknown", Failed: true, Reason: "login, password or code wrong, or locked"}
	if known != nil {
		e.Subject = known.Login
	}
	return s.event(ctx, e)
}

// loggedIn opens a session under a fresh cookie and goes back to the app's
// request. The way back is always our own /oauth2/authorize.
func (s *Server) loggedIn(c *gin.Context, a *account, request string) {
	now, id := s.cfg.Now(), randomToken()
	sess := session{Login: a.Login, At: now}
	if err := s.space.put(c.Request.Context(), kindSession+digest(id), sess, now.Add(s.cfg.Limits.Session)); err != nil {
		s.showForm(c, http.StatusServiceUnavailable, request, "failed")
		return
	}
	s.setCookie(c, sessionCookie, id, http.SameSiteLaxMode, 0)
	s.setCookie(c, formCookie, "", http.SameSiteStrictMode, -1)
	c.Header("Cache-Control", "no-store")
	q, err := url.ParseQuery(request)
	if err != nil || q.Get("client_id") == "" {
		s.showPage(c, http.StatusOK, page{Name: "done"})
		return
	}
	q.Del("prompt")
	c.Redirect(http.StatusSeeOther, "/oauth2/authorize?"+q.Encode())
}

// logout serves /oauth2/logout: the session ends, and every grant that it gave
// with its tokens. Then the browser goes to post_logout_redirect_uri if that
// is on the origin of an app's redirect.
func (s *Server) logout(c *gin.Context) {
	ctx := withOrigin(c)
	key, sess, err := s.session(c)
	if err == nil && sess != nil {
		err = s.endSession(ctx, key, sess)
	}
	s.setCookie(c, sessionCookie, "", http.SameSiteLaxMode, -1)
	c.Header("Cache-Control", "no-store")
	if err != nil {
		s.cfg.Log.Error().Err(err).Msg("logout failed")
		s.showPage(c, http.StatusServiceUnavailable, page{Name: "done", Error: "failed"})
		return
	}
	if to := c.Query("post_logout_redirect_uri"); to != "" && s.mayReturn(ctx, c.Query("client_id"), to) {
		c.Redirect(http.StatusSeeOther, to)
		return
	}
	s.showPage(c, http.StatusOK, page{Name: "out"})
}

func (s *Server) endSession(ctx context.Context, key string, sess *session) error {
	o := &oauthStore{s}
	for _, id := range sess.Grants {
		if err := o.RevokeRefreshToken(ctx, id); err != nil {
			return err
		}
		if err := o.RevokeAccessToken(ctx, id); err != nil {
			return err
		}
	}
	if err := s.space.drop(ctx, key); err != nil {
		return err
	}
	return s.event(ctx, audit.Event{Action: audit.Logout, Subject: sess.Login})
}

func (s *Server) mayReturn(ctx context.Context, clientID, to string) bool {
	cl, err := s.client(ctx, clientID)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(cl.Redirects, func(r string) bool { return origin(r) != "" && origin(r) == origin(to) })
}

// origin is scheme://host[:port] of a URL, "" if it has none.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// formToken is what a login form must send back: a MAC over the form cookie.
func (s *Server) formToken(cookie string) string {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte("login form\x00" + cookie))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *Server) sameForm(c *gin.Context, sent string) bool {
	cookie, err := c.Cookie(formCookie)
	return err == nil && cookie != "" && hmac.Equal([]byte(sent), []byte(s.formToken(cookie)))
}

func (s *Server) setCookie(c *gin.Context, name, value string, site http.SameSite, maxAge int) {
	http.SetCookie(c.Writer, &http.Cookie{
		Name: name, Value: value, Path: "/oauth2", MaxAge: maxAge, HttpOnly: true,
		Secure: s.issuer.Scheme == "https", SameSite: site,
	})
}
