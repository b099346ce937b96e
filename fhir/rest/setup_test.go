package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/internal/testbed"
	"hutong/fhir/rest"
	"hutong/fhir/store/disk"
)

// base is the public base of every world: the name under which a proxy would
// show the test's server.
const base = testbed.Base

// world is a repository behind a real HTTP server, on a real disk store.
type world struct {
	t       *testing.T
	server  string // where base really is
	service *interact.Service
	store   *disk.Store
	client  *http.Client
}

// open is the caller of --auth open.
func open(*gin.Context) (interact.Caller, error) { return interact.SystemCaller(""), nil }

// start makes a world. change, if given, edits the configurations.
func start(t *testing.T, change func(*interact.Config, *rest.Config)) *world {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)

	r := testbed.R4(t)
	db := r.Store(t)
	ic := r.Config(db)
	rc := rest.Config{Caller: open, Log: zerolog.Nop()}
	if change != nil {
		change(&ic, &rc)
	}
	service, err := interact.New(ic)
	if err != nil {
		t.Fatal(err)
	}
	rc.Service = service
	binding, err := rest.New(rc)
	if err != nil {
		t.Fatal(err)
	}
	binding.Mount(router.Group("/fhir"))
	router.NoRoute(rest.NoRoute)
	return &world{t: t, server: server.URL + "/fhir", service: service, store: db, client: server.Client()}
}

// answer is a response, read to its end.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// do sends a request; path is below the base, or begins with it. Headers come as pairs.
func (w *world) do(method, path, body string, headers ...string) *answer {
	w.t.Helper()
	a, err := w.try(method, path, body, headers...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) try(method, path, body string, headers ...string) (*answer, error) {
	url := w.server + strings.TrimPrefix(path, base)
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, url, r)
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return &answer{w.t, res.StatusCode, res.Header, b}, err
}

// must fails the test unless the status is as expected.
func (a *answer) must(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, cut(a.body))
	}
	return a
}

func cut(b []byte) []byte { return b[:min(len(b), 1500)] }

// tree is the body as a JSON tree with the digits of its numbers.
func (a *answer) tree() map[string]any {
	a.t.Helper()
	return tree(a.t, a.body)
}

func tree(t *testing.T, b []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatalf("not JSON: %v: %s", err, cut(b))
	}
	return m
}

// bundle is what the tests look at in a Bundle.
type bundle struct {
	Type  string
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		FullURL  string
		Resource json.RawMessage
		Search   struct{ Mode string }
		Request  struct{ Method, URL string }
		Response struct {
			Status, Location, Etag string
			Outcome                json.RawMessage
		}
	}
}

func (a *answer) bundle() *bundle {
	a.t.Helper()
	var b bundle
	if err := json.Unmarshal(a.body, &b); err != nil {
		a.t.Fatalf("not a Bundle: %v: %s", err, cut(a.body))
	}
	return &b
}

func (b *bundle) link(relation string) string {
	for _, l := range b.Link {
		if l.Relation == relation {
			return l.URL
		}
	}
	return ""
}

// ids lists Type/id of the entries of a search mode.
func (b *bundle) ids(mode string) []string {
	var ids []string
	for _, e := range b.Entry {
		if mode == "" || e.Search.Mode == mode {
			var r struct{ ResourceType, ID string }
			_ = json.Unmarshal(e.Resource, &r) // an entry without one gives "/"
			ids = append(ids, r.ResourceType+"/"+r.ID)
		}
	}
	return ids
}

// outcome gives code and expression of the first issue.
func (a *answer) outcome() (code, expression, text string) {
	a.t.Helper()
	var o struct {
		ResourceType string
		Issue        []struct {
			Code       string
			Details    struct{ Text string }
			Expression []string
		}
	}
	if err := json.Unmarshal(a.body, &o); err != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) == 0 {
		a.t.Fatalf("not an OperationOutcome: %s", cut(a.body))
	}
	is := o.Issue[0]
	if len(is.Expression) > 0 {
		expression = is.Expression[0]
	}
	return is.Code, expression, is.Details.Text
}

func id(t *testing.T, a *answer) string {
	t.Helper()
	s, _ := a.tree()["id"].(string)
	if !fhir.ValidID(s) {
		t.Fatalf("no id in %s", cut(a.body))
	}
	return s
}
