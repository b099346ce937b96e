package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hutong/cmd/hutong/client"
	"hutong/cmd/hutong/exchange"
	"hutong/testdata/region"
)

// stage is a running exchange with the demonstration's region loaded, and the
// people who use it. It is the real thing: real storage, real NATS, real HTTP.
type stage struct {
	t     *testing.T
	dir   string
	url   string
	demo  demoCmd
	hero  region.Facts
	guest guest
	e     *exchange.Exchange
	// store is the engine that it keeps its data in; "" is the embedded one.
	store string
	open  bool // no authentication
	// tune changes the settings that it is started with; nil changes nothing.
	tune func(*exchange.Settings)
	// archive is where the exchange keeps its archive when it is started next.
	archive  string
	keepDays int

	mu     sync.Mutex
	tokens map[string]string
	stop   func()
}

// raise builds a stage with this many people; it is taken down with the test.
func raise(t *testing.T, people int) *stage {
	t.Helper()
	return raiseOn(t, people, "")
}

// raiseOn is raise on another engine.
func raiseOn(t *testing.T, people int, store string) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{t: t, dir: dir, store: store, tokens: map[string]string{}}
	s.demo = demoCmd{Dir: dir, Listen: freeAddress(t), People: people, Seed: 42}
	s.start()
	t.Cleanup(func() { s.stop() })
	show, err := s.demo.prepare(context.Background(), s.e)
	if err != nil {
		t.Fatal(err)
	}
	s.hero, s.guest = show.hero, show.guest
	return s
}

// start opens the exchange on the stage's folder and serves it.
func (s *stage) start() {
	s.t.Helper()
	cfg := s.demo.settings()
	cfg.Archive, cfg.KeepDays, cfg.Store = s.archive, s.keepDays, s.store
	if s.open {
		cfg.Auth = "open"
	}
	if s.tune != nil {
		s.tune(&cfg)
	}
	if err := cfg.Check(); err != nil {
		s.t.Fatal(err)
	}
	e, err := exchange.Open(context.Background(), cfg, cfg.Logger())
	if err != nil {
		s.t.Fatal(err)
	}
	s.e, s.url = e, "http://"+cfg.Listen
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- e.Serve(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		s.t.Fatal(err)
	}
	s.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("stop: %v", err)
		}
		s.stop = func() {}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// token gives a user's token, or a system's for a client id.
func (s *stage) token(who string) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if tok := s.tokens[who]; tok != "" {
		return tok
	}
	var tok string
	var err error
	if strings.HasPrefix(who, "his-") || who == operator {
		key, rerr := os.ReadFile(s.demo.keyFile(who))
		if rerr != nil {
			s.t.Fatal(rerr)
		}
		tok, err = client.SystemTokens(s.url, who, key)(context.Background())
	} else {
		password, rerr := os.ReadFile(filepath.Join(s.dir, "password"))
		if rerr != nil {
			s.t.Fatal(rerr)
		}
		l := client.Login{Base: s.url, User: who, Password: strings.TrimSpace(string(password))}
		if who == "resident" {
			l.Client, l.Redirect, l.Scope = "resident-app", s.url+"/resident/", "patient/*.rs patient/Consent.cruds launch/patient"
		}
		tok, err = l.Token(context.Background())
	}
	if err != nil {
		s.t.Fatalf("token of %s: %v", who, err)
	}
	s.tokens[who] = tok
	return tok
}

// answer is a response with its body read.
type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   []byte
}

// do makes a request as who ("" without a token). body is nil, bytes, or
// something to encode as JSON.
func (s *stage) do(who, method, path string, body any, header ...string) answer {
	s.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		r = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		r = bytes.NewReader(raw)
	}
	at := path
	if !strings.HasPrefix(path, "http") {
		at = s.url + path
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, at, r)
	if err != nil {
		s.t.Fatal(err)
	}
	if r != nil {
		req.Header.Set("Content-Type", "application/fhir+json")
		if !strings.HasPrefix(path, "/fhir") {
			req.Header.Set("Content-Type", "application/json")
		}
	}
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+s.token(who))
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{s.t, fmt.Sprintf("%s %s as %q", method, path, who), res.StatusCode, res.Header, raw}
}

// is ends the test unless the status is as wanted.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d\n%.2000s", a.what, a.status, status, a.body)
	}
	return a
}

// into decodes the body.
func (a answer) into(v any) answer {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%s: %v\n%.500s", a.what, err, a.body)
	}
	return a
}

// bundle is as much of a Bundle as the story looks at.
type bundle struct {
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		FullURL  string
		Resource json.RawMessage
		Search   struct {
			Mode  string
			Score float64
		}
		Response struct{ Status, Location string }
	}
}

func (a answer) bundle() bundle {
	a.t.Helper()
	var b bundle
	a.into(&b)
	return b
}

func (b bundle) next() string {
	for _, l := range b.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}

// all follows the pages of a search to the end and holds the total of every
// page against the number of matches.
func (s *stage) all(who, path string, header ...string) (matches []json.RawMessage, total int) {
	s.t.Helper()
	total = -1
	for at := path; at != ""; {
		b := s.do(who, "GET", at, nil, header...).is(200).bundle()
		if b.Total == nil {
			s.t.Fatalf("%s: a page has no total", path)
		}
		if total >= 0 && *b.Total != total {
			s.t.Fatalf("%s: the total changes from page to page: %d, %d", path, total, *b.Total)
		}
		total = *b.Total
		for _, e := range b.Entry {
			if e.Search.Mode == "match" {
				matches = append(matches, e.Resource)
			}
		}
		at = b.next()
	}
	if len(matches) != total {
		s.t.Fatalf("%s: %d matches on all pages, total says %d", path, len(matches), total)
	}
	return matches, total
}

// resource is what the story looks at of any resource.
type resource struct {
	ResourceType string
	ID           string
	Status       string
	Meta         struct {
		VersionID string
		Source    string
		Tag       []struct{ System, Code string }
	}
	EffectiveDateTime string
	Subject           struct{ Reference string }
	Identifier        []struct{ System, Value string }
	Link              []struct {
		Type  string
		Other struct{ Reference string }
	}
}

func decodeResource(t *testing.T, raw []byte) resource {
	t.Helper()
	var r resource
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatalf("%v\n%.500s", err, raw)
	}
	return r
}

// custodian is the organisation that the server names as owner.
func (r resource) custodian() string {
	for _, tag := range r.Meta.Tag {
		if strings.HasSuffix(tag.System, "/CodeSystem/custodian") {
			return tag.Code
		}
	}
	return ""
}
