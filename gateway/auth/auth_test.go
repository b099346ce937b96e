package auth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/store/disk"
	"hutong/gateway/audit"
	"hutong/gateway/auth"
	"hutong/gateway/principal"
)

const (
	password = "Correct-Horse-9"
	verifier = "a-code-verifier-that-is-long-enough-for-rfc-7636-43"
	redirect = "http://127.0.0.1/app/"
)

// world is an authorization server on a real store behind real HTTP.
type world struct {
	t      *testing.T
	auth   *auth.Server
	url    string
	events *recorder
	clock  *clock
	key    []byte // PEM of his-muni
}

type clock struct {
	mu sync.Mutex
	d  time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.d)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.d += d
}

type recorder struct {
	mu  sync.Mutex
	all []audit.Event
	err error
}

func (r *recorder) Event(_ context.Context, e audit.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
	return r.err
}

func (r *recorder) count(a audit.Action) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.all {
		if e.Action == a {
			n++
		}
	}
	return n
}

type people struct{}

func (people) ByIdentifier(_ context.Context, _, value string) (fhir.Key, error) {
	if value == "500103199001011234" {
		return fhir.Key{Type: "Patient", ID: "person-1"}, nil
	}
	return fhir.Key{}, fhir.E(fhir.NotFound)
}

func newWorld(t *testing.T, limits auth.Limits) *world {
	t.Helper()
	gin.SetMode(gin.TestMode)
	st, err := disk.Open(t.TempDir(), disk.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	w := &world{t: t, events: &recorder{}, clock: &clock{}}
	r := gin.New()
	hs := httptest.NewServer(r)
	t.Cleanup(hs.Close)
	w.url = hs.URL
	w.auth, err = auth.New(t.Context(), auth.Config{
		Space: st.Space("auth"), Issuer: hs.URL, Persons: people{}, Auditor: w.events, Log: zerolog.Nop(), Now: w.clock.now, Limits: limits,
	})
	must(t, err)
	w.auth.Mount(r)
	api := r.Group("/api", w.auth.Authenticate)
	api.GET("/me", w.auth.Me)
	w.accounts()
	return w
}

func (w *world) accounts() {
	ctx := w.t.Context()
	private, public, err := auth.GenerateClientKey()
	must(w.t, err)
	w.key = private
	must(w.t, w.auth.AddClient(ctx, auth.Client{ID: "his-muni", Name: "HIS", Organization: "org-muni", Keys: []json.RawMessage{public}, Scopes: []string{"system/*.cruds"}}))
	must(w.t, w.auth.AddClient(ctx, auth.Client{ID: "resident-app", Redirects: []string{redirect}, Scopes: []string{"patient/*.rs", "patient/Consent.cruds", "launch/patient", "user/*.rs"}}))
	must(w.t, w.auth.AddClient(ctx, auth.Client{ID: "console-app", Redirects: []string{redirect + "console/"}, Scopes: []string{"user/*.rs"}}))
	must(w.t, w.auth.AddUser(ctx, auth.User{Login: "dr.lin", Name: "林清", Roles: []principal.Role{principal.Clinician}, Organization: "org-muni", Practitioner: "prac-lin"}, password))
	must(w.t, w.auth.AddUser(ctx, auth.User{Login: "resident", Name: "居民", Roles: []principal.Role{principal.Resident}, IdentifierSystem: "urn:oid:2.16.156.10011.1.3", IdentifierValue: "500103199001011234"}, password))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// browser keeps cookies and stops at redirects to the app.
func (w *world) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.Path, "/app/") {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

func authorizeQuery(change url.Values) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {"resident-app"}, "redirect_uri": {redirect}, "state": {"0123456789abcdef"},
		"scope": {"patient/*.rs patient/Consent.cruds launch/patient user/*.rs"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	for k, v := range change {
		q[k] = v
		if v[0] == "" {
			q.Del(k)
		}
	}
	return q
}

var hidden = regexp.MustCompile(`name="(csrf|request)" value="([^"]*)"`)

// form fetches the login form and gives its hidden fields.
func (w *world) form(b *http.Client, q url.Values) url.Values {
	res, err := b.Get(w.url + "/oauth2/authorize?" + q.Encode())
	must(w.t, err)
	body := read(w.t, res)
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(body, -1) {
		v.Set(m[1], html.UnescapeString(m[2]))
	}
	if res.StatusCode != http.StatusOK || v.Get("csrf") == "" {
		w.t.Fatalf("no login form: %s\n%s", res.Status, body)
	}
	return v
}

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return string(b)
}

// login goes through the page and gives the answer that goes to the app.
func (w *world) login(b *http.Client, user, pass string, q url.Values) *http.Response {
	v := w.form(b, q)
	v.Set("login", user)
	v.Set("password", pass)
	res, err := b.PostForm(w.url+"/oauth2/login", v)
	must(w.t, err)
	read(w.t, res)
	return res
}

func (w *world) code(b *http.Client, user string) string {
	res := w.login(b, user, password, authorizeQuery(nil))
	to, err := url.Parse(res.Header.Get("Location"))
	must(w.t, err)
	code := to.Query().Get("code")
	if code == "" || to.Query().Get("state") != "0123456789abcdef" {
		w.t.Fatalf("no code: %s %s", res.Status, to)
	}
	return code
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
	Expires int    `json:"expires_in"`
	Patient string `json:"patient"`
	Error   string `json:"error"`
}

func (w *world) ask(form url.Values) (int, tokens) {
	res, err := http.PostForm(w.url+"/oauth2/token", form)
	must(w.t, err)
	var out tokens
	body := read(w.t, res)
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		w.t.Fatalf("%s: %s", res.Status, body)
	}
	return res.StatusCode, out
}

