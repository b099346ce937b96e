package web_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"

	"hutong/gateway/web"
)

// obj is a JSON object.
type obj = map[string]any

// stub answers as the exchange does, from memory, so that the pages can be
// tested alone: the story test drives them against the real server. It checks
// what a page must get right: PKCE, state, the bearer token, the purpose.
type stub struct {
	*httptest.Server

	mu        sync.Mutex
	resources map[string][]obj  // by type, in the order in which searches give them
	me        map[string]obj    // by login
	codes     map[string]grant  // authorization codes
	tokens    map[string]string // access or refresh token -> login
	lifetime  int               // of access tokens, seconds
	fail      map[string]int    // path -> status to answer with
	purposes  map[string]int    // purposes of use that requests carried
	api       *gin.RouterGroup  // behind the bearer token
	feedback  []obj             // of CDS Hooks
	moves     []obj             // of consultations, with their input
	current   obj               // the consultation
	glass     obj               // the body that broke it
}

type grant struct{ login, challenge, redirect, client string }

func newStub(t *testing.T) *stub {
	t.Helper()
	gin.SetMode(gin.TestMode)
	s := &stub{
		resources: map[string][]obj{}, me: map[string]obj{}, codes: map[string]grant{}, tokens: map[string]string{},
		lifetime: 600, fail: map[string]int{}, purposes: map[string]int{},
	}
	r := gin.New()
	site, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	site.Mount(r)
	s.oauth(r)
	s.api = r.Group("/", s.bearer)
	s.api.GET("/api/me", func(c *gin.Context) { c.JSON(http.StatusOK, s.me[c.GetString("login")]) })
	s.api.GET("/fhir/:type", s.search)
	s.api.GET("/fhir/:type/:id", s.read)
	s.api.POST("/fhir/:type", s.write)
	s.api.PUT("/fhir/:type/:id", s.write)
	s.Server = httptest.NewServer(r)
	t.Cleanup(s.Close)
	return s
}

func random() string { return rand.Text() }

// --- OAuth2 -------------------------------------------------------------------

func (s *stub) oauth(r *gin.Engine) {
	r.GET("/oauth2/authorize", func(c *gin.Context) {
		for _, need := range []string{"client_id", "redirect_uri", "state", "code_challenge", "scope"} {
			if c.Query(need) == "" {
				c.String(http.StatusBadRequest, "no %s", need)
				return
			}
		}
		c.Redirect(http.StatusSeeOther, "/oauth2/login?"+url.Values{"request": {c.Request.URL.RawQuery}}.Encode())
	})
	r.GET("/oauth2/login", func(c *gin.Context) {
		c.Data(http.StatusOK, "text/html; charset=utf-8", []byte(`<!doctype html><title>login</title><form method=post><input name=login><input name=password type=password>
			<input type=hidden name=request value="`+html.EscapeString(c.Query("request"))+`"><button type=submit>go</button></form>`))
	})
	r.POST("/oauth2/login", s.login)
	r.POST("/oauth2/token", s.token)
	r.POST("/oauth2/revoke", func(c *gin.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.tokens, c.PostForm("token"))
		c.Status(http.StatusOK)
	})
	r.POST("/oauth2/logout", func(c *gin.Context) { c.Status(http.StatusOK) })
	r.GET("/favicon.ico", func(c *gin.Context) { c.Status(http.StatusNoContent) })
}

