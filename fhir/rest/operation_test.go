package rest_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/rest"
)

func echo(c *gin.Context) {
	c.String(http.StatusOK, "%s %s %v", c.Param("type"), c.Param("id"), rest.CallerOf(c) != nil)
}

func TestOperations(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := start(t, func(_ *interact.Config, c *rest.Config) {
		c.Log = zerolog.New(&log)
		c.Operations = []rest.Operation{
			{Type: "Patient", Name: "$match", Handler: echo},
			{Type: "Patient", Name: "$everything", Level: rest.InstanceLevel | rest.TypeLevel, Reads: true, Handler: echo},
			{Name: "$status", Reads: true, Handler: echo},
			{Name: "$meta", Level: rest.InstanceLevel, Handler: echo},
			{Name: "$panic", Handler: func(*gin.Context) { panic("secret") }},
			{Name: "$fail", Handler: func(c *gin.Context) { rest.WriteError(c, fhir.Errorf(fhir.Internal, "secret cause")) }},
		}
	})
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"POST", "/Patient/$match", 200, "Patient $match true"},
		{"GET", "/Patient/$match", 405, ""},
		{"POST", "/Observation/$match", 400, ""},
		{"POST", "/Patient/1/$match", 400, ""},
		{"GET", "/Patient/1/$everything", 200, "Patient 1 true"},
		{"POST", "/Patient/1/$everything", 200, "Patient 1 true"},
		{"GET", "/Patient/$everything", 200, "Patient $everything true"},
		{"GET", "/$status", 200, "$status  true"},
		{"POST", "/$status", 200, "$status  true"},
		{"POST", "/Account/1/$meta", 200, "Account 1 true"},
		{"POST", "/$nonsense", 400, ""},
		{"POST", "/Patient/1/nonsense", 404, ""},
		{"POST", "/$panic", 500, ""},
		{"POST", "/$fail", 500, ""},
	} {
		a := w.do(c.method, c.path, "", "X-Request-Id", "req-1")
		if a.status != c.status || c.body != "" && string(a.body) != c.body {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.body)
		}
		if a.status == http.StatusMethodNotAllowed && a.header.Get("Allow") != "POST" { // RFC 9110, 15.5.6
			t.Errorf("%s %s: allowed is %q", c.method, c.path, a.header.Get("Allow"))
		}
		if a.header.Get("X-Request-Id") != "req-1" {
			t.Errorf("request id %q", a.header.Get("X-Request-Id"))
		}
		if c.status == 500 && bytes.Contains(a.body, []byte("secret")) {
			t.Errorf("%s tells %s", c.path, a.body)
		}
	}
	if s := log.String(); strings.Contains(s, `"secret"`) || strings.Count(s, "req-1") != 2 || !strings.Contains(s, "secret cause") {
		t.Errorf("log: %s", s)
	}
	if got := w.do("GET", "/$status", "", "X-Request-Id", "bad id\"").header.Get("X-Request-Id"); got == "" || strings.Contains(got, `"`) {
		t.Errorf("a request id of the client's making: %q", got)
	}
}

func TestCallersAreAsked(t *testing.T) {
	t.Parallel()
	w := start(t, func(_ *interact.Config, c *rest.Config) {
		c.Caller = func(c *gin.Context) (interact.Caller, error) {
			if c.GetHeader("Authorization") == "" {
				return nil, fhir.Errorf(fhir.Unauthorized, "log in first")
			}
			return interact.SystemCaller(""), nil
		}
	})
	for _, path := range []string{"/Patient/1", "/Patient", "/Patient/_history", "/", "/Patient/1/Observation", "/$x"} {
		if code, _, _ := w.do("GET", path, "").must(401).outcome(); code != "login" {
			t.Errorf("%s: %s", path, code)
		}
	}
	w.do("POST", "", `{}`).must(401)
	w.do("GET", "/metadata", "").must(200)
	w.do("GET", "/Patient", "", "Authorization", "Bearer x").must(200)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := rest.New(rest.Config{}); err == nil {
		t.Error("no service is needed")
	}
	if _, err := rest.New(rest.Config{Service: &interact.Service{}, Caller: open, Operations: []rest.Operation{{Name: "match", Handler: echo}}}); err == nil {
		t.Error("an operation without $ is taken")
	}
}

// TestTheRequestKeepsItsID: the one under which the log and the audit trail
// know it is the one that the client is told.
func TestTheRequestKeepsItsID(t *testing.T) {
	t.Parallel()
	server, err := rest.New(rest.Config{Service: start(t, nil).service, Caller: open})
	if err != nil {
		t.Fatal(err)
	}
	router := gin.New()
	server.Mount(router.Group("/fhir", func(c *gin.Context) { c.Header("X-Request-Id", "logged") }))
	answer := httptest.NewRecorder()
	router.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/fhir/metadata", nil))
	if got := answer.Header().Get("X-Request-Id"); got != "logged" {
		t.Errorf("told %q", got)
	}
}
