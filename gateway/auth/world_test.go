package auth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
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
	limits.HashMemory = 64
	st, err := disk.Open(t.TempDir(), disk.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	w := &world{t: t, events: &recorder{}, clock: &clock{}}
	r := gin.New()
	hs := httptest.NewServer(r)
	t.Cleanup(hs.Close)
	w.url = hs.URL
	w.auth, err = auth.New(t.Context(), auth.Config{
		Space: st.Space("auth"), Alone: true, Issuer: hs.URL, Persons: people{}, Auditor: w.events, Log: zerolog.Nop(), Now: w.clock.now, Limits: limits,
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
	must(w.t, w.auth.AddClient(ctx, auth.Client{ID: "resident-app", Redirects: []string{redirect}, Scopes: []string{"patient/*.rs", "patient/Consent.cruds", "launch/patient", "user/*.rs", "openid", "fhirUser"}}))
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
	return w.codeFor(b, user, authorizeQuery(nil))
}

func (w *world) codeFor(b *http.Client, user string, q url.Values) string {
	res := w.login(b, user, password, q)
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
	ID      string `json:"id_token"`
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
