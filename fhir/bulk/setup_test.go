package bulk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/bulk"
	"hutong/fhir/interact"
	"hutong/fhir/internal/testbed"
	"hutong/fhir/rest"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

const base = testbed.Base

// org is the caller of a hospital's system: it sees what its organisation
// keeps. "all" sees everything, "doctor" may not use bulk operations, and
// "scoped" may export Patients only.
type org struct {
	interact.Caller
	name   string
	widens bool
}

func caller(name string) org {
	return org{interact.SystemCaller(name), name, strings.HasPrefix(name, "joined")}
}

func (o org) Restrict(_ context.Context, op interact.Op, _ []fhir.Key) (search.Restriction, error) {
	switch o.name {
	case "all", "joined":
		return search.Unrestricted(), nil
	case "scoped":
		if op.Type != "Patient" {
			return search.Restriction{}, fhir.Errorf(fhir.Forbidden, "no scope")
		}
		return search.Unrestricted(), nil
	}
	return search.Restriction{Decided: true, Permit: []search.Rule{{Custodians: []string{o.name}}}}, nil
}

func (o org) Stamp() interact.Stamp {
	return interact.Stamp{Custodian: o.name, System: o.name == "all"}
}
func (o org) ExpandPersons() bool { return o.widens }

// access admits everybody but the doctor.
type access struct{}

func (access) Admit(c *gin.Context, _ string) (bulk.Requester, error) {
	name := c.GetHeader("Authorization")
	if name == "doctor" {
		return bulk.Requester{}, fhir.Errorf(fhir.Forbidden, "systems only")
	}
	return bulk.Requester{Owner: name, Acting: []byte(name)}, nil
}

func (access) Resume(ctx context.Context, acting []byte) (context.Context, interact.Caller, error) {
	return ctx, caller(string(acting)), nil
}

// ledger is an auditor that remembers. Its gate, if set, is passed by each
// export of a page.
type ledger struct {
	mu      sync.Mutex
	entries []interact.Disclosure
	gate    func()
}

func (l *ledger) Record(_ context.Context, d interact.Disclosure) error {
	l.mu.Lock()
	gate := l.gate
	l.entries = append(l.entries, d)
	l.mu.Unlock()
	if gate != nil && d.Op.Interaction == "$export" && d.Op.Type != "" && len(d.Keys) > 0 {
		gate()
	}
	return nil
}

func (l *ledger) of(interaction string) (list []interact.Disclosure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.entries {
		if d.Op.Interaction == interaction {
			list = append(list, d)
		}
	}
	return list
}

// world is an exchange behind a real HTTP server, on a real disk store. stop
// ends it as a process would; start again with the same directory goes on.
type world struct {
	t       testing.TB
	dir     string
	server  string
	url     string // of the jobs
	service *interact.Service
	bulk    *bulk.Service
	audit   *ledger
	limits  bulk.Limits
	node    string
	space   store.Space
	stop    func()
}

func start(t testing.TB, limits bulk.Limits) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), audit: &ledger{}, limits: limits}
	w.open()
	t.Cleanup(func() { w.stop() })
	return w
}

// open opens the house and serves it.
func (w *world) open() {
	w.t.Helper()
	gin.SetMode(gin.ReleaseMode)
	r := testbed.R4(w.t)
	db := r.Open(w.t, filepath.Join(w.dir, "store"))
	cfg := r.Config(db)
	cfg.Auditor, cfg.PageKey, cfg.About = w.audit, bytes.Repeat([]byte{1}, 32), interact.About{Operations: bulk.Definitions()}
	cfg.Persons = testbed.Families{{{Type: "Patient", ID: "p1"}, {Type: "Patient", ID: "q1"}}}
	var err error
	w.service, err = interact.New(cfg)
	w.must(err)
	w.space = db.Space("bulk")
	router := gin.New()
	router.ContextWithFallback = true
	server := httptest.NewServer(router)
	w.server, w.url = server.URL+"/fhir", server.URL+"/api/bulk"
	w.bulk, err = bulk.New(bulk.Config{
		Service: w.service, Space: w.space, Dir: filepath.Join(w.dir, "export"), Node: w.node, Access: access{}, URL: w.url,
		Log: zerolog.Nop(), Limits: w.limits,
	})
	w.must(err)
	binding, err := rest.New(rest.Config{
		Service: w.service, Operations: w.bulk.Operations(), Log: zerolog.Nop(),
		Caller: func(c *gin.Context) (interact.Caller, error) { return caller(c.GetHeader("Authorization")), nil },
	})
	w.must(err)
	binding.Mount(router.Group("/fhir"))
	w.bulk.Mount(router.Group("/api/bulk"))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.bulk.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		server.Close()
		w.must(db.Close())
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// answer is a response, read to its end.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// do sends a request as somebody; address is absolute or below the base.
func (w *world) do(as, method, address, body string, headers ...string) *answer {
	w.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = w.server + address
	}
	address = strings.Replace(address, base, w.server, 1)
	req, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	w.must(err)
	req.Header.Set("Authorization", as)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	w.must(err)
	return &answer{w.t, res.StatusCode, res.Header, b}
}

func (a *answer) must(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body[:min(len(a.body), 1500)])
	}
	return a
}

// bundle is what the tests look at in a Bundle.
type bundle struct {
	Type  string
	Total int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		Resource struct{ ResourceType, ID string }
		Search   struct{ Mode string }
	}
}

func (a *answer) bundle() (b bundle) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, &b); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	return b
}

func (b *bundle) next() string {
	for _, l := range b.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}

// ids lists the entries of a mode, sorted.
func (b *bundle) ids(mode string) []string {
	ids := []string{}
	for _, e := range b.Entry {
		if e.Search.Mode == mode {
			ids = append(ids, e.Resource.ResourceType+"/"+e.Resource.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// put stores resources, kept by an organisation.
func (w *world) put(keeper string, resources ...string) {
	w.t.Helper()
	raw := make([][]byte, len(resources))
	for i, r := range resources {
		raw[i] = []byte(r)
	}
	_, err := w.service.Put(context.Background(), interact.SystemCaller(keeper), raw...)
	w.must(err)
}

func patient(id string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"birthDate":"1980-01-01"}`, id)
}

func observation(id, patient, date string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/%s"},`+
		`"effectiveDateTime":%q,"performer":[{"reference":"Organization/o1"}]}`, id, patient, date)
}

// until waits for a condition, ten seconds at most.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("timed out: %s", what)
		}
	}
}
