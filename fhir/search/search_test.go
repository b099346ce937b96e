package search_test

import (
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

const base = "https://hutong.example/fhir"

var cst = time.FixedZone("CST", 8*3600)

// kit is an extractor and a parser that belong together.
type kit struct {
	defs *definition.Set
	x    *search.Extractor
	p    *search.Parser
}

func newKit(o search.Options) kit {
	if o.Base == "" {
		o.Base = base
	}
	if o.Location == nil {
		o.Location = cst
	}
	defs := definition.R4()
	return kit{defs, search.NewExtractor(defs, o), search.NewParser(defs, o)}
}

func (k kit) extract(t testing.TB, json string) ([]search.Entry, fhir.Facts) {
	t.Helper()
	d, err := codec.Parse([]byte(json), codec.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	entries, facts, err := k.x.Extract(nil, d, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return entries, facts
}

// matches tells whether the resource satisfies every filter of the query.
func (k kit) matches(t testing.TB, json, query string) bool {
	t.Helper()
	entries, _ := k.extract(t, json)
	d, _ := codec.Parse([]byte(json), codec.DefaultLimits())
	r, err := k.p.Parse(d.ResourceType(0), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	for i := range r.Query.Filter {
		if !search.Matches(&r.Query.Filter[i], entries) {
			return false
		}
	}
	return true
}
