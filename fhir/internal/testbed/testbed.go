// Package testbed is what the tests of the fhir rooms stand on: the rules of R4,
// made once a process, a store of them on the disk, and people of several records.
package testbed

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/fhir/store/disk"
	"hutong/fhir/validate"
)

// Base is the public base of every testbed.
const Base = "https://exchange.example/fhir"

// Rules are immutable and take time to compile, so all tests share them.
type Rules struct {
	Defs      *definition.Set
	Extractor *search.Extractor
	Parser    *search.Parser
	Validator *validate.Validator
}

var rules = sync.OnceValues(func() (Rules, error) {
	defs, o := definition.R4(), search.Options{Base: Base}
	v, err := validate.New(validate.Options{})
	return Rules{defs, search.NewExtractor(defs, o), search.NewParser(defs, o), v}, err
})

// R4 gives the rules.
func R4(t testing.TB) Rules {
	t.Helper()
	r, err := rules()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Open opens the store in dir, which the caller closes.
func (r Rules) Open(t testing.TB, dir string) *disk.Store {
	t.Helper()
	db, err := disk.Open(dir, disk.Options{Extract: r.Extractor.ExtractBody, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// Store opens a new store, which is closed at the end of the test.
func (r Rules) Store(t testing.TB) *disk.Store {
	t.Helper()
	db := r.Open(t, t.TempDir())
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return db
}

// Config is that of a service on db.
func (r Rules) Config(db *disk.Store) interact.Config {
	return interact.Config{Store: db, Defs: r.Defs, Extractor: r.Extractor, Parser: r.Parser, Validator: r.Validator, BaseURL: Base}
}

// Families are persons: lists of the records of one each.
type Families [][]fhir.Key

// Members gives the records of the person whose record k is.
func (f Families) Members(_ context.Context, k fhir.Key) ([]fhir.Key, error) {
	for _, family := range f {
		if slices.Contains(family, k) {
			return family, nil
		}
	}
	return []fhir.Key{k}, nil
}
