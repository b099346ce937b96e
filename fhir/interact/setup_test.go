package interact_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/internal/testbed"
	"hutong/fhir/search"
)

const base = testbed.Base

// house is a service on a real store, with what it is wired to.
type house struct {
	*interact.Service
	t         testing.TB
	extractor *search.Extractor
	audit     *ledger
	heard     *ear
}

func build(t testing.TB, change func(*interact.Config)) *house {
	t.Helper()
	r := testbed.R4(t)
	db := r.Store(t)
	h := &house{t: t, extractor: r.Extractor, audit: &ledger{}, heard: &ear{}}
	cfg := r.Config(db)
	var err error
	cfg.Auditor, cfg.Followers = h.audit, []interact.Follower{h.heard}
	if change != nil {
		change(&cfg)
	}
	if h.Service, err = interact.New(cfg); err != nil {
		t.Fatal(err)
	}
	return h
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

// last gives the newest entry.
func (l *ledger) last() interact.Disclosure {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == 0 {
		return interact.Disclosure{}
	}
	return l.entries[len(l.entries)-1]
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// ear is a follower that remembers.
type ear struct {
	mu       sync.Mutex
	versions []fhir.Version
}

func (e *ear) Committed(_ context.Context, versions []fhir.Version) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.versions = append(e.versions, versions...)
}

// person is a caller whose answers are given; the zero value decides nothing.
type person struct {
	restriction search.Restriction
	refused     error
	write       error
	stamp       interact.Stamp
	widens      bool
	about       [][]fhir.Key
	ops         []interact.Op
}

func (p *person) Restrict(_ context.Context, op interact.Op, about []fhir.Key) (search.Restriction, error) {
	p.about = append(p.about, slices.Clone(about))
	p.ops = append(p.ops, op)
	return p.restriction, p.refused
}

func (p *person) MayWrite(_ context.Context, op interact.Op, _ fhir.Key, _ *fhir.Facts) error {
	p.ops = append(p.ops, op)
	return p.write
}

func (p *person) Stamp() interact.Stamp { return p.stamp }

func (p *person) ExpandPersons() bool { return p.widens }

// asked gives what the last Restrict was about.
func (p *person) asked() []fhir.Key {
	if len(p.about) == 0 {
		return nil
	}
	return p.about[len(p.about)-1]
}

// hospital is the client of an organisation that sees its own records.
func hospital(org string) *person {
	return &person{
		restriction: search.Restriction{Decided: true, Permit: []search.Rule{{Custodians: []string{org}}}},
		stamp:       interact.Stamp{Custodian: org},
	}
}

// families joins patients of the same list.
type families [][]fhir.Key

func (f families) Members(_ context.Context, k fhir.Key) ([]fhir.Key, error) {
	for _, family := range f {
		if slices.Contains(family, k) {
			return family[1:], nil // the first is the person's own id
		}
	}
	return []fhir.Key{k}, nil
}

func patientKey(id string) fhir.Key { return fhir.Key{Type: "Patient", ID: id} }

// put stores resources as the system, owned by org.
func (h *house) put(org string, resources ...string) {
	h.t.Helper()
	raw := make([][]byte, len(resources))
	for i, r := range resources {
		raw[i] = []byte(r)
	}
	if _, err := h.Put(context.Background(), interact.SystemCaller(org), raw...); err != nil {
		h.t.Fatal(err)
	}
}

// found lists Type/id of a search's matches and includes, sorted.
func (h *house) found(c interact.Caller, t fhir.Type, query string) ([]string, *interact.Bundle) {
	h.t.Helper()
	b, err := h.Search(context.Background(), c, interact.SearchRequest{Type: t, Query: query})
	if err != nil {
		h.t.Fatalf("%s?%s: %v", t, query, err)
	}
	var keys []string
	for _, e := range b.Entries {
		if e.Mode != "outcome" {
			keys = append(keys, e.Resource.Key.String())
		}
	}
	slices.Sort(keys)
	return keys, b
}

// bytesOf is the Bundle as a client gets it.
func bytesOf(t testing.TB, b *interact.Bundle) []byte {
	t.Helper()
	var buf bytes.Buffer
	if _, err := b.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
