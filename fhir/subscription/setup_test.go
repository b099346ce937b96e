package subscription_test

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

	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/internal/testbed"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/subscription"
)

const base = testbed.Base

// gate is what the gateway decides, as a test sets it.
type gate struct {
	mu     sync.Mutex
	denied map[fhir.Key]bool // patients of whom nobody else may know
	closed map[string]bool   // accounts that have ended
	asked  int
}

func (g *gate) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// org is the caller of an organisation's system: it sees its own and of the
// others what is not denied.
type org struct {
	interact.Caller
	name string
	gate *gate
}

func (o org) Restrict(_ context.Context, op interact.Op, about []fhir.Key) (search.Restriction, error) {
	if op.Interaction != subscription.Interaction {
		return search.Unrestricted(), nil
	}
	o.gate.mu.Lock()
	defer o.gate.mu.Unlock()
	o.gate.asked++
	r := search.Restriction{Decided: true, Permit: []search.Rule{{}}}
	for _, k := range about {
		if o.gate.denied[k] {
			r.Deny = append(r.Deny, search.Rule{Patients: []fhir.Key{k}, NotCustody: []string{o.name}})
		}
	}
	return r, nil
}

func (o org) Stamp() interact.Stamp { return interact.Stamp{Custodian: o.name} }

// access admits every organisation but "doctor".
type access struct{ gate *gate }

func (a access) Admit(_ context.Context, c interact.Caller) ([]byte, error) {
	o, ok := c.(org)
	if !ok || o.name == "doctor" {
		return nil, fhir.Errorf(fhir.Forbidden, "systems only")
	}
	return []byte(o.name), nil
}

func (a access) Resume(ctx context.Context, acting []byte) (context.Context, interact.Caller, error) {
	a.gate.mu.Lock()
	defer a.gate.mu.Unlock()
	if a.gate.closed[string(acting)] {
		return nil, nil, fhir.Errorf(fhir.NotFound, "no such client")
	}
	return ctx, org{interact.SystemCaller(string(acting)), string(acting), a.gate}, nil
}

// ledger is an auditor that remembers, and fails when told to.
type ledger struct {
	mu      sync.Mutex
	entries []interact.Disclosure
	err     error
}

func (l *ledger) Record(_ context.Context, d interact.Disclosure) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.entries = append(l.entries, d)
	}
	return l.err
}

func (l *ledger) notified() (keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.entries {
		if d.Op.Interaction == subscription.Interaction {
			keys = append(keys, d.Keys[0].String())
		}
	}
	return keys
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func patient(id string) fhir.Key { return fhir.Key{Type: "Patient", ID: id} }

// world is a repository with subscriptions, on a real disk store. stop ends it
// as a process would; open with the same folder goes on.
type world struct {
	t       testing.TB
	dir     string
	gate    *gate
	audit   *ledger
	limits  subscription.Limits
	content bool
	hosts   []string

	store   store.Store
	fhir    *interact.Service
	service *subscription.Service
	stop    func()
}

func newWorld(t testing.TB, change func(*world)) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), audit: &ledger{}, hosts: []string{"127.0.0.1"}, stop: func() {},
		gate:   &gate{denied: map[fhir.Key]bool{}, closed: map[string]bool{}},
		limits: subscription.Limits{Pause: time.Millisecond, MaxPause: 20 * time.Millisecond, Linger: time.Millisecond, Attempts: 5, Handshakes: 2, Deadline: 5 * time.Second},
	}
	if change != nil {
		change(w)
	}
	w.open()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// build opens the house without notifying.
func (w *world) build() {
	w.t.Helper()
	r := testbed.R4(w.t)
	db := r.Open(w.t, filepath.Join(w.dir, "store"))
	w.store = db
	persons := testbed.Families{{patient("here"), patient("there")}}
	var err error
	w.service, err = subscription.New(subscription.Config{
		Store: db, Space: db.Space("subscription"), Defs: r.Defs, Parser: r.Parser, Extractor: r.Extractor, Persons: persons,
		Auditor: w.audit, Access: access{w.gate}, BaseURL: base, Custodian: "exchange", Content: w.content, Hosts: w.hosts,
		Log: zerolog.Nop(), Limits: w.limits,
	})
	w.must(err)
	cfg := r.Config(db)
	cfg.Curators, cfg.PageKey = map[fhir.Type]interact.Curator{subscription.Type: w.service}, bytes.Repeat([]byte{1}, 32)
	w.fhir, err = interact.New(cfg)
	w.must(err)
}

func (w *world) open() {
	w.t.Helper()
	w.build()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.service.Run(ctx, w.fhir) }()
	db := w.store
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("run: %v", err)
		}
		if err := db.Close(); err != nil {
			w.t.Errorf("close: %v", err)
		}
	})
}

func (w *world) caller(name string) interact.Caller {
	return org{interact.SystemCaller(name), name, w.gate}
}