func exchange(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "client_id": {"resident-app"}, "code_verifier": {verifier}}
}

func refresh(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {"resident-app"}}
}

func (w *world) me(token string) (int, auth.Identity) {
	req, err := http.NewRequest(http.MethodGet, w.url+"/api/me", nil)
	must(w.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	body := read(w.t, res)
	var me auth.Identity
	if res.StatusCode == http.StatusOK {
		must(w.t, json.Unmarshal([]byte(body), &me))
	} else if !strings.Contains(body, "OperationOutcome") || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer ") {
		w.t.Errorf("%s without OperationOutcome or challenge: %s", res.Status, body)
	}
	return res.StatusCode, me
}

func TestCodeFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	b := w.browser()
	status, tok := w.ask(exchange(w.code(b, "resident")))
	if status != http.StatusOK || tok.Refresh == "" || tok.Patient != "person-1" || tok.Expires < 590 || tok.Expires > 600 {
		t.Fatalf("%d %+v", status, tok)
	}
	if tok.Scope != "patient/*.rs patient/Consent.cruds launch/patient" {
		t.Errorf("scope %q: a resident's roles allow no user/*.rs", tok.Scope)
	}
	status, me := w.me(tok.Access)
	if status != http.StatusOK || me.Subject != "resident" || me.Patient != "Patient/person-1" || me.Client != "resident-app" {
		t.Errorf("%d %+v", status, me)
	}
	if w.events.count(audit.Login) != 1 || w.events.count(audit.TokenIssued) != 1 {
		t.Errorf("audited: %+v", w.events.all)
	}
	// A second visit of the same browser needs no password.
	res, err := b.Get(w.url + "/oauth2/authorize?" + authorizeQuery(nil).Encode())
	must(t, err)
	read(t, res)
	if !strings.Contains(res.Header.Get("Location"), "code=") {
		t.Errorf("session not kept: %s", res.Status)
	}
}

func TestCodeIsGoodOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	code := w.code(w.browser(), "resident")
	_, tok := w.ask(exchange(code))
	if status, again := w.ask(exchange(code)); status != http.StatusBadRequest || again.Error != "invalid_grant" {
		t.Errorf("second use: %d %+v", status, again)
	}
	if status, _ := w.me(tok.Access); status != http.StatusUnauthorized {
		t.Errorf("the token of a replayed code still works: %d", status)
	}
	if status, _ := w.ask(refresh(tok.Refresh)); status == http.StatusOK {
		t.Error("the refresh token of a replayed code still works")
	}
}

func TestCodeRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	form := exchange(w.code(w.browser(), "resident"))
	if won := race(8, func() bool { status, _ := w.ask(form); return status == http.StatusOK }); won > 1 {
		t.Errorf("one code was exchanged %d times", won)
	}
}

