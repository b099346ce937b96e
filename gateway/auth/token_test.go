package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-jose/go-jose/v3"
	"github.com/golang-jwt/jwt/v5"

	"hutong/fhir/store/disk"
	"hutong/gateway/auth"
	"hutong/gateway/principal"
)

func TestIssueToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	token, err := w.auth.IssueToken(t.Context(), "dr.lin", time.Hour)
	must(t, err)
	p, err := w.auth.Verify(t.Context(), token)
	must(t, err)
	if p.Subject != "dr.lin" || p.Name != "林清" || p.Organization != "org-muni" || p.Practitioner != "prac-lin" ||
		!slices.Contains(p.Scopes, "user/*.rs") || !p.Has(principal.Clinician) || p.TokenID == "" {
		t.Errorf("%+v", p)
	}
	token, err = w.auth.IssueToken(t.Context(), "his-muni", 0)
	must(t, err)
	if p, err = w.auth.Verify(t.Context(), token); err != nil || !slices.Equal(p.Scopes, []string{"system/*.cruds"}) {
		t.Errorf("%+v %v", p, err)
	}
	for subject, ttl := range map[string]time.Duration{"nobody": 0, "resident-app": 0, "dr.lin": 48 * time.Hour, "resident": -time.Second} {
		if _, err := w.auth.IssueToken(t.Context(), subject, ttl); err == nil {
			t.Errorf("a token for %s, %s", subject, ttl)
		}
	}
}

// TestIDToken reads it as a relying party does: with the published keys, for
// its own client id and nonce.
func TestIDToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	for user, fhirUser := range map[string]string{"resident": "Patient/person-1", "dr.lin": "Practitioner/prac-lin"} {
		q := authorizeQuery(url.Values{"scope": {"openid fhirUser patient/*.rs user/*.rs"}, "nonce": {"n-0S6_WzA2Mj"}})
		status, tok := w.ask(exchange(w.codeFor(w.browser(), user, q)))
		if status != http.StatusOK || tok.ID == "" {
			t.Fatalf("%s: %d %+v", user, status, tok)
		}
		var c struct {
			jwt.RegisteredClaims
			Nonce    string `json:"nonce"`
			AuthTime int64  `json:"auth_time"`
			FHIRUser string `json:"fhirUser"`
		}
		_, err := jwt.ParseWithClaims(tok.ID, &c, w.publishedKey, jwt.WithValidMethods([]string{"ES256"}),
			jwt.WithIssuer(w.url), jwt.WithAudience("resident-app"), jwt.WithExpirationRequired())
		must(t, err)
		if c.Subject != user || c.Nonce != "n-0S6_WzA2Mj" || c.FHIRUser != w.url+"/fhir/"+fhirUser || time.Since(time.Unix(c.AuthTime, 0)) > time.Hour {
			t.Errorf("%s: %+v", user, c)
		}
		if status, _ := w.me(tok.ID); status != http.StatusUnauthorized {
			t.Errorf("an id_token passed for an access token: %d", status)
		}
		if _, again := w.ask(refresh(tok.Refresh)); again.ID != "" || again.Access == "" {
			t.Errorf("a refresh is no login: %+v", again)
		}
	}
	if _, tok := w.ask(exchange(w.code(w.browser(), "resident"))); tok.ID != "" {
		t.Error("an id_token that nobody asked for")
	}
}

// publishedKey finds the key of a token at /oauth2/jwks.
func (w *world) publishedKey(token *jwt.Token) (any, error) {
	res, err := http.Get(w.url + "/oauth2/jwks")
	must(w.t, err)
	var set jose.JSONWebKeySet
	must(w.t, json.Unmarshal([]byte(read(w.t, res)), &set))
	kid, _ := token.Header["kid"].(string)
	for _, k := range set.Key(kid) {
		return k.Key, nil
	}
	return nil, errors.New("no such key")
}

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	good, err := w.auth.IssueToken(t.Context(), "dr.lin", 0)
	must(t, err)
	parsed, _, err := jwt.NewParser().ParseUnverified(good, jwt.MapClaims{})
	must(t, err)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	forge := func(method jwt.SigningMethod, key any, kid any) string {
		token := jwt.NewWithClaims(method, parsed.Claims)
		token.Header["kid"], token.Header["typ"] = kid, "at+jwt"
		text, err := token.SignedString(key)
		must(t, err)
		return text
	}
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"none":          forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, parsed.Header["kid"]),
		"stranger":      forge(jwt.SigningMethodES256, stranger, parsed.Header["kid"]),
		"unknown key":   forge(jwt.SigningMethodES256, stranger, "x"),
		"MAC":           forge(jwt.SigningMethodHS256, []byte("x"), parsed.Header["kid"]),
		"no signature":  parts[0] + "." + parts[1] + ".",
		"garbage":       "garbage",
		"empty":         " ",
		"other payload": parts[0] + "." + strings.ToUpper(parts[1][:1]) + parts[1][1:] + "x." + parts[2],
	} {
		if status, _ := w.me(token); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status, _ := w.me(""); status != http.StatusUnauthorized {
		t.Errorf("no token: %d", status)
	}
	if status, _ := w.me(good); status != http.StatusOK {
		t.Errorf("the unchanged token: %d", status)
	}
	other := newWorld(t, auth.Limits{})
	if status, _ := other.me(good); status != http.StatusUnauthorized {
		t.Errorf("another server's token: %d", status)
	}
	w.clock.pass(-time.Hour)
	if status, _ := w.me(good); status != http.StatusUnauthorized {
		t.Errorf("a known token before it was issued: %d", status)
	}
	w.clock.pass(time.Hour)
	if status, _ := w.me(good); status != http.StatusOK {
		t.Errorf("a known token in its time: %d", status)
	}
	w.clock.pass(11 * time.Minute)
	if status, _ := w.me(good); status != http.StatusUnauthorized {
		t.Errorf("expired: %d", status)
	}
}

func TestKeysRotateAndSurviveRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() (*auth.Server, *disk.Store) {
		st, err := disk.Open(dir, disk.Options{})
		must(t, err)
		s, err := auth.New(t.Context(), auth.Config{Space: st.Space("auth"), Issuer: "https://exchange.example"})
		must(t, err)
		return s, st
	}
	s, st := open()
	must(t, s.AddUser(t.Context(), auth.User{Login: "a", Roles: []principal.Role{principal.Admin}}, ""))
	before, err := s.IssueToken(t.Context(), "a", 0)
	must(t, err)
	must(t, s.RotateKeys(t.Context()))
	after, err := s.IssueToken(t.Context(), "a", 0)
	must(t, err)
	must(t, st.Close())
	s, st = open()
	defer st.Close()
	for _, token := range []string{before, after} {
		if _, err := s.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	must(t, s.Sweep(t.Context()))
	if _, err := s.Verify(t.Context(), after); err != nil {
		t.Error("the sweep took something alive:", err)
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	res, err := http.Get(w.url + "/fhir/.well-known/smart-configuration")
	must(t, err)
	var doc map[string]any
	must(t, json.Unmarshal([]byte(read(t, res)), &doc))
	for _, field := range []string{"authorization_endpoint", "token_endpoint", "capabilities", "code_challenge_methods_supported", "grant_types_supported", "jwks_uri", "issuer"} {
		if doc[field] == nil {
			t.Errorf("no %s", field)
		}
	}
	res, err = http.Get(w.url + "/oauth2/jwks")
	must(t, err)
	body := read(t, res)
	if !strings.Contains(body, `"kty":"EC"`) || strings.Contains(body, `"d":`) {
		t.Errorf("key set %s", body)
	}
}

func TestCheckOpen(t *testing.T) {
	t.Parallel()
	for listen, ok := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:80": true, "localhost:1": true, "127.8.8.8:80": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:80": false, "10.0.0.1:80": false, "example.com:80": false, "127.0.0.1": false, "": false,
		"localhost.example.com:80": false,
	} {
		if err := auth.CheckOpen(listen); (err == nil) != ok {
			t.Errorf("%q: %v", listen, err)
		}
	}
}

func TestOpenMode(t *testing.T) {
	t.Parallel()
	r := gin.New()
	var got *principal.Principal
	r.GET("/", auth.Open(), func(c *gin.Context) { got = principal.From(c.Request.Context()) })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	must(t, err)
	r.ServeHTTP(discard{}, req)
	if got == nil || !got.Open {
		t.Errorf("%+v", got)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// TestSweepFreesWhatExpired: of a login's records only those that last remain.
func TestSweepFreesWhatExpired(t *testing.T) {
	t.Parallel()
	st, err := disk.Open(t.TempDir(), disk.Options{})
	must(t, err)
	defer func() { must(t, st.Close()) }()
	now := time.Now()
	s, err := auth.New(t.Context(), auth.Config{Space: st.Space("auth"), Issuer: "https://exchange.example", Now: func() time.Time { return now }})
	must(t, err)
	must(t, s.AddUser(t.Context(), auth.User{Login: "a", Roles: []principal.Role{principal.Admin}}, ""))
	count := func() int {
		rows, err := st.Space("auth").Scan(t.Context(), nil, nil, 0)
		must(t, err)
		return len(rows)
	}
	before := count()
	must(t, s.EndTokens(t.Context(), "a"))
	must(t, s.Sweep(t.Context()))
	if count() != before+1 {
		t.Errorf("the sweep took what is needed: %d rows, had %d", count(), before+1)
	}
	now = now.Add(48 * time.Hour)
	must(t, s.Sweep(t.Context()))
	if count() != before {
		t.Errorf("%d rows, want %d", count(), before)
	}
}