// put stores a resource for an organisation.
func (w *world) put(owner, body string) fhir.Resource {
	w.t.Helper()
	var r struct{ ResourceType, ID string }
	w.must(json.Unmarshal([]byte(body), &r))
	done, err := w.fhir.Update(context.Background(), w.caller(owner), fhir.Key{Type: fhir.Type(r.ResourceType), ID: r.ID}, []byte(body), interact.WriteOptions{})
	w.must(err)
	return done.Resource
}

func observation(id, patient, code string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"coding":[{"system":"http://loinc.org","code":%q}]},"subject":{"reference":"Patient/%s"}}`, id, code, patient)
}

// sub is a Subscription as a test writes it.
type sub struct {
	ResourceType string  `json:"resourceType"`
	ID           string  `json:"id"`
	Status       string  `json:"status"`
	Reason       string  `json:"reason"`
	Criteria     string  `json:"criteria"`
	Error        string  `json:"error,omitempty"`
	End          string  `json:"end,omitempty"`
	Channel      channel `json:"channel"`
}

type channel struct {
	Type     string   `json:"type"`
	Endpoint string   `json:"endpoint,omitempty"`
	Payload  string   `json:"payload,omitempty"`
	Header   []string `json:"header,omitempty"`
}

func hook(id, criteria, endpoint string) *sub {
	return &sub{ResourceType: "Subscription", ID: id, Status: "requested", Reason: "test", Criteria: criteria, Channel: channel{Type: "rest-hook", Endpoint: endpoint}}
}

func (w *world) submit(owner string, s *sub) (fhir.Resource, error) {
	w.t.Helper()
	raw, err := json.Marshal(s)
	w.must(err)
	done, err := w.fhir.Update(context.Background(), w.caller(owner), fhir.Key{Type: "Subscription", ID: s.ID}, raw, interact.WriteOptions{})
	return done.Resource, err
}

// subscribe submits and waits until the Subscription is active.
func (w *world) subscribe(owner string, s *sub) {
	w.t.Helper()
	_, err := w.submit(owner, s)
	w.must(err)
	w.becomes(s.ID, "active")
}

func (w *world) read(id string) (s sub, raw string) {
	w.t.Helper()
	r, err := w.fhir.Read(context.Background(), interact.SystemCaller(""), fhir.Key{Type: "Subscription", ID: id})
	w.must(err)
	w.must(json.Unmarshal(r.JSON(), &s))
	return s, string(r.JSON())
}

// becomes waits for a status.
func (w *world) becomes(id, status string) sub {
	w.t.Helper()
	var s sub
	w.eventually(func() bool { s, _ = w.read(id); return s.Status == status }, func() string {
		return fmt.Sprintf("Subscription %s is %s (%s), want %s", id, s.Status, s.Error, status)
	})
	return s
}

func (w *world) eventually(holds func() bool, what func() string) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("after 20 s: " + what())
		}
	}
}

// call is one request that a receiver got.
type call struct {
	method, path, about, via, etag, auth, mime string
	body                                       string
	audited                                    int // records in the trail when it came
}

// receiver is a real HTTP server that remembers.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []call
	answer func(n int, c call) int // status of the n-th call; nil = 204
}

func newReceiver(t testing.TB, audit *ledger) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		c := call{method: req.Method, path: req.URL.Path, etag: req.Header.Get("ETag"), auth: req.Header.Get("Authorization"), mime: req.Header.Get("Content-Type"), body: string(body)}
		if audit != nil {
			c.audited = len(audit.notified())
		}
		for _, link := range req.Header.Values("Link") {
			target, rel, _ := strings.Cut(strings.TrimPrefix(link, "<"+base+"/"), ">; rel=")
			switch rel {
			case `"about"`:
				c.about = target
			case `"via"`:
				c.via = target
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls = append(r.calls, c)
		status := http.StatusNoContent
		if r.answer != nil {
			status = r.answer(len(r.calls), c)
		}
		if status == http.StatusFound {
			res.Header().Set("Location", "/elsewhere")
		}
		res.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(f func(n int, c call) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) got() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// about lists what the calls named, in order, without the first ones of
// activation.
func (r *receiver) about() (list []string) {
	for _, c := range r.got() {
		if c.about != "" {
			list = append(list, c.about)
		}
	}
	return list
}

// hears waits until the receiver was told of exactly these.
func (w *world) hears(r *receiver, want ...string) {
	w.t.Helper()
	w.eventually(func() bool { return len(r.about()) >= len(want) }, func() string { return fmt.Sprintf("heard of %v, want %v", r.about(), want) })
	if got := r.about(); !slices.Equal(got, want) {
		w.t.Fatalf("heard of %v, want %v", got, want)
	}
}

// settles waits until nothing waits for a Subscription: then a stop makes no
// repeats.
func (w *world) settles(id string) {
	w.t.Helper()
	n := -1
	w.eventually(func() bool {
		var err error
		n, err = w.service.Waiting(context.Background(), id)
		w.must(err)
		return n == 0
	}, func() string { return fmt.Sprintf("%d notifications wait", n) })
}
