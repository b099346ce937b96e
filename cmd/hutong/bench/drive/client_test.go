package drive_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hutong/cmd/hutong/bench/drive"
)

func TestClientSendsAndChecks(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/base/gone" {
			http.Error(w, `{"resourceType":"OperationOutcome"}`, http.StatusGone)
			return
		}
		w.Header().Set("X-Seen", strings.Join([]string{
			r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header.Get("Prefer"), r.Header.Get("X-All"), string(body),
		}, " "))
		_, _ = io.WriteString(w, `{"entry":[]}`)
	}))
	defer srv.Close()
	c, err := drive.NewClient(srv.URL+"/base/", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Header = []string{"X-All: yes"}
	c.Token = func(context.Context) (string, error) { return "secret", nil }
	conn, ctx := c.Conn(), context.Background()
	a, err := conn.Do(ctx, &drive.Request{Method: "POST", Path: "/$import?a=b%7Cc", Body: []byte("{}"), Header: []string{"Prefer: return=minimal"}, Has: []byte(`"entry"`)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.Header("X-Seen"), "POST /base/$import?a=b%7Cc application/fhir+json Bearer secret return=minimal yes {}"; got != want {
		t.Errorf("the server saw\n%s, want\n%s", got, want)
	}
	if a, err = conn.Do(ctx, &drive.Request{Method: "GET", Path: "/x"}); err != nil || strings.Contains(a.Header("X-Seen"), "{}") {
		t.Errorf("a second request carries the body of the first: %q, %v", a.Header("X-Seen"), err)
	}
	if _, err = conn.Do(ctx, &drive.Request{Method: "GET", Path: "/x", Has: []byte(`"total"`)}); err == nil {
		t.Error("an answer without what it must have is taken for good")
	}
	a, err = conn.Do(ctx, &drive.Request{Method: "GET", Path: "/gone?name=secret"})
	if err == nil || a.Status != http.StatusGone || !strings.Contains(err.Error(), "OperationOutcome") || strings.Contains(err.Error(), "secret") {
		t.Errorf("status %d, error %v: want 410 and its outcome, and no query", a.Status, err)
	}
	if _, err = conn.Do(ctx, &drive.Request{Method: "GET", Path: "/gone", Want: http.StatusGone}); err != nil {
		t.Errorf("an expected status is an error: %v", err)
	}
}

func TestClientHoldsDeadlines(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	c, err := drive.NewClient(srv.URL, 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Conn().Do(ctx, &drive.Request{Method: "GET", Path: "/"}); err == nil {
		t.Error("a request outlived its deadline")
	}
}

func TestRelative(t *testing.T) {
	c, err := drive.NewClient("http://127.0.0.1:1/fhir", 1)
	if err != nil {
		t.Fatal(err)
	}
	for link, want := range map[string]string{
		"http://127.0.0.1:1/fhir/Observation?_page=a%7Cb": "/Observation?_page=a%7Cb",
		"http://public.example/fhir?_getpages=1":          "?_getpages=1",
		"http://127.0.0.1:1/other":                        "",
	} {
		got, err := c.Relative(link)
		if got != want || (want == "") != (err != nil) {
			t.Errorf("%s: %q, %v, want %q", link, got, err, want)
		}
	}
	for _, base := range []string{"", "ftp://x", "127.0.0.1:1", "http://"} {
		if _, err := drive.NewClient(base, 1); err == nil {
			t.Errorf("%q is taken for a base", base)
		}
	}
}
