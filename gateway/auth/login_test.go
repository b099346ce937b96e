package auth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hutong/gateway/audit"
	"hutong/gateway/auth"
	"hutong/gateway/principal"
)

func TestLockout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{LoginBurst: 100})
	for range 5 {
		if res := w.login(w.browser(), "dr.lin", "wrong", authorizeQuery(nil)); res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("wrong password: %s", res.Status)
		}
	}
	if res := w.login(w.browser(), "dr.lin", password, authorizeQuery(nil)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a locked account logged in: %s", res.Status)
	}
	w.clock.pass(14 * time.Minute)
	if res := w.login(w.browser(), "dr.lin", password, authorizeQuery(nil)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the lock ended early: %s", res.Status)
	}
	w.clock.pass(2 * time.Minute)
	if res := w.login(w.browser(), "dr.lin", password, authorizeQuery(nil)); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the lock did not end: %s", res.Status)
	}
	if n := w.events.count(audit.LoginFailed); n != 7 {
		t.Errorf("%d failures audited", n)
	}
}

func TestParallelGuessesAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{LoginBurst: 100})
	b := w.browser()
	v := w.form(b, authorizeQuery(nil))
	race(12, func() bool {
		guess := url.Values{"csrf": v["csrf"], "request": v["request"], "login": {"dr.lin"}, "password": {"wrong"}}
		res, err := b.PostForm(w.url+"/oauth2/login", guess)
		if err == nil {
			res.Body.Close()
		}
		return false
	})
	if res := w.login(w.browser(), "dr.lin", password, authorizeQuery(nil)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("twelve guesses at once did not lock the account: %s", res.Status)
	}
}

// TestNoEnumeration holds the answers for an unknown, a locked and an existing
// login to be the same page.
func TestNoEnumeration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{LoginBurst: 100})
	page := func(login string) string {
		b := w.browser()
		v := w.form(b, authorizeQuery(nil))
		v.Set("login", login)
		v.Set("password", "wrong")
		res, err := b.PostForm(w.url+"/oauth2/login", v)
		must(t, err)
		return res.Status + hidden.ReplaceAllString(read(t, res), "")
	}
	existing, unknown := page("dr.lin"), page("dr.who")
	if existing != unknown {
		t.Errorf("an unknown login is told apart:\n%s\n%s", existing, unknown)
	}
	for range 5 {
		page("dr.lin")
	}
	if locked := page("dr.lin"); locked != unknown {
		t.Error("a locked login is told apart")
	}
	for _, e := range w.events.all {
		if e.Action == audit.LoginFailed && e.Subject != "dr.lin" && e.Subject != "unknown" {
			t.Errorf("what was typed as login is in the audit trail: %s", e.Subject)
		}
	}
}

func TestFormNeedsItsCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	v := w.form(w.browser(), authorizeQuery(nil))
	v.Set("login", "dr.lin")
	v.Set("password", password)
	res, err := w.browser().PostForm(w.url+"/oauth2/login", v)
	must(t, err)
	read(t, res)
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a form from another browser was taken: %s", res.Status)
	}
}

func TestLoginPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	for accept, want := range map[string]string{"": "登录", "en-GB,en;q=0.9": "Log in", "zh-TW": "登录", "fr": "登录"} {
		req, err := http.NewRequest(http.MethodGet, w.url+"/oauth2/login?request="+url.QueryEscape(authorizeQuery(nil).Encode()), nil)
		must(t, err)
		req.Header.Set("Accept-Language", accept)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		body := read(t, res)
		csp := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(body, "<h1>"+want+"</h1>") || strings.Contains(body, "<script") || strings.Contains(body, "style=") {
			t.Errorf("%q: %s", accept, body)
		}
		if !strings.HasPrefix(csp, "default-src 'none'") || !strings.Contains(csp, "form-action 'self' http://127.0.0.1;") {
			t.Errorf("policy %s", csp)
		}
		for _, c := range res.Cookies() {
			if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/oauth2" {
				t.Errorf("cookie %s", c)
			}
		}
	}
	res, err := http.Get(w.url + "/oauth2/login?request=" + url.QueryEscape(`"><script>alert(1)</script>`))
	must(t, err)
	if body := read(t, res); strings.Contains(body, "<script>") {
		t.Error("the request is not escaped")
	}
}

