// Package storetest is the test of the contract in hutong/fhir/store: one
// suite for every engine. An engine's own test calls Run.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// Extract is what an engine needs to know of resources.
type Extract = func(fhir.Body, fhir.Key) ([]search.Entry, fhir.Facts, error)

// Harness is one engine under test, empty at first.
type Harness struct {
	Store store.Store
	// Reopen closes the engine and opens it again on the same data. nil if
	// there is nothing to reopen.
	Reopen func() store.Store
	// Slow engines, such as one on a test server without indexes, are asked less
	// often the same thing. No test is left out.
	Slow bool
	// Check proves the engine's indexes against its resources. It runs after
	// every test. nil if the engine has none.
	Check func(ctx context.Context) error
}

// Open makes an empty engine; it is called for each test, with the extractor
// to use, and the engine is closed by t.Cleanup of the caller's.
type Open func(t *testing.T, extract Extract) *Harness

// Run holds an engine against the contract.
func Run(t *testing.T, open Open) {
	type test struct {
		name string
		run  func(*bench)
	}
	tests := []test{
		{"versions", versions},
		{"deletion", deletion},
		{"expectations", expectations},
		{"atomic", atomicity},
		{"monotonic", monotonic},
		{"race", race},
		{"guards", guards},
		{"snapshots", snapshots},
		{"histories", histories},
		{"totals", totals},
		{"changes", changes},
		{"wait", waitChange},
		{"restart", restart},
		{"spaces", spaces},
		{"space race", spaceRace},
		{"ties", ties},
		{"cursors", cursors},
		{"readers and writers", readersAndWriters},
	}
	for seed := range seeds() {
		tests = append(tests, test{fmt.Sprintf("oracle %d", seed), func(b *bench) { b.world(seed) }})
	}
	w := NewWorld()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, w.Extract)
			b := &bench{T: t, World: w, h: h, s: h.Store, ctx: t.Context()}
			tt.run(b)
			if h.Check != nil {
				if err := h.Check(t.Context()); err != nil {
					t.Errorf("indexes and resources differ: %v", err)
				}
			}
		})
	}
}

// World is what turns JSON and query strings into the contract's terms.
type World struct {
	Defs      *definition.Set
	Extractor *search.Extractor
	Parser    *search.Parser
}

// Now is the clock of the tests: it gives meaning to the ap prefix.
var Now = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)

// NewWorld compiles the R4 definitions.
func NewWorld() *World {
	defs := definition.R4()
	o := search.Options{Now: func() time.Time { return Now }, MaxCount: 10_000, Units: units{}}
	return &World{Defs: defs, Extractor: search.NewExtractor(defs, o), Parser: search.NewParser(defs, o)}
}

// Extract is what the engines extract with. The custodian stands in a tag.
func (w *World) Extract(b fhir.Body, k fhir.Key) ([]search.Entry, fhir.Facts, error) {
	e, f, err := w.Extractor.ExtractBody(b, k)
	for i := range e {
		if e[i].Param.Code == "_tag" && e[i].System == custodianSystem {
			f.Custodian = e[i].Code
		}
	}
	return e, f, err
}

const custodianSystem = "http://example.org/custodian"

// Op makes an operation from a resource in JSON.
func (w *World) Op(m fhir.Method, src string) (store.Op, error) {
	d, err := codec.Parse([]byte(src), codec.DefaultLimits())
	if err != nil {
		return store.Op{}, err
	}
	body, err := codec.NewBody(d, 0, codec.BodyOptions{})
	if err != nil {
		return store.Op{}, err
	}
	k := fhir.Key{Type: d.ResourceType(0), ID: d.ChildText(0, "id")}
	op := store.Op{Key: k, Method: m, Body: body}
	op.Entries, op.Facts, err = w.Extract(body, k)
	return op, err
}