func race(n int, f func() bool) (won int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range n {
		wg.Go(func() {
			if f() {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return won
}

func TestAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	for name, change := range map[string]url.Values{
		"no PKCE":         {"code_challenge": {""}, "code_challenge_method": {""}},
		"plain PKCE":      {"code_challenge": {verifier}, "code_challenge_method": {"plain"}},
		"short state":     {"state": {"x"}},
		"implicit":        {"response_type": {"token"}},
		"foreign scope":   {"scope": {"system/*.cruds"}},
		"unknown client":  {"client_id": {"nobody"}},
		"foreign address": {"redirect_uri": {"http://127.0.0.1/elsewhere/"}},
		"system client":   {"client_id": {"his-muni"}},
	} {
		b := w.browser()
		res, err := b.Get(w.url + "/oauth2/authorize?" + authorizeQuery(change).Encode())
		must(t, err)
		body := read(t, res)
		switch {
		case res.StatusCode == http.StatusOK && hidden.MatchString(body):
			// fosite looks at PKCE only when it makes the code.
			v := w.form(b, authorizeQuery(change))
			v.Set("login", "resident")
			v.Set("password", password)
			res, err = b.PostForm(w.url+"/oauth2/login", v)
			must(t, err)
			read(t, res)
			if to := res.Header.Get("Location"); strings.Contains(to, "code=") || !strings.Contains(to, "error=") {
				t.Errorf("%s: %s", name, to)
			}
		case strings.Contains(res.Header.Get("Location"), "code="):
			t.Errorf("%s: a code was given", name)
		case strings.Contains(name, "address") && res.Header.Get("Location") != "":
			t.Errorf("%s: open redirect to %s", name, res.Header.Get("Location"))
		}
	}
	if status, _ := w.ask(url.Values{"grant_type": {"authorization_code"}, "code": {w.code(w.browser(), "resident")}, "redirect_uri": {redirect}, "client_id": {"resident-app"}, "code_verifier": {verifier + "-other"}}); status == http.StatusOK {
		t.Error("a wrong code_verifier was accepted")
	}
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	_, first := w.ask(exchange(w.code(w.browser(), "resident")))
	status, second := w.ask(refresh(first.Refresh))
	if status != http.StatusOK || second.Refresh == first.Refresh || second.Access == first.Access {
		t.Fatalf("%d %+v", status, second)
	}
	if status, _ := w.ask(refresh(first.Refresh)); status == http.StatusOK {
		t.Error("an old refresh token was accepted")
	}
	// Reuse means theft: the whole grant is over.
	if status, _ := w.ask(refresh(second.Refresh)); status == http.StatusOK {
		t.Error("the grant survived the reuse of a refresh token")
	}
	if status, _ := w.me(second.Access); status != http.StatusUnauthorized {
		t.Error("the access token survived the reuse of a refresh token")
	}
}

func TestRefreshRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	_, tok := w.ask(exchange(w.code(w.browser(), "resident")))
	if won := race(8, func() bool { status, _ := w.ask(refresh(tok.Refresh)); return status == http.StatusOK }); won > 1 {
		t.Errorf("one refresh token was exchanged %d times", won)
	}
}

func TestGrantEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	_, tok := w.ask(exchange(w.code(w.browser(), "resident")))
	w.clock.pass(13 * time.Hour)
	if status, _ := w.ask(refresh(tok.Refresh)); status == http.StatusOK {
		t.Error("a login outlived its longest time")
	}
	if status, _ := w.me(tok.Access); status != http.StatusUnauthorized {
		t.Error("an expired access token was accepted")
	}
}

func TestRevokeAndLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	b := w.browser()
	_, one := w.ask(exchange(w.code(b, "resident")))
	res, err := http.PostForm(w.url+"/oauth2/revoke", url.Values{"token": {one.Access}, "client_id": {"console-app"}})
	must(t, err)
	read(t, res)
	if status, _ := w.me(one.Access); status != http.StatusOK {
		t.Error("another client revoked the token")
	}
	res, err = http.PostForm(w.url+"/oauth2/revoke", url.Values{"token": {one.Refresh}, "client_id": {"resident-app"}})
	must(t, err)
	read(t, res)
	if status, _ := w.me(one.Access); res.StatusCode != http.StatusOK || status != http.StatusUnauthorized {
		t.Errorf("revocation: %s, then %d", res.Status, status)
	}
	_, two := w.ask(exchange(w.code(w.browser(), "resident")))
	b = w.browser()
	_, three := w.ask(exchange(w.code(b, "resident")))
	res, err = b.Get(w.url + "/oauth2/logout?client_id=resident-app&post_logout_redirect_uri=" + url.QueryEscape("http://127.0.0.1/app/bye"))
	must(t, err)
	read(t, res)
	if res.Header.Get("Location") != "http://127.0.0.1/app/bye" {
		t.Errorf("logout went to %q", res.Header.Get("Location"))
	}
	if status, _ := w.me(three.Access); status != http.StatusUnauthorized {
		t.Error("the token outlived the logout")
	}
	if status, _ := w.me(two.Access); status != http.StatusOK {
		t.Error("the logout ended another browser's token")
	}
	res, err = b.Get(w.url + "/oauth2/logout?client_id=resident-app&post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F")
	must(t, err)
	read(t, res)
	if res.Header.Get("Location") != "" {
		t.Error("logout is an open redirect")
	}
}

func TestDisabledUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	_, tok := w.ask(exchange(w.code(w.browser(), "resident")))
	must(t, w.auth.DisableUser(t.Context(), "resident"))
	if status, _ := w.me(tok.Access); status != http.StatusUnauthorized {
		t.Error("the token of a disabled user was accepted")
	}
	if status, _ := w.ask(refresh(tok.Refresh)); status == http.StatusOK {
		t.Error("a disabled user got a token")
	}
	if res := w.login(w.browser(), "resident", password, authorizeQuery(nil)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a disabled user logged in: %s", res.Status)
	}
	if err := w.auth.DisableUser(t.Context(), "nobody"); !errors.Is(err, fhir.E(fhir.NotFound)) {
		t.Errorf("disable nobody: %v", err)
	}
}

func TestAuditDownRefusesTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	code := w.code(w.browser(), "resident")
	w.events.mu.Lock()
	w.events.err = fhir.Errorf(fhir.Busy, "full")
	w.events.mu.Unlock()
	if status, _ := w.ask(exchange(code)); status == http.StatusOK {
		t.Error("a token left without an audit record")
	}
	if res := w.login(w.browser(), "resident", password, authorizeQuery(nil)); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("login without audit: %s", res.Status)
	}
}
