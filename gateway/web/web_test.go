package web_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"hutong/gateway/web"
)

// outside are the sources of the build that lie beyond app/.
var outside = []string{"../../../profiles/ig/CodeSystem-hr-item.json"}

// TestBuildIsCurrent compares the sum of the sources with the one that the
// build wrote down (app/build/stamp.mjs).
func TestBuildIsCurrent(t *testing.T) {
	t.Parallel()
	names := slices.Clone(outside)
	err := filepath.WalkDir("app", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "node_modules":
			return fs.SkipDir
		case !d.IsDir() && d.Name() != ".gitignore":
			rel, _ := filepath.Rel("app", path)
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	all := sha256.New()
	for _, name := range names {
		body, err := os.ReadFile(filepath.Join("app", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(all, "%x  %s\n", sha256.Sum256(body), name)
	}
	raw, err := os.ReadFile("dist/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Sources string }
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", all.Sum(nil)); got != manifest.Sources {
		t.Errorf("the sources have sum %s, the build is of %s: run make web", got, manifest.Sources)
	}
}

func handler(t *testing.T) http.Handler {
	t.Helper()
	gin.SetMode(gin.TestMode)
	site, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	site.Mount(r)
	return r
}

func get(h http.Handler, method, path string, header ...string) *http.Response {
	req := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Result()
}

// TestServe holds the routes, the cache rules and the policy.
func TestServe(t *testing.T) {
	t.Parallel()
	h := handler(t)
	for _, app := range web.Apps {
		index := get(h, "GET", "/"+app+"/")
		body, _ := io.ReadAll(index.Body)
		if index.StatusCode != 200 || index.Header.Get("Cache-Control") != "no-store" || index.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %v", app, index.StatusCode, index.Header)
		}
		for _, inline := range []string{"<style", "style=", "onload=", "javascript:"} {
			if strings.Contains(string(body), inline) {
				t.Errorf("%s: the page has inline %q", app, inline)
			}
		}
		assets := regexp.MustCompile(`(?:src|href)="(/[^"]+)"`).FindAllStringSubmatch(string(body), -1)
		if len(assets) < 3 {
			t.Fatalf("%s: a page with %d files", app, len(assets))
		}
		for _, m := range assets {
			a := get(h, "GET", m[1])
			if a.StatusCode != 200 || a.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || !strings.HasPrefix(m[1], "/"+app+"/assets/") {
				t.Errorf("%s: %d %v", m[1], a.StatusCode, a.Header)
			}
		}
		if r := get(h, "GET", "/"+app); r.StatusCode != 308 || r.Header.Get("Location") != "/"+app+"/" {
			t.Errorf("/%s: %d to %s", app, r.StatusCode, r.Header.Get("Location"))
		}
		for _, missing := range []string{"nothing", "assets/", "assets/../index.html", "..%2fmanifest.json"} {
			r := get(h, "GET", "/"+app+"/"+missing)
			if r.StatusCode != 404 || r.Header.Get("Content-Security-Policy") != web.Policy {
				t.Errorf("%s: %d", missing, r.StatusCode)
			}
		}
		if r := get(h, "HEAD", "/"+app+"/"); r.StatusCode != 200 {
			t.Errorf("HEAD: %d", r.StatusCode)
		}
	}
}

// TestPolicy: nothing inline, nothing foreign, no frames.
func TestPolicy(t *testing.T) {
	t.Parallel()
	r := get(handler(t), "GET", "/resident/")
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	policy := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
	for _, never := range []string{"unsafe", "*", "http:", "data:"} {
		if strings.Contains(policy, never) {
			t.Errorf("the policy allows %s", never)
		}
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	h := handler(t)
	plain, _ := io.ReadAll(get(h, "GET", "/console/").Body)
	for _, c := range []struct {
		accept string
		zipped bool
	}{
		{"", false}, {"gzip", true}, {"br, gzip;q=0.8", true}, {"gzip;q=0", false}, {"gzip; q=0.0", false}, {"gzip;q=0.001", true}, {"identity", false}, {"xgzip", false},
	} {
		r := get(h, "GET", "/console/", "Accept-Encoding", c.accept)
		if got := r.Header.Get("Content-Encoding") == "gzip"; got != c.zipped || r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: gzip %v, Vary %q", c.accept, got, r.Header.Get("Vary"))
		}
		if !c.zipped {
			continue
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(z); string(body) != string(plain) {
			t.Errorf("%q: another body", c.accept)
		}
	}
}

// TestLockfile: the packages come from the public registry, whoever builds.
func TestLockfile(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("app/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"resolved": "([^"]+)"`).FindAllStringSubmatch(string(raw), -1) {
		if !strings.HasPrefix(m[1], "https://registry.npmjs.org/") {
			t.Errorf("resolved from %s", m[1])
		}
	}
}
