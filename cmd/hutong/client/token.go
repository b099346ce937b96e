// Package client is the other side of the exchange: what a hospital's system,
// a loader or a user at a shell does over HTTP.
package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"hutong/gateway/auth"
)

// grantedToken is the answer of the token endpoint.
type grantedToken struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// askToken posts one form to the token endpoint.
func askToken(ctx context.Context, base string, form url.Values) (grantedToken, error) {
	var g grantedToken
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return g, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return g, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return g, err
	}
	if err := json.Unmarshal(body, &g); err != nil || g.AccessToken == "" {
		return g, fmt.Errorf("token endpoint: %s: %s %s", res.Status, g.Error, g.Description)
	}
	return g, nil
}

// SystemTokens gives a system's tokens by private_key_jwt, a new one shortly
// before the old one ends. Safe for concurrent use.
func SystemTokens(base, client string, privatePEM []byte) func(context.Context) (string, error) {
	var mu sync.Mutex
	var token string
	var until time.Time
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(until) {
			return token, nil
		}
		key, err := auth.ParseClientKey(privatePEM)
		if err != nil {
			return "", err
		}
		assertion, err := auth.SignAssertion(key, "", client, base+"/oauth2/token", time.Now())
		if err != nil {
			return "", err
		}
		g, err := askToken(ctx, base, url.Values{
			"grant_type": {"client_credentials"}, "scope": {"system/*.cruds"},
			"client_assertion_type": {auth.AssertionType}, "client_assertion": {assertion},
		})
		if err != nil {
			return "", err
		}
		token, until = g.AccessToken, time.Now().Add(time.Duration(g.ExpiresIn)*time.Second-30*time.Second)
		return token, nil
	}
}

// Login goes the way of a browser: authorization code with PKCE through the
// login page.
type Login struct {
	Base, User, Password string
	Client, Redirect     string // the app; default console-app at Base/console/
	Scope                string
}

// Token logs in and gives an access token.
func (l Login) Token(ctx context.Context) (string, error) {
	if l.Client == "" {
		l.Client = "console-app"
	}
	if l.Redirect == "" {
		l.Redirect = l.Base + "/console/"
	}
	if l.Scope == "" {
		l.Scope = "user/*.rs patient/*.rs"
	}
	verifier, state := randomText(), randomText()
	code, err := l.code(ctx, verifier, state)
	if err != nil {
		return "", err
	}
	g, err := askToken(ctx, l.Base, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier},
		"redirect_uri": {l.Redirect}, "client_id": {l.Client},
	})
	return g.AccessToken, err
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// code logs in and follows the redirects up to the app's own address, which is
// not asked for.
func (l Login) code(ctx context.Context, verifier, state string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	var back *url.URL
	client := &http.Client{Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), l.Redirect+"?") {
			back = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	sum := sha256.Sum256([]byte(verifier))
	page, at, err := fetch(ctx, client, http.MethodGet, l.Base+"/oauth2/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {l.Client}, "redirect_uri": {l.Redirect}, "scope": {l.Scope}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), nil)
	if err != nil {
		return "", err
	}
	if back == nil {
		form := url.Values{"login": {l.User}, "password": {l.Password}}
		for _, m := range hidden.FindAllStringSubmatch(page, -1) {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
		if _, _, err = fetch(ctx, client, http.MethodPost, at, form); err != nil {
			return "", err
		}
	}
	switch {
	case back == nil:
		return "", errors.New("the login was refused")
	case back.Query().Get("state") != state:
		return "", errors.New("the answer is to another request")
	case back.Query().Get("code") == "":
		return "", fmt.Errorf("no code: %s %s", back.Query().Get("error"), back.Query().Get("error_description"))
	}
	return back.Query().Get("code"), nil
}

// fetch gives a page and the address at which it was found.
func fetch(ctx context.Context, c *http.Client, method, at string, form url.Values) (page, where string, err error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return "", "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
	}
	res, err := c.Do(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return string(raw), res.Request.URL.String(), err
}

func randomText() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
