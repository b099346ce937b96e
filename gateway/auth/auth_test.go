package auth_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/store/disk"
	"hutong/gateway/audit"
	"hutong/gateway/auth"
	"hutong/gateway/principal"
)

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
		"other server":    {"aud": {"https://elsewhere.example/fhir"}},
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
	if status, _ := w.me(tok.Access); status != http.StatusOK {
		t.Errorf("a good token was answered %d", status)
	}
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

// TestARevocationOfAnotherNode: where others write to the space, too, what one
// of them revokes is refused at the next request.
func TestARevocationOfAnotherNode(t *testing.T) {
	t.Parallel()
	st, err := disk.Open(t.TempDir(), disk.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	node := func() *auth.Server {
		s, err := auth.New(t.Context(), auth.Config{Space: st.Space("auth"), Issuer: "https://x.example", Limits: auth.Limits{HashMemory: 64}})
		must(t, err)
		return s
	}
	one, other := node(), node()
	must(t, one.AddUser(t.Context(), auth.User{Login: "dr.lin", Roles: []principal.Role{principal.Clinician}, Organization: "org-muni", Practitioner: "p"}, password))
	token, err := one.IssueToken(t.Context(), "dr.lin", 0)
	must(t, err)
	for range 2 {
		_, err = other.Verify(t.Context(), token)
		must(t, err)
	}
	must(t, one.DisableUser(t.Context(), "dr.lin"))
	if _, err := other.Verify(t.Context(), token); !errors.Is(err, fhir.E(fhir.Unauthorized)) {
		t.Errorf("another node's revocation: %v", err)
	}
}
