package auth

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"
	"golang.org/x/text/language"
)

//go:embed pages/*
var pageFiles embed.FS

// pages renders what people see of the authorization server.
type pages struct {
	html  *template.Template
	css   []byte
	match language.Matcher
	words []words // in the order of the matcher's tags
}

// page is one rendering.
type page struct {
	Name    string // "login", "done" or "out"
	Error   string // key of words.Errors, "" if none
	CSRF    string
	Request string // the authorize query to come back to
	Other   string // URL of this page in the other language
	Words   words
}

func newPages() (*pages, error) {
	html, err := template.ParseFS(pageFiles, "pages/page.html")
	if err != nil {
		return nil, err
	}
	css, err := pageFiles.ReadFile("pages/login.css")
	if err != nil {
		return nil, err
	}
	return &pages{
		html: html, css: css,
		match: language.NewMatcher([]language.Tag{language.Make("zh-CN"), language.English}),
		words: []words{chinese(), english()},
	}, nil
}

// language picks the words: ui_locales of the request, then the browser's.
func (p *pages) language(c *gin.Context) words {
	_, i := language.MatchStrings(p.match, c.Query("ui_locales"), c.GetHeader("Accept-Language"))
	return p.words[i]
}

func (s *Server) stylesheet(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=3600")
	c.Data(http.StatusOK, "text/css; charset=utf-8", s.pages.css)
}

// showForm shows the login form. The form cookie is kept if the browser has
// one, so that forms in several tabs work.
func (s *Server) showForm(c *gin.Context, status int, request, problem string) {
	if len(request) > maxForm/4 {
		request = ""
	}
	cookie, err := c.Cookie(formCookie)
	if err != nil || len(cookie) != len(randomToken()) {
		cookie = randomToken()
	}
	s.setCookie(c, formCookie, cookie, http.SameSiteStrictMode, 0)
	s.showPage(c, status, page{Name: "login", Error: problem, CSRF: s.formToken(cookie), Request: request})
}

// showPage renders a page under a policy that allows our stylesheet, a form to
// ourselves (and to the app that the login leads back to), and nothing else.
func (s *Server) showPage(c *gin.Context, status int, p page) {
	p.Words = s.pages.language(c)
	p.Other = c.Request.URL.Path + "?" + url.Values{"request": {p.Request}, "ui_locales": {p.Words.OtherTag}}.Encode()
	var b bytes.Buffer
	if err := s.pages.html.ExecuteTemplate(&b, "page.html", p); err != nil {
		s.cfg.Log.Error().Err(err).Msg("page")
		c.Status(http.StatusInternalServerError)
		return
	}
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'"+s.appOrigin(c, p.Request)+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Language", p.Words.Tag)
	c.Data(status, "text/html; charset=utf-8", b.Bytes())
}

// appOrigin is the origin of the registered redirect that the request names:
// browsers hold form-action to the redirects that follow a form too.
func (s *Server) appOrigin(c *gin.Context, request string) string {
	q, err := url.ParseQuery(request)
	if err != nil {
		return ""
	}
	cl, err := s.client(c.Request.Context(), q.Get("client_id"))
	if err != nil {
		return ""
	}
	for _, r := range cl.Redirects {
		if r == q.Get("redirect_uri") {
			return " " + origin(r)
		}
	}
	return ""
}

// words are the texts of the pages in one language.
type words struct {
	Tag, OtherTag, OtherName          string
	Title, Product, Login, Password   string
	Code, CodeHint, Submit, Done, Out string
	Errors                            map[string]string
}

func chinese() words {
	return words{
		Tag: "zh-CN", OtherTag: "en", OtherName: "English",
		Title: "登录", Product: "互通 区域卫生信息平台", Login: "账号", Password: "密码",
		Code: "动态验证码", CodeHint: "未启用双因素认证的账号可不填", Submit: "登录",
		Done: "您已登录，可以关闭本页。", Out: "您已安全退出。",
		Errors: map[string]string{
			"wrong":   "账号、密码或验证码有误，或账号已暂时锁定。",
			"expired": "登录页面已过期，请重试。",
			"slow":    "登录过于频繁，请稍后再试。",
			"failed":  "系统暂时无法完成此操作，请稍后再试。",
		},
	}
}

func english() words {
	return words{
		Tag: "en", OtherTag: "zh-CN", OtherName: "中文",
		Title: "Log in", Product: "Hutong health information exchange", Login: "Account", Password: "Password",
		Code: "One-time code", CodeHint: "Leave empty if your account has no second factor", Submit: "Log in",
		Done: "You are logged in. You may close this page.", Out: "You are logged out.",
		Errors: map[string]string{
			"wrong":   "The account, password or code is wrong, or the account is locked for a while.",
			"expired": "This login page has expired. Please try again.",
			"slow":    "Too many logins. Please try again later.",
			"failed":  "The system cannot do this right now. Please try again later.",
		},
	}
}
