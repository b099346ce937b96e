package audit

import (
	"slices"
	"sync"

	"hutong/fhir"
	"hutong/fhir/search"
)

// indexer extracts the index values of records in two halves: those of what
// was done and who did it, which are the same for a client's thousand requests
// and remembered, and those of when it was and of what. No search parameter of
// AuditEvent joins elements of the two (a test compares with the whole).
type indexer struct {
	extract  func(fhir.Body, fhir.Key) ([]search.Entry, fhir.Facts, error)
	unplaced fhir.Key // of a record that has no place yet

	mu sync.Mutex
	// What is not asked for while as many others come as a generation holds is
	// forgotten.
	young, old map[string]values
}

// values are index values and facts; they are shared and must not be changed.
type values struct {
	entries []search.Entry
	facts   fhir.Facts
}

// generation is how many halves are remembered, about: 3 KB each, twice.
const generation = 1024

func newIndexer(x Extractor, chain string) *indexer {
	return &indexer{extract: x.ExtractBody, unplaced: recordKey(chain, 0), young: map[string]values{}}
}

// values gives entries and facts of a record that has no place yet.
func (x *indexer) values(r *record) ([]search.Entry, fhir.Facts, error) {
	common, err := x.common(r)
	if err != nil {
		return nil, fhir.Facts{}, err
	}
	own := append(make([]byte, 0, 64+len(r.raw)-r.entity), `{"resourceType":"AuditEvent"`...)
	own = append(append(own, r.raw[r.recorded:r.outcome]...), r.raw[r.entity:]...)
	entries, facts, err := x.extract(fhir.Body{Raw: own}, x.unplaced)
	if err != nil {
		return nil, fhir.Facts{}, err
	}
	return slices.Concat(common.entries, entries), join(common.facts, facts), nil
}

// common gives what the record shares with others of the same request shape.
func (x *indexer) common(r *record) (values, error) {
	key := make([]byte, 0, 2048)
	key = append(append(key, r.raw[r.content:r.recorded]...), r.raw[r.outcome:r.entity]...)
	if v, ok := x.known(key); ok {
		return v, nil
	}
	body := append(append(slices.Clone(r.raw[:r.content]), key...), '}')
	var v values
	var err error
	if v.entries, v.facts, err = x.extract(fhir.Body{Raw: body, MetaAt: r.metaAt}, x.unplaced); err == nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.keep(string(key), v)
	}
	return v, err
}

func (x *indexer) known(key []byte) (v values, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if v, ok = x.young[string(key)]; ok {
		return v, true
	}
	if v, ok = x.old[string(key)]; ok {
		x.keep(string(key), v)
	}
	return v, ok
}

func (x *indexer) keep(key string, v values) {
	if len(x.young) >= generation {
		x.old, x.young = x.young, map[string]values{}
	}
	x.young[key] = v
}

// join puts the facts of the two halves together, those of who first.
func join(a, b fhir.Facts) fhir.Facts {
	b.Patients, b.Authors = union(a.Patients, b.Patients), union(a.Authors, b.Authors)
	b.Categories, b.Codes, b.Labels = union(a.Categories, b.Categories), union(a.Codes, b.Codes), union(a.Labels, b.Labels)
	if b.Clinical.IsZero() {
		b.Clinical = a.Clinical
	}
	return b
}

// union gives a list of its own if both have something.
func union[T comparable](a, b []T) []T {
	if len(a) == 0 {
		return b
	}
	all := slices.Clip(a)
	for _, v := range b {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}