// TestManyLoads: an app that asks for a code at each load of its page keeps
// its newest grants; what a session can hold is bounded.
func TestManyLoads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{TokenBurst: 1000})
	b := w.browser()
	_, first := w.ask(exchange(w.code(b, "resident")))
	var last tokens
	for range 51 {
		res, err := b.Get(w.url + "/oauth2/authorize?" + authorizeQuery(nil).Encode())
		must(t, err)
		read(t, res)
		to, err := res.Location()
		must(t, err)
		_, last = w.ask(exchange(to.Query().Get("code")))
	}
	if status, _ := w.ask(refresh(first.Refresh)); status == http.StatusOK {
		t.Error("the oldest grant lives on")
	}
	if status, _ := w.ask(refresh(last.Refresh)); status != http.StatusOK {
		t.Errorf("the newest grant: %d", status)
	}
}

func TestLoginNeverLeavesForElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	b := w.browser()
	v := w.form(b, authorizeQuery(nil))
	v.Set("login", "dr.lin")
	v.Set("password", password)
	v.Set("request", "client_id=x&redirect_uri=https://evil.example/&response_type=code")
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := b.PostForm(w.url+"/oauth2/login", v)
	must(t, err)
	read(t, res)
	if to := res.Header.Get("Location"); !strings.HasPrefix(to, "/oauth2/authorize?") {
		t.Errorf("went to %s", to)
	}
}

func TestLoginRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{LoginBurst: 3, LoginRate: 0.001})
	var last *http.Response
	for range 4 {
		last = w.login(w.browser(), "nobody", "wrong", authorizeQuery(nil))
	}
	if last.StatusCode != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("fourth login: %s", last.Status)
	}
}

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{LoginBurst: 100})
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // RFC 6238: "12345678901234567890"
	must(t, w.auth.AddUser(t.Context(), auth.User{Login: "auditor", Roles: []principal.Role{principal.Auditor}, TOTP: secret}, password))
	try := func(code string) int {
		b := w.browser()
		v := w.form(b, authorizeQuery(nil))
		v.Set("login", "auditor")
		v.Set("password", password)
		v.Set("code", code)
		res, err := b.PostForm(w.url+"/oauth2/login", v)
		must(t, err)
		read(t, res)
		return res.StatusCode
	}
	w.clock.pass(time.Until(time.Unix(1111111109, 0))) // RFC 6238, appendix B: 081804 at this moment
	if got := try(""); got != http.StatusUnauthorized {
		t.Errorf("no code: %d", got)
	}
	if got := try("081804"); got != http.StatusSeeOther {
		t.Errorf("right code: %d", got)
	}
	if got := try("081804"); got != http.StatusUnauthorized {
		t.Errorf("the same code again: %d", got)
	}
}

func TestAccountsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	r := func(roles ...principal.Role) []principal.Role { return roles }
	for name, u := range map[string]auth.User{
		"admin and auditor":              {Login: "a", Roles: r(principal.Admin, principal.Auditor)},
		"steward and auditor":            {Login: "a", Roles: r(principal.Steward, principal.Auditor)},
		"steward and admin":              {Login: "a", Roles: r(principal.Steward, principal.Admin)},
		"no role":                        {Login: "a"},
		"unknown role":                   {Login: "a", Roles: r("boss")},
		"a system's role":                {Login: "a", Roles: r(principal.HIS)},
		"clinician without organisation": {Login: "a", Roles: r(principal.Clinician)},
		"resident without card":          {Login: "a", Roles: r(principal.Resident)},
		"login with a slash":             {Login: "a/b", Roles: r(principal.Admin)},
		"weak second factor":             {Login: "a", Roles: r(principal.Admin), TOTP: "AAAA"},
	} {
		if err := w.auth.AddUser(t.Context(), u, password); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	for _, weak := range []string{"short", "alllowercaseletters", "1234567890123", "Lower-and-Upper", "Aadmin-12345", strings.Repeat("Ab1-", 100)} {
		if err := w.auth.AddUser(t.Context(), auth.User{Login: "admin", Roles: r(principal.Admin)}, weak); (err == nil) != (weak == "Lower-and-Upper") {
			t.Errorf("password %.20q: %v", weak, err)
		}
	}
}

func TestDormantAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, auth.Limits{})
	w.clock.pass(91 * 24 * time.Hour)
	if res := w.login(w.browser(), "dr.lin", password, authorizeQuery(nil)); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("an account unused for 91 days logged in: %s", res.Status)
	}
}