func (s *stub) login(c *gin.Context) {
	q, _ := url.ParseQuery(c.PostForm("request"))
	back := url.Values{"state": {q.Get("state")}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.me[c.PostForm("login")] == nil {
		back.Set("error", "access_denied")
	} else {
		code := random()
		s.codes[code] = grant{c.PostForm("login"), q.Get("code_challenge"), q.Get("redirect_uri"), q.Get("client_id")}
		back.Set("code", code)
	}
	c.Redirect(http.StatusSeeOther, q.Get("redirect_uri")+"?"+back.Encode())
}

func (s *stub) token(c *gin.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var login string
	switch c.PostForm("grant_type") {
	case "authorization_code":
		g := s.codes[c.PostForm("code")]
		delete(s.codes, c.PostForm("code"))
		sum := sha256.Sum256([]byte(c.PostForm("code_verifier")))
		if g.challenge == base64.RawURLEncoding.EncodeToString(sum[:]) && g.redirect == c.PostForm("redirect_uri") && g.client == c.PostForm("client_id") {
			login = g.login
		}
	case "refresh_token":
		login = s.tokens[c.PostForm("refresh_token")]
		delete(s.tokens, c.PostForm("refresh_token")) // each serves once
	}
	if login == "" {
		c.JSON(http.StatusBadRequest, obj{"error": "invalid_grant"})
		return
	}
	access, refresh := "access-"+random(), "refresh-"+random()
	s.tokens[access], s.tokens[refresh] = login, login
	c.JSON(http.StatusOK, obj{"access_token": access, "refresh_token": refresh, "token_type": "bearer", "expires_in": s.lifetime})
}

// endTokens makes every access token invalid, as a restart of the server with
// new keys would; refresh tokens stay.
func (s *stub) endTokens(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.tokens {
		if strings.HasPrefix(t, prefix) {
			delete(s.tokens, t)
		}
	}
}

func (s *stub) bearer(c *gin.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, _ := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
	login := s.tokens[token]
	if login == "" {
		outcome(c, http.StatusUnauthorized, "login", "an access token is required")
		return
	}
	if status := s.fail[c.Request.URL.Path]; status != 0 {
		outcome(c, status, "processing", "refused for the test")
		return
	}
	if c.Request.URL.Path != "/api/me" { // asked before the roles, and so the purpose, are known
		s.purposes[c.GetHeader("X-Purpose-Of-Use")]++
	}
	c.Set("login", login)
}

func outcome(c *gin.Context, status int, code, text string) {
	c.AbortWithStatusJSON(status, obj{"resourceType": "OperationOutcome", "issue": []obj{{"severity": "error", "code": code, "details": obj{"text": text}}}})
}

// --- FHIR ---------------------------------------------------------------------

// add keeps resources of one type behind those that it has.
func (s *stub) add(resources ...obj) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range resources {
		t := r["resourceType"].(string)
		s.resources[t] = append(s.resources[t], r)
	}
}

// search gives one page. The token of the next page is its offset.
func (s *stub) search(c *gin.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := c.Request.URL.Query()
	var found []obj
	for _, r := range s.resources[c.Param("type")] {
		if matchesQuery(r, q) {
			found = append(found, r)
		}
	}
	size, _ := strconv.Atoi(q.Get("_count"))
	from, _ := strconv.Atoi(q.Get("_page"))
	if size == 0 {
		size = 20
	}
	to := min(from+size, len(found))
	entries := []obj{}
	for _, r := range found[min(from, to):to] {
		entries = append(entries, obj{"resource": r, "search": obj{"mode": "match"}})
	}
	bundle := obj{"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entries}
	if to < len(found) {
		q.Set("_page", strconv.Itoa(to))
		// Another host name, as behind a proxy: the page must not follow it.
		bundle["link"] = []obj{{"relation": "next", "url": "https://exchange.example/fhir/" + c.Param("type") + "?" + q.Encode()}}
	}
	c.JSON(http.StatusOK, bundle)
}

// matchesQuery knows the few parameters that the pages use.
func matchesQuery(r obj, q url.Values) bool {
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	for name, want := range map[string]string{"status": `"status":"%s"`, "class": `"class":{"code":"%s"`, "encounter": `"encounter":{"reference":"%s"}`, "category": `"code":"%s"`, "clinical-status": `"clinicalStatus":{"coding":[{"code":"%s"`, "code": `"code":"%s"`, "action": `"action":"%s"`} {
		v := q.Get(name)
		if _, code, ok := strings.Cut(v, "|"); ok {
			v = code
		}
		any := func(one string) bool { return strings.Contains(text(r), fmt.Sprintf(want, one)) }
		if v != "" && !slices.ContainsFunc(strings.Split(v, ","), any) {
			return false
		}
	}
	for _, login := range q["altid:not"] {
		if strings.Contains(text(r), `"altId":"`+login+`"`) {
			return false
		}
	}
	id := q.Get("_id")
	return id == "" || r["id"] == id
}

func (s *stub) read(c *gin.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.resources[c.Param("type")]
	i := slices.IndexFunc(list, func(r obj) bool { return r["id"] == c.Param("id") })
	if i < 0 {
		outcome(c, http.StatusNotFound, "not-found", "no such resource")
		return
	}
	c.JSON(http.StatusOK, list[i])
}

// write creates or replaces a resource; an update needs If-Match.
func (s *stub) write(c *gin.Context) {
	var r obj
	if err := c.BindJSON(&r); err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, status := c.Param("type"), http.StatusCreated
	if id := c.Param("id"); id != "" {
		status = http.StatusOK
		i := slices.IndexFunc(s.resources[t], func(o obj) bool { return o["id"] == id })
		if i < 0 || c.GetHeader("If-Match") != `W/"1"` {
			outcome(c, http.StatusPreconditionFailed, "conflict", "the resource has changed")
			return
		}
		s.resources[t][i] = r
		c.JSON(status, r)
		return
	}
	r["id"] = strings.ToLower(t) + "-" + random()[:8]
	r["meta"] = obj{"versionId": "1"}
	s.resources[t] = append(s.resources[t], r)
	c.JSON(status, r)
}
