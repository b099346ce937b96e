// Package web serves the two pages of the exchange from the binary:
// /resident/ for the people whose records these are, /console/ for stewards,
// clinicians, coordinators and auditors. The pages are static; everything
// they show they ask of the public API with the user's own token.
package web

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

//go:generate npm --prefix app ci
//go:generate npm --prefix app run build

//go:embed all:dist
var dist embed.FS

// Apps are the names of the pages, which are also their paths: /resident/.
var Apps = [...]string{"resident", "console"}

// Policy is the Content-Security-Policy of every answer: own files only,
// nothing inline, no frames, no plugins, no base element.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// file is one built file, ready to send.
type file struct {
	body    []byte
	gzipped []byte // nil where compression does not pay
	kind    string // Content-Type
	cache   string // Cache-Control
}

// Site holds the built pages in memory. Immutable; safe for concurrent use.
type Site struct{ files map[string]file }

// New reads the embedded build. It fails only for a binary built from a
// broken dist folder.
func New() (*Site, error) {
	s := &Site{files: map[string]file{}}
	for _, app := range Apps {
		if err := s.load("dist/"+app, "/"+app+"/"); err != nil {
			return nil, fmt.Errorf("load page %s: %w", app, err)
		}
	}
	return s, nil
}

func (s *Site) load(dir, base string) error {
	return fs.WalkDir(dist, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(name, dir+"/")
		s.files[base+strings.TrimSuffix(rel, "index.html")] = newFile(rel, body)
		return nil
	})
}

func newFile(name string, body []byte) file {
	f := file{body: body, kind: contentType(name), cache: "no-store"}
	if strings.HasPrefix(name, "assets/") { // the name carries a hash of the content
		f.cache = "public, max-age=31536000, immutable"
	}
	if z := compress(body); len(z) < len(body)*9/10 {
		f.gzipped = z
	}
	return f
}

func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

// compress never fails: a bytes.Buffer takes every write.
func compress(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = w.Write(body)
	_ = w.Close()
	return b.Bytes()
}

// Mount routes /resident/ and /console/ (GET and HEAD).
func (s *Site) Mount(r gin.IRouter) {
	for _, app := range Apps {
		base := "/" + app
		toSlash := func(c *gin.Context) { c.Redirect(http.StatusPermanentRedirect, base+"/") }
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r.Handle(method, base, toSlash)
			r.Handle(method, base+"/*file", s.serve)
		}
	}
}

func (s *Site) serve(c *gin.Context) {
	secure(c.Writer.Header())
	f, ok := s.files[c.Request.URL.Path]
	if !ok {
		c.Header("Cache-Control", "no-store")
		c.String(http.StatusNotFound, "not found\n")
		return
	}
	body := f.body
	c.Header("Cache-Control", f.cache)
	if f.gzipped != nil {
		c.Header("Vary", "Accept-Encoding")
		if acceptsGzip(c.GetHeader("Accept-Encoding")) {
			c.Header("Content-Encoding", "gzip")
			body = f.gzipped
		}
	}
	c.Data(http.StatusOK, f.kind, body)
}

// acceptsGzip reports whether an Accept-Encoding header lists gzip and does
// not refuse it by a weight of zero.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";q=")
		if name == "gzip" {
			q, err := strconv.ParseFloat(weight, 64)
			return weight == "" || err == nil && q > 0
		}
	}
	return false
}

// secure sets the headers that every answer of the pages carries.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
}
