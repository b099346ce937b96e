package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"hutong/gateway/auth"
	"hutong/gateway/principal"
)

func credentials(assertion string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {auth.AssertionType}, "client_assertion": {assertion}}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	key, err := auth.ParseClientKey(w.key)
	must(t, err)
	assertion, err := auth.SignAssertion(key, "", "his-muni", w.url+"/oauth2/token", time.Now())
	must(t, err)
	status, tok := w.ask(credentials(assertion))
	if status != http.StatusOK || tok.Scope != "system/*.cruds" || tok.Expires < 290 || tok.Expires > 300 || tok.Refresh != "" {
		t.Fatalf("%d %+v", status, tok)
	}
	p, err := w.auth.Verify(t.Context(), tok.Access)
	must(t, err)
	if p.Subject != "his-muni" || p.Organization != "org-muni" || !p.Has(principal.HIS) || len(p.Roles) != 1 {
		t.Errorf("%+v", p)
	}
	if status, again := w.ask(credentials(assertion)); status != http.StatusUnauthorized || again.Error != "invalid_client" {
		t.Errorf("replay: %d %+v", status, again)
	}
	assertion, err = auth.SignAssertion(key, "", "his-muni", w.url+"/oauth2/token", time.Now())
	must(t, err)
	narrow := credentials(assertion)
	narrow.Set("scope", "system/Patient.rs")
	if _, tok := w.ask(narrow); tok.Scope != "system/Patient.rs" {
		t.Errorf("narrowed scope %q", tok.Scope)
	}
}

func TestRemovedClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	token, err := w.auth.IssueToken(t.Context(), "his-muni", 0)
	must(t, err)
	must(t, w.auth.RemoveClient(t.Context(), "his-muni"))
	if status, _ := w.me(token); status != http.StatusUnauthorized {
		t.Errorf("its token: %d", status)
	}
	key, err := auth.ParseClientKey(w.key)
	must(t, err)
	assertion, err := auth.SignAssertion(key, "", "his-muni", w.url+"/oauth2/token", time.Now())
	must(t, err)
	if status, _ := w.ask(credentials(assertion)); status != http.StatusUnauthorized {
		t.Errorf("a new token: %d", status)
	}
}

func TestReplayRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	key, err := auth.ParseClientKey(w.key)
	must(t, err)
	assertion, err := auth.SignAssertion(key, "", "his-muni", w.url+"/oauth2/token", time.Now())
	must(t, err)
	if won := race(16, func() bool { status, _ := w.ask(credentials(assertion)); return status == http.StatusOK }); won != 1 {
		t.Errorf("one assertion gave %d tokens", won)
	}
}

func TestAssertionsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{TokenBurst: 1000})
	signer, err := auth.ParseClientKey(w.key)
	must(t, err)
	key := signer.(*ecdsa.PrivateKey)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	good, err := auth.SignAssertion(key, "", "his-muni", w.url+"/oauth2/token", time.Now())
	must(t, err)
	parsed, _, err := jwt.NewParser().ParseUnverified(good, jwt.MapClaims{})
	must(t, err)
	kid := parsed.Header["kid"]

	type change func(h map[string]any, c jwt.MapClaims)
	sign := func(f change, method jwt.SigningMethod, with any) string {
		c := jwt.MapClaims{
			"iss": "his-muni", "sub": "his-muni", "aud": w.url + "/oauth2/token", "jti": rand.Text(),
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		}
		token := jwt.NewWithClaims(method, c)
		token.Header["kid"] = kid
		f(token.Header, c)
		text, err := token.SignedString(with)
		must(t, err)
		return text
	}
	es := func(f change) string { return sign(f, jwt.SigningMethodES256, key) }
	same := func(map[string]any, jwt.MapClaims) {}
	public, err := key.PublicKey.Bytes()
	must(t, err)
	if status, _ := w.ask(credentials(es(same))); status != http.StatusOK {
		t.Fatalf("the unchanged assertion is refused: %d", status)
	}
	for name, assertion := range map[string]string{
		"other audience":        es(func(_ map[string]any, c jwt.MapClaims) { c["aud"] = "https://elsewhere.example/token" }),
		"no audience":           es(func(_ map[string]any, c jwt.MapClaims) { delete(c, "aud") }),
		"expired":               es(func(_ map[string]any, c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }),
		"no expiry":             es(func(_ map[string]any, c jwt.MapClaims) { delete(c, "exp") }),
		"too long":              es(func(_ map[string]any, c jwt.MapClaims) { c["exp"] = time.Now().Add(time.Hour).Unix() }),
		"no jti":                es(func(_ map[string]any, c jwt.MapClaims) { delete(c, "jti") }),
		"long jti":              es(func(_ map[string]any, c jwt.MapClaims) { c["jti"] = strings.Repeat("x", 300) }),
		"other issuer":          es(func(_ map[string]any, c jwt.MapClaims) { c["iss"] = "his-dist" }),
		"other subject":         es(func(_ map[string]any, c jwt.MapClaims) { c["sub"] = "his-dist" }),
		"an app":                es(func(_ map[string]any, c jwt.MapClaims) { c["sub"], c["iss"] = "resident-app", "resident-app" }),
		"from the future":       es(func(_ map[string]any, c jwt.MapClaims) { c["iat"] = time.Now().Add(time.Hour).Unix() }),
		"unknown key":           es(func(h map[string]any, _ jwt.MapClaims) { h["kid"] = "nobody" }),
		"no key":                es(func(h map[string]any, _ jwt.MapClaims) { delete(h, "kid") }),
		"stranger's key":        sign(same, jwt.SigningMethodES256, stranger),
		"none":                  sign(same, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"MAC by the public key": sign(same, jwt.SigningMethodHS256, public),
		"changed payload":       strings.Replace(good, ".ey", ".eY", 1),
		"not a token":           "x",
		"empty":                 "",
	} {
		if status, tok := w.ask(credentials(assertion)); status != http.StatusUnauthorized || tok.Access != "" {
			t.Errorf("%s: %d %+v", name, status, tok)
		}
	}
	for name, form := range map[string]url.Values{
		"no authentication": {"grant_type": {"client_credentials"}, "client_id": {"his-muni"}},
		"a secret":          {"grant_type": {"client_credentials"}, "client_id": {"his-muni"}, "client_secret": {"x"}},
		"a public client":   {"grant_type": {"client_credentials"}, "client_id": {"resident-app"}},
		"a password":        {"grant_type": {"password"}, "client_id": {"resident-app"}, "username": {"resident"}, "password": {password}},
	} {
		if status, _ := w.ask(form); status == http.StatusOK {
			t.Errorf("%s gave a token", name)
		}
	}
	wide := credentials(es(same))
	wide.Set("scope", "user/*.rs")
	if status, tok := w.ask(wide); status != http.StatusBadRequest || tok.Error != "invalid_scope" {
		t.Errorf("a scope of people: %d %+v", status, tok)
	}
}

func TestKeyKinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	for name, key := range map[string]crypto.Signer{"ES384": p384, "RS384": rsa2048} {
		jwk, err := auth.PublicJWK(key.Public())
		must(t, err)
		must(t, w.auth.AddClient(t.Context(), auth.Client{ID: name, Organization: "org-x", Keys: []json.RawMessage{jwk}, Scopes: []string{"system/*.rs"}}))
		assertion, err := auth.SignAssertion(key, "", name, w.url+"/oauth2/token", time.Now())
		must(t, err)
		if status, tok := w.ask(credentials(assertion)); status != http.StatusOK || tok.Scope != "system/*.rs" {
			t.Errorf("%s: %d %+v", name, status, tok)
		}
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must(t, err)
	if _, err := auth.PublicJWK(p521.Public()); err == nil {
		t.Error("P-521 was taken")
	}
}

func TestClientsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	_, jwk, err := auth.GenerateClientKey()
	must(t, err)
	keys := []json.RawMessage{jwk}
	for name, c := range map[string]auth.Client{
		"nothing":                {ID: "x", Organization: "o"},
		"both kinds":             {ID: "x", Organization: "o", Keys: keys, Redirects: []string{redirect}},
		"no organisation":        {ID: "x", Keys: keys},
		"bad id":                 {ID: "x y", Organization: "o", Keys: keys},
		"symmetric key":          {ID: "x", Organization: "o", Keys: []json.RawMessage{[]byte(`{"kty":"oct","k":"AAAA"}`)}},
		"user scopes":            {ID: "x", Organization: "o", Keys: keys, Scopes: []string{"user/*.rs"}},
		"system scopes":          {ID: "x", Redirects: []string{redirect}, Scopes: []string{"system/*.rs"}},
		"unordered scope":        {ID: "x", Organization: "o", Keys: keys, Scopes: []string{"system/*.sr"}},
		"plain http":             {ID: "x", Redirects: []string{"http://example.com/"}},
		"fragment":               {ID: "x", Redirects: []string{"https://example.com/#x"}},
		"a script as redirect":   {ID: "x", Redirects: []string{"javascript:alert(1)"}},
		"a name in the redirect": {ID: "x", Redirects: []string{"https://user@example.com/"}},
	} {
		if err := w.auth.AddClient(t.Context(), c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestTokenRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{TokenBurst: 2, TokenRate: 0.001})
	ask := func(client string) *http.Response {
		res, err := http.PostForm(w.url+"/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {client}})
		must(t, err)
		read(t, res)
		return res
	}
	ask("his-muni")
	ask("his-muni")
	if res := ask("his-muni"); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("third request: %s", res.Status)
	}
	if res := ask("his-dist"); res.StatusCode == http.StatusTooManyRequests {
		t.Error("one client's requests throttle another's")
	}
}