// Query reads "Type?params" into an unrestricted query.
func (w *World) Query(text string) (*search.Query, error) {
	t, params, _ := strings.Cut(text, "?")
	r, err := w.Parser.Parse(fhir.Type(t), params)
	if err != nil {
		return nil, err
	}
	r.Query.Restriction = search.Unrestricted()
	return &r.Query, nil
}

// bench is one running test.
type bench struct {
	*testing.T
	*World
	h   *Harness
	s   store.Store
	ctx context.Context
}

// times is how often a test does the same thing: n, or a quarter of it where
// the engine is slow.
func (b *bench) times(n int) int {
	if b.h.Slow {
		return (n + 3) / 4
	}
	return n
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// op makes an operation or fails the test.
func (b *bench) op(m fhir.Method, src string) store.Op {
	b.Helper()
	op, err := b.Op(m, src)
	b.must(err)
	return op
}

func (b *bench) put(src string) fhir.Version { b.Helper(); return b.write(b.op(fhir.Updated, src)) }

func (b *bench) write(op store.Op) fhir.Version {
	b.Helper()
	r, err := b.s.Commit(b.ctx, store.Tx{Ops: []store.Op{op}})
	b.must(err)
	return r.Versions[0]
}

func (b *bench) delete(k fhir.Key) fhir.Version {
	b.Helper()
	return b.write(store.Op{Key: k, Method: fhir.Deleted})
}

// snap opens a snapshot that closes with the test.
func (b *bench) snap(t fhir.T) store.Snapshot {
	b.Helper()
	s, err := b.s.Snapshot(b.ctx, t)
	b.must(err)
	b.Cleanup(s.Close)
	return s
}

func (b *bench) query(text string) *search.Query {
	b.Helper()
	q, err := b.Query(text)
	b.must(err)
	return q
}

// ids searches and gives the ids of the first page.
func (b *bench) ids(s store.Snapshot, text string) []string {
	b.Helper()
	p, err := s.Search(b.ctx, b.query(text))
	b.must(err)
	return idsOf(p.Matches)
}

func idsOf(rs []fhir.Resource) []string {
	ids := []string{}
	for _, r := range rs {
		ids = append(ids, r.ID)
	}
	return ids
}

func (b *bench) same(what string, got, want any) {
	b.Helper()
	g, w := fmt.Sprintf("%v", got), fmt.Sprintf("%v", want)
	if g != w {
		b.Errorf("%s: got %s, want %s", what, g, w)
	}
}

// kind demands an error of that kind.
func (b *bench) kind(what string, err error, k fhir.Kind) {
	b.Helper()
	if err == nil || fhir.KindOf(err) != k || !errors.Is(err, fhir.E(k)) {
		b.Errorf("%s: got error %v, want kind %d", what, err, k)
	}
}

// sameJSON compares a stored resource with what was sent, meta's version aside.
func (b *bench) sameJSON(r fhir.Resource, src string) {
	b.Helper()
	var got, want map[string]any
	b.must(json.Unmarshal(r.JSON(), &got))
	b.must(json.Unmarshal([]byte(src), &want))
	meta, _ := got["meta"].(map[string]any)
	b.same("meta.versionId", meta["versionId"], fmt.Sprint(r.VersionID))
	b.same("meta.lastUpdated", meta["lastUpdated"], r.LastUpdated.Format(fhir.InstantLayout))
	delete(got, "meta")
	delete(want, "meta")
	b.same("content", got, want)
}

func sorted(s []string) []string { slices.Sort(s); return s }

// patient is the smallest useful resource.
func patient(id, family string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":%q}],"identifier":[{"system":"http://example.org/mrn","value":%q}]}`, id, family, id)
}

func observation(id, patient, code, when string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","subject":{"reference":"Patient/%s"},`+
		`"code":{"coding":[{"system":"http://loinc.org","code":%q}]},"effectiveDateTime":%q,"valueQuantity":{"value":5.4,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}}`,
		id, patient, code, when)
}
